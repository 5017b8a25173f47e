/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - who has which block of an arena; known to its writer alone.
 *
 * The table is private memory, so a peer can neither read nor spoil it.  Blocks
 * are few (GBX_ARENA_BLOCKS at most) and mostly die young: a table sorted by
 * offset, first fit, keeps the low, already touched pages in use.
 *
 * Every block has holders of two sorts; it is free when there is none left:
 *
 *   take -> mine 1, peers 0            hold: mine + 1     drop: mine - 1
 *   lend -> mine 0, peers 1            give: peers - 1 (the peer did it)
 *   pass -> mine 1, peers 1            (the peer sent it to me)
 *
 * What the peer holds is counted apart, so that a peer can give back only what
 * it was lent.
 *
 * Offsets here are from the arena's start, which lies on a GBX_HUGE_BYTES line
 * of the region.  Threads: the owner's.
 */
#ifndef CHANNEL_ARENA_H
#define CHANNEL_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "glovebox/abi/region.h"

struct arena {
    uint64_t bytes; /* how much of it exists */
    uint32_t count;
    uint32_t lent; /* all peers; at most GBX_ARENA_BLOCKS, as gives has room */
    /* Told where each block lay that becomes free; NULL: nobody is.  It leaves
     * the arena alone. */
    void (*freed)(void *context, uint64_t off);
    void *freed_context;
    struct arena_block {
        uint64_t off, bytes;
        uint32_t mine, peers; /* holders */
    } blocks[GBX_ARENA_BLOCKS];
};

void arena_init(struct arena *arena, uint64_t bytes);

/*
 * A new block, held by me; it starts on a line as abi/region.h says.  Returns 0
 * and *off; else GBX_EARENA and *wanted:
 * the length of arena that would do now, 0 when the table is full.
 */
int arena_take(struct arena *arena, uint64_t bytes, uint64_t *off,
               uint64_t *wanted);

/* The same, but only where all blocks lie before end, or begin there. */
bool arena_take_below(struct arena *arena, uint64_t end, uint64_t bytes,
                      uint64_t *off);

/*
 * These find the live block that contains all of [off, off + bytes); those
 * without bytes, the one around off.  They return 0; or GBX_EBOUNDS where there
 * is no such block, or nobody who could hold, drop, lend, give, pass or trim
 * it.
 * lend also returns GBX_EARENA, when GBX_ARENA_BLOCKS are lent.
 */
int arena_hold(struct arena *arena, uint64_t off, uint64_t bytes);
int arena_drop(struct arena *arena, uint64_t off);
/* The block that begins at off, which nobody else holds, is only so long: not
 * longer than it was. */
int arena_trim(struct arena *arena, uint64_t off, uint64_t bytes);
int arena_lend(struct arena *arena, uint64_t off, uint64_t bytes);
int arena_give(struct arena *arena, uint64_t off);
int arena_pass(struct arena *arena, uint64_t off, uint64_t bytes);

#endif
