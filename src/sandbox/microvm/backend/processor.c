/* SPDX-License-Identifier: Apache-2.0 */
/* processor.c - the personality's way to the machine's registers. */
#include "sandbox/microvm/backend/microvm.h"

#define XSAVE_BASIC  576u /* x87, SSE, header */
#define XSAVE_AVX    832u
#define XSAVE_AVX512 2688u

static void set_fs(void *context, uint64_t base)
{
    machine_set_fs(context, base);
}

static void set_gs(void *context, uint64_t base)
{
    struct machine *machine = context;
    struct kvm_sregs *sregs;

    if (machine_sregs(machine, &sregs) < 0)
        return; /* it is broken, and says so at the next run */
    sregs->gs.base = base;
    machine->cpu->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

static uint64_t get_fs(void *context)
{
    struct kvm_sregs *sregs;

    return machine_sregs(context, &sregs) < 0 ? 0 : sregs->fs.base;
}

static uint64_t get_gs(void *context)
{
    struct kvm_sregs *sregs;

    return machine_sregs(context, &sregs) < 0 ? 0 : sregs->gs.base;
}

static int save(void *context, struct machine_state *state)
{
    return machine_save(context, state);
}

static int load(void *context, const struct machine_state *state)
{
    return machine_load(context, state);
}

struct kernel_cpu processor_of(struct microvm *vm)
{
    uint64_t xcr0 = vm->machine.xcr0;

    return (struct kernel_cpu){
        .regs = machine_registers(&vm->machine),
        .context = &vm->machine,
        .set_fs = set_fs,
        .set_gs = set_gs,
        .get_fs = get_fs,
        .get_gs = get_gs,
        .save = save,
        .load = load,
        .xsave_bytes = (xcr0 & 0xe0) != 0 ? XSAVE_AVX512
                       : (xcr0 & 4) != 0  ? XSAVE_AVX
                                          : XSAVE_BASIC,
    };
}
