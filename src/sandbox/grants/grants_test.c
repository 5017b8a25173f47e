/* SPDX-License-Identifier: Apache-2.0 */
/* What is granted: how it is written, where it may be seen, and what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/count_test.h"
#include "sandbox/grants/grants.h"

/* top/data/   top/file   top/pipe (a FIFO)   top/shut/ (mode 0)
 * top/link -> data */
static char top[] = "/tmp/gbx-grants-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
    return path;
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    if (mkdtemp(top) == NULL || mkdir(at("data"), 0755) < 0 ||
        mkdir(at("shut"), 0) < 0 || mkfifo(at("pipe"), 0644) < 0 ||
        symlink("data", at("link")) < 0 ||
        (fd = open(at("file"), O_CREAT | O_WRONLY, 0644)) < 0)
        return -1;
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(at("data")) < 0 || rmdir(at("shut")) < 0 ||
                   unlink(at("pipe")) < 0 || unlink(at("link")) < 0 ||
                   unlink(at("file")) < 0 || rmdir(top) < 0
               ? -1
               : 0;
}

static void it_is_written_as_source_target_and_how(void **state)
{
    static const struct {
        const char *text, *source, *target;
        int is_writable;
    } cases[] = {
        {"data:/data", "data", "/data", 0},
        {"/srv/x:/srv/x:ro", "/srv/x", "/srv/x", 0},
        {"./a b:/c d:cow", "./a b", "/c d", 1},
        {"c:/x:/y", "c:/x", "/y", 0}, /* colons of a source */
        {"a:ro:/y:cow", "a:ro", "/y", 1},
        {"x::/y", "x:", "/y", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64];
        struct gbx_mount mount;

        strcpy(text, cases[i].text);
        assert_int_equal(gbx_mount_parse(&mount, text, NULL), 0);
        assert_string_equal(mount.source, cases[i].source);
        assert_string_equal(mount.target, cases[i].target);
        assert_int_equal(mount.is_writable, cases[i].is_writable);
    }
}

static void what_is_written_otherwise_is_told_whole(void **state)
{
    static const char *const cases[] = {"",           ":",        "data",
                                        "data:",      ":/data",   "data:rel",
                                        "data:/x:up", "data:cow", ":/data:ro",
                                        "data:x:ro",  "data:/x:"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_error err;
        struct gbx_mount mount;
        char text[64];

        strcpy(text, cases[i]);
        assert_int_equal(gbx_mount_parse(&mount, text, &err), GBX_EARGUMENT);
        assert_true(strncmp(err.what, cases[i], strlen(cases[i])) == 0);
        assert_non_null(strstr(err.what, "SOURCE:TARGET"));
        assert_null(mount.source);
    }
}

static void writing_through_is_refused_by_name(void **state)
{
    char text[] = "data:/data:rw";
    struct gbx_mount mount;
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_mount_parse(&mount, text, &err), GBX_EARGUMENT);
    assert_non_null(strstr(err.what, "cow"));
}

static void targets_have_one_form(void **state)
{
    static const struct {
        const char *target, *form;
    } cases[] = {
        {"/data", "/data"},           {"/data/", "/data"},
        {"//data///x", "/data/x"},    {"/./data/.", "/data"},
        {"/a/..b/c..", "/a/..b/c.."}, {"/tmp/x", "/tmp/x"},
        {"/device", "/device"},       {"/scripts", "/scripts"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct gbx_mount mount = {at("data"), cases[i].target, 0};
        struct grants grants;

        assert_int_equal(grants_open(&grants, &mount, 1, NULL), 0);
        assert_string_equal(grants.all[0].target, cases[i].form);
        grants_close(&grants);
    }
}

static char *long_path(size_t name_bytes, size_t count)
{
    char *path = calloc(count, name_bytes + 1), *end = path;

    assert_non_null(path);
    for (size_t i = 0; i < count; i++) {
        *end++ = '/';
        memset(end, 'x', name_bytes);
        end += name_bytes;
    }
    end[-1] = '\0';
    return path;
}

static void places_that_are_the_sandboxs_own_are_refused(void **state)
{
    char *long_name = long_path(257, 1), *many = long_path(7, 200);
    const struct {
        const char *target, *text;
    } cases[] = {
        {NULL, "does not begin with /"},
        {"", "does not begin with /"},
        {"data", "does not begin with /"},
        {"/", "(--root)"},
        {"/./", "(--root)"},
        {"/data/..", "has .. in it"},
        {"/../etc", "has .. in it"},
        {"/tmp", "/tmp"},
        {"/tmp/", "/tmp"},
        {"/dev", "the sandbox's own"},
        {"/dev/x", "the sandbox's own"},
        {"/proc", "the sandbox's own"},
        {"/sys/x/y", "the sandbox's own"},
        {"//script", "the sandbox's own"},
        {"/.glovebox/python", "the sandbox's own"},
        {long_name, "too long"},
        {many, "too long"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct gbx_mount mount = {at("data"), cases[i].target, 0};
        struct gbx_error err;
        struct grants grants;

        assert_int_equal(grants_open(&grants, &mount, 1, &err), GBX_EARGUMENT);
        if (strstr(err.what, cases[i].text) == NULL)
            fail_msg("case %zu: \"%s\"", i, err.what);
        assert_int_equal(grants.count, 0);
    }
    free(long_name);
    free(many);
}

static void no_two_lie_in_each_other(void **state)
{
    static const struct {
        const char *one, *other;
        int rc;
    } cases[] = {
        {"/a", "/a", GBX_EARGUMENT},
        {"/a", "/a/", GBX_EARGUMENT},
        {"/a", "/a/b", GBX_EARGUMENT},
        {"/a/b/c", "/a", GBX_EARGUMENT},
        {"/a", "/ab", 0},
        {"/a/b", "/a/c", 0},
    };
    const int fds = count_open_files();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct gbx_mount mounts[] = {{at("data"), cases[i].one, 0},
                                           {at("file"), cases[i].other, 1}};
        struct gbx_error err;
        struct grants grants;

        assert_int_equal(grants_open(&grants, mounts, 2, &err), cases[i].rc);
        grants_close(&grants);
        assert_int_equal(count_open_files(), fds);
    }
}

static void a_source_is_a_folder_or_a_file_that_can_be_read(void **state)
{
    const struct {
        const char *source, *text;
        int rc;
    } cases[] = {
        {NULL, "no source", GBX_EARGUMENT},
        {"", "no source", GBX_EARGUMENT},
        {at("nothing"), "No such file", GBX_EFILE},
        {"/dev/null", "neither a folder nor a file", GBX_EFILE},
        {"/", "all of this computer", GBX_EARGUMENT},
        {"/usr/..", "all of this computer", GBX_EARGUMENT},
        {"/proc/self", "the host's processes", GBX_EARGUMENT},
        {"/proc/self/environ", "the host's processes", GBX_EARGUMENT},
    };
    const struct gbx_mount pipe = {at("pipe"), "/x", 0},
                           shut = {at("shut"), "/x", 0};
    struct gbx_error err;
    struct grants grants;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct gbx_mount mount = {cases[i].source, "/x", 0};

        assert_int_equal(grants_open(&grants, &mount, 1, &err), cases[i].rc);
        if (strstr(err.what, cases[i].text) == NULL)
            fail_msg("case %zu: \"%s\"", i, err.what);
    }
    assert_int_equal(grants_open(&grants, &pipe, 1, &err), GBX_EFILE);
    if (geteuid() == 0) /* whom nothing is closed to */
        return;
    assert_int_equal(grants_open(&grants, &shut, 1, &err), GBX_EFILE);
    assert_non_null(strstr(err.what, "cannot be read"));
}

static void it_stays_what_it_was_when_it_was_opened(void **state)
{
    const struct gbx_mount mount = {at("link"), "/x", 0};
    struct grants grants;
    struct stat was, is;

    (void)state;
    assert_int_equal(stat(at("data"), &was), 0);
    assert_int_equal(grants_open(&grants, &mount, 1, NULL), 0);
    assert_int_equal(unlink(at("link")), 0);
    assert_int_equal(symlink("/etc", at("link")), 0);
    assert_int_equal(fstat(grants.all[0].fd, &is), 0);
    assert_int_equal(is.st_ino, was.st_ino);
    assert_int_equal(grants.all[0].ino, was.st_ino);
    grants_close(&grants);
    assert_int_equal(unlink(at("link")), 0);
    assert_int_equal(symlink("data", at("link")), 0);
}

static void there_are_not_more_than_some(void **state)
{
    struct gbx_mount mounts[GBX_MOUNTS_MAX + 1];
    char targets[GBX_MOUNTS_MAX + 1][8];
    struct gbx_error err;
    struct grants grants;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
        snprintf(targets[i], sizeof(targets[i]), "/m%zu", i);
        mounts[i] = (struct gbx_mount){at("data"), targets[i], 0};
        mounts[i].source = top;
    }
    assert_int_equal(grants_open(&grants, mounts, GBX_MOUNTS_MAX, &err), 0);
    assert_int_equal(grants.count, GBX_MOUNTS_MAX);
    grants_close(&grants);
    grants_close(&grants);
    assert_int_equal(grants_open(&grants, mounts, ARRAY_SIZE(mounts), &err),
                     GBX_ELIMIT);
}

static void a_path_is_found_in_the_one_it_lies_in(void **state)
{
    const struct gbx_mount mounts[] = {{at("data"), "/a/b", 0},
                                       {at("file"), "/f", 0}};
    const char *rest;
    struct grants grants;

    (void)state;
    assert_int_equal(grants_open(&grants, mounts, 2, NULL), 0);
    assert_ptr_equal(grants_find(&grants, "/a/b/c/d", &rest), &grants.all[0]);
    assert_string_equal(rest, "c/d");
    assert_ptr_equal(grants_find(&grants, "/f", &rest), &grants.all[1]);
    assert_string_equal(rest, "");
    assert_null(grants_find(&grants, "/a/bc", &rest));
    assert_null(grants_find(&grants, "/a", &rest));
    grants_close(&grants);
}

static void a_key_tells_other_files_and_other_places(void **state)
{
    const struct gbx_mount cases[] = {{at("data"), "/a", 0},
                                      {at("data"), "/b", 0},
                                      {at("data"), "/a", 1},
                                      {at("file"), "/a", 0}};
    struct bytes_out keys[ARRAY_SIZE(cases)] = {0};
    struct grants grants;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(grants_open(&grants, &cases[i], 1, NULL), 0);
        grants_put(&grants, &keys[i]);
        grants_close(&grants);
        for (size_t k = 0; k < i; k++)
            assert_true(keys[k].count != keys[i].count ||
                        memcmp(keys[k].bytes, keys[i].bytes, keys[i].count) !=
                            0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        bytes_out_fini(&keys[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_written_as_source_target_and_how),
        cmocka_unit_test(what_is_written_otherwise_is_told_whole),
        cmocka_unit_test(writing_through_is_refused_by_name),
        cmocka_unit_test(targets_have_one_form),
        cmocka_unit_test(places_that_are_the_sandboxs_own_are_refused),
        cmocka_unit_test(no_two_lie_in_each_other),
        cmocka_unit_test(a_source_is_a_folder_or_a_file_that_can_be_read),
        cmocka_unit_test(it_stays_what_it_was_when_it_was_opened),
        cmocka_unit_test(there_are_not_more_than_some),
        cmocka_unit_test(a_path_is_found_in_the_one_it_lies_in),
        cmocka_unit_test(a_key_tells_other_files_and_other_places),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
