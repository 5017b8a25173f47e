/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "flow/node/queue.h"

#define ROOM_FIRST 8u

static bool grow(struct queue *queue)
{
    uint32_t room = queue->room == 0 ? ROOM_FIRST : 2 * queue->room;
    struct packet *ring = calloc(room, sizeof(*ring));

    if (ring == NULL)
        return false;
    for (uint32_t i = 0; i < queue_count(queue); i++)
        ring[i] = queue->ring[(queue->head + i) & (queue->room - 1)];
    free(queue->ring);
    queue->ring = ring;
    queue->room = room;
    queue->head = 0;
    return true;
}

bool queue_put(struct queue *queue, const struct packet *packet)
{
    uint32_t count = queue_count(queue);

    if (count == queue->room && !grow(queue))
        return false;
    queue->ring[(queue->head + count) & (queue->room - 1)] = *packet;
    /* Sequential: who waits for room says so first, and then looks at it. */
    atomic_store(&queue->count, count + 1);
    return true;
}

bool queue_get(struct queue *queue, struct packet *packet)
{
    uint32_t count = queue_count(queue);

    if (count == 0)
        return false;
    *packet = queue->ring[queue->head];
    queue->head = (queue->head + 1) & (queue->room - 1);
    atomic_store(&queue->count, count - 1);
    return true;
}

void queue_fini(struct queue *queue)
{
    struct packet packet;

    while (queue_get(queue, &packet))
        packet_drop(&packet);
    free(queue->ring);
    *queue = (struct queue){.ring = NULL};
}
