/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_calls.c - system calls that no guest may make: each is made, and told
 * when it was not refused with the errno that src/sandbox/process/filter.c
 * documents.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "glovebox/abi/region.h"
#include "tests/isolation/guest.h"

#define CALL(name, want, ...)                                                  \
    do {                                                                       \
        errno = 0;                                                             \
        long rc_ = syscall(SYS_##name, ##__VA_ARGS__);                         \
        if (rc_ >= 0 || errno != (want))                                       \
            printf("%s %ld %d\n", #name, rc_, errno);                          \
    } while (0)

static char page[4096];

static void of_the_privileged(void)
{
    CALL(mount, EPERM, "none", "/tmp", "tmpfs", 0, "");
    CALL(umount2, EPERM, "/tmp", 0);
    CALL(pivot_root, EPERM, ".", ".");
    CALL(chroot, EPERM, "/tmp");
    CALL(open_tree, EPERM, AT_FDCWD, "/", 1);
    CALL(move_mount, EPERM, 0, "", 0, "", 0);
    CALL(fsopen, EPERM, "tmpfs", 0);
    CALL(mount_setattr, EPERM, AT_FDCWD, "/", 0, page, 32);
    CALL(unshare, EPERM, CLONE_NEWUSER);
    CALL(setns, EPERM, 0, 0);
    CALL(clone, EPERM, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    CALL(clone, EPERM, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    CALL(clone3, ENOSYS, page, 88);
    CALL(ptrace, EPERM, PTRACE_TRACEME, 0, 0, 0);
    CALL(process_vm_readv, EPERM, 1, page, 1, page, 1, 0);
    CALL(process_vm_writev, EPERM, 1, page, 1, page, 1, 0);
    CALL(pidfd_getfd, EPERM, 0, 0, 0);
    CALL(kcmp, EPERM, 1, 2, 0, 0, 0);
    CALL(bpf, EPERM, 0, page, 16);
    CALL(perf_event_open, EPERM, page, 0, -1, -1, 0);
    CALL(userfaultfd, EPERM, 0);
    CALL(keyctl, EPERM, 0, 0, 0, 0, 0);
    CALL(add_key, EPERM, "user", "x", "y", 1, -1);
    CALL(request_key, EPERM, "user", "x", 0, -1);
}

static void of_newer_kernels(void)
{
    CALL(io_uring_setup, ENOSYS, 1, page);
    CALL(memfd_create, ENOSYS, "x", 0);
    CALL(shmget, ENOSYS, 0, 4096, 01600);
    CALL(seccomp, EPERM, 0, 0, 0);
    CALL(name_to_handle_at, EPERM, AT_FDCWD, "/", page, page, 0);
    CALL(open_by_handle_at, EPERM, AT_FDCWD, page, 0);
    CALL(reboot, EPERM, 0, 0, 0, 0);
    CALL(sethostname, EPERM, "x", 1);
    CALL(setuid, EPERM, 0);
    CALL(setresuid, EPERM, 0, 0, 0);
    CALL(setgroups, EPERM, 0, 0);
    CALL(capset, EPERM, page, page);
    CALL(init_module, EPERM, page, 1, "");
    CALL(syslog, EPERM, 3, page, 1);
    CALL(personality, ENOSYS, 0x0040000);
    CALL(prlimit64, ENOSYS, 1, RLIMIT_CORE, 0, page);
    CALL(splice, ENOSYS, 0, 0, 1, 0, 1, 0);
    CALL(inotify_init1, ENOSYS, 0);
}

static void with_some_arguments(void)
{
    CALL(socket, EACCES, AF_UNIX, SOCK_STREAM, 0);
    CALL(socket, EACCES, AF_INET, SOCK_STREAM, 0);
    CALL(socket, EACCES, AF_INET6, SOCK_DGRAM, 0);
    CALL(socket, EACCES, AF_NETLINK, SOCK_RAW, 0);
    CALL(socket, EACCES, AF_PACKET, SOCK_RAW, 0);
    CALL(connect, EACCES, 0, page, 0);
    CALL(bind, EACCES, 0, page, 0);
    CALL(socketpair, ENOSYS, AF_UNIX, SOCK_DGRAM, 0, page);
    CALL(ioctl, ENOSYS, 1, TIOCSTI, page);
    CALL(fcntl, ENOSYS, GBX_FD_GUEST_HALF, F_ADD_SEALS, F_SEAL_GROW);
    CALL(prctl, ENOSYS, PR_SET_SECCOMP, 1, 0, 0, 0);
    CALL(mmap, EPERM, 0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CALL(mmap, EPERM, 0, 4096, PROT_READ,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    CALL(mmap, EPERM, 0, 2 << 20, PROT_READ,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    errno = 0;
    if (syscall(1000) >= 0 || errno != ENOSYS)
        printf("1000 %d\n", errno);
}

static int forbidden_calls(void)
{
    of_the_privileged();
    of_newer_kernels();
    with_some_arguments();
    return 0;
}

const struct guest_kind guest_calls[] = {
    {"calls", forbidden_calls},
    {NULL, NULL},
};
