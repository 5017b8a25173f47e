/* SPDX-License-Identifier: Apache-2.0 */
/* What a call has changed stays, or has never been; nobody sees it before. */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/store_ask.h"

static struct store_journal first, second;

static void begin(struct store_journal *j, bool may_wait)
{
    *j = (struct store_journal){.store = &store, .may_wait = may_wait};
}

static int begin_all(void **state)
{
    set_up(state);
    begin(&first, false);
    begin(&second, false);
    return 0;
}

static int end_all(void **state)
{
    store_journal_end(&first, false);
    store_journal_end(&second, false);
    return tear_down(state);
}

/* As one call; then it has failed. */
static void undo(const struct row *rows, size_t count)
{
    const size_t bytes = store.table.bytes;
    char *before, *after;
    int rc;

    before = ask_json("get_all", "[]", &rc);
    journal = &first;
    run(rows, count);
    store_journal_end(&first, false);
    journal = &store.alone;
    after = ask_json("get_all", "[]", &rc);
    assert_string_equal(after, before);
    assert_int_equal(store.table.bytes, bytes);
    assert_null(store.open);
    free(before);
    free(after);
}

#define UNDO(...)                                                              \
    do {                                                                       \
        static const struct row rows[] = {__VA_ARGS__};                        \
        undo(rows, ARRAY_SIZE(rows));                                          \
    } while (0)

static void fill(void)
{
    RUN({"set_all", "[{'n': 1, 't': 'text', 'a': [1, 2, 3]}]", "null"},
        {"extend", "['l', [1, 2, 3, 4]]", "4"}, {"expire", "['t', 9]", "true"});
}

static void a_call_that_fails_has_changed_nothing(void **state)
{
    (void)state;
    fill();
    UNDO({"set", "['n', 5]", "null"}, {"get", "['n']", "[5]"});
    UNDO({"set", "['new', 5]", "null"}, {"delete", "['new']", "true"},
         {"set", "['new', 6]", "null"});
    UNDO({"delete", "['n']", "true"}, {"exists", "['n']", "false"});
    UNDO({"delete", "['l']", "true"}, {"push", "['l', 1]", "1"},
         {"pop", "['l']", "[1]"}, {"pop", "['l']", "[]"});
    UNDO({"increment", "['n', 5]", "6"}, {"decrement", "['n', 2]", "4"});
    UNDO({"push", "['l', 5]", "5"}, {"pop", "['l']", "[1]"},
         {"pop", "['l']", "[2]"}, {"extend", "['l', [6, 7]]", "5"});
    UNDO({"pop", "['l']", "[1]"}, {"pop", "['l']", "[2]"},
         {"pop", "['l']", "[3]"}, {"pop", "['l']", "[4]"},
         {"pop", "['l']", "[]"}, {"push", "['l', 9]", "1"},
         {"pop", "['l']", "[9]"}, {"push", "['l', 8]", "1"});
    UNDO({"pop", "['l']", "[1]"}, {"push", "['l', 5]", "4"},
         {"set", "['l', 'no list']", "null"}, {"delete", "['l']", "true"});
    UNDO({"push", "['a', 5]", "4"}, {"pop", "['a']", "[1]"});
    UNDO({"clear", "[]", "null"}, {"size", "[]", "0"});
    UNDO({"set", "['n', 9]", "null"}, {"clear", "[]", "null"},
         {"set", "['n', 8]", "null"}, {"set_all", "[{'x': 1}]", "null"},
         {"set", "['y', 8]", "null"}, {"clear", "[]", "null"});
    UNDO({"expire", "['n', 0]", "true"}, {"expire", "['t', 100]", "true"});
    RUN({"ttl", "['t']", "9"}, {"ttl", "['n']", "-1"});
}

static void a_call_that_succeeds_has(void **state)
{
    (void)state;
    fill();
    journal = &first;
    RUN({"pop", "['l']", "[1]"}, {"push", "['l', 5]", "4"},
        {"delete", "['n']", "true"}, {"set", "['new', 1]", "null"},
        {"delete", "['nothing']", "false"},
        {"increment", "['t', 1]", "EARGUMENT"});
    store_journal_end(&first, true);
    journal = &store.alone;
    RUN({"get_all", "[]", "{'a':[1,2,3],'l':[2,3,4,5],'new':1,'t':'text'}"});
    journal = &first;
    RUN({"set", "['a', 1]", "null"}, {"clear", "[]", "null"},
        {"set", "['b', 1]", "null"});
    store_journal_end(&first, true);
    journal = &store.alone;
    RUN({"get_all", "[]", "{'b':1}"});
    assert_null(store.open);
}

/* The value is over while a call holds it; or only by what that call said. */
static void time_goes_on_meanwhile(void **state)
{
    (void)state;
    fill();
    journal = &first;
    RUN({"expire", "['n', 1]", "true"}, {"expire", "['t', 100]", "true"},
        {"push", "['l', 1]", "5"}, {"expire", "['l', 2]", "true"});
    now_ns += 10 * SECOND;
    RUN({"exists", "['n']", "false"}, {"exists", "['t']", "true"},
        {"exists", "['l']", "false"}, {"set", "['l', 3]", "null"});
    store_journal_end(&first, false);
    journal = &store.alone;
    RUN({"get", "['n']", "[1]"}, {"exists", "['t']", "false"},
        {"get", "['l']", "[[1,2,3,4]]"});
}

static void nobody_sees_what_may_be_taken_back(void **state)
{
    static const char *const calls[] = {"get", "delete", "ttl", "pop",
                                        "exists"};
    int rc;

    (void)state;
    fill();
    journal = &first;
    RUN({"delete", "['n']", "true"}, {"get", "['t']", "['text']"});
    journal = &second;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        free(ask_json(calls[i], "['n']", &rc));
        assert_int_equal(rc, GBX_EAGAIN);
        assert_non_null(strstr(why.what, "\"n\" is being changed by another"));
    }
    RUN({"size", "[]", "EAGAIN"}, {"clear", "[]", "EAGAIN"},
        {"keys", "['*']", "EAGAIN"}, {"get_all", "[]", "EAGAIN"},
        {"set_all", "[{}]", "EAGAIN"});
    /* What was only read is free, and so is the rest. */
    RUN({"set", "['t', 5]", "null"}, {"push", "['other', 1]", "1"});
    journal = &first;
    RUN({"get", "['t']", "EAGAIN"}, {"size", "[]", "EAGAIN"});
    store_journal_end(&second, true);
    RUN({"get", "['t']", "[5]"}, {"size", "[]", "4"},
        {"set_all", "[{'x': 1}]", "null"});
    journal = &second;
    RUN({"get", "['x']", "EAGAIN"}, {"get", "['nothing']", "EAGAIN"});
    store_journal_end(&first, false);
    RUN({"get", "['n']", "[1]"}, {"get", "['other']", "[[1]]"});
}

static void *end_soon(void *unused)
{
    (void)unused;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 50000000},
                    NULL);
    store_journal_end(&first, false);
    return NULL;
}

static void who_may_wait_gets_what_is_left(void **state)
{
    pthread_t thread;

    (void)state;
    fill();
    begin(&second, true);
    journal = &first;
    RUN({"increment", "['n', 41]", "42"}, {"clear", "[]", "null"});
    assert_int_equal(pthread_create(&thread, NULL, end_soon, NULL), 0);
    journal = &second;
    RUN({"increment", "['n', 1]", "2"});
    pthread_join(thread, NULL);
}

static void it_waits_no_longer_than_its_call_may(void **state)
{
    atomic_bool is_canceled = true;

    (void)state;
    fill();
    journal = &first;
    RUN({"increment", "['n', 41]", "42"});
    begin(&second, true);
    second.deadline_ns = clock_now_ns() + SECOND / 50;
    journal = &second;
    RUN({"increment", "['n', 1]", "ETIME"});
    second.deadline_ns = 0;
    second.is_canceled = &is_canceled;
    RUN({"increment", "['n', 1]", "ECANCELED"});
}

static void *want_other(void *unused)
{
    const struct gbx_message t = {
        .type = GBX_ARRAY, .body = "\x81\x61t", .body_bytes = 3};
    struct gbx_builder out;
    int rc;

    (void)unused;
    gbx_builder_init(&out);
    rc = store_call_find("state.delete")->fn(&first, &t, &out, NULL);
    gbx_builder_fini(&out);
    store_journal_end(&first, true);
    return rc == 0 ? NULL : &store;
}

static void a_circle_is_told_to_who_would_close_it(void **state)
{
    pthread_t thread;
    void *failed;

    (void)state;
    fill();
    begin(&first, true);
    begin(&second, true);
    journal = &first;
    RUN({"increment", "['n', 1]", "2"});
    journal = &second;
    RUN({"set", "['t', 1]", "null"});
    assert_int_equal(pthread_create(&thread, NULL, want_other, NULL), 0);
    for (uint32_t waiting = 0; waiting == 0;) {
        pthread_mutex_lock(&store.lock);
        waiting = store.waiting;
        pthread_mutex_unlock(&store.lock);
    }
    RUN({"get", "['n']", "EAGAIN"}, {"size", "[]", "EAGAIN"});
    assert_non_null(strstr(why.what, "which waits for this one"));
    store_journal_end(&second, false);
    pthread_join(thread, &failed);
    assert_null(failed);
    RUN({"exists", "['t']", "false"}, {"get", "['n']", "[2]"});
}

static void a_copy_is_of_what_has_happened(void **state)
{
    struct store copy;
    struct row want = {"get_all", "[]", ""};
    char *text;
    int rc;

    (void)state;
    fill();
    text = ask_json("get_all", "[]", &rc);
    for (size_t i = 0; text[i] != '\0'; i++)
        text[i] = text[i] == '"' ? '\'' : text[i];
    want.answer = text;
    journal = &first;
    RUN({"pop", "['l']", "[1]"}, {"push", "['l', 9]", "4"},
        {"delete", "['n']", "true"}, {"set", "['x', 1]", "null"},
        {"set", "['a', 1]", "null"});
    for (int all = 0; all < 2; all++) {
        store_init(&copy);
        copy.now_ns = fake_now_ns;
        assert_true(store_copy(&copy, &store));
        journal = &copy.alone;
        run(&want, 1);
        RUN({"ttl", "['t']", "9"});
        store_fini(&copy);
        journal = &first;
        if (all == 0)
            RUN({"clear", "[]", "null"}, {"set", "['z', 1]", "null"});
    }
    free(text);
}

/* state.set [key, bytes] */
static int set_bytes(const char *key, const uint8_t *bytes, size_t count)
{
    struct gbx_builder in, out;
    struct gbx_message message;
    int rc;

    gbx_builder_init(&in);
    gbx_builder_init(&out);
    gbx_build_array(&in, 2);
    gbx_build_text(&in, key, strlen(key));
    gbx_build_bytes(&in, bytes, count);
    assert_int_equal(gbx_builder_message(&in, GBX_ARRAY, &message), 0);
    rc = ask("set", &message, &out);
    gbx_builder_fini(&out);
    gbx_builder_fini(&in);
    return rc;
}

/* Whatever others do, there is room for what is taken back. */
static void what_may_come_back_keeps_its_place(void **state)
{
    static const uint8_t large[40u << 20];

    (void)state;
    assert_int_equal(set_bytes("mine", large, sizeof(large)), 0);
    journal = &first;
    RUN({"delete", "['mine']", "true"});
    journal = &second;
    RUN({"set", "['small', 1]", "null"});
    journal = &first;
    assert_int_equal(set_bytes("mine", large, sizeof(large)),
                     0); /* in its place */
    RUN({"delete", "['mine']", "true"}, {"set", "['mine', 1]", "null"});
    store_journal_end(&second, true);
    journal = &second;
    RUN({"get", "['mine']", "EAGAIN"});
    journal = &first;
    RUN({"delete", "['mine']", "true"}, {"clear", "[]", "null"});
    store_journal_end(&first, false);
    journal = &store.alone;
    RUN({"delete", "['small']", "true"});
    assert_true(store.table.bytes > sizeof(large));
}

static void others_do_not_take_that_place(void **state)
{
    static const uint8_t large[40u << 20];

    (void)state;
    assert_int_equal(set_bytes("other", large, sizeof(large)), 0);
    journal = &first;
    RUN({"delete", "['other']", "true"});
    journal = &second;
    assert_int_equal(set_bytes("mine", large, sizeof(large)), GBX_ELIMIT);
    assert_non_null(strstr(why.what, "may come back"));
    store_journal_end(&first, true);
    assert_int_equal(set_bytes("mine", large, sizeof(large)), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define FACT(fact) cmocka_unit_test_setup_teardown(fact, begin_all, end_all)
        FACT(a_call_that_fails_has_changed_nothing),
        FACT(a_call_that_succeeds_has),
        FACT(time_goes_on_meanwhile),
        FACT(nobody_sees_what_may_be_taken_back),
        FACT(who_may_wait_gets_what_is_left),
        FACT(it_waits_no_longer_than_its_call_may),
        FACT(a_circle_is_told_to_who_would_close_it),
        FACT(a_copy_is_of_what_has_happened),
        FACT(what_may_come_back_keeps_its_place),
        FACT(others_do_not_take_that_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
