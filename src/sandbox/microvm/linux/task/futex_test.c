/* SPDX-License-Identifier: Apache-2.0 */
/* futex_test.c - no wake is lost, and none comes to the wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/futex.h>
#include <sched.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WORD       (SCRATCH + 128)
#define OTHER      (SCRATCH + 256)
#define HANDLER    0x402000ull

static struct task *tasks[4];

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    tasks[0] = kernel->current;
    for (size_t i = 1; i < ARRAY_SIZE(tasks); i++)
        tasks[i] = make_thread();
    poke_word(WORD, 7);
    poke_word(OTHER, 9);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_kernel();
    return 0;
}

static void wait_all(void)
{
    for (size_t i = 1; i < ARRAY_SIZE(tasks); i++) {
        run_task(tasks[i]);
        assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, 7, 0), KERNEL_WAIT);
    }
    run_task(tasks[0]);
}

/* What it has got, after its turn. */
static int64_t answer_of(struct task *task)
{
    struct task *before = kernel->current;
    int64_t rc;

    run_task(task);
    if (task->in_call && task->status == TASK_READY)
        kernel_resume(kernel);
    rc = task->in_call ? KERNEL_WAIT : (int64_t)rig.regs.rax;
    run_task(before);
    return rc;
}

static void another_value_is_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, 8, 0), -EAGAIN);
    assert_int_equal(call(CALL_FUTEX, WORD + 1, FUTEX_WAIT, 7, 0), -EINVAL);
    assert_int_equal(call(CALL_FUTEX, 0, FUTEX_WAIT, 7, 0), -EFAULT);
    assert_int_equal(call(CALL_FUTEX, UINT64_MAX & ~3ull, FUTEX_WAIT, 7, 0),
                     -EFAULT);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT_BITSET, 7, 0, 0, 0),
                     -EINVAL);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_LOCK_PI, 0, 0), -ENOSYS);
}

static void who_came_first_is_woken_first(void **state)
{
    (void)state;
    wait_all();
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 1), 1);
    assert_int_equal(answer_of(tasks[1]), 0);
    assert_int_equal(answer_of(tasks[2]), KERNEL_WAIT);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, INT32_MAX), 2);
    assert_int_equal(answer_of(tasks[2]), 0);
    assert_int_equal(answer_of(tasks[3]), 0);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 1), 0);
}

static void bits_choose_who_is_woken(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_SIZE(tasks); i++) {
        run_task(tasks[i]);
        assert_int_equal(
            call(CALL_FUTEX, WORD, FUTEX_WAIT_BITSET, 7, 0, 0, 1u << i),
            KERNEL_WAIT);
    }
    run_task(tasks[0]);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE_BITSET, 9, 0, 0, 4), 1);
    assert_int_equal(answer_of(tasks[1]), KERNEL_WAIT);
    assert_int_equal(answer_of(tasks[2]), 0);
}

/* Woken, and before its turn a signal comes: the wake was for it. */
static void a_signal_takes_no_wake_away(void **state)
{
    kernel->signals.actions[SIGUSR1] = (struct signal_action){
        .handler = HANDLER, .flags = 0x04000000, .restorer = HANDLER};
    (void)state;
    wait_all();
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 1), 1);
    assert_int_equal(call(SYS_tkill, tasks[1]->tid, SIGUSR1), 0);
    run_task(tasks[1]);
    assert_true(kernel_resume(kernel));
    assert_int_equal(rig.regs.rip, HANDLER);
    rig.regs.rsp += 8; /* as `ret` */
    assert_int_equal(call(SYS_rt_sigreturn), 0);
}

/* The time is over, and before its turn a wake comes. */
static void a_wake_is_taken_by_whoever_gets_it(void **state)
{
    const struct timespec time = {0, 1};

    (void)state;
    poke(SCRATCH, &time, sizeof(time));
    run_task(tasks[1]);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, 7, SCRATCH),
                     KERNEL_WAIT);
    run_task(tasks[0]);
    kernel_schedule(kernel, clock_now_ns() + 1000);
    assert_int_equal(tasks[1]->status, TASK_READY);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 1), 1);
    assert_int_equal(answer_of(tasks[1]), 0);
    run_task(tasks[1]);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, 7, SCRATCH),
                     KERNEL_WAIT);
    run_task(tasks[1]);
    kernel_schedule(kernel, clock_now_ns() + 1000);
    assert_int_equal(answer_of(tasks[1]), -ETIMEDOUT);
}

static void the_others_wait_for_another_word(void **state)
{
    (void)state;
    wait_all();
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_CMP_REQUEUE, 1, 1, OTHER, 6),
                     -EAGAIN);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_CMP_REQUEUE, 1, 1, OTHER, 7),
                     2);
    assert_int_equal(answer_of(tasks[1]), 0);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_REQUEUE, -1, 1, OTHER),
                     -EINVAL);
    /* One that looks again for another reason stays where it is. */
    poke_word(WORD, 8);
    tasks[2]->status = TASK_READY;
    assert_int_equal(answer_of(tasks[2]), KERNEL_WAIT);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 9), 1);
    assert_int_equal(call(CALL_FUTEX, OTHER, FUTEX_WAKE, 9), 1);
    assert_int_equal(answer_of(tasks[2]), 0);
}

static void two_mappings_of_a_page_are_one_word(void **state)
{
    int64_t file = call(SYS_memfd_create, text_at(0, "m"), 0);
    uint64_t at[2];

    (void)state;
    assert_int_equal(call(SYS_ftruncate, file, PAGE), 0);
    for (int i = 0; i < 2; i++) {
        at[i] = (uint64_t)call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE,
                               MAP_SHARED, file, 0);
        assert_true(at[i] < TABLES_USER_END);
    }
    run_task(tasks[1]);
    assert_int_equal(call(CALL_FUTEX, at[0], FUTEX_WAIT, 0, 0), KERNEL_WAIT);
    run_task(tasks[0]);
    assert_int_equal(call(CALL_FUTEX, at[1], FUTEX_WAKE, 1), 1);
    assert_int_equal(answer_of(tasks[1]), 0);
}

static void wake_op_does_its_little_program(void **state)
{
    static const struct {
        uint32_t code, old, want;
        int rc;
    } cases[] = {
        {FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 9), 9, 5, 0},
        {FUTEX_OP(FUTEX_OP_ADD, 0xfff, FUTEX_OP_CMP_EQ, 9), 9, 8, 0},
        {FUTEX_OP(FUTEX_OP_OR, 6, FUTEX_OP_CMP_NE, 9), 9, 15, 0},
        {FUTEX_OP(FUTEX_OP_ANDN, 8, FUTEX_OP_CMP_LT, 9), 9, 1, 0},
        {FUTEX_OP(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_GT, 0xfff), 9, 10, 0},
        {(uint32_t)FUTEX_OP((FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT), 31,
                            FUTEX_OP_CMP_GE, 0),
         9, 0x80000000u, 0},
        {FUTEX_OP(FUTEX_OP_SET, 5, 7, 9), 9, 9, -ENOSYS},
        {FUTEX_OP(7, 5, 0, 9), 9, 9, -ENOSYS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        poke_word(OTHER, cases[i].old);
        assert_int_equal(
            call(CALL_FUTEX, WORD, FUTEX_WAKE_OP, 1, 1, OTHER, cases[i].code),
            cases[i].rc);
        assert_int_equal(peek_word(OTHER), cases[i].want);
    }
}

static void the_host_wakes_all_that_wait_for_a_word(void **state)
{
    uint64_t physical;
    void *host;

    (void)state;
    wait_all();
    assert_int_equal(
        user_word(&kernel->space, WORD, TABLES_READ, &physical, &host), 0);
    futex_wake_word(kernel, physical);
    for (size_t i = 1; i < ARRAY_SIZE(tasks); i++)
        assert_int_equal(answer_of(tasks[i]), 0);
}

static void the_end_of_a_task_wakes_who_joins_it(void **state)
{
    uint32_t tid = (uint32_t)tasks[1]->tid;

    (void)state;
    run_task(tasks[1]);
    assert_int_equal(call(SYS_set_tid_address, WORD), tid);
    poke_word(WORD, tid);
    run_task(tasks[0]);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, tid, 0), KERNEL_WAIT);
    run_task(tasks[1]);
    assert_int_equal(call(SYS_exit, 0), KERNEL_KEEP);
    assert_int_equal(peek_word(WORD), 0);
    assert_int_equal(kernel_schedule(kernel, 1), 1);
    assert_int_equal(answer_of(tasks[0]), 0);
}

/* A list of locks, as a guest may write it: also one without an end. */
static void locks_of_a_dead_task_are_given_up(void **state)
{
    const uint64_t head[3] = {SCRATCH + 512, WORD - (SCRATCH + 512),
                              SCRATCH + 513};
    const uint64_t itself = SCRATCH + 512;
    uint32_t tid = (uint32_t)tasks[1]->tid;

    (void)state;
    run_task(tasks[0]);
    poke(SCRATCH + 600, head, sizeof(head));
    poke(SCRATCH + 512, &itself, sizeof(itself));
    poke_word(WORD, tid | FUTEX_WAITERS);
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, tid | FUTEX_WAITERS, 0),
                     KERNEL_WAIT);
    run_task(tasks[1]);
    assert_int_equal(call(SYS_set_robust_list, SCRATCH + 600, 23), -EINVAL);
    assert_int_equal(call(SYS_set_robust_list, SCRATCH + 600, 24), 0);
    assert_int_equal(call(SYS_exit, 0), KERNEL_KEEP);
    assert_int_equal(peek_word(WORD), FUTEX_WAITERS | FUTEX_OWNER_DIED);
    assert_int_equal(kernel_schedule(kernel, 1), 1);
    assert_int_equal(answer_of(tasks[0]), 0);
}

/* The page behind it may become another one meanwhile. */
static void a_word_of_private_memory_is_its_address(void **state)
{
    struct task *first = kernel->current, *other = make_thread();
    const uint32_t zero = 0;

    (void)state;
    poke(WORD, &zero, sizeof(zero));
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAIT, 0, 0), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_madvise, WORD & ~4095ull, 4096, MADV_DONTNEED),
                     0);
    poke(WORD + 8, &zero, sizeof(zero));
    assert_int_equal(call(CALL_FUTEX, WORD, FUTEX_WAKE, 1), 1);
    assert_int_equal(first->status, TASK_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_value_is_not_waited_for),
        TEST(who_came_first_is_woken_first),
        TEST(bits_choose_who_is_woken),
        TEST(a_signal_takes_no_wake_away),
        TEST(a_wake_is_taken_by_whoever_gets_it),
        TEST(the_others_wait_for_another_word),
        TEST(two_mappings_of_a_page_are_one_word),
        TEST(wake_op_does_its_little_program),
        TEST(the_host_wakes_all_that_wait_for_a_word),
        TEST(the_end_of_a_task_wakes_who_joins_it),
        TEST(locks_of_a_dead_task_are_given_up),
        TEST(a_word_of_private_memory_is_its_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
