/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_test.c - ways out of the guest and back, with guests of a few bytes.
 */
#include "sandbox/microvm/guest_test.h"

static struct guest guest;

#define OPEN(...)                                                              \
    do {                                                                       \
        static const uint8_t code[] = {__VA_ARGS__};                           \
                                                                               \
        guest_open(&guest, code, sizeof(code));                                \
    } while (0)

#define SYSCALL   0x0f, 0x05
#define RING_BELL 0xe6, BOOT_PORT_BELL
#define FOREVER   0xeb, 0xfe

static void a_system_call_keeps_all_registers_but_rax(void **state)
{
    struct kvm_regs before, *regs;

    (void)state;
    OPEN(SYSCALL, SYSCALL, FOREVER);
    regs = guest_registers(&guest);
    for (uint64_t *at = (void *)regs, i = 0; i < 16; i++)
        if (&at[i] != (void *)&regs->rsp)
            at[i] = 0x1111111111111111u * i + i;
    before = *regs;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(regs->rip, GUEST_CODE + 2);
    before.rip = regs->rip;
    before.rcx = regs->rcx; /* the instruction's: the address after it */
    before.r11 = regs->r11; /* and the flags */
    before.rflags = regs->rflags;
    assert_memory_equal(regs, &before, sizeof(before));
    assert_int_equal(regs->rcx, regs->rip);

    regs->rax = before.rax = 42;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    before.rip += 2;
    before.rcx += 2;
    assert_int_equal(regs->rflags | 0x10000, before.rflags | 0x10000);
    before.rflags = regs->rflags;
    before.r11 = regs->r11;
    assert_memory_equal(regs, &before, sizeof(before));
    guest_close(&guest);
}

/* What a signal or another thread does: rcx and r11 are not rip and flags. */
static void a_system_call_can_return_to_anywhere(void **state)
{
    struct kvm_regs *regs = NULL;

    (void)state;
    OPEN(SYSCALL, FOREVER, 0x90, SYSCALL); /* nop; syscall */
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    regs = guest_registers(&guest);
    regs->rip = GUEST_CODE + 4;
    regs->rdi = 0x1234;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(regs->rip, GUEST_CODE + 7);
    assert_int_equal(regs->rdi, 0x1234);
    assert_int_equal(regs->rsp, GUEST_STACK);
    regs->rip = 0x8000000000000000u;
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    guest_close(&guest);
}

static void flags_survive_a_system_call(void **state)
{
    (void)state;
    /* stc; std; syscall; syscall */
    OPEN(0xf9, 0xfd, SYSCALL, SYSCALL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(guest_run(&guest), RUN_SYSCALL);
        assert_int_equal(guest_registers(&guest)->rflags & 0x401, 0x401);
    }
    guest_close(&guest);
}

static void the_bell_is_one_exit_and_goes_on_behind_it(void **state)
{
    struct machine_state saved;

    (void)state;
    OPEN(RING_BELL, RING_BELL, RING_BELL, SYSCALL);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_int_equal(machine_save(&guest.machine, &saved), 0);
    assert_int_equal(saved.regs.rip, GUEST_CODE + 4);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_int_equal(machine_load(&guest.machine, &saved), 0);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE + 8);
    guest_close(&guest);
}

static void avx_and_fs_survive_exits_and_another_thread(void **state)
{
    static const uint8_t pattern[32] = "thirty-two bytes in one register";
    struct machine_state one, other;

    (void)state;
    /* vmovdqu (%rsi), %ymm15; syscall; out; vmovdqu %ymm15, (%rdi);
     * mov %fs:0, %rax; syscall */
    OPEN(0xc5, 0x7e, 0x6f, 0x3e, SYSCALL, RING_BELL, 0xc5, 0x7e, 0x7f, 0x3f,
         0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, SYSCALL);
    if ((guest.machine.xcr0 & 4) == 0) {
        guest_close(&guest);
        skip();
    }
    memcpy(guest.bytes + GUEST_DATA_AT, pattern, sizeof(pattern));
    guest_registers(&guest)->rsi = GUEST_DATA;
    guest_registers(&guest)->rdi = GUEST_DATA + 64;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    machine_set_fs(&guest.machine, GUEST_DATA + 8);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_int_equal(machine_save(&guest.machine, &one), 0);

    machine_state_init(&other, GUEST_CODE, GUEST_STACK);
    other.regs.rsi = GUEST_DATA + 128; /* zeroes into ymm15 */
    assert_int_equal(machine_load(&guest.machine, &other), 0);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);

    assert_int_equal(machine_load(&guest.machine, &one), 0);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_memory_equal(guest.bytes + GUEST_DATA_AT + 64, pattern,
                        sizeof(pattern));
    assert_memory_equal(&guest_registers(&guest)->rax, pattern + 8, 8);
    guest_close(&guest);
}

/* Page fault error bits: 1 was mapped, 2 write, 4 ring 3, 16 fetch. */
static void page_faults_are_told_with_address_and_rip(void **state)
{
    static const struct {
        uint64_t rax;
        uint8_t code[2];
        uint32_t error, mask;
    } cases[] = {
        {0, {0x8b, 0x00}, 4, 7},                  /* mov (%rax), %eax */
        {0, {0x89, 0x00}, 6, 7},                  /* mov %eax, (%rax) */
        {GUEST_READONLY, {0x89, 0x00}, 7, 7},     /* write read-only */
        {GUEST_CODE, {0x89, 0x00}, 7, 7},         /* write code */
        {0x700000, {0x8b, 0x00}, 4, 7},           /* nothing there */
        {0x7ffffffff000 - 8, {0x8b, 0x00}, 4, 7}, /* the end */
        {BOOT_AT, {0x8b, 0x00}, 4, 6},            /* the kernel's */
        {BOOT_STUBS_AT, {0x8b, 0x00}, 4, 6},      /* the stubs */
        {BOOT_FRAME_AT, {0x89, 0x00}, 6, 6},      /* the stack */
        {BOOT_GATE_AT, {0x89, 0x00}, 6, 6},       /* the gate */
        {BOOT_STUBS_AT + 4, {0xff, 0xe0}, 4, 6},  /* jmp *%rax */
        {GUEST_DATA, {0xff, 0xe0}, 0x15, 0x15},   /* no-exec */
        {0, {0xff, 0xe0}, 4, 5},                  /* call NULL */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool jumps = cases[i].code[0] == 0xff;

        guest_open(&guest, cases[i].code, 2);
        guest_registers(&guest)->rax = cases[i].rax;
        if (guest_run(&guest) != RUN_EXCEPTION)
            fail_msg("case %zu: kind %d %s", i, (int)guest.exit.kind,
                     guest.exit.text);
        assert_int_equal(guest.exit.vector, 14);
        assert_int_equal(guest.exit.address, cases[i].rax);
        assert_int_equal(guest_registers(&guest)->rip,
                         jumps ? cases[i].rax : GUEST_CODE);
        assert_int_equal(guest_registers(&guest)->rsp, GUEST_STACK);
        if ((guest.exit.error & cases[i].mask) !=
            (cases[i].error & cases[i].mask))
            fail_msg("case %zu: error 0x%x", i, guest.exit.error);
        guest_close(&guest);
    }
}

static void a_fault_can_be_mended_and_the_guest_goes_on(void **state)
{
    (void)state;
    /* mov %rdi, (%rax); mov (%rax), %rsi; syscall */
    OPEN(0x48, 0x89, 0x38, 0x48, 0x8b, 0x30, SYSCALL);
    guest_registers(&guest)->rax = 0x700008;
    guest_registers(&guest)->rdi = 77;
    guest_registers(&guest)->rcx = 78;
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(tables_map(&guest.tables, 0x700000, GUEST_FREE, 0x1000,
                                TABLES_READ | TABLES_WRITE | TABLES_USER),
                     0);
    assert_int_equal(guest_registers(&guest)->rcx, 78);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rsi, 77);
    assert_int_equal(guest.bytes[GUEST_FREE + 8], 77);
    guest_close(&guest);
}

static const unsigned rw = TABLES_READ | TABLES_WRITE | TABLES_USER;

/* The processor and KVM have used the page before it is narrowed. */
static void what_is_narrowed_is_noticed_at_once(void **state)
{
    (void)state;
    /* 1: mov %edi, (%rax); mov (%rax), %esi; syscall; jmp 1b */
    OPEN(0x89, 0x38, 0x8b, 0x30, SYSCALL, 0xeb, 0xf8);
    guest_registers(&guest)->rax = GUEST_DATA;
    guest_registers(&guest)->rdi = 5;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(guest_run(&guest), RUN_SYSCALL);
        guest_registers(&guest)->rax = GUEST_DATA;
    }
    assert_int_equal(
        tables_protect(&guest.tables, GUEST_DATA, 0x1000, rw & ~2u), 0);
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.error & 7, 7);
    assert_int_equal(tables_protect(&guest.tables, GUEST_DATA, 0x1000, rw), 0);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(tables_unmap(&guest.tables, GUEST_DATA, 0x3000), 0);
    guest_registers(&guest)->rax = GUEST_DATA;
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.error & 7, 6);
    /* Another page at the same place, and not the old one. */
    assert_int_equal(
        tables_map(&guest.tables, GUEST_DATA, GUEST_FREE, 0x1000, rw), 0);
    guest_registers(&guest)->rdi = 6;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest.bytes[GUEST_FREE], 6);
    assert_int_equal(guest.bytes[GUEST_DATA_AT], 5);
    guest_close(&guest);
}

static void code_that_is_no_more_executable_stops(void **state)
{
    (void)state;
    OPEN(SYSCALL, SYSCALL);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(tables_protect(&guest.tables, GUEST_CODE, 0x1000,
                                    TABLES_READ | TABLES_USER),
                     0);
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.vector, 14);
    assert_int_equal(guest.exit.address, GUEST_CODE + 2);
    guest_close(&guest);
}

static void huge_pages_are_narrowed_too(void **state)
{
    const uint64_t at = 64ull << 20;

    (void)state;
    OPEN(0x89, 0x38, SYSCALL, 0xeb, 0xfa); /* mov %edi, (%rax); syscall; jmp */
    assert_int_equal(
        tables_map(&guest.tables, at, GUEST_FREE, 2 << 20, rw | TABLES_HUGE),
        0);
    guest_registers(&guest)->rdi = 9;
    guest_registers(&guest)->rax = at + 0x123000;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest.bytes[GUEST_FREE + 0x123000], 9);
    assert_int_equal(tables_protect(&guest.tables, at, 2 << 20, rw & ~2u), 0);
    guest_registers(&guest)->rax = at + 0x123000;
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.error & 7, 7);
    assert_int_equal(tables_unmap(&guest.tables, at, 2 << 20), 0);
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.error & 7, 6);
    guest_close(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_call_keeps_all_registers_but_rax),
        cmocka_unit_test(a_system_call_can_return_to_anywhere),
        cmocka_unit_test(flags_survive_a_system_call),
        cmocka_unit_test(the_bell_is_one_exit_and_goes_on_behind_it),
        cmocka_unit_test(avx_and_fs_survive_exits_and_another_thread),
        cmocka_unit_test(page_faults_are_told_with_address_and_rip),
        cmocka_unit_test(a_fault_can_be_mended_and_the_guest_goes_on),
        cmocka_unit_test(what_is_narrowed_is_noticed_at_once),
        cmocka_unit_test(code_that_is_no_more_executable_stops),
        cmocka_unit_test(huge_pages_are_narrowed_too),
    };

    return guest_tests(tests);
}
