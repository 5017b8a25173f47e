/* SPDX-License-Identifier: Apache-2.0 */
/* Actors in C, wired in all ways that are allowed, and in those that are not.
 */
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

static void output(void *context, const char *port, const struct gbx_message *m)
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

static void letter(void *context, const struct gbx_letter *l)
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

static int64_t number(const struct gbx_actor *actor, const char *port)
{
    struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = -1};

    gbx_actor_input(actor, port, &m);
    return m.scalar.integer;
}

static int send_number(struct gbx_actor *actor, int64_t value)
{
    const struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = value};

    return gbx_actor_send(actor, "out", &m);
}

static int run_add(void *self, struct gbx_actor *actor)
{
    (void)self;
    return send_number(actor, number(actor, "in") + 1);
}

static int run_pair(void *self, struct gbx_actor *actor)
{
    (void)self;
    return send_number(actor, 1000 * number(actor, "a") + number(actor, "b"));
}

/* Until the gate is open. */
static int run_slow(void *self, struct gbx_actor *actor)
{
    (void)self;
    while (atomic_load(&gate) == 0)
        usleep(1000);
    return send_number(actor, number(actor, "in"));
}

static int run_shaky(void *self, struct gbx_actor *actor)
{
    (void)self;
    if (number(actor, "in") == 13)
        return gbx_actor_fail(actor, "thirteen is no number");
    if (atomic_fetch_sub(&fails_left, 1) > 0)
        return gbx_actor_fail(actor, "not yet");
    return send_number(actor, number(actor, "in"));
}

static int run_flood(void *self, struct gbx_actor *actor)
{
    int rc = 0;

    (void)self;
    for (int64_t i = 0; i < number(actor, "in") && rc == 0; i++)
        rc = send_number(actor, i);
    return rc;
}

/* Counts down in a circle. */
static int run_down(void *self, struct gbx_actor *actor)
{
    int64_t n = number(actor, "in");

    (void)self;
    return n == 0 ? 0 : send_number(actor, n - 1);
}

/* Its own number, in its own memory. */
static int open_count(void **self, const struct gbx_actor_config *config,
                      struct gbx_error *e)
{
    (void)e;
    assert_non_null(config->config_json);
    *self = calloc(1, sizeof(int64_t));
    return 0;
}

static int run_count(void *self, struct gbx_actor *actor)
{
    return send_number(actor, ++*(int64_t *)self);
}

static int run_tick(void *self, struct gbx_actor *actor)
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
static const struct gbx_actor_type *const types[] = {
    &type_add,  &type_slow,  &type_shaky, &type_flood, &type_down,
    &type_pair, &type_count, &type_tick,  NULL};

/* ---- a flow ---- */

static struct gbx_flow *flow;

static void open_flow(uint32_t workers, uint32_t queue)
{
    const struct gbx_flow_config config = {.struct_bytes = sizeof(config),
                                           .types = types,
                                           .workers = workers,
                                           .queue = queue,
                                           .output = output,
                                           .letter = letter};

    memset(&seen, 0, sizeof(seen));
    atomic_store(&gate, 0);
    atomic_store(&fails_left, 0);
    assert_int_equal(gbx_flow_open(&flow, &config, &err), 0);
}

static void add(const char *id, const char *component, const char *metadata)
{
    if (gbx_flow_add_node(flow, id, component, metadata, &err) < 0)
        fail_msg("%s", err.what);
}

/* "a.out b.in": all of them. */
static void wire(const char *from, const char *to)
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

static void outside(const char *name, const char *node, const char *port)
{
    if (gbx_flow_add_outport(flow, name, node, port, &err) < 0)
        fail_msg("%s", err.what);
}

static void begin(void)
{
    if (gbx_flow_start(flow, &err) < 0)
        fail_msg("%s", err.what);
}

static int try_send(const char *port, int64_t value, uint64_t deadline_ns)
{
    const struct gbx_message m = {.type = GBX_INTEGER, .scalar.integer = value};

    return gbx_flow_send(flow, port, &m, deadline_ns, &err);
}

static void give(const char *port, int64_t value)
{
    if (try_send(port, value, 0) < 0)
        fail_msg("%s", err.what);
}

static void drain(void)
{
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 60 * SECOND), 0);
}

static int finish(void **state)
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

static void find_stats(void *context, const struct gbx_node_stats *stats)
{
    struct sum *sum = context;

    if (strcmp(stats->node, sum->node) == 0)
        sum->stats = *stats;
}

static struct gbx_node_stats stats_of(const char *node)
{
    struct sum sum = {.node = node};

    gbx_flow_stats(flow, find_stats, &sum);
    return sum.stats;
}

/* ---- facts ---- */

static size_t count_seen(void)
{
    size_t count;

    pthread_mutex_lock(&lock);
    count = seen.count;
    pthread_mutex_unlock(&lock);
    return count;
}

static void a_row_keeps_the_order(void **state)
{
    (void)state;
    open_flow(2, 16);
    add("a", "add", NULL);
    add("b", "add", NULL);
    add("c", "add", NULL);
    wire("a.out", "b.in");
    wire("b.out", "c.in");
    outside("o", "c", "out");
    begin();
    for (int64_t i = 0; i < 100000; i++)
        give("a.in", i);
    drain();
    assert_int_equal(count_seen(), 100000);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], (int64_t)i + 3);
    assert_int_equal(stats_of("b").runs, 100000);
}

static void all_readers_get_all(void **state)
{
    (void)state;
    open_flow(2, 8);
    add("a", "add", NULL);
    add("b", "count", NULL);
    add("c", "count", NULL);
    wire("a.out", "b.in");
    wire("a.out", "c.in");
    outside("b", "b", "out");
    outside("c", "c", "out");
    outside("a", "a", "out");
    begin();
    for (int64_t i = 0; i < 5000; i++)
        give("a.in", i);
    drain();
    assert_int_equal(count_seen(), 15000);
    /* Two of one component are two. */
    assert_int_equal(stats_of("b").runs, 5000);
    assert_int_equal(stats_of("c").runs, 5000);
    assert_int_equal(stats_of("a").sent, 15000);
}

static void of_several_senders_none_is_preferred(void **state)
{
    size_t at_a = 0;

    (void)state;
    open_flow(1, 8);
    atomic_store(&gate, 1);
    add("s", "slow", NULL);
    add("p", "add", NULL);
    add("q", "add", NULL);
    wire("p.out", "s.in");
    wire("q.out", "s.in");
    outside("o", "s", "out");
    begin();
    for (int64_t i = 0; i < 2000; i++) {
        give("p.in", 0);
        give("q.in", 100);
    }
    drain();
    assert_int_equal(count_seen(), 4000);
    for (size_t i = 0; i < 2000; i++)
        at_a += seen.numbers[i] == 1;
    assert_in_range(at_a, 800, 1200);
}

static void who_awaits_all_gets_one_of_each(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("p", "pair", NULL);
    outside("o", "p", "out");
    begin();
    give("p.a", 1);
    give("p.a", 2);
    give("p.a", 3);
    give("p.b", 7);
    usleep(20000);
    assert_int_equal(count_seen(), 1);
    give("p.b", 8);
    give("p.b", 9);
    drain();
    assert_int_equal(count_seen(), 3);
    /* Nothing was overwritten. */
    assert_int_equal(seen.numbers[0], 1007);
    assert_int_equal(seen.numbers[1], 2008);
    assert_int_equal(seen.numbers[2], 3009);
}

static void a_slow_reader_holds_its_sender_up(void **state)
{
    struct gbx_node_stats slow;

    (void)state;
    open_flow(2, 32);
    add("f", "flood", NULL);
    add("s", "slow", NULL);
    wire("f.out", "s.in");
    outside("o", "s", "out");
    begin();
    give("f.in", 20000);
    usleep(100000);
    slow = stats_of("s");
    assert_in_range(slow.queued, 1, 32 + 64);
    atomic_store(&gate, 1);
    drain();
    assert_int_equal(count_seen(), 20000);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], (int64_t)i);
}

static void who_sends_from_outside_waits_or_is_told(void **state)
{
    int rc = 0;

    (void)state;
    open_flow(1, 4);
    add("s", "slow", NULL);
    begin();
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = try_send("s.in", i, clock_now_ns() + SECOND / 20);
    assert_int_equal(rc, GBX_ETIME);
    assert_int_equal(try_send("s.out", 1, 0), GBX_EPORT);
    assert_int_equal(try_send("x.in", 1, 0), GBX_EPORT);
    assert_int_equal(try_send("nothing", 1, 0), GBX_EPORT);
    atomic_store(&gate, 1);
    drain();
}

static void a_circle_runs_and_does_not_wait_for_itself(void **state)
{
    (void)state;
    open_flow(2, 2);
    add("a", "down", NULL);
    add("b", "down", NULL);
    wire("a.out", "b.in");
    wire("b.out", "a.in");
    outside("o", "a", "out");
    begin();
    for (int i = 0; i < 8; i++)
        give("a.in", 1000);
    drain();
    assert_int_equal(stats_of("a").runs + stats_of("b").runs, 8 * 1001);
    assert_int_equal(seen.letters, 0);
}

static void a_stuck_actor_delays_no_other(void **state)
{
    (void)state;
    open_flow(1, 0);
    add("s", "slow", NULL);
    add("a", "add", NULL);
    outside("a", "a", "out");
    begin();
    give("s.in", 1);
    usleep(5000);
    for (int64_t i = 0; i < 100; i++)
        give("a.in", i);
    for (int i = 0; i < 5000 && stats_of("a").runs < 100; i++)
        usleep(1000);
    assert_int_equal(count_seen(), 100);
    assert_int_equal(stats_of("s").state, GBX_NODE_RUNNING);
    atomic_store(&gate, 1);
    drain();
}

static void what_fails_is_tried_again(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("s", "shaky", "{\"retries\": 3, \"backoff_ms\": 1}");
    outside("o", "s", "out");
    begin();
    atomic_store(&fails_left, 3);
    for (int64_t i = 0; i < 10; i++)
        give("s.in", i);
    drain();
    assert_int_equal(count_seen(), 10);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.numbers[i], (int64_t)i);
    assert_int_equal(stats_of("s").retries, 3);
    assert_int_equal(seen.letters, 0);
}

static void poison_becomes_a_letter_and_the_rest_goes_on(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("s", "shaky", "{\"retries\": 2, \"backoff_ms\": 1}");
    outside("o", "s", "out");
    outside("e", "s", "error");
    begin();
    for (int64_t i = 0; i < 20; i++)
        give("s.in", i);
    drain();
    assert_int_equal(count_seen(), 20); /* nineteen, and why one is missing */
    assert_int_equal(seen.letters, 1);
    assert_int_equal(seen.attempts, 3);
    assert_string_equal(seen.letter_node, "s");
    assert_string_equal(seen.reason, "thirteen is no number");
    assert_int_equal(stats_of("s").failures, 3);
}

static void an_actor_may_wake_by_itself(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("t", "tick", NULL);
    outside("o", "t", "out");
    begin();
    give("t.in", 0);
    for (int i = 0; i < 5000 && stats_of("t").runs < 4; i++)
        usleep(1000);
    usleep(10000);
    assert_int_equal(count_seen(), 4);
}

static void it_is_rewired_while_it_runs(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("a", "add", NULL);
    add("b", "add", NULL);
    wire("a.out", "b.in");
    outside("b", "b", "out");
    begin();
    give("a.in", 1);
    drain();
    assert_int_equal(count_seen(), 1);
    add("c", "add", NULL);
    wire("a.out", "c.in");
    outside("c", "c", "out");
    give("a.in", 2);
    drain();
    assert_int_equal(count_seen(), 3);
    assert_int_equal(gbx_flow_disconnect(flow, "a", "out", "b", "in", &err), 0);
    assert_int_equal(gbx_flow_disconnect(flow, "a", "out", "b", "in", &err),
                     GBX_EARGUMENT);
    give("a.in", 3);
    drain();
    assert_int_equal(count_seen(), 4);
    assert_int_equal(gbx_flow_remove_node(flow, "c", &err), 0);
    give("a.in", 4);
    drain();
    assert_int_equal(count_seen(), 4);
    assert_int_equal(try_send("c.in", 1, 0), GBX_EPORT);
}

static void nodes_come_and_go_under_load(void **state)
{
    char id[16];

    (void)state;
    open_flow(2, 64);
    add("a", "add", NULL);
    add("z", "add", NULL);
    outside("o", "z", "out");
    begin();
    for (int turn = 0; turn < 200; turn++) {
        snprintf(id, sizeof(id), "n%d", turn);
        add(id, "add", NULL);
        assert_int_equal(gbx_flow_connect(flow, "a", "out", id, "in", &err), 0);
        assert_int_equal(gbx_flow_connect(flow, id, "out", "z", "in", &err), 0);
        for (int64_t i = 0; i < 50; i++)
            give("a.in", i);
        snprintf(id, sizeof(id), "n%d", turn - 1);
        if (turn > 0)
            assert_int_equal(gbx_flow_remove_node(flow, id, &err), 0);
    }
    drain();
    /* What was sent to a node is run by it, or told as a letter. */
    assert_in_range(seen.count + seen.letters, 200 * 50, 2 * 200 * 50);
}

static void what_is_left_at_the_end_is_told(void **state)
{
    (void)state;
    open_flow(1, 0);
    add("s", "slow", NULL);
    add("p", "pair", NULL);
    begin();
    for (int64_t i = 0; i < 10; i++)
        give("p.a", i);
    gbx_flow_close(flow);
    flow = NULL;
    assert_int_equal(seen.letters, 10);
    assert_string_equal(seen.reason, "the flow was closed");
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *id, *component, *metadata, *said;
    } nodes[] = {
        {"", "add", NULL, "name"},
        {"\xff", "add", NULL, "UTF-8"},
        {"a", "add", NULL, "there is a node a already"},
        {"x", "nothing", NULL, "no component nothing"},
        {"x", "add", "[]", "no JSON object"},
        {"x", "add", "{", "no JSON object"},
        {"x", "add", "{\"retries\": -1}", "metadata.retries"},
        {"x", "add", "{\"retries\": 1.5}", "metadata.retries"},
        {"x", "add", "{\"priority\": \"urgent\"}", "metadata.priority"},
        {"x", "add", "{\"queue\": 100000000}", "metadata.queue"},
    };

    (void)state;
    open_flow(1, 0);
    add("a", "add", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        assert_true(gbx_flow_add_node(flow, nodes[i].id, nodes[i].component,
                                      nodes[i].metadata, &err) < 0);
        if (strstr(err.what, nodes[i].said) == NULL)
            fail_msg("%zu: %s", i, err.what);
    }
    assert_int_equal(gbx_flow_connect(flow, "a", "no", "a", "in", &err),
                     GBX_EPORT);
    assert_non_null(strstr(err.what, "node a has no outport no"));
    assert_int_equal(gbx_flow_connect(flow, "a", "out", "a", "no", &err),
                     GBX_EPORT);
    assert_int_equal(gbx_flow_connect(flow, "b", "out", "a", "in", &err),
                     GBX_EARGUMENT);
    wire("a.out", "a.in");
    assert_int_equal(gbx_flow_connect(flow, "a", "out", "a", "in", &err),
                     GBX_EARGUMENT);
    assert_int_equal(gbx_flow_add_inport(flow, "i", "a", "in", &err), 0);
    assert_int_equal(gbx_flow_add_inport(flow, "i", "a", "in", &err),
                     GBX_EARGUMENT);
    begin();
    assert_int_equal(gbx_flow_start(flow, &err), GBX_EARGUMENT);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_teardown(name, finish)
    const struct CMUnitTest tests[] = {
        FACT(a_row_keeps_the_order),
        FACT(all_readers_get_all),
        FACT(of_several_senders_none_is_preferred),
        FACT(who_awaits_all_gets_one_of_each),
        FACT(a_slow_reader_holds_its_sender_up),
        FACT(who_sends_from_outside_waits_or_is_told),
        FACT(a_circle_runs_and_does_not_wait_for_itself),
        FACT(a_stuck_actor_delays_no_other),
        FACT(what_fails_is_tried_again),
        FACT(poison_becomes_a_letter_and_the_rest_goes_on),
        FACT(an_actor_may_wake_by_itself),
        FACT(it_is_rewired_while_it_runs),
        FACT(nodes_come_and_go_under_load),
        FACT(what_is_left_at_the_end_is_told),
        FACT(what_is_wrong_is_named),
    };
#undef FACT

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
