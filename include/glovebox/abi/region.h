/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi/region.h - the memory that one sandbox shares with its host.
 *
 * A region is two halves of the same shape.  Each half is written by one side
 * alone: the guest maps the host's half read-only, so it cannot even try.  Both
 * lie side by side in one window of addresses, and every place in the region is
 * an offset from the window's start.
 *
 *  0                                half_bytes                twice that
 *  +--------------------------------+--------------------------------+
 *  | host half: the host writes     | guest half: the guest writes   |
 *  +--------------------------------+--------------------------------+
 *
 *  one half:
 *  0         4 KiB                12 KiB      20 KiB  2 MiB       half_bytes
 *  +---------+--------------------+-----------+-------+-----------------+
 *  | head    | ring: 128 messages | 1024      | (gap) | arena: blocks   |
 *  |         | of 64 bytes        | gives     |       | 64-byte aligned |
 *  +---------+--------------------+-----------+-------+-----------------+
 *                                                     |<- arena_bytes ->|
 *                                                      grows, never shrinks
 *
 * - The ring of a half carries descriptors (abi/message.h) to the other side.
 *   Each says itself that it was written: the n-th one (n = 0, 1, ...) lies in
 *   slot n % GBX_RING_SLOTS with lap (n / GBX_RING_SLOTS + 1) % 256, and the
 *   word with the lap is written last.  What was there before had the lap
 *   before, zero at first.
 * - The arena of a half holds the bodies they point at; its writer alone
 *   allocates in it.
 * - The gives of a half list blocks of the *other* half's arena that this side
 *   no longer needs.  There are as many places as an arena may have blocks, so
 *   giving never waits.
 *
 * Each half is a file in memory (memfd) sealed against shrinking.  Only the
 * host makes it longer; memory behind arena_bytes does not exist yet.
 */
#ifndef GBX_ABI_REGION_H
#define GBX_ABI_REGION_H

#include "glovebox/abi/base.h"

#define GBX_REGION_MAGIC 0x3178626776676278ull /* "xbgvgbx1", little-endian */

/* Where a guest program finds its region, whatever isolates it. */
#define GBX_REGION_ADDRESS 0x200000000000ull

/*
 * Where a guest that is a Linux process finds what it was born with, as file
 * descriptors.  Each is closed by the guest library before a script runs.
 */
#define GBX_FD_HOST_HALF  3 /* readable */
#define GBX_FD_GUEST_HALF 4 /* readable and writable */
#define GBX_FD_BELL       5 /* eventfd: adding 1 wakes the host */

#define GBX_RING_SLOTS   128u  /* descriptors in a ring; a power of two */
#define GBX_ARENA_BLOCKS 1024u /* live blocks in an arena; a power of two */
#define GBX_BLOCK_ALIGN  64u
#define GBX_HUGE_BYTES   (2u << 20) /* blocks this large start on such a line */
#define GBX_PAGED_BYTES  (64u << 10) /* blocks this large start on a page */
#define GBX_PAGE_BYTES   4096u

/* In the word `asleep`. */
#define GBX_ASLEEP      1u
#define GBX_WANTS_SPACE 2u /* reads and gives wake me, too */
#define GBX_SEEN_SHIFT  2u

#define GBX_RING_OFF  4096u
#define GBX_GIVES_OFF 12288u
#define GBX_ARENA_OFF (2u << 20)

/* Sizes of the window that a host may choose between. */
#define GBX_HALF_BYTES_MIN (4ull << 20)
#define GBX_HALF_BYTES_MAX (16ull << 30)

/*
 * The first page of a half.  Counters only grow and wrap at 2^32; a place in a
 * ring is its counter modulo the number of places.  One cache line a group, so
 * that what one side writes often never shares a line with what it reads.
 */
struct gbx_half_head {
    /* Written once, before the other side looks. */
    uint64_t magic;    /* GBX_REGION_MAGIC */
    uint32_t version;  /* GBX_ABI_VERSION of the writer */
    uint32_t reserved; /* 0 */
    uint64_t features; /* bits; none is defined in version 2 */
    uint64_t half_bytes;

    /* Descriptors of the peer's ring that I have read. */
    GBX_ALIGNED(64) GBX_SHARED(uint32_t) ring_head;

    /* Blocks of the peer's arena that I gave back. */
    GBX_ALIGNED(64) GBX_SHARED(uint32_t) give_tail;

    /*
     * 0 while I am awake.  While I sleep or am about to: GBX_ASLEEP,
     * GBX_WANTS_SPACE when I wait for room in my ring or arena, and, from
     * GBX_SEEN_SHIFT on, the peer's bell as I saw it.  Who then wrote what I
     * wait for rings, unless its bell has grown since I saw it.
     */
    GBX_ALIGNED(64) GBX_SHARED(uint32_t) asleep;

    /* The bell I ring for the peer: grows by one each time (futex word). */
    GBX_ALIGNED(64) GBX_SHARED(uint32_t) bell;

    /* How much of my arena exists. */
    GBX_ALIGNED(64) GBX_SHARED(uint64_t) arena_bytes;

    /* The host's wish: how long a guest spins before it sleeps. */
    GBX_SHARED(uint64_t) spin_ns;

    /* The guest's own account; informs, is never trusted. */
    GBX_SHARED(uint64_t) copied_bytes; /* bodies copied, all calls */

    /*
     * The host's, of a guest that began as a copy of another one's memory: a
     * number that no other copy has, and bytes that nobody else knows.  Both
     * change only while the guest sleeps.  When the number is another than
     * before, what the guest takes for chance is to be drawn anew.
     */
    GBX_ALIGNED(64) uint64_t copy;
    uint8_t seed[32];
};

GBX_ABI_SAYS(sizeof(struct gbx_half_head) == 448, "seven cache lines");
GBX_ABI_SAYS(sizeof(struct gbx_half_head) <= GBX_RING_OFF, "a page holds it");
GBX_ABI_SAYS(GBX_GIVES_OFF + GBX_ARENA_BLOCKS * 8 <= GBX_ARENA_OFF,
             "rings end before the arena");

#endif
