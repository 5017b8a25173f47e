/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - a thread of the guest, and how it waits.
 *
 * READY   may have the processor
 * WAITING in a system call, for a thing to change, a word to be woken, a time
 *         to come, or a signal; then it is READY, and makes its call again
 *
 * A call that would wait says task_wait() and returns KERNEL_WAIT.  When it is
 * made again, task->again is true, and a relative time that it gave at first is
 * still the same moment (task_until).
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_TASK_TASK_H
#define SANDBOX_MICROVM_LINUX_TASK_TASK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sandbox/microvm/machine.h"

struct kernel;

#define TASK_SIGNALS 64

enum task_status { TASK_READY, TASK_WAITING };

struct task_wait {
    const void *thing; /* what is to change; task_any: any file */
    uint64_t until_ns; /* 0: no end */
    bool has_until;    /* until_ns was set by this call */
    uint64_t wake_ns;  /* when to look again, though nothing changed; 0 */
    uint64_t futex;    /* key of the word (user_word), or 0 */
    uint32_t bits;     /* of FUTEX_WAIT_BITSET */
    bool woken;        /* by FUTEX_WAKE */
    uint64_t order;    /* first come, first served */
    uint64_t signals;  /* of rt_sigtimedwait, though blocked */
    uint64_t done;     /* how far a call is that has begun: bytes */
    bool goes_on;      /* it waits for nothing: see task_go_on */
    bool is_gone;      /* the file that it waits for was closed */
};

struct task {
    struct machine_state state; /* while it does not have the processor */
    int tid;
    char name[16];
    enum task_status status;
    struct task_wait wait;
    uint64_t call[7]; /* number and arguments of the call it is in */
    bool again;       /* the call is made again */
    bool in_call;     /* there is one to make again */

    uint64_t mask;       /* signals that it does not want now */
    uint64_t saved_mask; /* to be put back after a handler (sigsuspend) */
    bool has_saved_mask;
    uint64_t pending; /* signals for it alone */
    siginfo_t infos[TASK_SIGNALS + 1];
    uint64_t stack_at, stack_bytes; /* sigaltstack; bytes 0: none */

    uint64_t clear_tid;   /* address to zero and wake at its end, or 0 */
    uint64_t robust_list; /* address, or 0 */
};

extern const char task_any[1]; /* its address: waits for any file */

/* Returns a task that was added, or NULL; drop: it is none after all. */
struct task *task_make(struct kernel *kernel);
void task_drop(struct kernel *kernel, struct task *task);
/* The current task ends. */
void task_end(struct kernel *kernel);

/* Wait: the call returns what this returns. */
int64_t task_wait(struct kernel *kernel, const void *thing, uint64_t until_ns);

/*
 * A call that would take long has done a part, up to `done`, and goes on from
 * there when it is made again, at once.  Signals wait until it has ended.
 */
int64_t task_go_on(struct kernel *kernel, uint64_t done);

/*
 * The moment until which this call waits: of the first time it was made.
 * relative_ns: UINT64_MAX is forever; the moment is never 0 otherwise.
 */
uint64_t task_until(struct kernel *kernel, uint64_t relative_ns);

/* It has waited, and the time is over. */
bool task_is_late(const struct task *task);

/* Something has changed (kernel.waker). */
void task_changed(struct kernel *kernel, const void *thing);

/* A file was closed by its last number: whoever waits for it does in vain. */
void task_forget(struct kernel *kernel, const void *file);

/* futex.c: wake at most `count` tasks that wait for this word. */
int futex_wake(struct kernel *kernel, uint64_t key, int count, uint32_t bits);
/* The host has written to the word. */
void futex_wake_word(struct kernel *kernel, uint64_t physical);
void futex_end(struct kernel *kernel, struct task *task); /* robust list */

#endif
