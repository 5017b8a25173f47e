/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "flow/node/node.h"

struct flow_node *flow_node_make(struct gbx_flow *flow, const char *id,
                                 const char *component, const char *metadata)
{
    struct flow_node *node = calloc(1, sizeof(*node));

    if (node == NULL)
        return NULL;
    must(pthread_mutex_init(&node->lock, NULL) == 0);
    atomic_init(&node->holders, 1);
    node->flow = flow;
    node->state = GBX_NODE_QUEUED; /* it has not begun */
    node->id = strdup(id);
    node->component = strdup(component);
    node->metadata = strdup(metadata != NULL ? metadata : "{}");
    if (node->id == NULL || node->component == NULL || node->metadata == NULL) {
        flow_node_put(node);
        return NULL;
    }
    return node;
}

struct flow_node *flow_node_get(struct flow_node *node)
{
    atomic_fetch_add_explicit(&node->holders, 1, memory_order_relaxed);
    return node;
}

static void drop_batch(struct flow_batch *batch)
{
    for (uint32_t i = batch->at; i < batch->count; i++)
        packet_drop(&batch->packets[i]);
    free(batch);
}

void flow_node_put(struct flow_node *node)
{
    if (node == NULL ||
        atomic_fetch_sub_explicit(&node->holders, 1, memory_order_acq_rel) != 1)
        return;
    if (node->renewed != NULL)
        node->kind->drop(node->renewed);
    if (node->kind != NULL)
        node->kind->close(node);
    for (uint32_t i = 0; i < node->inport_count; i++) {
        must(node->inports[i]->blocked == NULL);
        queue_fini(&node->inports[i]->queue);
        free(node->inports[i]->name);
        free(node->inports[i]);
    }
    for (uint32_t i = 0; i < node->outport_count; i++)
        free(node->outports[i]);
    if (node->held != NULL)
        drop_batch(node->held);
    node_state_free(node->memory);
    wiring_put(node->wiring);
    free(node->inports);
    free(node->outports);
    free(node->times);
    free(node->id);
    free(node->component);
    free(node->metadata);
    pthread_mutex_destroy(&node->lock);
    free(node);
}

void wiring_put(struct wiring *wiring)
{
    if (wiring == NULL || atomic_fetch_sub_explicit(&wiring->holders, 1,
                                                    memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < wiring->count; i++) {
        flow_node_put(wiring->wires[i].to);
        free(wiring->wires[i].outside);
    }
    free(wiring);
}

/* ---- ports ---- */

static int add_inport(struct flow_node *node, const char *name,
                      bool is_declared)
{
    struct inport *made;

    if (node->inport_count == node->inport_room)
        return GBX_ELIMIT;
    made = calloc(1, sizeof(*made));
    if (made == NULL || (made->name = strdup(name)) == NULL) {
        free(made);
        return GBX_EHOST;
    }
    made->is_declared = is_declared;
    node->inports[node->inport_count] = made;
    return (int)node->inport_count++;
}

static int add_outport(struct flow_node *node, const char *name)
{
    char *copy;

    if (node->outport_count == node->outport_room)
        return GBX_ELIMIT;
    copy = strdup(name);
    if (copy == NULL)
        return GBX_EHOST;
    node->outports[node->outport_count] = copy;
    return (int)node->outport_count++;
}

int flow_node_inport_locked(struct flow_node *node, const char *name, bool adds)
{
    for (uint32_t i = 0; i < node->inport_count; i++)
        if (strcmp(node->inports[i]->name, name) == 0)
            return (int)i;
    return adds ? add_inport(node, name, false) : GBX_EPORT;
}

int flow_node_outport_locked(struct flow_node *node, const char *name,
                             bool adds)
{
    for (uint32_t i = 0; i < node->outport_count; i++)
        if (strcmp(node->outports[i], name) == 0)
            return (int)i;
    return adds ? add_outport(node, name) : GBX_EPORT;
}

static uint32_t count_names(const char *const *names)
{
    uint32_t count = 0;

    while (names != NULL && names[count] != NULL)
        count++;
    return count;
}

int flow_node_declare(struct flow_node *node, const char *const *inports,
                      const char *const *outports, bool grows)
{
    const uint32_t ins = count_names(inports), outs = count_names(outports) + 1;
    int rc = 0;

    if (ins > NODE_PORTS_MAX || outs > NODE_PORTS_MAX)
        return GBX_ELIMIT;
    node->inport_room = grows ? NODE_PORTS_MAX : ins;
    node->outport_room = grows ? NODE_PORTS_MAX : outs;
    node->inports = calloc(node->inport_room + 1, sizeof(struct inport *));
    node->outports = calloc(node->outport_room, sizeof(char *));
    if (node->inports == NULL || node->outports == NULL)
        return GBX_EHOST;
    for (uint32_t i = 0; i < ins && rc >= 0; i++)
        rc = add_inport(node, inports[i], true);
    for (uint32_t i = 0; i + 1 < outs && rc >= 0; i++)
        rc = add_outport(node, outports[i]);
    if (rc >= 0)
        rc = flow_node_outport_locked(node, "error", true);
    return rc < 0 ? rc : 0;
}

/* ---- what is next ---- */

static bool has_all(const struct flow_node *node)
{
    bool has = false;

    for (uint32_t i = 0; i < node->inport_count; i++) {
        if (!node->inports[i]->is_declared)
            continue;
        if (queue_count(&node->inports[i]->queue) == 0)
            return false;
        has = true;
    }
    return has;
}

static bool has_any(const struct flow_node *node)
{
    for (uint32_t i = 0; i < node->inport_count; i++)
        if (queue_count(&node->inports[i]->queue) > 0)
            return true;
    return false;
}

/* At ports that are not awaited: each is run alone. */
static bool has_other(const struct flow_node *node)
{
    for (uint32_t i = 0; i < node->inport_count; i++)
        if (!node->inports[i]->is_declared &&
            queue_count(&node->inports[i]->queue) > 0)
            return true;
    return false;
}

bool flow_node_is_ready_locked(const struct flow_node *node)
{
    return node->held != NULL || node->woken_ns != 0 ||
           (node->awaits_all ? has_all(node) || has_other(node)
                             : has_any(node));
}

bool flow_node_touch_locked(struct flow_node *node)
{
    if (node->state != GBX_NODE_IDLE || !flow_node_is_ready_locked(node))
        return false;
    node->state = GBX_NODE_QUEUED;
    return true;
}

static void take(struct flow_node *node, struct flow_batch *batch,
                 uint32_t port)
{
    must(queue_get(&node->inports[port]->queue, &batch->packets[batch->count]));
    batch->ports[batch->count++] = port;
}

static void fill_sets(struct flow_node *node, struct flow_batch *batch)
{
    uint32_t step = 0;

    for (uint32_t i = 0; i < node->inport_count; i++)
        step += node->inports[i]->is_declared;
    batch->step = step;
    while (batch->count + step <= node->kind->batch * step &&
           batch->count + step <= NODE_BATCH && has_all(node))
        for (uint32_t i = 0; i < node->inport_count; i++)
            if (node->inports[i]->is_declared)
                take(node, batch, i);
}

void flow_node_fill_locked(struct flow_node *node, struct flow_batch *batch)
{
    const uint32_t ports = node->inport_count;
    uint32_t empty = 0;

    batch->at = batch->count = batch->attempts = 0;
    batch->step = 1;
    if (node->awaits_all && !has_other(node)) {
        fill_sets(node, batch);
        return;
    }
    while (batch->count < node->kind->batch && empty < ports) {
        uint32_t port = node->turn < ports ? node->turn : 0;

        node->turn = port + 1;
        if (queue_count(&node->inports[port]->queue) == 0 ||
            (node->awaits_all && node->inports[port]->is_declared)) {
            empty++;
            continue;
        }
        empty = 0;
        take(node, batch, port);
    }
}

struct flow_node *flow_node_freed_locked(struct flow_node *node)
{
    struct flow_node *freed = NULL;

    for (uint32_t i = 0; i < node->inport_count; i++) {
        struct inport *port = node->inports[i];

        if (port->blocked == NULL ||
            (queue_count(&port->queue) > flow_node_low(node) &&
             node->state != GBX_NODE_GONE))
            continue;
        for (struct flow_node *n = port->blocked, *next; n != NULL; n = next) {
            next = n->next_blocked;
            n->next_blocked = freed;
            freed = n;
        }
        port->blocked = NULL;
    }
    return freed;
}
