/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a text means, by the files of a root that may have anything in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/count_test.h"
#include "runtime/user/user.h"

/* top/root/etc/   top/outside (a passwd file that is none of the root's) */
static char top[] = "/tmp/gbx-user-XXXXXX";

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "app:x:1000:1001:An app:/app:/bin/sh\n"
                             "\n"
                             "short\n"
                             "bad:x:12x:3\n"
                             "far:x:4294967295:1::/:\n"
                             "farther:x:99999999999:1::/:\n"
                             ":x:7:7::/:\n"
                             "app:x:1:1:later:/:\n"
                             "last:x:4294967294:50";
static const char group[] = "root:x:0:\nstaff:x:50:app,root\nodd:x:-1:\n";

static const char *at(const char *name)
{
    static char paths[2][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
    return path;
}

static void put(const char *name, const char *text)
{
    int fd = open(at(name), O_CREAT | O_WRONLY | O_TRUNC, 0644);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(top) == NULL || mkdir(at("root"), 0755) < 0 ||
        mkdir(at("root/etc"), 0755) < 0)
        return -1;
    put("outside", "app:x:5:5::/:\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(at("outside")) < 0 || rmdir(at("root/etc")) < 0 ||
                   rmdir(at("root")) < 0 || rmdir(top) < 0
               ? -1
               : 0;
}

static int put_files(void **state)
{
    (void)state;
    put("root/etc/passwd", passwd);
    put("root/etc/group", group);
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    unlink(at("root/etc/passwd"));
    unlink(at("root/etc/group"));
    return 0;
}

static void names_and_numbers_are_found(void **state)
{
    static const struct {
        const char *text;
        uint32_t uid, gid;
    } cases[] = {
        {"app", 1000, 1001},
        {"root", 0, 0},
        {"app:staff", 1000, 50},
        {"app:7", 1000, 7},
        {"1000", 1000, 1001},
        {"1000:0", 1000, 0},
        {"0", 0, 0},
        {"007", 7, 7},
        {"42", 42, 0},
        {"42:staff", 42, 50},
        {"last", 4294967294u, 50},
        {"4294967294", 4294967294u, 50},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct guest_ids ids = {0};
        struct gbx_error err = {0};

        if (user_find(&ids, cases[i].text, at("root"), &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.what);
        assert_true(ids.is_set);
        assert_int_equal(ids.uid, cases[i].uid);
        assert_int_equal(ids.gid, cases[i].gid);
    }
}

static void who_is_not_there_is_told_with_the_file(void **state)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"nobody", "root/etc/passwd"},
        {"bad", "root/etc/passwd"},
        {"far", "root/etc/passwd"},
        {"short", "root/etc/passwd"},
        {"farther", "root/etc/passwd"},
        {"ap", "root/etc/passwd"},
        {"apple", "root/etc/passwd"},
        {"app:odd", "root/etc/group"},
        {"app:app", "root/etc/group"},
        {"", "is no user"},
        {":", "is no user"},
        {":50", "is no user"},
        {"app:", "is no user"},
        {"4294967295", "at most"},
        {"app:4294967295", "at most"},
        {"99999999999999999999", "at most"},
        {"-1", "root/etc/passwd"},
        {"1:50:3", "root/etc/group"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct guest_ids ids = {0};
        struct gbx_error err = {0};

        assert_int_equal(user_find(&ids, cases[i].text, at("root"), &err),
                         GBX_EARGUMENT);
        if (strstr(err.what, cases[i].what) == NULL)
            fail_msg("%s: \"%s\"", cases[i].text, err.what);
    }
}

static void without_a_root_there_are_numbers_alone(void **state)
{
    struct guest_ids ids = {0};
    struct gbx_error err;

    (void)state;
    assert_int_equal(user_find(&ids, "12:34", NULL, &err), 0);
    assert_true(ids.uid == 12 && ids.gid == 34);
    assert_int_equal(user_find(&ids, "12", NULL, &err), 0);
    assert_true(ids.uid == 12 && ids.gid == 0);
    assert_int_equal(user_find(&ids, "app", NULL, &err), GBX_EARGUMENT);
    assert_non_null(strstr(err.what, "give a number"));
}

/* A root without the files has nobody in it, but numbers. */
static void links_stay_in_the_root(void **state)
{
    static const char *const out[] = {"../../outside", "/outside"};
    struct guest_ids ids = {0};
    struct gbx_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(out); i++) {
        assert_int_equal(symlink(out[i], at("root/etc/passwd")), 0);
        assert_int_equal(user_find(&ids, "app", at("root"), &err),
                         GBX_EARGUMENT);
        assert_int_equal(user_find(&ids, "5", at("root"), &err), 0);
        assert_int_equal(ids.gid, 0);
        unlink(at("root/etc/passwd"));
    }
    put("root/etc/names", "app:x:8:9::/:\n");
    assert_int_equal(symlink("/etc/names", at("root/etc/passwd")), 0);
    assert_int_equal(user_find(&ids, "app", at("root"), &err), 0);
    assert_true(ids.uid == 8 && ids.gid == 9);
    unlink(at("root/etc/passwd"));
    unlink(at("root/etc/names"));
}

static void what_is_no_file_is_not_waited_for(void **state)
{
    const int fds = count_open_files();
    struct guest_ids ids = {0};
    struct gbx_error err;

    (void)state;
    assert_int_equal(mkfifo(at("root/etc/passwd"), 0644), 0);
    assert_int_equal(user_find(&ids, "app", at("root"), &err), GBX_EFILE);
    assert_non_null(strstr(err.what, "not a file"));
    unlink(at("root/etc/passwd"));
    assert_int_equal(mkdir(at("root/etc/passwd"), 0755), 0);
    assert_int_equal(user_find(&ids, "app", at("root"), &err), GBX_EFILE);
    rmdir(at("root/etc/passwd"));
    put("root/etc/passwd", "");
    assert_int_equal(truncate(at("root/etc/passwd"), 2 << 20), 0);
    assert_int_equal(user_find(&ids, "app", at("root"), &err), GBX_EFILE);
    assert_non_null(strstr(err.what, "too large"));
    unlink(at("root/etc/passwd"));
    assert_int_equal(user_find(&ids, "app", at("nowhere"), &err),
                     GBX_EARGUMENT);
    assert_int_equal(count_open_files(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_and_numbers_are_found, put_files,
                                        drop_files),
        cmocka_unit_test_setup_teardown(who_is_not_there_is_told_with_the_file,
                                        put_files, drop_files),
        cmocka_unit_test(without_a_root_there_are_numbers_alone),
        cmocka_unit_test(links_stay_in_the_root),
        cmocka_unit_test(what_is_no_file_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
