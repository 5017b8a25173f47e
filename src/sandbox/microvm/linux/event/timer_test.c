/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/timerfd.h>

#include "sandbox/microvm/linux/event/event_test.h"

#define SECOND 1000000000u
#define FAR    ((uint64_t)INT64_MAX)

static const struct {
    int clock;
    uint64_t ahead_ns;
} clocks[] = {
    {CLOCK_MONOTONIC, 0},
    {CLOCK_REALTIME, REALTIME_AHEAD_NS},
    {CLOCK_BOOTTIME, BOOTTIME_AHEAD_NS},
};

static struct timespec spec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / SECOND), (long)(ns % SECOND)};
}

static uint64_t ns_of(struct timespec t)
{
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static struct file *open_timer(int clock)
{
    struct file *timer;

    assert_int_equal(event_timer(&waker, clock, 0, &timer), 0);
    return timer;
}

static void set(struct file *timer, unsigned flags, uint64_t first,
                uint64_t interval)
{
    struct itimerspec value = {spec(interval), spec(first)};

    assert_int_equal(event_timer_set(timer, flags, &value, NULL), 0);
}

/* What read counts, or -EAGAIN; poll must have said so. */
static int64_t ticks_of(struct file *timer)
{
    unsigned ready = poll_of(timer);
    uint64_t ticks;
    int64_t n = read_bytes(timer, &ticks, sizeof(ticks));

    assert_int_equal(ready, n < 0 ? 0 : POLLIN | POLLRDNORM);
    assert_int_equal(poll_of(timer), 0);
    return n < 0 ? n : (int64_t)ticks;
}

static uint64_t due_of(struct file *timer)
{
    return timer->class->due_ns(timer);
}

static void a_timer_expires_once_or_again_and_again(void **state)
{
    static const struct {
        uint64_t first, interval, pass;
        int64_t ticks;
        uint64_t left; /* until the next, from then on; 0: none comes */
    } cases[] = {
        {100, 0, 99, -EAGAIN, 1},
        {100, 0, 100, 1, 0},
        {100, 0, 5 * (uint64_t)SECOND, 1, 0},
        {100, 30, 99, -EAGAIN, 1},
        {100, 30, 100, 1, 30},
        {100, 30, 129, 1, 1},
        {100, 30, 130, 2, 30},
        {100, 30, 1000, 31, 30},
        {100, 1, 1000, 901, 1},
        {1, FAR, 1000, 1, FAR},
        {1, FAR / 2, 1000, 1, FAR / 2 - 999},
        {0, 30, 1000, -EAGAIN, 0}, /* disarmed */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(clocks); i++) {
        size_t n = i / ARRAY_SIZE(clocks);
        struct file *timer = open_timer(clocks[i % ARRAY_SIZE(clocks)].clock);
        uint64_t last = FAR - clocks[i % ARRAY_SIZE(clocks)].ahead_ns;

        set(timer, 0, cases[n].first, cases[n].interval);
        clock_ns += cases[n].pass;
        assert_int_equal(ticks_of(timer), cases[n].ticks);
        assert_int_equal(ticks_of(timer), -EAGAIN);
        if (cases[n].left == 0)
            assert_int_equal(due_of(timer), 0);
        else if (cases[n].left > last - clock_ns)
            assert_int_equal(due_of(timer), last); /* the end of time */
        else
            assert_int_equal(due_of(timer), clock_ns + cases[n].left);
        put(timer);
    }
}

static void an_absolute_time_is_of_the_timers_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
        struct file *timer = open_timer(clocks[i].clock);
        uint64_t now = clock_ns + clocks[i].ahead_ns;

        set(timer, TFD_TIMER_ABSTIME, now + 50, 0);
        assert_int_equal(due_of(timer), clock_ns + 50);
        clock_ns += 49;
        assert_int_equal(ticks_of(timer), -EAGAIN);
        clock_ns += 1;
        assert_int_equal(ticks_of(timer), 1);

        set(timer, TFD_TIMER_ABSTIME, now, 100); /* is past: 50 */
        assert_int_equal(ticks_of(timer), 1);
        set(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1, 1);
        assert_int_equal(ticks_of(timer), (int64_t)(now + 50));
        put(timer);
    }
}

/* Whoever waits must not miss one that comes between poll and due_ns. */
static void due_stays_in_the_past_until_it_is_read(void **state)
{
    struct file *timer = open_timer(CLOCK_MONOTONIC);
    struct itimerspec value;

    (void)state;
    assert_int_equal(due_of(timer), 0);
    set(timer, 0, 10, 0);
    assert_int_equal(due_of(timer), clock_ns + 10);
    clock_ns += 15;
    assert_int_equal(due_of(timer), clock_ns);
    assert_int_equal(event_timer_get(timer, &value), 0); /* counts it */
    assert_int_equal(due_of(timer), clock_ns);
    assert_int_equal(ticks_of(timer), 1);
    assert_int_equal(due_of(timer), 0);
    put(timer);
}

static void what_is_left_can_be_asked(void **state)
{
    static const struct {
        uint64_t first, interval, pass, left;
    } cases[] = {
        {0, 0, 5, 0},       {100, 0, 40, 60},  {100, 0, 100, 0},
        {100, 0, 500, 0},   {100, 30, 40, 60}, {100, 30, 100, 30},
        {100, 30, 111, 19}, {0, 30, 500, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *timer = open_timer(CLOCK_REALTIME);
        struct itimerspec value, old;
        int64_t ticks =
            cases[i].first == 0 || cases[i].pass < cases[i].first ? -EAGAIN : 1;

        set(timer, 0, cases[i].first, cases[i].interval);
        clock_ns += cases[i].pass;
        assert_int_equal(event_timer_get(timer, &value), 0);
        assert_int_equal(ns_of(value.it_value), cases[i].left);
        assert_int_equal(ns_of(value.it_interval), cases[i].interval);
        assert_int_equal(event_timer_get(timer, &value), 0);
        assert_int_equal(ticks_of(timer), ticks); /* asking takes none */

        assert_int_equal(event_timer_set(timer, 0, &value, &old), 0);
        assert_memory_equal(&old, &value, sizeof(old));
        assert_int_equal(event_timer_set(timer, 0, &value, &value), 0);
        assert_memory_equal(&old, &value, sizeof(old));
        put(timer);
    }
}

static void setting_forgets_what_had_expired_and_wakes(void **state)
{
    struct file *timer = open_timer(CLOCK_BOOTTIME);

    (void)state;
    set(timer, 0, 10, 10);
    clock_ns += 100;
    forget_wakes();
    set(timer, 0, 10, 10);
    assert_true(was_woken(timer));
    assert_int_equal(ticks_of(timer), -EAGAIN);
    clock_ns += 100;
    set(timer, 0, 0, 0);
    assert_int_equal(ticks_of(timer), -EAGAIN);

    set(timer, 0, 10, 10);
    clock_ns += 100;
    forget_wakes();
    assert_int_equal(ticks_of(timer), 10);
    assert_true(was_woken(timer)); /* its due_ns was past and lies ahead */
    put(timer);
}

static void times_that_are_none_are_refused(void **state)
{
    static const struct timespec bad[] = {
        {0, SECOND},    {0, -1},        {-1, 0},         {INT64_MIN, 0},
        {1, INT64_MAX}, {1, INT64_MIN}, {INT64_MAX, -1},
    };
    static const struct timespec far[] = {
        {INT64_MAX, 999999999}, {9223372036, 0}, {9223372035, 999999999}};
    static const unsigned flags[] = {4, 8, 1u << 31, UINT32_MAX};
    struct file *timer = open_timer(CLOCK_MONOTONIC);
    struct itimerspec value;

    (void)state;
    set(timer, 0, 500, 7);
    forget_wakes();
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        value = (struct itimerspec){spec(1), bad[i]};
        assert_int_equal(event_timer_set(timer, 0, &value, NULL), -EINVAL);
        value = (struct itimerspec){bad[i], spec(1)};
        assert_int_equal(event_timer_set(timer, 0, &value, NULL), -EINVAL);
    }
    value = (struct itimerspec){spec(1), spec(1)};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        assert_int_equal(event_timer_set(timer, flags[i], &value, NULL),
                         -EINVAL);
    assert_int_equal(due_of(timer), clock_ns + 500);
    assert_int_equal(wake_count, 0);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(far); i++) {
        value = (struct itimerspec){far[i / 2], far[i / 2]};
        assert_int_equal(event_timer_set(timer, i % 2, &value, NULL), 0);
        assert_int_equal(ticks_of(timer), -EAGAIN);
        assert_true(due_of(timer) > FAR - SECOND);
    }
    put(timer);
}

static void it_wants_8_bytes_and_its_own_calls(void **state)
{
    struct file *timer = open_timer(CLOCK_MONOTONIC), *counter;
    struct itimerspec value = {spec(0), spec(1)};
    char room[16];

    (void)state;
    set(timer, 0, 1, 0);
    clock_ns += 1;
    assert_int_equal(read_bytes(timer, room, 7), -EINVAL);
    assert_int_equal(read_bytes(timer, room, 16), 8);
    assert_null(timer->class->write);
    put(timer);
    assert_int_equal(event_counter(&waker, 0, 0, &counter), 0);
    assert_int_equal(event_timer_set(counter, 0, &value, NULL), -EINVAL);
    assert_int_equal(event_timer_get(counter, &value), -EINVAL);
    put(counter);
}

static void only_some_clocks_have_timers(void **state)
{
    static const struct {
        int clock;
        unsigned flags;
        int want;
    } cases[] = {
        {CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC, 0},
        {CLOCK_MONOTONIC, 0, 0},
        {CLOCK_BOOTTIME, TFD_NONBLOCK, 0},
        {CLOCK_REALTIME_ALARM, 0, -EPERM},
        {CLOCK_BOOTTIME_ALARM, 0, -EPERM},
        {CLOCK_MONOTONIC_RAW, 0, -EINVAL},
        {CLOCK_THREAD_CPUTIME_ID, 0, -EINVAL},
        {-1, 0, -EINVAL},
        {INT32_MIN, 0, -EINVAL},
        {12345, 0, -EINVAL},
        {CLOCK_MONOTONIC, 1, -EINVAL},
        {CLOCK_MONOTONIC, UINT32_MAX, -EINVAL},
    };
    struct file *timer;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(
            event_timer(&waker, cases[i].clock, cases[i].flags, &timer),
            cases[i].want);
        if (cases[i].want < 0)
            continue;
        assert_int_equal(timer->flags, O_RDWR | (cases[i].flags & O_NONBLOCK));
        put(timer);
    }
    heap_fail_in = 1;
    assert_int_equal(event_timer(&waker, CLOCK_REALTIME, 0, &timer), -ENOMEM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_timer_expires_once_or_again_and_again),
        TEST(an_absolute_time_is_of_the_timers_clock),
        TEST(due_stays_in_the_past_until_it_is_read),
        TEST(what_is_left_can_be_asked),
        TEST(setting_forgets_what_had_expired_and_wakes),
        TEST(times_that_are_none_are_refused),
        TEST(it_wants_8_bytes_and_its_own_calls),
        TEST(only_some_clocks_have_timers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
