/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake.h - how a thing that a task may wait for says that it has changed.
 *
 * A task that must wait remembers one address, of the thing it waits for, and
 * runs its system call again when that thing has changed.  So a wake too many
 * costs a look, and only one too few would be wrong.
 *
 *  wake(waker, pipe);
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_WAKE_H
#define SANDBOX_MICROVM_LINUX_WAKE_H

#include <stdint.h>
#include <time.h>

struct heap;

/* The kernel, as things in it know it. */
struct waker {
    void (*wake)(struct waker *waker, const void *thing);
    struct heap *heap; /* where they are made */
    int64_t
        behind_ns; /* its clocks stood still for so long: all but the wall's */
};

/* What the guest takes for the time. */
static inline uint64_t waker_now_ns(const struct waker *waker, clockid_t clock)
{
    struct timespec now;
    uint64_t ns;

    clock_gettime(clock, &now);
    ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
        clock == CLOCK_TAI)
        return ns;
    return ns - (uint64_t)waker->behind_ns;
}

static inline void wake(struct waker *waker, const void *thing)
{
    waker->wake(waker, thing);
}

#endif
