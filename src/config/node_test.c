/* SPDX-License-Identifier: Apache-2.0 */
/* node_test.c - what a node's metadata say of its actor's sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/runtime.h"

static struct gbx_script_config script;
static struct gbx_config *texts;
static struct gbx_error err;

static int begin(void **state)
{
    (void)state;
    script = (struct gbx_script_config){.struct_bytes = sizeof(script)};
    return 0;
}

static int end(void **state)
{
    (void)state;
    gbx_config_close(texts);
    texts = NULL;
    return 0;
}

static int apply(const char *metadata, int is_client)
{
    gbx_config_close(texts);
    err = (struct gbx_error){.what = ""};
    return gbx_config_apply_node(&texts, metadata, is_client, &script, &err);
}

static void what_it_says_comes_first(void **state)
{
    (void)state;
    script.limits.memory_bytes = 32 << 20;
    script.limits.files = 100;
    script.image = "other";
    script.root = "/other";
    script.pool.total_max = 3;
    assert_int_equal(
        apply("{\"image\": \"a/b:1\", \"isolation\": \"process\", \"limits\": "
              "{\"memory\": \"64M\", \"cpu\": 5, \"comment\": \"why\"}, "
              "\"pool\": {\"ready\": 2}}",
              0),
        0);
    assert_string_equal(script.image, "a/b:1");
    assert_null(script.root);
    assert_int_equal(script.isolation, GBX_ISOLATION_PROCESS);
    assert_int_equal(script.limits.memory_bytes, 64 << 20);
    assert_int_equal(script.limits.cpu_ns, 5000000000);
    assert_int_equal(script.limits.files, 100);
    assert_int_equal(script.pool.ready_min, 2);
    assert_int_equal(script.pool.total_max, 3);
}

/* A graph chooses from what the policy allows, and does not write it. */
static void policy_is_not_in_it(void **state)
{
    (void)state;
    script.route.allowed[0] = GBX_ISOLATION_MICROVM;
    script.isolation = GBX_ISOLATION_MICROVM;
    assert_int_equal(apply("{\"isolation\": \"process\", \"trust\": "
                           "\"trusted\", \"floor\": \"wasm\"}",
                           0),
                     0);
    assert_int_equal(script.route.allowed[0], GBX_ISOLATION_MICROVM);
    assert_int_equal(script.route.allowed[1], GBX_ISOLATION_AUTO);
    assert_int_equal(script.route.trust, 0);
    assert_int_equal(script.route.floor, GBX_ISOLATION_AUTO);
    assert_int_equal(script.isolation, GBX_ISOLATION_MICROVM);
}

static void all_else_is_the_actor_s_own(void **state)
{
    static const char *const cases[] = {
        NULL,
        "{}",
        "{\"memory\": 1, \"comment\": 7, \"cache\": 1, \"wipe\": {}, \"\": 0}",
        "{\"x\": {\"limits\": 1, \"image\": []}, \"y\": \"},\\\"image\\\":\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct gbx_script_config before = script;

        assert_int_equal(apply(cases[i], 1), 0);
        assert_memory_equal(&script, &before, sizeof(script));
    }
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"[]", "metadata: it must be an object"},
        {"{", "metadata: "},
        {"{\"a\": 1, \"a\": 2}", "metadata: duplicate"},
        {"{\"limits\": 1}", "metadata: \"limits\" must be an object"},
        {"{\n\"limits\": {\"memroy\": 1}}",
         "metadata: \"limits\" has no \"memroy\"; you may mean \"memory\""},
        {"{\"limits\": {\"memory\": \"1K\"}}",
         "metadata: \"memory\" is \"1K\"; it must be at least 16M"},
        {"{\"limits\": {\"cpu\": \"fast\"}}", "\"cpu\" is \"fast\""},
        {"{\"image\": 7}", "\"image\" is 7; it must be the name of an image"},
        {"{\"isolation\": \"vm\"}", "\"isolation\" is \"vm\"; it must be"},
        {"{\"isolation\": [\"process\", \"wasm\"]}", "a node has one"},
        {"{\"pool\": {\"ready\": 3, \"total\": 2}}", "more than its \"total\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(apply(cases[i].text, 0), GBX_EFORMAT);
        assert_null(texts);
        if (strstr(err.what, cases[i].said) == NULL)
            fail_msg("%s: %s", cases[i].text, err.what);
    }
}

static void a_client_has_less_or_nothing(void **state)
{
    static const char *const refused[] = {
        "{\"image\": \"a\"}",         "{\"isolation\": \"process\"}",
        "{\"isolation\": \"auto\"}",  "{\"pool\": {\"ready\": 5}}",
        "{\"pool\": {\"total\": 5}}",
    };

    (void)state;
    script.pool.total_max = 4;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_int_equal(apply(refused[i], 0), 0);
        script = (struct gbx_script_config){.pool.total_max = 4};
        assert_int_equal(apply(refused[i], 1), GBX_EARGUMENT);
        assert_non_null(strstr(err.what, "client"));
    }
    script.limits.files = 10;
    script.limits_max.cpu_ns = 2000000000;
    assert_int_equal(
        apply("{\"limits\": {\"files\": 20, \"memory\": \"64M\", \"cpu\": 9}, "
              "\"pool\": {\"total\": 2, \"idle\": \"1m\"}}",
              1),
        0);
    assert_int_equal(script.limits.files, 10);
    assert_int_equal(script.limits.memory_bytes, 0);
    assert_int_equal(script.limits_max.files, 20);
    assert_int_equal(script.limits_max.memory_bytes, 64 << 20);
    assert_int_equal(script.limits_max.cpu_ns, 2000000000);
    assert_int_equal(script.pool.total_max, 2);
    script = (struct gbx_script_config){.struct_bytes = sizeof(script)};
    assert_int_equal(apply("{\"pool\": {\"total\": 2}}", 1), GBX_EARGUMENT);
}

int main(void)
{
#define HERE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        HERE(what_it_says_comes_first),     HERE(policy_is_not_in_it),
        HERE(all_else_is_the_actor_s_own),  HERE(what_is_wrong_is_named),
        HERE(a_client_has_less_or_nothing),
    };

    return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
