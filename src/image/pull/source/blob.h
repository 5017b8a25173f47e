/* SPDX-License-Identifier: Apache-2.0 */
/* blob.h - bytes into the store, under the digest that they have. */
#ifndef IMAGE_PULL_SOURCE_BLOB_H
#define IMAGE_PULL_SOURCE_BLOB_H

#include <archive.h>

#include "image/pull/source/source.h"

bool blob_is_there(const struct gbx_images *images, const char *digest);

/* Small ones, which are to have this digest.  0, GBX_EFORMAT or GBX_EHOST. */
int blob_put(const struct pull *pull, const void *bytes, size_t count,
             const char *digest, struct gbx_error *err);

/* A file's, from its start; the same. */
int blob_copy(struct pull *pull, int fd, const char *digest,
              struct gbx_error *err);

/* An archive's entry, whatever its digest is. */
int blob_extract(struct pull *pull, struct archive *archive,
                 char digest[DIGEST_BYTES], uint64_t *bytes,
                 struct gbx_error *err);

#endif
