/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "glovebox/error.h"

#include "channel/arena.h"

static uint64_t round_up(uint64_t value, uint64_t line)
{
    return (value + line - 1) & ~(line - 1);
}

void arena_init(struct arena *arena, uint64_t bytes)
{
    arena->bytes = bytes;
    arena->count = 0;
    arena->lent = 0;
    arena->freed = NULL;
}

static uint64_t line_of(uint64_t bytes)
{
    if (bytes < GBX_PAGED_BYTES)
        return GBX_BLOCK_ALIGN;
    return bytes < GBX_HUGE_BYTES ? GBX_PAGE_BYTES : GBX_HUGE_BYTES;
}

static uint64_t whole_lines(uint64_t bytes)
{
    return round_up(bytes == 0 ? 1 : bytes, GBX_BLOCK_ALIGN);
}

static int take(struct arena *arena, uint64_t bytes, uint64_t arena_bytes,
                uint64_t *off, uint64_t *wanted)
{
    uint64_t line = line_of(bytes);
    struct arena_block *blocks = arena->blocks;
    uint64_t start = 0;
    uint32_t i;

    *wanted = arena->count == GBX_ARENA_BLOCKS ? 0 : UINT64_MAX;
    if (arena->count == GBX_ARENA_BLOCKS || bytes > GBX_HALF_BYTES_MAX)
        return GBX_EARENA;
    bytes = whole_lines(bytes);

    /* The first gap: start is the first line behind the block before. */
    for (i = 0; i < arena->count; i++) {
        if (start <= blocks[i].off && blocks[i].off - start >= bytes)
            break;
        start = round_up(blocks[i].off + blocks[i].bytes, line);
    }
    if (i == arena->count && start + bytes > arena_bytes) {
        *wanted = start + bytes;
        return GBX_EARENA;
    }

    memmove(&blocks[i + 1], &blocks[i],
            (arena->count - i) * sizeof(struct arena_block));
    blocks[i] = (struct arena_block){.off = start, .bytes = bytes, .mine = 1};
    arena->count++;
    *off = start;
    return 0;
}

int arena_take(struct arena *arena, uint64_t bytes, uint64_t *off,
               uint64_t *wanted)
{
    return take(arena, bytes, arena->bytes, off, wanted);
}

bool arena_take_below(struct arena *arena, uint64_t end, uint64_t bytes,
                      uint64_t *off)
{
    uint64_t wanted;

    return (arena->count == 0 || arena->blocks[arena->count - 1].off < end) &&
           take(arena, bytes, end, off, &wanted) == 0;
}

/* The block that contains all of [off, off + bytes), or NULL. */
static struct arena_block *find(struct arena *arena, uint64_t off,
                                uint64_t bytes)
{
    uint32_t low = 0, high = arena->count, middle;
    struct arena_block *block;

    /* The last block that starts at off or before: low - 1. */
    while (low < high) {
        middle = low + (high - low) / 2;
        if (arena->blocks[middle].off <= off)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    block = &arena->blocks[low - 1];
    off -= block->off;
    if (off >= block->bytes || bytes > block->bytes - off)
        return NULL;
    return block;
}

static void free_unheld(struct arena *arena, struct arena_block *block)
{
    size_t after = (size_t)(&arena->blocks[arena->count] - (block + 1));

    if (block->mine > 0 || block->peers > 0)
        return;
    if (arena->freed != NULL)
        arena->freed(arena->freed_context, block->off);
    memmove(block, block + 1, after * sizeof(*block));
    arena->count--;
}

int arena_hold(struct arena *arena, uint64_t off, uint64_t bytes)
{
    struct arena_block *block = find(arena, off, bytes);

    if (block == NULL || block->mine == UINT32_MAX)
        return GBX_EBOUNDS;
    block->mine++;
    return 0;
}

int arena_drop(struct arena *arena, uint64_t off)
{
    struct arena_block *block = find(arena, off, 0);

    if (block == NULL || block->mine == 0)
        return GBX_EBOUNDS;
    block->mine--;
    free_unheld(arena, block);
    return 0;
}

int arena_trim(struct arena *arena, uint64_t off, uint64_t bytes)
{
    struct arena_block *block = find(arena, off, bytes);

    if (block == NULL || block->off != off || block->mine != 1 ||
        block->peers > 0)
        return GBX_EBOUNDS;
    block->bytes = whole_lines(bytes);
    return 0;
}

int arena_lend(struct arena *arena, uint64_t off, uint64_t bytes)
{
    struct arena_block *block = find(arena, off, bytes);

    if (block == NULL || block->mine == 0)
        return GBX_EBOUNDS;
    if (arena->lent == GBX_ARENA_BLOCKS)
        return GBX_EARENA;
    block->mine--;
    block->peers++;
    arena->lent++;
    return 0;
}

int arena_give(struct arena *arena, uint64_t off)
{
    struct arena_block *block = find(arena, off, 0);

    if (block == NULL || block->peers == 0)
        return GBX_EBOUNDS;
    block->peers--;
    arena->lent--;
    free_unheld(arena, block);
    return 0;
}

int arena_pass(struct arena *arena, uint64_t off, uint64_t bytes)
{
    struct arena_block *block = find(arena, off, bytes);

    if (block == NULL || block->peers == 0 || block->mine == UINT32_MAX)
        return GBX_EBOUNDS;
    block->mine++;
    return 0;
}
