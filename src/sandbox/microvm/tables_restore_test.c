/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_restore_test.c - tables become what they were, without a guest.
 *
 * Physical: the pool at 0, 1 MiB; pages from 2 MiB on; the slot ends at 8.
 *
 * Addresses: some windows of 2 MiB each, far apart and side by side.  What is
 * in them is also kept as a plain list of pages.
 */
#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define PAGE    0x1000ull
#define HUGE    0x200000ull
#define POOL    0x100000ull
#define SLOT    (4 * HUGE)
#define VA      0x10000000ull
#define R       TABLES_READ
#define RW      (TABLES_READ | TABLES_WRITE)
#define WINDOWS 7
#define PAGES   512u

static const uint64_t windows[WINDOWS] = {
    VA,
    VA + HUGE,
    VA + 2 * HUGE,
    VA + (1ull << 30), /* another table of level 2 */
    VA + (1ull << 39), /* and of level 3 */
    TABLES_USER_END + PAGE - HUGE,
    TABLES_KERNEL,
};

/* What a page should be: physical 0 is not mapped. */
struct page {
    uint64_t physical;
    unsigned access;
};

/* What a window is, for good. */
enum kind { ANY, CUT, WHOLE };

struct model {
    struct page pages[WINDOWS][PAGES];
    enum kind kinds[WINDOWS];
};

static struct memory memory;
static struct tables tables;
static struct model is, before;
static uint8_t *was; /* a copy of the pool */
static uint64_t was_bytes, dice;

static int open_tables(void **state)
{
    struct memory_range slot = {.bytes = SLOT, .writable = true};

    (void)state;
    slot.host = mmap(NULL, SLOT, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    was = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0);
    must(slot.host != MAP_FAILED && was != MAP_FAILED);
    memory = (struct memory){0};
    memset(&is, 0, sizeof(is));
    assert_int_equal(memory_add(&memory, &slot), 0);
    return tables_init(&tables, &memory, 0, POOL);
}

static int close_tables(void **state)
{
    (void)state;
    munmap(was, POOL);
    return munmap(memory.ranges[0].host, SLOT);
}

static void keep(void)
{
    was_bytes = tables.next;
    memcpy(was, memory.ranges[0].host, was_bytes);
    before = is;
}

static int restore(void)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        memcpy(is.pages[w], before.pages[w], sizeof(is.pages[w]));
    return tables_restore(&tables, was, was_bytes);
}

static uint64_t physical_of(uint64_t va, unsigned access)
{
    uint64_t physical;
    int rc = tables_translate(&tables, va, access, &physical);

    return rc == 0 ? physical : 0;
}

static void check(void)
{
    for (unsigned w = 0; w < WINDOWS; w++)
        for (unsigned i = 0; i < PAGES; i++) {
            const struct page *page = &is.pages[w][i];
            uint64_t va = windows[w] + i * PAGE;

            if (physical_of(va, 0) != page->physical)
                fail_msg("window %u, page %u: at 0x%llx, not 0x%llx", w, i,
                         (unsigned long long)physical_of(va, 0),
                         (unsigned long long)page->physical);
            for (unsigned bit = 2; bit <= 8 && page->physical != 0; bit *= 2)
                assert_int_equal(physical_of(va, bit), (page->access & bit) != 0
                                                           ? page->physical
                                                           : 0);
        }
}

static uint64_t roll(uint64_t below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (dice >> 33) % below;
}

/* A change of some pages of a cut window, done to both. */
static void change_pages(unsigned w)
{
    struct page *pages = is.pages[w];
    unsigned first = (unsigned)roll(PAGES), verb = (unsigned)roll(3);
    unsigned count = 1 + (unsigned)roll(roll(4) == 0 ? PAGES - first : 8);
    unsigned access = R | ((unsigned)roll(16) & 14);
    uint64_t physical = HUGE + roll(1024) * PAGE, va;
    bool taken = false;
    int rc;

    count = count > PAGES - first ? PAGES - first : count;
    if (windows[w] + (first + count) * PAGE > TABLES_USER_END &&
        windows[w] < TABLES_USER_END)
        return;
    va = windows[w] + first * PAGE;
    for (unsigned i = first; i < first + count; i++)
        taken = taken || pages[i].physical != 0;
    rc = verb == 0   ? tables_map(&tables, va, physical, count * PAGE, access)
         : verb == 1 ? tables_protect(&tables, va, count * PAGE, access)
                     : tables_unmap(&tables, va, count * PAGE);
    assert_int_equal(rc, verb == 0 && taken ? GBX_EARGUMENT : 0);
    for (unsigned i = first; rc == 0 && i < first + count; i++) {
        if (verb == 0)
            pages[i].physical = physical + (i - first) * PAGE;
        if (verb == 2)
            pages[i].physical = 0;
        pages[i].access = access;
    }
}

static void change_whole(unsigned w)
{
    struct page *pages = is.pages[w];
    unsigned access = R | ((unsigned)roll(16) & 14);
    uint64_t physical = HUGE + roll(3) * HUGE;
    bool maps = pages[0].physical == 0, protects = !maps && roll(2) == 0;

    assert_int_equal(maps ? tables_map(&tables, windows[w], physical, HUGE,
                                       access | TABLES_HUGE)
                     : protects
                         ? tables_protect(&tables, windows[w], HUGE, access)
                         : tables_unmap(&tables, windows[w], HUGE),
                     0);
    for (unsigned i = 0; i < PAGES; i++) {
        if (maps)
            pages[i].physical = physical + i * PAGE;
        else if (!protects)
            pages[i].physical = 0;
        pages[i].access = access;
    }
}

static void change(void)
{
    unsigned w = (unsigned)roll(WINDOWS);

    if (is.kinds[w] == ANY) {
        bool whole = roll(2) == 0 && windows[w] % HUGE == 0 &&
                     windows[w] < TABLES_USER_END - HUGE;

        is.kinds[w] = whole ? WHOLE : CUT;
    }
    if (is.kinds[w] == WHOLE)
        change_whole(w);
    else
        change_pages(w);
}

static void what_happened_since_is_gone(void **state)
{
    unsigned seeds = 0;

    for (uint64_t seed = 1; seed <= 40; seed++, seeds++) {
        dice = seed;
        close_tables(state);
        assert_int_equal(open_tables(state), 0);
        for (uint64_t n = roll(100); n > 0; n--)
            change();
        keep();
        for (unsigned round = 0; round < 8; round++) {
            for (uint64_t n = roll(60); n > 0; n--)
                change();
            check();
            assert_int_equal(restore(), 0);
            check();
            if (round == 4) /* a template of what was restored */
                keep();
        }
    }
    assert_int_equal(seeds, 40);
}

/* Tables that were made since are empty, and serve the next one. */
static void tables_stay_and_none_is_made_twice(void **state)
{
    uint64_t next;

    (void)state;
    assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), 0);
    keep();
    for (unsigned w = 1; w < 5; w++)
        assert_int_equal(tables_map(&tables, windows[w], HUGE, PAGE, R), 0);
    next = tables.next;
    assert_true(next > was_bytes);
    for (unsigned round = 0; round < 100; round++) {
        assert_int_equal(restore(), 0);
        assert_int_equal(tables.next, next);
        for (unsigned w = 1; w < 5; w++)
            assert_int_equal(physical_of(windows[w], 0), 0);
        assert_int_equal(physical_of(VA, R), HUGE);
        for (unsigned w = 1; w < 5; w++)
            assert_int_equal(tables_map(&tables, windows[w], HUGE, PAGE, R), 0);
        assert_int_equal(tables.next, next);
    }
}

static void a_page_that_moved_is_where_it_was(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, VA, HUGE, 2 * PAGE, RW), 0);
    keep();
    assert_int_equal(tables_unmap(&tables, VA, PAGE), 0);
    assert_int_equal(tables_map(&tables, VA, 2 * HUGE, PAGE, R), 0);
    assert_int_equal(tables_protect(&tables, VA + PAGE, PAGE, R), 0);
    assert_int_equal(tables_restore(&tables, was, was_bytes), 0);
    assert_int_equal(physical_of(VA, RW), HUGE);
    assert_int_equal(physical_of(VA + PAGE, RW), HUGE + PAGE);
    /* It can be changed as ever. */
    assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), GBX_EARGUMENT);
    assert_int_equal(tables_unmap(&tables, VA, 2 * PAGE), 0);
    assert_int_equal(physical_of(VA, 0), 0);
}

static void what_became_huge_since_stays_huge(void **state)
{
    (void)state;
    keep();
    assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, R | TABLES_HUGE), 0);
    assert_int_equal(tables_restore(&tables, was, was_bytes), 0);
    assert_int_equal(physical_of(VA, 0), 0);
    assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), GBX_EARGUMENT);
    assert_int_equal(tables_map(&tables, VA, 2 * HUGE, HUGE, RW | TABLES_HUGE),
                     0);
    keep();
    assert_int_equal(tables_unmap(&tables, VA, HUGE), 0);
    assert_int_equal(tables_restore(&tables, was, was_bytes), 0);
    assert_int_equal(physical_of(VA + 5 * PAGE, RW), 2 * HUGE + 5 * PAGE);
    assert_int_equal(tables_unmap(&tables, VA, PAGE), GBX_EARGUMENT);
}

/* No history of these tables has that; those of others have. */
static void pages_do_not_become_huge_again(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, R | TABLES_HUGE), 0);
    for (unsigned gone = 0; gone < 2; gone++) {
        keep();
        assert_int_equal(tables_init(&tables, &memory, 0, POOL), 0);
        memset(memory.ranges[0].host + PAGE, 0, POOL - PAGE);
        assert_int_equal(tables_map(&tables, VA, HUGE, PAGE, R), 0);
        assert_int_equal(tables_restore(&tables, was, was_bytes),
                         GBX_EARGUMENT);
        assert_int_equal(tables_init(&tables, &memory, 0, POOL), 0);
        assert_int_equal(tables_map(&tables, VA, HUGE, HUGE, R | TABLES_HUGE),
                         0);
        assert_int_equal(tables_unmap(&tables, VA, HUGE), 0);
    }
}

/* A page whose host memory cannot be protected: KVM would not forget it. */
static void what_is_not_forgotten_is_told(void **state)
{
    uint8_t *host = memory.ranges[0].host;

    (void)state;
    for (unsigned many = 0; many < 2; many++) {
        assert_int_equal(tables_init(&tables, &memory, 0, POOL), 0);
        keep();
        for (unsigned i = 0; i <= 100 * many; i++)
            assert_int_equal(tables_map(&tables, VA + i * PAGE,
                                        HUGE + 2 * i * PAGE, PAGE, RW),
                             0);
        munmap(host + HUGE, PAGE);
        memory.stale = false;
        assert_int_equal(tables_restore(&tables, was, was_bytes), GBX_EHOST);
        assert_true(memory.stale);
        assert_ptr_equal(mmap(host + HUGE, PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         host + HUGE);
    }
}

#define TABLES_TEST(test)                                                      \
    cmocka_unit_test_setup_teardown(test, open_tables, close_tables)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLES_TEST(what_happened_since_is_gone),
        TABLES_TEST(tables_stay_and_none_is_made_twice),
        TABLES_TEST(a_page_that_moved_is_where_it_was),
        TABLES_TEST(what_became_huge_since_stays_huge),
        TABLES_TEST(pages_do_not_become_huge_again),
        TABLES_TEST(what_is_not_forgotten_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
