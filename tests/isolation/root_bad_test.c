/* SPDX-License-Identifier: Apache-2.0 */
/* Roots that try to lead who builds a sandbox elsewhere: they are refused by
 * name, or what they have stays in them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/isolation/box.h"

static struct box box;

/* top/root is one; top/outside is a folder beside it, which stays empty. */
static char top[] = "/tmp/glovebox-test-XXXXXX";

static const char *at(const char *name)
{
    return box_at(top, name);
}

static int setup(void **state)
{
    return box_possible(state) < 0 || mkdtemp(top) == NULL ||
                   chmod(top, 0755) < 0 || mkdir(at("outside"), 0777) < 0 ||
                   mkdir(at("root"), 0755) < 0 ||
                   mkdir(at("root/etc"), 0755) < 0
               ? -1
               : 0;
}

/* Which fails where something is left in one. */
static int teardown(void **state)
{
    (void)state;
    return rmdir(at("outside")) < 0 || rmdir(at("root/etc")) < 0 ||
                   rmdir(at("root")) < 0 || rmdir(top) < 0
               ? -1
               : 0;
}

/* In place of what we show there: a link to this, a file (""), or a file that
 * nobody can open (NULL). */
static void put(const char *name, const char *link)
{
    char path[160];

    snprintf(path, sizeof(path), "%s", at("root/"));
    strcat(path, name);
    if (link == NULL)
        assert_int_equal(mkfifo(path, 0), 0);
    else if (link[0] == '\0')
        assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
    else
        assert_int_equal(symlink(link, path), 0);
}

static void what_is_in_the_way_is_named(void **state)
{
    static const struct {
        const char *name, *link, *text;
    } cases[] = {
        {"tmp", "", "/tmp: Not a directory"},
        {"tmp", NULL, "/tmp: Not a directory"},
        {"tmp", "../../../tmp", "/tmp: Too many levels"},
        {"tmp", "/nowhere", "/tmp: No such file"},
        {"dev", "", "/dev: Not a directory"},
        {"dev", "/etc", "/dev: Too many levels"},
        {"dev", "../outside", "/dev: Too many levels"},
        {".glovebox", "", "/.glovebox: Not a directory"},
        {".glovebox", "..", "/.glovebox: Too many levels"},
        {".glovebox", "/", "/.glovebox: Too many levels"},
        {"script", "", "/script: Not a directory"},
        {"script", "etc", "/script: Too many levels"},
        {"script", "../../../../../../tmp", "/script: Too many levels"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[160];
        int rc;

        put(cases[i].name, cases[i].link);
        box_begin(&box, "look", "");
        box.bundle.root = at("root");
        box.bundle.folder = "/usr";
        rc = box_open(&box);
        if (rc == 0 || strstr(box.err.what, cases[i].text) == NULL)
            fail_msg("case %zu: %d, not \"%s\" but \"%s\"", i, rc,
                     cases[i].text, box.err.what);
        box_close(&box);
        snprintf(path, sizeof(path), "%s", at("root/"));
        strcat(path, cases[i].name);
        assert_int_equal(unlink(path), 0);
    }
}

static const char *run(const char *kind, const char *argument)
{
    box_begin(&box, kind, argument);
    box.bundle.root = at("root");
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
    return box.text;
}

/* Whose targets lie in the root, whatever they say: what /tmp leads to is
 * covered by our own. */
static void links_stay_in_the_root(void **state)
{
    static const char *const links[] = {"etc", "/etc", "../../../etc"};

    (void)state;
    put("out", "../outside");
    put("etc/covered", "/.glovebox/gbx-test-guest");
    assert_string_equal(run("read", "/etc/covered"), "/etc/covered\n");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        put("tmp", links[i]);
        assert_string_equal(run("read", "/etc/covered"), "");
        assert_string_equal(run("change", "/tmp/x:/etc/y:/out/x:/../outside/x"),
                            "/tmp/x\n/etc/y\n");
        unlink(at("root/tmp"));
    }
    unlink(at("root/etc/covered"));
    unlink(at("root/out"));
}

static void no_file_of_a_root_stands_for_ours(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("root/.glovebox"), 0755), 0);
    assert_int_equal(mkdir(at("root/dev"), 0755), 0);
    put(".glovebox/gbx-test-guest", "/etc/passwd");
    put("dev/null", "/etc/passwd");
    put("dev/shm", "/etc");
    assert_string_equal(run("ordinary", ""), "");
    unlink(at("root/.glovebox/gbx-test-guest"));
    unlink(at("root/dev/null"));
    unlink(at("root/dev/shm"));
    rmdir(at("root/.glovebox"));
    rmdir(at("root/dev"));
}

/* No more of them can be changed than some, but it starts. */
static void a_root_may_have_many_directories(void **state)
{
    char path[160];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "%s/root/%d", top, i);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_string_equal(run("change", "/tmp/x"), "/tmp/x\n");
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "%s/root/%d", top, i);
        assert_int_equal(rmdir(path), 0);
    }
}

static void a_root_that_is_none_is_told(void **state)
{
    static const struct {
        const char *root, *text;
    } cases[] = {
        {"/nowhere/at/all", "/nowhere/at/all: No such file"},
        {"/etc/passwd", "/etc/passwd: Not a directory"},
        {"", ": No such file"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box_begin(&box, "look", "");
        box.bundle.root = cases[i].root;
        assert_int_equal(box_open(&box), GBX_EFILE);
        if (strstr(box.err.what, cases[i].text) == NULL)
            fail_msg("not \"%s\" but \"%s\"", cases[i].text, box.err.what);
        box_close(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_the_way_is_named),
        cmocka_unit_test(links_stay_in_the_root),
        cmocka_unit_test(no_file_of_a_root_stands_for_ours),
        cmocka_unit_test(a_root_may_have_many_directories),
        cmocka_unit_test(a_root_that_is_none_is_told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
