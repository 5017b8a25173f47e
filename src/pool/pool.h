/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - sandboxes of one script: made ahead, lent, wiped, given back.
 *
 *            start, clone        take            give
 *   (nothing) --------> FREE  ---------> LENT ---------> FREE, or closed
 *                         ^                      wiped, as the policy says
 *
 *  pool_open(&pool, &config, &err);
 *  pool_take(&pool, key, deadline_ns, &member, &err);
 *  ... member->sandbox ...
 *  pool_give(&pool, member, failed);
 *  pool_end(&pool);
 *  pool_close(&pool);
 *
 * Who takes and finds none free makes one, as long as there are fewer than
 * total_max; else it waits its turn: first come, first served, and a member
 * that comes back wakes the one it is for.  A keeper (keeper.h) makes others
 * ahead, and closes those that nobody needs.
 *
 * Threads: any; close last and alone, with no member lent.
 * Memory:  members at take, or ahead; taking a free one allocates nothing.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "glovebox/pool.h"

#include "sandbox/sandbox.h"

#define POOL_KEY_BYTES 256u /* with its end */

struct pool_member {
    struct sandbox sandbox;
    struct pool_member *newer, *older; /* of the free ones of its kind */
    LIST_ENTRY(pool_member) other;     /* of all */
    struct pool_member *same;          /* of those of similar keys */
    bool has_key, is_clean; /* clean: nobody has used it since it was made */
    bool is_lent, is_parked;
    bool is_stuck;    /* it could not be suspended: not tried again */
    bool is_used;     /* by who took it: it can be killed */
    uint32_t calls;   /* since it was made */
    uint64_t free_ns; /* since when it is free */
    void *extra;      /* config.extra_bytes, zeroed when it is made; owned */
    char key[POOL_KEY_BYTES]; /* of who had it last */
};

/* What free ones still have of the host (idle.c). */
enum pool_kind {
    POOL_AWAKE,
    POOL_PARKED, /* no virtual machine */
    POOL_STUCK,  /* too, and it cannot be suspended */
    POOL_SUSPENDED,
    POOL_KINDS
};

struct pool_free {
    struct pool_member *newest, *oldest;
};

struct pool_config {
    enum gbx_wipe wipe;
    uint32_t ready_min, total_max, recycle_calls; /* recycle 0: never */
    uint64_t idle_ns;                             /* 0: never */
    size_t extra_bytes;

    /* An IDLE sandbox with its script loaded, where there is no template to
     * clone it from.  Called by one thread at a time for each member.  NULL:
     * there always is one, set before the first take. */
    int (*start)(void *context, struct sandbox *sandbox, uint64_t deadline_ns,
                 struct gbx_error *err);
    /* Before a member is closed or suspended; may be NULL. */
    void (*end)(void *context, struct pool_member *member);
    void *context;
    struct sandbox_config sandbox; /* of clones; its texts until close */
    uint64_t start_ns;             /* longest start ahead */
};

struct pool_waiter;
struct keeper;

struct pool {
    struct pool_config config;
    struct template *template;    /* counted, or NULL; with the lock */
    pthread_mutex_t lock;         /* of all that follows */
    LIST_HEAD(, pool_member) all; /* these five: list.h */
    struct pool_free free[POOL_KINDS];
    struct pool_member **keys; /* owned */
    uint32_t key_room, count, clean;
    uint32_t awake_max, parked_max; /* beyond which idle ones give back */
    uint32_t resting;  /* clean ones that are just now parked or suspended */
    uint64_t freed_ns; /* the last free_ns of a member */
    uint32_t total, ready; /* members, those to be made too; free ones */
    bool is_watched; /* the keeper comes by itself when one is idle too long */
    bool is_ended;   /* nothing is made or lent any more */
    bool is_short;   /* of memory: none is made ahead until one is taken */
    struct pool_waiter *first, *last;
    struct gbx_pool_stats stats;
    struct keeper *keeper; /* whose it is, or NULL */
    struct pool *after;    /* keeper's */
    bool is_open;
};

/* Nothing happens by itself before pool_keep. */
int pool_open(struct pool *pool, const struct pool_config *config,
              struct gbx_error *err);
int pool_keep(struct pool *pool, struct keeper *keeper, struct gbx_error *err);
/* Whoever waits for one gets GBX_ECANCELED, and so does who uses one. */
void pool_end(struct pool *pool);
void pool_close(struct pool *pool); /* idempotent; all-zero allowed */

/* Clones come from it from now on, and members are wiped back to it.  Takes a
 * reference. */
void pool_set_template(struct pool *pool, struct template *template);

/*
 * key: who will use it, a tenant or an actor; NULL: nobody in particular.
 * Returns 0 and a member to give; GBX_ETIME; GBX_EARGUMENT for a key that is
 * too long; GBX_ELIMIT where a stateful one can never be had; GBX_ECANCELED
 * where the pool ends; or what start returned.
 */
int pool_take(struct pool *pool, const char *key, uint64_t deadline_ns,
              struct pool_member **member, struct gbx_error *err);

/*
 * To look at one between two calls, not to use it: none is made, wiped or given
 * to somebody else for that.  key: whose, where each has its own; else NULL.
 * Returns 0 and a member to give; GBX_EARGUMENT: key has none, or one is
 * needed; GBX_EBROKEN: it went; or as take.
 */
int pool_take_as_is(struct pool *pool, const char *key, uint64_t deadline_ns,
                    struct pool_member **member, struct gbx_error *err);

/* Gives it back; failed: its last call did. */
void pool_give(struct pool *pool, struct pool_member *member, bool failed);

/* Gives one back that nobody used: it is clean. */
void pool_unused(struct pool *pool, struct pool_member *member);

/* Close free members, down to `left` of them, and make none ahead until one is
 * taken.  Stateful ones stay. */
void pool_shrink(struct pool *pool, uint32_t left);

void pool_stats(struct pool *pool, struct gbx_pool_stats *stats);

/* keeper.c: what is due is done.  Returns when to come again; 0: when told. */
uint64_t pool_tend(struct pool *pool, uint64_t now_ns);

#endif
