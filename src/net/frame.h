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
 *    8  call      u32: the client's number for it; open ones differ
 *   12  actor     u32: how long the actor's id is; on a call's first input
 *   16  scalar    u64: of a Boolean, Integer or Float (its bits); or below
 *   24  body      u64: how long the body is
 *   32  actor, port, body
 *
 * Numbers are little-endian.  One message is one frame.  Bodies that are said
 * to be a map are CBOR with text keys; who reads one skips keys that it does
 * not know.  The kinds:
 *
 *  HELLO   A client may say which versions it speaks; it is answered by the
 *          server's, with what it is and what it has to do.  Call 0, no names.
 *          Client: a map of oldest, newest.  Server: a map of oldest, newest,
 *          product text, isolations array of text, workers, busy and waiting
 *          (calls), draining bool, bytes_max (of a body: an INPUT, LOAD or
 *          ANSWER with a longer one is read over, and its call or script
 *          FAILED).  Again at any time: it is the heartbeat.
 *  LOAD    Call is the client's number of a script: "#7" is an actor's id from
 *          then on, on this connection.  A map: load (abi/message.h), floor
 *          text, limits map.  Answered by LOADED, or FAILED.
 *  UNLOAD  That script is needed no more.
 *  INPUT   A call's input; the first names the actor.  Behind "#7" a "/" and a
 *          key may stand: calls with one key may meet in one sandbox, calls
 *          with different keys find nothing of each other.  Its scalar may be a
 *          deadline (FRAME_HAS_TIMEOUT: ms, where it has no message, or one
 *          without scalar).  The last one (FRAME_RUNS) runs it.  Without
 *          FRAME_HAS_MESSAGE it is no input.
 *  CANCEL  Nobody waits for the call any more.
 *  ANSWER  To an ASK: a message, or with FRAME_IS_ERROR the text of an error.
 *
 *  LOADED  A map: the script's metadata (abi/message.h), isolation and why
 * text. OUTPUT  As it is sent. PRINT   Text for stream `scalar` (1 out, 2 err).
 *  ASK     A host call, of a script that was loaded by LOAD: port is its name,
 *          the body its arguments.  The call goes on when it is answered.
 *  DONE    Scalar: how long it took, ns.
 *  FAILED  Scalar: the code, negated.  Body: what; then a zero, and the
 *          traceback; then a zero and the exception's type; then a zero and
 * what it said.  With FRAME_HAS_NOT_RUN it may be tried elsewhere, and with
 * GBX_EAGAIN here, too, later.
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

#define FRAME_VERSION     1u
#define FRAME_SUBPROTOCOL "glovebox.1" /* Sec-WebSocket-Protocol */

#define FRAME_KINDS(X)                                                         \
    X(INPUT, 1, "client")                                                      \
    X(CANCEL, 2, "client")                                                     \
    X(OUTPUT, 3, "server")                                                     \
    X(DONE, 4, "server")                                                       \
    X(FAILED, 5, "server")                                                     \
    X(HELLO, 6, "both")                                                        \
    X(LOAD, 7, "client")                                                       \
    X(UNLOAD, 8, "client")                                                     \
    X(ANSWER, 9, "client")                                                     \
    X(LOADED, 10, "server")                                                    \
    X(PRINT, 11, "server")                                                     \
    X(ASK, 12, "server")

enum frame_kind {
#define X(name, value, from) FRAME_##name = value,
    FRAME_KINDS(X)
#undef X
};

#define FRAME_TYPED       1u /* GBX_TYPED */
#define FRAME_HAS_MESSAGE 2u
#define FRAME_RUNS        4u
#define FRAME_HAS_TIMEOUT 8u
#define FRAME_IS_ERROR    16u
#define FRAME_HAS_NOT_RUN 32u

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

/* A head that comes in pieces; all zero before it. */
struct frame_head {
    uint8_t bytes[FRAME_HEAD_MAX];
    size_t count;
};

/* The same of what has come: moves *data and *bytes on.  Returns 1: it is
 * whole; 0: there is more of it to come; or -1. */
int frame_take(struct frame_head *head, struct frame *frame,
               const uint8_t **data, size_t *bytes);

/* Write it.  Returns how long it is: at most FRAME_HEAD_MAX. */
size_t frame_write(const struct frame *frame, uint8_t head[FRAME_HEAD_MAX]);

#endif
