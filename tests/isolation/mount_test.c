/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted, in a root that tries to lead it elsewhere, and from a source
 * that is moved.
 *
 *  top/one/name "one"    top/other/name "other"    top/outside/ (stays empty)
 *  top/root/srv/  etc/   run -> srv   out -> ../../outside   file
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/grants/grants.h"
#include "tests/isolation/box.h"

static struct box box;
static struct grants grants;
static char top[] = "/tmp/glovebox-test-XXXXXX";

static const char *at(const char *name)
{
    return box_at(top, name);
}

static int make_file(const char *name, const char *text)
{
    int fd = open(at(name), O_CREAT | O_WRONLY, 0644), rc = -1;
    size_t bytes = strlen(text);

    if (fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes)
        rc = 0;
    close(fd);
    return rc;
}

static const char *const dirs[] = {"root/srv", "root/etc", "root",
                                   "one",      "other",    "outside"};
static const char *const files[] = {"root/run", "root/out", "root/file",
                                    "one/name", "other/name"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int setup(void **state)
{
    if (box_possible(state) < 0 || mkdtemp(top) == NULL || chmod(top, 0755) < 0)
        return -1;
    if (mkdir(at("root"), 0755) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(dirs); i++)
        if (strcmp(dirs[i], "root") != 0 && mkdir(at(dirs[i]), 0755) < 0)
            return -1;
    return symlink("srv", at("root/run")) < 0 ||
                   symlink("../../outside", at("root/out")) < 0 ||
                   make_file("root/file", "") < 0 ||
                   make_file("one/name", "one") < 0 ||
                   make_file("other/name", "other") < 0
               ? -1
               : 0;
}

/* Which fails where something was made on the host. */
static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++)
        if (unlink(at(files[i])) < 0)
            return -1;
    for (size_t i = 0; i < COUNT(dirs); i++)
        if (rmdir(at(dirs[i])) < 0)
            return -1;
    return rmdir(top);
}

static void begin(const char *kind, const char *argument, bool has_root,
                  const struct gbx_mount *mounts, size_t count)
{
    box_begin(&box, kind, argument);
    assert_int_equal(grants_open(&grants, mounts, count, &box.err), 0);
    box.bundle.grants = &grants;
    box.bundle.root = has_root ? at("root") : NULL;
}

static void end(void)
{
    box_close(&box);
    grants_close(&grants);
}

/* What it printed. */
static const char *run(const char *kind, const char *argument, bool has_root,
                       const struct gbx_mount *mounts, size_t count)
{
    begin(kind, argument, has_root, mounts, count);
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    end();
    return box.text;
}

static void it_is_seen_in_a_root_and_without_one(void **state)
{
    const struct gbx_mount mounts[] = {{at("one"), "/srv/x", 0},
                                       {at("other/name"), "/made/on/way", 0}};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_string_equal(run("read",
                                "/srv/x/name:/made/on/way:/srv/name:/made/name",
                                i == 1, mounts, 2),
                            "/srv/x/name\n/made/on/way\n");
}

/* Landlock and the mounts say so, each by itself. */
static void it_is_changed_where_that_was_granted(void **state)
{
    const struct gbx_mount mounts[] = {{at("one"), "/srv/x", 1},
                                       {at("one"), "/data", 1},
                                       {at("other/name"), "/one", 1},
                                       {at("other"), "/closed", 0}};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_string_equal(
            run("change",
                "/srv/x/name:/data/new:/one:/closed/name:/closed/new:/tmp/x",
                i == 1, mounts, 4),
            "/srv/x/name\n/data/new\n/one\n/tmp/x\n");
}

static void links_on_the_way_lead_to_where_they_lead_inside(void **state)
{
    const struct gbx_mount in = {at("one"), "/run/x/y", 0},
                           out = {at("one"), "/out/x", 1};

    (void)state;
    assert_string_equal(
        run("read", "/srv/x/y/name:/run/x/y/name", true, &in, 1),
        "/srv/x/y/name\n/run/x/y/name\n");
    begin("read", "/out/x/name", true, &out, 1);
    if (box_open(&box) == 0)
        box_end(&box);
    end();
    assert_int_equal(access(at("outside/x"), F_OK), -1);
}

static void what_is_in_the_way_is_named(void **state)
{
    const struct {
        struct gbx_mount mount;
        const char *text;
    } cases[] = {
        {{at("one"), "/run", 0}, "/run: Too many levels"},
        {{at("one"), "/file", 1}, "/file: Not a directory"},
        {{at("one"), "/file/x", 0}, "/file/x: Not a directory"},
        {{at("other/name"), "/etc", 0}, "/etc: Is a directory"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int rc;

        begin("look", "", true, &cases[i].mount, 1);
        rc = box_open(&box);
        if (rc != GBX_EFILE || strstr(box.err.what, cases[i].text) == NULL)
            fail_msg("case %zu: %d, not \"%s\" but \"%s\"", i, rc,
                     cases[i].text, box.err.what);
        end();
    }
}

/* Root shows what it holds; who cannot, walks to it again, and notices. */
static void another_under_its_name_is_not_taken_for_it(void **state)
{
    int rc;

    (void)state;
    only_process("a micro-VM keeps hold of the folder");
    for (int cow = 0; cow < 2; cow++) {
        const struct gbx_mount mount = {at("one"), "/data", cow};

        begin("print", "/data/name", false, &mount, 1);
        assert_int_equal(box_open(&box), 0);
        assert_int_equal(rename(at("one"), at("was")), 0);
        assert_int_equal(rename(at("other"), at("one")), 0);
        rc = box_backend->wipe(box.self, &box.err);
        assert_int_equal(rename(at("one"), at("other")), 0);
        assert_int_equal(rename(at("was"), at("one")), 0);
        if (rc == 0) {
            assert_int_equal(box_end(&box), GBX_EEXIT);
            assert_string_equal(box.text, "one");
        } else {
            assert_int_equal(rc, GBX_EFILE);
            assert_non_null(strstr(box.err.what, "moved or replaced"));
        }
        end();
    }
}

static void a_copy_beyond_the_limit_is_told(void **state)
{
    const struct gbx_mount mount = {box_guest, "/data", 1};

    (void)state;
    only_process("a micro-VM copies what is written to");
    begin("look", "", false, &mount, 1);
    box.bundle.limits.disk_bytes = 65536;
    assert_int_equal(box_open(&box), GBX_EDISK);
    assert_non_null(strstr(box.err.what, "/data"));
    end();
}

static void it_is_no_template(void **state)
{
    const struct gbx_mount mount = {at("one"), "/data", 0};
    struct snapshot *none;

    (void)state;
    only_process("a micro-VM's clone is shown what is mounted");
    begin("hang", "", false, &mount, 1);
    assert_int_equal(box_backend->prepare(&box.bundle, 0, &none, &box.err),
                     GBX_EUNSUPPORTED);
    assert_non_null(strstr(box.err.what, "is no template"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_seen_in_a_root_and_without_one),
        cmocka_unit_test(it_is_changed_where_that_was_granted),
        cmocka_unit_test(links_on_the_way_lead_to_where_they_lead_inside),
        cmocka_unit_test(what_is_in_the_way_is_named),
        cmocka_unit_test(another_under_its_name_is_not_taken_for_it),
        cmocka_unit_test(a_copy_beyond_the_limit_is_told),
        cmocka_unit_test(it_is_no_template),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
