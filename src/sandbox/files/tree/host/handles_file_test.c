/* SPDX-License-Identifier: Apache-2.0 */
/* handles_file_test.c - descriptors of the host, by their paths in a file. */
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
#include "base/count_test.h"
#include "sandbox/files/tree/host/handles.h"

/* As handles.c writes it, followed by the path. */
struct saved {
    int32_t number, flags;
    uint64_t dev, ino, size;
    int64_t written_s, written_ns;
};

static char folder[64], path[96];
static struct handles handles, loaded;
static int files_before;

static int setup(void **state)
{
    int fd;

    (void)state;
    files_before = count_open_files();
    strcpy(folder, "/tmp/glovebox-handles-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    must(fd >= 0 && write(fd, "abc", 3) == 3);
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    handles_fini(&handles);
    handles_fini(&loaded);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(count_open_files(), files_before);
    return 0;
}

static int add(const char *what, int flags)
{
    return handles_add(&handles, open(what, flags | O_CLOEXEC));
}

static bool load(const void *bytes, size_t count)
{
    struct bytes_in in = {bytes, (const uint8_t *)bytes + count, false};

    return handles_load(&loaded, &in);
}

static bool save_and_load(void)
{
    struct bytes_out out = {0};
    bool good;

    handles_save(&handles, &out);
    good = !out.failed && load(out.bytes, out.count);
    bytes_out_fini(&out);
    return good;
}

static void each_is_opened_at_its_number(void **state)
{
    struct stat st;
    char text[4] = "";

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(add(i == 70 ? path : "/dev/null", O_RDONLY), i);
    add(folder, O_PATH | O_DIRECTORY);
    add(folder, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 100; i++)
        if (i != 70)
            handles_drop(&handles, i);
    assert_true(save_and_load());
    for (uint32_t i = 0; i < loaded.room; i++)
        assert_int_equal(loaded.all[i] != NULL,
                         i == 70 || i == 100 || i == 101);
    assert_int_equal(pread(handles_fd(&loaded, 70), text, 3, 0), 3);
    assert_string_equal(text, "abc");
    assert_true(fcntl(handles_fd(&loaded, 100), F_GETFL) & O_PATH);
    assert_false(fcntl(handles_fd(&loaded, 101), F_GETFL) & O_PATH);
    assert_int_equal(fstat(handles_fd(&loaded, 101), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_true(fcntl(handles_fd(&loaded, 70), F_GETFD) & FD_CLOEXEC);
    /* Numbers between are free. */
    assert_int_equal(handles_add(&loaded, open("/dev/null", O_RDONLY)), 0);
}

static void none_can_be_saved_too(void **state)
{
    (void)state;
    assert_true(save_and_load());
    assert_int_equal(loaded.room, 0);
}

static void a_file_that_changed_is_refused(void **state)
{
    struct bytes_out out = {0};
    int fd = open(path, O_WRONLY | O_APPEND);

    (void)state;
    add("/dev/null", O_RDONLY);
    add(path, O_RDONLY);
    handles_save(&handles, &out);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_false(load(out.bytes, out.count));
    assert_null(loaded.all);
    unlink(path);
    assert_false(load(out.bytes, out.count));
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_false(load(out.bytes, out.count));
    bytes_out_fini(&out);
}

static void what_has_no_path_is_refused(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    handles_add(&handles, ends[0]);
    close(ends[1]);
    assert_false(save_and_load());
    handles_fini(&handles);
    add(path, O_RDONLY);
    unlink(path);
    assert_false(save_and_load());
}

static void cut_off_anywhere_it_is_refused(void **state)
{
    struct bytes_out out = {0};

    (void)state;
    add(path, O_RDONLY);
    add(folder, O_PATH);
    handles_save(&handles, &out);
    for (size_t count = 0; count < out.count; count++) {
        assert_false(load(out.bytes, count));
        assert_null(loaded.all);
    }
    assert_true(load(out.bytes, out.count));
    bytes_out_fini(&out);
}

static struct saved good(int number)
{
    struct stat st;

    must(stat(path, &st) == 0);
    return (struct saved){.number = number,
                          .dev = st.st_dev,
                          .ino = st.st_ino,
                          .size = (uint64_t)st.st_size,
                          .written_s = st.st_mtim.tv_sec,
                          .written_ns = st.st_mtim.tv_nsec};
}

static bool load_all(const struct saved *all, uint64_t count, uint64_t said)
{
    struct bytes_out out = {0};
    bool loads;

    bytes_put_number(&out, said);
    for (uint64_t i = 0; i < count; i++) {
        bytes_put(&out, &all[i], sizeof(all[i]));
        bytes_put_text(&out, path);
    }
    loads = load(out.bytes, out.count);
    assert_true(loads || loaded.all == NULL);
    bytes_out_fini(&out);
    return loads;
}

static void a_number_is_one_that_a_table_can_have(void **state)
{
    static const int bad[] = {-1, INT32_MIN, 1 << 20, INT32_MAX};
    struct saved one = good(0);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        one = good(bad[i]);
        assert_false(load_all(&one, 1, 1));
    }
    one = good((1 << 20) - 1);
    assert_true(load_all(&one, 1, 1));
    assert_true(handles_fd(&loaded, one.number) >= 0);
}

static void a_number_is_used_once_in_any_order(void **state)
{
    const struct saved twice[] = {good(5), good(5)},
                       back[] = {good(40), good(3)};

    (void)state;
    assert_false(load_all(twice, 2, 2));
    assert_true(load_all(back, 2, 2));
    assert_true(handles_fd(&loaded, 3) >= 0);
    assert_true(handles_fd(&loaded, 40) >= 0);
}

static void a_count_that_is_not_there_is_refused(void **state)
{
    const struct saved one = good(0);

    (void)state;
    assert_false(load_all(&one, 1, 2));
    assert_false(load_all(&one, 1, UINT64_MAX));
}

/* Else a file could have others made or cut off. */
static void it_is_only_opened_to_be_read(void **state)
{
    static const int bad[] = {
        O_RDWR,           O_WRONLY,        O_TRUNC, O_CREAT | O_RDWR,
        O_RDWR | O_TRUNC, O_PATH | O_RDWR, -1};
    struct saved one = good(0);
    struct stat st;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        one.flags = bad[i];
        assert_false(load_all(&one, 1, 1));
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 3);
    one.flags = O_PATH;
    assert_true(load_all(&one, 1, 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_is_opened_at_its_number),
        TEST(none_can_be_saved_too),
        TEST(a_file_that_changed_is_refused),
        TEST(what_has_no_path_is_refused),
        TEST(cut_off_anywhere_it_is_refused),
        TEST(a_number_is_one_that_a_table_can_have),
        TEST(a_number_is_used_once_in_any_order),
        TEST(a_count_that_is_not_there_is_refused),
        TEST(it_is_only_opened_to_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
