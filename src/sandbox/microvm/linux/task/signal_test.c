/* SPDX-License-Identifier: Apache-2.0 */
/* signal_test.c - who gets a signal, when, and what its handler finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <sched.h>
#include <sys/time.h>
#include <ucontext.h>

#include <cmocka.h>

#include "sandbox/microvm/linux/linux_test.h"

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define HANDLER      0x402000ull
#define RESTORER     0x403000ull
#define HAS_RESTORER 0x04000000u

/* As the kernel puts it on the stack. */
struct frame {
    uint64_t restorer;
    char context[304]; /* a ucontext_t of the kernel's: shorter than glibc's */
    siginfo_t info;
};

static struct task *first, *other;

static int set_up(void **state)
{
    (void)state;
    open_kernel(NULL);
    first = kernel->current;
    other = make_thread();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_kernel();
    return 0;
}

static int64_t set_action(int number, uint64_t handler, uint64_t flags,
                          uint64_t mask)
{
    const struct signal_action action = {handler, flags | HAS_RESTORER,
                                         RESTORER, mask};

    poke(SCRATCH, &action, sizeof(action));
    return call(SYS_rt_sigaction, number, SCRATCH, 0, 8);
}

/* Returns the number of the signal whose handler runs now, or 0. */
static int handled(void)
{
    kernel->fresh_slice = false; /* the one who has the processor keeps it */
    assert_true(turn(clock_now_ns()));
    return rig.regs.rip == HANDLER ? (int)rig.regs.rdi : 0;
}

static void return_from_handler(void)
{
    rig.regs.rsp += 8; /* as `ret` to the restorer */
    call(SYS_rt_sigreturn);
}

static void fill_registers(void)
{
    uint8_t *bytes = (uint8_t *)&rig.regs;
    uint64_t rsp = rig.regs.rsp;

    for (size_t i = 0; i < sizeof(rig.regs); i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    rig.regs.rsp = rsp - 64;
    rig.regs.rip = 0x401234;
    rig.regs.rflags = 0x202;
    for (size_t i = 0; i < 160; i++) /* up to the registers' end */
        ((uint8_t *)rig.xsave.region)[i] = (uint8_t)(i * 5 + 3);
    rig.xsave.region[6] = 0x1f80 | 0x8040; /* MXCSR: FTZ and DAZ, too */
    rig.xsave.region[7] = 0xffff;          /* which the processor has */
    rig.xsave.region[128] = 7;
}

static void a_frame_is_as_linux_puts_it(void **state)
{
    struct kvm_regs before;
    greg_t gregs[23];
    ucontext_t *context;
    struct frame frame;
    uint64_t fpstate, mask;
    uint32_t magic;

    (void)state;
    set_action(SIGUSR1, HANDLER, 0, signal_bit(SIGUSR2));
    call(SYS_tkill, first->tid, SIGUSR1);
    fill_registers();
    before = rig.regs;
    assert_int_equal(handled(), SIGUSR1);

    assert_int_equal(rig.regs.rsp % 16, 8); /* as after a call */
    assert_true(rig.regs.rsp + sizeof(frame) + XSAVE_BYTES + 4 + 128 <=
                before.rsp);
    peek(rig.regs.rsp, &frame, sizeof(frame));
    assert_int_equal(frame.restorer, RESTORER);
    assert_int_equal(rig.regs.rsi, rig.regs.rsp + offsetof(struct frame, info));
    assert_int_equal(rig.regs.rdx,
                     rig.regs.rsp + offsetof(struct frame, context));
    assert_int_equal(frame.info.si_signo, SIGUSR1);
    assert_int_equal(frame.info.si_code, SI_TKILL);
    assert_int_equal(frame.info.si_pid, KERNEL_PID);
    context = (ucontext_t *)(void *)frame.context;
    memcpy(gregs, context->uc_mcontext.gregs, sizeof(gregs));
    assert_int_equal(gregs[REG_RIP], before.rip);
    assert_int_equal(gregs[REG_RSP], before.rsp);
    assert_int_equal(gregs[REG_RAX], before.rax);
    assert_int_equal(gregs[REG_R15], before.r15);
    assert_int_equal(gregs[REG_EFL], before.rflags);
    assert_int_equal(gregs[REG_CSGSFS] & 0xffff, 0x33);
    assert_int_equal(gregs[REG_TRAPNO], 0);
    memcpy(&mask, frame.context + 296, sizeof(mask));
    assert_int_equal(mask, 0);
    memcpy(&fpstate, frame.context + 224, sizeof(fpstate));
    assert_int_equal(fpstate % 64, 0);
    assert_int_equal(peek_word(fpstate + 464), 0x46505853);
    assert_int_equal(peek_word(fpstate + 468), XSAVE_BYTES + 4);
    peek(fpstate + XSAVE_BYTES, &magic, sizeof(magic));
    assert_int_equal(magic, 0x46505845);
    assert_int_equal(first->mask, signal_bit(SIGUSR1) | signal_bit(SIGUSR2));
}

static void what_was_interrupted_goes_on_bit_by_bit(void **state)
{
    struct kvm_regs before;
    struct kvm_xsave extended;

    (void)state;
    set_action(SIGUSR1, HANDLER, 0, 0);
    call(SYS_tkill, first->tid, SIGUSR1);
    fill_registers();
    before = rig.regs;
    extended = rig.xsave;
    assert_int_equal(handled(), SIGUSR1);
    memset(rig.xsave.region, 0xee, 416);
    rig.xsave.region[7] = 0xffff; /* the processor's own word */
    rig.regs.rbx = rig.regs.r12 = 1;
    return_from_handler();
    assert_memory_equal(&rig.regs, &before, sizeof(before));
    assert_memory_equal(rig.xsave.region, extended.region, 464);
    assert_memory_equal(rig.xsave.region + 128, extended.region + 128, 320);
    assert_int_equal(first->mask, 0);
}

/* The frame is the guest's: no bit of it may stop the processor. */
static void a_frame_of_nonsense_is_cut_to_what_the_processor_takes(void **state)
{
    uint8_t bytes[2048];
    uint64_t fpstate = SCRATCH + 4096;

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    poke(SCRATCH, bytes, sizeof(bytes));
    poke(SCRATCH + 4096, bytes, sizeof(bytes));
    poke(SCRATCH + 224, &fpstate, sizeof(fpstate));
    rig.xsave.region[7] = 0xffbf;
    rig.regs.rsp = SCRATCH;
    call(SYS_rt_sigreturn);
    assert_int_equal(rig.xsave.region[6], 0xffbf);
    assert_int_equal(rig.xsave.region[128], 7);
    assert_int_equal(rig.xsave.region[129], 0);
    for (size_t i = 130; i < 144; i++)
        assert_int_equal(rig.xsave.region[i], 0);
    assert_int_equal(first->mask, ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)));
    rig.regs.rsp = 8; /* nothing there */
    call(SYS_rt_sigreturn);
    assert_false(turn(1));
    assert_int_equal(kernel->end.signal, SIGSEGV);
}

static void masks_put_off_and_unblocking_lets_through(void **state)
{
    const uint64_t set = signal_bit(SIGUSR1) | signal_bit(SIGKILL);
    uint64_t old;

    (void)state;
    set_action(SIGUSR1, HANDLER, 0, 0);
    poke(SCRATCH, &set, 8);
    assert_int_equal(
        call(SYS_rt_sigprocmask, SIG_BLOCK, SCRATCH, SCRATCH + 8, 8), 0);
    assert_int_equal(first->mask, signal_bit(SIGUSR1));
    call(SYS_tkill, first->tid, SIGUSR1);
    assert_int_equal(handled(), 0);
    assert_int_equal(call(SYS_rt_sigpending, SCRATCH + 16, 8), 0);
    peek(SCRATCH + 16, &old, 8);
    assert_int_equal(old, signal_bit(SIGUSR1));
    assert_int_equal(call(SYS_rt_sigprocmask, 9, SCRATCH, 0, 8), -EINVAL);
    assert_int_equal(call(SYS_rt_sigprocmask, SIG_BLOCK, SCRATCH, 0, 4),
                     -EINVAL);
    assert_int_equal(call(SYS_rt_sigprocmask, SIG_UNBLOCK, SCRATCH, 0, 8), 0);
    assert_int_equal(handled(), SIGUSR1);
}

static void whoever_does_not_block_it_gets_the_processes_signal(void **state)
{
    (void)state;
    set_action(SIGUSR1, HANDLER, 0, 0);
    first->mask = signal_bit(SIGUSR1);
    run_task(other);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    run_task(first);
    assert_int_equal(call(SYS_kill, KERNEL_PID, SIGUSR1), 0);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    assert_int_equal(handled(), SIGUSR1);
    assert_ptr_equal(kernel->current, other);
}

static void ignored_ones_disturb_nobody(void **state)
{
    (void)state;
    first->mask = signal_bit(SIGUSR1); /* pending, then ignored */
    call(SYS_tkill, first->tid, SIGUSR1);
    set_action(SIGUSR1, 1, 0, 0);
    assert_int_equal(first->pending, 0);
    first->mask = 0;
    run_task(other); /* or ignored by default, and let through by a wait */
    other->mask = signal_bit(SIGWINCH);
    call(SYS_kill, 0, SIGWINCH);
    assert_int_equal(kernel->signals.pending, signal_bit(SIGWINCH));
    run_task(first);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    run_task(other);
    assert_int_equal(call(SYS_pause), KERNEL_WAIT);
    assert_false(turn(1));
    assert_false(kernel->ended);
    assert_int_equal(first->status, TASK_WAITING);
    assert_int_equal(kernel->signals.pending, 0);
}

static void interrupted_calls_answer_or_are_made_again(void **state)
{
    static const struct {
        uint64_t number, a[6], flags;
        bool again;
    } cases[] = {
        {SYS_read, {0, SCRATCH, 8}, 0, false},
        {SYS_read, {0, SCRATCH, 8}, SA_RESTART, true},
        {SYS_readv, {0, SCRATCH + 512, 1}, SA_RESTART, true},
        {SYS_pause, {0}, SA_RESTART, false},
        {SYS_nanosleep, {SCRATCH + 600}, SA_RESTART, false},
        {SYS_poll, {0, 0, UINT32_MAX}, SA_RESTART, false},
        {CALL_FUTEX, {SCRATCH + 700, 0, 0, 0}, SA_RESTART, true},
        /* Its time would begin anew. */
        {CALL_FUTEX, {SCRATCH + 700, 0, 0, SCRATCH + 600}, SA_RESTART, false},
    };
    const struct timespec hour = {3600, 0};
    const struct iovec list = {(void *)(uintptr_t)SCRATCH, 8};

    (void)state;
    call(SYS_pipe2, SCRATCH, 0);
    poke(SCRATCH + 600, &hour, sizeof(hour));
    poke(SCRATCH + 512, &list, sizeof(list));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t rip, want;

        set_action(SIGUSR1, HANDLER, cases[i].flags, 0);
        rig.regs.rip = rip = 0x401002;
        assert_int_equal(call_six(cases[i].number, cases[i].a), KERNEL_WAIT);
        run_task(other);
        call(SYS_tkill, first->tid, SIGUSR1);
        run_task(first);
        assert_int_equal(handled(), SIGUSR1);
        return_from_handler();
        want = cases[i].again ? cases[i].number : (uint64_t)-EINTR;
        assert_int_equal(rig.regs.rax, want);
        assert_int_equal(rig.regs.rip, cases[i].again ? rip - 2 : rip);
    }
}

static void a_sleep_that_is_interrupted_tells_what_is_left(void **state)
{
    struct timespec time = {3600, 0}, left;

    (void)state;
    set_action(SIGUSR1, HANDLER, 0, 0);
    poke(SCRATCH + 600, &time, sizeof(time));
    assert_int_equal(call(SYS_nanosleep, SCRATCH + 600, SCRATCH + 600),
                     KERNEL_WAIT);
    run_task(other);
    call(SYS_tkill, first->tid, SIGUSR1);
    run_task(first);
    assert_int_equal(handled(), SIGUSR1);
    peek(SCRATCH + 600, &left, sizeof(left));
    assert_in_range(left.tv_sec, 3000, 3599);
}

static void a_wait_with_a_mask_puts_the_old_one_back(void **state)
{
    const uint64_t all = UINT64_MAX, none = 0;
    const struct timespec soon = {0, 1};

    (void)state;
    set_action(SIGUSR1, HANDLER, 0, 0);
    first->mask = signal_bit(SIGUSR1);
    poke(SCRATCH + 600, &soon, sizeof(soon));
    poke(SCRATCH + 700, &all, 8);
    assert_int_equal(call(SYS_ppoll, 0, 0, SCRATCH + 600, SCRATCH + 700, 8),
                     KERNEL_WAIT);
    assert_int_equal(handled(), 0); /* the time is over */
    assert_int_equal(first->mask, signal_bit(SIGUSR1));
    assert_int_equal(call(SYS_ppoll, 1, 9, SCRATCH + 600, SCRATCH + 700, 8),
                     -EFAULT);
    assert_int_equal(first->mask, signal_bit(SIGUSR1));

    poke(SCRATCH + 700, &none, 8);
    call(SYS_tkill, first->tid, SIGUSR1);
    assert_int_equal(call(SYS_rt_sigsuspend, SCRATCH + 700, 8), KERNEL_WAIT);
    assert_int_equal(handled(), SIGUSR1);
    return_from_handler();
    assert_int_equal(rig.regs.rax, -EINTR);
    assert_int_equal(first->mask, signal_bit(SIGUSR1));
}

static void a_wait_for_a_signal_takes_it(void **state)
{
    const uint64_t set = signal_bit(SIGUSR1) | signal_bit(SIGWINCH);
    siginfo_t info;

    (void)state;
    first->mask = other->mask = set;
    poke(SCRATCH + 700, &set, 8);
    assert_int_equal(
        call(SYS_rt_sigtimedwait, SCRATCH + 700, SCRATCH + 800, 0, 8),
        KERNEL_WAIT);
    run_task(other);
    call(SYS_kill, KERNEL_PID, SIGWINCH);
    call(SYS_pause);
    assert_true(turn(1));
    assert_int_equal(rig.regs.rax, SIGWINCH);
    peek(SCRATCH + 800, &info, sizeof(info));
    assert_int_equal(info.si_signo, SIGWINCH);
}

static void the_alarm_rings_when_it_is_due(void **state)
{
    const struct itimerval timer = {{0, 1000}, {0, 1000}};

    (void)state;
    set_action(SIGALRM, HANDLER, 0, 0);
    assert_int_equal(call(SYS_alarm, 5), 0);
    assert_in_range(call(SYS_alarm, 0), 4, 5);
    assert_int_equal(kernel_due_ns(kernel), 0);
    poke(SCRATCH + 600, &timer, sizeof(timer));
    assert_int_equal(call(SYS_setitimer, ITIMER_REAL, SCRATCH + 600, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call(SYS_pause), KERNEL_WAIT);
        while (clock_now_ns() < kernel_due_ns(kernel))
            ;
        run_task(first);
        assert_int_equal(handled(), SIGALRM);
        return_from_handler();
        assert_int_equal(rig.regs.rax, -EINTR);
    }
    assert_int_equal(call(SYS_setitimer, ITIMER_PROF, SCRATCH + 600, 0),
                     -EINVAL);
}

static void another_stack_is_used_once(void **state)
{
    struct {
        uint64_t at;
        uint32_t flags, zero;
        uint64_t bytes;
    } stack = {SCRATCH + 8192, 0, 0, 8192}, small = stack;

    (void)state;
    small.bytes = 2047;
    poke(SCRATCH + 600, &small, sizeof(small));
    assert_int_equal(call(SYS_sigaltstack, SCRATCH + 600, 0), -ENOMEM);
    poke(SCRATCH + 600, &stack, sizeof(stack));
    assert_int_equal(call(SYS_sigaltstack, SCRATCH + 600, 0), 0);
    set_action(SIGUSR1, HANDLER, SA_ONSTACK | SA_NODEFER, 0);
    rig.regs.rsp = 64; /* the stack is spoilt */
    call(SYS_tkill, first->tid, SIGUSR1);
    assert_int_equal(handled(), SIGUSR1);
    assert_in_range(rig.regs.rsp, stack.at, stack.at + stack.bytes);
    assert_int_equal(call(SYS_sigaltstack, SCRATCH + 600, SCRATCH + 700),
                     -EPERM);
    peek(SCRATCH + 700, &stack, sizeof(stack));
    assert_int_equal(stack.flags, SS_ONSTACK);
    return_from_handler();
    assert_int_equal(rig.regs.rsp, 64);
}

/* What Linux does when a frame has no place: SIGSEGV, which may be handled. */
static void a_frame_without_a_place_is_a_segv(void **state)
{
    (void)state;
    first->stack_at = SCRATCH + 8192;
    first->stack_bytes = 8192;
    set_action(SIGUSR1, HANDLER, 0, 0);
    set_action(SIGSEGV, HANDLER, SA_ONSTACK, 0);
    rig.regs.rsp = 64;
    call(SYS_tkill, first->tid, SIGUSR1);
    assert_int_equal(handled(), SIGSEGV);
    set_action(SIGSEGV, HANDLER, 0, 0);
    return_from_handler();
    call(SYS_tkill, first->tid, SIGUSR1);
    assert_false(turn(1));
    assert_true(kernel->ended);
    assert_int_equal(kernel->end.signal, SIGSEGV);
}

static void a_broken_pipe_is_told_both_ways(void **state)
{
    (void)state;
    set_action(SIGPIPE, HANDLER, 0, 0);
    call(SYS_pipe2, SCRATCH, 0);
    call(SYS_close, 0);
    assert_int_equal(call(SYS_write, 1, SCRATCH, 1), -EPIPE);
    assert_int_equal(handled(), SIGPIPE);
    return_from_handler();
    assert_int_equal(rig.regs.rax, -EPIPE);
}

static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    for (int number = -1; number <= 66; number++) {
        int want = number >= 1 && number <= 64 ? 0 : -EINVAL;

        if (number == SIGKILL || number == SIGSTOP)
            want = -EINVAL;
        assert_int_equal(set_action(number, 1, 0, 0), want);
    }
    assert_int_equal(call(SYS_kill, KERNEL_PID, 65), -EINVAL);
    assert_int_equal(call(SYS_kill, 77, SIGUSR1), -ESRCH);
    assert_int_equal(call(SYS_kill, KERNEL_PID, 0), 0);
    assert_int_equal(call(SYS_tkill, 0, SIGUSR1), -EINVAL);
    assert_int_equal(call(SYS_tgkill, KERNEL_PID, 999, SIGUSR1), -ESRCH);
    assert_int_equal(call(SYS_tgkill, KERNEL_PID, 3, UINT32_MAX), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_is_as_linux_puts_it),
        TEST(what_was_interrupted_goes_on_bit_by_bit),
        TEST(a_frame_of_nonsense_is_cut_to_what_the_processor_takes),
        TEST(masks_put_off_and_unblocking_lets_through),
        TEST(whoever_does_not_block_it_gets_the_processes_signal),
        TEST(ignored_ones_disturb_nobody),
        TEST(interrupted_calls_answer_or_are_made_again),
        TEST(a_sleep_that_is_interrupted_tells_what_is_left),
        TEST(a_wait_with_a_mask_puts_the_old_one_back),
        TEST(a_wait_for_a_signal_takes_it),
        TEST(the_alarm_rings_when_it_is_due),
        TEST(another_stack_is_used_once),
        TEST(a_frame_without_a_place_is_a_segv),
        TEST(a_broken_pipe_is_told_both_ways),
        TEST(numbers_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
