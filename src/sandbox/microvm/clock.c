/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - one counter for guest and host.
 *
 * KVM starts a guest's counter at 0 and lets us set the distance (since Linux
 * 5.16).  With kvm_pvm `rdtsc` is the host's in any case.  So the outcome is
 * not derived but looked at: a guest of two instructions reads the counter,
 * between two readings of the host.  What holds for one machine holds for each
 * on this host, so it is done once.  (That the host's own counter is one on all
 * its processors is for the host's kernel to say: its clocksource.)
 */
#include <cpuid.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "sandbox/microvm/boot.h"
#include "sandbox/microvm/clock.h"
#include "sandbox/microvm/run.h"

#define TRIAL_BYTES  0x20000u
#define TRIAL_TABLES 0x8000u
#define TRIAL_CODE   0x10000u
#define TRIAL_AT     0x400000u
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

static bool open_trial(struct machine *machine, uint8_t *bytes)
{
    struct memory_slot slot = {
        .bytes = TRIAL_BYTES, .host = bytes, .writable = true};
    struct machine_state state;
    struct tables tables;

    memcpy(bytes + TRIAL_CODE, trial_code, sizeof(trial_code));
    machine_state_init(&state, TRIAL_AT, TRIAL_AT);
    if (machine_memory(machine, &slot, NULL) < 0 ||
        tables_init(&tables, &machine->memory, TRIAL_TABLES,
                    TRIAL_CODE - TRIAL_TABLES) < 0 ||
        boot_open(machine, &tables, 0, NULL) < 0 ||
        tables_map(&tables, TRIAL_AT, TRIAL_CODE, MEMORY_PAGE_BYTES,
                   TABLES_READ | TABLES_EXEC | TABLES_USER) < 0 ||
        machine_load(machine, &state) < 0)
        return false;
    set_offset(machine);
    return true;
}

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

static bool try_locked(struct machine *machine, uint8_t *bytes)
{
    bool shared = true;

    if (!open_trial(machine, bytes) ||
        run_enter(machine, clock_now_ns() + TRIAL_NS, NULL) < 0)
        return false;
    for (int i = 0; i < TRIAL_ROUNDS && shared; i++)
        shared = is_between(machine);
    run_leave(machine);
    host.known = true;
    return shared;
}

static bool is_shared_locked(void)
{
    struct machine machine = MACHINE_NONE;
    uint8_t *bytes;

    if (host.known || !is_invariant())
        return host.shared;
    bytes = mmap(NULL, TRIAL_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return false;
    if (machine_open(&machine, NULL) == 0)
        host.shared = try_locked(&machine, bytes);
    machine_close(&machine);
    munmap(bytes, TRIAL_BYTES);
    return host.shared;
}

void machine_clock(struct machine *machine, struct machine_clock *clock)
{
    int khz = ioctl(machine->cpu_fd, KVM_GET_TSC_KHZ, 0);

    set_offset(machine);
    pthread_mutex_lock(&host.lock);
    clock->shared = is_shared_locked();
    pthread_mutex_unlock(&host.lock);
    clock->tsc_khz = khz < 0 ? 0 : (uint32_t)khz;
}
