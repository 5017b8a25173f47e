/* SPDX-License-Identifier: Apache-2.0 */
/* files_test.c - which files of a cache are removed, and in which order. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "runtime/cache/files.h"

#define BLOCK (64u << 10) /* a file's, so that all file systems count alike */

static char folder[64];
static int dir_fd = -1;
static char told[16][64];
static unsigned count;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/glovebox-files-XXXXXX");
    assert_non_null(mkdtemp(folder));
    dir_fd = files_open(folder, false, NULL);
    count = 0;
    return dir_fd < 0;
}

static int teardown(void **state)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    (void)state;
    must(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        unlinkat(dir_fd, entry->d_name,
                 entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(dir);
    close(dir_fd);
    return rmdir(folder);
}

/* Used so long ago. */
static void put(const char *name, unsigned blocks, time_t ago_s, long ns)
{
    static uint8_t block[BLOCK];
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT, 0600);
    struct timespec times[2] = {{.tv_sec = time(NULL) - ago_s, .tv_nsec = ns}};

    must(fd >= 0);
    memset(block, 1, sizeof(block));
    for (unsigned i = 0; i < blocks; i++)
        must(write(fd, block, BLOCK) == BLOCK);
    times[1] = times[0];
    must(futimens(fd, times) == 0);
    must(fsync(fd) == 0); /* then its blocks are counted */
    close(fd);
}

static bool is_there(const char *name)
{
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void tell(void *context, const struct gbx_cache_file *file)
{
    assert_ptr_equal(context, &count);
    must(count < ARRAY_SIZE(told));
    snprintf(told[count++], sizeof(told[0]), "%s", file->name);
}

static void they_are_listed_by_their_use(void **state)
{
    (void)state;
    put("c.template", 1, 100, 2);
    put("a.template", 1, 100, 3);
    put("d.template", 1, 100, 1); /* within a second */
    put("b.template", 1, 5000, 0);
    files_list(dir_fd, tell, &count);
    assert_int_equal(count, 4);
    assert_string_equal(told[0], "b.template");
    assert_string_equal(told[1], "d.template");
    assert_string_equal(told[2], "c.template");
    assert_string_equal(told[3], "a.template");
}

static void the_oldest_go_until_the_rest_is_small_enough(void **state)
{
    (void)state;
    put("new.template", 4, 10, 0);
    put("old.template", 1, 5000, 0);
    put("between.template", 2, 100, 0);
    files_prune(dir_fd, 7 * BLOCK, tell, &count);
    assert_int_equal(count, 0); /* so much there may be */
    files_prune(dir_fd, 7 * BLOCK - 1, tell, &count);
    assert_int_equal(count, 1);
    assert_string_equal(told[0], "old.template");
    files_prune(dir_fd, 5 * BLOCK, NULL, NULL);
    assert_false(is_there("between.template"));
    assert_true(is_there("new.template"));
    files_prune(dir_fd, 0, tell, &count);
    assert_string_equal(told[1], "new.template");
    files_prune(dir_fd, 0, tell, &count);
    assert_int_equal(count, 2);
}

static void remove_the_second(void *context, const struct gbx_cache_file *file)
{
    tell(context, file);
    unlinkat(dir_fd, "2.template", 0);
}

static void what_another_one_removed_makes_room_as_well(void **state)
{
    (void)state;
    put("1.template", 1, 400, 0);
    put("2.template", 1, 300, 0);
    put("3.template", 1, 200, 0);
    put("4.template", 1, 100, 0);
    files_prune(dir_fd, 2 * BLOCK, remove_the_second, &count);
    assert_int_equal(count, 1);
    assert_true(is_there("3.template"));
    assert_true(is_there("4.template"));
}

static void what_is_no_template_stays(void **state)
{
    static const char *const names[] = {
        "template",     "x.template.bak", ".template", ".x.template",
        "dir.template", "link.template",  "a file"};

    (void)state;
    assert_int_equal(mkdirat(dir_fd, "dir.template", 0700), 0);
    assert_int_equal(symlinkat("a file", dir_fd, "link.template"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!is_there(names[i]))
            put(names[i], 1, 5000, 0);
    files_prune(dir_fd, 0, tell, &count);
    assert_int_equal(count, 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_true(is_there(names[i]));
}

static void what_dead_writers_left_goes_in_time(void **state)
{
    (void)state;
    put(".x.template.17", 1, 5000, 0);
    put(".x.template.0123456789abcdef", 1, 700, 0);
    put(".y.template.18", 1, 100, 0); /* that one may live */
    put("y.template", 1, 100, 0);
    files_list(dir_fd, tell, &count);
    assert_int_equal(count, 1);
    files_prune(dir_fd, UINT64_MAX, tell, &count);
    assert_int_equal(count, 1);
    assert_false(is_there(".x.template.17"));
    assert_false(is_there(".x.template.0123456789abcdef"));
    assert_true(is_there(".y.template.18"));
    assert_true(is_there("y.template"));
}

static void a_long_name_is_no_template(void **state)
{
    char name[200];

    (void)state;
    memset(name, 'x', sizeof(name));
    strcpy(name + 150, ".template");
    put(name, 1, 5000, 0);
    files_prune(dir_fd, 0, tell, &count);
    assert_true(is_there(name));
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    struct gbx_error err;

    (void)state;
    assert_int_equal(gbx_cache_list("/nothing here", tell, &count, &err),
                     GBX_EFILE);
    assert_non_null(strstr(err.what, "/nothing here"));
    assert_int_equal(gbx_cache_prune("/nothing here", 0, tell, &count, &err),
                     GBX_EFILE);
    assert_int_equal(gbx_cache_prune(folder, 0, tell, &count, &err), 0);
    assert_int_equal(count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(they_are_listed_by_their_use),
        TEST(the_oldest_go_until_the_rest_is_small_enough),
        TEST(what_another_one_removed_makes_room_as_well),
        TEST(what_is_no_template_stays),
        TEST(what_dead_writers_left_goes_in_time),
        TEST(a_long_name_is_no_template),
        TEST(a_directory_that_is_not_there_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
