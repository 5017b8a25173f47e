/* SPDX-License-Identifier: Apache-2.0 */
/* Where the host's processes can be seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sandbox/grants/processes.h"

static void they_are_seen_from_all_that_they_lie_below(void **state)
{
    char place[PATH_MAX];

    (void)state;
    assert_int_equal(processes_below("/", place), 1);
    assert_string_equal(place, "/proc");
    assert_int_equal(processes_below("/proc", place), 1);
    assert_string_equal(place, "/proc");
}

static void they_are_not_seen_from_elsewhere(void **state)
{
    static const char *const folders[] = {"/usr", "/pro", "/proc/self/x",
                                          "/processes"};
    char place[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        assert_int_equal(processes_below(folders[i], place), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_seen_from_all_that_they_lie_below),
        cmocka_unit_test(they_are_not_seen_from_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
