/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.c - frames go to the client.
 *
 * What a script says may be more than a slow client reads, so its worker waits
 * for room; one call at a time has the next turn, so that small frames of the
 * others do not keep a large one waiting for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/link/link.h"
#include "glovebox/body.h"

void link_send(struct link *link, const struct frame *frame, const void *body)
{
    uint8_t head[FRAME_HEAD_MAX], *all;
    size_t bytes;

    if (link->way != NULL) {
        link->way->send(link->context, frame, body);
        return;
    }
    bytes = frame_write(frame, head);
    all = malloc(bytes + frame->body_bytes);
    if (all == NULL)
        return;
    memcpy(all, head, bytes);
    if (body != NULL)
        memcpy(all + bytes, body, frame->body_bytes);
    net_send(link->peer, false, all, bytes + frame->body_bytes);
    free(all);
}

/* ---- while a call runs ---- */

void link_has_room(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    pthread_cond_broadcast(&link->told);
    pthread_mutex_unlock(&link->lock);
}

/* Returns 0, or GBX_EAGAIN, GBX_ECANCELED. */
static int try_reserve_locked(struct job *job, size_t bytes)
{
    struct link *link = job->link;

    if (link->is_gone || work_is_canceled(link->daemon, job))
        return GBX_ECANCELED;
    if (link->sender != NULL && link->sender != job->link_call)
        return GBX_EAGAIN;
    return net_reserve(link->peer, bytes);
}

/* Returns 0: there is room; GBX_ETIME or GBX_ECANCELED. */
static int await_room(struct job *job, size_t bytes)
{
    struct link *link = job->link;
    struct link_call *call = job->link_call;
    const struct timespec until = {
        .tv_sec = (time_t)(call->until_ns / 1000000000u),
        .tv_nsec = (long)(call->until_ns % 1000000000u)};
    int rc;

    pthread_mutex_lock(&link->lock);
    while ((rc = try_reserve_locked(job, bytes)) == GBX_EAGAIN) {
        if (link->sender == NULL)
            link->sender = call;
        if (pthread_cond_timedwait(&link->told, &link->lock, &until) != 0) {
            rc = GBX_ETIME;
            break;
        }
    }
    if (link->sender == call) {
        link->sender = NULL;
        pthread_cond_broadcast(&link->told);
    }
    pthread_mutex_unlock(&link->lock);
    return rc;
}

/* False: it is not to be sent, for there is no room, or something is missing
 * before it. */
static bool get_room(struct job *job, size_t bytes)
{
    struct link_call *call = job->link_call;

    if (call->lost == 0)
        call->lost = await_room(job, bytes);
    return call->lost == 0;
}

static void note(struct job *job, int rc)
{
    if (rc < 0)
        job->link_call->lost = rc;
}

static void release_copy(void *context, bool has_begun)
{
    (void)has_begun;
    free(context);
}

static void release_body(void *context, bool has_begun)
{
    (void)has_begun;
    gbx_body_put(context);
}

static void send_copy(struct job *job, const uint8_t *head, size_t head_bytes,
                      const void *body, size_t bytes)
{
    struct net_peer *peer = job->link->peer;
    void *copy = malloc(bytes + 1);

    if (copy == NULL) {
        net_unreserve(peer, head_bytes + bytes);
        note(job, GBX_EHOST);
        return;
    }
    if (bytes > 0)
        memcpy(copy, body, bytes);
    note(job, net_send_lent(peer, head, head_bytes, copy, bytes, release_copy,
                            copy));
}

void link_say(struct job *job, const struct frame *frame, const void *body)
{
    uint8_t head[FRAME_HEAD_MAX];
    const size_t head_bytes = frame_write(frame, head);

    if (job->link->way != NULL)
        link_send(job->link, frame, body);
    else if (get_room(job, head_bytes + frame->body_bytes))
        send_copy(job, head, head_bytes, body, frame->body_bytes);
}

void link_say_output(struct job *job, const struct frame *frame,
                     const struct gbx_message *message)
{
    struct link *link = job->link;
    uint8_t head[FRAME_HEAD_MAX];
    const size_t head_bytes = frame_write(frame, head);
    struct gbx_body *body;
    const void *data;

    if (link->way != NULL || message->body_bytes < GBX_BODY_SHOWN) {
        link_say(job, frame, message->body);
        return;
    }
    if (!get_room(job, head_bytes + message->body_bytes))
        return;
    if (gbx_call_keep(job->link_call->call, message, &body, &data, NULL) < 0)
        send_copy(job, head, head_bytes, message->body, message->body_bytes);
    else
        note(job, net_send_lent(link->peer, head, head_bytes, data,
                                message->body_bytes, release_body, body));
}
