/* SPDX-License-Identifier: Apache-2.0 */
/* The reader is the wall: it gets whatever a guest cared to write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/message.h"

static size_t from_hex(uint8_t *to, size_t room, const char *hex)
{
    size_t count = strlen(hex) / 2;
    unsigned byte;

    assert_true(count <= room);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        to[i] = (uint8_t)byte;
    }
    return count;
}

/* One item in words: 7, "a", [2, {1, h'ff', f32[2,3]; depth by dots before. */
static void describe(char *to, size_t room, const struct gbx_item *item)
{
    char *at = to + sprintf(to, "%.*s", (int)item->depth, "........");
    const uint8_t *bytes = item->bytes;

    switch (item->kind) {
    case GBX_ITEM_NULL:
        strcpy(at, "null");
        break;
    case GBX_ITEM_BOOLEAN:
        strcpy(at, item->value.boolean ? "true" : "false");
        break;
    case GBX_ITEM_INTEGER:
        sprintf(at, "%lld", (long long)item->value.integer);
        break;
    case GBX_ITEM_UNSIGNED:
        sprintf(at, "u%llu", (unsigned long long)item->value.natural);
        break;
    case GBX_ITEM_NEGATIVE:
        sprintf(at, "-1-%llu", (unsigned long long)item->value.natural);
        break;
    case GBX_ITEM_FLOAT:
        sprintf(at, "%a", item->value.real);
        break;
    case GBX_ITEM_TEXT:
        snprintf(at, room - 8, "\"%.*s\"", (int)item->count,
                 (const char *)bytes);
        break;
    case GBX_ITEM_BIGNUM:
    case GBX_ITEM_BYTES:
        at += sprintf(at, "%s'",
                      item->kind == GBX_ITEM_BYTES ? "h"
                      : item->negative             ? "-n"
                                                   : "n");
        for (uint64_t i = 0; i < item->count; i++)
            at += sprintf(at, "%02x", bytes[i]);
        strcpy(at, "'");
        break;
    case GBX_ITEM_ARRAY:
        sprintf(at, "[%llu", (unsigned long long)item->count);
        break;
    case GBX_ITEM_MAP:
        sprintf(at, "{%llu", (unsigned long long)item->count);
        break;
    case GBX_ITEM_TYPED:
        at += sprintf(at, "%s", gbx_dtype_name((int)item->array.dtype));
        for (uint32_t i = 0; i < item->array.rank; i++)
            at += sprintf(at, "%c%llu", i ? 'x' : '<',
                          (unsigned long long)item->array.dims[i]);
        sprintf(at, ":%zu>", item->array.data_bytes);
        break;
    }
}

/* The whole walk in words; at its end the code, or what is left over. */
static void walk(char *to, const void *bytes, size_t count)
{
    void *copy = malloc(count + (count == 0)); /* exact: ASan sees one more */
    struct gbx_reader r;
    struct gbx_item item;
    int rc;

    memcpy(copy, bytes, count);
    gbx_reader_init(&r, copy, count);
    *to = '\0';
    while ((rc = gbx_read(&r, &item)) == 0) {
        describe(to, 100, &item);
        to += strlen(to);
        strcpy(to++, " ");
    }
    if (rc != GBX_EAGAIN)
        sprintf(to, "!%s", gbx_error_name(rc));
    else if (r.at != r.count)
        sprintf(to, "+%zu", r.count - r.at);
    assert_int_equal(gbx_read(&r, &item), rc); /* and so it stays */
    free(copy);
}

struct example {
    const char *hex, *want;
};

static void check(const struct example *examples, size_t count)
{
    uint8_t bytes[256];
    char got[4096];

    for (size_t i = 0; i < count; i++) {
        size_t length = from_hex(bytes, sizeof(bytes), examples[i].hex);
        walk(got, bytes, length);
        if (strcmp(got, examples[i].want) != 0)
            print_error("%s\n", examples[i].hex);
        assert_string_equal(got, examples[i].want);
    }
}

static void every_kind_of_item_is_read(void **state)
{
    static const struct example examples[] = {
        {"00", "0 "},
        {"17", "23 "},
        {"1818", "24 "},
        {"1903e8", "1000 "},
        {"1b7fffffffffffffff", "9223372036854775807 "},
        {"1b8000000000000000", "u9223372036854775808 "},
        {"1bffffffffffffffff", "u18446744073709551615 "},
        {"20", "-1 "},
        {"3903e7", "-1000 "},
        {"3b7fffffffffffffff", "-9223372036854775808 "},
        {"3b8000000000000000", "-1-9223372036854775808 "},
        {"3bffffffffffffffff", "-1-18446744073709551615 "},
        {"1900ff", "255 "}, /* longer than it need be */
        {"f4", "false "},
        {"f5", "true "},
        {"f6", "null "},
        {"f7", "null "}, /* undefined */
        {"f90000", "0x0p+0 "},
        {"f98000", "-0x0p+0 "},
        {"f93c00", "0x1p+0 "},
        {"f97bff", "0x1.ffcp+15 "},
        {"f90001", "0x1p-24 "},
        {"f903ff", "0x1.ff8p-15 "},
        {"f90400", "0x1p-14 "},
        {"f97c00", "inf "},
        {"f9fc00", "-inf "},
        {"fa47c35000", "0x1.86ap+16 "},
        {"fb3ff199999999999a", "0x1.199999999999ap+0 "},
        {"fb8000000000000000", "-0x0p+0 "},
        {"fb0000000000000001", "0x0.0000000000001p-1022 "},
        {"40", "h'' "},
        {"43010203", "h'010203' "},
        {"60", "\"\" "},
        {"63e6b0b4", "\"\xe6\xb0\xb4\" "},
        {"80", "[0 "},
        {"83010203", "[3 .1 .2 .3 "},
        {"8201820203", "[2 .1 .[2 ..2 ..3 "},
        {"a0", "{0 "},
        {"a26161016162820203", "{2 .\"a\" .1 .\"b\" .[2 ..2 ..3 "},
        {"a1820102f6", "{1 .[2 ..1 ..2 .null "}, /* keys may be anything */
        {"c249010000000000000000", "n'010000000000000000' "},
        {"c340", "-n'' "},
        {"c11a514b67b0", "1363896240 "}, /* a tag that we skip */
        {"d9d9f7c1c100", "0 "},          /* more of them */
        {"82c10182c102c103", "[2 .1 .[2 ..2 ..3 "},
    };

    (void)state;
    check(examples, ARRAY_SIZE(examples));
}

static void unknown_lengths_are_counted_first(void **state)
{
    static const struct example examples[] = {
        {"9fff", "[0 "},
        {"bfff", "{0 "},
        {"9f0102ff", "[2 .1 .2 "},
        {"9f01820203ff", "[2 .1 .[2 ..2 ..3 "},
        {"9f019f0203ffff", "[2 .1 .[2 ..2 ..3 "},
        {"bf61610161629f0203ffff", "{2 .\"a\" .1 .\"b\" .[2 ..2 ..3 "},
        {"9fa0a0bfff80ff", "[4 .{0 .{0 .{0 .[0 "},
        {"9fc101c1c1820203ff", "[2 .1 .[2 ..2 ..3 "},
        {"829f0102ff9fff", "[2 .[2 ..1 ..2 .[0 "},
        {"9f43ffffffff", "[1 .h'ffffff' "}, /* these bytes are no break */
        {"9f01ff02", "[1 .1 +1"},
        {"9f01", "!EBOUNDS"},
        {"9f", "!EBOUNDS"},
        {"bf01ff", "!EFORMAT"}, /* a key without a value */
        {"9fc1ff", "!EFORMAT"}, /* a tag without an item */
        {"9f82ffff", "!EFORMAT"},
        {"82ff01", "[2 !EFORMAT"},
        {"ff", "!EFORMAT"},
        {"9f1fff", "!EFORMAT"},
        {"9f7f6161ffff", "!EFORMAT"},
    };

    (void)state;
    check(examples, ARRAY_SIZE(examples));
}

static void nothing_that_is_claimed_is_believed(void **state)
{
    static const struct example examples[] = {
        {"", "!EBOUNDS"},
        {"18", "!EBOUNDS"},
        {"1bffffffffffffff", "!EBOUNDS"},
        {"4401", "!EBOUNDS"},
        {"61", "!EBOUNDS"},
        {"5bffffffffffffffff", "!EBOUNDS"},
        {"7bffffffffffffffff61", "!EBOUNDS"},
        {"81", "!EBOUNDS"},
        {"9bffffffffffffffff", "!EBOUNDS"},
        {"9a00ffffff00", "!EBOUNDS"},
        {"a100", "!EBOUNDS"},
        {"bb8000000000000000", "!EBOUNDS"}, /* twice that wraps to 0 */
        {"bb80000000000000010000", "!EBOUNDS"},
        {"8201", "!EBOUNDS"},
        {"820181", "[2 .1 !EBOUNDS"},
        {"c1", "!EBOUNDS"},
        {"c2", "!EBOUNDS"},
        {"1c", "!EFORMAT"},
        {"3e", "!EFORMAT"},
        {"fd", "!EFORMAT"},
        {"1f", "!EFORMAT"},
        {"3f", "!EFORMAT"},
        {"df00", "!EFORMAT"},
        {"f0", "!EFORMAT"}, /* simple values that nobody defined */
        {"f820", "!EFORMAT"},
        {"f814", "!EFORMAT"},     /* false, spelled wrong */
        {"5f4101ff", "!EFORMAT"}, /* strings in pieces */
        {"7f6161ff", "!EFORMAT"},
        {"c201", "!EFORMAT"}, /* a bignum is bytes */
        {"c2c24101", "!EFORMAT"},
        {"61ff", "!EFORMAT"}, /* no UTF-8 */
        {"62c080", "!EFORMAT"},
        {"63eda080", "!EFORMAT"},
        {"0001", "0 +1"},
    };

    (void)state;
    check(examples, ARRAY_SIZE(examples));
}

static void typed_arrays_are_one_item(void **state)
{
    static const struct example examples[] = {
        {"d84043010203", "u8<3:3> "},
        {"d84040", "u8<0:0> "},
        {"d84544ff00ff00", "u16<2:4> "},
        {"d856480000000000000000", "f64<1:8> "},
        {"82d8404101d8484102", "[2 .u8<1:1> .i8<1:1> "},
        {"c1d8404101", "u8<1:1> "},
        {"d82882820203d84046010203040506", "u8<2x3:6> "},
        {"d82882820003d84040", "u8<0x3:0> "},
        {"9fd82882820101d8404100ff", "[1 .u8<1x1:1> "},
        {"d84543010203", "!EFORMAT"}, /* half an element */
        {"d84143010203", "!EFORMAT"}, /* big-endian */
        {"d844420102", "!EFORMAT"},   /* clamped */
        {"d8404401", "!EBOUNDS"},
        {"d840", "!EBOUNDS"},
        {"d84063616263", "!EFORMAT"}, /* text is no array */
        {"d840820102", "!EFORMAT"},
        {"d8405f4101ff", "!EFORMAT"},
        {"d82882820203d840450102030405", "!EFORMAT"}, /* 2x3 is not 5 */
        {"d828820304", "!EFORMAT"},
        {"d8288280d84040", "!EFORMAT"},                     /* no dimensions */
        {"d8288289010101010101010101d8404101", "!EFORMAT"}, /* nine */
        {"d828828888010101010101010101", "!EFORMAT"},
        {"d82882822001d8404101", "!EFORMAT"},               /* one is -1 */
        {"d82882821b800000000000000002d84040", "!EFORMAT"}, /* wraps to 0 */
        {"d82882821bffffffffffffffff00d84040", "!EFORMAT"},
        {"d82882821a00010000"
         "1b0001000000000000d84040",
         "!EFORMAT"},
        {"d8289f820101d8404100ff", "!EFORMAT"},
    };

    (void)state;
    check(examples, ARRAY_SIZE(examples));
}

static void nesting_ends_at_the_limit(void **state)
{
    static const struct {
        uint8_t opening;
        uint32_t levels;
        int want;
    } cases[] = {
        {0x81, GBX_CBOR_DEPTH_MAX, GBX_EAGAIN},
        {0x81, GBX_CBOR_DEPTH_MAX + 1, GBX_EFORMAT},
        {0x81, 100000, GBX_EFORMAT},
        {0x9f, GBX_CBOR_DEPTH_MAX, GBX_EAGAIN},
        {0x9f, GBX_CBOR_DEPTH_MAX + 1, GBX_EFORMAT},
        {0x9f, 100000, GBX_EFORMAT},
        {0xc1, 100000, GBX_EAGAIN}, /* tags are not nesting */
    };
    uint8_t *bytes = malloc(200001);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_reader r;
        struct gbx_item item;
        uint32_t n = cases[i].levels;
        int rc;
        memset(bytes, cases[i].opening, n);
        bytes[n] = 0x07;
        memset(bytes + n + 1, 0xff, n);
        gbx_reader_init(&r, bytes,
                        cases[i].opening == 0x9f ? 2 * n + 1 : n + 1);
        while ((rc = gbx_read(&r, &item)) == 0)
            continue;
        assert_int_equal(rc, cases[i].want);
        if (rc == GBX_EAGAIN) {
            assert_int_equal(item.value.integer, 7);
            assert_int_equal(r.at, r.count);
        }
    }
    free(bytes);
}

static void what_is_cut_off_says_so_wherever_it_is_cut(void **state)
{
    /* {"a": [1, -1, 1.5, "bc"], "d": u16 2x2, "e": [_ {_ "f": h'00'}]} */
    static const char hex[] = "a3616184"
                              "0120fb3ff8000000000000626263"
                              "6164d82882820202d845480100020003000400"
                              "61659fbf61664100ffff";
    uint8_t bytes[64];
    size_t count = from_hex(bytes, sizeof(bytes), hex);
    char got[4096];

    (void)state;
    walk(got, bytes, count);
    assert_string_equal(got, "{3 .\"a\" .[4 ..1 ..-1 ..0x1.8p+0 ..\"bc\" "
                             ".\"d\" .u16<2x2:8> .\"e\" .[1 ..{1 ...\"f\" "
                             "...h'00' ");
    for (size_t i = 0; i < count; i++) {
        walk(got, bytes, i);
        assert_non_null(strstr(got, "!EBOUNDS"));
    }
}

/* A message without a body has none to point to. */
static void nothing_at_no_place_is_cut_off(void **state)
{
    struct gbx_reader r;
    struct gbx_item item;

    (void)state;
    gbx_reader_init(&r, NULL, 0);
    assert_int_equal(gbx_read(&r, &item), GBX_EBOUNDS);
}

static void what_was_built_is_read(void **state)
{
    static const int16_t numbers[6] = {1, -2, 3, -4, 5, -6};
    struct gbx_array array = {.dtype = GBX_DTYPE_I16,
                              .rank = 2,
                              .dims = {2, 3},
                              .data = numbers,
                              .data_bytes = sizeof(numbers)};
    struct gbx_message message;
    struct gbx_builder b;
    char got[4096];

    (void)state;
    gbx_builder_init(&b);
    gbx_build_map(&b, 1);
    gbx_build_text(&b, "k", 1);
    gbx_build_array(&b, 11);
    gbx_build_null(&b);
    gbx_build_boolean(&b, true);
    gbx_build_integer(&b, INT64_MIN);
    gbx_build_integer(&b, INT64_MAX);
    gbx_build_integer(&b, -25);
    gbx_build_unsigned(&b, UINT64_MAX);
    gbx_build_float(&b, -0.0);
    gbx_build_text(&b, NULL, 0);
    gbx_build_bytes(&b, "\xff", 1);
    gbx_build_typed(&b, &array);
    gbx_build_item(&b, "\x81\x01", 2);
    assert_int_equal(gbx_builder_message(&b, GBX_OBJECT, &message), 0);
    walk(got, message.body, message.body_bytes);
    assert_string_equal(
        got, "{1 .\"k\" .[11 ..null ..true ..-9223372036854775808 "
             "..9223372036854775807 ..-25 ..u18446744073709551615 ..-0x0p+0 "
             "..\"\" ..h'ff' ..i16<2x3:12> ..[1 ...1 ");
    gbx_builder_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_item_is_read),
        cmocka_unit_test(unknown_lengths_are_counted_first),
        cmocka_unit_test(nothing_that_is_claimed_is_believed),
        cmocka_unit_test(typed_arrays_are_one_item),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(what_is_cut_off_says_so_wherever_it_is_cut),
        cmocka_unit_test(nothing_at_no_place_is_cut_off),
        cmocka_unit_test(what_was_built_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
