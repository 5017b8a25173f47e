/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - what a worker says of itself in the bucket glovebox-nodes, as JSON
 * under its id: every two seconds, and it is forgotten after ten.
 *
 * Threads: any.
 */
#ifndef NET_NATS_NODE_H
#define NET_NATS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/nats/names.h"

#define NODE_TEXT_MAX       64u
#define NODE_ISOLATIONS_MAX 8u

struct node {
    LIST_ENTRY(node) next; /* whoever keeps them */
    char id[NATS_ID_CHARS + 1];
    char host[NODE_TEXT_MAX], product[NODE_TEXT_MAX];
    char route[NATS_ROUTE_MAX + 1];
    char isolations[NODE_ISOLATIONS_MAX][16];
    unsigned isolation_count;
    unsigned oldest, newest; /* frames that it speaks */
    unsigned workers, busy, waiting;
    uint64_t calls, failures, uptime_s;
    bool is_draining;
    uint64_t seen_ns; /* by whoever keeps it */
};

/* False: it makes no sense. */
bool node_read(struct node *node, const void *data, size_t bytes);
/* For free(), or NULL. */
char *node_write(const struct node *node);

#endif
