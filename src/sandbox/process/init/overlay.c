/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.c - what the sandbox may change of the host's: a root of its own, and
 * what is mounted for that, with its changes over them, in memory.
 *
 *   stage (tmpfs, of limited size)    lowerN    a folder, read-only
 *                                     upperN    what the guest changes
 *                                     workN     overlayfs's own
 *                                     tmp/      its /tmp: one limit for all
 *
 * N is the operation's number.  The stage is attached only while the overlays
 * are made.  Then nothing leads to it but they and /tmp: overlayfs has private
 * copies of its mounts.  A file can be no layer of one: it is copied (upperN).
 *
 * Without privileges overlayfs keeps its notes in extended attributes of users
 * (userxattr).  A tmpfs has them since Linux 6.6; before, what cannot be noted,
 * such as a directory made anew in place of one of the folder's, is refused to
 * the guest.  That option also makes it deaf to a folder's own notes that would
 * lead elsewhere (redirect_dir, metacopy).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"
#include "sandbox/process/tmpfs.h"

#define COPY_BYTES 65536

static int made[PLAN_OPERATIONS_MAX]; /* owned; 0: none */

/* A root has words of its own for each step. */
static noreturn void refuse(const struct plan *plan, uint32_t index,
                            enum init_step step)
{
    init_fail(plan->operations[index].kind == OPERATION_COW ? STEP_COW : step,
              index);
}

bool is_granted(int tree, const struct operation *operation)
{
    struct stat st;

    if ((operation->flags & OPERATION_GRANT) == 0 || operation->fd >= 0)
        return true;
    if (fstat(tree, &st) < 0)
        return false;
    errno = ESTALE;
    return st.st_dev == operation->dev && st.st_ino == operation->ino;
}

/* The folder, as it is below: with nothing that is mounted there, since that
 * could not be seen through an overlay. */
static int open_lower(const struct operation *of, const char *source)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        .propagation = MS_PRIVATE,
    };
    int tree = of->fd;

    if (tree >= 0)
        return tree;
    tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || !is_granted(tree, of) ||
        mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -1;
    return tree;
}

static int set(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

/* Names in the stage. */
struct names {
    char lower[16], upper[16], work[16];
};

/* Without an upper layer nothing can be changed; there must be two, then. */
static int set_layers(int fs, const struct names *names, bool is_sealed)
{
    char both[sizeof(names->lower) + sizeof(names->upper)];

    if (is_sealed) {
        snprintf(both, sizeof(both), "%s:%s", names->lower, names->upper);
        return set(fs, "lowerdir", both);
    }
    return set(fs, "lowerdir", names->lower) < 0 ||
                   set(fs, "upperdir", names->upper) < 0
               ? -1
               : set(fs, "workdir", names->work);
}

static int lay_over(const struct names *names, bool is_sealed)
{
    int fs = fsopen("overlay", FSOPEN_CLOEXEC), fd = -1;

    if (fs >= 0 && set_layers(fs, names, is_sealed) == 0 &&
        fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) == 0 &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (fs >= 0)
        close(fs);
    return fd;
}

static int copy_all(int from, int to)
{
    static char buffer[COPY_BYTES];
    ssize_t got;

    while ((got = read(from, buffer, sizeof(buffer))) > 0)
        for (ssize_t at = 0, put; at < got; at += put)
            if ((put = write(to, buffer + at, (size_t)(got - at))) < 0)
                return -1;
    return got < 0 ? -1 : 0;
}

/* A mount of a copy. */
static int copy_file(const struct names *names, mode_t mode)
{
    int from = open(names->lower, O_RDONLY | O_CLOEXEC),
        to = open(names->upper, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (from < 0 || to < 0 || copy_all(from, to) < 0)
        return -1;
    close(from);
    close(to);
    return open_tree(AT_FDCWD, names->upper,
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static int make_dirs(const struct names *names, mode_t mode)
{
    return mkdir(names->lower, 0755) < 0 || mkdir(names->upper, mode) < 0
               ? -1
               : mkdir(names->work, 0755);
}

static int make_layer(const struct plan *plan, uint32_t index)
{
    const struct operation *of = &plan->operations[index];
    const bool is_file = of->flags & OPERATION_FILE;
    int lower = open_lower(of, plan->text + of->source), fd;
    struct names names;
    struct stat st;
    mode_t mode;

    snprintf(names.lower, sizeof(names.lower), "lower%u", index);
    snprintf(names.upper, sizeof(names.upper), "upper%u", index);
    snprintf(names.work, sizeof(names.work), "work%u", index);
    if (lower < 0 || fstat(lower, &st) < 0)
        refuse(plan, index, STEP_FOLDER);
    /* A mount is as open as what it shows; a root is entered by its guest. */
    mode = of->kind == OPERATION_COW ? st.st_mode & 0777 : 0755;
    if ((is_file ? mknod(names.lower, S_IFREG | 0600, 0)
                 : make_dirs(&names, mode)) < 0)
        refuse(plan, index, STEP_ROOT);
    if (move_mount(lower, "", AT_FDCWD, names.lower, MOVE_MOUNT_F_EMPTY_PATH) <
        0)
        refuse(plan, index, STEP_FOLDER);
    close(lower);
    fd = is_file ? copy_file(&names, mode)
                 : lay_over(&names, of->flags & OPERATION_SEALED);
    if (fd < 0)
        refuse(plan, index, STEP_OVERLAY);
    return fd;
}

void stage_open(const struct plan *plan)
{
    const struct operation *first = &plan->operations[0];
    int stage;

    if ((plan->flags & PLAN_STAGE) == 0)
        return;
    stage = tmpfs_open(first->size_bytes, first->inodes, "0700");
    if (stage < 0 ||
        move_mount(stage, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(stage) < 0 || mkdir("tmp", 01777) < 0)
        init_fail(STEP_ROOT, 1);
    close(stage);
    for (uint32_t i = 1; i < plan->operation_count; i++)
        if (plan->operations[i].kind == OPERATION_ROOT ||
            plan->operations[i].kind == OPERATION_COW)
            made[i] = make_layer(plan, i);
    made[0] = open_tree(AT_FDCWD, "tmp", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (made[0] < 0 || umount2(".", MNT_DETACH) < 0)
        init_fail(STEP_ROOT, 3);
}

int stage_take(uint32_t index)
{
    int fd = made[index];

    made[index] = 0;
    return fd > 0 ? fd : -1;
}
