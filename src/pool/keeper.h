/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - one thread that tends all pools of a runtime: sandboxes are made
 * before they are needed, and closed when nobody needs them, or when the host
 * is short of memory (pressure stall information, where the kernel has it).
 *
 *  keeper_open(&keeper);
 *  pool_open(&pool, &config, &keeper, &err);
 *  keeper_close(&keeper);
 *
 * Threads: any.  Memory: a thread, once the first pool wants one.
 */
#ifndef POOL_KEEPER_H
#define POOL_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct pool;

struct keeper {
    pthread_mutex_t lock; /* of all that follows, and of being in a pool */
    struct pool *pools;
    pthread_t thread;
    bool has_thread;
    atomic_bool quits;
    int wake_fd; /* eventfd, or -1 */
    int pressure_fd;
};

void keeper_open(struct keeper *keeper);
void keeper_close(struct keeper *keeper); /* no pool is left */

/* pool.c's */
int keeper_add(struct keeper *keeper, struct pool *pool);
void keeper_remove(struct keeper *keeper, struct pool *pool);
void keeper_tell(struct keeper *keeper); /* there may be something to do */

/* As when memory is short: half of what is free is closed. */
void keeper_shrink(struct keeper *keeper);

#endif
