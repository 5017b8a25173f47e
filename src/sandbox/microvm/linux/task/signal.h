/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.h - signals between the tasks of one guest, and from faults.
 *
 *  signal_send(kernel, NULL, SIGALRM, &info);   to the process
 *  signal_deliver(kernel);                      before ring 3 goes on
 *
 * Of each signal one is kept, also of real-time ones, which on Linux queue.
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_TASK_SIGNAL_H
#define SANDBOX_MICROVM_LINUX_TASK_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct task;

#define SIGNAL_COUNT 64

/* struct kernel_sigaction of x86-64 */
struct signal_action {
    uint64_t handler, flags, restorer, mask;
};

struct signals {
    struct signal_action actions[SIGNAL_COUNT + 1];
    uint64_t pending; /* for whichever task wants it */
    siginfo_t infos[SIGNAL_COUNT + 1];
    uint64_t alarm_ns, alarm_interval_ns; /* ITIMER_REAL; 0: off */
};

static inline uint64_t signal_bit(int number)
{
    return 1ull << (number - 1);
}

/* task NULL: to the process. An ignored one is dropped. */
void signal_send(struct kernel *kernel, struct task *task, int number,
                 const siginfo_t *info);

/* The current task caused it: it cannot be ignored or put off. */
void signal_force(struct kernel *kernel, int number, const siginfo_t *info);

/* An action was set: what it ignores and is pending is dropped. */
void signal_action_set(struct kernel *kernel, int number);

/* Is there one that this task would take?  Ignored ones are dropped. */
bool signal_waits(struct kernel *kernel, struct task *task);

/* Take one out of those in `wanted`; 0: there is none. */
int signal_take(struct kernel *kernel, struct task *task, uint64_t wanted,
                siginfo_t *info);

/*
 * Deliver what the current task would take: to a handler, or by ending all.
 * call: the number of the system call that is made again after a handler that
 * has SA_RESTART, or UINT64_MAX.
 */
void signal_deliver(struct kernel *kernel, uint64_t call);

/* frame.c: put a handler's frame on the stack, as Linux does; and back. */
int frame_push(struct kernel *kernel, int number, const siginfo_t *info,
               const struct signal_action *action, uint64_t mask);
int frame_pop(struct kernel *kernel);

/* The interval timer: send SIGALRM where it is due. */
void signal_tick(struct kernel *kernel, uint64_t now_ns);

#endif
