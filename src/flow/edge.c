/* SPDX-License-Identifier: Apache-2.0 */
/* edge.c - who is connected to whom, and to the outside. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/build.h"

void edge_remove(struct edge **link)
{
    struct edge *edge = *link;

    *link = edge->next;
    flow_node_put(edge->to);
    free(edge->outside);
    free(edge);
}

void edge_remove_ports(struct gbx_flow *flow, const struct flow_node *node)
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

/* Both ends; what is missing is named. */
static struct flow_node *need_locked(struct gbx_flow *flow, const char *id,
                                     struct gbx_error *err)
{
    struct flow_node *node = build_find_locked(flow, id);

    if (node == NULL)
        fail(err, GBX_EARGUMENT, "there is no node %s", id);
    return node;
}

/* A port that its actor has, or, if it does not tell, any. */
static int need_port(struct flow_node *node, const char *name, bool is_in,
                     struct gbx_error *err)
{
    int rc = build_check_name("port", name, err);
    bool adds;

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&node->lock);
    adds = node->type == NULL && !node->tells_ports[!is_in];
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
    edge_remove(link);
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
    struct inport *port = NULL;
    struct edge **link;
    int rc = GBX_EARGUMENT;

    pthread_mutex_lock(&flow->lock);
    source = build_find_locked(flow, from);
    target = build_find_locked(flow, to);
    if (source != NULL && target != NULL)
        rc = find_edge(source, outport, target, inport, &link);
    if (rc == 0) {
        port = (*link)->port;
        flow_node_get(target);
        edge_remove(link);
    }
    if (rc == 0 && flow->is_started && !wire_all_locked(flow))
        rc = GBX_EHOST;
    pthread_mutex_unlock(&flow->lock);
    if (port != NULL) {
        build_free_port(flow, target, port);
        flow_node_put(target);
    }
    return rc == 0 ? 0
                   : fail(err, rc,
                          "node %s, port %s is not connected to node %s, port "
                          "%s",
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
    int rc = build_check_name("port", name, err), place = 0;

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
    at = build_find_locked(flow, id);
    if (at == NULL || (place = need_port(at, port, true, NULL)) < 0)
        return GBX_EPORT;
    *found = flow_node_get(at);
    *inport = at->inports[place];
    return 0;
}

const char *build_find_port(struct gbx_flow *flow, const char *id,
                            const char *name, bool is_in,
                            const struct gbx_graph *graph)
{
    const struct flow_node *node;
    uint32_t count;

    pthread_mutex_lock(&flow->lock);
    node = build_find_locked(flow, id);
    count = node == NULL ? 0 : is_in ? node->inport_count : node->outport_count;
    for (uint32_t i = 0; i < count; i++) {
        const char *has = is_in ? node->inports[i]->name : node->outports[i];

        if (gbx_graph_is_port(graph, has, name)) {
            name = has;
            break;
        }
    }
    pthread_mutex_unlock(&flow->lock);
    return name;
}
