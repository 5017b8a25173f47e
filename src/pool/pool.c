/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - members are made, wiped and closed.
 *
 * Making, wiping and closing take long, so the lock is not held meanwhile; a
 * member that is being made counts already, one that is being wiped is still
 * lent.  So there are never more than total_max, whoever races whom.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "pool/keeper.h"
#include "pool/queue.h"

int pool_open(struct pool *pool, const struct pool_config *config,
              struct gbx_error *err)
{
    *pool = (struct pool){.config = *config};
    must(config->total_max > 0 && config->ready_min <= config->total_max);
    if (pthread_mutex_init(&pool->lock, NULL) != 0)
        return fail(err, GBX_EHOST, "no memory for a pool");
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

static void end_sandbox(struct pool *pool, struct pool_member *member)
{
    if (pool->config.end != NULL)
        pool->config.end(pool->config.context, member);
    sandbox_close(&member->sandbox);
}

static void free_member(struct pool_member *member)
{
    free(member->extra);
    free(member);
}

void pool_end(struct pool *pool)
{
    if (!pool->is_open)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->is_ended = true;
    queue_cancel_locked(pool);
    for (struct pool_member *m = pool->all; m != NULL; m = m->other)
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
    while (pool->all != NULL) {
        struct pool_member *member = pool->all;

        must(!member->is_lent);
        pool->all = member->other;
        end_sandbox(pool, member);
        free_member(member);
    }
    must(pool->first == NULL);
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

/* There is one less: somebody else may make one. */
static void forget_locked(struct pool *pool, struct pool_member *member)
{
    struct pool_member **at = &pool->all;

    while (*at != NULL && *at != member)
        at = &(*at)->other;
    if (*at == member && member != NULL)
        *at = member->other;
    if (!queue_hand_on_locked(pool, NULL))
        pool->total--;
}

/* It counts until it is closed. */
static void drop(struct pool *pool, struct pool_member *member)
{
    end_sandbox(pool, member);
    pthread_mutex_lock(&pool->lock);
    forget_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    free_member(member);
}

/* It is free again, as it is. */
static void put_back_locked(struct pool *pool, struct pool_member *member)
{
    if (!queue_put_back_locked(pool, member))
        return;
    if (pool->config.idle_ns != 0 && pool->ready > pool->config.ready_min &&
        !pool->is_watched && pool->keeper != NULL) {
        pool->is_watched = true;
        keeper_tell(pool->keeper);
    }
}

static void set_free_locked(struct pool *pool, struct pool_member *member)
{
    member->free_ns = clock_now_ns();
    put_back_locked(pool, member);
}

static int fill_sandbox(struct pool *pool, struct pool_member *member,
                        struct template *template, uint64_t deadline_ns,
                        struct gbx_error *err)
{
    const struct sandbox_config *config = &pool->config.sandbox;
    int rc;

    if (pool->config.start == NULL)
        return sandbox_clone(&member->sandbox, config, template, deadline_ns,
                             err);
    rc =
        sandbox_try_clone(&member->sandbox, config, template, deadline_ns, err);
    if (rc == GBX_ESTALE) /* without it everything is only slower */
        rc = pool->config.start(pool->config.context, &member->sandbox,
                                deadline_ns, err);
    return rc;
}

/* One that has its place among all, and its key, but no sandbox yet.  NULL, and
 * its place is somebody else's, where there is no memory. */
static struct pool_member *begin_locked(struct pool *pool, const char *key)
{
    struct pool_member *member = calloc(1, sizeof(*member));

    if (member != NULL)
        member->extra = calloc(1, pool->config.extra_bytes);
    if (member == NULL || member->extra == NULL) {
        free(member);
        forget_locked(pool, NULL);
        return NULL;
    }
    member->sandbox.region = (struct region)REGION_NONE;
    member->is_lent = true;
    queue_set_key(member, key);
    member->other = pool->all;
    pool->all = member;
    return member;
}

static int make(struct pool *pool, struct pool_member *member,
                uint64_t deadline_ns, struct gbx_error *err)
{
    struct template *template = NULL;
    int rc;

    pthread_mutex_lock(&pool->lock);
    if (pool->template != NULL)
        template = template_get(pool->template);
    pthread_mutex_unlock(&pool->lock);
    rc = fill_sandbox(pool, member, template, deadline_ns, err);
    template_put(template);
    if (rc < 0) {
        drop(pool, member);
        return rc;
    }
    pthread_mutex_lock(&pool->lock);
    member->is_clean = true;
    pool->stats.built++;
    pool->stats.cloned += member->sandbox.template != NULL;
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

/* Clean again.  False: it is of no more use, or of an older template. */
static bool wipe(struct pool *pool, struct pool_member *member)
{
    uint64_t from_ns = clock_now_ns(), ns;
    struct gbx_error err;
    bool is_clone;

    pthread_mutex_lock(&pool->lock);
    is_clone =
        pool->template != NULL && member->sandbox.template == pool->template;
    pthread_mutex_unlock(&pool->lock);
    if (!is_clone || sandbox_wipe(&member->sandbox,
                                  from_ns + pool->config.start_ns, &err) < 0)
        return false;
    member->is_clean = true;
    ns = clock_now_ns() - from_ns;
    pthread_mutex_lock(&pool->lock);
    pool->stats.wiped++;
    pool->stats.wiped_pages += sandbox_wiped_pages(&member->sandbox);
    pool->stats.wipe_ns += ns;
    pthread_mutex_unlock(&pool->lock);
    return true;
}

/* A member becomes clean, or another one comes into its place. */
static int renew(struct pool *pool, struct pool_member *member,
                 uint64_t deadline_ns, struct gbx_error *err)
{
    if (wipe(pool, member))
        return 0;
    end_sandbox(pool, member);
    member->calls = 0;
    return make(pool, member, deadline_ns, err);
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
    if (!is_ended)
        return 0;
    drop(pool, member);
    return tell(pool, GBX_ECANCELED, err);
}

int pool_take(struct pool *pool, const char *key, uint64_t deadline_ns,
              struct pool_member **member, struct gbx_error *err)
{
    struct pool_member *got;
    enum pool_next next;
    bool is_low;
    int rc;

    *member = NULL;
    if (key != NULL && strnlen(key, POOL_KEY_BYTES) == POOL_KEY_BYTES)
        return fail(err, GBX_EARGUMENT, "a key has less than %u bytes",
                    POOL_KEY_BYTES);
    pthread_mutex_lock(&pool->lock);
    rc = queue_choose_locked(pool, key, deadline_ns, &got, &next);
    if (rc == 0 && next == NEXT_MAKE && (got = begin_locked(pool, key)) == NULL)
        rc = GBX_EHOST;
    is_low = pool->ready < pool->config.ready_min;
    pool->is_short = false;
    pthread_mutex_unlock(&pool->lock);
    if (is_low && pool->keeper != NULL)
        keeper_tell(pool->keeper);
    if (rc < 0)
        return tell(pool, rc, err);
    if (next == NEXT_MAKE)
        rc = make(pool, got, deadline_ns, err);
    else if (next == NEXT_RENEW)
        rc = renew(pool, got, deadline_ns, err);
    if (rc == 0)
        rc = hand_over(pool, got, err);
    if (rc < 0)
        return rc;
    got->is_clean = got->is_parked = false;
    got->calls++;
    *member = got;
    return 0;
}

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
static void park_one(struct pool *pool, const struct backend *backend)
{
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
    put_back_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
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

    if (!take_back(pool, member, broken) || is_old ||
        (broken && pool->config.wipe == GBX_WIPE_NEVER) ||
        ((broken || is_due(pool, failed)) && !wipe(pool, member))) {
        drop(pool, member);
        if (pool->keeper != NULL)
            keeper_tell(pool->keeper);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    set_free_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    park_one(pool, pool->config.sandbox.backend);
}

void pool_unused(struct pool *pool, struct pool_member *member)
{
    pthread_mutex_lock(&pool->lock);
    member->is_used = false;
    member->is_clean = true;
    member->calls = 0;
    pool->stats.taken--;
    set_free_locked(pool, member);
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
        drop(pool, member);
    }
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
        member = begin_locked(pool, NULL);
    }
    pthread_mutex_unlock(&pool->lock);
    /* Where it fails, whoever takes one hears why, and then it is tried again:
     * not before, or the keeper would do nothing else. */
    if (member == NULL ||
        make(pool, member, clock_now_ns() + pool->config.start_ns, &err) < 0)
        return false;
    if (pool->config.sandbox.backend->awake_count != NULL &&
        pool->config.sandbox.backend->awake_count() < POOL_AWAKE_MAX)
        sandbox_wake(&member->sandbox);
    else
        member->is_parked = true;
    pthread_mutex_lock(&pool->lock);
    set_free_locked(pool, member);
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
        drop(pool, member);
    return next_ns;
}
