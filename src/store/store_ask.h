/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_ask.h - for tests: a store, its calls, and rows of questions to it.
 *
 * A row asks: a call's name, its arguments and its answer, as JSON.  Time
 * passes when a test says so.
 */
#ifndef STORE_STORE_ASK_H
#define STORE_STORE_ASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "store/store.h"

#define SECOND 1000000000ull

static struct store store;
static struct gbx_error why;
static struct store_journal *journal; /* whose questions they are */
static uint64_t now_ns;

static uint64_t fake_now_ns(void)
{
    return now_ns;
}

static inline int set_up(void **state)
{
    (void)state;
    store_init(&store);
    store.now_ns = fake_now_ns;
    journal = &store.alone;
    now_ns = 1000 * SECOND;
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    store_fini(&store);
    return 0;
}

static inline int ask(const char *name, const struct gbx_message *arguments,
                      struct gbx_builder *answer)
{
    char full[64] = "state.";
    const struct store_call *call;

    strncat(full, name, 32);
    call = store_call_find(full);
    assert_non_null(call);
    why = (struct gbx_error){0};
    return call->fn(journal, arguments, answer, &why);
}

/* Write JSON as JSON is. Returns its length. */
static inline size_t quote(char *to, const char *json)
{
    size_t i;

    for (i = 0; json[i] != '\0'; i++)
        to[i] = json[i] == '\'' ? '"' : json[i];
    to[i] = '\0';
    return i;
}

/*
 * Returns the answer as JSON for free(); of a refused call, NULL and the code.
 * The arguments are JSON with ' for ".
 */
static inline char *ask_json(const char *name, const char *arguments, int *rc)
{
    char json[2048], *text = NULL;
    struct gbx_builder in, out;
    struct gbx_message message;

    assert_true(strlen(arguments) < sizeof(json));
    gbx_builder_init(&in);
    gbx_builder_init(&out);
    assert_int_equal(gbx_message_from_json(&message, &in, json,
                                           quote(json, arguments),
                                           GBX_JSON_PLAIN, NULL),
                     0);
    *rc = ask(name, &message, &out);
    if (*rc == 0) {
        assert_int_equal(gbx_builder_message(&out, GBX_ANY, &message), 0);
        assert_int_equal(
            gbx_message_to_json(&text, &message, GBX_JSON_PLAIN, NULL), 0);
    }
    gbx_builder_fini(&in);
    gbx_builder_fini(&out);
    return text;
}

/* The answer is JSON, again with ' for ", or the name of an error. */
struct row {
    const char *name, *arguments, *answer;
};

static inline void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        char want[512];
        int rc;
        char *json = ask_json(row->name, row->arguments, &rc);
        const char *answer = rc < 0 ? gbx_error_name(rc) : json;

        quote(want, row->answer);
        if (strcmp(answer, want) != 0)
            fail_msg("row %zu: %s %s: %s, not %s (%s)", i, row->name,
                     row->arguments, answer, want, why.what);
        if (rc < 0 && (why.code != rc || strstr(why.what, row->name) == NULL))
            fail_msg("row %zu: %s: \"%s\"", i, row->name, why.what);
        free(json);
    }
}

#define RUN(...)                                                               \
    do {                                                                       \
        static const struct row rows[] = {__VA_ARGS__};                        \
        run(rows, ARRAY_SIZE(rows));                                           \
    } while (0)

#endif
