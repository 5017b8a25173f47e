/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "sandbox/microvm/linux/event/event_test.h"

static char bytes[2 * EVENT_PIPE_BYTES];

static void open_pipe(struct file *ends[2])
{
    assert_int_equal(event_pipe(&waker, 0, ends), 0);
    forget_wakes();
}

/* A pipe in which `used` bytes lie, their places from `head` on. */
static void open_filled(struct file *ends[2], size_t head, size_t used)
{
    open_pipe(ends);
    if (head > 0) {
        assert_int_equal(write_bytes(ends[1], bytes, head), head);
        assert_int_equal(write_bytes(ends[1], bytes, 1), 1);
        assert_int_equal(read_bytes(ends[0], bytes, head), head);
        used--;
    }
    for (size_t n; used > 0; used -= n) {
        n = used < PIPE_BUF ? used : PIPE_BUF;
        assert_int_equal(write_bytes(ends[1], bytes, n), n);
    }
    forget_wakes();
}

static void what_is_written_is_read_in_order(void **state)
{
    struct file *ends[2];
    char got[16] = "";

    (void)state;
    open_pipe(ends);
    assert_int_equal(write_text(ends[1], "one "), 4);
    assert_int_equal(write_text(ends[1], "two"), 3);
    assert_int_equal(event_readable_bytes(ends[0]), 7);
    assert_int_equal(event_readable_bytes(ends[1]), 7);
    assert_int_equal(read_bytes(ends[0], got, 5), 5);
    assert_int_equal(read_bytes(ends[0], got + 5, 9), 2);
    assert_string_equal(got, "one two");
    assert_int_equal(read_bytes(ends[0], got, 1), -EAGAIN);
    put_both(ends);
}

static void bytes_keep_their_order_round_the_ring(void **state)
{
    struct file *ends[2];
    uint8_t next_in = 0, next_out = 0, part[1000];

    (void)state;
    open_pipe(ends);
    for (size_t step = 1; step < 600; step++) {
        size_t in = step * 7 % 900 + 1, out = step * 11 % 900 + 1;
        int64_t n;

        for (size_t i = 0; i < in; i++)
            part[i] = (uint8_t)(next_in + i);
        n = write_bytes(ends[1], part, in);
        assert_true(n == (int64_t)in || n == -EAGAIN);
        next_in = (uint8_t)(next_in + (n > 0 ? n : 0));
        n = read_bytes(ends[0], part, out);
        assert_true(n > 0);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(part[i], next_out++);
    }
    put_both(ends);
}

static void pieces_are_read_and_written_as_one(void **state)
{
    struct file *ends[2];
    char in[] = "abcdefgh", out[9] = "";
    struct iovec from[] = {{in, 3}, {NULL, 0}, {in + 3, 1}, {in + 4, 4}};
    struct iovec to[] = {{out, 1}, {out + 1, 6}, {NULL, 0}, {out + 7, 1}};

    (void)state;
    open_filled(ends, EVENT_PIPE_BYTES - 5, 1); /* so they lie across its end */
    assert_int_equal(ends[1]->class->write(ends[1], from, 4, NULL), 8);
    assert_int_equal(read_bytes(ends[0], out, 1), 1);
    assert_int_equal(ends[0]->class->read(ends[0], to, 4, NULL), 8);
    assert_string_equal(out, "abcdefgh");
    put_both(ends);
}

static void up_to_4096_bytes_are_written_whole_or_not_at_all(void **state)
{
    static const struct {
        size_t free, bytes;
        int64_t want;
    } cases[] = {
        {4096, 4096, 4096},
        {4095, 4096, -EAGAIN},
        {4095, 4095, 4095},
        {4095, 4097, 4095},
        {1, 1, 1},
        {1, 2, -EAGAIN},
        {1, 5000, 1},
        {0, 1, -EAGAIN},
        {0, 5000, -EAGAIN},
        {0, 0, 0},
        {65536, 65536, 65536},
        {65536, 65537, 65536},
        {65536, 4096, 4096},
    };
    static const size_t heads[] = {0, 1, 60000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(heads); i++) {
        size_t free = cases[i / 3].free, head = heads[i % 3];
        struct file *ends[2];

        if (head > 0 && free == EVENT_PIPE_BYTES)
            continue;
        open_filled(ends, head, EVENT_PIPE_BYTES - free);
        assert_int_equal(write_bytes(ends[1], bytes, cases[i / 3].bytes),
                         cases[i / 3].want);
        assert_int_equal(was_woken(ends[0]), cases[i / 3].want > 0);
        assert_false(was_woken(ends[1]));
        put_both(ends);
    }
}

static void poll_tells_what_can_be_done(void **state)
{
    static const struct {
        size_t used;
        bool reader, writer; /* is open */
        unsigned want[2];
    } cases[] = {
        {0, true, true, {0, POLLOUT}},
        {1, true, true, {POLLIN, POLLOUT}},
        {61440, true, true, {POLLIN, POLLOUT}},
        {61441, true, true, {POLLIN, 0}},
        {65536, true, true, {POLLIN, 0}},
        {0, true, false, {POLLHUP, 0}},
        {1, true, false, {POLLIN | POLLHUP, 0}},
        {0, false, true, {0, POLLOUT | POLLERR}},
        {65536, false, true, {0, POLLOUT | POLLERR}},
    };
    const unsigned asked = POLLIN | POLLOUT | POLLERR | POLLHUP;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool open[2] = {cases[i].reader, cases[i].writer};
        struct file *ends[2];

        open_filled(ends, 0, cases[i].used);
        for (int end = 0; end < 2; end++)
            if (!open[end])
                put(ends[end]);
        for (int end = 0; end < 2; end++) {
            if (!open[end])
                continue;
            assert_int_equal(poll_of(ends[end]) & asked, cases[i].want[end]);
            assert_int_equal(was_woken(ends[end]), !open[!end]);
        }
        for (int end = 0; end < 2; end++)
            if (open[end])
                put(ends[end]);
    }
}

static void a_pipe_ends_when_its_other_end_is_closed(void **state)
{
    struct file *ends[2];
    char got[4];

    (void)state;
    open_pipe(ends);
    write_text(ends[1], "end");
    put(ends[1]);
    assert_int_equal(read_bytes(ends[0], got, 4), 3);
    assert_int_equal(read_bytes(ends[0], got, 4), 0);
    put(ends[0]);

    open_pipe(ends);
    write_text(ends[1], "lost");
    put(ends[0]);
    assert_int_equal(write_text(ends[1], "x"), -EPIPE);
    assert_int_equal(write_text(ends[1], ""), 0);
    assert_int_equal(event_readable_bytes(ends[1]), 0);
    put(ends[1]);
}

/* Whoever was refused is told as soon as he need not be. */
static void a_reader_wakes_those_who_could_not_write(void **state)
{
    static const struct {
        size_t used, bytes;
        bool want;
    } cases[] = {
        {65536, 1, true},
        {65536 - 4095, 1, true},
        {65536 - 4096, 1, false}, /* nobody was refused */
        {1, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *ends[2];

        open_filled(ends, 0, cases[i].used);
        assert_int_equal(read_bytes(ends[0], bytes, cases[i].bytes),
                         cases[i].bytes);
        assert_int_equal(was_woken(ends[1]), cases[i].want);
        assert_false(was_woken(ends[0]));
        put_both(ends);
    }
}

static void nothing_is_read_into_nothing(void **state)
{
    struct file *ends[2];

    (void)state;
    open_pipe(ends);
    assert_int_equal(read_bytes(ends[0], bytes, 0), 0);
    assert_int_equal(ends[0]->class->read(ends[0], NULL, 0, NULL), 0);
    put_both(ends);
}

static void a_pipe_has_the_flags_it_was_given(void **state)
{
    static const struct {
        unsigned flags;
        int want;
    } cases[] = {
        {O_NONBLOCK, 0},     {O_CLOEXEC, 0}, {O_NONBLOCK | O_CLOEXEC, 0},
        {O_DIRECT, -EINVAL}, {1, -EINVAL},   {UINT_MAX, -EINVAL},
        {1u << 31, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *ends[2];
        struct stat st;

        assert_int_equal(event_pipe(&waker, cases[i].flags, ends),
                         cases[i].want);
        if (cases[i].want < 0)
            continue;
        assert_int_equal(ends[0]->flags,
                         O_RDONLY | (cases[i].flags & O_NONBLOCK));
        assert_int_equal(ends[1]->flags,
                         O_WRONLY | (cases[i].flags & O_NONBLOCK));
        assert_int_equal(ends[0]->class->stat(ends[0], &st), 0);
        assert_true(S_ISFIFO(st.st_mode));
        put_both(ends);
    }
}

static void without_memory_nothing_is_written(void **state)
{
    struct iovec piece = {bytes, 10};
    struct file *ends[2];

    (void)state;
    heap_fail_in = 1;
    assert_int_equal(event_pipe(&waker, 0, ends), -ENOMEM);
    open_pipe(ends);
    heap_fail_in = 1;
    assert_int_equal(ends[1]->class->write(ends[1], &piece, 1, NULL), -ENOMEM);
    assert_int_equal(wake_count, 0);
    assert_int_equal(read_bytes(ends[0], bytes, 1), -EAGAIN);
    assert_int_equal(write_bytes(ends[1], bytes, 10), 10);
    put_both(ends);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_in_order),
        TEST(bytes_keep_their_order_round_the_ring),
        TEST(pieces_are_read_and_written_as_one),
        TEST(up_to_4096_bytes_are_written_whole_or_not_at_all),
        TEST(poll_tells_what_can_be_done),
        TEST(a_pipe_ends_when_its_other_end_is_closed),
        TEST(a_reader_wakes_those_who_could_not_write),
        TEST(nothing_is_read_into_nothing),
        TEST(a_pipe_has_the_flags_it_was_given),
        TEST(without_memory_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
