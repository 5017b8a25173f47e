/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h - bytes on their way: first in, first out, and never more than fit.
 *
 *  if (buffer_room(&buffer) >= bytes)
 *      rc = buffer_put(&buffer, pieces, count, bytes);
 *  buffer_look(&buffer, 0, pieces, count, bytes);
 *  buffer_drop(&buffer, bytes);
 *
 * Threads: the owner's.  Memory: `limit` bytes from the first byte on.
 */
#ifndef SANDBOX_MICROVM_LINUX_EVENT_BUFFER_H
#define SANDBOX_MICROVM_LINUX_EVENT_BUFFER_H

#include <stdint.h>
#include <sys/uio.h>

#include "sandbox/files/heap/heap.h"

struct buffer {
    uint8_t *bytes; /* owned; NULL until the first byte */
    uint32_t limit; /* set by the owner */
    uint32_t head;  /* where the oldest byte lies */
    uint32_t used;
    struct heap *heap; /* borrowed: where its bytes are */
};

static inline uint32_t buffer_room(const struct buffer *buffer)
{
    return buffer->limit - buffer->used;
}

/* Append the first `bytes` of the pieces; there is room.  0 or -ENOMEM. */
int buffer_put(struct buffer *buffer, const struct iovec *pieces, int count,
               uint32_t bytes);
/* Copy the `bytes` that lie `off` behind the oldest; they stay. */
void buffer_look(const struct buffer *buffer, uint32_t off,
                 const struct iovec *pieces, int count, uint32_t bytes);
/* The oldest leave. */
void buffer_drop(struct buffer *buffer, uint32_t bytes);
/* All leave, and so does the memory; may be filled again. */
void buffer_fini(struct buffer *buffer);
/* Of whoever contains it (heap.h). */
void buffer_move(struct buffer *buffer, const struct heap_move *move);

#endif
