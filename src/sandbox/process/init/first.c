/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first.c - pid 1 of a sandbox.
 *
 * When it goes, the kernel kills everything in its pid namespace, and nothing
 * inside can kill it.  So it has one duty that must not fail: to go when the
 * process that embeds the library is gone, killed or not.  A pidfd tells it;
 * PR_SET_PDEATHSIG would not do, for that fires when the *thread* that opened
 * the sandbox ends.  It reads nothing that a guest could write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"

void init_report(int fd, enum init_step step, uint32_t detail)
{
    struct report report = {
        .magic = REPORT_MAGIC,
        .step = step,
        .sys = errno,
        .detail = detail,
    };

    (void)!write(fd, &report, sizeof(report));
}

noreturn void init_fail(enum init_step step, uint32_t detail)
{
    init_report(INIT_FD_START, step, detail);
    _exit(127);
}

bool plan_is_whole(const struct plan *plan, size_t got)
{
    const size_t head = offsetof(struct plan, text);

    return got > head && plan->magic == PLAN_MAGIC &&
           plan->text_bytes == got - head &&
           plan->text[plan->text_bytes - 1] == '\0' &&
           plan->operation_count <= PLAN_OPERATIONS_MAX &&
           plan->rlimit_count <= PLAN_RLIMITS_MAX &&
           plan->arg_count < PLAN_ARGS_MAX && plan->env_count < PLAN_ARGS_MAX;
}

static void remove_directory(int parent, const char *name)
{
    for (int tries = 0; tries < 100; tries++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
            break;
        poll(NULL, 0, 1);
    }
}

/* A zygote's copies have their cgroups in that of the zygote. */
static void remove_inner(int parent, const char *name)
{
    static _Alignas(struct dirent64) char entries[4096];
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t got;

    while (dir >= 0 && (got = getdents64(dir, entries, sizeof(entries))) > 0)
        for (char *at = entries; at < entries + got;) {
            const struct dirent64 *entry = (const void *)at;

            if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                remove_directory(dir, entry->d_name);
            at += entry->d_reclen;
        }
    if (dir >= 0)
        close(dir);
}

/* It is nobody's but ours: remove it if the caller did not. */
static void remove_cgroup(const char *name)
{
    for (int i = 0; name != NULL && i < PLAN_CGROUPS; i++) {
        remove_inner(INIT_FD_CGROUP + i, name);
        remove_directory(INIT_FD_CGROUP + i, name);
    }
}

noreturn void init_leave(const char *cgroup)
{
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, __WALL) >= 0 || errno == EINTR)
        ;
    remove_cgroup(cgroup);
    _exit(0);
}

/*
 * Tell the host how the guest ended.  Its processes end with it; but we stay:
 * the cgroup holds what the host may want to read, and somebody has to remove
 * it should the caller die before it does.
 */
static void tell(const struct init_duty *duty, int status,
                 const struct rusage *used)
{
    struct ended ended = {
        .magic = ENDED_MAGIC,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
        .cpu_ns =
            (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) *
                1000000000u +
            (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1000u,
    };

    if (!duty->spares)
        kill(-1, SIGKILL);
    send(INIT_FD_CONTROL, &ended, sizeof(ended), MSG_NOSIGNAL);
}

/* Bury the guest and its orphans; return when there is none to bury now. */
static void reap(const struct init_duty *duty)
{
    struct rusage used;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG | __WALL, &used)) > 0)
        if (pid == duty->guest)
            tell(duty, status, &used);
}

int init_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

noreturn void init_stay(const struct init_duty *duty)
{
    struct pollfd waits[] = {
        {.fd = INIT_FD_CALLER, .events = POLLIN},
        {.fd = INIT_FD_CONTROL, .events = 0}, /* hung up: the caller exec'ed */
        {.fd = duty->signals, .events = POLLIN},
    };
    struct signalfd_siginfo info;

    for (;;) {
        reap(duty);
        if (poll(waits, 3, -1) < 0)
            continue;
        if (waits[0].revents != 0 || waits[1].revents != 0)
            init_leave(duty->cgroup);
        if (waits[2].revents != 0)
            (void)!read(duty->signals, &info, sizeof(info));
    }
}
