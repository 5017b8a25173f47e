/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.h - a layer's archive becomes a folder, once; and folders become an
 * image's root.
 *
 *   DIR/fs      its files, all ours: owners, set-user-ID bits and devices are
 *               notes
 *   DIR/notes   what files cannot say (notes.h)
 *
 *  layer_unpack(dir_fd, &source, &limits, err);
 *  ...
 *  for each layer, the lowest first: layer_merge(root_fd, layer_dir_fd, err);
 *
 * What is unpacked is hostile: names with "..", links that lead out and are
 * written through, bombs.  Nothing is ever written outside of DIR, and what is
 * refused is an error that names the entry.
 *
 * A root has its files in common with its layers, by hard links: it costs the
 * disk its folders, and no rights (decision 0015).
 *
 * Threads: any; a folder has one at a time.
 */
#ifndef IMAGE_LAYER_LAYER_H
#define IMAGE_LAYER_LAYER_H

#include <stdatomic.h>
#include <stdint.h>

#include "image/reference/reference.h"

#define LAYER_FILES "fs"

struct layer_source {
    int fd;                   /* borrowed: the blob */
    const char *digest;       /* borrowed: what it must be */
    const char *diff;         /* and unpacked; NULL: whatever it is */
    uint64_t bytes;           /* the blob's, as the manifest has it */
    _Atomic uint64_t *packed; /* grows by what was read of it; or NULL */
};

/* None is 0. */
struct layer_limits {
    uint64_t bytes_max;
    uint32_t ratio_max, entries_max;
};
#define LAYER_LIMITS ((struct layer_limits){16ull << 30, 200, 1u << 20})

/*
 * Returns 0; GBX_EFORMAT (no archive; not what the digests say; an entry that
 * is refused), GBX_ELIMIT, or GBX_EHOST (a full disk).  Then what is there is
 * to be removed.
 */
int layer_unpack(int dir_fd, const struct layer_source *source,
                 const struct layer_limits *limits, struct gbx_error *err);

/* Returns 1 where a layer is a root as it is, 0, or a code. */
int layer_is_root(int dir_fd, struct gbx_error *err);

/* Put a layer over what is there.  Returns 0, GBX_EFORMAT or GBX_EHOST. */
int layer_merge(int root_fd, int dir_fd, struct gbx_error *err);

#endif
