/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor_test.c - numbers: preopened, closed, renumbered; what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sandbox/wasm/wasi/wasi_test.h"

static void directories_are_open_before_it_starts(void **state)
{
    static const char *const names[] = {"/",       ".",    "/tmp",
                                        "/script", "/usr", "/etc"};
    uint32_t fd = 3;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++, fd++) {
        uint32_t bytes = (uint32_t)strlen(names[i]);

        assert_int_equal(CALL(fd_prestat_get, fd, RESULT), OK);
        assert_int_equal(u32_at(RESULT), 0);
        assert_int_equal(u32_at(RESULT + 4), bytes);
        assert_int_equal(CALL(fd_prestat_dir_name, fd, DATA, bytes), OK);
        assert_memory_equal(t.bytes + DATA, names[i], bytes);
        assert_int_equal(CALL(fd_prestat_dir_name, fd, DATA, bytes - 1),
                         NAMETOOLONG);
        assert_int_equal(
            CALL(fd_prestat_dir_name, fd, MEMORY_BYTES - bytes + 1, bytes),
            FAULT);
        assert_int_equal(CALL(fd_prestat_get, fd, MEMORY_BYTES - 7), FAULT);
    }
    assert_int_equal(CALL(fd_prestat_get, fd, RESULT), BADF);
    assert_int_equal(CALL(fd_prestat_get, 0, RESULT), BADF);
    assert_int_equal(CALL(fd_prestat_dir_name, 0, DATA, 10), BADF);
    assert_int_equal(CALL(fd_prestat_get, UINT32_MAX, RESULT), BADF);
    /* One that is not there is no reason to end. */
    assert_int_equal(try_open(7, "bin", 0, READ), NOENT);
    assert_int_equal(CALL(fd_filestat_get, 7, RESULT), NOENT);
    assert_int_equal(wasi_ended(t.wasi), 0);
    assert_int_equal(try_open(6, "main.wasm", 0, READ), OK);
}

static void a_descriptor_says_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(try_open(3, "dev/null", 0, READ | WRITE), OK);
    assert_int_equal(try_open(3, "hello", 0, READ), OK);
    assert_int_equal(CALL(fd_fdstat_get, 3, DATA), OK);
    assert_int_equal(t.bytes[DATA], 3); /* a directory */
    assert_true((u64_at(DATA + 8) & RIGHT(13)) != 0);
    assert_int_equal(u64_at(DATA + 16), RIGHT(28) - 1);
    assert_int_equal(CALL(fd_fdstat_get, 9, DATA), OK);
    assert_int_equal(t.bytes[DATA], 2); /* a device */
    assert_int_equal(CALL(fd_fdstat_get, 10, DATA), OK);
    assert_int_equal(t.bytes[DATA], 4); /* a file */
    assert_int_equal(CALL(fd_fdstat_get, 11, DATA), BADF);
    assert_int_equal(CALL(fd_fdstat_get, 10, MEMORY_BYTES - 23), FAULT);
    assert_int_equal(CALL(fd_fdstat_get, 10, MEMORY_BYTES - 24), OK);
}

static void flags_can_be_changed(void **state)
{
    (void)state;
    assert_int_equal(try_open(3, "tmp/log", 1, READ | WRITE), OK);
    assert_int_equal(write_text(9, "one", -1), 3);
    assert_int_equal(CALL(fd_fdstat_set_flags, 9, 1), OK); /* APPEND */
    assert_int_equal(CALL(fd_seek, 9, 0, 0, RESULT), OK);
    assert_int_equal(write_text(9, "two", -1), 3);
    assert_int_equal(CALL(fd_fdstat_get, 9, DATA), OK);
    assert_int_equal(t.bytes[DATA + 2], 1);
    assert_int_equal(CALL(fd_fdstat_set_flags, 9, 0), OK);
    assert_int_equal(write_text(9, "O", 0), 1);
    assert_int_equal(read_some(9, 100, 0), 6);
    assert_memory_equal(t.bytes + DATA, "Onetwo", 6);
    assert_int_equal(CALL(fd_fdstat_set_flags, 9, 32), INVAL);
    assert_int_equal(CALL(fd_fdstat_set_flags, 15, 0), BADF);
    assert_int_equal(CALL(path_open, 3, 1, NAME, put_text(NAME, "tmp/log"), 0,
                          WRITE, 0, 1, RESULT),
                     OK);
    assert_int_equal(write_text(10, "end", -1), 3);
    assert_int_equal(read_some(9, 100, 0), 9);
}

static void what_is_closed_is_gone(void **state)
{
    (void)state;
    assert_int_equal(CALL(fd_close, 15), BADF);
    assert_int_equal(CALL(fd_close, UINT32_MAX), BADF);
    assert_int_equal(CALL(fd_close, 1), OK);
    assert_int_equal(CALL(fd_close, 1), BADF);
    assert_int_equal(write_text(1, "x", -1), -BADF);
    assert_int_equal(CALL(fd_close, 3), OK);
    assert_int_equal(try_open(3, "hello", 0, READ), BADF);
    assert_int_equal(try_open(4, "inner", 0, READ), OK);
    assert_int_equal(u32_at(RESULT), 1); /* the lowest */
}

static void a_descriptor_gets_another_number(void **state)
{
    (void)state;
    assert_int_equal(try_open(3, "tmp/log", 1, READ | WRITE), OK);
    assert_int_equal(CALL(fd_renumber, 9, 1), OK);
    assert_int_equal(CALL(fd_close, 9), BADF);
    assert_int_equal(write_text(1, "said", -1), 4);
    assert_int_equal(read_some(1, 10, 0), 4);
    assert_int_equal(t.said_bytes, 0);
    assert_int_equal(CALL(fd_renumber, 1, 1), OK);
    assert_int_equal(CALL(fd_renumber, 1, 9), BADF);
    assert_int_equal(CALL(fd_renumber, 9, 1), BADF);
    assert_int_equal(CALL(fd_renumber, 2, 1), OK); /* and it stays stderr */
    assert_int_equal(write_text(1, "text", -1), 4);
    assert_string_equal(t.said, "2text");
}

/* Programs count on where those are. */
static void none_is_renumbered_onto_a_preopened_one(void **state)
{
    (void)state;
    assert_int_equal(try_open(3, "hello", 0, READ), OK);
    assert_int_equal(CALL(fd_renumber, 9, 3), NOTSUP);
    assert_int_equal(CALL(fd_renumber, 3, 9), NOTSUP);
    assert_int_equal(CALL(fd_prestat_get, 3, RESULT), OK);
    assert_int_equal(read_some(9, 5, -1), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directories_are_open_before_it_starts),
        TEST(a_descriptor_says_what_it_is),
        TEST(flags_can_be_changed),
        TEST(what_is_closed_is_gone),
        TEST(a_descriptor_gets_another_number),
        TEST(none_is_renumbered_onto_a_preopened_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
