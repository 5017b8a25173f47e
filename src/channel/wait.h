/* SPDX-License-Identifier: Apache-2.0 */
/* wait.h - how a channel waits for its peer and wakes it; see wait.c. */
#ifndef CHANNEL_WAIT_H
#define CHANNEL_WAIT_H

#include "channel/channel.h"

/* 1 when it is so, 0 when it is not yet, or a code.  Reads with seq_cst. */
typedef int wait_fn(struct channel *channel);

/*
 * Until ready says 1.  why: GBX_WANTS_SPACE or 0.
 * Returns 0; GBX_ETIME; ready's code; or the code that ended the channel.
 */
int wait_until(struct channel *channel, wait_fn *ready, uint32_t why,
               uint64_t deadline_ns);

/*
 * Put my flag up, unless it is ready by now.  Returns what ready says: with 0
 * the flag is up and *seen is set, else it is down.
 */
int wait_announce(struct channel *channel, wait_fn *ready, uint32_t why,
                  uint32_t *seen);
void wait_awake(struct channel *channel);

/*
 * I published (with seq_cst) what a peer that sleeps for `what` waits for:
 * 0 a descriptor, GBX_WANTS_SPACE a descriptor read or a block given.
 */
void wait_ring(struct channel *channel, uint32_t what);

#endif
