/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_test.h - what the two tests of sets share. */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_EPOLL_TEST_H
#define SANDBOX_MICROVM_LINUX_EVENT_EPOLL_TEST_H

#include "sandbox/microvm/linux/event/event_test.h"

static struct event_sets *sets; /* wakes are told to them */

static inline int open_sets(void **state)
{
    (void)state;
    if (event_sets_open(&sets, waker.heap) < 0)
        return -1;
    changed_sets = sets;
    return 0;
}

/* Stops where a test left a set or a member behind. */
static inline int close_sets(void **state)
{
    (void)state;
    event_sets_close(sets);
    return 0;
}

static inline struct file *open_set(void)
{
    struct file *set;

    assert_int_equal(event_epoll(sets, &waker, &set), 0);
    return set;
}

static inline struct file *open_counter(uint32_t first)
{
    struct file *counter;

    assert_int_equal(event_counter(&waker, first, 0, &counter), 0);
    return counter;
}

static inline void give(struct file *counter, uint64_t value)
{
    assert_int_equal(write_bytes(counter, &value, 8), 8);
}

static inline void take(struct file *counter)
{
    uint64_t value;

    assert_int_equal(read_bytes(counter, &value, 8), 8);
}

static inline void fill(struct file *pipe)
{
    static const char bytes[EVENT_PIPE_BYTES];

    assert_int_equal(write_bytes(pipe, bytes, sizeof(bytes)), sizeof(bytes));
}

/* As the last descriptor's end. */
static inline void put_file(struct file *file)
{
    event_forget(sets, file);
    put(file);
}

static inline void control(struct file *set, int operation, int number,
                           struct file *file, uint32_t events, int want)
{
    struct epoll_event event = {events, {.u64 = (uint64_t)(unsigned)number}};

    assert_int_equal(event_epoll_control(set, operation, number, file, &event),
                     want);
}

static inline void add(struct file *set, int number, struct file *file,
                       uint32_t events)
{
    control(set, EPOLL_CTL_ADD, number, file, events, 0);
}

static inline void assert_quiet(struct file *set)
{
    struct epoll_event event;

    assert_int_equal(event_epoll_look(set, &event, 1), 0);
}

/* One is ready, and no other. */
static inline void assert_told(struct file *set, int number, uint32_t ready)
{
    struct epoll_event events[2];

    assert_int_equal(event_epoll_look(set, events, 2), 1);
    assert_int_equal(events[0].events, ready);
    assert_int_equal(events[0].data.u64, number);
}

#endif
