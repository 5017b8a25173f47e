/* SPDX-License-Identifier: Apache-2.0 */
/* root.c - the files that the guest sees: what show.h says, the texts of /proc
 * that programs read, and the guest program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sandbox/files/show.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/linux/proc.h"

static int add_folder(struct microvm *vm, struct gbx_error *err)
{
    int rc;

    if (vm->folder == NULL || vm->snapshot->has_folder)
        return 0;
    if (vm->folder_fd < 0)
        vm->folder_fd = open(vm->folder, O_PATH | O_CLOEXEC);
    if (vm->folder_fd < 0)
        return show_refuse(vm->folder, -errno, err);
    rc = tree_mount(vm->kernel->tree, "/script", vm->folder_fd, MOUNT_SEALED);
    return rc < 0 ? show_refuse(vm->folder, rc, err) : 0;
}

int root_add(struct microvm *vm, struct gbx_error *err)
{
    int rc = add_folder(vm, err);

    return rc < 0 || vm->snapshot->has_grants
               ? rc
               : show_grants(vm->kernel->tree, vm->what.grants, err);
}

/* The guest program, under its own name. */
static int show_program(struct microvm *vm, struct gbx_error *err)
{
    char path[NAME_MAX + 16];
    int rc;

    snprintf(path, sizeof(path), "/.glovebox/%s", basename(vm->program));
    rc = show_path(vm->kernel->tree, vm->program, path, MOUNT_SEALED);
    return rc < 0 ? fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?",
                         vm->program, strerrordesc_np(-rc))
                  : 0;
}

int root_build(struct microvm *vm, struct gbx_error *err)
{
    struct kernel *kernel = vm->kernel;
    int rc;

    rc = show_files(kernel->tree, vm->root, kernel->uid, kernel->gid, err);
    if (rc < 0)
        return rc;
    if ((rc = proc_build(kernel)) < 0) {
        errno = -rc;
        return fail(err, GBX_EHOST, "a guest's /proc");
    }
    if (vm->folder != NULL &&
        (rc = show_folder(kernel->tree, vm->folder, err)) < 0)
        return rc;
    if (vm->shared != NULL && (rc = show_program(vm, err)) < 0)
        return rc;
    if (vm->root == NULL && (rc = show_seal(kernel->tree, err)) < 0)
        return rc;
    return show_grants(kernel->tree, vm->what.grants, err);
}
