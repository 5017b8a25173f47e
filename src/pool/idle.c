/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - what is done with members that nobody uses, and for those that will
 * be. */
#include <sys/resource.h>

#include "base/clock.h"
#include "pool/idle.h"
#include "pool/list.h"
#include "pool/member.h"
#include "pool/queue.h"

/* One awake and one parked for so many descriptors as this process may have:
 * they have 8 and 5, and templates, spare machines and the embedder need some,
 * too. */
#define SHARE 24u

/* More of each make all others slow. */
#define AWAKE_MAX  64u
#define PARKED_MAX 1024u

/* Of all pools: each of them has descriptors and mappings. */
static atomic_uint parked;

void idle_set_parked(struct pool_member *member, bool is_parked)
{
    if (is_parked && !member->is_parked)
        atomic_fetch_add(&parked, 1);
    else if (!is_parked && member->is_parked)
        atomic_fetch_sub(&parked, 1);
    member->is_parked = is_parked;
}

void idle_open(struct pool *pool)
{
    struct rlimit limit;
    uint64_t may = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;

    may /= SHARE;
    pool->awake_max = (unsigned)(may < AWAKE_MAX ? may : AWAKE_MAX);
    pool->parked_max = (unsigned)(may < PARKED_MAX ? may : PARKED_MAX);
}

static void put_back(struct pool *pool, struct pool_member *member,
                     bool is_suspended)
{
    pthread_mutex_lock(&pool->lock);
    pool->resting -= member->is_clean;
    pool->stats.suspended += is_suspended;
    member_put_back_locked(pool, member);
    queue_tell_hopeless_locked(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* Of those that can still give something back. */
static struct pool_member *take_oldest(struct pool *pool, enum pool_kind kind)
{
    struct pool_member *member;

    pthread_mutex_lock(&pool->lock);
    member = pool->free[kind].oldest;
    if (member != NULL) {
        list_take_locked(pool, member);
        pool->resting += member->is_clean;
    }
    pthread_mutex_unlock(&pool->lock);
    return member;
}

static void suspend_one(struct pool *pool)
{
    struct pool_member *member = take_oldest(pool, POOL_PARKED);

    if (member == NULL)
        return;
    if (pool->config.end != NULL)
        pool->config.end(pool->config.context, member);
    member->is_stuck = !sandbox_suspend(&member->sandbox);
    if (!member->is_stuck)
        idle_set_parked(member, false);
    put_back(pool, member, !member->is_stuck);
}

static void park_one(struct pool *pool)
{
    struct pool_member *member = take_oldest(pool, POOL_AWAKE);

    if (member == NULL)
        return;
    sandbox_park(&member->sandbox);
    idle_set_parked(member, true);
    put_back(pool, member, false);
}

void idle_park(struct pool *pool)
{
    const struct backend *backend = pool->config.sandbox.backend;

    if (backend->awake_count != NULL &&
        backend->awake_count() > pool->awake_max)
        park_one(pool);
    if (backend->suspend != NULL && atomic_load(&parked) > pool->parked_max)
        suspend_one(pool);
}

int idle_resume(struct pool *pool, struct pool_member *member,
                struct gbx_error *err)
{
    int rc = 0;

    if (member->sandbox.state == SANDBOX_SUSPENDED) {
        rc = sandbox_resume(&member->sandbox, &pool->config.sandbox, err);
        idle_set_parked(member, rc == 0);
    }
    if (rc == 0 && member->is_parked)
        rc = sandbox_wake(&member->sandbox, err);
    if (rc < 0) {
        pthread_mutex_lock(&pool->lock);
        member_put_back_locked(pool, member);
        pthread_mutex_unlock(&pool->lock);
    }
    return rc;
}

void pool_shrink(struct pool *pool, uint32_t left)
{
    for (;;) {
        struct pool_member *member = NULL;

        pthread_mutex_lock(&pool->lock);
        pool->is_short = true;
        if (pool->ready > left && pool->config.wipe != GBX_WIPE_NEVER) {
            member = list_oldest_locked(pool);
            list_take_locked(pool, member);
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
    struct gbx_error err; /* of a wake: whoever takes it hears it */

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
        pool->config.sandbox.backend->awake_count() < pool->awake_max)
        sandbox_wake(&member->sandbox, &err);
    pthread_mutex_lock(&pool->lock);
    member_set_free_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    idle_park(pool);
    return true;
}

/* The one that is free longest, once that is too long; or when it will be. */
static struct pool_member *idle_locked(struct pool *pool, uint64_t now_ns,
                                       uint64_t *next_ns)
{
    struct pool_member *oldest = list_oldest_locked(pool);

    *next_ns = 0;
    if (pool->config.idle_ns == 0 || oldest == NULL ||
        pool->ready <= pool->config.ready_min)
        return NULL;
    *next_ns = oldest->free_ns + pool->config.idle_ns;
    if (*next_ns > now_ns)
        return NULL;
    list_take_locked(pool, oldest);
    return oldest;
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
