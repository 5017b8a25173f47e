/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - a message on its way: its body has as many holders as there are
 * packets that show it, and a run that looks at it.
 *
 *  packet_make(&packet, &message, NULL);    the body is copied
 *  packet_keep(&packet, &message, body);    or it is a script's (body.h)
 *  packet_hold(&other, &packet);            one body, two packets
 *  packet_drop(&packet);
 *
 * Threads: holders of one body in any.  A packet belongs to one.
 * Memory:  small bodies are malloc's, 64-byte aligned behind their head; large
 *          ones can be shown to scripts.
 */
#ifndef FLOW_NODE_PACKET_H
#define FLOW_NODE_PACKET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/body.h"
#include "glovebox/message.h"

struct body {
    _Alignas(64) atomic_uint holders;
    void *block;             /* malloc's, or NULL */
    struct gbx_body *shared; /* counted: where the bytes are; or NULL */
    const void *at;
    size_t bytes;
    /* Unless a script wrote it, the bytes follow, on the next line. */
};

_Static_assert(sizeof(struct body) == GBX_BODY_HEAD, "it fits in front");

struct packet {
    struct gbx_message message; /* its body lies in body's bytes */
    struct body *body;          /* counted, or NULL: a scalar */
    uint64_t id, cause;         /* 0: nobody asks */
};

/* Of one that was made. */
static inline void *body_bytes(struct body *body)
{
    return body + 1;
}

static inline struct body *body_of_bytes(void *bytes)
{
    return (struct body *)bytes - 1;
}

/* One holder: the caller.  NULL: no memory. */
struct body *body_make(size_t bytes);
void body_drop(struct body *body); /* NULL is allowed */

/*
 * body: where the message's body lies, one more holder; NULL: it is copied.
 * Returns 0 or GBX_EHOST.
 */
int packet_make(struct packet *packet, const struct gbx_message *message,
                struct body *body);

/* shared: where the message's body lies; it is put.  Returns 0 or GBX_EHOST. */
int packet_keep(struct packet *packet, const struct gbx_message *message,
                struct gbx_body *shared);

/* What a script may change, becomes a copy.  Returns 1: it has; 0, GBX_EHOST.
 */
int packet_settle(struct packet *packet);

void packet_hold(struct packet *packet, const struct packet *other);
void packet_drop(struct packet *packet);

/* Does the message's body lie in body? */
static inline bool body_has(const struct body *body,
                            const struct gbx_message *message)
{
    const uint8_t *at = message->body, *from = body == NULL ? NULL : body->at;

    return body != NULL && at >= from && at <= from + body->bytes &&
           message->body_bytes <= (size_t)(from + body->bytes - at);
}

#endif
