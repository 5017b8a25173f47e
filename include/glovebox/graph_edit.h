/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/graph_edit.h - changing a graph.
 *
 * Included by glovebox/graph.h.  Each function returns 0, or leaves the graph
 * as it was: GBX_EARGUMENT and what is wrong, with node and port; GBX_ELIMIT;
 * or GBX_EHOST without memory.  What is added is spelled as the rest of the
 * file, portId or port_id.
 *
 * To add something takes no longer in a large graph than in a small one; to
 * remove or rename, as long as to read it.
 *
 * Threads: one, while nobody else uses the graph.
 * Memory:  texts are copied; what was borrowed from the graph is gone.
 */
#ifndef GBX_GRAPH_EDIT_H
#define GBX_GRAPH_EDIT_H

#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_graph;

/* metadata: a JSON object, or NULL. */
int gbx_graph_add_node(struct gbx_graph *graph, const char *id,
                       const char *component, const char *metadata,
                       struct gbx_error *err);

/* With its connections, initial messages and graph ports, and out of all
 * groups. */
int gbx_graph_remove_node(struct gbx_graph *graph, const char *id,
                          struct gbx_error *err);

/* Wherever it is named. */
int gbx_graph_rename_node(struct gbx_graph *graph, const char *id,
                          const char *to, struct gbx_error *err);

/* Both nodes must be there, the connection must not. */
int gbx_graph_connect(struct gbx_graph *graph, const char *from_node,
                      const char *from_port, const char *to_node,
                      const char *to_port, struct gbx_error *err);
int gbx_graph_disconnect(struct gbx_graph *graph, const char *from_node,
                         const char *from_port, const char *to_node,
                         const char *to_port, struct gbx_error *err);

/* data: JSON text, not null; index: its place at the port, or -1. */
int gbx_graph_add_initial(struct gbx_graph *graph, const char *to_node,
                          const char *to_port, const char *data, int64_t index,
                          struct gbx_error *err);

/* All of that port. */
int gbx_graph_remove_initials(struct gbx_graph *graph, const char *to_node,
                              const char *to_port, struct gbx_error *err);

/* type: a portType as JSON, or NULL: any. */
int gbx_graph_add_inport(struct gbx_graph *graph, const char *name,
                         const char *node, const char *port, const char *type,
                         struct gbx_error *err);
int gbx_graph_remove_inport(struct gbx_graph *graph, const char *name,
                            struct gbx_error *err);
int gbx_graph_add_outport(struct gbx_graph *graph, const char *name,
                          const char *node, const char *port, const char *type,
                          struct gbx_error *err);
int gbx_graph_remove_outport(struct gbx_graph *graph, const char *name,
                             struct gbx_error *err);

/* nodes: NULL after the last. */
int gbx_graph_add_group(struct gbx_graph *graph, const char *id,
                        const char *const *nodes, struct gbx_error *err);
int gbx_graph_remove_group(struct gbx_graph *graph, const char *id,
                           struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
