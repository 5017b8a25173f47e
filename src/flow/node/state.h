/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what a node in C remembers, and what its questions are written in.
 *
 * Threads: the run's.  Memory: owned by its node; made by the first question.
 */
#ifndef FLOW_NODE_STATE_H
#define FLOW_NODE_STATE_H

#include "glovebox/message.h"
#include "store/store.h"

struct node_state {
    struct store store;
    struct gbx_builder question, answer; /* the last ones */
};

struct node_state *node_state_make(void); /* NULL: no memory */
void node_state_free(struct node_state *state);

#endif
