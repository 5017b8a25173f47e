/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_guest_test.c - a guest may do what the tables say, at once.
 */
#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define PAGE 0x1000ull
#define HUGE 0x200000ull
#define VA   0x10000000ull
#define R    TABLES_READ
#define RW   (TABLES_READ | TABLES_WRITE)
#define RX   (TABLES_READ | TABLES_EXEC)
#define ALL  (TABLES_READ | TABLES_WRITE | TABLES_EXEC | TABLES_USER)

static struct guest guest;

/* Three ways to use a page, and what each needs. */
static const struct {
    unsigned access;
    uint8_t code[8];
} uses[] = {
    {R | TABLES_USER, {0x8a, 0x08, 0x0f, 0x05}},  /* mov (%rax), %cl; syscall */
    {RW | TABLES_USER, {0x88, 0x08, 0x0f, 0x05}}, /* mov %cl, (%rax); syscall */
    {RX | TABLES_USER, {0xff, 0xe0}},             /* jmp *%rax: a syscall */
};

static void expect_uses(uint64_t va, unsigned access)
{
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        bool may = (uses[i].access & ~access) == 0;

        guest_registers(&guest)->rip = GUEST_CODE + 16 * i;
        guest_registers(&guest)->rax = va;
        guest_registers(&guest)->rcx = 0x0f;
        if (guest_run(&guest) != (may ? RUN_SYSCALL : RUN_EXCEPTION) ||
            (!may && (guest.exit.vector != 14 || guest.exit.address != va)))
            fail_msg("use %zu of a page with %u: %d %s", i, access,
                     (int)guest.exit.kind, guest.exit.text);
    }
}

static void open_user(void)
{
    uint8_t code[16 * ARRAY_SIZE(uses)];

    for (size_t i = 0; i < ARRAY_SIZE(uses); i++)
        memcpy(code + 16 * i, uses[i].code, sizeof(uses[i].code));
    guest_open(&guest, code, sizeof(code));
    for (uint64_t at = GUEST_FREE; at < GUEST_FREE + HUGE; at += PAGE)
        memcpy(guest.bytes + at, "\x0f\x05", 2);
}

/* From each access to each: widened and narrowed, small and huge. */
static void a_guest_sees_each_change_at_once(void **state)
{
    (void)state;
    for (unsigned huge = 0; huge <= TABLES_HUGE; huge += TABLES_HUGE) {
        uint64_t bytes = huge != 0 ? HUGE : PAGE;
        uint64_t off = huge != 0 ? 0x123000 : 0;

        open_user();
        for (unsigned from = R; from < 16; from += 2)
            for (unsigned to = R; to < 16; to += 2) {
                assert_int_equal(tables_map(&guest.tables, VA, GUEST_FREE,
                                            bytes, from | huge),
                                 0);
                expect_uses(VA + off, from);
                assert_int_equal(tables_protect(&guest.tables, VA, bytes, to),
                                 0);
                expect_uses(VA + off, to);
                assert_int_equal(tables_unmap(&guest.tables, VA, bytes), 0);
                expect_uses(VA + off, 0);
            }
        guest_close(&guest);
    }
}

/* Two addresses of one page: each as its own entry says. */
static void one_page_at_two_addresses_is_two_entries(void **state)
{
    (void)state;
    open_user();
    for (int i = 0; i < 2; i++)
        assert_int_equal(tables_map(&guest.tables, VA + (unsigned)i * HUGE,
                                    GUEST_FREE, PAGE, ALL),
                         0);
    expect_uses(VA, ALL);
    expect_uses(VA + HUGE, ALL);
    assert_int_equal(tables_protect(&guest.tables, VA, PAGE, R | TABLES_USER),
                     0);
    expect_uses(VA, R | TABLES_USER);
    expect_uses(VA + HUGE, ALL);
    assert_int_equal(tables_unmap(&guest.tables, VA + HUGE, PAGE), 0);
    expect_uses(VA, R | TABLES_USER);
    expect_uses(VA + HUGE, 0);
    guest_close(&guest);
}

/* All of a range changes, across tables and over holes, and nothing else. */
static void a_guest_sees_ranges_change(void **state)
{
    static const unsigned pages[] = {0, 1, 255, 256, 257, 600};
    const uint64_t start = VA + HUGE - 256 * PAGE;

    (void)state;
    open_user();
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        assert_int_equal(tables_map(&guest.tables, start + pages[i] * PAGE,
                                    GUEST_FREE + i * PAGE, PAGE, ALL),
                         0);
        expect_uses(start + pages[i] * PAGE, ALL);
    }
    assert_int_equal(tables_protect(&guest.tables, start + PAGE, 599 * PAGE,
                                    R | TABLES_USER),
                     0);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        expect_uses(start + pages[i] * PAGE,
                    i == 0 || i == 5 ? ALL : R | TABLES_USER);
    assert_int_equal(
        tables_unmap(&guest.tables, start + 256 * PAGE, 344 * PAGE), 0);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        expect_uses(start + pages[i] * PAGE, i == 0 || i == 5 ? ALL
                                             : i < 3          ? R | TABLES_USER
                                                              : 0);
    guest_close(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_sees_each_change_at_once),
        cmocka_unit_test(one_page_at_two_addresses_is_two_entries),
        cmocka_unit_test(a_guest_sees_ranges_change),
    };

    return guest_tests(tests);
}
