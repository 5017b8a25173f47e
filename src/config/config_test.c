/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_test.c - what a configuration says, and what is said of a wrong one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "config/config.h"
#include "config/text/amount.h"
#include "config/text/pattern.h"

static struct gbx_config *read_good(const char *text)
{
    struct gbx_config *config;
    struct gbx_error err = {0};

    if (gbx_config_read(&config, "f.json", text, strlen(text), &err) < 0)
        fail_msg("%s", err.what);
    return config;
}

static const struct {
    const char *text;
    const char *said[3];
} faults[] = {
    /* No JSON at all. */
    {"", {"line 1", "'[' or '{' expected"}},
    {"{\n\"rules\": [\n}", {"line 3", "near '}'"}},
    {"{\n\n\"a\": \xff}", {"line 3", "unable to decode"}},
    {"{\"defaults\": {}}\n}", {"line 2", "end of file expected"}},
    {"{\n\"defaults\": {},\n\"defaults\": {}}", {"line 3", "duplicate"}},
    {"{\"rules\": [{\"match\": \"a\",\n\"wipe\": \"never\",\n\"wipe\": "
     "\"never\"}]}",
     {"line 3", "duplicate object key near '\"wipe\"'"}},
    {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", {"line 1", "more than 16 deep"}},
    /* Keys that nobody knows. */
    {"[]", {"line 1", "a configuration must be an object"}},
    {"{\n\"default\": {}}",
     {"line 2", "no \"default\"; you may mean \"defaults\"",
      "comment, defaults, rules"}},
    {"{\n\"comment\": \"a\\\"},\\\\\",\n\"y\": [\n1]}", {"line 3"}},
    {"{\n\"x\": {}}", {"line 2: a configuration has no \"x\"; it may have"}},
    {"{\"defaults\":\n{\"limits\":\n{\n\"memroy\": 1}}}",
     {"line 4: \"limits\" has no \"memroy\"; you may mean \"memory\""}},
    {"{\"defaults\": {\"limits\": {\"message_limit\": 1}}}",
     {"you may mean \"message-limit\""}},
    {"{\"defaults\": {\"pool\": {\n\"redy\": 1}}}",
     {"line 2: \"pool\" has no \"redy\"; you may mean \"ready\""}},
    {"{\"defaults\": {\n\n\"Trust\": \"trusted\"}}",
     {"line 3: \"defaults\" has no \"Trust\"; you may mean \"trust\""}},
    {"{\"defaults\": {\"match\": \"x\"}}", {"no \"match\""}},
    {"{\"defaults\": {\"memory\": \"64M\"}}", {"no \"memory\""}},
    {"{\"rules\": [\n{\"match\": \"a\"},\n{\"match\": \"b\",\n\"cache\": "
     "\"c\"}]}",
     {"line 4: a rule has no \"cache\""}},
    /* Wrong types. */
    {"{\n\"defaults\": []}", {"line 2: \"defaults\" must be an object"}},
    {"{\n\"rules\":\n{}}", {"line 2: \"rules\" must be a list"}},
    {"{\"rules\": [\n{\"match\": \"a\"},\n7]}",
     {"line 3: a rule must be an object"}},
    {"{\"rules\": [\n{\"trust\": \"trusted\"}]}",
     {"line 2: a rule must say what it is for"}},
    {"{\"rules\": [{\n\"actor\": \"\"}]}",
     {"line 2: \"actor\" must be the name that an actor has"}},
    {"{\"defaults\": {\n\"config\": \"x\"}}",
     {"line 2: \"config\" is \"x\"; it must be an object"}},
    {"{\"rules\": [{\n\"match\": 7}]}", {"line 2: \"match\" must be a"}},
    {"{\"rules\": [{\"match\": \"\"}]}", {"\"match\" must be a pattern"}},
    {"{\"rules\": [{\"match\": \"../x\"}]}", {"has no \"..\""}},
    {"{\"rules\": [{\"match\": \"/x/../y\"}]}", {"has no \"..\""}},
    {"{\"rules\": [{\"match\": \"~/x\"}]}", {"no ~"}},
    {"{\n\"hosts\": {}}", {"line 2: \"hosts\" must be a list"}},
    {"{\"hosts\": [\"ws://a\",\n7]}", {"line 2: a host must be an object"}},
    {"{\"hosts\": [{\n\"token_file\": \"t\"}]}",
     {"a host must have a \"url\""}},
    {"{\"hosts\": [{\n\"url\": \"box7\"}]}",
     {"line 2: \"box7\" is no host", "wss://box7:5556"}},
    {"{\"hosts\": [\"http://box7\"]}", {"\"http://box7\" is no host"}},
    {"{\"hosts\": [{\"url\": 7}]}", {"\"url\" must be an address"}},
    {"{\"hosts\": [{\"url\": \"ws://a\\u0000b\"}]}",
     {"\\u0000 is not allowed"}},
    {"{\"hosts\": [{\"url\": \"ws://a\",\n\"token\": \"x\"}]}",
     {"line 2: a host has no \"token\"", "token_file"}},
    {"{\"hosts\": [{\"url\": \"ws://a\", \"ca\": \"\"}]}",
     {"\"ca\" must be a file"}},
    {"{\"hosts\": [{\"url\": \"ws://a\", \"heartbeat\": \"1ms\"}]}",
     {"\"heartbeat\" must be a time"}},
    {"{\"defaults\": {\"image\": \"\"}}",
     {"it must be the name of an image, as \"python:3.11-slim\""}},
    {"{\"rules\": [{\"match\": \"a\",\n\"image\": []}]}",
     {"line 2: \"image\" is a list"}},
    {"{\"defaults\": {\"user\": 1000}}",
     {"it must be a user, as \"app\" or \"1000:1000\""}},
    {"{\"defaults\": {\"idempotent\": \"yes\"}}",
     {"\"idempotent\" is \"yes\"; it must be true or false"}},
    {"{\n\"comment\": 1}", {"line 2: \"comment\" must be a text"}},
    {"{\"defaults\": {\n\"trust\": true}}",
     {"line 2: \"trust\" is true; it must be \"untrusted\" or "
      "\"trusted\""}},
    {"{\"defaults\": {\"trust\": \"trusty\"}}", {"you may mean \"trusted\""}},
    {"{\"defaults\": {\"floor\": \"remote\"}}",
     {"must be \"process\", \"microvm\" or \"wasm\""}},
    {"{\"defaults\": {\"wipe\": \"always\"}}",
     {"\"wipe\" is \"always\"; it must be \"never\", \"per-call\""}},
    {"{\"defaults\": {\"isolation\": {}}}",
     {"\"isolation\" is an object; it must be \"auto\""}},
    {"{\"defaults\": {\"isolation\": \"micro-vm\"}}",
     {"you may mean \"microvm\""}},
    {"{\"defaults\": {\"isolation\": [\"wasm\",\n\"process\",\n\"vm\"]}}",
     {"line 3: \"isolation\" is \"vm\""}},
    {"{\"defaults\": {\"isolation\": [\"wasm\", \"auto\"]}}",
     {"is \"auto\"; it must be \"process\""}},
    {"{\"defaults\": {\"isolation\": [\"wasm\",\n\"wasm\"]}}",
     {"line 2: \"isolation\" has \"wasm\" twice"}},
    {"{\"defaults\": {\"isolation\": []}}",
     {"is a list; it must be \"auto\", or name at least one"}},
    {"{\"defaults\": {\"isolation\": [\"wasm\",\"process\",\"microvm\","
     "\"remote\",\"wasm\"]}}",
     {"has \"wasm\" twice"}},
    {"{\"defaults\": {\"limits\": {\"memory\": \"lots\"}}}",
     {"\"memory\" is \"lots\"; it must be a size as \"256M\""}},
    {"{\"defaults\": {\"limits\": {\"memory\": -1}}}", {"\"memory\" is -1"}},
    {"{\"defaults\": {\"limits\": {\"memory\": 1.5e8}}}", {"a size"}},
    {"{\"defaults\": {\"limits\": {\"memory\": null}}}", {"is null"}},
    {"{\"defaults\": {\"limits\": {\"cpu\": \"5 s\"}}}",
     {"a time as \"5s\", or seconds"}},
    {"{\"defaults\": {\"limits\": {\"files\": \"64\"}}}",
     {"\"files\" is \"64\"; it must be a whole number"}},
    {"{\"defaults\": {\"hide_folder\": 1}}", {"must be true or false"}},
    {"{\"defaults\": {\"host_calls\": \"log\"}}", {"a list of at most 64"}},
    {"{\"defaults\": {\"host_calls\": [\"a\",\n\"\"]}}",
     {"line 2: \"host_calls\" is \"\""}},
    {"{\"defaults\": {\"cache\": 7}}", {"must be a folder"}},
    /* Out of range. */
    {"{\"defaults\": {\"limits\": {\n\"memory\": \"1M\"}}}",
     {"line 2: \"memory\" is \"1M\"; it must be at least 16M"}},
    {"{\"defaults\": {\"limits\": {\"memory\": \"64T\"}}}", {"at most 32T"}},
    {"{\"defaults\": {\"limits\": {\"memory\": \"1e9\"}}}", {"a size"}},
    {"{\"defaults\": {\"limits\": {\"cpu\": 0.5}}}",
     {"\"cpu\" is 0.5; it must be at least 1s"}},
    {"{\"defaults\": {\"limits\": {\"files\": 7}}}", {"at least 8"}},
    {"{\"defaults\": {\"pool\": {\"total\": 0}}}", {"at least 1"}},
    {"{\"defaults\": {\"pool\": {\"ready\": 99999}}}", {"at most 65536"}},
    {"{\"defaults\": {\n\"pool\": {\"ready\": 3, \"total\": 2}}}",
     {"\"pool\" has 3 \"ready\", more than its \"total\" of 2"}},
    {"{\"defaults\": {\"spin\": 2}}", {"at most 1s"}},
    {"{\"defaults\": {\"spin\": 99999999999999999999}}", {"too big integer"}},
};

static void what_is_wrong_is_told_with_its_line(void **state)
{
    unsigned wrong = 0;

    (void)state;
    assert_true(ARRAY_SIZE(faults) >= 50);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct gbx_config *config = NULL;
        struct gbx_error err = {0};
        int rc = gbx_config_read(&config, "f.json", faults[i].text,
                                 strlen(faults[i].text), &err);

        assert_null(config);
        if (rc != GBX_EFORMAT || strncmp(err.what, "f.json, line ", 13) != 0)
            fail_msg("%s: %d %s", faults[i].text, rc, err.what);
        for (size_t j = 0; j < 3 && faults[i].said[j] != NULL; j++)
            if (strstr(err.what, faults[i].said[j]) == NULL) {
                print_error("%s\n  \"%s\" has no \"%s\"\n", faults[i].text,
                            err.what, faults[i].said[j]);
                wrong++;
            }
    }
    assert_int_equal(wrong, 0);
}

static const char rules[] =
    "{\"defaults\": {\"limits\": {\"memory\": \"64M\", \"cpu\": 2.5},\n"
    "  \"pool\": {\"ready\": 2, \"total\": 4}, \"host_calls\": [\"log\"],\n"
    "  \"isolation\": [\"microvm\", \"process\"]},\n"
    " \"rules\": [\n"
    "  {\"match\": \"/s/**\", \"limits\": {\"memory\": \"32M\"},\n"
    "   \"wipe\": \"per-call\"},\n"
    "  {\"match\": \"/s/trusted/*.py\", \"trust\": \"trusted\",\n"
    "   \"isolation\": \"auto\", \"pool\": {\"ready\": 0}},\n"
    "  {\"match\": \"/s/trusted/x.py\", \"host_calls\": [], \"spin\": 0,\n"
    "   \"floor\": \"process\", \"limits\": {\"files\": 9}}]}";

static void later_rules_come_before_earlier_ones_field_by_field(void **state)
{
    struct gbx_config *config = read_good(rules);
    struct gbx_script_config script = {0};
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_config_apply(config, "/t/x.py", &script, &err), 0);
    assert_int_equal(script.limits.memory_bytes, 64 << 20);
    assert_int_equal(script.limits.cpu_ns, 2500000000);
    assert_int_equal(script.limits.files, 0);
    assert_int_equal(script.pool.ready_min, 2);
    assert_int_equal(script.route.allowed[1], GBX_ISOLATION_PROCESS);
    assert_int_equal(script.route.allowed[2], GBX_ISOLATION_AUTO);
    assert_int_equal(script.route.trust, GBX_TRUST_DEFAULT);
    assert_string_equal(script.route.from, "f.json, line 1");
    assert_string_equal(script.host_calls[0], "log");
    assert_null(script.host_calls[1]);

    script = (struct gbx_script_config){0};
    assert_int_equal(gbx_config_apply(config, "/s/y.js", &script, &err), 0);
    assert_int_equal(script.limits.memory_bytes, 32 << 20);
    assert_int_equal(script.limits.cpu_ns, 2500000000);
    assert_int_equal(script.wipe, GBX_WIPE_PER_CALL);
    assert_int_equal(script.route.allowed[0], GBX_ISOLATION_MICROVM);

    script = (struct gbx_script_config){0};
    assert_int_equal(gbx_config_apply(config, "/s/trusted/x.py", &script, &err),
                     0);
    assert_int_equal(script.limits.memory_bytes, 32 << 20);
    assert_int_equal(script.limits.files, 9);
    assert_int_equal(script.route.trust, GBX_TRUST_TRUSTED);
    assert_int_equal(script.route.allowed[0], GBX_ISOLATION_AUTO);
    assert_int_equal(script.route.floor, GBX_ISOLATION_PROCESS);
    assert_string_equal(script.route.from, "f.json, line 9");
    assert_int_equal(script.pool.ready_min, 0); /* not the defaults' 2 */
    assert_int_equal(script.pool.total_max, 4);
    assert_int_equal(script.spin_ns, 1);
    assert_null(script.host_calls[0]);
    gbx_config_close(config);
}

static void what_the_program_says_itself_stays(void **state)
{
    static const char *const mine[] = {"mine", NULL};
    struct gbx_config *config = read_good(rules);
    struct gbx_script_config script = {
        .limits.memory_bytes = 1 << 30,
        .route = {.floor = GBX_ISOLATION_MICROVM},
        .host_calls = mine,
        .wipe = GBX_WIPE_NEVER};
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_config_apply(config, "/s/trusted/x.py", &script, &err),
                     0);
    assert_int_equal(script.limits.memory_bytes, 1 << 30);
    assert_int_equal(script.route.floor, GBX_ISOLATION_MICROVM);
    assert_int_equal(script.wipe, GBX_WIPE_NEVER);
    assert_ptr_equal(script.host_calls, mine);
    gbx_config_close(config);
}

static void what_is_shown_reads_as_the_same(void **state)
{
    struct gbx_config *config = read_good(rules), *again;
    char *text, *second;
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_config_show(config, NULL, &text, &err), 0);
    again = read_good(text);
    assert_int_equal(gbx_config_show(again, NULL, &second, &err), 0);
    assert_string_equal(text, second);
    free(text);
    free(second);
    assert_int_equal(gbx_config_show(config, "/s/trusted/x.py", &text, &err),
                     0);
    assert_non_null(strstr(text, "\"trusted\""));
    assert_null(strstr(text, "rules"));
    gbx_config_close(again);
    again = read_good(text);
    free(text);
    gbx_config_close(again);
    gbx_config_close(config);
    gbx_config_close(NULL);
}

static void hosts_are_shown_as_they_were_read(void **state)
{
    static const char text[] =
        "{\"hosts\": [\"ws://a:1\", {\"url\": \"tls://b\", \"token_file\": "
        "\"/t\", \"ca\": \"c.pem\", \"heartbeat\": 0.25}]}";
    struct gbx_config *config = read_good(text), *again;
    const struct gbx_host_config *hosts;
    char *shown, *second;
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_config_hosts(config, &hosts), 2);
    assert_string_equal(hosts[0].url, "ws://a:1");
    assert_null(hosts[0].token_path);
    assert_string_equal(hosts[1].token_path, "/t");
    assert_int_equal(hosts[1].ca_path[0], '/');
    assert_int_equal(hosts[1].heartbeat_ms, 250);
    assert_int_equal(gbx_config_show(config, NULL, &shown, &err), 0);
    again = read_good(shown);
    assert_int_equal(gbx_config_show(again, NULL, &second, &err), 0);
    assert_string_equal(shown, second);
    free(shown);
    free(second);
    gbx_config_close(again);
    gbx_config_close(config);
}

static const struct {
    const char *pattern, *path;
    bool matches;
} pairs[] = {
    {"a", "a", true},
    {"a", "b", false},
    {"a", "aa", false},
    {"*.py", "x.py", true},
    {"*.py", "d/x.py", false},
    {"*.py", "x.pyc", false},
    {"*.py*", "x.pyc", true},
    {"d/*", "d/x", true},
    {"d/*", "d/", true},
    {"d/*", "d/e/x", false},
    {"d/**", "d/e/x", true},
    {"d/**", "d", false},
    {"**", "d/e/x", true},
    {"**/x", "x", true},
    {"**/x", "d/e/x", true},
    {"**/x", "d/ex", false},
    {"**/t/*.py", "t/x.py", true},
    {"**/t/*.py", "a/t/x.py", true},
    {"**/t/*.py", "a/t/b/t/x.py", true},
    {"**/t/*.py", "a/tt/x.py", false},
    {"/a/**/z", "/a/z", true},
    {"/a/**/z", "/a/b/c/z", true},
    {"/a/**/z", "/b/a/z", false},
    {"**/a/**/b/*.js", "x/a/y/b/q/b/f.js", true},
    {"**/a/**/b/*.js", "x/b/y/a/f.js", false},
    {"a**b", "aXb", true},
    {"a**b", "aX/b", false},
    {"*a*b*c", "xaybzc", true},
    {"*a*b*c", "xaybz", false},
    {"?.py", "x.py", true},
    {"?.py", "\xc3\xa4.py", true},
    {"?", "/", false},
    {"a?b", "a/b", false},
    {"[a-c].py", "b.py", true},
    {"[a-c].py", "d.py", false},
    {"[!a-c].py", "d.py", true},
    {"[^a-c].py", "b.py", false},
    {"[!a]", "/", false},
    {"[]x]", "]", true},
    {"[x", "[x", true},
    {"[a-]", "-", true},
    {"\\*", "*", true},
    {"\\*", "x", false},
    {"\\[a]", "[a]", true},
    {"", "", true},
    {"", "x", false},
    {"*", "", true},
    {"*", ".hidden", true},
};

static void patterns_are_of_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        if (pattern_matches(pairs[i].pattern, pairs[i].path) !=
            pairs[i].matches)
            fail_msg("%s %s %s", pairs[i].pattern,
                     pairs[i].matches ? "does not match" : "matches",
                     pairs[i].path);
}

static void many_stars_take_no_time(void **state)
{
    char pattern[CONFIG_PATTERN_MAX], path[4096];

    (void)state;
    for (size_t i = 0; i + 6 < sizeof(pattern); i += 6)
        memcpy(pattern + i, "**/*a*", 7);
    strcpy(pattern + strlen(pattern) - 6, "/**/z");
    for (size_t i = 0; i + 2 < sizeof(path); i += 2)
        memcpy(path + i, "a/", 3);
    assert_false(pattern_matches(pattern, path));
}

static void amounts_are_read_and_shown(void **state)
{
    static const struct {
        enum amount_kind kind;
        const char *text;
        uint64_t value;
        const char *shown; /* NULL: it is none */
    } cases[] = {
        {AMOUNT_SIZE, "256M", 256ull << 20, "256M"},
        {AMOUNT_SIZE, "0.5G", 512ull << 20, "512M"},
        {AMOUNT_SIZE, "1.5KiB", 1536, "1536"},
        {AMOUNT_SIZE, "4096", 4096, "4K"},
        {AMOUNT_SIZE, "16777216T", UINT64_MAX, "18446744073709551615"},
        {AMOUNT_SIZE, "99999999999999999999", UINT64_MAX,
         "18446744073709551615"},
        {AMOUNT_SIZE, "1.5", 0, NULL},
        {AMOUNT_SIZE, "1.M", 0, NULL},
        {AMOUNT_SIZE, ".5M", 0, NULL},
        {AMOUNT_SIZE, "-1", 0, NULL},
        {AMOUNT_SIZE, "+1", 0, NULL},
        {AMOUNT_SIZE, " 1", 0, NULL},
        {AMOUNT_SIZE, "1 M", 0, NULL},
        {AMOUNT_SIZE, "1e3", 0, NULL},
        {AMOUNT_SIZE, "0x10", 0, NULL},
        {AMOUNT_SIZE, "", 0, NULL},
        {AMOUNT_SIZE, "M", 0, NULL},
        {AMOUNT_SIZE, "1s", 0, NULL},
        {AMOUNT_TIME, "5", 5000000000, "5s"},
        {AMOUNT_TIME, "5s", 5000000000, "5s"},
        {AMOUNT_TIME, "0.25s", 250000000, "250ms"},
        {AMOUNT_TIME, "2m", 120000000000, "2m"},
        {AMOUNT_TIME, "90m", 5400000000000, "90m"},
        {AMOUNT_TIME, "1h", 3600000000000, "1h"},
        {AMOUNT_TIME, "7us", 7000, "7us"},
        {AMOUNT_TIME, "3ns", 3, "3ns"},
        {AMOUNT_TIME, "0", 0, "0"},
        {AMOUNT_TIME, "1.0000000009s", 1000000000, "1s"},
        {AMOUNT_TIME, "5M", 0, NULL},
        {AMOUNT_NUMBER, "12", 12, "12"},
        {AMOUNT_NUMBER, "12K", 0, NULL},
        {AMOUNT_NUMBER, "1.5", 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 0;
        char shown[32];
        bool is_one = amount_read(cases[i].kind, cases[i].text, &value);

        if (is_one != (cases[i].shown != NULL))
            fail_msg("\"%s\": %d", cases[i].text, is_one);
        if (!is_one)
            continue;
        assert_int_equal(value, cases[i].value);
        amount_show(cases[i].kind, value, shown);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void what_is_too_large_is_refused(void **state)
{
    const size_t bytes = CONFIG_BYTES_MAX + 1;
    char *text = malloc(bytes);
    struct gbx_config *config;
    struct gbx_error err;

    (void)state;
    memset(text, ' ', bytes);
    assert_int_equal(gbx_config_read(&config, "f", text, bytes, &err),
                     GBX_ELIMIT);
    assert_null(config);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(later_rules_come_before_earlier_ones_field_by_field),
        cmocka_unit_test(what_the_program_says_itself_stays),
        cmocka_unit_test(what_is_shown_reads_as_the_same),
        cmocka_unit_test(hosts_are_shown_as_they_were_read),
        cmocka_unit_test(patterns_are_of_paths),
        cmocka_unit_test(many_stars_take_no_time),
        cmocka_unit_test(amounts_are_read_and_shown),
        cmocka_unit_test(what_is_too_large_is_refused),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
