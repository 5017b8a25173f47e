/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - packets of one inport, first in, first out.
 *
 *  queue_put(&queue, &packet);
 *  while (queue_get(&queue, &packet)) ...
 *
 * Threads: the lock of its node; count may be looked at by any.
 * Memory:  grows as it is needed; what it holds is dropped by fini.
 */
#ifndef FLOW_NODE_QUEUE_H
#define FLOW_NODE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "flow/node/packet.h"

struct queue {
    struct packet *ring; /* owned */
    uint32_t room, head; /* room: a power of two, or 0 */
    atomic_uint count;
};

/* The packet is the queue's then.  False: no memory, and it is not. */
bool queue_put(struct queue *queue, const struct packet *packet);
bool queue_get(struct queue *queue, struct packet *packet);
void queue_fini(struct queue *queue);

static inline uint32_t queue_count(const struct queue *queue)
{
    return atomic_load_explicit(&queue->count, memory_order_relaxed);
}

#endif
