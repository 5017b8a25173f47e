/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/microvm/linux/event/epoll_test.h"

static struct file *kept[EVENT_EPOLL_FILES];

static void a_ready_file_is_told_with_what_was_asked(void **state)
{
    static const struct {
        uint32_t asked;
        bool read_end, full, closed;
        uint32_t want; /* 0: not told */
    } cases[] = {
        {EPOLLIN, true, true, false, EPOLLIN},
        {EPOLLIN, true, false, false, 0},
        {EPOLLIN | EPOLLRDNORM, true, true, false, EPOLLIN | EPOLLRDNORM},
        {EPOLLOUT, true, true, false, 0},
        {0, true, true, false, 0},
        {0, true, false, true, EPOLLHUP},
        {EPOLLIN | EPOLLRDHUP, true, true, true, EPOLLIN | EPOLLHUP},
        {EPOLLOUT, false, false, false, EPOLLOUT},
        {EPOLLOUT, false, true, false, 0},
        {EPOLLIN, false, false, true, EPOLLERR},
        {EPOLLIN | EPOLLET | EPOLLONESHOT | EPOLLWAKEUP, true, true, false,
         EPOLLIN},
        {EPOLLIN | EPOLLEXCLUSIVE, true, true, false, EPOLLIN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *set = open_set(), *ends[2];
        int end = cases[i].read_end ? 0 : 1;

        assert_int_equal(event_pipe(&waker, 0, ends), 0);
        add(set, 7, ends[end], cases[i].asked);
        if (cases[i].full)
            fill(ends[1]);
        if (cases[i].closed)
            put_file(ends[!end]);
        assert_int_equal(poll_of(set), cases[i].want ? POLLIN | POLLRDNORM : 0);
        if (cases[i].want)
            assert_told(set, 7, cases[i].want);
        else
            assert_quiet(set);
        if (!cases[i].closed)
            put_file(ends[!end]);
        put_file(ends[end]);
        put_file(set);
    }
}

static void a_level_is_told_until_it_is_gone(void **state)
{
    struct file *set = open_set(), *counter = open_counter(0);

    (void)state;
    add(set, 3, counter, EPOLLIN);
    assert_quiet(set);
    give(counter, 1);
    for (int i = 0; i < 3; i++)
        assert_told(set, 3, EPOLLIN);
    take(counter);
    assert_quiet(set);
    give(counter, 1);
    assert_told(set, 3, EPOLLIN);
    put_file(counter);
    put_file(set);
}

static void an_edge_is_told_once(void **state)
{
    struct file *set = open_set(), *ends[2];
    char got[8];

    (void)state;
    assert_int_equal(event_pipe(&waker, 0, ends), 0);
    write_text(ends[1], "was there before");
    add(set, 3, ends[0], EPOLLIN | EPOLLET);
    assert_told(set, 3, EPOLLIN);
    assert_quiet(set);
    assert_int_equal(poll_of(set), 0);
    read_bytes(ends[0], got, 8); /* not all, and it is the reader who did */
    assert_quiet(set);
    write_text(ends[1], "more");
    assert_int_equal(poll_of(set), POLLIN | POLLRDNORM);
    assert_told(set, 3, EPOLLIN);
    assert_quiet(set);
    control(set, EPOLL_CTL_MOD, 3, ends[0], EPOLLIN | EPOLLET, 0);
    assert_told(set, 3, EPOLLIN);
    put_file(ends[1]);
    assert_told(set, 3, EPOLLIN | EPOLLHUP);
    assert_quiet(set);
    put_file(ends[0]);
    put_file(set);
}

static void one_shot_is_told_until_it_is_armed_again(void **state)
{
    struct file *set = open_set(), *ends[2];

    (void)state;
    assert_int_equal(event_pipe(&waker, 0, ends), 0);
    add(set, 3, ends[0], EPOLLIN | EPOLLONESHOT);
    write_text(ends[1], "a");
    assert_told(set, 3, EPOLLIN);
    write_text(ends[1], "b");
    put_file(ends[1]); /* not even POLLHUP is told */
    assert_quiet(set);
    assert_int_equal(poll_of(set), 0);
    control(set, EPOLL_CTL_MOD, 3, ends[0], EPOLLIN, 0);
    assert_told(set, 3, EPOLLIN | EPOLLHUP);
    assert_told(set, 3, EPOLLIN | EPOLLHUP);
    put_file(ends[0]);
    put_file(set);
}

static void all_have_their_turn_when_there_are_too_many(void **state)
{
    enum { COUNT = 7, MAX = 3 };
    struct file *set = open_set(), *counters[COUNT];
    struct epoll_event events[MAX];
    unsigned told[COUNT] = {0};

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        counters[i] = open_counter(1);
        add(set, i, counters[i], EPOLLIN);
    }
    for (int round = 0; round < COUNT; round++) {
        assert_int_equal(poll_of(set), POLLIN | POLLRDNORM); /* moves none */
        assert_int_equal(event_epoll_look(set, events, MAX), MAX);
        for (int i = 0; i < MAX; i++)
            told[events[i].data.u64]++;
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(told[i], MAX);
        put_file(counters[i]);
    }
    put_file(set);
}

static void what_cannot_be_controlled_is_refused(void **state)
{
    static const struct {
        int operation, number;
        uint32_t events;
        int want;
    } cases[] = {
        {EPOLL_CTL_ADD, 3, EPOLLIN, -EEXIST},
        {EPOLL_CTL_ADD, 4, EPOLLIN, 0},
        {EPOLL_CTL_ADD, -1, ~(uint32_t)EPOLLEXCLUSIVE, 0},
        {EPOLL_CTL_ADD, 4, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, 0},
        {EPOLL_CTL_ADD, 4, EPOLLEXCLUSIVE | EPOLLONESHOT, -EINVAL},
        {EPOLL_CTL_ADD, 4, UINT32_MAX, -EINVAL},
        {EPOLL_CTL_MOD, 3, EPOLLOUT, 0},
        {EPOLL_CTL_MOD, 4, EPOLLIN, -ENOENT},
        {EPOLL_CTL_MOD, 3, EPOLLIN | EPOLLEXCLUSIVE, -EINVAL},
        {EPOLL_CTL_MOD, 5, EPOLLIN, -EINVAL}, /* was exclusive */
        {EPOLL_CTL_DEL, 3, 0, 0},
        {EPOLL_CTL_DEL, 4, 0, -ENOENT},
        {0, 3, EPOLLIN, -EINVAL},
        {4, 3, EPOLLIN, -EINVAL},
        {INT32_MIN, 3, EPOLLIN, -EINVAL},
        {-1, 4, EPOLLIN, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *set = open_set(), *counter = open_counter(0);

        add(set, 3, counter, EPOLLIN);
        add(set, 5, counter, EPOLLIN | EPOLLEXCLUSIVE);
        control(set, cases[i].operation, cases[i].number, counter,
                cases[i].events, cases[i].want);
        put_file(counter);
        assert_quiet(set);
        put_file(set);
    }
}

static void what_cannot_be_waited_for_is_refused(void **state)
{
    static const struct file_class no_poll = {.name = "regular"};
    struct file regular = {.class = &no_poll, .references = 1};
    struct file *set = open_set(), *counter = open_counter(0);
    static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD,
                                     EPOLL_CTL_DEL, 77};
    static const int maxima[] = {0, -1, INT32_MIN, INT32_MAX,
                                 INT32_MAX / 12 + 1};
    struct epoll_event event;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        control(set, operations[i], 3, &regular, EPOLLIN, -EPERM);
        control(set, operations[i], 3, set, EPOLLIN, -EINVAL);
        control(counter, operations[i], 3, set, EPOLLIN, -EINVAL);
        control(counter, operations[i], 3, counter, EPOLLIN, -EINVAL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(maxima); i++)
        assert_int_equal(event_epoll_look(set, &event, maxima[i]), -EINVAL);
    assert_int_equal(event_epoll_look(counter, &event, 1), -EINVAL);
    assert_int_equal(event_epoll_look(set, &event, INT32_MAX / 12), 0);
    put_file(counter);
    put_file(set);
}

static void a_file_may_be_there_under_several_numbers(void **state)
{
    struct file *set = open_set(), *counter = open_counter(1);
    struct epoll_event events[4];

    (void)state;
    add(set, 3, counter, EPOLLIN);
    add(set, 4, counter, EPOLLIN);
    assert_int_equal(event_epoll_look(set, events, 4), 2);
    assert_true(events[0].data.u64 == 3 && events[1].data.u64 == 4);
    control(set, EPOLL_CTL_DEL, 3, counter, 0, 0);
    assert_told(set, 4, EPOLLIN);
    put_file(counter);
    put_file(set);
}

static void a_closed_file_is_gone_from_all_sets(void **state)
{
    struct file *sets_of_it[3], *counter = open_counter(1),
                                *other = open_counter(1);

    (void)state;
    for (int i = 0; i < 3; i++) {
        sets_of_it[i] = open_set();
        add(sets_of_it[i], 3, counter, EPOLLIN);
        add(sets_of_it[i], 4, other, EPOLLIN);
        add(sets_of_it[i], 5, counter, EPOLLOUT);
    }
    put_file(counter);
    for (int i = 0; i < 3; i++) {
        assert_told(sets_of_it[i], 4, EPOLLIN);
        put_file(sets_of_it[i]);
    }
    put_file(other);
}

static void whoever_waits_for_a_set_is_woken(void **state)
{
    struct file *set = open_set(), *counter = open_counter(0);

    (void)state;
    forget_wakes();
    add(set, 3, counter, EPOLLOUT);
    assert_true(was_woken(set));
    forget_wakes();
    control(set, EPOLL_CTL_MOD, 3, counter, EPOLLIN, 0);
    assert_true(was_woken(set));
    assert_quiet(set);
    forget_wakes();
    give(counter, 1);
    assert_true(was_woken(set));
    assert_told(set, 3, EPOLLIN);
    control(set, EPOLL_CTL_DEL, 3, counter, 0, 0);
    forget_wakes();
    give(counter, 1);
    assert_false(was_woken(set));
    put_file(counter);
    put_file(set);
}

static void a_set_has_limits(void **state)
{
    struct file *counter = open_counter(0), *set = open_set();
    struct file *more[EVENT_EPOLL_ALL / EVENT_EPOLL_FILES];
    struct epoll_event event = {.events = EPOLLIN};

    (void)state;
    for (int n = 0; n < (int)EVENT_EPOLL_FILES; n++)
        add(set, n, counter, EPOLLIN);
    control(set, EPOLL_CTL_ADD, -1, counter, EPOLLIN, -ENOSPC);
    control(set, EPOLL_CTL_DEL, 0, counter, EPOLLIN, 0);
    control(set, EPOLL_CTL_ADD, -1, counter, EPOLLIN, 0);
    put_file(set);
    put_file(counter);

    counter = open_counter(0);
    for (size_t i = 0; i < ARRAY_SIZE(more); i++)
        more[i] = open_set();
    /* A counter for each number, or finding them would take its time. */
    for (int n = 0; n < (int)EVENT_EPOLL_FILES; n++) {
        struct file *one = open_counter(0);

        one->references += ARRAY_SIZE(more);
        for (size_t i = 0; i < ARRAY_SIZE(more); i++)
            assert_int_equal(
                event_epoll_control(more[i], EPOLL_CTL_ADD, n, one, &event), 0);
        kept[n] = one;
    }
    set = open_set();
    control(set, EPOLL_CTL_ADD, 1, counter, EPOLLIN, -ENOSPC);
    for (int n = 0; n < (int)EVENT_EPOLL_FILES; n++) {
        kept[n]->references = 1;
        put_file(kept[n]);
    }
    control(set, EPOLL_CTL_ADD, 1, counter, EPOLLIN, 0);
    for (size_t i = 0; i < ARRAY_SIZE(more); i++)
        put_file(more[i]);
    put_file(counter);
    put_file(set);
}

static void without_memory_nothing_is_added(void **state)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct event_sets *fresh;
    struct file *set, *counter = open_counter(1);
    uint32_t nth;
    int rc;

    (void)state;
    heap_fail_in = 1;
    assert_int_equal(event_sets_open(&fresh, waker.heap), -ENOMEM);
    assert_int_equal(event_sets_open(&fresh, waker.heap), 0);
    heap_fail_in = 1;
    assert_int_equal(event_epoll(fresh, &waker, &set), -ENOMEM);
    assert_int_equal(event_epoll(fresh, &waker, &set), 0);
    for (nth = 1;; nth++) {
        heap_fail_in = nth;
        rc = event_epoll_control(set, EPOLL_CTL_ADD, 3, counter, &event);
        if (heap_fail_in > 0)
            break;
        assert_int_equal(rc, -ENOMEM);
        assert_quiet(set);
        control(set, EPOLL_CTL_DEL, 3, counter, 0, -ENOENT);
    }
    heap_fail_in = 0;
    assert_int_equal(rc, 0);
    assert_int_equal(nth, 3);
    assert_int_equal(event_epoll_look(set, &event, 1), 1);
    put(set);
    put(counter);
    event_sets_close(fresh);
    event_sets_close(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_ready_file_is_told_with_what_was_asked),
        TEST(a_level_is_told_until_it_is_gone),
        TEST(an_edge_is_told_once),
        TEST(one_shot_is_told_until_it_is_armed_again),
        TEST(all_have_their_turn_when_there_are_too_many),
        TEST(what_cannot_be_controlled_is_refused),
        TEST(what_cannot_be_waited_for_is_refused),
        TEST(a_file_may_be_there_under_several_numbers),
        TEST(a_closed_file_is_gone_from_all_sets),
        TEST(whoever_waits_for_a_set_is_woken),
        TEST(a_set_has_limits),
        TEST(without_memory_nothing_is_added),
    };

    return cmocka_run_group_tests(tests, open_sets, close_sets);
}
