/* SPDX-License-Identifier: Apache-2.0 */
/* flow_test.h - actors in C for tests, and one flow that they are in. */
#ifndef FLOW_FLOW_TEST_H
#define FLOW_FLOW_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "glovebox/flow.h"

#define SECOND 1000000000ull

static struct gbx_error err;

/* ---- what arrives outside ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen {
    int64_t numbers[200000];
    char ports[200000];
    size_t count, letters;
    char reason[256], letter_node[64];
    uint32_t attempts;
} seen;

static inline void output(void *context, const char *port,
                          const struct gbx_message *m)
{
    (void)context;
    pthread_mutex_lock(&lock);
    if (seen.count < ARRAY_SIZE(seen.numbers)) {
        seen.ports[seen.count] = port[0];
        seen.numbers[seen.count] =
            m->type == GBX_INTEGER ? m->scalar.integer : (int64_t)m->type;
    }
    seen.count++;
    pthread_mutex_unlock(&lock);
}

static inline void letter(void *context, const struct gbx_letter *l)
{
    (void)context;
    pthread_mutex_lock(&lock);
    seen.letters++;
    seen.attempts = l->attempts;
    snprintf(seen.reason, sizeof(seen.reason), "%s", l->reason);
    snprintf(seen.letter_node, sizeof(seen.letter_node), "%s", l->node);
    pthread_mutex_unlock(&lock);
}

/* ---- actors ---- */

static const char *const in_port[] = {"in", NULL}, *const two_in[] = {"a", "b",
                                                                      NULL};
static const char *const out_port[] = {"out", NULL};
static atomic_int gate, fails_left;

static inline int64_t number(const struct gbx_actor *actor, const char *port)
{
    struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = -1};

    gbx_actor_input(actor, port, &m);
    return m.scalar.integer;
}

static inline int send_number(struct gbx_actor *actor, int64_t value)
{
    const struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = value};

    return gbx_actor_send(actor, "out", &m);
}

static inline int run_add(void *self, struct gbx_actor *actor)
{
    (void)self;
    return send_number(actor, number(actor, "in") + 1);
}

static inline int run_pair(void *self, struct gbx_actor *actor)
{
    (void)self;
    return send_number(actor, 1000 * number(actor, "a") + number(actor, "b"));
}

/* Until the gate is open. */
static inline int run_slow(void *self, struct gbx_actor *actor)
{
    (void)self;
    while (atomic_load(&gate) == 0)
        usleep(1000);
    return send_number(actor, number(actor, "in"));
}

static inline int run_shaky(void *self, struct gbx_actor *actor)
{
    (void)self;
    if (number(actor, "in") == 13)
        return gbx_actor_fail(actor, "thirteen is no number");
    if (atomic_fetch_sub(&fails_left, 1) > 0)
        return gbx_actor_fail(actor, "not yet");
    return send_number(actor, number(actor, "in"));
}

static inline int run_flood(void *self, struct gbx_actor *actor)
{
    int rc = 0;

    (void)self;
    for (int64_t i = 0; i < number(actor, "in") && rc == 0; i++)
        rc = send_number(actor, i);
    return rc;
}

/* Counts down in a circle. */
static inline int run_down(void *self, struct gbx_actor *actor)
{
    int64_t n = number(actor, "in");

    (void)self;
    return n == 0 ? 0 : send_number(actor, n - 1);
}

/* Its own number, in its own memory. */
static inline int open_count(void **self, const struct gbx_actor_config *config,
                             struct gbx_error *e)
{
    assert_non_null(config->config_json);
    *self = calloc(1, sizeof(int64_t));
    if (*self != NULL)
        return 0;
    snprintf(e->what, sizeof(e->what), "no memory for a number");
    return GBX_EHOST;
}

static inline int run_count(void *self, struct gbx_actor *actor)
{
    return send_number(actor, ++*(int64_t *)self);
}

/* Without a message first, which is 100. */
static inline int run_first(void *self, struct gbx_actor *actor)
{
    struct gbx_message m;
    const bool is_start = gbx_actor_input(actor, "in", &m) < 0;

    (void)self;
    if (is_start)
        usleep(20000);
    return send_number(actor, is_start ? 100 : m.scalar.integer);
}

static inline int run_tick(void *self, struct gbx_actor *actor)
{
    int64_t *turn = self;

    if (*turn < 3)
        gbx_actor_wake_at(actor, clock_now_ns() + 2000000);
    return *turn < 0 ? 0 : send_number(actor, (*turn)++);
}

#define TYPE(name, ins, outs)                                                  \
    static const struct gbx_actor_type type_##name = {.struct_bytes =          \
                                                          sizeof(type_##name), \
                                                      .component = #name,      \
                                                      .inports = ins,          \
                                                      .outports = outs,        \
                                                      .run = run_##name}

TYPE(add, in_port, out_port);
TYPE(slow, in_port, out_port);
TYPE(shaky, in_port, out_port);
TYPE(flood, in_port, out_port);
TYPE(down, in_port, out_port);
static const struct gbx_actor_type type_pair = {.struct_bytes =
                                                    sizeof(type_pair),
                                                .component = "pair",
                                                .inports = two_in,
                                                .outports = out_port,
                                                .await_all_inports = 1,
                                                .run = run_pair};
static const struct gbx_actor_type type_count = {.struct_bytes =
                                                     sizeof(type_count),
                                                 .component = "count",
                                                 .inports = in_port,
                                                 .outports = out_port,
                                                 .open = open_count,
                                                 .run = run_count,
                                                 .close = free};
static const struct gbx_actor_type type_tick = {.struct_bytes =
                                                    sizeof(type_tick),
                                                .component = "tick",
                                                .inports = in_port,
                                                .outports = out_port,
                                                .open = open_count,
                                                .run = run_tick,
                                                .close = free};
static const struct gbx_actor_type type_first = {.struct_bytes =
                                                     sizeof(type_first),
                                                 .component = "first",
                                                 .inports = in_port,
                                                 .outports = out_port,
                                                 .run = run_first,
                                                 .runs_at_start = 1};
static const struct gbx_actor_type *const types[] = {
    &type_add,  &type_slow,  &type_shaky, &type_flood, &type_down,
    &type_pair, &type_count, &type_tick,  &type_first, NULL};

/* ---- a flow ---- */

static struct gbx_flow *flow;

static inline void open_types(const struct gbx_actor_type *const *all,
                              uint32_t workers, uint32_t queue)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = all,
                                           .workers = workers,
                                           .queue = queue,
                                           .output = output,
                                           .letter = letter};

    memset(&seen, 0, sizeof(seen));
    atomic_store(&gate, 0);
    atomic_store(&fails_left, 0);
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
}

static inline void open_flow(uint32_t workers, uint32_t queue)
{
    open_types(types, workers, queue);
}

static inline void add(const char *id, const char *component,
                       const char *metadata)
{
    if (gbx_flow_add_node(flow, id, component, metadata, &err) < 0)
        fail_msg("%s", err.what);
}

/* "a.out b.in": all of them. */
static inline void wire(const char *from, const char *to)
{
    char source[64], target[64], *out, *in;

    snprintf(source, sizeof(source), "%s", from);
    snprintf(target, sizeof(target), "%s", to);
    out = strchr(source, '.');
    in = strchr(target, '.');
    *out++ = *in++ = '\0';
    if (gbx_flow_connect(flow, source, out, target, in, &err) < 0)
        fail_msg("%s", err.what);
}

static inline void outside(const char *name, const char *node, const char *port)
{
    if (gbx_flow_add_outport(flow, name, node, port, &err) < 0)
        fail_msg("%s", err.what);
}

static inline void begin(void)
{
    if (gbx_flow_start(flow, &err) < 0)
        fail_msg("%s", err.what);
}

static inline int try_send(const char *port, int64_t value,
                           uint64_t deadline_ns)
{
    const struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = value};

    return gbx_flow_send(flow, port, &m, deadline_ns, &err);
}

static inline void give(const char *port, int64_t value)
{
    if (try_send(port, value, 0) < 0)
        fail_msg("%s", err.what);
}

static inline void drain(void)
{
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 60 * SECOND), 0);
}

static inline int finish(void **state)
{
    (void)state;
    atomic_store(&gate, 1);
    gbx_flow_close(flow);
    flow = NULL;
    return 0;
}

struct sum {
    const char *node;
    struct gbx_node_stats stats;
};

static inline void find_stats(void *context, const struct gbx_node_stats *stats)
{
    struct sum *sum = context;

    if (strcmp(stats->node, sum->node) == 0)
        sum->stats = *stats;
}

static inline struct gbx_node_stats stats_of(const char *node)
{
    struct sum sum = {.node = node};

    gbx_flow_stats(flow, find_stats, &sum);
    return sum.stats;
}

static inline size_t count_seen(void)
{
    size_t count;

    pthread_mutex_lock(&lock);
    count = seen.count;
    pthread_mutex_unlock(&lock);
    return count;
}

#define FACT(name) cmocka_unit_test_teardown(name, finish)

#endif
