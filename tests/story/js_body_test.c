/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that go from a script in JavaScript to another. */
#include "glovebox/body.h"
#include "story.h"

#define LEN 1000000u

static int begin(void **state)
{
    int rc = story_begin(state);

    if (rc == 0)
        ((struct story *)*state)->name = "story.js";
    return rc;
}

static const char producer[] =
    "function process(c) {\n"
    "  if (c.input.kind === 'array') {\n"
    "    const a = c.outputArray('out', 'float64', [500, 250]);\n"
    "    a.forEach((_, i) => { a[i] = i; });\n"
    "    return {out: a};\n"
    "  }\n"
    "  const whole = c.outputBuffer('out', 1020000).fill(0xc5);\n"
    "  whole.subarray(7000, 1007000).fill(115);\n"
    "  return {out: whole.subarray(7000, 1007000)};\n"
    "}\n";
static const char counter[] =
    "function process(c) {\n"
    "  const v = c.input.in;\n"
    "  if (v instanceof Float64Array)\n"
    "    return {v: v.every((x, i) => x === i) ? v.length : -1};\n"
    "  return {v: v.reduce((n, x) => n + (x === 115), 0)};\n"
    "}\n";
static const char passer[] =
    "function process(c) { return {out: c.input.in}; }\n";

/* The one output of a call, and its body. */
static struct gbx_body *keep(struct story *s, struct gbx_call *call,
                             struct gbx_message *message)
{
    struct gbx_body *body;
    const char *port;

    if (story_run(s, call) < 0)
        fail_msg("%s", s->err.what);
    assert_int_equal(gbx_call_next(call, &port, message), 0);
    if (gbx_call_keep(call, message, &body, &message->body, &s->err) < 0)
        fail_msg("%s", s->err.what);
    gbx_call_finish(call);
    return body;
}

static struct gbx_call *call_with(struct story *s, struct gbx_script *script,
                                  const struct gbx_message *message,
                                  struct gbx_body *body)
{
    struct gbx_call *call = story_call(s, script);

    if (gbx_call_put_body(call, "in", message, body, &s->err) < 0)
        fail_msg("%s", s->err.what);
    return call;
}

static void expect_through_three(struct story *s, const char *kind,
                                 const char *answer)
{
    struct gbx_script *from = story_open(s, producer),
                      *by = story_open(s, passer), *to = story_open(s, counter);
    struct gbx_call *call = story_call(s, from);
    struct gbx_message message;
    struct gbx_body *body, *passed;
    struct gbx_call_stats stats;

    story_put(s, call, "kind", kind);
    body = keep(s, call, &message);
    assert_int_equal(message.body_bytes >= LEN, true);
    passed = keep(s, call_with(s, by, &message, body), &message);
    gbx_body_put(body);
    story_close(s, from);
    story_close(s, by);
    call = call_with(s, to, &message, passed);
    gbx_body_put(passed);
    if (story_run(s, call) < 0)
        fail_msg("%s", s->err.what);
    assert_string_equal(story_outputs(call), answer);
    gbx_call_stats(call, &stats);
    if (story_is("process") || story_is("remote"))
        assert_in_range(stats.copied_bytes, LEN, LEN + 16);
    else
        assert_in_range(stats.copied_bytes, 0, 2 * 4096 + 16);
    gbx_call_finish(call);
    story_close(s, to);
}

static void a_stream_goes_through_three(void **state)
{
    expect_through_three(*state, "{\"type\":\"String\",\"data\":\"stream\"}",
                         V_NUMBER(1000000));
}

static void so_does_an_array(void **state)
{
    expect_through_three(*state, "{\"type\":\"String\",\"data\":\"array\"}",
                         V_NUMBER(125000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, story_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_goes_through_three),
        TEST(so_does_an_array),
    };

    return story_main("bodies of JavaScript", tests);
}
