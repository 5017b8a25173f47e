/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - the members of a pool: all of them, the free ones, and each by its
 * key; for the files of this folder.
 *
 *   all    m - m - m - ...
 *   keys   [hash] - m - m      chains; equal keys are allowed
 *   free   AWAKE      newest - ... - oldest
 *          PARKED     newest - ... - oldest     no virtual machine
 *          STUCK      newest - ... - oldest     nor ever to be suspended
 *          SUSPENDED  newest - ... - oldest
 *
 * A pool may hold ten thousand actors, each asked for by its key, and the
 * oldest of each kind is asked for with every call: so nothing here looks at
 * all of them.  A hash of our own, because libc's has no removal, and its tree
 * needs memory for each entry, so that a key could not be changed for sure.
 *
 * Threads: who holds the pool's lock.
 * Memory:  the table of keys; where there is none for a larger one, chains
 *          become longer.
 */
#ifndef POOL_LIST_H
#define POOL_LIST_H

#include "pool/pool.h"

/* It is there from now on, lent, with this key; and it is no longer. */
void list_add_locked(struct pool *pool, struct pool_member *member,
                     const char *key);
void list_remove_locked(struct pool *pool, struct pool_member *member);

void list_set_key_locked(struct pool *pool, struct pool_member *member,
                         const char *key);
bool list_has_key(const struct pool_member *member, const char *key);
bool list_is_same(const char *a, const char *b); /* keys; NULL is one */

/* Of a stateful pool: is there one that this key has, or is about to? */
bool list_is_taken_locked(const struct pool *pool, const char *key);

/* Free, by its free_ns; and lent again. */
void list_put_locked(struct pool *pool, struct pool_member *member);
void list_take_locked(struct pool *pool, struct pool_member *member);

/* May whoever comes with this key have it as it is? */
bool list_is_good_for(const struct pool *pool, const struct pool_member *member,
                      const char *key);

/* A free one that is good: rather the one that this key had before than a clean
 * one, and rather one that is awake.  NULL: there is none. */
struct pool_member *list_find_locked(const struct pool *pool, const char *key);

bool list_is_keyed(const struct pool *pool); /* sandboxes are of keys */

/* Whose it is, if it is free, or any where that is all the same; and is there
 * such a one at all? */
struct pool_member *list_find_as_is_locked(const struct pool *pool,
                                           const char *key);
bool list_is_there_locked(const struct pool *pool, const char *key);

/* The one that is free longest, of all kinds.  NULL: there is none. */
struct pool_member *list_oldest_locked(const struct pool *pool);

void list_fini(struct pool *pool);

#endif
