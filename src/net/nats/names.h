/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - calls through NATS: what lies where, and what messages look like.
 *
 *   caller                    NATS                         worker
 *     | glovebox.calls.<route> |  GLOVEBOX_CALLS             |
 *     |----------------------->|  each is there until it is  |
 *     |<-- stored.<serial> ----|  acknowledged               |
 *     |                        |---- pulled, by one -------->|
 *     |<---------------------- ask.<serial>, answered -------|
 *     |<-- result.<serial> ----|<------ result.<serial> -----|
 *     |                        |  GLOVEBOX_RESULTS           |
 *     |                        |---- stored ---------------->|
 *     |                        |<------------ acknowledged --|
 *
 * A caller is 32 hex digits, new for each connection of a host; all that is for
 * it comes on glovebox.to.<caller>.>, which it listens to.  So a result comes
 * at once, as it is published; it is in the stream too, where the caller looks
 * when it has been away.  A message is one of its calls, or several small ones
 * that were to be sent meanwhile: it has a serial number among the caller's.
 *
 *   Streams
 *   GLOVEBOX_CALLS    glovebox.calls.*        a work queue, on disk; refuses
 * what does not fit GLOVEBOX_RESULTS  glovebox.to.*.result.*  kept for an hour
 *   GLOVEBOX_BODIES   glovebox.bodies.*.*     kept for a day, or until read
 *   GLOVEBOX_DEAD     glovebox.dead.*         kept for a week
 *   GLOVEBOX_EDGES    glovebox.edges.*        flows' edges: edge/edge.h
 *   KV_glovebox-state        what actors remember: bucket/bucket.h
 *   KV_glovebox-scripts, KV_glovebox-nodes    buckets: what scripts there are,
 * by digest; who works, for 10 s
 *
 *   Subjects that are not stored
 *   glovebox.load.<route>    one worker is asked to load a script
 *   glovebox.status.<route>  all are to say at once who they are, in the bucket
 *   glovebox.cancel.<route>  all are told: "<caller>.<serial> <call>"
 *   glovebox.to.<caller>.    stored.<serial>  the server's acknowledgement
 *                            early.<serial>   results, of one that takes longer
 *                            ask.<serial>     an ASK, which is replied to; by
 *                                             nothing: it is being thought of
 *                            again.<serial>   what was in the stream
 *                            wanted.<serial>  which calls does it wait for?
 *                            loaded.<script>  LOADED or FAILED
 *   glovebox.worker.<worker>.>                the same for a worker
 *   glovebox.pulled.<worker>                  messages that it has asked for
 *
 *   Headers of a message of calls
 *   Nats-Msg-Id      <caller>.<serial>: the server takes it once
 *   Glovebox-From    the same
 *   Glovebox-Frames  the version of its frames
 *   Glovebox-Script  SHA-256 of what LOAD carried, in hex: "#..." is that one
 *   Glovebox-Wait    ms: the longest that a call of it may take, and wait
 *   Glovebox-Body    <bytes> <SHA-256>: the payload lies in GLOVEBOX_BODIES, in
 *                    pieces glovebox.bodies.<caller>-<serial>.<0...>
 *
 * The payload is frames (net/frame.h), one behind the other: of each call its
 * INPUTs, the first with its actor, the last with FRAME_RUNS.  A result's is,
 * of each call, what was sent and printed, and then DONE or FAILED; its only
 * headers are Nats-Msg-Id and Glovebox-Body (as calls; pieces
 * <...>-<serial>-r). An ASK has Glovebox-Attempt: how often its message has
 * been delivered. A dead letter has all that the message had, and Glovebox-Why.
 *
 * Nobody's clock is compared with another's to decide that a call is too late:
 * its caller measures, and takes it back.  A worker asks the caller (wanted)
 * where a message seems to be too old, or comes again.
 */
#ifndef NET_NATS_NAMES_H
#define NET_NATS_NAMES_H

#define NATS_CALLS   "GLOVEBOX_CALLS"
#define NATS_RESULTS "GLOVEBOX_RESULTS"
#define NATS_BODIES  "GLOVEBOX_BODIES"
#define NATS_DEAD    "GLOVEBOX_DEAD"
#define NATS_SCRIPTS "KV_glovebox-scripts"
#define NATS_NODES   "KV_glovebox-nodes"
#define NATS_EDGES   "GLOVEBOX_EDGES"
#define NATS_STATE   "KV_glovebox-state"

#define NATS_MESSAGE_ID "Nats-Msg-Id"
#define NATS_FROM       "Glovebox-From"
#define NATS_FRAMES     "Glovebox-Frames"
#define NATS_SCRIPT     "Glovebox-Script"
#define NATS_WAIT       "Glovebox-Wait"
#define NATS_BODY       "Glovebox-Body"
#define NATS_ATTEMPT    "Glovebox-Attempt"
#define NATS_WHY        "Glovebox-Why"
#define NATS_EDGE_BODY  "Glovebox-Edge-Body"

#define NATS_ID_CHARS     32u  /* a caller's or worker's, in hex */
#define NATS_DIGEST_CHARS 64u  /* SHA-256 in hex */
#define NATS_ROUTE_MAX    32u  /* bytes of a route's name */
#define NATS_SUBJECT_MAX  160u /* bytes of one of ours */
#define NATS_CALLS_MAX    32u  /* in one message */
#define NATS_PIECE_BYTES  (512u << 10)
#define NATS_HEAD_BYTES   4096u /* a payload's limit is for headers too */
#define NATS_NODE_MS      2000u /* a worker says what it is */
#define NATS_NODE_AWAY_MS 10000u

#endif
