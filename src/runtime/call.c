/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - one call: filled, run, read, finished.
 *
 *   FREE --begin--> FILLING --run, submit--> RUNNING --> ENDED --finish--> FREE
 *
 * The call path allocates nothing: the call and its tables belong to the
 * script, texts go to a scratch, bodies are where their writer put them.
 *
 * What the script wrote stays in the region as long as it is only passed on:
 * Streams and typed arrays.  Text and structured values will be parsed, and a
 * parser reads many times, so those are copied out once, at arrival.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "runtime/call.h"
#include "runtime/report.h"

static int wait_free(struct gbx_script *script, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                             .tv_nsec = (long)(deadline_ns % 1000000000u)};
    int rc = 0;

    pthread_mutex_lock(&script->lock);
    while (script->busy && rc == 0)
        rc = deadline_ns == 0 ? pthread_cond_wait(&script->freed, &script->lock)
                              : pthread_cond_timedwait(&script->freed,
                                                       &script->lock, &until);
    if (!script->busy) {
        script->busy = true;
        rc = 0;
    }
    pthread_mutex_unlock(&script->lock);
    return rc == 0 ? 0 : GBX_ETIME;
}

static void set_free(struct gbx_script *script)
{
    pthread_mutex_lock(&script->lock);
    script->busy = false;
    pthread_mutex_unlock(&script->lock);
    pthread_cond_signal(&script->freed);
}

int gbx_call_begin(struct gbx_call **call, struct gbx_script *script,
                   uint64_t deadline_ns, struct gbx_error *err)
{
    struct gbx_call *c = &script->call;
    int rc = wait_free(script, deadline_ns);

    *call = NULL;
    if (rc < 0)
        return fail(err, rc, "%s: other calls kept it busy", script->file);
    if (script->sandbox.state != SANDBOX_IDLE) {
        uint64_t start_ns = clock_now_ns() + script->config.start_ns;

        if (deadline_ns != 0 && deadline_ns < start_ns)
            start_ns = deadline_ns;
        rc = script_start(script, start_ns, err);
        if (rc < 0) {
            set_free(script);
            return rc;
        }
    }
    sandbox_begin(&script->sandbox);
    c->script = script;
    c->phase = CALL_FILLING;
    c->begin_deadline_ns = deadline_ns;
    c->input_count = c->output_count = c->output_next = 0;
    c->arrival = NULL;
    c->failure = (struct gbx_failure){"", "", ""};
    c->stats = (struct gbx_call_stats){0};
    c->copied_before = script->sandbox.channel.count.copied_bytes;
    c->sleeps_before = script->sandbox.channel.count.sleeps;
    *call = c;
    return 0;
}

/* Does the script have this port?  One that declares none takes any. */
static int check_port(struct gbx_script *script, const char *port,
                      struct gbx_error *err)
{
    char known[GBX_ERROR_TEXT_MAX / 2] = "";
    size_t bytes = strlen(port), at = 0;

    if (bytes == 0 || bytes > GBX_NAME_BYTES_MAX)
        return fail(err, GBX_EPORT, "a port's name has 1 to %u bytes, not %zu",
                    GBX_NAME_BYTES_MAX, bytes);
    if (script->inports == NULL)
        return 0;
    for (char **p = script->inports; *p != NULL; p++) {
        if (strcmp(*p, port) == 0)
            return 0;
        if (at < sizeof(known))
            at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
                                   at > 0 ? ", " : "", *p);
    }
    return fail(err, GBX_EPORT, "%s has no inport \"%s\"; it has: %s",
                script->file, port, known);
}

static struct call_input *add_input(struct gbx_call *call, const char *port,
                                    struct gbx_error *err, int *rc)
{
    struct call_input *input;

    must(call->phase == CALL_FILLING);
    *rc = check_port(call->script, port, err);
    if (*rc < 0)
        return NULL;
    if (call->input_count == CALL_INPUTS_MAX) {
        *rc = fail(err, GBX_ELIMIT, "a call takes at most %u inputs",
                   CALL_INPUTS_MAX);
        return NULL;
    }
    input = &call->inputs[call->input_count];
    *input = (struct call_input){
        .descriptor = {.kind = GBX_KIND_INPUT, .flags = GBX_HAS_MESSAGE},
        .port = scratch_text(&call->scratch, port, strlen(port))};
    if (input->port == NULL) {
        *rc = fail(err, GBX_EHOST, "no memory for a port's name");
        return NULL;
    }
    return input;
}

/* How long room() may wait: views that the script dropped come back late. */
static uint64_t room_deadline(const struct gbx_call *call)
{
    uint64_t soon_ns = clock_now_ns() + ROOM_NS;

    return call->begin_deadline_ns == 0 || call->begin_deadline_ns > soon_ns
               ? soon_ns
               : call->begin_deadline_ns;
}

static int reserve(struct gbx_call *call, const char *port, uint64_t bytes,
                   uint64_t *off, struct gbx_error *err)
{
    uint64_t most = call->script->sandbox.region.half_bytes - GBX_ARENA_OFF;
    int rc;

    if (bytes > GBX_BODY_BYTES_MAX || bytes > most)
        return fail(err, GBX_ELIMIT,
                    "port \"%s\": %llu bytes are more than the message limit "
                    "of %llu (gbx_limits.message_bytes)",
                    port, (unsigned long long)bytes,
                    (unsigned long long)(most < GBX_BODY_BYTES_MAX
                                             ? most
                                             : GBX_BODY_BYTES_MAX));
    rc = channel_reserve(&call->script->sandbox.channel, bytes,
                         room_deadline(call), off);
    if (rc == GBX_EBROKEN || rc == GBX_EBOUNDS || rc == GBX_EFORMAT) {
        sandbox_break(&call->script->sandbox); /* never listened to again */
        return fail(err, rc, "the guest wrote nonsense into the shared region");
    }
    if (rc < 0)
        return fail(err, rc,
                    "port \"%s\": no room for %llu bytes: other messages fill "
                    "the arena of %llu",
                    port, (unsigned long long)bytes, (unsigned long long)most);
    return 0;
}

int gbx_call_room(struct gbx_call *call, const char *port, enum gbx_type type,
                  size_t bytes, void **data, struct gbx_error *err)
{
    struct call_input *input;
    int rc;

    *data = NULL;
    if (type == GBX_FLOW || type == GBX_BOOLEAN || type == GBX_INTEGER ||
        type == GBX_FLOAT || (int)type < 0 || type >= GBX_TYPE_COUNT)
        return fail(err, GBX_EARGUMENT, "messages of type %s have no body",
                    gbx_type_name((int)type) ? gbx_type_name((int)type) : "?");
    input = add_input(call, port, err, &rc);
    if (input == NULL)
        return rc;
    rc = reserve(call, port, bytes, &input->descriptor.body_off, err);
    if (rc < 0)
        return rc;
    input->descriptor.type = (uint8_t)type;
    input->descriptor.body_bytes = (uint32_t)bytes;
    call->stats.input_bytes += bytes;
    call->input_count++;
    *data =
        channel_at(&call->script->sandbox.channel, input->descriptor.body_off);
    return 0;
}

int gbx_call_array(struct gbx_call *call, const char *port,
                   const struct gbx_array *array, void **data,
                   struct gbx_error *err)
{
    struct channel *channel = &call->script->sandbox.channel;
    uint8_t head[GBX_ARRAY_HEAD_MAX];
    size_t head_bytes = gbx_array_head(head, array), gap;
    struct call_input *input;
    uint64_t off;
    int rc;

    *data = NULL;
    if (head_bytes == 0)
        return fail(err, GBX_EARGUMENT,
                    "port \"%s\": no such array (dtype %d, rank %u)", port,
                    (int)array->dtype, array->rank);
    input = add_input(call, port, err, &rc);
    if (input == NULL)
        return rc;
    /* The head ends where a line begins, so that the elements are aligned. */
    gap = -head_bytes % GBX_BLOCK_ALIGN;
    rc = reserve(call, port, gap + head_bytes + array->data_bytes, &off, err);
    if (rc < 0)
        return rc;
    memcpy(channel_at(channel, off + gap), head, head_bytes);
    input->descriptor.type = GBX_ARRAY;
    input->descriptor.flags |= GBX_TYPED;
    input->descriptor.body_off = off + gap;
    input->descriptor.body_bytes = (uint32_t)(head_bytes + array->data_bytes);
    call->stats.input_bytes += array->data_bytes;
    call->input_count++;
    *data = channel_at(channel, off + gap + head_bytes);
    return 0;
}

static void put_body(struct gbx_call *call, void *to, const void *body,
                     size_t bytes)
{
    if (bytes > 0)
        memcpy(to, body, bytes);
    call->script->sandbox.channel.count.copied_bytes += bytes;
}

int gbx_call_put(struct gbx_call *call, const char *port,
                 const struct gbx_message *message, struct gbx_error *err)
{
    struct call_input *input;
    struct gbx_array array;
    void *data;
    int rc;

    if (message->flags & GBX_TYPED) {
        /* Anew, because its elements shall start on a line. */
        if (gbx_message_array(message, &array) < 0)
            return fail(err, GBX_EFORMAT, "port \"%s\": no typed array", port);
        rc = gbx_call_array(call, port, &array, &data, err);
        if (rc == 0)
            put_body(call, data, array.data, array.data_bytes);
        return rc;
    }
    switch (message->type) {
    case GBX_FLOW:
    case GBX_BOOLEAN:
    case GBX_INTEGER:
    case GBX_FLOAT:
        input = add_input(call, port, err, &rc);
        if (input == NULL)
            return rc;
        input->descriptor.type = (uint8_t)message->type;
        if (message->type == GBX_BOOLEAN)
            input->descriptor.scalar = message->scalar.boolean;
        else if (message->type != GBX_FLOW)
            memcpy(&input->descriptor.scalar, &message->scalar, 8);
        call->input_count++;
        return 0;
    default:
        rc = gbx_call_room(call, port, message->type, message->body_bytes,
                           &data, err);
        if (rc < 0)
            return rc;
        put_body(call, data, message->body, message->body_bytes);
        return 0;
    }
}

/* Send the inputs; the last one starts the call. */
int call_start(struct gbx_call *call, uint64_t deadline_ns,
               struct gbx_error *err)
{
    struct sandbox *sandbox = &call->script->sandbox;
    struct gbx_descriptor bare = {.kind = GBX_KIND_CALL};
    int rc = 0;

    must(call->phase == CALL_FILLING);
    call->phase = CALL_RUNNING;
    call->deadline_ns = deadline_ns;
    call->started_ns = clock_now_ns();
    call->guest_copied_before = atomic_load_explicit(
        &sandbox->channel.peer->copied_bytes, memory_order_relaxed);
    for (uint32_t i = 0; i < call->input_count && rc == 0; i++) {
        struct call_input *input = &call->inputs[i];

        if (i + 1 == call->input_count)
            input->descriptor.kind = GBX_KIND_CALL;
        rc =
            sandbox_send(sandbox, &input->descriptor, input->port, deadline_ns);
    }
    if (call->input_count == 0)
        rc = sandbox_send(sandbox, &bare, NULL, deadline_ns);
    if (rc < 0) {
        sandbox_break(sandbox);
        call_end(call, rc);
        return fail(err, rc, "%s: the inputs were not taken: %s",
                    call->script->file, gbx_strerror(rc));
    }
    return 0;
}

void call_end(struct gbx_call *call, int result)
{
    struct sandbox *sandbox = &call->script->sandbox;
    const struct gbx_half_head *guest = sandbox->channel.peer;
    struct gbx_call_stats *stats = &call->stats;

    call->phase = CALL_ENDED;
    call->result = result;
    stats->wall_ns = clock_now_ns() - call->started_ns;
    stats->handler_ns =
        atomic_load_explicit(&guest->handler_ns, memory_order_relaxed);
    stats->copied_bytes =
        sandbox->channel.count.copied_bytes - call->copied_before +
        atomic_load_explicit(&guest->copied_bytes, memory_order_relaxed) -
        call->guest_copied_before;
    stats->sleeps =
        (uint32_t)(sandbox->channel.count.sleeps - call->sleeps_before);
    stats->asks = sandbox->asks;
}

/* Will somebody parse this body, or only pass its bytes on? */
static bool is_parsed(const struct gbx_message *message)
{
    return message->body != NULL && message->type != GBX_STREAM &&
           message->type != GBX_ENCODED && !(message->flags & GBX_TYPED);
}

static int keep_output(struct gbx_call *call, const struct sandbox_event *event,
                       struct gbx_error *err)
{
    struct sandbox *sandbox = &call->script->sandbox;
    struct call_output *output;

    if (call->output_count == CALL_OUTPUTS_MAX)
        return fail(err, GBX_ELIMIT,
                    "more than %u outputs in one call: take them as they come "
                    "(gbx_call_on_output)",
                    CALL_OUTPUTS_MAX);
    output = &call->outputs[call->output_count];
    *output = (struct call_output){
        .port = scratch_text(&call->scratch, event->port, strlen(event->port)),
        .message = event->message,
        .body_off = event->body_off};
    if (output->port == NULL)
        return fail(err, GBX_EHOST, "no memory for an output");
    if (is_parsed(&event->message)) {
        void *copy = scratch_take(&call->scratch, event->message.body_bytes);

        if (copy == NULL)
            return fail(err, GBX_EHOST, "no memory for an output");
        memcpy(copy, event->message.body, event->message.body_bytes);
        output->message.body = copy;
        output->body_off = 0;
        sandbox->channel.count.copied_bytes += event->message.body_bytes;
        sandbox_give(sandbox, event->body_off);
    }
    call->stats.output_bytes += event->message.body_bytes;
    call->output_count++;
    return 0;
}

/* Hand an output on at once, and forget it. */
static int announce_output(struct gbx_call *call,
                           const struct sandbox_event *event,
                           struct gbx_error *err)
{
    struct call_output *output = &call->outputs[0];
    int rc;

    call->output_count = 0;
    rc = keep_output(call, event, err);
    if (rc < 0)
        return rc;
    call->arrival(call->arrival_context, output->port, &output->message);
    sandbox_give(&call->script->sandbox, output->body_off);
    call->output_count = 0;
    scratch_reset(&call->scratch);
    return 0;
}

/* Take in what a step found.  Returns 0 to go on, 1 at the call's good end, or
 * the code of its bad end. */
int call_take(struct gbx_call *call, const struct sandbox_event *event,
              struct gbx_error *err)
{
    struct sandbox *sandbox = &call->script->sandbox;
    int rc = 0;

    if (event->kind == GBX_KIND_FAILED) {
        rc = report_failure(event, &call->scratch, &call->failure);
        sandbox_give(sandbox, event->body_off);
        if (rc == GBX_EBROKEN) {
            sandbox_break(sandbox);
            return fail(err, rc, "the guest sent a malformed report");
        }
        return fail(err, rc, "%s%s%s", call->failure.type,
                    call->failure.message[0] != '\0' ? ": " : "",
                    call->failure.message);
    }
    if (event->has_message)
        rc = call->arrival != NULL ? announce_output(call, event, err)
                                   : keep_output(call, event, err);
    if (rc < 0) {
        sandbox_break(sandbox);
        return rc;
    }
    return event->kind == GBX_KIND_DONE;
}

int call_overdue(struct gbx_call *call, struct gbx_error *err)
{
    const char *file = call->script->file;

    sandbox_break(&call->script->sandbox);
    if (call->deadline_ns <= call->started_ns)
        return fail(err, GBX_ETIME, "%s: the deadline was over at the start",
                    file);
    return fail(err, GBX_ETIME, "%s did not answer within %.3g s", file,
                (double)(call->deadline_ns - call->started_ns) / 1e9);
}

int gbx_call_run(struct gbx_call *call, uint64_t deadline_ns,
                 struct gbx_error *err)
{
    struct sandbox_event event;
    int rc = call_start(call, deadline_ns, err);

    if (rc < 0)
        return rc;
    do {
        rc = sandbox_step(&call->script->sandbox, deadline_ns, &event, err);
        if (rc == 0)
            rc = call_take(call, &event, err);
        if (rc == GBX_ETIME || (rc == 0 && clock_is_past(deadline_ns)))
            rc = call_overdue(call, err);
    } while (rc == 0);
    call_end(call, rc < 0 ? rc : 0);
    return call->result;
}

void gbx_call_on_output(struct gbx_call *call, gbx_arrival_fn fn, void *context)
{
    call->arrival = fn;
    call->arrival_context = context;
}

int gbx_call_next(struct gbx_call *call, const char **port,
                  struct gbx_message *message)
{
    const struct call_output *output;

    if (call->output_next == call->output_count)
        return GBX_EAGAIN;
    output = &call->outputs[call->output_next++];
    *port = output->port;
    *message = output->message;
    return 0;
}

void gbx_call_cancel(struct gbx_call *call)
{
    sandbox_kill(&call->script->sandbox);
}

void gbx_call_failure(const struct gbx_call *call, struct gbx_failure *failure)
{
    *failure = call->failure;
}

void gbx_call_stats(const struct gbx_call *call, struct gbx_call_stats *stats)
{
    *stats = call->stats;
}

void gbx_call_finish(struct gbx_call *call)
{
    struct sandbox *sandbox;

    if (call == NULL)
        return;
    must(call->phase != CALL_FREE);
    sandbox = &call->script->sandbox;
    if (call->phase == CALL_RUNNING || atomic_load(&sandbox->canceled))
        sandbox_break(sandbox); /* nobody waits for its answer any more */
    if (call->phase == CALL_FILLING)
        for (uint32_t i = 0; i < call->input_count; i++)
            if (call->inputs[i].descriptor.body_off != 0)
                channel_drop(&sandbox->channel,
                             call->inputs[i].descriptor.body_off);
    if (sandbox->state == SANDBOX_BUSY)
        for (uint32_t i = 0; i < call->output_count; i++)
            sandbox_give(sandbox, call->outputs[i].body_off);
    sandbox_finish(sandbox);
    if (sandbox->state == SANDBOX_BROKEN)
        sandbox_close(sandbox);
    scratch_reset(&call->scratch);
    call->phase = CALL_FREE;
    set_free(call->script);
}
