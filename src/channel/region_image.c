/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region_image.c - a memfd tells where it has memory (SEEK_DATA): the rest was
 * never touched, or given back.
 *
 * Put back, a few pages are written where they are; where there are many, the
 * memory goes back to the host: to make it anew is cheaper than to clear it,
 * and the sandbox does not keep what one large message needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/zero.h"
#include "channel/region_image.h"

#define PAGE        4096u
#define CLEARED_MAX (64u * PAGE) /* of a half, without giving memory back */

static uint8_t *half_at(const struct region *region, enum half half)
{
    return region->base + (half == HALF_GUEST ? region->half_bytes : 0);
}

/*
 * The next stretch with memory that begins in [*off, limit), cut to it.
 * Returns 1; 0 where there is none; GBX_EHOST: who cannot look must not take
 * it for empty.
 */
static int next_data(int fd, uint64_t *off, uint64_t *end, uint64_t limit)
{
    off_t data = *off < limit ? lseek(fd, (off_t)*off, SEEK_DATA) : -1, hole;

    if (data < 0)
        return *off >= limit || errno == ENXIO ? 0 : GBX_EHOST;
    hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
        return GBX_EHOST;
    *off = (uint64_t)data;
    *end = (uint64_t)hole < limit ? (uint64_t)hole : limit;
    return *off < limit;
}

static int add_part(struct region_image *image, uint64_t off,
                    const uint8_t *from, uint64_t bytes)
{
    struct region_part *parts = reallocarray(
        image->parts, image->part_count + 1, sizeof(*image->parts));
    uint8_t *all;

    if (parts == NULL)
        return GBX_EHOST;
    image->parts = parts;
    all = realloc(image->bytes, image->byte_count + bytes);
    if (all == NULL)
        return GBX_EHOST;
    image->bytes = all;
    memcpy(all + image->byte_count, from, bytes);
    parts[image->part_count++] =
        (struct region_part){off, bytes, image->byte_count};
    image->byte_count += bytes;
    return 0;
}

/* Stretches of pages that are not zero. */
static int take_stretch(struct region_image *image, const uint8_t *from,
                        uint64_t off, uint64_t end)
{
    int rc = 0;

    for (uint64_t next; rc == 0 && off < end; off = next) {
        for (next = off; next < end && !is_zero(from + next, PAGE);
             next += PAGE)
            ;
        if (next > off)
            rc = add_part(image, off, from + off, next - off);
        while (next < end && is_zero(from + next, PAGE))
            next += PAGE;
    }
    return rc;
}

int region_image_take(struct region_image *image, const struct region *region,
                      struct gbx_error *err)
{
    int rc = 0;

    *image = (struct region_image){.half_bytes = region->half_bytes};
    for (enum half half = 0; half < HALF_COUNT; half++) {
        uint64_t base = half == HALF_GUEST ? region->half_bytes : 0, off = 0,
                 end, limit = GBX_ARENA_OFF + region->arena_bytes[half];

        image->arena_bytes[half] = region->arena_bytes[half];
        while (rc == 0 &&
               (rc = next_data(region->fd[half], &off, &end, limit)) > 0) {
            rc = take_stretch(image, region->base, base + off, base + end);
            off = end;
        }
    }
    if (rc == 0)
        return 0;
    region_image_fini(image);
    return fail(err, rc, "keep what a region holds");
}

/* Everything in [off, end) of a half that has memory is zero. */
static int clear_half(struct region *region, enum half half)
{
    uint64_t cleared = 0, off = 0, end, limit = region->half_bytes;
    int rc, fd = region->fd[half];

    while ((rc = next_data(fd, &off, &end, limit)) > 0) {
        cleared += end - off;
        if (cleared > CLEARED_MAX)
            return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                             (off_t)limit) < 0
                       ? GBX_EHOST
                       : 0;
        memset(half_at(region, half) + off, 0, end - off);
        off = end;
    }
    return rc;
}

int region_image_put(const struct region_image *image, struct region *region)
{
    int rc;

    if (image->half_bytes != region->half_bytes)
        return GBX_EARGUMENT;
    for (enum half half = 0; half < HALF_COUNT; half++) {
        rc = clear_half(region, half);
        if (rc == 0)
            rc = region_set(region, half, image->arena_bytes[half]);
        if (rc < 0)
            return rc;
    }
    /* What the channel needs to be where it was: a few pages. */
    for (uint32_t i = 0; i < image->part_count; i++)
        memcpy(region->base + image->parts[i].off,
               image->bytes + image->parts[i].at, image->parts[i].bytes);
    return 0;
}

void region_image_fini(struct region_image *image)
{
    free(image->parts);
    free(image->bytes);
    *image = (struct region_image){0};
}
