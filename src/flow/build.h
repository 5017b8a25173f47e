/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - nodes, edges and ports come and go.
 *
 * Threads: the flow's lock is held.
 */
#ifndef FLOW_BUILD_H
#define FLOW_BUILD_H

#include "flow/flow.h"

/* It can run from now on. */
void build_begin(struct gbx_flow *flow, struct flow_node *node);

/* With its edges, out of all lists.  The caller holds it then, for bury. */
struct flow_node *build_remove_locked(struct gbx_flow *flow,
                                      struct flow_node *node);

/* What is in its queues becomes letters; who runs it, finishes that run.  The
 * holder is taken; no lock is held. */
void build_bury(struct gbx_flow *flow, struct flow_node *node,
                const char *reason);

/* What is left when all nodes are gone. */
void build_fini_locked(struct gbx_flow *flow);

#endif
