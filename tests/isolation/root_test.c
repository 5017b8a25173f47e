/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root of the guest's own: a folder of the host is its /.
 *
 *  root/etc/name "x"    root/var/list "x"    root/usr/    root/var/pipe a fifo
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/isolation/box.h"

static struct box box;
static char root[] = "/tmp/glovebox-test-XXXXXX";

static const char *at(const char *name)
{
    return box_at(root, name);
}

static int make_file(const char *name)
{
    int fd = open(at(name), O_CREAT | O_WRONLY, 0644), rc = -1;

    if (fd >= 0 && write(fd, "x", 1) == 1)
        rc = 0;
    close(fd);
    return rc;
}

static const char *const dirs[] = {"etc", "var", "usr"};

static int setup(void **state)
{
    if (box_possible(state) < 0 || mkdtemp(root) == NULL ||
        chmod(root, 0755) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        if (mkdir(at(dirs[i]), 0755) < 0)
            return -1;
    return make_file("etc/name") < 0 || make_file("var/list") < 0 ||
                   mkfifo(at("var/pipe"), 0666) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(at("etc/name"));
    unlink(at("var/list"));
    unlink(at("var/pipe"));
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        rmdir(at(dirs[i]));
    return rmdir(root); /* nothing else is in it */
}

static void open_box(const char *kind, const char *argument, const char *folder)
{
    box_begin(&box, kind, argument);
    box.bundle.root = root;
    box.bundle.folder = folder;
    if (box_open(&box) < 0)
        fail_msg("%s", box.err.what);
}

/* What it printed. */
static const char *run(const char *kind, const char *argument,
                       const char *folder)
{
    open_box(kind, argument, folder);
    assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
    return box.text;
}

static void its_files_are_those_of_the_folder(void **state)
{
    (void)state;
    assert_string_equal(run("read",
                            "/etc/name:/var/list:/etc/passwd:/usr/bin/env:"
                            "/etc/nsswitch.conf:/.glovebox/gbx-test-guest:"
                            "/dev/urandom:/script/etc/name",
                            NULL),
                        "/etc/name\n/var/list\n/.glovebox/gbx-test-guest\n"
                        "/dev/urandom\n");
}

static void its_changes_are_its_own(void **state)
{
    struct stat st;

    (void)state;
    for (int i = 0; i < 2; i++) /* and are gone when it is */
        assert_string_equal(
            run("change", "/etc/name:/etc/new:/usr/new:/tmp/new", NULL),
            "/etc/name\n/etc/new\n/usr/new\n/tmp/new\n");
    assert_string_equal(run("read", "/etc/new:/tmp/new", NULL), "");
    assert_int_equal(stat(at("etc/name"), &st), 0);
    assert_int_equal(st.st_size, 1);
    assert_int_equal(access(at("etc/new"), F_OK), -1);
    assert_int_equal(access(at("tmp"), F_OK), -1);
    assert_int_equal(access(at(".glovebox"), F_OK), -1);
}

static void a_wipe_takes_its_changes_away(void **state)
{
    (void)state;
    only_process("micro-VMs without a template are not wiped");
    open_box("change", "/etc/name", NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(box_end(&box), GBX_EEXIT);
        assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
    }
    box_close(&box);
    assert_string_equal(run("print", "/etc/name", NULL), "x");
}

/* One limit for the root and /tmp. */
static void its_changes_end_at_the_limit(void **state)
{
    char how[64];
    int kib, sys;

    (void)state;
    assert_int_equal(
        sscanf(run("fill", "/var/big:/tmp/big", NULL), "%d %d", &kib, &sys), 2);
    snprintf(how, sizeof(how), "%d KiB of 8192, then %s", kib,
             strerrorname_np(sys));
    if (sys != ENOSPC || kib < 7000 || kib > 8192)
        fail_msg("%s", how);
}

static void the_folder_of_a_script_stays_closed(void **state)
{
    int pipe;

    (void)state;
    pipe = open(at("var/pipe"), O_RDONLY | O_NONBLOCK);
    assert_true(pipe >= 0);
    assert_string_equal(
        run("change", "/script/etc/name:/script/new:/script/var/pipe", root),
        "");
    close(pipe);
}

/* Somebody on the host waits at the other end. */
static void a_pipe_of_the_root_does_not_lead_to_the_host(void **state)
{
    int pipe;
    char byte;

    (void)state;
    pipe = open(at("var/pipe"), O_RDONLY | O_NONBLOCK);
    assert_true(pipe >= 0);
    run("change", "/var/pipe", NULL);
    assert_int_equal(read(pipe, &byte, 1), 0);
    close(pipe);
}

static void it_is_no_template(void **state)
{
    struct snapshot *none;

    (void)state;
    only_process("a micro-VM's root is part of its template");
    box_begin(&box, "hang", "");
    box.bundle.root = root;
    assert_int_equal(box_backend->prepare(&box.bundle, 0, &none, &box.err),
                     GBX_EUNSUPPORTED);
    assert_non_null(strstr(box.err.what, "is no template"));
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_files_are_those_of_the_folder),
        cmocka_unit_test(its_changes_are_its_own),
        cmocka_unit_test(a_wipe_takes_its_changes_away),
        cmocka_unit_test(its_changes_end_at_the_limit),
        cmocka_unit_test(the_folder_of_a_script_stays_closed),
        cmocka_unit_test(a_pipe_of_the_root_does_not_lead_to_the_host),
        cmocka_unit_test(it_is_no_template),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
