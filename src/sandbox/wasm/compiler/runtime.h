/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - what wasm2c's C needs: part of each artefact's source, after
 * artefact.h.  It takes the place of wasm2c's own runtime, whose memory is
 * guarded by pages that fault, with a signal handler of the whole process; here
 * each access is compared with the memory's size (decision 0010).
 *
 * WASM_REGION: the module has a region, two windows of addresses above its
 * memory (artefact.h); an access that is not in its memory may be in one.
 */
#ifndef GLOVEBOX_WASM_RUNTIME_H
#define GLOVEBOX_WASM_RUNTIME_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifndef SANDBOX_WASM_ARTEFACT_H /* it is in front, in an artefact's source */
#include "sandbox/wasm/artefact.h"
#endif

register struct wasm_context *wasm_context __asm__("r15");
register uint8_t *wasm_stack __asm__("rsp");

#define LIKELY(x)           __builtin_expect(!!(x), 1)
#define UNLIKELY(x)         __builtin_expect(!!(x), 0)
#define wasm_rt_memcpy      __builtin_memcpy
#define wasm_rt_unreachable __builtin_unreachable
#define WASM_INLINE         static inline __attribute__((always_inline))

/* ---- names that wasm2c uses ---- */

typedef enum {
    WASM_RT_I32,
    WASM_RT_I64,
    WASM_RT_F32,
    WASM_RT_F64,
    WASM_RT_FUNCREF,
    WASM_RT_EXTERNREF,
} wasm_rt_type_t;

typedef void (*wasm_rt_function_ptr_t)(void);
typedef struct {
    uint32_t func_type;
    wasm_rt_function_ptr_t func;
    void *module_instance;
} wasm_rt_funcref_t;
typedef void *wasm_rt_externref_t;

static const wasm_rt_funcref_t wasm_rt_funcref_null_value = {0, NULL, NULL};
static const wasm_rt_externref_t wasm_rt_externref_null_value = NULL;

typedef struct wasm_memory wasm_rt_memory_t;

typedef struct {
    wasm_rt_funcref_t *data;
    uint32_t max_size, size;
} wasm_rt_funcref_table_t;

typedef struct {
    wasm_rt_externref_t *data;
    uint32_t max_size, size;
} wasm_rt_externref_table_t;

#define wasm_rt_is_initialized() true

/* ---- traps ---- */

static __attribute__((noreturn, noinline, cold)) int
wasm_rt_trap(enum wasm_trap trap)
{
    wasm_context->trap(wasm_context, trap, __builtin_return_address(0));
    __builtin_unreachable();
}

#define WASM_RT_TRAP_OOB                WASM_TRAP_BOUNDS
#define WASM_RT_TRAP_INT_OVERFLOW       WASM_TRAP_OVERFLOW
#define WASM_RT_TRAP_DIV_BY_ZERO        WASM_TRAP_DIVISION
#define WASM_RT_TRAP_INVALID_CONVERSION WASM_TRAP_CONVERSION
#define WASM_RT_TRAP_UNREACHABLE        WASM_TRAP_UNREACHABLE
#define WASM_RT_TRAP_CALL_INDIRECT      WASM_TRAP_INDIRECT
#define TRAP(x)                         wasm_rt_trap(WASM_RT_TRAP_##x)
#define UNREACHABLE                     TRAP(UNREACHABLE)

static __attribute__((noinline, cold)) void wasm_pause(void)
{
    wasm_context->pause(wasm_context, __builtin_return_address(0));
}

#define STACK_CHECK                                                            \
    if (UNLIKELY((uintptr_t)wasm_stack < wasm_context->limit))                 \
        wasm_pause();
#define FUNC_PROLOGUE STACK_CHECK
#define FUNC_EPILOGUE
#define LOOP_CHECK STACK_CHECK

/* ---- memory ---- */

/*
 * An access that is not in its memory may be one in the region: by one
 * comparison, of where it begins.  So one that begins in the last bytes of a
 * window may end up to 7 behind it; there is memory there, of no meaning.
 */
#ifdef WASM_REGION
#define wasm_begins_in(window, at) ((at) - (window).at < (window).bytes)
#else
#define wasm_begins_in(window, at) false
#endif

WASM_INLINE void wasm_check(const wasm_rt_memory_t *memory, uint64_t at,
                            uint64_t bytes, bool writes)
{
    if (UNLIKELY(at + bytes > memory->size) &&
        UNLIKELY(writes ? !wasm_begins_in(wasm_context->writable, at)
                        : !wasm_begins_in(wasm_context->readable, at)))
        TRAP(OOB);
}

/* The same for any length.  No sum can wrap: both are below 2^33. */
static void wasm_check_range(const wasm_rt_memory_t *memory, uint64_t at,
                             uint64_t bytes, bool writes)
{
    const struct wasm_window *window =
        writes ? &wasm_context->writable : &wasm_context->readable;

    if (at + bytes > memory->size &&
        (at < window->at || at + bytes > window->at + window->bytes))
        TRAP(OOB);
}

#define LOAD_DATA(memory, at, from, bytes)                                     \
    do {                                                                       \
        if (wasm_context->is_restored)                                         \
            break;                                                             \
        wasm_check_range(&(memory), at, bytes, true);                          \
        memcpy(&(memory).data[at], from, bytes);                               \
    } while (0)

#define DEFINE_LOAD(name, kept, wide, result)                                  \
    WASM_INLINE result name(wasm_rt_memory_t *memory, uint64_t at)             \
    {                                                                          \
        kept got;                                                              \
        wasm_check(memory, at, sizeof(got), false);                            \
        wasm_rt_memcpy(&got, &memory->data[at], sizeof(got));                  \
        return (result)(wide)got;                                              \
    }

#define DEFINE_STORE(name, kept, given)                                        \
    WASM_INLINE void name(wasm_rt_memory_t *memory, uint64_t at, given value)  \
    {                                                                          \
        kept put = (kept)value;                                                \
        wasm_check(memory, at, sizeof(put), true);                             \
        wasm_rt_memcpy(&memory->data[at], &put, sizeof(put));                  \
    }

/* The bulk ones say when they shall stop before each part, so that 4 GiB of
 * memset does not hold a deadline up. */
#define WASM_PART_BYTES (4u << 20)

static inline void memory_fill(wasm_rt_memory_t *memory, uint32_t to,
                               uint32_t value, uint32_t bytes)
{
    wasm_check_range(memory, to, bytes, true);
    for (uint64_t off = 0; off < bytes; off += WASM_PART_BYTES) {
        uint64_t left = bytes - off;

        memset(memory->data + to + off, (int)value,
               left < WASM_PART_BYTES ? left : WASM_PART_BYTES);
        LOOP_CHECK;
    }
}

static inline void memory_copy(wasm_rt_memory_t *target,
                               const wasm_rt_memory_t *source, uint32_t to,
                               uint32_t from, uint32_t bytes)
{
    wasm_check_range(target, to, bytes, true);
    wasm_check_range(source, from, bytes, false);
    if (bytes <= WASM_PART_BYTES) {
        memmove(target->data + to, source->data + from, bytes);
        return;
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t left = bytes - done;
        uint64_t part = left < WASM_PART_BYTES ? left : WASM_PART_BYTES;
        /* Up or down, so that what overlaps is read before it is written. */
        uint64_t off = to <= from ? done : left - part;

        memmove(target->data + to + off, source->data + from + off, part);
        done += part;
        LOOP_CHECK;
    }
}

static inline void memory_init(wasm_rt_memory_t *target, const uint8_t *source,
                               uint32_t source_bytes, uint32_t to,
                               uint32_t from, uint32_t bytes)
{
    if (UNLIKELY(from + (uint64_t)bytes > source_bytes))
        TRAP(OOB);
    wasm_check_range(target, to, bytes, true);
    memcpy(target->data + to, source + from, bytes);
}

#define wasm_rt_allocate_memory(m, first, most)                                \
    wasm_context->memory(wasm_context, m, first, most)
#define wasm_rt_grow_memory(m, more) wasm_context->grow(wasm_context, m, more)
#define wasm_rt_free_memory(m)       ((void)(m))

/* ---- tables ---- */

/* Of all tables of an instance; a table that could grow for ever may not. */
#define WASM_TABLE_MAX 1000000u

#define WASM_TABLE(kind)                                                       \
    static void wasm_rt_allocate_##kind##_table(                               \
        wasm_rt_##kind##_table_t *table, uint32_t size, uint32_t max)          \
    {                                                                          \
        table->size = table->max_size = 0;                                     \
        table->data =                                                          \
            size <= WASM_TABLE_MAX                                             \
                ? wasm_context->allocate(                                      \
                      wasm_context, ((size_t)size + 1) * sizeof(*table->data)) \
                : NULL;                                                        \
        if (table->data == NULL)                                               \
            wasm_rt_trap(WASM_TRAP_MEMORY);                                    \
        table->size = size;                                                    \
        table->max_size = max;                                                 \
    }                                                                          \
    static void wasm_rt_free_##kind##_table(wasm_rt_##kind##_table_t *table)   \
    {                                                                          \
        wasm_context->release(wasm_context, table->data);                      \
        table->data = NULL;                                                    \
        table->size = 0;                                                       \
    }                                                                          \
    static uint32_t wasm_rt_grow_##kind##_table(                               \
        wasm_rt_##kind##_table_t *table, uint32_t more,                        \
        wasm_rt_##kind##_t value)                                              \
    {                                                                          \
        uint32_t before = table->size;                                         \
        uint64_t after = (uint64_t)before + more;                              \
        void *data;                                                            \
                                                                               \
        if (after > table->max_size || after > WASM_TABLE_MAX)                 \
            return UINT32_MAX;                                                 \
        data = wasm_context->allocate(wasm_context,                            \
                                      (after + 1) * sizeof(*table->data));     \
        if (data == NULL)                                                      \
            return UINT32_MAX;                                                 \
        memcpy(data, table->data, before * sizeof(*table->data));              \
        wasm_context->release(wasm_context, table->data);                      \
        table->data = data;                                                    \
        table->size = (uint32_t)after;                                         \
        for (uint64_t i = before; i < after; i++)                              \
            table->data[i] = value;                                            \
        return before;                                                         \
    }

WASM_TABLE(funcref)
WASM_TABLE(externref)

/* x is a variable of wasm2c's.  An element that is null may have a type. */
#define CALL_INDIRECT(table, t, ft, x, ...)                                    \
    (LIKELY((x) < (table).size && (table).data[x].func != NULL &&              \
            (table).data[x].func_type == func_types[ft]) ||                    \
         TRAP(CALL_INDIRECT),                                                  \
     ((t)(table).data[x].func)(__VA_ARGS__))

/* ---- types of functions: equal ones have the same number ---- */

#ifndef WASM_TYPES_ELSEWHERE
#define WASM_TYPES_MAX 20000u

static uint8_t wasm_types[4u << 20];
static uint32_t wasm_types_bytes;

/* Each as: two lengths of 16 bits, then a byte for each type. */
uint32_t wasm_rt_register_func_type(uint32_t parameters, uint32_t results, ...);
uint32_t wasm_rt_register_func_type(uint32_t parameters, uint32_t results, ...)
{
    uint32_t bytes = 4 + parameters + results, at = 0;
    uint8_t *made = &wasm_types[wasm_types_bytes];
    va_list list;

    if (bytes > sizeof(wasm_types) - wasm_types_bytes)
        __builtin_trap(); /* the compiler's helper has counted before */
    made[0] = (uint8_t)parameters;
    made[1] = (uint8_t)(parameters >> 8);
    made[2] = (uint8_t)results;
    made[3] = (uint8_t)(results >> 8);
    va_start(list, results);
    for (uint32_t i = 0; i < parameters + results; i++)
        made[4 + i] = (uint8_t)va_arg(list, int);
    va_end(list);
    while (at < wasm_types_bytes) {
        const uint8_t *old = &wasm_types[at];
        uint32_t have = 4u + old[0] + (old[1] << 8) + old[2] + (old[3] << 8);

        if (have == bytes && memcmp(old, made, bytes) == 0)
            return at + 1;
        at += have;
    }
    wasm_types_bytes += bytes;
    return at + 1;
}
#else
uint32_t wasm_rt_register_func_type(uint32_t parameters, uint32_t results, ...);
#endif

#endif
