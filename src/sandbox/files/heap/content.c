/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.c - a radix tree of 64-way tables; the lowest hold frames.
 *
 *   levels 2:  top --+-- [0] table --+-- [0] frame of page 0
 *                    |               +-- [5] frame of page 5
 *                    +-- [9] table ----- [1] frame of page 9 * 64 + 1
 *
 * It is as high as the last page needs.  Recursion goes no deeper than that:
 * nine levels have all 2^51 pages.
 *
 * What lies in frames behind the end of the file is zero, except while they are
 * mapped: the guest may write there.  So what becomes part of the file when it
 * grows is cleared then.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/files/heap/content.h"

#define PAGE       ((uint64_t)FRAME_BYTES)
#define WAYS_SHIFT 6u
#define WAYS       (1u << WAYS_SHIFT)
#define LEVELS_MAX 9u

struct content_table {
    union {
        struct content_table *table;
        uint64_t frame; /* physical + 1; 0: none */
    } slots[WAYS];
    uint32_t used;
};

/* How many pages fit under so many levels. */
static uint64_t pages_of(uint32_t levels)
{
    return levels == 0 ? 0 : 1ull << WAYS_SHIFT * levels;
}

static unsigned way(uint64_t index, uint32_t level)
{
    return (unsigned)(index >> WAYS_SHIFT * (level - 1)) % WAYS;
}

static uint64_t pages_for(uint64_t bytes)
{
    return bytes / PAGE + (bytes % PAGE != 0);
}

static bool has_room(const struct quota *quota, uint64_t bytes)
{
    return quota->used <= quota->limit && bytes <= quota->limit - quota->used;
}

/* Its pointers are moved by content_move, which knows its level. */
static const struct heap_type table_type = {.name = "content table"};

static struct content_table *make_table(struct quota *quota)
{
    struct content_table *table = NULL;

    if (has_room(quota, sizeof(*table)))
        table = heap_make(quota->frames->heap, &table_type, sizeof(*table));
    if (table != NULL)
        quota->used += sizeof(*table);
    return table;
}

static void free_table(struct quota *quota, struct content_table *table)
{
    quota->used -= sizeof(*table);
    heap_free(table);
}

static uint64_t find(const struct content *content, uint64_t index)
{
    const struct content_table *table = content->top;

    if (index >= pages_of(content->levels))
        return 0;
    for (uint32_t level = content->levels; level > 1 && table; level--)
        table = table->slots[way(index, level)].table;
    return table == NULL ? 0 : table->slots[way(index, 1)].frame;
}

/* Frames go back in runs, so that the host gets long ones. */
struct run {
    uint64_t at, count;
};

static void give_run(struct quota *quota, struct run *run)
{
    frames_give(quota->frames, run->at, run->count);
    quota->used -= run->count * PAGE;
    *run = (struct run){0};
}

static void give_frame(struct content *content, struct quota *quota,
                       struct run *run, uint64_t frame)
{
    uint64_t physical = frame - 1;

    content->frames--;
    if (run->count == 0 || run->at + run->count * PAGE != physical) {
        give_run(quota, run);
        run->at = physical;
    }
    run->count++;
}

/* Give what lies at `first` and behind, of a table whose pages begin at base.
 * Returns true when nothing is left. */
static bool cut(struct content *content, struct quota *quota, struct run *run,
                struct content_table *table, uint32_t level, uint64_t base,
                uint64_t first)
{
    uint64_t each = pages_of(level - 1);

    if (level == 1)
        each = 1;
    for (unsigned i = 0; i < WAYS && table->used > 0; i++) {
        uint64_t from = base + i * each;

        if (from + each <= first || table->slots[i].frame == 0)
            continue;
        if (level == 1) {
            give_frame(content, quota, run, table->slots[i].frame);
        } else {
            struct content_table *below = table->slots[i].table;

            if (!cut(content, quota, run, below, level - 1, from, first))
                continue;
            free_table(quota, below);
        }
        table->slots[i].frame = 0;
        table->used--;
    }
    return table->used == 0;
}

static void cut_from(struct content *content, struct quota *quota,
                     uint64_t first)
{
    struct run run = {0};

    if (content->top == NULL)
        return;
    if (cut(content, quota, &run, content->top, content->levels, 0, first)) {
        free_table(quota, content->top);
        content->top = NULL;
        content->levels = 0;
    }
    give_run(quota, &run);
}

/* High enough for a page.  An empty tree gets one table, however high. */
static bool make_high(struct content *content, struct quota *quota,
                      uint64_t index)
{
    while (content->top == NULL || index >= pages_of(content->levels)) {
        struct content_table *table = make_table(quota);

        if (table == NULL)
            return false;
        if (content->top != NULL) {
            table->slots[0].table = content->top;
            table->used = 1;
            content->levels++;
        } else {
            for (content->levels = 1; index >= pages_of(content->levels);)
                content->levels++;
        }
        content->top = table;
    }
    return true;
}

/* The lowest table for a page.  Where memory ends on the way, tables without
 * pages stay; the next cut takes them. */
static struct content_table *descend(struct content *content,
                                     struct quota *quota, uint64_t index)
{
    struct content_table *table;

    if (!make_high(content, quota, index))
        return NULL;
    table = content->top;
    for (uint32_t level = content->levels; level > 1; level--) {
        struct content_table **below = &table->slots[way(index, level)].table;

        if (*below == NULL) {
            *below = make_table(quota);
            if (*below == NULL)
                return NULL;
            table->used++;
        }
        table = *below;
    }
    return table;
}

/* Returns 0 and the page's frame, new ones zero; or -ENOSPC. */
static int reach(struct content *content, struct quota *quota, uint64_t index,
                 uint64_t *physical)
{
    uint64_t frame = find(content, index), count;
    struct content_table *table;

    if (frame == 0) {
        if (!has_room(quota, PAGE))
            return -ENOSPC;
        table = descend(content, quota, index);
        if (table == NULL || !has_room(quota, PAGE) ||
            frames_take(quota->frames, 1, physical, &count) < 0)
            return -ENOSPC;
        frame = *physical + 1;
        table->slots[way(index, 1)].frame = frame;
        table->used++;
        quota->used += PAGE;
        content->frames++;
    }
    *physical = frame - 1;
    return 0;
}

/* What of a table's frames is page `first` or more, but not `end`, is zero. */
static void clear(const struct quota *quota, const struct content_table *table,
                  uint32_t level, uint64_t base, uint64_t first, uint64_t end)
{
    uint64_t each = level == 1 ? 1 : pages_of(level - 1);

    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t from = base + i * each;

        if (from + each <= first || from >= end || table->slots[i].frame == 0)
            continue;
        if (level == 1)
            memset(frames_host(quota->frames, table->slots[i].frame - 1), 0,
                   PAGE);
        else
            clear(quota, table->slots[i].table, level - 1, from, first, end);
    }
}

/* What becomes part of the file now, and may have been written before. */
static void clear_until(struct content *content, const struct quota *quota,
                        uint64_t bytes)
{
    uint64_t tail = content->bytes % PAGE;
    uint64_t frame = find(content, content->bytes / PAGE);

    if (tail != 0 && frame != 0)
        memset((uint8_t *)frames_host(quota->frames, frame - 1) + tail, 0,
               PAGE - tail);
    if (content->has_more && content->top != NULL)
        clear(quota, content->top, content->levels, 0,
              pages_for(content->bytes), pages_for(bytes));
}

int content_resize(struct content *content, struct quota *quota, uint64_t bytes)
{
    if (bytes > CONTENT_BYTES_MAX)
        return -EFBIG;
    if (bytes > content->bytes) {
        clear_until(content, quota, bytes);
        content->bytes = bytes;
    } else if (bytes < content->bytes) {
        content->bytes = bytes;
        if (content->mapped > 0)
            content->has_more = true;
        else
            cut_from(content, quota, pages_for(bytes));
    }
    return 0;
}

int64_t content_read(const struct content *content, const struct quota *quota,
                     const struct iovec *pieces, int count, uint64_t position)
{
    uint64_t done = 0;

    for (int i = 0; i < count; i++) {
        uint8_t *to = pieces[i].iov_base;
        uint64_t left = pieces[i].iov_len;

        while (left > 0 && position < content->bytes) {
            uint64_t off = position % PAGE, n = PAGE - off;
            uint64_t frame = find(content, position / PAGE);

            n = n < left ? n : left;
            if (n > content->bytes - position)
                n = content->bytes - position;
            /* The guest may read a file into its own mapping of it. */
            if (frame == 0)
                memset(to, 0, n);
            else
                memmove(to,
                        (uint8_t *)frames_host(quota->frames, frame - 1) + off,
                        n);
            to += n, left -= n, position += n, done += n;
        }
    }
    return (int64_t)done;
}

int64_t content_write(struct content *content, struct quota *quota,
                      const struct iovec *pieces, int count, uint64_t position)
{
    uint64_t done = 0, physical;
    int rc = 0;

    for (int i = 0; i < count && rc == 0; i++) {
        const uint8_t *from = pieces[i].iov_base;
        uint64_t left = pieces[i].iov_len;

        while (left > 0) {
            uint64_t off = position % PAGE, n = PAGE - off;

            if (position >= CONTENT_BYTES_MAX)
                rc = -EFBIG;
            else
                rc = reach(content, quota, position / PAGE, &physical);
            if (rc < 0)
                break;
            n = n < left ? n : left;
            if (n > CONTENT_BYTES_MAX - position)
                n = CONTENT_BYTES_MAX - position;
            if (position + n > content->bytes)
                content_resize(content, quota, position + n);
            memmove((uint8_t *)frames_host(quota->frames, physical) + off, from,
                    n);
            from += n, left -= n, position += n, done += n;
        }
    }
    return done > 0 ? (int64_t)done : rc;
}

int content_page(struct content *content, struct quota *quota, uint64_t index,
                 uint64_t *physical)
{
    if (index >= pages_for(content->bytes))
        return -ENXIO;
    return reach(content, quota, index, physical);
}

void content_mapped(struct content *content, struct quota *quota, int more)
{
    must(more == 1 || (more == -1 && content->mapped > 0));
    content->mapped += (uint32_t)more;
    if (content->mapped > 0 || !content->has_more)
        return;
    content->has_more = false;
    cut_from(content, quota, pages_for(content->bytes));
}

void content_fini(struct content *content, struct quota *quota)
{
    must(content->mapped == 0);
    cut_from(content, quota, 0);
    must(content->frames == 0);
    *content = (struct content){0};
}

static void move_table(const struct heap_move *move,
                       struct content_table *table, uint32_t level)
{
    for (unsigned i = 0; level > 1 && i < WAYS; i++) {
        if (table->slots[i].table == NULL)
            continue;
        move_table(move, move_reach(move, table->slots[i].table), level - 1);
        move_pointer(move, &table->slots[i].table);
    }
}

void content_move(struct content *content, const struct heap_move *move)
{
    if (content->top == NULL)
        return;
    move_table(move, move_reach(move, content->top), content->levels);
    move_pointer(move, &content->top);
}
