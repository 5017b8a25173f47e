/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_test.h - a machine with a few bytes of hand-made code, for tests.
 *
 *  0x400000  code, read and execute       0x600000  stack, below it
 *  0x500000  64 KiB, read and write       0x510000  a page, read only
 */
#ifndef SANDBOX_MICROVM_GUEST_TEST_H
#define SANDBOX_MICROVM_GUEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sandbox/microvm/boot.h"
#include "sandbox/microvm/run.h"

#define GUEST_BYTES    (8u << 20)
#define GUEST_CODE     0x400000ull
#define GUEST_DATA     0x500000ull
#define GUEST_READONLY 0x510000ull
#define GUEST_STACK    0x600000ull
#define GUEST_TABLES   0x100000ull /* physical, as all below */
#define GUEST_TEXT     0x200000ull
#define GUEST_DATA_AT  0x210000ull
#define GUEST_STACK_AT 0x230000ull
#define GUEST_FREE     0x400000ull

struct guest {
    struct machine machine;
    struct tables tables;
    uint8_t *bytes;
    struct run_exit exit;
};

/* False, and says why, where no machine is to be had. */
static inline bool guest_is_here(void)
{
    struct machine machine;
    struct gbx_error err;

    if (machine_open(&machine, &err) < 0) {
        print_message("skipped: %s\n", err.what);
        return false;
    }
    machine_close(&machine);
    return true;
}

static inline void guest_open(struct guest *guest, const void *code,
                              size_t code_bytes)
{
    struct machine_state state;
    struct gbx_error err = {0};
    struct memory_range slot = {.bytes = GUEST_BYTES, .writable = true};
    const unsigned user = TABLES_READ | TABLES_USER;

    slot.host = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(slot.host, MAP_FAILED);
    guest->bytes = slot.host;
    memcpy(slot.host + GUEST_TEXT, code, code_bytes);
    assert_int_equal(machine_open(&guest->machine, &err), 0);
    assert_int_equal(machine_memory(&guest->machine, &slot, &err), 0);
    assert_int_equal(tables_init(&guest->tables, &guest->machine.memory,
                                 GUEST_TABLES, 1 << 20),
                     0);
    if (boot_open(&guest->machine, &guest->tables, 0, &err) < 0)
        fail_msg("boot: %s", err.what);
    assert_int_equal(tables_map(&guest->tables, GUEST_CODE, GUEST_TEXT, 0x4000,
                                user | TABLES_EXEC),
                     0);
    assert_int_equal(tables_map(&guest->tables, GUEST_DATA, GUEST_DATA_AT,
                                0x10000, user | TABLES_WRITE),
                     0);
    assert_int_equal(tables_map(&guest->tables, GUEST_READONLY,
                                GUEST_DATA_AT + 0x10000, 0x1000, user),
                     0);
    assert_int_equal(tables_map(&guest->tables, GUEST_STACK - 0x4000,
                                GUEST_STACK_AT, 0x4000, user | TABLES_WRITE),
                     0);
    machine_state_init(&state, GUEST_CODE, GUEST_STACK);
    assert_int_equal(machine_load(&guest->machine, &state), 0);
    /* No test may hang, on however slow a machine. */
    assert_int_equal(
        run_enter(&guest->machine, clock_now_ns() + 50000000000u, &err), 0);
}

static inline void guest_close(struct guest *guest)
{
    run_leave(&guest->machine);
    machine_close(&guest->machine);
    munmap(guest->bytes, GUEST_BYTES);
}

static inline enum run_kind guest_run(struct guest *guest)
{
    run(&guest->machine, &guest->exit);
    return guest->exit.kind;
}

static inline struct kvm_regs *guest_registers(struct guest *guest)
{
    return machine_registers(&guest->machine);
}

/* Run them, or skip them all with the reason. */
#define guest_tests(tests)                                                     \
    (guest_is_here() ? cmocka_run_group_tests(tests, NULL, NULL) : 77)

#endif
