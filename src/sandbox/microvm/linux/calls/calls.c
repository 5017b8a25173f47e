/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c - from a number to a function, and what many of them need.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

static const struct call_entry entries[] = {
#define CALL(number, name, format)                                             \
    [number] = {#name, call_##name, format, NULL, 0, false, false},
#define AGAIN(number, name, format)                                            \
    [number] = {#name, call_##name, format, NULL, 0, true, false},
#define REFUSE(number, name, no, why)                                          \
    [number] = {#name, NULL, "xxxxxx", why, no, false, true},
#define LIVE_WITHOUT(number, name, no, why)                                    \
    [number] = {#name, NULL, "xxxxxx", why, no, false, false},
#include "sandbox/microvm/linux/calls/calls.def"
#undef CALL
#undef AGAIN
#undef REFUSE
#undef LIVE_WITHOUT
};

const struct call_entry *calls_find(uint64_t number)
{
    if (number >= ARRAY_SIZE(entries) || entries[number].name == NULL)
        return NULL;
    return &entries[number];
}

bool calls_may_restart(uint64_t number)
{
    const struct call_entry *entry = calls_find(number);

    return entry != NULL && entry->may_restart;
}

const char *kernel_call_name(uint64_t number)
{
    const struct call_entry *entry = calls_find(number);

    return entry != NULL ? entry->name : NULL;
}

void kernel_note_unsupported(struct kernel *kernel, const char *what)
{
    kernel->unsupported = kernel->lacks = what;
}

static int64_t refuse(struct kernel *kernel, const struct call_entry *entry)
{
    if (entry == NULL) {
        kernel_note_unsupported(kernel, "a system call without a name");
        return -ENOSYS;
    }
    if (entry->is_missed)
        kernel_note_unsupported(kernel, entry->why);
    return -entry->refusal;
}

void kernel_call(struct kernel *kernel)
{
    struct task *task = kernel->current;
    struct kvm_regs *regs = kernel->cpu.regs;
    const struct call_entry *entry;
    uint64_t call[7] = {regs->rax, regs->rdi, regs->rsi, regs->rdx,
                        regs->r10, regs->r8,  regs->r9};
    int64_t answer;

    if (task->again)
        memcpy(call, task->call, sizeof(call));
    else
        memcpy(task->call, call, sizeof(call));
    kernel->lacks = NULL;
    entry = calls_find(call[0]);
    if (entry != NULL && entry->fn != NULL)
        answer = entry->fn(kernel, call + 1);
    else
        answer = refuse(kernel, entry);
    if (kernel->trace != NULL && answer != KERNEL_ON)
        trace_call(kernel, call,
                   kernel->ended || kernel->current != task ? KERNEL_KEEP
                                                            : answer);
    if (kernel->current != task) /* it ended */
        return;
    task->in_call = answer == KERNEL_WAIT || answer == KERNEL_ON;
    if (task->in_call)
        return;
    task->again = false;
    if (task->wait.has_until || task->wait.goes_on || task->wait.done != 0)
        task->wait = (struct task_wait){0};
    if (task->has_saved_mask) { /* the wait is over without a signal */
        task->mask = task->saved_mask;
        task->has_saved_mask = false;
        kernel->stirred = true;
    }
    if (answer != KERNEL_KEEP)
        regs->rax = (uint64_t)answer;
}

int calls_read_time(struct kernel *kernel, uint64_t address, uint64_t *ns)
{
    struct timespec time;
    int rc = user_read(&kernel->space, &time, address, sizeof(time));

    if (rc < 0)
        return rc;
    if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec > 999999999)
        return -EINVAL;
    *ns = time.tv_sec >= INT64_MAX / 1000000000
              ? INT64_MAX
              : (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return 0;
}

int calls_read_path(struct kernel *kernel, uint64_t address, char *to)
{
    int64_t length = user_string(&kernel->space, to, PATH_MAX, address);

    return length < 0 ? (int)length : 0;
}

int calls_from(struct kernel *kernel, uint64_t number, const char *path,
               struct node **from)
{
    struct file *file;

    *from = NULL;
    if (path[0] == '/')
        return 0;
    if ((int)number == AT_FDCWD) {
        *from = kernel->cwd;
        return 0;
    }
    file = kernel_file(kernel, number);
    if (file == NULL)
        return -EBADF;
    if (file->node == NULL || (path[0] != '\0' && !node_is_dir(file->node)))
        return -ENOTDIR;
    *from = file->node;
    return 0;
}

int64_t calls_wait_for(struct kernel *kernel, struct file *file, int64_t rc,
                       bool never)
{
    if (rc != -EAGAIN || never || (file->flags & O_NONBLOCK) != 0)
        return rc;
    rc = task_wait(kernel, file, 0);
    kernel->current->wait.wake_ns = file_due_ns(file);
    return rc;
}
