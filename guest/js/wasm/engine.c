/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the engine as another WebAssembly module (build.py): its memory is
 * ours, and what it calls through its table are exports of ours.
 */
#include <stdlib.h>

#include "engine.h"

#define PAGE_BYTES 65536u

#define EXPORT(name) __attribute__((export_name(#name))) name

void EXPORT(on_release)(u32 runtime, u32 opaque, u32 address);
void EXPORT(on_rejection)(u32 context, u64 promise, u64 reason, u32 is_heard,
                          u32 opaque);

/* In place of what the engine has for it, which is free(). */
void on_release(u32 runtime, u32 opaque, u32 address)
{
    (void)runtime;
    (void)opaque;
    if (!buffer_released(address))
        engine_give(address);
}

void on_rejection(u32 context, u64 promise, u64 reason, u32 is_heard,
                  u32 opaque)
{
    (void)context;
    (void)opaque;
    rejections_track(promise, reason, is_heard != 0);
}

uint32_t table_open(void)
{
    return TRACKER_INDEX; /* build.py has put them there */
}

uint32_t engine_address(const void *place)
{
    return (uint32_t)(uintptr_t)place;
}

bool engine_grow(uint64_t bytes)
{
    uint64_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    uint64_t have = __builtin_wasm_memory_size(0);

    return pages <= have ||
           (bytes <= engine.heap_max &&
            __builtin_wasm_memory_grow(0, pages - have) != (size_t)-1);
}

/* ---- our own objects lie in the engine's heap: there is only one ---- */

/* Its length, in front of a block; as much as keeps blocks aligned. */
#define LENGTH_BYTES 16u

void *malloc(size_t bytes)
{
    /* Not engine_take: the C library asks for some before main. */
    uint32_t address =
        bytes < SIZE_MAX / 2
            ? engine_malloc(unused, (uint32_t)(bytes + LENGTH_BYTES))
            : 0;

    if (address == 0)
        return NULL;
    *(size_t *)engine_at(address) = bytes;
    return engine_at(address + LENGTH_BYTES);
}

void free(void *block)
{
    if (block != NULL)
        engine_give(engine_address(block) - LENGTH_BYTES);
}

void *calloc(size_t count, size_t bytes)
{
    void *block = NULL;

    if (!__builtin_mul_overflow(count, bytes, &bytes))
        block = malloc(bytes);
    return block != NULL ? __builtin_memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t bytes)
{
    void *other = malloc(bytes);
    size_t was;

    if (block == NULL || other == NULL)
        return other;
    was = *(const size_t *)engine_at(engine_address(block) - LENGTH_BYTES);
    __builtin_memcpy(other, block, was < bytes ? was : bytes);
    free(block);
    return other;
}
