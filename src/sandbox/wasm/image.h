/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - an instance as it stood between two calls: its memory and its
 * globals.  Others begin where it stood, and share its pages until they write.
 *
 *   in a file:   ... | memory, on a line of pages | globals | struct image_end
 * |
 *
 * It is kept in a file in memory, or behind an artefact (its ELF does not
 * mind): so a language that takes long to start is started when the product is
 * built.
 *
 * Tables are not in it: they are filled again as at any start, so a module that
 * changes its tables while it runs has no image (wasm_artefact.can_save).
 *
 * Threads: any, once it is made.  Memory: counted.
 */
#ifndef SANDBOX_WASM_IMAGE_H
#define SANDBOX_WASM_IMAGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "glovebox/error.h"

struct instance;

struct image {
    atomic_uint references;
    int fd; /* owned */
    uint64_t off;
    uint32_t pages; /* of WebAssembly */
    uint32_t global_count;
    uint64_t *globals; /* owned */
};

/* Of an instance that is READY.  Returns 0; GBX_EUNSUPPORTED, GBX_EHOST. */
int image_take(struct image **image, const struct instance *instance,
               struct gbx_error *err);

/* What is behind an artefact; NULL: nothing, or not of its build.  fd is
 * borrowed. */
struct image *image_find(int fd, uint32_t global_count);

/* Put it behind one.  Returns 0, or -1 and errno. */
int image_append(const struct image *image, int fd);

struct image *image_share(struct image *image);
void image_put(struct image *image); /* NULL is allowed */

#endif
