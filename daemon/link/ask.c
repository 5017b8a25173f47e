/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - what a script says besides its outputs, to the client that has
 * brought it.
 *
 * A worker runs a call in its own thread, and what the script prints and asks
 * comes in that thread: so who it is for is a variable of the thread.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/link/link.h"

static _Thread_local struct job *current;
void link_set_current(struct job *job)
{
    current = job;
}

bool link_print(int stream, const void *text, size_t bytes)
{
    struct frame frame = {
        .kind = FRAME_PRINT, .scalar = (uint64_t)stream, .body_bytes = bytes};

    if (current == NULL)
        return false;
    if (current->link_call == NULL)
        return true; /* it is told with the failure, if there is one */
    if (current->link_call->key == NULL)
        return false;
    frame.call = current->link_call->number;
    link_say(current, &frame, text);
    return true;
}

static int refuse(struct gbx_error *err, int code, const char *what)
{
    *err = (struct gbx_error){.code = code};
    snprintf(err->what, sizeof(err->what), "%s", what);
    return code;
}

/* Nobody can say it any more. */
static int give_up(int rc, struct gbx_error *err)
{
    return refuse(err, rc,
                  rc == GBX_ETIME    ? "the client did not answer in time"
                  : rc == GBX_ELIMIT ? "the client's answer was too long"
                                     : "the client is gone");
}

/* Until it has come, or nobody can say it any more. */
static int await(struct link *link, struct link_call *call,
                 struct link_input **answer, struct gbx_error *err)
{
    const struct timespec until = {
        .tv_sec = (time_t)(call->until_ns / 1000000000u),
        .tv_nsec = (long)(call->until_ns % 1000000000u)};
    int rc = 0;

    pthread_mutex_lock(&link->lock);
    while (call->answer == NULL && rc == 0) {
        if (call->is_too_long)
            rc = call->lost = GBX_ELIMIT;
        else if (link->is_gone || work_is_canceled(link->daemon, current))
            rc = GBX_ECANCELED;
        else if (pthread_cond_timedwait(&link->told, &link->lock, &until) != 0)
            rc = GBX_ETIME;
    }
    call->is_asking = false;
    *answer = call->answer;
    call->answer = NULL;
    pthread_mutex_unlock(&link->lock);
    if (*answer != NULL)
        return 0;
    return give_up(rc, err);
}

static int take(const struct link_input *answer, struct gbx_builder *to,
                struct gbx_error *err)
{
    const struct frame *frame = &answer->frame;

    if (frame->flags & FRAME_IS_ERROR) {
        *err = (struct gbx_error){.code = GBX_EUNSUPPORTED};
        snprintf(err->what, sizeof(err->what), "%.*s",
                 (int)(frame->body_bytes < sizeof(err->what)
                           ? frame->body_bytes
                           : sizeof(err->what) - 1),
                 (const char *)answer->body);
        return GBX_EUNSUPPORTED;
    }
    gbx_build_item(to, answer->body, frame->body_bytes);
    return 0;
}

int link_ask(void *context, const char *name,
             const struct gbx_message *arguments, struct gbx_builder *answer,
             struct gbx_error *err)
{
    struct link_call *call = current != NULL ? current->link_call : NULL;
    struct frame frame = {.kind = FRAME_ASK,
                          .type = (uint8_t)arguments->type,
                          .flags = FRAME_HAS_MESSAGE,
                          .body_bytes = arguments->body_bytes};
    struct link_input *got;
    int rc;

    (void)context;
    if (call == NULL)
        return refuse(err, GBX_EUNSUPPORTED,
                      "on a remote host, a script can ask only in a call");
    snprintf(frame.port, sizeof(frame.port), "%s", name);
    frame.call = call->number;
    pthread_mutex_lock(&current->link->lock);
    call->is_asking = true;
    pthread_mutex_unlock(&current->link->lock);
    link_say(current, &frame, arguments->body);
    if (call->lost < 0)
        return refuse(err, call->lost, "the client could not be asked");
    rc = await(current->link, call, &got, err);
    if (rc < 0)
        return rc;
    rc = take(got, answer, err);
    free(got->body);
    free(got);
    return rc;
}

/* One that nobody waits for is dropped: the call may just have ended. */
void link_answer(struct link *link, const struct frame *frame, uint8_t *body)
{
    struct link_input *answer = calloc(1, sizeof(*answer));
    struct link_call *call;

    if (answer != NULL) {
        answer->frame = *frame;
        answer->body = body;
        body = NULL;
    }
    pthread_mutex_lock(&link->lock);
    call = link_find_locked(link, frame->call);
    if (call != NULL && call->is_asking && call->answer == NULL) {
        call->answer = answer;
        answer = NULL;
        pthread_cond_broadcast(&link->told);
    }
    pthread_mutex_unlock(&link->lock);
    if (answer != NULL)
        free(answer->body);
    free(answer);
    free(body);
}

void link_answer_too_long(struct link *link, uint32_t number)
{
    struct link_call *call;

    pthread_mutex_lock(&link->lock);
    call = link_find_locked(link, number);
    if (call != NULL && call->is_asking && call->answer == NULL) {
        call->is_too_long = true;
        pthread_cond_broadcast(&link->told);
    }
    pthread_mutex_unlock(&link->lock);
}
