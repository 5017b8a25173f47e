/* SPDX-License-Identifier: Apache-2.0 */
/* What a script gets for each message, and what becomes of what it sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/message.h"

#include "host.h"

static struct host host;

static int start(void **state)
{
    (void)state;
    host_start(&host);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    host_stop(&host);
    return 0;
}

static uint64_t copied(void)
{
    return atomic_load(&host.channel.peer->copied_bytes);
}

#define ECHO "def process(c):\n return c.get_input('input')\n"
#define REPR                                                                   \
    "def process(c):\n"                                                        \
    " v = c.get_input('input'); m = c.get_payload()['input']\n"                \
    " return f'{type(v).__name__} {v!r} {m.type}'\n"

static void a_message_becomes_a_python_value(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"{\"type\":\"Flow\"}", "str 'flow' Flow"},
        {"{\"type\":\"Boolean\",\"data\":true}", "bool True Boolean"},
        {"{\"type\":\"Integer\",\"data\":-9223372036854775808}",
         "int -9223372036854775808 Integer"},
        {"{\"type\":\"Float\",\"data\":3.5}", "float 3.5 Float"},
        {"{\"type\":\"String\",\"data\":\"\"}", "str '' String"},
        {"{\"type\":\"Object\",\"data\":{\"k\":[1,2.5,null,false,\"v\"]}}",
         "dict {'k': [1, 2.5, None, False, 'v']} Object"},
        {"{\"type\":\"Array\",\"data\":[]}", "list [] Array"},
        {"{\"type\":\"Event\",\"data\":7}", "int 7 Event"},
        {"{\"type\":\"Any\",\"data\":\"x\"}", "str 'x' Any"},
        {"{\"type\":\"Optional\",\"data\":null}", "NoneType None Optional"},
        {"{\"type\":\"Optional\",\"data\":7}", "int 7 Optional"},
        {"{\"type\":\"Error\",\"data\":\"boom\"}", "str 'boom' Error"},
    };
    char want[256];

    (void)state;
    host_load(&host, REPR);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        host_input(&host, "input", cases[i].json);
        host_run(&host);
        snprintf(want, sizeof(want),
                 "DONE output {\"type\":\"String\",\"data\":\"%s\"}\n",
                 cases[i].want);
        assert_string_equal(host.said, want);
    }
}

static void what_is_returned_has_the_type_of_the_value(void **state)
{
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"True", "{\"type\":\"Boolean\",\"data\":true}"},
        {"2**63 - 1", "{\"type\":\"Integer\",\"data\":9223372036854775807}"},
        {"0.5", "{\"type\":\"Float\",\"data\":0.5}"},
        {"'q\\'\\n\\0\\U0001f600'",
         "{\"type\":\"String\",\"data\":\"q'\\n\\u0000\xf0\x9f\x98\x80\"}"},
        {"{'k': (1, [None, 2**64 - 1])}",
         "{\"type\":\"Object\",\"data\":{\"k\":[1,[null,"},
        {"[1, 'a']", "{\"type\":\"Array\",\"data\":[1,\"a\"]}"},
        {"b'\\x01\\xff'", "{\"type\":\"Stream\",\"data\":"},
        {"Message.flow()", "{\"type\":\"Flow\"}"},
        {"Message.event({'a': 1})", "{\"type\":\"Event\",\"data\":{\"a\":1}}"},
        {"Message.integer(True)", "{\"type\":\"Integer\",\"data\":1}"},
        {"Message.float(2)", "{\"type\":\"Float\",\"data\":2.0}"},
        {"Message.array(range(3))", "{\"type\":\"Array\",\"data\":[0,1,2]}"},
        {"Message.optional(5)", "{\"type\":\"Optional\",\"data\":5}"},
        {"Message.any([Message.integer(4)])",
         "{\"type\":\"Any\",\"data\":[4]}"},
        {"Message.error('bad', 7)", "{\"type\":\"Error\",\"data\":\"7: bad\"}"},
        {"Message.stream([1, 2])", "{\"type\":\"Stream\",\"data\":"},
        {"Message.remote_reference('n', 'a', 'p')",
         "{\"type\":\"RemoteReference\",\"data\":{\"network_id\":\"n\","
         "\"actor_id\":\"a\",\"port\":\"p\"}}"},
    };
    char source[256], want[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(source, sizeof(source), "def process(c): return {'o': %s}\n",
                 cases[i].value);
        host_try(&host, source, NULL);
        snprintf(want, sizeof(want), "DONE o %s", cases[i].want);
        host.said[strlen(want)] = '\0'; /* a start of it is enough */
        assert_string_equal(host.said, want);
    }
}

static void what_cannot_be_sent_is_refused_by_port_and_type(void **state)
{
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"2**63", "OverflowError\",\"message\":\"output \\\"o\\\": the int"},
        {"{1: 2}", "TypeError\",\"message\":\"output \\\"o\\\": the keys"},
        {"{1, 2}", "TypeError\",\"message\":\"output \\\"o\\\": cannot send "
                   "a set"},
        {"[object()]", "TypeError\",\"message\":\"output \\\"o\\\": cannot"},
        {"(x for x in [])", "TypeError\",\"message\":\"output \\\"o\\\": "
                            "cannot send a generator"},
        {"Message.integer(1.5)", "TypeError\",\"message\":\"output"},
        {"Message.string(1)", "TypeError\",\"message\":\"output"},
        {"Message.object([])", "TypeError\",\"message\":\"output"},
        {"'\\ud800'", "UnicodeEncodeError"},
        {"r", "ValueError\",\"message\":\"output \\\"o\\\": nested"},
    };
    char source[256], want[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(source, sizeof(source),
                 "r = []; r.append(r)\n"
                 "def process(c): return {'first': b'x' * 100, 'o': %s}\n",
                 cases[i].value);
        host_try(&host, source, NULL);
        snprintf(want, sizeof(want), "FAILED {\"type\":\"%s", cases[i].want);
        host.said[strlen(want)] = '\0';
        assert_string_equal(host.said, want);
    }
    host_try(&host, ECHO, "{\"type\":\"Integer\",\"data\":1}");
    assert_string_equal(host.said,
                        "DONE output {\"type\":\"Integer\",\"data\":1}\n");
}

static void a_stream_is_seen_and_passed_on_where_it_lies(void **state)
{
    uint64_t before;
    char *room;

    (void)state;
    host.is_quiet = true;
    host_load(&host, "def process(c):\n"
                     " v = c.get_input('input')\n"
                     " assert type(v) is memoryview and v.readonly\n"
                     " assert bytes(v[:5]) == b'hello'\n"
                     " return {'all': v, 'part': v[1:4]}\n");
    before = copied();
    room = host_room(&host, "input", GBX_STREAM, 0, 16u << 20);
    memcpy(room, "hello", 5);
    host_run(&host);
    assert_string_equal(host.said, "OUTPUT all Stream of 16777216\n"
                                   "DONE part Stream of 3\n");
    assert_ptr_equal(channel_at(&host.channel, host.body_off), room + 1);
    assert_int_equal(copied(), before);
}

static size_t typed(const char *port, int dtype, uint64_t rows,
                    uint64_t columns)
{
    struct gbx_array array = {.dtype = (enum gbx_dtype)dtype,
                              .rank = 2,
                              .dims = {rows, columns},
                              .data_bytes =
                                  rows * columns * gbx_dtype_bytes(dtype)};
    uint8_t head[GBX_ARRAY_HEAD_MAX];
    size_t n = gbx_array_head(head, &array);
    uint8_t *room;

    assert_int_not_equal(n, 0);
    room = host_room(&host, port, GBX_ARRAY, GBX_TYPED, n + array.data_bytes);
    memcpy(room, head, n);
    for (size_t i = 0; i < array.data_bytes; i++)
        room[n + i] = (uint8_t)i;
    return n + array.data_bytes;
}

static void
a_typed_array_has_its_dtype_and_shape_and_is_not_copied(void **state)
{
    uint64_t before;

    (void)state;
    host.is_quiet = true;
    host_load(&host, "def process(c):\n"
                     " v = c.get_input('input')\n"
                     " assert (v.format, v.shape) == ('H', (2, 3)), v.shape\n"
                     " assert v.tolist()[1][0] == 0x0706\n"
                     " return {'same': v}\n");
    before = copied();
    typed("input", GBX_DTYPE_U16, 2, 3);
    host_run(&host);
    assert_string_equal(host.said, "DONE same u16[2,3] unaligned\n");
    assert_int_equal(copied(), before);
}

static void numpy_sees_and_writes_without_a_copy(void **state)
{
    uint64_t before;

    (void)state;
    host.is_quiet = true;
    host_load(&host,
              "import numpy as np\n"
              "def process(c):\n"
              " a = np.asarray(c.get_input('input'))\n"
              " assert a.dtype == np.float32 and a.shape == (4, 5)\n"
              " assert not a.flags.owndata and not a.flags.writeable\n"
              " b = np.frombuffer(c.get_input('raw'), np.uint8)\n"
              " o = np.asarray(c.output_array('o', np.float64, (4, 5)))\n"
              " o[:] = a\n"
              " r = c.output_buffer('r', 7); r[:] = bytes(7)\n"
              " v = np.frombuffer(c.output_buffer('v', 24), '<i8')\n"
              " v[:] = 1\n"
              " return {'o': o, 'same': a, 'r': r, 'o2': o, 'v': v}\n");
    assert_string_not_equal(host.said, "");
    before = copied();
    typed("input", GBX_DTYPE_F32, 4, 5);
    memset(host_room(&host, "raw", GBX_STREAM, 0, 9), 1, 9);
    host_run(&host);
    assert_string_equal(host.said, "OUTPUT o f64[4,5]\n"
                                   "OUTPUT same f32[4,5] unaligned\n"
                                   "OUTPUT r Stream of 7\n"
                                   "OUTPUT o2 f64[4,5]\n"
                                   "DONE v i64[3]\n");
    assert_int_equal(copied(), before);
}

static void arrays_of_the_scripts_own_are_copied_once_and_counted(void **state)
{
    uint64_t before;

    (void)state;
    host.is_quiet = true;
    host_load(&host,
              "import array, numpy as np\n"
              "def process(c):\n"
              " a = np.arange(12, dtype=np.int16).reshape(3, 4)\n"
              " return {'a': a, 't': a.T, 'b': a > 3, 'f': array.array('f', "
              "[1, 2]),\n"
              "  'n': np.int64(5), 't2': np.bool_(True), 'e': np.zeros(0)}\n");
    before = copied();
    host_run(&host);
    assert_string_equal(host.said, "OUTPUT a i16[3,4]\n"
                                   "OUTPUT t i16[4,3]\n"
                                   "OUTPUT b u8[3,4]\n"
                                   "OUTPUT f f32[2]\n"
                                   "OUTPUT n Integer of 0\n"
                                   "OUTPUT t2 Boolean of 0\n"
                                   "DONE e f64[0]\n");
    assert_int_equal(copied() - before, 24 + 24 + 12 + 8);
}

static void a_view_that_is_kept_stays_as_it_was(void **state)
{
    (void)state;
    host_load(&host, "import gc\n"
                     "kept = []\n"
                     "def process(c):\n"
                     " kept.append(c.get_input('input'))\n"
                     " gc.collect()\n"
                     " return ' '.join(str(v[0]) + str(len(v)) for v in kept)"
                     "\n");
    for (int i = 0; i < 5; i++) {
        char *room = host_room(&host, "input", GBX_STREAM, 0, 1000 + (size_t)i);

        memset(room, i + 65, 1000);
        host_run(&host);
    }
    assert_string_equal(host.said, "DONE output {\"type\":\"String\",\"data\":"
                                   "\"651000 661001 671002 681003 691004\"}\n");
}

static void blocks_come_back_when_the_last_view_dies(void **state)
{
    (void)state;
    host.is_quiet = true;
    host_load(&host, ECHO);
    for (int i = 0; i < 3000; i++) {
        memset(host_room(&host, "input", GBX_STREAM, 0, 1u << 16), 1, 10);
        host_run(&host);
        assert_string_equal(host.said, "DONE output Stream of 65536\n");
    }
    assert_int_equal(host.region.arena_bytes[HALF_HOST], 2u << 20);
    assert_true(host.channel.arena.count < 4);
}

static void output_buffers_that_are_not_sent_come_back(void **state)
{
    (void)state;
    host_load(&host, "def process(c):\n"
                     " b = c.output_buffer('o', 1 << 20); b[0] = 1\n");
    for (int i = 0; i < 1100; i++) {
        host_run(&host);
        assert_string_equal(host.said, "DONE\n");
    }
    assert_int_equal(host.region.arena_bytes[HALF_GUEST], 2u << 20);
}

static void
the_arena_grows_for_a_large_output_and_refuses_a_larger(void **state)
{
    (void)state;
    host.is_quiet = true;
    host_try(&host, "def process(c): return bytes(300 << 20)\n", NULL);
    assert_string_equal(host.said, "DONE output Stream of 314572800\n");
    host.is_quiet = false;
    host_try(&host, "def process(c):\n c.output_buffer('o', 2 << 30)\n", NULL);
    assert_non_null(strstr(host.said, "\"BufferError\",\"message\":\"output "
                                      "\\\"o\\\": 2147483648 bytes do not"));
    host_run(&host);
    assert_non_null(strstr(host.said, "BufferError"));
}

static void an_array_inside_an_object_is_viewed_in_place(void **state)
{
    uint8_t *room;
    static const uint8_t body[] = {0xa1, 0x61, 'a', 0xd8, 0x45,
                                   0x44, 1,    0,   2,    0};

    (void)state;
    host_load(&host, "kept = []\n"
                     "def process(c):\n"
                     " kept.append(c.get_input('input')['a'])\n"
                     " return [type(kept[0]).__name__, kept[0].tolist()]\n");
    for (int i = 0; i < 2; i++) {
        room = host_room(&host, "input", GBX_OBJECT, 0, sizeof(body));
        memcpy(room, body, sizeof(body));
        host_run(&host);
        assert_string_equal(host.said, "DONE output {\"type\":\"Array\","
                                       "\"data\":[\"memoryview\",[1,2]]}\n");
    }
}

static void malformed_bodies_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        int type;
        unsigned flags;
    } cases[] = {
        {"\xa1\x61", 2, GBX_OBJECT, 0},
        {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9, GBX_ARRAY, 0},
        {"\x01\x02", 2, GBX_ANY, 0},
        {"\xff", 1, GBX_ANY, 0},
        {"\x7f\x41\x00\xff", 4, GBX_ANY, 0},
        {"\xd8\x45\x43\x01\x02\x03", 6, GBX_ARRAY, GBX_TYPED},
        {"\xd8\x45\x42\x01", 4, GBX_ARRAY, GBX_TYPED},
        {"\xc2\x01", 2, GBX_ANY, 0},
        {"\xff\xfe", 2, GBX_STRING, 0},
    };
    char deep[200];

    (void)state;
    host_load(&host, "def process(c): return 1\n");
    for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
        bool last = i == ARRAY_SIZE(cases);
        size_t n = last ? sizeof(deep) : cases[i].count;

        memset(deep, 0x81, sizeof(deep)); /* [[[... 1 ...]]] */
        deep[sizeof(deep) - 1] = 1;
        memcpy(host_room(&host, "input", last ? GBX_ARRAY : cases[i].type,
                         last ? 0 : cases[i].flags, n),
               last ? deep : cases[i].bytes, n);
        host_run(&host);
        assert_memory_equal(host.said, "FAILED ", 7);
    }
    host_input(&host, "input", "{\"type\":\"Integer\",\"data\":1}");
    host_run(&host);
    assert_string_equal(host.said,
                        "DONE output {\"type\":\"Integer\",\"data\":1}\n");
}

static void integers_beyond_64_bits_survive_inside(void **state)
{
    (void)state;
    host_load(&host, "def process(c):\n"
                     " v = c.get_input('input')\n"
                     " if v is not None: return repr(v)\n"
                     " return [2**64, -2**64 - 1, -2**64, 2**300]\n");
    host_run(&host);
    assert_non_null(strstr(host.said, "DONE output"));
    memcpy(host_room(&host, "input", GBX_ARRAY, 0, 32),
           "\x83\xc2\x49\x01\0\0\0\0\0\0\0\0"
           "\xc3\x49\x01\0\0\0\0\0\0\0\0"
           "\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
           32);
    host_run(&host);
    assert_string_equal(host.said,
                        "DONE output {\"type\":\"String\",\"data\":\""
                        "[18446744073709551616, -18446744073709551617, "
                        "-18446744073709551616]\"}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_message_becomes_a_python_value),
        TEST(what_is_returned_has_the_type_of_the_value),
        TEST(what_cannot_be_sent_is_refused_by_port_and_type),
        TEST(a_stream_is_seen_and_passed_on_where_it_lies),
        TEST(a_typed_array_has_its_dtype_and_shape_and_is_not_copied),
        TEST(numpy_sees_and_writes_without_a_copy),
        TEST(arrays_of_the_scripts_own_are_copied_once_and_counted),
        TEST(a_view_that_is_kept_stays_as_it_was),
        TEST(blocks_come_back_when_the_last_view_dies),
        TEST(output_buffers_that_are_not_sent_come_back),
        TEST(the_arena_grows_for_a_large_output_and_refuses_a_larger),
        TEST(an_array_inside_an_object_is_viewed_in_place),
        TEST(malformed_bodies_are_refused),
        TEST(integers_beyond_64_bits_survive_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
