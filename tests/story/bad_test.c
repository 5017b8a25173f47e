/* SPDX-License-Identifier: Apache-2.0 */
/* Bad input of every kind: a clear error each, and the host goes on. */
#include "story.h"

#include <sys/stat.h>

/* The script cannot be opened: this code, and these words in the error. */
static void expect_refused(struct story *s, const char *text, int code,
                           const char *words)
{
    struct gbx_script *script;
    int rc = story_try(s, text, &script);

    assert_null(script);
    if (rc != code || strstr(s->err.what, words) == NULL)
        fail_msg("%s: \"%s\", wanted %s and \"%s\"", gbx_error_name(rc),
                 s->err.what, gbx_error_name(code), words);
}

static void a_missing_or_unreadable_script_is_named(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    char path[128];

    assert_int_equal(
        gbx_script_open(&script, s->runtime, "/nowhere/x.py", NULL, &s->err),
        GBX_EFILE);
    assert_string_equal(s->err.what,
                        "/nowhere/x.py: No such file or directory");

    snprintf(path, sizeof(path), "%s/dir.py", s->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(gbx_script_open(&script, s->runtime, path, NULL, &s->err),
                     GBX_EFILE);
    assert_non_null(strstr(s->err.what, "not a file"));
    rmdir(path);

    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write */
    assert_int_equal(gbx_script_open(&script, s->runtime, path, NULL, &s->err),
                     GBX_EFILE);
    unlink(path);

    assert_int_equal(
        gbx_script_open(&script, s->runtime, "/etc/passwd", NULL, &s->err),
        GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "/etc/passwd"));
}

static void a_syntax_error_names_file_and_line(void **state)
{
    struct story *s = *state;

    expect_refused(s, "x = 1\ndef process(c:\n    pass\n", GBX_ELOAD,
                   "SyntaxError");
    assert_non_null(strstr(s->err.what, "line 2"));
    assert_non_null(strstr(s->printed[1], "def process(c:"));
}

static void a_file_without_an_actor_is_refused(void **state)
{
    expect_refused(*state, "x = 1\n", GBX_ELOAD, "no actor");
    expect_refused(*state, "", GBX_ELOAD, "no actor");
}

static void an_import_that_fails_is_told_with_its_traceback(void **state)
{
    struct story *s = *state;

    expect_refused(s, "import no_such_module\ndef process(c): pass\n",
                   GBX_ELOAD, "no_such_module");
    assert_non_null(strstr(s->printed[1], "line 1"));
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    expect_refused(*state, "x = '\xff'\ndef process(c): pass\n", GBX_ELOAD,
                   "UTF-8");
}

static void an_unknown_port_is_refused_with_the_known_ones(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "@actor(inports=['left', 'right'])\n"
                      "def process(c): return {'out': c.payload}\n");
    struct gbx_call *call = story_call(s, script);
    struct gbx_message message = {.type = GBX_INTEGER};

    assert_int_equal(gbx_call_put(call, "up", &message, &s->err), GBX_EPORT);
    assert_non_null(strstr(s->err.what, "\"up\""));
    assert_non_null(strstr(s->err.what, "left, right"));
    assert_int_equal(gbx_call_put(call, "", &message, &s->err), GBX_EPORT);
    assert_int_equal(gbx_call_put(call, "left", &message, &s->err), 0);
    assert_int_equal(story_run(s, call), 0);
    gbx_call_finish(call);
    story_close(s, script);
}

static void a_message_above_the_limit_is_refused_by_name(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *call;
    void *data;

    s->config.limits.message_bytes = 4 << 20;
    script = story_open(s, "def process(c): return {'out': len(c.get_input("
                           "'in'))}\n");
    call = story_call(s, script);
    assert_int_equal(
        gbx_call_room(call, "in", GBX_STREAM, 5 << 20, &data, &s->err),
        GBX_ELIMIT);
    assert_non_null(strstr(s->err.what, "message_bytes"));
    assert_int_equal(
        gbx_call_room(call, "in", GBX_STREAM, 4 << 20, &data, &s->err), 0);
    assert_int_equal(
        gbx_call_room(call, "more", GBX_STREAM, 1 << 20, &data, &s->err),
        GBX_EARENA);
    assert_int_equal(story_run(s, call), 0);
    assert_string_equal(story_outputs(call),
                        "{\"out\":{\"type\":\"Integer\",\"data\":4194304}}");
    gbx_call_finish(call);
    story_close(s, script);
}

static void copied_outputs_have_a_limit_in_all(void **state)
{
    struct story *s = *state;

    s->config.limits.message_bytes = 4 << 20;
    story_expect(s,
                 "def process(c):\n"
                 "    for i in range(10): c.send_output('o', 'x' * 1000000)\n",
                 GBX_ELIMIT);
    assert_non_null(strstr(s->err.what, "message_bytes"));
}

static void an_output_above_the_limit_is_an_error_of_the_script(void **state)
{
    struct story *s = *state;

    s->config.limits.message_bytes = 4 << 20;
    s->config.limits.memory_bytes = 1 << 30;
    story_expect(s, "def process(c): return {'out': bytes(5 << 20)}\n",
                 GBX_ESCRIPT);
    assert_non_null(strstr(s->err.what, "message limit"));
}

static void limits_out_of_range_are_refused_by_name(void **state)
{
    struct story *s = *state;

    s->config.limits.memory_bytes = 1;
    expect_refused(s, "def process(c): pass\n", GBX_EARGUMENT,
                   "memory limit of 1 is too small");
    s->config.limits.memory_bytes = 0;
    s->config.limits.message_bytes = 1ull << 60;
    expect_refused(s, "def process(c): pass\n", GBX_EARGUMENT, "message limit");
    s->config.limits.message_bytes = 0;
    s->config.limits_max.files = 1;
    expect_refused(s, "def process(c): pass\n", GBX_EARGUMENT,
                   "files limit of 1 is too small");
}

static void a_configuration_that_is_no_object_is_refused(void **state)
{
    struct story *s = *state;

    s->config.config_json = "{\"a\":";
    expect_refused(s, "def process(c): pass\n", GBX_EFORMAT, "line 1");
    s->config.config_json = "[1]";
    expect_refused(s, "def process(c): pass\n", GBX_EFORMAT, "object");
}

static void a_struct_of_another_version_is_refused(void **state)
{
    struct story *s = *state;

    s->config.struct_bytes = 8;
    expect_refused(s, "def process(c): pass\n", GBX_EARGUMENT, "struct_bytes");
}

static void missing_helper_programs_are_named(void **state)
{
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                        .libexec_dir = "/nowhere"};
    struct story *s = *state;
    struct gbx_runtime *runtime;
    struct gbx_script *script;
    char path[128];

    snprintf(path, sizeof(path), "%s/story.py", s->folder);
    expect_refused(s, "", GBX_ELOAD, "");
    assert_int_equal(gbx_runtime_open(&runtime, &config, &s->err), 0);
    assert_int_equal(gbx_script_open(&script, runtime, path, NULL, &s->err),
                     GBX_EFILE);
    assert_non_null(strstr(s->err.what, "/nowhere/glovebox-"));
    gbx_runtime_close(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_missing_or_unreadable_script_is_named),
        story_test(a_syntax_error_names_file_and_line),
        story_test(a_file_without_an_actor_is_refused),
        story_test(an_import_that_fails_is_told_with_its_traceback),
        story_test(text_that_is_not_utf8_is_refused),
        story_test(an_unknown_port_is_refused_with_the_known_ones),
        story_test(a_message_above_the_limit_is_refused_by_name),
        story_test(copied_outputs_have_a_limit_in_all),
        story_test(an_output_above_the_limit_is_an_error_of_the_script),
        story_test(limits_out_of_range_are_refused_by_name),
        story_test(a_configuration_that_is_no_object_is_refused),
        story_test(a_struct_of_another_version_is_refused),
        story_test(missing_helper_programs_are_named),
    };

    return story_main("bad", tests);
}
