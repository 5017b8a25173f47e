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

/* Output read in one go before something else gets its turn. */
#define DRAIN_BYTES_MAX (1u << 20)

/* How often CPU time of all processes is looked at, where it is limited. */
#define CPU_CHECK_NS 100000000u

static int process_open(void *context, const struct bundle *what,
                        struct region *shared, struct gbx_error *err)
{
    struct process *self = context;
    int rc;

    process_init(self);
    self->shared = shared;
    if ((rc = process_take(self, what, err)) < 0 ||
        (rc = process_find(self, what, err)) < 0)
        return rc;
    return cell_start(self, err);
}

static void process_close(void *context)
{
    struct process *self = context;

    process_fini(self);
    process_put(self->from);
    self->from = NULL;
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

    int rc;

    cell_stop(self);
    atomic_store(&self->killed, false);
    if (self->from != NULL && (rc = cell_order(self, err)) < 0)
        return rc;
    if (region_reset(self->shared) < 0 ||
        (self->from != NULL && region_seed(self->shared) < 0)) {
        cell_stop(self);
        return fail(err, GBX_EHOST, "empty the region");
    }
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
    wait = clock_timespec(left);
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

int process_run(void *context, uint64_t deadline_ns)
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

    if (self->last == GBX_EMEMORY) /* its cgroup's end says nothing else */
        return 128 + SIGKILL;
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
    .prepare = process_prepare,
    .begin = process_begin,
    .clone = process_clone,
    .put = process_put,
    .wipe = process_wipe,
    .kill = process_kill,
    .close = process_close,
};
