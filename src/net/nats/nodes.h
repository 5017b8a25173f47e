/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.h - who works for a cluster, asked once.
 *
 *  net_nodes_list(&nodes, &count, url, &err);
 *
 * Threads: any.
 * Memory:  nodes are the caller's, for free().
 */
#ifndef NET_NATS_NODES_H
#define NET_NATS_NODES_H

#include "glovebox/error.h"
#include "net/nats/node.h"

/*
 * Those of all routes, in no order, as they say of themselves; seen_ns is how
 * long ago they did.  Returns 0, or as bus_open (bus.h).
 */
int net_nodes_list(struct node **nodes, size_t *count, const char *url,
                   struct gbx_error *err);

#endif
