/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c - two bits a frame: it is taken; it was used and is not zero.
 *
 * The search goes on where the last one ended, but a frame that was given back
 * below that is found first: to clear a page that the host has already given is
 * cheaper than to make it give another one, and the guest's share of the host's
 * memory stays as small as what it holds at once.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "sandbox/files/heap/frames.h"

#define WORD_BITS    64u
#define FORGET_COUNT 32u   /* so many together are worth a system call */
#define KNOWN_FIRST  4096u /* frames that get bits at first */

static bool bit(const uint64_t *bits, uint64_t index)
{
    return bits[index / WORD_BITS] >> index % WORD_BITS & 1u;
}

static void set_bit(uint64_t *bits, uint64_t index)
{
    bits[index / WORD_BITS] |= 1ull << index % WORD_BITS;
}

static void clear_bit(uint64_t *bits, uint64_t index)
{
    bits[index / WORD_BITS] &= ~(1ull << index % WORD_BITS);
}

void frames_init(struct frames *frames, struct heap *heap, uint8_t *host,
                 uint64_t at, uint64_t bytes)
{
    uint64_t count = bytes / FRAME_BYTES;

    must(at % FRAME_BYTES == 0 && bytes % FRAME_BYTES == 0);
    *frames = (struct frames){
        .host = host, .at = at, .count = count, .free = count, .heap = heap};
}

void frames_fini(struct frames *frames)
{
    heap_free(frames->taken);
    heap_free(frames->used);
    *frames = (struct frames){0};
}

/* Bits for the frames below `end`. */
static int know(struct frames *frames, uint64_t end)
{
    uint64_t known = frames->known == 0 ? KNOWN_FIRST : frames->known;
    uint64_t *bits;

    if (end <= frames->known)
        return 0;
    while (known < end)
        known *= 2;
    bits = heap_resize(frames->heap, &heap_plain, frames->taken, known / 8);
    if (bits == NULL)
        return -ENOMEM;
    frames->taken = bits;
    bits = heap_resize(frames->heap, &heap_plain, frames->used, known / 8);
    if (bits == NULL)
        return -ENOMEM;
    frames->used = bits;
    frames->known = known;
    return 0;
}

/* The first free frame in [from, to), or to. */
static uint64_t find(const struct frames *frames, uint64_t from, uint64_t to)
{
    while (from < to && from < frames->known) {
        uint64_t free = ~frames->taken[from / WORD_BITS] >> from % WORD_BITS;

        if (free != 0) {
            from += (uint64_t)__builtin_ctzll(free);
            break;
        }
        from += WORD_BITS - from % WORD_BITS;
    }
    return from < to ? from : to;
}

/* Does anybody have it? */
static bool is_taken(const struct frames *frames, uint64_t index)
{
    return index < frames->known && bit(frames->taken, index);
}

static void make_zero(struct frames *frames, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        if (bit(frames->used, i))
            memset(frames->host + i * FRAME_BYTES, 0, FRAME_BYTES);
        set_bit(frames->used, i);
        set_bit(frames->taken, i);
    }
}

int frames_take(struct frames *frames, uint64_t wanted, uint64_t *physical,
                uint64_t *count)
{
    uint64_t first, end;

    must(wanted > 0);
    if (frames->free == 0)
        return -ENOMEM;
    first = find(frames, frames->next, frames->count);
    if (first == frames->count)
        first = find(frames, 0, frames->next);
    must(first < frames->count);
    end = first + 1;
    while (end < frames->count && end - first < wanted &&
           !is_taken(frames, end))
        end++;
    if (know(frames, end) < 0)
        return -ENOMEM;
    must(!bit(frames->taken, first));
    make_zero(frames, first, end);
    frames->next = end;
    frames->free -= end - first;
    *physical = frames->at + first * FRAME_BYTES;
    *count = end - first;
    return 0;
}

/* Which frame it is; it must be one, and taken. */
static uint64_t index_of(const struct frames *frames, uint64_t physical)
{
    uint64_t index = (physical - frames->at) / FRAME_BYTES;

    must(physical >= frames->at && index < frames->count);
    must(is_taken(frames, index));
    return index;
}

void frames_give(struct frames *frames, uint64_t physical, uint64_t count)
{
    uint64_t first, end;
    bool is_zero;

    if (count == 0)
        return;
    first = index_of(frames, physical);
    must(physical % FRAME_BYTES == 0 && count <= frames->count - first);
    end = first + count;
    is_zero = count >= FORGET_COUNT &&
              madvise(frames->host + first * FRAME_BYTES,
                      (size_t)count * FRAME_BYTES, MADV_DONTNEED) == 0;
    for (uint64_t i = first; i < end; i++) {
        must(bit(frames->taken, i));
        clear_bit(frames->taken, i);
        if (is_zero)
            clear_bit(frames->used, i);
    }
    frames->free += count;
    if (first < frames->next)
        frames->next = first;
}

void *frames_host(const struct frames *frames, uint64_t physical)
{
    index_of(frames, physical);
    return frames->host + (physical - frames->at);
}

uint64_t frames_taken(const struct frames *frames, uint64_t from, uint64_t max,
                      uint64_t *first)
{
    uint64_t count = 0;

    while (from < frames->known && !bit(frames->taken, from))
        from++;
    *first = from;
    while (count < max && is_taken(frames, from + count))
        count++;
    return count;
}
