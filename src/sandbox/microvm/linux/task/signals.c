/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - the calls on signals, and on the timer that sends one. */
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SET_BYTES   8u

#define STACK_DISABLE   2u
#define STACK_BYTES_MIN 2048u

static bool is_signal(uint64_t number)
{
    return (int)number >= 1 && (int)number <= SIGNAL_COUNT;
}

int64_t call_rt_sigaction(struct kernel *kernel, const uint64_t a[6])
{
    struct signal_action *action, new;
    int number = (int)a[0], rc = 0;

    if (!is_signal(a[0]) || a[3] != SET_BYTES)
        return -EINVAL;
    if (a[1] != 0 && (number == SIGKILL || number == SIGSTOP))
        return -EINVAL;
    action = &kernel->signals.actions[number];
    if (a[1] != 0)
        rc = user_read(&kernel->space, &new, a[1], sizeof(new));
    if (rc == 0 && a[2] != 0)
        rc = user_write(&kernel->space, a[2], action, sizeof(*action));
    if (rc == 0 && a[1] != 0) {
        *action = new;
        action->mask &= ~UNBLOCKABLE;
        signal_action_set(kernel, number);
    }
    return rc;
}

int64_t call_rt_sigprocmask(struct kernel *kernel, const uint64_t a[6])
{
    struct task *task = kernel->current;
    uint64_t old = task->mask, set;
    int rc;

    if (a[3] != SET_BYTES)
        return -EINVAL;
    if (a[1] != 0) {
        rc = user_read(&kernel->space, &set, a[1], sizeof(set));
        if (rc < 0)
            return rc;
        set &= ~UNBLOCKABLE;
        kernel->stirred = true; /* one may be let through now */
        switch ((int)a[0]) {
        case SIG_BLOCK:
            task->mask |= set;
            break;
        case SIG_UNBLOCK:
            task->mask &= ~set;
            break;
        case SIG_SETMASK:
            task->mask = set;
            break;
        default:
            return -EINVAL;
        }
    }
    return a[2] == 0 ? 0 : user_write(&kernel->space, a[2], &old, sizeof(old));
}

int64_t call_rt_sigreturn(struct kernel *kernel, const uint64_t a[6])
{
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};

    (void)a;
    if (frame_pop(kernel) < 0)
        signal_force(kernel, SIGSEGV, &info);
    kernel->stirred = true;
    return KERNEL_KEEP;
}

int64_t call_rt_sigpending(struct kernel *kernel, const uint64_t a[6])
{
    uint64_t set = (kernel->current->pending | kernel->signals.pending) &
                   kernel->current->mask;

    return a[1] > SET_BYTES
               ? -EINVAL
               : user_write(&kernel->space, a[0], &set, (size_t)a[1]);
}

int64_t call_rt_sigsuspend(struct kernel *kernel, const uint64_t a[6])
{
    struct task *task = kernel->current;
    uint64_t mask;
    int rc;

    if (a[1] != SET_BYTES)
        return -EINVAL;
    if (!task->again) {
        rc = user_read(&kernel->space, &mask, a[0], sizeof(mask));
        if (rc < 0)
            return rc;
        task->saved_mask = task->mask;
        task->has_saved_mask = true;
        task->mask = mask & ~UNBLOCKABLE;
    }
    return task_wait(kernel, task, 0);
}

int64_t call_pause(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return task_wait(kernel, kernel->current, 0);
}

int64_t call_rt_sigtimedwait(struct kernel *kernel, const uint64_t a[6])
{
    struct task *task = kernel->current;
    uint64_t set, ns = UINT64_MAX, until_ns;
    siginfo_t info;
    int number, rc;

    if (a[3] != SET_BYTES)
        return -EINVAL;
    rc = user_read(&kernel->space, &set, a[0], sizeof(set));
    if (rc == 0 && a[2] != 0)
        rc = calls_read_time(kernel, a[2], &ns);
    if (rc < 0)
        return rc;
    number = signal_take(kernel, task, set & ~UNBLOCKABLE, &info);
    if (number != 0)
        return a[1] != 0 &&
                       user_write(&kernel->space, a[1], &info, sizeof(info)) < 0
                   ? -EFAULT
                   : number;
    until_ns = task_until(kernel, ns);
    if (ns == 0 || task_is_late(task))
        return -EAGAIN;
    rc = (int)task_wait(kernel, task, until_ns);
    task->wait.signals = set;
    return rc;
}

int64_t call_sigaltstack(struct kernel *kernel, const uint64_t a[6])
{
    struct task *task = kernel->current;
    struct {
        uint64_t at;
        uint32_t flags, zero;
        uint64_t bytes;
    } old = {task->stack_at, task->stack_bytes == 0 ? STACK_DISABLE : 0, 0,
             task->stack_bytes},
      new;
    uint64_t rsp = kernel->cpu.regs->rsp;
    bool inside = task->stack_bytes != 0 && rsp > task->stack_at &&
                  rsp - task->stack_at <= task->stack_bytes;
    int rc = 0;

    if (inside)
        old.flags = 1; /* SS_ONSTACK */
    if (a[0] != 0)
        rc = user_read(&kernel->space, &new, a[0], sizeof(new));
    if (rc == 0 && a[1] != 0)
        rc = user_write(&kernel->space, a[1], &old, sizeof(old));
    if (rc < 0 || a[0] == 0)
        return rc;
    if (inside)
        return -EPERM;
    if ((new.flags & 0x7fffffffu) == STACK_DISABLE) {
        task->stack_bytes = 0;
        return 0;
    }
    if ((new.flags & 0x7fffffffu) > 1)
        return -EINVAL;
    if (new.bytes < STACK_BYTES_MIN)
        return -ENOMEM;
    task->stack_at = new.at;
    task->stack_bytes = new.bytes;
    return 0;
}

static struct task *find(const struct kernel *kernel, int tid)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && kernel->tasks[i]->tid == tid)
            return kernel->tasks[i];
    return NULL;
}

static siginfo_t from_me(const struct kernel *kernel, uint64_t number, int code)
{
    siginfo_t info = {.si_signo = (int)number, .si_code = code};

    info.si_pid = kernel->pid;
    info.si_uid = kernel->uid;
    return info;
}

int64_t call_kill(struct kernel *kernel, const uint64_t a[6])
{
    siginfo_t info = from_me(kernel, a[1], SI_USER);
    int pid = (int)a[0];

    if ((int)a[1] != 0 && !is_signal(a[1]))
        return -EINVAL;
    if (pid != kernel->pid && pid != 0 && pid != -KERNEL_PID && pid != -1)
        return -ESRCH;
    if ((int)a[1] != 0 && pid != -1)
        signal_send(kernel, NULL, (int)a[1], &info);
    return 0;
}

static int64_t send_to(struct kernel *kernel, uint64_t tid, uint64_t number)
{
    siginfo_t info = from_me(kernel, number, SI_TKILL);
    struct task *task = find(kernel, (int)tid);

    if ((int)number != 0 && !is_signal(number))
        return -EINVAL;
    if (task == NULL)
        return -ESRCH;
    if ((int)number != 0)
        signal_send(kernel, task, (int)number, &info);
    return 0;
}

int64_t call_tkill(struct kernel *kernel, const uint64_t a[6])
{
    return (int)a[0] <= 0 ? -EINVAL : send_to(kernel, a[0], a[1]);
}

int64_t call_tgkill(struct kernel *kernel, const uint64_t a[6])
{
    if ((int)a[0] <= 0 || (int)a[1] <= 0)
        return -EINVAL;
    return (int)a[0] != kernel->pid ? -ESRCH : send_to(kernel, a[1], a[2]);
}

int64_t call_rt_sigqueueinfo(struct kernel *kernel, const uint64_t a[6])
{
    siginfo_t info;
    int rc = user_read(&kernel->space, &info, a[2], sizeof(info));

    if (rc < 0)
        return rc;
    if ((int)a[0] != kernel->pid)
        return -ESRCH;
    if ((int)a[1] != 0 && !is_signal(a[1]))
        return -EINVAL;
    info.si_signo = (int)a[1];
    if ((int)a[1] != 0)
        signal_send(kernel, NULL, (int)a[1], &info);
    return 0;
}

static struct timeval from_ns(uint64_t ns)
{
    return (struct timeval){.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_usec = (suseconds_t)(ns % 1000000000u / 1000u)};
}

static struct itimerval timer_now(const struct kernel *kernel)
{
    const struct signals *signals = &kernel->signals;
    uint64_t now = clock_now_ns(), left = 0;

    if (signals->alarm_ns != 0)
        left = signals->alarm_ns > now ? signals->alarm_ns - now : 1000;
    return (struct itimerval){.it_value = from_ns(left),
                              .it_interval =
                                  from_ns(signals->alarm_interval_ns)};
}

int64_t call_getitimer(struct kernel *kernel, const uint64_t a[6])
{
    struct itimerval timer = {0};

    if ((int)a[0] < 0 || (int)a[0] > ITIMER_PROF)
        return -EINVAL;
    if ((int)a[0] == ITIMER_REAL)
        timer = timer_now(kernel);
    return user_write(&kernel->space, a[1], &timer, sizeof(timer));
}

static int to_ns(const struct timeval *time, uint64_t *ns)
{
    if (time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec > 999999)
        return -EINVAL;
    *ns = time->tv_sec > INT32_MAX ? (uint64_t)INT32_MAX * 1000000000u
                                   : (uint64_t)time->tv_sec * 1000000000u +
                                         (uint64_t)time->tv_usec * 1000u;
    return 0;
}

int64_t call_setitimer(struct kernel *kernel, const uint64_t a[6])
{
    struct itimerval new = {0}, old = timer_now(kernel);
    uint64_t value, interval;
    int rc = 0;

    if ((int)a[0] != ITIMER_REAL) {
        kernel_note_unsupported(kernel, "timers of CPU time");
        return -EINVAL;
    }
    if (a[1] != 0)
        rc = user_read(&kernel->space, &new, a[1], sizeof(new));
    if (rc < 0 || (rc = to_ns(&new.it_value, &value)) < 0 ||
        (rc = to_ns(&new.it_interval, &interval)) < 0)
        return rc;
    if (a[2] != 0 &&
        (rc = user_write(&kernel->space, a[2], &old, sizeof(old))) < 0)
        return rc;
    kernel->stirred = true;
    kernel->signals.alarm_ns = value == 0 ? 0 : clock_now_ns() + value;
    kernel->signals.alarm_interval_ns = interval;
    return 0;
}

int64_t call_alarm(struct kernel *kernel, const uint64_t a[6])
{
    struct itimerval old = timer_now(kernel);
    uint64_t seconds = (uint32_t)a[0];

    kernel->signals.alarm_ns =
        seconds == 0 ? 0 : clock_now_ns() + seconds * 1000000000u;
    kernel->signals.alarm_interval_ns = 0;
    return old.it_value.tv_sec + (old.it_value.tv_usec > 0);
}
