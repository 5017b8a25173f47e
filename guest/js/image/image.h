/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - the engine's memory as it stands when the prelude has run.
 *
 * The prelude takes some twenty milliseconds to be compiled and run, always to
 * the same end.  So it is run when this program is built: image-maker starts
 * the engine, runs the prelude, and writes what is then in the engine's memory
 * as an assembly file, which is linked into glovebox-js.
 *
 *   head   places of the engine, functions of the prelude
 *   pages  their numbers, of those that are not empty
 *   bytes  the pages themselves
 */
#ifndef GUEST_JS_IMAGE_H
#define GUEST_JS_IMAGE_H

#include "guest_js.h"

/* What the engine's 4 GiB leave to the region: two halves of a little more than
 * 1 GiB, the usual message limit.  The same for all, so that an image does not
 * depend on it. */
#define IMAGE_HEAP_MAX ((2ull << 30) - (64u << 20))

#define IMAGE_PAGE_BYTES 4096u

struct image_head {
    struct engine_places places;
    struct prelude prelude;
    uint32_t memory_bytes; /* that the engine has taken */
    uint32_t page_count;
};

extern const struct image_head image_head;
extern const uint32_t image_pages[];
extern const uint8_t image_bytes[];

/* After engine_open.  Returns 0, or -1: no memory. */
int image_load(void);

/* After engine_boot, in image-maker.  Returns 0, or -1 with an exception. */
int prelude_run(void);

#endif
