/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen_test.c - what a guest found on the host, and whether it would find the
 * same.
 *
 * The linker puts the functions below before the C library's (--wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "sandbox/files/tree/host/seen.h"

static long until_failure = -1; /* -1: never */
static int lstat_errno;
static char folder[64];
static struct seen seen;

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
int __real_lstat64(const char *path, struct stat *st);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
int __wrap_lstat64(const char *path, struct stat *st);

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return fails() ? NULL : __real_reallocarray(old, count, bytes);
}

int __wrap_lstat64(const char *path, struct stat *st)
{
    if (lstat_errno == 0)
        return __real_lstat64(path, st);
    errno = lstat_errno;
    return -1;
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    must(fd >= 0);
    must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void note(const char *name)
{
    struct stat st;
    const char *path = path_of(name);

    seen_note(&seen, path, lstat(path, &st) < 0 ? NULL : &st);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/glovebox-seen-XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_file("one", "1");
    write_file("other", "2");
    assert_int_equal(mkdir(path_of("dir"), 0700), 0);
    note("one");
    note("none");
    note("dir");
    note("one/below");
    note("other");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    seen_fini(&seen);
    seen_fini(&seen);
    until_failure = -1;
    lstat_errno = 0;
    unlink(path_of("one"));
    unlink(path_of("other"));
    unlink(path_of("none"));
    unlink(path_of("dir/new"));
    rmdir(path_of("dir"));
    return rmdir(folder);
}

static void expect_stale(const char *name)
{
    const char *path;

    assert_true(seen_is_stale(&seen, &path));
    assert_string_equal(path, path_of(name));
}

static void while_nothing_changes_it_is_fresh(void **state)
{
    struct seen nothing = {.count = 0};
    const char *path;

    (void)state;
    assert_int_equal(seen.count, 5);
    assert_false(seen_is_stale(&seen, &path));
    assert_false(seen_is_stale(&nothing, &path));
    assert_null(path);
}

static void a_file_that_is_written_is_stale(void **state)
{
    (void)state;
    write_file("other", "longer");
    expect_stale("other");
}

static void so_is_one_whose_times_were_set_back(void **state)
{
    struct timespec times[2];
    struct stat st;

    (void)state;
    assert_int_equal(stat(path_of("one"), &st), 0);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    usleep(20000); /* a tick of the file system's clock */
    write_file("one", "x");
    assert_int_equal(utimensat(AT_FDCWD, path_of("one"), times, 0), 0);
    expect_stale("one");
}

static void so_is_one_with_other_rights(void **state)
{
    (void)state;
    assert_int_equal(chmod(path_of("one"), 0400), 0);
    expect_stale("one");
}

static void so_is_one_that_another_replaced(void **state)
{
    char from[128];

    (void)state;
    write_file("none", "1");
    strcpy(from, path_of("none"));
    assert_int_equal(rename(from, path_of("one")), 0);
    expect_stale("one");
}

static void so_is_one_that_went_or_came(void **state)
{
    (void)state;
    write_file("none", "");
    expect_stale("none");
    unlink(path_of("one"));
    expect_stale("one");
}

static void so_is_a_folder_that_lists_another_file(void **state)
{
    (void)state;
    usleep(20000);
    write_file("dir/new", "");
    expect_stale("dir");
}

static void who_cannot_look_takes_nothing_for_the_same(void **state)
{
    static const int refusals[] = {EACCES, EIO, ENOMEM, ENAMETOOLONG};
    const char *path;

    (void)state;
    seen_fini(&seen);
    note("none");
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        lstat_errno = refusals[i];
        assert_true(seen_is_stale(&seen, &path));
    }
    lstat_errno = ENOTDIR;
    assert_false(seen_is_stale(&seen, &path));
}

static void the_same_file_is_noted_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        note("one");
        note("none");
    }
    assert_int_equal(seen.count, 5);
    write_file("one", "another size"); /* both: one of them is stale */
    note("one");
    assert_int_equal(seen.count, 6);
    expect_stale("one");
}

static void what_is_not_noted_makes_it_stale(void **state)
{
    struct seen copy;
    const char *path;

    (void)state;
    for (int i = 0; seen.count < seen.room; i++) {
        char name[16];

        snprintf(name, sizeof(name), "none %d", i);
        note(name);
    }
    until_failure = 0;
    note("no memory");
    until_failure = -1;
    assert_true(seen.failed);
    assert_true(seen_is_stale(&seen, &path));
    note("late");
    assert_int_equal(seen.count, seen.room); /* nothing comes after a gap */
    assert_true(seen_copy(&copy, &seen));
    assert_true(seen_is_stale(&copy, &path));
    seen_fini(&copy);
}

static void save(struct bytes_out *out)
{
    *out = (struct bytes_out){0};
    seen_save(&seen, out);
}

static bool load(struct seen *to, const void *bytes, size_t count)
{
    struct bytes_in in = {bytes, (const uint8_t *)bytes + count, false};

    return seen_load(to, &in);
}

static void expect_same(const struct seen *copy)
{
    assert_int_equal(copy->count, seen.count);
    for (uint32_t i = 0; i < seen.count; i++)
        assert_string_equal(copy->texts + copy->files[i].path,
                            seen.texts + seen.files[i].path);
}

static void a_copy_and_a_saved_one_say_the_same(void **state)
{
    struct bytes_out out;
    struct seen copy, loaded;
    const char *path;

    (void)state;
    save(&out);
    assert_false(out.failed);
    assert_true(seen_copy(&copy, &seen));
    assert_true(load(&loaded, out.bytes, out.count));
    expect_same(&copy);
    expect_same(&loaded);
    assert_false(seen_is_stale(&loaded, &path));
    write_file("other", "longer");
    assert_true(seen_is_stale(&copy, &path));
    assert_true(seen_is_stale(&loaded, &path));
    bytes_out_fini(&out);
    seen_fini(&loaded);
    seen_note(&copy, "/more", NULL); /* it can grow */
    assert_int_equal(copy.count, seen.count + 1);
    seen_fini(&copy);
}

static void one_with_a_gap_is_not_saved(void **state)
{
    struct bytes_out out;

    (void)state;
    seen.failed = true;
    save(&out);
    assert_true(out.failed);
    bytes_out_fini(&out);
}

static void nothing_can_be_saved_too(void **state)
{
    struct bytes_out out;
    struct seen loaded;
    const char *path;

    (void)state;
    seen_fini(&seen);
    save(&out);
    assert_true(load(&loaded, out.bytes, out.count));
    assert_int_equal(loaded.count, 0);
    assert_false(seen_is_stale(&loaded, &path));
    bytes_out_fini(&out);
    seen_fini(&loaded);
}

static void cut_off_anywhere_it_is_refused(void **state)
{
    struct bytes_out out;
    struct seen loaded;

    (void)state;
    save(&out);
    for (size_t count = 0; count < out.count; count++) {
        assert_false(load(&loaded, out.bytes, count));
        assert_null(loaded.files);
        assert_null(loaded.texts);
    }
    bytes_out_fini(&out);
}

static void a_path_lies_in_the_texts_and_they_have_an_end(void **state)
{
    static const uint32_t places[] = {0, 6, 7, 8, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (size_t bytes = 6; bytes < 8; bytes++) {
            const struct seen_file file = {.path = places[i]};
            struct bytes_out out = {0};
            struct seen loaded;

            bytes_put_block(&out, &file, sizeof(file));
            bytes_put_block(&out, "/x/y/z", bytes); /* 7: with its end */
            assert_int_equal(load(&loaded, out.bytes, out.count),
                             places[i] < bytes && bytes == 7);
            seen_fini(&loaded);
            bytes_out_fini(&out);
        }
}

static void no_text_is_no_path(void **state)
{
    const struct seen_file file = {.path = 0};
    struct bytes_out out = {0};
    struct seen loaded;

    (void)state;
    bytes_put_block(&out, &file, sizeof(file));
    bytes_put_block(&out, NULL, 0);
    assert_false(load(&loaded, out.bytes, out.count));
    bytes_out_fini(&out);
}

static void half_a_file_is_refused(void **state)
{
    const struct seen_file file = {.path = 0};
    struct bytes_out out = {0};
    struct seen loaded;

    (void)state;
    bytes_put_block(&out, &file, sizeof(file) - 1);
    bytes_put_block(&out, "/x", 3);
    assert_false(load(&loaded, out.bytes, out.count));
    bytes_out_fini(&out);
}

static void without_memory_there_is_none(void **state)
{
    struct bytes_out out;
    struct seen loaded;

    (void)state;
    save(&out);
    for (long n = 0; n < 2; n++) {
        until_failure = n;
        assert_false(load(&loaded, out.bytes, out.count));
        until_failure = n;
        assert_false(seen_copy(&loaded, &seen));
        assert_null(loaded.files);
    }
    until_failure = -1;
    bytes_out_fini(&out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(while_nothing_changes_it_is_fresh),
        TEST(a_file_that_is_written_is_stale),
        TEST(so_is_one_whose_times_were_set_back),
        TEST(so_is_one_with_other_rights),
        TEST(so_is_one_that_another_replaced),
        TEST(so_is_one_that_went_or_came),
        TEST(so_is_a_folder_that_lists_another_file),
        TEST(who_cannot_look_takes_nothing_for_the_same),
        TEST(the_same_file_is_noted_once),
        TEST(what_is_not_noted_makes_it_stale),
        TEST(a_copy_and_a_saved_one_say_the_same),
        TEST(one_with_a_gap_is_not_saved),
        TEST(nothing_can_be_saved_too),
        TEST(cut_off_anywhere_it_is_refused),
        TEST(a_path_lies_in_the_texts_and_they_have_an_end),
        TEST(no_text_is_no_path),
        TEST(half_a_file_is_refused),
        TEST(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
