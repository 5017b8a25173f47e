/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a micro-VM asks of the host fails once: while it opens, runs and is
 * wiped, becomes a template, and is cloned from one.  Nothing is left behind,
 * and there is a sentence about it.  The linker puts our functions in front of
 * the real ones (--wrap).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fault_test.h"
#include "sandbox/grants/grants.h"
#include "tests/isolation/scatter.h"

/* malloc's, which keeps what a thread needed, and a sanitizer's.  One machine
 * has more. */
#define SLACK_MIB 320

WRAP(int, ioctl, (int fd, unsigned long request, void *what),
     (fd, request, what), -1)
WRAP(void *, mmap64,
     (void *at, size_t bytes, int access, int flags, int fd, off_t off),
     (at, bytes, access, flags, fd, off), MAP_FAILED)
WRAP(int, mprotect, (void *at, size_t bytes, int access), (at, bytes, access),
     -1)
WRAP(int, open64, (const char *path, int flags, mode_t mode),
     (path, flags, mode), -1)
WRAP(int, openat64, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, lstat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(ssize_t, readlink, (const char *path, char *to, size_t room),
     (path, to, room), -1)
WRAP(ssize_t, pread64, (int fd, void *to, size_t bytes, off_t off),
     (fd, to, bytes, off), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *from, size_t bytes, off_t off),
     (fd, from, bytes, off), -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
WRAP(int, ftruncate64, (int fd, off_t bytes), (fd, bytes), -1)
WRAP(int, madvise, (void *at, size_t bytes, int advice), (at, bytes, advice),
     -1)
WRAP(ssize_t, preadv64,
     (int fd, const struct iovec *pieces, int count, off_t off),
     (fd, pieces, count, off), -1)
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), -1)
WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL)
WRAP(void *, reallocarray, (void *old, size_t count, size_t bytes),
     (old, count, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(int, timer_create,
     (clockid_t clock, struct sigevent *event, timer_t *timer),
     (clock, event, timer), -1)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *),
      void *context),
     (thread, attr, fn, context), EAGAIN)

struct left {
    int fds, maps, threads, mib;
};

static struct left count_all(void)
{
    return (struct left){.fds = count_fds(),
                         .maps = count_maps(),
                         .threads = count_threads(),
                         .mib = count_mib()};
}

static void nothing_is_left(struct left before, int n)
{
    struct left now = count_all();

    if (now.fds != before.fds || now.maps != before.maps ||
        now.threads != before.threads || now.mib > before.mib + SLACK_MIB)
        fail_msg("call %d, %s, left fds %d, maps %d, threads %d, %d MiB", n,
                 failed, now.fds - before.fds, now.maps - before.maps,
                 now.threads - before.threads, now.mib - before.mib);
}

static int poll_for(void)
{
    struct pollfd waits = {.fd = box_backend->fd(box.self), .events = POLLIN};
    int rc;

    while ((rc = box_run(&box, 1)) == GBX_ETIME)
        assert_int_equal(poll(&waits, 1, 10000), 1);
    return rc;
}

static void explained(int rc)
{
    if (rc < 0 && box.err.what[0] == '\0')
        fail_msg("%s failed without a word", failed);
}

static char folder[] = "/tmp/glovebox-test-XXXXXX";
static struct grants grants;

/* What still opens, runs as well. */
static bool open_failing(int n)
{
    int rc;

    box_begin(&box, "end", "x3");
    box.bundle.folder = folder;
    box.bundle.grants = &grants;
    begin_failing(n);
    rc = box_open(&box);
    fails_at = 0;
    explained(rc);
    if (rc == 0)
        assert_int_equal(box_end(&box), GBX_EEXIT);
    box_close(&box);
    return failed != NULL;
}

static void each_call_of_opening_may_fail(void **state)
{
    struct left before;
    int n = 1;

    (void)state;
    box_try(&box, "end", "x0");
    before = count_all();
    while (open_failing(n)) {
        nothing_is_left(before, n);
        n++;
    }
    assert_in_range(n, 80, 2000);
}

/* Of running: until its end, by a caller who waits or who polls. */
static bool run_failing(const char *kind, const char *argument, bool polls,
                        int n)
{
    int rc;

    box_begin(&box, kind, argument);
    assert_int_equal(box_open(&box), 0);
    begin_failing(n);
    rc = polls ? poll_for() : box_end(&box);
    fails_at = 0;
    assert_true(rc < 0 && rc != GBX_ETIME);
    box_backend->explain(box.self, &box.err);
    explained(rc);
    box_close(&box);
    return failed != NULL;
}

static void each_call_of_running_may_fail(void **state)
{
    static const char *const kinds[][2] = {
        {"look", ""}, {"chatter", "beside"}, {"fill_disk", ""}};
    struct left before;

    (void)state;
    box_try(&box, "look", "");
    before = count_all();
    for (int i = 0; i < 6; i++)
        for (int n = 1; n < 60; n++) {
            if (!run_failing(kinds[i / 2][0], kinds[i / 2][1], i % 2 == 1, n))
                break;
            nothing_is_left(before, n);
        }
}

static void each_call_of_a_wipe_may_fail(void **state)
{
    struct left before;
    int n = 0, rc;

    (void)state;
    before = count_all();
    do {
        box_begin(&box, "end", "x4");
        assert_int_equal(box_open(&box), 0);
        if (n % 2 == 1)
            box_run(&box, 1); /* a runner has it */
        box.err = (struct gbx_error){0};
        begin_failing(++n);
        rc = box_backend->wipe(box.self, &box.err);
        fails_at = 0;
        explained(rc);
        if (rc < 0) { /* it cannot run; and once more, when all is well */
            assert_int_equal(box_run(&box, 1), rc);
            assert_int_equal(box_backend->wipe(box.self, &box.err), 0);
        }
        assert_int_equal(box_end(&box), GBX_EEXIT);
        box_close(&box);
        nothing_is_left(before, n);
    } while (failed != NULL);
    assert_in_range(n, 50, 2000);
}

static int clone_failing(int n)
{
    int rc;

    begin_clone();
    begin_failing(n);
    rc = make_clone();
    fails_at = 0;
    return rc;
}

static void each_call_of_a_snapshot_may_fail(void **state)
{
    struct left before;
    int n = 0, rc;

    (void)state;
    open_template("0");
    before = count_all();
    do {
        box.err = (struct gbx_error){0};
        begin_failing(++n);
        rc = box_backend->snapshot(box.self, &snapshot, &box.err);
        fails_at = 0;
        explained(rc);
        /* KVM that does not run it is taken for the guest's end. */
        if (rc != 0 && rc != GBX_EHOST && rc != GBX_EBROKEN)
            fail_msg("%s failed: %d %s", failed, rc, box.err.what);
        assert_int_equal(snapshot != NULL, rc == 0);
        if (rc == 0)
            box_backend->put(snapshot);
        if (rc == GBX_EBROKEN) {
            box_close(&box);
            open_template("0");
        }
        assert_true(echoes(&box)); /* it goes on as before */
        nothing_is_left(before, n);
    } while (failed != NULL);
    assert_in_range(n, 8, 2000);
    box_close(&box);
}

static void each_call_of_a_clone_may_fail(void **state)
{
    struct left before;
    int n = 0, rc;

    (void)state;
    take_alone("10");
    before = count_all();
    do {
        rc = clone_failing(++n);
        if (rc < 0 && clone_box.err.what[0] == '\0')
            fail_msg("%s failed without a word", failed);
        if (rc == 0)
            assert_true(echoes(&clone_box));
        else if (rc != GBX_EHOST && rc != GBX_EUNSUPPORTED && rc != GBX_ESTALE)
            fail_msg("%s failed: %d %s", failed, rc, clone_box.err.what);
        box_close(&clone_box);
        nothing_is_left(before, n);
    } while (failed != NULL);
    assert_in_range(n, 20, 2000);
    drop_alone();
}

/* A clone's virtual machine is made when it runs; or is one of before. */
static void run_clone_failing(int n, bool has_spare)
{
    int rc;

    if (has_spare) {
        open_clone();
        assert_true(echoes(&clone_box));
        box_close(&clone_box);
    }
    open_clone();
    ((struct gbx_half_head *)(void *)clone_box.region.base)->bell++;
    box_backend->ring(clone_box.self);
    begin_failing(n);
    rc = box_run(&clone_box, BOX_WAIT_NS);
    fails_at = 0;
    if (rc < 0 && rc != GBX_EHOST && rc != GBX_EUNSUPPORTED &&
        rc != GBX_EBROKEN)
        fail_msg("%s failed: %d", failed, rc);
    if (rc < 0)
        box_backend->explain(clone_box.self, &clone_box.err);
    if (rc < 0 && clone_box.err.what[0] == '\0')
        fail_msg("%s failed without a word", failed);
    box_close(&clone_box);
}

static void each_call_of_a_clones_first_run_may_fail(void **state)
{
    struct left before;
    int n;

    (void)state;
    take_alone("10");
    before = count_all();
    for (int has_spare = 0; has_spare < 2; has_spare++) {
        n = 0;
        do {
            spare_hold();
            run_clone_failing(++n, has_spare);
            spare_release();
            nothing_is_left(before, n);
        } while (failed != NULL);
        assert_in_range(n, 10, 2000);
    }
    drop_alone();
}

/* Then it cannot run; and is as its template was, once that succeeds, or is of
 * no more use. */
static bool wipe_clone_failing(int n)
{
    int rc;

    open_clone();
    assert_true(echoes(&clone_box));
    if (n % 2 == 1)
        box_run(&clone_box, 1); /* a runner has it */
    clone_box.err = (struct gbx_error){0};
    begin_failing(n);
    rc = box_backend->wipe(clone_box.self, &clone_box.err);
    fails_at = 0;
    if (rc < 0) {
        assert_int_equal(rc, GBX_EHOST);
        assert_int_not_equal(clone_box.err.what[0], '\0');
        assert_int_equal(box_run(&clone_box, 1), rc);
        rc = box_backend->wipe(clone_box.self, &clone_box.err);
    }
    if (rc == 0) {
        assert_int_equal(region_image_put(&image, &clone_box.region), 0);
        assert_true(echoes(&clone_box));
    } else { /* then it is, and says so */
        assert_string_equal(failed, "mprotect");
        assert_int_equal(rc, GBX_EHOST);
    }
    box_close(&clone_box);
    return failed != NULL;
}

/* Of a few pages, and of many. */
static void each_call_of_a_clones_wipe_may_fail(void **state)
{
    static const char *const blocks[] = {"0", "5", "50"};
    struct left before;
    int n;

    (void)state;
    for (int i = 0; i < 3; i++) {
        take_alone(blocks[i]);
        before = count_all();
        for (n = 1; wipe_clone_failing(n); n++)
            nothing_is_left(before, n);
        assert_in_range(n, 5, 2000);
        drop_alone();
    }
}

/* A clone is suspended in vain, and goes on. */
static bool suspend_failing(int n)
{
    struct suspended *suspended = NULL;
    int rc;

    begin_failing(n);
    rc = box_backend->suspend(clone_box.self, &suspended, &clone_box.err);
    fails_at = 0;
    assert_int_equal(suspended != NULL, rc == 0);
    if (rc == 0)
        box_backend->discard(suspended);
    else
        assert_int_not_equal(clone_box.err.what[0], '\0');
    return failed != NULL;
}

/* It is resumed, at the second time if not at the first. */
static bool resume_failing(int n)
{
    struct suspended *suspended = NULL;
    bool met = false;
    int rc = box_backend->suspend(clone_box.self, &suspended, &clone_box.err);

    assert_int_equal(rc, 0);
    for (int i = 0; i < 2; i++) {
        box_backend->close(clone_box.self);
        memset(clone_box.self, 0, box_backend->self_bytes);
        clone_box.err.what[0] = '\0';
        begin_failing(i == 0 ? n : 0);
        rc = box_backend->resume(clone_box.self, &clone_box.bundle, snapshot,
                                 suspended, &clone_box.region, &clone_box.err);
        fails_at = 0;
        met |= failed != NULL;
        if (rc == 0)
            break;
        assert_int_not_equal(clone_box.err.what[0], '\0');
        assert_int_equal(i, 0);
    }
    box_backend->discard(suspended);
    return met;
}

static void each_call_of_suspending_may_fail(void **state)
{
    struct left before;
    bool met;
    int n;

    (void)state;
    take_alone("10");
    before = count_all();
    for (int resumes = 0; resumes < 2; resumes++) {
        n = 0;
        do {
            open_clone();
            assert_true(echoes(&clone_box));
            met = resumes ? resume_failing(++n) : suspend_failing(++n);
            if (!echoes(&clone_box)) /* KVM that does not run it, ends it */
                assert_true(met && strcmp(failed, "ioctl") == 0);
            box_close(&clone_box);
            nothing_is_left(before, n);
        } while (met);
        assert_in_range(n, 4, 2000);
    }
    drop_alone();
}

static int setup(void **state)
{
    static const struct gbx_mount mounts[] = {
        {.source = folder, .target = "/data", .is_writable = 1},
        {.source = "/etc/passwd", .target = "/srv/a/names"}};

    if (box_possible(state) < 0 || mkdtemp(folder) == NULL ||
        grants_open(&grants, mounts, 2, NULL) < 0)
        return -1;
    return chmod(folder, 0755);
}

static int teardown(void **state)
{
    (void)state;
    grants_close(&grants);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_of_opening_may_fail),
        cmocka_unit_test(each_call_of_running_may_fail),
        cmocka_unit_test(each_call_of_a_wipe_may_fail),
        cmocka_unit_test(each_call_of_a_snapshot_may_fail),
        cmocka_unit_test(each_call_of_a_clone_may_fail),
        cmocka_unit_test(each_call_of_a_clones_first_run_may_fail),
        cmocka_unit_test(each_call_of_a_clones_wipe_may_fail),
        cmocka_unit_test(each_call_of_suspending_may_fail),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
