/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/graph_check.h - does a graph make sense?
 *
 * Included by glovebox/graph.h.
 *
 *  static int ports(void *context, const struct gbx_graph_node *node,
 *                   struct gbx_component *component, struct gbx_error *err)
 *  {
 *      component->inports = ...; return 0;
 *  }
 *  errors = gbx_graph_check(graph, ports, NULL, print, NULL);
 *
 * docs/graph.md lists what is found, by code.
 *
 * Threads: as the graph's.
 */
#ifndef GBX_GRAPH_CHECK_H
#define GBX_GRAPH_CHECK_H

#include <stddef.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_graph;
struct gbx_graph_node;

/* What is known of the actor that a node is one of. */
struct gbx_component {
    /* Names, and NULL after the last.  NULL: unknown, so anything goes. */
    const char *const *inports;
    const char *const *outports;
    /* For each of those a portType as JSON, or NULL: what the graph says. */
    const char *const *inport_types;
    const char *const *outport_types;
    int await_all_inports; /* it runs when all of them have a message */
    int is_native;         /* it is no script, and has no sandbox */
};

/*
 * Say what a node's component is.  Called once for each node, in their order;
 * what it points at must stay until gbx_graph_check returns.  Returns 0;
 * GBX_EFILE: there is no such component; or any other code, and err says what
 * is wrong with it.  *component is zero before.
 */
typedef int (*gbx_component_fn)(void *context,
                                const struct gbx_graph_node *node,
                                struct gbx_component *component,
                                struct gbx_error *err);

enum gbx_finding_level {
    GBX_FINDING_ERROR,  /* it cannot run, or not as it is meant */
    GBX_FINDING_WARNING /* it can */
};

struct gbx_finding {
    enum gbx_finding_level level;
    const char *code; /* "unknown-inport"; for programs, never changes */
    const char *node; /* "" where it is about none */
    const char *port; /* "" where it is about none */
    const char *text; /* for a person: what, and what to do */
};

typedef void (*gbx_finding_fn)(void *context,
                               const struct gbx_finding *finding);

/*
 * Look at everything.  component NULL: nothing is known of any.  found may be
 * NULL; a finding's texts are borrowed until it returns.  Returns how many
 * errors there are, SIZE_MAX without memory.
 */
size_t gbx_graph_check(const struct gbx_graph *graph,
                       gbx_component_fn component, void *context,
                       gbx_finding_fn found, void *found_context);

/*
 * May what a port of type `from` sends go to one of type `to`?  Both as JSON of
 * a portType, NULL is any.  Any and stream go with all; equal ones; arrays
 * whose items may; option and what it holds; integer to float.  Returns 1 or 0,
 * also 0 for what is no portType.
 */
int gbx_port_type_fits(const char *from, const char *to);

#ifdef __cplusplus
}
#endif

#endif
