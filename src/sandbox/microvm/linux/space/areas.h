/* SPDX-License-Identifier: Apache-2.0 */
/*
 * areas.h - the sorted array behind a space; for the files of this folder.
 *
 * Threads: the machine's.
 */
#ifndef SANDBOX_MICROVM_LINUX_SPACE_AREAS_H
#define SANDBOX_MICROVM_LINUX_SPACE_AREAS_H

#include "sandbox/microvm/linux/space/space.h"

/* Index of the first area that ends above the address. */
uint32_t areas_index(const struct space *space, uint64_t address);

/* Memory for so many more.  Returns 0 or -ENOMEM. */
int areas_reserve(struct space *space, uint32_t more);

/*
 * Put in, cut in two, take out: room was reserved.  Cutting and taking leave
 * pages alone; taking puts the file.
 */
struct area *areas_insert(struct space *space, const struct area *area);
void areas_cut(struct space *space, uint64_t address);
void areas_take_out(struct space *space, uint32_t first, uint32_t count);

/* Neighbours in [from, to] that differ in nothing become one. */
void areas_merge(struct space *space, uint64_t from, uint64_t to);

/* The highest hole of so many bytes below `below`; 0: there is none. */
uint64_t areas_hole(const struct space *space, uint64_t bytes, uint64_t below);

/* True when an area has pages on both sides of the address. */
bool areas_are_cut(const struct space *space, uint64_t address);

/* True when nothing is mapped there. */
bool areas_are_free(const struct space *space, uint64_t address,
                    uint64_t bytes);

#endif
