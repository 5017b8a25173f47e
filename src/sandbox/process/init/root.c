/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the sandbox's root: an empty tmpfs, and in it only what the plan
 * lists; or a folder of the host (overlay.c), and over it what the plan lists.
 * What the embedder mounts comes last.
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
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "sandbox/process/init/init.h"
#include "sandbox/process/tmpfs.h"

/* Not in a zygote's copy, by its filter. */
static bool has_openat2;

/*
 * What lies in a root of the guest's own decides nothing: a link in it leads to
 * where it leads with the root as /, and few are followed.
 */
static int open_below(int from, const char *path, uint64_t flags,
                      uint64_t resolve)
{
    const struct open_how how = {
        .flags = flags | O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | resolve,
    };

    if (!has_openat2)
        return openat(from, path, (int)how.flags);
    return (int)syscall(SYS_openat2, from, path, &how, sizeof(how));
}

/* With those that are missing. */
static int open_making(const char *path)
{
    char part[PATH_MAX];
    int above = AT_FDCWD, at;

    for (size_t end = 0;; above = at) {
        const size_t name = end == 0 ? 0 : end + 1;

        end = name + strcspn(path + name, "/");
        memcpy(part, path, end);
        part[end] = '\0';
        at = open_below(AT_FDCWD, part, O_DIRECTORY, 0);
        if (at < 0 && errno == ENOENT && mkdirat(above, part + name, 0755) == 0)
            at = open_below(AT_FDCWD, part, O_DIRECTORY, 0);
        if (above >= 0)
            close(above);
        if (at < 0 || path[end] == '\0')
            return at;
    }
}

/* The directory that it is to be in; *name is its last part.  Or -1. */
static int open_parent(const struct operation *operation, const char *target,
                       const char **name)
{
    char path[PATH_MAX] = ".";
    const char *slash = strrchr(target, '/');
    const size_t bytes = slash != NULL ? (size_t)(slash - target) : 0;

    *name = slash != NULL ? slash + 1 : target;
    if (bytes >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (slash != NULL) {
        memcpy(path, target, bytes);
        path[bytes] = '\0';
    }
    return slash != NULL && operation->flags & OPERATION_GRANT
               ? open_making(path)
               : open_below(AT_FDCWD, path, O_DIRECTORY, RESOLVE_NO_SYMLINKS);
}

/* What is there already is as good: a copy of a zygote finds it, and a root of
 * the guest's own may have it. */
static int make_dir(int parent, const char *name)
{
    return mkdirat(parent, name, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* A file is attached to a file. */
static bool is_of_kind(int place, const struct operation *operation)
{
    struct stat st;

    if ((operation->flags & OPERATION_FILE) == 0)
        return true; /* it was opened as a directory */
    if (fstat(place, &st) < 0)
        return false;
    errno = EISDIR;
    return !S_ISDIR(st.st_mode);
}

/* Only /tmp may be a link of a root's. */
static int attach(int tree, const struct operation *operation, int parent,
                  const char *name)
{
    const uint64_t kind = operation->flags & OPERATION_FILE ? 0 : O_DIRECTORY;
    int place = operation->kind == OPERATION_STAGE
                    ? open_below(AT_FDCWD, name, kind, 0)
                    : open_below(parent, name, kind, RESOLVE_NO_SYMLINKS),
        rc = -1;

    if (place >= 0) {
        if (is_of_kind(place, operation))
            rc = move_mount(tree, "", place, "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        close(place);
    }
    return rc;
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

/* What is mounted may cover a file that is there. */
static int make_file(const struct operation *operation, int parent,
                     const char *name)
{
    return mknodat(parent, name, S_IFREG | 0444, 0) == 0 ||
                   (errno == EEXIST && operation->flags & OPERATION_GRANT)
               ? 0
               : -1;
}

static int put(int tree, const struct operation *operation, const char *target)
{
    const char *name;
    int parent = open_parent(operation, target, &name), rc = -1;

    if (parent >= 0) {
        rc = operation->flags & OPERATION_FILE
                 ? make_file(operation, parent, name)
                 : make_dir(parent, name);
        if (rc == 0)
            rc = attach(tree, operation, parent, name);
        close(parent);
    }
    return rc;
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
    if (is_granted(tree, operation) && confine(tree, operation) == 0)
        rc = put(tree, operation, target);
    close(tree);
    return rc;
}

/* The host, or the overlay, confined it. */
static int put_and_close(int tree, const struct operation *operation,
                         const char *target)
{
    int rc = tree >= 0 ? put(tree, operation, target) : -1;

    if (tree >= 0)
        close(tree);
    return rc;
}

static int do_tmpfs(const struct operation *operation, const char *target)
{
    const char *mode = operation->flags & OPERATION_PUBLIC ? "1777" : "0755";

    return put_and_close(
        tmpfs_open(operation->size_bytes, operation->inodes, mode), operation,
        target);
}

static int do_text(const char *source, int parent, const char *name)
{
    size_t bytes = strlen(source);
    int fd =
        openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    int rc = -1;

    if (fd >= 0 && write(fd, source, bytes) == (ssize_t)bytes)
        rc = 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* What needs no mount. */
static int do_node(const struct operation *operation, const char *source,
                   const char *target)
{
    const char *name;
    int parent = open_parent(operation, target, &name), rc = -1;

    if (parent < 0)
        return -1;
    if (operation->kind == OPERATION_DIR)
        rc = make_dir(parent, name);
    else if (operation->kind == OPERATION_LINK)
        rc = symlinkat(source, parent, name);
    else
        rc = do_text(source, parent, name);
    close(parent);
    return rc;
}

static int do_operation(const struct plan *plan, uint32_t index)
{
    const struct operation *operation = &plan->operations[index];
    const char *source = plan->text + operation->source;
    const char *target = plan->text + operation->target;

    switch (operation->kind) {
    case OPERATION_DIR:
    case OPERATION_LINK:
    case OPERATION_TEXT:
        return do_node(operation, source, target);
    case OPERATION_BIND:
        return do_bind(operation, source, target);
    case OPERATION_MOUNT:
        return put_and_close(operation->fd, operation, target);
    case OPERATION_TMPFS:
        return do_tmpfs(operation, target);
    case OPERATION_ROOT: /* we are in it */
        return 0;
    case OPERATION_STAGE:
    case OPERATION_COW:
        return put_and_close(stage_take(index), operation, target);
    }
    errno = ENOSYS;
    return -1;
}

/* The new root covers the old one, then changes places with it. */
static void pivot(bool is_foreign)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0 ||
        (is_foreign ? chmod("/", 0555) /* as Landlock has it */
                    : mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr))) < 0)
        init_fail(STEP_PIVOT, 0);
}

void root_add(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->operation_count; i++)
        if (do_operation(plan, i) < 0)
            init_fail(STEP_OPERATION, i);
}

void root_build(const struct plan *plan)
{
    const bool is_foreign = plan->flags & PLAN_OWN_ROOT;
    int root;

    umask(0);
    has_openat2 = true;
    stage_open(plan);
    /* An own root's operation follows that of its stage. */
    root = is_foreign ? stage_take(1) : tmpfs_open(1 << 20, 256, "0755");
    if (root < 0 ||
        move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
        fchdir(root) < 0)
        init_fail(STEP_ROOT, 0);
    root_add(plan);
    pivot(is_foreign);
    close(root);
}
