/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspend.c - a clone that idles long becomes what only it has: the pages that
 * differ from its snapshot's, and its personality.
 *
 * That is plain memory, without a descriptor or a mapping of its own (files of
 * the host that the guest has open stay open).  So the host's limits on both
 * bound those that run, not those that there are.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/backend/microvm.h"

/* 16 MiB.  Who suspends it has better things to do than to copy more; and where
 * each is that large, descriptors are not what ends first. */
#define PAGES_MAX 4096u

/* Its registers are where the personality keeps them, and no processor has it.
 */
static int come_to_rest(struct microvm *vm, struct gbx_error *err)
{
    bool rests;

    if (vm->snapshot == NULL || snapshot_until_ns(vm) != 0 || vm->is_loose)
        return fail(err, GBX_EUNSUPPORTED,
                    "only a clone of a template that stays can be suspended");
    if (vm->machine.is_started && !microvm_park(vm))
        return fail(err, GBX_EHOST, "the guest does not come to rest");
    pthread_mutex_lock(&vm->lock);
    rests = vm->buffer_bytes == 0 && vm->outcome == 0 && vm->kernel != NULL &&
            !atomic_load(&vm->killed);
    pthread_mutex_unlock(&vm->lock);
    return rests ? 0
                 : fail(err, GBX_EUNSUPPORTED,
                        "the guest has something to be taken first");
}

static int keep(struct suspended *suspended, struct microvm *vm,
                struct gbx_error *err)
{
    const struct snapshot *of = vm->snapshot;
    int rc = kernel_freeze_saved(&suspended->kernel, vm->kernel, err);

    if (rc < 0)
        return rc;
    suspended->owner = getpid();
    suspended->system_there = vm->machine.memory.ranges[0].there;
    suspended->frames_there = vm->machine.memory.ranges[1].there;
    rc = dirty_save(vm->system.host, vm->kernel->space.tables.next, of->image,
                    of->system_bytes, PAGES_MAX, &suspended->system);
    if (rc == 0)
        rc = dirty_save(vm->frames.host, snapshot_written(vm),
                        of->image + of->system_bytes, of->frames_bytes,
                        PAGES_MAX, &suspended->frames);
    if (rc == GBX_ELIMIT)
        return fail(err, GBX_EUNSUPPORTED, "too large to be suspended");
    return rc < 0 ? fail(err, rc, "no memory to suspend a guest") : 0;
}

int microvm_suspend(struct microvm *vm, struct suspended **suspended,
                    struct gbx_error *err)
{
    struct suspended *made;
    int rc = come_to_rest(vm, err);

    if (rc < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory to suspend a guest");
    rc = keep(made, vm, err);
    if (rc < 0)
        microvm_discard(made);
    else
        *suspended = made;
    return rc;
}

void microvm_discard(struct suspended *suspended)
{
    if (suspended == NULL)
        return;
    kernel_snapshot_fini(&suspended->kernel);
    dirty_fini(&suspended->system);
    dirty_fini(&suspended->frames);
    free(suspended);
}
