/* SPDX-License-Identifier: Apache-2.0 */
/* scripts.c - scripts that are brought, and who there is to run them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/caller/private.h"

/* A worker that has said nothing so long is lost. */
#define ASK_NS  10000000000u
#define ASK_MAX 18u

static void tell(struct net_host *host, const struct frame *frame,
                 const void *body)
{
    char *all = malloc(FRAME_HEAD_MAX + frame->body_bytes);
    size_t bytes;

    if (all == NULL)
        return;
    bytes = frame_write(frame, (uint8_t *)all);
    if (frame->body_bytes > 0)
        memcpy(all + bytes, body, frame->body_bytes);
    caller_tell(host, &(struct event){.kind = EVENT_FRAME,
                                      .text = all,
                                      .bytes = bytes + frame->body_bytes});
}

/* What; and neither a traceback nor an exception. */
void scripts_tell_failed(struct net_host *host, uint32_t number, int code,
                         bool has_not_run, const char *what)
{
    const size_t bytes = strlen(what);
    char text[GBX_ERROR_TEXT_MAX + 3] = "";
    const struct frame frame = {.kind = FRAME_FAILED,
                                .flags = has_not_run ? FRAME_HAS_NOT_RUN : 0,
                                .call = number,
                                .scalar = (uint64_t) - (int64_t)code,
                                .body_bytes = bytes + 3};

    if (bytes >= GBX_ERROR_TEXT_MAX)
        return;
    memcpy(text, what, bytes);
    tell(host, &frame, text);
}

/* ---- LOAD ---- */

struct script *scripts_find_locked(struct net_host *host, uint32_t number)
{
    struct script *script;

    LIST_FOREACH(script, &host->scripts, next)
    if (script->number == number)
        return script;
    return NULL;
}

int scripts_load_locked(struct net_host *host, const struct frame *frame,
                        const void *data)
{
    struct script *script;

    if (scripts_find_locked(host, frame->call) != NULL) {
        scripts_tell_failed(host, frame->call, GBX_ELIMIT, true,
                            "that number of a script is in use");
        return 0;
    }
    script = calloc(1, sizeof(*script));
    if (script != NULL)
        script->body = malloc(frame->body_bytes + 1);
    if (script == NULL || script->body == NULL) {
        free(script);
        return GBX_EHOST;
    }
    script->number = frame->call;
    script->bytes = frame->body_bytes;
    if (script->bytes > 0)
        memcpy(script->body, data, script->bytes);
    layout_digest(script->body, script->bytes, script->digest);
    LIST_INSERT_HEAD(&host->scripts, script, next);
    helper_put_locked(
        host, &(struct task){.kind = TASK_LOAD, .number = script->number});
    return 0;
}

static void drop_locked(struct net_host *host, struct script *script)
{
    struct call *call;

    for (unsigned i = 0; i < BUCKETS; i++)
        LIST_FOREACH(call, &host->calls[i], same)
    if (call->script == script)
        call->script = NULL;
    LIST_REMOVE(script, next);
    free(script->body);
    free(script);
}

void scripts_unload_locked(struct net_host *host, uint32_t number)
{
    struct script *script = scripts_find_locked(host, number);

    if (script != NULL)
        drop_locked(host, script);
}

void scripts_drop_all_locked(struct net_host *host)
{
    struct script *script;
    struct node *node;

    while ((script = LIST_FIRST(&host->scripts)) != NULL)
        drop_locked(host, script);
    while ((node = LIST_FIRST(&host->nodes)) != NULL) {
        LIST_REMOVE(node, next);
        free(node);
    }
}

/* One worker of those that take this route's calls. */
static void ask_locked(struct net_host *host, struct script *script)
{
    char subject[NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX];
    const struct bus_field field = {NATS_SCRIPT, script->digest};

    snprintf(subject, sizeof(subject), "glovebox.load.%s",
             bus_route(host->bus));
    snprintf(reply, sizeof(reply), "glovebox.to.%s.loaded.%u", host->id,
             script->number);
    script->asked++;
    script->asked_ns = caller_now_ns();
    bus_send(host->bus, subject, reply, &field, 1, "", 0);
}

static int store(struct net_host *host, const char *digest, const void *data,
                 size_t bytes, struct gbx_error *err)
{
    char head[NATS_SUBJECT_MAX];
    struct layout_body body = {.bytes = bytes};

    snprintf(head, sizeof(head), "$KV.glovebox-scripts.%s", digest);
    if (bus_has(host->bus, NATS_SCRIPTS, head))
        return 0;
    memcpy(body.digest, digest, sizeof(body.digest));
    return bus_store_bytes(host->bus, &body, head, data, bytes, err);
}

/* The body is the helper's while it is not stored; but it may be unloaded. */
void scripts_store(struct net_host *host, uint32_t number)
{
    char digest[NATS_DIGEST_CHARS + 1];
    struct gbx_error err = {.what = ""};
    struct script *script;
    uint8_t *body = NULL;
    size_t bytes = 0;
    int rc = 0;

    pthread_mutex_lock(&host->lock);
    script = scripts_find_locked(host, number);
    if (script != NULL && host->bus != NULL) {
        body = script->body;
        script->body = NULL;
        bytes = script->bytes;
        memcpy(digest, script->digest, sizeof(digest));
    }
    pthread_mutex_unlock(&host->lock);
    if (body == NULL)
        return;
    rc = store(host, digest, body, bytes, &err);
    free(body);
    pthread_mutex_lock(&host->lock);
    script = scripts_find_locked(host, number);
    if (script != NULL && rc < 0) {
        drop_locked(host, script);
        scripts_tell_failed(host, number, rc, true, err.what);
    } else if (script != NULL) {
        script->is_stored = true;
        ask_locked(host, script);
    }
    pthread_mutex_unlock(&host->lock);
}

static bool is_known(const struct frame *frame, const struct script *script)
{
    return (frame->kind == FRAME_LOADED || frame->kind == FRAME_FAILED) &&
           frame->call == script->number;
}

/* LOADED or FAILED, of a worker; or nobody was there. */
void scripts_loaded(struct net_host *host, uint64_t number, natsMsg *message)
{
    const uint8_t *data = (const uint8_t *)natsMsg_GetData(message), *body;
    const size_t bytes = (size_t)natsMsg_GetDataLength(message);
    struct script *script;
    struct frame frame;
    const char *what;
    char text[GBX_ERROR_TEXT_MAX];
    size_t at = 0;
    bool good = false;

    pthread_mutex_lock(&host->lock);
    script = number <= UINT32_MAX ? scripts_find_locked(host, (uint32_t)number)
                                  : NULL;
    if (script != NULL && script->is_loaded)
        script = NULL;
    if (script != NULL && bus_status(message) != 0) {
        snprintf(text, sizeof(text),
                 "no worker takes calls of route \"%s\": start one, with "
                 "gloveboxd --worker",
                 bus_route(host->bus));
        drop_locked(host, script);
        scripts_tell_failed(host, (uint32_t)number, GBX_EUNSUPPORTED, true,
                            text);
    } else if (script != NULL) {
        good = layout_frame(&frame, &body, data, bytes, &at, &what) == 1 &&
               at == bytes && is_known(&frame, script);
        if (good && frame.kind == FRAME_FAILED)
            drop_locked(host, script);
        else if (good)
            script->is_loaded = true;
    }
    pthread_mutex_unlock(&host->lock);
    if (good)
        answers_frame(host, data, bytes);
}

void scripts_tick(struct net_host *host)
{
    const uint64_t now = caller_now_ns();
    struct script *script, *next;

    pthread_mutex_lock(&host->lock);
    for (script = LIST_FIRST(&host->scripts); script != NULL; script = next) {
        next = LIST_NEXT(script, next);
        if (!script->is_stored || script->is_loaded ||
            now < script->asked_ns + ASK_NS)
            continue;
        if (script->asked < ASK_MAX) {
            ask_locked(host, script);
            continue;
        }
        scripts_tell_failed(host, script->number, GBX_ETIME, true,
                            "no worker has loaded the script in time");
        drop_locked(host, script);
    }
    pthread_mutex_unlock(&host->lock);
}

/* ---- HELLO ---- */

static struct node *find_node_locked(struct net_host *host, const char *id)
{
    struct node *node;

    LIST_FOREACH(node, &host->nodes, next)
    if (strcmp(node->id, id) == 0)
        return node;
    return NULL;
}

/* $KV.glovebox-nodes.<id>; without a value it has left. */
void scripts_node(struct net_host *host, natsMsg *message)
{
    const char *id = strrchr(natsMsg_GetSubject(message), '.') + 1;
    struct node node, *known;
    const bool good = node_read(&node, natsMsg_GetData(message),
                                (size_t)natsMsg_GetDataLength(message)) &&
                      strcmp(node.id, id) == 0;

    pthread_mutex_lock(&host->lock);
    known = find_node_locked(host, id);
    if (known != NULL) {
        LIST_REMOVE(known, next);
        free(known);
    }
    known = good && host->bus != NULL &&
                    strcmp(node.route, bus_route(host->bus)) == 0
                ? malloc(sizeof(*known))
                : NULL;
    if (known != NULL) {
        *known = node;
        known->seen_ns = caller_now_ns();
        LIST_INSERT_HEAD(&host->nodes, known, next);
    }
    pthread_mutex_unlock(&host->lock);
}

/* ---- a little CBOR (decision 0002) ---- */

static void put_head(uint8_t **at, unsigned major, uint32_t value)
{
    uint8_t *to = *at;

    *to++ = (uint8_t)(major << 5 | 26); /* and four bytes */
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    *at = to;
}

static void put_text(uint8_t **at, const char *text)
{
    put_head(at, 3, (uint32_t)strlen(text));
    memcpy(*at, text, strlen(text));
    *at += strlen(text);
}

static void put_number(uint8_t **at, const char *name, uint32_t value)
{
    put_text(at, name);
    put_head(at, 0, value);
}

struct sum {
    const char *isolations[32];
    unsigned isolation_count, workers, busy, waiting, ready, nodes;
};

static void add_isolations(struct sum *sum, const struct node *node)
{
    for (unsigned i = 0; i < node->isolation_count; i++) {
        unsigned j = 0;

        while (j < sum->isolation_count &&
               strcmp(sum->isolations[j], node->isolations[i]) != 0)
            j++;
        if (j == sum->isolation_count && j < 32)
            sum->isolations[sum->isolation_count++] = node->isolations[i];
    }
}

static void add_nodes_locked(struct net_host *host, struct sum *sum)
{
    const uint64_t now = caller_now_ns();
    struct node *node, *next;

    for (node = LIST_FIRST(&host->nodes); node != NULL; node = next) {
        next = LIST_NEXT(node, next);
        if (now > node->seen_ns + NATS_NODE_AWAY_MS * 1000000ull) {
            LIST_REMOVE(node, next);
            free(node);
            continue;
        }
        sum->nodes++;
        if (node->is_draining || node->oldest > FRAME_VERSION ||
            node->newest < FRAME_VERSION)
            continue;
        sum->ready++;
        sum->workers += node->workers;
        sum->busy += node->busy;
        sum->waiting += node->waiting;
        add_isolations(sum, node);
    }
}

void scripts_hello_locked(struct net_host *host)
{
    struct frame frame = {.kind = FRAME_HELLO};
    uint8_t body[2048], *at = body;
    char product[64];
    struct sum sum = {0};

    add_nodes_locked(host, &sum);
    snprintf(product, sizeof(product), "NATS, %u workers of route %s",
             sum.nodes, bus_route(host->bus));
    put_head(&at, 5, 8);
    put_number(&at, "oldest", FRAME_VERSION);
    put_number(&at, "newest", FRAME_VERSION);
    put_text(&at, "product");
    put_text(&at, product);
    put_text(&at, "isolations");
    put_head(&at, 4, sum.isolation_count);
    for (unsigned i = 0; i < sum.isolation_count; i++)
        put_text(&at, sum.isolations[i]);
    put_number(&at, "workers", sum.workers);
    put_number(&at, "busy", sum.busy);
    put_number(&at, "waiting", sum.waiting);
    put_text(&at, "draining");
    *at++ = sum.ready == 0 ? 0xf5 : 0xf4;
    frame.body_bytes = (uint64_t)(at - body);
    tell(host, &frame, body);
}
