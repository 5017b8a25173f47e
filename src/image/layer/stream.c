/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - see stream.h.  A ring of BLOCKS blocks: the thread fills, the
 * owner reads; each waits for the other under one lock, which is taken once for
 * 256 KiB.
 *
 * A bomb is found by two numbers: what may come out at most, and how many times
 * what went in.  The second is only asked of what is large, since a small layer
 * may well be all zeros.
 */
#include <archive.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "image/layer/hash.h"
#include "image/layer/stream.h"

#define BLOCKS      4u
#define BLOCK_BYTES (256u << 10)
#define RATIO_FROM  (256ull << 20) /* of what came out */
#define MIB         (1u << 20)

struct block {
    size_t bytes;
    uint8_t at[BLOCK_BYTES];
};

struct stream {
    struct stream_config config;
    pthread_t thread;
    bool has_thread;

    /* The thread's, and the owner's once it has ended. */
    struct hash packed, plain;
    struct archive *archive;
    uint64_t packed_bytes, plain_bytes;
    uint8_t *input; /* owned */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    uint64_t head, tail; /* blocks read, and filled */
    bool lent;           /* the one at head is with the reader */
    bool over;           /* nothing comes after tail */
    bool quits;          /* the owner wants no more */
    int code;
    struct gbx_error err;
    struct block blocks[BLOCKS];
};

/* ---- the thread ---- */

static la_ssize_t read_packed(struct archive *archive, void *context,
                              const void **bytes)
{
    struct stream *stream = context;
    ssize_t n;

    do
        n = pread(stream->config.fd, stream->input, BLOCK_BYTES,
                  (off_t)stream->packed_bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        archive_set_error(archive, errno, "%s", strerrordesc_np(errno));
        return -1;
    }
    hash_add(&stream->packed, stream->input, (size_t)n);
    stream->packed_bytes += (uint64_t)n;
    if (stream->config.packed != NULL)
        atomic_fetch_add(stream->config.packed, (uint64_t)n);
    *bytes = stream->input;
    return n;
}

static int check_size(const struct stream *stream, struct gbx_error *err)
{
    const struct stream_config *config = &stream->config;
    const uint64_t plain = stream->plain_bytes, packed = stream->packed_bytes;

    if (plain > config->bytes_max)
        return fail(err, GBX_ELIMIT,
                    "%s unpacks to more than %llu MiB; --max-size allows more",
                    config->name, (unsigned long long)config->bytes_max / MIB);
    if (plain > RATIO_FROM && plain / config->ratio_max > packed)
        return fail(err, GBX_ELIMIT,
                    "%s is a bomb: %llu KiB unpack to more than %u times as "
                    "much; --max-ratio allows more",
                    config->name, (unsigned long long)packed / 1024,
                    config->ratio_max);
    return 0;
}

static int cannot_unpack(const struct stream *stream, struct gbx_error *err)
{
    return fail(err, stream_code(stream->archive),
                "%s cannot be unpacked: %.120s", stream->config.name,
                archive_error_string(stream->archive));
}

/* Returns the bytes of a whole block, less only at the end. */
static ssize_t unpack_block(struct stream *stream, struct block *block,
                            struct gbx_error *err)
{
    block->bytes = 0;
    while (block->bytes < BLOCK_BYTES) {
        la_ssize_t n =
            archive_read_data(stream->archive, block->at + block->bytes,
                              BLOCK_BYTES - block->bytes);
        int rc;

        if (n < 0)
            return cannot_unpack(stream, err);
        if (n == 0)
            break;
        block->bytes += (size_t)n;
        stream->plain_bytes += (uint64_t)n;
        if ((rc = check_size(stream, err)) < 0)
            return rc;
    }
    hash_add(&stream->plain, block->at, block->bytes);
    return (ssize_t)block->bytes;
}

/* What lies behind the packed bytes is part of the blob. */
static void read_rest(struct stream *stream)
{
    const void *bytes;

    while (read_packed(stream->archive, stream, &bytes) > 0)
        ;
}

static int begin_archive(struct stream *stream, struct gbx_error *err)
{
    struct archive *archive = stream->archive;
    struct archive_entry *entry;

    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_format_raw(archive);
    archive_read_support_format_empty(archive);
    if (archive_read_open(archive, stream, NULL, read_packed, NULL) !=
        ARCHIVE_OK)
        return cannot_unpack(stream, err);
    switch (archive_read_next_header(archive, &entry)) {
    case ARCHIVE_OK:
    case ARCHIVE_WARN:
        return 1;
    case ARCHIVE_EOF: /* nothing at all */
        return 0;
    default:
        return cannot_unpack(stream, err);
    }
}

/* A block to fill, or NULL: the owner wants no more. */
static struct block *take_block(struct stream *stream)
{
    struct block *block = NULL;

    pthread_mutex_lock(&stream->lock);
    while (!stream->quits && stream->tail - stream->head == BLOCKS)
        pthread_cond_wait(&stream->changed, &stream->lock);
    if (!stream->quits)
        block = &stream->blocks[stream->tail % BLOCKS];
    pthread_mutex_unlock(&stream->lock);
    return block;
}

static void give_block(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->tail++;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static void end(struct stream *stream, int code, const struct gbx_error *err)
{
    pthread_mutex_lock(&stream->lock);
    stream->code = code;
    stream->err = *err;
    stream->over = true;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

static void *fill(void *context)
{
    struct stream *stream = context;
    struct gbx_error err = {0};
    struct block *block;
    ssize_t n = begin_archive(stream, &err);

    while (n > 0 && (block = take_block(stream)) != NULL) {
        n = unpack_block(stream, block, &err);
        if (n > 0)
            give_block(stream);
    }
    if (n == 0)
        read_rest(stream);
    end(stream, n < 0 ? (int)n : 0, &err);
    return NULL;
}

int stream_code(struct archive *archive)
{
    errno = 0; /* libarchive has said it in words */
    return archive_errno(archive) == ENOMEM ? GBX_EHOST : GBX_EFORMAT;
}

/* ---- the owner ---- */

int stream_open(struct stream **stream, const struct stream_config *config,
                struct gbx_error *err)
{
    struct stream *made = calloc(1, sizeof(*made));

    *stream = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory to unpack a layer");
    made->config = *config;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    hash_begin(&made->packed);
    hash_begin(&made->plain);
    made->input = malloc(BLOCK_BYTES);
    made->archive = archive_read_new();
    if (made->input == NULL || made->archive == NULL ||
        (errno = pthread_create(&made->thread, NULL, fill, made)) != 0) {
        stream_close(made);
        return fail(err, GBX_EHOST, "no memory to unpack a layer");
    }
    made->has_thread = true;
    *stream = made;
    return 0;
}

ssize_t stream_read(struct stream *stream, const void **block,
                    struct gbx_error *err)
{
    ssize_t n = 0;

    pthread_mutex_lock(&stream->lock);
    if (stream->lent) {
        stream->head++;
        stream->lent = false;
        pthread_cond_signal(&stream->changed);
    }
    while (!stream->over && stream->head == stream->tail)
        pthread_cond_wait(&stream->changed, &stream->lock);
    if (stream->head < stream->tail) {
        const struct block *at = &stream->blocks[stream->head % BLOCKS];

        *block = at->at;
        n = (ssize_t)at->bytes;
        stream->lent = true;
    } else if (stream->code < 0) {
        n = stream->code;
        if (err != NULL)
            *err = stream->err;
    }
    pthread_mutex_unlock(&stream->lock);
    return n;
}

bool stream_digests(struct stream *stream, char digest[DIGEST_BYTES],
                    char diff[DIGEST_BYTES])
{
    const bool first = hash_end(&stream->packed, digest);

    return hash_end(&stream->plain, diff) && first;
}

void stream_close(struct stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->has_thread) {
        pthread_mutex_lock(&stream->lock);
        stream->quits = true;
        pthread_cond_signal(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
        pthread_join(stream->thread, NULL);
    }
    archive_read_free(stream->archive);
    hash_fini(&stream->packed);
    hash_fini(&stream->plain);
    free(stream->input);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}
