/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the last minute, by a clock of the test's own; and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/dashboard/dashboard.h"

#define SECOND 1000000000ull

static const uint64_t start_ns = 1000 * SECOND;
static struct lately lately;

static int begin(void **state)
{
    (void)state;
    memset(&lately, 0, sizeof(lately));
    return 0;
}

static void nothing_was_nothing(void **state)
{
    const struct lately_facts facts = lately_read(&lately, start_ns, start_ns);

    (void)state;
    assert_int_equal(facts.calls, 0);
    assert_true(facts.calls_per_second == 0);
    assert_int_equal(facts.ns_50 + facts.ns_90 + facts.ns_99, 0);
}

/* Four counts to a power of two, told by their middles: an eighth off. */
static void a_time_is_told_to_an_eighth(void **state)
{
    (void)state;
    for (uint64_t ns = 1500; ns < 200 * SECOND; ns += ns / 7) {
        struct lately_facts facts;

        begin(NULL);
        lately_note(&lately, start_ns, ns);
        facts = lately_read(&lately, start_ns, start_ns);
        assert_in_range(facts.ns_50, ns - ns / 8, ns + ns / 8);
        assert_int_equal(facts.ns_99, facts.ns_50);
    }
}

static void the_shortest_and_the_longest_are_counted_too(void **state)
{
    static const uint64_t edges[] = {1, 1023, 1024, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        lately_note(&lately, start_ns, edges[i]);
    assert_int_equal(lately_read(&lately, start_ns, start_ns).calls, 4);
}

static void of_a_hundred_calls_one_is_slow(void **state)
{
    struct lately_facts facts;

    (void)state;
    for (unsigned i = 0; i < 99; i++)
        lately_note(&lately, start_ns, i < 80 ? 1000000 : 8000000);
    lately_note(&lately, start_ns, SECOND);
    lately_note(&lately, start_ns, 0); /* did not come to run: it has no time */
    facts = lately_read(&lately, start_ns, start_ns - 20 * SECOND);
    assert_int_equal(facts.calls, 101);
    assert_in_range(facts.ns_50, 875000, 1125000);
    assert_in_range(facts.ns_90, 7000000, 9000000);
    assert_in_range(facts.ns_99, 7000000, 9000000);
}

static void what_is_older_than_a_minute_is_forgotten(void **state)
{
    static const struct {
        uint64_t after_s;
        uint64_t calls;
        bool has_rate;
    } cases[] = {{0, 1, true},   {9, 1, true},   {20, 1, false},
                 {59, 1, false}, {66, 0, false}, {100000, 0, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lately_facts facts;

        begin(NULL);
        lately_note(&lately, start_ns, 5000);
        facts = lately_read(&lately, start_ns + cases[i].after_s * SECOND,
                            start_ns - SECOND);
        assert_int_equal(facts.calls, cases[i].calls);
        assert_true((facts.calls_per_second > 0) == cases[i].has_rate);
        assert_true((facts.ns_50 > 0) == (cases[i].calls > 0));
    }
}

static void a_place_that_is_taken_again_begins_at_zero(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 1000; s++)
        lately_note(&lately, start_ns + s * SECOND, 5000);
    assert_in_range(
        lately_read(&lately, start_ns + 999 * SECOND, start_ns).calls, 60, 65);
}

static void the_rate_is_of_the_last_ten_seconds(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 400; i++)
        lately_note(&lately, start_ns + i * SECOND / 10, 5000);
    assert_true(lately_read(&lately, start_ns + 40 * SECOND, start_ns)
                    .calls_per_second > 7);
    assert_true(lately_read(&lately, start_ns + 40 * SECOND, start_ns)
                    .calls_per_second < 11);
}

/* ---- troubles.c ---- */

static json_t *last_trouble(json_t **list)
{
    *list = troubles_list(0);
    return json_array_get(*list, json_array_size(*list) - 1);
}

static const char *text_of(const json_t *trouble, const char *name)
{
    return json_string_value(json_object_get(trouble, name));
}

static void texts_are_cut_between_letters(void **state)
{
    char text[6000], what[6000];
    json_t *list, *one;

    (void)state;
    for (unsigned shift = 0; shift < 3; shift++) {
        /* A letter of three bytes, from each place on. */
        memset(text, 'x', shift);
        for (size_t at = shift; at + 3 < sizeof(text); at += 3)
            memcpy(text + at, "\xe2\x82\xac", 4);
        snprintf(what, sizeof(what), "%s", text);
        trouble_note(text, GBX_ESCRIPT, what, text);
        one = last_trouble(&list);
        assert_null(strchr(text_of(one, "actor"), '?'));
        assert_null(strchr(text_of(one, "message"), '?'));
        assert_null(strchr(text_of(one, "traceback"), '?'));
        assert_in_range(strlen(text_of(one, "message")), 100, 6000);
        assert_memory_equal(text_of(one, "traceback"), "...\n", 4);
        assert_string_equal(text_of(one, "code"), "ESCRIPT");
        json_decref(list);
    }
}

static void what_is_no_text_is_told_as_far_as_it_is(void **state)
{
    json_t *list, *one;

    (void)state;
    trouble_note("a\xff", GBX_ETIME, "\x80\x80\x80", NULL);
    one = last_trouble(&list);
    assert_string_equal(text_of(one, "actor"), "a?");
    assert_string_equal(text_of(one, "message"), "???");
    assert_string_equal(text_of(one, "traceback"), "");
    json_decref(list);
}

static void one_keeps_to_its_own_places(void **state)
{
    unsigned noisy = 0, others = 0;
    char name[32];
    json_t *list;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "other %u", i % 30);
        if (i < 30)
            trouble_note(name, GBX_ETIME, "", NULL);
        trouble_note("noisy", GBX_ETIME, "", NULL);
    }
    list = troubles_list(0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *actor = text_of(json_array_get(list, i), "actor");

        noisy += strcmp(actor, "noisy") == 0;
        others += strncmp(actor, "other", 5) == 0;
    }
    assert_int_equal(noisy, 10);
    assert_int_equal(others, 30);
    json_decref(list);
    list = troubles_list(UINT64_MAX);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest facts[] = {
        cmocka_unit_test_setup(nothing_was_nothing, begin),
        cmocka_unit_test_setup(a_time_is_told_to_an_eighth, begin),
        cmocka_unit_test_setup(the_shortest_and_the_longest_are_counted_too,
                               begin),
        cmocka_unit_test_setup(of_a_hundred_calls_one_is_slow, begin),
        cmocka_unit_test_setup(what_is_older_than_a_minute_is_forgotten, begin),
        cmocka_unit_test_setup(a_place_that_is_taken_again_begins_at_zero,
                               begin),
        cmocka_unit_test_setup(the_rate_is_of_the_last_ten_seconds, begin),
        cmocka_unit_test(texts_are_cut_between_letters),
        cmocka_unit_test(what_is_no_text_is_told_as_far_as_it_is),
        cmocka_unit_test(one_keeps_to_its_own_places),
    };

    return cmocka_run_group_tests(facts, NULL, NULL);
}
