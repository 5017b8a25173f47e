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

static struct flow_node *find_locked(struct gbx_flow *flow, const char *id)
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

static int check_name(const char *what, const char *name, struct gbx_error *err)
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

    pthread_mutex_lock(&node->lock);
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
    flow_tell(flow, &(struct gbx_flow_event){.kind = GBX_FLOW_ACTOR_STARTED,
                                             .node = node->id,
                                             .text = node->component});
}

static int add_locked(struct gbx_flow *flow, struct flow_node *node,
                      struct gbx_error *err)
{
    if (find_locked(flow, node->id) != NULL)
        return fail(err, GBX_EARGUMENT, "there is a node %s already", node->id);
    if (tsearch(node, &flow->by_name, by_id) == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", node->id);
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
    int rc = check_name("node", id, err);

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

static void remove_edge(struct edge **link)
{
    struct edge *edge = *link;

    *link = edge->next;
    flow_node_put(edge->to);
    free(edge->outside);
    free(edge);
}

static void remove_ports(struct gbx_flow *flow, const struct flow_node *node)
{
    struct flow_port **link = &flow->inports;

    while (*link != NULL) {
        struct flow_port *port = *link;

        if (node != NULL && port->node != node) {
            link = &port->next;
            continue;
        }
        *link = port->next;
        flow_node_put(port->node);
        free(port->name);
        free(port);
    }
}

struct flow_node *build_remove_locked(struct gbx_flow *flow,
                                      struct flow_node *node)
{
    tdelete(node, &flow->by_name, by_id);
    *node->link = node->after;
    if (node->after != NULL)
        node->after->link = node->link;
    else
        flow->nodes_end = node->link;
    while (node->edges != NULL)
        remove_edge(&node->edges);
    for (struct flow_node *n = flow->nodes; n != NULL; n = n->after)
        for (struct edge **link = &n->edges; *link != NULL;) {
            if ((*link)->to == node)
                remove_edge(link);
            else
                link = &(*link)->next;
        }
    remove_ports(flow, node);
    return node;
}

void build_bury(struct gbx_flow *flow, struct flow_node *node,
                const char *reason)
{
    struct flow_batch *batch = calloc(1, sizeof(*batch));
    struct flow_node *freed;
    struct wiring *wiring;
    bool is_running, starts;

    pthread_mutex_lock(&node->lock);
    starts = node->starts;
    node->starts = false;
    is_running = node->state == GBX_NODE_RUNNING;
    node->state = GBX_NODE_GONE;
    freed = flow_node_freed_locked(node);
    wiring = node->wiring; /* in a circle, they would hold each other */
    node->wiring = NULL;
    pthread_mutex_unlock(&node->lock);
    wiring_put(wiring);
    flow_free_blocked(flow, freed);
    if (starts)
        flow_done(flow, 1);
    if (is_running && node->kind->interrupt != NULL)
        node->kind->interrupt(node);
    /* Nobody puts anything into its queues any more, nor takes from them. */
    if (!is_running && node->held != NULL)
        run_return(node, node->held, reason);
    for (uint32_t i = 0; i < node->inport_count && batch != NULL; i++)
        while (queue_get(&node->inports[i]->queue, &batch->packets[0])) {
            batch->at = 0;
            batch->count = 1;
            batch->ports[0] = i;
            run_return(node, batch, reason);
        }
    flow_say_room(flow);
    schedule_wake_at(&flow->schedule, node, 0);
    free(batch);
    flow_node_put(node);
}

int gbx_flow_remove_node(struct gbx_flow *flow, const char *id,
                         struct gbx_error *err)
{
    struct flow_node *node;
    int rc = 0;

    pthread_mutex_lock(&flow->lock);
    node = find_locked(flow, id);
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

/* ---- edges and ports ---- */

/* Both ends; what is missing is named. */
static struct flow_node *need_locked(struct gbx_flow *flow, const char *id,
                                     struct gbx_error *err)
{
    struct flow_node *node = find_locked(flow, id);

    if (node == NULL)
        fail(err, GBX_EARGUMENT, "there is no node %s", id);
    return node;
}

/* A port that its actor has, or, if it does not tell, any. */
static int need_port(struct flow_node *node, const char *name, bool is_in,
                     struct gbx_error *err)
{
    const bool adds = node->type == NULL && !node->tells_ports[!is_in];
    int rc = check_name("port", name, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&node->lock);
    rc = is_in ? flow_node_inport_locked(node, name, adds)
               : flow_node_outport_locked(node, name, adds);
    pthread_mutex_unlock(&node->lock);
    if (rc < 0)
        return fail(err, rc, "node %s has no %s %s", node->id,
                    is_in ? "inport" : "outport", name);
    return rc;
}

static bool is_same(const struct edge *edge, uint32_t outport,
                    const struct flow_node *to, const struct inport *port,
                    const char *outside)
{
    return edge->outport == outport && edge->to == to && edge->port == port &&
           (outside == NULL ||
            (edge->outside != NULL && strcmp(edge->outside, outside) == 0));
}

/* At the end: readers get it in the order in which they were connected. */
static int add_edge(struct gbx_flow *flow, struct flow_node *from,
                    uint32_t outport, struct flow_node *to, struct inport *port,
                    const char *outside, struct gbx_error *err)
{
    struct edge *edge, **link = &from->edges;

    for (; *link != NULL; link = &(*link)->next)
        if (is_same(*link, outport, to, port, outside))
            return fail(err, GBX_EARGUMENT,
                        "node %s, port %s: connected so "
                        "already",
                        from->id, from->outports[outport]);
    edge = calloc(1, sizeof(*edge));
    if (edge == NULL ||
        (outside != NULL && (edge->outside = strdup(outside)) == NULL)) {
        free(edge);
        return fail(err, GBX_EHOST, "no memory for a connection");
    }
    edge->from = from;
    edge->outport = outport;
    edge->to = to != NULL ? flow_node_get(to) : NULL;
    edge->port = port;
    *link = edge;
    if (!flow->is_started || wire_all_locked(flow))
        return 0;
    remove_edge(link);
    return fail(err, GBX_EHOST, "no memory for a connection");
}

int gbx_flow_connect(struct gbx_flow *flow, const char *from,
                     const char *outport, const char *to, const char *inport,
                     struct gbx_error *err)
{
    struct flow_node *source, *target = NULL;
    int out = GBX_EARGUMENT, in = GBX_EARGUMENT, rc;

    pthread_mutex_lock(&flow->lock);
    source = need_locked(flow, from, err);
    if (source != NULL)
        target = need_locked(flow, to, err);
    if (target != NULL)
        out = need_port(source, outport, false, err);
    if (out >= 0)
        in = need_port(target, inport, true, err);
    rc = out < 0 ? out : in;
    if (rc >= 0)
        rc = add_edge(flow, source, (uint32_t)out, target, target->inports[in],
                      NULL, err);
    pthread_mutex_unlock(&flow->lock);
    return rc;
}

static int find_edge(struct flow_node *from, const char *outport,
                     const struct flow_node *to, const char *inport,
                     struct edge ***link)
{
    for (*link = &from->edges; **link != NULL; *link = &(**link)->next) {
        const struct edge *edge = **link;

        if (edge->to == to && strcmp(edge->port->name, inport) == 0 &&
            strcmp(from->outports[edge->outport], outport) == 0)
            return 0;
    }
    return GBX_EARGUMENT;
}

int gbx_flow_disconnect(struct gbx_flow *flow, const char *from,
                        const char *outport, const char *to, const char *inport,
                        struct gbx_error *err)
{
    struct flow_node *source, *target;
    struct edge **link;
    int rc = GBX_EARGUMENT;

    pthread_mutex_lock(&flow->lock);
    source = find_locked(flow, from);
    target = find_locked(flow, to);
    if (source != NULL && target != NULL)
        rc = find_edge(source, outport, target, inport, &link);
    if (rc == 0)
        remove_edge(link);
    if (rc == 0 && flow->is_started && !wire_all_locked(flow))
        rc = GBX_EHOST;
    pthread_mutex_unlock(&flow->lock);
    return rc == 0 ? 0
                   : fail(err, rc,
                          "node %s, port %s is not connected to node "
                          "%s, port %s",
                          from, outport, to, inport);
}

static int add_port(struct gbx_flow *flow, const char *name,
                    struct flow_node *node, struct inport *port,
                    struct gbx_error *err)
{
    struct flow_port *made;

    for (made = flow->inports; made != NULL; made = made->next)
        if (strcmp(made->name, name) == 0)
            return fail(err, GBX_EARGUMENT, "the flow has an inport %s already",
                        name);
    made = calloc(1, sizeof(*made));
    if (made == NULL || (made->name = strdup(name)) == NULL) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for inport %s", name);
    }
    made->node = flow_node_get(node);
    made->port = port;
    made->next = flow->inports;
    flow->inports = made;
    return 0;
}

static int add_outside(struct gbx_flow *flow, const char *name, const char *id,
                       const char *port, bool is_in, struct gbx_error *err)
{
    struct flow_node *node;
    int rc = check_name("port", name, err), place = 0;

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&flow->lock);
    node = need_locked(flow, id, err);
    rc = node == NULL ? GBX_EARGUMENT : 0;
    if (rc == 0)
        rc = place = need_port(node, port, is_in, err);
    if (rc >= 0)
        rc = is_in
                 ? add_port(flow, name, node, node->inports[place], err)
                 : add_edge(flow, node, (uint32_t)place, NULL, NULL, name, err);
    pthread_mutex_unlock(&flow->lock);
    return rc;
}

int gbx_flow_add_inport(struct gbx_flow *flow, const char *name,
                        const char *node, const char *port,
                        struct gbx_error *err)
{
    return add_outside(flow, name, node, port, true, err);
}

int gbx_flow_add_outport(struct gbx_flow *flow, const char *name,
                         const char *node, const char *port,
                         struct gbx_error *err)
{
    return add_outside(flow, name, node, port, false, err);
}

int flow_find_port_locked(struct gbx_flow *flow, const char *node, size_t bytes,
                          const char *port, struct flow_node **found,
                          struct inport **inport)
{
    char id[FLOW_NAME_MAX + 1];
    struct flow_node *at;
    int place;

    if (bytes > FLOW_NAME_MAX)
        return GBX_EPORT;
    memcpy(id, node, bytes);
    id[bytes] = '\0';
    at = find_locked(flow, id);
    if (at == NULL || (place = need_port(at, port, true, NULL)) < 0)
        return GBX_EPORT;
    *found = flow_node_get(at);
    *inport = at->inports[place];
    return 0;
}

void build_fini_locked(struct gbx_flow *flow)
{
    remove_ports(flow, NULL);
}
