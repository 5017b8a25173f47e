/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - a free member goes to whoever waits longest of those it is good
 * for.  Nobody is woken in vain: it is put into that waiter's hand.
 */
#include <string.h>

#include "base/clock.h"
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
};

static bool is_served(const struct pool_waiter *waiter)
{
    return waiter->member != NULL || waiter->may_make || waiter->is_canceled;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool has_key(const struct pool_member *member, const char *key)
{
    return is_same(member->has_key ? member->key : NULL, key);
}

/* May whoever comes with this key have it as it is? */
static bool is_good_for(const struct pool *pool,
                        const struct pool_member *member, const char *key)
{
    switch (pool->config.wipe) {
    case GBX_WIPE_NEVER:
    case GBX_WIPE_PER_TENANT:
        return member->is_clean || has_key(member, key);
    default:
        return true;
    }
}

struct pool_member *queue_take_out_locked(struct pool *pool,
                                          struct pool_member **at)
{
    struct pool_member *member = *at;

    *at = member->next;
    member->next = NULL;
    member->is_lent = true;
    pool->ready--;
    return member;
}

/* One that is good, rather the one it had before than a clean one. */
static struct pool_member *find_locked(struct pool *pool, const char *key)
{
    struct pool_member **good = NULL;

    for (struct pool_member **at = &pool->free; *at != NULL;
         at = &(*at)->next) {
        if (!is_good_for(pool, *at, key))
            continue;
        if (has_key(*at, key))
            return queue_take_out_locked(pool, at);
        if (good == NULL)
            good = at;
    }
    return good == NULL ? NULL : queue_take_out_locked(pool, good);
}

struct pool_member **queue_oldest_locked(struct pool *pool)
{
    struct pool_member **oldest = &pool->free;

    while (*oldest != NULL && (*oldest)->next != NULL)
        oldest = &(*oldest)->next;
    return oldest;
}

/* The oldest that somebody else left: to be wiped first, or closed. */
static struct pool_member *find_other_locked(struct pool *pool)
{
    if (pool->free == NULL || pool->config.wipe != GBX_WIPE_PER_TENANT)
        return NULL;
    return queue_take_out_locked(pool, queue_oldest_locked(pool));
}

/* Stateful: it is there, being made, or given to somebody who waits. */
static bool is_taken_locked(const struct pool *pool, const char *key)
{
    if (pool->config.wipe != GBX_WIPE_NEVER)
        return false;
    for (const struct pool_member *m = pool->all; m != NULL; m = m->other)
        if ((m->is_lent || !m->is_clean) && has_key(m, key))
            return true;
    for (const struct pool_waiter *w = pool->first; w != NULL; w = w->next)
        if (is_served(w) && is_same(w->key, key))
            return true;
    return false;
}

bool queue_hand_on_locked(struct pool *pool, struct pool_member *member)
{
    for (struct pool_waiter *w = pool->first; w != NULL; w = w->next) {
        if (is_served(w) ||
            (pool->config.wipe == GBX_WIPE_NEVER &&
             (member != NULL ? !is_good_for(pool, member, w->key)
                             : is_taken_locked(pool, w->key))))
            continue;
        w->member = member;
        w->may_make = member == NULL;
        pool->stats.waiting--;
        pthread_cond_signal(&w->given);
        return true;
    }
    return false;
}

/* The newest first, for its memory is warm. */
bool queue_put_back_locked(struct pool *pool, struct pool_member *member)
{
    struct pool_member **at = &pool->free;

    if (queue_hand_on_locked(pool, member))
        return false;
    while (*at != NULL && (*at)->free_ns > member->free_ns)
        at = &(*at)->next;
    member->next = *at;
    *at = member;
    member->is_lent = false;
    pool->ready++;
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

static void join_locked(struct pool *pool, struct pool_waiter *waiter)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->given, &attr);
    pthread_condattr_destroy(&attr);
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
static int wait_locked(struct pool *pool, const char *key, uint64_t deadline_ns,
                       struct pool_member **member)
{
    struct timespec until = clock_timespec(deadline_ns);
    struct pool_waiter waiter = {.key = key};
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
    return is_served(&waiter) ? 0 : GBX_ETIME;
}

/* A stateful one that nobody has, and for which there is no place. */
static bool is_hopeless_locked(const struct pool *pool, const char *key)
{
    return pool->config.wipe == GBX_WIPE_NEVER &&
           pool->total >= pool->config.total_max && !is_taken_locked(pool, key);
}

void queue_set_key(struct pool_member *member, const char *key)
{
    member->has_key = key != NULL;
    if (key != NULL)
        memcpy(member->key, key, strlen(key) + 1);
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
    *member = find_locked(pool, key);
    if (*member == NULL && is_hopeless_locked(pool, key))
        return GBX_ELIMIT;
    if (*member == NULL) {
        if (pool->total < pool->config.total_max && !is_taken_locked(pool, key))
            pool->total++;
        else if ((*member = find_other_locked(pool)) == NULL)
            rc = wait_locked(pool, key, deadline_ns, member);
    }
    if (rc < 0)
        return rc;
    if (*member == NULL) {
        *next = NEXT_MAKE;
        return 0;
    }
    if (!is_good_for(pool, *member, key))
        *next = NEXT_RENEW;
    queue_set_key(*member, key);
    return 0;
}
