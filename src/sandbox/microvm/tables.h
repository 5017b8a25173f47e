/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - the guest's page tables, written by the host.
 *
 *   CR3 -> level 4 -> level 3 -> level 2 -> level 1 -> page of 4 KiB
 *          (root)                   \-> huge page of 2 MiB
 *
 *  tables_init(&tables, &memory, pool, pool_bytes);
 *  tables_map(&tables, va, physical, bytes, TABLES_READ | TABLES_USER);
 *  host = tables_reach(&tables, va, TABLES_READ | TABLES_USER, &bytes);
 *
 * The tables lie in a pool of guest-physical pages that no table maps, so the
 * guest cannot read or write them.  Whatever changes is in force when the
 * function returns: there is nothing to flush.
 *
 * Each 2 MiB of the guest's addresses are cut into pages, or are one huge page,
 * and stay so; the first map decides.  Nothing is ever mapped below
 * TABLES_LOW, or between TABLES_USER_END and the kernel's half.
 *
 * Threads: the machine's, while the guest stands still.
 */
#ifndef SANDBOX_MICROVM_TABLES_H
#define SANDBOX_MICROVM_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/microvm/memory.h"

#define TABLES_LOW      0x8000ull
#define TABLES_USER_END 0x7ffffffff000ull /* Linux's, too: see tables.c */
#define TABLES_KERNEL   0xffff800000000000ull

/* What may be done with a page; all need READ.  HUGE is for tables_map. */
enum tables_access {
    TABLES_READ = 1,
    TABLES_WRITE = 2,
    TABLES_EXEC = 4,
    TABLES_USER = 8, /* by ring 3, too */
    TABLES_HUGE = 16,
};

struct tables {
    struct memory *memory; /* borrowed */
    uint64_t root;         /* guest-physical: CR3 */
    uint64_t next, end;    /* guest-physical: what is left of the pool */
};

/*
 * Take [pool, pool + bytes) for tables; it must lie in one slot.
 * Returns 0, GBX_EBOUNDS or GBX_EMEMORY.
 */
int tables_init(struct tables *tables, struct memory *memory, uint64_t pool,
                uint64_t bytes);

/*
 * Map whole pages that are not mapped yet.  Returns 0; or, and nothing is
 * mapped, GBX_EARGUMENT (odd, mapped, out of range, of the other size) or
 * GBX_EMEMORY (the pool is empty).
 */
int tables_map(struct tables *tables, uint64_t va, uint64_t physical,
               uint64_t bytes, unsigned access);

/*
 * Change or end what is mapped in [va, va + bytes); what is not is left out.
 * Returns 0; GBX_EARGUMENT (also for a part of a huge page), and nothing has
 * changed; GBX_EHOST as memory_forget.
 */
int tables_protect(struct tables *tables, uint64_t va, uint64_t bytes,
                   unsigned access);
int tables_unmap(struct tables *tables, uint64_t va, uint64_t bytes);

/*
 * All leaves become what they were in `was`: a copy of the guest-physical
 * memory [0, was_bytes), with all tables that there were.  Those that were made
 * since stay, empty.
 * Returns 0; GBX_EARGUMENT where that cannot be (pages have become huge);
 * GBX_EHOST as memory_forget.  After either, the machine is of no more use.
 */
int tables_restore(struct tables *tables, const uint8_t *was,
                   uint64_t was_bytes);

/*
 * Where va is, if all that `access` asks may be done there.
 * Returns 0; or GBX_EBOUNDS, and *physical is 0.
 */
int tables_translate(const struct tables *tables, uint64_t va, unsigned access,
                     uint64_t *physical);

/*
 * The first address in [va, end) that is mapped, or end.  Takes no longer for
 * a large hole than for a small one.
 */
uint64_t tables_next(const struct tables *tables, uint64_t va, uint64_t end);

/*
 * The same as a pointer; *bytes is cut to what lies in the same page.
 * Returns NULL where translate fails or no slot is behind it.
 */
void *tables_reach(const struct tables *tables, uint64_t va, unsigned access,
                   uint64_t *bytes);

#endif
