/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "flow/node/packet.h"

static struct body *make_shared(size_t bytes)
{
    struct gbx_body *shared;
    struct body *body;
    void *data;

    if (gbx_body_make(&shared, bytes, &data, NULL) < 0)
        return NULL;
    body = body_of_bytes(data);
    *body = (struct body){
        .holders = 1, .shared = shared, .at = data, .bytes = bytes};
    return body;
}

static struct body *make_small(size_t bytes)
{
    uint8_t *block = bytes > SIZE_MAX - 2 * sizeof(struct body)
                         ? NULL
                         : malloc(bytes + 2 * sizeof(struct body));
    struct body *body;

    if (block == NULL)
        return NULL;
    /* malloc is quicker than aligned_alloc, and gives to any thread's cache. */
    body = (void *)(block + (-(uintptr_t)block & (sizeof(*body) - 1)));
    *body = (struct body){
        .holders = 1, .block = block, .at = body + 1, .bytes = bytes};
    return body;
}

struct body *body_make(size_t bytes)
{
    struct body *body = bytes < GBX_BODY_SHOWN ? NULL : make_shared(bytes);

    return body == NULL ? make_small(bytes) : body;
}

void body_drop(struct body *body)
{
    if (body == NULL)
        return;
    /* The last one sees all that others did with it. */
    if (atomic_fetch_sub_explicit(&body->holders, 1, memory_order_acq_rel) ==
        1) {
        struct gbx_body *shared = body->shared;

        free(body->block); /* body is in there; or in what is shared */
        gbx_body_put(shared);
    }
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

int packet_keep(struct packet *packet, const struct gbx_message *message,
                struct gbx_body *shared)
{
    struct body *body = aligned_alloc(_Alignof(struct body), sizeof(*body));

    *packet = (struct packet){.message = *message, .body = body};
    if (body == NULL) {
        gbx_body_put(shared);
        return GBX_EHOST;
    }
    *body = (struct body){.holders = 1, .block = body, .shared = shared};
    body->bytes = gbx_body_view(shared, &body->at);
    return 0;
}

int packet_settle(struct packet *packet)
{
    struct packet copy;
    int rc;

    if (packet->body == NULL || packet->body->shared == NULL ||
        !gbx_body_is_loose(packet->body->shared))
        return 0;
    rc = packet_make(&copy, &packet->message, NULL);
    if (rc < 0)
        return rc;
    packet->message = copy.message;
    body_drop(packet->body);
    packet->body = copy.body;
    return 1;
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
