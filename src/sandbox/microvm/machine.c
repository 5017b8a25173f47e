/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - opening and closing, one step after the other.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/microvm/device.h"
#include "sandbox/microvm/machine.h"
#include "sandbox/microvm/spare.h"

#define CPUID_MAX     256
#define CPUID_XSAVE   0xd
#define XCR0_WANTED   0xe7 /* x87, SSE, AVX, AVX-512 */
#define XCR0_AT_LEAST 0x3  /* x87, SSE */

/*
 * What a processor of this host can do is the same for each machine, and slow
 * to ask for where KVM itself runs in a virtual machine.
 */
struct cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[CPUID_MAX];
};

static struct {
    pthread_mutex_t lock; /* of all else */
    bool known;
    struct cpuid cpuid;
} host = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    int number, bits; /* bits: must all be in the answer */
    const char *name;
} capabilities[] = {
    {KVM_CAP_USER_MEMORY, 0, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_READONLY_MEM, 0, "KVM_CAP_READONLY_MEM"},
    {KVM_CAP_IMMEDIATE_EXIT, 0, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_EXT_CPUID, 0, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_XSAVE, 0, "KVM_CAP_XSAVE"},
    {KVM_CAP_XCRS, 0, "KVM_CAP_XCRS"},
    {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS,
     "KVM_CAP_SYNC_REGS"},
};

static int open_device(int *fd, struct gbx_error *err)
{
    struct device_fault fault;
    int rc = device_open(fd, &fault);
    int sys = rc == GBX_EHOST ? errno : 0;

    if (rc == 0)
        return 0;
    errno = 0; /* what it means is said already */
    fail(err, rc, "%s; %s", fault.what, fault.remedy);
    if (err != NULL)
        err->sys = sys;
    return rc;
}

int machine_check(struct gbx_error *err)
{
    int fd, rc = open_device(&fd, err);

    if (rc == 0)
        close_fd(&fd);
    return rc;
}

static int step_capabilities(struct machine *machine, struct gbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
        int has =
            ioctl(machine->kvm_fd, KVM_CHECK_EXTENSION, capabilities[i].number);

        if (has <= 0 || (has & capabilities[i].bits) != capabilities[i].bits)
            return fail(err, GBX_EUNSUPPORTED,
                        "KVM lacks %s; use a newer kernel",
                        capabilities[i].name);
    }
    return 0;
}

static int step_vm(struct machine *machine, struct gbx_error *err)
{
    do /* a signal of the caller may come in between */
        machine->vm_fd = ioctl(machine->kvm_fd, KVM_CREATE_VM, 0);
    while (machine->vm_fd < 0 && errno == EINTR);
    if (machine->vm_fd < 0)
        return fail(err, GBX_EHOST,
                    "KVM makes no virtual machine; is there memory, and no "
                    "other hypervisor");
    return 0;
}

static int step_cpu(struct machine *machine, struct gbx_error *err)
{
    int bytes;
    void *cpu;

    machine->cpu_fd = ioctl(machine->vm_fd, KVM_CREATE_VCPU, 0);
    if (machine->cpu_fd < 0)
        return fail(err, GBX_EHOST, "KVM makes no processor");
    bytes = ioctl(machine->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (bytes < (int)sizeof(struct kvm_run))
        return fail(err, GBX_EHOST, "KVM does not tell a processor's size");
    cpu = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
               machine->cpu_fd, 0);
    if (cpu == MAP_FAILED)
        return fail(err, GBX_EHOST, "the processor cannot be mapped");
    machine->cpu = cpu;
    machine->cpu_bytes = (size_t)bytes;
    machine->cpu->kvm_valid_regs = KVM_SYNC_X86_REGS; /* all that exits need */
    return 0;
}

static uint64_t xcr0_of(const struct cpuid *cpuid)
{
    for (uint32_t i = 0; i < cpuid->head.nent; i++)
        if (cpuid->entries[i].function == CPUID_XSAVE &&
            cpuid->entries[i].index == 0)
            return cpuid->entries[i].eax & XCR0_WANTED;
    return 0;
}

static int step_cpuid_locked(struct machine *machine, struct gbx_error *err)
{
    if (!host.known) {
        host.cpuid.head.nent = CPUID_MAX;
        if (ioctl(machine->kvm_fd, KVM_GET_SUPPORTED_CPUID, &host.cpuid) < 0)
            return fail(err, GBX_EHOST, "KVM does not tell its features");
        host.known = true;
    }
    machine->xcr0 = xcr0_of(&host.cpuid);
    if ((machine->xcr0 & XCR0_AT_LEAST) != XCR0_AT_LEAST)
        return fail(err, GBX_EUNSUPPORTED, "the processor lacks XSAVE");
    if (ioctl(machine->cpu_fd, KVM_SET_CPUID2, &host.cpuid) < 0)
        return fail(err, GBX_EHOST, "KVM refuses its own features");
    return 0;
}

static int step_cpuid(struct machine *machine, struct gbx_error *err)
{
    int rc;

    pthread_mutex_lock(&host.lock);
    rc = step_cpuid_locked(machine, err);
    pthread_mutex_unlock(&host.lock);
    return rc;
}

/* For memory.extend: one more slot. */
static int add_slot(void *context, const struct memory_range *range,
                    uint64_t from, uint64_t to)
{
    struct machine *machine = context;
    struct kvm_userspace_memory_region region = {
        .slot = machine->slot_count,
        .flags = range->writable ? 0 : KVM_MEM_READONLY,
        .guest_phys_addr = range->at + from,
        .memory_size = to - from,
        .userspace_addr = (uintptr_t)range->host + from,
    };

    if (machine->vm_fd < 0)
        return 0; /* it is told when it starts */
    if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return GBX_EHOST;
    machine->slot_count++;
    return 0;
}

/* How many there are in this process. */
static atomic_uint machines;

unsigned machine_count(void)
{
    return atomic_load(&machines);
}

void machine_init(struct machine *machine)
{
    *machine = (struct machine)MACHINE_NONE;
    must(pthread_mutex_init(&machine->lock, NULL) == 0);
    machine->lock_open = true;
}

static int step_slots(struct machine *machine, struct gbx_error *err)
{
    for (uint32_t i = 0; i < machine->memory.count; i++) {
        const struct memory_range *range = &machine->memory.ranges[i];

        if (add_slot(machine, range, 0, range->there) < 0)
            return fail(err, GBX_EHOST, "KVM refuses memory at 0x%llx",
                        (unsigned long long)range->at);
    }
    return 0;
}

/* All that is the same for each machine. */
static int step_new(struct machine *machine, struct gbx_error *err)
{
    int rc;

    if ((rc = open_device(&machine->kvm_fd, err)) < 0 ||
        (rc = step_capabilities(machine, err)) < 0 ||
        (rc = step_vm(machine, err)) < 0 || (rc = step_cpu(machine, err)) < 0)
        return rc;
    return step_cpuid(machine, err);
}

int machine_start(struct machine *machine, struct gbx_error *err)
{
    int rc = 0;

    must(machine->lock_open && machine->kvm_fd < 0);
    atomic_fetch_add(&machines, 1);
    machine->is_counted = true;
    if ((!spare_take(machine) && (rc = step_new(machine, err)) < 0) ||
        (rc = step_slots(machine, err)) < 0) {
        machine_halt(machine);
    } else {
        machine->memory.stale = false; /* this KVM knows the ranges afresh */
        machine->is_started = true;
    }
    return rc;
}

int machine_open(struct machine *machine, struct gbx_error *err)
{
    int rc;

    machine_init(machine);
    rc = machine_start(machine, err);
    if (rc < 0)
        machine_close(machine);
    return rc;
}

void machine_halt(struct machine *machine)
{
    must(machine->tid == 0);
    if (machine->timer_thread != 0)
        timer_delete(machine->timer);
    if (machine->is_counted)
        atomic_fetch_sub(&machines, 1);
    if (machine->is_started)
        spare_give(machine); /* or it is ended here */
    if (machine->cpu != NULL)
        munmap(machine->cpu, machine->cpu_bytes);
    close_fd(&machine->cpu_fd);
    close_fd(&machine->vm_fd);
    close_fd(&machine->kvm_fd);
    machine->cpu = NULL;
    machine->slot_count = 0;
    machine->frame = NULL;
    machine->place = MACHINE_FRESH;
    machine->timer_thread = 0;
    machine->is_started = machine->pending = machine->sregs_known = false;
    machine->inside_told = machine->is_counted = false;
}

void machine_close(struct machine *machine)
{
    machine_halt(machine);
    if (machine->lock_open)
        pthread_mutex_destroy(&machine->lock);
    *machine = (struct machine)MACHINE_NONE;
}

int machine_memory(struct machine *machine, const struct memory_range *range,
                   struct gbx_error *err)
{
    int rc;

    machine->memory.extend = add_slot;
    machine->memory.context = machine;
    rc = memory_add(&machine->memory, range);
    if (rc == GBX_EHOST)
        return fail(err, rc, "KVM refuses memory at 0x%llx",
                    (unsigned long long)range->at);
    return rc < 0 ? fail(err, rc, "memory of the guest at 0x%llx",
                         (unsigned long long)range->at)
                  : 0;
}
