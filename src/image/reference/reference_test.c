/* SPDX-License-Identifier: Apache-2.0 */
/* reference_test.c - names of images, as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "image/reference/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX_A63                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void what_people_write_has_one_name(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"python", "docker.io/library/python:latest"},
        {"python:3.11-slim", "docker.io/library/python:3.11-slim"},
        {"a/b", "docker.io/a/b:latest"},
        {"docker.io/python", "docker.io/library/python:latest"},
        {"index.docker.io/a/b:1", "docker.io/a/b:1"},
        {"ghcr.io/a/b/c:v1.2_x", "ghcr.io/a/b/c:v1.2_x"},
        {"localhost/x", "localhost/x:latest"},
        {"localhost:5000/x", "localhost:5000/x:latest"},
        {"host:5000/a/b@sha256:" HEX, "host:5000/a/b@sha256:" HEX},
        {"python:3@sha256:" HEX, "docker.io/library/python@sha256:" HEX},
        {"[::1]:5000/x:y", "[::1]:5000/x:y"},
        {"127.0.0.1:5000/a__b/c--d.e", "127.0.0.1:5000/a__b/c--d.e:latest"},
        {"UPPER.example/x", "UPPER.example/x:latest"},
        {"sha256:0123ab", "sha256:0123ab"},
        {"sha256:" HEX, "sha256:" HEX},
        {"oci:dir", "oci:dir"},
        {"oci:/a/b:tag", "oci:/a/b:tag"},
        {"docker-archive:f.tar:a/b:1", "docker-archive:f.tar:a/b:1"},
        {"rootfs:/a:b", "rootfs:/a:b"},
        {"oci", "docker.io/library/oci:latest"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reference reference, again;
        char name[REFERENCE_NAME_BYTES], twice[REFERENCE_NAME_BYTES];
        struct gbx_error err = {0};

        if (reference_parse(&reference, cases[i].text, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.what);
        reference_name(&reference, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(reference_parse(&again, name, NULL), 0);
        reference_name(&again, twice);
        assert_string_equal(twice, name);
    }
}

static void what_is_no_name_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "no name"},
        {"Python", "lower case"},
        {"host:5000/A", "lower case"},
        {"a b", "no name of an image"},
        {"/etc", "rootfs:DIR"},
        {"./x", "registry"},
        {"../x", "registry"},
        {"a//b", "no name of an image"},
        {"a/", "no name of an image"},
        {"a-", "no name of an image"},
        {"-a", "no name of an image"},
        {"a...b", "no name of an image"},
        {"a___b", "no name of an image"},
        {"a:", "a tag is"},
        {"a:-x", "a tag is"},
        {"a:b/c", "registry"},
        {"a:x y", "a tag is"},
        {"a@sha256:" HEX_A63, "64 hex digits"},
        {"a@sha256:" HEX_A63 "A", "64 hex digits"},
        {"a@md5:" HEX, "64 hex digits"},
        {"a@", "64 hex digits"},
        {"host:99999999/a", "a registry is"},
        {"host:/a", "a registry is"},
        {"[::1/a.b", "a registry is"},
        {"a\n.b/c", "a registry is"},
        {"sha256:0123", "6 to 64"},
        {"sha256:" HEX "0", "6 to 64"},
        {"sha256:0123xyz", "6 to 64"},
        {"oci:", "path is missing"},
        {"docker-archive::x", "path is missing"},
        {"rootfs:", "path is missing"},
        {A50 A50 A50 A50 A50 "/" A50, "longer than 255"},
        {"a:" A50 A50 A50, "a tag is"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reference reference;
        struct gbx_error err = {0};

        if (reference_parse(&reference, cases[i].text, &err) != GBX_EARGUMENT ||
            strstr(err.what, cases[i].why) == NULL)
            fail_msg("\"%s\": %s", cases[i].text, err.what);
    }
}

static void only_this_host_is_this_host(void **state)
{
    static const struct {
        const char *text;
        bool is_here;
    } cases[] = {{"localhost:5000/x", true},  {"localhost/x", true},
                 {"127.0.0.1:80/x", true},    {"[::1]:80/x", true},
                 {"localhost.evil/x", false}, {"x", false},
                 {"128.0.0.1/x", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reference reference;

        assert_int_equal(reference_parse(&reference, cases[i].text, NULL), 0);
        assert_int_equal(reference_is_loopback(&reference), cases[i].is_here);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write_has_one_name),
        cmocka_unit_test(what_is_no_name_is_refused_with_a_reason),
        cmocka_unit_test(only_this_host_is_this_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
