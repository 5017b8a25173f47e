/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.c - a root of the sandbox's own: a folder of the host, with what the
 * guest changes over it, in memory.
 *
 *   stage (tmpfs, of limited size)    lower/   the folder, read-only
 *                                     upper/   what the guest changes
 *                                     work/    overlayfs's own
 *                                     tmp/     its /tmp: one limit for all
 *
 * The stage is attached only while the overlay is made.  Then nothing leads to
 * it but the overlay and /tmp: overlayfs has private copies of its mounts.
 *
 * Without privileges overlayfs keeps its notes in extended attributes of users
 * (userxattr).  A tmpfs has them since Linux 6.6; before, what cannot be noted,
 * such as a directory made anew in place of one of the folder's, is refused to
 * the guest.  That option also makes it deaf to a folder's own notes that would
 * lead elsewhere (redirect_dir, metacopy).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"
#include "sandbox/process/tmpfs.h"

/* The folder, as it is below: with nothing that is mounted there, since that
 * could not be seen through an overlay. */
static int open_lower(const struct operation *root, const char *source)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        .propagation = MS_PRIVATE,
    };
    int tree = root->fd;

    if (tree < 0)
        tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || (root->fd < 0 && mount_setattr(tree, "", AT_EMPTY_PATH,
                                                   &attr, sizeof(attr)) < 0))
        init_fail(STEP_FOLDER, 0);
    return tree;
}

static void make_stage(const struct operation *root, const char *source)
{
    static const char *const dirs[] = {"lower", "upper", "work"};
    int lower, stage = tmpfs_open(root->size_bytes, root->inodes, "0700");

    if (stage < 0 ||
        move_mount(stage, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(stage) < 0 || mkdir("tmp", 01777) < 0)
        init_fail(STEP_ROOT, 1);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        if (mkdir(dirs[i], 0755) < 0)
            init_fail(STEP_ROOT, 2);
    lower = open_lower(root, source);
    if (move_mount(lower, "", AT_FDCWD, "lower", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        init_fail(STEP_FOLDER, 1);
    close(lower);
    close(stage);
}

static int set(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

int overlay_open(const struct operation *root, const char *source, int *tmp)
{
    int fs, fd = -1;

    make_stage(root, source);
    fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs >= 0 && set(fs, "lowerdir", "lower") == 0 &&
        set(fs, "upperdir", "upper") == 0 && set(fs, "workdir", "work") == 0 &&
        fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) == 0 &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (fd < 0)
        init_fail(STEP_OVERLAY, 0);
    close(fs);
    *tmp = open_tree(AT_FDCWD, "tmp", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (*tmp < 0 || umount2(".", MNT_DETACH) < 0)
        init_fail(STEP_ROOT, 3);
    return fd;
}
