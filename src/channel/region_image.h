/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region_image.h - what a region holds, to be put into others, and back.
 *
 *  region_image_take(&image, &region, &err);
 *  region_image_put(&image, &other);     as it was, and all else is zero
 *  region_image_fini(&image);
 *
 * Only pages that were ever touched are looked at and kept.
 *
 * Threads: the region's, while its guest stands still; an image is only read
 *          by put, and serves several at once.
 */
#ifndef CHANNEL_REGION_IMAGE_H
#define CHANNEL_REGION_IMAGE_H

#include "channel/region.h"

/* A stretch of the window that is not zero. */
struct region_part {
    uint64_t off, bytes; /* of the window */
    uint64_t at;         /* in the image's bytes */
};

struct region_image {
    uint64_t half_bytes, arena_bytes[HALF_COUNT];
    struct region_part *parts; /* owned, in order of off */
    uint32_t part_count;
    uint8_t *bytes; /* owned */
    uint64_t byte_count;
};

/* Returns 0 or GBX_EHOST. */
int region_image_take(struct region_image *image, const struct region *region,
                      struct gbx_error *err);

/* The region has halves of the same size.  Returns 0, GBX_EARGUMENT, GBX_ELIMIT
 * or GBX_EHOST. */
int region_image_put(const struct region_image *image, struct region *region);

void region_image_fini(struct region_image *image); /* idempotent */

#endif
