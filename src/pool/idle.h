/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h - what members cost while nobody uses them; for the files of this
 * folder.
 *
 * Threads: any, without the pool's lock.
 */
#ifndef POOL_IDLE_H
#define POOL_IDLE_H

#include "pool/pool.h"

/* One has become free.  Too many that idle make all others slow: so the one
 * that idles longest gives something back. */
void idle_park(struct pool *pool);

#endif
