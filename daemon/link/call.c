/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a worker runs a call that came in frames, and answers in frames. */
#include <stdlib.h>
#include <string.h>

#include "daemon/link/link.h"
#include "glovebox/body.h"

#define FAILED_BYTES_MAX (16u << 10) /* of each of its texts */

void link_fail(struct link *link, uint32_t number,
               const struct link_failure *failure)
{
    const char *const parts[] = {failure->what, failure->traceback,
                                 failure->type, failure->message};
    struct frame frame = {.kind = FRAME_FAILED,
                          .flags = failure->has_not_run ? FRAME_HAS_NOT_RUN : 0,
                          .call = number,
                          .scalar = (uint64_t)-failure->code};
    char text[4 * FAILED_BYTES_MAX];
    size_t at = 0;

    for (size_t i = 0; i < 4; i++)
        at += (size_t)snprintf(text + at, FAILED_BYTES_MAX, "%.*s",
                               (int)FAILED_BYTES_MAX - 1,
                               parts[i] != NULL ? parts[i] : "") +
              1;
    frame.body_bytes = at - 1; /* the last one ends where the body does */
    link_send(link, &frame, text);
}

void link_refuse(struct link *link, uint32_t number, int code, const char *what)
{
    link_fail(link, number,
              &(struct link_failure){
                  .code = code, .what = what, .has_not_run = true});
}

static int put_input(struct gbx_call *call, const struct link_input *input,
                     struct gbx_error *err)
{
    const struct frame *frame = &input->frame;
    struct gbx_message message = {
        .type = (enum gbx_type)frame->type,
        .flags = frame->flags & FRAME_TYPED ? GBX_TYPED : 0,
        .body = frame->body_bytes > 0 ? input->body : NULL,
        .body_bytes = frame->body_bytes};

    if (frame->type >= GBX_TYPE_COUNT) {
        *err = (struct gbx_error){.code = GBX_EFORMAT,
                                  .what = "no such type of message"};
        return GBX_EFORMAT;
    }
    if (message.type == GBX_BOOLEAN)
        message.scalar.boolean = frame->scalar != 0;
    else
        memcpy(&message.scalar, &frame->scalar, sizeof(frame->scalar));
    return gbx_call_put(call, frame->port, &message, err);
}

/* The list has the last one first. */
static int put_inputs(struct link_call *call, struct gbx_error *err)
{
    SLIST_HEAD(, link_input) in_order = SLIST_HEAD_INITIALIZER(in_order);
    struct link_input *input;
    int rc = 0;

    while ((input = SLIST_FIRST(&call->inputs)) != NULL) {
        SLIST_REMOVE_HEAD(&call->inputs, next);
        SLIST_INSERT_HEAD(&in_order, input, next);
    }
    while ((input = SLIST_FIRST(&in_order)) != NULL) {
        SLIST_REMOVE_HEAD(&in_order, next);
        if (rc == 0)
            rc = put_input(call->call, input, err);
        free(input->body);
        free(input);
    }
    return rc;
}

static void send_output(void *context, const char *port,
                        const struct gbx_message *message)
{
    struct job *job = context;
    struct frame frame = {
        .kind = FRAME_OUTPUT,
        .type = (uint8_t)message->type,
        .flags = (uint8_t)(FRAME_HAS_MESSAGE |
                           (message->flags & GBX_TYPED ? FRAME_TYPED : 0)),
        .call = job->link_call->number,
        .body_bytes = message->body_bytes};

    snprintf(frame.port, sizeof(frame.port), "%s", port);
    if (message->type == GBX_BOOLEAN)
        frame.scalar = message->scalar.boolean != 0;
    else if (message->type == GBX_INTEGER || message->type == GBX_FLOAT)
        memcpy(&frame.scalar, &message->scalar, sizeof(frame.scalar));
    link_say_output(job, &frame, message);
}

static int canceled(struct gbx_error *err)
{
    *err = (struct gbx_error){.code = GBX_ECANCELED,
                              .what = "the call was cancelled"};
    return GBX_ECANCELED;
}

static int not_whole(const struct daemon *daemon, int code,
                     struct gbx_error *err)
{
    *err = (struct gbx_error){.code = code};
    if (code == GBX_ELIMIT) {
        snprintf(err->what, sizeof(err->what), LINK_TOO_LONG,
                 (unsigned long long)daemon->bytes_max);
        return code;
    }
    snprintf(err->what, sizeof(err->what), "%s",
             code == GBX_ETIME
                 ? "the client did not read in time what the script sent"
             : code == GBX_ECANCELED
                 ? "the call was cancelled"
                 : "there is no memory for what the script sent");
    return code;
}

/* Returns 0 or a code, and *has_run: a sandbox has been told. */
static int run(struct job *job, bool *has_run, struct gbx_error *err)
{
    struct link_call *call = job->link_call;
    struct daemon *daemon = job->link->daemon;
    int rc = 0;

    call->until_ns = daemon_now_ns() + call->timeout_ns;
    if (work_is_canceled(daemon, job))
        return canceled(err);
    if (!call->has_entered)
        call_enter(call->actor);
    call->has_entered = true;
    if (call->call == NULL)
        rc = gbx_call_begin_for(&call->call, call->actor->script, call->key,
                                call->until_ns, err);
    if (rc < 0)
        return rc;
    gbx_call_on_output(call->call, send_output, job);
    rc = put_inputs(call, err);
    if (rc == 0 && !work_show(daemon, job, call->call))
        rc = canceled(err);
    *has_run = rc == 0;
    if (rc == 0)
        rc = gbx_call_run(call->call, call->until_ns, err);
    work_hide(daemon, job);
    if (call->lost < 0 && (rc == 0 || rc == GBX_ESCRIPT))
        rc = not_whole(daemon, call->lost, err);
    return rc;
}

void link_run(struct job *job)
{
    struct link *link = job->link;
    struct link_call *call = job->link_call;
    struct frame done = {.kind = FRAME_DONE, .call = call->number};
    struct gbx_failure failure = {.type = "", .message = "", .traceback = ""};
    struct gbx_error err = {.what = ""};
    struct gbx_call_stats stats = {0};
    bool has_run = false;
    int rc;

    link_set_current(job);
    rc = run(job, &has_run, &err);
    link_set_current(NULL);
    if (call->call != NULL) {
        gbx_call_stats(call->call, &stats);
        gbx_call_failure(call->call, &failure);
    }
    call_count(link->daemon, call->actor, rc, stats.wall_ns);
    daemon_audit(link->daemon, job->token, "call", call->actor->id, rc,
                 stats.wall_ns);
    if (rc == GBX_ESCRIPT && failure.type[0] != '\0')
        snprintf(err.what, sizeof(err.what), "%s: %s", failure.type,
                 failure.message);
    call_trouble(call->actor, rc, err.what, failure.traceback);
    done.scalar = stats.wall_ns;
    /* Who reads this may be faster than us: the number and, after a call that
     * went well, its sandbox are free by then. */
    link_unlist(link, call);
    if (rc == 0) {
        gbx_call_finish(call->call);
        call->call = NULL;
        link_send(link, &done, NULL);
    } else
        link_fail(link, call->number,
                  &(struct link_failure){.code = rc,
                                         .what = err.what,
                                         .traceback = failure.traceback,
                                         .type = failure.type,
                                         .message = failure.message,
                                         .has_not_run = !has_run});
    link_free_call(link, call);
}
