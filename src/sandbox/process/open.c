/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - looks for what a sealed process will need, and keeps hold of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/process.h"

/* A program holds them itself: so nothing by which it could reach more. */
static bool is_stream(int fd)
{
    socklen_t bytes = sizeof(int);
    struct stat st;
    int type;

    if (fd < 0)
        return true;
    if (fstat(fd, &st) < 0 || (fcntl(fd, F_GETFL) & O_PATH) != 0)
        return false;
    if (S_ISSOCK(st.st_mode)) /* of datagrams, it could send them anywhere */
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 &&
               (type == SOCK_STREAM || type == SOCK_SEQPACKET);
    return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode);
}

/* Has it an owner who may change its mode, and is that whom the guest may be
 * outside?  (Of pipes and sockets without a name that means nothing.) */
static bool is_owned(int fd)
{
    struct statfs fs;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (fstatfs(fd, &fs) == 0 &&
        (fs.f_type == PIPEFS_MAGIC || fs.f_type == SOCKFS_MAGIC))
        return false;
    return st.st_uid == geteuid() || st.st_uid == NOBODY;
}

static int take_streams(struct process *self, const int *stdio,
                        struct gbx_error *err)
{
    self->is_program = stdio != NULL;
    for (int i = 0; i < 3; i++) {
        self->stdio[i] = stdio != NULL ? stdio[i] : -1;
        if (!is_stream(self->stdio[i]))
            return fail(err, GBX_EARGUMENT,
                        "standard stream %d is no file, pipe, terminal or "
                        "stream socket: a process is not given it; use the "
                        "microvm isolation",
                        i);
    }
    return 0;
}

int process_take(struct process *self, const struct bundle *what,
                 struct gbx_error *err)
{
    int rc;

    if (what->trace != NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "the process isolation traces no system calls: use the "
                    "microvm isolation");
    if ((rc = take_streams(self, what->stdio, err)) < 0)
        return rc;
    self->limits = what->limits;
    self->ids = bundle_ids(what);
    self->output = what->output;
    self->output_context = what->output_context;
    if ((rc = bundle_check(what, err)) < 0)
        return rc;
    if ((self->plan = calloc(1, sizeof(*self->plan))) == NULL)
        return fail(err, GBX_EHOST, "no memory for a plan");
    for (int i = 0; i < 3; i++)
        if (is_owned(self->stdio[i]))
            self->plan->flags |= PLAN_STREAMS;
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
    if (self->is_program)
        return 0;
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
    self->stdio[0] = self->stdio[1] = self->stdio[2] = -1;
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
