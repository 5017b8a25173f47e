/* SPDX-License-Identifier: Apache-2.0 */
/* Sets in sets, and sets of what changes by itself. */
#include <sys/timerfd.h>

#include "sandbox/microvm/linux/event/epoll_test.h"

static struct file *open_timer(uint64_t first, uint64_t interval)
{
    struct itimerspec value = {{0, (long)interval}, {0, (long)first}};
    struct file *timer;

    assert_int_equal(event_timer(&waker, CLOCK_MONOTONIC, 0, &timer), 0);
    assert_int_equal(event_timer_set(timer, 0, &value, NULL), 0);
    return timer;
}

static uint64_t due_of(struct file *set)
{
    return set->class->due_ns(set);
}

static void a_set_in_a_set_is_ready_with_its_members(void **state)
{
    struct file *outer = open_set(), *inner = open_set();
    struct file *counter = open_counter(0);

    (void)state;
    add(outer, 4, inner, EPOLLIN);
    add(inner, 3, counter, EPOLLIN);
    assert_quiet(outer);
    forget_wakes();
    give(counter, 1);
    assert_true(was_woken(inner) && was_woken(outer));
    assert_int_equal(poll_of(outer), POLLIN | POLLRDNORM);
    assert_told(outer, 4, EPOLLIN);
    assert_told(inner, 3, EPOLLIN);
    take(counter);
    assert_quiet(outer);
    give(counter, 1);
    put_file(counter);
    assert_quiet(outer);
    put_file(inner);
    assert_quiet(outer);
    put_file(outer);
}

static void an_edge_passes_through_sets(void **state)
{
    struct file *outer = open_set(), *inner = open_set();
    struct file *counter = open_counter(1);

    (void)state;
    add(inner, 3, counter, EPOLLIN);
    add(outer, 4, inner, EPOLLIN | EPOLLET);
    assert_told(outer, 4, EPOLLIN);
    assert_quiet(outer);
    assert_int_equal(poll_of(inner), POLLIN | POLLRDNORM);
    give(counter, 1);
    assert_told(outer, 4, EPOLLIN);
    assert_quiet(outer);
    put_file(counter);
    put_file(inner);
    put_file(outer);
}

/* A chain of `count` sets, each in the one before it. */
static void open_chain(struct file **chain, int count)
{
    for (int i = 0; i < count; i++) {
        chain[i] = open_set();
        if (i > 0)
            add(chain[i - 1], i, chain[i], EPOLLIN);
    }
}

static void close_chain(struct file **chain, int count)
{
    for (int i = 0; i < count; i++)
        put_file(chain[i]);
}

static void sets_nest_five_deep_and_never_in_a_circle(void **state)
{
    enum { DEEP = EVENT_EPOLL_DEPTH + 1 };
    static const struct {
        int above, below; /* how long the chains to be joined are */
        int want;
    } joins[] = {
        {1, DEEP - 1, 0},     {DEEP - 1, 1, 0},  {2, 3, 0},
        {1, DEEP, -ELOOP},    {DEEP, 1, -ELOOP}, {3, 3, -ELOOP},
        {DEEP, DEEP, -ELOOP},
    };
    struct file *above[DEEP], *below[DEEP];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(joins); i++) {
        open_chain(above, joins[i].above);
        open_chain(below, joins[i].below);
        control(above[joins[i].above - 1], EPOLL_CTL_ADD, 9, below[0], EPOLLIN,
                joins[i].want);
        close_chain(below, joins[i].below);
        close_chain(above, joins[i].above);
    }
    open_chain(above, DEEP);
    for (int i = 1; i < DEEP; i++)
        for (int j = 0; j < i; j++)
            control(above[i], EPOLL_CTL_ADD, 9, above[j], EPOLLIN, -ELOOP);
    control(above[0], EPOLL_CTL_ADD, 9, above[2], EPOLLIN, 0); /* no circle */
    control(above[0], EPOLL_CTL_ADD, 9, above[1], EPOLLEXCLUSIVE, -EINVAL);
    close_chain(above, DEEP);
}

/* In five levels of 500 members each there are 500^5 ways. */
static void many_ways_lead_to_a_set_that_is_asked_once(void **state)
{
    enum { DEEP = EVENT_EPOLL_DEPTH + 1, WIDE = 500 };
    struct file *chain[DEEP], *counter = open_counter(0);

    (void)state;
    for (int i = 0; i < DEEP; i++)
        chain[i] = open_set();
    for (int i = 0; i < DEEP; i++)
        for (int n = 0; n < WIDE; n++)
            add(chain[i], n, i + 1 < DEEP ? chain[i + 1] : counter, EPOLLIN);
    for (int i = 0; i < 10; i++) {
        struct epoll_event events[WIDE];

        assert_quiet(chain[0]);
        forget_wakes();
        give(counter, 1);
        assert_int_equal(wake_count, 1 + DEEP); /* one for each */
        assert_int_equal(event_epoll_look(chain[0], events, WIDE), WIDE);
        take(counter);
    }
    control(chain[DEEP - 1], EPOLL_CTL_ADD, 1, chain[0], EPOLLIN, -ELOOP);
    put_file(counter);
    close_chain(chain, DEEP);
}

static void a_set_is_due_with_the_soonest_of_its_members(void **state)
{
    struct file *outer = open_set(), *inner = open_set();
    struct file *late = open_timer(300, 0), *soon = open_timer(100, 100);
    uint64_t now = clock_ns;

    (void)state;
    assert_int_equal(due_of(outer), 0);
    add(outer, 3, late, EPOLLIN);
    assert_int_equal(due_of(outer), now + 300);
    add(outer, 4, inner, EPOLLIN);
    add(inner, 5, soon, EPOLLIN);
    assert_int_equal(due_of(outer), now + 100);
    assert_quiet(outer);

    clock_ns += 100;
    assert_told(outer, 4, EPOLLIN);
    assert_told(inner, 5, EPOLLIN);
    assert_true(due_of(outer) <= clock_ns);
    take(soon);
    assert_quiet(outer);
    assert_int_equal(due_of(outer), now + 200);
    control(inner, EPOLL_CTL_MOD, 5, soon, EPOLLOUT, 0); /* is never told */
    clock_ns += 100;
    assert_quiet(outer);
    assert_int_equal(due_of(outer), now + 300);
    put_file(late);
    put_file(soon);
    clock_ns += 100; /* it may look once more, for nothing */
    assert_quiet(outer);
    assert_int_equal(due_of(outer), 0);
    put_file(inner);
    put_file(outer);
}

static void each_expiry_that_is_read_makes_an_edge(void **state)
{
    struct file *set = open_set(), *timer = open_timer(10, 10);

    (void)state;
    add(set, 3, timer, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        assert_quiet(set);
        assert_int_equal(due_of(set), clock_ns + 10);
        clock_ns += 10;
        assert_told(set, 3, EPOLLIN);
        assert_quiet(set);
        assert_int_equal(due_of(set), 0); /* until somebody reads it */
        clock_ns += 10;
        assert_quiet(set);
        take(timer);
    }
    put_file(timer);
    put_file(set);
}

/* Nobody wakes the outer set for a timer; that it was not ready is enough. */
static void an_expiry_makes_an_edge_through_sets(void **state)
{
    struct file *outer = open_set(), *inner = open_set();
    struct file *counter = open_counter(1), *timer = open_timer(50, 0);

    (void)state;
    add(inner, 3, counter, EPOLLIN);
    add(inner, 4, timer, EPOLLIN);
    add(outer, 5, inner, EPOLLIN | EPOLLET);
    assert_told(outer, 5, EPOLLIN);
    take(counter);
    assert_quiet(outer);
    assert_int_equal(due_of(outer), clock_ns + 50);
    clock_ns += 50;
    assert_told(outer, 5, EPOLLIN);
    assert_told(inner, 4, EPOLLIN);
    put_file(counter);
    put_file(timer);
    put_file(inner);
    put_file(outer);
}

static void a_timer_that_is_set_sooner_wakes_its_sets(void **state)
{
    struct itimerspec soon = {.it_value = {0, 5}};
    struct file *set = open_set(), *timer = open_timer(100, 0);

    (void)state;
    add(set, 3, timer, EPOLLIN);
    assert_quiet(set);
    forget_wakes();
    assert_int_equal(event_timer_set(timer, 0, &soon, NULL), 0);
    assert_true(was_woken(set));
    assert_quiet(set);
    assert_int_equal(due_of(set), clock_ns + 5);
    put_file(timer);
    put_file(set);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_set_in_a_set_is_ready_with_its_members),
        TEST(an_edge_passes_through_sets),
        TEST(sets_nest_five_deep_and_never_in_a_circle),
        TEST(many_ways_lead_to_a_set_that_is_asked_once),
        TEST(a_set_is_due_with_the_soonest_of_its_members),
        TEST(each_expiry_that_is_read_makes_an_edge),
        TEST(an_expiry_makes_an_edge_through_sets),
        TEST(a_timer_that_is_set_sooner_wakes_its_sets),
    };

    return cmocka_run_group_tests(tests, open_sets, close_sets);
}
