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

/* How many of this process may idle awake, and parked. */
void idle_open(struct pool *pool);

/*
 * One has become free.  Too many that idle make all others slow, and use up
 * what this process may have of descriptors and mappings: so the one that idles
 * longest gives back its virtual machine, and another all but its own memory.
 */
void idle_park(struct pool *pool);

/* Whose it is: it has no virtual machine (or is closed, or has one again). */
void idle_set_parked(struct pool_member *member, bool is_parked);

/* It has been taken: 0 and an IDLE sandbox; or a code, and it is free as
 * before.
 */
int idle_resume(struct pool *pool, struct pool_member *member,
                struct gbx_error *err);

#endif
