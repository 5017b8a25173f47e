/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_test.h - what the tests of this folder share: a waker that counts, a
 * clock that stands still, short ways to read and
 * write.  One test program includes it once.
 */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_EVENT_TEST_H
#define SANDBOX_MICROVM_LINUX_EVENT_EVENT_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/event.h"

#define TEST(name) cmocka_unit_test(name)

/* Who was woken since the last forget_wakes. */
static const void *woken[64];
static unsigned wake_count;
static struct event_sets *changed_sets; /* told of each wake; or NULL */

static void note_wake(struct waker *waker, const void *thing)
{
    (void)waker;
    woken[wake_count++ % ARRAY_SIZE(woken)] = thing;
    if (changed_sets != NULL)
        event_changed(changed_sets, thing);
}

static struct waker waker = {.wake = note_wake};

__attribute__((constructor)) static void make_heap(void)
{
    waker.heap = heap_open();
}

static inline void forget_wakes(void)
{
    wake_count = 0;
}

static inline bool was_woken(const struct file *file)
{
    for (unsigned i = 0; i < wake_count && i < ARRAY_SIZE(woken); i++)
        if (woken[i] == file)
            return true;
    return false;
}

/* It is called before a sanitizer has set itself up, so that must not look into
 * it. */
#ifdef __clang__
#define BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define BARE __attribute__((no_sanitize("thread", "address")))
#endif
#define REPLACES BARE __attribute__((visibility("default")))

/* CLOCK_MONOTONIC, which the test moves on; the others lie far from it. */
static uint64_t clock_ns = 1000000000;

#define REALTIME_AHEAD_NS 1700000000000000000u
#define BOOTTIME_AHEAD_NS 5000000000u

REPLACES int clock_gettime(clockid_t clock, struct timespec *t)
{
    uint64_t ns = clock_ns;

    if (clock == CLOCK_REALTIME)
        ns += REALTIME_AHEAD_NS;
    else if (clock == CLOCK_BOOTTIME)
        ns += BOOTTIME_AHEAD_NS;
    t->tv_sec = (time_t)(ns / 1000000000u);
    t->tv_nsec = (long)(ns % 1000000000u);
    return 0;
}

static inline int64_t write_bytes(struct file *file, const void *from,
                                  size_t bytes)
{
    char *copy = malloc(bytes + 1); /* exact, but for nothing */
    struct iovec piece = {copy, bytes};
    int64_t done;

    memcpy(copy, from, bytes);
    done = file->class->write(file, &piece, 1, NULL);
    free(copy);
    return done;
}

static inline int64_t read_bytes(struct file *file, void *to, size_t bytes)
{
    struct iovec piece = {to, bytes};

    return file->class->read(file, &piece, 1, NULL);
}

static inline int64_t write_text(struct file *file, const char *text)
{
    return write_bytes(file, text, strlen(text));
}

static inline unsigned poll_of(struct file *file)
{
    return file->class->poll(file);
}

/* As file_put, which needs the whole of file/. */
static inline void put(struct file *file)
{
    if (--file->references == 0)
        file->class->close(file);
}

static inline void put_both(struct file *ends[2])
{
    put(ends[0]);
    put(ends[1]);
}

#endif
