/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wipe.c - a clone goes back to what its template's part was; and what it gives
 * back while it idles.
 *
 * First memory, while the tables still say what the guest could reach; then the
 * tables, which makes KVM forget; then the personality, by which all else is
 * forgotten, too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/backend/microvm.h"

#define PAGE ((uint64_t)MEMORY_PAGE_BYTES)

uint64_t snapshot_until_ns(const struct microvm *vm)
{
    return vm->snapshot == NULL || vm->is_loose ? 0 : vm->snapshot->until_ns;
}

/* A page that is written is the clone's own. */
static void take_pages(uint8_t *host, uint64_t bytes)
{
    for (uint64_t off = 0; off < bytes; off += PAGE)
        __atomic_fetch_or(host + off, 0, __ATOMIC_RELAXED);
}

void snapshot_let_go(struct microvm *vm)
{
    take_pages(vm->system.host, vm->snapshot->system_bytes);
    take_pages(vm->frames.host, vm->snapshot->frames_bytes);
    vm->is_loose = true;
}

void snapshot_learn(struct microvm *vm)
{
    struct snapshot *of = vm->snapshot;
    struct touched *none = NULL, *touched;

    if (of == NULL || !vm->has_run || vm->frames.host == NULL ||
        atomic_load(&of->touched) != NULL)
        return;
    touched = dirty_learn(vm->frames.host, of->frames_bytes);
    if (touched != NULL &&
        !atomic_compare_exchange_strong(&of->touched, &none, touched))
        free(touched);
}

uint64_t snapshot_written(const struct microvm *vm)
{
    const struct frames *frames = &vm->kernel->space.frames;
    uint64_t bytes = frames->known * PAGE, least = vm->snapshot->frames_bytes;

    bytes = bytes < least ? least : bytes;
    return bytes < vm->frames.bytes ? bytes : vm->frames.bytes;
}

/* That a wipe leaves in use: for half a GiB of addresses. */
#define NEW_TABLES_MAX 256u

/*
 * Tables that are empty stay where they are (tables.c), and take from a pool.
 * Who comes next shall not find it used up, nor learn much from what is left.
 */
static bool has_many_tables(const struct microvm *vm)
{
    return vm->kernel->space.tables.next >
           vm->snapshot->system_bytes + NEW_TABLES_MAX * PAGE;
}

static int restore_memory(struct microvm *vm)
{
    const struct snapshot *was = vm->snapshot;
    struct dirty_count count = {0};

    if (dirty_restore(vm->frames.host, snapshot_written(vm),
                      was->image + was->system_bytes, was->frames_bytes,
                      &count) < 0 ||
        dirty_restore(vm->system.host, MICROVM_TABLES_AT, was->image,
                      MICROVM_TABLES_AT, &count) < 0)
        return GBX_EHOST;
    vm->wiped = count;
    return tables_restore(&vm->kernel->space.tables, was->image,
                          was->system_bytes);
}

static int restore_kernel(struct microvm *vm, struct gbx_error *err)
{
    const struct kernel_config config = microvm_kernel_config(vm);
    uint64_t next = vm->kernel->space.tables.next; /* they stay in use */
    int rc = kernel_thaw(&vm->kernel, &vm->snapshot->kernel, &config, err);

    if (rc < 0)
        return rc;
    vm->kernel->space.tables.next = next;
    microvm_bind(vm);
    if ((rc = root_add(vm, err)) < 0)
        return rc;
    if (!vm->machine.is_started)
        return 0; /* microvm_wake does the rest */
    vm->vdso.ticked_ns = 0;
    vdso_tick(&vm->vdso, &vm->kernel->waker, clock_now_ns());
    return kernel_load(vm->kernel, err);
}

static void forget(struct microvm *vm)
{
    vm->unsettled = vm->rang = vm->parked = false;
    vm->buffer_bytes = 0;
    vm->outcome = vm->last = 0;
    vm->rests = false;
    vm->end_text[0] = '\0';
    memset(vm->wants, 0, sizeof(vm->wants));
    atomic_store(&vm->host_rang, false);
    atomic_store(&vm->has_room, false);
}

int snapshot_restore(struct microvm *vm, struct gbx_error *err)
{
    int rc = 0;

    snapshot_learn(vm);
    if (vm->is_loose || vm->kernel == NULL || has_many_tables(vm) ||
        (vm->machine.is_started && machine_reset(&vm->machine) < 0) ||
        restore_memory(vm) < 0)
        rc = fail(err, GBX_EHOST, "the micro-VM cannot be used again");
    if (rc == 0)
        rc = restore_kernel(vm, err);
    if (rc == 0)
        forget(vm);
    else
        vm->outcome = rc;
    return rc;
}

/* Between calls: its virtual machine goes, all else stays. */
bool microvm_park(struct microvm *vm)
{
    struct kernel *kernel = vm->kernel;

    if (!vm->machine.is_started || vm->shared == NULL || runner_settle(vm) < 0)
        return false;
    if (kernel->current != NULL &&
        kernel->cpu.save(kernel->cpu.context, &kernel->current->state) < 0)
        return false;
    machine_halt(&vm->machine);
    return true;
}
