/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times.h - how long runs took: so many of each length, a quarter of an octave
 * wide, so that what is read is at most a fifth too much.
 *
 * Threads: one writes, others may read.
 */
#ifndef FLOW_NODE_TIMES_H
#define FLOW_NODE_TIMES_H

#include <stdatomic.h>
#include <stdint.h>

#define TIMES_CELLS 256u

struct times {
    _Atomic uint32_t cells[TIMES_CELLS];
};

/* count times took_ns each. */
void times_add(struct times *times, uint64_t took_ns, uint32_t count);

/* What permille of all do not exceed; 0: there are none. */
uint64_t times_below(const struct times *times, unsigned permille);

#endif
