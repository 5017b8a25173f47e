/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/body/lend.h"

#define BYTES 1000000u

static struct lending lending;

/* What calls take, and how much they look at. */
struct script {
    uint64_t shown_ns, copied_ns;
    uint32_t seen;
};

static int setup(void **state)
{
    (void)state;
    lending = (struct lending){0};
    return 0;
}

/* How many of so many calls are shown what they are given. */
static unsigned call(const struct script *script, unsigned count)
{
    unsigned shown = 0;

    for (unsigned i = 0; i < count; i++) {
        struct lent lent;

        lending_choose(&lending, &lent);
        lent.bytes = BYTES;
        lent.ns = 10;
        shown += lent.is_shown;
        lending_note(&lending, &lent,
                     lent.is_shown ? script->shown_ns : script->copied_ns);
        if (lent.is_shown && lent.is_watched)
            lending_saw(&lending, script->seen);
    }
    return shown;
}

static const struct script passes = {100, 5000, 0}, reads = {5000, 1000, 16},
                           reads_well = {900, 1000, 16};

static void what_passes_it_on_is_shown_all(void **state)
{
    (void)state;
    assert_int_equal(call(&passes, 1000), 1000);
}

static void what_reads_it_has_copies_where_they_are_cheaper(void **state)
{
    (void)state;
    assert_int_equal(call(&reads, LENDING_ROUND), 1 + LENDING_TRIES);
    assert_in_range(call(&reads, 10 * LENDING_ROUND), 10 * LENDING_TRIES,
                    11 * LENDING_TRIES);
}

static void and_is_shown_all_where_they_are_not(void **state)
{
    (void)state;
    call(&reads_well, 10);
    assert_int_equal(call(&reads_well, 10 * LENDING_ROUND),
                     10 * (LENDING_ROUND - LENDING_TRIES));
}

static void a_script_that_changes_is_found_out(void **state)
{
    (void)state;
    call(&reads, LENDING_ROUND);
    call(&passes, LENDING_ROUND);
    assert_int_equal(call(&passes, 100), 100);
    call(&reads, LENDING_ROUND);
    assert_true(call(&reads, LENDING_ROUND) < LENDING_ROUND / 10);
    call(&reads_well, LENDING_ROUND);
    assert_true(call(&reads_well, LENDING_ROUND) > LENDING_ROUND / 2);
}

/* Calls that fail note nothing. */
static void what_is_not_known_is_shown(void **state)
{
    struct lent lent;

    (void)state;
    lending_saw(&lending, 16);
    for (unsigned i = 0; i < 50; i++) {
        lending_choose(&lending, &lent);
        assert_true(lent.is_shown || i < 2 * LENDING_TRIES);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_passes_it_on_is_shown_all),
        TEST(what_reads_it_has_copies_where_they_are_cheaper),
        TEST(and_is_shown_all_where_they_are_not),
        TEST(a_script_that_changes_is_found_out),
        TEST(what_is_not_known_is_shown),
    };

    return cmocka_run_group_tests_name("to show or to copy", tests, NULL, NULL);
}
