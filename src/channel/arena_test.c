/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "channel/arena.h"
#include "glovebox/error.h"

#define MIB  (1u << 20)
#define HUGE (2 * MIB)

static struct arena arena;
static uint64_t wanted;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 8 * MIB);
    return 0;
}

static uint64_t take(uint64_t bytes)
{
    uint64_t off;

    assert_int_equal(arena_take(&arena, bytes, &off, &wanted), 0);
    return off;
}

static void refuse(uint64_t bytes, uint64_t would_do)
{
    uint64_t off;

    assert_int_equal(arena_take(&arena, bytes, &off, &wanted), GBX_EARENA);
    assert_int_equal(wanted, would_do);
}

static void blocks_start_on_lines_and_large_ones_on_huge_lines(void **state)
{
    (void)state;
    assert_int_equal(take(0), 0);
    assert_int_equal(take(1), 64);
    assert_int_equal(take(64), 128);
    assert_int_equal(take(65), 192);
    assert_int_equal(take(GBX_PAGED_BYTES - 1), 320);
    assert_int_equal(take(GBX_PAGED_BYTES), 69632);
    assert_int_equal(take(HUGE - 1), 135168);
    assert_int_equal(take(HUGE), 2 * HUGE);
}

static void the_lowest_gap_that_is_large_enough_is_taken(void **state)
{
    uint64_t a, b, c;

    (void)state;
    a = take(100);
    b = take(200);
    c = take(300);
    take(64);
    assert_int_equal(arena_drop(&arena, a), 0);
    assert_int_equal(arena_drop(&arena, c), 0);
    assert_int_equal(take(129), c); /* the first gap has 128 */
    assert_int_equal(take(128), a);
    assert_int_equal(arena_drop(&arena, b), 0);
    assert_int_equal(take(256), b);
}

static void a_huge_block_needs_a_gap_with_a_huge_line_in_it(void **state)
{
    uint64_t b, c;

    (void)state;
    take(4096);
    b = take(HUGE - 8192);
    c = take(HUGE - 8192);
    take(64);
    assert_int_equal(arena_drop(&arena, b), 0);
    assert_int_equal(arena_drop(&arena, c), 0); /* 4,096 .. 4 MiB - 12,288 */
    assert_int_equal(take(HUGE), 2 * (uint64_t)HUGE);
    assert_int_equal(take(HUGE - 8192), b);
}

static void a_full_arena_says_how_long_it_would_have_to_be(void **state)
{
    (void)state;
    refuse(8 * MIB + 1, 8 * MIB + 64);
    take(8 * MIB);
    refuse(1, 8 * MIB + 64);
    refuse(HUGE, 8 * MIB + HUGE);
    refuse(UINT64_MAX, UINT64_MAX); /* would wrap */
    refuse(UINT64_MAX - 63, UINT64_MAX);
    assert_int_equal(arena_drop(&arena, 8 * MIB - 1), 0);
    assert_int_equal(take(8 * MIB), 0);
}

static void note_freed(void *context, uint64_t off)
{
    *(uint64_t *)context = off;
}

static void who_wants_to_hears_where_a_block_became_free(void **state)
{
    uint64_t freed = 1, off;

    (void)state;
    take(64);
    off = take(100);
    arena.freed = note_freed;
    arena.freed_context = &freed;
    assert_int_equal(arena_hold(&arena, off, 1), 0);
    assert_int_equal(arena_lend(&arena, off, 1), 0);
    assert_int_equal(arena_drop(&arena, off + 50), 0);
    assert_int_equal(freed, 1); /* somebody has it still */
    assert_int_equal(arena_give(&arena, off + 99), 0);
    assert_int_equal(freed, off);
}

static void a_full_table_is_no_matter_of_length(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < GBX_ARENA_BLOCKS; i++)
        assert_int_equal(take(1), i * 64u);
    refuse(1, 0);
    assert_int_equal(arena_drop(&arena, 64 * 511 + 63), 0);
    assert_int_equal(take(1), 64 * 511);
}

static void a_block_is_free_when_its_last_holder_left(void **state)
{
    uint64_t off;

    (void)state;
    off = take(1000);
    assert_int_equal(arena_hold(&arena, off + 10, 990), 0);
    assert_int_equal(arena_lend(&arena, off, 1000), 0);
    assert_int_equal(arena_drop(&arena, off), 0);
    assert_int_equal(arena_drop(&arena, off), GBX_EBOUNDS);
    assert_int_equal(arena_pass(&arena, off, 7), 0);
    assert_int_equal(arena_give(&arena, off + 999), 0);
    assert_int_equal(arena.count, 1);
    assert_int_equal(arena.lent, 0);
    assert_int_equal(arena_drop(&arena, off), 0);
    assert_int_equal(arena.count, 0);
}

static void a_block_that_was_too_long_gives_its_end_back(void **state)
{
    uint64_t off;

    (void)state;
    off = take(8 * MIB);
    assert_int_equal(arena_trim(&arena, off, 8 * MIB + 1), GBX_EBOUNDS);
    assert_int_equal(arena_trim(&arena, off + 64, 1), GBX_EBOUNDS);
    assert_int_equal(arena_trim(&arena, off, 100), 0);
    assert_int_equal(take(1), off + 128);
    assert_int_equal(arena_trim(&arena, off, 0), 0);
    assert_int_equal(take(1), off + 64);
    assert_int_equal(arena_lend(&arena, off, 1), 0);
    assert_int_equal(arena_trim(&arena, off, 0), GBX_EBOUNDS); /* it is read */
}

/* The peer names offsets; this is what keeps it to what it was lent. */
static void a_peer_gives_and_passes_only_what_it_holds(void **state)
{
    uint64_t off;

    (void)state;
    take(64);
    off = take(100);
    take(64);
    assert_int_equal(arena_give(&arena, off), GBX_EBOUNDS); /* not lent */
    assert_int_equal(arena_pass(&arena, off, 1), GBX_EBOUNDS);
    assert_int_equal(arena_lend(&arena, off, 1), 0);
    assert_int_equal(arena_lend(&arena, off, 1), GBX_EBOUNDS); /* not mine */
    assert_int_equal(arena_give(&arena, off - 1), GBX_EBOUNDS);
    assert_int_equal(arena_give(&arena, off + 128), GBX_EBOUNDS);
    assert_int_equal(arena_give(&arena, UINT64_MAX), GBX_EBOUNDS);
    assert_int_equal(arena_pass(&arena, off, 129), GBX_EBOUNDS);
    assert_int_equal(arena_pass(&arena, off + 64, UINT64_MAX), GBX_EBOUNDS);
    assert_int_equal(arena_pass(&arena, off + 127, 1), 0);
    assert_int_equal(arena_give(&arena, off + 127), 0);
    assert_int_equal(arena_give(&arena, off), GBX_EBOUNDS); /* twice */
    assert_int_equal(arena_pass(&arena, off, 1), GBX_EBOUNDS);
}

/* Its gives must find a place each. */
static void no_more_is_lent_than_can_be_given(void **state)
{
    uint64_t off;

    (void)state;
    off = take(64);
    for (uint32_t i = 0; i <= GBX_ARENA_BLOCKS; i++)
        assert_int_equal(arena_hold(&arena, off, 64), 0);
    for (uint32_t i = 0; i < GBX_ARENA_BLOCKS; i++)
        assert_int_equal(arena_lend(&arena, off, 64), 0);
    assert_int_equal(arena_lend(&arena, off, 64), GBX_EARENA);
    assert_int_equal(arena_give(&arena, off), 0);
    assert_int_equal(arena_lend(&arena, off, 64), 0);
}

/* Against the plainest model: a map of lines. */
static void at_random_blocks_never_overlap_and_the_lowest_fit_wins(void **state)
{
    enum { LINES = 4096, ROUNDS = 20000 };
    static uint16_t held[LINES]; /* 1 + number of the block there, or 0 */
    static uint64_t offs[ROUNDS];
    unsigned seed = 7, live = 0, i, j;

    (void)state;
    arena_init(&arena, LINES * 64);
    for (i = 0; i < ROUNDS; i++) {
        unsigned want = 1 + (unsigned)rand_r(&seed) % 40, run = 0, at = 0;
        uint64_t off;

        if (live > 0 && rand_r(&seed) % 5 < 2) {
            j = (unsigned)rand_r(&seed) % live;
            off = offs[j];
            assert_int_equal(arena_drop(&arena, off), 0);
            at = (unsigned)(off / 64);
            for (uint16_t was = held[at]; at < LINES && held[at] == was; at++)
                held[at] = 0;
            offs[j] = offs[--live];
            continue;
        }
        for (at = 0; at < LINES && run < want; at++)
            run = held[at] == 0 ? run + 1 : 0;
        if (arena_take(&arena, want * 64, &off, &wanted) < 0) {
            assert_true(run < want || live == GBX_ARENA_BLOCKS);
            continue;
        }
        assert_int_equal(off, (at - want) * 64);
        for (j = at - want; j < at; j++)
            held[j] = (uint16_t)(i + 1);
        offs[live++] = off;
    }
    assert_int_equal(live, arena.count);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(blocks_start_on_lines_and_large_ones_on_huge_lines),
        TEST(the_lowest_gap_that_is_large_enough_is_taken),
        TEST(a_huge_block_needs_a_gap_with_a_huge_line_in_it),
        TEST(a_full_arena_says_how_long_it_would_have_to_be),
        TEST(who_wants_to_hears_where_a_block_became_free),
        TEST(a_full_table_is_no_matter_of_length),
        TEST(a_block_is_free_when_its_last_holder_left),
        TEST(a_block_that_was_too_long_gives_its_end_back),
        TEST(a_peer_gives_and_passes_only_what_it_holds),
        TEST(no_more_is_lent_than_can_be_given),
        TEST(at_random_blocks_never_overlap_and_the_lowest_fit_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
