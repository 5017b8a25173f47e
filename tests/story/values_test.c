/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in comes out: every type, every awkward value. */
#include "story.h"

#define ECHO "def process(c): return {'out': c.get_input('in')}\n"

static void plain_values_come_back_as_they_went(void **state)
{
    static const char *const values[][2] = {
        {"true", "{\"type\":\"Boolean\",\"data\":true}"},
        {"-7", "{\"type\":\"Integer\",\"data\":-7}"},
        {"9223372036854775807",
         "{\"type\":\"Integer\",\"data\":9223372036854775807}"},
        {"-9223372036854775808",
         "{\"type\":\"Integer\",\"data\":-9223372036854775808}"},
        {"0.5", "{\"type\":\"Float\",\"data\":0.5}"},
        {"\"\"", "{\"type\":\"String\",\"data\":\"\"}"},
        {"\"it's \\\"so\\\"\\n\\t\\\\ \\u0000 x\"",
         "{\"type\":\"String\",\"data\":\"it's \\\"so\\\"\\n\\t\\\\ \\u0000 "
         "x\"}"},
        {"\"\xf0\x9f\xa7\xa4 \xc3\xa9\"",
         "{\"type\":\"String\",\"data\":\"\xf0\x9f\xa7\xa4 \xc3\xa9\"}"},
        {"null", "{\"type\":\"Optional\",\"data\":null}"},
        {"[]", "{\"type\":\"Array\",\"data\":[]}"},
        {"[1,\"a\",[null,{}]]",
         "{\"type\":\"Array\",\"data\":[1,\"a\",[null,{}]]}"},
        {"{\"k\":{\"n\":[1.5]}}",
         "{\"type\":\"Object\",\"data\":{\"k\":{\"n\":[1.5]}}}"},
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

static void each_python_value_has_its_type(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "import array\n"
                       "def process(c):\n"
                       "    return {'b': True, 'i': 3, 'f': 2.0, 's': 'x',\n"
                       "            'n': None, 'l': (1, 2), 'o': {'a': 1},\n"
                       "            'y': b'\\x01', 'a': array.array('h', [-2])}"
                       "\n",
                       NULL),
        "{\"b\":{\"type\":\"Boolean\",\"data\":true},"
        "\"i\":{\"type\":\"Integer\",\"data\":3},"
        "\"f\":{\"type\":\"Float\",\"data\":2.0},"
        "\"s\":{\"type\":\"String\",\"data\":\"x\"},"
        "\"n\":{\"type\":\"Optional\",\"data\":null},"
        "\"l\":{\"type\":\"Array\",\"data\":[1,2]},"
        "\"o\":{\"type\":\"Object\",\"data\":{\"a\":1}},"
        "\"y\":{\"type\":\"Stream\",\"data\":[1]},"
        "\"a\":{\"type\":\"Array\",\"data\":[-2]}}");
}

static void messages_say_their_type_themselves(void **state)
{
    assert_string_equal(
        story_ask_once(*state,
                       "from reflow import Message\n"
                       "def process(c):\n"
                       "    return {'f': Message.flow(),\n"
                       "            'e': Message.error('boom'),\n"
                       "            'i': Message.integer(4)}\n",
                       NULL),
        "{\"f\":{\"type\":\"Flow\"},"
        "\"e\":{\"type\":\"Error\",\"data\":\"boom\"},"
        "\"i\":{\"type\":\"Integer\",\"data\":4}}");
}

static void integers_beyond_64_bits_are_refused_by_name(void **state)
{
    struct story *s = *state;

    story_expect(s, "def process(c): return {'big': 1 << 64}\n", GBX_ESCRIPT);
    assert_non_null(strstr(s->err.what, "big"));
}

static void a_port_may_have_a_long_name(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c): return {'o' * 255: c.payload}\n");
    struct gbx_call *call = story_call(s, script);
    char name[256], want[1024];

    memset(name, 'p', 255);
    name[255] = '\0';
    story_put(s, call, name, "1");
    assert_int_equal(story_run(s, call), 0);
    snprintf(want, sizeof(want),
             "\":{\"type\":\"Object\",\"data\":{\"%s\":1}}}", name);
    assert_non_null(strstr(story_outputs(call), want));
    gbx_call_finish(call);
    story_close(s, script);
}

static void story_put_array(struct story *s, struct gbx_call *call)
{
    static const float elements[] = {0, 1, 2, 3, 4, 5};
    struct gbx_array array = {.dtype = GBX_DTYPE_F32,
                              .rank = 2,
                              .dims = {2, 3},
                              .data = elements,
                              .data_bytes = sizeof(elements)};
    struct gbx_message message;
    struct gbx_builder b;

    gbx_builder_init(&b);
    gbx_build_typed(&b, &array);
    assert_int_equal(gbx_builder_message(&b, GBX_ARRAY, &message), 0);
    assert_int_equal(gbx_call_put(call, "in", &message, &s->err), 0);
    gbx_builder_fini(&b);
}

static void a_typed_array_keeps_dtype_and_shape(void **state)
{
    struct gbx_array array = {
        .dtype = GBX_DTYPE_F32, .rank = 2, .dims = {2, 3}, .data_bytes = 24};
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c):\n"
                      "    m = c.get_input('in')\n"
                      "    return {'what': f'{m.format} {m.shape} "
                      "{m.readonly} {m[1, 2]}', 'same': m}\n");
    struct gbx_call *call = story_call(s, script);
    struct gbx_message message;
    struct gbx_array seen;
    const char *port;
    void *data;

    assert_int_equal(gbx_call_array(call, "in", &array, &data, &s->err), 0);
    assert_int_equal((uintptr_t)data % 64, 0);
    for (int i = 0; i < 6; i++)
        ((float *)data)[i] = (float)i;
    assert_int_equal(story_run(s, call), 0);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_memory_equal(message.body, "f (2, 3) True 5.0", 17);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_int_equal(gbx_message_array(&message, &seen), 0);
    assert_int_equal(seen.dtype, GBX_DTYPE_F32);
    assert_int_equal(seen.rank, 2);
    assert_int_equal(seen.dims[1], 3);
    assert_true(((const float *)seen.data)[4] == 4.0f);
    gbx_call_finish(call);

    /* Put as a message, it is laid down anew, and aligned again. */
    call = story_call(s, script);
    story_put_array(s, call);
    assert_int_equal(story_run(s, call), 0);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_int_equal(gbx_message_array(&message, &seen), 0);
    assert_int_equal((uintptr_t)seen.data % 64, 0);
    assert_true(((const float *)seen.data)[5] == 5.0f);
    gbx_call_finish(call);
    story_close(s, script);
}

static void a_large_stream_is_handed_over_and_back_without_a_copy(void **state)
{
    STORY_NOT_REMOTE("it is sent");
    const size_t bytes = 64 << 20;
    struct story *s = *state;
    struct gbx_script *script = story_open(s, ECHO);
    struct gbx_call_stats stats;
    struct gbx_message message;
    struct gbx_call *call;
    const char *port;
    void *data;

    for (int i = 0; i < 3; i++) {
        call = story_call(s, script);
        assert_int_equal(
            gbx_call_room(call, "in", GBX_STREAM, bytes, &data, &s->err), 0);
        memset(data, 'a' + i, bytes);
        assert_int_equal(story_run(s, call), 0);
        assert_int_equal(gbx_call_next(call, &port, &message), 0);
        assert_int_equal(message.body_bytes, bytes);
        assert_ptr_equal(message.body, data); /* the very same memory */
        assert_int_equal(((const char *)message.body)[bytes - 1], 'a' + i);
        gbx_call_stats(call, &stats);
        assert_int_equal(stats.copied_bytes, 0);
        gbx_call_finish(call);
    }
    story_close(s, script);
}

/* Untouched memory does not exist, so even the largest message is cheap. */
static void the_largest_message_has_a_byte_less_than_4_gib(void **state)
{
    STORY_NOT_REMOTE("gloveboxd takes 64 MiB");
    const size_t bytes = GBX_BODY_BYTES_MAX;
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_message message;
    struct gbx_call *call;
    const char *port;
    void *data;

    s->config.limits.message_bytes = 5ull << 30;
    script = story_open(s, "def process(c):\n"
                           "    v = c.get_input('in')\n"
                           "    return {'out': v, 'n': len(v) + v[-1]}\n");
    call = story_call(s, script);
    assert_int_equal(
        gbx_call_room(call, "in", GBX_STREAM, bytes + 1, &data, &s->err),
        GBX_ELIMIT);
    assert_int_equal(
        gbx_call_room(call, "in", GBX_STREAM, bytes, &data, &s->err), 0);
    ((uint8_t *)data)[bytes - 1] = 7;
    assert_int_equal(story_run(s, call), 0);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_int_equal(message.body_bytes, bytes);
    assert_ptr_equal(message.body, data);
    assert_int_equal(gbx_call_next(call, &port, &message), 0);
    assert_int_equal(message.scalar.integer, bytes + 7);
    gbx_call_finish(call);
    story_close(s, script);
}

static void room_that_was_too_long_is_trimmed(void **state)
{
    const size_t bytes = 3 << 20;
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *call;
    void *data, *more;

    s->config.limits.message_bytes = 8 << 20;
    script = story_open(s, "def process(c):\n"
                           "    a, b = c.get_input('a'), c.get_input('b')\n"
                           "    return {'out': [len(a), a[-1], len(b)]}\n");
    call = story_call(s, script);
    assert_int_equal(gbx_call_trim(call, 0, &s->err), GBX_EARGUMENT);
    assert_int_equal(
        gbx_call_room(call, "a", GBX_STREAM, 8 << 20, &data, &s->err), 0);
    memset(data, 7, bytes);
    assert_int_equal(gbx_call_trim(call, (8 << 20) + 1, &s->err),
                     GBX_EARGUMENT);
    assert_int_equal(gbx_call_trim(call, bytes, &s->err), 0);
    assert_int_equal(
        gbx_call_room(call, "b", GBX_STREAM, 4 << 20, &more, &s->err), 0);
    assert_true((uint8_t *)more >= (uint8_t *)data + bytes);
    memset(more, 8, 4 << 20);
    assert_int_equal(gbx_call_trim(call, 0, &s->err), 0);
    assert_int_equal(story_run(s, call), 0);
    assert_string_equal(
        story_outputs(call),
        "{\"out\":{\"type\":\"Array\",\"data\":[3145728,7,0]}}");
    gbx_call_finish(call);
    story_close(s, script);
}

static void outputs_can_be_written_in_place(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c):\n"
                      "    b = c.output_buffer('out', 5000000)\n"
                      "    b[0] = 1; b[-1] = 2\n"
                      "    return {'out': b}\n");
    struct gbx_call_stats stats;
    struct gbx_message message;
    struct gbx_call *call;
    const char *port;

    for (int i = 0; i < 400; i++) { /* far more than an arena holds at once */
        call = story_call(s, script);
        assert_int_equal(story_run(s, call), 0);
        assert_int_equal(gbx_call_next(call, &port, &message), 0);
        assert_int_equal(message.type, GBX_STREAM);
        assert_int_equal(message.body_bytes, 5000000);
        assert_int_equal(((const uint8_t *)message.body)[4999999], 2);
        gbx_call_stats(call, &stats);
        assert_int_equal(stats.copied_bytes, 0);
        gbx_call_finish(call);
    }
    story_close(s, script);
}

static void views_that_a_script_keeps_stay_what_they_were(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "kept = []\n"
                      "def process(c):\n"
                      "    kept.append(c.get_input('in'))\n"
                      "    return {'out': b''.join(bytes(k) for k in kept)}\n");

    story_ask(s, script, "{\"type\":\"Stream\",\"data\":[1]}");
    story_ask(s, script, "{\"type\":\"Stream\",\"data\":[2]}");
    assert_string_equal(
        story_ask(s, script, "{\"type\":\"Stream\",\"data\":[3]}"),
        "{\"out\":{\"type\":\"Stream\",\"data\":[1,2,3]}}");
    story_close(s, script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(plain_values_come_back_as_they_went),
        story_test(each_python_value_has_its_type),
        story_test(messages_say_their_type_themselves),
        story_test(integers_beyond_64_bits_are_refused_by_name),
        story_test(a_port_may_have_a_long_name),
        story_test(a_typed_array_keeps_dtype_and_shape),
        story_test(a_large_stream_is_handed_over_and_back_without_a_copy),
        story_test(the_largest_message_has_a_byte_less_than_4_gib),
        story_test(room_that_was_too_long_is_trimmed),
        story_test(outputs_can_be_written_in_place),
        story_test(views_that_a_script_keeps_stay_what_they_were),
    };

    return story_main("values", tests);
}
