/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/runtime.h"

/* Two scripts of one file are two actors. */
static void a_rule_may_be_for_an_actor(void **state)
{
    static const char text[] =
        "{\"defaults\": {\"config\": {\"a\": 1}}, \"rules\": [\n"
        " {\"actor\": \"one\", \"limits\": {\"memory\": \"32M\"}},\n"
        " {\"match\": \"/s/*\", \"actor\": \"two\",\n"
        "  \"config\": {\"b\": [\"\\u00e4\"]}}]}";
    static const struct {
        const char *path, *actor;
        uint64_t memory;
        const char *config;
    } cases[] = {{"/s/x.py", "one", 32 << 20, "{\"a\":1}"},
                 {"/s/x.py", "two", 0, "{\"b\":[\"ä\"]}"},
                 {"/t/x.py", "two", 0, "{\"a\":1}"},
                 {"/s/x.py", NULL, 0, "{\"a\":1}"},
                 {NULL, "one", 32 << 20, "{\"a\":1}"}};
    struct gbx_config *config;
    struct gbx_error err;

    (void)state;
    assert_int_equal(
        gbx_config_read(&config, "f.json", text, strlen(text), &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_script_config script = {.actor_id = cases[i].actor};

        assert_int_equal(gbx_config_apply(config, cases[i].path, &script, &err),
                         0);
        assert_int_equal(script.limits.memory_bytes, cases[i].memory);
        assert_string_equal(script.config_json, cases[i].config);
    }
    gbx_config_close(config);
}

static void secrets_are_names_and_where_their_values_are(void **state)
{
    static const char text[] =
        "{\"defaults\": {\"secrets\": {\"A\": \"env:HOME\"}}, \"rules\": [\n"
        " {\"match\": \"/s/*\", \"secrets\": {\"B\": \"file:/b\", \"C\": "
        "\"file:c\"}},\n"
        " {\"match\": \"/s/none\", \"secrets\": {}}]}";
    struct gbx_script_config script = {0};
    struct gbx_config *config;
    struct gbx_error err;
    char *shown;

    (void)state;
    assert_int_equal(
        gbx_config_read(&config, "f.json", text, strlen(text), &err), 0);
    assert_int_equal(gbx_config_apply(config, "/t/x", &script, &err), 0);
    assert_int_equal(script.secret_count, 1);
    assert_string_equal(script.secrets[0].name, "A");
    assert_string_equal(script.secrets[0].source, "env:HOME");
    script = (struct gbx_script_config){0};
    assert_int_equal(gbx_config_apply(config, "/s/x", &script, &err), 0);
    assert_int_equal(script.secret_count, 2);
    assert_string_equal(script.secrets[0].source, "file:/b");
    assert_int_equal(strncmp(script.secrets[1].source, "file:/", 6), 0);
    assert_non_null(strstr(script.secrets[1].source, "/c"));
    script = (struct gbx_script_config){0};
    assert_int_equal(gbx_config_apply(config, "/s/none", &script, &err), 0);
    assert_int_equal(script.secret_count, 0);
    assert_int_equal(gbx_config_show(config, "/t/x", &shown, &err), 0);
    assert_non_null(strstr(shown, "\"A\": \"env:HOME\""));
    free(shown);
    gbx_config_close(config);
}

static void what_is_no_secret_is_told_with_its_line(void **state)
{
    static const struct {
        const char *value, *said;
    } cases[] = {
        {"1", "line 2: \"secrets\" must be an object"},
        {"{\"A\":\n\"hunter2\"}", "line 2: secret \"A\" must be \"file:PATH\""},
        {"{\"A\": \"env:\"}", "must be \"file:PATH\" or"},
        {"{\"A\": \"file:\"}", "must be \"file:PATH\" or"},
        {"{\"A\": 1}", "must be \"file:PATH\" or"},
        {"{\"A\": \"env:B\",\n\"A B\": \"env:B\"}",
         "line 3: secret \"A B\": a name has"},
    };
    struct gbx_config *config;
    struct gbx_error err;
    char text[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(text, sizeof(text), "{\"defaults\": {\n\"secrets\": %s}}",
                 cases[i].value);
        assert_int_equal(
            gbx_config_read(&config, "f.json", text, strlen(text), &err),
            GBX_EFORMAT);
        assert_non_null(strstr(err.what, cases[i].said));
        assert_null(strstr(err.what, "hunter2"));
    }
}

static void mounts_start_at_the_files_folder(void **state)
{
    static const char text[] =
        "{\"defaults\": {\"mounts\": [\"/a:/b\", \"c:/d:cow\"]}}";
    static const struct {
        const char *value, *said;
    } bad[] = {{"1", "line 2: \"mounts\" must be a list of at most 16"},
               {"[1]", "line 2: \"mounts\" must be a list of"},
               {"[\"/a:/b\",\n\"c\"]", "line 3: \"mounts\": c: SOURCE:TARGET"}};
    struct gbx_script_config script = {0};
    struct gbx_config *config;
    struct gbx_error err;
    char wrong[200];

    (void)state;
    assert_int_equal(
        gbx_config_read(&config, "f.json", text, strlen(text), &err), 0);
    assert_int_equal(gbx_config_apply(config, "/x", &script, &err), 0);
    assert_int_equal(script.mount_count, 2);
    assert_string_equal(script.mounts[0].source, "/a");
    assert_string_equal(script.mounts[0].target, "/b");
    assert_false(script.mounts[0].is_writable);
    assert_int_equal(script.mounts[1].source[0], '/');
    assert_non_null(strstr(script.mounts[1].source, "/c"));
    assert_true(script.mounts[1].is_writable);
    gbx_config_close(config);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(wrong, sizeof(wrong), "{\"defaults\": {\n\"mounts\": %s}}",
                 bad[i].value);
        assert_int_equal(
            gbx_config_read(&config, "f.json", wrong, strlen(wrong), &err),
            GBX_EFORMAT);
        assert_non_null(strstr(err.what, bad[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_may_be_for_an_actor),
        cmocka_unit_test(secrets_are_names_and_where_their_values_are),
        cmocka_unit_test(mounts_start_at_the_files_folder),
        cmocka_unit_test(what_is_no_secret_is_told_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
