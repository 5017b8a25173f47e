/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset_test.c - wherever the processor stood, it runs what it is given next,
 * and nothing of before.
 */
#include <pthread.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define FRESH_AT 64 /* in the code: the next guest's */

static const uint8_t next_code[] = {
    0x66, 0x48, 0x0f, 0x7e, 0xc7,             /* movq %xmm0, %rdi */
    0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, /* mov %fs:0, %rax */
    0x65, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 0, 0, /* mov %gs:0, %rbx */
    0x0f, 0x05, 0x0f, 0x05,                   /* syscall; syscall */
};

#define SYSCALL      0x0f, 0x05
#define RING_BELL    0xe6, BOOT_PORT_BELL
#define FOREVER      0xeb, 0xfe
#define READ_NONE    0x8a, 0x04, 0x25, 0, 0, 0, 0 /* mov 0, %al: a page fault */
#define ONE_XMM0     0x66, 0x0f, 0x76, 0xc0       /* pcmpeqd %xmm0, %xmm0 */
#define NO_SELECTORS 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8

static struct guest guest;

static void open_guest(const void *code, size_t bytes)
{
    uint8_t all[FRESH_AT + sizeof(next_code)] = {0};

    assert_in_range(bytes, 1, FRESH_AT);
    memcpy(all, code, bytes);
    memcpy(all + FRESH_AT, next_code, sizeof(next_code));
    guest_open(&guest, all, sizeof(all));
    memcpy(guest.bytes + GUEST_DATA_AT, "first...second..", 16);
    machine_set_fs(&guest.machine, GUEST_DATA + 0x100);
}

#define OPEN(...)                                                              \
    do {                                                                       \
        static const uint8_t code[] = {__VA_ARGS__};                           \
                                                                               \
        open_guest(code, sizeof(code));                                        \
    } while (0)

static struct machine_state next_state(void)
{
    struct machine_state next;

    machine_state_init(&next, GUEST_CODE + FRESH_AT, GUEST_STACK);
    next.fs_base = GUEST_DATA;
    next.gs_base = GUEST_DATA + 8;
    next.regs.rsi = 77;
    return next;
}

/* The guest of next_state runs, and knows nothing of the one before. */
static void expect_next(void)
{
    const struct kvm_regs *regs = guest_registers(&guest);

    run_deadline(&guest.machine, clock_now_ns() + 50000000000u);
    if (guest_run(&guest) != RUN_SYSCALL)
        fail_msg("it does not run: %d, vector %u, %s", (int)guest.exit.kind,
                 guest.exit.vector, guest.exit.text);
    assert_int_equal(regs->rip, GUEST_CODE + FRESH_AT + 25);
    assert_int_equal(regs->rdi, 0);
    assert_int_equal(regs->rsi, 77);
    assert_int_equal(regs->rsp, GUEST_STACK);
    assert_int_equal(regs->rflags, 0x202);
    assert_memory_equal(&regs->rax, "first...", 8);
    assert_memory_equal(&regs->rbx, "second..", 8);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(regs->rip, GUEST_CODE + FRESH_AT + 27);
}

static void reset_to(const struct machine_state *next)
{
    struct kvm_vcpu_events events;

    assert_int_equal(machine_reset(&guest.machine), 0);
    assert_int_equal(guest.machine.place, MACHINE_FRESH);
    assert_false(guest.machine.pending);
    assert_int_equal(ioctl(guest.machine.cpu_fd, KVM_GET_VCPU_EVENTS, &events),
                     0);
    assert_int_equal(events.exception.injected | events.exception.pending, 0);
    assert_int_equal(events.interrupt.injected | events.interrupt.shadow, 0);
    assert_int_equal(machine_load(&guest.machine, next), 0);
}

static void reset(void)
{
    const struct machine_state next = next_state();

    reset_to(&next);
}

/* With bases and selectors that are those of boot. */
static void expect_boot_segments(void)
{
    const struct kvm_sregs *boot = &guest.machine.boot_sregs;
    struct machine_state next;
    struct kvm_sregs *sregs;

    machine_state_init(&next, GUEST_CODE + FRESH_AT + 23, GUEST_STACK);
    reset_to(&next);
    run_deadline(&guest.machine, clock_now_ns() + 50000000000u);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE + FRESH_AT + 25);
    assert_int_equal(machine_sregs(&guest.machine, &sregs), 0);
    assert_int_equal(sregs->fs.base, 0);
    assert_int_equal(sregs->gs.base, 0);
    assert_int_equal(sregs->ds.selector, boot->ds.selector);
    assert_int_equal(sregs->es.selector, boot->es.selector);
    assert_int_equal(sregs->fs.selector, boot->fs.selector);
    assert_int_equal(sregs->gs.selector, boot->gs.selector);
}

static void expect_reset(void)
{
    expect_boot_segments();
    reset(); /* from the gate */
    expect_next();
    reset();
    expect_next();
    guest_close(&guest);
}

static void before_it_ran(void **state)
{
    (void)state;
    OPEN(SYSCALL);
    expect_reset();
}

static void at_the_gate(void **state)
{
    (void)state;
    OPEN(ONE_XMM0, NO_SELECTORS, SYSCALL, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    guest_registers(&guest)->rdi = 5; /* an answer that nobody gets */
    reset();
    expect_next();
    expect_reset();
}

static void after_an_exception(void **state)
{
    struct kvm_sregs *sregs;

    (void)state;
    OPEN(ONE_XMM0, READ_NONE, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.vector, 14);
    reset();
    assert_int_equal(machine_sregs(&guest.machine, &sregs), 0);
    assert_int_equal(sregs->cr2, guest.machine.boot_sregs.cr2);
    expect_next();
    expect_reset();
}

/* KVM has not completed the `out` yet. */
static void at_a_bell(void **state)
{
    (void)state;
    OPEN(ONE_XMM0, RING_BELL, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    assert_true(guest.machine.pending);
    reset();
    expect_next();
    expect_reset();
}

/* Each: what is written there counts for nobody. */
static void with_changes_that_were_not_run(void **state)
{
    (void)state;
    OPEN(RING_BELL, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    guest_registers(&guest)->rip = 5;
    machine_set_fs(&guest.machine, 0x1234);
    expect_reset();
}

static void interrupt(void)
{
    run_deadline(&guest.machine, clock_now_ns() + 1000000);
    assert_int_equal(guest_run(&guest), RUN_TIME);
    assert_int_equal(guest.machine.place, MACHINE_RING3);
}

static void interrupted_in_ring_3(void **state)
{
    (void)state;
    OPEN(ONE_XMM0, NO_SELECTORS, FOREVER);
    interrupt();
    expect_reset();
}

static void interrupted_with_an_exception_on_its_way(void **state)
{
    (void)state;
    for (unsigned has_error = 0; has_error < 2; has_error++) {
        struct kvm_vcpu_events events = {0};
        struct machine_state saved;

        OPEN(FOREVER);
        interrupt();
        events.exception.injected = 1;
        events.exception.nr = has_error != 0 ? 14 : 6;
        events.exception.has_error_code = has_error != 0;
        events.exception.error_code = has_error != 0 ? 6 : 0;
        assert_int_equal(
            ioctl(guest.machine.cpu_fd, KVM_SET_VCPU_EVENTS, &events), 0);
        assert_int_equal(machine_save(&guest.machine, &saved), GBX_EAGAIN);
        expect_reset();
    }
}

/* As behind a load of SS: what is next to run is not held up by it. */
static void interrupted_in_the_shadow_of_an_instruction(void **state)
{
    struct kvm_vcpu_events events = {.flags = KVM_VCPUEVENT_VALID_SHADOW,
                                     .interrupt.shadow =
                                         KVM_X86_SHADOW_INT_MOV_SS};

    (void)state;
    OPEN(FOREVER);
    interrupt();
    assert_int_equal(ioctl(guest.machine.cpu_fd, KVM_SET_VCPU_EVENTS, &events),
                     0);
    expect_reset();
}

/* It steps: an exception after each instruction. */
static void in_a_guest_that_traces_itself(void **state)
{
    (void)state;
    OPEN(0x90, 0x90, FOREVER);
    guest_registers(&guest)->rflags |= 0x100;
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.vector, 1);
    assert_int_not_equal(guest_registers(&guest)->rflags & 0x100, 0);
    expect_reset();
}

static _Atomic bool enough;

static void *stop_often(void *context)
{
    (void)context;
    while (!enough) {
        usleep(20);
        run_stop(&guest.machine);
    }
    return NULL;
}

/* A stop may find it in ring 3, at the gate in either ring, in a stub. */
static void at_any_stop(void **state)
{
    unsigned stops = 0;
    pthread_t thread;

    (void)state;
    /* 1: inc %rdi; syscall; jmp 1b */
    OPEN(0x48, 0xff, 0xc7, SYSCALL, 0xeb, 0xf9);
    run_deadline(&guest.machine, 0);
    enough = false;
    assert_int_equal(pthread_create(&thread, NULL, stop_often, NULL), 0);
    while (stops < 300) {
        const struct machine_state next = next_state();
        struct machine_state first;
        enum run_kind kind = guest_run(&guest);

        if (kind == RUN_SYSCALL)
            continue;
        assert_int_equal(kind, RUN_STOPPED);
        stops++;
        assert_int_equal(machine_reset(&guest.machine), 0);
        assert_int_equal(machine_load(&guest.machine, &next), 0);
        while (guest_run(&guest) == RUN_STOPPED)
            ;
        assert_int_equal(guest.exit.kind, RUN_SYSCALL);
        assert_int_equal(guest_registers(&guest)->rip,
                         GUEST_CODE + FRESH_AT + 25);
        assert_int_equal(guest_registers(&guest)->rdi, 0);
        machine_state_init(&first, GUEST_CODE, GUEST_STACK);
        assert_int_equal(machine_reset(&guest.machine), 0);
        assert_int_equal(machine_load(&guest.machine, &first), 0);
    }
    enough = true;
    pthread_join(thread, NULL);
    guest_close(&guest);
}

/* As read_interrupted says it, whatever it was: it is not asked. */
static void interrupted_between_rings(void **state)
{
    (void)state;
    OPEN(SYSCALL, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    interrupt();
    guest.machine.place = MACHINE_ANYWHERE;
    expect_reset();
}

static void a_broken_machine_stays_broken(void **state)
{
    (void)state;
    OPEN(0xe4, BOOT_PORT_BELL); /* in */
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    assert_int_equal(machine_reset(&guest.machine), GBX_EHOST);
    assert_int_equal(machine_reset(&guest.machine), GBX_EHOST);
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    guest_close(&guest);
}

/* What KVM did not forget, the next guest might still reach. */
static void a_machine_with_stale_memory_stays_so(void **state)
{
    uint8_t *lost;

    (void)state;
    OPEN(SYSCALL, FOREVER);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    lost = guest.bytes + GUEST_FREE;
    assert_int_equal(tables_map(&guest.tables, 0x10000000, GUEST_FREE, 0x1000,
                                TABLES_READ | TABLES_USER),
                     0);
    munmap(lost, 0x1000); /* no mprotect succeeds there */
    assert_int_equal(tables_unmap(&guest.tables, 0x10000000, 0x1000),
                     GBX_EHOST);
    assert_int_equal(machine_reset(&guest.machine), GBX_EHOST);
    assert_int_equal(machine_reset(&guest.machine), GBX_EHOST);
    guest_close(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_it_ran),
        cmocka_unit_test(at_the_gate),
        cmocka_unit_test(after_an_exception),
        cmocka_unit_test(at_a_bell),
        cmocka_unit_test(with_changes_that_were_not_run),
        cmocka_unit_test(interrupted_in_ring_3),
        cmocka_unit_test(interrupted_with_an_exception_on_its_way),
        cmocka_unit_test(interrupted_in_the_shadow_of_an_instruction),
        cmocka_unit_test(in_a_guest_that_traces_itself),
        cmocka_unit_test(interrupted_between_rings),
        cmocka_unit_test(at_any_stop),
        cmocka_unit_test(a_broken_machine_stays_broken),
        cmocka_unit_test(a_machine_with_stale_memory_stays_so),
    };

    return guest_tests(tests);
}
