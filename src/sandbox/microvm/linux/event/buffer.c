/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/check.h"
#include "sandbox/microvm/linux/event/buffer.h"
#include "sandbox/microvm/linux/event/pieces.h"

/* How many of `bytes` from place `at` on lie before the end of the ring. */
static uint32_t straight(const struct buffer *buffer, uint32_t at,
                         uint32_t bytes)
{
    return bytes < buffer->limit - at ? bytes : buffer->limit - at;
}

static uint32_t place(const struct buffer *buffer, uint32_t off)
{
    return (uint32_t)(((uint64_t)buffer->head + off) % buffer->limit);
}

int buffer_put(struct buffer *buffer, const struct iovec *pieces, int count,
               uint32_t bytes)
{
    uint32_t at, first;

    must(bytes <= buffer_room(buffer));
    if (buffer->bytes == NULL)
        buffer->bytes = heap_make(buffer->heap, &heap_plain, buffer->limit);
    if (buffer->bytes == NULL)
        return -ENOMEM;
    at = place(buffer, buffer->used);
    first = straight(buffer, at, bytes);
    pieces_gather(buffer->bytes + at, pieces, count, 0, first);
    pieces_gather(buffer->bytes, pieces, count, first, bytes - first);
    buffer->used += bytes;
    return 0;
}

void buffer_look(const struct buffer *buffer, uint32_t off,
                 const struct iovec *pieces, int count, uint32_t bytes)
{
    uint32_t at = place(buffer, off), first = straight(buffer, at, bytes);

    must(off <= buffer->used && bytes <= buffer->used - off);
    if (bytes == 0)
        return;
    pieces_scatter(pieces, count, 0, buffer->bytes + at, first);
    pieces_scatter(pieces, count, first, buffer->bytes, bytes - first);
}

void buffer_drop(struct buffer *buffer, uint32_t bytes)
{
    must(bytes <= buffer->used);
    buffer->head = place(buffer, bytes);
    buffer->used -= bytes;
    if (buffer->used == 0)
        buffer->head = 0; /* small messages stay in few pages */
}

void buffer_fini(struct buffer *buffer)
{
    heap_free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->head = buffer->used = 0;
}

void buffer_move(struct buffer *buffer, const struct heap_move *move)
{
    move_pointer(move, &buffer->bytes);
    move_pointer(move, &buffer->heap);
}
