/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - a graph's nodes, connections and messages, put into a flow. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "flow/build.h"
#include "flow/flow.h"
#include "flow/load/load.h"

int load_node(const struct load *load, const struct gbx_graph_node *node,
              struct gbx_error *err)
{
    const char *component = node->component;
    struct gbx_error why = {.what = ""};
    int rc = 0;

    if (load->path != NULL && !build_has_type(load->flow, component))
        rc = load->path(load->context, node->component, &component, &why);
    if (rc < 0)
        return fail(err, rc, "node %s: component %s: %s", node->id,
                    node->component,
                    why.what[0] != '\0' ? why.what : gbx_strerror(rc));
    rc = gbx_flow_add_node(load->flow, node->id, component, node->metadata,
                           &why);
    /* Whatever it says, it is about this node. */
    if (rc < 0 && strncmp(why.what, "node ", 5) != 0)
        return fail(err, rc, "node %s: %s", node->id, why.what);
    return rc < 0 ? fail(err, rc, "%s", why.what) : 0;
}

const char *load_port_name(const struct load *load, const char *id,
                           const char *name, bool is_in)
{
    if (gbx_graph_is_case_sensitive(load->graph))
        return name;
    return build_find_port(load->flow, id, name, is_in, load->graph);
}

int load_connection(const struct load *load,
                    const struct gbx_graph_connection *c, struct gbx_error *err)
{
    return gbx_flow_connect(
        load->flow, c->from_node,
        load_port_name(load, c->from_node, c->from_port, false), c->to_node,
        load_port_name(load, c->to_node, c->to_port, true), err);
}

static int send_initial(const struct load *load, const char *node,
                        const char *port, const char *data,
                        struct gbx_error *err)
{
    struct gbx_error why = {.what = ""};
    struct gbx_message message;
    struct gbx_builder builder;
    int rc;

    gbx_builder_init(&builder);
    rc = gbx_message_from_json(&message, &builder, data, strlen(data),
                               GBX_JSON_EITHER, &why);
    if (rc == 0)
        rc = flow_send_first(load->flow, node,
                             load_port_name(load, node, port, true), &message,
                             &why);
    gbx_builder_fini(&builder);
    return rc < 0 ? fail(err, rc, "node %s, port %s: its initial message: %s",
                         node, port, why.what)
                  : 0;
}

int load_inport(const struct load *load, const struct gbx_graph_port *p,
                struct gbx_error *err)
{
    int rc =
        gbx_flow_add_inport(load->flow, p->name, p->node,
                            load_port_name(load, p->node, p->port, true), err);

    if (rc == 0 && p->data != NULL)
        rc = send_initial(load, p->node, p->port, p->data, err);
    return rc;
}

int load_outport(const struct load *load, const struct gbx_graph_port *p,
                 struct gbx_error *err)
{
    return gbx_flow_add_outport(load->flow, p->name, p->node,
                                load_port_name(load, p->node, p->port, false),
                                err);
}

int load_initial(const struct load *load, const struct gbx_graph_initial *first,
                 struct gbx_error *err)
{
    return send_initial(load, first->to_node, first->to_port, first->data, err);
}

int gbx_flow_add_graph(struct gbx_flow *flow, const struct gbx_graph *graph,
                       gbx_component_path_fn path, void *context,
                       struct gbx_error *err)
{
    const struct load load = {flow, graph, path, context};
    int rc = 0;

    for (size_t i = 0; i < gbx_graph_nodes(graph) && rc == 0; i++)
        rc = load_node(&load, gbx_graph_node(graph, i), err);
    for (size_t i = 0; i < gbx_graph_connections(graph) && rc == 0; i++)
        rc = load_connection(&load, gbx_graph_connection(graph, i), err);
    for (size_t i = 0; i < gbx_graph_inports(graph) && rc == 0; i++)
        rc = load_inport(&load, gbx_graph_inport(graph, i), err);
    for (size_t i = 0; i < gbx_graph_outports(graph) && rc == 0; i++)
        rc = load_outport(&load, gbx_graph_outport(graph, i), err);
    for (size_t i = 0; i < gbx_graph_initials(graph) && rc == 0; i++)
        rc = load_initial(&load, gbx_graph_initial(graph, i), err);
    return rc;
}
