/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare.c - emptying a virtual machine, and keeping a few.
 *
 * What a guest can leave in one is in its memory, its registers and what KVM
 * has for delivery.  The memory's slots are taken away, with them all that KVM
 * made of it; the rest is set as machine_reset and machine_load do it for a
 * wipe, before it is kept.  What is left is what every machine here has alike:
 * its features, MSRs, XCR0.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/microvm/spare.h"

#define SPARES 8u

struct spare {
    int kvm_fd, vm_fd, cpu_fd;
    struct kvm_run *cpu;
    size_t cpu_bytes;
    uint64_t xcr0;
};

static struct {
    pthread_mutex_t lock; /* of all else */
    unsigned holders, count;
    pid_t owner;
    struct spare all[SPARES];
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drop(struct spare *spare)
{
    munmap(spare->cpu, spare->cpu_bytes);
    close_fd(&spare->cpu_fd);
    close_fd(&spare->vm_fd);
    close_fd(&spare->kvm_fd);
}

void spare_hold(void)
{
    pthread_mutex_lock(&spares.lock);
    spares.holders++;
    pthread_mutex_unlock(&spares.lock);
}

void spare_release(void)
{
    pthread_mutex_lock(&spares.lock);
    if (--spares.holders == 0)
        while (spares.count > 0)
            drop(&spares.all[--spares.count]);
    pthread_mutex_unlock(&spares.lock);
}

static bool has_room(void)
{
    bool has;

    pthread_mutex_lock(&spares.lock);
    has = spares.holders > 0 && spares.count < SPARES;
    pthread_mutex_unlock(&spares.lock);
    return has;
}

static bool empty(struct machine *machine)
{
    struct machine_state nothing;

    machine_state_init(&nothing, 0, 0);
    if (machine_reset(machine) < 0 || machine_load(machine, &nothing) < 0 ||
        ioctl(machine->cpu_fd, KVM_SET_REGS, &nothing.regs) < 0)
        return false;
    for (uint32_t slot = 0; slot < machine->slot_count; slot++) {
        struct kvm_userspace_memory_region none = {.slot = slot};

        if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &none) < 0)
            return false;
    }
    memset(&machine->cpu->s.regs, 0, sizeof(machine->cpu->s.regs));
    machine->cpu->kvm_dirty_regs = 0;
    return true;
}

static bool keep(const struct spare *spare)
{
    bool kept;

    pthread_mutex_lock(&spares.lock);
    if (spares.owner != getpid())
        spares.count = 0; /* a parent's: they are of no use, nor ours to end */
    spares.owner = getpid();
    kept = spares.holders > 0 && spares.count < SPARES;
    if (kept)
        spares.all[spares.count++] = *spare;
    pthread_mutex_unlock(&spares.lock);
    return kept;
}

bool spare_give(struct machine *machine)
{
    struct spare spare = {.kvm_fd = machine->kvm_fd,
                          .vm_fd = machine->vm_fd,
                          .cpu_fd = machine->cpu_fd,
                          .cpu = machine->cpu,
                          .cpu_bytes = machine->cpu_bytes,
                          .xcr0 = machine->xcr0};

    if (!has_room() || !empty(machine) || !keep(&spare))
        return false;
    machine->kvm_fd = machine->vm_fd = machine->cpu_fd = -1;
    machine->cpu = NULL;
    return true;
}

bool spare_take(struct machine *machine)
{
    struct spare spare;
    bool has;

    pthread_mutex_lock(&spares.lock);
    has = spares.count > 0 && spares.owner == getpid();
    if (has)
        spare = spares.all[--spares.count];
    pthread_mutex_unlock(&spares.lock);
    if (!has)
        return false;
    machine->kvm_fd = spare.kvm_fd;
    machine->vm_fd = spare.vm_fd;
    machine->cpu_fd = spare.cpu_fd;
    machine->cpu = spare.cpu;
    machine->cpu_bytes = spare.cpu_bytes;
    machine->xcr0 = spare.xcr0;
    return true;
}
