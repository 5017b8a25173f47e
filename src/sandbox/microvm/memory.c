/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - ranges, and how KVM is made to forget.
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

static int extend(struct memory *memory, struct memory_range *range,
                  uint64_t from, uint64_t to)
{
    int rc = memory->extend == NULL
                 ? 0
                 : memory->extend(memory->context, range, from, to);

    if (rc == 0)
        range->there = to;
    return rc;
}

int memory_add(struct memory *memory, const struct memory_range *range)
{
    struct memory_range *mine = &memory->ranges[memory->count];
    int rc;

    if (!is_whole(range->at) || !is_whole(range->bytes) || range->bytes == 0 ||
        !is_whole((uintptr_t)range->host) || range->bytes > MEMORY_END ||
        range->at > MEMORY_END - range->bytes || !is_whole(range->there) ||
        range->there > range->bytes)
        return GBX_EARGUMENT;
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct memory_range *other = &memory->ranges[i];

        if (range->at < other->at + other->bytes &&
            other->at < range->at + range->bytes)
            return GBX_EARGUMENT;
    }
    if (memory->count == MEMORY_RANGES)
        return GBX_ELIMIT;
    *mine = *range;
    rc = extend(memory, mine, 0, mine->there == 0 ? mine->bytes : mine->there);
    memory->count += rc == 0;
    return rc;
}

static const struct memory_range *find(const struct memory *memory, uint64_t at,
                                       uint64_t bytes)
{
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct memory_range *range = &memory->ranges[i];

        if (at >= range->at && at - range->at < range->bytes &&
            bytes <= range->bytes - (at - range->at)) /* cannot wrap */
            return range;
    }
    return NULL;
}

int memory_reach(struct memory *memory, uint64_t at, uint64_t bytes)
{
    const struct memory_range *found = find(memory, at, bytes);
    struct memory_range *range;
    uint64_t end;

    if (found == NULL)
        return GBX_EBOUNDS;
    range = &memory->ranges[found - memory->ranges];
    end = at - range->at + bytes;
    if (end <= range->there)
        return 0;
    end = (end + MEMORY_HUGE_BYTES - 1) & ~(MEMORY_HUGE_BYTES - 1ull);
    if (end < 2 * range->there)
        end = 2 * range->there;
    if (end > range->bytes)
        end = range->bytes;
    return extend(memory, range, range->there, end);
}

void *memory_host(const struct memory *memory, uint64_t at, uint64_t bytes)
{
    const struct memory_range *range = find(memory, at, bytes);

    return range == NULL ? NULL : range->host + (at - range->at);
}

int memory_forget(struct memory *memory, uint64_t at, uint64_t bytes)
{
    const struct memory_range *range = find(memory, at, bytes);
    int usual, other;
    uint8_t *host;

    if (range == NULL || !is_whole(at) || !is_whole(bytes))
        return GBX_EBOUNDS;
    usual = range->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    other = range->writable ? PROT_READ : PROT_NONE;
    host = range->host + (at - range->at);
    if (mprotect(host, bytes, other) == 0 && mprotect(host, bytes, usual) == 0)
        return 0;
    memory->stale = true;
    return GBX_EHOST;
}
