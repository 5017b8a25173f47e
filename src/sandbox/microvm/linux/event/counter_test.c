/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>

#include "sandbox/microvm/linux/event/event_test.h"

static struct file *open_counter(uint32_t first, unsigned flags)
{
    struct file *file;

    assert_int_equal(event_counter(&waker, first, flags, &file), 0);
    forget_wakes();
    return file;
}

static int64_t add_to(struct file *file, uint64_t value)
{
    return write_bytes(file, &value, sizeof(value));
}

static int64_t take_from(struct file *file)
{
    uint64_t value;
    int64_t n = read_bytes(file, &value, sizeof(value));

    assert_true(n == -EAGAIN || n == 8);
    return n < 0 ? n : (int64_t)value;
}

static void reading_takes_all_or_one(void **state)
{
    struct file *file = open_counter(3, 0);

    (void)state;
    assert_int_equal(add_to(file, 4), 8);
    assert_int_equal(take_from(file), 7);
    assert_int_equal(take_from(file), -EAGAIN);
    put(file);

    file = open_counter(2, EFD_SEMAPHORE);
    assert_int_equal(take_from(file), 1);
    assert_int_equal(add_to(file, 1), 8);
    assert_int_equal(take_from(file), 1);
    assert_int_equal(take_from(file), 1);
    assert_int_equal(take_from(file), -EAGAIN);
    put(file);
}

static void a_counter_waits_below_its_largest_value(void **state)
{
    static const struct {
        uint64_t before, added;
        int64_t want;
    } cases[] = {
        {0, 0, 8},
        {0, UINT64_MAX - 1, 8},
        {0, UINT64_MAX, -EINVAL},
        {1, UINT64_MAX - 2, 8},
        {1, UINT64_MAX - 1, -EAGAIN},
        {UINT64_MAX - 1, 0, 8},
        {UINT64_MAX - 1, 1, -EAGAIN},
        {UINT64_MAX - 1, UINT64_MAX, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *file = open_counter(0, 0);
        uint64_t sum =
            cases[i].before + (cases[i].want > 0 ? cases[i].added : 0);

        assert_int_equal(add_to(file, cases[i].before), 8);
        forget_wakes();
        assert_int_equal(add_to(file, cases[i].added), cases[i].want);
        assert_int_equal(was_woken(file), cases[i].want > 0);
        assert_int_equal(take_from(file), sum > 0 ? (int64_t)sum : -EAGAIN);
        put(file);
    }
}

static void it_wants_8_bytes(void **state)
{
    static const struct {
        size_t bytes;
        int64_t want;
    } cases[] = {{0, -EINVAL}, {7, -EINVAL}, {8, 8}, {9, 8}, {4096, 8}};
    static char room[4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *file = open_counter(1, 0);

        assert_int_equal(write_bytes(file, room, cases[i].bytes),
                         cases[i].want);
        assert_int_equal(read_bytes(file, room, cases[i].bytes), cases[i].want);
        memset(room, 0, sizeof(room));
        put(file);
    }
}

static void its_8_bytes_may_lie_in_pieces(void **state)
{
    struct file *file = open_counter(0, 0);
    uint64_t value = 0x0102030405060708, got = 0;
    struct iovec from[] = {{&value, 3}, {(char *)&value + 3, 5}};
    struct iovec to[] = {{&got, 7}, {(char *)&got + 7, 1}};

    (void)state;
    assert_int_equal(file->class->write(file, from, 2, NULL), 8);
    assert_int_equal(file->class->read(file, to, 2, NULL), 8);
    assert_true(got == value);
    put(file);
}

static void poll_tells_what_can_be_done(void **state)
{
    static const struct {
        uint64_t value;
        unsigned want;
    } cases[] = {
        {0, POLLOUT},
        {1, POLLIN | POLLOUT},
        {UINT64_MAX - 2, POLLIN | POLLOUT},
        {UINT64_MAX - 1, POLLIN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file *file = open_counter(0, 0);

        add_to(file, cases[i].value);
        assert_int_equal(poll_of(file) & (POLLIN | POLLOUT | POLLERR | POLLHUP),
                         cases[i].want);
        put(file);
    }
}

/* Edge-triggered readers would hear of their own reading otherwise. */
static void reading_wakes_only_those_who_could_not_write(void **state)
{
    struct file *file = open_counter(5, EFD_SEMAPHORE);

    (void)state;
    assert_int_equal(take_from(file), 1);
    assert_false(was_woken(file));
    assert_int_equal(add_to(file, UINT64_MAX - 2), -EAGAIN);
    assert_int_equal(take_from(file), 1);
    assert_true(was_woken(file));
    forget_wakes();
    assert_int_equal(take_from(file), 1);
    assert_false(was_woken(file));
    assert_int_equal(add_to(file, UINT64_MAX - 1 - 2), 8);
    forget_wakes();
    assert_int_equal(take_from(file), 1);
    assert_true(was_woken(file)); /* POLLOUT */
    put(file);
}

static void only_its_own_flags_are_taken(void **state)
{
    static const struct {
        unsigned flags;
        int want;
    } cases[] = {
        {EFD_NONBLOCK, 0},
        {EFD_CLOEXEC, 0},
        {EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC, 0},
        {2, -EINVAL},
        {O_APPEND, -EINVAL},
        {UINT32_MAX, -EINVAL},
    };
    struct file *file;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(event_counter(&waker, 0, cases[i].flags, &file),
                         cases[i].want);
        if (cases[i].want < 0)
            continue;
        assert_int_equal(file->flags, O_RDWR | (cases[i].flags & O_NONBLOCK));
        assert_int_equal(event_readable_bytes(file), -ENOTTY);
        put(file);
    }
    heap_fail_in = 1;
    assert_int_equal(event_counter(&waker, 0, 0, &file), -ENOMEM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(reading_takes_all_or_one),
        TEST(a_counter_waits_below_its_largest_value),
        TEST(it_wants_8_bytes),
        TEST(its_8_bytes_may_lie_in_pieces),
        TEST(poll_tells_what_can_be_done),
        TEST(reading_wakes_only_those_who_could_not_write),
        TEST(only_its_own_flags_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
