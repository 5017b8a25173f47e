/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "glovebox/error.h"
#include "net/body/multipart.h"

#define TYPE "multipart/form-data; boundary=xyz"

/* What came, a line for each part: "name|file|type|data\n"; and how it ended.
 */
static char seen[2000];
static size_t seen_bytes;

static void see(const void *data, size_t bytes)
{
    assert_true(seen_bytes + bytes < sizeof(seen));
    memcpy(seen + seen_bytes, data, bytes);
    seen_bytes += bytes;
    seen[seen_bytes] = '\0';
}

static void see_part(const struct multipart_part *part)
{
    see(part->name, strlen(part->name));
    see("|", 1);
    see(part->file, strlen(part->file));
    see("|", 1);
    see(part->type, strlen(part->type));
    see("|", 1);
}

/* In pieces of `most` bytes.  Returns the last event, or GBX_EFORMAT. */
static int read_form(const char *type, const char *body, size_t most)
{
    const uint8_t *at = (const uint8_t *)body, *end, *last = at + strlen(body);
    struct multipart reader;
    int event, before = 0;

    seen_bytes = 0;
    seen[0] = '\0';
    if (multipart_open(&reader, type) < 0)
        return GBX_EFORMAT;
    for (end = at; end < last;) {
        end = (size_t)(last - end) < most ? last : end + most;
        while ((event = multipart_next(&reader, &at, end)) > 0) {
            before = event;
            if (event == MULTIPART_PART)
                see_part(&reader.part);
            else if (event == MULTIPART_DATA)
                see(reader.data, reader.bytes);
            else if (event == MULTIPART_PART_END)
                see("\n", 1);
        }
        if (event < 0)
            return event;
        assert_ptr_equal(at, end);
    }
    return before;
}

static void assert_form(const char *type, const char *body, const char *parts)
{
    for (size_t most = 1; most <= strlen(body); most++) {
        assert_int_equal(read_form(type, body, most), MULTIPART_END);
        assert_string_equal(seen, parts);
    }
}

static void parts_are_seen_however_they_come(void **state)
{
    (void)state;
    assert_form(TYPE,
                "--xyz\r\n"
                "Content-Disposition: form-data; name=\"a b\"\r\n\r\n"
                "one\r\n"
                "--xyz  \r\n"
                "content-type: image/png\r\n"
                "X-Other: x\r\n"
                "content-disposition: form-data; filename=\"q\\\".png\"; "
                "name=two\r\n\r\n"
                "\r\n--xy\r\r\n--xyy\r\n--xyz\r\n"
                "Content-Disposition: form-data; name=\"empty\"\r\n\r\n"
                "\r\n--xyz\r\n"
                "Content-Disposition: form-data; name=\"less\"\r\n\r\n"
                "--xyz--\r\nignored",
                "a b|||one\n"
                "two|q\".png|image/png|\r\n--xy\r\r\n--xyy\n"
                "empty|||\n"
                "less|||\n");
}

static void a_preamble_and_a_quoted_boundary_are_read(void **state)
{
    (void)state;
    assert_form("Multipart/Form-Data; charset=utf-8; boundary=\"x:z\"",
                "hello\r\n--x:z\r\n"
                "Content-Disposition: form-data; name=\"n\"\r\n\r\n"
                "v\r\n--x:z--",
                "n|||v\n");
}

static void what_is_none_has_no_end(void **state)
{
    static const struct {
        const char *type, *body;
    } cases[] = {
        {"text/plain; boundary=xyz", "--xyz--"},
        {"multipart/form-data", "--xyz--"},
        {"multipart/form-data; boundary=", "--xyz--"},
        {"multipart/form-data; boundary=\"xyz", "--xyz--"},
        {TYPE, ""},
        {TYPE, "--xy--"},
        {TYPE, "--xyz"},
        {TYPE, "--xyz\r\n"},
        {TYPE, "--xyzz\r\n\r\n\r\n--xyz--"},
        {TYPE, "--xyz\r\nContent-Disposition: form-data\r\n\r\nv\r\n--xyz--"},
        {TYPE, "--xyz\r\nContent-Disposition: form-data; name=\"n\r\n\r\n"
               "v\r\n--xyz--"},
        {TYPE, "--xyz\r\nContent-Disposition: form-data; name=n\r\n\r\nv"},
        {TYPE, "--xyz\r\nContent-Disposition: form-data; name=n\r\nv--xyz--"},
    };
    char type[200] = "multipart/form-data; boundary=";

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_not_equal(read_form(cases[i].type, cases[i].body, SIZE_MAX),
                             MULTIPART_END);
    memset(type + strlen(type), 'b', 71);
    assert_int_equal(read_form(type, "--", 2), GBX_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_seen_however_they_come),
        cmocka_unit_test(a_preamble_and_a_quoted_boundary_are_read),
        cmocka_unit_test(what_is_none_has_no_end),
    };

    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
