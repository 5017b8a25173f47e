/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch.h - memory that lives as long as one call.
 *
 * A block reserved once is handed out from its start; what does not fit is
 * allocated and chained.  One reset frees it all, so nobody frees pieces.
 *
 *  scratch_open(&scratch, 64 << 10);
 *  copy = scratch_take(&scratch, bytes);      no allocation while it fits
 *  scratch_reset(&scratch);
 *  scratch_close(&scratch);
 *
 * Threads: the owner's.
 */
#ifndef BASE_SCRATCH_H
#define BASE_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

struct scratch_more;

struct scratch {
    uint8_t *bytes; /* owned */
    size_t room, used;
    struct scratch_more *more; /* owned: what did not fit */
};

int scratch_open(struct scratch *scratch, size_t room);
void scratch_close(struct scratch *scratch); /* idempotent */

/* Returns 16-byte aligned memory until reset, or NULL without memory. */
void *scratch_take(struct scratch *scratch, size_t bytes);

/* A terminated copy of `bytes` bytes, or NULL. */
char *scratch_text(struct scratch *scratch, const void *text, size_t bytes);

void scratch_reset(struct scratch *scratch);

#endif
