/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every step of opening fails once, and nothing is left behind.  The linker
 * puts our functions in front of the real ones (--wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault_test.h"
#include "sandbox/grants/grants.h"
#include "tests/isolation/box.h"

static struct box box;
WRAP(int, epoll_create1, (int flags), (flags), -1)
WRAP(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),
     (epfd, op, fd, event), -1)
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), -1)
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), -1)
WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds), -1)
WRAP(int, open_tree, (int dir, const char *path, unsigned flags),
     (dir, path, flags), -1)
WRAP(int, mount_setattr,
     (int dir, const char *path, unsigned flags, struct mount_attr *attr,
      size_t bytes),
     (dir, path, flags, attr, bytes), -1)
WRAP(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode),
     -1)
WRAP(int, openat, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode), -1)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(char *, realpath, (const char *path, char *out), (path, out), NULL)
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode),
     -1)
WRAP(ssize_t, send, (int fd, const void *bytes, size_t count, int flags),
     (fd, bytes, count, flags), -1)
WRAP(ssize_t, write, (int fd, const void *bytes, size_t count),
     (fd, bytes, count), -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
     (fd, message, flags), -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags),
     (fd, message, flags), -1)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t room),
     (path, to, room), -1)
WRAP(int, __clone,
     (int (*fn)(void *), void *stack, int flags, void *context, int *pidfd),
     (fn, stack, flags, context, pidfd), -1)

/* Open with the nth call failing; returns whether there was an nth. */
static bool open_failing(int n, const char *folder, const char *root,
                         const struct grants *grants)
{
    const int fds = count_fds();
    int rc;

    box_begin(&box, "hang", "");
    box.bundle.folder = folder;
    box.bundle.root = root;
    box.bundle.grants = grants;
    begin_failing(n);
    rc = box_open(&box);
    fails_at = 0;
    if (failed != NULL && rc < 0 && box.err.what[0] == '\0')
        fail_msg("%s failed without a word", failed);
    if (rc == 0)
        strays_become(box_processes());
    box_close(&box);
    if (count_fds() != fds || count_strays() != 0 || count_children() != 0 ||
        count_cgroups() != 0)
        fail_msg("call %d, %s, left something behind", n, failed);
    return failed != NULL;
}

static char folder[] = "/tmp/glovebox-test-XXXXXX";

static void each_call_may_fail(void **state)
{
    int n = 1;

    (void)state;
    while (open_failing(n, NULL, NULL, NULL))
        n++;
    assert_in_range(n, 20, 200);
}

static void each_call_may_fail_with_a_folder(void **state)
{
    int n = 1;

    (void)state;
    while (open_failing(n, folder, NULL, NULL))
        n++;
    assert_in_range(n, 20, 200);
}

static void each_call_may_fail_with_a_root(void **state)
{
    int n = 1;

    (void)state;
    if (is_clone())
        skip();
    while (open_failing(n, folder, "/usr", NULL))
        n++;
    assert_in_range(n, 20, 200);
}

static void each_call_may_fail_with_mounts(void **state)
{
    const struct gbx_mount mounts[] = {{folder, "/data", 1},
                                       {"/etc/passwd", "/a/names", 0}};
    struct grants grants;
    int n = 1;

    (void)state;
    if (is_clone())
        skip();
    assert_int_equal(grants_open(&grants, mounts, 2, NULL), 0);
    while (open_failing(n, NULL, NULL, &grants))
        n++;
    assert_in_range(n, 20, 200);
    grants_close(&grants);
}

/* One that is no guest program, and has no region. */
static bool program_failing(int n)
{
    static const int streams[3] = {-1, -1, -1};
    const int fds = count_fds();
    int rc;

    box_begin(&box, "hang", "");
    box.bundle.program = "/usr/bin/true";
    box.bundle.working_dir = "/usr";
    box.bundle.stdio = streams;
    begin_failing(n);
    rc = box_backend->open(box.self, &box.bundle, NULL, &box.err);
    fails_at = 0;
    if (failed != NULL && rc < 0 && box.err.what[0] == '\0')
        fail_msg("%s failed without a word", failed);
    if (rc == 0) {
        assert_int_equal(box_end(&box), GBX_EEXIT);
        assert_int_equal(box_backend->status(box.self), 0);
    }
    box_close(&box);
    if (count_fds() != fds || count_strays() != 0 || count_children() != 0 ||
        count_cgroups() != 0)
        fail_msg("call %d, %s, left something behind", n, failed);
    return failed != NULL;
}

static void each_call_may_fail_of_a_program(void **state)
{
    int n = 1;

    (void)state;
    if (is_clone())
        skip();
    while (program_failing(n))
        n++;
    assert_in_range(n, 20, 200);
}

static void each_call_of_a_wipe_may_fail(void **state)
{
    int n = 0, rc;

    (void)state;
    do {
        const int fds = count_fds();

        box_begin(&box, "hang", "");
        assert_int_equal(box_open(&box), 0);
        begin_failing(++n);
        rc = box_backend->wipe(box.self, &box.err);
        fails_at = 0;
        if (rc < 0) /* and once more, when the fault has passed */
            assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
        box_close(&box);
        assert_int_equal(count_fds(), fds);
        assert_int_equal(count_strays(), 0);
        assert_int_equal(count_cgroups(), 0);
    } while (failed != NULL);
}

/* A libexec folder of our own with such an init in it. */
static void try_init(const char *content, size_t bytes, mode_t mode, int want,
                     const char *text)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "%s/glovebox-init", folder);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0700);
    assert_true(fd >= 0 && write(fd, content, bytes) == (ssize_t)bytes);
    fchmod(fd, mode);
    close(fd);
    box_begin(&box, "hang", "");
    box.bundle.libexec_dir = folder;
    assert_int_equal(box_open(&box), want);
    if (strstr(box.err.what, text) == NULL)
        fail_msg("not \"%s\" but \"%s\"", text, box.err.what);
    box_close(&box);
    unlink(path);
    assert_int_equal(count_strays(), 0);
    assert_int_equal(count_children(), 0);
}

static void an_init_that_is_none_is_told(void **state)
{
    static char whole[1 << 21];
    char path[256];
    ssize_t bytes;
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/glovebox-init", box_libexec);
    fd = open(path, O_RDONLY, 0);
    bytes = read(fd, whole, sizeof(whole));
    close(fd);
    assert_true(bytes > 4096);

    try_init("", 0, 0755, GBX_EHOST, "start glovebox-init");
    try_init("text", 4, 0755, GBX_EHOST, "start glovebox-init");
    try_init(whole, 100, 0755, GBX_EHOST, "start glovebox-init");
    try_init(whole, (size_t)bytes / 2, 0755, GBX_EFILE, "ended at once");
    try_init(whole, (size_t)bytes, 0644, GBX_EHOST, "start glovebox-init");
}

static void a_guest_that_is_no_program_is_told(void **state)
{
    char path[64];
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/guest", folder);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    assert_true(fd >= 0 && write(fd, "text", 4) == 4);
    close(fd);
    box_begin(&box, "hang", "");
    box.bundle.program = path;
    assert_int_equal(box_open(&box), GBX_EFILE);
    assert_non_null(strstr(box.err.what, "start the guest program: Exec for"));
    box_close(&box);
    unlink(path);
}

static void what_is_missing_is_named(void **state)
{
    static const struct {
        const char *libexec, *program, *folder, *text;
        int want;
    } cases[] = {
        {"/nowhere", NULL, NULL, "/nowhere/glovebox-init: No such", GBX_EFILE},
        {NULL, "/nowhere/g", NULL, "/nowhere/g: No such", GBX_EFILE},
        {NULL, "/etc/passwd", NULL, "not an executable file", GBX_EFILE},
        {NULL, "/usr", NULL, "/usr: not an executable file", GBX_EFILE},
        {NULL, NULL, "/nowhere", "/nowhere: No such", GBX_EFILE},
        {NULL, NULL, "/etc/passwd", "/etc/passwd: Not a dir", GBX_EFILE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box_begin(&box, "hang", "");
        box.bundle.folder = cases[i].folder;
        if (cases[i].libexec != NULL)
            box.bundle.libexec_dir = cases[i].libexec;
        if (cases[i].program != NULL)
            box.bundle.program = cases[i].program;
        assert_int_equal(box_open(&box), cases[i].want);
        if (strstr(box.err.what, cases[i].text) == NULL)
            fail_msg("not \"%s\" but \"%s\"", cases[i].text, box.err.what);
        box_close(&box);
    }
}

static void too_many_arguments_are_refused(void **state)
{
    static const char *argv[600];
    static char text[70000];

    (void)state;
    for (int i = 0; i < 599; i++)
        argv[i] = "x";
    box_begin(&box, "hang", "");
    box.bundle.argv = argv;
    assert_int_equal(box_open(&box), GBX_ELIMIT);
    box_close(&box);
    memset(text, 'x', sizeof(text) - 1);
    box_begin(&box, "hang", text);
    assert_int_equal(box_open(&box), GBX_ELIMIT);
    box_close(&box);
}

static int setup(void **state)
{
    if (box_possible(state) < 0 || mkdtemp(folder) == NULL)
        return -1;
    return chmod(folder, 0755);
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_fail),
        cmocka_unit_test(each_call_may_fail_with_a_folder),
        cmocka_unit_test(each_call_may_fail_with_mounts),
        cmocka_unit_test(each_call_may_fail_of_a_program),
        cmocka_unit_test(each_call_may_fail_with_a_root),
        cmocka_unit_test(each_call_of_a_wipe_may_fail),
        cmocka_unit_test(an_init_that_is_none_is_told),
        cmocka_unit_test(a_guest_that_is_no_program_is_told),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(too_many_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
