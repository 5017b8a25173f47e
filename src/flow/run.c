/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - a node runs: on what it has, until it has nothing more, its readers
 * are behind, or a run has failed and is to be tried again.
 *
 * What it takes from its queues is a batch, taken and counted at once: a lock a
 * batch and a lock for each reader a batch.  What is left of one when it has to
 * stop, stays with the node (`held`) and is what it goes on with.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "flow/run.h"

#define ROOM_RUNS    16u /* so many runs, and readers are looked at */
#define NO_MEMORY_NS 10000000u

/* One of its readers that is behind; NULL: all have room. */
static const struct wire *full_wire(const struct wiring *wiring)
{
    for (uint32_t i = 0; i < wiring->count; i++) {
        const struct wire *wire = &wiring->wires[i];

        if (wire->to != NULL && !wire->is_soft &&
            queue_count(&wire->port->queue) >= wire->to->bound)
            return wire;
    }
    return NULL;
}

static int run_once(struct gbx_actor *actor, struct flow_batch *batch)
{
    const bool tells = flow_tells(actor->flow);
    uint64_t from_ns = tells ? clock_now_ns() : 0;
    int rc;

    actor->inputs = &batch->packets[batch->at];
    actor->ports = &batch->ports[batch->at];
    actor->input_count = batch->count > 0 ? batch->step : 0;
    actor->reason[0] = '\0';
    rc = actor->node->kind->run(actor->node, actor);
    if (actor->journal.link != NULL)
        rc = run_settle(actor, rc);
    if (rc < 0 && actor->reason[0] == '\0')
        snprintf(actor->reason, sizeof(actor->reason), "%s", gbx_strerror(rc));
    while (actor->room_count > 0)
        body_drop(actor->rooms[--actor->room_count]);
    if (tells)
        flow_tell_run(actor->flow, actor->node,
                      actor->input_count > 0 ? actor->inputs[0].id : 0,
                      rc < 0 ? actor->reason : NULL, from_ns);
    return rc;
}

/* Outport "error", as Reflow's scripts have it. */
static void send_reason(struct gbx_actor *actor)
{
    const struct gbx_message message = {.type = GBX_ERROR,
                                        .body = actor->reason,
                                        .body_bytes = strlen(actor->reason)};
    int port;

    pthread_mutex_lock(&actor->node->lock);
    port = flow_node_outport_locked(actor->node, "error", false);
    pthread_mutex_unlock(&actor->node->lock);
    if (port >= 0)
        run_send(actor, (uint32_t)port, &message, NULL);
}

/* It is not tried again. */
static void give_up(struct gbx_actor *actor, struct flow_batch *batch)
{
    struct flow_node *node = actor->node;

    for (uint32_t i = 0; i < actor->input_count; i++)
        flow_letter(actor->flow, node, node->inports[actor->ports[i]]->name,
                    &actor->inputs[i], actor->reason, batch->attempts + 1);
    send_reason(actor);
}

/* Again, later?  Then when. */
static uint64_t retry_at(struct gbx_actor *actor, struct flow_batch *batch)
{
    struct flow_node *node = actor->node;
    unsigned doubled = batch->attempts < 20 ? batch->attempts : 20;

    if (batch->attempts >= node->retries || actor->input_count == 0 ||
        atomic_load(&actor->flow->is_canceled))
        return 0;
    batch->attempts++;
    flow_node_count(&node->counts.retries, 1);
    return clock_now_ns() + (node->backoff_ns << doubled);
}

/* Why a node does not run on, and what it waits for. */
struct stop {
    const struct wire *full; /* this reader; NULL: */
    uint64_t due_ns;         /* this time, after a run that failed; or 0 */
};

/* All sets of a batch, as far as it comes. */
static struct stop run_batch(struct gbx_actor *actor, struct flow_batch *batch)
{
    struct flow_node *node = actor->node;
    struct stop stop = {.full = NULL};
    uint32_t runs = 0;

    do {
        int rc;

        if (runs++ % ROOM_RUNS == 0 &&
            (stop.full = full_wire(actor->wiring)) != NULL)
            break;
        rc = run_once(actor, batch);
        flow_node_count(&node->counts.runs, 1);
        if (rc < 0) {
            flow_node_count(&node->counts.failures, 1);
            stop.due_ns = retry_at(actor, batch);
            if (stop.due_ns != 0)
                break;
            give_up(actor, batch);
        }
        for (uint32_t i = 0; i < actor->input_count; i++)
            packet_drop(&batch->packets[batch->at + i]);
        batch->at += actor->input_count;
        batch->attempts = 0;
    } while (batch->at < batch->count);
    return stop;
}

/* What it goes on with, or what has come since.  NULL: it has been removed. */
static struct flow_batch *begin(struct flow_node *node, struct worker *worker,
                                struct wiring **wiring)
{
    struct flow_node *freed = NULL;
    struct flow_batch *batch;
    void *was = NULL;

    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_GONE) {
        pthread_mutex_unlock(&node->lock);
        return NULL;
    }
    node->state = GBX_NODE_RUNNING;
    if (node->renewed != NULL) {
        was = node->self;
        node->self = node->renewed;
        node->renewed = NULL;
    }
    *wiring = wiring_get(node->wiring);
    batch = node->held;
    node->held = NULL;
    if (node->woken_ns != 0)
        node->wake_ns = node->asked_ns = node->woken_ns = 0;
    if (batch == NULL) {
        batch = worker->batch;
        worker->batch = NULL;
        if (node->starts) /* without a message */
            batch->at = batch->count = 0;
        else
            flow_node_fill_locked(node, batch);
        flow_node_count(&node->counts.received, batch->count);
        freed = flow_node_freed_locked(node);
    }
    pthread_mutex_unlock(&node->lock);
    if (was != NULL)
        node->kind->drop(was);
    if (freed != NULL)
        flow_free_blocked(node->flow, freed);
    flow_say_room(node->flow);
    return batch;
}

/* From here on somebody else may run it. */
static void leave(struct gbx_actor *actor, struct flow_batch *batch,
                  const struct stop *stop)
{
    struct flow_node *node = actor->node;
    const bool has_left = batch->at < batch->count;
    bool again = false, is_gone, has_started;

    pthread_mutex_lock(&node->lock);
    has_started = node->starts && stop->full == NULL;
    if (has_started)
        node->starts = false;
    is_gone = node->state == GBX_NODE_GONE;
    if (!is_gone && has_left)
        node->held = batch;
    if (is_gone)
        ;
    else if (stop->full != NULL)
        node->state = GBX_NODE_BLOCKED;
    else if (stop->due_ns != 0)
        node->state = GBX_NODE_PAUSED;
    else if ((again = flow_node_is_ready_locked(node)))
        node->state = GBX_NODE_QUEUED;
    else
        node->state = GBX_NODE_IDLE;
    pthread_mutex_unlock(&node->lock);
    if (has_started)
        flow_done(node->flow, 1);
    if (is_gone && has_left)
        run_return(node, batch, "its node was removed");
    else if (has_left)
        return;
    if (actor->worker->batch == NULL)
        actor->worker->batch = batch;
    else
        free(batch);
    if (again) /* others first */
        schedule_put(&actor->flow->schedule, NULL, flow_node_get(node));
}

/* In the list of a reader that is behind, unless it no longer is. */
static void block(struct flow_node *node, const struct wire *wire)
{
    struct flow_node *to = wire->to;
    bool is_full, again = false;

    pthread_mutex_lock(&to->lock);
    is_full = queue_count(&wire->port->queue) >= to->bound &&
              to->state != GBX_NODE_GONE;
    if (is_full) {
        node->next_blocked = wire->port->blocked;
        wire->port->blocked = flow_node_get(node);
    }
    pthread_mutex_unlock(&to->lock);
    if (is_full)
        return;
    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_BLOCKED) {
        node->state = GBX_NODE_QUEUED;
        again = true;
    }
    pthread_mutex_unlock(&node->lock);
    if (again)
        schedule_put(&node->flow->schedule, NULL, flow_node_get(node));
}

static void note_time(struct flow_node *node, uint64_t took_ns, uint64_t runs)
{
    struct times *times = atomic_load(&node->times);

    if (times == NULL) {
        times = calloc(1, sizeof(*times));
        atomic_store(&node->times, times);
    }
    flow_node_count(&node->counts.run_ns, took_ns);
    if (times != NULL && runs > 0)
        times_add(times, took_ns / runs, (uint32_t)runs);
}

static bool has_memory(struct worker *worker)
{
    if (worker->outbox == NULL)
        worker->outbox = calloc(1, sizeof(*worker->outbox));
    if (worker->batch == NULL)
        worker->batch = calloc(1, sizeof(*worker->batch));
    return worker->outbox != NULL && worker->batch != NULL;
}

/* There is no memory for a run: once more, soon. */
static void postpone(struct flow_node *node)
{
    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_QUEUED)
        node->state = GBX_NODE_PAUSED;
    pthread_mutex_unlock(&node->lock);
    schedule_wake_at(&node->flow->schedule, node,
                     clock_now_ns() + NO_MEMORY_NS);
}

void run_node(struct worker *worker, struct flow_node *node)
{
    struct gbx_actor actor = {
        .flow = node->flow, .node = node, .worker = worker};
    const uint64_t from_ns = clock_now_ns();
    struct flow_batch *batch = NULL;
    uint64_t runs;
    struct stop stop;
    uint32_t at;

    if (!has_memory(worker)) {
        postpone(node);
        flow_node_put(node);
        return;
    }
    batch = begin(node, worker, &actor.wiring);
    if (batch == NULL) {
        flow_node_put(node);
        return;
    }
    runs = node->counts.runs;
    at = batch->at;
    stop = run_batch(&actor, batch);
    run_flush(&actor, true);
    note_time(node, clock_now_ns() - from_ns, node->counts.runs - runs);
    at = batch->at - at;
    if (stop.due_ns != 0) {
        node->asked_ns = 0; /* of the time that it asked for, later */
    } else if (node->wake_ns != node->asked_ns) {
        node->asked_ns = node->wake_ns;
        schedule_wake_at(&actor.flow->schedule, node, node->wake_ns);
    }
    leave(&actor, batch, &stop);
    if (stop.full != NULL)
        block(node, stop.full);
    if (stop.due_ns != 0) /* only that makes it run again */
        schedule_wake_at(&actor.flow->schedule, node, stop.due_ns);
    if (at > 0)
        flow_done(actor.flow, at);
    wiring_put(actor.wiring);
    flow_node_put(node);
}

void run_return(struct flow_node *node, struct flow_batch *batch,
                const char *reason)
{
    const uint32_t count = batch->count - batch->at;

    for (; batch->at < batch->count; batch->at++) {
        const struct inport *port = node->inports[batch->ports[batch->at]];

        flow_letter(node->flow, node, port->name, &batch->packets[batch->at],
                    reason, batch->attempts);
        packet_drop(&batch->packets[batch->at]);
    }
    flow_done(node->flow, count);
}

/* Its time has come: to be tried again, or because it asked. */
void run_wake(struct schedule *schedule, struct flow_node *node)
{
    bool again = false;

    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_PAUSED) {
        node->state = GBX_NODE_QUEUED;
        again = true;
    } else if (node->state != GBX_NODE_GONE) {
        node->woken_ns = clock_now_ns();
        again = flow_node_touch_locked(node);
    }
    pthread_mutex_unlock(&node->lock);
    if (again)
        schedule_put(schedule, NULL, node);
    else
        flow_node_put(node);
}
