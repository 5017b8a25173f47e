/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/utf8.h"

#define TEXT(literal) literal, sizeof(literal) - 1

struct text_case {
    const char *text;
    size_t bytes;
};

static void the_edges_of_every_length_are_text(void **state)
{
    static const struct text_case cases[] = {
        {TEXT("")},
        {TEXT("\x00")},
        {TEXT("\x7f")},
        {TEXT("\xc2\x80")},
        {TEXT("\xdf\xbf")},
        {TEXT("\xe0\xa0\x80")},
        {TEXT("\xed\x9f\xbf")},
        {TEXT("\xee\x80\x80")},
        {TEXT("\xef\xbf\xbf")},
        {TEXT("\xf0\x90\x80\x80")},
        {TEXT("\xf4\x8f\xbf\xbf")},
        {TEXT("twelve bytes \xf0\x9f\x98\x80 and then some more")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_true(utf8_valid(cases[i].text, cases[i].bytes));
}

static void what_lies_just_outside_is_not(void **state)
{
    static const struct text_case cases[] = {
        {TEXT("\x80")},
        {TEXT("\xbf")},
        {TEXT("\xc0\x80")},         /* overlong NUL */
        {TEXT("\xc1\xbf")},         /* overlong DEL */
        {TEXT("\xe0\x9f\xbf")},     /* overlong */
        {TEXT("\xed\xa0\x80")},     /* surrogate */
        {TEXT("\xf0\x8f\xbf\xbf")}, /* overlong */
        {TEXT("\xf4\x90\x80\x80")}, /* above U+10FFFF */
        {TEXT("\xf5\x80\x80\x80")},
        {TEXT("\xff")},
        {TEXT("\xc2")}, /* cut off */
        {TEXT("\xe2\x82")},
        {TEXT("\xf0\x9f\x98")},
        {TEXT("\xc2\x41")},
        {TEXT("\xe2\x82\x41")},
        {TEXT("\xf0\x9f\x98\x41")},
        {TEXT("eight!!!\xff")},
        {TEXT("sevens!\xe2\x82")}, /* cut off across a word of eight */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_false(utf8_valid(cases[i].text, cases[i].bytes));
}

/* Every code point, encoded by hand; and nothing else of four bytes or less. */
static void all_characters_and_only_those_are_text(void **state)
{
    uint32_t code;
    char text[4];

    (void)state;
    for (code = 0x800; code < 0x120000; code++) {
        size_t bytes = code < 0x10000 ? 3 : 4;
        int want = (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;

        text[bytes - 1] = (char)(0x80 | (code & 63));
        text[bytes - 2] = (char)(0x80 | (code >> 6 & 63));
        if (bytes == 4)
            text[1] = (char)(0x80 | (code >> 12 & 63));
        text[0] = (char)(bytes == 3 ? 0xe0 | code >> 12 : 0xf0 | code >> 18);
        if (utf8_valid(text, bytes) != (bool)want)
            fail_msg("U+%x", (unsigned)code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_edges_of_every_length_are_text),
        cmocka_unit_test(what_lies_just_outside_is_not),
        cmocka_unit_test(all_characters_and_only_those_are_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
