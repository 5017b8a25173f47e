/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first.c - pid 1 of a sandbox.
 *
 * When it goes, the kernel kills everything in its pid namespace, and nothing
 * inside can kill it.  So it has one duty that must not fail: to go when the
 * process that embeds the library is gone, killed or not.  A pidfd tells it;
 * PR_SET_PDEATHSIG would not do, for that fires when the *thread* that opened
 * the sandbox ends.  It reads nothing that a guest could write.
 *
 * Nothing in here uses the C library: pid 1 of a zygote's copy comes here from
 * its exec, without that library's start.  That asks the CPU what it is, which
 * takes 0.25 ms in a virtual machine, and the guest may wait for the CPU
 * meanwhile.  (Nor may the compiler call the library by itself: the build
 * looks, in libexec/meson.build.)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sandbox/process/init/call.h"
#include "sandbox/process/init/init.h"

static noreturn void leave(int status)
{
    for (;;)
        call(SYS_exit_group, (uint64_t)status, 0, 0, 0);
}

static void remove_directory(int parent, const char *name)
{
    for (int tries = 0; tries < 100; tries++) {
        if (call(SYS_unlinkat, (uint64_t)parent, AT(name), AT_REMOVEDIR, 0) !=
            -EBUSY)
            break;
        call(SYS_poll, 0, 0, 1, 0);
    }
}

/* A zygote's copies have their cgroups in that of the zygote. */
static void remove_inner(int parent, const char *name)
{
    static _Alignas(struct dirent64) char entries[4096];
    const int dir = (int)call(SYS_openat, (uint64_t)parent, AT(name),
                              O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long got;

    while (dir >= 0 && (got = call(SYS_getdents64, (uint64_t)dir, AT(entries),
                                   sizeof(entries), 0)) > 0)
        for (char *at = entries; at < entries + got;) {
            const struct dirent64 *entry = (const void *)at;

            if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                remove_directory(dir, entry->d_name);
            at += entry->d_reclen;
        }
    if (dir >= 0)
        call(SYS_close, (uint64_t)dir, 0, 0, 0);
}

/* It is nobody's but ours: remove it if the caller did not. */
static void remove_cgroup(const char *name)
{
    for (int i = 0; name != NULL && i < PLAN_CGROUPS; i++) {
        remove_inner(INIT_FD_CGROUP + i, name);
        remove_directory(INIT_FD_CGROUP + i, name);
    }
}

static void kill_all(void)
{
    call(SYS_kill, (uint64_t)-1, SIGKILL, 0, 0);
}

noreturn void init_leave(const char *cgroup)
{
    kill_all();
    while (call(SYS_wait4, (uint64_t)-1, 0, __WALL, 0) != -ECHILD)
        ;
    remove_cgroup(cgroup);
    leave(0);
}

static uint64_t in_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u +
           (uint64_t)time->tv_usec * 1000u;
}

/*
 * Tell the host how the guest ended.  Its processes end with it; but we stay:
 * the cgroup holds what the host may want to read, and somebody has to remove
 * it should the caller die before it does.
 */
static void tell(const struct init_duty *duty, int status,
                 const struct rusage *used)
{
    const struct ended ended = {
        .magic = ENDED_MAGIC,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
        .cpu_ns = in_ns(&used->ru_utime) + in_ns(&used->ru_stime),
    };

    if (!duty->spares)
        kill_all();
    call6(SYS_sendto, INIT_FD_CONTROL, AT(&ended), sizeof(ended), MSG_NOSIGNAL,
          0, 0);
}

/* Bury the guest and its orphans; return when there is none to bury now. */
static void reap(const struct init_duty *duty)
{
    struct rusage used;
    int status;
    long pid;

    while ((pid = call(SYS_wait4, (uint64_t)-1, AT(&status), WNOHANG | __WALL,
                       AT(&used))) > 0)
        if (pid == duty->guest)
            tell(duty, status, &used);
}

noreturn void init_stay(const struct init_duty *duty)
{
    const uint64_t child = 1u << (SIGCHLD - 1);
    const long signals = call(SYS_signalfd4, (uint64_t)-1, AT(&child),
                              sizeof(child), SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd waits[] = {
        {.fd = INIT_FD_CALLER, .events = POLLIN},
        {.fd = INIT_FD_CONTROL, .events = 0}, /* hung up: the caller exec'ed */
        {.fd = (int)signals, .events = POLLIN},
    };
    struct signalfd_siginfo info;

    if (signals < 0)
        leave(127);
    for (;;) {
        reap(duty);
        if (call(SYS_poll, AT(waits), 3, (uint64_t)-1, 0) < 0)
            continue;
        if (waits[0].revents != 0 || waits[1].revents != 0)
            init_leave(duty->cgroup);
        if (waits[2].revents != 0)
            call(SYS_read, (uint64_t)signals, AT(&info), sizeof(info), 0);
    }
}

/* Arguments as a zygote gives them: a name for who lists processes, and the
 * number of the guest. */
noreturn void init_first(const uint64_t *stack)
{
    static const char name[] = "glovebox-init";
    const char *number = (const char *)(uintptr_t)stack[3];
    const uint64_t all = ~UINT64_C(0);
    struct init_duty duty = {.guest = 0};

    for (; *number >= '0' && *number <= '9'; number++)
        duty.guest = duty.guest * 10 + (*number - '0');
    call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
    call(SYS_prctl, PR_SET_NAME, AT(name), 0, 0);
    call(SYS_rt_sigprocmask, SIG_SETMASK, AT(&all), 0, sizeof(all));
    call(SYS_close_range, INIT_FD_OUT, INIT_FD_BELL, 0, 0);
    call(SYS_close, INIT_FD_START, 0, 0, 0);
    call(SYS_close, ORDER_FD_INIT, 0, 0, 0);
    init_stay(&duty);
}

/* Where the kernel starts this program: on a stack that holds argc, argv. */
__asm__(".globl init_entry\n"
        "init_entry:\n"
        "    cmpq $3, (%rsp)\n"
        "    jne _start\n"
        "    mov %rsp, %rdi\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call init_first\n");
