/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - a message's calls are run, and what they say is gathered. */
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/private.h"

#define EARLY_NS 5000000u /* after which what is done is told early */

void gather(struct gathered *to, const struct frame *frame, const void *body,
            uint64_t bytes_max)
{
    const size_t most = FRAME_HEAD_MAX + frame->body_bytes;
    uint8_t *larger;

    if (to->count + most > bytes_max + FRAME_HEAD_MAX)
        to->is_too_much = true;
    if (to->is_too_much)
        return;
    if (to->room - to->count < most) {
        const size_t room = 2 * to->room + most;

        larger = realloc(to->bytes, room);
        if (larger == NULL) {
            to->is_too_much = true;
            return;
        }
        to->bytes = larger;
        to->room = room;
    }
    to->count += frame_write(frame, to->bytes + to->count);
    if (frame->body_bytes > 0)
        memcpy(to->bytes + to->count, body, frame->body_bytes);
    to->count += frame->body_bytes;
}

static void add_all(struct gathered *to, const struct gathered *from)
{
    uint8_t *larger;

    if (to->room - to->count < from->count) {
        larger = realloc(to->bytes, 2 * to->room + from->count);
        if (larger == NULL) {
            to->is_too_much = true;
            return;
        }
        to->bytes = larger;
        to->room = 2 * to->room + from->count;
    }
    memcpy(to->bytes + to->count, from->bytes, from->count);
    to->count += from->count;
}

/* ---- a call's link ---- */

static void answer_error(struct part *part, const struct frame *ask,
                         const char *what)
{
    const struct frame frame = {.kind = FRAME_ANSWER,
                                .flags = FRAME_IS_ERROR,
                                .call = ask->call,
                                .body_bytes = strlen(what)};

    link_answer(part->link, &frame, (uint8_t *)strdup(what));
}

static void send(void *context, const struct frame *frame, const void *body)
{
    struct part *part = context;

    if (frame->kind != FRAME_ASK)
        gather(&part->said, frame, body, part->worker->daemon->bytes_max);
    else if (net_taken_ask(part->batch->taken, frame, body) < 0)
        answer_error(part, frame, "what was asked is longer than NATS takes");
}

static const struct link_way way = {.send = send};

/* In the place of all that it has said. */
static void say_failed(struct part *part, int code, const char *what,
                       bool has_not_run)
{
    struct link link = {.way = &way, .context = part};

    part->said.count = 0;
    part->said.is_too_much = false;
    link_fail(&link, part->number,
              &(struct link_failure){.code = code,
                                     .what = what,
                                     .has_not_run = has_not_run});
}

void refuse_part(struct part *part, struct gathered *to, int code,
                 const char *what, const char *traceback)
{
    struct link link = {.way = &way, .context = part};

    link_fail(&link, part->number,
              &(struct link_failure){.code = code,
                                     .what = what,
                                     .traceback = traceback,
                                     .has_not_run = true});
    add_all(to, &part->said);
    free(part->said.bytes);
}

static void feed(struct part *part)
{
    const char *what;
    size_t at = 0, from = 0;
    struct frame frame;
    const uint8_t *body;

    while (layout_frame(&frame, &body, part->data, part->bytes, &at, &what) >
           0) {
        if (link_piece(part->link, part->data + from, at - from, true) < 0) {
            say_failed(part, GBX_ELIMIT,
                       "an input is longer than this worker takes: --body",
                       true);
            return;
        }
        from = at;
    }
}

static bool is_canceled_locked(const struct batch *batch, uint32_t number)
{
    for (unsigned i = 0; i < batch->canceled_count; i++)
        if (batch->canceled[i] == number)
            return true;
    return false;
}

/* It can be cancelled, and answered, from now on.  False: it is already. */
static bool show(struct job *job, struct part *part)
{
    struct batch *batch = part->batch;
    bool good;

    pthread_mutex_lock(&part->worker->lock);
    good = !is_canceled_locked(batch, part->number);
    if (good) {
        part->job = job;
        LIST_INSERT_HEAD(&batch->parts, part, next);
    }
    pthread_mutex_unlock(&part->worker->lock);
    return good;
}

static void hide(struct part *part)
{
    pthread_mutex_lock(&part->worker->lock);
    LIST_REMOVE(part, next);
    pthread_mutex_unlock(&part->worker->lock);
}

static void run(struct job *job, struct part *part)
{
    struct daemon *daemon = part->worker->daemon;
    struct link *link = link_open_way(daemon, &way, part, job);

    if (link == NULL) {
        say_failed(part, GBX_EHOST, "no memory", true);
        return;
    }
    snprintf(link->name, sizeof(link->name), "%s",
             part->batch->taken->head.from.caller);
    link->brought = part->batch->actor;
    part->link = link;
    job->link = link;
    job->link_call = NULL;
    if (!net_taken_wants(part->batch->taken, part->number) ||
        !show(job, part)) {
        say_failed(part, GBX_ECANCELED, "the call was cancelled", true);
    } else {
        feed(part);
        if (job->link_call != NULL)
            link_run(job);
        hide(part);
    }
    job->link = NULL;
    link_leave(link);
    if (part->said.is_too_much)
        say_failed(part, GBX_ELIMIT,
                   "what the script sends is longer than this worker takes: "
                   "--body",
                   false);
    else if (part->said.count == 0)
        say_failed(part, GBX_EHOST, "no memory for an answer", false);
}

/* ---- a message's end ---- */

static void finish(struct batch *batch)
{
    struct worker *worker = batch->worker;

    if (batch->all.is_too_much) {
        net_taken_give_back(batch->taken, 1000); /* there is no memory */
        free(batch->all.bytes);
    } else {
        net_taken_finish(batch->taken, batch->all.bytes, batch->all.count,
                         batch->ran_ns);
    }
    actors_put(worker->daemon, batch->actor);
    free(batch);
}

/* What has ended, and was not told; for free(), or NULL. */
static uint8_t *take_early_locked(struct batch *batch, size_t *bytes)
{
    const uint64_t now = daemon_now_ns();
    uint8_t *data;

    *bytes = batch->all.count - batch->told;
    if (now < batch->told_ns + EARLY_NS || *bytes == 0 ||
        batch->all.is_too_much)
        return NULL;
    data = malloc(*bytes);
    if (data != NULL) {
        memcpy(data, batch->all.bytes + batch->told, *bytes);
        batch->told = batch->all.count;
        batch->told_ns = now;
    }
    return data;
}

/* A part of a batch's count is gone; whoever takes the last one ends it. */
static void leave(struct batch *batch)
{
    struct worker *worker = batch->worker;
    bool is_last;

    pthread_mutex_lock(&worker->lock);
    is_last = --batch->left == 0;
    if (is_last)
        LIST_REMOVE(batch, next);
    pthread_mutex_unlock(&worker->lock);
    if (is_last)
        finish(batch);
}

void run_part(struct job *job, struct part *part)
{
    struct worker *worker = part->worker;
    struct batch *batch = part->batch;
    const uint64_t from_ns = daemon_now_ns();
    uint8_t *early = NULL;
    size_t bytes = 0;

    run(job, part);
    pthread_mutex_lock(&worker->lock);
    add_all(&batch->all, &part->said);
    batch->ran_ns += daemon_now_ns() - from_ns;
    if (batch->left > 1)
        early = take_early_locked(batch, &bytes);
    pthread_mutex_unlock(&worker->lock);
    if (early != NULL)
        net_taken_early(batch->taken, early, bytes);
    free(early);
    free(part->said.bytes);
    free(part);
    leave(batch);
}
