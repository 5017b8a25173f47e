/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.h - memory of a guest becomes again what it was in a template.
 *
 *   host             + image_bytes                   + bytes
 *   | private mapping of a file | anonymous memory    |
 *
 * Which pages were written is asked of the host's kernel: a page of a private
 * mapping that is not the file's any more.  That counts every write, by the
 * guest and by us, and none can be forgotten (decision 0007).
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

/* Pages that were written: their numbers, in order, and what was in them, which
 * is in no dump of the embedder and in none of its children, as they were. */
struct dirty_pages {
    uint32_t count;
    uint32_t *numbers; /* owned */
    uint8_t *bytes;    /* owned mapping, or NULL */
};

/* Those that differ from the image now.  Returns 0; GBX_ELIMIT, where there are
 * more than `most`; or GBX_EHOST; then there are none. */
int dirty_save(const uint8_t *host, uint64_t bytes, const uint8_t *image,
               uint64_t image_bytes, uint32_t most, struct dirty_pages *pages);
/* Into another mapping of the image, which is as it was. */
void dirty_load(uint8_t *host, const struct dirty_pages *pages);
void dirty_fini(struct dirty_pages *pages); /* idempotent */

/*
 * Which pages were touched, by one who did what others will do: a list of page
 * numbers; those that were written have TOUCHED_WRITTEN.
 */
#define TOUCHED_WRITTEN (1u << 31)

struct touched {
    uint32_t count;
    uint32_t pages[];
};

/* Returns a list to free(); or NULL where nobody tells, or where they are so
 * many that others need not have them. */
struct touched *dirty_learn(const uint8_t *host, uint64_t bytes);

/* Another mapping of the same gets them ahead: together they cost a fraction of
 * what each costs when KVM has to ask for it. */
void dirty_touch(uint8_t *host, const struct touched *touched);

#endif
