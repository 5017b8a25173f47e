/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - the parts of a graph, put into a flow one by one.
 *
 * Threads: as gbx_flow_add_node.  All return 0, or a code and err names the
 * node and the port.
 */
#ifndef FLOW_LOAD_LOAD_H
#define FLOW_LOAD_LOAD_H

#include <stdbool.h>

#include "glovebox/flow_graph.h"

struct load {
    struct gbx_flow *flow;
    const struct gbx_graph *graph;
    gbx_component_path_fn path;
    void *context;
};

int load_node(const struct load *load, const struct gbx_graph_node *node,
              struct gbx_error *err);
int load_connection(const struct load *load,
                    const struct gbx_graph_connection *c,
                    struct gbx_error *err);
/* With its initial message, where it has one. */
int load_inport(const struct load *load, const struct gbx_graph_port *p,
                struct gbx_error *err);
int load_outport(const struct load *load, const struct gbx_graph_port *p,
                 struct gbx_error *err);
int load_initial(const struct load *load, const struct gbx_graph_initial *first,
                 struct gbx_error *err);

/* The port's own name, where the graph does not care for cases. */
const char *load_port_name(const struct load *load, const char *id,
                           const char *name, bool is_in);

#endif
