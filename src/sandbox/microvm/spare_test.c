/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare_test.c - who gets a virtual machine of somebody before finds nothing of
 * them in it, wherever they stood.
 */
#include <sys/wait.h>

#include "base/count_test.h"
#include "sandbox/microvm/guest_test.h"
#include "sandbox/microvm/spare.h"

#define SYSCALL   0x0f, 0x05
#define RING_BELL 0xe6, BOOT_PORT_BELL
#define FOREVER   0xeb, 0xfe
#define READ_NONE 0x8a, 0x04, 0x25, 0, 0, 0, 0 /* mov 0, %al: a page fault */
#define ONES_XMM0 0x66, 0x0f, 0x76, 0xc0       /* pcmpeqd %xmm0, %xmm0 */
#define ONES_R15  0x49, 0x83, 0xcf, 0xff       /* or $-1, %r15 */

/* What is there at its start, into registers. */
static const uint8_t look[] = {
    0x66,    0x48,    0x0f, 0x7e, 0xc7,             /* movq %xmm0, %rdi */
    0x48,    0x8b,    0x1c, 0x25, 0,    0, 0x50, 0, /* mov GUEST_DATA, %rbx */
    SYSCALL, SYSCALL,
};

static struct guest guest;

/* The machine that is there next is the one of before, and knows nothing. */
static void expect_nothing(int cpu_fd)
{
    const struct kvm_regs *regs;

    guest_open(&guest, look, sizeof(look));
    regs = guest_registers(&guest);
    assert_int_equal(guest.machine.cpu_fd, cpu_fd);
    memcpy(guest.bytes + GUEST_DATA_AT, "second.", 8);
    if (guest_run(&guest) != RUN_SYSCALL)
        fail_msg("it does not run: %d, vector %u, %s", (int)guest.exit.kind,
                 guest.exit.vector, guest.exit.text);
    assert_int_equal(regs->rip, GUEST_CODE + 15);
    assert_int_equal(regs->rdi, 0);
    assert_int_equal(regs->r15, 0);
    assert_int_equal(regs->rsp, GUEST_STACK);
    assert_memory_equal(&regs->rbx, "second.", 8);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(regs->rip, GUEST_CODE + 17);
    guest_close(&guest);
}

static void leave_and_look(const uint8_t *code, size_t bytes,
                           enum run_kind kind)
{
    int cpu_fd;

    spare_hold();
    for (int i = 0; i < 3; i++) {
        guest_open(&guest, code, bytes);
        cpu_fd = guest.machine.cpu_fd;
        memcpy(guest.bytes + GUEST_DATA_AT, "first..", 8);
        if (kind == RUN_TIME)
            run_deadline(&guest.machine, clock_now_ns() + 2000000);
        assert_int_equal(guest_run(&guest), kind);
        guest_close(&guest);
        expect_nothing(cpu_fd);
    }
    spare_release();
}

#define LEAVE(kind, ...)                                                       \
    do {                                                                       \
        static const uint8_t code[] = {ONES_XMM0, ONES_R15, __VA_ARGS__};      \
                                                                               \
        leave_and_look(code, sizeof(code), kind);                              \
    } while (0)

static void left_at_the_gate(void **state)
{
    (void)state;
    LEAVE(RUN_SYSCALL, SYSCALL);
}

static void left_at_an_exception(void **state)
{
    (void)state;
    LEAVE(RUN_EXCEPTION, READ_NONE);
}

static void left_at_a_bell(void **state)
{
    (void)state;
    LEAVE(RUN_BELL, RING_BELL);
}

static void left_in_the_middle(void **state)
{
    (void)state;
    LEAVE(RUN_TIME, FOREVER);
}

static void left_before_it_ran(void **state)
{
    int cpu_fd;

    (void)state;
    spare_hold();
    guest_open(&guest, look, sizeof(look));
    cpu_fd = guest.machine.cpu_fd;
    guest_registers(&guest)->r15 = 77;
    guest_close(&guest);
    expect_nothing(cpu_fd);
    spare_release();
}

static void nothing_is_kept_for_nobody(void **state)
{
    int before = count_open_files();

    (void)state;
    guest_open(&guest, look, sizeof(look));
    guest_close(&guest);
    assert_int_equal(count_open_files(), before);
    spare_hold();
    spare_hold();
    guest_open(&guest, look, sizeof(look));
    guest_close(&guest);
    spare_release();
    assert_in_range(count_open_files(), before + 1, before + 3);
    spare_release();
    assert_int_equal(count_open_files(), before);
}

#define MANY 20

static void a_few_are_kept(void **state)
{
    static struct guest many[MANY];
    int before = count_open_files(), kept;

    (void)state;
    spare_hold();
    for (int i = 0; i < MANY; i++)
        guest_open(&many[i], look, sizeof(look));
    for (int i = 0; i < MANY; i++)
        guest_close(&many[i]);
    kept = (count_open_files() - before) / 3;
    assert_in_range(kept, 1, MANY / 2);
    for (int i = 0; i < MANY; i++) /* some of them are spares, some new */
        guest_open(&many[i], look, sizeof(look));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(guest_run(&many[i]), RUN_SYSCALL);
        guest_close(&many[i]);
    }
    spare_release();
    assert_int_equal(count_open_files(), before);
}

static void one_that_broke_is_not_kept(void **state)
{
    int before = count_open_files();

    (void)state;
    spare_hold();
    guest_open(&guest, look, sizeof(look));
    guest.machine.place = MACHINE_BROKEN;
    guest_close(&guest);
    assert_int_equal(count_open_files(), before);
    spare_release();
}

/* A virtual machine is the process' that made it. */
static void a_child_takes_none(void **state)
{
    int status;
    pid_t child;

    (void)state;
    spare_hold();
    guest_open(&guest, look, sizeof(look));
    guest_close(&guest);
    child = fork();
    if (child == 0) {
        struct machine machine;
        struct gbx_error err;

        machine_init(&machine);
        _exit(spare_take(&machine) || machine_start(&machine, &err) < 0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    spare_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_before_it_ran),
        cmocka_unit_test(left_at_the_gate),
        cmocka_unit_test(left_at_an_exception),
        cmocka_unit_test(left_at_a_bell),
        cmocka_unit_test(left_in_the_middle),
        cmocka_unit_test(nothing_is_kept_for_nobody),
        cmocka_unit_test(a_few_are_kept),
        cmocka_unit_test(one_that_broke_is_not_kept),
        cmocka_unit_test(a_child_takes_none),
    };

    return guest_tests(tests);
}
