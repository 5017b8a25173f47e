/* SPDX-License-Identifier: Apache-2.0 */
/*
 * birth.c - clone without fork.
 *
 * A fork would copy the page tables of a caller that may be huge, and may not
 * be used in one with threads.  So the child shares the caller's memory
 * (CLONE_VM), runs on a small stack of its own while the calling thread waits
 * (CLONE_VFORK), only makes system calls, and leaves by exec.  Signals are
 * blocked meanwhile: a handler of the caller must not run in the child.
 *
 * The system calls of the child go through syscall(): a sanitizer that watches
 * the caller's file descriptors must not take the child's for the caller's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"

#define STACK_BYTES 16384

/*
 * clone() under its other name in the C library.  ThreadSanitizer puts its own
 * function in front of the first, which takes every clone for a fork, and from
 * then on confuses the caller with the child.
 */
int __clone(int (*fn)(void *), void *stack, int flags, void *context, ...);

static const int all_namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
                                  CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

struct delivery {
    const struct birth *birth;
    char *argv[3];
    char *envp[1];
    int sys; /* of the exec that failed, or 0 */
};

/*
 * Move all to high numbers first, so that none is overwritten before it is
 * moved: the caller's numbers and ours may overlap.
 */
CHILD_CODE static int move_fds(const struct birth *birth)
{
    int high[INIT_FD_COUNT];

    for (int i = 0; i < INIT_FD_COUNT; i++) {
        high[i] = -1;
        if (birth->fd[i] < 0)
            continue;
        high[i] = (int)syscall(SYS_fcntl, birth->fd[i], F_DUPFD, INIT_FD_COUNT);
        if (high[i] < 0)
            return -1;
    }
    for (int i = 0; i < INIT_FD_COUNT; i++) {
        if (high[i] < 0)
            syscall(SYS_close, i);
        else if (syscall(SYS_dup3, high[i], i,
                         i == INIT_FD_SELF ? O_CLOEXEC : 0) < 0)
            return -1;
    }
    return (int)syscall(SYS_close_range, INIT_FD_COUNT, ~0u, 0);
}

/*
 * In its new user namespace the child may do anything, but an exec by one who
 * is not root in there takes that away.  Ambient capabilities stay.
 */
CHILD_CODE static int keep_capabilities(const struct birth *birth)
{
    static const int kept[] = {
        CAP_SYS_ADMIN, CAP_SETUID,      CAP_SETGID, CAP_SETPCAP,
        CAP_KILL,      CAP_DAC_OVERRIDE /* the last: an overlay works in a
                                           directory that is closed to all */
    };
    const size_t count = ARRAY_SIZE(kept) - (birth->has_stage ? 0 : 1);
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return -1;
    data[0].inheritable = data[0].permitted;
    data[1].inheritable = data[1].permitted;
    if (syscall(SYS_capset, &head, data) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0,
                    0) < 0)
            return -1;
    return 0;
}

CHILD_CODE static int deliver(void *context)
{
    struct delivery *delivery = context;

    if (keep_capabilities(delivery->birth) == 0 &&
        move_fds(delivery->birth) == 0)
        syscall(SYS_execveat, INIT_FD_SELF, "", delivery->argv, delivery->envp,
                AT_EMPTY_PATH);
    delivery->sys = errno;
    syscall(SYS_exit_group, 127);
    return 127;
}

/* The waiting thread and its child share errno, too: what it holds is theirs.
 */
CHILD_CODE static pid_t clone_waiting(int (*fn)(void *), void *context,
                                      int flags, int *pidfd)
{
    _Alignas(16) char stack[STACK_BYTES];
    sigset_t all, before;
    pid_t pid;
    int sys;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = __clone(fn, stack + sizeof(stack),
                  flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD, context, pidfd);
    sys = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    return pid;
}

bool birth_await(int pidfd, int wait_ms)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    int rc;

    while ((rc = poll(&gone, 1, wait_ms)) < 0 && errno == EINTR)
        ;
    return rc > 0;
}

void birth_end(int pidfd)
{
    siginfo_t info;

    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0)
        if (errno != EINTR) {
            /* A caller that waits for any child may have been first. */
            birth_await(pidfd, -1);
            return;
        }
}

pid_t birth_init(const struct birth *birth, int *pidfd, bool *execed)
{
    static char name[] = "glovebox-init";
    char second[PLAN_NAME_MAX];
    struct delivery delivery = {
        .birth = birth,
        .argv = {name, second},
    };
    pid_t pid;

    snprintf(second, sizeof(second), "%s", birth->name);
    *execed = false;
    *pidfd = -1;
    pid = clone_waiting(deliver, &delivery, all_namespaces | SIGCHLD, pidfd);
    if (pid < 0)
        return -1;
    *execed = true;
    if (delivery.sys != 0) {
        birth_end(*pidfd);
        close_fd(pidfd);
        errno = delivery.sys;
        return -1;
    }
    return pid;
}

int birth_try(int (*fn)(void *), void *context, int namespaces)
{
    auto_fd int pidfd = -1;
    siginfo_t info = {0};

    if (clone_waiting(fn, context, namespaces, &pidfd) < 0)
        return -1;
    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0)
        if (errno != EINTR)
            return -1;
    errno = EIO;
    return info.si_code == CLD_EXITED ? info.si_status : -1;
}

static int write_file(pid_t pid, const char *name, const char *text)
{
    char path[64];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    if ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
        return -1;
    return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

int birth_map(pid_t pid, const struct birth_ids *inside,
              const struct birth_ids *outside, bool privileged)
{
    char text[64];

    snprintf(text, sizeof(text), "%u %u 1\n", inside->uid, outside->uid);
    if (write_file(pid, "uid_map", text) < 0)
        return -1;

    /* Without privileges the kernel wants it promised that nobody leaves a
     * group: a group can be there to deny something. */
    if (!privileged && write_file(pid, "setgroups", "deny") < 0)
        return -1;
    snprintf(text, sizeof(text), "%u %u 1\n", inside->gid, outside->gid);
    return write_file(pid, "gid_map", text);
}

/* Until it is killed, or nobody is left who could. */
CHILD_CODE static int hold_namespace(void *context)
{
    struct pollfd wait = {.fd = *(const int *)context, .events = POLLIN};

    syscall(SYS_ppoll, &wait, 1, NULL, NULL, 0);
    syscall(SYS_exit_group, 0);
    return 0;
}

/*
 * A namespace has to be held by a process until we opened it.  This one runs
 * beside us.  It is no child to anybody who does not ask with __WALL, and tells
 * nobody of its end: its exit signal is 0.
 */
int birth_idmap(int caller, const struct birth_ids *files,
                const struct birth_ids *shown)
{
    _Alignas(16) char stack[STACK_BYTES];
    auto_fd int pidfd = -1;
    sigset_t all, before;
    char path[64];
    int fd = -1, sys;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = __clone(hold_namespace, stack + sizeof(stack),
                  CLONE_VM | CLONE_PIDFD | CLONE_NEWUSER, &caller, &pidfd);
    sys = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    if (pid < 0)
        return -1;
    if (birth_map(pid, files, shown, true) == 0) {
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    sys = errno;
    birth_end(pidfd);
    errno = sys;
    return fd;
}
