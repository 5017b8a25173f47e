/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_test.c - libcbor says the same of our CBOR, and we of libcbor's.
 *
 * One random tree is grown twice: as bytes of our builder and as a tree of
 * libcbor.  Each side then reads the other's bytes, and both are compared with
 * what was grown.
 */
#include <cbor.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/message.h"

#define TREES     3000
#define DEPTH_MAX 5

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

/* Of all sizes of head, and the ends of each. */
static uint64_t draw_number(void)
{
    static const uint64_t ends[] = {
        0,
        23,
        24,
        255,
        256,
        65535,
        65536,
        UINT32_MAX,
        UINT32_MAX + 1ull,
        INT64_MAX,
        (uint64_t)INT64_MAX + 1,
        UINT64_MAX,
    };

    if (draw(2) == 0)
        return ends[draw(ARRAY_SIZE(ends))];
    return seed >> draw(64);
}

static cbor_item_t *unsigned_item(uint64_t value)
{
    if (value <= UINT8_MAX)
        return cbor_build_uint8((uint8_t)value);
    if (value <= UINT16_MAX)
        return cbor_build_uint16((uint16_t)value);
    if (value <= UINT32_MAX)
        return cbor_build_uint32((uint32_t)value);
    return cbor_build_uint64(value);
}

static cbor_item_t *grow_integer(struct gbx_builder *b)
{
    uint64_t value = draw_number();
    cbor_item_t *item = unsigned_item(value);

    if (draw(2) == 0 && value <= INT64_MAX) {
        cbor_mark_negint(item);
        gbx_build_integer(b, -1 - (int64_t)value);
    } else if (value <= INT64_MAX) {
        gbx_build_integer(b, (int64_t)value);
    } else {
        gbx_build_unsigned(b, value);
    }
    return item;
}

static cbor_item_t *grow_float(struct gbx_builder *b)
{
    uint64_t bits = draw_number();
    double value;

    if (draw(2) == 0) /* what a float holds */
        value = (double)(float)(int64_t)bits / 8;
    else
        memcpy(&value, &bits, sizeof(value));
    gbx_build_float(b, value);
    return cbor_build_float8(value);
}

static cbor_item_t *grow_string(struct gbx_builder *b)
{
    char bytes[300];
    size_t count = draw(draw(8) == 0 ? sizeof(bytes) : 30);

    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)draw(128);
    if (draw(2) == 0) {
        gbx_build_bytes(b, bytes, count);
        return cbor_build_bytestring((cbor_data)bytes, count);
    }
    gbx_build_text(b, bytes, count);
    return cbor_build_stringn(bytes, count);
}

static cbor_item_t *grow_scalar(struct gbx_builder *b, uint64_t kind)
{
    bool truth = draw(2) == 0;

    switch (kind) {
    case 0:
        gbx_build_null(b);
        return cbor_new_null();
    case 1:
        gbx_build_boolean(b, truth);
        return cbor_build_bool(truth);
    case 2:
        return grow_float(b);
    case 3:
    case 4:
        return grow_string(b);
    default:
        return grow_integer(b);
    }
}

/* Our bytes in b; the same as a tree, with lengths unknown here and there. */
static cbor_item_t *grow(struct gbx_builder *b, int depth)
{
    uint64_t kind = draw(depth < DEPTH_MAX ? 10 : 7), count;
    cbor_item_t *item;

    if (depth == 0)
        kind = 7 + draw(3);
    if (kind < 7)
        return grow_scalar(b, kind);
    count = draw(draw(20) == 0 && depth < 2 ? 300 : 6);
    if (kind == 7) {
        gbx_build_map(b, count);
        item =
            draw(3) ? cbor_new_definite_map(count) : cbor_new_indefinite_map();
        for (uint64_t i = 0; i < count; i++) {
            cbor_item_t *key = grow_string(b), *value = grow(b, depth + 1);
            assert_true(cbor_map_add(
                item, (struct cbor_pair){cbor_move(key), cbor_move(value)}));
        }
        return item;
    }
    gbx_build_array(b, count);
    item =
        draw(3) ? cbor_new_definite_array(count) : cbor_new_indefinite_array();
    for (uint64_t i = 0; i < count; i++)
        assert_true(cbor_array_push(item, cbor_move(grow(b, depth + 1))));
    return item;
}

static void same(struct gbx_reader *r, const cbor_item_t *want);

static void same_children(struct gbx_reader *r, const cbor_item_t *want,
                          uint64_t count)
{
    if (cbor_isa_map(want)) {
        assert_int_equal(count, cbor_map_size(want));
        for (uint64_t i = 0; i < count; i++) {
            same(r, cbor_map_handle(want)[i].key);
            same(r, cbor_map_handle(want)[i].value);
        }
        return;
    }
    assert_int_equal(count, cbor_array_size(want));
    for (uint64_t i = 0; i < count; i++)
        same(r, cbor_array_handle(want)[i]);
}

/* Our reader's next item is the oracle's, and so is all within. */
static void same(struct gbx_reader *r, const cbor_item_t *want)
{
    struct gbx_item got;
    double real;

    assert_int_equal(gbx_read(r, &got), 0);
    switch (got.kind) {
    case GBX_ITEM_NULL:
        assert_true(cbor_is_null(want));
        break;
    case GBX_ITEM_BOOLEAN:
        assert_true(cbor_is_bool(want));
        assert_int_equal(got.value.boolean, cbor_get_bool(want));
        break;
    case GBX_ITEM_INTEGER:
        if (got.value.integer < 0) {
            assert_true(cbor_isa_negint(want));
            assert_true(-1 - got.value.integer == (int64_t)cbor_get_int(want));
            break;
        }
        /* fall through */
    case GBX_ITEM_UNSIGNED:
        assert_true(cbor_isa_uint(want));
        assert_true(got.value.natural == cbor_get_int(want));
        break;
    case GBX_ITEM_FLOAT:
        assert_true(cbor_is_float(want));
        real = cbor_float_get_float(want);
        if (real == real)
            assert_memory_equal(&real, &got.value.real, sizeof(real));
        else
            assert_true(got.value.real != got.value.real);
        break;
    case GBX_ITEM_TEXT:
        assert_true(cbor_isa_string(want));
        assert_int_equal(got.count, cbor_string_length(want));
        assert_memory_equal(got.bytes, cbor_string_handle(want), got.count);
        break;
    case GBX_ITEM_BYTES:
        assert_true(cbor_isa_bytestring(want));
        assert_int_equal(got.count, cbor_bytestring_length(want));
        assert_memory_equal(got.bytes, cbor_bytestring_handle(want), got.count);
        break;
    case GBX_ITEM_ARRAY:
        assert_true(cbor_isa_array(want));
        same_children(r, want, got.count);
        break;
    case GBX_ITEM_MAP:
        assert_true(cbor_isa_map(want));
        same_children(r, want, got.count);
        break;
    default:
        fail_msg("an item of kind %d", (int)got.kind);
    }
}

static void same_bytes(const void *bytes, size_t count, const cbor_item_t *want)
{
    struct gbx_reader r;
    struct gbx_item item;

    gbx_reader_init(&r, bytes, count);
    same(&r, want);
    assert_int_equal(gbx_read(&r, &item), GBX_EAGAIN);
    assert_int_equal(r.at, count);
}

static void both_read_what_either_writes(void **state)
{
    (void)state;
    for (int i = 0; i < TREES; i++) {
        struct cbor_load_result result;
        struct gbx_message message;
        struct gbx_builder b;
        unsigned char *theirs;
        size_t room, count;
        cbor_item_t *tree, *loaded;

        seed = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        gbx_builder_init(&b);
        tree = grow(&b, 0);
        assert_int_equal(gbx_builder_message(&b, GBX_ANY, &message), 0);

        same_bytes(message.body, message.body_bytes, tree);
        count = cbor_serialize_alloc(tree, &theirs, &room);
        assert_true(count > 0);
        same_bytes(theirs, count, tree);
        loaded = cbor_load(message.body, message.body_bytes, &result);
        assert_int_equal(result.error.code, CBOR_ERR_NONE);
        assert_int_equal(result.read, message.body_bytes);
        same_bytes(message.body, message.body_bytes, loaded);

        cbor_decref(&loaded);
        cbor_decref(&tree);
        free(theirs);
        gbx_builder_fini(&b);
    }
}

/*
 * The oracle takes strings in pieces too.  It knows no tags from 6 to 20, which
 * the first CBOR (RFC 7049) had kept free; so none of them is drawn.
 */
static void what_we_read_the_oracle_reads_too(void **state)
{
    int both = 0;

    (void)state;
    seed = 42;
    for (int i = 0; i < 200000; i++) {
        static const uint8_t likely[] = {0x9f, 0xbf, 0xff, 0x82, 0xa1,
                                         0xc1, 0x18, 0x61, 0xf9, 0x42};
        struct cbor_load_result result;
        struct gbx_reader r;
        struct gbx_item item;
        uint8_t bytes[12];
        size_t count = 1 + draw(sizeof(bytes));
        cbor_item_t *loaded;
        int rc;

        for (size_t j = 0; j < count; j++) {
            do
                bytes[j] = (uint8_t)draw(256);
            while (bytes[j] >= 0xc6 && bytes[j] <= 0xd4);
            if (draw(3) > 0)
                bytes[j] = likely[draw(sizeof(likely))];
        }
        gbx_reader_init(&r, bytes, count);
        while ((rc = gbx_read(&r, &item)) == 0)
            continue;
        if (rc != GBX_EAGAIN)
            continue;
        loaded = cbor_load(bytes, count, &result);
        assert_non_null(loaded);
        assert_int_equal(result.read, r.at);
        cbor_decref(&loaded);
        both++;
    }
    assert_true(both > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_read_what_either_writes),
        cmocka_unit_test(what_we_read_the_oracle_reads_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
