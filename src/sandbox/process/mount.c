/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.c - what the host brings into a sandbox's root, where it is root: the
 * guest program and the script's folder, to which init need not be able to walk
 * then; and a zygote's copy's /tmp, made while the copy is being born.
 * Elsewhere init does it all itself (init/root.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"
#include "sandbox/process/landlock.h"
#include "sandbox/process/process.h"
#include "sandbox/process/tmpfs.h"

/* A mount of what a path leads to, read-only, which may be attached elsewhere,
 * once.  With a user namespace it shows files as belonging to others. */
static int clone_tree(int fd, int idmap_fd, unsigned how)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        .propagation = MS_PRIVATE,
    };
    auto_fd int tree = open_tree(
        fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | how | AT_EMPTY_PATH);

    if (idmap_fd >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (unsigned)idmap_fd;
    }
    if (tree >= 0 &&
        mount_setattr(tree, "", AT_EMPTY_PATH | how, &attr, sizeof(attr)) < 0)
        return -1;
    return steal_fd(&tree);
}

int mount_idmap(uid_t uid, gid_t gid)
{
    const struct birth_ids nobody = {NOBODY, NOBODY};
    auto_fd int caller = (int)syscall(SYS_pidfd_open, getpid(), 0);

    return caller < 0
               ? -1
               : birth_idmap(caller, &(struct birth_ids){uid, gid}, &nobody);
}

/*
 * Run by root the guest is nobody, and a folder that only its owner may read
 * would be closed to it.  So where the file system can, the folder is shown as
 * if its owner's files were the guest's.
 */
static int find(struct process *self, struct shown *shown, const char *path,
                unsigned how, struct gbx_error *err)
{
    unsigned needed;
    struct stat st;

    if (!self->brings_mounts)
        return 0;
    if (fstat(shown->fd, &st) < 0)
        return fail(err, GBX_EHOST, "look at %s", path);
    shown->idmap_fd = self->from != NULL
                          ? zygote_idmap(self->from, st.st_uid, st.st_gid)
                          : mount_idmap(st.st_uid, st.st_gid);
    /* Not every file system can be shown as somebody else's. */
    if (shown->idmap_fd >= 0 &&
        (shown->tree = clone_tree(shown->fd, shown->idmap_fd, how)) >= 0)
        return 0;
    close_fd(&shown->idmap_fd);
    needed = S_ISDIR(st.st_mode) ? 05 : 04;
    if ((st.st_mode & needed) != needed && st.st_uid != NOBODY)
        return fail(err, GBX_EFILE,
                    "%s is its owner's alone, and its file system cannot be "
                    "shown to another user: chmod o+rx it, or move it",
                    path);
    return 0;
}

int mount_find(struct process *self, struct shown *shown, const char *path,
               unsigned how, struct gbx_error *err)
{
    shown->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return shown->fd < 0
               ? fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno))
               : find(self, shown, path, how, err);
}

/*
 * What may be changed is; and so is a folder where Landlock lets a guest write,
 * as a fifo could be written to through a read-only mount.  In an overlay it is
 * another one than the host's.
 */
bool mount_is_overlaid(const struct process *self, const struct grant *grant)
{
    static const char tmp[] = "/tmp/";

    return grant->is_writable ||
           (!grant->is_file &&
            (self->root.fd >= 0 || landlock_abi() == 0 ||
             strncmp(grant->target, tmp, sizeof(tmp) - 1) == 0));
}

/* Through an overlay nothing is seen that is mounted below. */
static unsigned depth_of(const struct process *self, const struct grant *grant)
{
    return mount_is_overlaid(self, grant) ? 0 : AT_RECURSIVE;
}

int mount_find_granted(struct process *self, struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < grant_count(self); i++) {
        const struct grant *grant = &self->grants->all[i];

        self->granted[i].fd = fcntl(grant->fd, F_DUPFD_CLOEXEC, 0);
        rc = self->granted[i].fd < 0
                 ? fail(err, GBX_EHOST, "keep %s open", grant->source)
                 : find(self, &self->granted[i], grant->source,
                        depth_of(self, grant), err);
    }
    return rc;
}

void mount_see(struct process *self)
{
    auto_fd int tree = -1;

    self->brings_mounts =
        geteuid() == 0 && (tree = clone_tree(self->init_fd, -1, 0)) >= 0;
}

/* Its /tmp, which belongs to it. */
static int open_tmp(const struct process *self)
{
    const uint64_t bytes = self->limits.disk_bytes;
    auto_fd int tmp = tmpfs_open(bytes, plan_inodes(bytes), "1777");

    if (tmp >= 0 && fchownat(tmp, "", self->uid, self->gid, AT_EMPTY_PATH) < 0)
        return -1;
    return steal_fd(&tmp);
}

/* The mount that mount_find made, or another; none of what is not shown. */
static int bring(struct shown *shown, unsigned how, int *end)
{
    if (shown->fd < 0)
        return 0;
    *end = shown->tree >= 0 ? steal_fd(&shown->tree)
                            : clone_tree(shown->fd, shown->idmap_fd, how);
    return *end >= 0 ? 0 : -1;
}

int mount_bring(struct process *self, struct ends *ends, struct gbx_error *err)
{
    if (self->brings_mounts && self->program_fd >= 0 &&
        (ends->program = clone_tree(self->program_fd, -1, 0)) < 0)
        return fail(err, GBX_EHOST, "clone the mount of the guest program");
    if (mount_brings_tmp(self) && (ends->tmp = open_tmp(self)) < 0)
        return fail(err, GBX_EHOST, "make a file system for /tmp");
    if (!self->brings_mounts)
        return 0;
    if (bring(&self->folder, AT_RECURSIVE, &ends->folder) < 0)
        return fail(err, GBX_EHOST,
                    "show the script's folder as the sandbox's own");
    if (bring(&self->root, 0, &ends->root) < 0)
        return fail(err, GBX_EHOST, "show the root as the sandbox's own");
    for (size_t i = 0; i < grant_count(self); i++)
        if (bring(&self->granted[i], depth_of(self, &self->grants->all[i]),
                  &ends->grants[i]) < 0)
            return fail(err, GBX_EHOST, "show %s as the sandbox's own",
                        self->grants->all[i].source);
    return 0;
}
