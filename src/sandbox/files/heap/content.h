/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.h - the bytes of a file, in frames of the guest's memory.
 *
 * Only pages that were written cost a frame; what lies between reads as zero.
 * The index is a radix tree in the host's memory, which the guest cannot reach,
 * and counts against the same quota: a page alone at the far end of a huge file
 * costs its frame and at most nine small tables.
 *
 *  content_write(&content, &quota, pieces, count, position);
 *  content_fini(&content, &quota);
 *
 * Answers are Linux's: a count or 0, or -errno.
 * Threads: its owner's.  Memory: an all-zero content is an empty file.
 */
#ifndef SANDBOX_FILES_HEAP_CONTENT_H
#define SANDBOX_FILES_HEAP_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "sandbox/files/heap/frames.h"

#define CONTENT_BYTES_MAX INT64_MAX

struct content_table;

struct content {
    uint64_t bytes;  /* the file's size */
    uint64_t frames; /* that it has */
    struct content_table *top;
    uint32_t levels; /* of tables; 0: there is none */
    uint32_t mapped; /* shared mappings: frames stay where they are */
    bool has_more;   /* frames behind the end, since it is mapped */
};

/* What all files together may have. */
struct quota {
    struct frames *frames; /* borrowed */
    uint64_t used, limit;  /* bytes, tables included */
};

int64_t content_read(const struct content *content, const struct quota *quota,
                     const struct iovec *pieces, int count, uint64_t position);

/* Returns what fitted; -ENOSPC where nothing did, -EFBIG at the very end. */
int64_t content_write(struct content *content, struct quota *quota,
                      const struct iovec *pieces, int count, uint64_t position);

/* Longer with zeros, or shorter.  Returns 0 or -EFBIG. */
int content_resize(struct content *content, struct quota *quota,
                   uint64_t bytes);

/*
 * The frame of a page, made if it is not there.
 * Returns 0; -ENXIO behind the end (SIGBUS); or -ENOSPC.
 */
int content_page(struct content *content, struct quota *quota, uint64_t index,
                 uint64_t *physical);

void content_mapped(struct content *content, struct quota *quota, int more);

void content_fini(struct content *content, struct quota *quota);

/* Of whoever contains it: its pointers are moved (heap.h). */
void content_move(struct content *content, const struct heap_move *move);

#endif
