/* SPDX-License-Identifier: Apache-2.0 */
/* Actors that fail, come and go; and what is wrong. */
#include "flow/flow_test.h"

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

static void one_may_begin_by_itself(void **state)
{
    (void)state;
    open_flow(2, 0);
    add("f", "first", NULL);
    add("g", "first", NULL);
    outside("o", "f", "out");
    assert_int_equal(try_send("f.in", 1, 0), 0); /* before */
    assert_int_equal(gbx_flow_remove_node(flow, "g", &err), 0);
    begin();
    drain(); /* which waits for it */
    assert_int_equal(count_seen(), 2);
    assert_int_equal(seen.numbers[0], 100);
    assert_int_equal(seen.numbers[1], 1);
    add("h", "first", NULL); /* while it runs, and not for long */
    assert_int_equal(gbx_flow_remove_node(flow, "h", &err), 0);
    drain();
    assert_int_equal(stats_of("f").runs, 2);
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

static void a_wait_without_an_end_is_told(void **state)
{
    (void)state;
    open_flow(2, 8);
    add("p", "pair", NULL);
    begin();
    assert_int_equal(gbx_flow_stalled(flow, &err), 0);
    give("p.a", 1);
    give("p.a", 2);
    give("p.b", 3);
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 60 * SECOND),
                     GBX_EAGAIN);
    assert_int_equal(gbx_flow_stalled(flow, &err), 1);
    assert_non_null(strstr(err.what, "node p waits at port b"));
    give("p.b", 4);
    drain();
    assert_int_equal(gbx_flow_stalled(flow, &err), 0);
}

/* It has no room for what its reader does not wait for. */
static void a_circular_wait_is_told(void **state)
{
    (void)state;
    open_flow(2, 4);
    add("f", "flood", NULL);
    add("p", "pair", NULL);
    wire("f.out", "p.a");
    begin();
    give("f.in", 1000);
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 60 * SECOND),
                     GBX_EAGAIN);
    gbx_flow_close(flow);

    open_flow(2, 4);
    add("a", "add", NULL);
    add("p", "pair", NULL);
    wire("a.out", "p.a");
    begin();
    for (int i = 0; i < 8; i++)
        give("a.in", i);
    assert_int_equal(gbx_flow_drain(flow, clock_now_ns() + 60 * SECOND),
                     GBX_EAGAIN);
    assert_int_equal(gbx_flow_stalled(flow, &err), 1);
    assert_non_null(strstr(err.what, "node p waits at port b"));
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
    const struct CMUnitTest tests[] = {
        FACT(what_fails_is_tried_again),
        FACT(poison_becomes_a_letter_and_the_rest_goes_on),
        FACT(an_actor_may_wake_by_itself),
        FACT(one_may_begin_by_itself),
        FACT(it_is_rewired_while_it_runs),
        FACT(nodes_come_and_go_under_load),
        FACT(a_wait_without_an_end_is_told),
        FACT(a_circular_wait_is_told),
        FACT(what_is_left_at_the_end_is_told),
        FACT(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests_name("flow, when things go wrong", tests,
                                       NULL, NULL);
}
