/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - nodes, edges and ports come and go.
 *
 * Threads: the flow's lock is held.
 */
#ifndef FLOW_BUILD_H
#define FLOW_BUILD_H

#include "flow/flow.h"
#include "glovebox/graph.h"

/* It can run from now on. */
void build_begin(struct gbx_flow *flow, struct flow_node *node);

/* With its edges, out of all lists.  The caller holds it then, for bury. */
struct flow_node *build_remove_locked(struct gbx_flow *flow,
                                      struct flow_node *node);

/* What is in its queues becomes letters; who runs it, finishes that run.  The
 * holder is taken; no lock is held. */
void build_bury(struct gbx_flow *flow, struct flow_node *node,
                const char *reason);

/* NULL: there is none. */
struct flow_node *build_find_locked(struct gbx_flow *flow, const char *id);

/* Of a node or a port.  Returns 0 or GBX_EARGUMENT. */
int build_check_name(const char *what, const char *name, struct gbx_error *err);

/* Those that wait for room at a port look again. */
void build_free_port(struct gbx_flow *flow, struct flow_node *node,
                     struct inport *port);

/* edge.c.  Out of its list; and the flow's inports of a node, or, NULL, all. */
void edge_remove(struct edge **link);
void edge_remove_ports(struct gbx_flow *flow, const struct flow_node *node);

/* Is there a type of this name? */
bool build_has_type(const struct gbx_flow *flow, const char *component);

/* The node's port of this name, for a graph that does not care for cases; or
 * the name itself.  Borrowed until the node is removed. */
const char *build_find_port(struct gbx_flow *flow, const char *id,
                            const char *name, bool is_in,
                            const struct gbx_graph *graph);

/* What is left when all nodes are gone. */
void build_fini_locked(struct gbx_flow *flow);

#endif
