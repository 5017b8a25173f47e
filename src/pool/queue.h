/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - who gets which member of a pool; for the files of this folder.
 *
 * Threads: who holds the pool's lock.
 */
#ifndef POOL_QUEUE_H
#define POOL_QUEUE_H

#include "pool/pool.h"

/* What a member needs before it can be used. */
enum pool_next { NEXT_NOTHING, NEXT_RENEW, NEXT_MAKE };

/*
 * A member for this key, now lent; or NULL, NEXT_MAKE, and a place for one that
 * counts already.  Waits until there is either.
 * Returns 0, GBX_ETIME; GBX_ECANCELED where the pool ends; or GBX_ELIMIT: there
 * will never be one.
 */
int queue_choose_locked(struct pool *pool, const char *key,
                        uint64_t deadline_ns, struct pool_member **member,
                        enum pool_next *next);

/* For pool_take_as_is.  NULL where there is none, and one is as good as any. */
int queue_choose_as_is_locked(struct pool *pool, const char *key,
                              uint64_t deadline_ns,
                              struct pool_member **member);

/* A lent member back into the list, by its free_ns.  False: into the hand of
 * somebody who waits for such. */
bool queue_put_back_locked(struct pool *pool, struct pool_member *member);

/* A lent member, or (NULL) a place for one: to whoever waits for such.  False:
 * nobody does. */
bool queue_hand_on_locked(struct pool *pool, struct pool_member *member);

/* A clean one that rested is back: who waited for it, and did not get it, and
 * for whom there will be none, waits no longer. */
void queue_tell_hopeless_locked(struct pool *pool);

/* Nobody waits any longer. */
void queue_cancel_locked(struct pool *pool);

#endif
