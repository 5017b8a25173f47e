/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/project/toml/toml.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *read_text(const char *text, struct toml_error *err)
{
    return toml_read(text, strlen(text), err);
}

static void each_value_says_its_line(void **state)
{
    static const struct {
        const char *toml, *json;
    } cases[] = {
        {"", "[1,{}]"},
        {"a = 1", "[1,{\"a\":[1,1]}]"},
        {"\n\na = -5\nb = true", "[1,{\"a\":[3,-5],\"b\":[4,true]}]"},
        {"a = 1.5\nb = 2e3\nc = 4.0",
         "[1,{\"a\":[1,1.5],\"b\":[2,2000.0],\"c\":[3,4.0]}]"},
        {"a = \"x\\\"\\n\\\\ä\"", "[1,{\"a\":[1,\"x\\\"\\u000a\\\\ä\"]}]"},
        {"[a]\nb = 1\n[a.c]\nd = 2",
         "[1,{\"a\":[1,{\"b\":[2,1],\"c\":[3,{\"d\":[4,2]}]}]}]"},
        {"a = [\n 1,\n 'x',\n]", "[1,{\"a\":[1,[[2,1],[3,\"x\"]]]}]"},
        {"a = {b = 1}", "[1,{\"a\":[1,{\"b\":[1,1]}]}]"},
        {"a.b = 1\n# x\na.c = 2", "[1,{\"a\":[1,{\"b\":[1,1],\"c\":[3,2]}]}]"},
        {"a = 1979-05-27\nb = inf\nc = 07:00:00",
         "[1,{\"a\":[1,null],\"b\":[2,null],\"c\":[3,null]}]"},
        {"[[a]]\nb = 1\n[[a]]", "[1,{\"a\":[1,[[1,{\"b\":[2,1]}],[3,{}]]]}]"},
    };
    struct toml_error err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *json = read_text(cases[i].toml, &err);

        assert_non_null(json);
        assert_string_equal(json, cases[i].json);
        free(json);
    }
}

static void what_is_wrong_says_its_line(void **state)
{
    static const struct {
        const char *toml;
        unsigned line;
    } cases[] = {
        {"a", 1},
        {"a = 1\nb = [1,,2]", 2},
        {"a = 1\n\na = 2", 3},
        {"[a]\n[a]", 2},
        {"a = \"x", 1},
        {"\na = \"x\\u0000\"", 2},
        {"a = 1\n\"\\u0000\" = 2", 2},
        {"a = 'x\xff'", 1},
        {"\n[\001", 2},
        {"\xc3\xa9 = 1", 1},
        {"a = \xc3\xa9", 1},
        {"\n\xcf\x99", 2},
        {"a = \"\"\"\\\n\xc3\xa9", 2},
        {"a = 99999999999999999999", 1},
    };
    struct toml_error err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(read_text(cases[i].toml, &err));
        assert_int_equal(err.line, cases[i].line);
        assert_true(strlen(err.what) > 5);
    }
}

static char *repeat(const char *what, size_t times, const char *before,
                    const char *behind)
{
    const size_t bytes = strlen(what);
    char *text = malloc(bytes * times + strlen(before) + strlen(behind) + 1);

    strcpy(text, before);
    for (size_t i = 0; i < times; i++)
        memcpy(text + strlen(before) + i * bytes, what, bytes);
    strcpy(text + strlen(before) + times * bytes, behind);
    return text;
}

/* Each level is recursion, when it is read and when it is freed. */
static void what_would_nest_without_end_is_refused(void **state)
{
    char *texts[] = {
        repeat("a.", 100000, "", "a = 1"), repeat("a.", 33, "[", "a]"),
        repeat("[", 100000, "a = ", ""), repeat("{a=", 1000, "a = ", "1"),
        repeat("#", TOML_BYTES_MAX + 1, "", "")};
    struct toml_error err;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_null(read_text(texts[i], &err));
        assert_int_equal(err.line, 1);
        free(texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_says_its_line),
        cmocka_unit_test(what_is_wrong_says_its_line),
        cmocka_unit_test(what_would_nest_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
