/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.h - from blobs that are there to a root.  What is done already is not
 * done again. */
#ifndef IMAGE_PULL_UNPACK_H
#define IMAGE_PULL_UNPACK_H

#include "image/pull/source/source.h"

/* All layers of the pull's manifest, several at once; it has their locks. */
int unpack_layers(struct pull *pull, struct gbx_error *err);

/* The root's folder in the store: that of its only layer, or of all put
 * together. */
int unpack_root(struct pull *pull, char path[STORE_PATH_BYTES],
                struct gbx_error *err);

#endif
