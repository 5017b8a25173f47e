/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/flow_stats.h - what the actors of a flow have done so far.
 *
 * Included by glovebox/flow.h.
 *
 * Threads: any; the numbers of a node that runs are those of a moment ago.
 */
#ifndef GBX_FLOW_STATS_H
#define GBX_FLOW_STATS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_flow;

enum gbx_node_state {
    GBX_NODE_IDLE,    /* it has nothing to do */
    GBX_NODE_QUEUED,  /* it will run soon */
    GBX_NODE_RUNNING, /* also one that waits for a reader in its run */
    GBX_NODE_BLOCKED, /* its readers are behind */
    GBX_NODE_PAUSED,  /* its last run failed: it is tried again later */
    GBX_NODE_GONE,    /* it has been removed */
};
const char *gbx_node_state_name(int state); /* "idle"; else NULL */

struct gbx_node_stats {
    const char *node, *component; /* borrowed during the call */
    const char *isolation;        /* "native", "process", "microvm", ... */
    enum gbx_node_state state;
    uint64_t received, sent; /* messages; sent: one for each reader */
    uint64_t runs, failures, retries, letters;
    uint64_t queued;                       /* messages now, all inports */
    uint64_t run_ns, run_ns_50, run_ns_99; /* all; median; 99 of 100 */
    uint64_t copied_bytes; /* of bodies, for its inputs and by its runs */
};
typedef void (*gbx_node_stats_fn)(void *context,
                                  const struct gbx_node_stats *stats);

/* Of each node, in the order in which they were added. */
void gbx_flow_stats(struct gbx_flow *flow, gbx_node_stats_fn each,
                    void *context);

#ifdef __cplusplus
}
#endif

#endif
