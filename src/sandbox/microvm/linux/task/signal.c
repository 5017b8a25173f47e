/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/kernel.h"

#define IGNORED_BY_DEFAULT                                                     \
    (1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) | 1ull << (SIGWINCH - 1) |   \
     1ull << (SIGCONT - 1))
/* Nobody could let a stopped guest go on. */
#define STOPS                                                                  \
    (1ull << (SIGSTOP - 1) | 1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) |   \
     1ull << (SIGTTOU - 1))

#define HANDLER_DEFAULT 0
#define HANDLER_IGNORE  1
#define FLAG_RESTART    0x10000000u
#define FLAG_NODEFER    0x40000000u
#define FLAG_RESETHAND  0x80000000u
#define SYSCALL_BYTES   2

static bool is_ignored(const struct kernel *kernel, int number)
{
    uint64_t handler = kernel->signals.actions[number].handler;

    return handler == HANDLER_IGNORE ||
           (handler == HANDLER_DEFAULT &&
            (signal_bit(number) & (IGNORED_BY_DEFAULT | STOPS)) != 0);
}

/* By this task; or of the whole process, by any. */
static bool is_blocked(const struct kernel *kernel, const struct task *task,
                       int number)
{
    bool blocked = task != NULL && (task->mask & signal_bit(number)) != 0;

    for (uint32_t i = 0; task == NULL && i < kernel->tasks_max; i++)
        blocked |= kernel->tasks[i] != NULL &&
                   (kernel->tasks[i]->mask & signal_bit(number)) != 0;
    return blocked;
}

void signal_send(struct kernel *kernel, struct task *task, int number,
                 const siginfo_t *info)
{
    uint64_t *pending =
        task != NULL ? &task->pending : &kernel->signals.pending;
    siginfo_t *infos = task != NULL ? task->infos : kernel->signals.infos;

    /* A blocked one is kept: sigtimedwait may want it. */
    if (is_ignored(kernel, number) && !is_blocked(kernel, task, number))
        return;
    if ((*pending & signal_bit(number)) != 0)
        return;
    *pending |= signal_bit(number);
    infos[number] = *info;
    kernel->stirred = true;
}

void signal_force(struct kernel *kernel, int number, const siginfo_t *info)
{
    struct signal_action *action = &kernel->signals.actions[number];
    struct task *task = kernel->current;

    /* Blocked or ignored, it would come again and again. */
    if ((task->mask & signal_bit(number)) != 0 ||
        action->handler == HANDLER_IGNORE)
        action->handler = HANDLER_DEFAULT;
    task->mask &= ~signal_bit(number);
    task->pending |= signal_bit(number);
    task->infos[number] = *info;
    kernel->forced = number;
    kernel->stirred = true;
}

static void drop(struct kernel *kernel, struct task *task, int number)
{
    task->pending &= ~signal_bit(number);
    kernel->signals.pending &= ~signal_bit(number);
}

void signal_action_set(struct kernel *kernel, int number)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && is_ignored(kernel, number))
            drop(kernel, kernel->tasks[i], number);
}

bool signal_waits(struct kernel *kernel, struct task *task)
{
    uint64_t left, set;

    set = left = (task->pending | kernel->signals.pending) & ~task->mask;
    for (; left != 0; left &= left - 1) {
        int number = __builtin_ctzll(left) + 1;

        if (!is_ignored(kernel, number))
            continue;
        set &= ~signal_bit(number);
        drop(kernel, task, number);
    }
    return set != 0;
}

int signal_take(struct kernel *kernel, struct task *task, uint64_t wanted,
                siginfo_t *info)
{
    uint64_t *pending = &task->pending;
    siginfo_t *infos = task->infos;
    int number;

    if ((*pending & wanted) == 0) {
        pending = &kernel->signals.pending;
        infos = kernel->signals.infos;
    }
    if ((*pending & wanted) == 0)
        return 0;
    number = __builtin_ctzll(*pending & wanted) + 1;
    *pending &= ~signal_bit(number);
    *info = infos[number];
    return number;
}

static void die(struct kernel *kernel, int number)
{
    kernel->ended = true;
    kernel->end.signal = number;
    kernel->end.rip = kernel->cpu.regs->rip;
    if (number != kernel->forced)
        kernel->end.vector = KERNEL_NO_VECTOR;
}

/* Push the frame of one; or what becomes of a stack without room for it. */
static void handle(struct kernel *kernel, int number, const siginfo_t *info,
                   const struct signal_action *action)
{
    const siginfo_t segv = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};
    struct task *task = kernel->current;
    uint64_t mask = task->has_saved_mask ? task->saved_mask : task->mask;

    if (frame_push(kernel, number, info, action, mask) < 0) {
        if (number == SIGSEGV)
            die(kernel, SIGSEGV);
        else
            signal_force(kernel, SIGSEGV, &segv);
        return;
    }
    task->has_saved_mask = false;
    kernel->forced = 0;
    task->mask |= action->mask;
    if ((action->flags & FLAG_NODEFER) == 0)
        task->mask |= signal_bit(number);
    if ((action->flags & FLAG_RESETHAND) != 0)
        kernel->signals.actions[number].handler = HANDLER_DEFAULT;
}

void signal_deliver(struct kernel *kernel, uint64_t call)
{
    struct task *task = kernel->current;
    struct kvm_regs *regs = kernel->cpu.regs;
    struct signal_action action;
    siginfo_t info;
    int number;

    while (!kernel->ended &&
           (number = signal_take(kernel, task, ~task->mask, &info)) != 0) {
        action = kernel->signals.actions[number];
        if (is_ignored(kernel, number))
            continue;
        trace_signal(kernel, number);
        if (action.handler == HANDLER_DEFAULT) {
            die(kernel, number);
            break;
        }
        if (call != UINT64_MAX && (action.flags & FLAG_RESTART) != 0) {
            regs->rax = call;
            regs->rip -= SYSCALL_BYTES;
        }
        call = UINT64_MAX;
        handle(kernel, number, &info, &action);
    }
    if (task->has_saved_mask)
        task->mask = task->saved_mask;
    task->has_saved_mask = false;
}

void signal_tick(struct kernel *kernel, uint64_t now_ns)
{
    struct signals *signals = &kernel->signals;
    siginfo_t info = {.si_signo = SIGALRM, .si_code = SI_KERNEL};

    if (signals->alarm_ns == 0 || signals->alarm_ns > now_ns)
        return;
    signal_send(kernel, NULL, SIGALRM, &info);
    if (signals->alarm_interval_ns == 0)
        signals->alarm_ns = 0;
    else
        signals->alarm_ns = now_ns + signals->alarm_interval_ns;
}
