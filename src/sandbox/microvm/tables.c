/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c - four levels of 512 entries.
 *
 *  63  62      52 51                         12 11  9  8 7 6 5 4 3 2 1 0
 *  +---+---------+-----------------------------+-----+-+-+-+-+---+-+-+-+
 *  |NX |    0    | physical page               |soft |0|S|D|A| 0 |U|W|P|
 *  +---+---------+-----------------------------+-----+-+-+-+-+---+-+-+-+
 *
 * An entry above the last level, once written, never changes: permissions are
 * told by leaves alone, an empty table is not given back, and 2 MiB that were
 * huge once may only be huge again (the soft bit CUT_HUGE stays when the page
 * goes).  The reason is a shadow MMU: it keeps tables of its own for each of
 * ours, and is told only of pages that change (memory.c), not of tables that
 * become something else.
 *
 * Accessed and dirty are set from the start; nobody reads them, and KVM need
 * not stop the guest at its first write to tell us.
 *
 * The last page of the lower half is never mapped: a system call in its last
 * two bytes would return to an address that is none, and some processors fault
 * on that only after they have entered ring 0 with the guest's stack.
 */
#include <stddef.h>
#include <string.h>

#include "glovebox/error.h"

#include "base/check.h"
#include "sandbox/microvm/tables.h"

#define PRESENT  (1ull << 0)
#define WRITE    (1ull << 1)
#define USER     (1ull << 2)
#define ACCESSED (1ull << 5)
#define DIRTY    (1ull << 6)
#define SIZE     (1ull << 7)
#define CUT_HUGE (1ull << 9)
#define NO_EXEC  (1ull << 63)
#define ADDRESS  0x000ffffffffff000ull

#define LEVELS  4
#define ENTRIES 512

static const unsigned all_access =
    TABLES_READ | TABLES_WRITE | TABLES_EXEC | TABLES_USER;

static uint64_t *table_at(const struct tables *tables, uint64_t physical)
{
    uint64_t *table = memory_host(tables->memory, physical, MEMORY_PAGE_BYTES);

    must(table != NULL); /* only we write addresses of tables */
    return table;
}

static int take_table(struct tables *tables, uint64_t *physical)
{
    if (tables->next == tables->end)
        return GBX_EMEMORY;
    if (memory_reach(tables->memory, tables->next, MEMORY_PAGE_BYTES) < 0)
        return GBX_EHOST;
    *physical = tables->next;
    tables->next += MEMORY_PAGE_BYTES;
    memset(table_at(tables, *physical), 0, MEMORY_PAGE_BYTES);
    return 0;
}

int tables_init(struct tables *tables, struct memory *memory, uint64_t pool,
                uint64_t bytes)
{
    *tables =
        (struct tables){.memory = memory, .next = pool, .end = pool + bytes};
    if (pool % MEMORY_PAGE_BYTES != 0 || bytes % MEMORY_PAGE_BYTES != 0 ||
        memory_host(memory, pool, bytes) == NULL)
        return GBX_EBOUNDS;
    return take_table(tables, &tables->root);
}

static uint64_t *entry_of(uint64_t *table, uint64_t va, int level)
{
    return &table[(va >> (12 + 9 * (level - 1))) % ENTRIES];
}

static uint64_t bytes_at(int level)
{
    return 1ull << (12 + 9 * (level - 1));
}

/* The entry that decides on va, present or not, and its level. */
static uint64_t *find(const struct tables *tables, uint64_t va, int *level)
{
    uint64_t *table = table_at(tables, tables->root);

    for (*level = LEVELS;; --*level) {
        uint64_t *entry = entry_of(table, va, *level);

        if (*level == 1 || (*entry & PRESENT) == 0 || (*entry & CUT_HUGE) != 0)
            return entry;
        table = table_at(tables, *entry & ADDRESS);
    }
}

/* As find, but makes the tables on the way.  NULL when the pool is empty. */
static uint64_t *make(struct tables *tables, uint64_t va, int leaf)
{
    uint64_t *table = table_at(tables, tables->root);

    for (int level = LEVELS;; level--) {
        uint64_t *entry = entry_of(table, va, level);
        uint64_t physical;

        if (level == leaf || (*entry & CUT_HUGE) != 0)
            return entry;
        if ((*entry & PRESENT) == 0) {
            if (take_table(tables, &physical) < 0)
                return NULL;
            *entry = physical | PRESENT | WRITE | USER | ACCESSED;
        }
        table = table_at(tables, *entry & ADDRESS);
    }
}

static uint64_t leaf_bits(unsigned access)
{
    uint64_t bits = ACCESSED | DIRTY;

    if ((access & TABLES_READ) != 0)
        bits |= PRESENT;
    if ((access & TABLES_WRITE) != 0)
        bits |= WRITE;
    if ((access & TABLES_USER) != 0)
        bits |= USER;
    if ((access & TABLES_EXEC) == 0)
        bits |= NO_EXEC;
    return bits;
}

/* Whole pages, in one half, nothing at 0. */
static bool is_range(uint64_t va, uint64_t bytes, uint64_t page)
{
    if (va % page != 0 || bytes % page != 0 || bytes == 0)
        return false;
    if (va >= TABLES_KERNEL) /* the very last page is left free */
        return bytes < -va;
    return va >= TABLES_LOW && va < TABLES_USER_END &&
           bytes <= TABLES_USER_END - va;
}

int tables_map(struct tables *tables, uint64_t va, uint64_t physical,
               uint64_t bytes, unsigned access)
{
    int leaf = (access & TABLES_HUGE) != 0 ? 2 : 1;
    uint64_t page = bytes_at(leaf);
    uint64_t bits = leaf_bits(access) | (leaf == 2 ? SIZE | CUT_HUGE : 0);
    int rc;

    if (!is_range(va, bytes, page) || physical % page != 0 ||
        bytes > MEMORY_END || physical > MEMORY_END - bytes ||
        (access & ~(all_access | TABLES_HUGE)) != 0 ||
        (access & TABLES_READ) == 0)
        return GBX_EARGUMENT;
    if (memory_host(tables->memory, physical, bytes) != NULL &&
        (rc = memory_reach(tables->memory, physical, bytes)) < 0)
        return rc;
    /* Two rounds, so that a map that fails has mapped nothing. */
    for (uint64_t at = 0; at < bytes; at += page) {
        uint64_t *entry = make(tables, va + at, leaf);

        if (entry == NULL)
            return GBX_EMEMORY;
        if ((*entry & PRESENT) != 0 || (leaf == 1 && (*entry & CUT_HUGE) != 0))
            return GBX_EARGUMENT;
    }
    for (uint64_t at = 0; at < bytes; at += page)
        *make(tables, va + at, leaf) = (physical + at) | bits;
    return 0;
}

#define STRETCHES_MAX 16u

/*
 * Pages that follow each other are forgotten together.  Each stretch is two
 * system calls; so of more than STRETCHES_MAX the rest is forgotten with all
 * that lies between, which is only slower for whoever uses that.
 */
struct forgotten {
    uint64_t at, bytes;
    unsigned stretches;
};

static bool may_join(const struct tables *tables, const struct forgotten *gone,
                     uint64_t at, uint64_t bytes)
{
    uint64_t low = at < gone->at ? at : gone->at;
    uint64_t end = gone->at + gone->bytes;

    end = at + bytes > end ? at + bytes : end;
    return gone->bytes != 0 && bytes != 0 &&
           (gone->at + gone->bytes == at || gone->stretches > STRETCHES_MAX) &&
           memory_host(tables->memory, low, end - low) != NULL;
}

static int forget(const struct tables *tables, struct forgotten *gone,
                  uint64_t at, uint64_t bytes)
{
    struct forgotten before = *gone;

    if (may_join(tables, gone, at, bytes)) {
        uint64_t end = before.at + before.bytes;

        gone->at = at < before.at ? at : before.at;
        gone->bytes = (at + bytes > end ? at + bytes : end) - gone->at;
        return 0;
    }
    *gone = (struct forgotten){at, bytes, before.stretches + 1};
    /* What no slot is behind of, KVM does not remember either. */
    if (before.bytes == 0 ||
        memory_host(tables->memory, before.at, before.bytes) == NULL)
        return 0;
    return memory_forget(tables->memory, before.at, before.bytes);
}

/* Leaves in [va, va + bytes) become `bits` of the same page. */
static int change(struct tables *tables, uint64_t va, uint64_t bytes,
                  uint64_t bits)
{
    struct forgotten gone = {0};
    int level, rc, first = 0;
    uint64_t step;

    for (uint64_t off = 0; off < bytes; off += step) {
        uint64_t *entry = find(tables, va + off, &level);
        uint64_t page = bytes_at(level), was = *entry;

        step = page - (va + off) % page;
        if ((was & PRESENT) == 0)
            continue;
        *entry = (was & (SIZE | CUT_HUGE)) | bits;
        if ((bits & PRESENT) != 0)
            *entry |= was & ADDRESS;
        rc = forget(tables, &gone, was & ADDRESS, page);
        first = first < 0 ? first : rc;
    }
    rc = forget(tables, &gone, 0, 0);
    return first < 0 ? first : rc;
}

/* True when a huge page in [va, va + bytes) begins before or ends behind. */
static bool cuts_huge(const struct tables *tables, uint64_t va, uint64_t bytes)
{
    uint64_t ends[] = {va, va + bytes};
    int level;

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        uint64_t inner = i == 0 ? ends[i] : ends[i] - 1;

        if (ends[i] % MEMORY_HUGE_BYTES != 0 &&
            (*find(tables, inner, &level) & PRESENT) != 0 && level == 2)
            return true;
    }
    return false;
}

int tables_protect(struct tables *tables, uint64_t va, uint64_t bytes,
                   unsigned access)
{
    if (!is_range(va, bytes, MEMORY_PAGE_BYTES) ||
        (access & ~all_access) != 0 || (access & TABLES_READ) == 0 ||
        cuts_huge(tables, va, bytes))
        return GBX_EARGUMENT;
    return change(tables, va, bytes, leaf_bits(access));
}

int tables_unmap(struct tables *tables, uint64_t va, uint64_t bytes)
{
    if (!is_range(va, bytes, MEMORY_PAGE_BYTES) || cuts_huge(tables, va, bytes))
        return GBX_EARGUMENT;
    return change(tables, va, bytes, 0);
}

/* What a restore knows on its way down. */
struct restore {
    struct tables *tables;
    const uint8_t *was;
    uint64_t was_bytes;
    struct forgotten gone;
};

/* The table as it was, or NULL: there was none. */
static const uint64_t *table_was(const struct restore *restore, uint64_t entry)
{
    uint64_t at = entry & ADDRESS;

    if ((entry & PRESENT) == 0 || at > restore->was_bytes - MEMORY_PAGE_BYTES)
        return NULL;
    return (const uint64_t *)(const void *)(restore->was + at);
}

static int restore_leaf(struct restore *restore, uint64_t *entry, uint64_t was,
                        int level)
{
    uint64_t is = *entry, page = bytes_at(level);

    if (is == was || ((is | was) & PRESENT) == 0)
        return 0; /* what was huge, stays so */
    *entry = was != 0 ? was : is & (SIZE | CUT_HUGE);
    if ((is & PRESENT) == 0)
        return 0;
    return forget(restore->tables, &restore->gone, is & ADDRESS, page);
}

static int restore_table(struct restore *restore, uint64_t *table,
                         const uint64_t *was, int level)
{
    int rc = 0;

    if (level == 1 && was != NULL && memcmp(table, was, MEMORY_PAGE_BYTES) == 0)
        return 0;
    for (unsigned i = 0; i < ENTRIES && rc == 0; i++) {
        uint64_t is = table[i], before = was == NULL ? 0 : was[i];
        bool is_table = level > 1 && (is & PRESENT) != 0 && (is & SIZE) == 0;

        if (is_table && (before & SIZE) != 0)
            return GBX_EARGUMENT;
        if (is_table)
            rc = restore_table(restore, table_at(restore->tables, is & ADDRESS),
                               table_was(restore, before), level - 1);
        else if (is != before)
            rc = restore_leaf(restore, &table[i], before, level);
    }
    return rc;
}

int tables_restore(struct tables *tables, const uint8_t *was,
                   uint64_t was_bytes)
{
    struct restore restore = {tables, was, was_bytes, {0}};
    int rc = restore_table(&restore, table_at(tables, tables->root),
                           table_was(&restore, tables->root | PRESENT), LEVELS);
    int last = forget(tables, &restore.gone, 0, 0);

    return rc < 0 ? rc : last;
}

int tables_translate(const struct tables *tables, uint64_t va, unsigned access,
                     uint64_t *physical)
{
    uint64_t entry;
    int level;

    *physical = 0;
    if (va >= TABLES_USER_END && va < TABLES_KERNEL)
        return GBX_EBOUNDS;
    entry = *find(tables, va, &level);
    if ((entry & PRESENT) == 0 ||
        ((access & TABLES_WRITE) != 0 && (entry & WRITE) == 0) ||
        ((access & TABLES_USER) != 0 && (entry & USER) == 0) ||
        ((access & TABLES_EXEC) != 0 && (entry & NO_EXEC) != 0))
        return GBX_EBOUNDS;
    *physical = (entry & ADDRESS) + va % bytes_at(level);
    return 0;
}

uint64_t tables_next(const struct tables *tables, uint64_t va, uint64_t end)
{
    int level;

    while (va < end) {
        if ((*find(tables, va, &level) & PRESENT) != 0)
            return va;
        va += bytes_at(level) - va % bytes_at(level);
    }
    return end;
}

void *tables_reach(const struct tables *tables, uint64_t va, unsigned access,
                   uint64_t *bytes)
{
    uint64_t left = MEMORY_PAGE_BYTES - va % MEMORY_PAGE_BYTES;
    uint64_t physical;

    if (tables_translate(tables, va, access, &physical) < 0)
        return NULL;
    if (*bytes > left)
        *bytes = left;
    return memory_host(tables->memory, physical, *bytes);
}
