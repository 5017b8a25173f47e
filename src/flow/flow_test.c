/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between actors, wired in all ways that are allowed. */
#include "flow/flow_test.h"

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

static void a_room_is_sent_without_a_copy(void **state)
{
    struct gbx_message m = {.type = GBX_STREAM, .body_bytes = 1 << 20};
    void *room;

    (void)state;
    open_flow(2, 16);
    add("a", "add", NULL);
    add("c", "count", NULL);
    outside("o", "c", "out");
    begin();
    assert_int_equal(gbx_flow_room(flow, 1 << 20, &room, &err), 0);
    assert_int_equal((uintptr_t)room % 64, 0);
    memset(room, 1, 1 << 20);
    m.body = room;
    assert_int_equal(gbx_flow_send_room(flow, "c.in", room, &m, 0, &err), 0);
    drain();
    assert_int_equal(count_seen(), 1);

    /* It is taken, also where it cannot be sent. */
    assert_int_equal(gbx_flow_room(flow, 100, &room, &err), 0);
    assert_int_equal(gbx_flow_send_room(flow, "c.in", room, &m, 0, &err),
                     GBX_EBOUNDS);
    assert_int_equal(gbx_flow_room(flow, 100, &room, &err), 0);
    m.body = room;
    m.body_bytes = 101;
    assert_int_equal(gbx_flow_send_room(flow, "c.in", room, &m, 0, &err),
                     GBX_EBOUNDS);
    assert_int_equal(gbx_flow_room(flow, 100, &room, &err), 0);
    gbx_flow_drop_room(flow, room);
    gbx_flow_drop_room(flow, NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(a_row_keeps_the_order),
        FACT(a_room_is_sent_without_a_copy),
        FACT(all_readers_get_all),
        FACT(of_several_senders_none_is_preferred),
        FACT(who_awaits_all_gets_one_of_each),
        FACT(a_slow_reader_holds_its_sender_up),
        FACT(who_sends_from_outside_waits_or_is_told),
        FACT(a_circle_runs_and_does_not_wait_for_itself),
        FACT(a_stuck_actor_delays_no_other),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
