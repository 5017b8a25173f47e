/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.c - the rights that are given up last, and for good.
 *
 * Capabilities go first, and with them no_new_privs, without which nobody may
 * restrict itself further; the system call filter goes last, for it forbids all
 * of it.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/seccomp.h>

#include "sandbox/process/init/init.h"

static struct filter filter;

/* EINVAL: a kernel without cgroups has nothing to hide. */
void leave_cgroup_namespace(void)
{
    if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
        init_fail(STEP_CGROUP_NAMESPACE, 0);
}

/* Never above what the caller itself was given. */
void rlimits_lower(const struct plan *plan)
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

/* An exec takes all but ambient ones from who is not root. */
void capabilities_pass_on(int cap)
{
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        init_fail(STEP_CAPABILITIES, 0);
    data[cap / 32].inheritable |= 1u << cap % 32;
    if (syscall(SYS_capset, &head, data) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
        init_fail(STEP_CAPABILITIES, (uint32_t)cap);
}

void capabilities_keep(int cap)
{
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2] = {0};

    data[cap / 32].effective = data[cap / 32].permitted =
        data[cap / 32].inheritable = 1u << cap % 32;
    if (syscall(SYS_capset, &head, data) < 0)
        init_fail(STEP_CAPABILITIES, (uint32_t)cap);
}

void filter_read(int fd)
{
    ssize_t got = recv(fd, &filter, sizeof(filter), 0);

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

void filter_install(void)
{
    struct sock_fprog program = {
        .len = (unsigned short)filter.count,
        .filter = filter.code,
    };

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        init_fail(STEP_SECCOMP, 0);
}

void seal(const struct plan *plan)
{
    capabilities_drop(0);
    landlock_restrict(plan);
    rlimits_lower(plan);
    filter_install();
}
