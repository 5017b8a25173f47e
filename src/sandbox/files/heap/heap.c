/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - blocks of some sizes, each with a list of free ones.
 *
 * Sizes are 16, 32, ... 128, then four to each doubling, so at most a quarter
 * of a block is wasted.  A block keeps its size for good: what is freed serves
 * the next one of that size, in constant time, and all blocks can be visited
 * one after the other.  (Refused: a malloc of a library.  Its own tables lie
 * elsewhere, so neither could they be copied with the objects, nor would the
 * objects be bounded and in one stretch.)
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "sandbox/files/heap/blocks.h"

const struct heap_type heap_plain = {.name = "bytes"};

uint32_t heap_fail_in;

struct heap *heap_open(void)
{
    uint8_t *all = mmap(NULL, 2 * HEAP_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct heap *heap;
    uint64_t before;

    if (all == MAP_FAILED)
        return NULL;
    before = -(uintptr_t)all & (HEAP_BYTES - 1);
    if (before > 0)
        munmap(all, before);
    munmap(all + before + HEAP_BYTES, HEAP_BYTES - before);
    heap = (struct heap *)(void *)(all + before + HEAP_AT);
    heap->top = BLOCKS_AT;
    return heap;
}

void heap_close(struct heap *heap)
{
    if (heap == NULL)
        return;
    PERMIT(base_of(heap), heap->top);
    munmap(base_of(heap), HEAP_BYTES);
}

#define SMALL 128u /* up to it, sizes are BLOCK_ALIGN apart */

/* The number of the smallest size that has so many bytes, and that size. */
static unsigned class_of(uint64_t bytes, uint64_t *size)
{
    unsigned doublings = 0;
    uint64_t step;

    if (bytes <= SMALL) {
        *size = (bytes + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1ull);
        return (unsigned)(*size / BLOCK_ALIGN);
    }
    while (bytes > (uint64_t)SMALL << (doublings + 1))
        doublings++;
    step = (uint64_t)SMALL / 4 << doublings;
    *size = (bytes + step - 1) & ~(step - 1);
    return SMALL / BLOCK_ALIGN + doublings * 4 +
           (unsigned)((*size - ((uint64_t)SMALL << doublings)) / step);
}

static struct block *take_free(struct heap *heap, unsigned class)
{
    struct block *block;

    if (heap->free[class] == 0)
        return NULL;
    block = block_at(base_of(heap), heap->free[class]);
    PERMIT(block + 1, sizeof(uint64_t));
    memcpy(&heap->free[class], block + 1, sizeof(uint64_t));
    return block;
}

void *heap_make(struct heap *heap, const struct heap_type *type, size_t bytes)
{
    struct block *block;
    unsigned class;
    uint64_t size;

    if (bytes == 0)
        bytes = 1;
    if (bytes > HEAP_BLOCK_MAX || (heap_fail_in > 0 && --heap_fail_in == 0))
        return NULL;
    class = class_of(bytes + sizeof(*block), &size);
    must(class < HEAP_CLASSES);
    block = take_free(heap, class);
    if (block == NULL && size > HEAP_BYTES - heap->top)
        return NULL;
    if (block == NULL) { /* memory that nobody has used, and is zero */
        block = block_at(base_of(heap), heap->top);
        block->bytes = (uint32_t)size;
        heap->top += size;
    } else {
        PERMIT(block + 1, bytes);
        memset(block + 1, 0, bytes);
    }
    block->type = type;
    block->asked = (uint32_t)bytes;
    watch_block(block);
    heap->count++;
    return block + 1;
}

static struct block *block_of(void *object)
{
    struct block *block = (struct block *)object - 1;

    must(block->asked > 0); /* else it was freed already */
    return block;
}

void heap_free(void *object)
{
    struct heap *heap;
    struct block *block;
    unsigned class;
    uint64_t size;

    if (object == NULL)
        return;
    heap = (struct heap *)(void *)(base_of(object) + HEAP_AT);
    block = block_of(object);
    class = class_of(block->bytes, &size);
    must(size == block->bytes);
    PERMIT(object, sizeof(uint64_t));
    memcpy(object, &heap->free[class], sizeof(uint64_t));
    heap->free[class] = heap_place(block);
    block->asked = 0;
    watch_block(block);
    heap->count--;
}

void *heap_resize(struct heap *heap, const struct heap_type *type, void *object,
                  size_t bytes)
{
    struct block *block;
    uint64_t size;
    void *other;

    if (object == NULL)
        return heap_make(heap, type, bytes);
    if (bytes == 0)
        bytes = 1;
    block = block_of(object);
    if (bytes <= HEAP_BLOCK_MAX) {
        class_of(bytes + sizeof(*block), &size);
        if (size == block->bytes) {
            uint32_t was = block->asked;

            block->asked = (uint32_t)bytes;
            watch_block(block);
            if (bytes > was)
                memset((uint8_t *)object + was, 0, bytes - was);
            return object;
        }
    }
    other = heap_make(heap, type, bytes);
    if (other == NULL)
        return NULL;
    memcpy(other, object, block->asked < bytes ? block->asked : bytes);
    heap_free(object);
    return other;
}

char *heap_text(struct heap *heap, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = heap_make(heap, &heap_plain, bytes);

    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}
