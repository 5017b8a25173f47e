/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_guest_test.c - a guest sees at once that its tables are as they were:
 * where it has used what was mapped since, too.  (A shadow MMU keeps tables of
 * its own, and a processor its TLB: both must have forgotten.)
 */
#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define PAGE   0x1000ull
#define HUGE   0x200000ull
#define VA     0x10000000ull
#define R      TABLES_READ
#define USER   (TABLES_READ | TABLES_USER)
#define DATA   (USER | TABLES_WRITE)
#define FRAMES 512u

static struct guest guest;
static uint8_t *was;
static uint64_t was_bytes;

/* mov (%rax), %rbx; syscall, and 16 bytes on: mov %rbx, (%rax); syscall */
static const uint8_t code[] = {0x48, 0x8b, 0x18, 0x0f, 0x05, 0,    0,
                               0,    0,    0,    0,    0,    0,    0,
                               0,    0,    0x48, 0x89, 0x18, 0x0f, 0x05};

/* Each frame begins with its number. */
static int open_user(void **state)
{
    (void)state;
    guest_open(&guest, code, sizeof(code));
    was = malloc(GUEST_TABLES + (1 << 20));
    assert_non_null(was);
    for (uint64_t i = 0; i < FRAMES; i++)
        memcpy(guest.bytes + GUEST_FREE + i * PAGE, &i, sizeof(i));
    return 0;
}

static int close_user(void **state)
{
    (void)state;
    free(was);
    guest_close(&guest);
    return 0;
}

static void keep(void)
{
    was_bytes = guest.tables.next;
    assert_in_range(was_bytes - GUEST_TABLES, PAGE, 1 << 20);
    memcpy(was, guest.bytes, was_bytes);
}

static int restore(void)
{
    return tables_restore(&guest.tables, was, was_bytes);
}

static uint64_t frame(uint64_t number)
{
    return GUEST_FREE + number * PAGE;
}

static void map(uint64_t va, uint64_t number, uint64_t bytes, unsigned access)
{
    assert_int_equal(
        tables_map(&guest.tables, va, frame(number), bytes, access), 0);
}

static bool try_use(uint64_t va, bool writes)
{
    guest_registers(&guest)->rip = GUEST_CODE + 16 * (unsigned)writes;
    guest_registers(&guest)->rax = va;
    if (guest_run(&guest) == RUN_SYSCALL)
        return true;
    if (guest.exit.kind != RUN_EXCEPTION || guest.exit.vector != 14 ||
        guest.exit.address != va)
        fail_msg("at 0x%llx: %d %s", (unsigned long long)va,
                 (int)guest.exit.kind, guest.exit.text);
    return false;
}

/* It reads that frame there, and may write or not. */
static void expect(uint64_t va, uint64_t number, bool may_write)
{
    assert_true(try_use(va, false));
    assert_int_equal(guest_registers(&guest)->rbx, number);
    assert_int_equal(try_use(va, true), may_write);
}

static void expect_none(uint64_t va)
{
    assert_false(try_use(va, false));
    assert_false(try_use(va, true));
}

static void what_was_mapped_since_is_not_reached(void **state)
{
    (void)state;
    map(VA, 0, PAGE, DATA);
    keep();
    for (unsigned round = 0; round < 3; round++) {
        map(VA + PAGE, 1, PAGE, DATA);         /* in a table that was */
        map(VA + HUGE, 2, PAGE, DATA);         /* in one made since */
        map(VA + (1ull << 39), 3, PAGE, USER); /* in three of them */
        expect(VA, 0, true);
        expect(VA + PAGE, 1, true);
        expect(VA + HUGE, 2, true);
        expect(VA + (1ull << 39), 3, false);
        assert_int_equal(restore(), 0);
        expect(VA, 0, true);
        expect_none(VA + PAGE);
        expect_none(VA + HUGE);
        expect_none(VA + (1ull << 39));
    }
}

static void the_page_of_then_is_seen_again(void **state)
{
    (void)state;
    map(VA, 0, PAGE, DATA);
    map(VA + PAGE, 1, PAGE, USER);
    map(VA + 2 * PAGE, 2, PAGE, DATA);
    map(VA + 3 * PAGE, 3, PAGE, USER);
    keep();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++)
            expect(VA + i * PAGE, i, i % 2 == 0);
        assert_int_equal(tables_unmap(&guest.tables, VA, 2 * PAGE), 0);
        map(VA, 8, PAGE, USER);
        map(VA + PAGE, 9, PAGE, DATA);
        expect(VA, 8, false);
        expect(VA + PAGE, 9, true);
        assert_int_equal(
            tables_protect(&guest.tables, VA + 2 * PAGE, 2 * PAGE, R), 0);
        expect_none(VA + 2 * PAGE);
        assert_int_equal(
            tables_protect(&guest.tables, VA + 3 * PAGE, PAGE, DATA), 0);
        expect(VA + 3 * PAGE, 3, true);
        assert_int_equal(restore(), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        expect(VA + i * PAGE, i, i % 2 == 0);
}

static void huge_pages_go_and_come_back(void **state)
{
    (void)state;
    map(VA, 0, HUGE, USER | TABLES_HUGE);
    keep();
    for (unsigned round = 0; round < 3; round++) {
        expect(VA + 7 * PAGE, 7, false);
        assert_int_equal(tables_unmap(&guest.tables, VA, HUGE), 0);
        map(VA + HUGE, 0, HUGE, DATA | TABLES_HUGE);
        expect_none(VA + 7 * PAGE);
        expect(VA + HUGE + 9 * PAGE, 9, true);
        assert_int_equal(restore(), 0);
        expect_none(VA + HUGE + 9 * PAGE);
        expect(VA + 5 * PAGE, 5, false);
    }
}

/* More stretches than are forgotten one by one, at odd places. */
static void however_many_they_are(void **state)
{
    uint64_t dice = 1;

    (void)state;
    for (unsigned i = 0; i < FRAMES; i += 3)
        map(VA + i * PAGE, i, PAGE, USER);
    keep();
    for (unsigned round = 0; round < 5; round++) {
        unsigned frames[FRAMES];

        for (unsigned i = 0; i < FRAMES; i++) {
            if (i % 3 == 0)
                assert_int_equal(
                    tables_unmap(&guest.tables, VA + i * PAGE, PAGE), 0);
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            frames[i] = (unsigned)(dice >> 33) % (2 * FRAMES);
            if (frames[i] >= FRAMES)
                continue;
            map(VA + i * PAGE, frames[i], PAGE, DATA);
            expect(VA + i * PAGE, frames[i], true);
        }
        assert_int_equal(restore(), 0);
        for (unsigned i = 0; i < FRAMES; i++)
            if (i % 3 == 0)
                expect(VA + i * PAGE, i, false);
            else
                expect_none(VA + i * PAGE);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_user, close_user)
    const struct CMUnitTest tests[] = {
        TEST(what_was_mapped_since_is_not_reached),
        TEST(the_page_of_then_is_seen_again),
        TEST(huge_pages_go_and_come_back),
        TEST(however_many_they_are),
    };

    return guest_tests(tests);
}
