/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c - what a guest may say when, and what the host does about it.
 *
 * The channel has copied and checked the descriptor: its kind exists, its body
 * lies where bodies may lie.  Here it is checked against the conversation: a
 * guest that answers a call nobody made, or sends a Boolean of 7, breaks its
 * promises and is thrown away.
 *
 * A guest may publish something and die before the host has read it.  So when
 * the channel reports an end, the ring is emptied first; the end is remembered
 * in `ended` and told when there is nothing left to read.
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/borrow.h"
#include "sandbox/sandbox.h"

/* The step did its work inside; nothing for the caller. */
#define SERVED 1

/* How long an answer to the guest may wait for room, in a step that may not. */
#define SERVE_NS 1000000000u

static int broken(struct gbx_error *err, const char *what)
{
    return fail(err, GBX_EBROKEN, "the guest broke the protocol: %s", what);
}

/* Returns NULL, or what is wrong. */
static const char *find_body(const struct sandbox *sandbox,
                             const struct gbx_descriptor *d, const void **body)
{
    *body = NULL;
    if (d->body_off == 0)
        return NULL;
    *body = borrow_at(sandbox, d->body_off, d->body_bytes);
    return *body == NULL ? "more than it was shown" : NULL;
}

/* See the message in a checked descriptor, or say what is wrong with it. */
static const char *see_message(struct sandbox *sandbox,
                               const struct gbx_descriptor *d,
                               struct gbx_message *message)
{
    *message =
        (struct gbx_message){.type = d->type, .flags = d->flags & GBX_TYPED};
    switch (d->type) {
    case GBX_FLOW:
        return d->body_bytes != 0 ? "a Flow with a body" : NULL;
    case GBX_BOOLEAN:
        message->scalar.boolean = d->scalar != 0;
        return d->scalar > 1 || d->body_bytes != 0 ? "no Boolean" : NULL;
    case GBX_INTEGER:
        message->scalar.integer = (int64_t)d->scalar;
        return d->body_bytes != 0 ? "an Integer with a body" : NULL;
    case GBX_FLOAT:
        memcpy(&message->scalar.real, &d->scalar, sizeof(d->scalar));
        return d->body_bytes != 0 ? "a Float with a body" : NULL;
    default:
        if (message->flags != 0 && d->type != GBX_ARRAY)
            return "elements that are in no Array";
        message->body_bytes = d->body_bytes;
        return find_body(sandbox, d, &message->body);
    }
}

static int serve_print(struct sandbox *sandbox, const struct gbx_descriptor *d,
                       struct gbx_error *err)
{
    const void *text;
    const char *fault = find_body(sandbox, d, &text);

    if (fault != NULL)
        return broken(err, fault);
    if (d->scalar != 1 && d->scalar != 2)
        return broken(err, "text for no stream");
    sandbox->printed_bytes += d->body_bytes;
    if (sandbox->printed_bytes > sandbox->printed_max)
        return fail(err, GBX_EOUTPUT,
                    "the script printed more than %llu bytes in one call",
                    (unsigned long long)sandbox->printed_max);
    if (sandbox->output != NULL && text != NULL)
        sandbox->output(sandbox->output_context, (int)d->scalar, text,
                        d->body_bytes);
    sandbox_give(sandbox, d->body_off);
    return SERVED;
}

static int answer_error(struct sandbox *sandbox, const struct gbx_error *why,
                        uint64_t deadline_ns)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_ANSWER, .type = GBX_ERROR, .flags = GBX_IS_ERROR};

    return sandbox_send_copy(sandbox, &d, why->what, strlen(why->what),
                             deadline_ns);
}

static int serve_grow(struct sandbox *sandbox, const struct gbx_descriptor *d,
                      uint64_t deadline_ns)
{
    struct gbx_descriptor answer = {
        .kind = GBX_KIND_ANSWER, .type = GBX_INTEGER, .flags = GBX_HAS_MESSAGE};
    struct gbx_error why;
    int rc = region_grow(&sandbox->region, HALF_GUEST, d->scalar);

    if (rc < 0) {
        fail(&why, rc, "the message limit is %llu bytes in all",
             (unsigned long long)(sandbox->region.half_bytes - GBX_ARENA_OFF));
        rc = answer_error(sandbox, &why, deadline_ns);
    } else {
        answer.scalar = sandbox->region.arena_bytes[HALF_GUEST];
        channel_peer_grew(&sandbox->channel, answer.scalar);
        rc = sandbox_send(sandbox, &answer, NULL, deadline_ns);
    }
    return rc < 0 ? rc : SERVED;
}

/* Arguments are parsed, so they are copied first: nobody changes the copy. */
static int copy_arguments(struct sandbox *sandbox,
                          const struct gbx_descriptor *d,
                          struct gbx_message *arguments, struct gbx_error *why)
{
    void *copy;

    if (d->body_bytes > HOST_CALL_BYTES_MAX)
        return fail(why, GBX_ELIMIT, "arguments of more than %u bytes",
                    HOST_CALL_BYTES_MAX);
    copy = scratch_take(&sandbox->scratch, d->body_bytes);
    if (copy == NULL)
        return fail(why, GBX_EHOST, "no memory for arguments");
    if (d->body_bytes > 0)
        memcpy(copy, arguments->body, d->body_bytes);
    sandbox->channel.count.copied_bytes += d->body_bytes;
    arguments->body = copy;
    return 0;
}

static int serve_ask(struct sandbox *sandbox, const struct gbx_descriptor *d,
                     const char *name, struct gbx_message *arguments,
                     uint64_t deadline_ns)
{
    const struct host_call *call = host_calls_find(sandbox->calls, name);
    struct gbx_descriptor answer = {
        .kind = GBX_KIND_ANSWER, .type = GBX_ANY, .flags = GBX_HAS_MESSAGE};
    struct gbx_message message;
    struct gbx_builder builder;
    struct gbx_error why;
    int rc;

    why = (struct gbx_error){0};
    gbx_builder_init(&builder);
    if (call == NULL && sandbox->calls->ask == NULL)
        rc = fail(&why, GBX_EARGUMENT, "this host offers no call \"%s\"", name);
    else if ((rc = copy_arguments(sandbox, d, arguments, &why)) < 0)
        ;
    else if (sandbox->calls->ask != NULL)
        rc = sandbox->calls->ask(sandbox->calls->ask_context, name, arguments,
                                 &builder, &why);
    else
        rc = call->fn(call->is_askers && sandbox->asker != NULL ? sandbox->asker
                                                                : call->context,
                      arguments, &builder, &why);
    if (rc == 0)
        rc = gbx_builder_message(&builder, GBX_ANY, &message);
    sandbox_give(sandbox, d->body_off);
    if (rc < 0 && why.code == 0)
        fail(&why, rc, "%s: %s", name, gbx_strerror(rc));
    rc = rc < 0 ? answer_error(sandbox, &why, deadline_ns)
                : sandbox_send_copy(sandbox, &answer, message.body,
                                    message.body_bytes, deadline_ns);
    if (call != NULL && call->is_secret && builder.bytes != NULL)
        explicit_bzero(builder.bytes, builder.count);
    gbx_builder_fini(&builder);
    scratch_reset(&sandbox->scratch);
    sandbox->asks++;
    return rc < 0 ? rc : SERVED;
}

/* May the guest say this now? */
static const char *out_of_turn(const struct sandbox *sandbox,
                               const struct gbx_descriptor *d)
{
    bool busy = sandbox->state == SANDBOX_BUSY;

    switch (d->kind) {
    case GBX_KIND_READY:
    case GBX_KIND_LOADED:
        return busy && !sandbox->starts ? "a start in the middle of a call"
                                        : NULL;
    case GBX_KIND_FAILED:
    case GBX_KIND_ASK:
        if (!busy)
            return NULL; /* of a script that is being loaded */
        return d->call != sandbox->call ? "a word about another call" : NULL;
    case GBX_KIND_OUTPUT:
    case GBX_KIND_DONE:
        if (!busy)
            return "an answer to no call";
        return d->call != sandbox->call ? "an answer to another call" : NULL;
    default:
        return NULL;
    }
}

/* Returns 0 with an event, SERVED, or a code. */
static int take_in(struct sandbox *sandbox, const struct gbx_descriptor *d,
                   uint64_t deadline_ns, struct sandbox_event *event,
                   struct gbx_error *err)
{
    const char *fault = out_of_turn(sandbox, d);
    int rc;

    if (fault != NULL)
        return broken(err, fault);
    if (d->kind == GBX_KIND_PRINT)
        return serve_print(sandbox, d, err);
    if (d->kind == GBX_KIND_GROW)
        return serve_grow(sandbox, d, deadline_ns);
    if (sandbox->starts) {
        sandbox->starts = false;
        return d->kind == GBX_KIND_READY ? SERVED
                                         : broken(err, "a word before READY");
    }

    /* Member by member: the name is long, and comes. */
    event->kind = d->kind;
    event->has_message =
        (d->flags & GBX_HAS_MESSAGE) != 0 ||
        (d->kind != GBX_KIND_DONE && d->kind != GBX_KIND_READY);
    event->message = (struct gbx_message){0};
    event->body_off = d->body_off;
    event->handler_ns = d->handler_ns;
    rc = channel_get_name(&sandbox->channel, d, event->port);
    if (rc < 0)
        return broken(err, "a name that is no UTF-8 text");
    if (event->has_message &&
        (fault = see_message(sandbox, d, &event->message)) != NULL)
        return broken(err, fault);
    if (d->kind == GBX_KIND_ASK)
        return serve_ask(sandbox, d, event->port, &event->message, deadline_ns);
    return 0;
}

/* Tell how the guest ended; it is of no more use. */
static int tell_end(struct sandbox *sandbox, int code, struct gbx_error *err)
{
    if (code == GBX_ECANCELED || atomic_load(&sandbox->canceled))
        code = fail(err, GBX_ECANCELED, "the call was cancelled");
    else if (code == GBX_EOUTPUT)
        fail(err, code, "the script printed more than %llu bytes in one call",
             (unsigned long long)sandbox->printed_max);
    else if (code == sandbox->stopped)
        sandbox->backend->explain(sandbox->self, err);
    else if (code == GBX_EBROKEN || code == GBX_EBOUNDS || code == GBX_EFORMAT)
        fail(err, code, "the guest wrote nonsense into the shared region");
    else
        fail(err, code, "%s", gbx_strerror(code));
    sandbox_break(sandbox);
    return code;
}

static bool is_end(int rc)
{
    return rc < 0 && rc != GBX_EAGAIN && rc != GBX_ETIME;
}

/* Serving the guest failed: it is of no more use, and err says why. */
static int give_up(struct sandbox *sandbox, int rc, struct gbx_error *err)
{
    if (err != NULL && err->code != rc)
        fail(err, rc, "while serving the guest: %s", gbx_strerror(rc));
    sandbox_break(sandbox);
    return rc;
}

int sandbox_step(struct sandbox *sandbox, uint64_t deadline_ns,
                 struct sandbox_event *event, struct gbx_error *err)
{
    struct gbx_descriptor d;
    int rc;

    if (err != NULL)
        err->code = 0;
    do {
        if (sandbox->ended != 0)
            rc = channel_try_recv(&sandbox->channel, &d);
        else
            rc = channel_recv(&sandbox->channel, &d, deadline_ns);
        if (rc == GBX_EAGAIN)
            return tell_end(sandbox, sandbox->ended, err);
        if (is_end(rc)) {
            if (sandbox->ended != 0) /* nonsense after the end */
                return tell_end(sandbox, rc, err);
            sandbox->ended = rc;
            rc = SERVED;
            continue;
        }
        if (rc < 0) /* the deadline */
            return rc;
        rc = take_in(sandbox, &d, deadline_ns, event, err);
        if (rc < 0)
            rc = give_up(sandbox, rc, err);
        /* A guest that always has something to say never lets us wait. */
        if (rc == SERVED && clock_is_past(deadline_ns))
            return GBX_ETIME;
    } while (rc == SERVED);
    return rc;
}

int sandbox_try_step(struct sandbox *sandbox, struct sandbox_event *event,
                     struct gbx_error *err)
{
    struct gbx_descriptor d;
    int rc;

    if (err != NULL)
        err->code = 0;
    channel_awake(&sandbox->channel);
    for (;;) {
        rc = channel_try_recv(&sandbox->channel, &d);
        if (rc == 0) {
            rc = take_in(sandbox, &d, clock_now_ns() + SERVE_NS, event, err);
            return rc < 0 ? give_up(sandbox, rc, err) : rc;
        }
        if (rc != GBX_EAGAIN)
            return tell_end(sandbox, rc, err);
        if (sandbox->ended != 0)
            return tell_end(sandbox, sandbox->ended, err);
        if (atomic_load(&sandbox->canceled))
            return tell_end(sandbox, GBX_ECANCELED, err);
        /* Take in what the descriptors hold, without waiting. */
        rc = sandbox_run(sandbox, 1);
        if (rc == 0)
            return SERVED; /* it rang; whoever rings all the time, waits */
        if (is_end(rc))
            sandbox->ended = rc;
        else if (channel_asleep(&sandbox->channel))
            return GBX_EAGAIN;
    }
}
