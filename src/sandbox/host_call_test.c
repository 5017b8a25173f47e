/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sandbox/host_call.h"

static int nothing(void *context, const struct gbx_message *arguments,
                   struct gbx_builder *b, struct gbx_error *e)
{
    (void)context;
    (void)arguments;
    (void)b;
    (void)e;
    return 0;
}

static void host_calls_have_one_name_each(void **state)
{
    static struct host_calls table;
    char name[HOST_CALL_NAME_MAX + 2];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(host_calls_add(&table, name, nothing, NULL),
                     GBX_EARGUMENT);
    assert_int_equal(host_calls_add(&table, "", nothing, NULL), GBX_EARGUMENT);
    assert_int_equal(host_calls_add(&table, "a", NULL, NULL), GBX_EARGUMENT);
    for (unsigned i = 0; i < HOST_CALLS_MAX; i++) {
        name[i + 1] = '\0';
        if (i < HOST_CALL_NAME_MAX)
            assert_int_equal(host_calls_add(&table, name, nothing, NULL), 0);
        name[i + 1] = 'n';
    }
    assert_int_equal(host_calls_add(&table, "n", nothing, NULL), GBX_EARGUMENT);
    assert_int_equal(host_calls_add(&table, "a", nothing, NULL), 0);
    assert_int_equal(host_calls_add(&table, "b", nothing, NULL), GBX_ELIMIT);
    assert_null(host_calls_find(&table, "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_calls_have_one_name_each),
    };

    return cmocka_run_group_tests_name("host_call", tests, NULL, NULL);
}
