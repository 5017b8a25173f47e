/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the files that the guest sees.
 *
 * Without a root of its own: what the process isolation shows, too (threats.md
 * says why): the host's /usr and what leads into it, a few names in /etc, some
 * devices, /tmp, and the script's folder.  With one (--root): that directory,
 * and what is written to it stays in memory.  And, as there is no other kernel
 * behind it that could leak: the texts of /proc that programs read.
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

static int refuse(const char *path, int rc, struct gbx_error *err)
{
    return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(-rc));
}

/* Show a host path at `at`.  Not there: no error, nothing to see. */
static int show(struct microvm *vm, const char *path, const char *at,
                bool sealed)
{
    auto_fd int fd = open(path, O_PATH | O_CLOEXEC);

    return fd < 0 ? -errno : tree_mount(vm->kernel.tree, at, fd, sealed);
}

static int show_if_there(struct microvm *vm, const char *path)
{
    int rc = show(vm, path, path, true);

    return rc == -ENOENT ? 0 : rc;
}

/* As the host has it: /bin is a link on most, a directory on others. */
static int show_top(struct microvm *vm, const char *path)
{
    char target[PATH_MAX];
    struct stat st;
    ssize_t got;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISLNK(st.st_mode))
        return show_if_there(vm, path);
    got = readlink(path, target, sizeof(target) - 1);
    if (got <= 0)
        return 0;
    target[got] = '\0';
    return tree_make_link(vm->kernel.tree, path, target);
}

/* Without a time zone file, time is UTC. */
static int show_time_zone(struct microvm *vm)
{
    static const char path[] = "/etc/localtime", zones[] = "/usr/share/";
    char target[PATH_MAX];
    ssize_t got = readlink(path, target, sizeof(target) - 1);

    target[got < 0 ? 0 : got] = '\0';
    if (strncmp(target, zones, sizeof(zones) - 1) == 0)
        return tree_make_link(vm->kernel.tree, path, target);
    return show_if_there(vm, path);
}

static int make_names(struct microvm *vm)
{
    static const char services[] = "passwd: files\ngroup: files\n";
    struct tree *tree = vm->kernel.tree;
    char text[128];
    int rc;

    snprintf(text, sizeof(text), "guest:x:%u:%u:guest:/tmp:/usr/sbin/nologin\n",
             vm->kernel.uid, vm->kernel.gid);
    rc = tree_make_file(tree, "/etc/passwd", text, strlen(text), 0444);
    snprintf(text, sizeof(text), "guest:x:%u:\n", vm->kernel.gid);
    if (rc == 0)
        rc = tree_make_file(tree, "/etc/group", text, strlen(text), 0444);
    if (rc == 0)
        rc = tree_make_file(tree, "/etc/nsswitch.conf", services,
                            sizeof(services) - 1, 0444);
    return rc;
}

static int make_devices(struct microvm *vm)
{
    static const char *const names[] = {"null", "zero", "full", "random",
                                        "urandom"};
    struct tree *tree = vm->kernel.tree;
    char path[64];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "/dev/%s", names[i]);
        rc = tree_make_device(tree, path, names[i]);
    }
    if (rc == 0)
        rc = tree_make_link(tree, "/dev/shm", "/tmp");
    return rc;
}

static int build_own(struct microvm *vm)
{
    static const char *const tops[] = {"/bin",   "/sbin",   "/lib",
                                       "/lib32", "/libx32", "/lib64"};
    int rc = show_if_there(vm, "/usr");

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(tops); i++)
        rc = show_top(vm, tops[i]);
    if (rc < 0 || (rc = show_if_there(vm, "/etc/ld.so.cache")) < 0 ||
        (rc = show_if_there(vm, "/etc/alternatives")) < 0 ||
        (rc = show_time_zone(vm)) < 0)
        return rc;
    return make_names(vm);
}

/* Over a directory of the host: what is missing there is made. */
static int build_over(struct microvm *vm, struct gbx_error *err)
{
    struct stat st;
    int rc;

    if (stat(vm->root, &st) < 0)
        return refuse(vm->root, -errno, err);
    if (!S_ISDIR(st.st_mode))
        return refuse(vm->root, -ENOTDIR, err);
    rc = show(vm, vm->root, "/", false);
    if (rc == 0)
        rc = tree_make_dir(vm->kernel.tree, "/tmp", 01777);
    return rc < 0 ? refuse(vm->root, rc, err) : 0;
}

/* The guest program, under its own name. */
static int show_program(struct microvm *vm, struct gbx_error *err)
{
    char path[NAME_MAX + 16];
    int rc;

    snprintf(path, sizeof(path), "/.glovebox/%s", basename(vm->program));
    rc = show(vm, vm->program, path, true);
    return rc < 0 ? fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?",
                         vm->program, strerrordesc_np(-rc))
                  : 0;
}

/* In the tree of a script nothing changes but in /tmp. */
static int seal(struct microvm *vm)
{
    int rc = tree_seal(vm->kernel.tree, "/");

    return rc < 0 ? rc : tree_make_dir(vm->kernel.tree, "/tmp", 01777);
}

int root_build(struct microvm *vm, struct gbx_error *err)
{
    int rc;

    if (vm->root != NULL)
        rc = build_over(vm, err);
    else if ((rc = build_own(vm)) < 0)
        return fail(err, GBX_EHOST, "a guest's files: %s",
                    strerrordesc_np(-rc));
    if (rc < 0)
        return rc;
    if ((rc = make_devices(vm)) < 0 || (rc = proc_build(&vm->kernel)) < 0)
        return fail(err, GBX_EHOST, "a guest's devices: %s",
                    strerrordesc_np(-rc));
    if (vm->folder != NULL && (rc = show(vm, vm->folder, "/script", true)) < 0)
        return refuse(vm->folder, rc, err);
    if (vm->shared != NULL && (rc = show_program(vm, err)) < 0)
        return rc;
    if (vm->root == NULL && (rc = seal(vm)) < 0)
        return fail(err, GBX_EHOST, "a guest's files: %s",
                    strerrordesc_np(-rc));
    return 0;
}
