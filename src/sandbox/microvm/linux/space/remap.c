/* SPDX-License-Identifier: Apache-2.0 */
/* remap.c - mremap: pages change their addresses, not their frames. */
#include <errno.h>

#include "sandbox/microvm/linux/space/areas.h"

/* Move all pages of [from, from + bytes) to where nothing is mapped. */
static int move(struct space *space, const struct area *area, uint64_t from,
                uint64_t to, uint64_t bytes)
{
    uint64_t at = from, end = from + bytes, physical;

    for (; (at = tables_next(&space->tables, at, end)) < end;
         at += SPACE_PAGE_BYTES) {
        tables_translate(&space->tables, at, 0, &physical);
        if (tables_map(&space->tables, to + (at - from), physical,
                       SPACE_PAGE_BYTES, space_leaf(area->access)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The whole range lies in one area, of which it becomes all. */
static struct area *cut_out(struct space *space, uint64_t address,
                            uint64_t bytes)
{
    areas_cut(space, address);
    areas_cut(space, address + bytes);
    return space_find(space, address);
}

/* A new area elsewhere takes over what the old one has. */
static int64_t relocate(struct space *space, struct area old,
                        uint64_t new_bytes, bool fixed, uint64_t new_address)
{
    uint64_t bytes = old.end - old.start;
    uint64_t keep = bytes < new_bytes ? bytes : new_bytes;
    struct space_request request = {
        .address = new_address,
        .bytes = new_bytes,
        .access = 0, /* nothing is filled, nothing counted yet */
        .kind = old.kind,
        .fixed = fixed,
        .replace = true,
        .may_write = old.may_write,
        .name = old.name,
        .file = old.file,
        .off = old.off,
    };
    int64_t address = space_map(space, &request);
    struct area *area;

    if (address < 0)
        return address;
    /* It might have been merged with a neighbour without access. */
    area = cut_out(space, (uint64_t)address, new_bytes);
    if (move(space, &old, old.start, (uint64_t)address, keep) < 0) {
        /* Entries go, frames stay with the old addresses. */
        tables_unmap(&space->tables, (uint64_t)address, new_bytes);
        areas_take_out(space, (uint32_t)(area - space->areas), 1);
        return -ENOMEM;
    }
    area->access = old.access;
    area->charged = old.charged;
    if (old.charged)
        space->charged += new_bytes / SPACE_PAGE_BYTES;

    tables_unmap(&space->tables, old.start, keep);
    space_unmap(space, old.start, bytes);
    areas_merge(space, (uint64_t)address, (uint64_t)address + new_bytes);
    return address;
}

static bool can_grow(const struct space *space, uint64_t end, uint64_t more)
{
    return end + more <= TABLES_USER_END && areas_are_free(space, end, more);
}

static int64_t grow(struct space *space, struct area *area, uint64_t more,
                    bool may_move)
{
    uint64_t pages = more / SPACE_PAGE_BYTES, start = area->start;

    if (area->charged && pages > space->charged_max - space->charged) {
        space->met_limit = true;
        return -ENOMEM;
    }
    if (can_grow(space, area->end, more)) {
        area->end += more;
        if (area->charged)
            space->charged += pages;
        areas_merge(space, start, area->end);
        return (int64_t)start;
    }
    if (!may_move)
        return -ENOMEM;
    return relocate(space, *area, area->end - area->start + more, false, 0);
}

int64_t space_remap(struct space *space, uint64_t address, uint64_t bytes,
                    uint64_t new_bytes, bool may_move, bool fixed,
                    uint64_t new_address)
{
    struct area *area = space_find(space, address);
    int rc;

    if (address % SPACE_PAGE_BYTES != 0 || new_bytes == 0 || bytes == 0 ||
        new_bytes > TABLES_USER_END || bytes > TABLES_USER_END)
        return -EINVAL;
    if (area == NULL || area->start > address || area->end - address < bytes ||
        area->kind == AREA_PHYSICAL)
        return -EFAULT;
    if (fixed &&
        (!may_move || new_address % SPACE_PAGE_BYTES != 0 ||
         new_address > TABLES_USER_END - new_bytes ||
         (new_address < address + bytes && address < new_address + new_bytes)))
        return -EINVAL;
    if (space->area_count > SPACE_AREAS_MAX - 4)
        return -ENOMEM;
    if ((rc = areas_reserve(space, 10)) < 0)
        return rc;
    if (new_bytes < bytes) {
        rc = space_unmap(space, address + new_bytes, bytes - new_bytes);
        if (rc < 0)
            return rc;
        bytes = new_bytes;
        area = space_find(space, address);
    }
    if (!fixed && new_bytes == bytes)
        return (int64_t)address;
    area = cut_out(space, address, bytes);
    if (!fixed)
        return grow(space, area, new_bytes - bytes, may_move);
    if (area->charged && (new_bytes - bytes) / SPACE_PAGE_BYTES >
                             space->charged_max - space->charged) {
        space->met_limit = true;
        return -ENOMEM;
    }
    return relocate(space, *area, new_bytes, true, new_address);
}
