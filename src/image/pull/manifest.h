/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - what an image is made of, as it says itself: hostile JSON.
 *
 *  rc = manifest_choose(digest, text, bytes, &wanted, err);
 *      1: it is an index, and digest is its manifest for this platform
 *  manifest_read(&manifest, text, bytes, err);
 *  manifest_add_config(&manifest, text, bytes, &wanted, err);
 *  manifest_fini(&manifest);
 *
 * Threads: any.
 */
#ifndef IMAGE_PULL_MANIFEST_H
#define IMAGE_PULL_MANIFEST_H

#include "image/store/record.h"

#define MANIFEST_BYTES_MAX (4u << 20)

/* Which image of those that a name means. */
struct wanted {
    char os[PLATFORM_BYTES], architecture[PLATFORM_BYTES];
    char variant[PLATFORM_BYTES]; /* or "" */
    const char *tag;              /* of a layout's index; or "" or NULL */
    const char *name;             /* for errors */
};

struct manifest {
    char config[DIGEST_BYTES];
    uint64_t config_bytes;
    struct record_layer *layers; /* owned; diffs only after add_config */
    uint32_t count;
    char platform[PLATFORM_BYTES];
};

/* "os/architecture[/variant]", or NULL: this computer's.  0 or GBX_EARGUMENT.
 */
int wanted_parse(struct wanted *wanted, const char *platform,
                 struct gbx_error *err);

/* Returns 1 and a digest, 0 where it is no index, GBX_EFORMAT, GBX_EFILE (no
 * such tag) or GBX_EUNSUPPORTED (none for this platform). */
int manifest_choose(char digest[DIGEST_BYTES], const char *text, size_t bytes,
                    const struct wanted *wanted, struct gbx_error *err);

/* 0, GBX_EFORMAT, GBX_ELIMIT or GBX_EUNSUPPORTED. */
int manifest_read(struct manifest *manifest, const char *text, size_t bytes,
                  const struct wanted *wanted, struct gbx_error *err);

/* The digests of what the layers unpack to, and for what it was built. */
int manifest_add_config(struct manifest *manifest, const char *text,
                        size_t bytes, const struct wanted *wanted,
                        struct gbx_error *err);

/* Of layers whose diffs are known: what their root is called. */
int manifest_chain(const struct manifest *manifest, char chain[DIGEST_BYTES],
                   struct gbx_error *err);

void manifest_fini(struct manifest *manifest); /* idempotent */

#endif
