/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the files that the guest sees.
 *
 * Without a root of its own: what view.h says (threats.md says why), /tmp, and
 * the script's folder.  With one (--root): that directory, and what is written
 * to it stays in memory.  And, as there is no other kernel behind it that could
 * leak: the texts of /proc that programs read, and /dev/zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/linux/proc.h"
#include "sandbox/view.h"

/* errno says why, once. */
static int refuse_files(const char *what, int rc, struct gbx_error *err)
{
    errno = -rc;
    return fail(err, GBX_EHOST, "%s", what);
}

static int refuse(const char *path, int rc, struct gbx_error *err)
{
    return fail(err, rc == -EMFILE ? GBX_EHOST : GBX_EFILE, "%s: %s%s", path,
                strerrordesc_np(-rc), rc == -EMFILE ? "; raise ulimit -n" : "");
}

/* Show a host path at `at`.  Not there: no error, nothing to see. */
static int show(struct microvm *vm, const char *path, const char *at,
                unsigned how)
{
    auto_fd int fd = open(path, O_PATH | O_CLOEXEC);

    return fd < 0 ? -errno : tree_mount(vm->kernel->tree, at, fd, how);
}

static int show_if_there(struct microvm *vm, const char *path)
{
    int rc = show(vm, path, path, MOUNT_SEALED | MOUNT_FOREIGN);

    return rc == -ENOENT ? 0 : rc;
}

static int see(void *context, const struct view_entry *entry)
{
    struct microvm *vm = context;
    struct tree *tree = vm->kernel->tree;

    switch (entry->kind) {
    case VIEW_DIR:
        return 0; /* parents are made where they are needed */
    case VIEW_HOST_DIR:
    case VIEW_HOST_FILE:
        return show_if_there(vm, entry->path);
    case VIEW_DEVICE:
        return tree_make_device(tree, entry->path, basename(entry->path));
    case VIEW_LINK:
        return tree_make_link(tree, entry->path, entry->text);
    case VIEW_TEXT:
        return tree_make_file(tree, entry->path, entry->text,
                              strlen(entry->text), 0444);
    }
    return -EINVAL;
}

/* Over a directory of the host: what is missing there is made, and what it has
 * where a kernel shows its own is covered. */
static int build_over(struct microvm *vm, struct gbx_error *err)
{
    static const char *const kernels[] = {"/dev", "/proc", "/sys"};
    struct stat st;
    int rc;

    if (stat(vm->root, &st) < 0)
        return refuse(vm->root, -errno, err);
    if (!S_ISDIR(st.st_mode))
        return refuse(vm->root, -ENOTDIR, err);
    rc = show(vm, vm->root, "/", 0);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(kernels); i++)
        rc = tree_make_dir(vm->kernel->tree, kernels[i], 0755);
    if (rc == 0)
        rc = tree_make_dir(vm->kernel->tree, "/tmp", 01777);
    return rc < 0 ? refuse(vm->root, rc, err) : 0;
}

int root_add_folder(struct microvm *vm, struct gbx_error *err)
{
    int rc;

    if (vm->folder == NULL || vm->snapshot->has_folder)
        return 0;
    if (vm->folder_fd < 0)
        vm->folder_fd = open(vm->folder, O_PATH | O_CLOEXEC);
    if (vm->folder_fd < 0)
        return refuse(vm->folder, -errno, err);
    rc = tree_mount(vm->kernel->tree, "/script", vm->folder_fd, MOUNT_SEALED);
    return rc < 0 ? refuse(vm->folder, rc, err) : 0;
}

/* The guest program, under its own name. */
static int show_program(struct microvm *vm, struct gbx_error *err)
{
    char path[NAME_MAX + 16];
    int rc;

    snprintf(path, sizeof(path), "/.glovebox/%s", basename(vm->program));
    rc = show(vm, vm->program, path, MOUNT_SEALED);
    return rc < 0 ? fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?",
                         vm->program, strerrordesc_np(-rc))
                  : 0;
}

/* In the tree of a script nothing changes but in /tmp. */
static int seal(struct microvm *vm)
{
    int rc = tree_seal(vm->kernel->tree, "/");

    return rc < 0 ? rc : tree_make_dir(vm->kernel->tree, "/tmp", 01777);
}

int root_build(struct microvm *vm, struct gbx_error *err)
{
    int rc;

    if (vm->root != NULL)
        rc = build_over(vm, err);
    else if ((rc = view_files(vm->kernel->uid, vm->kernel->gid, see, vm)) < 0)
        return refuse_files("a guest's files", rc, err);
    if (rc < 0)
        return rc;
    if ((rc = view_devices(see, vm)) < 0 ||
        (rc = tree_make_device(vm->kernel->tree, "/dev/zero", "zero")) < 0 ||
        (rc = proc_build(vm->kernel)) < 0)
        return refuse_files("a guest's devices", rc, err);
    if (vm->folder != NULL &&
        (rc = show(vm, vm->folder, "/script", MOUNT_SEALED)) < 0)
        return refuse(vm->folder, rc, err);
    if (vm->shared != NULL && (rc = show_program(vm, err)) < 0)
        return rc;
    if (vm->root == NULL && (rc = seal(vm)) < 0)
        return refuse_files("a guest's files", rc, err);
    return 0;
}
