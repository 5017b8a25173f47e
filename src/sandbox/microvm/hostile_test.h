/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile_test.h - a guest that tries something, and a look at the kernel
 * before and after.
 */
#ifndef SANDBOX_MICROVM_HOSTILE_TEST_H
#define SANDBOX_MICROVM_HOSTILE_TEST_H

#include <stdio.h>
#include <sys/ioctl.h>

#include "base/check.h"
#include "sandbox/microvm/guest_test.h"

#define PAGE   MEMORY_PAGE_BYTES
#define MSRS   5
#define STATIC (4 * PAGE) /* of the kernel's pages: all but the stack */
#define POOL   0x20000    /* what is used of it */

static struct guest guest;

/* All that decides what ring 3 may do. */
struct kernel {
    struct kvm_sregs sregs;
    struct kvm_debugregs debug;
    struct kvm_xcrs xcrs;
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entries[MSRS];
    } msrs;
    uint8_t pages[STATIC], pool[POOL];
};

static struct kernel before, after;

static inline void read_kernel(struct kernel *kernel)
{
    static const uint32_t msrs[MSRS] = {0xc0000081, 0xc0000082, 0xc0000083,
                                        0xc0000084, 0x174};
    int fd = guest.machine.cpu_fd;

    memset(kernel, 0, sizeof(*kernel));
    kernel->msrs.head.nmsrs = MSRS;
    for (size_t i = 0; i < MSRS; i++)
        kernel->msrs.entries[i].index = msrs[i];
    assert_int_equal(ioctl(fd, KVM_GET_SREGS, &kernel->sregs), 0);
    assert_int_equal(ioctl(fd, KVM_GET_DEBUGREGS, &kernel->debug), 0);
    assert_int_equal(ioctl(fd, KVM_GET_XCRS, &kernel->xcrs), 0);
    assert_int_equal(ioctl(fd, KVM_GET_MSRS, &kernel->msrs), MSRS);
    memcpy(kernel->pages, guest.bytes, STATIC);
    memcpy(kernel->pool, guest.bytes + GUEST_TABLES, POOL);
}

static inline void open_hostile(const void *code, size_t bytes)
{
    guest_open(&guest, code, bytes);
    memcpy(guest.bytes + GUEST_TEXT + PAGE, "\x0f\x05", 2);
    read_kernel(&before);
}

/* The kernel is what it was, and a thread that does no harm is served. */
static inline void close_hostile(const char *name)
{
    struct machine_state good;
    bool alive = guest.exit.kind != RUN_BROKEN;

    read_kernel(&after);
#define SAME(what)                                                             \
    if (memcmp(&before.what, &after.what, sizeof(before.what)) != 0)           \
    fail_msg("%s: " #what " changed", name)
    SAME(sregs.cr0);
    SAME(sregs.cr3);
    SAME(sregs.cr4);
    SAME(sregs.efer);
    SAME(sregs.gdt);
    SAME(sregs.idt);
    SAME(sregs.ldt.selector);
    SAME(sregs.tr.selector);
    SAME(sregs.tr.base);
    SAME(sregs.apic_base);
    SAME(debug.db);
    SAME(debug.dr7);
    SAME(xcrs.xcrs[0].value);
    SAME(msrs);
    SAME(pages);
    SAME(pool);
#undef SAME
    machine_state_init(&good, GUEST_CODE + PAGE, GUEST_STACK);
    good.regs.rdi = 4711;
    run_deadline(&guest.machine, 0);
    if (alive && guest.exit.kind != RUN_TIME) {
        assert_int_equal(machine_load(&guest.machine, &good), 0);
        assert_int_equal(guest_run(&guest), RUN_SYSCALL);
        assert_int_equal(guest_registers(&guest)->rip, GUEST_CODE + PAGE + 2);
        assert_int_equal(guest_registers(&guest)->rdi, 4711);
    }
    guest_close(&guest);
}

/* The guest's registers at the start of an attempt. */
static inline struct kvm_regs *open_attempt(const void *code, size_t bytes)
{
    struct kvm_regs *regs;

    open_hostile(code, bytes);
    regs = guest_registers(&guest);
    regs->rax = regs->rbx = regs->rsi = GUEST_DATA;
    regs->rdi = GUEST_DATA + PAGE;
    return regs;
}

/* It is over: broken, an exception, or what it tried did no harm. */
static inline void expect_known_exit(const char *name)
{
    if (guest.exit.kind == RUN_TIME || guest.exit.kind == RUN_STOPPED ||
        (guest.exit.kind == RUN_BROKEN && guest.exit.text[0] == '\0') ||
        (guest.exit.kind == RUN_EXCEPTION && guest.exit.vector > 19))
        fail_msg("%s: exit %d, vector %d: %s", name, (int)guest.exit.kind,
                 guest.exit.vector, guest.exit.text);
}

#endif
