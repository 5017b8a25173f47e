/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - words in and out of a slot.  In memory they are little-endian, as
 * all of abi/.
 *
 * The words are put together from members, and taken apart by whoever reads
 * them: a processor that has just stored a few narrow values makes a wide load
 * of them wait, and a message is twenty such waits away from its reader.
 */
#include <stdatomic.h>
#include <string.h>

#include "glovebox/error.h"

#include "channel/ring.h"

#define WORDS     (sizeof(struct gbx_descriptor) / sizeof(uint64_t))
#define LAP_WORD  (offsetof(struct gbx_descriptor, lap) / sizeof(uint64_t))
#define LAP_SHIFT (offsetof(struct gbx_descriptor, lap) % sizeof(uint64_t) * 8)
#define LAP_MASK  (0xffull << LAP_SHIFT)

static uint8_t lap_of(uint32_t n)
{
    return (uint8_t)(n / GBX_RING_SLOTS + 1);
}

static const _Atomic uint64_t *slot_of(const struct gbx_descriptor *slots,
                                       uint32_t n)
{
    return (const _Atomic uint64_t *)(const void *)&slots[n % GBX_RING_SLOTS];
}

void ring_put(struct gbx_descriptor *slots, uint32_t n,
              const struct gbx_descriptor *d)
{
    _Atomic uint64_t *to =
        (_Atomic uint64_t *)(void *)&slots[n % GBX_RING_SLOTS];
    uint64_t words[WORDS] = {
        d->kind | (uint64_t)d->type << 8 | (uint64_t)d->flags << 16 |
            (uint64_t)d->call << 32,
        d->body_bytes | (uint64_t)d->name_bytes << 32 |
            (uint64_t)lap_of(n) << LAP_SHIFT,
        d->body_off,
        d->scalar,
        d->handler_ns,
    };

    memcpy(&words[5], &d->name, sizeof(d->name));
    for (size_t i = 0; i < WORDS; i++)
        if (i != LAP_WORD)
            atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
    /*
     * Peer: loads it in look(), and then the others; and, before a sleep, see
     * wait.c.
     */
    atomic_store(&to[LAP_WORD], words[LAP_WORD]);
}

/* The word with the lap, and what it says: 1, 0, or that the peer lies. */
static int look(const _Atomic uint64_t *slot, uint32_t n, uint64_t *word)
{
    uint8_t behind;

    /* Peer: stores it in ring_put, after the others. */
    *word = atomic_load(&slot[LAP_WORD]);
    behind = (uint8_t)(lap_of(n) - (uint8_t)(*word >> LAP_SHIFT));
    return behind <= 1 ? behind == 0 : GBX_EBROKEN;
}

int ring_look(const struct gbx_descriptor *slots, uint32_t n)
{
    uint64_t word;

    return look(slot_of(slots, n), n, &word);
}

int ring_get(const struct gbx_descriptor *slots, uint32_t n,
             struct gbx_descriptor *copy)
{
    const _Atomic uint64_t *from = slot_of(slots, n);
    uint64_t *to = (uint64_t *)(void *)copy, word;
    int rc = look(from, n, &word);

    if (rc <= 0)
        return rc;
    for (size_t i = 0; i < WORDS; i++)
        to[i] = i == LAP_WORD
                    ? word & ~LAP_MASK
                    : atomic_load_explicit(&from[i], memory_order_relaxed);
    return 1;
}
