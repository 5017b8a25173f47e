/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c - the list of system calls that a guest may make; a program of the
 * build, which prints the filter that libseccomp makes of it as C.  To make
 * it anew in each process would cost a tenth of a sandbox's start (1.5 ms), and
 * the filter depends on nothing but this list.
 *
 * An allow-list: it holds what CPython with its standard library, numpy,
 * threads, and programs of /usr need.  The answers to the rest are chosen for
 * who reads them:
 *
 *  ENOSYS  what is on no list, so that libraries use an older way, as they do
 *          on an older kernel (clone3, openat2, memfd_create, io_uring_setup);
 *  EPERM   what only a privileged process may do: the usual answer;
 *  EACCES  sockets: "Permission denied" is what a script's author should read.
 *
 * Memory is counted by RLIMIT_DATA, which sees private memory alone.  So there
 * is no other: no shared anonymous memory, no memfd, no System V segments, no
 * mapping that grows down (counted as stack), no huge pages.  Processes share
 * memory through files in /tmp, whose size is limited.
 *
 * No socket has a name: a socket in a folder that the guest sees belongs to the
 * host, and connecting to it asks neither the network namespace nor a read-only
 * mount.  socketpair is enough for event loops; its two types cannot be
 * addressed anew (a datagram socket can).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/process/plan.h"

/* Names, because not every machine has every call. */
static const char allowed[] =
    /* files */
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 "
    "dup3 faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat "
    "fchmodat2 fchown fchownat fdatasync fgetxattr flistxattr flock fstat "
    "fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr "
    "lchown lgetxattr link linkat listxattr llistxattr lseek lstat mkdir "
    "mkdirat mknod mknodat newfstatat open openat pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename "
    "renameat renameat2 rmdir sendfile stat statfs statx symlink symlinkat "
    "sync_file_range truncate umask unlink unlinkat utime utimensat utimes "
    "write writev pipe pipe2 "
    /* waiting */
    "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait "
    "eventfd eventfd2 poll ppoll pselect6 select signalfd signalfd4 "
    "timerfd_create timerfd_gettime timerfd_settime "
    /* memory */
    "brk madvise mincore mlock mlock2 mprotect mremap msync munlock munmap "
    /* sockets that have no name */
    "getpeername getsockname getsockopt recvfrom recvmmsg recvmsg sendmmsg "
    "sendmsg sendto shutdown "
    /* processes, threads, signals */
    "arch_prctl execve execveat exit exit_group fork futex futex_requeue "
    "futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu "
    "getegid geteuid getgid getgroups getpgid getpgrp getpid getppid "
    "getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid "
    "capget kill membarrier pause pidfd_open pidfd_send_signal restart_syscall "
    "rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity "
    "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_setaffinity sched_yield set_robust_list set_tid_address setpgid "
    "setpriority setrlimit setsid sigaltstack tgkill tkill uname vfork wait4 "
    "waitid "
    /* time, chance */
    "alarm clock_getres clock_gettime clock_nanosleep getitimer getrandom "
    "gettimeofday nanosleep setitimer sysinfo time timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_settime times ";

static const char privileged[] =
    "acct add_key adjtimex bpf capset chroot clock_adjtime clock_settime "
    "delete_module fanotify_init fanotify_mark finit_module fsconfig fsmount "
    "fsopen fspick init_module ioperm iopl kcmp kexec_file_load kexec_load "
    "keyctl lookup_dcookie mount mount_setattr move_mount name_to_handle_at "
    "nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd "
    "pivot_root process_madvise process_vm_readv process_vm_writev ptrace "
    "quotactl reboot request_key sched_setattr sched_setparam "
    "sched_setscheduler seccomp setdomainname setfsgid setfsuid setgid "
    "setgroups sethostname setns setregid setresgid setresuid setreuid "
    "settimeofday setuid stime swapoff swapon syslog umount umount2 unshare "
    "userfaultfd vhangup ";

/*
 * What a copy of a zygote calls until it is sealed, and no guest may.  It has
 * the filter in two parts: nearly all is in the outer one, which its zygote is
 * under already, and only these calls are forbidden when it becomes a guest.
 * The kernel compiles a filter when it is installed, 0.2 us for an instruction:
 * a tenth of a copy's whole birth for this list.
 */
static const char sealing[] =
    "capset clone3 fsconfig fsmount fsopen landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self mount_setattr move_mount "
    "seccomp unshare ";
static const int sealing_options[] = {PR_CAPBSET_DROP, PR_CAP_AMBIENT};

static const char named_sockets[] =
    "accept accept4 bind connect listen socket socketcall ";

static const char extended_attributes[] =
    "fremovexattr fsetxattr lremovexattr lsetxattr removexattr setxattr ";

/*
 * One call, one argument, one value under a mask: allowed (0), or an errno.
 * What no rule fits gets the default answer.
 */
struct argument_rule {
    const char *call;
    unsigned argument;
    uint32_t mask, value;
    int sys;
};

#define ALL           0xffffffffu
#define SHARED_MEMORY (MAP_SHARED | MAP_ANONYMOUS)
#define MAPPING_MASK  (SHARED_MEMORY | MAP_GROWSDOWN | MAP_HUGETLB)
#define NAMESPACES                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |             \
     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static const struct argument_rule argument_rules[] = {
    {"clone", 0, NAMESPACES, 0, 0},
    {"clone", 0, CLONE_NEWNS, CLONE_NEWNS, EPERM},
    {"clone", 0, CLONE_NEWCGROUP, CLONE_NEWCGROUP, EPERM},
    {"clone", 0, CLONE_NEWUTS, CLONE_NEWUTS, EPERM},
    {"clone", 0, CLONE_NEWIPC, CLONE_NEWIPC, EPERM},
    {"clone", 0, CLONE_NEWUSER, CLONE_NEWUSER, EPERM},
    {"clone", 0, CLONE_NEWPID, CLONE_NEWPID, EPERM},
    {"clone", 0, CLONE_NEWNET, CLONE_NEWNET, EPERM},
    {"mmap", 3, MAPPING_MASK, 0, 0},
    {"mmap", 3, MAPPING_MASK, MAP_ANONYMOUS, 0},
    {"mmap", 3, MAPPING_MASK, MAP_SHARED, 0},
    {"mmap", 3, SHARED_MEMORY, SHARED_MEMORY, EPERM},
    {"mmap", 3, MAP_GROWSDOWN, MAP_GROWSDOWN, EPERM},
    {"mmap", 3, MAP_HUGETLB, MAP_HUGETLB, EPERM},
    {"prlimit64", 0, ALL, 0, 0}, /* of itself */
    {"personality", 0, ALL, 0, 0},
    {"personality", 0, ALL, ALL, 0},
    {"ioctl", 1, ALL, TCGETS, 0},
    {"ioctl", 1, ALL, TIOCGWINSZ, 0},
    {"ioctl", 1, ALL, FIONREAD, 0},
    {"ioctl", 1, ALL, FIONBIO, 0},
    {"ioctl", 1, ALL, FIOCLEX, 0},
    {"ioctl", 1, ALL, FIONCLEX, 0},
    {"fcntl", 1, ALL, F_DUPFD, 0},
    {"fcntl", 1, ALL, F_DUPFD_CLOEXEC, 0},
    {"fcntl", 1, ALL, F_GETFD, 0},
    {"fcntl", 1, ALL, F_SETFD, 0},
    {"fcntl", 1, ALL, F_GETFL, 0},
    {"fcntl", 1, ALL, F_SETFL, 0},
    {"fcntl", 1, ALL, F_GETLK, 0},
    {"fcntl", 1, ALL, F_SETLK, 0},
    {"fcntl", 1, ALL, F_SETLKW, 0},
    {"fcntl", 1, ALL, F_OFD_GETLK, 0},
    {"fcntl", 1, ALL, F_OFD_SETLK, 0},
    {"fcntl", 1, ALL, F_OFD_SETLKW, 0},
    {"fcntl", 1, ALL, F_GETOWN, 0},
    {"fcntl", 1, ALL, F_GETSIG, 0},
    {"fcntl", 1, ALL, F_GETPIPE_SZ, 0},
    {"fcntl", 1, ALL, F_GET_SEALS, 0},
    {"setsockopt", 2, ALL, SO_REUSEADDR, 0},
    {"setsockopt", 2, ALL, SO_KEEPALIVE, 0},
    {"setsockopt", 2, ALL, SO_RCVTIMEO, 0},
    {"setsockopt", 2, ALL, SO_SNDTIMEO, 0},
    {"setsockopt", 2, ALL, SO_PASSCRED, 0},
    {"prctl", 0, ALL, PR_SET_NAME, 0},
    {"prctl", 0, ALL, PR_GET_NAME, 0},
    {"prctl", 0, ALL, PR_SET_PDEATHSIG, 0},
    {"prctl", 0, ALL, PR_GET_PDEATHSIG, 0},
    {"prctl", 0, ALL, PR_SET_DUMPABLE, 0},
    {"prctl", 0, ALL, PR_GET_DUMPABLE, 0},
    {"prctl", 0, ALL, PR_SET_NO_NEW_PRIVS, 0},
    {"prctl", 0, ALL, PR_GET_NO_NEW_PRIVS, 0},
    {"prctl", 0, ALL, PR_CAPBSET_READ, 0},
    {"prctl", 0, ALL, PR_GET_SECCOMP, 0},
    {"prctl", 0, ALL, PR_SET_TIMERSLACK, 0},
    {"prctl", 0, ALL, PR_GET_TIMERSLACK, 0},
    {"prctl", 0, ALL, PR_SET_THP_DISABLE, 0},
    {"prctl", 0, ALL, PR_GET_THP_DISABLE, 0},
    {"prctl", 0, ALL, PR_SET_VMA, 0},
};

/* One rule; a call that this machine does not have needs none. */
static bool add(scmp_filter_ctx context, uint32_t action, const char *call,
                const struct scmp_arg_cmp *arguments, unsigned count)
{
    int number = seccomp_syscall_resolve_name(call);

    if (number < 0)
        return true;
    return seccomp_rule_add_array(context, action, number, count, arguments) ==
           0;
}

static bool has_word(const char *names, const char *word)
{
    const size_t bytes = strlen(word);

    for (const char *at = names; (at = strstr(at, word)) != NULL; at += bytes)
        if ((at == names || at[-1] == ' ') && at[bytes] == ' ')
            return true;
    return false;
}

/* Take the first of a list, if there is one. */
static bool next_word(const char **names, char name[32])
{
    const char *end = strchr(*names, ' ');
    size_t bytes = end == NULL ? 0 : (size_t)(end - *names);

    if (end == NULL)
        return false;
    must(bytes > 0 && bytes < 32);
    memcpy(name, *names, bytes);
    name[bytes] = '\0';
    *names = end + 1;
    return true;
}

/* Each of one list, but for those of another. */
static bool add_all(scmp_filter_ctx context, uint32_t action, const char *names,
                    const char *but)
{
    char name[32];

    while (next_word(&names, name))
        if (!has_word(but, name) && !add(context, action, name, NULL, 0))
            return false;
    return true;
}

static bool add_options(scmp_filter_ctx context, uint32_t action)
{
    for (size_t i = 0; i < ARRAY_SIZE(sealing_options); i++) {
        struct scmp_arg_cmp is = SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, ALL,
                                            (scmp_datum_t)sealing_options[i]);

        if (!add(context, action, "prctl", &is, 1))
            return false;
    }
    return true;
}

/*
 * The kernel takes these arguments as 32 bits: the upper half is not looked at.
 */
static bool add_argument_rules(scmp_filter_ctx context)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

    for (size_t i = 0; i < ARRAY_SIZE(argument_rules); i++) {
        const struct argument_rule *rule = &argument_rules[i];
        struct scmp_arg_cmp is = SCMP_CMP64(rule->argument, SCMP_CMP_MASKED_EQ,
                                            rule->mask, rule->value);

        if (!add(context,
                 rule->sys == 0 ? SCMP_ACT_ALLOW
                                : SCMP_ACT_ERRNO((uint32_t)rule->sys),
                 rule->call, &is, 1))
            return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct scmp_arg_cmp is[] = {
            SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, ALL, AF_UNIX),
            SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[i]),
        };

        if (!add(context, SCMP_ACT_ALLOW, "socketpair", is, 2))
            return false;
    }
    return true;
}

static bool configure(scmp_filter_ctx context)
{
    return seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH,
                            SCMP_ACT_KILL_PROCESS) == 0 &&
           seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
}

static bool fill_but(scmp_filter_ctx context, const char *but)
{
    return configure(context) &&
           add_all(context, SCMP_ACT_ALLOW, allowed, but) &&
           add_all(context, SCMP_ACT_ERRNO(EPERM), privileged, but) &&
           add_all(context, SCMP_ACT_ERRNO(EACCES), named_sockets, but) &&
           add_all(context, SCMP_ACT_ERRNO(EOPNOTSUPP), extended_attributes,
                   but) &&
           add_argument_rules(context);
}

static bool fill_whole(scmp_filter_ctx context)
{
    return fill_but(context, "");
}

static bool fill_outer(scmp_filter_ctx context)
{
    return fill_but(context, sealing) &&
           add_all(context, SCMP_ACT_ALLOW, sealing, "") &&
           add_options(context, SCMP_ACT_ALLOW);
}

/* What is on no list has the default answer. */
static bool fill_inner(scmp_filter_ctx context)
{
    const char *names = sealing;
    char name[32];

    while (next_word(&names, name)) {
        const bool listed = has_word(privileged, name);

        if (!add(context, SCMP_ACT_ERRNO(listed ? EPERM : ENOSYS), name, NULL,
                 0))
            return false;
    }
    return configure(context) && add_options(context, SCMP_ACT_ERRNO(ENOSYS));
}

/*
 * A program that holds a terminal or a file of the user that it is outside,
 * too, may write there, but could also open it to all the world.
 */
static bool fill_streams(scmp_filter_ctx context)
{
    return configure(context) &&
           add_all(context, SCMP_ACT_ERRNO(EPERM), "fchmod fchmodat2 ", "");
}

static bool print(scmp_filter_ctx context, const char *name)
{
    static struct sock_filter code[FILTER_CODE_MAX];
    FILE *file = tmpfile();
    ssize_t got;

    if (file == NULL || seccomp_export_bpf(context, fileno(file)) < 0)
        return false;
    got = pread(fileno(file), code, sizeof(code), 0);
    fclose(file);
    if (got <= 0 || (size_t)got == sizeof(code) ||
        (size_t)got % sizeof(code[0]) != 0)
        return false;
    fprintf(stdout,
            "\nconst struct filter %s = {\n"
            "    .magic = FILTER_MAGIC,\n    .count = %zu,\n    .code = {\n",
            name, (size_t)got / sizeof(code[0]));
    for (size_t i = 0; i < (size_t)got / sizeof(code[0]); i++)
        fprintf(stdout, "        {%#x, %u, %u, %#x},\n", code[i].code,
                code[i].jt, code[i].jf, code[i].k);
    fprintf(stdout, "    }};\n");
    return !ferror(stdout);
}

static bool make(const char *name, uint32_t usual,
                 bool (*fill)(scmp_filter_ctx context))
{
    scmp_filter_ctx context = seccomp_init(usual);
    const bool made = context != NULL && fill(context) && print(context, name);

    if (context != NULL)
        seccomp_release(context);
    return made;
}

int main(void)
{
    const uint32_t unknown = SCMP_ACT_ERRNO(ENOSYS);

    fprintf(stdout, "/* Made by filter/make.c. */\n"
                    "#include \"sandbox/process/filter/filter.h\"\n");
    return make("process_filter", unknown, fill_whole) &&
                   make("process_filter_outer", unknown, fill_outer) &&
                   make("process_filter_inner", SCMP_ACT_ALLOW, fill_inner) &&
                   make("process_filter_streams", SCMP_ACT_ALLOW, fill_streams)
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
