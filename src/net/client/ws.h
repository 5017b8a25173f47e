/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws.h - the frames of a WebSocket (RFC 6455), as a client reads and writes
 * them; without its handshake's transport, and without extensions.
 *
 * Own code, since libwebsockets reads a client's bytes one by one: decision
 * 0016 has the figures.
 *
 *  while ((rc = ws_read(&reader, &data, &bytes, &part)) > 0)
 *      ... part.op, part.data ...
 *
 * Threads: any.  Memory: a part borrows the data, a control's the reader.
 */
#ifndef NET_CLIENT_WS_H
#define NET_CLIENT_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_HEAD_MAX    14u
#define WS_CONTROL_MAX 125u
#define WS_MASK_BYTES  4u
#define WS_KEY_BYTES   25u /* of Sec-WebSocket-Key, with its zero */

enum ws_op {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

/* All zero at a connection's begin. */
struct ws_reader {
    uint8_t head[WS_HEAD_MAX];
    size_t head_bytes;
    bool has_head, is_final; /* of the frame */
    enum ws_op op;           /* of the frame */
    enum ws_op message;      /* what goes on, or CONTINUATION: nothing */
    uint64_t left;           /* of the frame's payload */
    uint8_t control[WS_CONTROL_MAX];
    size_t control_bytes;
};

struct ws_part {
    enum ws_op op; /* TEXT or BINARY, as its message began; or a control */
    const uint8_t *data;
    size_t bytes;
    bool is_last; /* of the message */
};

/*
 * The next part of what has come.  Moves *data and *bytes on.
 * Returns 1 and a part; 0: more has to come; -1: it is against the protocol.
 */
int ws_read(struct ws_reader *reader, const uint8_t **data, size_t *bytes,
            struct ws_part *part);

/* A frame's head.  Returns how long it is. */
size_t ws_write_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, bool is_last,
                     uint64_t bytes, const uint8_t mask[WS_MASK_BYTES]);
/* A whole payload under that mask; to and from may be the same. */
void ws_mask(uint8_t *to, const uint8_t *from, size_t bytes,
             const uint8_t mask[WS_MASK_BYTES]);

/*
 * What a server has answered to the key, up to and with the empty line, with a
 * zero.  Returns 101, and *has_protocol: it has agreed to one; or another
 * status; or 0: it makes no sense.  accept: what goes with the key.
 */
int ws_read_reply(const char *text, const char *accept, bool *has_protocol);

#endif
