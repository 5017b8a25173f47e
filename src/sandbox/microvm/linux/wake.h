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

struct heap;

struct waker {
    void (*wake)(struct waker *waker, const void *thing);
    struct heap *heap; /* where things that wake are made */
};

static inline void wake(struct waker *waker, const void *thing)
{
    waker->wake(waker, thing);
}

#endif
