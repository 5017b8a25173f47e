/* SPDX-License-Identifier: Apache-2.0 */
/* Each step of looking a user up fails in turn: it is told, and nothing is left
 * open.  The linker puts the functions below in front (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/count_test.h"

#define FAILS_WITH EIO
#include "base/fault_test.h"
#include "runtime/user/user.h"

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(int, open64, (const char *path, int flags, unsigned mode),
     (path, flags, mode), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(ssize_t, read, (int fd, void *to, size_t bytes), (fd, to, bytes), -1)

static void each_step_may_fail(void **state)
{
    const int fds = count_open_files();
    int n = 0;

    (void)state;
    for (const char *who = ""; who != NULL;) {
        struct gbx_error err = {0};
        struct guest_ids ids;
        int rc;

        begin_failing(++n);
        rc = user_find(&ids, "root:root", "/", &err);
        fails_at = 0;
        who = failed;
        assert_int_equal(rc < 0, who != NULL);
        if (rc < 0)
            assert_true(err.code == rc && err.what[0] != '\0');
        assert_int_equal(count_open_files(), fds);
    }
    assert_true(n > 8); /* of two files, and one that was not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_step_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
