/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - calls as binary WebSocket messages: 32 bytes, two names, a body as
 * it is.  No JSON, no base64; the body goes straight into a sandbox's region.
 *
 *    0  "GBX1"
 *    4  kind      enum frame_kind
 *    5  type      enum gbx_type of the message
 *    6  flags     FRAME_...
 *    7  port      how long the port's name is
 *    8  call      u32: the client's number for it, not 0; open ones differ
 *   12  actor     u32: how long the actor's id is; on a call's first input
 *   16  scalar    u64: of a Boolean, Integer or Float (its bits); or below
 *   24  body      u64: how long the body is
 *   32  actor, port, body
 *
 * Numbers are little-endian.  One message is one frame.
 *
 *  to the server    INPUT   a call's input; the first names the actor, and its
 *                           scalar may be a deadline (FRAME_HAS_TIMEOUT: ms,
 *                           for a message without scalar); the last
 * (FRAME_RUNS) runs it.  Without FRAME_HAS_MESSAGE it is no input. CANCEL
 * nobody waits for it any more to the client    OUTPUT  as it is sent DONE
 * scalar: how long it took, ns FAILED  scalar: the code, negated; body: what, a
 * zero, and the traceback
 *
 * Threads: any.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_BYTES    32u
#define FRAME_NAME_MAX 255u
#define FRAME_HEAD_MAX (FRAME_BYTES + 2 * FRAME_NAME_MAX)

enum frame_kind {
    FRAME_INPUT = 1,
    FRAME_CANCEL,
    FRAME_OUTPUT,
    FRAME_DONE,
    FRAME_FAILED
};

#define FRAME_TYPED       1u /* GBX_TYPED */
#define FRAME_HAS_MESSAGE 2u
#define FRAME_RUNS        4u
#define FRAME_HAS_TIMEOUT 8u

struct frame {
    enum frame_kind kind;
    uint8_t type, flags;
    uint32_t call;
    uint64_t scalar, body_bytes;
    char actor[FRAME_NAME_MAX + 1], port[FRAME_NAME_MAX + 1];
};

/*
 * Read what comes before the body; `bytes` are there so far.  Returns how long
 * it is; 0: there is more of it to come; or -1, and *what says what is wrong.
 */
int frame_read(struct frame *frame, const uint8_t *data, size_t bytes,
               const char **what);

/* Write it.  Returns how long it is: at most FRAME_HEAD_MAX. */
size_t frame_write(const struct frame *frame, uint8_t head[FRAME_HEAD_MAX]);

#endif
