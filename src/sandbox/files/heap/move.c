/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.c - images of heaps.
 *
 * In an image a pointer is a place:  0            NULL
 *                                    1 ... 2^28   in the heap, from its base
 *                                    2^62 ...     a constant of this program,
 *                                                 from an anchor in it
 *
 * So an image is good for every process that runs the very same program; who
 * keeps one on disk has to make sure of that.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "sandbox/files/heap/blocks.h"

#define CONSTANT (1ull << 62)
#define CONSTANT_MAX                                                           \
    (1ull << 32) /* how far from the anchor, to either side                    \
                  */
#define PAGE_BYTES 4096u

struct heap_move {
    uint8_t *copy;       /* where the objects are now */
    const uint8_t *base; /* of the heap */
    bool freezes;        /* to places; else from them */
};

static uint64_t anchor(void)
{
    return (uintptr_t)&heap_plain;
}

static bool is_in(const struct heap_move *move, uint64_t value)
{
    return value - (uintptr_t)move->base < HEAP_BYTES;
}

static uint64_t to_place(const struct heap_move *move, uint64_t value)
{
    uint64_t far = value - anchor() + CONSTANT_MAX;

    if (is_in(move, value))
        return value - (uintptr_t)move->base;
    must(far < 2 * CONSTANT_MAX); /* a pointer to where none may lead */
    return CONSTANT + far;
}

static uint64_t from_place(const struct heap_move *move, uint64_t place)
{
    if (place < HEAP_BYTES)
        return (uintptr_t)move->base + place;
    must(place - CONSTANT < 2 * CONSTANT_MAX);
    return place - CONSTANT - CONSTANT_MAX + anchor();
}

void move_pointer(const struct heap_move *move, void *pointer)
{
    uint64_t value;

    memcpy(&value, pointer, sizeof(value));
    if (value == 0)
        return;
    value = move->freezes ? to_place(move, value) : from_place(move, value);
    memcpy(pointer, &value, sizeof(value));
}

void *move_reach(const struct heap_move *move, const void *object)
{
    uint64_t value = (uintptr_t)object;

    if (move->freezes)
        value -= (uintptr_t)move->base;
    must(value < HEAP_BYTES);
    return move->copy + value;
}

static void move_pointers(void *object, size_t bytes,
                          const struct heap_move *move)
{
    uint64_t *pointers = object;

    for (size_t i = 0; i < bytes / sizeof(*pointers); i++)
        move_pointer(move, &pointers[i]);
}

const struct heap_type heap_pointers = {"pointers", move_pointers};

/* The type of a block, in the copy; its own pointer is moved with it. */
static const struct heap_type *move_type(const struct heap_move *move,
                                         struct block *block)
{
    const struct heap_type *type = block->type;

    move_pointer(move, &block->type);
    return move->freezes ? type : block->type;
}

/* Everything in the copy.  False where its blocks make no sense. */
static bool move_all(const struct heap_move *move, uint64_t bytes)
{
    struct heap *heap = (struct heap *)(void *)(move->copy + HEAP_AT);
    uint64_t place = BLOCKS_AT;

    move_pointer(move, &heap->root);
    while (place < bytes) {
        struct block *block = block_at(move->copy, place);
        const struct heap_type *type;

        if (bytes - place < sizeof(*block) || block->bytes < sizeof(*block) ||
            block->bytes % BLOCK_ALIGN != 0 || block->bytes > bytes - place ||
            block->asked > block->bytes - sizeof(*block))
            return false;
        type = move_type(move, block);
        if (block->asked > 0 && type->move != NULL)
            type->move(block + 1, block->asked, move);
        place += block->bytes;
    }
    return place == bytes;
}

#ifdef HEAP_WATCHED
static void watch_all(uint8_t *base, uint64_t bytes)
{
    uint64_t place = BLOCKS_AT;

    while (place < bytes) {
        struct block *block = block_at(base, place);

        watch_block(block);
        place += block->bytes;
    }
}
#else
static void watch_all(uint8_t *base, uint64_t bytes)
{
    (void)base;
    (void)bytes;
}
#endif

uint64_t heap_bytes(const struct heap *heap)
{
    return heap->top;
}

void heap_freeze(const struct heap *heap, void *image)
{
    const struct heap_move move = {
        .copy = image, .base = base_of(heap), .freezes = true};
    uint64_t bytes = heap->top;

    PERMIT(base_of(heap), bytes);
    memcpy(image, base_of(heap), bytes);
    watch_all(base_of(heap), bytes);
    must(move_all(&move, bytes));
}

/* Nothing stays behind the new top; whole pages go back to the host. */
static void clear_behind(uint8_t *base, uint64_t from, uint64_t to)
{
    uint64_t whole = (from + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull);

    if (from >= to)
        return;
    memset(base + from, 0, (whole < to ? whole : to) - from);
    if (whole < to && madvise(base + whole, to - whole, MADV_DONTNEED) < 0)
        memset(base + whole, 0, to - whole);
}

int heap_thaw(struct heap *heap, const void *image, uint64_t bytes)
{
    const struct heap_move move = {.copy = base_of(heap),
                                   .base = base_of(heap)};
    uint64_t was = heap->top;

    if (bytes < BLOCKS_AT || bytes > HEAP_BYTES)
        return -EINVAL;
    PERMIT(base_of(heap), was);
    memcpy(base_of(heap), image, bytes);
    if (heap->top != bytes || !move_all(&move, bytes)) {
        heap->top = BLOCKS_AT;
        clear_behind(base_of(heap), BLOCKS_AT, bytes > was ? bytes : was);
        return -EINVAL;
    }
    clear_behind(base_of(heap), bytes, was);
    watch_all(base_of(heap), bytes);
    return 0;
}
