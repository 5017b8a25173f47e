/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "channel/body/keep.h"

struct kept {
    struct gbx_body body;
    struct keep *keep;      /* counted */
    uint64_t off;           /* to give */
    struct kept *next;      /* of those that are back */
    LIST_ENTRY(kept) other; /* the owner's: of all */
};

struct keep {
    atomic_uint references; /* one of the region, one of each body */
    /* Put, and not yet given; &closed: nobody takes them any more. */
    _Atomic(struct kept *) back;
    struct region memory; /* the region's, once it is closed */
    /* The owner's: */
    uint64_t bytes; /* of all that are kept */
    LIST_HEAD(, kept) all;
};

static struct kept closed;

static void drop(struct keep *keep)
{
    if (atomic_fetch_sub_explicit(&keep->references, 1, memory_order_acq_rel) >
        1)
        return;
    region_close(&keep->memory);
    free(keep);
}

static void end_kept(struct gbx_body *body)
{
    struct kept *kept = (struct kept *)body, *first;
    struct keep *keep = kept->keep;

    first = atomic_load(&keep->back);
    do {
        if (first == &closed) {
            free(kept);
            drop(keep);
            return;
        }
        kept->next = first;
        /* Who takes it back sees what was done with the body before. */
    } while (!atomic_compare_exchange_weak(&keep->back, &first, kept));
}

static struct keep *keep_of(struct region *region)
{
    if (region->keep != NULL)
        return region->keep;
    region->keep = malloc(sizeof(*region->keep));
    if (region->keep != NULL)
        *region->keep = (struct keep){.references = 1, .memory = REGION_NONE};
    return region->keep;
}

struct gbx_body *keep_body(struct region *region, uint64_t off, uint64_t bytes,
                           uint64_t most)
{
    const bool is_guests = off >= region->half_bytes;
    struct keep *keep = keep_of(region);
    struct kept *kept;

    if (keep == NULL || bytes >= most || keep->bytes > most - bytes)
        return NULL;
    kept = malloc(sizeof(*kept));
    if (kept == NULL)
        return NULL;
    atomic_fetch_add(&keep->references, 1);
    keep->bytes += bytes;
    *kept = (struct kept){
        .body = {.holders = 1,
                 .is_loose = is_guests,
                 .bytes = region->base + off,
                 .count = bytes,
                 .fd = region->fd[is_guests ? HALF_GUEST : HALF_HOST],
                 .off = is_guests ? off - region->half_bytes : off,
                 .end = end_kept},
        .keep = keep,
        .off = off};
    LIST_INSERT_HEAD(&keep->all, kept, other);
    return &kept->body;
}

uint32_t keep_list(const struct region *region, uint64_t *offs)
{
    const struct keep *keep = region->keep;
    uint32_t count = 0;

    for (const struct kept *kept = keep == NULL ? NULL : LIST_FIRST(&keep->all);
         kept != NULL; kept = LIST_NEXT(kept, other), count++)
        if (offs != NULL)
            offs[count] = kept->off;
    return count;
}

void keep_take_back(struct region *region, struct channel *channel)
{
    struct keep *keep = region->keep;
    struct kept *kept, *next;

    if (keep == NULL ||
        atomic_load_explicit(&keep->back, memory_order_relaxed) == NULL)
        return;
    for (kept = atomic_exchange(&keep->back, NULL); kept != NULL; kept = next) {
        next = kept->next;
        keep->bytes -= kept->body.count;
        LIST_REMOVE(kept, other);
        channel_give(channel, kept->off);
        free(kept);
        drop(keep);
    }
}

bool keep_is_used(const struct region *region)
{
    return region->keep != NULL && !LIST_EMPTY(&region->keep->all);
}

void keep_end(struct region *region)
{
    struct keep *keep = region->keep;
    struct kept *kept, *next;

    region->keep = NULL;
    keep->memory = *region;
    *region = (struct region)REGION_NONE;
    for (kept = atomic_exchange(&keep->back, &closed); kept != NULL;
         kept = next) {
        next = kept->next;
        free(kept);
        drop(keep);
    }
    drop(keep);
}
