/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_test.c - one thread of the guest out, another one in, wherever the
 * processor stood.
 */
#include <pthread.h>
#include <sys/ioctl.h>

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
#define READ_FS   0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0 /* %fs:0, %rax */
#define READ_GS   0x65, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 0, 0 /* %gs:0, %rbx */

static void what_the_host_changed_after_a_bell_is_saved(void **state)
{
    struct machine_state saved;

    (void)state;
    OPEN(RING_BELL, SYSCALL, FOREVER, SYSCALL);
    assert_int_equal(guest_run(&guest), RUN_BELL);
    guest_registers(&guest)->rdi = 77;
    assert_int_equal(machine_save(&guest.machine, &saved), 0);
    assert_int_equal(saved.regs.rdi, 77);
    assert_int_equal(saved.regs.rip, GUEST_CODE + 2);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rdi, 77);

    assert_int_equal(machine_load(&guest.machine, &saved), 0);
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(machine_load(&guest.machine, &saved), 0);
    guest_registers(&guest)->rip = GUEST_CODE + 6;
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE + 8);
    guest_close(&guest);
}

/* Interrupted, with a page fault that KVM has not delivered yet. */
static void another_thread_does_not_get_an_exception_on_its_way(void **state)
{
    struct kvm_vcpu_events events = {0};
    struct machine_state other;

    (void)state;
    OPEN(FOREVER);
    run_deadline(&guest.machine, clock_now_ns() + 1000000);
    assert_int_equal(guest_run(&guest), RUN_TIME);
    assert_int_equal(machine_save(&guest.machine, &other), 0);
    events.exception.injected = 1;
    events.exception.nr = 14;
    events.exception.has_error_code = 1;
    events.exception.error_code = 6;
    assert_int_equal(ioctl(guest.machine.cpu_fd, KVM_SET_VCPU_EVENTS, &events),
                     0);
    assert_int_equal(machine_save(&guest.machine, &other), GBX_EAGAIN);
    assert_int_equal(machine_load(&guest.machine, &other), GBX_EAGAIN);
    run_deadline(&guest.machine, 0);
    assert_int_equal(guest_run(&guest), RUN_EXCEPTION);
    assert_int_equal(guest.exit.vector, 14);
    assert_int_equal(guest.exit.error, 6);
    assert_int_equal(machine_load(&guest.machine, &other), 0);
    guest_close(&guest);
}

static _Atomic bool enough;

static void *stop_often(void *context)
{
    (void)context;
    while (!enough) {
        usleep(50);
        run_stop(&guest.machine);
    }
    return NULL;
}

/*
 * A stop may find it in ring 3, at the gate in either ring, in a stub.  What
 * can be saved there can be loaded, and goes on as if nothing had been.
 */
static void two_threads_take_turns_at_any_stop(void **state)
{
    struct machine_state threads[2];
    uint64_t calls[2] = {0, 1u << 30};
    unsigned stops = 0, moves = 0, one = 0;
    pthread_t thread;

    (void)state;
    /* 1: inc %rdi; syscall; jmp 1b */
    OPEN(0x48, 0xff, 0xc7, SYSCALL, 0xeb, 0xf9);
    run_deadline(&guest.machine, 0);
    machine_state_init(&threads[1], GUEST_CODE, GUEST_STACK);
    threads[1].regs.rdi = calls[1];
    enough = false;
    assert_int_equal(pthread_create(&thread, NULL, stop_often, NULL), 0);
    while (stops < 500) {
        switch (guest_run(&guest)) {
        case RUN_SYSCALL:
            assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE + 5);
            assert_int_equal(guest_registers(&guest)->rdi, ++calls[one]);
            continue;
        case RUN_STOPPED:
            stops++;
            if (machine_save(&guest.machine, &threads[one]) == GBX_EAGAIN)
                continue;
            one = !one;
            assert_int_equal(machine_load(&guest.machine, &threads[one]), 0);
            moves++;
            continue;
        default:
            fail_msg("stop %u: %d %s", stops, (int)guest.exit.kind,
                     guest.exit.text);
        }
    }
    enough = true;
    pthread_join(thread, NULL);
    assert_true(moves > 0);
    guest_close(&guest);
}

/* Null selectors, and the one that fits, take the base away; it comes back. */
static void selectors_in_fs_and_gs_do_not_matter(void **state)
{
    static const uint16_t selectors[] = {0, 3, BOOT_USER_DATA};
    struct machine_state one, other;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        /* mov %eax, %ds, %es, %fs, %gs; syscall; and what the bases are. */
        OPEN(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8, SYSCALL, READ_FS,
             READ_GS, SYSCALL);
        memcpy(guest.bytes + GUEST_DATA_AT, "first...second..", 16);
        assert_int_equal(machine_save(&guest.machine, &other), 0);
        other.regs.rip = GUEST_CODE + 10;
        other.fs_base = GUEST_DATA;
        other.gs_base = GUEST_DATA + 8;
        guest_registers(&guest)->rax = selectors[i];
        machine_set_fs(&guest.machine, GUEST_DATA + 0x100);
        assert_int_equal(guest_run(&guest), RUN_SYSCALL);
        assert_int_equal(machine_save(&guest.machine, &one), 0);
        assert_int_equal(machine_load(&guest.machine, &other), 0);
        assert_int_equal(guest_run(&guest), RUN_SYSCALL);
        assert_memory_equal(&guest_registers(&guest)->rax, "first...", 8);
        assert_memory_equal(&guest_registers(&guest)->rbx, "second..", 8);

        /* And back: whatever is left of its bases is as it was. */
        assert_int_equal(machine_load(&guest.machine, &one), 0);
        assert_int_equal(machine_save(&guest.machine, &other), 0);
        assert_int_equal(other.fs_base, one.fs_base);
        assert_int_equal(other.gs_base, one.gs_base);
        machine_set_fs(&guest.machine, GUEST_DATA);
        one.fs_base = GUEST_DATA;
        assert_int_equal(machine_load(&guest.machine, &one), 0);
        guest_registers(&guest)->rip = GUEST_CODE + 10;
        machine_set_fs(&guest.machine, GUEST_DATA + 8);
        guest_run(&guest); /* nothing may be at the base of gs */
        assert_memory_equal(&guest_registers(&guest)->rax, "second..", 8);
        guest_close(&guest);
    }
}

/* Where the processor lets ring 3 write its bases, they are seen. */
static void a_base_that_the_guest_wrote_is_saved(void **state)
{
    struct machine_state saved;

    (void)state;
    OPEN(0xf3, 0x48, 0x0f, 0xae, 0xd7, SYSCALL); /* wrfsbase %rdi; syscall */
    guest_registers(&guest)->rdi = GUEST_DATA + 24;
    if (guest_run(&guest) == RUN_SYSCALL) {
        assert_int_equal(machine_save(&guest.machine, &saved), 0);
        assert_int_equal(saved.fs_base, GUEST_DATA + 24);
    } else {
        assert_int_equal(guest.exit.kind, RUN_EXCEPTION);
        assert_int_equal(guest.exit.vector, 6);
    }
    guest_close(&guest);
}

static void a_broken_machine_gives_and_takes_nothing(void **state)
{
    struct machine_state saved;

    (void)state;
    OPEN(0xe4, BOOT_PORT_BELL); /* in */
    assert_int_equal(machine_save(&guest.machine, &saved), 0);
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    assert_int_equal(machine_load(&guest.machine, &saved), GBX_EHOST);
    assert_int_equal(machine_save(&guest.machine, &saved), GBX_EHOST);
    machine_set_fs(&guest.machine, 0);
    assert_int_equal(guest_run(&guest), RUN_BROKEN);
    guest_close(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_host_changed_after_a_bell_is_saved),
        cmocka_unit_test(another_thread_does_not_get_an_exception_on_its_way),
        cmocka_unit_test(two_threads_take_turns_at_any_stop),
        cmocka_unit_test(selectors_in_fs_and_gs_do_not_matter),
        cmocka_unit_test(a_base_that_the_guest_wrote_is_saved),
        cmocka_unit_test(a_broken_machine_gives_and_takes_nothing),
    };

    return guest_tests(tests);
}
