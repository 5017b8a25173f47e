/* SPDX-License-Identifier: Apache-2.0 */
/* task_test.c - whose turn it is, and how a task waits. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sched.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct task *first, *other;
static int ends[2]; /* of a pipe */

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    first = kernel->current;
    other = make_thread();
    assert_non_null(other);
    assert_int_equal(call(SYS_pipe2, SCRATCH, 0), 0);
    peek(SCRATCH, ends, sizeof(ends));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_kernel();
    return 0;
}

static void a_thread_begins_with_its_parents_registers(void **state)
{
    (void)state;
    assert_int_equal(other->state.regs.rax, 0);
    assert_int_equal(other->state.regs.rsp, SCRATCH + SCRATCH_SIZE / 2);
    assert_int_equal(other->state.regs.rip, rig.regs.rip);
    assert_int_equal(other->tid, KERNEL_PID + 1);
    assert_int_equal(other->mask, first->mask);
}

static void a_clone_that_is_no_thread_is_refused(void **state)
{
    static const struct {
        uint64_t flags, tls;
        int want;
    } cases[] = {
        {SIGCHLD, 0, -ENOSYS},
        {CLONE_VM | CLONE_VFORK, 0, -ENOSYS},
        {0x50f00, 0, 0},
        {0x50f00 | CLONE_NEWPID, 0, -EINVAL},
        {0x50f00 | CLONE_SETTLS, UINT64_MAX, -EPERM},
        {0x50f00 | CLONE_SETTLS, TABLES_USER_END, -EPERM},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t rc =
            call(CALL_CLONE, cases[i].flags, SCRATCH, 0, 0, cases[i].tls);

        assert_int_equal(rc < 0 ? rc : 0, cases[i].want);
    }
}

static void threads_have_a_limit_and_numbers_of_their_own(void **state)
{
    int64_t tid, last = other->tid;

    (void)state;
    kernel->last_tid = 4194303; /* the largest was given */
    while ((tid = call(CALL_CLONE, 0x50f00, SCRATCH, 0, 0, 0)) > 0) {
        assert_int_equal(tid, last + 1); /* 2 and 3 are taken */
        last = tid;
    }
    assert_int_equal(tid, -EAGAIN);
    assert_int_equal(kernel->task_count, 8);
    assert_true(kernel->met_task_limit);
}

static void a_processor_that_fails_makes_no_thread(void **state)
{
    (void)state;
    rig.refuses = true;
    assert_int_equal(call(CALL_CLONE, 0x50f00, SCRATCH, 0, 0, 0), -EAGAIN);
    assert_int_equal(kernel->task_count, 2);
    kernel->fresh_slice = true;
    assert_int_equal(kernel_schedule(kernel, 1), -EIO);
    rig.refuses = false;
}

static void a_task_keeps_the_processor_until_its_slice_is_over(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kernel_schedule(kernel, 1), 1);
        assert_ptr_equal(kernel->current, first);
    }
    assert_true(kernel_is_shared(kernel));
    assert_int_equal(call(SYS_sched_yield), 0);
    assert_int_equal(kernel_schedule(kernel, 1), 1);
    assert_ptr_equal(kernel->current, other);
    assert_int_equal(rig.regs.rsp, SCRATCH + SCRATCH_SIZE / 2);
}

static void a_read_waits_until_another_writes(void **state)
{
    (void)state;
    assert_int_equal(call(SYS_read, ends[0], SCRATCH, 8), KERNEL_WAIT);
    assert_false(kernel_goes_on(kernel));
    assert_true(turn(1));
    assert_ptr_equal(kernel->current, other);
    assert_int_equal(call(SYS_write, ends[1], SCRATCH + 100, 3), 3);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    assert_true(turn(1));
    assert_ptr_equal(kernel->current, first);
    assert_int_equal(rig.regs.rax, 3);
}

static void a_write_waits_until_all_of_it_is_written(void **state)
{
    uint64_t at = (uint64_t)map_some(1 << 20), to = (uint64_t)map_some(1 << 20);
    uint64_t got = 0;
    char byte = 0;

    (void)state;
    poke(at + 199999, "x", 1);
    assert_int_equal(call(SYS_write, ends[1], at, 200000), KERNEL_WAIT);
    while (got < 200000) {
        int64_t rc;

        run_task(other);
        rc = call(SYS_read, ends[0], to + got, 50000);
        assert_in_range(rc, 1, 50000);
        got += (uint64_t)rc;
        run_task(first);
        kernel_resume(kernel);
    }
    peek(to + 199999, &byte, 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(got, 200000);
    assert_false(first->in_call);
    assert_int_equal(rig.regs.rax, 200000);
}

/* A call that waits keeps no reference to its file. */
static void a_file_that_is_closed_ends_the_wait_for_it(void **state)
{
    (void)state;
    assert_int_equal(call(SYS_read, ends[0], SCRATCH, 8), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_close, ends[0]), 0);
    assert_int_equal(call(SYS_close, ends[1]), 0);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    assert_true(turn(1));
    assert_ptr_equal(kernel->current, first);
    assert_int_equal(rig.regs.rax, -EBADF);
}

static void a_number_that_means_another_file_now_is_not_read(void **state)
{
    int64_t counter = call(SYS_eventfd2, 1, 0);

    (void)state;
    assert_int_equal(call(SYS_read, ends[0], SCRATCH, 8), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_dup2, counter, ends[0]), ends[0]);
    run_task(first);
    assert_true(kernel_resume(kernel));
    assert_int_equal(rig.regs.rax, -EBADF);
    assert_int_equal(call(SYS_read, counter, SCRATCH, 8), 8);
}

static void a_duplicate_keeps_what_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(call(SYS_dup, ends[0]), 2);
    assert_int_equal(call(SYS_read, 2, SCRATCH, 8), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_close, ends[0]), 0);
    assert_int_equal(first->status, TASK_WAITING);
    assert_int_equal(call(SYS_write, ends[1], SCRATCH, 5), 5);
    run_task(first);
    assert_true(kernel_resume(kernel));
    assert_int_equal(rig.regs.rax, 5);
}

static void a_time_is_over_when_it_comes(void **state)
{
    struct timespec time = {0, 20000000};
    uint64_t due;

    (void)state;
    poke(SCRATCH, &time, sizeof(time));
    assert_int_equal(call(SYS_nanosleep, SCRATCH, 0), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_poll, 0, 0, 30), KERNEL_WAIT);
    due = kernel_due_ns(kernel);
    assert_int_equal(due, first->wait.until_ns);
    assert_false(turn(due - 1));
    while (clock_now_ns() < due)
        ;
    assert_true(turn(due));
    assert_ptr_equal(kernel->current, first);
    assert_int_equal(rig.regs.rax, 0);
    assert_int_equal(kernel_due_ns(kernel), other->wait.until_ns);
}

static void wrong_times_are_refused(void **state)
{
    static const struct timespec wrong[] = {
        {-1, 0}, {0, -1}, {0, 1000000000}, {INT64_MIN, INT64_MIN}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        poke(SCRATCH, &wrong[i], sizeof(wrong[i]));
        assert_int_equal(call(SYS_nanosleep, SCRATCH, 0), -EINVAL);
        assert_int_equal(call(SYS_ppoll, 0, 0, SCRATCH, 0, 0), -EINVAL);
        poke_word(SCRATCH + 64, 0);
        assert_int_equal(call(CALL_FUTEX, SCRATCH + 64, 0, 0, SCRATCH),
                         -EINVAL);
    }
    assert_int_equal(call(SYS_nanosleep, 8, 0), -EFAULT);
}

static void the_largest_times_never_come(void **state)
{
    const struct timespec time = {INT64_MAX, 999999999};

    (void)state;
    poke(SCRATCH, &time, sizeof(time));
    assert_int_equal(call(SYS_nanosleep, SCRATCH, 0), KERNEL_WAIT);
    assert_int_equal(kernel_due_ns(kernel), 0);
}

static void poll_looks_again_whatever_changes(void **state)
{
    struct pollfd list[3] = {
        {ends[0], POLLIN, 0}, {-1, POLLIN, 0}, {99, POLLIN, 0}};

    (void)state;
    poke(SCRATCH, list, sizeof(list));
    assert_int_equal(call(SYS_poll, SCRATCH, 2, -1), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_write, ends[1], SCRATCH, 5), 5);
    run_task(first);
    assert_true(kernel_resume(kernel));
    assert_int_equal(rig.regs.rax, 1);
    assert_int_equal(call(SYS_poll, SCRATCH, 3, -1), 2);
    peek(SCRATCH, list, sizeof(list));
    assert_int_equal(list[2].revents, POLLNVAL);
    assert_int_equal(call(SYS_poll, SCRATCH, 33, 0), -EINVAL);
}

/* More than goes at once; nobody else's turn is long in coming. */
static void a_long_call_is_done_in_parts(void **state)
{
    uint64_t at = (uint64_t)map_some(6 << 20);
    int64_t file = call(SYS_memfd_create, text_at(0, "m"), 0);
    int parts = 0;

    (void)state;
    assert_int_equal(call(SYS_ftruncate, file, 6 << 20), 0);
    rig.regs.rax = SYS_read, rig.regs.rdi = (uint64_t)file;
    rig.regs.rsi = at, rig.regs.rdx = 6 << 20;
    kernel_call(kernel);
    for (; first->in_call; parts++) {
        assert_true(first->wait.goes_on);
        assert_false(kernel_goes_on(kernel));
        assert_int_equal(kernel_schedule(kernel, 1), 1);
        kernel_resume(kernel);
    }
    assert_int_equal(parts, 1);
    assert_int_equal(rig.regs.rax, 6 << 20);
    assert_int_equal(call(SYS_lseek, file, 0, SEEK_CUR), 6 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thread_begins_with_its_parents_registers),
        TEST(a_clone_that_is_no_thread_is_refused),
        TEST(threads_have_a_limit_and_numbers_of_their_own),
        TEST(a_processor_that_fails_makes_no_thread),
        TEST(a_task_keeps_the_processor_until_its_slice_is_over),
        TEST(a_read_waits_until_another_writes),
        TEST(a_write_waits_until_all_of_it_is_written),
        TEST(a_file_that_is_closed_ends_the_wait_for_it),
        TEST(a_number_that_means_another_file_now_is_not_read),
        TEST(a_duplicate_keeps_what_is_waited_for),
        TEST(a_time_is_over_when_it_comes),
        TEST(wrong_times_are_refused),
        TEST(the_largest_times_never_come),
        TEST(poll_looks_again_whatever_changes),
        TEST(a_long_call_is_done_in_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
