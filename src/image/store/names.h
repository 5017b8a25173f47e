/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - which image a name means: a file for each name, so that two who
 * change different ones do not meet.
 *
 *   names/docker.io+library+python:3.11-slim     "sha256:...\n"
 *
 * In a file's name "/" is "+", and what is neither a letter, a digit nor one of
 * ._:@- is %XX.
 *
 * Threads: any.
 */
#ifndef IMAGE_STORE_NAMES_H
#define IMAGE_STORE_NAMES_H

#include "image/store/store.h"

/* 0 or GBX_ELIMIT: it is too long for the name of a file. */
int name_check(const char *name, struct gbx_error *err);

/* 0, GBX_EFILE (there is none), GBX_EFORMAT or GBX_EHOST. */
int name_read(const struct gbx_images *images, const char *name,
              char digest[DIGEST_BYTES], struct gbx_error *err);
int name_write(const struct gbx_images *images, const char *name,
               const char *digest, struct gbx_error *err);
/* freed grows by what the disk gets back. */
int name_remove(const struct gbx_images *images, const char *name,
                uint64_t *freed, struct gbx_error *err);

struct name {
    char *name; /* owned */
    char digest[DIGEST_BYTES];
};
struct names {
    struct name *all; /* owned; sorted */
    size_t count;
};
int names_read(struct names *names, const struct gbx_images *images,
               struct gbx_error *err);
bool names_mean(const struct names *names, const char *digest);
void names_fini(struct names *names);

#endif
