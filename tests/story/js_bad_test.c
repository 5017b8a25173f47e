/* SPDX-License-Identifier: Apache-2.0 */
/* Bad scripts in JavaScript: a clear error each, and the next call works. */
#include "story.h"

static int begin(void **state)
{
    int rc = story_begin(state);

    if (rc == 0)
        ((struct story *)*state)->name = "story.js";
    return rc;
}

static void a_bad_script_is_refused_and_says_why(void **state)
{
    static const struct {
        const char *text, *what, *printed;
    } cases[] = {
        {"let x = 1;\nfunction process(c {\n}\n", "SyntaxError", "story.js:2"},
        {"import a from 'glovebox';\nlet x = ;\n", "SyntaxError", "story.js:2"},
        {"const x = 1;\n", "no actor function in it", ""},
        {"module.exports = 5;\n", "no actor function in it", ""},
        {"module.exports = class Empty {};", "has no method run", ""},
        {"\nthrow new RangeError('early');", "RangeError: early", "story.js:2"},
        {"\n\nundefined_name();", "ReferenceError", "story.js:3"},
        {"require('./nowhere');", "cannot find module './nowhere'", ""},
        {"import x from 'nowhere';", "cannot find module 'nowhere'", ""},
        {"await new Promise(() => {});\nexport default c => 1;",
         "a promise that nothing settles", ""},
        {"Promise.reject(new Error('unheard'));\nmodule.exports = c => 1;",
         "unheard", "story.js:1"},
        {"actor({inports: [7]}, c => 1);", "is no name of a port", ""},
        {"actor(7);", "actor() takes", "story.js:1"},
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gbx_script *script;
        int rc;

        memset(s->printed, 0, sizeof(s->printed));
        memset(s->printed_bytes, 0, sizeof(s->printed_bytes));
        rc = story_try(s, cases[i].text, &script);
        if (rc != GBX_ELOAD || strstr(s->err.what, cases[i].what) == NULL ||
            strstr(s->printed[1], cases[i].printed) == NULL)
            fail_msg("%s: %s: %s\n%s", cases[i].text, gbx_error_name(rc),
                     rc < 0 ? s->err.what : "", s->printed[1]);
    }
}

/* What the call fails with, and where the script says it did. */
static void an_error_has_its_name_and_its_line(void **state)
{
    static const struct {
        const char *text, *what, *traceback;
    } cases[] = {
        {"function deep() {\n  null.x;\n}\nfunction process() { deep(); }",
         "TypeError: ", "at deep (story.js:2:"},
        {"async function process() {\n await 1;\n throw new RangeError('r'); }",
         "RangeError: r", "story.js:3:"},
        {"function process() { throw 'a text'; }", "Uncaught: a text", ""},
        {"function process() { throw null; }", "Uncaught: null", ""},
        {"function process() { throw Object.create(null); }", "Uncaught", ""},
        {"function process() { throw {get name() { throw 1; },\n"
         "  get message() { throw 2; }, stack: 1}; }",
         "Uncaught", ""},
        {"function process() { throw new Error('a', {cause: new "
         "TypeError('b')}); }",
         "Error: a", "Caused by: TypeError: b"},
        {"function process() { Promise.reject(new Error('unheard'));\n"
         "  return 1; }",
         "Error: unheard", "story.js:1:"},
        {"function process() { return new Promise(() => {}); }",
         "a promise that nothing settles", ""},
        {"function process() { return {then() { throw new Error('t'); }}; }",
         "Error: t", ""},
        {"function f() { f(); }\nfunction process() { f(); }",
         "RangeError: Maximum call stack size exceeded", "story.js:1:"},
        {"function process() {\n  eval('let 1');\n}", "SyntaxError", ""},
        {"function process(c) { c.sendOutput('', 1); }",
         "the name of a port has 1 to 255 bytes", "story.js:1:"},
        {"class E extends Error { name = 'Mine'; }\n"
         "function process() { throw new E('m'); }",
         "Mine: m", "story.js:2:"},
        {"function process() { setTimeout(() => { throw new Error('late'); "
         "});\n"
         "  return new Promise(r => setTimeout(r, 50)); }",
         "Error: late", "story.js:1:"},
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gbx_script *script = story_open(s, cases[i].text);

        for (int k = 0; k < 2; k++) { /* the sandbox lives on */
            struct gbx_call *call = story_call(s, script);
            struct gbx_failure failure;
            int rc = story_run(s, call);

            gbx_call_failure(call, &failure);
            if (rc != GBX_ESCRIPT ||
                strstr(s->err.what, cases[i].what) == NULL ||
                strstr(failure.traceback, cases[i].traceback) == NULL ||
                strstr(failure.traceback, "glovebox:") != NULL)
                fail_msg("%s: %s: %s\n%s", cases[i].text, gbx_error_name(rc),
                         rc < 0 ? s->err.what : "", failure.traceback);
            gbx_call_finish(call);
        }
        story_close(s, script);
    }
}

static void what_never_ends_is_stopped(void **state)
{
    static const char *const texts[] = {
        "function process() { for (;;); }",
        "function process() { const f = () => queueMicrotask(f); f();\n"
        "  return new Promise(() => {}); }",
        "async function process() { for (;;) await 0; }",
        "function process() { return /^(a+)+$/.test('a'.repeat(40) + 'b'); }",
        "function process() { setInterval(() => {}, 1);\n"
        "  return new Promise(() => {}); }",
        "function process() { return [].sort.call({length: 2 ** 32 - 2}); }",
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gbx_script *script = story_open(s, texts[i]);
        struct gbx_call *call = story_call(s, script);

        assert_int_equal(gbx_call_run(call, story_deadline(0.2), &s->err),
                         GBX_ETIME);
        gbx_call_finish(call);
        gbx_call_finish(story_call(s, script));
        story_close(s, script);
    }
}

static void too_much_memory_is_an_error(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *call;
    int rc;

    s->config.limits.memory_bytes = 96 << 20;
    script = story_open(s, "const all = [];\n"
                           "function process() { for (;;)\n"
                           "  all.push(new Uint8Array(1 << 20).fill(1)); }");
    call = story_call(s, script);
    rc = story_run(s, call);
    if (rc != GBX_EMEMORY)
        fail_msg("%s: %s", gbx_error_name(rc), s->err.what);
    gbx_call_finish(call);
    gbx_call_finish(story_call(s, script));
    story_close(s, script);
}

/* What libraries do to the built-in objects does not disturb us. */
static void builtins_may_be_added_to(void **state)
{
    struct story *s = *state;

    assert_string_equal(
        story_ask_once(
            s,
            "Array.prototype.last = Object.prototype.mine = function () {};\n"
            "ArrayBuffer.prototype.transferToImmutable = null;\n"
            "globalThis.Error = class {}; globalThis.console = null;\n"
            "JSON.parse = null; Math.random = null;\n"
            "async function process(c) { return {out: c.getInput('in')}; }",
            "{\"type\":\"Stream\",\"data\":[1,2]}"),
        "{\"out\":{\"type\":\"Stream\",\"data\":[1,2]}}");
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, story_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_bad_script_is_refused_and_says_why),
        test(an_error_has_its_name_and_its_line),
        test(what_never_ends_is_stopped),
        test(too_much_memory_is_an_error),
        test(builtins_may_be_added_to),
    };

    return story_main("js_bad", tests);
}
