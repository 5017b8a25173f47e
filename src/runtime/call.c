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
#include "base/fd.h"
#include "message/raw.h"
#include "runtime/call.h"
#include "runtime/report.h"

/* At the first call of a sandbox: what serves all that come after. */
static int open_call(struct gbx_call *call, struct gbx_script *script,
                     struct pool_member *member)
{
    if (call->is_open)
        return 0;
    if (scratch_open(&call->scratch, CALL_SCRATCH_BYTES) < 0)
        return GBX_EHOST;
    call->script = script;
    call->member = member;
    call->sandbox = &member->sandbox;
    if (script->seen != NULL)
        call->measure = &script->seen->rows[script->route.isolation];
    call->poll_fd = call->timer_fd = -1;
    call->is_open = true;
    return 0;
}

void call_shut(struct gbx_call *call)
{
    if (!call->is_open)
        return;
    close_fd(&call->poll_fd);
    close_fd(&call->timer_fd);
    scratch_close(&call->scratch);
    call->is_open = false;
}

int gbx_call_begin_for(struct gbx_call **call, struct gbx_script *script,
                       const char *key, uint64_t deadline_ns,
                       struct gbx_error *err)
{
    struct pool_member *member;
    struct gbx_call *c;
    int rc;

    *call = NULL;
    script_get(script);
    rc = pool_take(&script->pool, key, deadline_ns, &member, err);
    if (rc == 0 && open_call(member->extra, script, member) < 0) {
        pool_give(&script->pool, member, false);
        rc = fail(err, GBX_EHOST, "no memory for a call");
    }
    if (rc < 0) {
        script_put(script);
        return rc;
    }
    c = member->extra;
    sandbox_take_back(c->sandbox);
    sandbox_begin(c->sandbox);
    c->phase = CALL_FILLING;
    c->result = 0;
    c->begin_deadline_ns = deadline_ns;
    c->input_count = c->output_count = c->output_next = 0;
    c->kept_bytes = 0;
    c->lent = (struct lent){0};
    c->arrival = NULL;
    c->journal = (struct store_journal){.store = &script->store,
                                        .is_canceled = &c->sandbox->canceled};
    c->sandbox->asker = &c->journal;
    c->failure = (struct gbx_failure){"", "", ""};
    c->stats = (struct gbx_call_stats){0};
    c->copied_before = c->sandbox->channel.count.copied_bytes;
    c->sleeps_before = c->sandbox->channel.count.sleeps;
    *call = c;
    return 0;
}

int gbx_call_begin(struct gbx_call **call, struct gbx_script *script,
                   uint64_t deadline_ns, struct gbx_error *err)
{
    return gbx_call_begin_for(call, script, NULL, deadline_ns, err);
}

/* Send the inputs; the last one starts the call. */
int call_start(struct gbx_call *call, uint64_t deadline_ns,
               struct gbx_error *err)
{
    struct sandbox *sandbox = call->sandbox;
    struct gbx_descriptor bare = {.kind = GBX_KIND_CALL};
    const bool is_quick =
        call->input_count <= 1 && channel_peer_is_awake(&sandbox->channel);
    int rc = 0;

    must(call->phase == CALL_FILLING);
    call->phase = CALL_RUNNING;
    call->deadline_ns = call->journal.deadline_ns = deadline_ns;
    if (sandbox->backend->aim != NULL)
        sandbox->backend->aim(sandbox->self, deadline_ns);
    if (!is_quick)
        call->started_ns = clock_now_ns();
    call->guest_copied_before = atomic_load_explicit(
        &sandbox->channel.peer->copied_bytes, memory_order_relaxed);
    /* A guest that was killed may still be fast enough to answer. */
    if (atomic_load(&sandbox->canceled)) {
        sandbox_break(sandbox);
        call->started_ns = clock_now_ns();
        call_end(call, GBX_ECANCELED);
        return fail(err, GBX_ECANCELED, "the call was cancelled");
    }
    for (uint32_t i = 0; i < call->input_count && rc == 0; i++) {
        struct call_input *input = &call->inputs[i];

        if (i + 1 == call->input_count)
            input->descriptor.kind = GBX_KIND_CALL;
        rc =
            sandbox_send(sandbox, &input->descriptor, input->port, deadline_ns);
    }
    if (call->input_count == 0)
        rc = sandbox_send(sandbox, &bare, NULL, deadline_ns);
    if (is_quick) /* the guest is at work while the clock is looked at */
        call->started_ns = clock_now_ns();
    if (rc < 0) {
        sandbox_break(sandbox);
        call_end(call, rc);
        return fail(err, rc, "%s: the inputs were not taken: %s",
                    call->script->file, gbx_strerror(rc));
    }
    return 0;
}

int call_settle(struct gbx_call *call, struct gbx_error *err)
{
    return store_journal_commit(&call->journal, err);
}

void call_end(struct gbx_call *call, int result)
{
    struct sandbox *sandbox = call->sandbox;
    struct gbx_call_stats *stats = &call->stats;

    call->phase = CALL_ENDED;
    call->result = result;
    store_journal_end(&call->journal, false);
    stats->wall_ns = clock_now_ns() - call->started_ns;
    stats->copied_bytes =
        sandbox->channel.count.copied_bytes - call->copied_before +
        atomic_load_explicit(&sandbox->channel.peer->copied_bytes,
                             memory_order_relaxed) -
        call->guest_copied_before;
    stats->sleeps =
        (uint32_t)(sandbox->channel.count.sleeps - call->sleeps_before);
    stats->asks = sandbox->asks;
    if (result == 0 && call->lent.is_chosen)
        lending_note(&call->script->lending, &call->lent, stats->wall_ns);
    if (result == 0 && call->measure != NULL)
        measure_note(call->measure, stats->wall_ns,
                     stats->input_bytes + stats->output_bytes);
}

/* Will somebody parse this body, or only pass its bytes on? */
static bool is_parsed(const struct gbx_message *message)
{
    return message->body != NULL && !message_is_raw(message);
}

static int keep_output(struct gbx_call *call, const struct sandbox_event *event,
                       struct gbx_error *err)
{
    struct sandbox *sandbox = call->sandbox;
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
        void *copy;

        /* A guest can send one block many times; each copy is the host's. */
        call->kept_bytes += event->message.body_bytes;
        if (call->kept_bytes > call->script->config.limits.message_bytes)
            return fail(
                err, GBX_ELIMIT,
                "text and structured outputs of more than %llu bytes "
                "in one call (gbx_limits.message_bytes)",
                (unsigned long long)call->script->config.limits.message_bytes);
        copy = scratch_take(&call->scratch, event->message.body_bytes);

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
    call->kept_bytes = 0;
    rc = keep_output(call, event, err);
    if (rc < 0)
        return rc;
    call->arrival(call->arrival_context, output->port, &output->message);
    sandbox_give(call->sandbox, output->body_off);
    call->output_count = 0;
    scratch_reset(&call->scratch);
    return 0;
}

/* Take in what a step found.  Returns 0 to go on, 1 at the call's good end, or
 * the code of its bad end. */
int call_take(struct gbx_call *call, const struct sandbox_event *event,
              struct gbx_error *err)
{
    struct sandbox *sandbox = call->sandbox;
    int rc = 0;

    call->stats.handler_ns = event->handler_ns;
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

    sandbox_break(call->sandbox);
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
    int rc;

    call->journal.may_wait = true;
    rc = call_start(call, deadline_ns, err);
    if (rc < 0)
        return rc;
    do {
        rc = sandbox_step(call->sandbox, deadline_ns, &event, err);
        if (rc == 0)
            rc = call_take(call, &event, err);
        if (rc == GBX_ETIME || (rc == 0 && clock_is_past(deadline_ns)))
            rc = call_overdue(call, err);
    } while (rc == 0);
    if (rc > 0)
        rc = call_settle(call, err);
    call_end(call, rc);
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
    sandbox_kill(call->sandbox);
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
    struct gbx_script *script;
    struct sandbox *sandbox;
    bool failed;

    if (call == NULL)
        return;
    must(call->phase != CALL_FREE);
    script = call->script;
    sandbox = call->sandbox;
    failed = call->phase == CALL_ENDED && call->result < 0;
    if (call->phase == CALL_RUNNING || atomic_load(&sandbox->canceled))
        sandbox_break(sandbox); /* nobody waits for its answer any more */
    if (call->phase == CALL_FILLING)
        for (uint32_t i = 0; i < call->input_count; i++)
            if (call->inputs[i].descriptor.body_off != 0)
                channel_drop(&sandbox->channel,
                             call->inputs[i].descriptor.body_off);
    store_journal_end(&call->journal, false);
    sandbox->asker = NULL;
    if (sandbox->state == SANDBOX_BUSY)
        for (uint32_t i = 0; i < call->output_count; i++)
            sandbox_give(sandbox, call->outputs[i].body_off);
    sandbox_finish(sandbox);
    scratch_reset(&call->scratch);
    call->phase = CALL_FREE;
    pool_give(&script->pool, call->member, failed);
    script_put(script);
}
