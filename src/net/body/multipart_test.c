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

static struct multipart reader;
static struct multipart_part part;

static int begin(const char *type, const char *body)
{
    return multipart_begin(&reader, type, body, strlen(body));
}

static void assert_part(const char *name, const char *file, const char *type,
                        const char *data)
{
    assert_int_equal(multipart_next(&reader, &part), 0);
    assert_string_equal(part.name, name);
    assert_string_equal(part.file, file);
    assert_string_equal(part.type, type);
    assert_int_equal(part.bytes, strlen(data));
    assert_memory_equal(part.data, data, part.bytes);
}

static void parts_lie_where_they_are(void **state)
{
    (void)state;
    assert_int_equal(
        begin(TYPE, "--xyz\r\n"
                    "Content-Disposition: form-data; name=\"a b\"\r\n\r\n"
                    "one\r\n"
                    "--xyz  \r\n"
                    "content-type: image/png\r\n"
                    "X-Other: x\r\n"
                    "content-disposition: form-data; filename=\"q\\\".png\"; "
                    "name=two\r\n\r\n"
                    "\r\n--xy\r\n--xyz\r\n"
                    "Content-Disposition: form-data; name=\"empty\"\r\n\r\n"
                    "\r\n--xyz--\r\nignored"),
        0);
    assert_part("a b", "", "", "one");
    assert_part("two", "q\".png", "image/png", "\r\n--xy");
    assert_part("empty", "", "", "");
    assert_int_equal(multipart_next(&reader, &part), GBX_EAGAIN);
}

static void a_preamble_and_a_quoted_boundary_are_read(void **state)
{
    (void)state;
    assert_int_equal(
        begin("Multipart/Form-Data; charset=utf-8; boundary=\"x:z\"",
              "hello\r\n--x:z\r\n"
              "Content-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--x:z--"),
        0);
    assert_part("n", "", "", "v");
    assert_int_equal(multipart_next(&reader, &part), GBX_EAGAIN);
}

static void what_is_none_is_refused(void **state)
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
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = begin(cases[i].type, cases[i].body);

        if (rc == 0)
            rc = multipart_next(&reader, &part);
        assert_int_equal(rc, GBX_EFORMAT);
    }
    memset(type + strlen(type), 'b', 71);
    assert_int_equal(begin(type, "--"), GBX_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_lie_where_they_are),
        cmocka_unit_test(a_preamble_and_a_quoted_boundary_are_read),
        cmocka_unit_test(what_is_none_is_refused),
    };

    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
