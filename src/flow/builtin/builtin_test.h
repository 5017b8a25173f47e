/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_test.h - a flow of built-in actors, and what comes out as text. */
#ifndef FLOW_BUILTIN_BUILTIN_TEST_H
#define FLOW_BUILTIN_BUILTIN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "glovebox/builtin.h"
#include "glovebox/flow.h"

#define SECOND 1000000000ull

static struct gbx_error err;
static struct gbx_flow *flow;
static char folder[64];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char seen[1u << 20]; /* "port json\n" of each */
static size_t seen_bytes, seen_count;
static char reason[256]; /* of the last letter */

static inline void output(void *context, const char *port,
                          const struct gbx_message *m)
{
    char *json;

    (void)context;
    pthread_mutex_lock(&lock);
    assert_int_equal(gbx_message_to_json(&json, m, GBX_JSON_PLAIN, NULL), 0);
    seen_bytes += (size_t)snprintf(seen + seen_bytes, sizeof(seen) - seen_bytes,
                                   "%s %s\n", port, json);
    seen_count++;
    free(json);
    pthread_mutex_unlock(&lock);
}

static inline void letter(void *context, const struct gbx_letter *l)
{
    (void)context;
    pthread_mutex_lock(&lock);
    snprintf(reason, sizeof(reason), "%s", l->reason);
    pthread_mutex_unlock(&lock);
}

static inline void forget(void)
{
    pthread_mutex_lock(&lock);
    seen[0] = reason[0] = '\0';
    seen_bytes = seen_count = 0;
    pthread_mutex_unlock(&lock);
}

static inline size_t count_seen(void)
{
    size_t count;

    pthread_mutex_lock(&lock);
    count = seen_count;
    pthread_mutex_unlock(&lock);
    return count;
}

static inline void open_with(const struct gbx_actor_type *const *types)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = types,
                                           .workers = 2,
                                           .folder = folder,
                                           .output = output,
                                           .letter = letter};

    forget();
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
}

/* A node n, all its outports outside. */
static inline void add(const char *component, const char *metadata)
{
    const struct gbx_actor_type *type = gbx_builtin_find(component);

    if (gbx_flow_add_node(flow, "n", component, metadata, &err) < 0)
        fail_msg("%s", err.what);
    for (size_t i = 0; type->outports[i] != NULL; i++)
        assert_int_equal(gbx_flow_add_outport(flow, type->outports[i], "n",
                                              type->outports[i], &err),
                         0);
    if (gbx_flow_add_outport(flow, "error", "n", "error", &err) < 0 ||
        gbx_flow_start(flow, &err) < 0)
        fail_msg("%s", err.what);
}

static inline void drain(void)
{
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 20 * SECOND), 0);
}

/* A flow of this one alone. */
static inline void begin(const char *component, const char *metadata)
{
    open_with(gbx_builtin_types);
    add(component, metadata);
}

static inline int finish(void **state)
{
    (void)state;
    gbx_flow_close(flow);
    flow = NULL;
    return 0;
}

static inline void give_message(const char *port, const struct gbx_message *m)
{
    char name[64];

    snprintf(name, sizeof(name), "n.%s", port);
    if (gbx_flow_send(flow, name, m, 0, &err) < 0)
        fail_msg("%s", err.what);
}

static inline void give(const char *port, const char *json)
{
    struct gbx_message m;
    struct gbx_builder b;

    gbx_builder_init(&b);
    if (gbx_message_from_json(&m, &b, json, strlen(json), GBX_JSON_EITHER,
                              &err) < 0)
        fail_msg("%s: %s", json, err.what);
    give_message(port, &m);
    gbx_builder_fini(&b);
    drain();
}

/* What it cannot be made with. */
struct bad {
    const char *component, *metadata, *what;
};

static inline void refuse_in_flow(const struct bad *bad)
{
    open_with(gbx_builtin_types);
    assert_true(gbx_flow_add_node(flow, "bad one", bad->component,
                                  bad->metadata, &err) < 0);
    if (strstr(err.what, bad->what) == NULL ||
        strncmp(err.what, "node bad one: metadata.", 23) != 0)
        fail_msg("%s %s: %s", bad->component, bad->metadata, err.what);
    gbx_flow_close(flow);
    flow = NULL;
}

/* There, and alone: nothing of it is left. */
static inline void refuse(const struct bad *bad)
{
    const struct gbx_actor_config config = {
        .node = "bad one", .folder = folder, .config_json = bad->metadata};
    const struct gbx_actor_type *const *type = gbx_builtin_types;
    void *self = NULL;

    refuse_in_flow(bad);
    while (strcmp((*type)->component, bad->component) != 0)
        type++;
    assert_true((*type)->open(&self, &config, &err) < 0);
    assert_null(self);
}

#define FACT(name) cmocka_unit_test_teardown(name, finish)

#endif
