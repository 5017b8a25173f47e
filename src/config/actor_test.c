/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_may_be_for_an_actor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
