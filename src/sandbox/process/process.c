/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - the backend: a guest program as a sealed process of this host.
 *
 * One epoll instance holds all that can end a wait: the bell, the guest's
 * output, and the socket to init, which ends when the sandbox ends.  It is made
 * once and outlives a wipe, so that a caller may poll it.
 *
 * The bell is an eventfd that the guest may do anything to: empty it, fill it,
 * make it blocking.  So it is never read.  It is watched edge-triggered: each
 * ring is one event, whatever its counter says, and a wait costs one call.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"
#include "sandbox/process/probe.h"
#include "sandbox/process/process.h"

#define NOBODY 65534u

/* Output read in one go before something else gets its turn. */
#define DRAIN_BYTES_MAX (1u << 20)

/* How often CPU time of all processes is looked at, where it is limited. */
#define CPU_CHECK_NS 100000000u

static int step_limits(struct process *self, const struct bundle *what,
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
    if (what->folder == NULL)
        return 0;
    self->folder_fd = open(what->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (self->folder_fd < 0)
        return fail(err, GBX_EFILE, "%s: %s", what->folder,
                    strerrordesc_np(errno));
    return 0;
}

/* Clone once to see whether we may. */
static int try_tree(int fd)
{
    return open_tree(fd, "",
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                         AT_EMPTY_PATH);
}

/* Not every file system can be shown as somebody else's. */
static bool can_idmap(int folder_fd, int idmap_fd)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
                              .userns_fd = (unsigned)idmap_fd};
    auto_fd int tree = try_tree(folder_fd);

    return tree >= 0 && idmap_fd >= 0 &&
           mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
                         sizeof(attr)) == 0;
}

/*
 * Run by root the guest is nobody, and a folder that only its owner may read
 * would be closed to it.  So where the file system can, the folder is shown as
 * if its owner's files were the guest's.
 */
static int step_folder(struct process *self, const struct bundle *what,
                       struct gbx_error *err)
{
    const struct birth_ids nobody = {NOBODY, NOBODY};
    auto_fd int caller = -1;
    auto_fd int tree = -1;
    struct stat st;

    if (geteuid() != 0 || (tree = try_tree(self->program_fd)) < 0)
        return 0;
    self->brings_mounts = true;
    if (self->folder_fd < 0)
        return 0;
    if (fstat(self->folder_fd, &st) < 0)
        return fail(err, GBX_EHOST, "look at %s", what->folder);
    caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (caller >= 0)
        self->idmap_fd = birth_idmap(
            caller, &(struct birth_ids){st.st_uid, st.st_gid}, &nobody);
    if (can_idmap(self->folder_fd, self->idmap_fd))
        return 0;
    close_fd(&self->idmap_fd);
    if ((st.st_mode & 05) != 05 && st.st_uid != NOBODY)
        return fail(err, GBX_EFILE,
                    "%s is its owner's alone, and its file system cannot be "
                    "shown to another user: chmod o+rx it, or move it",
                    what->folder);
    return 0;
}

static int step_plan(struct process *self, const struct bundle *what,
                     struct gbx_error *err)
{
    const bool root = geteuid() == 0;

    /* What the guest will be called (start.c does it). */
    self->plan->uid = root ? NOBODY : geteuid();
    self->plan->gid = root ? NOBODY : getegid();
    cgroup_open(&self->cgroup);
    if (self->cgroup.version == 1 && self->limits.cpu_ns == 0)
        close_fd(&self->cgroup.parent[CGROUP_CPU]);
    return draft_plan(self, what, err);
}

static int process_open(void *context, const struct bundle *what,
                        struct region *shared, struct gbx_error *err)
{
    struct process *self = context;
    int rc;

    self->is_open = true;
    self->shared = shared;
    self->init_fd = self->program_fd = self->folder_fd = -1;
    self->idmap_fd = self->epoll_fd = -1;
    self->cgroup = (struct cgroup)CGROUP_NONE;
    self->cell = (struct cell)CELL_NONE;
    pthread_mutex_init(&self->lock, NULL);
    if ((rc = step_limits(self, what, err)) < 0 ||
        (rc = step_files(self, what, err)) < 0 ||
        (rc = step_folder(self, what, err)) < 0 ||
        (rc = step_plan(self, what, err)) < 0)
        return rc;
    return cell_start(self, err);
}

static void process_close(void *context)
{
    struct process *self = context;

    if (!self->is_open)
        return;
    cell_stop(self);
    cgroup_close(&self->cgroup);
    close_fd(&self->epoll_fd);
    close_fd(&self->idmap_fd);
    close_fd(&self->folder_fd);
    close_fd(&self->program_fd);
    close_fd(&self->init_fd);
    free(self->plan);
    self->plan = NULL;
    pthread_mutex_destroy(&self->lock);
    self->is_open = false;
}

static void process_kill(void *context)
{
    struct process *self = context;

    pthread_mutex_lock(&self->lock);
    atomic_store(&self->killed, true);
    cell_end(self); /* ends a wait before the last one is dead */
    pthread_mutex_unlock(&self->lock);
}

static int process_wipe(void *context, struct gbx_error *err)
{
    struct process *self = context;

    cell_stop(self);
    if (region_reset(self->shared) < 0)
        return fail(err, GBX_EHOST, "empty the region");
    atomic_store(&self->killed, false);
    return cell_start(self, err);
}

/* Returns 0 when there is no more for now, or what the callback returned. */
static int drain(struct process *self, int stream)
{
    int *fd = &self->cell.output[stream];
    ssize_t got = 0;
    int rc;

    for (size_t all = 0; *fd >= 0 && all < DRAIN_BYTES_MAX;
         all += (size_t)got) {
        got = read(*fd, self->buffer, sizeof(self->buffer));
        if (got < 0)
            return 0;
        if (got == 0) { /* closed by all; an end that would never stop telling
                         */
            epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
            close_fd(fd);
            return 0;
        }
        rc = self->output == NULL
                 ? 0
                 : self->output(self->output_context, stream + 1, self->buffer,
                                (size_t)got);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Why did it end?  Init's word first, then what the host itself can see. */
static int reason(struct process *self, bool told)
{
    const struct ended *ended = &self->ended;

    if (atomic_load(&self->killed))
        return GBX_ECANCELED;
    if ((!told || ended->signal == SIGKILL) && self->cell.has_cgroup &&
        cgroup_oom_kills(&self->cgroup) > 0)
        return GBX_EMEMORY;
    if (!told)
        return GBX_EBROKEN;
    if (ended->signal == SIGXCPU ||
        (ended->signal == SIGKILL && self->limits.cpu_ns != 0 &&
         ended->cpu_ns >= self->limits.cpu_ns))
        return GBX_ECPU;
    return ended->signal != 0 ? GBX_ESIGNAL : GBX_EEXIT;
}

static void take_end(struct process *self)
{
    ssize_t got = recv(self->cell.control, &self->ended, sizeof(self->ended),
                       MSG_DONTWAIT);
    const bool told =
        got == sizeof(self->ended) && self->ended.magic == ENDED_MAGIC;

    if (got < 0 && errno == EAGAIN)
        return;
    self->end = reason(self, told);
}

/* All that the sandbox's processes used, together. */
static void check_cpu(struct process *self)
{
    if (self->limits.cpu_ns == 0 || !self->cell.has_cgroup || self->end != 0 ||
        cgroup_cpu_ns(&self->cgroup) < self->limits.cpu_ns)
        return;
    self->end = GBX_ECPU;
    cell_end(self);
}

/* Wait for events: until the deadline, or the next look at the CPU time. */
static int await(struct process *self, struct epoll_event events[4],
                 uint64_t deadline_ns)
{
    const bool checks = self->limits.cpu_ns != 0 && self->cell.has_cgroup;
    const uint64_t now = clock_now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec wait;

    if (checks && (deadline_ns == 0 || left > CPU_CHECK_NS))
        left = CPU_CHECK_NS;
    wait.tv_sec = (time_t)(left / 1000000000u);
    wait.tv_nsec = (long)(left % 1000000000u);
    return epoll_pwait2(self->epoll_fd, events, 4,
                        deadline_ns == 0 && !checks ? NULL : &wait, NULL);
}

/*
 * Returns 1 when the guest rang, 0, or what ends the run.  What the guest
 * printed last was there before its end was, so it is among the same events.
 */
static int attend(struct process *self, const struct epoll_event *events,
                  int count)
{
    int rang = 0, rc = 0;

    for (int i = 0; i < count && rc == 0; i++) {
        const int fd = events[i].data.fd;

        if (fd == self->cell.bell)
            rang = 1;
        else if (fd == self->cell.control)
            take_end(self);
        else
            rc = drain(self, fd == self->cell.output[1]);
    }
    return rc < 0 ? rc : rang;
}

static int run(struct process *self, uint64_t deadline_ns)
{
    struct epoll_event events[4];
    int count, rc;

    for (;;) {
        if (atomic_load(&self->killed))
            return GBX_ECANCELED;
        if (self->end != 0)
            return self->end;
        count = await(self, events, deadline_ns);
        if (count < 0 && errno != EINTR)
            return GBX_EHOST;
        rc = attend(self, events, count);
        if (rc < 0)
            return rc;
        check_cpu(self);
        if (self->end != 0 || atomic_load(&self->killed))
            continue;
        if (rc > 0)
            return 0;
        if (clock_is_past(deadline_ns))
            return GBX_ETIME;
    }
}

static int process_run(void *context, uint64_t deadline_ns)
{
    struct process *self = context;

    return self->last = run(self, deadline_ns);
}

static void process_ring(void *context)
{
    const struct process *self = context;
    struct gbx_half_head *head = (void *)self->shared->base;

    /* Not private: the guest waits in another address space. */
    syscall(SYS_futex, &head->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int process_fd(void *context)
{
    const struct process *self = context;

    return self->epoll_fd;
}

static int process_status(void *context)
{
    const struct process *self = context;

    return self->ended.signal != 0 ? 128 + self->ended.signal
                                   : self->ended.status;
}

static void process_explain(void *context, struct gbx_error *err)
{
    const struct process *self = context;

    explain_end(self, err);
}

const struct backend backend_process = {
    .name = "process",
    .self_bytes = sizeof(struct process),
    .probe = process_probe,
    .open = process_open,
    .run = process_run,
    .ring = process_ring,
    .fd = process_fd,
    .status = process_status,
    .explain = process_explain,
    .wipe = process_wipe,
    .kill = process_kill,
    .close = process_close,
};
