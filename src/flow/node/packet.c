/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "flow/node/packet.h"

struct body *body_make(size_t bytes)
{
    uint8_t *block = bytes > SIZE_MAX - 2 * sizeof(struct body)
                         ? NULL
                         : malloc(bytes + 2 * sizeof(struct body));
    struct body *body;

    if (block == NULL)
        return NULL;
    /* malloc is quicker than aligned_alloc, and gives to any thread's cache. */
    body = (void *)(block + (-(uintptr_t)block & (sizeof(*body) - 1)));
    atomic_init(&body->holders, 1);
    body->block = block;
    body->bytes = bytes;
    return body;
}

void body_drop(struct body *body)
{
    if (body == NULL)
        return;
    /* The last one sees all that others did with it. */
    if (atomic_fetch_sub_explicit(&body->holders, 1, memory_order_acq_rel) == 1)
        free(body->block);
}

static void hold(struct body *body)
{
    if (body != NULL)
        atomic_fetch_add_explicit(&body->holders, 1, memory_order_relaxed);
}

int packet_make(struct packet *packet, const struct gbx_message *message,
                struct body *body)
{
    *packet = (struct packet){.message = *message, .body = body};
    if (message->body == NULL || message->body_bytes == 0) {
        packet->body = NULL;
        return 0;
    }
    if (body != NULL) {
        hold(body);
        return 0;
    }
    packet->body = body_make(message->body_bytes);
    if (packet->body == NULL)
        return GBX_EHOST;
    packet->message.body = body_bytes(packet->body);
    memcpy(body_bytes(packet->body), message->body, message->body_bytes);
    return 0;
}

void packet_hold(struct packet *packet, const struct packet *other)
{
    *packet = *other;
    hold(packet->body);
}

void packet_drop(struct packet *packet)
{
    body_drop(packet->body);
    packet->body = NULL;
}
