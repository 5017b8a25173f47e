/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h - how a heap is cut, for the files of this folder. */
#ifndef SANDBOX_FILES_HEAP_BLOCKS_H
#define SANDBOX_FILES_HEAP_BLOCKS_H

#include <stdbool.h>

#include "sandbox/files/heap/heap.h"

#define HEAP_AT     64u /* of struct heap: so that no object is at 0 */
#define BLOCK_ALIGN 16u

/* In front of each object. */
struct block {
    const struct heap_type *type;
    uint32_t bytes; /* to the next block */
    uint32_t asked; /* of the object; of a free block 0 */
};

_Static_assert(sizeof(struct block) == BLOCK_ALIGN, "objects are aligned");

#define BLOCKS_AT                                                              \
    ((HEAP_AT + sizeof(struct heap) + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1ull))

static inline uint8_t *base_of(const void *object)
{
    return (uint8_t *)((uintptr_t)object & ~(uintptr_t)(HEAP_BYTES - 1));
}

static inline struct block *block_at(const uint8_t *base, uint64_t place)
{
    return (struct block *)(void *)(uintptr_t)(base + place);
}

/* What sanitizers know of freed blocks; nothing elsewhere. */
#if defined(__SANITIZE_ADDRESS__)
#define HEAP_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_WATCHED 1
#endif
#endif

#ifdef HEAP_WATCHED
#include <sanitizer/asan_interface.h>
#define WATCH(at, bytes)  __asan_poison_memory_region(at, bytes)
#define PERMIT(at, bytes) __asan_unpoison_memory_region(at, bytes)
#else
#define WATCH(at, bytes)  ((void)(at), (void)(bytes))
#define PERMIT(at, bytes) ((void)(at), (void)(bytes))
#endif

/* Only what was asked for may be touched. */
static inline void watch_block(struct block *block)
{
    uint8_t *object = (uint8_t *)(block + 1);

    PERMIT(object, block->asked);
    WATCH(object + block->asked, block->bytes - sizeof(*block) - block->asked);
}

#endif
