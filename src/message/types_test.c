/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "message/inner.h"

static const int dtypes[] = {
#define X(name, tag, bytes, code) GBX_DTYPE_##name,
    GBX_DTYPES(X)
#undef X
};

static void names_and_numbers_agree(void **state)
{
    (void)state;
    for (int i = 0; i < GBX_TYPE_COUNT; i++)
        assert_int_equal(gbx_type_by_name(gbx_type_name(i)), i);
    assert_string_equal(gbx_type_name(GBX_FLOW), "Flow");
    assert_string_equal(gbx_type_name(GBX_NETWORK_EVENT), "NetworkEvent");
    assert_null(gbx_type_name(-1));
    assert_null(gbx_type_name(GBX_TYPE_COUNT));
    assert_int_equal(gbx_type_by_name("flow"), GBX_EFORMAT);
    assert_int_equal(gbx_type_by_name(""), GBX_EFORMAT);
    assert_int_equal(gbx_type_by_name(NULL), GBX_EFORMAT);

    for (size_t i = 0; i < ARRAY_SIZE(dtypes); i++)
        assert_int_equal(gbx_dtype_bytes(dtypes[i]),
                         atoi(gbx_dtype_name(dtypes[i]) + 1) / 8);
    for (int i = -1; i < 100; i++)
        assert_int_equal(gbx_dtype_bytes(i) == 0, gbx_dtype_name(i) == NULL);
    assert_string_equal(gbx_dtype_name(GBX_DTYPE_F16), "f16");
    assert_null(gbx_dtype_name(65));
}

/* The head of an array and, after it, zeros; as a message to free. */
static struct gbx_message make(const struct gbx_array *array, size_t bytes)
{
    uint8_t head[GBX_ARRAY_HEAD_MAX], *body;
    size_t length = gbx_array_head(head, array);

    assert_true(length > 0);
    body = calloc(1, length + bytes);
    memcpy(body, head, length);
    return (struct gbx_message){.type = GBX_ARRAY,
                                .flags = GBX_TYPED,
                                .body = body,
                                .body_bytes = length + bytes};
}

static void drop(struct gbx_message *message)
{
    free((void *)(uintptr_t)message->body);
}

static void a_head_that_was_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(dtypes); i++) {
        for (uint32_t rank = 1; rank <= GBX_ARRAY_RANK_MAX; rank++) {
            struct gbx_array in = {.dtype = (enum gbx_dtype)dtypes[i],
                                   .rank = rank};
            struct gbx_message message;
            struct gbx_array out;
            size_t bytes = gbx_dtype_bytes(dtypes[i]);
            for (uint32_t j = 0; j < rank; j++) {
                in.dims[j] = 1 + (j + i) % 3;
                bytes *= in.dims[j];
            }
            message = make(&in, bytes);
            assert_int_equal(gbx_message_array(&message, &out), 0);
            assert_int_equal(out.dtype, in.dtype);
            assert_int_equal(out.rank, rank);
            assert_memory_equal(out.dims, in.dims, sizeof(in.dims));
            assert_int_equal(out.data_bytes, bytes);
            assert_ptr_equal((const uint8_t *)out.data + bytes,
                             (const uint8_t *)message.body +
                                 message.body_bytes);
            drop(&message);
        }
    }
}

static void sizes_that_cannot_be_get_no_head(void **state)
{
    static const struct {
        int dtype;
        uint32_t rank;
        uint64_t dims[GBX_ARRAY_RANK_MAX];
        bool good;
    } cases[] = {
        {GBX_DTYPE_U8, 1, {0}, true},
        {GBX_DTYPE_U8, 1, {UINT32_MAX}, true},
        {GBX_DTYPE_U8, 1, {(uint64_t)UINT32_MAX + 1}, false},
        {GBX_DTYPE_F64, 1, {UINT32_MAX / 8}, true},
        {GBX_DTYPE_F64, 1, {UINT32_MAX / 8 + 1}, false},
        {GBX_DTYPE_F64, 1, {1ull << 61}, false}, /* wraps to 0 */
        {GBX_DTYPE_U8, 2, {1ull << 32, 1ull << 32}, false},
        {GBX_DTYPE_U8, 3, {0, 1ull << 32, 1ull << 32}, false},
        {GBX_DTYPE_U8, 3, {1ull << 32, 1ull << 32, 0}, false},
        {GBX_DTYPE_U8, 3, {1ull << 16, 0, 1ull << 15}, true},
        {GBX_DTYPE_U8, 8, {1, 1, 1, 1, 1, 1, 1, 1}, true},
        {GBX_DTYPE_U8, 0, {1}, false},
        {GBX_DTYPE_U8, 9, {1, 1, 1, 1, 1, 1, 1, 1}, false},
        {GBX_DTYPE_U8, UINT32_MAX, {1}, false},
        {0, 1, {1}, false},
        {65, 1, {1}, false}, /* big-endian */
        {-1, 1, {1}, false},
    };
    uint8_t head[GBX_ARRAY_HEAD_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_array array = {.dtype = (enum gbx_dtype)cases[i].dtype,
                                  .rank = cases[i].rank};
        memcpy(array.dims, cases[i].dims, sizeof(array.dims));
        assert_int_equal(gbx_array_head(head, &array) > 0, cases[i].good);
    }
}

static void the_elements_fill_the_body_exactly(void **state)
{
    struct gbx_array in = {.dtype = GBX_DTYPE_F32, .rank = 2, .dims = {5, 7}};
    struct gbx_array out;

    (void)state;
    for (size_t bytes = 0; bytes < 200; bytes++) {
        struct gbx_message message = make(&in, bytes);
        assert_int_equal(gbx_message_array(&message, &out),
                         bytes == 140 ? 0 : GBX_EFORMAT);
        drop(&message);
    }
}

static void only_an_array_is_seen_as_one(void **state)
{
    struct gbx_array in = {.dtype = GBX_DTYPE_U8, .rank = 1, .dims = {3}};
    struct gbx_message message = make(&in, 3);
    struct gbx_array out;

    (void)state;
    for (int type = 0; type < GBX_TYPE_COUNT; type++) {
        bool good = type == GBX_ARRAY || type == GBX_ANY || type == GBX_EVENT ||
                    type == GBX_OPTIONAL;
        message.type = (enum gbx_type)type;
        assert_int_equal(gbx_message_array(&message, &out),
                         good ? 0 : GBX_EFORMAT);
    }
    drop(&message);
    message = (struct gbx_message){.type = GBX_ARRAY};
    assert_int_equal(gbx_message_array(&message, &out), GBX_EFORMAT);
    message.body = "\x83\x01\x02\x03";
    message.body_bytes = 4;
    assert_int_equal(gbx_message_array(&message, &out), GBX_EFORMAT);
}

/* Nothing above is wrong with it, but it does not fit into what is copied. */
static void a_head_longer_than_ours_is_refused(void **state)
{
    uint8_t body[2 + 9 + 9 + 8 * 9 + 9 + 9 + 1] = {0xd8, 40, 0x9b};
    struct gbx_message message = {
        .type = GBX_ARRAY, .body = body, .body_bytes = sizeof(body)};
    struct gbx_array array;
    size_t at = 2, head_bytes;

    (void)state;
    body[at] = 0x9b; /* each number in 8 bytes */
    body[at + 8] = 2;
    body[at += 9] = 0x9b;
    body[at + 8] = 8;
    for (at += 9; at < 2 + 10 * 9; at += 9) {
        body[at] = 0x1b;
        body[at + 8] = 1;
    }
    body[at] = 0xdb;
    body[at + 8] = GBX_DTYPE_U8;
    body[at += 9] = 0x5b;
    body[at + 8] = 1;
    assert_int_equal(
        message_array_head(&array, &head_bytes, body, sizeof(body)), 0);
    assert_int_equal(head_bytes, sizeof(body) - 1);
    assert_int_equal(gbx_message_array(&message, &array), GBX_EFORMAT);
}

static void every_half_is_the_number_that_it_means(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        double got = message_half((uint16_t)bits), want;
        if (exponent == 31 && fraction != 0) {
            assert_true(isnan(got));
            continue;
        }
        want = exponent == 31  ? (double)INFINITY
               : exponent == 0 ? ldexp(fraction, -24)
                               : ldexp(fraction + 1024, exponent - 25);
        assert_true(got == (bits & 0x8000 ? -want : want));
        assert_int_equal(!!signbit(got), bits >> 15);
    }
}

static void a_held_message_has_bytes_of_its_own(void **state)
{
    char bytes[] = "shared";
    struct gbx_message message = {
        .type = GBX_STREAM, .body = bytes, .body_bytes = 6};
    void *held;

    (void)state;
    assert_int_equal(gbx_message_hold(&message, &held), 0);
    assert_ptr_equal(message.body, held);
    memset(bytes, 'x', 6);
    assert_memory_equal(message.body, "shared", 6);
    free(held);

    message = (struct gbx_message){.type = GBX_INTEGER, .scalar.integer = 7};
    assert_int_equal(gbx_message_hold(&message, &held), 0);
    assert_null(held);
    assert_null(message.body);
}

/* Each builds one item; the table says which types it suits. */
static void build(struct gbx_builder *b, char what)
{
    struct gbx_array u8 = {.dtype = GBX_DTYPE_U8,
                           .rank = 1,
                           .dims = {1},
                           .data = "x",
                           .data_bytes = 1};

    switch (what) {
    case '0':
        gbx_build_null(b);
        break;
    case 'b':
        gbx_build_boolean(b, true);
        break;
    case 'i':
        gbx_build_integer(b, -7);
        break;
    case 'u':
        gbx_build_unsigned(b, UINT64_MAX);
        break;
    case 'f':
        gbx_build_float(b, 1.5);
        break;
    case 't':
        gbx_build_text(b, "text", 4);
        break;
    case 'h':
        gbx_build_bytes(b, "bytes", 5);
        break;
    case 'a':
        gbx_build_array(b, 0);
        break;
    case 'm':
        gbx_build_map(b, 0);
        break;
    case 'y':
        gbx_build_typed(b, &u8);
        break;
    case 'Y': /* less than its shape says */
        u8.data_bytes = 0;
        gbx_build_typed(b, &u8);
        break;
    case 'I': /* one too many */
        gbx_build_integer(b, 1);
        gbx_build_integer(b, 2);
        break;
    case '2': /* the same */
        gbx_build_array(b, 0);
        gbx_build_array(b, 0);
        break;
    case '<': /* one too few */
        gbx_build_map(b, 1);
        gbx_build_text(b, "k", 1);
        break;
    case '8': /* no UTF-8 */
        gbx_build_text(b, "\xff", 1);
        break;
    }
}

static void a_type_takes_only_what_it_holds(void **state)
{
    static const char all[] = "0biufthamyY2I<8";
    static const struct {
        enum gbx_type type;
        const char *takes;
        bool nothing;
    } cases[] = {
        {GBX_FLOW, "", true},
        {GBX_BOOLEAN, "b", false},
        {GBX_INTEGER, "i", false},
        {GBX_FLOAT, "f", false},
        {GBX_STRING, "t", false},
        {GBX_ERROR, "t", false},
        {GBX_STREAM, "h", false},
        {GBX_ENCODED, "h", false},
        {GBX_OBJECT, "m", false},
        {GBX_ARRAY, "ay", false},
        {GBX_ANY, "0biufthamy", false},
        {GBX_EVENT, "0biufthamy", false},
        {GBX_OPTIONAL, "0biufthamy", true},
        {GBX_REMOTE_REFERENCE, "", false},
        {GBX_NETWORK_EVENT, "", false},
        {(enum gbx_type)15, "", false},
    };
    struct gbx_message m;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (const char *what = all; what <= all + strlen(all); what++) {
            bool good = *what ? strchr(cases[i].takes, *what) != NULL
                              : cases[i].nothing;
            struct gbx_builder b;
            gbx_builder_init(&b);
            build(&b, *what);
            if (*what == 'Y' || *what == '8') /* already known */
                assert_int_equal(b.error, GBX_EARGUMENT);
            assert_int_equal(gbx_builder_message(&b, cases[i].type, &m),
                             good ? 0 : GBX_EARGUMENT);
            if (good && *what == 'i' && cases[i].type == GBX_INTEGER)
                assert_int_equal(m.scalar.integer, -7);
            if (good && *what == 'h' && cases[i].type == GBX_STREAM)
                assert_memory_equal(m.body, "bytes", m.body_bytes);
            if (good)
                assert_int_equal(
                    m.flags,
                    cases[i].type == GBX_ARRAY && *what == 'y' ? GBX_TYPED : 0);
            gbx_builder_fini(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_agree),
        cmocka_unit_test(a_head_that_was_written_is_read),
        cmocka_unit_test(sizes_that_cannot_be_get_no_head),
        cmocka_unit_test(the_elements_fill_the_body_exactly),
        cmocka_unit_test(only_an_array_is_seen_as_one),
        cmocka_unit_test(a_head_longer_than_ours_is_refused),
        cmocka_unit_test(every_half_is_the_number_that_it_means),
        cmocka_unit_test(a_held_message_has_bytes_of_its_own),
        cmocka_unit_test(a_type_takes_only_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
