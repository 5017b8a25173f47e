/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/node/times.h"

/* The octave, and the two bits behind its first. */
static unsigned cell_of(uint64_t ns)
{
    unsigned octave;

    if (ns < 4)
        return (unsigned)ns;
    octave = 63 - (unsigned)__builtin_clzll(ns);
    return 4 * (octave - 1) + (unsigned)(ns >> (octave - 2) & 3);
}

/* The longest time that is counted there. */
static uint64_t end_of(unsigned cell)
{
    unsigned octave = cell / 4 + 1;

    if (cell < 4)
        return cell;
    return ((4ull + cell % 4 + 1) << (octave - 2)) - 1;
}

void times_add(struct times *times, uint64_t took_ns, uint32_t count)
{
    _Atomic uint32_t *cell = &times->cells[cell_of(took_ns)];
    uint32_t before = atomic_load_explicit(cell, memory_order_relaxed);

    atomic_store_explicit(cell, before + count, memory_order_relaxed);
}

uint64_t times_below(const struct times *times, unsigned permille)
{
    uint64_t all = 0, seen = 0, want;

    for (unsigned i = 0; i < TIMES_CELLS; i++)
        all += atomic_load_explicit(&times->cells[i], memory_order_relaxed);
    want = (all * permille + 999) / 1000;
    for (unsigned i = 0; i < TIMES_CELLS && all > 0; i++) {
        seen += atomic_load_explicit(&times->cells[i], memory_order_relaxed);
        if (seen >= want)
            return end_of(i);
    }
    return 0;
}
