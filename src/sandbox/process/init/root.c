/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the sandbox's root: an empty tmpfs, and in it only what the plan
 * lists.
 *
 * Whatever is not put in does not exist inside: the old root is left by
 * pivot_root and let go of.  Trees of the host are cloned with all that is
 * mounted below them, made read-only as a whole, and cut off from what the host
 * will mount later (MS_PRIVATE).
 *
 * Why no /proc: it would let a guest open its file descriptors anew, with other
 * rights than they were given with (a read-only memfd for writing; its own
 * program on the host), and shows paths of the host in mountinfo.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/process/init/init.h"
#include "sandbox/process/tmpfs.h"

static int attach(int tree, const char *target)
{
    return move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static int make_target(const struct operation *operation, const char *target)
{
    if (operation->flags & OPERATION_FILE)
        return mknodat(AT_FDCWD, target, S_IFREG | 0444, 0);
    /* A copy of a zygote finds the place there. */
    return mkdir(target, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* Close to the guest what the host's mount would allow. */
static int confine(int tree, const struct operation *operation)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
        .propagation = MS_PRIVATE,
    };

    if (operation->flags & OPERATION_DEVICE)
        attr.attr_set |= MOUNT_ATTR_NOEXEC;
    else
        attr.attr_set |= MOUNT_ATTR_NODEV;
    return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
                         sizeof(attr));
}

static int put(int tree, const struct operation *operation, const char *target)
{
    return make_target(operation, target) == 0 ? attach(tree, target) : -1;
}

static int do_bind(const struct operation *operation, const char *source,
                   const char *target)
{
    int tree = open_tree(AT_FDCWD, source,
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    int rc = -1;

    if (tree < 0)
        return operation->flags & OPERATION_OPTIONAL && errno == ENOENT ? 0
                                                                        : -1;
    if (confine(tree, operation) == 0)
        rc = put(tree, operation, target);
    close(tree);
    return rc;
}

/* The host confined it. */
static int do_mount(const struct operation *operation, const char *target)
{
    int rc = put(operation->fd, operation, target);

    close(operation->fd);
    return rc;
}

static int do_tmpfs(const struct operation *operation, const char *target)
{
    int tree = tmpfs_open(operation->size_bytes, operation->inodes, "1777");
    int rc = -1;

    if (tree >= 0) {
        rc = put(tree, operation, target);
        close(tree);
    }
    return rc;
}

static int do_text(const char *source, const char *target)
{
    size_t bytes = strlen(source);
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    int rc = -1;

    if (fd >= 0 && write(fd, source, bytes) == (ssize_t)bytes)
        rc = 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int do_operation(const struct plan *plan,
                        const struct operation *operation)
{
    const char *source = plan->text + operation->source;
    const char *target = plan->text + operation->target;

    switch (operation->kind) {
    case OPERATION_DIR:
        return mkdir(target, 0755);
    case OPERATION_LINK:
        return symlink(source, target);
    case OPERATION_TEXT:
        return do_text(source, target);
    case OPERATION_BIND:
        return do_bind(operation, source, target);
    case OPERATION_MOUNT:
        return do_mount(operation, target);
    case OPERATION_TMPFS:
        return do_tmpfs(operation, target);
    }
    errno = ENOSYS;
    return -1;
}

/* The new root covers the old one, then changes places with it. */
static void pivot(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0 ||
        mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
        init_fail(STEP_PIVOT, 0);
}

void root_add(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->operation_count; i++)
        if (do_operation(plan, &plan->operations[i]) < 0)
            init_fail(STEP_OPERATION, i);
}

void root_build(const struct plan *plan)
{
    int root;

    umask(0);
    root = tmpfs_open(1 << 20, 256, "0755");
    if (root < 0 || attach(root, "/") < 0 || fchdir(root) < 0)
        init_fail(STEP_ROOT, 0);
    root_add(plan);
    pivot();
    close(root);
}
