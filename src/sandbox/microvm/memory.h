/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - which host memory lies where in the guest's physical space.
 *
 * A list of slots that do not overlap, as KVM was told them.  Everything the
 * host does with guest memory starts here: an address that the guest names
 * becomes a pointer only by memory_host().
 *
 * Threads: the machine's.  Memory: the slots' bytes are borrowed.
 */
#ifndef SANDBOX_MICROVM_MEMORY_H
#define SANDBOX_MICROVM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_PAGE_BYTES 4096u
#define MEMORY_HUGE_BYTES (2u << 20)
#define MEMORY_SLOTS      16
#define MEMORY_END        (1ull << 40) /* of what a slot may lie in */

struct memory_slot {
    uint64_t at, bytes; /* guest-physical; whole pages */
    uint8_t *host;
    bool writable; /* by the guest, and mapped so in the host */
};

struct memory {
    uint32_t count;
    struct memory_slot slots[MEMORY_SLOTS];
};

/*
 * Returns 0; GBX_EARGUMENT where the slot is not made of whole pages, overlaps
 * another or passes MEMORY_END; GBX_ELIMIT where there are too many.
 */
int memory_add(struct memory *memory, const struct memory_slot *slot);

/* Returns where [at, at + bytes) is, or NULL unless one slot has all of it. */
void *memory_host(const struct memory *memory, uint64_t at, uint64_t bytes);

/*
 * Make KVM forget how the guest reaches [at, at + bytes): whole pages.  Its
 * next access is looked up anew in its page tables.  The guest must stand
 * still, and no other thread of the host may write there meanwhile.
 * Returns 0; GBX_EBOUNDS; or GBX_EHOST, after which the machine is of no use.
 */
int memory_forget(const struct memory *memory, uint64_t at, uint64_t bytes);

#endif
