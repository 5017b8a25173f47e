/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - where images lie.
 *
 *   blobs/sha256/HEX    as they came: manifests, configurations, layers
 *   layers/HEX/         a layer, unpacked once, by its diff's digest (layer.h)
 *   roots/HEX/fs        layers put together, by the digest of their chain
 *   images/HEX.json     what an image is made of (record.h)
 *   names/NAME          which image a name means (names.h)
 *   locks/              who is doing what
 *   drafts/             what is not done yet
 *
 * All but blobs that skopeo writes is made in drafts/, and gets its name by a
 * rename: so what has a name is whole, whoever was killed when (and when the
 * computer goes down: kept.h).  An image is there when its record is, which
 * comes last.
 *
 * Locks are flock's, and go with the process:
 *   locks/store         shared: who adds; alone: who removes what nobody uses
 *   locks/HEX           alone: who fetches or unpacks that layer
 *   drafts/X            alone: whose draft it is; else nobody's any more
 *   layers/X, roots/X   shared: who has it as a root
 *
 * Threads: any.
 */
#ifndef IMAGE_STORE_STORE_H
#define IMAGE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/image.h"
#include "image/reference/reference.h"

#define STORE_BLOBS  "blobs/sha256"
#define STORE_LAYERS "layers"
#define STORE_ROOTS  "roots"
#define STORE_IMAGES "images"
#define STORE_NAMES  "names"
#define STORE_LOCKS  "locks"
#define STORE_DRAFTS "drafts"

#define STORE_PATH_BYTES 160u /* of what is in it, from its folder */

struct gbx_images {
    int fd;     /* owned */
    char *path; /* owned: absolute */
};

/* A blob's path.  The digest is a valid one. */
void store_blob(char path[STORE_PATH_BYTES], const char *digest);

/* All of a file, with a NUL behind it, to free(); NULL and errno.  EFBIG: it
 * has more than `most` bytes. */
char *store_read(const struct gbx_images *images, const char *path, size_t most,
                 size_t *bytes);

/* A file, whole or not at all.  0 or -errno. */
int store_write(const struct gbx_images *images, const char *path,
                const void *bytes, size_t count);

/*
 * A folder of drafts/ that is this process's until it is given back: its path
 * from the store's folder, and a descriptor that holds its lock.  Returns it,
 * or -errno.
 */
int store_draft(const struct gbx_images *images, char path[STORE_PATH_BYTES]);
/* Removes it, and what is in it. */
void store_drop(const struct gbx_images *images, int *fd, const char *path);

/* Drafts whose process is gone. */
void store_sweep_drafts(const struct gbx_images *images, uint64_t *freed);

/*
 * Take locks/NAME.  Waits until deadline_ns (0: for ever; 1: not at all), and
 * calls `turn`, if it is not NULL, now and then: false ends it.  Returns a
 * descriptor to close, -EAGAIN, -ECANCELED or -errno.
 */
int store_lock(const struct gbx_images *images, const char *name, bool alone,
               uint64_t deadline_ns, bool (*turn)(void *context),
               void *context);

/* The store, for who removes what nobody uses: pulls are waited for, two
 * seconds.  Returns a descriptor to close, or a code. */
int store_lock_alone(const struct gbx_images *images, struct gbx_error *err);

/* Is a descriptor still what its path from the store's folder leads to? */
bool store_is_current(const struct gbx_images *images, const char *path,
                      int fd);

#endif
