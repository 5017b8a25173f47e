/* SPDX-License-Identifier: Apache-2.0 */
/* JavaScript: what goes in comes out, of every type, and without a copy. */
#include "story.h"

#define ECHO "function process(c) { return {out: c.getInput('in')}; }\n"

static int begin(void **state)
{
    int rc = story_begin(state);

    if (rc == 0)
        ((struct story *)*state)->name = "story.js";
    return rc;
}

static void plain_values_come_back_as_they_went(void **state)
{
    static const char *const values[][2] = {
        {"true", "{\"type\":\"Boolean\",\"data\":true}"},
        {"-7", "{\"type\":\"Integer\",\"data\":-7}"},
        {"9007199254740991",
         "{\"type\":\"Integer\",\"data\":9007199254740991}"},
        {"9007199254740993",
         "{\"type\":\"Integer\",\"data\":9007199254740993}"},
        {"9223372036854775807",
         "{\"type\":\"Integer\",\"data\":9223372036854775807}"},
        {"-9223372036854775808",
         "{\"type\":\"Integer\",\"data\":-9223372036854775808}"},
        {"0.5", "{\"type\":\"Float\",\"data\":0.5}"},
        {"1e300", "{\"type\":\"Float\",\"data\":1e+300}"},
        {"\"\"", "{\"type\":\"String\",\"data\":\"\"}"},
        {"\"it's \\\"so\\\"\\n\\t\\\\ \\u0000 x\"",
         "{\"type\":\"String\",\"data\":\"it's \\\"so\\\"\\n\\t\\\\ \\u0000 "
         "x\"}"},
        {"\"\xf0\x9f\xa7\xa4 \\u0000 \xc3\xa9\"",
         "{\"type\":\"String\",\"data\":\"\xf0\x9f\xa7\xa4 \\u0000 "
         "\xc3\xa9\"}"},
        {"null", "{\"type\":\"Optional\",\"data\":null}"},
        {"[]", "{\"type\":\"Array\",\"data\":[]}"},
        {"[1,\"a\",[null,{}],-1,1.5]",
         "{\"type\":\"Array\",\"data\":[1,\"a\",[null,{}],-1,1.5]}"},
        {"{\"k\":{\"n\":[1.5]},\"__proto__\":1,\"length\":2}",
         "{\"type\":\"Object\",\"data\":{\"k\":{\"n\":[1.5]},"
         "\"__proto__\":1,\"length\":2}}"},
        {"{\"type\":\"Stream\",\"data\":[]}",
         "{\"type\":\"Stream\",\"data\":[]}"},
        {"{\"type\":\"Stream\",\"data\":[0,255,10]}",
         "{\"type\":\"Stream\",\"data\":[0,255,10]}"},
    };
    struct story *s = *state;
    struct gbx_script *script = story_open(s, ECHO);
    char want[256];

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(want, sizeof(want), "{\"out\":%s}", values[i][1]);
        assert_string_equal(story_ask(s, script, values[i][0]), want);
    }
    story_close(s, script);
}

static void each_value_has_its_type(void **state)
{
    assert_string_equal(
        story_ask_once(
            *state,
            "const { Message } = require('reflow');\n"
            "function process(c) {\n"
            "  return {b: true, i: 3, z: -0, f: 2.5, s: 'x', n: null,\n"
            "    g: 12345678901234567n, l: [1, 2n ** 60n], o: {a: 1, u: "
            "undefined},\n"
            "    y: new Uint8Array([1]), k: new ArrayBuffer(1),\n"
            "    a: new Int16Array([-2]), e: new RangeError('boom'),\n"
            "    d: new Date(0), m: new Map([['k', new Set([1])]]),\n"
            "    F: Message.flow(), E: Message.error('no', 7),\n"
            "    I: Message.integer(4), R: Message.float(4),\n"
            "    N: [Message.string('in')], A: Message.any(5)};\n"
            "}\n",
            NULL),
        "{\"b\":{\"type\":\"Boolean\",\"data\":true},"
        "\"i\":{\"type\":\"Integer\",\"data\":3},"
        "\"z\":{\"type\":\"Float\",\"data\":-0.0},"
        "\"f\":{\"type\":\"Float\",\"data\":2.5},"
        "\"s\":{\"type\":\"String\",\"data\":\"x\"},"
        "\"n\":{\"type\":\"Optional\",\"data\":null},"
        "\"g\":{\"type\":\"Integer\",\"data\":12345678901234567},"
        "\"l\":{\"type\":\"Array\",\"data\":[1,1152921504606846976]},"
        "\"o\":{\"type\":\"Object\",\"data\":{\"a\":1}},"
        "\"y\":{\"type\":\"Stream\",\"data\":[1]},"
        "\"k\":{\"type\":\"Stream\",\"data\":[0]},"
        "\"a\":{\"type\":\"Array\",\"data\":[-2]},"
        "\"e\":{\"type\":\"Error\",\"data\":\"RangeError: boom\"},"
        "\"d\":{\"type\":\"String\",\"data\":\"1970-01-01T00:00:00.000Z\"},"
        "\"m\":{\"type\":\"Object\",\"data\":{\"k\":[1]}},"
        "\"F\":{\"type\":\"Flow\"},"
        "\"E\":{\"type\":\"Error\",\"data\":\"7: no\"},"
        "\"I\":{\"type\":\"Integer\",\"data\":4},"
        "\"R\":{\"type\":\"Float\",\"data\":4.0},"
        "\"N\":{\"type\":\"Array\",\"data\":[\"in\"]},"
        "\"A\":{\"type\":\"Any\",\"data\":5}}");
}

/* One call with a body of many bytes, all of them k; returns what it copied. */
static uint64_t copied_of(struct story *s, struct gbx_script *script,
                          size_t bytes, struct gbx_message *out)
{
    struct gbx_call *call = story_call(s, script);
    struct gbx_call_stats stats;
    const char *port;
    void *room;

    assert_int_equal(
        gbx_call_room(call, "in", GBX_STREAM, bytes, &room, &s->err), 0);
    memset(room, 7, bytes);
    if (story_run(s, call) < 0)
        fail_msg("%s", s->err.what);
    assert_int_equal(gbx_call_next(call, &port, out), 0);
    gbx_call_stats(call, &stats);
    gbx_call_finish(call);
    return stats.copied_bytes;
}

static void bytes_pass_without_a_copy(void **state)
{
    static const char *const texts[] = {
        ECHO,
        "function process(c) { return {out: c.getInput('in').subarray(64)}; }",
        "function process(c) { return {out: c.getInput('in').buffer}; }",
        "function process(c) {\n"
        "  const i = c.getInput('in'), o = c.outputBuffer('out', i.length);\n"
        "  o[0] = i[5]; o[o.length - 1] = 9; return {out: o}; }",
        "function process(c) {\n"
        "  const o = c.outputArray('out', 'f32', [1024, 1024]);\n"
        "  o[0] = 1.5; return {out: o}; }",
        "function process(c) {\n"
        "  const o = c.outputArray('out', 'u8', 1024 * 1024);\n"
        "  o.fill(3); c.sendOutput('early', o); return {out: o}; }",
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gbx_script *script = story_open(s, texts[i]);
        struct gbx_message out;

        for (int k = 0; k < 40; k++)
            assert_int_equal(copied_of(s, script, 4 << 20, &out), 0);
        assert_int_equal(out.type, i < 4 ? GBX_STREAM : GBX_ARRAY);
        story_close(s, script);
    }
}

static void typed_arrays_keep_type_and_shape(void **state)
{
    struct story *s = *state;

    assert_string_equal(
        story_ask_once(
            s,
            "function process(c) {\n"
            "  const a = c.outputArray('a', Float32Array, [2, 3]);\n"
            "  a.set([1, 2, 3, 4, 5, 6.5]);\n"
            "  const i = [Int8Array, Uint16Array, Int32Array, Uint32Array,\n"
            "    Float64Array, Float16Array].map(T => new T([1, 2]));\n"
            "  i.push(new BigInt64Array([-5n]), new BigUint64Array([2n ** "
            "62n]));\n"
            "  return {a, shape: a.shape, i}; }",
            NULL),
        "{\"a\":{\"type\":\"Array\",\"data\":[[1.0,2.0,3.0],[4.0,5.0,6.5]]},"
        "\"shape\":{\"type\":\"Array\",\"data\":[2,3]},"
        "\"i\":{\"type\":\"Array\",\"data\":[[1,2],[1,2],[1,2],[1,2],"
        "[1.0,2.0],[1.0,2.0],[-5],[4611686018427387904]]}}");
}

static void an_input_cannot_be_written_to(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(
        s, "'use strict';\n"
           "function process(c) {\n"
           "  const i = c.getInput('in'), told = [];\n"
           "  i[0] = 1; // ignored\n"
           "  for (const f of [() => i.fill(1),\n"
           "      () => i.buffer.transfer(), () => i.set([1]),\n"
           "      () => new DataView(i.buffer).setInt8(0, 1),\n"
           "      () => crypto.getRandomValues(i), () => i.sort()])\n"
           "    try { f(); told.push('wrote'); } catch (e) { "
           "told.push(e.name); }\n"
           "  return {out: told.join(), still: i}; }");

    assert_string_equal(
        story_ask(s, script, "{\"type\":\"Stream\",\"data\":[5,6]}"),
        "{\"out\":{\"type\":\"String\",\"data\":\"TypeError,TypeError,"
        "TypeError,TypeError,TypeError,TypeError\"},"
        "\"still\":{\"type\":\"Stream\",\"data\":[5,6]}}");
    story_close(s, script);
}

static void a_kept_input_stays_what_it_was(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "let kept = [];\n"
                      "function process(c) {\n"
                      "  kept.push(c.getInput('in'));\n"
                      "  if (kept.length > 50) kept = kept.slice(40);\n"
                      "  return {out: kept.every(k => k.every(b => b === 7))}; "
                      "}");
    struct gbx_message out;

    for (int i = 0; i < 120; i++) {
        copied_of(s, script, 3000, &out);
        assert_int_equal(out.type, GBX_BOOLEAN);
        assert_true(out.scalar.boolean);
    }
    story_close(s, script);
}

static void what_cannot_be_sent_is_named(void **state)
{
    static const char *const values[][2] = {
        {"() => 1", "cannot send a function"},
        {"Symbol('x')", "cannot send a symbol"},
        {"[Symbol('x')]", "cannot send a symbol"},
        {"new WeakMap()", "cannot send a WeakMap"},
        {"2n ** 64n", "does not fit in 64 bits"},
        {"(() => { const a = []; a.push(a); return a; })()", "in itself"},
        {"{get a() { throw new Error('mine'); }}", "mine"},
        {"Message.boolean(1)", "must be a boolean"},
        {"Message.integer(1.5)", "no Integer"},
        {"new Proxy({}, {ownKeys() { throw new Error('mine'); }})", "send a"},
    };
    struct story *s = *state;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[256];
        struct gbx_script *script;
        struct gbx_call *call;

        snprintf(text, sizeof(text),
                 "function process(c) { return {first: 1, out: %s}; }",
                 values[i][0]);
        script = story_open(s, text);
        call = story_call(s, script);
        assert_int_equal(story_run(s, call), GBX_ESCRIPT);
        if (strstr(s->err.what, values[i][1]) == NULL)
            fail_msg("%s: %s", values[i][0], s->err.what);
        assert_string_equal(story_outputs(call), "{}"); /* all or none */
        gbx_call_finish(call);
        story_close(s, script);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, story_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(plain_values_come_back_as_they_went),
        test(each_value_has_its_type),
        test(bytes_pass_without_a_copy),
        test(typed_arrays_keep_type_and_shape),
        test(an_input_cannot_be_written_to),
        test(a_kept_input_stays_what_it_was),
        test(what_cannot_be_sent_is_named),
    };

    return story_main("js_values", tests);
}
