/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox-init - the first process of a sandbox (first.c says what for).
 *
 * It forks pid 2, which builds the sandbox and becomes the guest (guest.c), and
 * stays behind with what pid 2 gives up: its old identity, so that the guest
 * may not touch it and it may remove the guest's cgroup; and the capability to
 * kill, in its own namespace alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>

#include "sandbox/process/init/init.h"

static struct plan plan;

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
            init_leave(cgroup);
        if (waits[0].revents != 0)
            return;
    }
}

static void read_plan(const char *cgroup)
{
    ssize_t got = recv(INIT_FD_CONTROL, &plan, sizeof(plan), 0);

    if (got == 0) /* the host gave up */
        init_leave(cgroup);
    if (got < 0)
        init_fail(STEP_READ_PLAN, 0);
    errno = EPROTO;
    if (!plan_is_whole(&plan, (size_t)got))
        init_fail(STEP_READ_PLAN, 0);
}

static pid_t fork_guest(const char *cgroup)
{
    static const pid_t number = 3;
    struct clone_args args = {.exit_signal = SIGCHLD};
    int fd = -1;
    long pid;

    /* A copy is pid 2 of its own: programs notice by it that they are one. */
    if (plan.flags & PLAN_ZYGOTE) {
        args.set_tid = (uintptr_t)&number;
        args.set_tid_size = 1;
    }

    if (plan.flags & PLAN_CGROUP_V2) {
        fd = openat(INIT_FD_CGROUP, cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            init_fail(STEP_JOIN_CGROUP, 0);
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)fd;
    }
    pid = fd >= 0 || args.set_tid_size > 0
              ? syscall(SYS_clone3, &args, sizeof(args))
              : fork();
    if (pid < 0)
        init_fail(fd >= 0 ? STEP_JOIN_CGROUP : STEP_FORK, 0);
    if (pid == 0)
        guest_start(&plan, cgroup);
    if (fd >= 0)
        close(fd);
    return (pid_t)pid;
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
            init_leave(cgroup);
    close(running);
    send(INIT_FD_CONTROL, &hello, sizeof(hello), MSG_NOSIGNAL);
}

/* Where the guest itself belongs. */
static const char *leaf_of(const char *cgroup)
{
    static char leaf[PLAN_NAME_MAX + sizeof(PLAN_ZYGOTE_CGROUP)];

    if (cgroup == NULL || !(plan.flags & PLAN_ZYGOTE))
        return cgroup;
    snprintf(leaf, sizeof(leaf), "%s/" PLAN_ZYGOTE_CGROUP, cgroup);
    return leaf;
}

/* The argument: the sandbox's name, which is its cgroup's. */
int main(int argc, char **argv)
{
    const char *cgroup = argc > 1 ? argv[1] : NULL;
    struct init_duty duty = {.cgroup = cgroup};
    int running[2];

    /* If 0 is closed, it is what the first open gets. */
    if (fcntl(INIT_FD_IN, F_GETFD) < 0 &&
        open("/dev/null", O_RDONLY) != INIT_FD_IN)
        init_fail(STEP_FDS, 0);
    setsid(); /* signals of the caller's terminal are not for us */
    await_host(cgroup);
    read_plan(cgroup);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NAME, "glovebox-init"); /* exec by fd calls it "14" */
    signal(SIGCHLD, SIG_DFL);            /* the caller may have ignored it */
    if (!open_running(running))
        init_fail(STEP_FDS, 0);
    duty.guest = fork_guest(leaf_of(cgroup));
    duty.spares = plan.flags & PLAN_ZYGOTE;

    /* From here on pid 2 reports. */
    close(running[1]);
    close(INIT_FD_START);
    close_range(INIT_FD_IN, INIT_FD_BELL, 0);
    close_range(INIT_FD_PROGRAM, INIT_FD_ROOT, 0);
    close_range(INIT_FD_GRANT, INIT_FD_COUNT - 1, 0);
    /* Signals were blocked by the host before we came to be. */
    capabilities_drop(UINT64_C(1) << CAP_KILL);
    await_exec(running[0], cgroup);
    init_stay(&duty);
}
