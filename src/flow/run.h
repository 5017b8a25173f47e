/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - one run of a node, and what it sends.
 *
 * Threads: the worker's.
 * Memory:  what is sent lies in the worker's outbox until it is full or the run
 *          is over; then each reader is locked once for all that it gets.
 */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include "flow/flow.h"

struct out {
    const struct wire *wire; /* of the wiring that the run holds */
    struct packet packet;
};

struct outbox {
    uint32_t count;
    uint64_t number; /* of the next time that it is emptied; no other has it */
    struct out outs[64];
};

struct gbx_actor {
    struct gbx_flow *flow;
    struct flow_node *node;
    struct worker *worker;
    struct wiring *wiring; /* held by the run */
    struct packet *inputs; /* in the batch */
    const uint32_t *ports; /* of them */
    uint32_t input_count, room_count;
    struct body *rooms[GBX_ACTOR_ROOMS_MAX]; /* owned until the run is over */
    char reason[GBX_ERROR_TEXT_MAX];         /* why it failed; "" */
    char *traceback;              /* owned until that is told, or NULL */
    struct store_journal journal; /* what the run has changed in the state */
};

/* To all wires of the port.  body: where the message's lies, or NULL: it is
 * copied, if somebody reads it later.  Returns 0; GBX_ELIMIT, GBX_ECANCELED,
 * GBX_EHOST. */
int run_send(struct gbx_actor *actor, uint32_t outport,
             const struct gbx_message *message, struct body *body);

/* state.c: what the run has changed stays, if it ended well and nothing is in
 * the way.  Returns the run's code. */
int run_settle(struct gbx_actor *actor, int rc);

/* What has been sent goes now.  is_last: the run is over. */
void run_flush(struct gbx_actor *actor, bool is_last);

/* What is left of a batch is nobody's: letters. */
void run_return(struct flow_node *node, struct flow_batch *batch,
                const char *reason);

#endif
