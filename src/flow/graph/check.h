/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what the parts of a check know; for the files of this folder.
 *
 *   check.c  names, and that they lead somewhere
 *   ports.c  components, ports, types, who feeds whom
 *   cycle.c  circles
 */
#ifndef FLOW_GRAPH_CHECK_H
#define FLOW_GRAPH_CHECK_H

#include "flow/graph/graph.h"

#define OUTSIDE SIZE_MAX

/* Something comes to an inport. */
struct feed {
    size_t to, from;  /* nodes, by index; from the OUTSIDE of all */
    const char *port; /* borrowed from the graph */
};

struct check {
    const struct gbx_graph *graph;
    size_t node_count;
    struct gbx_component *components; /* a node each; owned, as all arrays */
    bool *known;                      /* whose component is known */
    bool *wired;                      /* who has a connection or a port */
    struct feed *feeds;               /* in the order of whom they feed */
    size_t *first_feed;               /* a node each, and one more: the end */

    gbx_component_fn component;
    void *context;
    gbx_finding_fn found;
    void *found_context;
    size_t errors;
    bool lacks_memory;
};

/*
 * One finding.  The text is "node 'x', port 'y': " and what follows; of a node
 * or a port that is "" the words are left out.
 */
void check_report(struct check *check, enum gbx_finding_level level,
                  const char *code, const char *node, const char *port,
                  const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* A member of this name in either spelling; NULL where it is null. */
json_t *check_member(const json_t *object, enum member member);

/* What a script's node says of its sandbox. */
void check_sandbox(struct check *check, const struct gbx_graph_node *node);

/* What each node is one of. */
void check_components(struct check *check);

/*
 * One end of something: is there such a node, and has it such a port?  owner:
 * "the connection to 'show', port 'in'".  Returns the port's type for
 * json_decref, or NULL: any.
 */
json_t *check_end(struct check *check, const char *node, const char *port,
                  bool is_out, json_t *type, const char *owner);

/* Who feeds whom.  Returns false without memory. */
bool check_feeds(struct check *check);

/* Inports that wait for what never comes. */
void check_waiting(struct check *check);

/* Returns false without memory. */
bool check_cycles(struct check *check);

/* Is there anything at this port from a node that `inside` does not have, or,
 * NULL, from anywhere? */
bool check_is_fed(const struct check *check, size_t node, const char *port,
                  const size_t *circle);

#endif
