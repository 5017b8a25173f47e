/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "daemon/link/link.h"
#include "glovebox/body.h"

#define INPUTS_MAX 64u          /* of a call, as gbx_call_put allows */
#define BEGUN_NS   10000000000u /* a sandbox waits for the rest of a body */
#define SLOWEST    (64u << 10)  /* bytes a second, then */

struct link *link_open(struct daemon *daemon, struct net_peer *peer,
                       struct token *token)
{
    static atomic_uint count;
    struct link *link = calloc(1, sizeof(*link));
    pthread_condattr_t clock;

    if (link == NULL)
        return NULL;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&link->told, &clock);
    pthread_condattr_destroy(&clock);
    snprintf(link->name, sizeof(link->name), "%u", atomic_fetch_add(&count, 1));
    link->daemon = daemon;
    link->peer = peer;
    link->token = token;
    atomic_init(&link->holders, 1);
    pthread_mutex_init(&link->lock, NULL);
    LIST_INIT(&link->calls);
    LIST_INIT(&link->scripts);
    pthread_mutex_lock(&daemon->links_lock);
    LIST_INSERT_HEAD(&daemon->links, link, other);
    pthread_mutex_unlock(&daemon->links_lock);
    return link;
}

struct link *link_open_way(struct daemon *daemon, const struct link_way *way,
                           void *context, struct job *job)
{
    struct link *link = link_open(daemon, NULL, NULL);

    if (link == NULL)
        return NULL;
    link->way = way;
    link->context = context;
    link->job = job;
    return link;
}

void link_put(struct link *link)
{
    if (link == NULL || atomic_fetch_sub(&link->holders, 1) > 1)
        return;
    pthread_cond_destroy(&link->told);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

/* ---- calls ---- */

struct link_call *link_find_locked(struct link *link, uint32_t number)
{
    struct link_call *call;

    LIST_FOREACH(call, &link->calls, next)
    if (call->number == number)
        return call;
    return NULL;
}

static void drop_input(struct link_input *input)
{
    if (input != NULL)
        free(input->body);
    free(input);
}

static void drop_inputs(struct link_call *call)
{
    struct link_input *input;

    while ((input = SLIST_FIRST(&call->inputs)) != NULL) {
        SLIST_REMOVE_HEAD(&call->inputs, next);
        drop_input(input);
    }
}

void link_unlist(struct link *link, struct link_call *call)
{
    pthread_mutex_lock(&link->lock);
    LIST_REMOVE(call, next);
    link->count--;
    pthread_mutex_unlock(&link->lock);
}

void link_free_call(struct link *link, struct link_call *call)
{
    drop_inputs(call);
    drop_input(call->answer);
    gbx_call_finish(call->call);
    if (call->has_entered)
        call_leave(call->actor);
    actors_put(link->daemon, call->actor);
    free(call->key);
    free(call);
}

static void drop_call(struct link *link, struct link_call *call)
{
    link_unlist(link, call);
    link_free_call(link, call);
}

/* Returns NULL, after the client has been told why. */
static struct link_call *open_call(struct link *link, const struct frame *frame)
{
    char *key;
    struct actor *actor = link_find_actor(link, frame->actor, &key);
    struct link_call *call = NULL;
    bool is_new;

    if (actor == NULL) {
        link_refuse(link, frame->call, GBX_EFILE, "there is no such actor");
        return NULL;
    }
    pthread_mutex_lock(&link->lock);
    is_new = link_find_locked(link, frame->call) == NULL &&
             link->count < LINK_CALLS_MAX;
    if (is_new)
        call = calloc(1, sizeof(*call));
    if (call != NULL) {
        call->number = frame->call;
        call->actor = actor;
        call->key = key;
        call->timeout_ns = link->daemon->timeout_ns;
        LIST_INSERT_HEAD(&link->calls, call, next);
        link->count++;
    }
    pthread_mutex_unlock(&link->lock);
    if (call != NULL)
        return call;
    actors_put(link->daemon, actor);
    free(key);
    link_refuse(link, frame->call, is_new ? GBX_EHOST : GBX_EAGAIN,
                is_new ? "no memory"
                       : "that number is in use, or too many calls are open");
    return NULL;
}

struct job *link_job(struct link *link)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    job->peer = net_peer_get(link->peer);
    job->token = link->token;
    job->link = link;
    atomic_fetch_add(&link->holders, 1);
    return job;
}

/* ---- a frame comes ---- */

static bool begin_now(struct link_call *call)
{
    if (call->call == NULL)
        call->call = call_begin_now(call->actor, call->key);
    call->has_entered = call->call != NULL;
    return call->call != NULL;
}

/* Straight into a sandbox, if nothing has to wait for it. */
static void *find_room(struct link_call *call, const struct frame *frame)
{
    struct gbx_error err;
    void *room;

    /* It waits for nothing but this body. */
    if (frame->body_bytes < GBX_BODY_SHOWN || (frame->flags & FRAME_TYPED) ||
        !(frame->flags & FRAME_RUNS) || !begin_now(call))
        return NULL;
    return gbx_call_room(call->call, frame->port, (enum gbx_type)frame->type,
                         frame->body_bytes, &room, &err) == 0
               ? room
               : NULL;
}

/* One that has no job yet, or NULL: with a job it is its worker's, which may be
 * at its end.  Without, only the server's thread lets it go. */
static struct link_call *find_open(struct link *link, uint32_t number)
{
    struct link_call *call;

    pthread_mutex_lock(&link->lock);
    call = link_find_locked(link, number);
    if (call != NULL && call->job != NULL)
        call = NULL;
    pthread_mutex_unlock(&link->lock);
    return call;
}

static void begin_input(struct link *link)
{
    const struct frame *frame = &link->frame;

    link->to = frame->actor[0] != '\0' ? open_call(link, frame)
                                       : find_open(link, frame->call);
    if (link->to == NULL || !(frame->flags & FRAME_HAS_MESSAGE))
        return;
    link->body = find_room(link->to, frame);
    if (link->body != NULL)
        return;
    link->is_owned = true;
    link->body = malloc(frame->body_bytes + 1);
    if (link->body != NULL)
        return;
    link_refuse(link, frame->call, GBX_EHOST, "no memory for a body");
    drop_call(link, link->to);
    link->to = NULL;
}

/* A buffer, with room in front of it. */
static int begin_whole(struct link *link, size_t room)
{
    link->is_owned = true;
    link->body = malloc(room + link->frame.body_bytes + 1);
    if (link->body == NULL)
        return GBX_ELIMIT;
    link->body_off = room;
    return 0;
}

/* It may come, and the link goes on. */
static bool may_skip(const struct link *link)
{
    return link->way == NULL &&
           (link->frame.kind == FRAME_INPUT || link->frame.kind == FRAME_LOAD ||
            link->frame.kind == FRAME_ANSWER);
}

static int begin_frame(struct link *link)
{
    link->to = NULL;
    link->body = NULL;
    link->is_owned = false;
    link->body_off = 0;
    /* Its head is believed for no more than may be kept. */
    link->is_skipped = link->frame.body_bytes > link->daemon->bytes_max;
    if (link->is_skipped)
        return may_skip(link) ? 0 : GBX_ELIMIT;
    switch (link->frame.kind) {
    case FRAME_INPUT:
        begin_input(link);
        return 0;
    case FRAME_LOAD:
        return begin_whole(link, sizeof(struct link_load));
    case FRAME_ANSWER:
        return begin_whole(link, 0);
    case FRAME_CANCEL:
    case FRAME_UNLOAD:
        return link->frame.body_bytes == 0 ? 0 : GBX_EFORMAT;
    case FRAME_HELLO: /* there is one version, and nothing to choose */
        return 0;
    default:
        return GBX_EFORMAT; /* is not for us */
    }
}

/* False: it is too much, or there is no memory. */
static bool keep_input(struct link *link, struct link_call *call)
{
    struct link_input *input = NULL;

    call->kept_bytes += link->frame.body_bytes;
    if (++call->input_count <= INPUTS_MAX &&
        call->kept_bytes <= link->daemon->bytes_max)
        input = calloc(1, sizeof(*input));
    if (input == NULL) {
        free(link->body);
        return false;
    }
    input->frame = link->frame;
    input->body = link->body;
    SLIST_INSERT_HEAD(&call->inputs, input, next);
    return true;
}

static void run_later(struct link *link, struct link_call *call)
{
    struct job *job = link->job != NULL ? NULL : link_job(link);

    if (link->job != NULL) {
        call->job = link->job;
        link->job->link_call = call;
        return;
    }
    if (job != NULL) {
        job->link_call = call;
        call->job = job;
        if (access_take(&link->daemon->access, link->token) &&
            work_put(link->daemon, job))
            return;
        work_drop(job);
    }
    link->daemon->busy++;
    link_refuse(link, call->number, GBX_EAGAIN,
                "there is too much to do already: try again later");
    drop_call(link, call);
}

static void cancel(struct link *link, uint32_t number)
{
    struct link_call *call;
    struct job *job;

    pthread_mutex_lock(&link->lock);
    call = link_find_locked(link, number);
    job = call != NULL ? call->job : NULL;
    if (job != NULL) { /* it is in the list until the worker has let it go */
        work_cancel_job(link->daemon, job);
        pthread_cond_broadcast(&link->told);
    }
    pthread_mutex_unlock(&link->lock);
    if (call == NULL || job != NULL)
        return;
    link_refuse(link, number, GBX_ECANCELED, "the call was cancelled");
    drop_call(link, call);
}

static void end_input(struct link *link, struct link_call *call)
{
    if (link->frame.flags & FRAME_HAS_TIMEOUT) {
        const uint64_t ns = link->frame.scalar * 1000000;

        if (ns > 0 && link->frame.scalar < call->timeout_ns / 1000000)
            call->timeout_ns = ns;
    }
    if (link->is_owned && !keep_input(link, call)) {
        link_refuse(link, call->number, GBX_ELIMIT,
                    "too many inputs, or too large ones");
        drop_call(link, call);
        call = NULL;
    }
    if (call != NULL && link->frame.flags & FRAME_RUNS)
        run_later(link, call);
}

static void end_load(struct link *link)
{
    struct link_load *load = (struct link_load *)(void *)link->body;

    load->number = link->frame.call;
    load->bytes = link->frame.body_bytes;
    link_load_later(link, load);
}

/* Whose it was fails; nobody's is dropped, as a short one. */
static void end_skipped(struct link *link)
{
    const uint32_t number = link->frame.call;
    struct link_call *call = NULL;
    char what[128];

    if (link->frame.kind == FRAME_ANSWER) {
        link_answer_too_long(link, number);
        return;
    }
    if (link->frame.kind == FRAME_INPUT && link->frame.actor[0] == '\0') {
        call = find_open(link, number);
        if (call == NULL)
            return;
    }
    snprintf(what, sizeof(what), LINK_TOO_LONG,
             (unsigned long long)link->daemon->bytes_max);
    link_refuse(link, number, GBX_ELIMIT, what);
    if (call != NULL)
        drop_call(link, call);
}

static void end_frame(struct link *link)
{
    if (link->is_skipped) {
        end_skipped(link);
        return;
    }
    switch (link->frame.kind) {
    case FRAME_INPUT:
        if (link->to != NULL)
            end_input(link, link->to);
        break;
    case FRAME_CANCEL:
        cancel(link, link->frame.call);
        break;
    case FRAME_LOAD:
        end_load(link);
        break;
    case FRAME_UNLOAD:
        link_unload(link, link->frame.call);
        break;
    case FRAME_ANSWER:
        link_answer(link, &link->frame, link->body);
        break;
    default:
        pthread_mutex_lock(&link->daemon->links_lock);
        link->has_greeted = true;
        pthread_mutex_unlock(&link->daemon->links_lock);
        link_hello(link);
        break;
    }
    link->to = NULL;
    link->body = NULL; /* whoever was given it has it */
}

static int take_head(struct link *link, const uint8_t **data, size_t *bytes)
{
    const int rc = frame_take(&link->head, &link->frame, data, bytes);

    link->has_head = rc > 0;
    link->body_at = 0;
    link->begun_ns = daemon_now_ns();
    return rc < 0 ? GBX_EFORMAT : rc > 0 ? begin_frame(link) : 0;
}

bool link_is_too_slow(const struct link *link)
{
    const uint64_t ns = daemon_now_ns() - link->begun_ns;

    return link->has_head && link->body != NULL && !link->is_owned &&
           ns > BEGUN_NS + link->body_at / SLOWEST * 1000000000u;
}

int link_piece(struct link *link, const void *data, size_t bytes, bool is_last)
{
    const uint8_t *at = data;
    int rc = link->has_head ? 0 : take_head(link, &at, &bytes);

    if (rc < 0)
        return rc;
    if (link->has_head) {
        if (link_is_too_slow(link))
            return GBX_EFORMAT;
        if (bytes > link->frame.body_bytes - link->body_at)
            return GBX_EFORMAT;
        if (link->body != NULL)
            memcpy(link->body + link->body_off + link->body_at, at, bytes);
        link->body_at += bytes;
    }
    if (!is_last)
        return 0;
    if (!link->has_head || link->body_at != link->frame.body_bytes)
        return GBX_EFORMAT;
    end_frame(link);
    link->has_head = false;
    link->head.count = 0;
    return 0;
}

void link_leave(struct link *link)
{
    LIST_HEAD(, link_call) left = LIST_HEAD_INITIALIZER(left);
    struct link_call *call, *next;

    if (link->is_owned)
        free(link->body);
    pthread_mutex_lock(&link->daemon->links_lock);
    LIST_REMOVE(link, other);
    pthread_mutex_unlock(&link->daemon->links_lock);
    pthread_mutex_lock(&link->lock);
    link->is_gone = true;
    pthread_cond_broadcast(&link->told);
    for (call = LIST_FIRST(&link->calls); call != NULL; call = next) {
        next = LIST_NEXT(call, next);
        if (call->job != NULL) /* its worker drops it */
            continue;
        LIST_REMOVE(call, next);
        link->count--;
        LIST_INSERT_HEAD(&left, call, next);
    }
    pthread_mutex_unlock(&link->lock);
    while ((call = LIST_FIRST(&left)) != NULL) {
        LIST_REMOVE(call, next);
        link_free_call(link, call);
    }
    link_unload_all(link);
    link_put(link);
}
