/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_test.c - each allocation fails once; what comes of it is GBX_EHOST.
 *
 * The linker puts the functions below before the C library's, for our code
 * (--wrap); jansson is told.  Leaks are counted, so that no sanitizer is
 * needed.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/message.h"

static long until_failure = -1; /* -1: never */
static long alive;

void *__real_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *old);
void *__wrap_malloc(size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void __wrap_free(void *old);

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
    void *new = fails() ? NULL : __real_malloc(bytes);

    alive += new != NULL;
    return new;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *new = fails() ? NULL : __real_realloc(old, bytes);

    alive += new != NULL &&old == NULL;
    return new;
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return __wrap_realloc(old, count * bytes);
}

void __wrap_free(void *old)
{
    alive -= old != NULL;
    __real_free(old);
}

static int build(void)
{
    char text[300] = {0};
    struct gbx_message message;
    struct gbx_builder b;
    int rc;

    gbx_builder_init(&b);
    gbx_build_array(&b, 40);
    for (int i = 0; i < 20; i++) {
        gbx_build_text(&b, text, sizeof(text));
        gbx_build_integer(&b, i);
    }
    rc = gbx_builder_message(&b, GBX_ARRAY, &message);
    gbx_builder_fini(&b);
    return rc;
}

static int hold(void)
{
    struct gbx_message message = {
        .type = GBX_STREAM, .body = "bytes", .body_bytes = 5};
    void *held;
    int rc = gbx_message_hold(&message, &held);

    if (rc < 0)
        assert_string_equal(message.body, "bytes");
    free(held);
    return rc;
}

static bool in_jansson; /* it is jansson's turn to be without memory */

/* From text in this form, and back again. */
static int there_and_back(const char *json, enum gbx_json_form form)
{
    struct gbx_error err = {0};
    struct gbx_message message;
    struct gbx_builder b;
    char *text = NULL;
    int rc;

    gbx_builder_init(&b);
    rc = gbx_message_from_json(&message, &b, json, strlen(json), form, &err);
    if (rc == 0) {
        rc = gbx_message_to_json(&text, &message, form, &err);
        assert_int_equal(rc == 0, text != NULL);
    }
    if (rc == 0 && !in_jansson)
        assert_string_equal(text, json);
    else if (rc != 0)
        assert_int_equal(err.code, rc);
    free(text);
    gbx_builder_fini(&b);
    return rc;
}

static int plain(void)
{
    return there_and_back("{\"a\":[1,2.5,\"three\",null,true],\"b\":{\"c\":{}},"
                          "\"d\":\"a longer text, so that more than one "
                          "buffer has to grow while it is written out\"}",
                          GBX_JSON_PLAIN);
}

static int many_keys(void)
{
    char json[2000] = "{\"k\":0";

    for (int i = 0; i < 100; i++)
        snprintf(json + strlen(json), 30, ",\"k%d\":%d", i, i);
    strcat(json, "}");
    return there_and_back(json, GBX_JSON_PLAIN);
}

static int serde(void)
{
    return there_and_back("{\"type\":\"Array\",\"data\":[{\"data\":[49]},"
                          "{\"data\":[123,34,107,34,58,91,93,125]}]}",
                          GBX_JSON_SERDE);
}

static int stream(void)
{
    return there_and_back("{\"type\":\"Stream\",\"data\":[1,2,3,255,0]}",
                          GBX_JSON_TYPED);
}

static int (*const acts[])(void) = {build,     hold,  plain,
                                    many_keys, serde, stream};

/* Each act again and again, until nothing fails in it any more. */
static void fail_each(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        long before = alive, n = 0;
        do {
            int rc;
            until_failure = n++;
            rc = acts[i]();
            if (in_jansson)
                assert_true(rc == 0 || rc == GBX_EHOST || rc == GBX_EFORMAT);
            else
                assert_int_equal(rc, until_failure < 0 ? GBX_EHOST : 0);
            assert_int_equal(alive, before);
        } while (until_failure < 0);
        assert_true(n > 1);
        until_failure = -1;
    }
}

static void an_allocation_that_fails_is_ehost_and_leaks_nothing(void **state)
{
    (void)state;
    fail_each();
}

/*
 * jansson calls some of its failures faults of the text, and has a string
 * shorter after others.  All that we can hold it to is to stay alive.
 */
static void one_in_jansson_leaks_nothing(void **state)
{
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    in_jansson = true;
    fail_each();
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_that_fails_is_ehost_and_leaks_nothing),
        cmocka_unit_test(one_in_jansson_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
