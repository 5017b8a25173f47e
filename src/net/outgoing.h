/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outgoing.h - a message that waits to be sent: its own bytes, and behind them
 * some that are lent.  It goes in pieces of one WebSocket message, so that
 * others get their turn, and one that is lent is never copied as a whole.
 *
 * Threads: whoever has the queue that it is in.
 */
#ifndef NET_OUTGOING_H
#define NET_OUTGOING_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* libwebsockets has what it sends in one piece; larger ones it would copy. */
#define PIECE_BYTES (64u << 10)

struct outgoing {
    STAILQ_ENTRY(outgoing) next;
    size_t bytes, at; /* all of it; sent so far */
    bool is_text;
    bool is_reserved;    /* its room was */
    size_t own_bytes;    /* of the message; the rest is lent: */
    const uint8_t *lent; /* or NULL */
    uint8_t *copy;       /* owned: what was lent, or NULL */
    /* Once it is sent, or never will be; or NULL. */
    void (*release)(void *context, bool has_begun);
    void *context;
    uint8_t data[]; /* LWS_PRE bytes, and the message's first own_bytes */
};

/* libwebsockets writes in front of what it sends. */
struct outgoing_piece {
    uint8_t bytes[LWS_PRE + PIECE_BYTES];
};

STAILQ_HEAD(outgoing_queue, outgoing);

/* A copy of these bytes; NULL: no memory. */
struct outgoing *outgoing_new(const void *data, size_t bytes);
/* Releases what is lent.  NULL is allowed. */
void outgoing_drop(struct outgoing *out);
/* What is lent is not needed any more, and nobody is told.  False: no memory,
 * and it is as it was. */
bool outgoing_keep(struct outgoing *out);
/* The next bytes of it, where they are written from; how many is *bytes. */
uint8_t *outgoing_next(struct outgoing *out, struct outgoing_piece *piece,
                       size_t *bytes);
/* Write those; `at` goes on.  Returns 0, or -1: the connection is gone. */
int outgoing_write(struct outgoing *out, struct lws *wsi, uint8_t *from,
                   size_t bytes);

static inline bool outgoing_is_done(const struct outgoing *out)
{
    return out->at == out->bytes;
}

#endif
