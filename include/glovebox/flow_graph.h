/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/flow_graph.h - a graph becomes a flow.
 *
 *  gbx_graph_open(&graph, "demo.graph.json", &err);
 *  gbx_scripts_open(&scripts, "flows", &err);
 *  gbx_flow_open(&flow, &config, &err);
 *  gbx_flow_add_graph(flow, graph, find, scripts, &err);
 *  gbx_flow_start(flow, &err);
 *
 * Threads: as flow.h; the graph is only read, and not needed afterwards.
 */
#ifndef GBX_FLOW_GRAPH_H
#define GBX_FLOW_GRAPH_H

#include "glovebox/flow.h"
#include "glovebox/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The file of the script that a component is, where it is no type of the flow.
 * Returns 0 and *path, borrowed until the next call; GBX_EFILE: there is none;
 * or another code, and err says what is wrong.
 */
typedef int (*gbx_component_path_fn)(void *context, const char *component,
                                     const char **path, struct gbx_error *err);

/*
 * Its nodes, connections and ports, and its initial messages at their inports.
 * path: NULL: components are paths from the flow's folder on.
 * Returns 0, or as what it is made of (flow.h), and err names node and port;
 * then the flow has a part of the graph, and is to be closed.
 */
int gbx_flow_add_graph(struct gbx_flow *flow, const struct gbx_graph *graph,
                       gbx_component_path_fn path, void *context,
                       struct gbx_error *err);

/*
 * A flow that was made from `was`, and may run, becomes one of `now`: nodes and
 * connections come and go.  A node that has the same id, component and metadata
 * in both stays, with what it remembers and what waits for it; what waits for
 * one that goes, or becomes another, is told to `letter`.  Initial messages are
 * sent to new nodes alone.
 * Returns as add_graph, and the flow has a part of what is new; or
 * GBX_EUNSUPPORTED, and it is as it was: a port of the graph's own is another,
 * or gone, and its node is not.
 */
int gbx_flow_change_graph(struct gbx_flow *flow, const struct gbx_graph *was,
                          const struct gbx_graph *now,
                          gbx_component_path_fn path, void *context,
                          struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
