/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - the calls by which tasks begin, end, and say what they are. */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

#define ROBUST_BYTES 24u

/* What makes it a thread, and not a process. */
#define THREAD_FLAGS                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define KNOWN_FLAGS                                                            \
    (THREAD_FLAGS | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |       \
     CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED | CSIGNAL)

static int tell_tid(struct kernel *kernel, const struct task *task, bool wanted,
                    uint64_t address)
{
    return wanted ? user_write(&kernel->space, address, &task->tid,
                               sizeof(task->tid))
                  : 0;
}

int64_t call_clone(struct kernel *kernel, const uint64_t a[6])
{
    struct task *parent = kernel->current, *child;
    uint64_t flags = a[0];

    if ((flags & THREAD_FLAGS) != THREAD_FLAGS) {
        kernel_note_unsupported(kernel, "processes: a micro-VM has one");
        return -ENOSYS;
    }
    if ((flags & ~(uint64_t)KNOWN_FLAGS) != 0)
        return -EINVAL;
    if ((flags & CLONE_SETTLS) != 0 && a[4] >= TABLES_USER_END)
        return -EPERM;
    if ((child = task_make(kernel)) == NULL)
        return -EAGAIN;
    if (kernel->cpu.save(kernel->cpu.context, &child->state) < 0) {
        task_drop(kernel, child);
        return -EAGAIN; /* the machine is broken, and says so next */
    }
    child->state.regs.rax = 0;
    if (a[1] != 0)
        child->state.regs.rsp = a[1];
    if ((flags & CLONE_SETTLS) != 0)
        child->state.fs_base = a[4];
    child->mask = parent->mask;
    memcpy(child->name, parent->name, sizeof(child->name));
    if ((flags & CLONE_CHILD_CLEARTID) != 0)
        child->clear_tid = a[3];
    tell_tid(kernel, child, (flags & CLONE_PARENT_SETTID) != 0, a[2]);
    tell_tid(kernel, child, (flags & CLONE_CHILD_SETTID) != 0, a[3]);
    return child->tid;
}

static void end_all(struct kernel *kernel, int status)
{
    kernel->ended = true;
    kernel->end.status = status & 0xff;
}

int64_t call_exit(struct kernel *kernel, const uint64_t a[6])
{
    if (kernel->task_count == 1)
        end_all(kernel, (int)a[0]);
    task_end(kernel);
    return 0;
}

int64_t call_exit_group(struct kernel *kernel, const uint64_t a[6])
{
    end_all(kernel, (int)a[0]);
    return 0;
}

int64_t call_wait4(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return -ECHILD;
}

int64_t call_waitid(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return -ECHILD;
}

int64_t call_set_tid_address(struct kernel *kernel, const uint64_t a[6])
{
    kernel->current->clear_tid = a[0];
    return kernel->current->tid;
}

int64_t call_set_robust_list(struct kernel *kernel, const uint64_t a[6])
{
    if (a[1] != ROBUST_BYTES)
        return -EINVAL;
    kernel->current->robust_list = a[0];
    return 0;
}

int64_t call_get_robust_list(struct kernel *kernel, const uint64_t a[6])
{
    static const uint64_t bytes = ROBUST_BYTES;
    int rc;

    if (a[0] != 0 && (int)a[0] != kernel->current->tid)
        return -EPERM;
    rc = user_write(&kernel->space, a[1], &kernel->current->robust_list, 8);
    return rc < 0 ? rc
                  : user_write(&kernel->space, a[2], &bytes, sizeof(bytes));
}

int64_t call_arch_prctl(struct kernel *kernel, const uint64_t a[6])
{
    const struct kernel_cpu *cpu = &kernel->cpu;
    uint64_t base;

    switch (a[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (a[1] >= TABLES_USER_END)
            return -EPERM;
        (a[0] == ARCH_SET_FS ? cpu->set_fs : cpu->set_gs)(cpu->context, a[1]);
        return 0;
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        base = (a[0] == ARCH_GET_FS ? cpu->get_fs : cpu->get_gs)(cpu->context);
        return user_write(&kernel->space, a[1], &base, sizeof(base));
    default:
        return -EINVAL;
    }
}

int64_t call_prctl(struct kernel *kernel, const uint64_t a[6])
{
    struct task *task = kernel->current;
    char name[sizeof(task->name)] = "";
    int64_t rc;

    switch ((int)a[0]) {
    case PR_SET_NAME:
        rc = user_string(&kernel->space, name, sizeof(name), a[1]);
        if (rc == -EFAULT)
            return rc;
        name[sizeof(name) - 1] = '\0';
        memcpy(task->name, name, sizeof(name));
        return 0;
    case PR_GET_NAME:
        return user_write(&kernel->space, a[1], task->name, sizeof(task->name));
    case PR_GET_DUMPABLE:
    case PR_GET_PDEATHSIG:
    case PR_GET_KEEPCAPS:
    case PR_GET_THP_DISABLE:
        return (int)a[0] == PR_GET_PDEATHSIG
                   ? user_zero(&kernel->space, a[1], sizeof(int))
                   : 0;
    case PR_SET_DUMPABLE:
    case PR_SET_PDEATHSIG:
    case PR_SET_KEEPCAPS:
    case PR_SET_THP_DISABLE:
    case PR_SET_TIMERSLACK:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_PTRACER:
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    case PR_CAPBSET_READ:
        return a[1] > 40 ? -EINVAL : 0;
    case PR_GET_SECCOMP:
        return 0;
    default: /* among them PR_SET_VMA, which callers do without */
        return -EINVAL;
    }
}

/* There is one processor: what another task sees is what this one did. */
int64_t call_membarrier(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel;
    switch ((int)a[0]) {
    case MEMBARRIER_CMD_QUERY:
        return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
               MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
               MEMBARRIER_CMD_GLOBAL_EXPEDITED |
               MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
        return 0;
    default:
        return -EINVAL;
    }
}
