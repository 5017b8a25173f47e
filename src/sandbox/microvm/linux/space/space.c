/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c - mapping, unmapping, and the other calls on a guest's addresses.
 *
 * Each reserves room for the areas that it may add before it changes anything,
 * so that running out of memory leaves all as it was.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/error.h"
#include "sandbox/microvm/linux/space/areas.h"

/* Anonymous memory up to this length is made when it is mapped. */
#define POPULATE_BYTES (1u << 20)
#define POPULATE_MAX   (16u << 20) /* where it is asked for: it takes time */

int space_open(struct space *space, struct heap *heap, struct memory *memory,
               uint64_t tables_at, uint64_t tables_bytes, uint64_t at,
               uint64_t bytes)
{
    int rc;

    *space = (struct space){.memory = memory, .top = TABLES_USER_END};
    rc = tables_init(&space->tables, memory, tables_at, tables_bytes);
    if (rc == 0)
        frames_init(&space->frames, heap, memory_host(memory, at, bytes), at,
                    bytes);
    return rc;
}

void space_clear(struct space *space)
{
    areas_take_out(space, 0, space->area_count);
}

void space_close(struct space *space)
{
    space_clear(space);
    heap_free(space->areas);
    frames_fini(&space->frames);
    *space = (struct space){0};
}

void space_move(struct space *space, const struct heap_move *move)
{
    move_pointer(move, &space->frames.taken);
    move_pointer(move, &space->frames.used);
    move_pointer(move, &space->frames.heap);
    move_pointer(move, &space->areas);
}

void space_unbind(struct space *space)
{
    space->memory = space->tables.memory = NULL;
    space->frames.host = NULL;
    memset(space->windows, 0, sizeof(space->windows));
}

void space_bind(struct space *space, struct memory *memory, uint64_t at,
                uint64_t bytes)
{
    space->memory = space->tables.memory = memory;
    space->frames.host = memory_host(memory, at, bytes);
}

struct area *space_find(struct space *space, uint64_t address)
{
    uint32_t index = areas_index(space, address);

    return index == space->area_count ? NULL : &space->areas[index];
}

static bool is_range(uint64_t address, uint64_t bytes)
{
    return bytes > 0 && address >= SPACE_LOW && address < TABLES_USER_END &&
           bytes <= TABLES_USER_END - address;
}

static int charge(struct space *space, uint64_t bytes)
{
    uint64_t pages = bytes / SPACE_PAGE_BYTES;

    if (pages > space->charged_max - space->charged) {
        space->met_limit = true;
        return -ENOMEM;
    }
    space->charged += pages;
    return 0;
}

static void discharge(struct space *space, uint64_t bytes)
{
    space->charged -= bytes / SPACE_PAGE_BYTES;
}

/* Would an area of this kind count with this access? */
static bool counts(enum area_kind kind, unsigned access)
{
    return kind == AREA_ANONYMOUS
               ? access != 0
               : kind == AREA_FILE && (access & TABLES_WRITE) != 0;
}

static int64_t choose(const struct space *space,
                      const struct space_request *request)
{
    uint64_t address = request->address & ~(SPACE_PAGE_BYTES - 1ull);

    if (request->fixed)
        return is_range(address, request->bytes) ? (int64_t)address : -ENOMEM;
    if (is_range(address, request->bytes) &&
        areas_are_free(space, address, request->bytes))
        return (int64_t)address;
    if (request->bytes >= TABLES_USER_END)
        return -ENOMEM;
    address = areas_hole(space, request->bytes, space->top);
    /* Then 2 MiB pages of the host may lie well for it. */
    if (address != 0 && request->bytes >= MEMORY_HUGE_BYTES &&
        areas_are_free(space, address & ~(MEMORY_HUGE_BYTES - 1ull),
                       request->bytes) &&
        address >= SPACE_LOW + MEMORY_HUGE_BYTES)
        address &= ~(MEMORY_HUGE_BYTES - 1ull);
    return address == 0 ? -ENOMEM : (int64_t)address;
}

/* Pages that would not be charged any more, if the range were unmapped. */
static uint64_t charged_in(const struct space *space, uint64_t from,
                           uint64_t to)
{
    uint64_t bytes = 0;

    for (uint32_t i = areas_index(space, from);
         i < space->area_count && space->areas[i].start < to; i++) {
        const struct area *area = &space->areas[i];

        if (area->charged)
            bytes += (area->end < to ? area->end : to) -
                     (area->start > from ? area->start : from);
    }
    return bytes / SPACE_PAGE_BYTES;
}

/* Will there be room, when what is in the way is gone? */
static int check_map(struct space *space, const struct space_request *request,
                     const struct area *area)
{
    uint64_t pages = request->bytes / SPACE_PAGE_BYTES;

    if (request->fixed && !request->replace &&
        !areas_are_free(space, area->start, request->bytes))
        return -EEXIST;
    if (space->area_count >= SPACE_AREAS_MAX)
        return -ENOMEM;
    if (area->charged &&
        pages > space->charged_max - space->charged +
                    charged_in(space, area->start, area->end)) {
        space->met_limit = true;
        return -ENOMEM;
    }
    return areas_reserve(space, 3);
}

int64_t space_map(struct space *space, const struct space_request *request)
{
    int64_t address = choose(space, request);
    struct area area = {
        .kind = (uint8_t)request->kind,
        .access = (uint8_t)request->access,
        .charged = counts(request->kind, request->access),
        .may_write = request->may_write,
        .name = request->name,
        .file = request->file,
        .off = request->off,
    };
    uint64_t start, filled = POPULATE_BYTES;
    struct area *made;
    int rc;

    if (address < 0)
        return address;
    area.start = start = (uint64_t)address;
    area.end = start + request->bytes;
    if ((rc = check_map(space, request, &area)) < 0)
        return rc;
    if (!areas_are_free(space, start, request->bytes) &&
        (rc = space_unmap(space, start, request->bytes)) < 0)
        return rc;
    if (area.charged)
        must(charge(space, request->bytes) == 0);
    made = areas_insert(space, &area);
    if (area.kind == AREA_PHYSICAL &&
        (rc = space_fill(space, made, made->start, made->end)) < 0) {
        areas_take_out(space, (uint32_t)(made - space->areas), 1);
        return rc;
    }
    if (request->populate)
        filled = POPULATE_MAX;
    else if (area.kind != AREA_ANONYMOUS || request->bytes > POPULATE_BYTES)
        filled = 0;
    if (filled > request->bytes)
        filled = request->bytes;
    if (area.kind != AREA_PHYSICAL && area.access != 0)
        space_fill(space, made, start, start + filled); /* if it can be */
    areas_merge(space, start, area.end);
    return address;
}

int space_unmap(struct space *space, uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;
    uint32_t first, last;
    int rc;

    if (address % SPACE_PAGE_BYTES != 0 || bytes == 0 ||
        bytes > TABLES_USER_END || address > TABLES_USER_END - bytes)
        return -EINVAL;
    if (space->area_count >= SPACE_AREAS_MAX && areas_are_cut(space, address) &&
        areas_are_cut(space, end) &&
        areas_index(space, address) == areas_index(space, end))
        return -ENOMEM; /* one would become two */
    if ((rc = areas_reserve(space, 2)) < 0)
        return rc;
    areas_cut(space, address);
    areas_cut(space, end);
    first = areas_index(space, address);
    for (last = first;
         last < space->area_count && space->areas[last].start < end; last++) {
        struct area *area = &space->areas[last];

        if ((rc = space_empty(space, area, area->start, area->end)) < 0)
            break;
        if (area->charged)
            discharge(space, area->end - area->start);
    }
    areas_take_out(space, first, last - first);
    if (rc < 0) /* no part of a huge page goes alone */
        areas_merge(space, address, end);
    return rc;
}

/* May all of [address, end) become `access`, and what would be charged? */
static int check_protect(const struct space *space, uint64_t address,
                         uint64_t end, unsigned access, uint64_t *charges)
{
    uint64_t at = address;

    *charges = 0;
    for (uint32_t i = areas_index(space, address); at < end; i++) {
        const struct area *area = &space->areas[i];
        uint64_t part;

        if (i == space->area_count || area->start > at)
            return -ENOMEM;
        part = (area->end < end ? area->end : end) - at;
        if ((access & TABLES_WRITE) != 0 && area->kind != AREA_ANONYMOUS &&
            !area->may_write)
            return -EACCES;
        if (!area->charged && counts(area->kind, access))
            *charges += part;
        at += part;
    }
    return 0;
}

/* An area gets its new access; its pages, too.  There is room to charge it. */
static int protect(struct space *space, struct area *area, unsigned access)
{
    uint64_t bytes = area->end - area->start;

    if (area->access != access && tables_protect(&space->tables, area->start,
                                                 bytes, space_leaf(access)) < 0)
        return -ENOMEM;
    area->access = (uint8_t)access;
    if (area->charged || !counts(area->kind, access))
        return 0;
    /* Its frames change hands, so to speak. */
    for (uint64_t at = area->start;
         area->kind == AREA_FILE &&
         (at = tables_next(&space->tables, at, area->end)) < area->end;
         at += SPACE_PAGE_BYTES)
        space->file_pages--;
    area->charged = true;
    must(charge(space, bytes) == 0);
    return 0;
}

int space_protect(struct space *space, uint64_t address, uint64_t bytes,
                  unsigned access)
{
    uint64_t end = address + bytes, charges;
    int rc;

    if (bytes == 0)
        return 0;
    if (!is_range(address, bytes))
        return -ENOMEM;
    if ((rc = check_protect(space, address, end, access, &charges)) < 0 ||
        (rc = areas_reserve(space, 2)) < 0)
        return rc;
    if (charges / SPACE_PAGE_BYTES > space->charged_max - space->charged) {
        space->met_limit = true;
        return -ENOMEM;
    }
    if (space->area_count >= SPACE_AREAS_MAX &&
        (areas_are_cut(space, address) || areas_are_cut(space, end)))
        return -ENOMEM;
    areas_cut(space, address);
    areas_cut(space, end);
    for (uint32_t i = areas_index(space, address);
         rc == 0 && i < space->area_count && space->areas[i].start < end; i++)
        rc = protect(space, &space->areas[i], access);
    areas_merge(space, address, end);
    return rc;
}

int space_discard(struct space *space, uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;
    int rc = 0;

    if (bytes == 0)
        return 0;
    if (!is_range(address, bytes))
        return -ENOMEM;
    for (uint32_t i = areas_index(space, address);
         rc == 0 && i < space->area_count && space->areas[i].start < end; i++) {
        const struct area *area = &space->areas[i];

        if (area->kind < AREA_SHARED)
            rc = space_empty(space, area,
                             area->start > address ? area->start : address,
                             area->end < end ? area->end : end);
    }
    return rc;
}

uint64_t space_brk(struct space *space, uint64_t end)
{
    const uint64_t mask = SPACE_PAGE_BYTES - 1ull;
    uint64_t old = (space->brk + mask) & ~mask, new = (end + mask) & ~mask;
    struct space_request request = {
        .address = old,
        .bytes = new - old,
        .access = TABLES_READ | TABLES_WRITE,
        .kind = AREA_ANONYMOUS,
        .fixed = true,
        .populate = true,
        .name = "[heap]",
    };

    if (end < space->brk_start || end > space->brk_max)
        return space->brk;
    if (new > old && space_map(space, &request) < 0)
        return space->brk;
    if (new < old && space_unmap(space, new, old - new) < 0)
        return space->brk;
    return space->brk = end;
}
