/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - a script as an actor, sealed: each run is a call.
 *
 * A large Stream or typed array that it sends is kept where it wrote it, and
 * shown there to the scripts that it goes to (glovebox/body.h).  All else is
 * copied once out of the arena that it may still write, and once into the one
 * that the next script reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "flow/kind/ports.h"
#include "flow/run.h"
#include "message/raw.h"

struct script_actor {
    struct gbx_script *script;

    pthread_mutex_t lock;  /* of: */
    struct gbx_call *call; /* that runs */
    bool is_interrupted;
};

/* What a call's outputs become. */
struct sending {
    struct gbx_actor *actor;
    int rc; /* the first that went wrong */
};

static const char *script_isolation(const struct flow_node *node)
{
    const struct script_actor *script = node->self;

    return gbx_script_isolation(script->script);
}

/* Is it worth it, and does anybody read it later? */
static bool is_kept(const struct gbx_actor *actor, uint32_t place,
                    const struct gbx_message *message)
{
    if (message->body_bytes < GBX_BODY_SHOWN || !message_is_raw(message))
        return false;
    for (uint32_t i = 0; i < actor->wiring->count; i++)
        if (actor->wiring->wires[i].outport == place &&
            actor->wiring->wires[i].to != NULL)
            return true;
    return false;
}

static int send_kept(struct gbx_actor *actor, uint32_t place,
                     const struct gbx_message *message)
{
    struct script_actor *script = actor->node->self;
    struct gbx_message kept = *message;
    struct gbx_body *shared;
    struct packet packet;
    int rc;

    rc = gbx_call_keep(script->call, message, &shared, &kept.body, NULL);
    if (rc < 0) /* for want of memory: a copy may still do */
        return run_send(actor, place, message, NULL);
    rc = packet_keep(&packet, &kept, shared);
    if (rc < 0)
        return rc;
    rc = run_send(actor, place, &kept, packet.body);
    packet_drop(&packet);
    return rc;
}

static void send_output(void *context, const char *port,
                        const struct gbx_message *message)
{
    struct sending *sending = context;
    struct gbx_actor *actor = sending->actor;
    int place;

    if (sending->rc < 0)
        return;
    pthread_mutex_lock(&actor->node->lock);
    place = flow_node_outport_locked(actor->node, port, true);
    pthread_mutex_unlock(&actor->node->lock);
    if (place < 0)
        sending->rc = place;
    else if (is_kept(actor, (uint32_t)place, message))
        sending->rc = send_kept(actor, (uint32_t)place, message);
    else
        sending->rc = run_send(actor, (uint32_t)place, message, NULL);
    run_flush(actor, false);
    if (sending->rc < 0) {
        struct script_actor *script = actor->node->self;

        gbx_call_cancel(script->call);
    }
}

static int put_inputs(struct gbx_call *call, struct gbx_actor *actor,
                      struct gbx_error *err)
{
    const char *port;
    struct gbx_message message;
    int rc = 0;

    for (uint32_t i = 0;
         rc == 0 && gbx_actor_input_at(actor, i, &port, &message) == 0; i++) {
        struct body *body = actor->inputs[i].body;

        if (body != NULL && body->shared != NULL)
            rc = gbx_call_put_body(call, port, &message, body->shared, err);
        else
            rc = gbx_call_put(call, port, &message, err);
    }
    return rc;
}

/* From here on it can be interrupted.  False: it has been. */
static bool show(struct script_actor *script, struct gbx_call *call)
{
    bool good;

    pthread_mutex_lock(&script->lock);
    good = !script->is_interrupted;
    script->call = good ? call : NULL;
    pthread_mutex_unlock(&script->lock);
    return good;
}

static void hide(struct script_actor *script)
{
    pthread_mutex_lock(&script->lock);
    script->call = NULL;
    pthread_mutex_unlock(&script->lock);
}

static uint64_t deadline(const struct flow_node *node)
{
    return node->timeout_ns == 0 ? 0 : clock_now_ns() + node->timeout_ns;
}

static void explain(struct gbx_actor *actor, struct gbx_call *call, int rc,
                    const struct gbx_error *err)
{
    struct gbx_failure failure;

    gbx_call_failure(call, &failure);
    if (rc == GBX_ESCRIPT && failure.type[0] != '\0') {
        gbx_actor_fail(actor, "%s: %s", failure.type, failure.message);
        if (flow_tells(actor->flow) && actor->traceback == NULL)
            actor->traceback = strdup(failure.traceback);
    } else {
        gbx_actor_fail(actor, "%s", err->what);
    }
}

static int script_run(struct flow_node *node, struct gbx_actor *actor)
{
    struct script_actor *script = node->self;
    struct sending sending = {.actor = actor};
    const uint64_t until_ns = deadline(node);
    struct gbx_error err = {.what = ""};
    struct gbx_call_stats stats;
    struct gbx_call *call;
    int rc;

    rc = gbx_call_begin(&call, script->script, until_ns, &err);
    if (rc < 0) {
        gbx_actor_fail(actor, "%s", err.what);
        return rc;
    }
    gbx_call_on_output(call, send_output, &sending);
    rc = put_inputs(call, actor, &err);
    if (rc == 0 && !show(script, call))
        rc = fail(&err, GBX_ECANCELED, "the flow ends");
    if (rc == 0)
        rc = gbx_call_run(call, until_ns, &err);
    hide(script);
    gbx_call_stats(call, &stats);
    flow_node_count(&node->counts.copied_bytes, stats.copied_bytes);
    if (sending.rc < 0)
        rc = fail(&err, sending.rc, "what it sent was not taken: %s",
                  gbx_strerror(sending.rc));
    if (rc < 0)
        explain(actor, call, rc, &err);
    gbx_call_finish(call);
    return rc;
}

static void script_drop(void *self)
{
    struct script_actor *script = self;

    if (script == NULL)
        return;
    gbx_script_close(script->script);
    pthread_mutex_destroy(&script->lock);
    free(script);
}

static void script_close(struct flow_node *node)
{
    script_drop(node->self);
}

static void script_interrupt(struct flow_node *node)
{
    struct script_actor *script;

    pthread_mutex_lock(&node->lock); /* or it is replaced meanwhile */
    script = node->self;
    pthread_mutex_lock(&script->lock);
    script->is_interrupted = true;
    if (script->call != NULL)
        gbx_call_cancel(script->call);
    pthread_mutex_unlock(&script->lock);
    pthread_mutex_unlock(&node->lock);
}

/* Its file, from the flow's folder on. */
static char *path_of(const struct flow_node *node)
{
    char *path;

    if (node->component[0] == '/')
        return strdup(node->component);
    return asprintf(&path, "%s/%s", node->flow->folder, node->component) < 0
               ? NULL
               : path;
}

/* What holds for all scripts of the flow, and over it what the node says. */
static int open_script(struct flow_node *node, const char *path,
                       struct gbx_script **script, struct gbx_error *err)
{
    struct gbx_script_config config = node->flow->script;
    struct gbx_config *texts;
    int rc;

    config.struct_bytes = sizeof(config);
    config.config_json = node->metadata;
    config.actor_id = node->id;
    config.state = node->keeps ? node->flow->state : NULL;
    rc = gbx_config_apply_node(&texts, node->metadata,
                               node->flow->config.is_client, &config, err);
    if (rc == 0)
        rc = gbx_script_open(script, node->flow->config.runtime, path, &config,
                             err);
    gbx_config_close(texts);
    return rc;
}

/* The script, loaded in its sandbox. */
static int make(struct flow_node *node, struct script_actor **made,
                struct gbx_error *err)
{
    struct script_actor *script = calloc(1, sizeof(*script));
    char *path = path_of(node);
    int rc;

    *made = NULL;
    if (script == NULL || path == NULL) {
        free(script);
        free(path);
        return fail(err, GBX_EHOST, "no memory for node %s", node->id);
    }
    pthread_mutex_init(&script->lock, NULL);
    rc = open_script(node, path, &script->script, err);
    free(path);
    if (rc < 0)
        script_drop(script);
    else
        *made = script;
    return rc;
}

static int script_open(struct flow_node *node, struct gbx_error *err)
{
    struct script_actor *script;
    struct ports ports;
    int rc;

    if (node->flow->config.runtime == NULL)
        return fail(err, GBX_EFILE,
                    "node %s: there is no component %s, and no runtime for "
                    "scripts",
                    node->id, node->component);
    rc = make(node, &script, err);
    if (rc < 0)
        return rc;
    node->self = script;
    rc = ports_read(&ports, gbx_script_metadata(script->script));
    if (rc == 0)
        rc = flow_node_declare(node, ports.inports, ports.outports, true);
    node->tells_ports[0] = ports.inports != NULL;
    node->awaits_all = ports.awaits_all && node->inport_count > 0;
    ports_fini(&ports);
    return rc < 0 ? fail(err, rc, "node %s: its ports: %s", node->id,
                         gbx_strerror(rc))
                  : 0;
}

static uint32_t count_new(struct flow_node *node, const char *const *names,
                          bool is_in, uint32_t *all)
{
    uint32_t count = 0;

    for (*all = 0; names != NULL && names[*all] != NULL; ++*all)
        count +=
            (is_in ? flow_node_inport_locked(node, names[*all], false)
                   : flow_node_outport_locked(node, names[*all], false)) < 0;
    return count;
}

/* An inport that it no longer tells is not awaited any more: its messages are
 * each run alone.  All fits, or nothing changes. */
static int renew_ports_locked(struct flow_node *node, const struct ports *ports)
{
    const bool awaits = ports->awaits_all && ports->inports != NULL;
    uint32_t ins, outs;
    int place = 0;

    if (count_new(node, ports->inports, true, &ins) >
            node->inport_room - node->inport_count ||
        count_new(node, ports->outports, false, &outs) >
            node->outport_room - node->outport_count ||
        (awaits && ins > NODE_BATCH))
        return GBX_ELIMIT;
    for (uint32_t i = 0; i < ins && place >= 0; i++)
        place = flow_node_inport_locked(node, ports->inports[i], true);
    for (uint32_t i = 0; i < outs && place >= 0; i++)
        place = flow_node_outport_locked(node, ports->outports[i], true);
    if (place < 0)
        return place;
    for (uint32_t i = 0; i < node->inport_count; i++)
        node->inports[i]->is_declared = false;
    for (uint32_t i = 0; i < ins; i++) {
        place = flow_node_inport_locked(node, ports->inports[i], false);
        node->inports[place]->is_declared = true;
    }
    node->tells_ports[0] = ports->inports != NULL;
    node->awaits_all = awaits;
    return 0;
}

static int script_reload(struct flow_node *node, struct gbx_error *err)
{
    struct script_actor *script;
    struct ports ports;
    void *unused = NULL;
    int rc = make(node, &script, err);

    if (rc < 0)
        return rc;
    rc = ports_read(&ports, gbx_script_metadata(script->script));
    pthread_mutex_lock(&node->lock);
    if (rc == 0)
        rc = renew_ports_locked(node, &ports);
    if (rc == 0) {
        unused = node->renewed;
        node->renewed = script;
        script = NULL;
    }
    pthread_mutex_unlock(&node->lock);
    ports_fini(&ports);
    script_drop(unused);
    script_drop(script);
    return rc < 0 ? fail(err, rc, "node %s: its ports: %s", node->id,
                         gbx_strerror(rc))
                  : 0;
}

const struct actor_kind kind_script = {
    .isolation = script_isolation,
    .open = script_open,
    .run = script_run,
    .close = script_close,
    .interrupt = script_interrupt,
    .reload = script_reload,
    .drop = script_drop,
    .batch = 16,
    .slice_ns = 1000000,
};
