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
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "sandbox/process/init/init.h"

/*
 * Writing "0" to a v1 "tasks" file moves the one thread that writes.  Moving a
 * process by its number waits for all CPUs (20 ms on an idle machine).
 */
static void join_cgroups(uint32_t which, const char *name)
{
    char path[PLAN_NAME_MAX + 16];

    snprintf(path, sizeof(path), "%s/tasks", name);
    for (uint32_t i = 0; i < PLAN_CGROUPS; i++) {
        int tasks;

        if ((which & (1u << i)) == 0)
            continue;
        tasks = openat(INIT_FD_CGROUP + (int)i, path, O_WRONLY | O_CLOEXEC);
        if (tasks < 0 || write(tasks, "0", 1) != 1)
            init_fail(STEP_JOIN_CGROUP, i);
        close(tasks);
    }
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

static noreturn void become_program(const struct plan *plan)
{
    static char texts[PLAN_TEXT_MAX];
    static char *argv[PLAN_ARGS_MAX], *envp[PLAN_ARGS_MAX];

    memcpy(texts, plan->text, plan->text_bytes);
    for (uint32_t i = 0; i < plan->arg_count; i++)
        argv[i] = texts + plan->args[i];
    for (uint32_t i = 0; i < plan->env_count; i++)
        envp[i] = texts + plan->envs[i];
    if (chdir(texts + plan->working_dir) < 0)
        init_fail(STEP_WORKING_DIR, 0);
    execve(texts + plan->program, argv, envp);
    init_fail(STEP_EXEC_GUEST, 0);
}

noreturn void guest_start(const struct plan *plan, const char *cgroup)
{
    const bool zygote = plan->flags & PLAN_ZYGOTE;

    if (close_range(INIT_FD_CONTROL, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        init_fail(STEP_FDS, 0);
    if (plan->flags & PLAN_CGROUP_V1)
        join_cgroups(plan->cgroups, cgroup);
    reset_scheduling();
    reset_oom_score(); /* while there is a /proc */
    if (!zygote)       /* which makes its copies in cgroups beside its own */
        leave_cgroup_namespace();
    take_identity(plan);
    set_names();
    root_build(plan);
    umask(022);
    reset_signals();
    if (zygote) { /* what it keeps, no script will have */
        capabilities_drop(0);
        rlimits_lower(plan);
    } else {
        if (plan->flags & PLAN_STREAMS) {
            filter_read(INIT_FD_CONTROL);
            filter_install();
        }
        filter_read(INIT_FD_CONTROL);
        seal(plan);
    }
    become_program(plan);
}
