/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - a layer's bytes as they come out of its blob: hashed, unpacked
 * (gzip, zstd, or not packed at all), hashed again, and limited.
 *
 *   blob -> hash -> unpack -> hash -> | block | block | ... | -> who reads
 *           \____ a thread of the stream's own ____/
 *
 *  stream_open(&stream, &config, err);
 *  while ((bytes = stream_read(stream, &block, err)) > 0) ...
 *  stream_digests(stream, digest, diff);       of all, once read returned 0
 *  stream_close(stream);
 *
 * So one processor unpacks while another writes files, and a blob is read once.
 *
 * Threads: the owner's; `packed` any.
 */
#ifndef IMAGE_LAYER_STREAM_H
#define IMAGE_LAYER_STREAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/reference/reference.h"

struct archive;
struct stream;

struct stream_config {
    int fd;                   /* borrowed until close; read with pread */
    const char *name;         /* the same: of the layer, for errors */
    uint64_t bytes_max;       /* of what comes out */
    uint32_t ratio_max;       /* and how many times what went in */
    _Atomic uint64_t *packed; /* borrowed: grows by what went in; or NULL */
};

int stream_open(struct stream **stream, const struct stream_config *config,
                struct gbx_error *err);

/* Returns the bytes of a block, lent until the next read; 0 at the end; or
 * GBX_EFORMAT (not packed as it claims), GBX_ELIMIT, GBX_EHOST. */
ssize_t stream_read(struct stream *stream, const void **block,
                    struct gbx_error *err);

/* Of the blob, and of what came out.  False: there was no memory. */
bool stream_digests(struct stream *stream, char digest[DIGEST_BYTES],
                    char diff[DIGEST_BYTES]);

void stream_close(struct stream *stream); /* NULL is allowed */

/* What libarchive's last error is: GBX_EFORMAT, or GBX_EHOST: no memory. */
int stream_code(struct archive *archive);

#endif
