/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c - a flow that runs follows its graph.
 *
 * What is in both graphs stays as it is, with its queues and its state.  New
 * ways are opened before old ones are closed: a message may go both ways in
 * that moment, but none goes nowhere.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/load/load.h"

struct change {
    struct load load; /* of the new graph */
    const struct gbx_graph *was;
    const struct gbx_graph_connection **old, **new; /* owned, sorted */
};

static bool is_text(const char *one, const char *other)
{
    return one == other ||
           (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool is_kept(const struct change *change, const char *id)
{
    const struct gbx_graph_node *was = gbx_graph_find_node(change->was, id),
                                *now =
                                    gbx_graph_find_node(change->load.graph, id);

    return was != NULL && now != NULL &&
           is_text(was->component, now->component) &&
           is_text(was->metadata, now->metadata);
}

/* ---- connections ---- */

static int by_ends(const void *first, const void *second)
{
    const struct gbx_graph_connection
        *a = *(const struct gbx_graph_connection *const *)first,
        *b = *(const struct gbx_graph_connection *const *)second;
    int rc = strcmp(a->from_node, b->from_node);

    if (rc == 0)
        rc = strcmp(a->from_port, b->from_port);
    if (rc == 0)
        rc = strcmp(a->to_node, b->to_node);
    return rc == 0 ? strcmp(a->to_port, b->to_port) : rc;
}

static const struct gbx_graph_connection **
sort_connections(const struct gbx_graph *graph)
{
    const size_t count = gbx_graph_connections(graph);
    const struct gbx_graph_connection **sorted =
        calloc(count + 1, sizeof(struct gbx_graph_connection *));

    for (size_t i = 0; sorted != NULL && i < count; i++)
        sorted[i] = gbx_graph_connection(graph, i);
    if (sorted != NULL)
        qsort(sorted, count, sizeof(*sorted), by_ends);
    return sorted;
}

static bool stays(const struct change *change,
                  const struct gbx_graph_connection *c,
                  const struct gbx_graph *in,
                  const struct gbx_graph_connection **sorted)
{
    return is_kept(change, c->from_node) && is_kept(change, c->to_node) &&
           bsearch(&c, sorted, gbx_graph_connections(in), sizeof(*sorted),
                   by_ends) != NULL;
}

static int connect_new(const struct change *change, struct gbx_error *err)
{
    const struct gbx_graph *graph = change->load.graph;
    int rc = 0;

    for (size_t i = 0; i < gbx_graph_connections(graph) && rc == 0; i++) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, i);

        if (!stays(change, c, change->was, change->old))
            rc = load_connection(&change->load, c, err);
    }
    return rc;
}

static int disconnect_old(const struct change *change, struct gbx_error *err)
{
    const struct load was = {change->load.flow, change->was, NULL, NULL};
    int rc = 0;

    for (size_t i = 0; change->old[i] != NULL && rc == 0; i++) {
        const struct gbx_graph_connection *c = change->old[i];

        if (is_kept(change, c->from_node) && is_kept(change, c->to_node) &&
            !stays(change, c, change->load.graph, change->new))
            rc = gbx_flow_disconnect(
                was.flow, c->from_node,
                load_port_name(&was, c->from_node, c->from_port, false),
                c->to_node, load_port_name(&was, c->to_node, c->to_port, true),
                err);
    }
    return rc;
}

/* ---- the graph's own ports ---- */

typedef size_t count_fn(const struct gbx_graph *graph);
typedef const struct gbx_graph_port *port_fn(const struct gbx_graph *graph,
                                             size_t i);

static bool has_port(const struct gbx_graph *graph, count_fn *count,
                     port_fn *port, const struct gbx_graph_port *wanted)
{
    for (size_t i = 0; i < count(graph); i++) {
        const struct gbx_graph_port *p = port(graph, i);

        if (strcmp(p->name, wanted->name) == 0 &&
            strcmp(p->node, wanted->node) == 0 &&
            strcmp(p->port, wanted->port) == 0)
            return true;
    }
    return false;
}

/* A port goes with its node alone. */
static int check_ports(const struct change *change, count_fn *count,
                       port_fn *port, struct gbx_error *err)
{
    for (size_t i = 0; i < count(change->was); i++) {
        const struct gbx_graph_port *p = port(change->was, i);

        if (is_kept(change, p->node) &&
            !has_port(change->load.graph, count, port, p))
            return fail(err, GBX_EUNSUPPORTED,
                        "port %s of the graph, which is node %s's %s, cannot "
                        "go or be another while the flow runs: stop it first",
                        p->name, p->node, p->port);
    }
    return 0;
}

typedef int add_fn(const struct load *load, const struct gbx_graph_port *port,
                   struct gbx_error *err);

static int add_ports(const struct change *change, count_fn *count,
                     port_fn *port, add_fn *add, struct gbx_error *err)
{
    const struct gbx_graph *graph = change->load.graph;
    int rc = 0;

    for (size_t i = 0; i < count(graph) && rc == 0; i++) {
        const struct gbx_graph_port *p = port(graph, i);

        if (!is_kept(change, p->node) || !has_port(change->was, count, port, p))
            rc = add(&change->load, p, err);
    }
    return rc;
}

/* ---- nodes ---- */

/* Its name is wanted: another node has it, or one of its ports. */
static bool is_in_the_way(const struct change *change, const char *id)
{
    bool has_inport = false;

    for (size_t i = 0; i < gbx_graph_inports(change->was); i++)
        has_inport |= strcmp(gbx_graph_inport(change->was, i)->node, id) == 0;
    return has_inport || gbx_graph_find_node(change->load.graph, id) != NULL;
}

/* Those that are gone, or are another actor now. */
static int remove_nodes(const struct change *change, bool in_the_way,
                        struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < gbx_graph_nodes(change->was) && rc == 0; i++) {
        const char *id = gbx_graph_node(change->was, i)->id;

        if (!is_kept(change, id) && is_in_the_way(change, id) == in_the_way)
            rc = gbx_flow_remove_node(change->load.flow, id, err);
    }
    return rc;
}

static int add_nodes(const struct change *change, struct gbx_error *err)
{
    const struct gbx_graph *graph = change->load.graph;
    int rc = 0;

    for (size_t i = 0; i < gbx_graph_nodes(graph) && rc == 0; i++)
        if (!is_kept(change, gbx_graph_node(graph, i)->id))
            rc = load_node(&change->load, gbx_graph_node(graph, i), err);
    return rc;
}

static int send_initials(const struct change *change, struct gbx_error *err)
{
    const struct gbx_graph *graph = change->load.graph;
    int rc = 0;

    for (size_t i = 0; i < gbx_graph_initials(graph) && rc == 0; i++)
        if (!is_kept(change, gbx_graph_initial(graph, i)->to_node))
            rc = load_initial(&change->load, gbx_graph_initial(graph, i), err);
    return rc;
}

static int follow(const struct change *change, struct gbx_error *err)
{
    int rc = check_ports(change, gbx_graph_inports, gbx_graph_inport, err);

    if (rc == 0)
        rc = check_ports(change, gbx_graph_outports, gbx_graph_outport, err);
    if (rc == 0)
        rc = remove_nodes(change, true, err);
    if (rc == 0)
        rc = add_nodes(change, err);
    if (rc == 0)
        rc = connect_new(change, err);
    if (rc == 0)
        rc = add_ports(change, gbx_graph_inports, gbx_graph_inport, load_inport,
                       err);
    if (rc == 0)
        rc = add_ports(change, gbx_graph_outports, gbx_graph_outport,
                       load_outport, err);
    if (rc == 0)
        rc = send_initials(change, err);
    if (rc == 0)
        rc = disconnect_old(change, err);
    return rc == 0 ? remove_nodes(change, false, err) : rc;
}

int gbx_flow_change_graph(struct gbx_flow *flow, const struct gbx_graph *was,
                          const struct gbx_graph *now,
                          gbx_component_path_fn path, void *context,
                          struct gbx_error *err)
{
    struct change change = {.load = {flow, now, path, context}, .was = was};
    int rc;

    change.old = sort_connections(was);
    change.new = sort_connections(now);
    rc = change.old == NULL || change.new == NULL
             ? fail(err, GBX_EHOST, "no memory for a flow's connections")
             : follow(&change, err);
    free(change.old);
    free(change.new);
    return rc;
}
