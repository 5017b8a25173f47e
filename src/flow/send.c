/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - messages from outside, and waiting: for room, and for the end. */
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "flow/flow.h"

#define LOOK_NS   50000000u /* whether all stands still */
#define SETTLE_NS 2000000u

/* ---- waiting ---- */

/*
 * Who waits says so, then looks; who makes room does so, then looks whether
 * anybody waits (both in one order: flow_say_room).
 */
int flow_await_room(struct gbx_flow *flow, const struct inport *port,
                    uint32_t bound, uint64_t deadline_ns)
{
    const struct timespec until = clock_timespec(deadline_ns);
    int rc = 0;

    pthread_mutex_lock(&flow->room_lock);
    atomic_fetch_add(&flow->room_waiters, 1);
    while (rc == 0 && atomic_load(&port->queue.count) >= bound) {
        if (atomic_load(&flow->is_canceled))
            rc = GBX_ECANCELED;
        else if (deadline_ns == 0)
            pthread_cond_wait(&flow->room, &flow->room_lock);
        else if (pthread_cond_timedwait(&flow->room, &flow->room_lock,
                                        &until) != 0)
            rc = GBX_ETIME;
    }
    atomic_fetch_sub(&flow->room_waiters, 1);
    pthread_mutex_unlock(&flow->room_lock);
    return rc;
}

void flow_say_room(struct gbx_flow *flow)
{
    if (atomic_load(&flow->room_waiters) == 0)
        return;
    pthread_mutex_lock(&flow->room_lock);
    pthread_cond_broadcast(&flow->room);
    pthread_mutex_unlock(&flow->room_lock);
}

void flow_free_blocked(struct gbx_flow *flow, struct flow_node *freed)
{
    struct flow_node *next;

    for (; freed != NULL; freed = next) {
        bool again;

        next = freed->next_blocked;
        pthread_mutex_lock(&freed->lock);
        again = freed->state == GBX_NODE_BLOCKED;
        if (again)
            freed->state = GBX_NODE_QUEUED;
        pthread_mutex_unlock(&freed->lock);
        if (again)
            schedule_put(&flow->schedule, NULL, freed);
        else
            flow_node_put(freed);
    }
}

void flow_done(struct gbx_flow *flow, uint64_t count)
{
    if (atomic_fetch_sub(&flow->pending, count) != count)
        return;
    if (flow_tells(flow))
        flow_tell(flow,
                  &(struct gbx_flow_event){.kind = GBX_FLOW_NETWORK_IDLE});
    if (atomic_load(&flow->idle_waiters) == 0)
        return;
    pthread_mutex_lock(&flow->room_lock);
    pthread_cond_broadcast(&flow->idle);
    pthread_mutex_unlock(&flow->room_lock);
}

int gbx_flow_is_over(struct gbx_flow *flow)
{
    return !schedule_wakes(&flow->schedule);
}

/* Who waits for what, of a node at rest; false: it does not, or is at work. */
static bool waits(const struct flow_node *node, struct gbx_error *err)
{
    const char *full = NULL, *empty = NULL;

    for (uint32_t i = 0; i < node->inport_count; i++) {
        const struct inport *port = node->inports[i];

        if (queue_count(&port->queue) > 0)
            full = port->name;
        else if (port->is_declared)
            empty = port->name;
    }
    if (full == NULL || empty == NULL || !node->awaits_all)
        return false;
    fail(err, GBX_EAGAIN,
         "node %s waits at port %s for a message that nobody will send; at "
         "port %s there are some",
         node->id, empty, full);
    return true;
}

/* Has the one that it waits for still no room? */
static bool is_held_up(const struct flow_node *node)
{
    const struct inport *port = atomic_load(&node->waits_for);

    return port != NULL &&
           atomic_load(&port->queue.count) >= atomic_load(&node->waits_bound);
}

/* All runs so far; UINT64_MAX: somebody is at work, or will be. */
static uint64_t runs_at_rest_locked(struct gbx_flow *flow,
                                    struct gbx_error *err)
{
    uint64_t runs = 0;
    bool is_at_rest = atomic_load(&flow->schedule.queued) == 0, has = false;

    for (struct flow_node *n = flow->nodes; n != NULL && is_at_rest;
         n = n->after) {
        pthread_mutex_lock(&n->lock);
        is_at_rest =
            n->state == GBX_NODE_IDLE ||
            ((n->state == GBX_NODE_BLOCKED || n->state == GBX_NODE_RUNNING) &&
             is_held_up(n));
        has = has || waits(n, err);
        pthread_mutex_unlock(&n->lock);
        runs += n->counts.runs;
    }
    return is_at_rest && has ? runs : UINT64_MAX;
}

/* Twice the same, and a moment between: a message may have been handed over
 * behind the back of who looks. */
int gbx_flow_stalled(struct gbx_flow *flow, struct gbx_error *err)
{
    uint64_t runs[2] = {0, 1};

    if (!flow->is_started || atomic_load(&flow->pending) == 0 ||
        schedule_has(&flow->schedule))
        return 0;
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&flow->lock);
        runs[i] = runs_at_rest_locked(flow, err);
        pthread_mutex_unlock(&flow->lock);
        if (runs[i] == UINT64_MAX)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
    }
    return runs[0] == runs[1];
}

int gbx_flow_drain(struct gbx_flow *flow, uint64_t deadline_ns)
{
    int rc = 0;

    pthread_mutex_lock(&flow->room_lock);
    atomic_fetch_add(&flow->idle_waiters, 1);
    while (rc == 0 && atomic_load(&flow->pending) > 0) {
        uint64_t until_ns = clock_now_ns() + LOOK_NS;
        struct timespec until;

        if (atomic_load(&flow->is_canceled) || clock_is_past(deadline_ns)) {
            rc = atomic_load(&flow->is_canceled) ? GBX_ECANCELED : GBX_ETIME;
            break;
        }
        if (deadline_ns != 0 && deadline_ns < until_ns)
            until_ns = deadline_ns;
        until = clock_timespec(until_ns);
        if (pthread_cond_timedwait(&flow->idle, &flow->room_lock, &until) == 0)
            continue;
        pthread_mutex_unlock(&flow->room_lock);
        rc = gbx_flow_stalled(flow, NULL) ? GBX_EAGAIN : 0;
        pthread_mutex_lock(&flow->room_lock);
    }
    atomic_fetch_sub(&flow->idle_waiters, 1);
    pthread_mutex_unlock(&flow->room_lock);
    return rc;
}

/* ---- sending ---- */

/* node: counted. */
static int find(struct gbx_flow *flow, const char *name,
                struct flow_node **node, struct inport **port)
{
    const char *dot = strchr(name, '.');
    struct flow_port *p;
    int rc = GBX_EPORT;

    pthread_mutex_lock(&flow->lock);
    for (p = flow->inports; p != NULL && strcmp(p->name, name) != 0;)
        p = p->next;
    if (p != NULL) {
        *node = flow_node_get(p->node);
        *port = p->port;
        rc = 0;
    } else if (dot != NULL) {
        rc = flow_find_port_locked(flow, name, (size_t)(dot - name), dot + 1,
                                   node, port);
    }
    pthread_mutex_unlock(&flow->lock);
    return rc;
}

/* Returns 0; GBX_EAGAIN: full; GBX_EPORT: gone; GBX_EHOST. */
static int try_put(struct gbx_flow *flow, struct flow_node *node,
                   struct inport *port, const struct packet *packet)
{
    bool touched = false;
    int rc = 0;

    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_GONE)
        rc = GBX_EPORT;
    else if (queue_count(&port->queue) >= node->bound)
        rc = GBX_EAGAIN;
    else if (!queue_put(&port->queue, packet))
        rc = GBX_EHOST;
    if (rc == 0) {
        atomic_fetch_add(&flow->pending, 1);
        touched = flow_node_touch_locked(node);
    }
    pthread_mutex_unlock(&node->lock);
    if (touched)
        schedule_put(&flow->schedule, NULL, flow_node_get(node));
    return rc;
}

static void tell_received(struct gbx_flow *flow, const struct flow_node *node,
                          const struct inport *port,
                          const struct packet *packet)
{
    flow_tell(flow, &(struct gbx_flow_event){
                        .kind = GBX_FLOW_MESSAGE_RECEIVED,
                        .to_node = node->id,
                        .to_port = port->name,
                        .message = &packet->message,
                        .id = packet->id,
                    });
}

static int put(struct gbx_flow *flow, struct flow_node *node,
               struct inport *port, struct packet *packet, uint64_t deadline_ns)
{
    int rc;

    if (flow_tells(flow)) {
        packet->id = flow_number(flow);
        tell_received(flow, node, port, packet);
    }
    while ((rc = try_put(flow, node, port, packet)) == GBX_EAGAIN) {
        rc = flow_await_room(flow, port, node->bound, deadline_ns);
        if (rc < 0)
            break;
    }
    if (rc < 0)
        packet_drop(packet);
    return rc;
}

/* body: where the message's lies, or NULL: it is copied. */
static int send_body(struct gbx_flow *flow, const char *inport,
                     const struct gbx_message *message, struct body *body,
                     uint64_t deadline_ns, struct gbx_error *err)
{
    struct flow_node *node;
    struct inport *port;
    struct packet packet;
    int rc;

    if (atomic_load(&flow->is_canceled))
        return fail(err, GBX_ECANCELED, "the flow ends");
    if ((unsigned)message->type >= GBX_TYPE_COUNT ||
        message->body_bytes > GBX_BODY_BYTES_MAX)
        return fail(err, GBX_EARGUMENT, "%s: not a message", inport);
    if (find(flow, inport, &node, &port) < 0)
        return fail(err, GBX_EPORT,
                    "%s: the flow has no such inport, and no node has", inport);
    rc = packet_make(&packet, message, body);
    if (rc == 0)
        rc = put(flow, node, port, &packet, deadline_ns);
    flow_node_put(node);
    if (rc < 0)
        return fail(err, rc, "%s: %s", inport, gbx_strerror(rc));
    return 0;
}

int gbx_flow_send(struct gbx_flow *flow, const char *inport,
                  const struct gbx_message *message, uint64_t deadline_ns,
                  struct gbx_error *err)
{
    return send_body(flow, inport, message, NULL, deadline_ns, err);
}

int gbx_flow_room(struct gbx_flow *flow, size_t bytes, void **room,
                  struct gbx_error *err)
{
    struct body *body = bytes > GBX_BODY_BYTES_MAX ? NULL : body_make(bytes);

    (void)flow;
    *room = body == NULL ? NULL : body_bytes(body);
    return body == NULL ? fail(err, GBX_EHOST, "no memory for a message") : 0;
}

void gbx_flow_drop_room(struct gbx_flow *flow, void *room)
{
    (void)flow;
    body_drop(room == NULL ? NULL : body_of_bytes(room));
}

int gbx_flow_send_room(struct gbx_flow *flow, const char *inport, void *room,
                       const struct gbx_message *message, uint64_t deadline_ns,
                       struct gbx_error *err)
{
    struct body *body = body_of_bytes(room);
    int rc;

    rc = !body_has(body, message)
             ? fail(err, GBX_EBOUNDS, "%s: its body is not in the room", inport)
             : send_body(flow, inport, message, body, deadline_ns, err);
    body_drop(body);
    return rc;
}

int flow_send_first(struct gbx_flow *flow, const char *id, const char *name,
                    const struct gbx_message *message, struct gbx_error *err)
{
    struct flow_node *node;
    struct inport *port;
    struct packet packet;
    int rc;

    pthread_mutex_lock(&flow->lock);
    rc = flow_find_port_locked(flow, id, strlen(id), name, &node, &port);
    pthread_mutex_unlock(&flow->lock);
    if (rc < 0)
        return fail(err, rc, "there is no such node or port");
    rc = packet_make(&packet, message, NULL);
    if (rc == 0)
        rc = put(flow, node, port, &packet, 1);
    flow_node_put(node);
    if (rc == GBX_ETIME)
        return fail(err, GBX_ELIMIT,
                    "there are more than its queue holds (metadata.queue)");
    return rc < 0 ? fail(err, rc, "%s", gbx_strerror(rc)) : 0;
}
