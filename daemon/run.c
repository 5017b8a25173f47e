/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - one call of an actor, from JSON to JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "glovebox/json.h"

#define OUTPUT_BYTES 100u /* that each costs beside its letters */

static int put_input(struct gbx_call *call, const char *port,
                     const json_t *value, struct gbx_error *err)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct gbx_message message;
    struct gbx_builder builder;
    int rc;

    gbx_builder_init(&builder);
    if (text == NULL) {
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    rc = gbx_message_from_json(&message, &builder, text, strlen(text),
                               GBX_JSON_EITHER, err);
    if (rc == 0)
        rc = gbx_call_put(call, port, &message, err);
    gbx_builder_fini(&builder);
    free(text);
    return rc;
}

static int put_inputs(struct gbx_call *call, const json_t *inputs,
                      struct gbx_error *err)
{
    const char *port;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)(uintptr_t)inputs, port, value)
    {
        if (rc == 0)
            rc = put_input(call, port, value, err);
    }
    return rc;
}

static int put_streams(struct gbx_call *call, const struct run *run,
                       struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < run->stream_count && rc == 0; i++) {
        const struct gbx_message message = {.type = GBX_STREAM,
                                            .body = run->streams[i].data,
                                            .body_bytes =
                                                run->streams[i].bytes};

        rc = gbx_call_put(call, run->streams[i].port, &message, err);
    }
    return rc;
}

/* What is sent from here on is not wanted. */
static void refuse(struct run *run, int code, const char *what)
{
    run->bad.code = code;
    snprintf(run->bad.what, sizeof(run->bad.what), "%s", what);
    gbx_call_cancel(run->call);
}

/* Each byte, or few of them, becomes a number of JSON. */
static bool is_numbers(const struct gbx_message *message)
{
    return message->type == GBX_STREAM || message->type == GBX_ENCODED ||
           (message->flags & GBX_TYPED) != 0;
}

static void take(void *context, const char *port,
                 const struct gbx_message *message)
{
    static const char too_much[] =
        "it sent more JSON than --body allows: a binary WebSocket takes more";
    struct run *run = context;
    json_t *value;
    char *json;

    if (run->bad.code != 0)
        return;
    if (message->body_bytes > run->out_max / (is_numbers(message) ? 16 : 1)) {
        refuse(run, GBX_ELIMIT, too_much);
        return;
    }
    if (gbx_message_to_json(&json, message, GBX_JSON_PLAIN, &run->bad) < 0) {
        gbx_call_cancel(run->call);
        return;
    }
    run->out_bytes += strlen(json) + OUTPUT_BYTES;
    value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    free(json);
    if (run->out_bytes > run->out_max)
        refuse(run, GBX_ELIMIT, too_much);
    else if (value == NULL)
        refuse(run, GBX_EFORMAT,
               "it sent what JSON has not: an integer beyond 64 bits, or a key "
               "with a zero in it");
    if (run->bad.code == 0)
        run->output(run->context, port, value);
    else
        json_decref(value);
}

int run_call(struct daemon *daemon, struct job *job, struct run *run)
{
    const uint64_t until_ns = daemon_now_ns() + run->timeout_ns;
    struct gbx_failure failure;
    struct gbx_call *call;
    int rc;

    run->err = run->bad = (struct gbx_error){.code = 0};
    run->traceback = NULL;
    if (work_is_canceled(daemon, job)) {
        snprintf(run->err.what, sizeof(run->err.what), "the client is gone");
        if (run->call != NULL) {
            gbx_call_finish(run->call);
            call_leave(run->actor);
        }
        return run->err.code = GBX_ECANCELED;
    }
    rc = run->call != NULL
             ? 0
             : call_begin(daemon, run->actor, until_ns, &run->call, &run->err);
    if (rc < 0)
        return rc;
    call = run->call;
    run->out_max = daemon->bytes_max;
    if (run->message != NULL)
        gbx_call_on_output(call, run->message, run->context);
    else
        gbx_call_on_output(call, take, run);
    rc = put_inputs(call, run->inputs, &run->err);
    if (rc == 0)
        rc = put_streams(call, run, &run->err);
    if (rc == 0 && !work_show(daemon, job, call)) {
        rc = run->err.code = GBX_ECANCELED;
        snprintf(run->err.what, sizeof(run->err.what), "the client is gone");
    }
    if (rc == 0)
        rc = gbx_call_run(call, until_ns, &run->err);
    work_hide(daemon, job);
    if (run->bad.code != 0) { /* why it was ended, or is not believed */
        run->err = run->bad;
        rc = run->bad.code;
    }
    gbx_call_stats(call, &run->stats);
    gbx_call_failure(call, &failure);
    if (rc == GBX_ESCRIPT && failure.type[0] != '\0') {
        snprintf(run->err.what, sizeof(run->err.what), "%s: %s", failure.type,
                 failure.message);
        run->traceback = strdup(failure.traceback);
    }
    gbx_call_finish(call);
    call_leave(run->actor);
    call_count(daemon, run->actor, rc, run->stats.wall_ns);
    call_trouble(run->actor, rc, run->err.what, run->traceback);
    return rc;
}

void call_enter(struct actor *actor)
{
    const unsigned now = atomic_fetch_add(&actor->running, 1) + 1;
    unsigned most = atomic_load(&actor->most);

    while (now > most &&
           !atomic_compare_exchange_weak(&actor->most, &most, now))
        ;
}

int call_begin(struct daemon *daemon, struct actor *actor, uint64_t until_ns,
               struct gbx_call **call, struct gbx_error *err)
{
    int rc;

    call_enter(actor);
    rc = gbx_call_begin(call, actor->script, until_ns, err);
    if (rc == 0)
        return 0;
    call_leave(actor);
    call_count(daemon, actor, rc, 0);
    call_trouble(actor, rc, err->what, NULL);
    return rc;
}

struct gbx_call *call_begin_now(struct actor *actor, const char *key)
{
    const unsigned most = atomic_load(&actor->most);
    struct gbx_call *call = NULL;
    struct gbx_error err;

    /* The first sandbox is made when the script is opened. */
    if (atomic_load(&actor->running) >= (most > 0 ? most : 1))
        return NULL;
    call_enter(actor);
    if (gbx_call_begin_for(&call, actor->script, key, 1, &err) < 0)
        call_leave(actor);
    return call;
}

void call_leave(struct actor *actor)
{
    atomic_fetch_sub(&actor->running, 1);
}

void call_count(struct daemon *daemon, struct actor *actor, int rc,
                uint64_t wall_ns)
{
    const uint64_t now_ns = daemon_now_ns();

    voice_settle(&actor->voice);
    lately_note(&actor->lately, now_ns, wall_ns);
    lately_note(&daemon->lately, now_ns, wall_ns);
    actor->calls++;
    actor->failures += rc < 0;
    actor->wall_ns += wall_ns;
    daemon->calls++;
    daemon->failures += rc < 0;
}

void call_trouble(const struct actor *actor, int rc, const char *what,
                  const char *traceback)
{
    if (rc < 0 && rc != GBX_ECANCELED)
        trouble_note(actor->id, rc, what, traceback);
}

void run_fini(struct run *run)
{
    free(run->traceback);
}
