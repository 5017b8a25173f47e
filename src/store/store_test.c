/* SPDX-License-Identifier: Apache-2.0 */
/* store_test.c - what each host call of context.state promises. */
#include "store/store_ask.h"

static void what_was_set_is_got_until_it_is_deleted(void **state)
{
    (void)state;
    RUN({"get", "['a']", "[]"}, {"exists", "['a']", "false"},
        {"set", "['a', {'b': [1, null, '\\u0000']}]", "null"},
        {"get", "['a']", "[{'b':[1,null,'\\u0000']}]"},
        {"exists", "['a']", "true"}, {"set", "['a', null]", "null"},
        {"get", "['a']", "[null]"}, {"size", "[]", "1"},
        {"set", "['a\\u0000b', 7]", "null"}, {"size", "[]", "2"},
        {"get", "['a']", "[null]"}, {"get", "['a\\u0000b']", "[7]"},
        {"delete", "['a']", "true"}, {"delete", "['a']", "false"},
        {"get", "['a']", "[]"}, {"size", "[]", "1"}, {"clear", "[]", "null"},
        {"size", "[]", "0"}, {"get", "['a\\u0000b']", "[]"},
        {"clear", "[]", "null"});
}

static void numbers_add_up_and_stay_what_they_are(void **state)
{
    (void)state;
    RUN({"increment", "['n', 1]", "1"}, {"increment", "['n', 5]", "6"},
        {"decrement", "['n', 10]", "-4"}, {"get", "['n']", "[-4]"},
        {"increment", "['n', 0.5]", "-3.5"}, {"decrement", "['n', 1]", "-4.5"},
        {"get", "['n']", "[-4.5]"}, {"decrement", "['m', 1]", "-1"},
        {"decrement", "['m', 9223372036854775807]", "-9223372036854775808"},
        {"decrement", "['m', 1]", "EARGUMENT"},
        {"increment", "['m', -9223372036854775808]", "EARGUMENT"},
        {"decrement", "['m', -9223372036854775808]", "0"},
        {"set", "['m', 9223372036854775807]", "null"},
        {"increment", "['m', 1]", "EARGUMENT"},
        {"decrement", "['new', -9223372036854775808]", "EARGUMENT"},
        {"exists", "['new']", "false"},
        {"get", "['m']", "[9223372036854775807]"},
        {"set", "['f', 1e308]", "null"},
        {"increment", "['f', 1e308]", "EARGUMENT"},
        {"get", "['f']", "[1e+308]"}, {"set", "['t', '1']", "null"},
        {"increment", "['t', 1]", "EARGUMENT"}, {"set", "['t', true]", "null"},
        {"increment", "['t', 1]", "EARGUMENT"}, {"set", "['t', []]", "null"},
        {"increment", "['t', 1]", "EARGUMENT"}, {"push", "['t', 1]", "1"},
        {"increment", "['t', 1]", "EARGUMENT"},
        {"increment", "['n', '1']", "EARGUMENT"},
        {"increment", "['n', true]", "EARGUMENT"});
}

static void a_list_is_a_queue_and_still_a_value(void **state)
{
    (void)state;
    RUN({"pop", "['q']", "[]"}, {"exists", "['q']", "false"},
        {"push", "['q', 1]", "1"}, {"push", "['q', [2, [3]]]", "2"},
        {"get", "['q']", "[[1,[2,[3]]]]"}, {"pop", "['q']", "[1]"},
        {"pop", "['q']", "[[2,[3]]]"}, {"get", "['q']", "[[]]"},
        {"pop", "['q']", "[]"}, {"push", "['q', 4]", "1"},
        {"extend", "['q', [5, {'k': 6}]]", "3"}, {"extend", "['q', []]", "3"},
        {"get_all", "[]", "{'q':[4,5,{'k':6}]}"}, {"extend", "['e', []]", "0"},
        {"get", "['e']", "[[]]"}, {"set", "['q', [7, [8], 9]]", "null"},
        {"pop", "['q']", "[7]"}, {"push", "['q', null]", "3"},
        {"get", "['q']", "[[[8],9,null]]"}, {"set", "['q', [1, 2]]", "null"},
        {"extend", "['q', [3]]", "3"}, {"get", "['q']", "[[1,2,3]]"},
        {"set", "['q', []]", "null"}, {"pop", "['q']", "[]"},
        {"push", "['q', 1]", "1"}, {"set", "['x', {}]", "null"},
        {"push", "['x', 1]", "EARGUMENT"}, {"pop", "['x']", "EARGUMENT"},
        {"extend", "['x', [1]]", "EARGUMENT"},
        {"extend", "['q', 1]", "EARGUMENT"}, {"get", "['x']", "[{}]"},
        {"get", "['q']", "[[1]]"});
}

static void all_of_it_is_got_and_replaced_at_once(void **state)
{
    (void)state;
    RUN({"get_all", "[]", "{}"}, {"set", "['old', 1]", "null"},
        {"expire", "['old', 5]", "true"},
        {"set_all", "[{'b': 1, 'a': [2], 'old': 3}]", "null"},
        {"get_all", "[]", "{'a':[2],'b':1,'old':3}"}, {"ttl", "['old']", "-1"},
        {"push", "['a', 1]", "2"}, {"set_all", "[{'c': 1, '': 2}]", "ELIMIT"},
        {"get_all", "[]", "{'a':[2,1],'b':1,'old':3}"},
        {"set_all", "[{}]", "null"}, {"size", "[]", "0"},
        {"set_all", "[[]]", "EARGUMENT"});
}

static void keys_are_found_by_pattern_and_sorted(void **state)
{
    (void)state;
    RUN({"keys", "['*']", "[]"},
        {"set_all",
         "[{'user:2': 0, 'user:10': 0, 'user:1': 0, 'u': 0, "
         "'\\u00e9t\\u00e9': 0, '[x]': 0, 'a*b': 0, 'a-b': 0, "
         "'/.x': 0}]",
         "null"},
        {"keys", "['*']",
         "['/.x','[x]','a*b','a-b','u','user:1','user:10',"
         "'user:2','été']"},
        {"keys", "['user:*']", "['user:1','user:10','user:2']"},
        {"keys", "['user:?']", "['user:1','user:2']"},
        {"keys", "['*1*']", "['user:1','user:10']"}, {"keys", "['u']", "['u']"},
        {"keys", "['U']", "[]"}, {"keys", "['']", "[]"},
        {"keys", "['u?']", "[]"}, {"keys", "['?t?']", "['été']"},
        {"keys", "['[a-\\u00ff]t*']", "['été']"},
        {"keys", "['a[*-]b']", "['a*b','a-b']"},
        {"keys", "['a[!*]b']", "['a-b']"}, {"keys", "['a[^-]b']", "['a*b']"},
        {"keys", "['a\\\\*b']", "['a*b']"}, {"keys", "['a\\\\']", "[]"},
        {"keys", "['[x]']", "[]"}, {"keys", "['[[]x]']", "['[x]']"},
        {"keys", "['[x']", "[]"}, {"keys", "['[-b']", "[]"},
        {"keys", "['é*[!é]']", "[]"}, {"keys", "['[x*']", "['[x]']"},
        {"keys", "['*[]]']", "['[x]']"},
        {"keys", "['user:[12]']", "['user:1','user:2']"},
        {"keys", "['user:[2-1]']", "[]"},
        {"keys", "['*s*r*:**0']", "['user:10']"}, {"keys", "[1]", "EARGUMENT"});
}

static void a_key_is_gone_when_its_time_is_over(void **state)
{
    (void)state;
    RUN({"ttl", "['a']", "-2"}, {"expire", "['a', 1]", "false"},
        {"set", "['a', 1]", "null"}, {"set", "['b', 2]", "null"},
        {"set", "['c', 3]", "null"}, {"ttl", "['a']", "-1"},
        {"expire", "['a', 2.5]", "true"}, {"ttl", "['a']", "3"},
        {"expire", "['b', 10]", "true"}, {"ttl", "['b']", "10"},
        {"increment", "['a', 1]", "2"}, {"ttl", "['a']", "3"});
    now_ns += 2 * SECOND + SECOND / 2 - 1;
    RUN({"ttl", "['a']", "1"}, {"size", "[]", "3"});
    now_ns++;
    RUN({"size", "[]", "2"}, {"exists", "['a']", "false"},
        {"get", "['a']", "[]"}, {"keys", "['*']", "['b','c']"},
        {"increment", "['a', 1]", "1"}, {"ttl", "['a']", "-1"},
        {"ttl", "['b']", "8"}, {"set", "['b', 3]", "null"},
        {"ttl", "['b']", "-1"}, {"expire", "['b', 0]", "true"},
        {"exists", "['b']", "false"}, {"expire", "['c', 1]", "true"},
        {"expire", "['c', 4000000000]", "true"},
        {"expire", "['c', 4000000001]", "EARGUMENT"},
        {"expire", "['c', '1']", "EARGUMENT"});
    now_ns += 2 * SECOND;
    RUN({"ttl", "['c']", "3999999998"}, {"expire", "['c', -0.1]", "true"},
        {"get_all", "[]", "{'a':1}"});
}

static void nothing_expires_late_because_another_did(void **state)
{
    (void)state;
    RUN({"set_all", "[{'a': 1, 'b': 1, 'c': 1}]", "null"},
        {"expire", "['c', 3]", "true"}, {"expire", "['a', 1]", "true"},
        {"expire", "['b', 2]", "true"});
    for (size_t left = 3; left > 0; left--) {
        assert_int_equal(store.table.count, left);
        now_ns += SECOND;
        RUN({"exists", "['z']", "false"});
    }
    assert_int_equal(store.table.bytes, 0);
    assert_int_equal(store.table.due_ns, 0);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    RUN({"get", "[]", "EARGUMENT"}, {"get", "['a', 1]", "EARGUMENT"},
        {"get", "[1]", "EARGUMENT"}, {"get", "[null]", "EARGUMENT"},
        {"get", "{'a': 1}", "EFORMAT"}, {"get", "7", "EFORMAT"},
        {"get", "'a'", "EFORMAT"}, {"get", "['']", "ELIMIT"},
        {"set", "['a']", "EARGUMENT"}, {"size", "[1]", "EARGUMENT"},
        {"size", "[]", "0"});
}

/* Arguments as bytes; the answer too, or NULL: refused. */
struct raw {
    const char *name, *arguments, *answer;
    size_t arguments_bytes, answer_bytes;
};

#define RAW(name, arguments, answer)                                           \
    {                                                                          \
        name, arguments, answer, sizeof(arguments) - 1, sizeof(answer) - 1     \
    }
#define REFUSED(name, arguments)                                               \
    {                                                                          \
        name, arguments, NULL, sizeof(arguments) - 1, 0                        \
    }

static void values_come_back_byte_for_byte(void **state)
{
    static const struct raw rows[] = {
        /* A list of indefinite length, and one in it. */
        RAW("set", "\x82\x61l\x9f\x01\x9f\x02\xff\xff", "\xf6"),
        RAW("get", "\x81\x61l", "\x81\x9f\x01\x9f\x02\xff\xff"),
        RAW("push", "\x82\x61l\xbf\x61k\x03\xff", "\x03"),
        RAW("get", "\x81\x61l", "\x81\x83\x01\x9f\x02\xff\xbf\x61k\x03\xff"),
        RAW("pop", "\x81\x61l", "\x81\x01"),
        RAW("pop", "\x81\x61l", "\x81\x9f\x02\xff"),
        RAW("pop", "\x9f\x61l\xff", "\x81\xbf\x61k\x03\xff"),
        /* A half float, a bignum, a tag nobody knows, a typed array. */
        RAW("set", "\x82\x61v\xf9\x3c\x00", "\xf6"),
        RAW("get", "\x81\x61v", "\x81\xf9\x3c\x00"),
        RAW("increment", "\x82\x61v\x01", "\xfb\x40\0\0\0\0\0\0\0"),
        RAW("set", "\x82\x61v\xc2\x41\x07", "\xf6"),
        REFUSED("increment", "\x82\x61v\x01"),
        RAW("get", "\x81\x61v", "\x81\xc2\x41\x07"),
        RAW("set", "\x82\x61v\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\xf6"),
        REFUSED("increment", "\x82\x61v\x01"),
        RAW("set", "\x82\x61v\xc1\x07", "\xf6"),
        RAW("get", "\x81\x61v", "\x81\xc1\x07"),
        RAW("set", "\x82\x61v\xd8\x40\x42\x07\x08", "\xf6"),
        RAW("get", "\x81\x61v", "\x81\xd8\x40\x42\x07\x08"),
        REFUSED("push", "\x82\x61v\x01"),
        REFUSED("extend", "\x82\x61l\xd8\x40\x42\x07\x08"),
        /* NaN seconds; a key twice; a key that is no text; trailing bytes. */
        REFUSED("expire", "\x82\x61v\xf9\x7e\x00"),
        REFUSED("expire", "\x82\x61v\xf9\x7c\x00"),
        REFUSED("increment", "\x82\x61n\xf9\x7c\x00"),
        RAW("set_all", "\x81\xa2\x61k\x01\x61k\x02", "\xf6"),
        RAW("get_all", "\x80", "\xa1\x61k\x02"),
        REFUSED("set_all", "\x81\xa1\x01\x01"),
        REFUSED("get", "\x81\x61k\x00"),
        REFUSED("get", "\x81\x61\xff"),
        REFUSED("get", ""),
        RAW("get_all", "\x80", "\xa1\x61k\x02"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct gbx_message arguments = {.type = GBX_ARRAY,
                                        .body = rows[i].arguments,
                                        .body_bytes = rows[i].arguments_bytes};
        struct gbx_builder out;

        gbx_builder_init(&out);
        if ((ask(rows[i].name, &arguments, &out) == 0) !=
                (rows[i].answer != NULL) ||
            (rows[i].answer != NULL &&
             (out.count != rows[i].answer_bytes ||
              memcmp(out.bytes, rows[i].answer, out.count) != 0)))
            fail_msg("row %zu: %s", i, rows[i].name);
        gbx_builder_fini(&out);
    }
}

/* Arrays in arrays: so many levels, the innermost empty. */
static size_t nest(char *to, uint32_t levels)
{
    memset(to, 0x81, levels);
    to[levels - 1] = (char)0x80;
    return levels;
}

static int ask_nested(const char *name, uint32_t levels)
{
    char bytes[128] = "\x82\x61k";
    struct gbx_message message = {.type = GBX_ARRAY, .body = bytes};
    struct gbx_builder out;
    int rc;

    message.body_bytes = 3 + nest(bytes + 3, levels);
    gbx_builder_init(&out);
    rc = ask(name, &message, &out);
    gbx_builder_fini(&out);
    return rc;
}

static void what_may_come_in_may_go_out_however_deep(void **state)
{
    static const struct {
        const char *name;
        uint32_t levels_max;
    } cases[] = {{"set", GBX_CBOR_DEPTH_MAX - 1},
                 {"push", GBX_CBOR_DEPTH_MAX - 2}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc;
        assert_int_equal(ask_nested(cases[i].name, cases[i].levels_max), 0);
        free(ask_json("get", "['k']", &rc)); /* checks the answer */
        assert_int_equal(rc, 0);
        free(ask_json("get_all", "[]", &rc));
        assert_int_equal(rc, 0);
        assert_true(ask_nested(cases[i].name, cases[i].levels_max + 1) < 0);
        RUN({"delete", "['k']", "true"});
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define FACT(fact) cmocka_unit_test_setup_teardown(fact, set_up, tear_down)
        FACT(what_was_set_is_got_until_it_is_deleted),
        FACT(numbers_add_up_and_stay_what_they_are),
        FACT(a_list_is_a_queue_and_still_a_value),
        FACT(all_of_it_is_got_and_replaced_at_once),
        FACT(keys_are_found_by_pattern_and_sorted),
        FACT(a_key_is_gone_when_its_time_is_over),
        FACT(nothing_expires_late_because_another_did),
        FACT(wrong_arguments_are_refused),
        FACT(values_come_back_byte_for_byte),
        FACT(what_may_come_in_may_go_out_however_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
