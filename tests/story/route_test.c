/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_test.c - scripts are opened where their policy and their past say, and
 * the decision can be asked for.  What is decided in which situation is a table
 * beside the code (decide_test.c); here the runtime asks and obeys.
 */
#include "story.h"

static const char js[] = "export const process = c => ({out: 1});\n";

static int answer(void *context, const struct gbx_message *arguments,
                  struct gbx_builder *built, struct gbx_error *err)
{
    (void)arguments;
    (void)err;
    gbx_build_text(built, context, strlen(context));
    return 0;
}

static const struct gbx_route_row *row(const struct gbx_route *route,
                                       enum gbx_isolation isolation)
{
    for (unsigned i = 0; i < GBX_ISOLATIONS; i++)
        if (route->rows[i].isolation == isolation)
            return &route->rows[i];
    fail_msg("no row for isolation %d", (int)isolation);
    return NULL;
}

static void call_often(struct story *s, struct gbx_script *script, int count)
{
    for (int i = 0; i < count; i++)
        assert_string_equal(story_ask(s, script, NULL),
                            "{\"out\":{\"type\":\"Integer\",\"data\":1}}");
}

static void the_decision_is_kept_with_its_reasons(void **state)
{
    struct story *s = *state;
    const struct gbx_route *route;
    struct gbx_script *script;

    s->config.isolation = GBX_ISOLATION_AUTO;
    script = story_open(s, STORY_EVALUATOR);
    route = gbx_script_route(script);
    assert_string_equal(gbx_isolation_name((int)route->isolation),
                        gbx_script_isolation(script));
    assert_string_equal(route->why, gbx_script_why(script));
    assert_int_equal(route->trust, GBX_TRUST_UNTRUSTED);
    assert_int_equal(row(route, route->isolation)->verdict, GBX_VERDICT_CHOSEN);
    assert_int_equal(row(route, GBX_ISOLATION_WASM)->verdict,
                     GBX_VERDICT_UNSUITED);
    assert_int_equal(row(route, GBX_ISOLATION_REMOTE)->verdict,
                     GBX_VERDICT_REFUSED);
    story_close(s, script);
}

static void an_explanation_is_what_an_open_decides(void **state)
{
    struct story *s = *state;
    struct gbx_route route;
    struct gbx_script *script;
    char path[128];

    s->config.isolation = GBX_ISOLATION_AUTO;
    script = story_open(s, STORY_EVALUATOR);
    snprintf(path, sizeof(path), "%s/%s", s->folder, s->name);
    assert_int_equal(
        gbx_route_explain(s->runtime, path, &s->config, &route, &s->err), 0);
    assert_int_equal(route.isolation, gbx_script_route(script)->isolation);
    story_close(s, script);
    assert_int_equal(gbx_route_explain(s->runtime, "/nowhere/x.py", &s->config,
                                       &route, &s->err),
                     GBX_EFILE);
    assert_int_equal(
        gbx_route_explain(s->runtime, "/nowhere/x.txt", NULL, &route, &s->err),
        GBX_EARGUMENT);
    s->config.route.floor = (enum gbx_isolation)77;
    assert_int_equal(
        gbx_route_explain(s->runtime, path, &s->config, &route, &s->err),
        GBX_EARGUMENT);
    assert_int_equal(route.isolation, GBX_ISOLATION_AUTO);
}

static void what_the_policy_refuses_is_not_opened(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.isolation = GBX_ISOLATION_AUTO;
    s->config.route.allowed[0] = GBX_ISOLATION_WASM;
    s->config.route.from = "the test";
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_EUNSUPPORTED);
    assert_non_null(strstr(s->err.what, "may run in wasm"));
    assert_non_null(strstr(s->err.what, "Python does not run"));
    s->config.isolation = GBX_ISOLATION_PROCESS;
    s->config.route.allowed[0] = GBX_ISOLATION_MICROVM;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_EUNSUPPORTED);
    assert_non_null(strstr(s->err.what, "the policy (the test) allows"));
    s->config.route.allowed[0] = GBX_ISOLATION_REMOTE;
    s->config.isolation = GBX_ISOLATION_AUTO;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_EUNSUPPORTED);
    assert_non_null(strstr(s->err.what, "no remote host is known"));
}

static void a_list_is_tried_in_its_order(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.isolation = GBX_ISOLATION_AUTO;
    s->config.route.allowed[0] = GBX_ISOLATION_REMOTE;
    s->config.route.allowed[1] = GBX_ISOLATION_PROCESS;
    script = story_open(s, STORY_EVALUATOR);
    assert_string_equal(gbx_script_isolation(script), "process");
    assert_non_null(strstr(gbx_script_why(script), "no remote host: "));
    story_close(s, script);
}

/* Its calls are counted, whoever made them and wherever; so the next open of a
 * trusted script knows. */
static void calls_of_earlier_opens_count(void **state)
{
    struct story *s = *state;
    const struct gbx_route_row *seen;
    struct gbx_script *script;

    s->name = "story.js";
    s->config.isolation = GBX_ISOLATION_AUTO;
    s->config.route.trust = GBX_TRUST_TRUSTED;
    script = story_open(s, js);
    assert_string_equal(gbx_script_isolation(script), "wasm");
    assert_non_null(strstr(gbx_script_why(script), "as is usual"));
    seen = row(gbx_script_route(script), GBX_ISOLATION_WASM);
    assert_int_equal(seen->calls, 0);
    call_often(s, script, 40);
    story_close(s, script);

    s->config.isolation = GBX_ISOLATION_PROCESS;
    script = story_open(s, js);
    call_often(s, script, 5);
    story_close(s, script);

    s->config.isolation = GBX_ISOLATION_AUTO;
    script = story_open(s, js);
    seen = row(gbx_script_route(script), GBX_ISOLATION_WASM);
    assert_int_equal(seen->calls, 40);
    assert_true(seen->call_ns > 0);
    assert_int_equal(
        row(gbx_script_route(script), GBX_ISOLATION_PROCESS)->calls, 5);
    assert_non_null(strstr(gbx_script_why(script), "by 40 calls"));
    story_close(s, script);
}

static void a_failed_call_says_nothing_of_speed(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *call;

    s->name = "story.js";
    s->config.isolation = GBX_ISOLATION_WASM;
    script = story_open(s, "export const process = c => { throw 1; };\n");
    for (int i = 0; i < 3; i++) {
        call = story_call(s, script);
        assert_int_equal(story_run(s, call), GBX_ESCRIPT);
        gbx_call_finish(call);
    }
    story_close(s, script);
    s->config.route.trust = GBX_TRUST_TRUSTED;
    s->config.isolation = GBX_ISOLATION_AUTO;
    script = story_open(s, js);
    assert_int_equal(row(gbx_script_route(script), GBX_ISOLATION_WASM)->calls,
                     0);
    story_close(s, script);
}

static void a_script_may_call_what_is_listed_and_its_state(void **state)
{
    static char one[] = "one", two[] = "two";
    const char *names[] = {"two", "three", NULL};
    struct story *s = *state;
    struct gbx_script *script;
    int code;

    assert_int_equal(gbx_runtime_register(s->runtime, "one", answer, one), 0);
    assert_int_equal(gbx_runtime_register(s->runtime, "two", answer, two), 0);
    s->config.host_calls = names;
    script = story_open(s, STORY_EVALUATOR);
    names[0] = names[1] = NULL; /* nobody looks there again */
    assert_string_equal(story_evaluate(s, script, NULL, "c.host('two')", &code),
                        V_TEXT("two"));
    story_evaluate(s, script, NULL, "c.host('one')", &code);
    assert_int_equal(code, GBX_ESCRIPT);
    assert_string_equal(
        story_evaluate(s, script, NULL, "c.state.increment('n', 2)", &code),
        V_NUMBER(2));
    story_close(s, script);
    s->config.host_calls = NULL;
    script = story_open(s, STORY_EVALUATOR);
    assert_string_equal(story_evaluate(s, script, NULL, "c.host('one')", &code),
                        V_TEXT("one"));
    story_close(s, script);
}

static void a_runtime_has_rules(void **state)
{
    static const char text[] =
        "{\"rules\": [{\"match\": \"/**/story.js\", \"trust\": \"trusted\"},\n"
        "{\"match\": \"/**/story.py\", \"isolation\": \"process\",\n"
        " \"limits\": {\"output-limit\": 100}}]}";
    struct story *s = *state;
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config)};
    struct gbx_config *rules;
    struct gbx_runtime *before = s->runtime;
    struct gbx_script *script;

    assert_int_equal(
        gbx_config_read(&rules, "text", text, strlen(text), &s->err), 0);
    config.rules = rules;
    assert_int_equal(gbx_runtime_open(&s->runtime, &config, &s->err), 0);
    s->config.isolation = GBX_ISOLATION_AUTO;
    script = story_open(s, "def process(c): print('x' * 101)\n");
    assert_string_equal(gbx_script_isolation(script), "process");
    assert_string_equal(gbx_script_route(script)->from, "text, line 2");
    story_close(s, script);
    story_expect(s, "def process(c): print('x' * 101)\n", GBX_EOUTPUT);
    /* And a bound, of whatever they and the embedder say. */
    s->config.limits_max.output_bytes = 200;
    story_expect(s, "def process(c): print('x' * 101)\n", GBX_EOUTPUT);
    s->config.limits_max.output_bytes = 10;
    story_expect(s, "def process(c): print('x' * 11)\n", GBX_EOUTPUT);
    s->config.limits.output_bytes = 50;
    story_expect(s, "def process(c): print('x' * 11)\n", GBX_EOUTPUT);
    s->config.isolation = GBX_ISOLATION_MICROVM;
    assert_int_equal(story_try(s, STORY_EVALUATOR, &script), GBX_EUNSUPPORTED);
    assert_non_null(strstr(s->err.what, "text, line 2"));
    gbx_runtime_close(s->runtime);
    gbx_config_close(rules);
    s->runtime = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(the_decision_is_kept_with_its_reasons),
        story_test(an_explanation_is_what_an_open_decides),
        story_test(what_the_policy_refuses_is_not_opened),
        story_test(a_list_is_tried_in_its_order),
        story_test(calls_of_earlier_opens_count),
        story_test(a_failed_call_says_nothing_of_speed),
        story_test(a_script_may_call_what_is_listed_and_its_state),
        story_test(a_runtime_has_rules),
    };

    return story_main("route", tests);
}
