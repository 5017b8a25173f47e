/* SPDX-License-Identifier: Apache-2.0 */
/*
 * story_flow.h - flows of real scripts: what came out is in `seen`.
 *
 *  open_flow(s);
 *  add(s, "a", text, metadata);     a node, and its script's text
 *  wire(s, "a", "b");               from out to in
 *  begin(s, "b", "out");            what b sends comes out
 *  give(s, "a.in", 7);
 *  drain_and_close();
 */
#ifndef STORY_FLOW_H
#define STORY_FLOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "glovebox/flow.h"
#include "story.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    size_t count, letters, bytes;
    int64_t sum, last;
    char reason[512];
    int first_byte, last_byte;
    size_t letter_bytes; /* of its message's body */
} seen;

static struct gbx_flow *flow;

static inline uint64_t soon(double seconds)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
           (uint64_t)(seconds * 1e9);
}

static inline void output(void *context, const char *port,
                          const struct gbx_message *m)
{
    (void)context;
    (void)port;
    pthread_mutex_lock(&lock);
    seen.count++;
    if (m->type == GBX_INTEGER) {
        seen.sum += m->scalar.integer;
        seen.last = m->scalar.integer;
    }
    if (m->type == GBX_STREAM && m->body_bytes > 0) {
        const uint8_t *bytes = m->body;

        seen.bytes = m->body_bytes;
        seen.first_byte = bytes[0];
        seen.last_byte = bytes[m->body_bytes - 1];
    }
    pthread_mutex_unlock(&lock);
}

static inline void letter(void *context, const struct gbx_letter *l)
{
    (void)context;
    pthread_mutex_lock(&lock);
    seen.letters++;
    seen.letter_bytes = l->message->body_bytes;
    snprintf(seen.reason, sizeof(seen.reason), "%s", l->reason);
    pthread_mutex_unlock(&lock);
}

static inline void open_flow_of(struct story *s, int is_client)
{
    struct gbx_script_config script = s->config;
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .runtime = s->runtime,
                                           .script = &script,
                                           .folder = s->folder,
                                           .output = output,
                                           .letter = letter,
                                           .is_client = is_client};

    memset(&seen, 0, sizeof(seen));
    script.struct_bytes = sizeof(script);
    if (gbx_flow_open(&flow, &config, &s->err) < 0)
        fail_msg("%s", s->err.what);
}

static inline void open_flow(struct story *s)
{
    open_flow_of(s, 0);
}

static inline void write_script(struct story *s, const char *id,
                                const char *text)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s.py", s->folder, id);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static inline void add(struct story *s, const char *id, const char *text,
                       const char *metadata)
{
    char path[128], file[32];

    snprintf(file, sizeof(file), "%s.py", id);
    snprintf(path, sizeof(path), "%s/%s", s->folder, file);
    write_script(s, id, text);
    if (gbx_flow_add_node(flow, id, file, metadata, &s->err) < 0)
        fail_msg("%s", s->err.what);
    unlink(path);
}

static inline void wire(struct story *s, const char *from, const char *to)
{
    if (gbx_flow_connect(flow, from, "out", to, "in", &s->err) < 0)
        fail_msg("%s", s->err.what);
}

static inline void begin(struct story *s, const char *last, const char *port)
{
    if (gbx_flow_add_outport(flow, "out", last, port, &s->err) < 0 ||
        gbx_flow_start(flow, &s->err) < 0)
        fail_msg("%s", s->err.what);
}

static inline void give(struct story *s, const char *port, int64_t number)
{
    const struct gbx_message m = {.type = GBX_INTEGER,
                                  .scalar.integer = number};

    if (gbx_flow_send(flow, port, &m, 0, &s->err) < 0)
        fail_msg("%s", s->err.what);
}

static inline void drain_and_close(void)
{
    assert_int_equal(gbx_flow_drain(flow, soon(60)), 0);
    gbx_flow_close(flow);
}

#endif
