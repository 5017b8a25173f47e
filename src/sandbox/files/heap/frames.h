/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - memory that a guest has, cut into pages to hand out: of a virtual
 * machine its physical memory, elsewhere what holds its files.
 *
 * The host gives memory only where a frame is touched, so frames that nobody
 * ever took cost nothing.  A frame is zero when it is taken.
 *
 *  frames_take(&frames, 512, &physical, &count);
 *  memcpy(frames_host(&frames, physical), ...);
 *  frames_give(&frames, physical, count);
 *
 * Threads: its owner's.
 * Memory:  two bits a frame, as far as any was taken; in the heap.
 */
#ifndef SANDBOX_FILES_HEAP_FRAMES_H
#define SANDBOX_FILES_HEAP_FRAMES_H

#include <stdint.h>

#include "sandbox/files/heap/heap.h"

#define FRAME_BYTES 4096u

struct frames {
    uint8_t *host;     /* borrowed: private memory, zero at first */
    uint64_t at;       /* guest-physical; or any */
    uint64_t count;    /* of frames in all */
    uint64_t free;     /* of them */
    uint64_t next;     /* where to look first */
    uint64_t known;    /* of them have bits; the others were never taken */
    uint64_t *taken;   /* bits, owned */
    uint64_t *used;    /* bits: not zero any more, owned */
    struct heap *heap; /* borrowed */
};

void frames_init(struct frames *frames, struct heap *heap, uint8_t *host,
                 uint64_t at, uint64_t bytes);
void frames_fini(struct frames *frames); /* idempotent; all-zero allowed */

/*
 * Take up to `wanted` frames that lie side by side; at least one.
 * Returns 0 and *count, or -ENOMEM.
 */
int frames_take(struct frames *frames, uint64_t wanted, uint64_t *physical,
                uint64_t *count);

/*
 * Nobody reaches them any more (tables_unmap came first).  Many together go
 * back to the host.
 */
void frames_give(struct frames *frames, uint64_t physical, uint64_t count);

/* The first of at most `max` that lie side by side and are taken, from an
 * index on; how many: 0 where there are no more. */
uint64_t frames_taken(const struct frames *frames, uint64_t from, uint64_t max,
                      uint64_t *first);

/* Where they are. */
void *frames_host(const struct frames *frames, uint64_t physical);

#endif
