/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "message/text.h"

/* Of many doubles: what is written is that double again, to the last bit. */
static void every_double_reads_back(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct text text = {0};
        double value, again;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(&value, &seed, sizeof(value));
        if (i % 3 == 0)
            value = (double)(int64_t)(seed >> 12) / 1000;
        if (!isfinite(value))
            continue;
        text_real(&text, value);
        text_put(&text, "", 1);
        again = strtod(text.bytes, NULL);
        assert_memory_equal(&again, &value, sizeof(value));
        assert_non_null(strpbrk(text.bytes, ".e"));
        free(text.bytes);
    }
}

static void a_real_is_as_short_as_can_be(void **state)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e14, "100000000000000.0"},
        {1e15, "1e+15"},
        {-1e300, "-1e+300"},
        {-7, "-7.0"},
        {1e15 - 0.5, "999999999999999.5"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct text text = {0};
        text_real(&text, cases[i].value);
        text_put(&text, "", 1);
        assert_string_equal(text.bytes, cases[i].want);
        free(text.bytes);
    }
}

/* More than are written at once, and more than a buffer starts with. */
static void octets_are_all_there(void **state)
{
    size_t count = ((size_t)1 << 20) + 300;
    uint8_t *bytes = malloc(count);
    struct text text = {0};
    char *at;

    (void)state;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 37);
    text_octets(&text, bytes, count);
    text_put(&text, "", 1);
    at = text.bytes;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(*at, i == 0 ? '[' : ',');
        assert_int_equal(strtol(at + 1, &at, 10), bytes[i]);
    }
    assert_string_equal(at, "]");
    free(text.bytes);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_double_reads_back),
        cmocka_unit_test(a_real_is_as_short_as_can_be),
        cmocka_unit_test(octets_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
