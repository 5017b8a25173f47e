/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where an image comes from: a registry, an OCI layout, an archive.
 *
 *   ask      which image it is: manifest and configuration are put into the
 *            store, as blobs
 *   fetch    those of its layers that are not there
 *
 * An archive has no order of its own, so its `ask` brings all.
 */
#ifndef IMAGE_PULL_SOURCE_SOURCE_H
#define IMAGE_PULL_SOURCE_SOURCE_H

#include "image/layer/layer.h"
#include "image/pull/manifest.h"
#include "image/store/store.h"

struct pull_options {
    const char *platform, *auth_file, *name; /* or NULL */
    bool is_insecure;
    uint64_t deadline_ns, silence_ns;
    struct layer_limits limits;
};

struct pull {
    struct gbx_images *images;
    struct reference reference;
    char name[REFERENCE_NAME_BYTES]; /* of the reference */
    struct pull_options options;
    struct wanted wanted;
    char draft[STORE_PATH_BYTES]; /* a folder of this pull's own */
    int draft_fd;                 /* owned */
    int store_lock;               /* owned */

    char digest[DIGEST_BYTES]; /* of the manifest */
    struct manifest manifest;
    char root[STORE_PATH_BYTES]; /* what was made of it */

    uint64_t bytes, bytes_all; /* of layers: come so far, and to come */
};

struct source {
    int (*ask)(struct pull *pull, struct gbx_error *err);
    int (*fetch)(struct pull *pull, struct gbx_error *err);
};
extern const struct source source_registry, source_layout, source_archive;

/* Read what is in the store already: the manifest whose digest the pull has,
 * and its configuration. */
int source_read(struct pull *pull, struct gbx_error *err);

/* Some ten times a second at most. */
void source_progress(struct pull *pull, enum gbx_image_phase phase);

#endif
