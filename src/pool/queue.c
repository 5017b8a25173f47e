/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - a free member goes to whoever waits longest of those it is good
 * for.  Nobody is woken in vain: it is put into that waiter's hand.
 */
#include "base/clock.h"
#include "base/cond.h"
#include "pool/list.h"
#include "pool/queue.h"

/* In the queue until its thread has taken what it was given: until then, only
 * this tells whose that is. */
struct pool_waiter {
    struct pool_waiter *next;
    const char *key;
    pthread_cond_t given;
    struct pool_member *member; /* in its hand */
    bool may_make;              /* or the right to make one */
    bool is_canceled;           /* or nothing, for ever */
    bool as_is;                 /* it wants one that there is */
    bool is_gone;               /* and there is no such any more */
    bool is_hopeless;           /* there will be none */
};

static bool is_served(const struct pool_waiter *waiter)
{
    return waiter->member != NULL || waiter->may_make || waiter->is_canceled ||
           waiter->is_gone || waiter->is_hopeless;
}

/* The oldest that somebody else left: to be wiped first, or closed. */
static struct pool_member *find_other_locked(struct pool *pool)
{
    return pool->config.wipe != GBX_WIPE_PER_TENANT ? NULL
                                                    : list_oldest_locked(pool);
}

/* Stateful: it is there, being made, or given to somebody who waits. */
static bool is_taken_locked(const struct pool *pool, const char *key)
{
    if (pool->config.wipe != GBX_WIPE_NEVER)
        return false;
    if (list_is_taken_locked(pool, key))
        return true;
    for (const struct pool_waiter *w = pool->first; w != NULL; w = w->next)
        if (is_served(w) && list_is_same(w->key, key))
            return true;
    return false;
}

/* Is a member, or (NULL) a place for one, what it waits for? */
static bool suits(const struct pool *pool, const struct pool_member *member,
                  const struct pool_waiter *waiter)
{
    if (waiter->as_is)
        return member != NULL && (waiter->key == NULL || !list_is_keyed(pool) ||
                                  list_has_key(member, waiter->key));
    return pool->config.wipe != GBX_WIPE_NEVER ||
           (member != NULL ? list_is_good_for(pool, member, waiter->key)
                           : !is_taken_locked(pool, waiter->key));
}

/* One has gone: who waits for that very one, waits in vain. */
static void tell_gone_locked(struct pool *pool)
{
    for (struct pool_waiter *w = pool->first; w != NULL; w = w->next) {
        if (is_served(w) || !w->as_is || list_is_there_locked(pool, w->key))
            continue;
        w->is_gone = true;
        pool->stats.waiting--;
        pthread_cond_signal(&w->given);
    }
}

bool queue_hand_on_locked(struct pool *pool, struct pool_member *member)
{
    if (member == NULL)
        tell_gone_locked(pool);
    for (struct pool_waiter *w = pool->first; w != NULL; w = w->next) {
        if (is_served(w) || !suits(pool, member, w))
            continue;
        w->member = member;
        w->may_make = member == NULL;
        pool->stats.waiting--;
        pthread_cond_signal(&w->given);
        return true;
    }
    return false;
}

bool queue_put_back_locked(struct pool *pool, struct pool_member *member)
{
    if (queue_hand_on_locked(pool, member))
        return false;
    list_put_locked(pool, member);
    return true;
}

void queue_cancel_locked(struct pool *pool)
{
    for (struct pool_waiter *w = pool->first; w != NULL; w = w->next) {
        if (is_served(w))
            continue;
        w->is_canceled = true;
        pool->stats.waiting--;
        pthread_cond_signal(&w->given);
    }
}

/* A stateful one that nobody has, and for which there is no place. */
static bool is_hopeless_locked(const struct pool *pool, const char *key)
{
    return pool->config.wipe == GBX_WIPE_NEVER && pool->resting == 0 &&
           pool->total >= pool->config.total_max && !is_taken_locked(pool, key);
}

void queue_tell_hopeless_locked(struct pool *pool)
{
    for (struct pool_waiter *w = pool->first; w != NULL; w = w->next) {
        if (is_served(w) || w->as_is || !is_hopeless_locked(pool, w->key))
            continue;
        w->is_hopeless = true;
        pool->stats.waiting--;
        pthread_cond_signal(&w->given);
    }
}

static void join_locked(struct pool *pool, struct pool_waiter *waiter)
{
    cond_init(&waiter->given);
    if (pool->last != NULL)
        pool->last->next = waiter;
    else
        pool->first = waiter;
    pool->last = waiter;
    pool->stats.waiting++;
}

static void leave_locked(struct pool *pool, struct pool_waiter *waiter,
                         uint64_t from_ns)
{
    struct pool_waiter **at = &pool->first, *before = NULL;
    uint64_t waited = clock_now_ns() - from_ns;

    while (*at != waiter) {
        before = *at;
        at = &before->next;
    }
    *at = waiter->next;
    if (pool->last == waiter)
        pool->last = before;
    pthread_cond_destroy(&waiter->given);
    pool->stats.waiting -= !is_served(waiter);
    pool->stats.waits++;
    pool->stats.wait_ns += waited;
    if (waited > pool->stats.wait_ns_max)
        pool->stats.wait_ns_max = waited;
}

/* Wait for one's turn.  Returns 0 with a member, or with none and the right to
 * make one; or GBX_ETIME, GBX_ECANCELED. */
static int wait_locked(struct pool *pool, const char *key, bool as_is,
                       uint64_t deadline_ns, struct pool_member **member)
{
    struct timespec until = clock_timespec(deadline_ns);
    struct pool_waiter waiter = {.key = key, .as_is = as_is};
    uint64_t from_ns = clock_now_ns();
    int rc = 0;

    join_locked(pool, &waiter);
    while (!is_served(&waiter) && rc == 0)
        rc = deadline_ns == 0
                 ? pthread_cond_wait(&waiter.given, &pool->lock)
                 : pthread_cond_timedwait(&waiter.given, &pool->lock, &until);
    leave_locked(pool, &waiter, from_ns);
    *member = waiter.member;
    if (waiter.is_canceled)
        return GBX_ECANCELED;
    if (waiter.is_gone)
        return GBX_EBROKEN;
    if (waiter.is_hopeless)
        return GBX_ELIMIT;
    return is_served(&waiter) ? 0 : GBX_ETIME;
}

int queue_choose_locked(struct pool *pool, const char *key,
                        uint64_t deadline_ns, struct pool_member **member,
                        enum pool_next *next)
{
    int rc = 0;

    pool->stats.taken++;
    *next = NEXT_NOTHING;
    if (pool->is_ended)
        return GBX_ECANCELED;
    *member = list_find_locked(pool, key);
    if (*member == NULL && is_hopeless_locked(pool, key))
        return GBX_ELIMIT;
    if (*member == NULL) {
        if (pool->total < pool->config.total_max && !is_taken_locked(pool, key))
            pool->total++;
        else if ((*member = find_other_locked(pool)) == NULL)
            rc = wait_locked(pool, key, false, deadline_ns, member);
    }
    if (*member != NULL && !(*member)->is_lent)
        list_take_locked(pool, *member);
    if (rc < 0)
        return rc;
    if (*member == NULL) {
        *next = NEXT_MAKE;
        return 0;
    }
    if (!list_is_good_for(pool, *member, key))
        *next = NEXT_RENEW;
    list_set_key_locked(pool, *member, key);
    return 0;
}

int queue_choose_as_is_locked(struct pool *pool, const char *key,
                              uint64_t deadline_ns, struct pool_member **member)
{
    *member = NULL;
    if (pool->is_ended)
        return GBX_ECANCELED;
    if (list_is_keyed(pool) && key == NULL && pool->count > 1)
        return GBX_EARGUMENT;
    if (!list_is_there_locked(pool, key))
        return list_is_keyed(pool) && key != NULL ? GBX_EARGUMENT : 0;
    *member = list_find_as_is_locked(pool, key);
    if (*member == NULL)
        return wait_locked(pool, key, true, deadline_ns, member);
    list_take_locked(pool, *member);
    return 0;
}
