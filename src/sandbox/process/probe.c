/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - nothing is guessed from version numbers where it can be tried: each
 * namespace is made, a tmpfs is mounted in one, a mount is shown as another
 * user's.  Children do it, which then are gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/seccomp.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"
#include "sandbox/process/cgroup.h"
#include "sandbox/process/landlock.h"
#include "sandbox/process/probe.h"

struct list {
    struct probe_item *items;
    size_t count, max;
};

__attribute__((format(printf, 5, 6))) static void
add(struct list *list, const char *name, enum probe_state state,
    const char *remedy, const char *format, ...)
{
    struct probe_item *item;
    va_list ap;

    if (list->count == list->max)
        return;
    item = &list->items[list->count++];
    item->name = name;
    item->state = (int)state;
    snprintf(item->remedy, sizeof(item->remedy), "%s",
             state == PROBE_OK || remedy == NULL ? "" : remedy);
    va_start(ap, format);
    vsnprintf(item->text, sizeof(item->text), format, ap);
    va_end(ap);
}

/* In a child: system calls alone; its exit status is an errno. */
CHILD_CODE static int do_nothing(void *context)
{
    (void)context;
    syscall(SYS_exit_group, 0);
    return 0;
}

CHILD_CODE static int make_tmpfs(void *context)
{
    long fs = syscall(SYS_fsopen, "tmpfs", 0);
    int sys = 0;

    (void)context;
    if (fs < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
        syscall(SYS_fsmount, fs, 0, 0) < 0)
        sys = errno;
    syscall(SYS_exit_group, sys);
    return sys;
}

static bool add_user_namespace(struct list *list)
{
    static const char remedy[] =
        "sysctl kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0, "
        "user.max_user_namespaces > 0; in a container, a seccomp profile that "
        "allows them";
    bool ok = birth_try(do_nothing, NULL, CLONE_NEWUSER) == 0;

    add(list, "user namespaces", ok ? PROBE_OK : PROBE_MISSING, remedy, "%s",
        ok ? "can be made" : strerrordesc_np(errno));
    return ok;
}

static void add_namespaces(struct list *list)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {
        {"mount namespaces", CLONE_NEWNS},
        {"pid namespaces", CLONE_NEWPID},
        {"network namespaces", CLONE_NEWNET},
        {"ipc namespaces", CLONE_NEWIPC},
        {"uts namespaces", CLONE_NEWUTS},
        {"cgroup namespaces", CLONE_NEWCGROUP},
    };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool ok =
            birth_try(do_nothing, NULL, CLONE_NEWUSER | kinds[i].flag) == 0;
        const char *why = ok ? "can be made" : strerrordesc_np(errno);

        /* A kernel without cgroups has none to hide. */
        add(list, kinds[i].name,
            ok                                 ? PROBE_OK
            : kinds[i].flag == CLONE_NEWCGROUP ? PROBE_PARTLY
                                               : PROBE_MISSING,
            "a kernel with this kind of namespace, and the sysctls "
            "user.max_*_namespaces > 0",
            "%s", why);
    }
}

static void add_mounts(struct list *list)
{
    int sys = birth_try(make_tmpfs, NULL, CLONE_NEWUSER | CLONE_NEWNS);

    add(list, "mounts inside", sys == 0 ? PROBE_OK : PROBE_MISSING,
        "Linux 5.12 or newer; in a container, a seccomp profile that allows "
        "fsopen, open_tree, move_mount and mount_setattr",
        "%s",
        sys == 0 ? "can be made" : strerrordesc_np(sys < 0 ? errno : sys));
}

CHILD_CODE static int open_overlay(void *context)
{
    const int sys = syscall(SYS_fsopen, "overlay", 0) < 0 ? errno : 0;

    (void)context;
    syscall(SYS_exit_group, sys);
    return sys;
}

/* What only a root of a guest's own needs. */
static void add_overlay(struct list *list)
{
    int sys = birth_try(open_overlay, NULL, CLONE_NEWUSER | CLONE_NEWNS);

    add(list, "overlayfs", sys == 0 ? PROBE_OK : PROBE_PARTLY,
        "modprobe overlay; until then only micro-VMs show images", "%s",
        sys == 0 ? "shows images, with a guest's changes over them"
                 : strerrordesc_np(sys < 0 ? errno : sys));
}

static void add_seccomp(struct list *list)
{
    uint32_t action = SECCOMP_RET_ERRNO;
    bool ok = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;

    add(list, "seccomp", ok ? PROBE_OK : PROBE_MISSING,
        "a kernel with CONFIG_SECCOMP_FILTER", "%s",
        ok ? "filters system calls" : strerrordesc_np(errno));
}

static void add_landlock(struct list *list)
{
    const int abi = landlock_abi();

    if (abi == 0)
        add(list, "Landlock", PROBE_PARTLY,
            "a second lock on files: boot with lsm=landlock,... on Linux 5.13 "
            "or newer",
            "not there: %s", strerrordesc_np(errno));
    else
        add(list, "Landlock", abi >= 6 ? PROBE_OK : PROBE_PARTLY,
            "ABI 6 (Linux 6.12) adds signals, 5 ioctl, 4 TCP, 3 truncation",
            "ABI %d", abi);
}

static void add_cgroup(struct list *list)
{
    static const char remedy[] =
        "limits hold for each process, not for all together: run in a cgroup "
        "that is yours (v2: systemd-run --user -p Delegate=yes "
        "-p DelegateSubgroup=main ...)";
    struct cgroup cgroup;
    bool memory;

    cgroup_open(&cgroup);
    memory = cgroup.version != 0 && cgroup.parent[CGROUP_MEMORY] >= 0;
    if (cgroup.version == 0)
        add(list, "cgroups", PROBE_PARTLY, remedy, "none that is ours");
    else if (cgroup.version == 2)
        add(list, "cgroups", PROBE_OK, NULL, "v2: memory, pids, cpu");
    else
        add(list, "cgroups",
            memory && cgroup.parent[CGROUP_PIDS] >= 0 &&
                    cgroup.parent[CGROUP_CPU] >= 0
                ? PROBE_OK
                : PROBE_PARTLY,
            remedy, "v1:%s%s%s; other limits hold for each process alone",
            memory ? " memory" : "",
            cgroup.parent[CGROUP_PIDS] >= 0 ? " pids" : "",
            cgroup.parent[CGROUP_CPU] >= 0 ? " cpuacct" : "");
    cgroup_close(&cgroup);
}

static bool can_idmap_root(void)
{
    const struct birth_ids root = {0, 0}, nobody = {65534, 65534};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    auto_fd int caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
    auto_fd int tree =
        open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    auto_fd int idmap = caller < 0 ? -1 : birth_idmap(caller, &root, &nobody);

    attr.userns_fd = (unsigned)idmap;
    return tree >= 0 && idmap >= 0 &&
           mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
}

/* Who a guest is, and whether it can read what is only its caller's. */
static void add_identity(struct list *list)
{
    if (geteuid() != 0)
        add(list, "identity", PROBE_OK, NULL, "a guest is user %u, as you are",
            geteuid());
    else if (can_idmap_root())
        add(list, "identity", PROBE_OK, NULL,
            "a guest is nobody; folders are shown as its own (idmapped)");
    else
        add(list, "identity", PROBE_PARTLY,
            "chmod o+rx the folders of scripts; or a file system that knows "
            "idmapped mounts (ext4, xfs, btrfs, tmpfs)",
            "a guest is nobody; a folder of root's alone is closed to it");
}

/* RLIMIT_NPROC is counted by user namespace since then, by user before. */
static void add_kernel(struct list *list)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    bool ok;

    uname(&name);
    sscanf(name.release, "%u.%u", &major, &minor);
    ok = major > 5 || (major == 5 && minor >= 14);
    add(list, "kernel", ok ? PROBE_OK : PROBE_MISSING, "Linux 5.14 or newer",
        "%s", name.release);
}

size_t process_probe(struct probe_item *items, size_t max)
{
    struct list list = {.items = items, .max = max};

    add_kernel(&list);
    if (add_user_namespace(&list)) {
        add_namespaces(&list);
        add_mounts(&list);
        add_overlay(&list);
    }
    add_seccomp(&list);
    add_landlock(&list);
    add_cgroup(&list);
    add_identity(&list);
    return list.count;
}
