/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - looks for what a sealed process will need, and keeps hold of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/process.h"

int process_take(struct process *self, const struct bundle *what,
                 struct gbx_error *err)
{
    int rc;

    if (what->stdio != NULL || what->trace != NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "the process isolation runs no other programs and traces "
                    "no system calls: use the microvm isolation");
    self->limits = what->limits;
    self->ids = bundle_ids(what);
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

static int step_plan(struct process *self, const struct bundle *what,
                     struct gbx_error *err)
{
    /* What the guest will be called (start.c does it). */
    self->plan->uid = self->ids.uid;
    self->plan->gid = self->ids.gid;
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
    mount_see(self);
    if (what->folder != NULL &&
        (rc = mount_find(self, &self->folder, what->folder, AT_RECURSIVE,
                         err)) < 0)
        return rc;
    if (what->root != NULL &&
        (rc = mount_find(self, &self->root, what->root, 0, err)) < 0)
        return rc;
    self->grants = what->grants;
    if ((rc = mount_find_granted(self, err)) < 0)
        return rc;
    return step_plan(self, what, err);
}

void process_init(struct process *self)
{
    self->is_open = true;
    self->init_fd = self->program_fd = self->epoll_fd = -1;
    self->folder = self->root = (struct shown)SHOWN_NONE;
    for (size_t i = 0; i < GBX_MOUNTS_MAX; i++)
        self->granted[i] = (struct shown)SHOWN_NONE;
    self->cgroup = (struct cgroup)CGROUP_NONE;
    self->cell = (struct cell)CELL_NONE;
    pthread_mutex_init(&self->lock, NULL);
}

static void hide(struct shown *shown)
{
    close_fd(&shown->idmap_fd);
    close_fd(&shown->tree);
    close_fd(&shown->fd);
}

void process_fini(struct process *self)
{
    if (!self->is_open)
        return;
    cell_stop(self);
    if (self->from == NULL) /* else they are the zygote's */
        cgroup_close(&self->cgroup);
    close_fd(&self->epoll_fd);
    for (size_t i = 0; i < GBX_MOUNTS_MAX; i++)
        hide(&self->granted[i]);
    hide(&self->root);
    hide(&self->folder);
    close_fd(&self->program_fd);
    close_fd(&self->init_fd);
    free(self->plan);
    self->plan = NULL;
    pthread_mutex_destroy(&self->lock);
    self->is_open = false;
}
