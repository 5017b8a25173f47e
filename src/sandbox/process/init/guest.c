/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - pid 2: a copy of init that gives up one right after the other, and
 * then becomes the guest program.
 *
 * The order is forced from both ends.  The cgroup is joined with the host's
 * identity, mounts need capabilities, Landlock needs the finished root and
 * would forbid mounts, and the system call filter would forbid all of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>

#include "sandbox/process/init/init.h"

static struct filter filter;

/*
 * Writing "0" to a v1 "tasks" file moves the one thread that writes.  Moving a
 * process by its number waits for all CPUs (20 ms on an idle machine).
 */
static void join_cgroups(uint32_t which, const char *name)
{
    for (uint32_t i = 0; i < PLAN_CGROUPS; i++) {
        int dir, tasks;

        if ((which & (1u << i)) == 0)
            continue;
        dir = openat(INIT_FD_CGROUP + (int)i, name,
                     O_PATH | O_DIRECTORY | O_CLOEXEC);
        tasks = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
        if (tasks < 0 || write(tasks, "0", 1) != 1)
            init_fail(STEP_JOIN_CGROUP, i);
        close(tasks);
        close(dir);
    }
}

/* EINVAL: a kernel without cgroups has nothing to hide. */
static void leave_cgroup_namespace(void)
{
    if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
        init_fail(STEP_CGROUP_NAMESPACE, 0);
}

static void take_identity(const struct plan *plan)
{
    if ((plan->flags & PLAN_SET_GROUPS) && setgroups(0, NULL) < 0)
        init_fail(STEP_IDENTITY, 0);
    if (setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
        setresuid(plan->uid, plan->uid, plan->uid) < 0)
        init_fail(STEP_IDENTITY, 0);
}

static void set_names(void)
{
    static const char name[] = "glovebox";

    if (sethostname(name, sizeof(name) - 1) < 0 || setdomainname("", 0) < 0)
        init_fail(STEP_HOSTNAME, 0);
}

/* Never above what the caller itself was given. */
static void set_rlimits(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->rlimit_count; i++) {
        const __rlimit_resource_t which = plan->rlimits[i].resource;
        struct rlimit limit;

        if (getrlimit(which, &limit) < 0)
            init_fail(STEP_RLIMIT, plan->rlimits[i].resource);
        if (limit.rlim_max > plan->rlimits[i].hard)
            limit.rlim_max = plan->rlimits[i].hard;
        limit.rlim_cur = plan->rlimits[i].soft < limit.rlim_max
                             ? plan->rlimits[i].soft
                             : limit.rlim_max;
        if (setrlimit(which, &limit) < 0)
            init_fail(STEP_RLIMIT, plan->rlimits[i].resource);
    }
}

static void keep_only(uint64_t keep)
{
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
        {.effective = (uint32_t)(keep >> 32),
         .permitted = (uint32_t)(keep >> 32)},
    };

    if (syscall(SYS_capset, &head, data) < 0)
        init_fail(STEP_CAPABILITIES, 0);
}

void capabilities_drop(uint64_t keep)
{
    /* The kernel knows less than 64, and says where its list ends. */
    for (int cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap) < 0) {
            if (errno == EINVAL)
                break;
            init_fail(STEP_CAPABILITIES, (uint32_t)cap);
        }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    keep_only(keep);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        init_fail(STEP_CAPABILITIES, 64);
}

static void read_filter(void)
{
    ssize_t got = recv(INIT_FD_CONTROL, &filter, sizeof(filter), 0);

    if (got == 0)
        _exit(0);
    if (got < 0)
        init_fail(STEP_READ_FILTER, 0);
    errno = EPROTO;
    if (got <= (ssize_t)offsetof(struct filter, code) ||
        filter.magic != FILTER_MAGIC || filter.count > FILTER_CODE_MAX ||
        (size_t)got != offsetof(struct filter, code) +
                           filter.count * sizeof(filter.code[0]))
        init_fail(STEP_READ_FILTER, 0);
}

/* What a caller ignores or blocks is not the guest's business. */
static void reset_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &usual, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nor is how urgent the caller is. */
static void reset_scheduling(void)
{
    static const struct sched_param usual;

    sched_setscheduler(0, SCHED_OTHER, &usual);
    errno = 0;
    if (getpriority(PRIO_PROCESS, 0) < 0 && errno == 0)
        setpriority(PRIO_PROCESS, 0, 0);
    syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 0);
}

/* Who may not be killed for want of memory, may not pass that on. */
static void reset_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char text[16] = "";

    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0 && text[0] == '-')
        (void)!write(fd, "0", 1);
    close(fd);
}

static void restrict_system_calls(void)
{
    struct sock_fprog program = {
        .len = (unsigned short)filter.count,
        .filter = filter.code,
    };

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        init_fail(STEP_SECCOMP, 0);
}

static noreturn void become_program(const struct plan *plan)
{
    static char texts[PLAN_TEXT_MAX];
    static char *argv[PLAN_ARGS_MAX], *envp[PLAN_ARGS_MAX];

    memcpy(texts, plan->text, plan->text_bytes);
    for (uint32_t i = 0; i < plan->arg_count; i++)
        argv[i] = texts + plan->args[i];
    for (uint32_t i = 0; i < plan->env_count; i++)
        envp[i] = texts + plan->envs[i];
    execve(texts + plan->program, argv, envp);
    init_fail(STEP_EXEC_GUEST, 0);
}

noreturn void guest_start(const struct plan *plan, const char *cgroup)
{
    if (close_range(INIT_FD_CONTROL, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        init_fail(STEP_FDS, 0);
    if (plan->flags & PLAN_CGROUP_V1)
        join_cgroups(plan->cgroups, cgroup);
    reset_scheduling();
    reset_oom_score(); /* while there is a /proc */
    leave_cgroup_namespace();
    take_identity(plan);
    set_names();
    root_build(plan);
    umask(022);
    capabilities_drop(0);
    landlock_restrict();
    read_filter();
    reset_signals();
    set_rlimits(plan);
    restrict_system_calls();
    become_program(plan);
}
