/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - nodes, connections and the flow's own ports. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "flow/build.h"
#include "flow/kind/ports.h"
#include "flow/run.h"

static int by_id(const void *first, const void *second)
{
    return strcmp(((const struct flow_node *)first)->id,
                  ((const struct flow_node *)second)->id);
}

struct flow_node *build_find_locked(struct gbx_flow *flow, const char *id)
{
    /* The key is a node, too. */
    union {
        const char *name;
        char *id;
    } text = {.name = id};
    const struct flow_node key = {.id = text.id};
    struct flow_node *const *found = tfind(&key, &flow->by_name, by_id);

    return found != NULL ? *found : NULL;
}

int build_check_name(const char *what, const char *name, struct gbx_error *err)
{
    const size_t bytes = strlen(name);

    if (bytes == 0 || bytes > FLOW_NAME_MAX || !utf8_valid(name, bytes))
        return fail(err, GBX_EARGUMENT,
                    "a %s's name has 1 to %u bytes of UTF-8", what,
                    (unsigned)FLOW_NAME_MAX);
    return 0;
}

/* ---- nodes ---- */

static const struct gbx_actor_type *find_type(const struct gbx_flow *flow,
                                              const char *component)
{
    const struct gbx_actor_type *const *type = flow->config.types;

    for (; type != NULL && *type != NULL; type++)
        if (strcmp((*type)->component, component) == 0)
            return *type;
    return NULL;
}

bool build_has_type(const struct gbx_flow *flow, const char *component)
{
    return find_type(flow, component) != NULL;
}

static int open_node(struct flow_node *node, struct gbx_error *err)
{
    struct node_options options;
    int rc = node_options_read(&options, node->id, node->metadata, err);

    if (rc < 0)
        return rc;
    node->retries = options.retries;
    node->backoff_ns = options.backoff_ns;
    node->priority = options.priority;
    node->timeout_ns = options.timeout_ns;
    node->keeps = options.keeps;
    if (node->keeps && node->flow->state == NULL)
        return fail(err, GBX_EARGUMENT,
                    "node %s: metadata.state: the flow has no file for it "
                    "(state_path)",
                    node->id);
    node->bound = options.queue != 0 ? options.queue : node->flow->config.queue;
    node->type = find_type(node->flow, node->component);
    node->kind = node->type != NULL ? &kind_native : &kind_script;
    if (node->type != NULL) {
        node->awaits_all = node->type->await_all_inports != 0;
        rc = flow_node_declare(node, node->type->inports, node->type->outports,
                               false);
        if (rc < 0)
            return fail(err, rc, "node %s: its ports: %s", node->id,
                        gbx_strerror(rc));
    }
    rc = node->kind->open(node, err);
    if (rc == 0 && node->awaits_all && node->inport_count > NODE_BATCH)
        rc = fail(err, GBX_ELIMIT,
                  "node %s awaits all of %u inports; at most %u can be",
                  node->id, node->inport_count, NODE_BATCH);
    return rc;
}

void build_begin(struct gbx_flow *flow, struct flow_node *node)
{
    bool touched;

    flow_tell(flow, &(struct gbx_flow_event){.kind = GBX_FLOW_ACTOR_STARTED,
                                             .node = node->id,
                                             .text = node->component});
    pthread_mutex_lock(&node->lock);
    if (node->state == GBX_NODE_GONE) { /* somebody was quicker */
        pthread_mutex_unlock(&node->lock);
        return;
    }
    node->state = GBX_NODE_IDLE;
    if (node->type != NULL && node->type->runs_at_start != 0) {
        atomic_fetch_add(&flow->pending, 1);
        node->starts = true;
        node->woken_ns = clock_now_ns();
    }
    touched = flow_node_touch_locked(node);
    pthread_mutex_unlock(&node->lock);
    if (touched)
        schedule_put(&flow->schedule, NULL, flow_node_get(node));
}

static int add_locked(struct gbx_flow *flow, struct flow_node *node,
                      struct gbx_error *err)
{
    if (build_find_locked(flow, node->id) != NULL)
        return fail(err, GBX_EARGUMENT, "there is a node %s already", node->id);
    /* So that none that is to be woken finds no room. */
    if (!schedule_reserve(&flow->schedule, ++flow->node_count) ||
        tsearch(node, &flow->by_name, by_id) == NULL) {
        flow->node_count--;
        return fail(err, GBX_EHOST, "no memory for node %s", node->id);
    }
    node->link = flow->nodes_end;
    *flow->nodes_end = node;
    flow->nodes_end = &node->after;
    if (flow->is_started && !wire_all_locked(flow)) {
        build_remove_locked(flow, node);
        return fail(err, GBX_EHOST, "no memory for node %s", node->id);
    }
    return 0;
}

int gbx_flow_add_node(struct gbx_flow *flow, const char *id,
                      const char *component, const char *metadata,
                      struct gbx_error *err)
{
    struct flow_node *node;
    bool is_started;
    int rc = build_check_name("node", id, err);

    if (rc < 0)
        return rc;
    node = flow_node_make(flow, id, component, metadata);
    if (node == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", id);
    rc = open_node(node, err); /* may take long: nobody waits for it */
    pthread_mutex_lock(&flow->lock);
    if (rc == 0)
        rc = add_locked(flow, node, err);
    is_started = flow->is_started;
    if (rc == 0)
        flow_node_get(node);
    pthread_mutex_unlock(&flow->lock);
    if (rc == 0 && is_started)
        build_begin(flow, node);
    flow_node_put(node);
    return rc;
}

struct flow_node *build_remove_locked(struct gbx_flow *flow,
                                      struct flow_node *node)
{
    tdelete(node, &flow->by_name, by_id);
    flow->node_count--;
    *node->link = node->after;
    if (node->after != NULL)
        node->after->link = node->link;
    else
        flow->nodes_end = node->link;
    while (node->edges != NULL)
        edge_remove(&node->edges);
    for (struct flow_node *n = flow->nodes; n != NULL; n = n->after)
        for (struct edge **link = &n->edges; *link != NULL;) {
            if ((*link)->to == node)
                edge_remove(link);
            else
                link = &(*link)->next;
        }
    edge_remove_ports(flow, node);
    return node;
}

void build_free_port(struct gbx_flow *flow, struct flow_node *node,
                     struct inport *port)
{
    struct flow_node *freed;

    pthread_mutex_lock(&node->lock);
    freed = port->blocked;
    port->blocked = NULL;
    pthread_mutex_unlock(&node->lock);
    flow_free_blocked(flow, freed);
}

/* What is in its queues. */
static void return_queues(struct flow_node *node, const char *reason)
{
    struct flow_batch batch = {.step = 1};

    for (uint32_t i = 0; i < node->inport_count; i++)
        while (queue_get(&node->inports[i]->queue, &batch.packets[0])) {
            batch.at = 0;
            batch.count = 1;
            batch.ports[0] = i;
            run_return(node, &batch, reason);
        }
}

void build_bury(struct gbx_flow *flow, struct flow_node *node,
                const char *reason)
{
    struct flow_node *freed;
    struct wiring *wiring;
    uint64_t owed;
    bool is_running;

    pthread_mutex_lock(&node->lock);
    is_running = node->state == GBX_NODE_RUNNING;
    owed = (node->woken_ns != 0 ? 1u : 0u) +
           (!is_running && node->is_woken ? 1u : 0u);
    node->woken_ns = 0;
    node->state = GBX_NODE_GONE;
    atomic_store(&node->is_gone, true);
    freed = flow_node_freed_locked(node);
    wiring = node->wiring; /* in a circle, they would hold each other */
    node->wiring = NULL;
    pthread_mutex_unlock(&node->lock);
    wiring_put(wiring);
    flow_free_blocked(flow, freed);
    if (is_running && node->kind->interrupt != NULL)
        node->kind->interrupt(node);
    /* Nobody puts anything into its queues any more, nor takes from them. */
    if (!is_running && node->held != NULL)
        run_return(node, node->held, reason);
    return_queues(node, reason);
    flow_say_room(flow);
    schedule_wake_at(&flow->schedule, node, 0);
    if (owed > 0)
        flow_done(flow, owed);
    flow_node_put(node);
}

int gbx_flow_remove_node(struct gbx_flow *flow, const char *id,
                         struct gbx_error *err)
{
    struct flow_node *node;
    int rc = 0;

    pthread_mutex_lock(&flow->lock);
    node = build_find_locked(flow, id);
    if (node != NULL)
        build_remove_locked(flow, node);
    if (node != NULL && flow->is_started && !wire_all_locked(flow))
        rc = fail(err, GBX_EHOST, "no memory for a flow's connections");
    pthread_mutex_unlock(&flow->lock);
    if (node == NULL)
        return fail(err, GBX_EARGUMENT, "there is no node %s", id);
    build_bury(flow, node, "its node was removed");
    return rc;
}

int gbx_flow_reload(struct gbx_flow *flow, const char *id,
                    struct gbx_error *err)
{
    struct flow_node *node;
    bool again;
    int rc;

    pthread_mutex_lock(&flow->lock);
    node = build_find_locked(flow, id);
    if (node != NULL)
        flow_node_get(node);
    pthread_mutex_unlock(&flow->lock);
    if (node == NULL)
        return fail(err, GBX_EARGUMENT, "there is no node %s", id);
    rc = node->kind->reload == NULL
             ? fail(err, GBX_EARGUMENT, "node %s is no script", id)
             : node->kind->reload(node, err);
    /* What it waits for may be another thing now. */
    pthread_mutex_lock(&node->lock);
    again = rc == 0 && flow_node_touch_locked(node);
    pthread_mutex_unlock(&node->lock);
    if (again)
        schedule_put(&flow->schedule, NULL, flow_node_get(node));
    flow_node_put(node);
    return rc;
}

void build_fini_locked(struct gbx_flow *flow)
{
    edge_remove_ports(flow, NULL);
}
