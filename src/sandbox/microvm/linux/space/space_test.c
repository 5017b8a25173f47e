/* SPDX-License-Identifier: Apache-2.0 */
/* space_test.c - mapping and unmapping, against a page-by-page model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sched.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down_kernel)
#define BASE  0x40000000ull
#define PAGES 96u
#define RW    (TABLES_READ | TABLES_WRITE)

static struct space *space;

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    space = &kernel->space;
    assert_int_equal(space_unmap(space, SCRATCH, SCRATCH_SIZE), 0);
    return 0;
}

static int64_t map_at(uint64_t page, uint64_t pages, unsigned access)
{
    const struct space_request request = {.address = BASE + page * PAGE,
                                          .bytes = pages * PAGE,
                                          .access = access,
                                          .kind = AREA_ANONYMOUS,
                                          .fixed = true,
                                          .replace = true,
                                          .may_write = true};

    return space_map(space, &request);
}

/* ---- a model: what each page is ---- */

static struct page {
    bool there, charged;
    unsigned access;
    uint8_t first; /* its first byte */
} model[PAGES];

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void model_map(uint64_t page, uint64_t pages, unsigned access)
{
    for (uint64_t i = page; i < page + pages; i++)
        model[i] = (struct page){true, access != 0, access, 0};
}

static bool are_there(uint64_t page, uint64_t pages)
{
    for (uint64_t i = page; i < page + pages; i++)
        if (!model[i].there)
            return false;
    return true;
}

static void do_protect(uint64_t page, uint64_t pages, unsigned access)
{
    int rc = space_protect(space, BASE + page * PAGE, pages * PAGE, access);

    assert_int_equal(rc, are_there(page, pages) ? 0 : -ENOMEM);
    for (uint64_t i = page; rc == 0 && i < page + pages; i++) {
        model[i].access = access;
        model[i].charged |= access != 0;
    }
}

static void do_discard(uint64_t page, uint64_t pages)
{
    assert_int_equal(space_discard(space, BASE + page * PAGE, pages * PAGE), 0);
    for (uint64_t i = page; i < page + pages; i++)
        model[i].first = 0;
}

static void do_touch(uint64_t page)
{
    uint8_t byte = (uint8_t)draw(256);
    int rc = user_write(space, BASE + page * PAGE, &byte, 1);
    bool may = model[page].there && (model[page].access & TABLES_WRITE) != 0;

    assert_int_equal(rc, may ? 0 : -EFAULT);
    if (rc == 0)
        model[page].first = byte;
}

/* All of the same kind, and so of one area? */
static bool are_one(uint64_t page, uint64_t pages)
{
    for (uint64_t i = page; i < page + pages; i++)
        if (!model[i].there || model[i].access != model[page].access ||
            model[i].charged != model[page].charged)
            return false;
    return true;
}

static void do_remap(uint64_t page, uint64_t pages, uint64_t to, uint64_t more)
{
    struct page moved[PAGES] = {{0}};
    bool overlap = to < page + pages && page < to + pages + more;
    int64_t rc =
        space_remap(space, BASE + page * PAGE, pages * PAGE,
                    (pages + more) * PAGE, true, true, BASE + to * PAGE);

    if (!are_one(page, pages))
        assert_int_equal(rc, -EFAULT);
    else if (overlap)
        assert_int_equal(rc, -EINVAL);
    else
        assert_int_equal(rc, BASE + to * PAGE);
    if (rc < 0)
        return;
    memcpy(moved, model + page, pages * sizeof(*moved));
    for (uint64_t i = pages; i < pages + more; i++)
        moved[i] = (struct page){true, moved[0].charged, moved[0].access, 0};
    memset(model + page, 0, pages * sizeof(*model));
    memcpy(model + to, moved, (pages + more) * sizeof(*model));
}

static void compare(void)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        const struct area *area = space_find(space, BASE + i * PAGE);
        bool there = area != NULL && area->start <= BASE + i * PAGE;
        uint8_t byte = 0xff;

        assert_int_equal(there, model[i].there);
        if (!there)
            continue;
        assert_int_equal(area->access, model[i].access);
        assert_int_equal(area->charged, model[i].charged);
        if (model[i].access != 0) {
            assert_int_equal(user_read(space, &byte, BASE + i * PAGE, 1), 0);
            assert_int_equal(byte, model[i].first);
        }
    }
}

static void any_order_of_calls_is_as_page_by_page(void **state)
{
    static const unsigned accesses[] = {0, TABLES_READ, RW, RW,
                                        TABLES_READ | TABLES_EXEC};

    (void)state;
    for (seed = 1; seed < 60000; seed += 999) {
        uint32_t start = seed;

        memset(model, 0, sizeof(model));
        for (int i = 0; i < 120; i++) {
            uint64_t page = draw(PAGES), pages = 1 + draw(12);
            unsigned access = accesses[draw(ARRAY_SIZE(accesses))];

            if (pages > PAGES - page)
                pages = PAGES - page;
            switch (draw(7)) {
            case 0:
            case 1:
                assert_true(map_at(page, pages, access) > 0);
                model_map(page, pages, access);
                break;
            case 2:
                assert_int_equal(
                    space_unmap(space, BASE + page * PAGE, pages * PAGE), 0);
                memset(model + page, 0, pages * sizeof(*model));
                break;
            case 3:
                do_protect(page, pages, access);
                break;
            case 4:
                do_discard(page, pages);
                break;
            case 5:
                do_remap(page, pages, draw(PAGES - 16), draw(4));
                break;
            default:
                do_touch(page);
            }
        }
        compare();
        check_kernel();
        assert_int_equal(space_unmap(space, BASE, PAGES * PAGE), 0);
        assert_int_equal(space->charged, 0);
        assert_int_equal(space->area_count, 0);
        seed = start;
    }
}

/* ---- edges ---- */

static void only_ranges_of_ring_3_can_be_mapped(void **state)
{
    static const struct {
        uint64_t address, bytes;
        int map, unmap, protect;
    } cases[] = {
        {0, PAGE, -EPERM, 0, -ENOMEM},
        {SPACE_LOW - PAGE, PAGE, -EPERM, 0, -ENOMEM},
        {TABLES_USER_END - PAGE, 2 * PAGE, -ENOMEM, -EINVAL, -ENOMEM},
        {TABLES_USER_END, PAGE, -ENOMEM, -EINVAL, -ENOMEM},
        {0xffff800000000000ull, PAGE, -ENOMEM, -EINVAL, -ENOMEM},
        {0xfffffffffffff000ull, PAGE, -ENOMEM, -EINVAL, -ENOMEM},
        {0xfffffffffffff000ull, 2 * PAGE, -ENOMEM, -EINVAL, -ENOMEM},
        {BASE, 1ull << 47, -ENOMEM, -EINVAL, -ENOMEM},
        {BASE, 0xfffffffffffff000ull, -ENOMEM, -EINVAL, -ENOMEM},
        {BASE, UINT64_MAX, -ENOMEM, -EINVAL, -ENOMEM},
        {BASE, 0, -EINVAL, -EINVAL, 0},
        {BASE + 1, PAGE, -EINVAL, -EINVAL, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t at = cases[i].address, bytes = cases[i].bytes;

        assert_int_equal(call(SYS_mmap, at, bytes, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         cases[i].map);
        assert_int_equal(call(SYS_munmap, at, bytes), cases[i].unmap);
        assert_int_equal(call(SYS_mprotect, at, bytes, PROT_READ),
                         cases[i].protect);
        check_kernel();
    }
}

/* Reserved addresses cost nothing, however many they are. */
static void terabytes_are_mapped_and_unmapped_at_once(void **state)
{
    uint64_t began = clock_now_ns();

    (void)state;
    for (int i = 0; i < 20; i++) {
        int64_t at = call(SYS_mmap, 0, 1ull << 46, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        assert_true(at > 0);
        assert_int_equal(call(SYS_mprotect, at, PAGE, PROT_READ), 0);
        assert_int_equal(call(SYS_madvise, at, 1ull << 46, MADV_DONTNEED), 0);
        assert_int_equal(call(SYS_munmap, at, 1ull << 46), 0);
    }
    assert_true(clock_now_ns() - began < 5000000000u);
}

static void what_does_not_fit_leaves_what_is_there(void **state)
{
    uint64_t all = space->charged_max;
    uint8_t byte = 7;

    (void)state;
    assert_true(map_at(0, 4, RW) > 0);
    assert_int_equal(user_write(space, BASE, &byte, 1), 0);
    assert_int_equal(map_at(0, all + 1, RW), -ENOMEM);
    assert_true(space->met_limit);
    byte = 0;
    assert_int_equal(user_read(space, &byte, BASE, 1), 0);
    assert_int_equal(byte, 7);
    /* In place of what is there, all of it fits. */
    assert_true(map_at(0, all, RW) > 0);
    assert_int_equal(space->charged, all);
    assert_int_equal(map_at(all, 1, RW), -ENOMEM);
    assert_true(map_at(all, 1, 0) > 0);
    assert_int_equal(
        space_protect(space, BASE + (all - 1) * PAGE, 2 * PAGE, TABLES_READ),
        -ENOMEM);
    assert_int_equal(space->charged, all);
    assert_int_equal(space_remap(space, BASE, PAGE, 2 * PAGE, true, false, 0),
                     -ENOMEM);
    assert_int_equal(space_unmap(space, BASE, (all + 1) * PAGE), 0);
    assert_int_equal(space->charged, 0);
}

static void the_largest_number_of_areas_can_be_taken_apart(void **state)
{
    uint64_t count = 0, page;

    (void)state;
    while (map_at(2 * count, 1, 0) > 0)
        count++;
    assert_int_equal(count, SPACE_AREAS_MAX);
    page = 2 * count;
    assert_int_equal(space_unmap(space, BASE, PAGE), 0);
    assert_true(map_at(page, 3, 0) > 0);
    assert_int_equal(space_unmap(space, BASE + (page + 1) * PAGE, PAGE),
                     -ENOMEM); /* it would be two */
    assert_int_equal(
        space_protect(space, BASE + (page + 1) * PAGE, PAGE, TABLES_READ),
        -ENOMEM);
    assert_int_equal(space_unmap(space, BASE + page * PAGE, PAGE), 0);
    assert_int_equal(space_unmap(space, BASE, 3 * count * PAGE), 0);
    assert_int_equal(space->area_count, 0);
}

static void neighbours_that_differ_in_nothing_are_one(void **state)
{
    (void)state;
    assert_true(map_at(0, 1, RW) > 0);
    assert_true(map_at(2, 1, RW) > 0);
    assert_int_equal(space->area_count, 2);
    assert_true(map_at(1, 1, RW) > 0);
    assert_int_equal(space->area_count, 1);
    assert_int_equal(space_protect(space, BASE + PAGE, PAGE, TABLES_READ), 0);
    assert_int_equal(space->area_count, 3);
    assert_int_equal(space_protect(space, BASE + PAGE, PAGE, RW), 0);
    assert_int_equal(space->area_count, 1);
}

static void brk_grows_and_shrinks_within_its_bounds(void **state)
{
    uint64_t start = space->brk_start, all = space->charged_max * PAGE;

    (void)state;
    assert_int_equal(call(SYS_brk, 0), start);
    assert_int_equal(call(SYS_brk, start + 5000), start + 5000);
    assert_int_equal(space->charged, 2);
    poke(start + 4999, "x", 1);
    assert_int_equal(call(SYS_brk, start - 1), start + 5000);
    assert_int_equal(call(SYS_brk, UINT64_MAX), start + 5000);
    assert_int_equal(call(SYS_brk, start + all + PAGE), start + 5000);
    assert_int_equal(call(SYS_brk, start + 1), start + 1);
    assert_int_equal(space->charged, 1);
    assert_int_equal(call(SYS_mmap, start + 3 * PAGE, PAGE, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     start + 3 * PAGE);
    assert_int_equal(call(SYS_brk, start + 4 * PAGE), start + 1);
    assert_int_equal(call(SYS_brk, start), start);
    assert_int_equal(space->charged, 1);
}

static void a_shared_file_is_the_same_everywhere(void **state)
{
    int64_t file = call(SYS_memfd_create, BASE, 0);
    uint64_t at[2];
    char byte = 0;

    (void)state;
    assert_int_equal(file, -EFAULT);
    assert_true(map_at(0, 1, RW) > 0);
    file = call(SYS_memfd_create, BASE, 0);
    assert_int_equal(call(SYS_ftruncate, file, 3 * PAGE), 0);
    for (int i = 0; i < 2; i++)
        at[i] = (uint64_t)call(SYS_mmap, 0, 4 * PAGE, PROT_READ | PROT_WRITE,
                               MAP_SHARED, file, 0);
    poke(at[0] + 2 * PAGE, "y", 1);
    peek(at[1] + 2 * PAGE, &byte, 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(user_write(space, at[0] + 3 * PAGE, "z", 1), -EFAULT);
    kernel_fault(kernel, 14, 6, at[0] + 3 * PAGE); /* behind its end */
    assert_false(turn(1));
    assert_int_equal(kernel->end.signal, SIGBUS);
    kernel->ended = false;
    /* Cut in two, and one half moved: still the same file. */
    assert_int_equal(call(SYS_munmap, at[0] + PAGE, PAGE), 0);
    at[0] = (uint64_t)call(SYS_mremap, at[0] + 2 * PAGE, PAGE, 2 * PAGE,
                           MREMAP_MAYMOVE | MREMAP_FIXED, BASE + 64 * PAGE);
    assert_int_equal(at[0], BASE + 64 * PAGE);
    poke(at[0], "w", 1);
    peek(at[1] + 2 * PAGE, &byte, 1);
    assert_int_equal(byte, 'w');
    assert_int_equal(call(SYS_close, file), 0);
    check_kernel();
}

static void the_region_ends_where_its_memory_ends(void **state)
{
    uint64_t at;

    (void)state;
    give_halves();
    assert_int_equal(
        call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, 0),
        -EACCES); /* the host's half */
    assert_int_equal(call(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, 0, 0),
                     -EINVAL);
    assert_int_equal(
        call(SYS_mmap, 0, HALF_BYTES + PAGE, PROT_READ, MAP_SHARED, 1, 0),
        -EINVAL);
    at = (uint64_t)call(SYS_mmap, 0, HALF_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED, 1, 0);
    assert_true(at < TABLES_USER_END);
    check_kernel();
    poke(at, "half", 4);
    assert_memory_equal(rig.halves[1], "half", 4);
    assert_int_equal(user_write(space, at + HALF_THERE - 2, "half", 4),
                     -EFAULT);
    assert_int_equal(call(SYS_pread64, 1, at + HALF_THERE, 8, 0), -EFAULT);
    /* It may be read into itself, over itself. */
    assert_int_equal(call(SYS_pread64, 1, at + 1, 8192, 0), 8192);
    assert_int_equal(call(SYS_pread64, 1, at, 8192, HALF_THERE - 100), 100);
    /* No part of a huge page goes alone; all of it does. */
    if (at % HALF_BYTES == 0)
        assert_int_equal(call(SYS_munmap, at + PAGE, PAGE), -ENOMEM);
    check_kernel();
    assert_int_equal(call(SYS_munmap, at, HALF_BYTES), 0);
}

/* As in each program, though the tables there are cut into pages for good. */
static void a_half_can_lie_where_pages_were(void **state)
{
    const int64_t at = 0x50000000;

    (void)state;
    give_halves();
    assert_int_equal(call(SYS_mmap, at, PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     at);
    poke((uint64_t)at, "page", 4);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call(SYS_mmap, at, HALF_BYTES, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED, 1, 0),
                         at);
        poke((uint64_t)at + HALF_THERE - 4, "half", 4);
        assert_memory_equal(rig.halves[1] + HALF_THERE - 4, "half", 4);
        check_kernel();
        assert_int_equal(call(SYS_munmap, at, HALF_BYTES), 0);
    }
}

static void populating_is_done_in_parts_or_refused(void **state)
{
    uint64_t at = (uint64_t)map_some(12 << 20), physical;

    (void)state;
    assert_true(at < TABLES_USER_END);
    assert_int_equal(call(SYS_madvise, at, 12 << 20, 23), 0);
    assert_int_equal(tables_translate(&space->tables, at + (11 << 20),
                                      TABLES_WRITE, &physical),
                     0);
    assert_int_equal(call(SYS_mprotect, at, PAGE, PROT_READ), 0);
    assert_int_equal(call(SYS_madvise, at, 2 * PAGE, 23), -EINVAL);
    assert_int_equal(call(SYS_munmap, at + PAGE, PAGE), 0);
    assert_int_equal(call(SYS_madvise, at, 3 * PAGE, 22), -ENOMEM);
    assert_int_equal(call(SYS_madvise, at, 3 * PAGE, MADV_DONTNEED), -ENOMEM);
    assert_true(tables_translate(&space->tables, at + 2 * PAGE, 0, &physical) <
                0);
}

static void mincore_tells_of_each_page(void **state)
{
    uint8_t here[4] = {9, 9, 9, 9};

    (void)state;
    assert_true(map_at(0, 1, RW) > 0);
    assert_true(map_at(8, 4, RW) > 0);
    assert_int_equal(space_discard(space, BASE + 9 * PAGE, 2 * PAGE), 0);
    assert_int_equal(call(SYS_mincore, BASE + 8 * PAGE, 4 * PAGE, BASE), 0);
    peek(BASE, here, 4);
    assert_memory_equal(here, "\1\0\0\1", 4);
    assert_int_equal(call(SYS_mincore, BASE + 8 * PAGE, UINT64_MAX, BASE),
                     -ENOMEM);
    assert_int_equal(call(SYS_mincore, 0xffff800000000000ull, PAGE, BASE),
                     -ENOMEM);
    assert_int_equal(call(SYS_mincore, BASE + 8 * PAGE, PAGE, 0), -EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_order_of_calls_is_as_page_by_page),
        TEST(only_ranges_of_ring_3_can_be_mapped),
        TEST(terabytes_are_mapped_and_unmapped_at_once),
        TEST(what_does_not_fit_leaves_what_is_there),
        TEST(the_largest_number_of_areas_can_be_taken_apart),
        TEST(neighbours_that_differ_in_nothing_are_one),
        TEST(brk_grows_and_shrinks_within_its_bounds),
        TEST(a_shared_file_is_the_same_everywhere),
        TEST(the_region_ends_where_its_memory_ends),
        TEST(a_half_can_lie_where_pages_were),
        TEST(populating_is_done_in_parts_or_refused),
        TEST(mincore_tells_of_each_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
