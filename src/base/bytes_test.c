/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes_test.c - what is written is read again, and what is not there is an
 * error that sticks.
 *
 * The linker puts realloc of this file before the C library's (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static bool no_memory;

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_realloc(void *old, size_t bytes)
{
    return no_memory ? NULL : __real_realloc(old, bytes);
}

static struct bytes_in reader(const struct bytes_out *out)
{
    return (struct bytes_in){out->bytes, out->bytes + out->count, false};
}

/* One of each. */
static struct bytes_out good(void)
{
    struct bytes_out out = {0};

    bytes_put(&out, "abc", 3);
    bytes_put_number(&out, UINT64_MAX - 1);
    bytes_put_text(&out, "a text");
    bytes_put_text(&out, NULL);
    bytes_put_text(&out, "");
    bytes_put_block(&out, "\0\1\2", 3);
    bytes_put_block(&out, NULL, 0);
    assert_false(out.failed);
    return out;
}

static void what_was_put_is_taken_in_the_same_order(void **state)
{
    struct bytes_out out = good();
    struct bytes_in in = reader(&out);
    const void *block;
    char three[3];
    size_t bytes;

    (void)state;
    bytes_take(&in, three, 3);
    assert_memory_equal(three, "abc", 3);
    assert_int_equal(bytes_take_number(&in), UINT64_MAX - 1);
    assert_string_equal(bytes_take_text(&in), "a text");
    assert_null(bytes_take_text(&in));
    assert_string_equal(bytes_take_text(&in), "");
    block = bytes_take_block(&in, &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(block, "\0\1\2", 3);
    assert_non_null(bytes_take_block(&in, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(in.failed);
    assert_ptr_equal(in.at, in.end);
    bytes_out_fini(&out);
}

static void take_all(struct bytes_in *in)
{
    char three[3];
    size_t bytes;

    bytes_take(in, three, 3);
    bytes_take_number(in);
    for (int i = 0; i < 3; i++)
        bytes_take_text(in);
    bytes_take_block(in, &bytes);
    bytes_take_block(in, &bytes);
}

static void cut_off_anywhere_it_is_an_error(void **state)
{
    struct bytes_out out = good();

    (void)state;
    for (size_t count = 0; count <= out.count; count++) {
        uint8_t *copy = malloc(count + 1); /* a tool would see one too far */
        struct bytes_in in = {copy, copy + count, false};

        memcpy(copy, out.bytes, count);
        take_all(&in);
        assert_int_equal(in.failed, count < out.count);
        free(copy);
    }
    bytes_out_fini(&out);
}

static void after_an_error_all_is_zero(void **state)
{
    const uint8_t few[] = {1, 2, 3};
    struct bytes_in in = {few, few + sizeof(few), false};
    uint8_t value[4] = {9, 9, 9, 9};
    size_t bytes = 7;

    (void)state;
    bytes_take(&in, value, sizeof(value));
    assert_true(in.failed);
    assert_memory_equal(value, "\0\0\0\0", 4);
    value[0] = 9;
    bytes_take(&in, value, 1); /* though it would be there */
    assert_int_equal(value[0], 0);
    assert_int_equal(bytes_take_number(&in), 0);
    assert_null(bytes_take_text(&in));
    assert_null(bytes_take_block(&in, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(in.failed);
}

static void a_block_does_not_leave_what_is_read(void **state)
{
    static const uint64_t lengths[] = {9, 1ull << 32, INT64_MAX, UINT64_MAX - 7,
                                       UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes_out out = {0};
        struct bytes_in in;
        size_t bytes;

        bytes_put_number(&out, lengths[i]);
        bytes_put(&out, "12345678", 8);
        in = reader(&out);
        assert_null(bytes_take_block(&in, &bytes));
        assert_int_equal(bytes, 0);
        assert_true(in.failed);
        in = reader(&out);
        assert_null(bytes_take_text(&in));
        assert_true(in.failed);
        bytes_out_fini(&out);
    }
}

static void a_text_has_its_end(void **state)
{
    struct bytes_out out = {0};
    struct bytes_in in;

    (void)state;
    bytes_put_block(&out, "open", 4);
    bytes_put(&out, "", 1); /* it is not the text's */
    in = reader(&out);
    assert_null(bytes_take_text(&in));
    assert_true(in.failed);
    bytes_out_fini(&out);
}

static void many_grow_it(void **state)
{
    struct bytes_out out = {0};
    struct bytes_in in;
    static uint8_t large[100000];

    (void)state;
    for (uint64_t i = 0; i < 5000; i++)
        bytes_put_number(&out, i);
    memset(large, 7, sizeof(large));
    bytes_put(&out, large, sizeof(large)); /* by more than the double */
    assert_int_equal(out.count, 40000 + sizeof(large));
    in = reader(&out);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(bytes_take_number(&in), i);
    assert_memory_equal(in.at, large, sizeof(large));
    bytes_out_fini(&out);
    assert_null(out.bytes);
    bytes_out_fini(&out);
}

static void without_memory_it_fails_and_stays_so(void **state)
{
    struct bytes_out out = {0};
    size_t count;

    (void)state;
    bytes_put_number(&out, 1);
    count = out.room - out.count;
    no_memory = true;
    for (size_t i = 0; i < count; i++)
        bytes_put(&out, "x", 1);
    assert_false(out.failed);
    bytes_put(&out, "x", 1);
    assert_true(out.failed);
    no_memory = false;
    bytes_put(&out, "x", 1); /* a gap would be worse than an end */
    assert_true(out.failed);
    assert_int_equal(out.count, out.room);
    bytes_out_fini(&out);
    assert_false(out.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_taken_in_the_same_order),
        cmocka_unit_test(cut_off_anywhere_it_is_an_error),
        cmocka_unit_test(after_an_error_all_is_zero),
        cmocka_unit_test(a_block_does_not_leave_what_is_read),
        cmocka_unit_test(a_text_has_its_end),
        cmocka_unit_test(many_grow_it),
        cmocka_unit_test(without_memory_it_fails_and_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
