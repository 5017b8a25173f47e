/* SPDX-License-Identifier: Apache-2.0 */
/* Where a program lies, by the name that a person gave. */
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
#include "runtime/program/lookup.h"
#include "sandbox/grants/grants.h"

/*
 *  top/root/bin/tool    a program           top/apps/app   a program
 *  top/root/bin/text    not executable      top/apps/in/x  a program
 *  top/root/bin/out  -> /../apps/app: in the root, that is nowhere
 *  top/root/bin/link -> /opt/other          top/link -> apps/app
 *  top/root/opt/other   a program
 */
static char top[] = "/tmp/gbx-lookup-XXXXXX";
static char path[PATH_MAX + 64];

static const char *at(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void make_file(const char *name, mode_t mode)
{
    int fd = open(at(name), O_CREAT | O_WRONLY, mode);

    assert_true(fd >= 0);
    close(fd);
}

static int make_tree(void **state)
{
    static const char *const folders[] = {"root", "root/bin", "root/opt",
                                          "apps", "apps/in"};

    (void)state;
    if (mkdtemp(top) == NULL)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (mkdir(at(folders[i]), 0755) < 0)
            return -1;
    make_file("root/bin/tool", 0755);
    make_file("root/bin/text", 0644);
    make_file("root/opt/other", 0755);
    make_file("apps/app", 0755);
    make_file("apps/in/x", 0755);
    return symlink("/../apps/app", at("root/bin/out")) < 0 ||
                   symlink("/opt/other", at("root/bin/link")) < 0 ||
                   symlink("apps/app", at("link")) < 0
               ? -1
               : 0;
}

static int remove_tree(void **state)
{
    static const char *const names[] = {"link",          "root/bin/link",
                                        "root/bin/out",  "apps/in/x",
                                        "apps/app",      "root/bin/text",
                                        "root/bin/tool", "root/opt/other",
                                        "apps/in",       "apps",
                                        "root/opt",      "root/bin",
                                        "root",          ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (remove(at(names[i])) < 0)
            return -1;
    return 0;
}

static void in_a_root_all_paths_are_the_roots(void **state)
{
    static const struct {
        const char *name, *from, *search, *want;
        int code;
    } cases[] = {
        {"/bin/tool", NULL, "", "/bin/tool", 0},
        {"bin/tool", NULL, "", "//bin/tool", 0},
        {"./tool", "/bin", "", "/bin/./tool", 0},
        {"../bin/tool", "/opt", "", "/opt/../bin/tool", 0},
        {"/bin/link", NULL, "", "/bin/link", 0},
        {"tool", NULL, "/opt:/bin", "/bin/tool", 0},
        {"other", NULL, "/opt:/bin", "/opt/other", 0},
        {"tool", NULL, "bin::.", "", GBX_EFILE}, /* no place of the host's */
        {"tool", NULL, "", "", GBX_EFILE},
        {"tool", NULL, "/opt", "", GBX_EFILE},
        {"text", NULL, "/opt:/bin", "", GBX_ELOAD},
        {"/bin/text", NULL, "", "", GBX_ELOAD},
        {"/bin", NULL, "", "", GBX_ELOAD},
        {"/bin/out", NULL, "", "", GBX_EFILE},
        {"/../apps/app", NULL, "", "", GBX_EFILE},
        {"./tool", NULL, "", "", GBX_EFILE},
        {"", NULL, "", "", GBX_EARGUMENT},
    };
    char root[PATH_MAX + 64];

    (void)state;
    strcpy(root, at("root"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct lookup_view view = {.root = root,
                                         .working_dir = cases[i].from,
                                         .search_path = cases[i].search};
        struct gbx_error err = {0};
        struct lookup found;
        int code = lookup_program(&found, cases[i].name, &view, &err);

        if (code != cases[i].code || strcmp(found.path, cases[i].want) != 0)
            fail_msg("%s: %d, %s, %s", cases[i].name, code, found.path,
                     err.what);
        assert_string_equal(found.folder, "");
        assert_int_equal(err.code, cases[i].code);
    }
}

static int look(struct lookup *found, const char *name, const char *folder)
{
    const struct lookup_view view = {.folder = folder,
                                     .search_path = LOOKUP_PATH};

    return lookup_program(found, name, &view, NULL);
}

static void what_the_view_does_not_show_comes_with_its_folder(void **state)
{
    struct lookup found;
    char apps[PATH_MAX + 64];

    (void)state;
    strcpy(apps, at("apps"));
    assert_int_equal(look(&found, at("apps/app"), NULL), 0);
    assert_string_equal(found.path, "/script/app");
    assert_string_equal(found.folder, apps);
    assert_int_equal(look(&found, at("link"), NULL), 0);
    assert_string_equal(found.path, "/script/app");
    assert_string_equal(found.folder, apps);
}

static void a_folder_that_is_chosen_has_to_hold_it(void **state)
{
    struct lookup found;
    char apps[PATH_MAX + 64];

    (void)state;
    strcpy(apps, at("apps"));
    assert_int_equal(look(&found, at("apps/in/x"), apps), 0);
    assert_string_equal(found.path, "/script/in/x");
    assert_string_equal(found.folder, "");
    assert_int_equal(look(&found, "/script/in/x", apps), 0);
    assert_string_equal(found.path, "/script/in/x");
    assert_int_equal(look(&found, "/script/y", apps), GBX_EFILE);
    assert_int_equal(look(&found, "/script/../link", apps), GBX_EFILE);
    assert_int_equal(look(&found, at("root/bin/tool"), apps), GBX_EFILE);
    strcpy(apps, at("app")); /* the beginning of its name */
    assert_int_equal(look(&found, at("apps/app"), apps), GBX_EFILE);
}

/* Whatever else there is under that name. */
static void what_is_mounted_is_where_it_is_mounted(void **state)
{
    static const struct {
        const char *name, *want;
        int code;
    } cases[] = {
        {"/bin/app", "/bin/app", 0},     {"/bin/in/x", "/bin/in/x", 0},
        {"app", "/bin/app", 0},          {"/opt/one", "/opt/one", 0},
        {"/bin/tool", "", GBX_EFILE},    {"/bin/in", "", GBX_ELOAD},
        {"/opt/one/x", "", GBX_EFILE},   {"/opt/other", "/opt/other", 0},
        {"/bin", "", GBX_ELOAD},         {"./x", "/bin/in/./x", 0},
        {"../app", "/bin/in/../app", 0},
    };
    char apps[PATH_MAX + 64], one[PATH_MAX + 64], root[PATH_MAX + 64];
    const struct gbx_mount mounts[] = {{apps, "/bin", 0}, {one, "/opt/one", 0}};
    struct grants grants;

    (void)state;
    strcpy(root, at("root"));
    strcpy(apps, at("apps"));
    strcpy(one, at("apps/in/x"));
    assert_int_equal(grants_open(&grants, mounts, 2, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct lookup_view view = {.root = root,
                                         .grants = &grants,
                                         .working_dir = "/bin/in",
                                         .search_path = "/bin"};
        struct lookup found;

        assert_int_equal(lookup_program(&found, cases[i].name, &view, NULL),
                         cases[i].code);
        if (cases[i].code == 0)
            assert_string_equal(found.path, cases[i].want);
    }
    grants_close(&grants);
}

static void what_the_view_shows_is_where_it_is(void **state)
{
    struct lookup found;
    char real[PATH_MAX];

    (void)state;
    assert_non_null(realpath("/bin/sh", real));
    assert_int_equal(look(&found, "sh", NULL), 0);
    assert_string_equal(found.path, real);
    assert_int_equal(look(&found, "/bin/sh", at("apps")), 0);
    assert_string_equal(found.path, real);
    assert_string_equal(found.folder, "");
    assert_int_equal(look(&found, "no-such-program", NULL), GBX_EFILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_root_all_paths_are_the_roots),
        cmocka_unit_test(what_the_view_does_not_show_comes_with_its_folder),
        cmocka_unit_test(a_folder_that_is_chosen_has_to_hold_it),
        cmocka_unit_test(what_is_mounted_is_where_it_is_mounted),
        cmocka_unit_test(what_the_view_shows_is_where_it_is),
    };

    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
