/* SPDX-License-Identifier: Apache-2.0 */
/* stream_test.c - the standard streams, and waiting for them and for times. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "sandbox/wasm/wasi/wasi_test.h"

static void output_comes_in_its_order(void **state)
{
    (void)state;
    assert_int_equal(write_text(1, "a", -1), 1);
    assert_int_equal(write_text(2, "b", -1), 1);
    put_text(DATA, "cd");
    put_u32(VECTOR, DATA);
    put_u32(VECTOR + 4, 1);
    put_u32(VECTOR + 8, DATA + 1);
    put_u32(VECTOR + 12, 1);
    assert_int_equal(CALL(fd_write, 1, VECTOR, 2, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 2);
    assert_string_equal(t.said, "1a2b1c1d");
    assert_int_equal(read_some(0, 10, -1), 0); /* there is no input */
    assert_int_equal(write_text(0, "x", -1), -BADF);
    assert_int_equal(read_some(1, 1, -1), -BADF);
    assert_int_equal(write_text(1, "x", 0), -SEEKS);
    assert_int_equal(CALL(fd_fdstat_get, 1, DATA), OK);
    assert_int_equal(u64_at(DATA + 8) & (RIGHT(2) | RIGHT(5)), 0);
}

static void who_refuses_output_ends_the_run(void **state)
{
    (void)state;
    t.output_code = GBX_EOUTPUT;
    assert_int_equal(write_text(1, "text", -1), -IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_EOUTPUT);
    t.config.output = NULL;
    open_again();
    assert_int_equal(write_text(1, "text", -1), 4);
    assert_int_equal(wasi_ended(t.wasi), 0);
}

static void with_stdio(const int stdio[3])
{
    t.config.stdio = stdio;
    open_again();
}

static void pipes_are_waited_for(void **state)
{
    int in[2], out[2], stdio[3];
    char bytes[8] = "";

    (void)state;
    assert_int_equal(pipe(in) | pipe(out), 0);
    stdio[0] = in[0], stdio[1] = out[1], stdio[2] = -1;
    with_stdio(stdio);
    assert_int_equal(write(in[1], "input", 5), 5);
    assert_int_equal(read_some(0, 100, -1), 5);
    assert_memory_equal(t.bytes + DATA, "input", 5);
    assert_int_equal(CALL(fd_fdstat_set_flags, 0, 4), OK);
    assert_int_equal(read_some(0, 100, -1), -AGAIN);
    assert_int_equal(CALL(fd_fdstat_set_flags, 0, 0), OK);
    t.wait_code = GBX_ECANCELED;
    assert_int_equal(read_some(0, 100, -1), -IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_ECANCELED);
    t.wait_code = 0;
    open_again();
    close(in[1]);
    assert_int_equal(read_some(0, 100, -1), 0);
    assert_int_equal(write_text(1, "out", -1), 3);
    assert_int_equal(read(out[0], bytes, 8), 3);
    assert_string_equal(bytes, "out");
    assert_int_equal(write_text(2, "err", -1), 3);
    assert_string_equal(t.said, "2err");
    assert_int_equal(CALL(fd_fdstat_get, 1, DATA), OK);
    assert_int_equal(t.bytes[DATA], 0);
    assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
    close(in[0]);
    close(out[0]);
    close(out[1]);
    wasi_close(t.wasi);
    t.wasi = NULL;
}

static void a_full_pipe_takes_what_fits(void **state)
{
    int out[2], stdio[3];

    (void)state;
    assert_int_equal(pipe(out), 0);
    stdio[0] = stdio[2] = -1, stdio[1] = out[1];
    with_stdio(stdio);
    assert_int_equal(CALL(fd_fdstat_set_flags, 1, 4), OK);
    put_piece(DATA, 1u << 20);
    assert_int_equal(CALL(fd_write, 1, VECTOR, 1, RESULT), OK);
    assert_int_equal(u32_at(RESULT), 65536);
    assert_int_equal(CALL(fd_write, 1, VECTOR, 1, RESULT), AGAIN);
    close(out[0]); /* nobody reads it any more; and no signal comes */
    assert_int_equal(CALL(fd_write, 1, VECTOR, 1, RESULT), PIPED);
    wasi_close(t.wasi);
    t.wasi = NULL;
    close(out[1]);
}

static void sockets_are_no_different(void **state)
{
    int ends[2], stdio[3];
    char bytes[8];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    stdio[0] = stdio[1] = stdio[2] = ends[0];
    with_stdio(stdio);
    assert_int_equal(write_text(1, "out", -1), 3);
    assert_int_equal(read(ends[1], bytes, 8), 3);
    assert_int_equal(write(ends[1], "in", 2), 2);
    assert_int_equal(read_some(0, 100, -1), 2);
    assert_int_equal(CALL(fd_fdstat_get, 0, DATA), OK);
    assert_int_equal(t.bytes[DATA], 6);
    close(ends[1]);
    assert_int_equal(write_text(1, "out", -1), -PIPED);
    wasi_close(t.wasi);
    t.wasi = NULL;
    close(ends[0]);
}

static void a_file_of_the_host_has_a_position(void **state)
{
    int fd = open(host("out"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    const int stdio[3] = {fd, fd, fd};

    (void)state;
    with_stdio(stdio);
    assert_int_equal(write_text(1, "0123456789", -1), 10);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 10);
    assert_int_equal(write_text(1, "x", 3), 1);
    assert_int_equal(CALL(fd_seek, 0, 2, 0, RESULT), OK);
    assert_int_equal(read_some(0, 4, -1), 4);
    assert_memory_equal(t.bytes + DATA, "2x45", 4);
    assert_int_equal(read_some(0, 4, 8), 2);
    assert_int_equal(CALL(fd_tell, 0, RESULT), OK);
    assert_int_equal(u64_at(RESULT), 6);
    assert_int_equal(CALL(fd_filestat_get, 0, RESULT), OK);
    assert_int_equal(u64_at(RESULT + 32), 10);
    assert_int_equal(CALL(fd_filestat_set_size, 1, 0), INVAL);
    wasi_close(t.wasi);
    t.wasi = NULL;
    close(fd);
}

/* Beyond ulimit -f comes SIGXFSZ, the embedder's end. */
static void a_file_of_the_host_ends_at_the_limit(void **state)
{
    int fd = open(host("out"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    const int stdio[3] = {-1, fd, -1};
    struct rlimit was, limit;

    (void)state;
    with_stdio(stdio);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = (struct rlimit){.rlim_cur = 1000, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(write_text(1, "x", 999), 1);
    assert_int_equal(write_text(1, "xx", 999), -FBIG);
    assert_int_equal(CALL(fd_seek, 1, 1ull << 40, 0, RESULT), OK);
    assert_int_equal(write_text(1, "x", -1), -FBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    wasi_close(t.wasi);
    t.wasi = NULL;
    close(fd);
}

/* ---- poll_oneoff ---- */

static void subscribe(uint32_t index, uint64_t userdata, uint8_t tag)
{
    uint32_t at = OTHER + 48 * index;

    memset(t.bytes + at, 0, 48);
    put_u64(at, userdata);
    t.bytes[at + 8] = tag;
}

static void subscribe_clock(uint32_t index, uint32_t id, uint64_t timeout_ns,
                            uint32_t flags)
{
    subscribe(index, 100 + index, 0);
    put_u32(OTHER + 48 * index + 16, id);
    put_u64(OTHER + 48 * index + 24, timeout_ns);
    put_u32(OTHER + 48 * index + 40, flags);
}

static void subscribe_fd(uint32_t index, uint8_t tag, uint32_t fd)
{
    subscribe(index, 100 + index, tag);
    put_u32(OTHER + 48 * index + 16, fd);
}

static uint32_t poll_it(uint32_t count)
{
    return CALL(poll_oneoff, OTHER, DATA, count, RESULT);
}

struct event {
    uint64_t userdata, bytes;
    unsigned error, type, flags;
};

static struct event event(uint32_t index)
{
    uint32_t at = DATA + 32 * index;

    return (struct event){.userdata = u64_at(at),
                          .error = u32_at(at + 8) & 0xffff,
                          .type = t.bytes[at + 10],
                          .bytes = u64_at(at + 16),
                          .flags = u32_at(at + 24) & 0xffff};
}

static void times_come(void **state)
{
    uint64_t from = clock_now_ns();
    struct timespec t0;

    (void)state;
    subscribe_clock(0, 1, 20000000, 0);
    subscribe_clock(1, 0, 1ull << 60, 0);
    assert_int_equal(poll_it(2), OK);
    assert_int_equal(u32_at(RESULT), 1);
    assert_int_equal(event(0).userdata, 100);
    assert_int_equal(event(0).error | event(0).type, 0);
    assert_true(clock_now_ns() - from >= 20000000);
    subscribe_clock(0, 1, clock_now_ns() - 5, 1);
    assert_int_equal(poll_it(1), OK);
    clock_gettime(CLOCK_REALTIME, &t0);
    from = clock_now_ns();
    subscribe_clock(
        0, 0,
        (uint64_t)t0.tv_sec * 1000000000u + (uint64_t)t0.tv_nsec + 10000000, 1);
    assert_int_equal(poll_it(1), OK);
    assert_in_range(clock_now_ns() - from, 9000000, 1000000000);
    subscribe_clock(0, 1, 0, 0);
    assert_int_equal(poll_it(1), OK);
    subscribe_clock(0, 2, 0, 0); /* CPU time */
    subscribe_clock(1, 1, 0, 2);
    assert_int_equal(poll_it(2), OK);
    assert_int_equal(u32_at(RESULT), 2);
    assert_int_equal(event(0).error, INVAL);
    assert_int_equal(event(1).error, INVAL);
}

static void descriptors_become_ready(void **state)
{
    int in[2], stdio[3];

    (void)state;
    assert_int_equal(pipe(in), 0);
    stdio[0] = in[0], stdio[1] = in[1], stdio[2] = -1;
    with_stdio(stdio);
    assert_int_equal(try_open(3, "hello", 0, READ), OK);
    subscribe_fd(0, 1, 0);
    subscribe_clock(1, 1, 1000000, 0);
    assert_int_equal(poll_it(2), OK);
    assert_int_equal(u32_at(RESULT), 1);
    assert_int_equal(event(0).userdata, 101);
    assert_int_equal(write(in[1], "12345", 5), 5);
    subscribe_clock(1, 1, 1ull << 60, 0);
    subscribe_fd(2, 2, 1);
    subscribe_fd(3, 1, 9); /* a file */
    subscribe_fd(4, 1, 77);
    subscribe_fd(5, 2, 9); /* not open for that */
    subscribe_fd(6, 2, 2);
    subscribe_fd(7, 1, 3);
    assert_int_equal(poll_it(8), OK);
    assert_int_equal(u32_at(RESULT), 7);
    assert_int_equal(event(0).userdata, 100);
    assert_int_equal(event(0).bytes, 5);
    assert_int_equal(event(1).userdata, 102);
    assert_int_equal(event(2).bytes, 12);
    assert_int_equal(event(3).error, BADF);
    assert_int_equal(event(4).error, BADF);
    assert_int_equal(event(5).error, OK);
    assert_int_equal(event(6).error, BADF);
    close(in[1]);
    assert_int_equal(read_some(0, 100, -1), 5);
    assert_int_equal(poll_it(1), OK);
    assert_int_equal(event(0).flags, 1); /* hung up */
    close(in[0]);
    assert_int_equal(poll_it(1), OK);
    assert_int_equal(event(0).error, BADF); /* the embedder closed it */
    wasi_close(t.wasi);
    t.wasi = NULL;
}

static void polling_is_bounded(void **state)
{
    const uint32_t end = MEMORY_BYTES;

    (void)state;
    subscribe_clock(0, 1, 0, 0);
    assert_int_equal(poll_it(0), INVAL);
    assert_int_equal(poll_it(1025), INVAL);
    assert_int_equal(poll_it(UINT32_MAX), INVAL);
    assert_int_equal(CALL(poll_oneoff, end - 47, DATA, 1, RESULT), FAULT);
    assert_int_equal(CALL(poll_oneoff, OTHER, end - 31, 1, RESULT), FAULT);
    assert_int_equal(CALL(poll_oneoff, OTHER, DATA, 1, end - 3), FAULT);
    assert_int_equal(CALL(poll_oneoff, UINT32_MAX, DATA, 1, RESULT), FAULT);
    /* Events may lie where the subscriptions lay. */
    for (uint32_t i = 0; i < 3; i++)
        subscribe_clock(i, 1, i, 0);
    assert_int_equal(CALL(poll_oneoff, OTHER, OTHER, 3, RESULT), OK);
    assert_in_range(u32_at(RESULT), 1, 3);
    assert_int_equal(u64_at(OTHER), 100);
    subscribe(0, 1, 3);
    assert_int_equal(poll_it(1), INVAL);
    t.wait_code = GBX_ECANCELED;
    subscribe_clock(0, 1, 1ull << 60, 0);
    assert_int_equal(poll_it(1), IO);
    assert_int_equal(wasi_ended(t.wasi), GBX_ECANCELED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_comes_in_its_order),
        TEST(who_refuses_output_ends_the_run),
        TEST(pipes_are_waited_for),
        TEST(a_full_pipe_takes_what_fits),
        TEST(sockets_are_no_different),
        TEST(a_file_of_the_host_has_a_position),
        TEST(a_file_of_the_host_ends_at_the_limit),
        TEST(times_come),
        TEST(descriptors_become_ready),
        TEST(polling_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
