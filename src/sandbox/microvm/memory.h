/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - which host memory lies where in the guest's physical space.
 *
 *  memory_add(&memory, &range);           addresses, and a first part of them
 *  memory_reach(&memory, at, bytes);      more of them are the guest's, too
 *  host = memory_host(&memory, at, bytes);
 *
 * A list of ranges that do not overlap.  KVM is told only as much of each as
 * was reached so far, because what it keeps for a slot grows with the slot.
 * Everything the host does with guest memory starts here: an address that the
 * guest names becomes a pointer only by memory_host().
 *
 * Threads: the machine's.  Memory: the ranges' bytes are borrowed.
 */
#ifndef SANDBOX_MICROVM_MEMORY_H
#define SANDBOX_MICROVM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_PAGE_BYTES 4096u
#define MEMORY_HUGE_BYTES (2u << 20)
#define MEMORY_RANGES     8
#define MEMORY_END        (1ull << 40) /* of what a range may lie in */

struct memory_range {
    uint64_t at, bytes; /* guest-physical; whole pages */
    uint8_t *host;
    bool writable;  /* by the guest, and mapped so in the host */
    uint64_t there; /* how much of it is the guest's; 0: all of it */
};

struct memory {
    uint32_t count;
    bool stale; /* KVM could not be made to forget something */
    struct memory_range ranges[MEMORY_RANGES];
    /* Tells KVM of [from, to) of a range: 0 or GBX_EHOST.  NULL: nobody. */
    int (*extend)(void *context, const struct memory_range *range,
                  uint64_t from, uint64_t to);
    void *context;
};

/*
 * Returns 0; GBX_EARGUMENT where the range is not made of whole pages, overlaps
 * another or passes MEMORY_END; GBX_ELIMIT where there are too many; GBX_EHOST.
 */
int memory_add(struct memory *memory, const struct memory_range *range);

/*
 * Before the guest is shown [at, at + bytes), which lies in one range: twice as
 * much as before becomes its, or more.  Returns 0, GBX_EBOUNDS or GBX_EHOST.
 */
int memory_reach(struct memory *memory, uint64_t at, uint64_t bytes);

/* Returns where [at, at + bytes) is, or NULL unless one range has all of it. */
void *memory_host(const struct memory *memory, uint64_t at, uint64_t bytes);

/*
 * Make KVM forget how the guest reaches [at, at + bytes): whole pages.  Its
 * next access is looked up anew in its page tables.  The guest must stand
 * still, and no other thread of the host may write there meanwhile.
 * Returns 0; GBX_EBOUNDS; or GBX_EHOST, after which the machine is of no use:
 * the memory is stale, and may not be the host's to write any more.
 */
int memory_forget(struct memory *memory, uint64_t at, uint64_t bytes);

#endif
