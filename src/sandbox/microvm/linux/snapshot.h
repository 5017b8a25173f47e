/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a personality as it stood at a moment, to make others from.
 *
 *  kernel_freeze(&snapshot, kernel, &err);
 *  kernel_thaw(&other, &snapshot, &config, &err);   a new one
 *  kernel_load(other, &err);
 *  kernel_thaw(&other, &snapshot, &config, &err);   and back to it
 *  kernel_snapshot_fini(&snapshot);
 *
 * All of it is in its heap, so that is what a snapshot is, with the files of
 * the host that are open.  The guest's memory is somebody else's to keep.
 *
 * Its clocks stand still meanwhile, but for the wall's: who waits, waits as
 * long as was left; who looks, finds that no time has passed.
 *
 * Threads: the machine's; a snapshot may be thawed by several at once.
 */
#ifndef SANDBOX_MICROVM_LINUX_SNAPSHOT_H
#define SANDBOX_MICROVM_LINUX_SNAPSHOT_H

#include "sandbox/microvm/linux/kernel.h"

struct kernel_snapshot {
    void *heap; /* owned: an image of it (heap.h) */
    uint64_t heap_bytes;
    struct handles handles; /* shared with the kernel's */
    uint64_t now_ns;        /* the guest's monotonic clock */
};

/*
 * The guest stands still, and what the processor has of it can be saved.
 * Returns 0 or GBX_EHOST.
 */
int kernel_freeze(struct kernel_snapshot *snapshot, struct kernel *kernel,
                  struct gbx_error *err);
/* Of one whose registers were saved, and whose processor is gone. */
int kernel_freeze_saved(struct kernel_snapshot *snapshot, struct kernel *kernel,
                        struct gbx_error *err);

/*
 * *kernel: NULL, or one that becomes what was frozen, and forgets all else.  Of
 * config: cpu, memory, handles, trace; all else is as it was.
 * Returns 0; or GBX_EHOST, and *kernel is closed, and NULL.
 */
int kernel_thaw(struct kernel **kernel, const struct kernel_snapshot *snapshot,
                const struct kernel_config *config, struct gbx_error *err);

/* The same, but it is no copy: the one that was frozen is back, under its own
 * number, and its clocks have gone on.  A snapshot is good for one such. */
int kernel_thaw_same(struct kernel **kernel,
                     const struct kernel_snapshot *snapshot,
                     const struct kernel_config *config, struct gbx_error *err);

/*
 * And before it runs on: its task's registers go into the processor, which must
 * take some (machine_reset).  Returns 0 or GBX_EHOST.
 */
int kernel_load(struct kernel *kernel, struct gbx_error *err);

/* To a file and back; good for the very same program alone.  load: false where
 * it is damaged, or files of the host are not there any more. */
void kernel_snapshot_save(const struct kernel_snapshot *snapshot,
                          struct bytes_out *out);
bool kernel_snapshot_load(struct kernel_snapshot *snapshot,
                          struct bytes_in *in);

void kernel_snapshot_fini(struct kernel_snapshot *snapshot); /* idempotent */

#endif
