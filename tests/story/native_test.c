/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is a script itself (glovebox/native.h), in each isolation. */
#include "story.h"

#include <sched.h>

/* The same C program, for Linux or as WebAssembly. */
static int try_native(struct story *s, struct gbx_script **script)
{
    const char *file = getenv(story_is("wasm") ? "GLOVEBOX_TEST_WASM"
                                               : "GLOVEBOX_TEST_NATIVE");

    return gbx_script_open(script, s->runtime, file, &s->config, &s->err);
}

static struct gbx_script *open_native(struct story *s)
{
    struct gbx_script *script;

    if (try_native(s, &script) < 0)
        fail_msg("%s", s->err.what);
    s->open[0] = script;
    return script;
}

/* Have it do something; its outputs. */
static const char *have(struct story *s, struct gbx_script *script,
                        const char *what, const char *in, int code)
{
    struct gbx_call *call = story_call(s, script);
    const char *outputs;
    char json[64];
    int rc;

    snprintf(json, sizeof(json), "\"%s\"", what);
    story_put(s, call, "do", json);
    if (in != NULL)
        story_put(s, call, "in", in);
    rc = story_run(s, call);
    if (rc != code)
        fail_msg("%s: %s: %s", what, gbx_error_name(rc),
                 rc < 0 ? s->err.what : "");
    outputs = story_outputs(call);
    gbx_call_finish(call);
    return outputs;
}

static void every_type_comes_back(void **state)
{
    static const char *const values[] = {
        "{\"type\":\"Boolean\",\"data\":true}",
        "{\"type\":\"Integer\",\"data\":-9223372036854775808}",
        "{\"type\":\"Float\",\"data\":0.5}",
        "{\"type\":\"String\",\"data\":\"\"}",
        "{\"type\":\"String\",\"data\":\"a \\u0000 b\"}",
        "{\"type\":\"Stream\",\"data\":[1,2,255]}",
        "{\"type\":\"Object\",\"data\":{\"a\":[1,null]}}",
        "{\"type\":\"Array\",\"data\":[1.5,\"x\"]}",
        "{\"type\":\"Optional\",\"data\":null}",
        "{\"type\":\"Error\",\"data\":\"e\"}",
        "{\"type\":\"Flow\"}",
    };
    struct story *s = *state;
    struct gbx_script *script = open_native(s);
    char want[128];

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(want, sizeof(want), "{\"in\":%s}", values[i]);
        assert_string_equal(have(s, script, "echo", values[i], 0), want);
    }
    story_close(s, script);
}

static void large_bodies_are_not_copied(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);

    for (int i = 0; i < 50; i++) {
        struct gbx_call *call = story_call(s, script);
        struct gbx_call_stats stats;
        struct gbx_message out;
        const char *port;
        void *room;

        story_put(s, call, "do", "\"echo\"");
        assert_int_equal(
            gbx_call_room(call, "in", GBX_STREAM, 8 << 20, &room, &s->err), 0);
        memset(room, 5, 16);
        assert_int_equal(story_run(s, call), 0);
        assert_int_equal(gbx_call_next(call, &port, &out), 0);
        assert_int_equal(out.body_bytes, 8 << 20);
        assert_ptr_equal(out.body, room);
        gbx_call_stats(call, &stats);
        assert_in_range(stats.copied_bytes, 0, 16); /* "echo" */
        gbx_call_finish(call);
    }
    story_close(s, script);
}

static void rooms_arrays_and_parts_are_sent_in_place(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);

    for (int i = 0; i < 200; i++) { /* nothing is lost on the way */
        have(s, script, "rooms", NULL, 0);
        have(s, script, "parts", NULL, 0);
    }
    assert_string_equal(have(s, script, "parts", NULL, 0),
                        "{\"a\":{\"type\":\"Stream\",\"data\":[1,1,1,1]},"
                        "\"b\":{\"type\":\"Stream\",\"data\":[2,2,2,2]},"
                        "\"c\":{\"type\":\"Stream\",\"data\":[2,2,2,2]}}");
    assert_string_equal(have(s, script, "array", NULL, 0),
                        "{\"out\":{\"type\":\"Array\",\"data\":[[0.5,1.5,2.5],"
                        "[3.5,4.5,5.5]]}}");
    story_close(s, script);
}

static void what_it_does_wrong_is_told(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);

    have(s, script, "what", NULL, GBX_ESCRIPT);
    assert_string_equal(s->err.what, "KeyError: nothing to do for \"what\"");
    have(s, script, "code", NULL, GBX_ESCRIPT);
    assert_string_equal(s->err.what,
                        "Error: the bytes are not what they claim to be");
    assert_non_null(
        strstr(have(s, script, "bad", NULL, 0), "xxxx\":{\"type\""));
    have(s, script, "exit", NULL, GBX_EEXIT);
    assert_string_equal(have(s, script, "echo", "1", 0),
                        "{\"in\":{\"type\":\"Integer\",\"data\":1}}");
    story_close(s, script);
}

static void it_is_stopped_at_the_deadline(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);
    struct gbx_call *call = story_call(s, script);

    story_put(s, call, "do", "\"loop\"");
    assert_int_equal(gbx_call_run(call, story_deadline(0.1), &s->err),
                     GBX_ETIME);
    gbx_call_finish(call);
    have(s, script, "print", NULL, 0);
    assert_string_equal(s->printed[0], "printed\n");
    story_close(s, script);
}

static void count_on(void *context, const char *port,
                     const struct gbx_message *message)
{
    int64_t *next = context;

    (void)port;
    if (message->scalar.integer == *next)
        ++*next;
}

/* A call whose outputs are numbers in order: how many came, and how often the
 * host slept for them. */
static int64_t hear(struct story *s, struct gbx_script *script,
                    const char *what, double seconds, int code,
                    uint32_t *sleeps)
{
    struct gbx_call *call = story_call(s, script);
    struct gbx_call_stats stats;
    int64_t next = 0;
    char json[64];

    snprintf(json, sizeof(json), "\"%s\"", what);
    story_put(s, call, "do", json);
    gbx_call_on_output(call, count_on, &next);
    assert_int_equal(gbx_call_run(call, story_deadline(seconds), &s->err),
                     code);
    gbx_call_stats(call, &stats);
    *sleeps = stats.sleeps;
    gbx_call_finish(call);
    return next;
}

/* From the first call on.  The thread that helps may come late. */
static void who_sends_much_is_heard_without_a_sleep_for_each(void **state)
{
    struct story *s = *state;
    uint32_t sleeps = UINT32_MAX;
    cpu_set_t set;

    s->config.spin_ns = 1000000000;
    for (int turn = 0; turn < 20 && sleeps > 1000; turn++) {
        struct gbx_script *script = open_native(s);

        assert_int_equal(hear(s, script, "chat", 60, 0, &sleeps), 20000);
        have(s, script, "print", NULL, 0);
        story_close(s, script);
    }
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1)
        assert_in_range(sleeps, 0, 1000);
}

static void who_sends_now_and_then_is_heard_too(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);
    uint32_t sleeps;

    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(hear(s, script, "drawl", 60, 0, &sleeps), 500);
        assert_int_equal(hear(s, script, "chat", 60, 0, &sleeps), 20000);
    }
    story_close(s, script);
}

static void who_never_stops_is_stopped(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);
    uint32_t sleeps;

    for (int turn = 0; turn < 3; turn++) {
        assert_true(hear(s, script, "babble", 0.2, GBX_ETIME, &sleeps) > 0);
        assert_int_equal(hear(s, script, "chat", 60, 0, &sleeps), 20000);
    }
    story_close(s, script);
}

static void the_host_is_asked_and_config_read(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.config_json = "{\"a\":[true,{\"b\":41}],\"c\":\"x\"}";
    script = open_native(s);
    assert_string_equal(
        have(s, script, "ask", NULL, 0),
        "{\"n\":{\"type\":\"Any\",\"data\":5},\"why\":{\"type\":\"String\","
        "\"data\":\"this host offers no call \\\"nothing\\\"\"}}");
    assert_non_null(strstr(have(s, script, "bad", NULL, 0), "\"data\":41"));
    assert_non_null(strstr(gbx_script_metadata(script),
                           "\"description\":\"for tests\",\"inports\":[\"do\","
                           "\"in\",\"more\"]"));
    story_close(s, script);

    s->config.config_json = "{\"n\":-3}";
    assert_int_equal(try_native(s, &script), GBX_ELOAD);
    assert_non_null(strstr(s->err.what, "ValueError: -3 is too little"));
}

static void too_many_inputs_are_refused(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_native(s);
    struct gbx_call *call = story_call(s, script);

    story_put(s, call, "do", "\"echo\"");
    for (int i = 0; i < 63; i++)
        story_put(s, call, "in", "[1]");
    assert_int_equal(story_run(s, call), 0);
    gbx_call_finish(call);
    story_close(s, script);
}

static void a_program_that_is_no_script_is_told_apart(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    int rc =
        gbx_script_open(&script, s->runtime, "/bin/true", &s->config, &s->err);

    if (story_is("wasm")) {
        assert_int_equal(rc, GBX_EARGUMENT);
        assert_non_null(strstr(s->err.what, "use microvm or process"));
    } else if (getenv("GLOVEBOX_TEST_CLONES") != NULL) {
        assert_int_equal(rc, GBX_EUNSUPPORTED);
        assert_non_null(strstr(s->err.what, "before it could be a template"));
    } else {
        assert_int_equal(rc, GBX_EEXIT);
        assert_non_null(strstr(s->err.what, "exited with status 0"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(every_type_comes_back),
        story_test(large_bodies_are_not_copied),
        story_test(rooms_arrays_and_parts_are_sent_in_place),
        story_test(what_it_does_wrong_is_told),
        story_test(it_is_stopped_at_the_deadline),
        story_test(who_sends_much_is_heard_without_a_sleep_for_each),
        story_test(who_sends_now_and_then_is_heard_too),
        story_test(who_never_stops_is_stopped),
        story_test(the_host_is_asked_and_config_read),
        story_test(too_many_inputs_are_refused),
        story_test(a_program_that_is_no_script_is_told_apart),
    };

    return story_main("native", tests);
}
