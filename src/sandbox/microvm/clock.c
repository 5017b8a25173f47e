/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - one counter for guest and host.
 *
 * KVM starts a guest's counter at 0 and lets us set the distance (since Linux
 * 5.16).  With kvm_pvm `rdtsc` is the host's in any case.  So the outcome is
 * not derived but looked at: two instructions in the guest read the counter,
 * between two readings of the host.  What holds for one machine holds for each
 * on this host, so it is done once.  (That the host's own counter is one on all
 * its processors is for the host's kernel to say: its clocksource.)
 */
#include <cpuid.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "sandbox/microvm/clock.h"
#include "sandbox/microvm/run.h"

#define TRIAL_AT     TABLES_LOW
#define TRIAL_NS     1000000000u
#define TRIAL_ROUNDS 3

#define CPUID_POWER   0x80000007
#define INVARIANT_TSC (1u << 8) /* of EDX: one rate, at all times */

static struct {
    pthread_mutex_t lock; /* of all else */
    bool known, shared;
} host = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void set_offset(struct machine *machine)
{
    uint64_t zero = 0;
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL,
        .attr = KVM_VCPU_TSC_OFFSET,
        .addr = (uintptr_t)&zero,
    };

    /* An old KVM has no such thing, and then the trial says so. */
    ioctl(machine->cpu_fd, KVM_SET_DEVICE_ATTR, &attr);
}

static bool is_invariant(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(CPUID_POWER, &eax, &ebx, &ecx, &edx) != 0 &&
           (edx & INVARIANT_TSC) != 0;
}

/* rdtsc; syscall */
static const uint8_t trial_code[] = {0x0f, 0x31, 0x0f, 0x05};

static bool is_between(struct machine *machine)
{
    struct kvm_regs *regs = machine_registers(machine);
    uint64_t before = __rdtsc(), count;
    struct run_exit exit;

    regs->rip = TRIAL_AT;
    run(machine, &exit);
    count = regs->rdx << 32 | regs->rax;
    return exit.kind == RUN_SYSCALL && count >= before && count <= __rdtsc();
}

static bool are_shared(struct machine *machine)
{
    bool shared = true;

    if (run_enter(machine, clock_now_ns() + TRIAL_NS, NULL) < 0)
        return false;
    for (int i = 0; i < TRIAL_ROUNDS && shared; i++)
        shared = is_between(machine);
    run_leave(machine);
    return shared;
}

/* A program for a moment, of which nothing stays. */
static bool try_locked(struct machine *machine, struct tables *tables,
                       uint64_t physical)
{
    uint8_t *page = memory_host(&machine->memory, physical, MEMORY_PAGE_BYTES);
    struct machine_state before, state;
    bool shared;

    machine_state_init(&state, TRIAL_AT, TRIAL_AT);
    if (page == NULL || machine_save(machine, &before) < 0 ||
        tables_map(tables, TRIAL_AT, physical, MEMORY_PAGE_BYTES,
                   TABLES_READ | TABLES_EXEC | TABLES_USER) < 0)
        return false;
    memcpy(page, trial_code, sizeof(trial_code));
    shared = machine_load(machine, &state) == 0 && are_shared(machine);
    memset(page, 0, sizeof(trial_code));
    if (tables_unmap(tables, TRIAL_AT, MEMORY_PAGE_BYTES) < 0 ||
        machine_load(machine, &before) < 0)
        return false;
    host.known = true;
    return shared;
}

void machine_clock(struct machine *machine, struct tables *tables,
                   uint64_t physical, struct machine_clock *clock)
{
    int khz = ioctl(machine->cpu_fd, KVM_GET_TSC_KHZ, 0);

    set_offset(machine);
    pthread_mutex_lock(&host.lock);
    if (!host.known && is_invariant())
        host.shared = try_locked(machine, tables, physical);
    clock->shared = host.shared;
    pthread_mutex_unlock(&host.lock);
    clock->tsc_khz = khz < 0 ? 0 : (uint32_t)khz;
}
