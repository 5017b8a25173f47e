/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region_file.h - a half of the region, as the guest is born with it: an open
 * file whose bytes are guest-physical memory, to be mapped shared.
 *
 * Threads: the machine's.  Memory: the half is borrowed.
 */
#ifndef SANDBOX_MICROVM_LINUX_REGION_FILE_H
#define SANDBOX_MICROVM_LINUX_REGION_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/files/tree/file.h"
#include "sandbox/microvm/linux/space/space.h"

/* window: of the space, in the same heap.  Returns NULL without memory. */
struct file *region_file_make(struct heap *heap,
                              const struct space_window *window, bool writable);
bool region_file_is(const struct file *file);

/* Guest-physical address of a part; -EINVAL where there is none. */
int region_file_place(const struct file *file, uint64_t off, uint64_t bytes,
                      uint64_t *physical);

#endif
