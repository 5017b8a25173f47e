/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - slots, and how KVM is made to forget.
 *
 * The host writes the guest's page tables behind KVM's back.  Adding to them is
 * noticed by itself: there was nothing, the guest faults, the tables are
 * walked.  Narrowing is not: with nested paging the processor has the old entry
 * in its TLB, and a shadow MMU has it in the tables it made from ours, which it
 * believes to be in step because it saw no guest write to them.  Loading CR3
 * does not help there: KVM takes a load of the same value for no change, and
 * looks again only at tables it saw being written.
 *
 * What every KVM must honour is a change of the *host's* mapping: the pages
 * might be swapped out or copied.  So the host's protection of just these pages
 * is taken away and put back.  All of KVM's ways to them are dropped, TLBs are
 * flushed, and the next access walks the tables.  It takes two system calls, no
 * exit, and needs nothing of the guest.  (Refused: deleting and adding a slot,
 * which works too, but drops everything; a stub with invlpg, which costs
 * an exit or more, and does not work under a shadow MMU, for the same reason.)
 */
#include <stddef.h>
#include <sys/mman.h>

#include "glovebox/error.h"

#include "sandbox/microvm/memory.h"

static bool is_whole(uint64_t value)
{
    return value % MEMORY_PAGE_BYTES == 0;
}

int memory_add(struct memory *memory, const struct memory_slot *slot)
{
    if (!is_whole(slot->at) || !is_whole(slot->bytes) || slot->bytes == 0 ||
        !is_whole((uintptr_t)slot->host) || slot->bytes > MEMORY_END ||
        slot->at > MEMORY_END - slot->bytes)
        return GBX_EARGUMENT;
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct memory_slot *other = &memory->slots[i];

        if (slot->at < other->at + other->bytes &&
            other->at < slot->at + slot->bytes)
            return GBX_EARGUMENT;
    }
    if (memory->count == MEMORY_SLOTS)
        return GBX_ELIMIT;
    memory->slots[memory->count++] = *slot;
    return 0;
}

static const struct memory_slot *find(const struct memory *memory, uint64_t at,
                                      uint64_t bytes)
{
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct memory_slot *slot = &memory->slots[i];

        if (at >= slot->at && at - slot->at < slot->bytes &&
            bytes <= slot->bytes - (at - slot->at)) /* cannot wrap */
            return slot;
    }
    return NULL;
}

void *memory_host(const struct memory *memory, uint64_t at, uint64_t bytes)
{
    const struct memory_slot *slot = find(memory, at, bytes);

    return slot == NULL ? NULL : slot->host + (at - slot->at);
}

int memory_forget(const struct memory *memory, uint64_t at, uint64_t bytes)
{
    const struct memory_slot *slot = find(memory, at, bytes);
    int usual, other;
    uint8_t *host;

    if (slot == NULL || !is_whole(at) || !is_whole(bytes))
        return GBX_EBOUNDS;
    usual = slot->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    other = slot->writable ? PROT_READ : PROT_NONE;
    host = slot->host + (at - slot->at);
    if (mprotect(host, bytes, other) < 0)
        return GBX_EHOST;
    return mprotect(host, bytes, usual) < 0 ? GBX_EHOST : 0;
}
