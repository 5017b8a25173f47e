/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_file_fault_test.c - what fails, and what others do meanwhile: no
 * half a file, and nothing that changes under a template.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#define FAILS_WITH EIO
#include "base/fault_test.h"
#include "sandbox/template_file_test.h"

WRAP(void *, mmap64,
     (void *at, size_t bytes, int access, int flags, int fd, off_t off),
     (at, bytes, access, flags, fd, off), MAP_FAILED)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
WRAP(int, openat64, (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode), -1)
WRAP(int, renameat, (int a, const char *from, int b, const char *to),
     (a, from, b, to), -1)
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(ssize_t, pread64, (int fd, void *to, size_t bytes, off_t off),
     (fd, to, bytes, off), -1)
WRAP(ssize_t, sendfile64, (int to, int from, off_t *off, size_t bytes),
     (to, from, off, bytes), -1)
WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL)

ssize_t __real_pwrite64(int fd, const void *from, size_t bytes, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t off);

/* A little at a time, as a disk that is nearly full takes it. */
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t off)
{
    return fails("pwrite64")
               ? -1
               : __real_pwrite64(fd, from, bytes > 700 ? 700 : bytes, off);
}

static int fault_teardown(void **state)
{
    fails_at = 0;
    fails_with = FAILS_WITH;
    return file_teardown(state);
}

/* Each step fails once.  How many there are. */
static int fail_each(int (*what)(void), unsigned entries)
{
    int rc;

    for (fails_at = 1;; fails_at++) {
        steps = 0;
        rc = what();
        if (steps < fails_at)
            break;
        assert_true(rc < 0);
        assert_int_equal(count_entries(), entries);
    }
    assert_int_equal(rc, 0);
    rc = fails_at - 1;
    fails_at = 0;
    return rc;
}

static void a_save_that_fails_leaves_nothing(void **state)
{
    (void)state;
    assert_in_range(fail_each(save, 0), 20, 1000);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    expect_loaded();
}

static void a_full_disk_leaves_what_was_there(void **state)
{
    size_t bytes = extra.count;

    (void)state;
    assert_int_equal(save(), 0);
    bytes_put_text(&extra, "and more");
    fails_with = ENOSPC;
    begin_failing(12);
    assert_int_equal(save(), GBX_EHOST);
    assert_non_null(strstr(err.what, "No space left"));
    fails_at = 0;
    assert_int_equal(count_entries(), 1);
    extra.count = bytes;
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    expect_loaded();
}

static int load_copied(void)
{
    return load(TEMPLATE_COPIED);
}

static int load_brief(void)
{
    return load(TEMPLATE_BRIEF);
}

static void a_load_that_fails_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    assert_in_range(fail_each(load_copied, 1), 8, 100);
    expect_loaded();
    assert_in_range(fail_each(load_brief, 1), 5, 100);
    expect_loaded();
}

static void a_directory_that_is_gone_is_told(void **state)
{
    (void)state;
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(save(), GBX_EHOST);
    assert_int_equal(load(TEMPLATE_COPIED), GBX_EFILE);
    assert_int_equal(mkdir(folder, 0700), 0); /* another one */
    assert_int_equal(save(), GBX_EHOST);
}

static void what_is_in_the_way_is_told(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(dir_fd, NAME, 0700), 0);
    assert_int_equal(save(), GBX_EHOST);
    assert_int_equal(count_entries(), 1);
}

/* Who is killed while saving leaves a file, and its number comes again. */
static void a_dead_writer_is_in_nobodys_way(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof(name), ".%s.%d", NAME, (int)getpid());
    close(openat(dir_fd, name, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(save(), 0);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    expect_loaded();
}

/* Beyond it, the kernel's word is SIGXFSZ, and that is the embedder's end. */
static void a_limit_on_files_is_named_and_kills_nobody(void **state)
{
    static const rlim_t limits[] = {0, PAGE, 4 * PAGE};

    (void)state;
    assert_int_equal(save(), 0);
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        const struct rlimit limit = {limits[i], limits[i]};
        int status;
        pid_t child = fork();

        must(child >= 0);
        if (child == 0) {
            bool good = setrlimit(RLIMIT_FSIZE, &limit) == 0;

            good &= save() == GBX_ELIMIT &&
                    strstr(err.what, "RLIMIT_FSIZE") != NULL;
            good &= load(TEMPLATE_COPIED) == GBX_ELIMIT &&
                    strstr(err.what, "RLIMIT_FSIZE") != NULL;
            good &= load(TEMPLATE_BRIEF) == 0; /* which needs no copy */
            _exit(good ? 0 : 1);
        }
        must(waitpid(child, &status, 0) == child);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_entries(), 1);
}

static int open_to_write(void)
{
    int fd = openat(dir_fd, NAME, O_WRONLY | O_NONBLOCK);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? -errno : 0;
}

static void a_brief_one_keeps_writers_away_until_it_is_put(void **state)
{
    (void)state;
    assert_int_equal(save(), 0);
    assert_int_equal(load(TEMPLATE_BRIEF), 0);
    assert_int_equal(fcntl(loaded_fd, F_GETLEASE), F_RDLCK);
    assert_int_equal(open_to_write(), -EWOULDBLOCK);
    assert_int_equal(save(), 0); /* in its place, not into it */
    expect_loaded();
    assert_int_equal(load(TEMPLATE_BRIEF), 0);
    drop_loaded();
    assert_int_equal(open_to_write(), 0);
}

static void a_file_that_somebody_writes_is_copied(void **state)
{
    int writer;

    (void)state;
    assert_int_equal(save(), 0);
    writer = openat(dir_fd, NAME, O_RDWR);
    must(writer >= 0);
    assert_int_equal(load(TEMPLATE_BRIEF), 0);
    assert_int_equal(fcntl(loaded_fd, F_GETLEASE), F_UNLCK);
    assert_int_equal(ftruncate(writer, 0), 0);
    close(writer);
    expect_loaded();
}

static void a_copied_one_needs_the_file_no_longer(void **state)
{
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int fd;

    (void)state;
    assert_int_equal(save(), 0);
    assert_int_equal(load(TEMPLATE_COPIED), 0);
    assert_int_equal(fcntl(loaded_fd, F_GET_SEALS), seals);
    fd = openat(dir_fd, NAME, O_WRONLY | O_TRUNC | O_NONBLOCK);
    assert_true(fd >= 0);
    close(fd);
    unlinkat(dir_fd, NAME, 0);
    expect_loaded();
}

static void many_may_save_and_load_one_at_once(void **state)
{
    pid_t children[6];
    int status;

    (void)state;
    assert_int_equal(save(), 0);
    for (int i = 0; i < 6; i++) {
        children[i] = fork();
        must(children[i] >= 0);
        if (children[i] != 0)
            continue;
        for (int round = 0; round < 50; round++)
            if ((i % 2 == 0 && save() != 0) ||
                load(round % 2 == 0 ? TEMPLATE_COPIED : TEMPLATE_BRIEF) != 0)
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < 6; i++) {
        must(waitpid(children[i], &status, 0) == children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_entries(), 1);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, file_setup, fault_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_save_that_fails_leaves_nothing),
        TEST(a_full_disk_leaves_what_was_there),
        TEST(a_load_that_fails_leaves_nothing),
        TEST(a_directory_that_is_gone_is_told),
        TEST(what_is_in_the_way_is_told),
        TEST(a_dead_writer_is_in_nobodys_way),
        TEST(a_limit_on_files_is_named_and_kills_nobody),
        TEST(a_brief_one_keeps_writers_away_until_it_is_put),
        TEST(a_file_that_somebody_writes_is_copied),
        TEST(a_copied_one_needs_the_file_no_longer),
        TEST(many_may_save_and_load_one_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
