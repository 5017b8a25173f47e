/* SPDX-License-Identifier: Apache-2.0 */
/* wasi_test.c - arguments, clocks, chance, the end; and what opening costs. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sandbox/wasm/wasi/wasi_test.h"

static void functions_are_found_by_name(void **state)
{
    static const char *const names[] = {
        "args_get",  "fd_write",   "path_open",     "poll_oneoff",
        "proc_exit", "proc_raise", "sock_shutdown", "sched_yield",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_string_equal(wasi_find(names[i])->name, names[i]);
    assert_string_equal(wasi_find("path_open")->parameters, "iiiiiIIii");
    assert_string_equal(wasi_find("sched_yield")->parameters, "");
    assert_null(wasi_find("fd_dup"));
    assert_null(wasi_find(""));
    assert_null(wasi_find("fd_writ"));
    assert_null(wasi_find("fd_write2"));
}

static void arguments_and_environment_are_put_where_they_shall(void **state)
{
    (void)state;
    assert_int_equal(CALL(args_sizes_get, RESULT, RESULT + 4), OK);
    assert_int_equal(u32_at(RESULT), 3);
    assert_int_equal(u32_at(RESULT + 4), 8 + 1 + 4);
    assert_int_equal(CALL(args_get, VECTOR, DATA), OK);
    assert_int_equal(u32_at(VECTOR), DATA);
    assert_int_equal(u32_at(VECTOR + 4), DATA + 8);
    assert_int_equal(u32_at(VECTOR + 8), DATA + 9);
    assert_memory_equal(t.bytes + DATA, "program\0\0two", 13);
    assert_int_equal(CALL(environ_sizes_get, RESULT, RESULT + 4), OK);
    assert_int_equal(u32_at(RESULT), 1);
    assert_int_equal(u32_at(RESULT + 4), 4);
    assert_int_equal(CALL(environ_get, VECTOR, DATA), OK);
    assert_string_equal(t.bytes + DATA, "A=1");
    t.config.envp = NULL;
    open_again();
    assert_int_equal(CALL(environ_sizes_get, RESULT, RESULT + 4), OK);
    assert_int_equal(u32_at(RESULT), 0);
    assert_int_equal(u32_at(RESULT + 4), 0);
    assert_int_equal(CALL(environ_get, MEMORY_BYTES, MEMORY_BYTES), OK);
}

static void nothing_is_put_outside_the_memory(void **state)
{
    (void)state;
    assert_int_equal(CALL(args_sizes_get, MEMORY_BYTES - 3, RESULT), FAULT);
    assert_int_equal(CALL(args_sizes_get, RESULT, MEMORY_BYTES - 3), FAULT);
    assert_int_equal(CALL(args_sizes_get, MEMORY_BYTES - 8, MEMORY_BYTES - 4),
                     OK);
    assert_int_equal(CALL(args_get, MEMORY_BYTES - 11, DATA), FAULT);
    assert_int_equal(CALL(args_get, MEMORY_BYTES - 12, DATA), OK);
    assert_int_equal(CALL(args_get, VECTOR, MEMORY_BYTES - 12), FAULT);
    assert_int_equal(CALL(args_get, VECTOR, MEMORY_BYTES - 13), OK);
    assert_int_equal(CALL(args_get, UINT32_MAX, UINT32_MAX), FAULT);
    assert_int_equal(CALL(random_get, MEMORY_BYTES - 1, 2), FAULT);
    assert_int_equal(CALL(random_get, 1, UINT32_MAX), FAULT);
    assert_int_equal(CALL(clock_time_get, 0, 0, MEMORY_BYTES - 7), FAULT);
    assert_int_equal(CALL(clock_res_get, 0, UINT32_MAX), FAULT);
}

static void clocks_go_on(void **state)
{
    struct timespec now;

    (void)state;
    for (uint64_t id = 0; id < 4; id++) {
        uint64_t before;

        assert_int_equal(CALL(clock_time_get, id, 0, RESULT), OK);
        before = u64_at(RESULT);
        assert_int_equal(CALL(clock_time_get, id, 0, RESULT), OK);
        assert_true(u64_at(RESULT) >= before);
        assert_int_equal(CALL(clock_res_get, id, RESULT), OK);
        assert_true(u64_at(RESULT) > 0);
    }
    assert_true(u64_at(RESULT) < 1000000000u);
    assert_int_equal(CALL(clock_time_get, 0, 0, RESULT), OK);
    clock_gettime(CLOCK_REALTIME, &now);
    assert_in_range(u64_at(RESULT) / 1000000000u, (uint64_t)now.tv_sec - 5,
                    (uint64_t)now.tv_sec);
    assert_int_equal(CALL(clock_time_get, 1, 0, RESULT), OK);
    assert_true(u64_at(RESULT) <= clock_now_ns());
    assert_int_equal(CALL(clock_time_get, 4, 0, RESULT), INVAL);
    assert_int_equal(CALL(clock_res_get, 4, RESULT), INVAL);
}

/* What the embedder's thread did before is nobody's business. */
static void cpu_time_starts_when_it_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(CALL(clock_time_get, 2, 0, RESULT), OK);
    assert_int_equal(u64_at(RESULT), 0);
}

static void chance_fills_all_of_it(void **state)
{
    static const uint8_t zeros[32];

    (void)state;
    memset(t.bytes + DATA, 0, 64);
    assert_int_equal(CALL(random_get, DATA, 32), OK);
    assert_memory_not_equal(t.bytes + DATA, zeros, 32);
    assert_memory_equal(t.bytes + DATA + 32, zeros, 32);
    assert_int_equal(CALL(random_get, DATA, 0), OK);
    assert_int_equal(CALL(random_get, MEMORY_BYTES, 0), OK);
    assert_int_equal(CALL(random_get, DATA, 3u << 20), OK);
    assert_memory_not_equal(t.bytes + DATA + (3u << 20) - 32, zeros, 32);
    t.wait_code = GBX_ECANCELED; /* killed meanwhile */
    assert_int_equal(CALL(random_get, DATA, 3u << 20), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_ECANCELED);
}

static void an_exit_is_the_end(void **state)
{
    struct gbx_error err;

    (void)state;
    assert_int_equal(wasi_ended(t.wasi), 0);
    assert_int_equal(CALL(proc_exit, 3), OK);
    assert_int_equal(wasi_ended(t.wasi), GBX_EEXIT);
    assert_int_equal(wasi_status(t.wasi), 3);
    wasi_explain(t.wasi, &err);
    assert_int_equal(err.code, GBX_EEXIT);
    assert_false(wasi_is_plain(t.wasi));
}

static void a_signal_is_the_end_or_nothing(void **state)
{
    static const struct {
        uint32_t number, want;
        int ended, status;
    } cases[] = {
        {0, OK, 0, 0},
        {6, OK, GBX_ESIGNAL, 128 + SIGABRT},
        {15, OK, GBX_ESIGNAL, 128 + SIGTERM},
        {16, OK, 0, 0},     /* CHLD */
        {18, NOTSUP, 0, 0}, /* STOP */
        {21, NOTSUP, 0, 0}, /* TTOU */
        {22, OK, 0, 0},     /* URG */
        {23, OK, GBX_ESIGNAL, 128 + SIGXCPU},
        {30, OK, GBX_ESIGNAL, 128 + SIGSYS},
        {31, INVAL, 0, 0},
        {UINT32_MAX, INVAL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(CALL(proc_raise, cases[i].number), cases[i].want);
        assert_int_equal(wasi_ended(t.wasi), cases[i].ended);
        assert_int_equal(wasi_status(t.wasi), cases[i].status);
        open_again();
    }
}

static void there_are_no_sockets(void **state)
{
    (void)state;
    assert_int_equal(call_it("sched_yield", NULL, 0), OK);
    assert_int_equal(CALL(sock_accept, 0, 0, RESULT), NOTSOCK);
    assert_int_equal(CALL(sock_recv, 0, VECTOR, 0, 0, RESULT, RESULT), NOTSOCK);
    assert_int_equal(CALL(sock_send, 1, VECTOR, 0, 0, RESULT), NOTSOCK);
    assert_int_equal(CALL(sock_shutdown, 1, 0), NOTSOCK);
    assert_int_equal(CALL(sock_shutdown, 17, 0), BADF);
}

/* Who uses no file pays for none; a folder that is missing is said then. */
static void the_tree_is_made_when_a_file_is_asked_for(void **state)
{
    struct gbx_error err;
    int fds = count_open_files();

    (void)state;
    t.config.folder = "/nonexistent/folder";
    open_again();
    assert_int_equal(CALL(fd_prestat_get, 3, RESULT), OK);
    assert_int_equal(CALL(fd_fdstat_get, 3, RESULT), OK);
    assert_int_equal(count_open_files(), fds);
    assert_int_equal(wasi_ended(t.wasi), 0);
    assert_int_equal(try_open(3, "hello", 0, READ), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_EFILE);
    wasi_explain(t.wasi, &err);
    assert_int_equal(err.code, GBX_EFILE);
    assert_non_null(strstr(err.what, "/nonexistent/folder"));
    t.config.folder = NULL;
    t.config.working_dir = "/none";
    open_again();
    assert_int_equal(try_open(4, "hello", 0, READ), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_EFILE);
    t.config.root = "/nonexistent/root";
    open_again();
    assert_int_equal(try_open(3, "hello", 0, READ), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_EFILE);
}

/* Of a module with a folder: /script is there, and sealed; /tmp is open. */
static void without_a_root_it_sees_what_all_see(void **state)
{
    (void)state;
    t.config.root = NULL;
    t.config.working_dir = NULL;
    open_again();
    assert_int_equal(CALL(fd_prestat_get, 4, RESULT), BADF);
    assert_int_equal(try_open(3, "script/main.wasm", 0, READ), OK);
    assert_int_equal(read_some(4, 100, -1), 4);
    assert_int_equal(try_open(3, "script/main.wasm", 0, WRITE), ROFS);
    assert_int_equal(try_open(3, "script/new", 1, WRITE), ROFS);
    assert_int_equal(try_open(3, "usr", 2, READ), OK);
    assert_int_equal(try_open(3, "dev/null", 0, WRITE), OK);
    assert_int_equal(try_open(3, "tmp/new", 1, WRITE), OK);
    assert_int_equal(try_open(3, "new", 1, WRITE), ROFS);
    assert_int_equal(try_open(3, "home", 0, READ), NOENT);
}

static void it_is_plain_until_something_is_open_or_changed(void **state)
{
    (void)state;
    assert_true(wasi_is_plain(t.wasi));
    assert_int_equal(write_text(1, "text", -1), 4);
    assert_int_equal(try_open(3, "hello", 0, READ), OK);
    assert_false(wasi_is_plain(t.wasi));
    assert_int_equal(CALL(fd_close, u32_at(RESULT)), OK);
    assert_true(wasi_is_plain(t.wasi));
    assert_int_equal(CALL(fd_fdstat_set_flags, 0, 4), OK);
    assert_false(wasi_is_plain(t.wasi));
    assert_int_equal(CALL(fd_fdstat_set_flags, 0, 0), OK);
    assert_true(wasi_is_plain(t.wasi));
    assert_int_equal(try_open(3, "tmp/new", 1, WRITE), OK);
    assert_int_equal(CALL(fd_close, u32_at(RESULT)), OK);
    assert_false(wasi_is_plain(t.wasi));
}

/* ---- how much stack a call takes ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_IS_ANOTHER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_IS_ANOTHER 1
#endif
#endif

#define STACK_BYTES (1u << 20)
#define UNTOUCHED   0xa5

static void *call_much(void *unused)
{
    uint32_t bytes;

    (void)unused;
    try_open(3, "sub/none/x", 0, READ); /* the first: the tree is made */
    memset(t.bytes + NAME, 'x', 4000);
    for (uint32_t i = 0; i < 4000; i += 2)
        t.bytes[NAME + i] = i % 200 == 0 ? '/' : '.';
    memcpy(t.bytes + OTHER, t.bytes + NAME, 4000);
    CALL(path_rename, 3, NAME + 1, 3999, 3, OTHER + 1, 3999);
    CALL(path_link, 3, 1, NAME + 1, 3999, 3, OTHER + 1, 3999);
    bytes = put_text(NAME, "sub");
    CALL(path_rename, 3, NAME, bytes, 3, OTHER + 1, 3999);
    CALL(path_readlink, 3, NAME, put_text(NAME, "up"), DATA, 100, RESULT);
    try_open(3, "tmp/file", 1, READ | WRITE);
    for (uint32_t i = 0; i < 1024; i++) {
        put_u32(VECTOR + 8 * i, DATA);
        put_u32(VECTOR + 8 * i + 4, 8192);
    }
    CALL(fd_write, 9, VECTOR, 1024, RESULT);
    CALL(fd_pread, 9, VECTOR, 1024, 0, RESULT);
    CALL(fd_write, 1, VECTOR, 1024, RESULT);
    try_open(3, "hello", 0, READ | WRITE);
    CALL(fd_readdir, 3, DATA, 1000, 0, RESULT);
    memset(t.bytes + OTHER, 0, 48 * 1024);
    CALL(poll_oneoff, OTHER, DATA, 1024, RESULT);
    return NULL;
}

static void a_call_fits_into_the_stack_it_asks_for(void **state)
{
    uint8_t *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    uint32_t free_bytes = 0;
    pthread_attr_t how;
    pthread_t thread;

    (void)state;
    assert_ptr_not_equal(stack, MAP_FAILED);
    memset(stack, UNTOUCHED, STACK_BYTES);
    assert_int_equal(pthread_attr_init(&how), 0);
    assert_int_equal(pthread_attr_setstack(&how, stack, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &how, call_much, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&how);
    while (free_bytes < STACK_BYTES && stack[free_bytes] == UNTOUCHED)
        free_bytes++;
#ifndef STACK_IS_ANOTHER
    assert_in_range(STACK_BYTES - free_bytes, 16u << 10, WASI_STACK_BYTES);
#endif
    munmap(stack, STACK_BYTES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(functions_are_found_by_name),
        TEST(arguments_and_environment_are_put_where_they_shall),
        TEST(nothing_is_put_outside_the_memory),
        TEST(clocks_go_on),
        TEST(cpu_time_starts_when_it_is_asked_for),
        TEST(chance_fills_all_of_it),
        TEST(an_exit_is_the_end),
        TEST(a_signal_is_the_end_or_nothing),
        TEST(there_are_no_sockets),
        TEST(the_tree_is_made_when_a_file_is_asked_for),
        TEST(without_a_root_it_sees_what_all_see),
        TEST(it_is_plain_until_something_is_open_or_changed),
        TEST(a_call_fits_into_the_stack_it_asks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
