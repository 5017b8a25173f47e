/* SPDX-License-Identifier: Apache-2.0 */
/* discover_test.c - a folder of scripts, and of what only looks like some. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "glovebox/discover.h"

static char folder[] = "/tmp/discover_test.XXXXXX";
static char outside[] = "/tmp/discover_test.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[2][512];
    static int turn;

    snprintf(path[turn ^= 1], sizeof(path[0]), "%s/%s", folder, name);
    return path[turn];
}

static void make_folder(const char *name)
{
    must(mkdir(path_of(name), 0755) == 0);
}

static void make_file(const char *name)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0644);

    must(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    static const char *const folders[] = {"actors",
                                          "vision",
                                          "vision/actors",
                                          "node_modules",
                                          "my_target",
                                          "deep",
                                          "deep/1",
                                          "deep/1/2",
                                          "deep/1/2/3",
                                          "deep/1/2/3/4",
                                          "deep/1/2/3/4/5",
                                          "deep/1/2/3/4/5/6",
                                          "deep/1/2/3/4/5/6/7",
                                          "deep/1/2/3/4/5/6/7/8",
                                          "deep/1/2/3/4/5/6/7/8/9",
                                          "deep/1/2/3/4/5/6/7/8/9/10",
                                          "not_actors"};
    static const char *const files[] = {"a.actor.py",
                                        "b.actor.js",
                                        "beside.py",
                                        "actors/c.py",
                                        "actors/d.mjs",
                                        "actors/e.txt",
                                        "actors/f.actor.py",
                                        "vision/actors/c.py",
                                        "vision/g.actor.cjs",
                                        "node_modules/h.actor.js",
                                        "my_target/i.actor.py",
                                        ".actor.py",
                                        "deep/1/2/3/4/5/6/7/8/9/j.actor.py",
                                        "deep/1/2/3/4/5/6/7/8/9/10/k.actor.py",
                                        "not_actors/l.py"};
    char path[600];

    (void)state;
    must(mkdtemp(folder) != NULL && mkdtemp(outside) != NULL);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        make_folder(folders[i]);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        make_file(files[i]);
    snprintf(path, sizeof(path), "%s/secret.actor.py", outside);
    close(open(path, O_WRONLY | O_CREAT, 0644));
    must(symlink(path, path_of("out.actor.py")) == 0);
    must(symlink(outside, path_of("linked")) == 0);
    must(symlink("vision", path_of("again")) == 0);
    must(symlink("actors/c.py", path_of("in.actor.py")) == 0);
    must(symlink("nowhere", path_of("lost.actor.py")) == 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *is, int kind,
                      struct FTW *at)
{
    (void)is;
    (void)kind;
    (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nftw(outside, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static int note(void *context, const struct gbx_discovered *found)
{
    char *lines = context;

    snprintf(lines + strlen(lines), 4096 - strlen(lines), "%s %s %s %s\n",
             found->path + sizeof(folder), found->name, found->space,
             found->runtime);
    return 0;
}

static void scripts_are_found_by_reflows_patterns(void **state)
{
    char lines[4096] = "";
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(gbx_discover(folder, note, lines, &err), 0);
    assert_string_equal(
        lines, "a.actor.py a default Python\n"
               "actors/c.py c actors Python\n"
               "actors/d.mjs d actors JavaScript\n"
               "actors/f.actor.py f actors Python\n"
               "b.actor.js b default JavaScript\n"
               "deep/1/2/3/4/5/6/7/8/9/j.actor.py j deep.1.2.3.4.5.6.7.8.9 "
               "Python\n"
               "in.actor.py in default Python\n"
               "my_target/i.actor.py i my_target Python\n"
               "vision/actors/c.py c vision.actors Python\n"
               "vision/g.actor.cjs g vision JavaScript\n");
}

static int refuse(void *context, const struct gbx_discovered *found)
{
    (void)found;
    ++*(int *)context;
    return 42;
}

static void who_looks_may_stop(void **state)
{
    int count = 0;

    (void)state;
    assert_int_equal(gbx_discover(folder, refuse, &count, NULL), 42);
    assert_int_equal(count, 1);
}

static void a_folder_that_is_none_is_named(void **state)
{
    struct gbx_scripts *scripts;
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(gbx_scripts_open(&scripts, path_of("nowhere"), &err),
                     GBX_EFILE);
    assert_null(scripts);
    assert_non_null(strstr(err.what, "nowhere"));
    assert_int_equal(gbx_scripts_open(&scripts, path_of("beside.py"), &err),
                     GBX_EFILE);
    assert_int_equal(gbx_scripts_open(&scripts, "", &err), GBX_EFILE);
}

static void a_component_is_a_file_or_a_name(void **state)
{
    static const struct {
        const char *component, *path;
        int code;
    } cases[] = {
        {"beside.py", "/beside.py", 0},
        {"beside", "/beside.py", 0},
        {"actors/c.py", "/actors/c.py", 0},
        {"actors/c", "/actors/c.py", 0},
        {"a", "/a.actor.py", 0},
        {"g", "vision/g.actor.cjs", 0},
        {"vision.g", "vision/g.actor.cjs", 0},
        {"vision/g", "vision/g.actor.cjs", 0},
        {"vision.actors.c", "vision/actors/c.py", 0},
        {"default.a", "/a.actor.py", 0},
        {"c", NULL, GBX_EARGUMENT},
        {"nobody", NULL, GBX_EFILE},
        {"nobody.py", NULL, GBX_EFILE},
        {"vision", NULL, GBX_EFILE},
        {"", NULL, GBX_EFILE},
        {"..", NULL, GBX_EFILE},
        {"../tmp/x.py", NULL, GBX_EFILE},
        {"actors/../a.actor.py", NULL, GBX_EFILE},
        {"/etc/passwd", NULL, GBX_EFILE},
    };
    struct gbx_scripts *scripts;
    struct gbx_error err = {0};

    (void)state;
    assert_int_equal(gbx_scripts_open(&scripts, folder, &err), 0);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            const char *path = NULL;

            if (gbx_scripts_find(scripts, cases[i].component, &path, &err) !=
                cases[i].code)
                fail_msg("%s: %s", cases[i].component, err.what);
            assert_int_equal(path == NULL, cases[i].path == NULL);
            if (path != NULL && strstr(path, cases[i].path) == NULL)
                fail_msg("%s is %s", cases[i].component, path);
        }
    assert_string_equal(gbx_scripts_at(scripts, 0)->name, "a");
    assert_null(gbx_scripts_at(scripts, 10));
    gbx_scripts_close(scripts);
    gbx_scripts_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_are_found_by_reflows_patterns),
        cmocka_unit_test(who_looks_may_stop),
        cmocka_unit_test(a_folder_that_is_none_is_named),
        cmocka_unit_test(a_component_is_a_file_or_a_name),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
