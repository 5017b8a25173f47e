/* SPDX-License-Identifier: Apache-2.0 */
/* Who is stuck, removed, woken or cancelled at a bad moment. */
#include "flow/flow_test.h"

/* Two outports, and many more messages from the second. */
static int run_two(void *self, struct gbx_actor *actor)
{
    const struct gbx_message m = {.type = GBX_INTEGER};
    int rc = 0;

    (void)self;
    for (int turn = 0; turn < 1000 && rc == 0; turn++) {
        for (int i = 0; i < 2 && rc == 0; i++)
            rc = gbx_actor_send(actor, "x", &m);
        for (int i = 0; i < 62 && rc == 0; i++)
            rc = gbx_actor_send(actor, "y", &m);
    }
    return rc;
}

/* The second run waits for the gate. */
static int run_second(void *self, struct gbx_actor *actor)
{
    const int64_t n = number(actor, "in");

    (void)self;
    while (n == 2 && atomic_load(&gate) == 0)
        usleep(1000);
    return send_number(actor, n);
}

static int run_late(void *self, struct gbx_actor *actor)
{
    (void)self;
    gbx_actor_wake_at(actor, clock_now_ns() + 3600 * SECOND);
    while (atomic_load(&gate) == 0)
        usleep(1000);
    return 0;
}

static int run_source(void *self, struct gbx_actor *actor)
{
    (void)self;
    gbx_actor_wake_at(actor, clock_now_ns());
    return send_number(actor, 1);
}

static const char *const two_out[] = {"x", "y", NULL};
static const struct gbx_actor_type type_two = {.struct_bytes = sizeof(type_two),
                                               .component = "two",
                                               .inports = in_port,
                                               .outports = two_out,
                                               .run = run_two};
TYPE(second, in_port, out_port);
TYPE(late, in_port, out_port);
TYPE(source, in_port, out_port);
static const struct gbx_actor_type *const more_types[] = {
    &type_two, &type_second, &type_late, &type_slow, &type_source,
    &type_add, &type_tick,   &type_pair, NULL};

static void open_more(uint32_t workers, uint32_t queue)
{
    open_types(more_types, workers, queue);
}

static void await_seen(size_t count)
{
    for (int i = 0; i < 5000 && count_seen() < count; i++)
        usleep(1000);
    assert_int_equal(count_seen(), count);
}

static void await_state(const char *node, enum gbx_node_state state)
{
    for (int i = 0; i < 5000 && stats_of(node).state != state; i++)
        usleep(1000);
    assert_int_equal(stats_of(node).state, state);
}

static void work_that_comes_when_all_are_stuck_is_done(void **state)
{
    char id[8];

    (void)state;
    for (uint32_t workers = 1; workers <= 2; workers++) {
        open_more(workers, 0);
        add("a", "add", NULL);
        outside("o", "a", "out");
        for (uint32_t i = 0; i < workers; i++) {
            snprintf(id, sizeof(id), "s%u", i);
            add(id, "slow", NULL);
        }
        begin();
        give("s0.in", 1);
        if (workers == 2)
            give("s1.in", 1);
        usleep(200000); /* long after all have been found stuck */
        give("a.in", 1);
        await_seen(1);
        atomic_store(&gate, 1);
        drain();
        gbx_flow_close(flow);
    }
    flow = NULL;
}

static void a_run_may_send_after_its_node_is_gone(void **state)
{
    (void)state;
    open_more(2, 0);
    add("s", "slow", NULL);
    outside("o", "s", "out");
    begin();
    give("s.in", 1);
    await_state("s", GBX_NODE_RUNNING);
    assert_int_equal(gbx_flow_remove_node(flow, "s", &err), 0);
    atomic_store(&gate, 1);
    await_seen(1);
}

static void what_was_sent_leaves_before_the_next_run(void **state)
{
    (void)state;
    open_more(1, 0);
    add("s", "second", NULL);
    outside("o", "s", "out");
    add("a", "add", NULL);
    outside("p", "a", "out");
    assert_int_equal(gbx_flow_connect(flow, "s", "out", "a", "in", &err), 0);
    give("s.in", 1);
    give("s.in", 2);
    begin();
    await_seen(2); /* s's own, and a's, while s waits in its second run */
    atomic_store(&gate, 1);
    drain();
    assert_int_equal(count_seen(), 4);
}

static void each_reader_of_a_run_is_waited_for(void **state)
{
    (void)state;
    open_more(4, 4);
    add("t", "two", NULL);
    add("a", "add", NULL);
    add("s", "slow", NULL);
    wire("t.x", "a.in");
    wire("t.y", "s.in");
    begin();
    give("t.in", 1);
    usleep(200000);
    assert_in_range(stats_of("s").queued, 4, 4 + 64);
    atomic_store(&gate, 1);
    drain();
    assert_int_equal(stats_of("s").runs, 62000);
}

static void it_is_not_over_while_somebody_will_wake(void **state)
{
    (void)state;
    open_more(2, 0);
    add("t", "tick", NULL);
    outside("o", "t", "out");
    begin();
    give("t.in", 0);
    while (!gbx_flow_is_over(flow))
        ;
    assert_int_equal(count_seen(), 4);
}

static void a_source_that_rests_has_said_all(void **state)
{
    (void)state;
    open_more(2, 8);
    add("s", "source", NULL);
    add("a", "add", NULL);
    wire("s.out", "a.in");
    outside("o", "a", "out");
    begin();
    give("s.in", 0);
    while (count_seen() < 100)
        ;
    assert_int_equal(gbx_flow_is_over(flow), 0);
    gbx_flow_rest(flow);
    drain();
    const size_t count = count_seen();
    usleep(20000);
    assert_int_equal(count_seen(), count);
    drain();
}

static void who_is_gone_is_not_woken(void **state)
{
    (void)state;
    open_more(2, 0);
    add("l", "late", NULL);
    begin();
    give("l.in", 1);
    await_state("l", GBX_NODE_RUNNING);
    assert_int_equal(gbx_flow_remove_node(flow, "l", &err), 0);
    atomic_store(&gate, 1);
    for (int i = 0; i < 5000 && !gbx_flow_is_over(flow); i++)
        usleep(1000);
    assert_int_equal(gbx_flow_is_over(flow), 1);
}

static void nothing_is_begun_after_a_cancel(void **state)
{
    (void)state;
    open_more(1, 0);
    add("s", "slow", NULL);
    begin();
    for (int64_t i = 0; i < 100; i++)
        give("s.in", i);
    await_state("s", GBX_NODE_RUNNING);
    gbx_flow_cancel(flow);
    atomic_store(&gate, 1);
    assert_int_equal(gbx_flow_drain(flow, 0), GBX_ECANCELED);
    gbx_flow_close(flow);
    flow = NULL;
    assert_in_range(seen.letters, 98, 100);
}

static void who_waited_for_a_reader_goes_on_without_it(void **state)
{
    (void)state;
    open_more(2, 4);
    add("a", "add", NULL);
    add("p", "pair", NULL);
    wire("a.out", "p.a");
    outside("o", "a", "out");
    begin();
    for (int64_t i = 0; i < 8; i++)
        assert_true(try_send("a.in", i, clock_now_ns() + SECOND) <= 0);
    await_state("a", GBX_NODE_BLOCKED);
    assert_int_equal(gbx_flow_disconnect(flow, "a", "out", "p", "a", &err), 0);
    await_state("a", GBX_NODE_IDLE);
    assert_int_equal(stats_of("a").queued, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(work_that_comes_when_all_are_stuck_is_done),
        FACT(a_run_may_send_after_its_node_is_gone),
        FACT(what_was_sent_leaves_before_the_next_run),
        FACT(each_reader_of_a_run_is_waited_for),
        FACT(it_is_not_over_while_somebody_will_wake),
        FACT(a_source_that_rests_has_said_all),
        FACT(who_is_gone_is_not_woken),
        FACT(nothing_is_begun_after_a_cancel),
        FACT(who_waited_for_a_reader_goes_on_without_it),
    };

    return cmocka_run_group_tests_name("flow, at bad moments", tests, NULL,
                                       NULL);
}
