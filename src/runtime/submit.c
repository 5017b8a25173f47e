/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.c - calls for programs that have an event loop of their own.
 *
 * The descriptor that the caller polls is an epoll set of two: the backend's
 * own (bell, pipes, death) and a timer for the deadline.
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "runtime/call.h"

static int watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

/* The backend's descriptor is another one after every restart. */
static int make_poll_fd(struct gbx_call *call, struct gbx_error *err)
{
    close_fd(&call->poll_fd);
    close_fd(&call->timer_fd);
    call->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    call->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (call->poll_fd < 0 || call->timer_fd < 0 ||
        watch(call->poll_fd, call->timer_fd) < 0 ||
        watch(call->poll_fd, sandbox_fd(call->sandbox)) < 0)
        return fail(err, GBX_EHOST, "make the call's descriptor");
    return 0;
}

static int set_timer(struct gbx_call *call, uint64_t deadline_ns,
                     struct gbx_error *err)
{
    struct itimerspec at = {.it_value = clock_timespec(deadline_ns)};

    if (timerfd_settime(call->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        return fail(err, GBX_EHOST, "set the call's timer");
    return 0;
}

/* Be readable at once when there is more to take, else at the deadline. */
static int come_again(struct gbx_call *call, bool more, struct gbx_error *err)
{
    if (more != call->kicked &&
        set_timer(call, more ? 1 : call->deadline_ns, err) < 0)
        return GBX_EHOST;
    call->kicked = more;
    return GBX_EAGAIN;
}

static int tell_end(const struct gbx_call *call, struct gbx_error *err)
{
    if (call->result < 0 && err != NULL)
        *err = call->error;
    return call->result;
}

int gbx_call_submit(struct gbx_call *call, uint64_t deadline_ns,
                    struct gbx_error *err)
{
    int rc = make_poll_fd(call, err);

    call->kicked = false;
    if (rc == 0)
        rc = set_timer(call, deadline_ns, err);
    if (rc == 0)
        rc = call_start(call, deadline_ns, err);
    /* From now on the guest must ring; if it answered already, be readable. */
    if (rc == 0 &&
        (!channel_asleep(&call->sandbox->channel) ||
         !sandbox_goes_on(call->sandbox)) &&
        come_again(call, true, err) != GBX_EAGAIN) {
        sandbox_break(call->sandbox);
        call_end(call, rc = GBX_EHOST);
    }
    return rc;
}

int gbx_call_fd(const struct gbx_call *call)
{
    return call->poll_fd;
}

int gbx_call_collect(struct gbx_call *call, struct gbx_error *err)
{
    struct sandbox_event event;
    int rc = 0;

    must(call->phase == CALL_RUNNING || call->phase == CALL_ENDED);
    if (call->phase == CALL_ENDED)
        return tell_end(call, err);
    /* At most a ringful a turn: the caller has other things to do. */
    for (unsigned turn = 0; turn < GBX_RING_SLOTS && rc == 0; turn++) {
        rc = sandbox_try_step(call->sandbox, &event, &call->error);
        if (rc == 0)
            rc = call_take(call, &event, &call->error);
        else if (rc > 0)
            rc = 0; /* served */
        if ((rc == 0 || rc == GBX_EAGAIN) && clock_is_past(call->deadline_ns))
            rc = call_overdue(call, &call->error);
    }
    if (rc == 0 || rc == GBX_EAGAIN)
        return come_again(call, rc == 0, err);
    channel_awake(&call->sandbox->channel);
    if (rc > 0)
        rc = call_settle(call, &call->error);
    call_end(call, rc);
    return tell_end(call, err);
}
