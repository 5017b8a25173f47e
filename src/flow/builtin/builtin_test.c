/* SPDX-License-Identifier: Apache-2.0 */
/* Built-in actors that touch no file. */
#include "flow/builtin/builtin_test.h"

static void what_they_cannot_be_is_told(void **state)
{
    static const struct bad bad[] = {
        {"timer", "{}", "interval_ms: it is missing"},
        {"timer", "{\"interval_ms\":0}", "a whole number from 1 to 86400000"},
        {"timer", "{\"interval_ms\":1.5}", "a whole number"},
        {"timer", "{\"interval_ms\":1,\"count\":-1}", "count: a whole number"},
        {"timer", "{\"interval_ms\":1,\"sends\":\"x\"}",
         "sends: \"Flow\" or \"Integer\""},
        {"counter", "{\"every\":0}", "every: a whole number from 1"},
        {"counter", "{\"every\":\"2\"}", "every: a whole number from 1"},
        {"split", "{\"bytes\":3}", "bytes: a whole number from 4"},
        {"split", "{\"fields\":1}", "fields: \"pairs\" or \"values\""},
        {"template", "{}", "template: it is missing"},
        {"template", "{\"template\":\"\"}", "a text that is not empty"},
        {"template", "{\"template\":\"{{a\"}", "a {{ has no }}"},
        {"template", "{\"template\":\"{{ }}\"}", "stands a field's name"},
        {"template", "{\"template\":\"x\",\"missing\":0}",
         "missing: \"fail\" or \"empty\""},
        {"template", "{\"template\":\"x\",\"bytes_max\":0}", "bytes_max: "},
        {"log", "{\"bytes_max\":-1}", "bytes_max: a whole number from 0"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        refuse(&bad[i]);
}

static char logged[4096];

static void write_line(void *context, const char *line, size_t bytes)
{
    (void)context;
    assert_int_equal(line[bytes - 1], '\n');
    strncat(logged, line, sizeof(logged) - strlen(logged) - 1);
}

static void a_log_shows_and_passes_on(void **state)
{
    static const struct gbx_builtin_log where = {.write = write_line};
    static struct gbx_actor_type mine;
    static const struct gbx_actor_type *const types[] = {&mine, NULL};
    const struct gbx_message nan = {.type = GBX_FLOAT,
                                    .scalar.real = __builtin_nan("")};

    (void)state;
    mine = *gbx_builtin_find("log");
    mine.context = (void *)(uintptr_t)&where;
    logged[0] = '\0';
    open_with(types);
    add("log", "{\"bytes_max\":7}");
    give("in", "42");
    give("in", "\"a \\\"text\\\"\"");
    give("in", "\"ok\"");
    assert_int_equal(gbx_flow_add_node(flow, "\"2\"", "log", NULL, &err), 0);
    assert_int_equal(gbx_flow_send(flow, "\"2\".in", &nan, 0, &err), 0);
    drain();
#define LINE(node, message)                                                    \
    "{\"node\":\"" node "\",\"port\":\"in\",\"message\":{" message "}}\n"
    assert_string_equal(
        logged,
        LINE("n", "\"type\":\"Integer\",\"data\":42")
            LINE("n", "\"type\":\"String\",\"bytes\":8")
                LINE("n", "\"type\":\"String\",\"data\":\"ok\"")
                    LINE("\\\"2\\\"", "\"type\":\"Float\",\"bytes\":0"));
    assert_string_equal(seen, "out 42\nout \"a \\\"text\\\"\"\nout \"ok\"\n");
}

static void a_timer_keeps_its_rhythm(void **state)
{
    (void)state;
    begin("timer", "{\"interval_ms\":2,\"count\":5,\"sends\":\"Integer\"}");
    for (int i = 0; i < 2000 && count_seen() < 5; i++)
        usleep(1000);
    usleep(10000); /* and no more */
    pthread_mutex_lock(&lock);
    assert_string_equal(seen, "out 0\nout 1\nout 2\nout 3\nout 4\n");
    pthread_mutex_unlock(&lock);
}

static void a_merge_passes_all_on(void **state)
{
    (void)state;
    begin("merge", NULL);
    give("in", "1");
    give("in15", "\"x\"");
    give("in7", "{\"a\":[1]}");
    assert_string_equal(seen, "out 1\nout \"x\"\nout {\"a\":[1]}\n");
    assert_int_equal(gbx_flow_send(flow, "n.in16",
                                   &(struct gbx_message){.type = GBX_FLOW}, 0,
                                   &err),
                     GBX_EPORT);
}

static void a_split_takes_apart(void **state)
{
    (void)state;
    begin("split", "{\"bytes\":4}");
    give("in", "[1, \"two\", [3, [4]], {\"five\": null}, true, 0.5]");
    assert_string_equal(seen, "out 1\nout \"two\"\nout [3,[4]]\n"
                              "out {\"five\":null}\nout true\nout 0.5\n"
                              "end 6\n");
    forget();
    give("in", "{\"a\": [1], \"b\": 2}");
    assert_string_equal(seen, "out {\"a\":[1]}\nout {\"b\":2}\nend 2\n");
    forget();
    give("in", "\"abcd\xc3\xa4\xc3\xa4\xf0\x9f\x98\x80\xe2\x82\xac!\"");
    assert_string_equal(seen, "out \"abcd\"\nout \"\xc3\xa4\xc3\xa4\"\n"
                              "out \"\xf0\x9f\x98\x80\"\n"
                              "out \"\xe2\x82\xac!\"\nend 4\n");
    forget();
    give("in", "{\"type\":\"Stream\",\"data\":[1,2,3,4,5]}");
    assert_string_equal(seen, "out [1,2,3,4]\nout [5]\nend 2\n");
    forget();
    give("in", "[]");
    give("in", "{}");
    give("in", "\"\"");
    assert_string_equal(seen, "end 0\nend 0\nend 0\n");
    give("in", "5");
    assert_string_equal(reason, "a message of type Integer cannot be split");
}

static void of_a_split_values_alone(void **state)
{
    const struct gbx_message typed = {.type = GBX_ARRAY,
                                      .flags = GBX_TYPED,
                                      .body = "\xd8\x40\x43\x01\x02\x03",
                                      .body_bytes = 6};
    const struct gbx_message cut = {.type = GBX_ARRAY,
                                    .body = "\x9a\xff\xff\xff\xff\x01\x02",
                                    .body_bytes = 7};

    (void)state;
    begin("split", "{\"fields\":\"values\"}");
    give("in", "{\"a\": [1], \"b\": 2}");
    assert_string_equal(seen, "out [1]\nout 2\nend 2\n");
    give_message("in", &typed);
    drain();
    assert_string_equal(reason, "a typed array cannot be split");
    reason[0] = '\0';
    give_message("in", &cut);
    drain();
    assert_string_not_equal(reason, "");
}

static uint64_t copied;

static void find_copied(void *context, const struct gbx_node_stats *stats)
{
    (void)context;
    copied = stats->copied_bytes;
}

static void pieces_are_not_copied(void **state)
{
    static const uint8_t large[1u << 20];
    const struct gbx_message m = {
        .type = GBX_STREAM, .body = large, .body_bytes = sizeof(large)};

    (void)state;
    open_with(gbx_builtin_types);
    assert_int_equal(gbx_flow_add_node(flow, "n", "split", "{}", &err), 0);
    assert_int_equal(gbx_flow_start(flow, &err), 0);
    give_message("in", &m);
    drain();
    gbx_flow_stats(flow, find_copied, NULL);
    assert_int_equal(copied, 0);
}

static void a_template_is_filled(void **state)
{
    static const struct {
        const char *template, *input, *text;
    } cases[] = {
        {"plain", "1", "plain"},
        {"{{a}}", "{\"a\":\"x\"}", "x"},
        {"<{{ a }}|{{b.c}}|{{b.d.e}}>",
         "{\"a\":1,\"b\":{\"c\":0.5,\"d\":{\"e\":true}}}", "<1|0.5|true>"},
        {"{{a.b}}", "{\"a.b\":1,\"a\":{\"b\":2}}", "1"},
        {"{{a}}", "{\"a\":{\"b\":[1,null]}}", "{\\\"b\\\":[1,null]}"},
        {"[{{a}}]", "{\"a\":null}", "[]"},
        {"{{.}}!", "\"text\"", "text!"},
        {"}} {{a}}}", "{\"a\":\"{{b}}\",\"b\":1}", "}} {{b}}}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char metadata[256], want[256];

        snprintf(metadata, sizeof(metadata), "{\"template\":\"%s\"}",
                 cases[i].template);
        snprintf(want, sizeof(want), "out \"%s\"\n", cases[i].text);
        begin("template", metadata);
        give("in", cases[i].input);
        assert_string_equal(seen, want);
        gbx_flow_close(flow);
    }
    flow = NULL;
}

static void a_template_that_cannot_be_filled_says_so(void **state)
{
    (void)state;
    begin("template", "{\"template\":\"{{a.b}}{{a.b}}{{a.b}}\","
                      "\"bytes_max\":100}");
    give("in", "{\"a\":{}}");
    assert_string_equal(reason, "there is no field a.b");
    give("in", "5");
    assert_string_equal(reason, "there is no field a.b");
    give("in", "{\"a\":{\"b\":\"0123456789012345678901234567890123456789\"}}");
    assert_string_equal(reason, "the text has more than 100 bytes (bytes_max)");
    gbx_flow_close(flow);
    begin("template", "{\"template\":\"<{{a.b}}>\",\"missing\":\"empty\"}");
    give("in", "{\"a\":{}}");
    assert_string_equal(seen, "out \"<>\"\n");
}

static void a_counter_counts(void **state)
{
    (void)state;
    begin("counter", "{\"every\":2}");
    for (int i = 0; i < 5; i++)
        give("in", "\"x\"");
    assert_string_equal(seen, "out 2\nout 4\n");
    give("reset", "null");
    for (int i = 0; i < 3; i++)
        give("in", "\"x\"");
    assert_string_equal(seen, "out 2\nout 4\nout 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(what_they_cannot_be_is_told),
        FACT(a_log_shows_and_passes_on),
        FACT(a_timer_keeps_its_rhythm),
        FACT(a_merge_passes_all_on),
        FACT(a_split_takes_apart),
        FACT(of_a_split_values_alone),
        FACT(pieces_are_not_copied),
        FACT(a_template_is_filled),
        FACT(a_template_that_cannot_be_filled_says_so),
        FACT(a_counter_counts),
    };

    return cmocka_run_group_tests_name("builtin", tests, NULL, NULL);
}
