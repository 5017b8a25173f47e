/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - taking one thread of the guest out of the processor, and putting
 * another one in.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sandbox/microvm/machine.h"

#define RFLAGS_START 0x202 /* IF, and a bit that is always set */
#define X87_CONTROL  0x37f
#define MXCSR        0x1f80
#define XSAVE_MXCSR  6   /* in words of 4 bytes */
#define XSAVE_HEADER 128 /* the same: which parts are not in initial state */

void machine_state_init(struct machine_state *state, uint64_t rip, uint64_t rsp)
{
    memset(state, 0, sizeof(*state));
    state->regs.rip = rip;
    state->regs.rsp = rsp;
    state->regs.rflags = RFLAGS_START;
    state->xsave.region[0] = X87_CONTROL;
    state->xsave.region[XSAVE_MXCSR] = MXCSR;
    state->xsave.region[XSAVE_HEADER] = 3; /* x87, SSE */
}

/*
 * Stock KVM returns from an `out` before it has moved RIP past it.  It does so
 * at the start of the next run, which need not go into the guest.
 */
static int settle(struct machine *machine)
{
    int rc;

    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_REGS; /* the host's changes */
    machine->sregs_known = false;
    machine->cpu->immediate_exit = 1;
    rc = ioctl(machine->cpu_fd, KVM_RUN, 0);
    machine->cpu->immediate_exit = 0;
    if (rc == 0 || errno != EINTR)
        return GBX_EHOST;
    machine->pending = false;
    return 0;
}

int machine_sregs(struct machine *machine, struct kvm_sregs **sregs)
{
    *sregs = &machine->cpu->s.regs.sregs;
    if (!machine->sregs_known &&
        ioctl(machine->cpu_fd, KVM_GET_SREGS, *sregs) < 0)
        return GBX_EHOST;
    machine->sregs_known = true;
    return 0;
}

/*
 * Interrupted in ring 3, with an exception that KVM has yet to deliver?  It is
 * this thread's: another one must not get it.
 */
static int look_for_events(struct machine *machine)
{
    struct kvm_vcpu_events events;

    if (machine->place == MACHINE_ANYWHERE)
        return GBX_EAGAIN;
    if (machine->place == MACHINE_BROKEN)
        return GBX_EHOST;
    if (machine->place != MACHINE_RING3)
        return 0;
    if (ioctl(machine->cpu_fd, KVM_GET_VCPU_EVENTS, &events) < 0)
        return GBX_EHOST;
    if (events.exception.injected != 0 || events.exception.pending != 0)
        return GBX_EAGAIN;
    /* KVM does not tell those of int3: their instruction is still to come. */
    events.interrupt.shadow = 0;
    events.flags = KVM_VCPUEVENT_VALID_SHADOW;
    return ioctl(machine->cpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0 ? GBX_EHOST
                                                                    : 0;
}

int machine_save(struct machine *machine, struct machine_state *state)
{
    struct kvm_sregs *sregs;
    int rc = look_for_events(machine);

    if (rc < 0)
        return rc;
    if ((machine->pending && settle(machine) < 0) ||
        machine_sregs(machine, &sregs) < 0 ||
        ioctl(machine->cpu_fd, KVM_GET_XSAVE, &state->xsave) < 0)
        return GBX_EHOST;
    state->regs = *machine_registers(machine);
    state->fs_base = sregs->fs.base;
    state->gs_base = sregs->gs.base;
    return 0;
}

static int set_bases(struct machine *machine, uint64_t fs_base,
                     uint64_t gs_base)
{
    struct kvm_sregs *sregs;

    if (machine_sregs(machine, &sregs) < 0)
        return GBX_EHOST;
    if (sregs->fs.base == fs_base && sregs->gs.base == gs_base)
        return 0;
    sregs->fs.base = fs_base;
    sregs->gs.base = gs_base;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    return 0;
}

void machine_set_fs(struct machine *machine, uint64_t fs_base)
{
    struct kvm_sregs *sregs;

    if (machine_sregs(machine, &sregs) < 0) {
        machine->place = MACHINE_BROKEN;
        machine->broken = "KVM does not tell its registers";
        return;
    }
    sregs->fs.base = fs_base;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

int machine_load(struct machine *machine, const struct machine_state *state)
{
    int rc = look_for_events(machine);

    if (rc < 0)
        return rc;
    if ((machine->pending && settle(machine) < 0) ||
        set_bases(machine, state->fs_base, state->gs_base) < 0 ||
        ioctl(machine->cpu_fd, KVM_SET_XSAVE, &state->xsave) < 0)
        return GBX_EHOST;
    if (machine->place == MACHINE_RING3)
        machine->place = MACHINE_FRESH;
    *machine_registers(machine) = state->regs;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    return 0;
}

int machine_reset(struct machine *machine)
{
    /* Nor is the first instruction held up for one of the past. */
    struct kvm_vcpu_events none = {.flags = KVM_VCPUEVENT_VALID_SHADOW};

    if (machine->place == MACHINE_BROKEN || machine->memory.stale ||
        (machine->pending && settle(machine) < 0) ||
        ioctl(machine->cpu_fd, KVM_SET_VCPU_EVENTS, &none) < 0)
        return GBX_EHOST;
    machine->cpu->s.regs.sregs = machine->boot_sregs;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    machine->sregs_known = true;
    machine->place = MACHINE_FRESH;
    return 0;
}
