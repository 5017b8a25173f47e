/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_test.c - where guest and host share a counter, it is one.
 */
#include <x86intrin.h>

#include "sandbox/microvm/clock.h"
#include "sandbox/microvm/guest_test.h"

static struct guest guest;

/* 1: rdtsc; syscall; jmp 1b */
static const uint8_t code[] = {0x0f, 0x31, 0x0f, 0x05, 0xeb, 0xfa};

/* Not inside: as it is when a sandbox is opened. */
static struct machine_clock open_with_clock(void)
{
    struct machine_clock clock = {0};

    guest_open(&guest, code, sizeof(code));
    run_leave(&guest.machine);
    machine_clock(&guest.machine, &guest.tables, GUEST_FREE, &clock);
    assert_int_equal(
        run_enter(&guest.machine, clock_now_ns() + 50000000000u, NULL), 0);
    return clock;
}

static uint64_t count(void)
{
    assert_int_equal(guest_run(&guest), RUN_SYSCALL);
    return guest_registers(&guest)->rdx << 32 | guest_registers(&guest)->rax;
}

static void a_shared_counter_never_goes_back(void **state)
{
    struct machine_clock clock = open_with_clock();
    uint64_t last, next;

    (void)state;
    print_message("shared: %d, %u kHz\n", clock.shared, clock.tsc_khz);
    for (int i = 0; i < 50; i++) {
        last = __rdtsc();
        next = count();
        if (clock.shared)
            assert_true(last <= next && next <= __rdtsc());
    }
    guest_close(&guest);
}

static void each_machine_is_told_the_same(void **state)
{
    struct machine_clock first = open_with_clock(), next;

    (void)state;
    guest_close(&guest);
    for (int i = 0; i < 3; i++) {
        next = open_with_clock();
        assert_int_equal(next.shared, first.shared);
        assert_int_equal(next.tsc_khz, first.tsc_khz);
        guest_close(&guest);
    }
}

/* By the clock that everybody has, within one part in eight. */
static void the_rate_is_about_what_kvm_says(void **state)
{
    struct machine_clock clock = open_with_clock();
    uint64_t ns[4], counted, least, most;

    (void)state;
    ns[0] = clock_now_ns();
    counted = count();
    ns[1] = clock_now_ns();
    usleep(20000);
    ns[2] = clock_now_ns();
    counted = count() - counted;
    ns[3] = clock_now_ns();
    least = (ns[2] - ns[1]) * clock.tsc_khz / 1000000;
    most = (ns[3] - ns[0]) * clock.tsc_khz / 1000000;
    if (clock.shared && clock.tsc_khz != 0)
        assert_in_range(counted, least - least / 8, most + most / 8);
    guest_close(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_counter_never_goes_back),
        cmocka_unit_test(each_machine_is_told_the_same),
        cmocka_unit_test(the_rate_is_about_what_kvm_says),
    };

    return guest_tests(tests);
}
