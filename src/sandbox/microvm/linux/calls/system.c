/* SPDX-License-Identifier: Apache-2.0 */
/* system.c - who and where a guest is, and what it may use. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define RANDOM_BYTES 65536u /* asked for at once */
#define CPUSET_BYTES 8u
#define STACK_LIMIT  (8u << 20)
#define PARENT       (KERNEL_PID - 1)

int64_t call_uname(struct kernel *kernel, const uint64_t a[6])
{
    /* A release that no program finds too old. */
    static const struct utsname name = {.sysname = "Linux",
                                        .nodename = "glovebox",
                                        .release = "6.1.0-glovebox",
                                        .version = "#1 Glovebox",
                                        .machine = "x86_64",
                                        .domainname = "(none)"};

    return user_write(&kernel->space, a[0], &name, sizeof(name));
}

int64_t call_getpid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->pid;
}

int64_t call_getppid(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return PARENT;
}

int64_t call_gettid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->current->tid;
}

int64_t call_getpgrp(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return KERNEL_PID;
}

static bool is_me(const struct kernel *kernel, uint64_t pid)
{
    return (int)pid == 0 || (int)pid == kernel->pid;
}

int64_t call_getpgid(struct kernel *kernel, const uint64_t a[6])
{
    return is_me(kernel, a[0]) ? KERNEL_PID : -ESRCH;
}

int64_t call_getsid(struct kernel *kernel, const uint64_t a[6])
{
    return is_me(kernel, a[0]) ? KERNEL_PID : -ESRCH;
}

int64_t call_setpgid(struct kernel *kernel, const uint64_t a[6])
{
    return is_me(kernel, a[0]) ? 0 : -ESRCH;
}

int64_t call_setsid(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return -EPERM; /* it leads its group */
}

int64_t call_getuid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->uid;
}

int64_t call_geteuid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->uid;
}

int64_t call_getgid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->gid;
}

int64_t call_getegid(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    return kernel->gid;
}

/* To be who one is, is allowed. */
static int64_t be(uint32_t is, const uint64_t *wanted, int count)
{
    for (int i = 0; i < count; i++)
        if ((uint32_t)wanted[i] != is && (uint32_t)wanted[i] != UINT32_MAX)
            return -EPERM;
    return 0;
}

int64_t call_setuid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->uid, a, 1);
}

int64_t call_setgid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->gid, a, 1);
}

int64_t call_setreuid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->uid, a, 2);
}

int64_t call_setregid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->gid, a, 2);
}

int64_t call_setresuid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->uid, a, 3);
}

int64_t call_setresgid(struct kernel *kernel, const uint64_t a[6])
{
    return be(kernel->gid, a, 3);
}

static int64_t tell_three(struct kernel *kernel, const uint64_t a[6],
                          uint32_t id)
{
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++)
        rc = user_write(&kernel->space, a[i], &id, sizeof(id));
    return rc;
}

int64_t call_getresuid(struct kernel *kernel, const uint64_t a[6])
{
    return tell_three(kernel, a, kernel->uid);
}

int64_t call_getresgid(struct kernel *kernel, const uint64_t a[6])
{
    return tell_three(kernel, a, kernel->gid);
}

int64_t call_getgroups(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 0;
}

int64_t call_capget(struct kernel *kernel, const uint64_t a[6])
{
    static const struct __user_cap_data_struct none[2];
    struct __user_cap_header_struct head;
    int rc = user_read(&kernel->space, &head, a[0], sizeof(head));

    if (rc < 0)
        return rc;
    if (head.version != _LINUX_CAPABILITY_VERSION_3) {
        head.version = _LINUX_CAPABILITY_VERSION_3;
        rc = user_write(&kernel->space, a[0], &head, sizeof(head));
        return rc < 0 || a[1] == 0 ? rc : -EINVAL;
    }
    return a[1] == 0 ? 0 : user_write(&kernel->space, a[1], none, sizeof(none));
}

static int limit_of(const struct kernel *kernel, uint64_t resource,
                    struct rlimit64 *limit)
{
    uint64_t value = RLIM64_INFINITY;

    switch ((int)resource) {
    case RLIMIT_DATA:
        value = kernel->space.charged_max * SPACE_PAGE_BYTES;
        break;
    case RLIMIT_STACK:
        value = STACK_LIMIT;
        break;
    case RLIMIT_NOFILE:
        value = kernel->files_max;
        break;
    case RLIMIT_NPROC:
        value = kernel->tasks_max;
        break;
    case RLIMIT_FSIZE:
        value = kernel->file_bytes_max;
        break;
    case RLIMIT_CORE:
    case RLIMIT_MSGQUEUE:
    case RLIMIT_NICE:
    case RLIMIT_RTPRIO:
        value = 0;
        break;
    case RLIMIT_MEMLOCK:
        value = 65536;
        break;
    case RLIMIT_SIGPENDING:
        value = SIGNAL_COUNT;
        break;
    default:
        if ((int)resource < 0 || (int)resource >= RLIM_NLIMITS)
            return -EINVAL;
    }
    *limit = (struct rlimit64){value, value};
    return 0;
}

/* They can be set to what they are, or lower: which we take without doing it,
 * as all that they would spare is the guest's own. */
static int64_t set_limit(struct kernel *kernel, const struct rlimit64 *now,
                         uint64_t address)
{
    struct rlimit64 wanted;
    int rc = user_read(&kernel->space, &wanted, address, sizeof(wanted));

    if (rc < 0)
        return rc;
    if (wanted.rlim_cur > wanted.rlim_max)
        return -EINVAL;
    return wanted.rlim_max > now->rlim_max ? -EPERM : 0;
}

int64_t call_prlimit64(struct kernel *kernel, const uint64_t a[6])
{
    struct rlimit64 limit;
    int64_t rc;

    if (!is_me(kernel, a[0]))
        return -ESRCH;
    if ((rc = limit_of(kernel, a[1], &limit)) < 0)
        return rc;
    if (a[2] != 0 && (rc = set_limit(kernel, &limit, a[2])) < 0)
        return rc;
    return a[3] == 0 ? 0
                     : user_write(&kernel->space, a[3], &limit, sizeof(limit));
}

int64_t call_getrlimit(struct kernel *kernel, const uint64_t a[6])
{
    const uint64_t with[6] = {0, a[0], 0, a[1]};

    return a[1] == 0 ? -EFAULT : call_prlimit64(kernel, with);
}

int64_t call_setrlimit(struct kernel *kernel, const uint64_t a[6])
{
    const uint64_t with[6] = {0, a[0], a[1], 0};

    return a[1] == 0 ? -EFAULT : call_prlimit64(kernel, with);
}

int64_t call_sysinfo(struct kernel *kernel, const uint64_t a[6])
{
    const struct space *space = &kernel->space;
    struct sysinfo info = {
        .uptime = (long)((clock_now_ns() - kernel->started_ns) / 1000000000u),
        .totalram = space->charged_max * SPACE_PAGE_BYTES,
        .freeram = (space->charged_max - space->charged) * SPACE_PAGE_BYTES,
        .procs = (unsigned short)kernel->task_count,
        .mem_unit = 1,
    };

    return user_write(&kernel->space, a[0], &info, sizeof(info));
}

int64_t call_getrandom(struct kernel *kernel, const uint64_t a[6])
{
    uint8_t bytes[256];
    uint64_t all = a[1] < RANDOM_BYTES ? a[1] : RANDOM_BYTES, done = 0;

    if ((a[2] & ~7ull) != 0)
        return -EINVAL;
    while (done < all) {
        size_t part =
            all - done < sizeof(bytes) ? (size_t)(all - done) : sizeof(bytes);

        if (getrandom(bytes, part, 0) != (ssize_t)part)
            return -EAGAIN;
        if (user_write(&kernel->space, a[0] + done, bytes, part) < 0)
            return done > 0 ? (int64_t)done : -EFAULT;
        done += part;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return (int64_t)done;
}

int64_t call_memfd_create(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file;
    char name[250];
    int64_t rc = user_string(&kernel->space, name, sizeof(name), a[0]);

    if (rc < 0)
        return rc == -ENAMETOOLONG ? -EINVAL : rc;
    if ((a[1] & ~3ull) != 0) /* CLOEXEC, ALLOW_SEALING */
        return -EINVAL;
    rc = tree_open_nameless(kernel->tree, O_RDWR, &file);
    return rc < 0 ? rc : kernel_install(kernel, file, 0, (a[1] & 1) != 0);
}

/* Is there such a task? 0 is the one that asks; of the parent, which is no task
 * of this kernel, may be asked, too. */
static int check_task(const struct kernel *kernel, uint64_t number)
{
    int tid = (int)number;

    if (tid == 0 || tid == PARENT)
        return 0;
    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && kernel->tasks[i]->tid == tid)
            return 0;
    return tid < 0 ? -EINVAL : -ESRCH;
}

static int check_own_task(const struct kernel *kernel, uint64_t number)
{
    return (int)number == PARENT ? -EPERM : check_task(kernel, number);
}

int64_t call_sched_getaffinity(struct kernel *kernel, const uint64_t a[6])
{
    static const uint64_t one = 1;
    int rc = check_task(kernel, a[0]);

    if (rc < 0)
        return -ESRCH; /* EINVAL would mean that the set is too small */
    if (a[1] < CPUSET_BYTES || a[1] % CPUSET_BYTES != 0)
        return -EINVAL;
    rc = user_write(&kernel->space, a[2], &one, sizeof(one));
    return rc < 0 ? rc : (int64_t)CPUSET_BYTES;
}

int64_t call_sched_setaffinity(struct kernel *kernel, const uint64_t a[6])
{
    uint8_t first = 0;
    int rc = check_own_task(kernel, a[0]);

    if (rc == 0)
        rc = a[1] == 0 ? -EINVAL : user_read(&kernel->space, &first, a[2], 1);
    return rc < 0 ? rc : (first & 1) != 0 ? 0 : -EINVAL;
}

int64_t call_getcpu(struct kernel *kernel, const uint64_t a[6])
{
    static const uint32_t zero;
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++)
        if (a[i] != 0)
            rc = user_write(&kernel->space, a[i], &zero, sizeof(zero));
    return rc;
}

int64_t call_sched_yield(struct kernel *kernel, const uint64_t a[6])
{
    (void)a;
    kernel->fresh_slice = true;
    return 0;
}

int64_t call_sched_getscheduler(struct kernel *kernel, const uint64_t a[6])
{
    int rc = check_task(kernel, a[0]);

    return rc < 0 ? rc : SCHED_OTHER;
}

int64_t call_sched_setscheduler(struct kernel *kernel, const uint64_t a[6])
{
    int rc = check_own_task(kernel, a[0]);

    if (rc < 0)
        return rc;
    return (int)a[1] == SCHED_OTHER || (int)a[1] == SCHED_BATCH ||
                   (int)a[1] == SCHED_IDLE
               ? 0
               : -EPERM;
}

int64_t call_sched_getparam(struct kernel *kernel, const uint64_t a[6])
{
    static const uint32_t zero;
    int rc = check_task(kernel, a[0]);

    return rc < 0 ? rc : user_write(&kernel->space, a[1], &zero, sizeof(zero));
}

int64_t call_sched_rr_get_interval(struct kernel *kernel, const uint64_t a[6])
{
    static const struct timespec slice = {.tv_nsec = 5000000};
    int rc = check_task(kernel, a[0]);

    return rc < 0 ? rc
                  : user_write(&kernel->space, a[1], &slice, sizeof(slice));
}

int64_t call_sched_setparam(struct kernel *kernel, const uint64_t a[6])
{
    uint32_t priority = 0;
    int rc = check_own_task(kernel, a[0]);

    if (rc == 0)
        rc = user_read(&kernel->space, &priority, a[1], sizeof(priority));
    return rc < 0 ? rc : priority == 0 ? 0 : -EINVAL;
}

int64_t call_sched_getattr(struct kernel *kernel, const uint64_t a[6])
{
    static const struct {
        uint32_t bytes, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } plain = {.bytes = 48};

    if (a[2] < sizeof(plain))
        return -EINVAL;
    return user_write(&kernel->space, a[1], &plain, sizeof(plain));
}

int64_t call_sched_setattr(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return -EPERM;
}

static int64_t priority_of(uint64_t policy, int64_t real_time)
{
    switch ((int)policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return real_time;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
        return 0;
    default:
        return -EINVAL;
    }
}

int64_t call_sched_get_priority_max(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel;
    return priority_of(a[0], 99);
}

int64_t call_sched_get_priority_min(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel;
    return priority_of(a[0], 1);
}

int64_t call_getpriority(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel, (void)a;
    return 20; /* nice 0, as the call tells it */
}

int64_t call_setpriority(struct kernel *kernel, const uint64_t a[6])
{
    (void)kernel;
    return (int)a[2] >= 0 ? 0 : -EACCES;
}
