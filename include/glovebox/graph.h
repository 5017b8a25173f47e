/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/graph.h - a graph: which actors there are, and who sends to whom.
 *
 * It is Reflow's graph JSON, in memory.  What is in the file and means nothing
 * to us stays there, in its order: a graph that was read and is written says
 * the same.
 *
 *  gbx_graph_open(&graph, "demo.graph.json", &err);
 *  for (i = 0; i < gbx_graph_connections(graph); i++)
 *      printf("%s\n", gbx_graph_connection(graph, i)->to_node);
 *  gbx_graph_connect(graph, "double", "out", "show", "in", &err);
 *  text = gbx_graph_write(graph);
 *  gbx_graph_close(graph);
 *
 * That a graph can be read does not mean that it makes sense: graph_check.h
 * says whether it does, graph_edit.h has all that changes one.
 *
 * Threads: one at a time for each graph; many, while nobody changes it.
 * Memory:  what a graph returns is borrowed until it is changed or closed, but
 *          for texts that are for free(), where it says so.
 */
#ifndef GBX_GRAPH_H
#define GBX_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_graph;

/* A larger one is refused, with GBX_ELIMIT. */
#define GBX_GRAPH_BYTES_MAX       (64u << 20) /* of text */
#define GBX_GRAPH_NODES_MAX       100000u
#define GBX_GRAPH_CONNECTIONS_MAX 500000u /* with initial messages */
#define GBX_GRAPH_PORTS_MAX       10000u  /* inports, and as many outports */
#define GBX_GRAPH_GROUPS_MAX      10000u
#define GBX_GRAPH_DEPTH_MAX       64u /* values in values */

/* An actor of the graph. */
struct gbx_graph_node {
    const char *id;        /* the key that it stands under */
    const char *component; /* a script, or an actor that is built in */
    const char *runtime;   /* scriptRuntime: "Python", or NULL */
    const char *metadata;  /* JSON text, or NULL */
};

/* Messages go from a node's outport to a node's inport. */
struct gbx_graph_connection {
    const char *from_node, *from_port; /* "" where it has none */
    const char *to_node, *to_port;
    const char *from_type, *to_type; /* portType, JSON text, or NULL: any */
    const char *metadata;            /* JSON text, or NULL */
};

/* A message that waits at an inport when the graph starts. */
struct gbx_graph_initial {
    const char *to_node, *to_port;
    const char *to_type;  /* portType, JSON text, or NULL: any */
    const char *data;     /* JSON text of its plain value */
    const char *metadata; /* JSON text, or NULL */
    int64_t index;        /* or -1 */
};

/* A node's port that the graph shows as one of its own. */
struct gbx_graph_port {
    const char *name;     /* the key that it stands under */
    const char *node;     /* and that node's port: */
    const char *port;     /* its portName, or where that is empty portId */
    const char *type;     /* portType, JSON text, or NULL: any */
    const char *data;     /* JSON text of an inport's initial message */
    const char *metadata; /* JSON text, or NULL */
};

/* Nodes that a person sees as one. */
struct gbx_graph_group {
    const char *id;
    const char *const *nodes; /* NULL after the last */
    const char *metadata;     /* JSON text, or NULL */
};

/*
 * Read a file.  Returns 0 and a graph to close; GBX_EFILE; GBX_EFORMAT: it is
 * no graph's JSON, and err names file, line and column or the member;
 * GBX_ELIMIT and the limit; or GBX_EHOST.  On an error *graph is NULL.
 */
int gbx_graph_open(struct gbx_graph **graph, const char *path,
                   struct gbx_error *err);

/* The same of text; `name` stands for the file in errors. */
int gbx_graph_parse(struct gbx_graph **graph, const char *text, size_t bytes,
                    const char *name, struct gbx_error *err);

/* One without nodes.  Returns 0 and a graph to close, or GBX_EARGUMENT (the
 * name is no UTF-8) or GBX_EHOST. */
int gbx_graph_new(struct gbx_graph **graph, const char *name,
                  struct gbx_error *err);

/* NULL is allowed. */
void gbx_graph_close(struct gbx_graph *graph);

/*
 * The graph as JSON, for people: indented, with all members that were read, as
 * they were spelled and in their order.  What is written twice is the same byte
 * for byte.  Returns text for free(), or NULL without memory.
 */
char *gbx_graph_write(const struct gbx_graph *graph);

/* For Graphviz.  Returns text for free(), or NULL without memory. */
char *gbx_graph_dot(const struct gbx_graph *graph);

/* properties.name; "" where there is none. */
const char *gbx_graph_name(const struct gbx_graph *graph);

/* Are "In" and "in" two ports?  caseSensitive; 1 where it is not said. */
int gbx_graph_is_case_sensitive(const struct gbx_graph *graph);

/* Are these the names of one port, in this graph?  Only ASCII has cases. */
int gbx_graph_is_port(const struct gbx_graph *graph, const char *name,
                      const char *other);

/*
 * How many there are, and the i-th, in the order of the file; NULL behind the
 * last.  Each takes no longer than another.
 */
size_t gbx_graph_nodes(const struct gbx_graph *graph);
const struct gbx_graph_node *gbx_graph_node(const struct gbx_graph *graph,
                                            size_t i);
size_t gbx_graph_connections(const struct gbx_graph *graph);
const struct gbx_graph_connection *
gbx_graph_connection(const struct gbx_graph *graph, size_t i);
size_t gbx_graph_initials(const struct gbx_graph *graph);
const struct gbx_graph_initial *gbx_graph_initial(const struct gbx_graph *graph,
                                                  size_t i);
size_t gbx_graph_inports(const struct gbx_graph *graph);
const struct gbx_graph_port *gbx_graph_inport(const struct gbx_graph *graph,
                                              size_t i);
size_t gbx_graph_outports(const struct gbx_graph *graph);
const struct gbx_graph_port *gbx_graph_outport(const struct gbx_graph *graph,
                                               size_t i);
size_t gbx_graph_groups(const struct gbx_graph *graph);
const struct gbx_graph_group *gbx_graph_group(const struct gbx_graph *graph,
                                              size_t i);

/* The node with this id, by hash, or NULL. */
const struct gbx_graph_node *gbx_graph_find_node(const struct gbx_graph *graph,
                                                 const char *id);

/* Which one it is: for tables of an embedder's own. */
size_t gbx_graph_node_index(const struct gbx_graph *graph,
                            const struct gbx_graph_node *node);

#ifdef __cplusplus
}
#endif

#include "glovebox/graph_check.h"
#include "glovebox/graph_edit.h"

#endif
