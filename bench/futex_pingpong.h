/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex_pingpong.h - the least that two processes can do: one word goes there
 * and comes back.  What a call costs above this is ours.
 */
#ifndef BENCH_FUTEX_PINGPONG_H
#define BENCH_FUTEX_PINGPONG_H

#include <stdbool.h>

#include "measure.h"

/* Add `count` round trips.  Returns false where that cannot be done. */
bool futex_pingpong(struct samples *samples, enum place place, bool spin,
                    size_t count);

#endif
