/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - one slot of a ring, which says itself whether it was written.
 *
 *  sender                                reader
 *  ring_put(slots, n, &descriptor)       ring_get(slots, n, &copy)
 *
 * n is how many were sent before, and picks the slot.  The lap in the slot
 * (abi/region.h) is stored last and looked at first, so a message costs one
 * cache line that goes from one processor to the other, and no counter beside
 * it.
 *
 * Threads: the writer of the ring's half puts, the other side gets.
 */
#ifndef CHANNEL_RING_H
#define CHANNEL_RING_H

#include <stdint.h>

#include "glovebox/abi/message.h"
#include "glovebox/abi/region.h"

/* What was in the slot has been read.  The lap, and what is zero, are not the
 * descriptor's. */
void ring_put(struct gbx_descriptor *slots, uint32_t n,
              const struct gbx_descriptor *d);

/*
 * Is the n-th message there?  Returns 1; 0; or GBX_EBROKEN when the slot holds
 * a lap that an honest sender cannot have written.
 * get also copies it, unchecked, lap 0: each word is loaded once.
 */
int ring_look(const struct gbx_descriptor *slots, uint32_t n);
int ring_get(const struct gbx_descriptor *slots, uint32_t n,
             struct gbx_descriptor *copy);

#endif
