/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - what is done with members that nobody uses, and for those that will
 * be. */
#include "base/clock.h"
#include "pool/idle.h"
#include "pool/member.h"
#include "pool/queue.h"

/* The one that is awake and free longest.  Nobody is kept waiting for it: a
 * stateful one that is clean would be anybody's. */
static struct pool_member *oldest_awake_locked(struct pool *pool)
{
    struct pool_member **oldest = NULL;

    for (struct pool_member **at = &pool->free; *at != NULL; at = &(*at)->next)
        if (!(*at)->is_parked &&
            !((*at)->is_clean && pool->config.wipe == GBX_WIPE_NEVER))
            oldest = at;
    return oldest == NULL ? NULL : queue_take_out_locked(pool, oldest);
}

/* Too many that idle make all others slow. */
void idle_park(struct pool *pool)
{
    const struct backend *backend = pool->config.sandbox.backend;
    struct pool_member *member;

    if (backend->awake_count == NULL ||
        backend->awake_count() <= POOL_AWAKE_MAX)
        return;
    pthread_mutex_lock(&pool->lock);
    member = oldest_awake_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    if (member == NULL)
        return;
    sandbox_park(&member->sandbox);
    member->is_parked = true;
    pthread_mutex_lock(&pool->lock);
    member_put_back_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
}

void pool_shrink(struct pool *pool, uint32_t left)
{
    for (;;) {
        struct pool_member *member = NULL;

        pthread_mutex_lock(&pool->lock);
        pool->is_short = true;
        if (pool->ready > left && pool->config.wipe != GBX_WIPE_NEVER) {
            member = queue_take_out_locked(pool, queue_oldest_locked(pool));
            pool->stats.retired++;
        }
        pthread_mutex_unlock(&pool->lock);
        if (member == NULL)
            return;
        member_drop(pool, member);
    }
}

/* Make one ahead, if one is wanted.  Returns whether it did. */
static bool make_ahead(struct pool *pool)
{
    struct pool_member *member = NULL;
    struct gbx_error err;

    pthread_mutex_lock(&pool->lock);
    if (!pool->is_short && !pool->is_ended &&
        pool->ready < pool->config.ready_min &&
        pool->total < pool->config.total_max &&
        pool->config.wipe != GBX_WIPE_NEVER) {
        pool->total++;
        member = member_begin_locked(pool, NULL);
    }
    pthread_mutex_unlock(&pool->lock);
    /* Where it fails, whoever takes one hears why, and then it is tried again:
     * not before, or the keeper would do nothing else. */
    if (member == NULL ||
        member_make(pool, member, clock_now_ns() + pool->config.start_ns,
                    &err) < 0)
        return false;
    if (pool->config.sandbox.backend->awake_count != NULL &&
        pool->config.sandbox.backend->awake_count() < POOL_AWAKE_MAX)
        sandbox_wake(&member->sandbox);
    else
        member->is_parked = true;
    pthread_mutex_lock(&pool->lock);
    member_set_free_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    return true;
}

/* The one that is free longest, once that is too long; or when it will be. */
static struct pool_member *idle_locked(struct pool *pool, uint64_t now_ns,
                                       uint64_t *next_ns)
{
    struct pool_member **oldest;

    *next_ns = 0;
    if (pool->config.idle_ns == 0 || pool->free == NULL ||
        pool->ready <= pool->config.ready_min)
        return NULL;
    oldest = queue_oldest_locked(pool);
    *next_ns = (*oldest)->free_ns + pool->config.idle_ns;
    return *next_ns > now_ns ? NULL : queue_take_out_locked(pool, oldest);
}

uint64_t pool_tend(struct pool *pool, uint64_t now_ns)
{
    struct pool_member *member;
    uint64_t next_ns;

    if (make_ahead(pool))
        return now_ns; /* others have their turn, too */
    pthread_mutex_lock(&pool->lock);
    member = idle_locked(pool, now_ns, &next_ns);
    pool->is_watched = next_ns != 0;
    pool->stats.retired += member != NULL;
    pthread_mutex_unlock(&pool->lock);
    if (member != NULL)
        member_drop(pool, member);
    return next_ns;
}
