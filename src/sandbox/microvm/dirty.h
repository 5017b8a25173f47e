/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.h - memory of a guest becomes again what it was in a template.
 *
 *   host             + image_bytes                   + bytes
 *   | private mapping of a file | anonymous memory    |
 *
 * Which pages were written is asked of the host's kernel: a page of a private
 * mapping that is not the file's any more.  That counts every write, by the
 * guest and by us, and none can be forgotten (decision 0006).
 *
 * Threads: the machine's, while the guest stands still.
 */
#ifndef SANDBOX_MICROVM_DIRTY_H
#define SANDBOX_MICROVM_DIRTY_H

#include <stdint.h>

struct dirty_count {
    uint64_t pages; /* that were private */
    uint64_t wrote; /* of them differed, and were written */
};

/*
 * [host, host + bytes) is as the image again, and zero behind it.  Of pages
 * that were written, some stay private, because they will be written again.
 * Returns 0 or GBX_EHOST.
 */
int dirty_restore(uint8_t *host, uint64_t bytes, const uint8_t *image,
                  uint64_t image_bytes, struct dirty_count *count);

#endif
