/* SPDX-License-Identifier: Apache-2.0 */
/* path_test.c - names: what is confined, what is opened, what is changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sandbox/wasm/wasi/wasi_test.h"

static uint32_t stat_it(uint32_t dir, uint32_t flags, const char *path)
{
    return CALL(path_filestat_get, dir, flags, NAME, put_text(NAME, path),
                RESULT);
}

static uint32_t make_dir(uint32_t dir, const char *path)
{
    return CALL(path_create_directory, dir, NAME, put_text(NAME, path));
}

static uint32_t unlink_it(uint32_t dir, const char *path)
{
    return CALL(path_unlink_file, dir, NAME, put_text(NAME, path));
}

static uint32_t remove_dir(uint32_t dir, const char *path)
{
    return CALL(path_remove_directory, dir, NAME, put_text(NAME, path));
}

static uint32_t move(uint32_t dir, const char *from, uint32_t to_dir,
                     const char *to)
{
    return CALL(path_rename, dir, NAME, put_text(NAME, from), to_dir, OTHER,
                put_text(OTHER, to));
}

static uint32_t link_it(uint32_t dir, uint32_t flags, const char *from,
                        uint32_t to_dir, const char *to)
{
    return CALL(path_link, dir, flags, NAME, put_text(NAME, from), to_dir,
                OTHER, put_text(OTHER, to));
}

static uint32_t make_link(const char *target, uint32_t dir, const char *path)
{
    return CALL(path_symlink, OTHER, put_text(OTHER, target), dir, NAME,
                put_text(NAME, path));
}

static uint32_t opened(uint32_t dir, const char *path, uint32_t oflags,
                       uint64_t rights)
{
    assert_int_equal(try_open(dir, path, oflags, rights), OK);
    return u32_at(RESULT);
}

/* From 3, the root, or 4, /work. */
static const struct {
    uint32_t dir, want;
    const char *path;
} places[] = {
    {3, OK, "hello"},
    {3, OK, "sub/../hello"},
    {3, OK, "in"},
    {3, OK, "work/inner"},
    {3, OK, "work/outside"}, /* the link stays below "/" */
    {3, NOTCAPABLE, ".."},
    {3, NOTCAPABLE, "../root/hello"},
    {3, NOTCAPABLE, "sub/../../secret"},
    {3, NOTCAPABLE, "/hello"},
    {3, NOTCAPABLE, "out"},
    {3, NOTCAPABLE, "up"},
    {3, NOTCAPABLE, "abs"},
    {3, NOENT, "none"},
    {3, NOENT, ""},
    {3, NOTDIR, "hello/x"},
    {4, OK, "inner"},
    {4, OK, "."},
    {4, NOENT, "hello"},
    {4, NOTCAPABLE, ".."},
    {4, NOTCAPABLE, "../hello"},
    {4, NOTCAPABLE, "outside"},
    {4, NOTCAPABLE, "/work/inner"},
    {1, NOTDIR, "hello"},
    {15, BADF, "hello"},
    {UINT32_MAX, BADF, "hello"},
};

static void no_path_leaves_its_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        uint32_t dir = places[i].dir;
        const char *path = places[i].path;
        uint32_t got = stat_it(dir, 1, path);

        if (got != places[i].want)
            print_error("%u %s: %u\n", dir, path, got);
        assert_int_equal(got, places[i].want);
        assert_int_equal(try_open(dir, path, 0, READ), got);
        if (got == OK)
            assert_int_equal(CALL(fd_close, u32_at(RESULT)), OK);
        if (got != NOTCAPABLE)
            continue;
        if (strstr(path, "..") != NULL || path[0] == '/')
            assert_int_equal(make_dir(dir, path), NOTCAPABLE);
        assert_int_equal(try_open(dir, path, 1, WRITE), NOTCAPABLE);
    }
}

/* Also from a directory that was opened. */
static void an_open_directory_confines_as_well(void **state)
{
    uint32_t sub = opened(3, "sub", 2, READ);

    (void)state;
    assert_int_equal(stat_it(sub, 1, "a"), OK);
    assert_int_equal(stat_it(sub, 1, "../hello"), NOTCAPABLE);
    assert_int_equal(make_link("../hello", sub, "leads"), OK);
    assert_int_equal(stat_it(sub, 0, "leads"), OK);
    assert_int_equal(stat_it(sub, 1, "leads"), NOTCAPABLE);
    assert_int_equal(stat_it(3, 1, "sub/leads"), OK);
    assert_int_equal(move(sub, "a", sub, "../a"), NOTCAPABLE);
    assert_int_equal(move(3, "hello", sub, "../../x"), NOTCAPABLE);
    assert_int_equal(link_it(3, 0, "hello", sub, "../x"), NOTCAPABLE);
    assert_int_equal(unlink_it(sub, "../hello"), NOTCAPABLE);
    assert_int_equal(remove_dir(sub, "../empty"), NOTCAPABLE);
    assert_int_equal(make_link("/hello", sub, "absolute"), NOTCAPABLE);
    assert_int_equal(make_link("x", sub, "/absolute"), NOTCAPABLE);
    assert_int_equal(move(sub, "a", 3, "a"), OK); /* both are open */
    assert_int_equal(stat_it(3, 0, "a"), OK);
}

static void a_path_is_a_text_of_some_length(void **state)
{
    (void)state;
    memset(t.bytes + NAME, 'x', 5000);
    assert_int_equal(CALL(path_filestat_get, 3, 1, NAME, 4096, RESULT),
                     NAMETOOLONG);
    assert_int_equal(CALL(path_filestat_get, 3, 1, NAME, UINT32_MAX, RESULT),
                     FAULT);
    assert_int_equal(CALL(path_filestat_get, 3, 1, MEMORY_BYTES - 4, 5, RESULT),
                     FAULT);
    assert_int_equal(
        CALL(path_filestat_get, 3, 1, MEMORY_BYTES + 1ull, 0, RESULT), FAULT);
    put_text(MEMORY_BYTES - 5, "hello");
    assert_int_equal(CALL(path_filestat_get, 3, 1, MEMORY_BYTES - 5, 5, RESULT),
                     OK);
    memcpy(t.bytes + NAME, "hel\0lo", 6);
    assert_int_equal(CALL(path_filestat_get, 3, 1, NAME, 6, RESULT), INVAL);
    assert_int_equal(stat_it(3, 2, "hello"), INVAL);
}

static void names_come_and_go(void **state)
{
    (void)state;
    assert_int_equal(make_dir(3, "new"), OK);
    assert_int_equal(make_dir(3, "new"), EXIST);
    assert_int_equal(make_dir(3, "new/deep/"), OK);
    assert_int_equal(remove_dir(3, "new"), NOTEMPTY);
    assert_int_equal(unlink_it(3, "new"), ISDIR);
    assert_int_equal(remove_dir(3, "hello"), NOTDIR);
    assert_int_equal(remove_dir(3, "new/deep"), OK);
    assert_int_equal(remove_dir(3, "new"), OK);
    assert_int_equal(unlink_it(3, "hello"), OK);
    assert_int_equal(unlink_it(3, "hello"), NOENT);
    assert_int_equal(access(host("root/hello"), F_OK), 0);
    assert_int_equal(make_dir(3, "dev/new"), OK);
    assert_int_equal(move(3, "sub/a", 3, "dev/a"), XDEV);
}

static void links_are_read_whole_or_cut(void **state)
{
    (void)state;
    assert_int_equal(
        CALL(path_readlink, 3, NAME, put_text(NAME, "up"), DATA, 100, RESULT),
        OK);
    assert_int_equal(u32_at(RESULT), 9);
    assert_memory_equal(t.bytes + DATA, "../secret", 9);
    memset(t.bytes + DATA, 0, 16);
    assert_int_equal(CALL(path_readlink, 3, NAME, 2, DATA, 4, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 4);
    assert_memory_equal(t.bytes + DATA, "../s\0", 5);
    assert_int_equal(CALL(path_readlink, 3, NAME, 2, DATA, 0, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 0);
    assert_int_equal(
        CALL(path_readlink, 3, NAME, 2, MEMORY_BYTES - 3, 4, RESULT), FAULT);
    assert_int_equal(CALL(path_readlink, 3, NAME, 2, DATA, 4, MEMORY_BYTES - 3),
                     FAULT);
    assert_int_equal(
        CALL(path_readlink, 3, NAME, put_text(NAME, "hello"), DATA, 4, RESULT),
        INVAL);
    assert_int_equal(make_link("", 3, "x"), NOENT);
    assert_int_equal(make_link("x", 3, "hello"), EXIST);
    assert_int_equal(make_link("loop", 3, "loop"), OK);
    assert_int_equal(stat_it(3, 1, "loop"), LOOP);
    assert_int_equal(stat_it(3, 0, "loop"), OK);
}

static void hard_links_are_one_file(void **state)
{
    uint32_t fd = opened(3, "tmp/one", 1, READ | WRITE);

    (void)state;
    assert_int_equal(link_it(3, 0, "tmp/one", 3, "tmp/two"), OK);
    assert_int_equal(link_it(3, 0, "tmp/one", 3, "tmp/two"), EXIST);
    assert_int_equal(link_it(3, 2, "tmp/one", 3, "tmp/x"), INVAL);
    assert_int_equal(write_text(fd, "both", -1), 4);
    fd = opened(3, "tmp/two", 0, READ);
    assert_int_equal(read_some(fd, 10, -1), 4);
    assert_int_equal(stat_it(3, 0, "tmp/two"), OK);
    assert_int_equal(u64_at(RESULT + 24), 2);
}

/* What path_open's rights say decides. */
static void rights_say_what_a_file_is_opened_for(void **state)
{
    uint32_t both = opened(3, "hello", 0, READ | WRITE);
    uint32_t reads = opened(3, "hello", 0, READ);
    uint32_t writes = opened(3, "hello", 0, WRITE);
    uint32_t none = opened(3, "hello", 0, 0);

    (void)state;
    assert_int_equal(read_some(both, 5, 0), 5);
    assert_int_equal(write_text(both, "H", 0), 1);
    assert_int_equal(read_some(reads, 5, 0), 5);
    assert_memory_equal(t.bytes + DATA, "Hello", 5);
    assert_int_equal(write_text(reads, "x", 0), -BADF);
    assert_int_equal(CALL(fd_filestat_set_size, reads, 0), BADF);
    assert_int_equal(CALL(fd_allocate, reads, 0, 1), BADF);
    assert_int_equal(read_some(writes, 5, 0), -BADF);
    assert_int_equal(write_text(writes, "h", 0), 1);
    assert_int_equal(read_some(none, 5, 0), -BADF);
    assert_int_equal(write_text(none, "x", 0), -BADF);
    assert_int_equal(CALL(fd_fdstat_get, reads, RESULT), OK);
    assert_true((u64_at(RESULT + 8) & RIGHT(1)) != 0);
    assert_true((u64_at(RESULT + 8) & RIGHT(6)) == 0);
    assert_int_equal(u64_at(RESULT + 16), 0);
}

static void rights_that_were_given_up_are_gone(void **state)
{
    uint32_t fd = opened(3, "hello", 0, READ | WRITE), sub;

    (void)state;
    assert_int_equal(CALL(fd_fdstat_set_rights, fd, RIGHT(1), 0), OK);
    assert_int_equal(read_some(fd, 5, -1), 5);
    assert_int_equal(write_text(fd, "x", -1), -BADF);
    assert_int_equal(CALL(fd_fdstat_set_rights, fd, RIGHT(6), 0), NOTCAPABLE);
    assert_int_equal(CALL(fd_fdstat_set_rights, fd, RIGHT(1), 1), NOTCAPABLE);
    assert_int_equal(CALL(fd_fdstat_set_rights, 15, 0, 0), BADF);
    sub = opened(3, "sub", 2, READ);
    assert_int_equal(CALL(fd_fdstat_set_rights, sub, RIGHT(13), READ), OK);
    assert_int_equal(try_open(sub, "a", 0, WRITE), NOTCAPABLE);
    assert_int_equal(try_open(sub, "a", 8, READ), NOTCAPABLE); /* TRUNC */
    assert_int_equal(try_open(sub, "a", 0, READ), OK);
    assert_int_equal(CALL(fd_readdir, sub, DATA, 100, 0, RESULT), BADF);
    sub = opened(sub, ".", 2, READ); /* and it has no more to give */
    assert_int_equal(try_open(sub, "a", 0, WRITE), NOTCAPABLE);
}

static void opening_has_its_flags(void **state)
{
    static const struct {
        const char *path;
        uint32_t oflags;
        uint64_t rights;
        uint32_t want;
    } cases[] = {
        {"none", 0, READ, NOENT},
        {"tmp/made", 1, READ | WRITE, OK},
        {"tmp/made", 1 | 4, WRITE, EXIST},
        {"tmp/made", 8, WRITE, OK},
        {"sub", 2, READ | WRITE, OK}, /* nobody writes to directories */
        {"sub", 0, READ, OK},
        {"sub", 0, READ | WRITE, ISDIR},
        {"hello", 2, READ, NOTDIR},
        {"hello/", 0, READ, NOTDIR},
        {"sub", 1 | 2, READ, INVAL},
        {"hello", 16, READ, INVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t got =
            try_open(3, cases[i].path, cases[i].oflags, cases[i].rights);

        if (got != cases[i].want)
            print_error("%zu %s: %u\n", i, cases[i].path, got);
        assert_int_equal(got, cases[i].want);
        if (got == OK)
            assert_int_equal(CALL(fd_close, u32_at(RESULT)), OK);
    }
    assert_int_equal(CALL(path_open, 3, 0, NAME, put_text(NAME, "in"), 0, READ,
                          0, 0, RESULT),
                     LOOP);
    assert_int_equal(CALL(path_open, 3, 0, NAME, 2, 0, READ, 0, 32, RESULT),
                     INVAL);
    assert_int_equal(CALL(path_open, 3, 2, NAME, 2, 0, READ, 0, 0, RESULT),
                     INVAL);
    assert_int_equal(
        CALL(path_open, 3, 1, NAME, 2, 0, READ, 0, 0, MEMORY_BYTES - 3), FAULT);
}

static void open_files_have_a_limit(void **state)
{
    uint32_t last = 0, got;

    (void)state;
    while ((got = try_open(3, "hello", 0, READ)) == OK)
        last = u32_at(RESULT);
    assert_int_equal(got, MFILE);
    assert_int_equal(last, FILES_MAX - 1);
    assert_int_equal(CALL(fd_close, last - 1), OK);
    assert_int_equal(opened(3, "hello", 0, READ), last - 1);
    t.config.files_max = 1000;
    open_again();
    for (uint32_t i = 9; i < 400; i++) /* the table grows */
        assert_int_equal(opened(3, "hello", 0, READ), i);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_path_leaves_its_directory),
        TEST(an_open_directory_confines_as_well),
        TEST(a_path_is_a_text_of_some_length),
        TEST(names_come_and_go),
        TEST(links_are_read_whole_or_cut),
        TEST(hard_links_are_one_file),
        TEST(rights_say_what_a_file_is_opened_for),
        TEST(rights_that_were_given_up_are_gone),
        TEST(opening_has_its_flags),
        TEST(open_files_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
