/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - SHA-256, as digests of images are written.
 *
 *  hash_begin(&hash);
 *  hash_add(&hash, bytes, count);
 *  hash_end(&hash, digest);             "sha256:...", frees what begin took
 *
 * Threads: none.
 */
#ifndef IMAGE_LAYER_HASH_H
#define IMAGE_LAYER_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "image/reference/reference.h"

struct hash {
    void *context; /* owned, or NULL: there was no memory */
};

void hash_begin(struct hash *hash);
void hash_add(struct hash *hash, const void *bytes, size_t count);
/* False: there was no memory, and digest is "". */
bool hash_end(struct hash *hash, char digest[DIGEST_BYTES]);
void hash_fini(struct hash *hash); /* idempotent; after end, too */

bool hash_bytes(const void *bytes, size_t count, char digest[DIGEST_BYTES]);

#endif
