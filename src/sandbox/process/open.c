/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - looks for what a sealed process will need, and keeps hold of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"
#include "sandbox/process/process.h"

#define NOBODY 65534u

int process_take(struct process *self, const struct bundle *what,
                 struct gbx_error *err)
{
    int rc;

    if (what->root != NULL || what->stdio != NULL || what->trace != NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "the process isolation runs no other programs and traces "
                    "no system calls: use the microvm isolation");
    self->limits = what->limits;
    self->output = what->output;
    self->output_context = what->output_context;
    if ((rc = bundle_check(what, err)) < 0)
        return rc;
    if ((self->plan = calloc(1, sizeof(*self->plan))) == NULL)
        return fail(err, GBX_EHOST, "no memory for a plan");
    if ((self->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return fail(err, GBX_EHOST, "open an epoll instance");
    return 0;
}

static int step_files(struct process *self, const struct bundle *what,
                      struct gbx_error *err)
{
    char init[PATH_MAX];
    struct stat st;

    snprintf(init, sizeof(init), "%s/glovebox-init", what->libexec_dir);
    if ((self->init_fd = open(init, O_RDONLY | O_CLOEXEC)) < 0)
        return fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?", init,
                    strerrordesc_np(errno));
    self->program_fd = open(what->program, O_PATH | O_CLOEXEC);
    if (self->program_fd < 0)
        return fail(err, GBX_EFILE, "%s: %s; is Glovebox installed?",
                    what->program, strerrordesc_np(errno));
    if (fstat(self->program_fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 0111) == 0)
        return fail(err, GBX_EFILE, "%s: not an executable file",
                    what->program);
    return 0;
}

int process_clone_tree(int fd)
{
    return open_tree(fd, "",
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                         AT_EMPTY_PATH);
}

int process_show_folder(const struct process *self)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
                              .userns_fd = (unsigned)self->idmap_fd};
    auto_fd int tree = process_clone_tree(self->folder_fd);

    if (tree >= 0 && self->idmap_fd >= 0 &&
        mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
                      sizeof(attr)) < 0)
        return -1;
    return steal_fd(&tree);
}

int process_idmap(uid_t uid, gid_t gid)
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
int process_find_folder(struct process *self, const struct bundle *what,
                        struct gbx_error *err)
{
    struct stat st;

    self->folder_fd = open(what->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (self->folder_fd < 0)
        return fail(err, GBX_EFILE, "%s: %s", what->folder,
                    strerrordesc_np(errno));
    if (!self->brings_mounts)
        return 0;
    if (fstat(self->folder_fd, &st) < 0)
        return fail(err, GBX_EHOST, "look at %s", what->folder);
    self->idmap_fd = self->from != NULL
                         ? zygote_idmap(self->from, st.st_uid, st.st_gid)
                         : process_idmap(st.st_uid, st.st_gid);
    /* Not every file system can be shown as somebody else's. */
    if (self->idmap_fd >= 0 &&
        (self->folder_tree = process_show_folder(self)) >= 0)
        return 0;
    close_fd(&self->idmap_fd);
    if ((st.st_mode & 05) != 05 && st.st_uid != NOBODY)
        return fail(err, GBX_EFILE,
                    "%s is its owner's alone, and its file system cannot be "
                    "shown to another user: chmod o+rx it, or move it",
                    what->folder);
    return 0;
}

static void see_mounts(struct process *self)
{
    auto_fd int tree = -1;

    self->brings_mounts =
        geteuid() == 0 && (tree = process_clone_tree(self->program_fd)) >= 0;
}

static int step_plan(struct process *self, const struct bundle *what,
                     struct gbx_error *err)
{
    const bool root = geteuid() == 0;

    /* What the guest will be called (start.c does it). */
    self->plan->uid = root ? NOBODY : geteuid();
    self->plan->gid = root ? NOBODY : getegid();
    cgroup_open(&self->cgroup);
    /* A zygote's copies may have other limits. */
    self->cgroup.nests = self->is_zygote;
    if (self->cgroup.version == 1 && self->limits.cpu_ns == 0 &&
        !self->is_zygote)
        close_fd(&self->cgroup.parent[CGROUP_CPU]);
    return draft_plan(self, what, err);
}

int process_find(struct process *self, const struct bundle *what,
                 struct gbx_error *err)
{
    int rc;

    if ((rc = step_files(self, what, err)) < 0)
        return rc;
    see_mounts(self);
    if (what->folder != NULL && (rc = process_find_folder(self, what, err)) < 0)
        return rc;
    return step_plan(self, what, err);
}

void process_init(struct process *self)
{
    self->is_open = true;
    self->init_fd = self->program_fd = self->folder_fd = -1;
    self->folder_tree = -1;
    self->idmap_fd = self->epoll_fd = -1;
    self->cgroup = (struct cgroup)CGROUP_NONE;
    self->cell = (struct cell)CELL_NONE;
    pthread_mutex_init(&self->lock, NULL);
}

void process_fini(struct process *self)
{
    if (!self->is_open)
        return;
    cell_stop(self);
    if (self->from == NULL) /* else they are the zygote's */
        cgroup_close(&self->cgroup);
    close_fd(&self->epoll_fd);
    close_fd(&self->idmap_fd);
    close_fd(&self->folder_fd);
    close_fd(&self->program_fd);
    close_fd(&self->init_fd);
    close_fd(&self->folder_tree);
    free(self->plan);
    self->plan = NULL;
    pthread_mutex_destroy(&self->lock);
    self->is_open = false;
}
