/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region_image_test.c - what a region holds, in others, and back.
 *
 * region_image.c is included here with its calls replaced by ones that fail
 * when told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

/* The call that fails, counted from now; 0: none. */
static struct {
    int at, calls;
    const char *name;
} fault;

static int faulty(const char *name)
{
    if (++fault.calls != fault.at)
        return 0;
    fault.name = name;
    errno = EIO;
    return 1;
}

#define lseek(...)   (faulty("lseek") ? -1 : lseek(__VA_ARGS__))
#define realloc(...) (faulty("realloc") ? NULL : realloc(__VA_ARGS__))
#define reallocarray(...)                                                      \
    (faulty("reallocarray") ? NULL : reallocarray(__VA_ARGS__))
#define fallocate(...) (faulty("fallocate") ? -1 : fallocate(__VA_ARGS__))

#include "channel/region_image.c" /* NOLINT: with the faulty calls */

#undef lseek
#undef realloc
#undef reallocarray
#undef fallocate

#include <cmocka.h>

#define MIB   (1ull << 20)
#define HALF  (16 * MIB)
#define ARENA (HALF - GBX_ARENA_OFF) /* at most */
#define SMALL (CLEARED_MAX / PAGE)

static struct region one, other;
static struct region_image image;
static struct gbx_error err;

static int setup(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof(fault));
    memset(&image, 0, sizeof(image));
    must(region_open(&one, HALF, &err) == 0);
    must(region_open(&other, HALF, &err) == 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    region_image_fini(&image);
    region_image_fini(&image);
    region_close(&other);
    region_close(&one);
    return 0;
}

static uint8_t *at(const struct region *region, enum half half, uint64_t off)
{
    return region->base + (half == HALF_GUEST ? HALF : 0) + off;
}

static uint64_t file_bytes(const struct region *region, enum half half)
{
    struct stat about;

    must(fstat(region->fd[half], &about) == 0);
    return (uint64_t)about.st_size;
}

/* Pages of both halves that have memory. */
static uint64_t count_pages(const struct region *region)
{
    uint64_t count = 0;

    for (enum half half = 0; half < HALF_COUNT; half++) {
        struct stat about;

        must(fstat(region->fd[half], &about) == 0);
        count += (uint64_t)about.st_blocks * 512 / PAGE;
    }
    return count;
}

/* All that exists of them is the same. */
static void expect_same(void)
{
    for (enum half half = 0; half < HALF_COUNT; half++) {
        uint64_t bytes = GBX_ARENA_OFF + one.arena_bytes[half];

        assert_int_equal(other.arena_bytes[half], one.arena_bytes[half]);
        if (memcmp(at(&one, half, 0), at(&other, half, 0), bytes) != 0)
            fail_msg("half %d differs", (int)half);
    }
}

/* What an arena had once, and has no more. */
static void expect_zero_behind(const struct region *region)
{
    for (enum half half = 0; half < HALF_COUNT; half++)
        for (uint64_t off = GBX_ARENA_OFF + region->arena_bytes[half],
                      end = file_bytes(region, half);
             off < end; off += PAGE)
            if (!is_zero(at(region, half, off), PAGE))
                fail_msg("half %d: page at 0x%llx", (int)half,
                         (unsigned long long)off);
}

static void take(void)
{
    region_image_fini(&image);
    assert_int_equal(region_image_take(&image, &one, &err), 0);
}

static void a_new_region_has_two_heads(void **state)
{
    (void)state;
    take();
    assert_int_equal(image.part_count, 2);
    assert_int_equal(image.byte_count, 2 * PAGE);
    assert_int_equal(image.half_bytes, HALF);
    assert_int_equal(image.parts[0].off, 0);
    assert_int_equal(image.parts[1].off, HALF);
}

static void pages_that_are_not_zero_are_kept_as_stretches(void **state)
{
    const uint64_t last = GBX_ARENA_OFF + 2 * MIB - PAGE;
    static const struct {
        uint64_t off, pages;
    } want[] = {
        {0, 3},
        {GBX_ARENA_OFF, 1},
        {GBX_ARENA_OFF + 2 * MIB - PAGE, 1},
        {HALF, 1},
        {HALF + 2 * PAGE, 2},
        {HALF + GBX_ARENA_OFF + 2 * MIB - PAGE, 1},
    };
    uint64_t kept = 0;

    (void)state;
    memset(at(&one, HALF_HOST, PAGE), 1, 2 * PAGE);
    *at(&one, HALF_HOST, GBX_ARENA_OFF + PAGE - 1) = 2;
    *at(&one, HALF_HOST, last) = 3;
    *at(&one, HALF_GUEST, PAGE) = 0; /* touched, and zero */
    memset(at(&one, HALF_GUEST, 2 * PAGE), 4, 2 * PAGE);
    *at(&one, HALF_GUEST, last + 5) = 5;
    take();
    assert_int_equal(image.part_count, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_int_equal(image.parts[i].off, want[i].off);
        assert_int_equal(image.parts[i].bytes, want[i].pages * PAGE);
        assert_int_equal(image.parts[i].at, kept);
        kept += want[i].pages * PAGE;
    }
    assert_int_equal(image.byte_count, kept);
    assert_int_equal(region_image_put(&image, &other), 0);
    expect_same();
}

static void what_lies_behind_an_arena_is_not_kept(void **state)
{
    (void)state;
    assert_int_equal(region_grow(&one, HALF_GUEST, 4 * MIB), 0);
    *at(&one, HALF_GUEST, GBX_ARENA_OFF + 4 * MIB - 1) = 7;
    memset(at(&one, HALF_GUEST, GBX_ARENA_OFF + 2 * MIB - PAGE), 7, 2 * PAGE);
    assert_int_equal(region_set(&one, HALF_GUEST, 2 * MIB), 0);
    take();
    assert_int_equal(image.part_count, 3);
    assert_int_equal(image.parts[2].bytes, PAGE);
    assert_int_equal(image.arena_bytes[HALF_GUEST], 2 * MIB);
}

/* Where an arena of the other one is shorter, and where it is longer. */
static void arenas_are_as_long_as_they_were(void **state)
{
    (void)state;
    for (unsigned grown = 0; grown < 4; grown++) {
        teardown(NULL);
        setup(NULL);
        for (enum half half = 0; half < HALF_COUNT; half++) {
            struct region *region = (grown >> half & 1) != 0 ? &one : &other;

            assert_int_equal(region_grow(region, half, 6 * MIB), 0);
            *at(region, half, GBX_ARENA_OFF + 6 * MIB - 1) = 9;
        }
        *at(&one, HALF_HOST, GBX_ARENA_OFF + 17) = 1;
        take();
        assert_int_equal(region_image_put(&image, &other), 0);
        expect_same();
        expect_zero_behind(&other);
        assert_int_equal(
            ((struct gbx_half_head *)(void *)other.base)->arena_bytes,
            one.arena_bytes[HALF_HOST]);
        /* Grown again, there is nothing of the past. */
        for (enum half half = 0; half < HALF_COUNT; half++)
            assert_int_equal(region_grow(&other, half, ARENA), 0);
        for (enum half half = 0; half < HALF_COUNT; half++)
            for (uint64_t off = GBX_ARENA_OFF + one.arena_bytes[half];
                 off < HALF; off += PAGE)
                assert_true(is_zero(at(&other, half, off), PAGE));
    }
}

static void a_few_pages_are_cleared_and_many_go_back(void **state)
{
    (void)state;
    take();
    for (enum half half = 0; half < HALF_COUNT; half++) {
        assert_int_equal(region_image_put(&image, &other), 0);
        memset(at(&other, half, PAGE), 5, (SMALL - 1) * PAGE);
        assert_int_equal(region_image_put(&image, &other), 0);
        assert_in_range(count_pages(&other), SMALL, 2 * SMALL);
        expect_same();

        memset(at(&other, half, PAGE), 5, SMALL * PAGE);
        assert_int_equal(region_image_put(&image, &other), 0);
        assert_in_range(count_pages(&other), 2, SMALL);
        expect_same();

        /* As holes between them, and where an arena was long once. */
        assert_int_equal(region_grow(&other, half, ARENA), 0);
        for (uint64_t off = 0; off < HALF; off += 16 * PAGE)
            *at(&other, half, off) = 6;
        assert_int_equal(region_image_put(&image, &other), 0);
        assert_in_range(count_pages(&other), 2, 2 * SMALL);
        expect_same();
        expect_zero_behind(&other);
    }
}

static void regions_of_another_size_are_refused(void **state)
{
    (void)state;
    take();
    region_close(&other);
    assert_int_equal(region_open(&other, HALF + GBX_HUGE_BYTES, &err), 0);
    *at(&other, HALF_HOST, PAGE) = 8;
    assert_int_equal(region_image_put(&image, &other), GBX_EARGUMENT);
    assert_int_equal(*at(&other, HALF_HOST, PAGE), 8);
}

static void a_take_with_its_nth_call_failing_keeps_nothing(void **state)
{
    int n, lseeks = 0, failed = 0;

    (void)state;
    *at(&one, HALF_HOST, GBX_ARENA_OFF) = 1;
    for (n = 1; n < 100; n++) {
        fault.at = n;
        fault.calls = 0;
        if (region_image_take(&image, &one, &err) == 0)
            break;
        failed++;
        lseeks += strcmp(fault.name, "lseek") == 0;
        assert_int_equal(err.code, GBX_EHOST);
        assert_null(image.parts);
        assert_null(image.bytes);
        assert_int_equal(image.part_count, 0);
    }
    fault.at = 0;
    assert_int_equal(failed, fault.calls);
    assert_in_range(lseeks, 6, failed - 4);
}

/* What cannot be looked at is not taken for empty. */
static void a_put_with_its_nth_call_failing_is_told(void **state)
{
    int n, failed = 0;

    (void)state;
    take();
    for (n = 1; n < 100; n++) {
        memset(at(&other, HALF_HOST, PAGE), 5, SMALL * PAGE);
        memset(at(&other, HALF_GUEST, PAGE), 5, (SMALL - 1) * PAGE);
        fault.at = n;
        fault.calls = 0;
        if (region_image_put(&image, &other) == 0)
            break;
        failed++;
    }
    assert_int_equal(failed, fault.calls);
    assert_in_range(failed, 6, 20);
    expect_same();
}

/* One is changed at random, and the other one, in which pages and lengths are
 * any, becomes it. */
static void whatever_was_there_becomes_what_was_kept(void **state)
{
    uint64_t dice = 1;

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 2; i++) {
            struct region *region = i == 0 ? &one : &other;

            for (unsigned n = 0; n < (round * 7) % 100; n++) {
                enum half half;

                dice = dice * 6364136223846793005u + 1442695040888963407u;
                half = dice >> 63 != 0 ? HALF_GUEST : HALF_HOST;
                if (dice >> 58 == 0)
                    assert_int_equal(
                        region_grow(region, half, (dice >> 30) % ARENA), 0);
                memset(at(region, half,
                          PAGE + (dice >> 12) % (GBX_ARENA_OFF - 2 * PAGE +
                                                 region->arena_bytes[half])),
                       (int)(dice >> 50) % 3, dice % PAGE);
            }
        }
        take();
        assert_int_equal(region_image_put(&image, &other), 0);
        expect_same();
        expect_zero_behind(&other);
    }
}

static void an_arena_can_be_set_to_any_length(void **state)
{
    static const uint64_t lengths[] = {2 * MIB, 6 * MIB, 0, 4 * MIB, ARENA};
    struct gbx_half_head *head = (struct gbx_half_head *)(void *)one.base;
    uint64_t longest[HALF_COUNT] = {2 * MIB, 2 * MIB};

    (void)state;
    for (enum half half = 0; half < HALF_COUNT; half++) {
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            assert_int_equal(region_set(&one, half, lengths[i]), 0);
            if (lengths[i] > longest[half])
                longest[half] = lengths[i];
            assert_int_equal(one.arena_bytes[half], lengths[i]);
            assert_int_equal(file_bytes(&one, half),
                             GBX_ARENA_OFF + longest[half]);
            if (half == HALF_HOST)
                assert_int_equal(head->arena_bytes, lengths[i]);
        }
        assert_int_equal(region_set(&one, half, ARENA + 1), GBX_ELIMIT);
        assert_int_equal(region_set(&one, half, UINT64_MAX), GBX_ELIMIT);
        assert_int_equal(one.arena_bytes[half], ARENA);
    }
    assert_int_equal(head->arena_bytes, ARENA);
    /* The guest's own word is the guest's to write. */
    head = (struct gbx_half_head *)(void *)at(&one, HALF_GUEST, 0);
    assert_int_equal(head->arena_bytes, 2 * MIB);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_region_has_two_heads),
        TEST(pages_that_are_not_zero_are_kept_as_stretches),
        TEST(what_lies_behind_an_arena_is_not_kept),
        TEST(arenas_are_as_long_as_they_were),
        TEST(a_few_pages_are_cleared_and_many_go_back),
        TEST(regions_of_another_size_are_refused),
        TEST(a_take_with_its_nth_call_failing_keeps_nothing),
        TEST(a_put_with_its_nth_call_failing_is_told),
        TEST(whatever_was_there_becomes_what_was_kept),
        TEST(an_arena_can_be_set_to_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
