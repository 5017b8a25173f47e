/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/microvm/linux/space/areas.h"

#define ROOM_FIRST 64u

static void move_areas(void *object, size_t bytes, const struct heap_move *move)
{
    struct area *areas = object;

    for (size_t i = 0; i < bytes / sizeof(*areas); i++) {
        move_pointer(move, &areas[i].name);
        move_pointer(move, &areas[i].file);
    }
}

static const struct heap_type areas_type = {"areas", move_areas};

uint32_t areas_index(const struct space *space, uint64_t address)
{
    uint32_t low = 0, high = space->area_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (space->areas[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int areas_reserve(struct space *space, uint32_t more)
{
    uint32_t room = space->area_room;
    struct area *areas;

    if (space->area_count + more <= room)
        return 0;
    room = room == 0 ? ROOM_FIRST : 2 * room;
    areas = heap_resize(space->frames.heap, &areas_type, space->areas,
                        room * sizeof(*areas));
    if (areas == NULL)
        return -ENOMEM;
    space->areas = areas;
    space->area_room = room;
    return 0;
}

static struct area *open_at(struct space *space, uint32_t index)
{
    struct area *areas = space->areas;

    must(space->area_count < space->area_room);
    memmove(areas + index + 1, areas + index,
            (space->area_count - index) * sizeof(*areas));
    space->area_count++;
    return areas + index;
}

struct area *areas_insert(struct space *space, const struct area *area)
{
    struct area *place = open_at(space, areas_index(space, area->start));

    *place = *area;
    if (place->file != NULL)
        file_get(place->file);
    if (place->kind == AREA_SHARED && place->file->class->mapped != NULL)
        place->file->class->mapped(place->file, 1);
    return place;
}

static void drop_file(const struct area *area)
{
    if (area->kind == AREA_SHARED && area->file->class->mapped != NULL)
        area->file->class->mapped(area->file, -1);
    file_put(area->file);
}

void areas_cut(struct space *space, uint64_t address)
{
    uint32_t index = areas_index(space, address);
    struct area low, *high;

    if (index == space->area_count || space->areas[index].start >= address)
        return;
    low = space->areas[index];
    low.end = address;
    high = &space->areas[index];
    high->off += address - high->start;
    high->start = address;
    areas_insert(space, &low);
}

void areas_take_out(struct space *space, uint32_t first, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = first; i < first + count; i++)
        drop_file(&space->areas[i]);
    memmove(space->areas + first, space->areas + first + count,
            (space->area_count - first - count) * sizeof(*space->areas));
    space->area_count -= count;
}

static bool are_one(const struct area *a, const struct area *b)
{
    return a->end == b->start && a->kind == b->kind && a->access == b->access &&
           a->charged == b->charged && a->may_write == b->may_write &&
           a->name == b->name && a->file == b->file &&
           (a->kind == AREA_ANONYMOUS ||
            a->off + (a->end - a->start) == b->off);
}

void areas_merge(struct space *space, uint64_t from, uint64_t to)
{
    uint32_t index = areas_index(space, from == 0 ? 0 : from - 1);

    while (index + 1 < space->area_count && space->areas[index].end <= to) {
        struct area *area = &space->areas[index];

        if (!are_one(area, area + 1)) {
            index++;
            continue;
        }
        area->end = area[1].end;
        areas_take_out(space, index + 1, 1);
    }
}

uint64_t areas_hole(const struct space *space, uint64_t bytes, uint64_t below)
{
    uint32_t index = areas_index(space, below - 1);
    uint64_t end = below;

    if (index < space->area_count && space->areas[index].start < below)
        end = space->areas[index].start;
    for (;; index--) {
        uint64_t start = index == 0 ? SPACE_LOW : space->areas[index - 1].end;

        if (start < end && end - start >= bytes)
            return end - bytes;
        if (index == 0)
            return 0;
        end = space->areas[index - 1].start;
    }
}

bool areas_are_cut(const struct space *space, uint64_t address)
{
    uint32_t index = areas_index(space, address);

    return index < space->area_count && space->areas[index].start < address;
}

bool areas_are_free(const struct space *space, uint64_t address, uint64_t bytes)
{
    uint32_t index = areas_index(space, address);

    return index == space->area_count ||
           space->areas[index].start >= address + bytes;
}
