/* SPDX-License-Identifier: Apache-2.0 */
/* Each step of opening what is granted fails in turn: it is told, and nothing
 * is left open.  The linker puts the functions below in front (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <mntent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/check.h"
#include "base/count_test.h"
#include "base/fault_test.h"
#include "sandbox/grants/grants.h"

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(int, open64, (const char *path, int flags, unsigned mode),
     (path, flags, mode), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, stat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t bytes),
     (path, to, bytes), -1)
WRAP(FILE *, setmntent, (const char *path, const char *mode), (path, mode),
     NULL)
WRAP(int, fstatfs64, (int fd, struct statfs *st), (fd, st), -1)

static void each_step_may_fail(void **state)
{
    static const struct gbx_mount mounts[] = {{"/usr", "/a", 0},
                                              {"/etc/passwd", "/b", 1}};
    const int fds = count_open_files();
    int n = 0;

    (void)state;
    for (const char *who = ""; who != NULL;) {
        struct gbx_error err = {0};
        struct grants grants;
        int rc;

        begin_failing(++n);
        rc = grants_open(&grants, mounts, ARRAY_SIZE(mounts), &err);
        fails_at = 0;
        who = failed;
        assert_int_equal(rc < 0, who != NULL);
        if (rc < 0)
            assert_true(err.code == rc && err.what[0] != '\0');
        assert_int_equal(grants.count, rc < 0 ? 0 : 2);
        grants_close(&grants);
        assert_int_equal(count_open_files(), fds);
    }
    /* six a mount, two more of a folder, and one that was not */
    assert_int_equal(n, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_step_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
