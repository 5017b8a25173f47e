/* SPDX-License-Identifier: Apache-2.0 */
/* wires.c - who sends to whom in a graph. */
#include "daemon/dashboard/dashboard.h"

static json_t *port(const struct gbx_graph_port *port)
{
    return json_pack("{s:s,s:s,s:s}", "name", port->name, "node", port->node,
                     "port", port->port);
}

/* A flow knows a script by its file, a client by the actor's id. */
static void name_component(json_t *node, const struct gbx_graph *graph)
{
    const char *id = json_string_value(json_object_get(node, "node"));
    const struct gbx_graph_node *found =
        id != NULL ? gbx_graph_find_node(graph, id) : NULL;

    if (found != NULL)
        json_object_set_new(node, "component", json_string(found->component));
}

void wires_add(json_t *flow, json_t *nodes, const struct gbx_graph *graph)
{
    json_t *connections = json_array(), *inports = json_array(),
           *outports = json_array(), *node;
    size_t at;

    json_array_foreach(nodes, at, node)
    {
        name_component(node, graph);
    }
    for (size_t i = 0; i < gbx_graph_connections(graph); i++) {
        const struct gbx_graph_connection *one = gbx_graph_connection(graph, i);

        json_array_append_new(
            connections, json_pack("{s:s,s:s,s:s,s:s}", "from", one->from_node,
                                   "from_port", one->from_port, "to",
                                   one->to_node, "to_port", one->to_port));
    }
    for (size_t i = 0; i < gbx_graph_inports(graph); i++)
        json_array_append_new(inports, port(gbx_graph_inport(graph, i)));
    for (size_t i = 0; i < gbx_graph_outports(graph); i++)
        json_array_append_new(outports, port(gbx_graph_outport(graph, i)));
    json_object_set_new(flow, "connections", connections);
    json_object_set_new(flow, "inports", inports);
    json_object_set_new(flow, "outports", outports);
}
