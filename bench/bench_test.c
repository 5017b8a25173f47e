/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baseline/codec.h"
#include "measure.h"

#define LARGEST 300

static void the_median_lies_in_the_middle_and_p99_near_the_end(void **state)
{
    struct samples samples = {0};
    struct figure figure;

    (void)state;
    assert_int_equal(samples_figure(&samples).count, 0);
    for (uint64_t i = 0; i < 1000; i++)
        samples_add(&samples, 1 + (i * 7) % 1000); /* 1 to 1000, mixed */
    figure = samples_figure(&samples);
    assert_int_equal(figure.count, 1000);
    assert_true(figure.median == 500.5);
    assert_true(figure.p99 == 990);
    samples_fini(&samples);

    samples_add(&samples, 3);
    figure = samples_figure(&samples);
    assert_true(figure.median == 3 && figure.p99 == 3);
    samples_fini(&samples);
}

static void as_many_repeats_as_fit_but_never_too_few(void **state)
{
    (void)state;
    assert_int_equal(measure_repeats(10, 1000, 5, 500), 100);
    assert_int_equal(measure_repeats(0, 1000, 5, 500), 500);
    assert_int_equal(measure_repeats(5000, 1000, 5, 500), 5);
}

static void bytes_come_back_from_their_text(void **state)
{
    uint8_t data[LARGEST], back[2 * LARGEST * 4];
    char text[LARGEST * 4 + 8];
    size_t length;

    (void)state;
    codec_init();
    for (size_t i = 0; i < LARGEST; i++)
        data[i] = (uint8_t)(i * 151 + 9);
    for (size_t bytes = 0; bytes <= LARGEST; bytes++) {
        length = codec_base64(text, data, bytes);
        assert_true(length <= codec_room(bytes));
        assert_int_equal(codec_from_base64(back, text, length), bytes);
        assert_memory_equal(back, data, bytes);
        length = codec_array(text, data, bytes);
        assert_true(length <= codec_room(bytes));
        assert_int_equal(codec_from_array(back, text, length), bytes);
        assert_memory_equal(back, data, bytes);
    }
}

static void the_texts_are_those_of_others(void **state)
{
    static const struct {
        const char *bytes, *base64, *array;
    } cases[] = {
        {"", "\"\"", "[]"},
        {"f", "\"Zg==\"", "[102]"},
        {"fo", "\"Zm8=\"", "[102,111]"},
        {"foobar", "\"Zm9vYmFy\"", "[102,111,111,98,97,114]"},
        {"\xff\t", "\"/wk=\"", "[255,9]"},
    };
    char text[64];

    (void)state;
    codec_init();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        size_t count = strlen(cases[i].bytes), length;

        length = codec_base64(text, bytes, count);
        assert_int_equal(length, strlen(cases[i].base64));
        assert_memory_equal(text, cases[i].base64, length);
        length = codec_array(text, bytes, count);
        assert_int_equal(length, strlen(cases[i].array));
        assert_memory_equal(text, cases[i].array, length);
    }
}

static void a_text_that_is_something_else_is_no_answer(void **state)
{
    static const char *const texts[] = {
        "",      "\"",   "\"Zg=\"", "\"Z===\"", "\"Zg==",       "\"Z!==\"",
        "null",  "[",    "[1",      "[1,]",     "[,1]",         "[256]",
        "[1.5]", "[-1]", "[1 2]",   "[1][2]",   "\"Zg==Zg==\"", "[0001]",
    };
    uint8_t back[64];

    (void)state;
    codec_init();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t length = strlen(texts[i]);

        assert_int_equal(codec_from_base64(back, texts[i], length), -1);
        assert_int_equal(codec_from_array(back, texts[i], length), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_lies_in_the_middle_and_p99_near_the_end),
        cmocka_unit_test(as_many_repeats_as_fit_but_never_too_few),
        cmocka_unit_test(bytes_come_back_from_their_text),
        cmocka_unit_test(the_texts_are_those_of_others),
        cmocka_unit_test(a_text_that_is_something_else_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
