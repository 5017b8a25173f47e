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
#define QUICK_NS     5000u

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
        flow_tell_run(actor->flow, actor->node, actor->inputs,
                      actor->input_count, rc < 0 ? actor->reason : NULL,
                      actor->traceback, from_ns);
    free(actor->traceback);
    actor->traceback = NULL;
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

/* So many runs since then.  Returns the time now. */
static uint64_t note_time(struct flow_node *node, uint64_t from_ns,
                          uint32_t runs)
{
    struct times *times = atomic_load(&node->times);
    const uint64_t now_ns = clock_now_ns();

    if (runs == 0)
        return now_ns;
    if (times == NULL) {
        times = calloc(1, sizeof(*times));
        atomic_store(&node->times, times);
    }
    flow_node_count(&node->counts.run_ns, now_ns - from_ns);
    if (times != NULL)
        times_add(times, (now_ns - from_ns) / runs, runs);
    return now_ns;
}

/* Why a node does not run on, and what it waits for. */
struct stop {
    bool has_run;            /* at least once */
    const struct wire *full; /* this reader; NULL: */
    uint64_t due_ns;         /* this time, after a run that failed; or 0 */
};

/* All sets of a batch, as far as it comes. */
static struct stop run_batch(struct gbx_actor *actor, struct flow_batch *batch)
{
    struct flow_node *node = actor->node;
    const uint64_t slice_ns = node->kind->slice_ns, begin_ns = clock_now_ns();
    struct stop stop = {.has_run = false};
    uint64_t from_ns = begin_ns;
    uint32_t runs = 0, timed = 0;

    do {
        int rc;

        if (runs % ROOM_RUNS == 0 &&
            (stop.full = full_wire(actor->wiring)) != NULL)
            break;
        /* Nothing is begun any more; who removed it waits for nobody. */
        if (runs > 0 && (atomic_load(&actor->flow->is_canceled) ||
                         atomic_load(&node->is_gone)))
            break;
        runs++;
        rc = run_once(actor, batch);
        if (!node->is_quick)
            run_flush(actor, false);
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
        if (slice_ns == 0)
            continue;
        from_ns = note_time(node, from_ns, runs - timed);
        timed = runs;
        if (from_ns - begin_ns > slice_ns)
            break;
    } while (batch->at < batch->count);
    from_ns = note_time(node, from_ns, runs - timed);
    node->is_quick = runs > 0 && (from_ns - begin_ns) / runs < QUICK_NS;
    stop.has_run = runs > 0;
    return stop;
}

/* What it goes on with, or what has come since.  NULL: there is nothing, or it
 * has been removed, or nothing is begun any more. */
static struct flow_batch *begin_locked(struct flow_node *node,
                                       struct worker *worker, void **was,
                                       uint64_t *owed)
{
    struct flow_batch *batch = node->held;

    if (node->state == GBX_NODE_GONE)
        return NULL;
    if (atomic_load(&node->flow->is_canceled)) {
        node->state = GBX_NODE_IDLE;
        return NULL;
    }
    node->state = GBX_NODE_RUNNING;
    atomic_store(&node->waits_for, NULL);
    if (node->renewed != NULL) {
        *was = node->self;
        node->self = node->renewed;
        node->renewed = NULL;
    }
    node->held = NULL;
    if (node->woken_ns != 0) {
        *owed = node->is_woken; /* once is enough */
        node->is_woken = true;
        node->wake_ns = node->asked_ns = node->woken_ns = 0;
    }
    if (batch != NULL)
        return batch;
    batch = worker->batch;
    if (node->starts)
        batch->at = batch->count = 0;
    else
        flow_node_fill_locked(node, batch);
    flow_node_count(&node->counts.received, batch->count);
    if (batch->count == 0 && !node->is_woken) {
        node->state = GBX_NODE_IDLE;
        return NULL;
    }
    worker->batch = NULL;
    return batch;
}

static struct flow_batch *begin(struct flow_node *node, struct worker *worker,
                                struct wiring **wiring)
{
    struct flow_node *freed = NULL;
    struct flow_batch *batch;
    void *was = NULL;
    uint64_t owed = 0;

    pthread_mutex_lock(&node->lock);
    batch = begin_locked(node, worker, &was, &owed);
    if (batch != NULL)
        *wiring = wiring_get(node->wiring);
    if (node->state != GBX_NODE_GONE)
        freed = flow_node_freed_locked(node);
    pthread_mutex_unlock(&node->lock);
    if (was != NULL)
        node->kind->drop(was);
    if (freed != NULL)
        flow_free_blocked(node->flow, freed);
    flow_say_room(node->flow);
    if (owed > 0)
        flow_done(node->flow, owed);
    return batch;
}

/* What it is now.  True: it is QUEUED. */
static bool stand_locked(struct flow_node *node, const struct stop *stop)
{
    if (stop->full != NULL) {
        atomic_store(&node->waits_bound, flow_node_low(stop->full->to) + 1);
        atomic_store(&node->waits_for, stop->full->port);
        node->state = GBX_NODE_BLOCKED;
    } else if (stop->due_ns != 0) {
        node->state = GBX_NODE_PAUSED;
    } else {
        node->state = GBX_NODE_IDLE;
    }
    return flow_node_touch_locked(node);
}

static void give_batch(struct worker *worker, struct flow_batch *batch)
{
    if (worker->batch == NULL)
        worker->batch = batch;
    else
        free(batch);
}

/* From here on somebody else may run it. */
static void leave(struct gbx_actor *actor, struct flow_batch *batch,
                  const struct stop *stop)
{
    struct flow_node *node = actor->node;
    const bool has_left = batch->at < batch->count;
    bool again = false, is_gone, owed;

    pthread_mutex_lock(&node->lock);
    if (stop->has_run)
        node->starts = false;
    is_gone = node->state == GBX_NODE_GONE;
    owed = is_gone && node->is_woken; /* who removed it left that to us */
    node->is_woken = node->is_woken && !is_gone;
    if (!is_gone) {
        node->held = has_left ? batch : NULL;
        again = stand_locked(node, stop);
    }
    pthread_mutex_unlock(&node->lock);
    if (owed)
        flow_done(node->flow, 1);
    if (is_gone && has_left)
        run_return(node, batch, "its node was removed");
    if (is_gone || !has_left)
        give_batch(actor->worker, batch);
    if (again) /* others first */
        schedule_put(&actor->flow->schedule, NULL, flow_node_get(node));
}

/* In the list of a reader that is behind, unless it no longer is. */
static void block(struct flow_node *node, const struct wire *wire)
{
    struct flow_node *to = wire->to;
    bool is_full;

    flow_node_get(node);
    pthread_mutex_lock(&to->lock);
    is_full = queue_count(&wire->port->queue) >= to->bound &&
              to->state != GBX_NODE_GONE;
    node->next_blocked = is_full ? wire->port->blocked : NULL;
    if (is_full)
        wire->port->blocked = node;
    pthread_mutex_unlock(&to->lock);
    if (!is_full)
        flow_free_blocked(node->flow, node);
}

static bool has_memory(struct worker *worker)
{
    if (worker->outbox == NULL) {
        worker->outbox = calloc(1, sizeof(*worker->outbox));
        if (worker->outbox != NULL)
            worker->outbox->number = (uint64_t)(worker->index + 1) << 48;
    }
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
    struct flow_batch *batch = NULL;
    struct stop stop;
    uint32_t at;
    bool woken;

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
    at = batch->at;
    stop = run_batch(&actor, batch);
    run_flush(&actor, true);
    at = batch->at - at;
    woken = stop.has_run && node->is_woken;
    node->is_woken = node->is_woken && !woken;
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
    if (atomic_load(&node->is_gone)) /* it is nobody's to wake */
        schedule_wake_at(&actor.flow->schedule, node, 0);
    if (woken)
        flow_done(actor.flow, 1);
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
    bool again = false, owed = true;

    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_PAUSED) {
        node->state = GBX_NODE_QUEUED;
        again = true;
    } else if (node->state != GBX_NODE_GONE && node->woken_ns == 0 &&
               !atomic_load(&node->flow->is_resting)) {
        node->woken_ns = clock_now_ns();
        again = flow_node_touch_locked(node);
        owed = false; /* until it has run */
    }
    pthread_mutex_unlock(&node->lock);
    if (owed)
        flow_done(node->flow, 1);
    if (again)
        schedule_put(schedule, NULL, node);
    else
        flow_node_put(node);
}
