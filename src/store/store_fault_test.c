/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fault_test.c - what a store does when it is full, when memory is out,
 * and when two threads ask at once.
 */
#include <pthread.h>
#include <stdio.h>

#include "store/store_ask.h"

/*
 * The allocator, which fails once when fail_in has counted down to 0.  It is
 * called before a sanitizer has set itself up, so that must not look into it.
 */
#ifdef __clang__
#define BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define BARE __attribute__((no_sanitize("thread", "address")))
#endif
#define ALLOCATOR BARE __attribute__((visibility("default")))

void *__libc_malloc(size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__interceptor_malloc(size_t bytes) __attribute__((weak));
void *__interceptor_realloc(void *old, size_t bytes) __attribute__((weak));

static _Thread_local uint64_t fail_in; /* 0: never */

ALLOCATOR void *malloc(size_t bytes)
{
    if (fail_in > 0 && --fail_in == 0)
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(bytes)
                                        : __libc_malloc(bytes);
}

ALLOCATOR void *realloc(void *old, size_t bytes)
{
    if (fail_in > 0 && --fail_in == 0)
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(old, bytes)
                                         : __libc_realloc(old, bytes);
}

static void a_key_has_1_to_1024_bytes(void **state)
{
    char arguments[STORE_KEY_MAX + 8] = "['";
    int rc;

    (void)state;
    memset(arguments + 2, 'k', STORE_KEY_MAX);
    strcpy(arguments + 2 + STORE_KEY_MAX, "',1]");
    free(ask_json("set", arguments, &rc));
    assert_int_equal(rc, 0);
    strcpy(arguments + 2 + STORE_KEY_MAX, "k',1]");
    free(ask_json("set", arguments, &rc));
    assert_int_equal(rc, GBX_ELIMIT);
    strcpy(arguments + 2 + STORE_KEY_MAX, "k']");
    free(ask_json("keys", arguments, &rc));
    assert_int_equal(rc, GBX_ELIMIT);
    assert_int_equal(store.table.count, 1);
}

/* name [key, value]; the value is a string of so many bytes. */
static int ask_large(const char *name, uint32_t key, size_t bytes)
{
    struct gbx_builder in, out;
    struct gbx_message message;
    char *value = calloc(1, bytes);
    char text[16];
    int rc;

    assert_non_null(value);
    gbx_builder_init(&in);
    gbx_builder_init(&out);
    gbx_build_array(&in, 2);
    gbx_build_text(&in, text, (size_t)snprintf(text, sizeof(text), "%u", key));
    gbx_build_bytes(&in, value, bytes);
    assert_int_equal(gbx_builder_message(&in, GBX_ARRAY, &message), 0);
    rc = ask(name, &message, &out);
    gbx_builder_fini(&in);
    gbx_builder_fini(&out);
    free(value);
    return rc;
}

static void a_full_store_refuses_and_keeps_what_it_has(void **state)
{
    static const char *const names[] = {"set", "push"};
    const size_t bytes = 15u << 20;
    uint32_t key = 0;

    (void)state;
    while (ask_large("set", key, bytes) == 0)
        key++;
    assert_int_equal(key, 4);
    assert_int_equal(store.table.count, 4);
    assert_true(store.table.bytes > 4 * bytes);
    assert_true(store.table.bytes <= STORE_BYTES_MAX);
    assert_int_equal(ask_large("set", 0, bytes), 0);     /* in its place */
    assert_int_equal(ask_large("set", 0, bytes / 2), 0); /* there is room */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t before = store.table.bytes;
        assert_int_equal(ask_large(names[i], 9, bytes), GBX_ELIMIT);
        assert_non_null(strstr(why.what, "\"9\" does not fit"));
        assert_int_equal(store.table.count, 4);
        assert_int_equal(store.table.bytes, before);
    }
    assert_int_equal(ask_large("push", 9, bytes / 4), 0);
}

/* state.NAME [key, [0, 0 ... ]] */
static int ask_zeros(const char *name, uint32_t count)
{
    struct gbx_builder in, out;
    struct gbx_message message;
    int rc;

    gbx_builder_init(&in);
    gbx_builder_init(&out);
    gbx_build_array(&in, 2);
    gbx_build_text(&in, "list", 4);
    gbx_build_array(&in, count);
    for (uint32_t i = 0; i < count; i++)
        gbx_build_integer(&in, 0);
    assert_int_equal(gbx_builder_message(&in, GBX_ARRAY, &message), 0);
    rc = ask(name, &message, &out);
    gbx_builder_fini(&in);
    gbx_builder_fini(&out);
    return rc;
}

static void small_things_count_for_what_they_cost(void **state)
{
    const uint32_t many = STORE_BYTES_MAX / 32;
    size_t before;

    (void)state;
    assert_int_equal(ask_zeros("extend", many), GBX_ELIMIT);
    assert_non_null(strstr(why.what, "too many elements"));
    assert_int_equal(store.table.count, 0);
    assert_int_equal(ask_zeros("set", many), 0); /* one string of bytes */
    before = store.table.bytes;
    assert_true(before < 2 * many);
    RUN({"push", "['list', 1]", "ELIMIT"}, {"pop", "['list']", "ELIMIT"},
        {"exists", "['list']", "true"});
    assert_int_equal(store.table.bytes, before);
    assert_int_equal(ask_zeros("set", many / 2), 0);
    RUN({"push", "['list', 1]", "1048577"});
    assert_true(store.table.bytes > many / 2 * 32);
}

static void a_pattern_cannot_keep_the_host_busy(void **state)
{
    char key[STORE_KEY_MAX], pattern[STORE_KEY_MAX + 4];
    struct store_table *table = &store.table;
    char digits[16];
    int rc;

    (void)state;
    memset(key, 'a', sizeof(key));
    for (int i = 0; i < 2000; i++) {
        snprintf(digits, sizeof(digits), "%07d", i);
        memcpy(key, digits, 7);
        assert_non_null(
            store_table_add(table, (struct store_key){key, sizeof(key)}));
    }
    memset(pattern, 'a', sizeof(pattern));
    memcpy(pattern, "['*", 3);
    strcpy(pattern + STORE_KEY_MAX / 2, "b']");
    free(ask_json("keys", pattern, &rc));
    assert_int_equal(rc, GBX_ELIMIT);
    memset(pattern, '*', STORE_KEY_MAX / 2);
    memcpy(pattern, "['", 2);
    free(ask_json("keys", pattern, &rc));
    assert_int_equal(rc, 0);
}

/* Let one allocation after the other fail, until the call needs no more. */
static uint64_t ask_without_memory(const char *name, const char *arguments)
{
    size_t bytes = store.table.bytes, count = store.table.count;
    struct gbx_message message;
    struct gbx_builder in, out;
    char json[64], *before, *after;
    uint64_t nth;
    int rc;

    before = ask_json("get_all", "[]", &rc);
    gbx_builder_init(&in);
    assert_int_equal(gbx_message_from_json(&message, &in, json,
                                           quote(json, arguments),
                                           GBX_JSON_PLAIN, NULL),
                     0);
    for (nth = 1;; nth++) {
        gbx_builder_init(&out);
        fail_in = nth;
        rc = ask(name, &message, &out);
        gbx_builder_fini(&out);
        if (fail_in > 0)
            break;
        assert_int_equal(rc, GBX_EHOST);
        assert_int_equal(why.code, GBX_EHOST);
        assert_int_equal(store.table.bytes, bytes);
        assert_int_equal(store.table.count, count);
        after = ask_json("get_all", "[]", &rc);
        assert_string_equal(after, before);
        free(after);
    }
    fail_in = 0;
    assert_int_equal(rc, 0);
    free(before);
    gbx_builder_fini(&in);
    return nth;
}

static void without_memory_nothing_changes(void **state)
{
    static const struct {
        const char *name, *arguments;
    } cases[] = {
        {"get", "['list']"},
        {"get", "['none']"},
        {"set", "['new', 1]"},
        {"set", "['number', [1]]"},
        {"delete", "['text']"},
        {"increment", "['number', 1]"},
        {"decrement", "['new', 1]"},
        {"push", "['new', 1]"},
        {"push", "['list', 1]"},
        {"push", "['array', 1]"},
        {"pop", "['list']"},
        {"pop", "['array']"},
        {"extend", "['new', []]"},
        {"extend", "['list', [1, 2]]"},
        {"extend", "['array', [1]]"},
        {"expire", "['text', 0]"},
        {"expire", "['text', 9]"},
        {"ttl", "['text']"},
        {"exists", "['text']"},
        {"keys", "['*']"},
        {"clear", "[]"},
        {"size", "[]"},
        {"get_all", "[]"},
        {"set_all", "[{'a': 1, 'b': []}]"},
        {"set_all", "[{}]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        RUN({"set_all", "[{'number': 1, 'text': 'x', 'array': [1, 2, 3]}]",
             "null"},
            {"extend", "['list', [4, 5]]", "2"});
        assert_true(ask_without_memory(cases[i].name, cases[i].arguments) > 1);
    }
}

#define ROUNDS 20000

static void *count_up(void *unused)
{
    const struct store_call *increment = store_call_find("state.increment");
    const struct store_call *push = store_call_find("state.push");
    struct gbx_message message = {
        .type = GBX_ARRAY, .body = "\x82\x61n\x01", .body_bytes = 4};
    struct gbx_message element = {
        .type = GBX_ARRAY, .body = "\x82\x61l\x01", .body_bytes = 4};
    struct gbx_builder out;
    intptr_t failed = 0;

    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        gbx_builder_init(&out);
        failed |= increment->fn(&store.alone, &message, &out, NULL);
        failed |= push->fn(&store.alone, &element, &out, NULL);
        gbx_builder_fini(&out);
    }
    return failed != 0 ? &store : NULL;
}

static void two_threads_lose_nothing(void **state)
{
    pthread_t threads[2];
    void *failed;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    RUN({"get", "['n']", "[40000]"}, {"push", "['l', 1]", "40001"});
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define FACT(fact) cmocka_unit_test_setup_teardown(fact, set_up, tear_down)
        FACT(a_key_has_1_to_1024_bytes),
        FACT(a_full_store_refuses_and_keeps_what_it_has),
        FACT(small_things_count_for_what_they_cost),
        FACT(a_pattern_cannot_keep_the_host_busy),
        FACT(without_memory_nothing_changes),
        FACT(two_threads_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
