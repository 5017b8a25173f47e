/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c - tasks come, wait, and go; and whose turn it is.
 *
 * There is one processor, so a task that has it keeps it until it waits, ends,
 * or its slice of time is over while others could run.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define TID_MAX 4194304 /* Linux's pid_max; fewer tasks than that fit */

const char task_any[1];

/* The number after the last one, that nobody has. */
static int next_tid(struct kernel *kernel)
{
    bool is_taken;

    do {
        if (++kernel->last_tid >= TID_MAX)
            kernel->last_tid = KERNEL_PID + 1;
        is_taken = kernel->last_tid == kernel->pid && kernel->task_count > 0;
        for (uint32_t i = 0; i < kernel->tasks_max; i++)
            is_taken |= kernel->tasks[i] != NULL &&
                        kernel->tasks[i]->tid == kernel->last_tid;
    } while (is_taken);
    return kernel->last_tid;
}

static void move_task(void *object, size_t bytes, const struct heap_move *move)
{
    struct task *task = object;

    (void)bytes;
    move_pointer(move, &task->wait.thing);
}

static const struct heap_type task_type = {"task", move_task};

struct task *task_make(struct kernel *kernel)
{
    uint32_t index = 0;
    struct task *task;

    while (index < kernel->tasks_max && kernel->tasks[index] != NULL)
        index++;
    if (index == kernel->tasks_max) {
        kernel->met_task_limit = true;
        return NULL;
    }
    task = heap_make(kernel->heap, &task_type, sizeof(*task));
    if (task == NULL)
        return NULL;
    task->tid = next_tid(kernel);
    task->status = TASK_READY;
    kernel->tasks[index] = task;
    kernel->task_count++;
    kernel->stirred = true;
    return task;
}

void task_drop(struct kernel *kernel, struct task *task)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] == task)
            kernel->tasks[i] = NULL;
    kernel->task_count--;
    heap_free(task);
}

void task_end(struct kernel *kernel)
{
    struct task *task = kernel->current;
    static const uint32_t zero;
    uint64_t key;
    void *host;

    futex_end(kernel, task);
    if (task->clear_tid != 0 &&
        user_write(&kernel->space, task->clear_tid, &zero, sizeof(zero)) == 0 &&
        user_word(&kernel->space, task->clear_tid, TABLES_READ, &key, &host) ==
            0)
        futex_wake(kernel, key, 1, UINT32_MAX);
    kernel->current = NULL;
    task_drop(kernel, task);
}

int64_t task_wait(struct kernel *kernel, const void *thing, uint64_t until_ns)
{
    struct task *task = kernel->current;

    task->wait.thing = thing;
    task->wait.until_ns = task->wait.wake_ns = until_ns;
    task->wait.has_until = true;
    task->wait.goes_on = false;
    task->wait.order = ++kernel->waits;
    task->status = TASK_WAITING;
    kernel->stirred = true;
    kernel->fresh_slice = true; /* though it may be ready again at once */
    return KERNEL_WAIT;
}

int64_t task_go_on(struct kernel *kernel, uint64_t done)
{
    kernel->current->wait.done = done;
    kernel->current->wait.goes_on = true;
    return KERNEL_ON;
}

uint64_t task_until(struct kernel *kernel, uint64_t relative_ns)
{
    const struct task *task = kernel->current;
    uint64_t now;

    if (task->again && task->wait.has_until)
        return task->wait.until_ns;
    if (relative_ns == UINT64_MAX)
        return 0;
    now = clock_now_ns();
    return relative_ns > INT64_MAX - now ? 0 : now + relative_ns;
}

bool task_is_late(const struct task *task)
{
    return task->again && clock_is_past(task->wait.until_ns);
}

void task_changed(struct kernel *kernel, const void *thing)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[i];

        if (task != NULL && task->status == TASK_WAITING &&
            (task->wait.thing == thing || task->wait.thing == task_any)) {
            task->status = TASK_READY;
            kernel->stirred = true;
        }
    }
}

void task_forget(struct kernel *kernel, const void *file)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[i];

        if (task != NULL && task->status == TASK_WAITING &&
            task->wait.thing == file) {
            task->wait.is_gone = true;
            task->status = TASK_READY;
            kernel->stirred = true;
        }
    }
}

/* Time and signals make tasks ready without anybody's doing. */
static void rouse(struct kernel *kernel, uint64_t now_ns)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[i];

        if (task == NULL || task->status != TASK_WAITING)
            continue;
        if ((task->wait.wake_ns != 0 && task->wait.wake_ns <= now_ns) ||
            signal_waits(kernel, task) ||
            ((task->pending | kernel->signals.pending) & task->wait.signals) !=
                0)
            task->status = TASK_READY;
    }
}

/* The next one after the current, or it again. */
static struct task *choose(const struct kernel *kernel)
{
    uint32_t mine = 0;

    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->current != NULL && kernel->tasks[i] == kernel->current)
            mine = i;
    for (uint32_t i = 1; i <= kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[(mine + i) % kernel->tasks_max];

        if (task != NULL && task->status == TASK_READY)
            return task;
    }
    return NULL;
}

bool kernel_goes_on(const struct kernel *kernel)
{
    const struct task *task = kernel->current;

    return task != NULL && task->status == TASK_READY && !task->in_call &&
           !kernel->fresh_slice && !kernel->stirred;
}

int kernel_schedule(struct kernel *kernel, uint64_t now_ns)
{
    struct task *old = kernel->current, *next;

    kernel->stirred = false;
    signal_tick(kernel, now_ns);
    rouse(kernel, now_ns);
    /* Its slice is not over: no need to look at the others. */
    if (old != NULL && old->status == TASK_READY && !kernel->fresh_slice)
        return 1;
    next = choose(kernel);
    kernel->fresh_slice = false;
    kernel->slice_from_ns = now_ns;
    if (next == NULL)
        return 0;
    if (next == old)
        return 1;
    if (old != NULL && kernel->cpu.save(kernel->cpu.context, &old->state) < 0)
        return -EIO;
    kernel->current = next;
    return kernel->cpu.load(kernel->cpu.context, &next->state) < 0 ? -EIO : 1;
}

uint64_t kernel_due_ns(const struct kernel *kernel)
{
    uint64_t due = kernel->signals.alarm_ns;

    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        const struct task *task = kernel->tasks[i];

        if (task != NULL && task->status == TASK_WAITING &&
            task->wait.wake_ns != 0 && (due == 0 || task->wait.wake_ns < due))
            due = task->wait.wake_ns;
    }
    return due;
}

bool kernel_is_shared(const struct kernel *kernel)
{
    if (kernel->task_count < 2)
        return false;
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && kernel->tasks[i] != kernel->current &&
            kernel->tasks[i]->status == TASK_READY)
            return true;
    return false;
}

/*
 * A call that waits ends early.  What was done already is the answer, as Linux
 * has it; if that is nothing, error, or that the call is made again: but not
 * where it had a time, which would begin anew.
 */
static uint64_t end_early(struct kernel *kernel, struct task *task,
                          int64_t error)
{
    bool again = task->wait.done == 0 && task->wait.until_ns == 0 &&
                 calls_may_restart(task->call[0]);

    kernel->cpu.regs->rax = (uint64_t)error;
    if (task->wait.done > 0)
        kernel->cpu.regs->rax = task->wait.done;
    task->in_call = task->again = false;
    task->wait = (struct task_wait){0};
    task->status = TASK_READY;
    return again ? task->call[0] : UINT64_MAX;
}

/* First the call, which may have what it waited for: that is not lost. */
bool kernel_resume(struct kernel *kernel)
{
    struct task *task = kernel->current;

    if (task->in_call && task->wait.is_gone) {
        end_early(kernel, task, -EBADF);
    } else if (task->in_call) {
        task->again = true;
        kernel_call(kernel);
    }
    if (kernel->ended || kernel->current != task)
        return false;
    if (signal_waits(kernel, task)) {
        if (!task->in_call)
            signal_deliver(kernel, UINT64_MAX);
        else if (!task->wait.goes_on)
            signal_deliver(kernel, end_early(kernel, task, -EINTR));
    }
    return !kernel->ended && task->status == TASK_READY && !task->in_call;
}
