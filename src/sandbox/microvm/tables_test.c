/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_test.c - what the tables say, without a guest.
 *
 * Physical: the pool at 0, 256 KiB; pages from 2 MiB on; the slot ends at 8.
 */
#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define PAGE   0x1000ull
#define HUGE   0x200000ull
#define POOL   0x40000ull
#define SLOT   (4 * HUGE)
#define VA     0x10000000ull
#define R      TABLES_READ
#define RW     (TABLES_READ | TABLES_WRITE)
#define RX     (TABLES_READ | TABLES_EXEC)
#define ALL    (TABLES_READ | TABLES_WRITE | TABLES_EXEC | TABLES_USER)
#define END    TABLES_USER_END
#define KERNEL TABLES_KERNEL

static struct memory memory;
static struct tables tables;

static int open_tables(void **state)
{
    struct memory_range slot = {.bytes = SLOT, .writable = true};

    (void)state;
    slot.host = mmap(NULL, SLOT, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(slot.host, MAP_FAILED);
    memory.count = 0;
    assert_int_equal(memory_add(&memory, &slot), 0);
    return tables_init(&tables, &memory, 0, POOL);
}

static int close_tables(void **state)
{
    (void)state;
    return munmap(memory.ranges[0].host, SLOT);
}

static uint64_t physical_of(uint64_t va, unsigned access)
{
    uint64_t physical;
    int rc = tables_translate(&tables, va, access, &physical);

    assert_true((rc == 0) == (physical != 0));
    return physical;
}

static void a_pool_is_whole_pages_of_one_slot(void **state)
{
    static const struct {
        uint64_t at, bytes;
        int want;
    } cases[] = {
        {0, POOL, 0},
        {SLOT - PAGE, PAGE, 0},
        {0, 0, GBX_EMEMORY},
        {1, PAGE, GBX_EBOUNDS},
        {0, PAGE + 1, GBX_EBOUNDS},
        {SLOT, PAGE, GBX_EBOUNDS},
        {SLOT - PAGE, 2 * PAGE, GBX_EBOUNDS},
        {PAGE, 0ull - PAGE, GBX_EBOUNDS},
        {0ull - PAGE, 2 * PAGE, GBX_EBOUNDS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(
            tables_init(&tables, &memory, cases[i].at, cases[i].bytes),
            cases[i].want);
}

static void only_whole_pages_in_range_are_mapped(void **state)
{
    static const struct {
        uint64_t va, physical, bytes;
        unsigned access;
        int want;
    } cases[] = {
        {VA, HUGE, PAGE, R, 0},
        {VA + 1, HUGE, PAGE, R, GBX_EARGUMENT},
        {VA, HUGE + 1, PAGE, R, GBX_EARGUMENT},
        {VA, HUGE, PAGE + 1, R, GBX_EARGUMENT},
        {VA, HUGE, 0, R, GBX_EARGUMENT},
        {VA, HUGE, PAGE, 0, GBX_EARGUMENT},
        {VA, HUGE, PAGE, TABLES_WRITE | TABLES_USER, GBX_EARGUMENT},
        {VA, HUGE, PAGE, R | 32, GBX_EARGUMENT},
        {VA, MEMORY_END - PAGE, PAGE, R, 0},
        {VA, MEMORY_END, PAGE, R, GBX_EARGUMENT},
        {VA, MEMORY_END - PAGE, 2 * PAGE, R, GBX_EARGUMENT},
        {VA, 0ull - PAGE, 2 * PAGE, R, GBX_EARGUMENT},
        {VA, 0, MEMORY_END + PAGE, R, GBX_EARGUMENT},
        {TABLES_LOW, HUGE, PAGE, R, 0},
        {TABLES_LOW - PAGE, HUGE, PAGE, R, GBX_EARGUMENT},
        {0, HUGE, PAGE, R, GBX_EARGUMENT},
        {END - PAGE, HUGE, PAGE, R, 0},
        {END - PAGE, HUGE, 2 * PAGE, R, GBX_EARGUMENT},
        {END, HUGE, PAGE, R, GBX_EARGUMENT},
        {VA, HUGE, 0ull - PAGE, R, GBX_EARGUMENT},
        {KERNEL - PAGE, HUGE, PAGE, R, GBX_EARGUMENT},
        {KERNEL - PAGE, HUGE, 2 * PAGE, R, GBX_EARGUMENT},
        {KERNEL, HUGE, PAGE, R, 0},
        {0ull - 2 * PAGE, HUGE, PAGE, R, 0},
        {0ull - PAGE, HUGE, PAGE, R, GBX_EARGUMENT},
        {0ull - 2 * PAGE, HUGE, 2 * PAGE, R, GBX_EARGUMENT},
        {0ull - 2 * PAGE, HUGE, 3 * PAGE, R, GBX_EARGUMENT},
        {VA, HUGE, HUGE, R | TABLES_HUGE, 0},
        {VA + PAGE, HUGE, HUGE, R | TABLES_HUGE, GBX_EARGUMENT},
        {VA, HUGE + PAGE, HUGE, R | TABLES_HUGE, GBX_EARGUMENT},
        {VA, HUGE, HUGE + PAGE, R | TABLES_HUGE, GBX_EARGUMENT},
        {0, HUGE, HUGE, R | TABLES_HUGE, GBX_EARGUMENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(tables_init(&tables, &memory, 0, POOL), 0);
        if (tables_map(&tables, cases[i].va, cases[i].physical, cases[i].bytes,
                       cases[i].access) != cases[i].want)
            fail_msg("case %zu", i);
        assert_int_equal(physical_of(cases[i].va & ~(PAGE - 1), R),
                         cases[i].want == 0 ? cases[i].physical : 0);
    }
}

static void a_map_that_fails_has_mapped_nothing(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, VA + 3 * PAGE, HUGE, PAGE, R), 0);
    assert_int_equal(tables_map(&tables, VA, 2 * HUGE, 5 * PAGE, R),
                     GBX_EARGUMENT);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(physical_of(VA + i * PAGE, R), i == 3 ? HUGE : 0);
}

/* Root, two on the way, and a last one for each 2 MiB. */
static void an_empty_pool_is_told_and_what_is_there_stays(void **state)
{
    const uint64_t pages = 5;

    (void)state;
    assert_int_equal(tables_init(&tables, &memory, 0, pages * PAGE), 0);
    assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, R), 0);
    assert_int_equal(tables_map(&tables, VA + HUGE, 2 * HUGE, 2 * HUGE, R),
                     GBX_EMEMORY);
    assert_int_equal(physical_of(VA + HUGE, R), 0);
    assert_int_equal(tables_map(&tables, VA + HUGE, 2 * HUGE, HUGE, R), 0);
    assert_int_equal(physical_of(VA + HUGE, R), 2 * HUGE);
    assert_int_equal(tables_map(&tables, VA + 2 * HUGE, HUGE, PAGE, R),
                     GBX_EMEMORY);
    assert_int_equal(tables_map(&tables, VA + (1ull << 39), HUGE, PAGE, R),
                     GBX_EMEMORY);
    assert_int_equal(
        tables_map(&tables, VA + 2 * HUGE, HUGE, HUGE, R | TABLES_HUGE),
        0); /* needs no table */
    assert_int_equal(physical_of(VA + HUGE - PAGE, R), 2 * HUGE - PAGE);
    /* Nothing of the pool is used again, and nothing behind it. */
    assert_int_equal(tables_unmap(&tables, VA, 3 * HUGE), 0);
    assert_int_equal(tables_map(&tables, VA, HUGE, 2 * HUGE, R), 0);
    for (uint64_t at = pages * PAGE; at < HUGE; at++)
        assert_int_equal(memory.ranges[0].host[at], 0);
}

static void all_that_is_asked_must_be_allowed(void **state)
{
    (void)state;
    for (unsigned has = 0; has < 16; has++) {
        uint64_t va = VA + has * PAGE;

        if ((has & R) == 0)
            continue;
        assert_int_equal(tables_map(&tables, va, HUGE, PAGE, has), 0);
        for (unsigned asks = 0; asks < 16; asks++)
            assert_int_equal(physical_of(va + 5, asks),
                             (asks & ~has) == 0 ? HUGE + 5 : 0);
    }
}

static void what_is_not_mapped_is_not_reached(void **state)
{
    static const uint64_t holes[] = {
        0,
        1,
        VA,
        VA - 1,
        VA + PAGE,
        END - 1,
        END,
        END + PAGE,
        KERNEL - 1,
        KERNEL,
        UINT64_MAX,
        1ull << 48,
        VA | 1ull << 48,
        VA | 1ull << 63,
    };
    uint64_t bytes;

    (void)state;
    for (unsigned mapped = 0; mapped < 2; mapped++)
        for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
            if (mapped == 1 && i == 0)
                assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, ALL), 0);
            if (mapped == 1 && holes[i] == VA)
                continue;
            bytes = 1;
            assert_int_equal(physical_of(holes[i], 0), 0);
            assert_null(tables_reach(&tables, holes[i], 0, &bytes));
        }
}

static void a_pointer_is_good_for_one_page(void **state)
{
    uint8_t *host = memory.ranges[0].host;
    static const struct {
        uint64_t off, bytes, want;
    } cases[] = {
        {0, PAGE, PAGE},  {0, UINT64_MAX, PAGE}, {PAGE - 1, 2, 1},
        {PAGE - 1, 1, 1}, {PAGE / 2, 7, 7},      {5, 0, 0},
    };

    (void)state;
    assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), 0);
    assert_int_equal(
        tables_map(&tables, VA + HUGE, 2 * HUGE, HUGE, R | TABLES_HUGE), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = cases[i].bytes;

        assert_ptr_equal(tables_reach(&tables, VA + cases[i].off, R, &bytes),
                         host + HUGE + cases[i].off);
        assert_int_equal(bytes, cases[i].want);
        bytes = cases[i].bytes;
        assert_ptr_equal(tables_reach(&tables,
                                      VA + HUGE + 7 * PAGE + cases[i].off, R,
                                      &bytes),
                         host + 2 * HUGE + 7 * PAGE + cases[i].off);
        assert_int_equal(bytes, cases[i].want);
    }
}

static void a_page_without_memory_is_no_pointer(void **state)
{
    uint64_t bytes = 1;

    (void)state;
    assert_int_equal(tables_map(&tables, VA, SLOT - PAGE, 2 * PAGE, R), 0);
    assert_non_null(tables_reach(&tables, VA, R, &bytes));
    assert_null(tables_reach(&tables, VA + PAGE, R, &bytes));
    assert_int_equal(physical_of(VA + PAGE, R), SLOT);
    assert_int_equal(tables_protect(&tables, VA, 2 * PAGE, RW), 0);
    assert_int_equal(physical_of(VA + PAGE, RW), SLOT);
    assert_int_equal(tables_unmap(&tables, VA, 2 * PAGE), 0);
    assert_int_equal(physical_of(VA + PAGE, 0), 0);
}

static void a_huge_page_changes_as_a_whole(void **state)
{
    static const struct {
        uint64_t va, bytes;
        int want;
    } cases[] = {
        {VA, PAGE, GBX_EARGUMENT},
        {VA + HUGE - PAGE, PAGE, GBX_EARGUMENT},
        {VA + HUGE - PAGE, 2 * PAGE, GBX_EARGUMENT},
        {VA - PAGE, 2 * PAGE, GBX_EARGUMENT},
        {VA + PAGE, HUGE - PAGE, GBX_EARGUMENT},
        {VA - PAGE, PAGE, 0},
        {VA + HUGE, PAGE, 0},
        {VA, HUGE, 0},
        {VA - PAGE, HUGE + 2 * PAGE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        tables_init(&tables, &memory, 0, POOL);
        assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, RW | TABLES_HUGE),
                         0);
        assert_int_equal(tables_map(&tables, VA - PAGE, 0, PAGE, RW), 0);
        assert_int_equal(tables_map(&tables, VA + HUGE, 0, PAGE, RW), 0);
        assert_int_equal(
            tables_protect(&tables, cases[i].va, cases[i].bytes, R),
            cases[i].want);
        assert_int_equal(tables_unmap(&tables, cases[i].va, cases[i].bytes),
                         cases[i].want);
        if (cases[i].want < 0)
            for (uint64_t va = VA - PAGE; va <= VA + HUGE; va += PAGE)
                assert_int_equal(
                    tables_translate(&tables, va, RW, &(uint64_t){0}), 0);
    }
}

static void two_mib_stay_huge_or_stay_cut(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, R | TABLES_HUGE), 0);
    assert_int_equal(tables_map(&tables, VA + HUGE, HUGE, PAGE, R), 0);
    assert_int_equal(tables_unmap(&tables, VA, 2 * HUGE), 0);
    assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), GBX_EARGUMENT);
    assert_int_equal(tables_map(&tables, VA + HUGE, HUGE, HUGE, R | 16),
                     GBX_EARGUMENT);
    assert_int_equal(physical_of(VA, 0), 0);
    assert_int_equal(tables_map(&tables, VA, 2 * HUGE, HUGE, RX | 16), 0);
    assert_int_equal(tables_map(&tables, VA, 2 * HUGE, HUGE, R | 16),
                     GBX_EARGUMENT);
    assert_int_equal(tables_map(&tables, VA + HUGE, 0, HUGE, R), 0);
    assert_int_equal(physical_of(VA + 0x1234, RX), 2 * HUGE + 0x1234);
}

static void changes_look_at_all_addresses_there_are(void **state)
{
    static const struct {
        uint64_t va, bytes;
        int want;
    } cases[] = {
        {TABLES_LOW, END - TABLES_LOW, 0},
        {TABLES_LOW, END, GBX_EARGUMENT},
        {0, END, GBX_EARGUMENT},
        {KERNEL, 0ull - KERNEL - PAGE, 0},
        {KERNEL, 0ull - KERNEL, GBX_EARGUMENT},
        {VA, 0, GBX_EARGUMENT},
        {VA + 1, PAGE, GBX_EARGUMENT},
        {VA, PAGE - 1, GBX_EARGUMENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(
            tables_protect(&tables, cases[i].va, cases[i].bytes, R),
            cases[i].want);
        assert_int_equal(tables_unmap(&tables, cases[i].va, cases[i].bytes),
                         cases[i].want);
    }
    assert_int_equal(tables_map(&tables, TABLES_LOW, HUGE, PAGE, R), 0);
    assert_int_equal(tables_map(&tables, END - PAGE, HUGE + PAGE, PAGE, R), 0);
    assert_int_equal(tables_map(&tables, KERNEL, HUGE, PAGE, R), 0);
    assert_int_equal(tables_protect(&tables, TABLES_LOW, PAGE, TABLES_WRITE),
                     GBX_EARGUMENT);
    assert_int_equal(tables_protect(&tables, TABLES_LOW, PAGE, R | 16),
                     GBX_EARGUMENT);
    assert_int_equal(tables_protect(&tables, TABLES_LOW, END - TABLES_LOW, RW),
                     0);
    assert_int_equal(physical_of(TABLES_LOW, RW), HUGE);
    assert_int_equal(physical_of(END - PAGE, RW), HUGE + PAGE);
    assert_int_equal(physical_of(KERNEL, R), HUGE);
    assert_int_equal(physical_of(KERNEL, RW), 0);
    assert_int_equal(tables_unmap(&tables, TABLES_LOW, END - TABLES_LOW), 0);
    assert_int_equal(physical_of(END - PAGE, 0), 0);
    assert_int_equal(physical_of(KERNEL, R), HUGE);
}

/* What a page of the window should be: 0 is not mapped. */
struct page {
    uint64_t physical;
    unsigned access;
};

#define WINDOW                                                                 \
    1024 /* pages: the end of one last table, all of another, ...              \
          */
#define START (VA + HUGE - 256 * PAGE)

static void as_a_list_of_pages_would_be(void **state)
{
    static struct page pages[WINDOW];
    uint64_t dice = 1;

    (void)state;
    for (unsigned step = 0; step < 3000; step++) {
        unsigned first, count, access;
        uint64_t physical;
        bool taken = false;
        int rc;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        first = (unsigned)(dice >> 33) % WINDOW;
        count = 1 + (unsigned)(dice >> 43) % 64;
        if (first + count > WINDOW)
            count = WINDOW - first;
        access = R | ((unsigned)(dice >> 50) & 14);
        physical = HUGE + (dice >> 54) % 512 * PAGE;
        for (unsigned i = first; i < first + count; i++)
            taken = taken || pages[i].physical != 0;
        if (step % 3 == 0)
            rc = tables_map(&tables, START + first * PAGE, physical,
                            count * PAGE, access);
        else if (step % 3 == 1)
            rc = tables_protect(&tables, START + first * PAGE, count * PAGE,
                                access);
        else
            rc = tables_unmap(&tables, START + first * PAGE, count * PAGE);
        assert_int_equal(rc, step % 3 == 0 && taken ? GBX_EARGUMENT : 0);
        for (unsigned i = first; rc == 0 && i < first + count; i++) {
            if (step % 3 == 0)
                pages[i].physical = physical + (i - first) * PAGE;
            pages[i].access = access;
            if (step % 3 == 2)
                pages[i].physical = 0;
        }
        for (unsigned i = 0; i < WINDOW; i++) {
            uint64_t is = pages[i].physical;

            assert_int_equal(physical_of(START + i * PAGE, 0), is);
            for (unsigned bit = 2; bit <= 8 && is != 0; bit *= 2)
                assert_int_equal(physical_of(START + i * PAGE, bit),
                                 (pages[i].access & bit) != 0 ? is : 0);
        }
    }
}

#define TABLES_TEST(test)                                                      \
    cmocka_unit_test_setup_teardown(test, open_tables, close_tables)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLES_TEST(a_pool_is_whole_pages_of_one_slot),
        TABLES_TEST(only_whole_pages_in_range_are_mapped),
        TABLES_TEST(a_map_that_fails_has_mapped_nothing),
        TABLES_TEST(an_empty_pool_is_told_and_what_is_there_stays),
        TABLES_TEST(all_that_is_asked_must_be_allowed),
        TABLES_TEST(what_is_not_mapped_is_not_reached),
        TABLES_TEST(a_pointer_is_good_for_one_page),
        TABLES_TEST(a_page_without_memory_is_no_pointer),
        TABLES_TEST(a_huge_page_changes_as_a_whole),
        TABLES_TEST(two_mib_stay_huge_or_stay_cut),
        TABLES_TEST(changes_look_at_all_addresses_there_are),
        TABLES_TEST(as_a_list_of_pages_would_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
