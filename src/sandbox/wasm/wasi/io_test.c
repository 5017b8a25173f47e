/* SPDX-License-Identifier: Apache-2.0 */
/* io_test.c - reading, writing, positions, directories; attributes of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sandbox/wasm/wasi/wasi_test.h"

static uint32_t opened(const char *path, uint32_t oflags, uint64_t rights)
{
    assert_int_equal(try_open(3, path, oflags, rights), OK);
    return u32_at(RESULT);
}

static void put_pieces(uint32_t count, uint32_t at, uint32_t bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        put_u32(VECTOR + 8 * i, at);
        put_u32(VECTOR + 8 * i + 4, bytes);
    }
}

static void vectors_are_followed_to_the_end_of_the_memory(void **state)
{
    const uint32_t end = MEMORY_BYTES;
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);

    (void)state;
    put_text(end - 4, "last");
    put_piece(end - 4, 4);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), OK);
    put_piece(end - 3, 4);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), FAULT);
    put_piece(end, 0);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 0);
    put_piece(end + 1, 0);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), FAULT);
    put_piece(UINT32_MAX, UINT32_MAX);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), FAULT);
    assert_int_equal(CALL(fd_write, fd, UINT32_MAX, 1, RESULT), FAULT);
    assert_int_equal(CALL(fd_write, fd, end - 8, 2, RESULT), FAULT);
    assert_int_equal(CALL(fd_write, fd, end, 0, RESULT), OK);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1025, RESULT), INVAL);
    assert_int_equal(CALL(fd_write, fd, VECTOR, UINT32_MAX, RESULT), INVAL);
    put_piece(DATA, 1);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, end - 3), FAULT);
    /* The second is bad: nothing was written. */
    put_u32(VECTOR + 8, end);
    put_u32(VECTOR + 12, 1);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 2, RESULT), FAULT);
    assert_int_equal(read_some(fd, 100, 0), 4);
    assert_memory_equal(t.bytes + DATA, "last", 4);
    put_piece(end - 2, 2);
    assert_int_equal(CALL(fd_pread, fd, VECTOR, 1, 0, RESULT), OK);
    assert_memory_equal(t.bytes + end - 2, "la", 2);
}

/* The module may have its vector, its data and the result in one place. */
static void pieces_may_overlap(void **state)
{
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);

    (void)state;
    assert_int_equal(write_text(fd, "0123456789abcdef", -1), 16);
    put_u32(VECTOR, VECTOR);
    put_u32(VECTOR + 4, 8);
    put_u32(VECTOR + 8, VECTOR + 4);
    put_u32(VECTOR + 12, 8);
    assert_int_equal(CALL(fd_pread, fd, VECTOR, 2, 0, VECTOR), OK);
    assert_int_equal(u32_at(VECTOR), 16);
    assert_memory_equal(t.bytes + VECTOR + 4, "89abcdef", 8);
    put_pieces(1024, DATA, 1);
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1024, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 1024);
}

static void positions_are_where_they_were_left(void **state)
{
    uint32_t fd = opened("hello", 0, READ);

    (void)state;
    assert_int_equal(read_some(fd, 5, -1), 5);
    assert_int_equal(CALL(fd_tell, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT), 5);
    assert_int_equal(read_some(fd, 4, 7), 4);
    assert_memory_equal(t.bytes + DATA, "host", 4);
    assert_int_equal(read_some(fd, 100, -1), 7);
    assert_int_equal(read_some(fd, 100, -1), 0);
    assert_int_equal(CALL(fd_seek, fd, (uint64_t)-5, 2, RESULT), OK);
    assert_int_equal(u64_at(RESULT), 7);
    assert_int_equal(CALL(fd_seek, fd, (uint64_t)-7, 1, RESULT), OK);
    assert_int_equal(u64_at(RESULT), 0);
    assert_int_equal(CALL(fd_seek, fd, (uint64_t)-1, 1, RESULT), INVAL);
    assert_int_equal(CALL(fd_seek, fd, INT64_MAX, 0, RESULT), OK);
    assert_int_equal(CALL(fd_seek, fd, 1, 1, RESULT), 61); /* OVERFLOW */
    assert_int_equal(CALL(fd_seek, fd, INT64_MAX, 1, RESULT), 61);
    assert_int_equal(CALL(fd_seek, fd, 0, 3, RESULT), INVAL);
    assert_int_equal(CALL(fd_seek, fd, 0, 0, MEMORY_BYTES - 7), FAULT);
    assert_int_equal(CALL(fd_tell, fd, MEMORY_BYTES - 7), FAULT);
    assert_int_equal(CALL(fd_seek, 15, 0, 0, RESULT), BADF);
    assert_int_equal(CALL(fd_seek, 3, 0, 0, RESULT), BADF);
    assert_int_equal(CALL(fd_seek, 1, 0, 0, RESULT), SEEKS);
    put_piece(DATA, 4);
    assert_int_equal(CALL(fd_pread, fd, VECTOR, 1, UINT64_MAX, RESULT), INVAL);
    assert_int_equal(CALL(fd_pread, fd, VECTOR, 1, INT64_MAX, RESULT), INVAL);
    assert_int_equal(read_some(3, 4, -1), -ISDIR);
    assert_int_equal(write_text(3, "x", -1), -BADF);
}

static void files_have_a_limit_all_together(void **state)
{
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);
    uint64_t all = 0;

    (void)state;
    put_piece(DATA, 8u << 20);
    while (CALL(fd_write, fd, VECTOR, 1, RESULT) == OK) {
        assert_true(u32_at(RESULT) > 0);
        all += u32_at(RESULT);
    }
    assert_int_equal(CALL(fd_write, fd, VECTOR, 1, RESULT), NOSPC);
    assert_true(all <= DISK_BYTES && all > DISK_BYTES / 2);
    assert_int_equal(CALL(fd_filestat_set_size, fd, 0), OK);
    assert_int_equal(CALL(fd_pwrite, fd, VECTOR, 1, 0, RESULT), OK);
    assert_int_equal(CALL(fd_filestat_set_size, fd, 1ull << 40), OK);
    assert_int_equal(CALL(fd_filestat_set_size, fd, UINT64_MAX), INVAL);
}

/* Much is moved in parts, and whoever wants it to end is asked between them. */
static void long_work_can_be_ended(void **state)
{
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);

    (void)state;
    assert_int_equal(CALL(fd_filestat_set_size, fd, 1u << 30), OK);
    memset(t.bytes + DATA, 1, 12u << 20);
    put_piece(DATA, 12u << 20);
    assert_int_equal(CALL(fd_read, fd, VECTOR, 1, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 12u << 20);
    assert_int_equal(t.bytes[DATA + (12u << 20) - 1], 0);
    assert_int_equal(t.bytes[DATA], 0);
    t.wait_code = GBX_ETIME;
    assert_int_equal(CALL(fd_read, fd, VECTOR, 1, RESULT), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_ETIME);
}

static void sizes_and_advice(void **state)
{
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);
    uint32_t device = opened("dev/null", 0, READ | WRITE);

    (void)state;
    assert_int_equal(CALL(fd_allocate, fd, 10, 90), OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 32), 100);
    assert_int_equal(CALL(fd_allocate, fd, 0, 10), OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 32), 100);
    assert_int_equal(CALL(fd_allocate, fd, 0, 0), INVAL);
    assert_int_equal(CALL(fd_allocate, fd, INT64_MAX, 1), INVAL);
    assert_int_equal(CALL(fd_allocate, fd, UINT64_MAX, 2), INVAL);
    assert_int_equal(CALL(fd_allocate, device, 0, 1), NODEV);
    assert_int_equal(CALL(fd_allocate, 3, 0, 1), BADF);
    assert_int_equal(CALL(fd_allocate, 1, 0, 1), INVAL);
    assert_int_equal(CALL(fd_filestat_set_size, 1, 0), INVAL);
    assert_int_equal(CALL(fd_advise, fd, 0, 0, 5), OK);
    assert_int_equal(CALL(fd_advise, fd, 0, 0, 6), INVAL);
    assert_int_equal(CALL(fd_advise, 3, 0, 0, 0), BADF);
    assert_int_equal(CALL(fd_advise, 1, 0, 0, 0), SEEKS);
    assert_int_equal(CALL(fd_sync, fd), OK);
    assert_int_equal(CALL(fd_datasync, fd), OK);
    assert_int_equal(CALL(fd_sync, 3), OK);
    assert_int_equal(CALL(fd_sync, 15), BADF);
    assert_int_equal(CALL(fd_datasync, 15), BADF);
}

/* ---- directories ---- */

/* From a cookie on, with room for so many bytes; which names come.  Returns
 * how many bytes. */
static uint32_t list(uint32_t fd, uint32_t room, uint64_t *cookie, char *names)
{
    uint32_t used, at = DATA;

    assert_int_equal(CALL(fd_readdir, fd, DATA, room, *cookie, RESULT), OK);
    used = u32_at(RESULT);
    assert_true(used <= room);
    while (at + 24 <= DATA + used) {
        uint32_t bytes = u32_at(at + 16);

        if (at + 24 + bytes > DATA + used)
            break;
        sprintf(names + strlen(names), "%.*s%u ", (int)bytes,
                (const char *)t.bytes + at + 24, t.bytes[at + 20]);
        *cookie = u64_at(at);
        at += 24 + bytes;
    }
    return used;
}

static bool has_once(const char *names, const char *name)
{
    const char *found = strstr(names, name);

    return found != NULL && strstr(found + 1, name) == NULL;
}

static void a_directory_is_listed_across_calls(void **state)
{
    static const char *const all[] = {" ..3 ",  " hello4 ", " sub3 ", " in7 ",
                                      " new4 ", " work3 ",  " tmp3 "};

    (void)state;
    opened("new", 1, WRITE);
    for (uint32_t room = 30; room < 400; room += 37) {
        char names[512] = " ";
        uint64_t cookie = 0;

        while (list(3, room, &cookie, names) == room)
            ;
        assert_non_null(strstr(names, " .3 "));
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
            assert_true(has_once(names, all[i]));
    }
}

static void what_changes_while_it_is_listed_comes_once(void **state)
{
    char names[256] = " ";
    uint64_t cookie = 0;
    uint32_t dir;

    (void)state;
    assert_int_equal(
        CALL(path_create_directory, 3, NAME, put_text(NAME, "tmp/dir")), OK);
    opened("tmp/dir/a", 1, WRITE);
    opened("tmp/dir/b", 1, WRITE);
    dir = opened("tmp/dir", 2, READ);
    list(dir, 24 * 3 + 4, &cookie, names); /* ".", ".." and "a" */
    assert_string_equal(names, " .3 ..3 a4 ");
    assert_int_equal(CALL(path_unlink_file, dir, NAME, put_text(NAME, "a")),
                     OK);
    opened("tmp/dir/c", 1, WRITE);
    list(dir, 1000, &cookie, names);
    assert_string_equal(names, " .3 ..3 a4 b4 c4 ");
    assert_int_equal(list(dir, 1000, &cookie, names), 0);
}

static void any_cookie_and_any_room_will_do(void **state)
{
    static const uint64_t cookies[] = {
        2, 77, 1ull << 62, (1ull << 62) + 1, INT64_MAX,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cookies); i++)
        assert_int_equal(CALL(fd_readdir, 3, DATA, 100, cookies[i], RESULT),
                         OK);
    assert_int_equal(CALL(fd_readdir, 3, DATA, 100, UINT64_MAX, RESULT), INVAL);
    assert_int_equal(CALL(fd_readdir, 3, DATA, 0, 0, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 0);
    assert_int_equal(CALL(fd_readdir, 3, MEMORY_BYTES - 10, 10, 0, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 10);
    assert_int_equal(CALL(fd_readdir, 3, MEMORY_BYTES - 10, 11, 0, RESULT),
                     FAULT);
    assert_int_equal(CALL(fd_readdir, 3, DATA, 10, 0, MEMORY_BYTES - 3), FAULT);
    assert_int_equal(CALL(fd_readdir, 1, DATA, 10, 0, RESULT), NOTDIR);
    assert_int_equal(CALL(fd_readdir, 15, DATA, 10, 0, RESULT), BADF);
}

/* ---- attributes ---- */

static void a_file_says_how_large_and_old_it_is(void **state)
{
    struct stat st;
    uint32_t fd = opened("hello", 0, READ);

    (void)state;
    assert_int_equal(stat(host("root/hello"), &st), 0);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(t.bytes[RESULT + 16], 4);
    assert_int_equal(u64_at(RESULT + 24), 1);
    assert_int_equal(u64_at(RESULT + 32), 12);
    assert_int_equal(u64_at(RESULT + 48),
                     (uint64_t)st.st_mtim.tv_sec * 1000000000u +
                         (uint64_t)st.st_mtim.tv_nsec);
    assert_int_equal(CALL(fd_filestat_get, 3, RESULT), OK);
    assert_int_equal(t.bytes[RESULT + 16], 3);
    assert_int_equal(CALL(fd_filestat_get, 1, RESULT), OK);
    assert_int_equal(CALL(fd_filestat_get, 15, RESULT), BADF);
    assert_int_equal(CALL(fd_filestat_get, fd, MEMORY_BYTES - 63), FAULT);
    assert_int_equal(CALL(fd_filestat_get, fd, MEMORY_BYTES - 64), OK);
    assert_int_equal(
        CALL(path_filestat_get, 3, 0, NAME, put_text(NAME, "in"), RESULT), OK);
    assert_int_equal(t.bytes[RESULT + 16], 7);
    assert_int_equal(CALL(path_filestat_get, 3, 0, NAME, 2, MEMORY_BYTES - 63),
                     FAULT);
}

static void times_can_be_set(void **state)
{
    const uint64_t then = 1234567890123456789u;
    uint32_t fd = opened("tmp/file", 1, READ | WRITE);
    uint64_t bytes = put_text(NAME, "tmp/file");

    (void)state;
    assert_int_equal(CALL(fd_filestat_set_times, fd, then, then + 1, 1 | 4),
                     OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 40), then);
    assert_int_equal(u64_at(RESULT + 48), then + 1);
    assert_int_equal(CALL(path_filestat_set_times, 3, 1, NAME, bytes, 0, 5, 4),
                     OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 40), then);
    assert_int_equal(u64_at(RESULT + 48), 5);
    assert_int_equal(CALL(fd_filestat_set_times, fd, UINT64_MAX, 0, 1), OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 40), UINT64_MAX);
    assert_int_equal(CALL(fd_filestat_set_times, fd, 0, 0, 2 | 8), OK);
    assert_int_equal(CALL(fd_filestat_get, fd, RESULT), OK);
    assert_true(u64_at(RESULT + 40) > then && u64_at(RESULT + 48) > then);
    assert_int_equal(CALL(fd_filestat_set_times, fd, 0, 0, 3), INVAL);
    assert_int_equal(CALL(fd_filestat_set_times, fd, 0, 0, 12), INVAL);
    assert_int_equal(CALL(fd_filestat_set_times, fd, 0, 0, 16), INVAL);
    assert_int_equal(CALL(fd_filestat_set_times, 1, 0, 0, 1), NOTSUP);
    assert_int_equal(CALL(fd_filestat_set_times, 15, 0, 0, 1), BADF);
    assert_int_equal(CALL(path_filestat_set_times, 3, 0, NAME, bytes, 0, 0, 3),
                     INVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vectors_are_followed_to_the_end_of_the_memory),
        TEST(pieces_may_overlap),
        TEST(positions_are_where_they_were_left),
        TEST(files_have_a_limit_all_together),
        TEST(long_work_can_be_ended),
        TEST(sizes_and_advice),
        TEST(a_directory_is_listed_across_calls),
        TEST(what_changes_while_it_is_listed_comes_once),
        TEST(any_cookie_and_any_room_will_do),
        TEST(a_file_says_how_large_and_old_it_is),
        TEST(times_can_be_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
