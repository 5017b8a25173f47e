/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_test.c - a personality's beginning and end, and its exceptions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sched.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_kernel();
    return 0;
}

static void open_fails_at_any_allocation_and_leaves_nothing(void **state)
{
    struct kernel_config config = make_config();
    struct gbx_error err;
    uint32_t n;
    int rc = -1;

    (void)state;
    for (n = 1; rc < 0; n++) {
        heap_fail_in = n;
        err = (struct gbx_error){0};
        rc = kernel_open(&kernel, &config, &err);
        assert_true(rc == 0 || (heap_fail_in == 0 && err.what[0] != '\0'));
        heap_fail_in = 0;
        kernel_close(kernel);
        kernel = NULL;
    }
    assert_in_range(n, 6, 100);
    drop_memory();
}

static void a_kernel_closes_with_pipes_for_which_tasks_wait(void **state)
{
    int pipe_ends[2];
    struct task *thread;

    (void)state;
    assert_int_equal(call(SYS_pipe2, SCRATCH, 0), 0);
    peek(SCRATCH, pipe_ends, sizeof(pipe_ends));
    thread = make_thread();
    assert_int_equal(call(SYS_read, pipe_ends[0], SCRATCH, 8), KERNEL_WAIT);
    run_task(thread);
    assert_int_equal(call(SYS_epoll_create1, 0), 2);
    assert_int_equal(call(SYS_epoll_wait, 2, SCRATCH, 4, -1), KERNEL_WAIT);
    kernel_close(kernel);
    kernel = NULL;
}

static char traced[4096];

static void trace(void *context, const char *line)
{
    (void)context;
    snprintf(traced, sizeof(traced), "%s", line);
}

static void the_end_of_a_task_is_traced_after_it(void **state)
{
    struct task *thread = make_thread();

    (void)state;
    kernel->trace = trace;
    run_task(thread);
    assert_int_equal(call(SYS_exit, 7), KERNEL_KEEP);
    assert_string_equal(traced, "exit(7) = ?");
    assert_int_equal(kernel->task_count, 1);
    assert_false(kernel->ended);
    kernel_schedule(kernel, 1);
    assert_int_equal(call(SYS_exit, 3), KERNEL_KEEP);
    assert_true(kernel->ended);
    assert_int_equal(kernel->end.status, 3);
}

static void exceptions_are_signals_that_nobody_puts_off(void **state)
{
    static const struct {
        unsigned vector, error;
        uint64_t address;
        int signal;
    } cases[] = {
        {0, 0, 0, SIGFPE},
        {1, 0, 0, SIGTRAP},
        {3, 0, 0, SIGTRAP},
        {6, 0, 0, SIGILL},
        {13, 0, 0, SIGSEGV},
        {14, 4, 0, SIGSEGV},
        {14, 6, SCRATCH + SCRATCH_SIZE, SIGSEGV},
        {14, 4 | 16, SCRATCH, SIGSEGV}, /* not to be executed */
        {14, 4, 0xffff800000000000ull, SIGSEGV},
        {14, 4, UINT64_MAX, SIGSEGV},
        {17, 0, 0, SIGBUS},
        {19, 0, 0, SIGFPE},
        {33, 0, 0, SIGSEGV},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        kernel->ended = false;
        kernel->current->mask = UINT64_MAX;
        kernel_fault(kernel, cases[i].vector, cases[i].error, cases[i].address);
        assert_false(turn(1));
        assert_true(kernel->ended);
        assert_int_equal(kernel->end.signal, cases[i].signal);
        assert_int_equal(kernel->end.vector, cases[i].vector);
    }
}

static void a_page_that_may_be_is_made_when_it_is_touched(void **state)
{
    uint64_t at = (uint64_t)map_some(4 << 20); /* too much to be made at once */
    uint64_t physical;

    (void)state;
    assert_true(tables_translate(&kernel->space.tables, at, 0, &physical) < 0);
    kernel_fault(kernel, 14, 6, at + 5);
    assert_false(kernel->stirred);
    assert_int_equal(
        tables_translate(&kernel->space.tables, at, TABLES_WRITE, &physical),
        0);
    check_kernel();
}

static void no_memory_for_a_touched_page_ends_the_guest(void **state)
{
    uint64_t at = (uint64_t)map_some(4 << 20), physical, count;

    (void)state;
    while (frames_take(&kernel->space.frames, 1u << 20, &physical, &count) == 0)
        ;
    kernel_fault(kernel, 14, 6, at);
    assert_false(turn(1));
    assert_true(kernel->ended);
    assert_int_equal(kernel->end.signal, SIGKILL);
    assert_true(kernel->space.met_limit);
    kernel_close(kernel);
    kernel = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_fails_at_any_allocation_and_leaves_nothing),
        cmocka_unit_test_setup_teardown(
            a_kernel_closes_with_pipes_for_which_tasks_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_task_is_traced_after_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            exceptions_are_signals_that_nobody_puts_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_page_that_may_be_is_made_when_it_is_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            no_memory_for_a_touched_page_ends_the_guest, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
