/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - from nothing to a guest program that runs.
 *
 * A row of steps; what is there when one fails is taken away by cell_stop.
 * While init is loaded by the kernel, the host makes its cgroup.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/process/birth.h"
#include "sandbox/process/filter/filter.h"
#include "sandbox/process/process.h"

#define START_MS     10000 /* for init, from the plan to the guest's exec */
#define END_WAIT_MS  3000
#define KERNEL_BYTES (16u << 20)

#define ENDS_NONE                                                              \
    {                                                                          \
        .output = {-1, -1}, .control = -1, .start = -1, .caller = -1,          \
        .program = -1, .folder = -1, .root = -1, .tmp = -1, .orders = -1,      \
        .proc = -1, .grants = {[0 ... GBX_MOUNTS_MAX - 1] = -1},               \
    }

static void close_ends(struct ends *ends)
{
    close_fd(&ends->output[0]);
    close_fd(&ends->output[1]);
    close_fd(&ends->control);
    close_fd(&ends->start);
    close_fd(&ends->caller);
    close_fd(&ends->program);
    close_fd(&ends->folder);
    close_fd(&ends->root);
    close_fd(&ends->tmp);
    close_fd(&ends->orders);
    close_fd(&ends->proc);
    for (size_t i = 0; i < GBX_MOUNTS_MAX; i++)
        close_fd(&ends->grants[i]);
}

/* Our end never waits; the guest's does, that is how a flood is slowed down.
 * A program's own stream is not ours to read. */
static int open_output(int own, int *ours, int *theirs)
{
    int both[2];

    if (own >= 0)
        return *theirs = fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (pipe2(both, O_CLOEXEC) < 0)
        return -1;
    *ours = both[0];
    *theirs = both[1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

/* To init. */
static int step_control(struct process *self, struct ends *ends,
                        struct gbx_error *err)
{
    struct cell *cell = &self->cell;
    int both[2];

    if (pipe2(both, O_CLOEXEC) < 0)
        return fail(err, GBX_EHOST, "open a pipe");
    cell->start = both[0];
    ends->start = both[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both) < 0)
        return fail(err, GBX_EHOST, "open a socket pair");
    pthread_mutex_lock(&self->lock);
    cell->control = both[0];
    if (atomic_load(&self->killed))
        cell_end(self);
    pthread_mutex_unlock(&self->lock);
    ends->control = both[1];
    ends->caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (ends->caller < 0)
        return fail(err, errno == ENOSYS ? GBX_EUNSUPPORTED : GBX_EHOST,
                    "pidfd_open (Linux 5.3 or newer is needed)");
    return 0;
}

/* To the guest. */
static int step_pipes(struct process *self, struct ends *ends,
                      struct gbx_error *err)
{
    struct cell *cell = &self->cell;

    if ((cell->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return fail(err, GBX_EHOST, "open an eventfd");
    for (int i = 0; i < 2; i++)
        if (open_output(self->stdio[i + 1], &cell->output[i],
                        &ends->output[i]) < 0)
            return fail(err, GBX_EHOST, "open a pipe");
    return 0;
}

/* What a zygote has where others have a region. */
static int step_orders(struct process *self, struct ends *ends,
                       struct gbx_error *err)
{
    int both[2];

    if (!self->is_zygote)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both) < 0)
        return fail(err, GBX_EHOST, "open a socket pair");
    self->cell.orders = both[0];
    ends->orders = both[1];
    ends->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return ends->proc >= 0 ? 0 : fail(err, GBX_EHOST, "open /proc");
}

static int step_watch(struct process *self, struct gbx_error *err)
{
    const struct cell *cell = &self->cell;
    const struct {
        int fd;
        uint32_t events;
    } watched[] = {
        {cell->control, EPOLLIN},
        {cell->output[0], EPOLLIN},
        {cell->output[1], EPOLLIN},
        {cell->bell, EPOLLIN | EPOLLET},
    };

    for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
        struct epoll_event event = {.events = watched[i].events,
                                    .data.fd = watched[i].fd};

        if (watched[i].fd >= 0 &&
            epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, watched[i].fd, &event) < 0)
            return fail(err, GBX_EHOST, "watch a file descriptor");
    }
    return 0;
}

static int step_clone(struct process *self, struct ends *ends, pid_t *pid,
                      struct gbx_error *err)
{
    const struct cgroup *cgroup = &self->cgroup;
    const struct region *shared = self->shared;
    struct birth birth = {
        .fd =
            {
                [INIT_FD_IN] = self->stdio[0],
                [INIT_FD_OUT] = ends->output[0],
                [INIT_FD_ERR] = ends->output[1],
                [INIT_FD_HOST_HALF] =
                    shared != NULL ? shared->host_read_fd : ends->orders,
                [INIT_FD_GUEST_HALF] =
                    shared != NULL ? shared->fd[HALF_GUEST] : ends->proc,
                [INIT_FD_BELL] = self->is_program ? -1 : self->cell.bell,
                [INIT_FD_CONTROL] = ends->control,
                [INIT_FD_START] = ends->start,
                [INIT_FD_CALLER] = ends->caller,
                [INIT_FD_PROGRAM] = ends->program,
                [INIT_FD_FOLDER] = ends->folder,
                [INIT_FD_ROOT] = ends->root,
                [INIT_FD_CGROUP] = cgroup->parent[0],
                [INIT_FD_CGROUP + 1] = cgroup->parent[1],
                [INIT_FD_CGROUP + 2] = cgroup->parent[2],
                [INIT_FD_SELF] = self->init_fd,
            },
        .name = cgroup->name,
        .has_stage = self->plan->flags & PLAN_STAGE,
    };
    bool execed;
    int pidfd;

    memcpy(&birth.fd[INIT_FD_GRANT], ends->grants, sizeof(ends->grants));
    if ((*pid = birth_init(&birth, &pidfd, &execed)) < 0) {
        if (execed)
            return fail(err, GBX_EHOST, "start glovebox-init");
        return explain_clone(errno, err);
    }
    self->cell.pidfd = pidfd;
    return 0;
}

int cell_make_cgroup(struct process *self, struct gbx_error *err)
{
    int rc;

    if (self->cgroup.version == 0)
        return 0;
    if ((rc = cgroup_make(&self->cgroup, err)) < 0)
        return rc;
    self->cell.has_cgroup = true;
    return 0;
}

int cell_limit(struct process *self, struct gbx_error *err)
{
    const struct cgroup_limits limits = {
        /* All that is charged to it: private memory, /tmp, what it writes in
         * its half of the region, and what the kernel keeps about it. */
        .memory_bytes = self->limits.memory_bytes + self->limits.disk_bytes +
                        (self->shared != NULL ? self->shared->half_bytes : 0) +
                        KERNEL_BYTES,
        /* v2: pid 1 of a copy is born in it, too. */
        .processes = self->limits.processes +
                     (self->from != NULL && self->cgroup.version == 2),
    };

    return self->cell.has_cgroup ? cgroup_limit(&self->cgroup, &limits, err)
                                 : 0;
}

/* Init's cgroup is made while the kernel loads it. */
static int step_cgroup(struct process *self, struct gbx_error *err)
{
    int rc = cell_make_cgroup(self, err);

    if (rc == 0 && !self->is_zygote) /* whose copies may have other limits */
        rc = cell_limit(self, err);
    self->plan->cgroups = 0;
    for (int i = 0; i < PLAN_CGROUPS; i++)
        if (self->cgroup.parent[i] >= 0)
            self->plan->cgroups |= 1u << i;
    if (self->cgroup.version != 0)
        self->plan->flags |=
            self->cgroup.version == 1 ? PLAN_CGROUP_V1 : PLAN_CGROUP_V2;
    return rc;
}

static int fail_no_init(const struct process *self, struct gbx_error *err)
{
    if (atomic_load(&self->killed))
        return fail(err, GBX_ECANCELED, "killed while it started");
    if (self->from != NULL && self->cell.pidfd < 0) {
        errno = 0;
        return fail(err, GBX_ESTALE, "the template's process has ended");
    }
    if (self->from != NULL)
        return fail(err, GBX_EBROKEN,
                    "the sandbox's first process ended at once");
    return fail(err, GBX_EFILE,
                "glovebox-init ended at once: is it of the same build as the "
                "library? Install both again");
}

/* Nobody can be given an identity who is dead. */
static int fail_identity(const struct process *self, struct gbx_error *err)
{
    int sys = errno;

    if (birth_await(self->cell.pidfd, 100))
        return fail_no_init(self, err);
    errno = sys;
    return fail(err, GBX_EHOST, "map the sandbox's user");
}

/*
 * Run by root, the guest is nobody, so that no file of root's is its own.  Run
 * by anybody else, it is its caller: nobody else could be had.  What it is
 * called inside is another matter, and gives it nothing.  A zygote is called
 * as ever, since none of its copies could be root in a namespace of root's.
 */
static int step_identity(struct process *self, pid_t pid, struct gbx_error *err)
{
    const struct birth_ids self_ids = {geteuid(), getegid()};
    const struct birth_ids nobody = {NOBODY, NOBODY};
    const struct bundle usual = {0};
    const struct guest_ids ids =
        self->is_zygote ? bundle_ids(&usual) : self->ids;
    const struct birth_ids inside = {ids.uid, ids.gid};
    const bool root = geteuid() == 0;
    struct plan *plan = self->plan;

    plan->uid = inside.uid;
    plan->gid = inside.gid;
    plan->flags &= ~PLAN_SET_GROUPS;
    self->uid = geteuid();
    self->gid = getegid();
    if (root && birth_map(pid, &inside, &nobody, true) == 0) {
        self->uid = self->gid = NOBODY;
        plan->flags |= PLAN_SET_GROUPS;
        plan_set_processes(plan, self->limits.processes);
        return 0;
    }
    plan_set_processes(plan, self->limits.processes + 1ull);
    if ((root && errno != EPERM) ||
        birth_map(pid, &inside, &self_ids, false) < 0)
        return fail_identity(self, err);
    return 0;
}

static int send_all(int to, const void *bytes, size_t count,
                    struct gbx_error *err)
{
    /* A broken connection has a reason, and step_wait will hear it. */
    if (send(to, bytes, count, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
        errno != ECONNRESET)
        return fail(err, GBX_EHOST, "send to glovebox-init");
    return 0;
}

static int send_filter(int to, const struct filter *filter,
                       struct gbx_error *err)
{
    return send_all(to, filter,
                    offsetof(struct filter, code) +
                        filter->count * sizeof(filter->code[0]),
                    err);
}

/* A zygote is under a part of the filter, and keeps the rest for its copies. */
static int step_send(struct process *self, struct gbx_error *err)
{
    const struct cell *cell = &self->cell;
    int rc = send_all(cell->control, self->plan, plan_bytes(self->plan), err);

    if (rc == 0 && self->plan->flags & PLAN_STREAMS)
        rc = send_filter(cell->control, &process_filter_streams, err);
    if (rc < 0)
        return rc;
    if (!self->is_zygote)
        return send_filter(cell->control, &process_filter, err);
    rc = send_filter(cell->orders, &process_filter_outer, err);
    return rc < 0 ? rc : send_filter(cell->orders, &process_filter_inner, err);
}

/* Init's next word, and the pidfd that comes with BORN; 0 when it said none. */
static uint64_t hear(struct process *self)
{
    _Alignas(struct cmsghdr) char rights[CMSG_SPACE(sizeof(int))];
    uint64_t word = 0;
    struct iovec all = {.iov_base = &word, .iov_len = sizeof(word)};
    struct msghdr message = {.msg_iov = &all,
                             .msg_iovlen = 1,
                             .msg_control = rights,
                             .msg_controllen = sizeof(rights)};
    struct cmsghdr *head;

    if (recvmsg(self->cell.control, &message,
                MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(word))
        return 0;
    head = CMSG_FIRSTHDR(&message);
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
        close_fd(&self->cell.pidfd);
        memcpy(&self->cell.pidfd, CMSG_DATA(head), sizeof(int));
    }
    return word;
}

/*
 * Until init says hello: the guest program runs.  Or until a report, or an end.
 * The pipe's own end says nothing: the exec closes it, but a process that the
 * caller forked meanwhile may keep it open.
 */
static int step_wait(struct process *self, struct gbx_error *err)
{
    /* In this order: a report was written before hello, and is seen first. */
    struct pollfd waits[] = {
        {.fd = self->cell.control, .events = POLLIN},
        {.fd = self->cell.start, .events = POLLIN},
        {.events = POLLIN}, /* of init, once it is known */
    };
    struct report report;
    bool greeted = false;
    uint64_t word;
    int ready;

    while (!greeted || self->cell.pidfd < 0) {
        waits[2].fd = self->cell.pidfd;
        ready = poll(waits, ARRAY_SIZE(waits), START_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return fail(err, GBX_EHOST, "wait for glovebox-init");
        if (ready == 0)
            return fail(err, GBX_ETIME, "the guest did not start in time");
        if ((waits[1].revents & POLLIN) != 0 &&
            read(self->cell.start, &report, sizeof(report)) == sizeof(report) &&
            report.magic == REPORT_MAGIC && report.step < STEP_COUNT)
            return explain_report(self, &report, err);
        if (waits[0].revents == 0 && waits[2].revents == 0) {
            waits[1].fd = -1; /* it ended */
            continue;
        }
        word = hear(self);
        if (word != HELLO_MAGIC && word != BORN_MAGIC)
            return fail_no_init(self, err);
        greeted = greeted || word == HELLO_MAGIC;
        if (word == BORN_MAGIC && self->cell.pidfd < 0) {
            errno = EMFILE;
            return fail(err, GBX_EHOST, "take a copy's pidfd");
        }
    }
    return 0;
}

/* In the way of init: it is executed anew. */
static int be_born(struct process *self, struct ends *ends,
                   struct gbx_error *err)
{
    pid_t pid;
    int rc;

    cgroup_choose_name(&self->cgroup);
    if ((rc = step_control(self, ends, err)) < 0 ||
        (rc = step_orders(self, ends, err)) < 0 ||
        (rc = step_clone(self, ends, &pid, err)) < 0 ||
        (rc = step_cgroup(self, err)) < 0 ||
        (rc = step_identity(self, pid, err)) < 0)
        return rc;
    return step_send(self, err);
}

int cell_order(struct process *self, struct gbx_error *err)
{
    struct ends ends = ENDS_NONE;
    int rc;

    if ((rc = step_control(self, &ends, err)) < 0 ||
        (rc = zygote_order(self, &ends, err)) < 0)
        cell_stop(self);
    close_ends(&ends);
    return rc;
}

int cell_start(struct process *self, struct gbx_error *err)
{
    struct ends ends = ENDS_NONE;
    int rc;

    self->end = 0;
    if ((rc = step_pipes(self, &ends, err)) == 0 &&
        (rc = mount_bring(self, &ends, err)) == 0)
        rc = self->from == NULL ? be_born(self, &ends, err)
                                : zygote_tell(self, &ends, err);

    /* Only the children have these now, so that an end is seen as one. */
    close_ends(&ends);
    if (rc < 0 || (rc = step_watch(self, err)) < 0 ||
        (rc = step_wait(self, err)) < 0)
        cell_stop(self);
    close_fd(&self->cell.start);
    return rc;
}

/* Explicitly: a process the caller forked may keep the file open. */
static void unwatch(const struct process *self, int fd)
{
    if (fd >= 0)
        epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void cell_end(const struct process *self)
{
    if (self->cell.control >= 0)
        shutdown(self->cell.control, SHUT_RDWR);
}

void cell_stop(struct process *self)
{
    struct cell *cell = &self->cell;

    /* What keeps the processes also removes the cgroup: were that left to us,
     * a caller killed at the wrong moment would leave it behind. */
    cell_end(self);
    if (cell->has_cgroup && cell->pidfd >= 0)
        birth_await(cell->pidfd, END_WAIT_MS);
    if (cell->pidfd >= 0)
        birth_end(cell->pidfd);
    if (cell->has_cgroup)
        cgroup_remove(&self->cgroup);
    cell->has_cgroup = false;
    close_fd(&cell->pidfd);

    unwatch(self, cell->control);
    unwatch(self, cell->bell);
    unwatch(self, cell->output[0]);
    unwatch(self, cell->output[1]);
    close_fd(&cell->bell);
    close_fd(&cell->start);
    close_fd(&cell->orders);
    close_fd(&cell->output[0]);
    close_fd(&cell->output[1]);

    /* kill() shuts this one down: it may not be another's by then. */
    pthread_mutex_lock(&self->lock);
    close_fd(&cell->control);
    pthread_mutex_unlock(&self->lock);
}
