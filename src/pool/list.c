/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pool/list.h"

#define ROOM_FIRST 16u

/* FNV-1a; who chooses keys may make chains long, and only his own calls slow:
 * they are names that the embedder gives. */
static uint32_t hash(const char *key)
{
    uint32_t value = 2166136261u;

    while (key != NULL && *key != '\0')
        value = (value ^ (uint8_t)*key++) * 16777619u;
    return value;
}

static const char *key_of(const struct pool_member *member)
{
    return member->has_key ? member->key : NULL;
}

bool list_is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool list_has_key(const struct pool_member *member, const char *key)
{
    return list_is_same(key_of(member), key);
}

/* ---- keys ---- */

static struct pool_member **chain_of(const struct pool *pool, const char *key)
{
    return &pool->keys[hash(key) & (pool->key_room - 1)];
}

static void join_chain(struct pool *pool, struct pool_member *member)
{
    struct pool_member **chain;

    if (pool->key_room == 0)
        return;
    chain = chain_of(pool, key_of(member));
    member->same = *chain;
    *chain = member;
}

static void leave_chain(struct pool *pool, struct pool_member *member)
{
    struct pool_member **at;

    if (pool->key_room == 0)
        return;
    at = chain_of(pool, key_of(member));
    while (*at != member)
        at = &(*at)->same;
    *at = member->same;
}

/* The next of those that have this key; after NULL: the first. */
static struct pool_member *next_of(const struct pool *pool,
                                   const struct pool_member *after,
                                   const char *key)
{
    const bool has_chains = pool->key_room > 0;
    struct pool_member *m;

    if (after != NULL)
        m = has_chains ? after->same : LIST_NEXT(after, other);
    else
        m = has_chains ? *chain_of(pool, key) : LIST_FIRST(&pool->all);
    while (m != NULL && !list_has_key(m, key))
        m = has_chains ? m->same : LIST_NEXT(m, other);
    return m;
}

static void write_key(struct pool_member *member, const char *key)
{
    member->has_key = key != NULL;
    if (key != NULL)
        memcpy(member->key, key, strlen(key) + 1);
}

static void make_room(struct pool *pool)
{
    uint32_t room = pool->key_room == 0 ? ROOM_FIRST : 2 * pool->key_room;
    struct pool_member **keys;

    if (pool->count < pool->key_room)
        return;
    keys = calloc(room, sizeof(struct pool_member *));
    if (keys == NULL)
        return; /* chains are longer then, or one */
    free(pool->keys);
    pool->keys = keys;
    pool->key_room = room;
    for (struct pool_member *m = LIST_FIRST(&pool->all); m != NULL;
         m = LIST_NEXT(m, other))
        join_chain(pool, m);
}

void list_set_key_locked(struct pool *pool, struct pool_member *member,
                         const char *key)
{
    if (list_has_key(member, key))
        return;
    leave_chain(pool, member);
    write_key(member, key);
    join_chain(pool, member);
}

bool list_is_taken_locked(const struct pool *pool, const char *key)
{
    for (const struct pool_member *m = NULL;
         (m = next_of(pool, m, key)) != NULL;)
        if (m->is_lent || !m->is_clean)
            return true;
    return false;
}

/* ---- all ---- */

void list_add_locked(struct pool *pool, struct pool_member *member,
                     const char *key)
{
    make_room(pool);
    member->is_lent = true;
    write_key(member, key);
    LIST_INSERT_HEAD(&pool->all, member, other);
    pool->count++;
    join_chain(pool, member);
}

void list_remove_locked(struct pool *pool, struct pool_member *member)
{
    leave_chain(pool, member);
    LIST_REMOVE(member, other);
    pool->count--;
}

void list_fini(struct pool *pool)
{
    free(pool->keys);
    pool->keys = NULL;
    pool->key_room = 0;
}

/* ---- free ones ---- */

static enum pool_kind kind_of(const struct pool_member *member)
{
    if (member->sandbox.state == SANDBOX_SUSPENDED)
        return POOL_SUSPENDED;
    if (!member->is_parked)
        return POOL_AWAKE;
    return member->is_stuck ? POOL_STUCK : POOL_PARKED;
}

void list_put_locked(struct pool *pool, struct pool_member *member)
{
    struct pool_free *list = &pool->free[kind_of(member)];
    struct pool_member *after = NULL, *before = list->newest;

    while (before != NULL && before->free_ns > member->free_ns) {
        after = before;
        before = before->older;
    }
    member->newer = after;
    member->older = before;
    *(after != NULL ? &after->older : &list->newest) = member;
    *(before != NULL ? &before->newer : &list->oldest) = member;
    member->is_lent = false;
    pool->ready++;
    pool->clean += member->is_clean;
}

void list_take_locked(struct pool *pool, struct pool_member *member)
{
    struct pool_free *list = &pool->free[kind_of(member)];

    *(member->newer != NULL ? &member->newer->older : &list->newest) =
        member->older;
    *(member->older != NULL ? &member->older->newer : &list->oldest) =
        member->newer;
    member->newer = member->older = NULL;
    member->is_lent = true;
    pool->ready--;
    pool->clean -= member->is_clean;
}

bool list_is_keyed(const struct pool *pool)
{
    return pool->config.wipe == GBX_WIPE_NEVER ||
           pool->config.wipe == GBX_WIPE_PER_TENANT;
}

bool list_is_good_for(const struct pool *pool, const struct pool_member *member,
                      const char *key)
{
    return !list_is_keyed(pool) || member->is_clean ||
           list_has_key(member, key);
}

static struct pool_member *newest_good(const struct pool *pool, const char *key)
{
    if (list_is_keyed(pool) && pool->clean == 0)
        return NULL; /* its own ones, it would have found */
    for (int kind = 0; kind < POOL_KINDS; kind++)
        for (struct pool_member *m = pool->free[kind].newest; m != NULL;
             m = m->older)
            if (list_is_good_for(pool, m, key))
                return m;
    return NULL;
}

/* That this key has had. */
static struct pool_member *free_one_of(const struct pool *pool, const char *key)
{
    struct pool_member *m = NULL;

    while ((m = next_of(pool, m, key)) != NULL && m->is_lent)
        ;
    return m;
}

struct pool_member *list_find_locked(const struct pool *pool, const char *key)
{
    struct pool_member *own = NULL;

    /* To nobody in particular any is as good, where all are good. */
    if (key != NULL || list_is_keyed(pool))
        own = free_one_of(pool, key);
    return own != NULL ? own : newest_good(pool, key);
}

static struct pool_member *newest(const struct pool *pool)
{
    int kind = 0;

    while (kind < POOL_SUSPENDED && pool->free[kind].newest == NULL)
        kind++;
    return pool->free[kind].newest;
}

struct pool_member *list_find_as_is_locked(const struct pool *pool,
                                           const char *key)
{
    struct pool_member *own = key == NULL ? NULL : free_one_of(pool, key);

    return own != NULL || (key != NULL && list_is_keyed(pool)) ? own
                                                               : newest(pool);
}

bool list_is_there_locked(const struct pool *pool, const char *key)
{
    return key == NULL || !list_is_keyed(pool)
               ? pool->count > 0
               : next_of(pool, NULL, key) != NULL;
}

struct pool_member *list_oldest_locked(const struct pool *pool)
{
    struct pool_member *oldest = NULL;

    for (int kind = 0; kind < POOL_KINDS; kind++) {
        struct pool_member *m = pool->free[kind].oldest;

        if (m != NULL && (oldest == NULL || m->free_ns < oldest->free_ns))
            oldest = m;
    }
    return oldest;
}
