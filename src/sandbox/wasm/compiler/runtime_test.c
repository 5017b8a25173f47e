/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of a module that has a region, at each edge: what is let through
 * lies in its memory or in a window, and nothing else does.  Where nothing is
 * to be reached there is nothing, so what is let through by mistake faults.
 *
 *   0     MEMORY      AT              AT + HALF      + THERE     4 GiB
 *   | memory | nothing | readable ..... | writable ... | readable |
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#define WASM_REGION 1
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#include "runtime.h"

#define MEMORY (2ull << 16)
#define HALF   (1ull << 20)
#define THERE  (HALF / 2)
#define ALL    (1ull << 32)
#define AT     (ALL - 2 * HALF)

DEFINE_LOAD(load1, u8, u8, u64)
DEFINE_LOAD(load2, u16, u16, u64)
DEFINE_LOAD(load4, u32, u32, u64)
DEFINE_LOAD(load8, u64, u64, u64)
DEFINE_STORE(store1, u8, u64)
DEFINE_STORE(store2, u16, u64)
DEFINE_STORE(store4, u32, u64)
DEFINE_STORE(store8, u64, u64)

static const uint64_t edges[] = {
    0, MEMORY, AT, AT + HALF, AT + HALF + THERE, ALL, ALL + MEMORY, 2 * ALL - 1,
};
#define EDGES (sizeof(edges) / sizeof(edges[0]))
#define NEAR  9

static struct wasm_memory memory;
static struct wasm_context context;
static jmp_buf trapped;

static void trap(struct wasm_context *c, enum wasm_trap why, const void *from)
{
    (void)from;
    assert_ptr_equal(c, &context);
    assert_int_equal(why, WASM_TRAP_BOUNDS);
    longjmp(trapped, 1);
}

static int open_all(void **state)
{
    uint8_t *base = mmap(NULL, ALL + 4096, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    assert_ptr_not_equal(base, MAP_FAILED);
    mprotect(base, MEMORY, PROT_READ | PROT_WRITE);
    mprotect(base + AT, HALF, PROT_READ);
    /* One access that begins in a window may end behind it. */
    mprotect(base + AT + HALF, HALF + 4096, PROT_READ | PROT_WRITE);
    memory = (struct wasm_memory){
        .data = base, .size = MEMORY, .pages = 2, .max_pages = 2};
    context = (struct wasm_context){.readable = {AT, 2 * HALF},
                                    .writable = {AT + HALF, THERE},
                                    .trap = trap};
    return 0;
}

static bool begins(uint64_t at, bool writes)
{
    return writes ? at >= AT + HALF && at < AT + HALF + THERE
                  : at >= AT && at < ALL;
}

static bool is_within(uint64_t at, uint64_t bytes, bool writes)
{
    return at + bytes <= MEMORY ||
           (writes ? at >= AT + HALF && at + bytes <= AT + HALF + THERE
                   : at >= AT && at + bytes <= ALL);
}

static void touch(uint64_t at, unsigned bytes, bool writes)
{
    if (writes && bytes == 1)
        store1(&memory, at, 1);
    else if (writes && bytes == 2)
        store2(&memory, at, 2);
    else if (writes && bytes == 4)
        store4(&memory, at, 4);
    else if (writes)
        store8(&memory, at, 8);
    else if (bytes == 1)
        load1(&memory, at);
    else if (bytes == 2)
        load2(&memory, at);
    else if (bytes == 4)
        load4(&memory, at);
    else
        load8(&memory, at);
}

static __attribute__((noinline)) bool is_let(uint64_t at, unsigned bytes,
                                             bool writes)
{
    wasm_context = &context;
    if (setjmp(trapped) != 0)
        return false;
    touch(at, bytes, writes);
    return true;
}

static void one_access_begins_where_it_may(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EDGES * 2 * NEAR * 8; i++) {
        const unsigned bytes = 1u << i % 4;
        const bool writes = i / 4 % 2;
        const uint64_t at =
            edges[i / 8 / (2 * NEAR)] + i / 8 % (2 * NEAR) - NEAR;

        if (at < 2 * ALL) /* else it is below 0 */
            assert_int_equal(is_let(at, bytes, writes),
                             at + bytes <= MEMORY || begins(at, writes));
    }
}

enum bulk { FILL, COPY_TO, COPY_FROM, INIT, BULKS };

static void move(enum bulk what, uint32_t at, uint32_t bytes)
{
    static const uint8_t source[64];

    if (what == FILL)
        memory_fill(&memory, at, 0, bytes);
    else if (what == COPY_TO)
        memory_copy(&memory, &memory, at, 0, bytes);
    else if (what == COPY_FROM)
        memory_copy(&memory, &memory, 0, at, bytes);
    else
        memory_init(&memory, source, sizeof(source), at, 0, bytes);
}

/* The other end of a copy is the memory's beginning; a segment has 64 bytes. */
static bool may_move(enum bulk what, uint64_t at, uint64_t bytes)
{
    if (what == INIT && bytes > 64)
        return false;
    if ((what == COPY_TO || what == COPY_FROM) && bytes > MEMORY)
        return false;
    return is_within(at, bytes, what != COPY_FROM);
}

static __attribute__((noinline)) bool is_let_move(enum bulk what, uint64_t at,
                                                  uint64_t bytes)
{
    wasm_context = &context;
    if (setjmp(trapped) != 0)
        return false;
    move(what, (uint32_t)at, (uint32_t)bytes);
    return true;
}

static void many_bytes_lie_where_they_may(void **state)
{
    static const uint64_t lengths[] = {
        0,          1,          8,       9,       64,       65,
        MEMORY,     MEMORY + 1, THERE,   HALF,    2 * HALF, ALL - AT,
        ALL - HALF, ALL - 18,   ALL - 9, ALL - 1,
    };
    const unsigned count = sizeof(lengths) / sizeof(lengths[0]);

    (void)state;
    for (unsigned i = 0; i < EDGES * 2 * NEAR * count * BULKS; i++) {
        const enum bulk what = i % BULKS;
        const uint64_t bytes = lengths[i / BULKS % count];
        const uint64_t at = edges[i / BULKS / count / (2 * NEAR)] +
                            i / BULKS / count % (2 * NEAR) - NEAR;

        if (at < ALL) /* else it is no number of 32 bits */
            assert_int_equal(is_let_move(what, at, bytes),
                             may_move(what, at, bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_access_begins_where_it_may),
        cmocka_unit_test(many_bytes_lie_where_they_may),
    };

    return cmocka_run_group_tests_name("wasm runtime", tests, open_all, NULL);
}
