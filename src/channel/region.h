/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.h - the host's side of a region's memory (abi/region.h): two sealed
 * memfds, mapped next to each other, each grown by the host alone.
 *
 *  region_open(&region, half_bytes, &err);
 *  ... region.base[off], give the fds to a backend ...
 *  region_close(&region);
 *
 * Threads: open and close alone; grow by the channel's owner.
 * Memory:  nothing is allocated; the window costs addresses, not memory, until
 *          an arena grows.
 */
#ifndef CHANNEL_REGION_H
#define CHANNEL_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/abi/region.h"
#include "glovebox/error.h"

enum half { HALF_HOST, HALF_GUEST, HALF_COUNT };

struct keep;

struct region {
    uint8_t *base; /* owned mapping of the whole window, or NULL */
    uint64_t half_bytes;
    int fd[HALF_COUNT];               /* owned memfds, or -1 */
    int host_read_fd;                 /* owned: the host half, read-only */
    uint64_t arena_bytes[HALF_COUNT]; /* private truth about what exists */
    struct keep *keep; /* of bodies that outlive their call, or NULL: keep.h */
};

#define REGION_NONE                                                            \
    {                                                                          \
        .fd = {-1, -1}, .host_read_fd = -1                                     \
    }

/*
 * half_bytes is rounded up to 2 MiB and must lie between GBX_HALF_BYTES_MIN and
 * _MAX.  Heads are written, arenas have their first 2 MiB.
 * Returns 0; GBX_ELIMIT (RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_NOFILE: named),
 * GBX_EUNSUPPORTED (no /proc), GBX_EHOST.
 */
int region_open(struct region *region, uint64_t half_bytes,
                struct gbx_error *err);
/* Idempotent.  Bodies that are kept keep the memory. */
void region_close(struct region *region);

/*
 * Make an arena at least `bytes` long; doubles, so that it is seldom called.
 * Returns 0; GBX_ELIMIT when the window or RLIMIT_FSIZE is too small; or
 * GBX_EHOST.
 */
int region_grow(struct region *region, enum half half, uint64_t bytes);

/*
 * An arena is `bytes` long, also if it was longer: then the rest of the file is
 * nobody's until it grows again.  With nobody else looking.  Returns as grow.
 */
int region_set(struct region *region, enum half half, uint64_t bytes);

/* How many bytes of memory it takes. */
uint64_t region_held(const struct region *region);

/*
 * A copy of a guest will find that it is one (abi/region.h): a number and a
 * seed.  While it sleeps, or is not there yet.  Returns 0 or GBX_EHOST.
 */
int region_seed(struct region *region);

/*
 * All memory back to the state after open, with nobody else using it.  The
 * descriptors keep their numbers, but a half that had grown is a new file: a
 * guest must map both anew.
 * Returns 0; or GBX_EHOST or GBX_ELIMIT, then there is nothing but close.
 */
int region_reset(struct region *region);

#endif
