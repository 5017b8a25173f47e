/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - members are lent, and come back. */
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "pool/idle.h"
#include "pool/keeper.h"
#include "pool/list.h"
#include "pool/member.h"
#include "pool/queue.h"

int pool_open(struct pool *pool, const struct pool_config *config,
              struct gbx_error *err)
{
    *pool = (struct pool){.config = *config};
    must(config->total_max > 0 && config->ready_min <= config->total_max);
    if (pthread_mutex_init(&pool->lock, NULL) != 0)
        return fail(err, GBX_EHOST, "no memory for a pool");
    idle_open(pool);
    pool->is_open = true;
    return 0;
}

int pool_keep(struct pool *pool, struct keeper *keeper, struct gbx_error *err)
{
    pool->keeper = keeper; /* before its thread comes */
    if (keeper_add(keeper, pool) < 0) {
        pool->keeper = NULL;
        return fail(err, GBX_EHOST,
                    "no thread to keep sandboxes ready; raise ulimit -u");
    }
    keeper_tell(keeper);
    return 0;
}

void pool_end(struct pool *pool)
{
    if (!pool->is_open)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->is_ended = true;
    queue_cancel_locked(pool);
    for (struct pool_member *m = LIST_FIRST(&pool->all); m != NULL;
         m = LIST_NEXT(m, other))
        if (m->is_used)
            sandbox_kill(&m->sandbox);
    pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
    if (!pool->is_open)
        return;
    if (pool->keeper != NULL)
        keeper_remove(pool->keeper, pool);
    while (!LIST_EMPTY(&pool->all)) {
        struct pool_member *member = LIST_FIRST(&pool->all);

        must(!member->is_lent);
        LIST_REMOVE(member, other);
        member_end(pool, member);
        member_free(member);
    }
    must(pool->first == NULL);
    list_fini(pool);
    template_put(pool->template);
    pthread_mutex_destroy(&pool->lock);
    *pool = (struct pool){0};
}

void pool_set_template(struct pool *pool, struct template *template)
{
    struct template *was;

    pthread_mutex_lock(&pool->lock);
    was = pool->template;
    pool->template = template_get(template);
    pthread_mutex_unlock(&pool->lock);
    template_put(was);
}

static int tell(const struct pool *pool, int rc, struct gbx_error *err)
{
    if (rc == GBX_ELIMIT)
        return fail(err, rc,
                    "%u others have sandboxes of their own, and there may be "
                    "no more (total_max)",
                    pool->config.total_max);
    if (rc == GBX_ECANCELED)
        return fail(err, rc, "it was closed meanwhile");
    if (rc == GBX_ETIME && pool->config.total_max == 1)
        return fail(err, rc, "the sandbox was busy until the deadline");
    if (rc == GBX_ETIME)
        return fail(err, rc, "all %u sandboxes were busy until the deadline",
                    pool->config.total_max);
    return fail(err, rc, "no memory for a sandbox");
}

/* From now on it can be killed, unless it is too late for that. */
static int hand_over(struct pool *pool, struct pool_member *member,
                     struct gbx_error *err)
{
    bool is_ended;

    pthread_mutex_lock(&pool->lock);
    is_ended = pool->is_ended;
    member->is_used = !is_ended;
    pthread_mutex_unlock(&pool->lock);
    idle_set_parked(member, false);
    if (!is_ended)
        return 0;
    member_drop(pool, member);
    return tell(pool, GBX_ECANCELED, err);
}

static int check_key(const char *key, struct gbx_error *err)
{
    return key != NULL && strnlen(key, POOL_KEY_BYTES) == POOL_KEY_BYTES
               ? fail(err, GBX_EARGUMENT, "a key has less than %u bytes",
                      POOL_KEY_BYTES)
               : 0;
}

/* As it is, it can be used: the quick way, with one lock. */
static bool use_at_once_locked(struct pool *pool, struct pool_member *member)
{
    if (pool->is_ended || member->is_parked ||
        member->sandbox.state != SANDBOX_IDLE)
        return false;
    return member->is_used = true;
}

int pool_take(struct pool *pool, const char *key, uint64_t deadline_ns,
              struct pool_member **member, struct gbx_error *err)
{
    struct pool_member *got;
    enum pool_next next;
    bool is_low, is_used;
    int rc;

    *member = NULL;
    if ((rc = check_key(key, err)) < 0)
        return rc;
    pthread_mutex_lock(&pool->lock);
    rc = queue_choose_locked(pool, key, deadline_ns, &got, &next);
    if (rc == 0 && next == NEXT_MAKE &&
        (got = member_begin_locked(pool, key)) == NULL)
        rc = GBX_EHOST;
    is_used = rc == 0 && next == NEXT_NOTHING && use_at_once_locked(pool, got);
    is_low = pool->ready < pool->config.ready_min;
    pool->is_short = false;
    pthread_mutex_unlock(&pool->lock);
    if (is_low && pool->keeper != NULL)
        keeper_tell(pool->keeper);
    if (rc < 0)
        return tell(pool, rc, err);
    if (is_used)
        rc = 0;
    else if (next == NEXT_MAKE)
        rc = member_make(pool, got, deadline_ns, err);
    else if (next == NEXT_RENEW)
        rc = member_renew(pool, got, deadline_ns, err);
    else
        rc = idle_resume(pool, got, err);
    if (rc == 0 && !is_used)
        rc = hand_over(pool, got, err);
    if (rc < 0)
        return rc;
    got->is_clean = got->is_stuck = false;
    got->calls++;
    *member = got;
    return 0;
}

/* Is it to be wiped now? */
static bool is_due(const struct pool *pool, bool failed)
{
    switch (pool->config.wipe) {
    case GBX_WIPE_NEVER:
        return false;
    case GBX_WIPE_PER_CALL:
        return true;
    default:
        return failed;
    }
}

/* Whoever comes next can use it as it is: the quick way, with one lock. */
static bool free_at_once(struct pool *pool, struct pool_member *member)
{
    bool is_ended;

    pthread_mutex_lock(&pool->lock);
    is_ended = pool->is_ended;
    if (!is_ended) {
        member->is_used = false;
        member_set_free_locked(pool, member);
    }
    pthread_mutex_unlock(&pool->lock);
    return !is_ended;
}

/* From whoever used it.  Returns whether there is still a use for it. */
static bool take_back(struct pool *pool, struct pool_member *member,
                      bool broken)
{
    bool is_ended;

    pthread_mutex_lock(&pool->lock);
    member->is_used = false;
    pool->stats.broken += broken;
    is_ended = pool->is_ended;
    pthread_mutex_unlock(&pool->lock);
    return !is_ended;
}

void pool_give(struct pool *pool, struct pool_member *member, bool failed)
{
    bool broken = member->sandbox.state != SANDBOX_IDLE;
    bool is_old = pool->config.recycle_calls != 0 &&
                  member->calls >= pool->config.recycle_calls;

    if (!broken && !is_old && !is_due(pool, failed) &&
        free_at_once(pool, member)) {
        idle_park(pool);
        return;
    }
    if (!take_back(pool, member, broken) || is_old ||
        (broken && pool->config.wipe == GBX_WIPE_NEVER) ||
        ((broken || is_due(pool, failed)) && !member_wipe(pool, member))) {
        member_drop(pool, member);
        if (pool->keeper != NULL)
            keeper_tell(pool->keeper);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    member_set_free_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    idle_park(pool);
}

/* But of one call for another: it is as it was. */
int pool_take_as_is(struct pool *pool, const char *key, uint64_t deadline_ns,
                    struct pool_member **member, struct gbx_error *err)
{
    struct pool_member *got;
    int rc;

    *member = NULL;
    if ((rc = check_key(key, err)) < 0)
        return rc;
    pthread_mutex_lock(&pool->lock);
    rc = queue_choose_as_is_locked(pool, key, deadline_ns, &got);
    pthread_mutex_unlock(&pool->lock);
    if (rc == GBX_EARGUMENT && key == NULL)
        return fail(err, rc, "whose sandbox? Each key has one of its own");
    if (rc == GBX_EARGUMENT)
        return fail(err, rc, "\"%s\" has no sandbox: nobody has called it",
                    key);
    if (rc == GBX_EBROKEN)
        return fail(err, rc, "its sandbox ended meanwhile");
    if (rc < 0)
        return tell(pool, rc, err);
    if (got == NULL)
        return pool_take(pool, key, deadline_ns, member, err);
    if ((rc = idle_resume(pool, got, err)) < 0 ||
        (rc = hand_over(pool, got, err)) < 0)
        return rc;
    *member = got;
    return 0;
}

void pool_unused(struct pool *pool, struct pool_member *member)
{
    pthread_mutex_lock(&pool->lock);
    member->is_used = false;
    member->is_clean = true;
    member->calls = 0;
    pool->stats.taken--;
    member_set_free_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    idle_park(pool);
}

void pool_stats(struct pool *pool, struct gbx_pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    *stats = pool->stats;
    stats->total = pool->total;
    stats->ready = pool->ready;
    stats->busy = pool->total - pool->ready;
    pthread_mutex_unlock(&pool->lock);
}
