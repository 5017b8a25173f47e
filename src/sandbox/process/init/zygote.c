/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.c - a guest program whose language is ready makes copies of itself,
 * each of which becomes a guest.
 *
 *   zygote                 waits for orders; has no capability, no region, and
 *     |                    has run nothing but its language's own start
 *     | clone: new user, pid and mount namespaces
 *   pid 1 of a copy        says who it is; then becomes init (first.c)
 *     | fork
 *   pid 2 of a copy        waits for its plan: mounts its own /tmp, joins its
 *                          cgroup, is sealed by the very code that seals any
 *                          guest, and returns
 *
 * To copy a language's page tables is the dearest part of it, and pid 1 has no
 * use for them.  So it shares the zygote's memory, which waits (CLONE_VFORK),
 * and leaves it by exec as soon as pid 2 has a copy.  Until then it only calls
 * the system: what it writes, the zygote finds.
 *
 * A copy has a user namespace of its own: processes are counted in there, and
 * what it may do to its mounts it may do to nobody else's.  To be somebody in
 * it, pid 1 writes its own maps through a descriptor of the host's /proc, which
 * the copy then has no more.  The network, the host name and System V's IPC
 * stay the zygote's: no guest can make a socket, name the host, or has a call
 * for IPC; and a network namespace would cost as much as all others together.
 *
 * A copy is a copy of memory, but must share no open file: flags and locks of
 * one are seen by all who have it.  So all are closed or opened anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/sched.h>

#include "sandbox/process/init/init.h"

#define STACK_BYTES 32768 /* of pid 1, until it is init */

/* The order that is being done, and what the copy was told to become. */
static struct order order;
static struct plan plan;

/* What came with the last message. */
static int fds[COPY_FDS_MAX];
static size_t fd_count;

/* Of the zygote, above all that init and a guest have. */
static int orders, proc;
static uid_t own_uid; /* what it is called itself */
static gid_t own_gid;

/* Where it makes a copy. */
static jmp_buf before;

bool zygote_is_this(void)
{
    struct stat st;

    return fstat(ZYGOTE_FD_ORDERS, &st) == 0 && S_ISSOCK(st.st_mode);
}

/*
 * The kernel gives the lowest numbers that are free, in turn.  So what comes
 * gets the very numbers that init and a guest have it under, and nothing need
 * be moved: a zygote keeps those of a guest in use, a copy sets them free.
 */
static void keep_numbers(void)
{
    for (int fd = INIT_FD_OUT; fd <= INIT_FD_BELL; fd++)
        dup2(STDIN_FILENO, fd);
}

static void free_numbers(void)
{
    close_range(INIT_FD_CONTROL, INIT_FD_COUNT - 1, 0);
}

static bool are_placed(const int *came, int from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (came[i] != from + (int)i)
            return false;
    return true;
}

static void take_fds(struct msghdr *message)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);

    fd_count = 0;
    if (head == NULL || head->cmsg_type != SCM_RIGHTS)
        return;
    fd_count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(head), fd_count * sizeof(int));
}

/* Returns how many bytes came; none from nobody, or in part. */
static size_t receive(int from, void *to, size_t bytes)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))];
    struct iovec all = {.iov_base = to, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &all,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t got;

    do {
        got = recvmsg(from, &message, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) /* the host is gone, or the template */
        _exit(0);
    take_fds(&message);
    return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? 0 : (size_t)got;
}

/* Wait for the next one.  Returns whether it is as the host sends them. */
static bool take_order(void)
{
    return receive(orders, &order, sizeof(order)) == sizeof(order) &&
           order.magic == ORDER_MAGIC &&
           order.name[PLAN_NAME_MAX - 1] == '\0' &&
           fd_count == ORDER_FDS + (order.in_cgroup ? 1 : 0) &&
           are_placed(fds, INIT_FD_CONTROL, fd_count);
}

/* ---- in a copy ---- */

/*
 * The host gets hold of us before anything else is said: a guest may be quick
 * to end.
 */
static void tell_born(void)
{
    _Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))] = {0};
    const int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    uint64_t born = BORN_MAGIC;
    struct iovec all = {.iov_base = &born, .iov_len = sizeof(born)};
    struct msghdr message = {.msg_iov = &all,
                             .msg_iovlen = 1,
                             .msg_control = rights,
                             .msg_controllen = sizeof(rights)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    if (self < 0)
        init_fail(STEP_FDS, 1);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &self, sizeof(int));
    sendmsg(INIT_FD_CONTROL, &message, MSG_NOSIGNAL);
}

/* The zygote's own has flags that all would see. */
static void open_input(void)
{
    close(STDIN_FILENO);
    if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
        init_fail(STEP_FDS, 0);
}

static void write_own(const char *path, const char *text)
{
    int fd = openat(proc, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        init_fail(STEP_IDENTITY, 1);
    close(fd);
}

/* The one user that we are, under the name that was asked for. */
static void map_identity(void)
{
    char text[32];

    write_own("self/setgroups", "deny");
    snprintf(text, sizeof(text), "%u %u 1\n", order.gid, own_gid);
    write_own("self/gid_map", text);
    snprintf(text, sizeof(text), "%u %u 1\n", order.uid, own_uid);
    write_own("self/uid_map", text);
}

/*
 * A guest is as capable as who forks it, and gives all of that up.  What is to
 * be done here after the fork, init does: until it has its own memory, a guest
 * on the same CPU waits.
 */
static noreturn void be_first(pid_t guest)
{
    static char program[] = "glovebox-init", number[16];
    char *argv[] = {program, order.name, number, NULL}, *envp[] = {NULL};

    snprintf(number, sizeof(number), "%d", (int)guest);
    if (order.uid == 0) /* from whom an exec takes nothing */
        capabilities_keep(CAP_KILL);
    syscall(SYS_execveat, ORDER_FD_INIT, "", argv, envp, AT_EMPTY_PATH);
    init_fail(STEP_EXEC_INIT, 0);
}

/* Returns how many of the descriptors are not "tasks" files. */
static size_t take_plan(void)
{
    size_t got, own;

    close_range(INIT_FD_OUT, INIT_FD_BELL, 0);
    got = receive(INIT_FD_CONTROL, &plan, sizeof(plan));
    own = COPY_FDS + plan.mounts;
    errno = EPROTO;
    if (!plan_is_whole(&plan, got) || plan.mounts > COPY_MOUNTS ||
        fd_count < own || !are_placed(fds, INIT_FD_OUT, COPY_FDS) ||
        !are_placed(fds + COPY_FDS, COPY_FD_MOUNT, plan.mounts))
        init_fail(STEP_READ_PLAN, 0);
    return own;
}

/* The host opens the files for us: we could not. */
static void join_cgroups(size_t first)
{
    for (size_t i = first; i < fd_count; i++)
        if (write(fds[i], "0", 1) != 1)
            init_fail(STEP_JOIN_CGROUP, (uint32_t)(i - first));
}

static void be_guest(void)
{
    const uint64_t hello = HELLO_MAGIC;

    join_cgroups(take_plan());
    leave_cgroup_namespace();
    root_add(&plan);
    seal(&plan);
    send(INIT_FD_CONTROL, &hello, sizeof(hello), MSG_NOSIGNAL);
    close_range(INIT_FD_CONTROL, ~0u, 0);
}

/* Pid 2 goes on where the zygote was. */
static noreturn void be_copy(void)
{
    pid_t guest;

    setsid(); /* else kill(0, ...) would reach the zygote */
    tell_born();
    open_input();
    map_identity();
    close_range(ORDER_FD_CGROUP, ~0u, 0);
    signal(SIGCHLD, SIG_DFL);
    capabilities_pass_on(CAP_KILL);
    if ((guest = fork()) < 0)
        init_fail(STEP_FORK, 1);
    if (guest > 0)
        be_first(guest);
    longjmp(before, 1);
}

/* ---- in the zygote ---- */

/* As the C library's clone(), which cannot ask for a cgroup. */
static long clone_onto(struct clone_args *args, void (*start)(void))
{
    register long rc __asm__("rax") = SYS_clone3;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "call *%%rdx\n\t"
                     "1:"
                     : "+r"(rc)
                     : "D"(args), "S"(sizeof(*args)), "d"(start)
                     : "rcx", "r11", "memory");
    return rc;
}

/* Wait until pid 1 has a memory of its own, or is gone. */
static long clone_copy(void)
{
    static _Alignas(16) char stack[STACK_BYTES];
    struct clone_args args = {
        .flags =
            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_VM | CLONE_VFORK,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = sizeof(stack),
    };

    if (order.in_cgroup) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = ORDER_FD_CGROUP;
    }
    return clone_onto(&args, be_copy);
}

/* The language is ready. */
static void begin(void)
{
    const uint64_t ring = 1;

    own_uid = getuid();
    own_gid = getgid();
    filter_read(ZYGOTE_FD_ORDERS);
    filter_install();
    filter_read(ZYGOTE_FD_ORDERS);
    signal(SIGCHLD, SIG_IGN); /* the dead of ours are the host's to miss */
    orders = fcntl(ZYGOTE_FD_ORDERS, F_DUPFD, INIT_FD_COUNT);
    proc = fcntl(ZYGOTE_FD_PROC, F_DUPFD, INIT_FD_COUNT);
    if (orders < 0 || proc < 0 || write(INIT_FD_BELL, &ring, sizeof(ring)) < 0)
        _exit(70);
    keep_numbers();
    free_numbers();
}

void zygote_serve(void)
{
    for (begin();; free_numbers()) {
        if (!take_order())
            continue;
        if (setjmp(before) != 0) {
            be_guest();
            return;
        }
        if (clone_copy() < 0)
            init_report(INIT_FD_START, STEP_COPY, 0);
    }
}
