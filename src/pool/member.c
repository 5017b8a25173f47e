/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c - members are made, wiped and closed.
 *
 * That takes long, so the lock is not held meanwhile; a member that is being
 * made counts already, one that is being wiped is still lent.  So there are
 * never more than total_max, whoever races whom.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "pool/idle.h"
#include "pool/keeper.h"
#include "pool/list.h"
#include "pool/member.h"
#include "pool/queue.h"

void member_end(struct pool *pool, struct pool_member *member)
{
    if (pool->config.end != NULL)
        pool->config.end(pool->config.context, member);
    sandbox_close(&member->sandbox);
}

void member_free(struct pool_member *member)
{
    idle_set_parked(member, false);
    free(member->extra);
    free(member);
}

/* There is one less: somebody else may make one. */
static void forget_locked(struct pool *pool, struct pool_member *member)
{
    if (member != NULL)
        list_remove_locked(pool, member);
    if (!queue_hand_on_locked(pool, NULL))
        pool->total--;
}

/* It counts until it is closed. */
void member_drop(struct pool *pool, struct pool_member *member)
{
    member_end(pool, member);
    pthread_mutex_lock(&pool->lock);
    forget_locked(pool, member);
    pthread_mutex_unlock(&pool->lock);
    member_free(member);
}

/* It is free again, as it is. */
void member_put_back_locked(struct pool *pool, struct pool_member *member)
{
    if (!queue_put_back_locked(pool, member))
        return;
    if (pool->config.idle_ns != 0 && pool->ready > pool->config.ready_min &&
        !pool->is_watched && pool->keeper != NULL) {
        pool->is_watched = true;
        keeper_tell(pool->keeper);
    }
}

void member_set_free_locked(struct pool *pool, struct pool_member *member)
{
    uint64_t now_ns = clock_about_ns();

    /* Two of them are never free since the same moment: they have an order. */
    if (now_ns <= pool->freed_ns)
        now_ns = pool->freed_ns + 1;
    member->free_ns = pool->freed_ns = now_ns;
    idle_set_parked(member, !sandbox_is_awake(&member->sandbox));
    member_put_back_locked(pool, member);
}

static int fill_sandbox(struct pool *pool, struct pool_member *member,
                        struct template *template, uint64_t deadline_ns,
                        struct gbx_error *err)
{
    const struct sandbox_config *config = &pool->config.sandbox;
    int rc;

    if (pool->config.start == NULL)
        return sandbox_clone(&member->sandbox, config, template, err);
    rc = sandbox_try_clone(&member->sandbox, config, template, err);
    if (rc == GBX_ESTALE) /* without it everything is only slower */
        rc = pool->config.start(pool->config.context, &member->sandbox,
                                deadline_ns, err);
    return rc;
}

/* One that has its place among all, and its key, but no sandbox yet.  NULL, and
 * its place is somebody else's, where there is no memory. */
struct pool_member *member_begin_locked(struct pool *pool, const char *key)
{
    struct pool_member *member = calloc(1, sizeof(*member));

    if (member != NULL)
        member->extra = calloc(1, pool->config.extra_bytes);
    if (member == NULL || member->extra == NULL) {
        free(member);
        forget_locked(pool, NULL);
        return NULL;
    }
    list_add_locked(pool, member, key);
    return member;
}

int member_make(struct pool *pool, struct pool_member *member,
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
        member_drop(pool, member);
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
bool member_wipe(struct pool *pool, struct pool_member *member)
{
    uint64_t from_ns = clock_now_ns(), ns;
    struct gbx_error err;
    bool is_clone;

    pthread_mutex_lock(&pool->lock);
    is_clone =
        pool->template != NULL && member->sandbox.template == pool->template;
    pthread_mutex_unlock(&pool->lock);
    if (!is_clone || member->sandbox.state == SANDBOX_SUSPENDED ||
        sandbox_wipe(&member->sandbox, from_ns + pool->config.start_ns, &err) <
            0)
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
int member_renew(struct pool *pool, struct pool_member *member,
                 uint64_t deadline_ns, struct gbx_error *err)
{
    if (member_wipe(pool, member))
        return 0;
    member_end(pool, member);
    member->calls = 0;
    return member_make(pool, member, deadline_ns, err);
}
