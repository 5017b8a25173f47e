/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - what an image is made of, as the store remembers it: a small file
 * of JSON, images/HEX.json, HEX being the digest of the image's manifest.
 *
 *  record_read(&record, images, digest, err);
 *  ...
 *  record_fini(&record);
 *
 * Threads: any.
 */
#ifndef IMAGE_STORE_RECORD_H
#define IMAGE_STORE_RECORD_H

#include "image/store/store.h"

#define RECORD_LAYERS_MAX 256u
#define RECORD_BYTES_MAX  (1u << 20)
#define PLATFORM_BYTES    64u

struct record_layer {
    char digest[DIGEST_BYTES]; /* of the blob */
    char diff[DIGEST_BYTES];   /* and of what it unpacks to */
    uint64_t bytes;
};

struct record {
    char digest[DIGEST_BYTES]; /* of the manifest, which is a blob */
    char config[DIGEST_BYTES]; /* the same */
    char platform[PLATFORM_BYTES];
    char root[STORE_PATH_BYTES]; /* layers/HEX or roots/HEX */
    char *name;                  /* owned: the one it was first pulled by */
    int64_t pulled_s;
    struct record_layer *layers; /* owned */
    uint32_t layer_count;
};

/* 0, GBX_EFILE (there is none), GBX_EFORMAT or GBX_EHOST. */
int record_read(struct record *record, const struct gbx_images *images,
                const char *digest, struct gbx_error *err);
int record_write(const struct record *record, const struct gbx_images *images,
                 struct gbx_error *err);
void record_path(char path[STORE_PATH_BYTES], const char *digest);
void record_fini(struct record *record); /* idempotent */

/* All of them, sorted by digest: a list to records_fini. */
struct records {
    struct record *all; /* owned */
    size_t count;
};
/* A record that is damaged is passed over: verify tells of it.  One that cannot
 * be read now is an error: who removes must not take it for none. */
int records_read(struct records *records, const struct gbx_images *images,
                 struct gbx_error *err);
struct record *records_find(const struct records *records, const char *digest);
void records_fini(struct records *records);

/* The one whose digest begins so; NULL: none, or more than one. */
struct record *records_begin(const struct records *records, const char *start);

#endif
