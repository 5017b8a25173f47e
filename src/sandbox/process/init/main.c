/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox-init - the first process of a sandbox.
 *
 * It is pid 1 of the sandbox's pid namespace: when it goes, the kernel kills
 * everything in there, and nothing inside can kill it.  So it has one duty that
 * must not fail: to go when the process that embeds the library is gone, killed
 * or not.  A pidfd tells it; PR_SET_PDEATHSIG would not do, for that fires when
 * the *thread* that opened the sandbox ends.
 *
 * It forks pid 2, which builds the sandbox and becomes the guest (guest.c), and
 * stays behind with what pid 2 gives up: its old identity, so that the guest
 * may not touch it and it may remove the guest's cgroup; and the capability to
 * kill, in its own namespace alone.  It reads nothing that a guest could write.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>

#include "sandbox/process/init/init.h"

static struct plan plan;

noreturn void init_fail(enum init_step step, uint32_t detail)
{
    struct report report = {
        .magic = REPORT_MAGIC,
        .step = step,
        .sys = errno,
        .detail = detail,
    };

    (void)!write(INIT_FD_START, &report, sizeof(report));
    _exit(127);
}

/* The guest's cgroup is nobody's but ours: remove it if the caller did not. */
static void remove_cgroup(const char *name)
{
    for (int i = 0; name != NULL && i < PLAN_CGROUPS; i++)
        for (int tries = 0; tries < 100; tries++) {
            if (unlinkat(INIT_FD_CGROUP + i, name, AT_REMOVEDIR) == 0 ||
                errno != EBUSY)
                break;
            poll(NULL, 0, 1);
        }
}

/* The caller is gone.  Leave no process and no cgroup. */
static noreturn void leave(const char *cgroup)
{
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, __WALL) >= 0 || errno == EINTR)
        ;
    remove_cgroup(cgroup);
    _exit(0);
}

/* Wait until the host sent something; go if it never will. */
static void await_host(const char *cgroup)
{
    struct pollfd waits[] = {
        {.fd = INIT_FD_CONTROL, .events = POLLIN},
        {.fd = INIT_FD_CALLER, .events = POLLIN},
    };

    for (;;) {
        if (poll(waits, 2, -1) < 0)
            continue;
        if (waits[1].revents != 0)
            leave(cgroup);
        if (waits[0].revents != 0)
            return;
    }
}

static bool plan_is_whole(ssize_t got)
{
    const size_t head = offsetof(struct plan, text);

    return got > (ssize_t)head && plan.magic == PLAN_MAGIC &&
           plan.text_bytes == (size_t)got - head &&
           plan.text[plan.text_bytes - 1] == '\0' &&
           plan.operation_count <= PLAN_OPERATIONS_MAX &&
           plan.rlimit_count <= PLAN_RLIMITS_MAX &&
           plan.arg_count < PLAN_ARGS_MAX && plan.env_count < PLAN_ARGS_MAX;
}

static void read_plan(const char *cgroup)
{
    ssize_t got = recv(INIT_FD_CONTROL, &plan, sizeof(plan), 0);

    if (got == 0) /* the host gave up */
        leave(cgroup);
    if (got < 0)
        init_fail(STEP_READ_PLAN, 0);
    errno = EPROTO;
    if (!plan_is_whole(got))
        init_fail(STEP_READ_PLAN, 0);
}

static pid_t fork_guest(const char *cgroup)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    int fd = -1;
    long pid;

    if (plan.flags & PLAN_CGROUP_V2) {
        fd = openat(INIT_FD_CGROUP, cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            init_fail(STEP_JOIN_CGROUP, 0);
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)fd;
    }
    pid = fd >= 0 ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
    if (pid < 0)
        init_fail(fd >= 0 ? STEP_JOIN_CGROUP : STEP_FORK, 0);
    if (pid == 0)
        guest_start(&plan, cgroup);
    if (fd >= 0)
        close(fd);
    return (pid_t)pid;
}

/*
 * Tell the host how the guest ended.  Its processes end with it; but we stay:
 * the cgroup holds what the host may want to read, and somebody has to remove
 * it should the caller die before it does.
 */
static void tell(int status, const struct rusage *used)
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

    kill(-1, SIGKILL);
    send(INIT_FD_CONTROL, &ended, sizeof(ended), MSG_NOSIGNAL);
}

/* Bury the guest and its orphans; return when there is none to bury now. */
static void reap(pid_t guest)
{
    struct rusage used;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG | __WALL, &used)) > 0)
        if (pid == guest)
            tell(status, &used);
}

static noreturn void stay(pid_t guest, int signals, const char *cgroup)
{
    struct pollfd waits[] = {
        {.fd = INIT_FD_CALLER, .events = POLLIN},
        {.fd = INIT_FD_CONTROL, .events = 0}, /* hung up: the caller exec'ed */
        {.fd = signals, .events = POLLIN},
    };
    struct signalfd_siginfo info;

    for (;;) {
        reap(guest);
        if (poll(waits, 3, -1) < 0)
            continue;
        if (waits[0].revents != 0 || waits[1].revents != 0)
            leave(cgroup);
        if (waits[2].revents != 0)
            (void)!read(signals, &info, sizeof(info));
    }
}

/* A pipe above the fixed numbers: some of those are free, and closed unseen. */
static bool open_running(int running[2])
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        running[i] = fcntl(low[i], F_DUPFD_CLOEXEC, INIT_FD_COUNT);
        close(low[i]);
    }
    return running[0] >= 0 && running[1] >= 0;
}

/*
 * Wait until pid 2 has become the guest, or is gone: either way its end of this
 * pipe closes, and nobody else has it.  (The host's own pipe may stay open for
 * as long as a process that the caller forked meanwhile.)  A report, if there
 * is one, was written before.
 */
static void await_exec(int running, const char *cgroup)
{
    const uint64_t hello = HELLO_MAGIC;
    struct pollfd waits[] = {
        {.fd = running, .events = POLLIN},
        {.fd = INIT_FD_CALLER, .events = POLLIN},
        {.fd = INIT_FD_CONTROL, .events = 0},
    };

    while (poll(waits, 3, -1) < 0 || waits[0].revents == 0)
        if (waits[1].revents != 0 || waits[2].revents != 0)
            leave(cgroup);
    close(running);
    send(INIT_FD_CONTROL, &hello, sizeof(hello), MSG_NOSIGNAL);
}

/* Signals were blocked by the host before we came to be. */
static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
    const char *cgroup = argc > 1 ? argv[1] : NULL;
    int signals, running[2];
    pid_t guest;

    /* 0 is closed, so it is what the first open gets. */
    if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
        init_fail(STEP_FDS, 0);
    setsid(); /* signals of the caller's terminal are not for us */
    await_host(cgroup);
    read_plan(cgroup);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NAME, "glovebox-init"); /* exec by fd calls it "14" */
    signal(SIGCHLD, SIG_DFL);            /* the caller may have ignored it */
    if (!open_running(running))
        init_fail(STEP_FDS, 0);
    guest = fork_guest(cgroup);

    /* From here on pid 2 reports. */
    close(running[1]);
    close(INIT_FD_START);
    close_range(INIT_FD_OUT, INIT_FD_BELL, 0);
    close_range(INIT_FD_PROGRAM, INIT_FD_FOLDER, 0);
    if ((signals = open_signals()) < 0)
        _exit(127);
    capabilities_drop(UINT64_C(1) << CAP_KILL);
    await_exec(running[0], cgroup);
    stay(guest, signals, cgroup);
}
