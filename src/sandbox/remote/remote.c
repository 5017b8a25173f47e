/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - the door: a sandbox whose guest is on another host. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/remote/remote.h"

#define LOOK_NS 1000000u /* while there is no room for what has come */

void remote_wake(struct remote *self)
{
    const uint64_t one = 1;

    (void)!write(self->wake_fd, &one, sizeof(one));
}

/* ---- the guest's end ---- */

static int guest_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    (void)deadline_ns;
    return GBX_ETIME; /* nobody waits in here */
}

static void guest_ring(void *context)
{
    (void)context; /* the host's side is the same thread, and looks anyway */
}

static int step_channel(struct remote *self)
{
    static const struct gbx_descriptor ready = {.kind = GBX_KIND_READY};

    channel_init(&self->guest,
                 &(struct channel_config){
                     .side = CHANNEL_GUEST,
                     .base = self->shared->base,
                     .half_bytes = self->shared->half_bytes,
                     .bell = {.sleep = guest_sleep, .ring = guest_ring},
                 });
    return channel_send(&self->guest, &ready, 1);
}

static int remote_open(void *context, const struct bundle *what,
                       struct region *shared, struct gbx_error *err)
{
    static _Atomic uint64_t count;
    struct remote *self = context;
    int rc = bundle_check(what, err);

    self->wake_fd = -1;
    STAILQ_INIT(&self->held);
    STAILQ_INIT(&self->inbox);
    if (rc < 0)
        return rc;
    if (what->fleet == NULL || shared == NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "no remote host is known: glovebox run --remote URL, or "
                    "gbx_runtime_add_host");
    self->fleet = what->fleet;
    self->what = *what;
    self->shared = shared;
    self->number = atomic_fetch_add(&count, 1);
    self->inputs = calloc(REMOTE_INPUTS_MAX, sizeof(*self->inputs));
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->inputs == NULL || self->wake_fd < 0)
        return fail(err, GBX_EHOST,
                    "no memory, or no descriptor, for a "
                    "sandbox of another host");
    pthread_mutex_lock(&self->fleet->lock);
    LIST_INSERT_HEAD(&self->fleet->sandboxes, self, next);
    self->is_listed = true;
    pthread_mutex_unlock(&self->fleet->lock);
    rc = fleet_await(self->fleet, &self->killed, err);
    if (rc == 0 && (rc = step_channel(self)) < 0)
        fail(err, rc, "make a sandbox's channel");
    return rc;
}

/* ---- running ---- */

static struct timespec left_until(uint64_t until_ns)
{
    const uint64_t now_ns = clock_now_ns();

    return clock_timespec(until_ns > now_ns ? until_ns - now_ns : 0);
}

/* Until something comes, or it is time to look again. */
static int sleep_until(struct remote *self, uint64_t deadline_ns)
{
    struct pollfd wake = {.fd = self->wake_fd, .events = POLLIN};
    uint64_t until_ns = deadline_ns;
    struct timespec left;

    if (self->phase == REMOTE_PLACING && self->again_ns != 0 &&
        (until_ns == 0 || self->again_ns < until_ns))
        until_ns = self->again_ns;
    if (!STAILQ_EMPTY(&self->held) && !self->grows) {
        const uint64_t soon_ns = clock_now_ns() + LOOK_NS;

        until_ns = until_ns == 0 || soon_ns < until_ns ? soon_ns : until_ns;
    }
    left = left_until(until_ns);
    if (ppoll(&wake, 1, until_ns == 0 ? NULL : &left, NULL) < 0 &&
        errno != EINTR)
        return GBX_EHOST;
    return 0;
}

static void clear(struct remote *self)
{
    uint64_t count;

    (void)!read(self->wake_fd, &count, sizeof(count));
}

static int remote_run(void *context, uint64_t deadline_ns)
{
    struct remote *self = context;
    unsigned count;
    int rc;

    for (;;) {
        clear(self);
        remote_read(self);
        count = remote_hand_on(self);
        remote_advance(self);
        if (!STAILQ_EMPTY(&self->held))
            count += remote_hand_on(self);
        if (atomic_load(&self->killed))
            return GBX_ECANCELED;
        if (count > 0) {
            if (!STAILQ_EMPTY(&self->held) || self->end != 0)
                remote_wake(self); /* there is more: run would return again */
            return 0;
        }
        if (self->end != 0)
            return self->end;
        if (clock_is_past(deadline_ns))
            return GBX_ETIME;
        if (!STAILQ_EMPTY(&self->held) && self->stuck_ns != 0 && !self->grows) {
            sleep_until(self, deadline_ns);
            return 0; /* whoever runs it may give blocks back */
        }
        if ((rc = sleep_until(self, deadline_ns)) < 0)
            return rc;
    }
}

static bool remote_is_running(void *context)
{
    (void)context;
    return false;
}

static void remote_ring(void *context)
{
    struct remote *self = context;

    remote_read(self);
    remote_advance(self);
    if (self->end != 0 || !STAILQ_EMPTY(&self->held))
        remote_wake(self);
}

static void remote_aim(void *context, uint64_t deadline_ns)
{
    ((struct remote *)context)->deadline_ns = deadline_ns;
}

static int remote_fd(void *context)
{
    return ((struct remote *)context)->wake_fd;
}

static int remote_status(void *context)
{
    (void)context;
    return -1;
}

static void remote_explain(void *context, struct gbx_error *err)
{
    const struct remote *self = context;

    fail(err, self->end, "%s", self->why);
}

static int remote_wipe(void *context, struct gbx_error *err)
{
    (void)context; /* nothing is a clone here: another one is made */
    return fail(err, GBX_EUNSUPPORTED, "a remote sandbox is not wiped");
}

/* ---- the end ---- */

static void remote_kill(void *context)
{
    struct remote *self = context;

    atomic_store(&self->killed, true);
    if (self->fleet == NULL)
        return;
    pthread_mutex_lock(&self->fleet->lock);
    remote_detach_locked(self);
    pthread_cond_broadcast(&self->fleet->changed);
    if (self->wake_fd >= 0)
        remote_wake(self);
    pthread_mutex_unlock(&self->fleet->lock);
}

static void remote_close(void *context)
{
    struct remote *self = context;

    if (self->fleet != NULL) {
        pthread_mutex_lock(&self->fleet->lock);
        remote_detach_locked(self);
        if (self->is_listed)
            LIST_REMOVE(self, next);
        self->is_listed = false;
        fleet_script_put_locked(self->fleet, self->script);
        self->script = NULL;
        pthread_mutex_unlock(&self->fleet->lock);
        if (self->host != NULL) /* its region goes */
            self->host->api->keep(self->host->net, self);
        remote_drop_events(&self->inbox);
        remote_drop_events(&self->held);
        free(self->inputs);
        self->inputs = NULL;
        self->fleet = NULL;
        close_fd(&self->wake_fd);
    }
}

const struct backend backend_remote = {
    .name = "remote",
    .self_bytes = sizeof(struct remote),
    .open = remote_open,
    .run = remote_run,
    .is_running = remote_is_running,
    .ring = remote_ring,
    .aim = remote_aim,
    .fd = remote_fd,
    .status = remote_status,
    .explain = remote_explain,
    .wipe = remote_wipe,
    .kill = remote_kill,
    .close = remote_close,
};
