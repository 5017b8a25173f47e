/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill.c - pages are made, and go.
 *
 * An exit costs as much as some hundred entries of a table, and an entry whose
 * frame nobody touches costs the host no memory.  So a first touch makes all
 * pages of the 2 MiB around it (of a file, 64 KiB: they must be read), as far
 * as the area goes.
 */
#include <errno.h>
#include <string.h>

#include "sandbox/microvm/linux/space/areas.h"

/* The next stretch in [*at, to) without pages.  False: there is none. */
static bool next_gap(const struct space *space, uint64_t *at, uint64_t *end,
                     uint64_t to)
{
    uint64_t physical;

    while (*at < to && tables_translate(&space->tables, *at, 0, &physical) == 0)
        *at += SPACE_PAGE_BYTES;
    for (*end = *at; *end < to; *end += SPACE_PAGE_BYTES)
        if (tables_translate(&space->tables, *end, 0, &physical) == 0)
            break;
    return *at < to;
}

static int map(struct space *space, const struct area *area, uint64_t at,
               uint64_t physical, uint64_t bytes)
{
    return tables_map(&space->tables, at, physical, bytes,
                      space_leaf(area->access)) < 0
               ? -ENOMEM
               : 0;
}

/* Read a stretch of the file.  Behind its end is nothing: -ENXIO. */
static int read_pages(const struct area *area, uint64_t at, void *to,
                      uint64_t *bytes)
{
    uint64_t position = area->off + (at - area->start), done = 0;
    int64_t got = 0;

    do {
        struct iovec piece = {(char *)to + done, *bytes - done};

        got = area->file->class->read(area->file, &piece, 1, &position);
        if (got > 0)
            done += (uint64_t)got;
    } while (got > 0 && done < *bytes);
    if (got < 0)
        return -EIO;
    memset((char *)to + done, 0, *bytes - done);
    *bytes = (done + SPACE_PAGE_BYTES - 1) & ~(SPACE_PAGE_BYTES - 1ull);
    return *bytes == 0 ? -ENXIO : 0;
}

/* A stretch [at, at + bytes) gets frames of its own; cut to what it got. */
static int fill_own(struct space *space, struct area *area, uint64_t at,
                    uint64_t *bytes)
{
    uint64_t physical, count, got;
    int rc = 0;

    if (!area->charged &&
        space->file_pages + *bytes / SPACE_PAGE_BYTES > space->file_pages_max) {
        space->met_limit = true;
        return -ENOMEM;
    }
    if (frames_take(&space->frames, *bytes / SPACE_PAGE_BYTES, &physical,
                    &count) < 0) {
        space->met_limit = true;
        return -ENOMEM;
    }
    *bytes = got = count * SPACE_PAGE_BYTES;
    if (area->kind == AREA_FILE)
        rc = read_pages(area, at, frames_host(&space->frames, physical), &got);
    if (rc == 0)
        rc = map(space, area, at, physical, got);
    if (rc < 0)
        got = 0;
    else if (!area->charged)
        space->file_pages += got / SPACE_PAGE_BYTES;
    if (got < *bytes)
        frames_give(&space->frames, physical + got,
                    (*bytes - got) / SPACE_PAGE_BYTES);
    return rc;
}

static int fill_shared(struct space *space, const struct area *area,
                       uint64_t at)
{
    uint64_t index = (area->off + (at - area->start)) / SPACE_PAGE_BYTES;
    uint64_t physical;
    int64_t size = area->file->class->size(area->file);
    int rc;

    if (size < 0 || index > (uint64_t)size / SPACE_PAGE_BYTES ||
        index * SPACE_PAGE_BYTES >= (uint64_t)size)
        return -ENXIO;
    rc = area->file->class->page(area->file, index, &physical);
    return rc < 0 ? rc : map(space, area, at, physical, SPACE_PAGE_BYTES);
}

/* How much of an area of the region there is by now. */
static uint64_t there(const struct space *space, const struct area *area)
{
    uint64_t bytes = area->end - area->start;

    for (size_t i = 0; i < 2; i++) {
        const struct space_window *window = &space->windows[i];
        uint64_t off = area->off - window->at, end;

        if (off >= window->bytes)
            continue;
        end = window->touchable(window);
        end = (end + MEMORY_HUGE_BYTES - 1) & ~(MEMORY_HUGE_BYTES - 1ull);
        if (off >= end)
            return 0;
        return bytes < end - off ? bytes : end - off;
    }
    return bytes;
}

/* Pages of one size for what has none in [from, to) of an area. */
static int fill_sized(struct space *space, const struct area *area,
                      uint64_t from, uint64_t to, uint64_t page,
                      unsigned access)
{
    uint64_t physical, end;

    for (; from < to; from = end) {
        for (end = from; end < to; end += page)
            if (tables_translate(&space->tables, end, 0, &physical) == 0)
                break;
        if (end > from &&
            tables_map(&space->tables, from, area->off + (from - area->start),
                       end - from, access) < 0)
            return -ENOMEM;
        while (end < to &&
               tables_translate(&space->tables, end, 0, &physical) == 0)
            end += page;
    }
    return 0;
}

/* Huge pages; where there were others before, those: each 2 MiB are cut for
 * good (tables.h). */
static int fill_huge(struct space *space, const struct area *area,
                     uint64_t from, uint64_t to)
{
    unsigned access = space_leaf(area->access);
    int rc = fill_sized(space, area, from, to, MEMORY_HUGE_BYTES,
                        access | TABLES_HUGE);

    if (rc == 0)
        return 0;
    for (rc = 0; rc == 0 && from < to; from += MEMORY_HUGE_BYTES) {
        uint64_t end = from + MEMORY_HUGE_BYTES;

        if (fill_sized(space, area, from, end, MEMORY_HUGE_BYTES,
                       access | TABLES_HUGE) < 0)
            rc = fill_sized(space, area, from, end, SPACE_PAGE_BYTES, access);
    }
    return rc;
}

/* The region, in huge pages where it lies well for them. */
static int fill_physical(struct space *space, const struct area *area)
{
    uint64_t end = area->start + there(space, area), huge = area->start;
    int rc;

    if (area->start % MEMORY_HUGE_BYTES == 0 &&
        area->off % MEMORY_HUGE_BYTES == 0)
        huge = end & ~(MEMORY_HUGE_BYTES - 1ull);
    rc = fill_huge(space, area, area->start, huge);
    if (rc == 0)
        rc = fill_sized(space, area, huge, end, SPACE_PAGE_BYTES,
                        space_leaf(area->access));
    return rc;
}

int space_fill(struct space *space, struct area *area, uint64_t from,
               uint64_t to)
{
    uint64_t at = from, end;
    int rc = 0;

    if (area->kind == AREA_PHYSICAL)
        return fill_physical(space, area);
    while (rc == 0 && next_gap(space, &at, &end, to)) {
        uint64_t bytes = end - at;

        if (area->kind == AREA_SHARED) {
            bytes = SPACE_PAGE_BYTES;
            rc = fill_shared(space, area, at);
        } else {
            rc = fill_own(space, area, at, &bytes);
        }
        at += bytes;
    }
    return rc;
}

int space_fault(struct space *space, uint64_t address, unsigned access)
{
    struct area *area = space_find(space, address);
    uint64_t around, from, to, physical;
    int rc;

    if (area == NULL || area->start > address)
        return -EFAULT;
    if ((area->access & access) != access || area->access == 0)
        return -EACCES;
    if (tables_translate(&space->tables, address, 0, &physical) == 0)
        return 0; /* KVM looks anew */
    if (area->kind == AREA_PHYSICAL) {
        rc = space_fill(space, area, area->start, area->end);
        if (rc == 0 &&
            tables_translate(&space->tables, address, 0, &physical) < 0)
            rc = -ENXIO; /* behind the end of the region */
        return rc;
    }
    around = area->kind == AREA_ANONYMOUS ? SPACE_FILL_BYTES : SPACE_READ_BYTES;
    if (area->kind == AREA_SHARED)
        around = SPACE_PAGE_BYTES;
    from = address & ~(around - 1);
    to = from + around;
    from = from < area->start ? area->start : from;
    to = to > area->end ? area->end : to;
    rc = space_fill(space, area, from, to);
    if (rc == 0 || tables_translate(&space->tables, address, 0, &physical) == 0)
        return 0;
    /* What lies around may not be had; only this page matters. */
    from = address & ~(SPACE_PAGE_BYTES - 1ull);
    return space_fill(space, area, from, from + SPACE_PAGE_BYTES);
}

/* Frames that follow each other are given together. */
struct run {
    uint64_t physical, bytes;
};

static void give(struct space *space, const struct area *area, struct run *run)
{
    uint64_t pages = run->bytes / SPACE_PAGE_BYTES;

    if (pages == 0 || area->kind >= AREA_SHARED)
        return;
    if (!area->charged)
        space->file_pages -= pages;
    frames_give(&space->frames, run->physical, pages);
    run->bytes = 0;
}

int space_empty(struct space *space, const struct area *area, uint64_t from,
                uint64_t to)
{
    struct run runs[512];
    uint64_t at = from, physical;
    size_t count;

    /* First out of the tables, then into other hands. */
    while (at < to) {
        uint64_t start = at;

        for (count = 0; area->kind < AREA_SHARED &&
                        (at = tables_next(&space->tables, at, to)) < to;
             at += SPACE_PAGE_BYTES) {
            tables_translate(&space->tables, at, 0, &physical);
            if (count > 0 &&
                runs[count - 1].physical + runs[count - 1].bytes == physical) {
                runs[count - 1].bytes += SPACE_PAGE_BYTES;
                continue;
            }
            if (count == sizeof(runs) / sizeof(*runs))
                break;
            runs[count++] = (struct run){physical, SPACE_PAGE_BYTES};
        }
        if (area->kind >= AREA_SHARED)
            at = to;
        if (tables_unmap(&space->tables, start, at - start) < 0)
            return -ENOMEM;
        for (size_t i = 0; i < count; i++)
            give(space, area, &runs[i]);
    }
    return 0;
}
