/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - the engine's memory.
 *
 * wasm2c's code reads and writes engine.memory.data[address] without looking
 * at a length: what is not mapped ends the program, and this program is sealed.
 * So memory is what is mapped: the heap here, the region by the guest library.
 */
#include <sys/mman.h>

#include "engine.h"

#define PAGE_BYTES  65536u /* of WebAssembly */
#define PAGES_FIRST 256u   /* the module asks for them */

uint32_t engine_address(const void *place)
{
    uintptr_t off = (uintptr_t)place - (uintptr_t)engine.memory.data;

    return off <= UINT32_MAX ? (uint32_t)off : 0;
}

bool engine_grow(uint64_t bytes)
{
    uint64_t have = (uint64_t)engine.memory.pages * PAGE_BYTES;
    uint64_t want = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uint8_t *end = engine.memory.data + have;

    if (want <= have)
        return true;
    if (want > engine.heap_max ||
        mmap(end, want - have, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
             -1, 0) != end)
        return false;
    engine.memory.pages = (uint32_t)(want / PAGE_BYTES);
    return true;
}

int engine_open(uint8_t *end, uint64_t heap_max)
{
    wasm_rt_init();
    engine.heap_max = heap_max / PAGE_BYTES * PAGE_BYTES;
    engine.memory = (wasm_rt_memory_t){
        .data = end - engine.heap_max,
        .max_pages = PAGE_BYTES,
        .size = UINT32_MAX, /* for memory.copy, the region counts */
    };
    if (!engine_grow((uint64_t)PAGES_FIRST * PAGE_BYTES))
        return -1;
    Z_quickjs_init_module();
    Z_quickjs_instantiate(&engine.instance, (void *)&engine);
    return 0;
}

int engine_resume(const struct engine_places *places)
{
    engine.places = *places;
    engine.instance.w2c_g0 = places->stack;
    return table_open() != 0 ? 0 : -1;
}
