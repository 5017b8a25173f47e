/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault_test.h"
#include "runtime/route/measure.h"

WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)

static void an_average_forgets(void **state)
{
    struct measure_row row = {0};

    (void)state;
    measure_note(&row, 8000, 64);
    assert_int_equal(atomic_load(&row.call_ns), 8000);
    assert_int_equal(atomic_load(&row.body_bytes), 64);
    measure_note(&row, 16000, 64);
    assert_int_equal(atomic_load(&row.call_ns), 9000);
    for (int i = 0; i < 100; i++)
        measure_note(&row, 80000, 800);
    assert_int_equal(atomic_load(&row.calls), 102);
    assert_in_range(atomic_load(&row.call_ns), 79000, 80000);
    assert_in_range(atomic_load(&row.body_bytes), 780, 800);
    for (int i = 0; i < 100; i++)
        measure_note(&row, 0, 0);
    assert_in_range(atomic_load(&row.call_ns), 0, 7);
    measure_note(&row, UINT64_MAX, UINT64_MAX); /* does not wrap */
    assert_true(atomic_load(&row.call_ns) > UINT64_MAX / 16);
}

static void what_was_seen_of_a_file_stays(void **state)
{
    struct measures measures;
    struct measure_seen *one, *same, *other;

    (void)state;
    measures_init(&measures);
    one = measure_get(&measures, "/a/x.py");
    other = measure_get(&measures, "/a/y.py");
    assert_non_null(one);
    assert_true(one != other);
    same = measure_get(&measures, "/a/x.py");
    assert_ptr_equal(one, same);
    measure_note(&one->rows[GBX_ISOLATION_WASM], 5, 5);
    measure_put(&measures, one);
    measure_put(&measures, same);
    measure_put(&measures, other);
    one = measure_get(&measures, "/a/x.py");
    assert_int_equal(atomic_load(&one->rows[GBX_ISOLATION_WASM].calls), 1);
    measure_put(&measures, one);
    measure_put(&measures, NULL);
    measures_fini(&measures);
}

static void the_oldest_that_nobody_has_goes(void **state)
{
    struct measure_seen *held;
    struct measures measures;
    char path[32];

    (void)state;
    measures_init(&measures);
    held = measure_get(&measures, "held");
    for (unsigned i = 0; i < 2 * MEASURE_PATHS_MAX; i++) {
        snprintf(path, sizeof(path), "%u", i);
        measure_put(&measures, measure_get(&measures, path));
    }
    assert_int_equal(measures.count, MEASURE_PATHS_MAX);
    assert_ptr_equal(measure_get(&measures, "held"), held);
    measure_put(&measures, held);
    measure_put(&measures, held);
    measures_fini(&measures);
}

static void without_memory_nothing_is_measured(void **state)
{
    struct measures measures;

    (void)state;
    measures_init(&measures);
    begin_failing(1);
    assert_null(measure_get(&measures, "x"));
    fails_at = 0;
    assert_string_equal(failed, "calloc");
    measure_put(&measures, measure_get(&measures, "x"));
    measures_fini(&measures);
}

static void *note_often(void *context)
{
    struct measure_seen *seen = context;

    for (int i = 0; i < 100000; i++)
        measure_note(&seen->rows[1], 1000, 10);
    return NULL;
}

static void calls_that_end_at_once_lose_little(void **state)
{
    struct measures measures;
    struct measure_seen *seen;
    pthread_t other;

    (void)state;
    measures_init(&measures);
    seen = measure_get(&measures, "x");
    assert_int_equal(pthread_create(&other, NULL, note_often, seen), 0);
    note_often(seen);
    pthread_join(other, NULL);
    assert_in_range(atomic_load(&seen->rows[1].call_ns), 990, 1000);
    assert_in_range(atomic_load(&seen->rows[1].calls), 100000, 200000);
    measure_put(&measures, seen);
    measures_fini(&measures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_average_forgets),
        cmocka_unit_test(what_was_seen_of_a_file_stays),
        cmocka_unit_test(the_oldest_that_nobody_has_goes),
        cmocka_unit_test(without_memory_nothing_is_measured),
        cmocka_unit_test(calls_that_end_at_once_lose_little),
    };

    return cmocka_run_group_tests_name("measure", tests, NULL, NULL);
}
