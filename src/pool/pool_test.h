/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_test.h - for tests: a pool of sandboxes of a backend of play, which does
 * nothing and keeps count.
 *
 *  open_pool(GBX_WIPE_PER_CALL, 2);
 *  member = take("anne");
 *  give(member);
 *  close_pool();                    nothing is left
 *
 * A sandbox has a serial number, and says how often it was used since it was
 * made or wiped.
 */
#ifndef POOL_POOL_TEST_H
#define POOL_POOL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "pool/keeper.h"
#include "pool/pool.h"

#define SOON_NS 20000000u    /* for what shall be over */
#define LONG_NS 10000000000u /* for what will not be */

struct snapshot {
    atomic_int references;
};

struct play {
    struct channel guest;
    struct snapshot *snapshot;
    struct region *region;
    atomic_bool is_killed;
    unsigned serial, uses;
    bool is_awake;
};

static atomic_int live, live_most; /* sandboxes there are, and were */
static atomic_int serials, starts, ends, parks, wakes, suspends, snapshots;
static atomic_int start_code, clone_code, wipe_code; /* 0: it succeeds */
static atomic_int suspend_code, wake_code;
static atomic_uint awake; /* what the backend says of this process */
static void (*in_start)(void), (*in_close)(void);
static void (*in_wipe)(struct play *play);

static inline int play_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context, (void)seen, (void)deadline_ns;
    return GBX_ETIME;
}

static inline void play_ring(void *context)
{
    (void)context;
}

static inline void play_count(struct play *play, struct region *shared)
{
    int now = atomic_fetch_add(&live, 1) + 1, most = atomic_load(&live_most);

    while (now > most && !atomic_compare_exchange_weak(&live_most, &most, now))
        ;
    play->region = shared;
    play->serial = (unsigned)atomic_fetch_add(&serials, 1);
    channel_init(&play->guest,
                 &(struct channel_config){
                     .side = CHANNEL_GUEST,
                     .base = shared->base,
                     .half_bytes = shared->half_bytes,
                     .bell = {.sleep = play_sleep, .ring = play_ring}});
}

static inline int play_open(void *self, const struct bundle *what,
                            struct region *shared, struct gbx_error *err)
{
    (void)what, (void)err;
    play_count(self, shared);
    return 0;
}

static inline int play_run(void *self, uint64_t deadline_ns)
{
    struct gbx_descriptor ready = {.kind = GBX_KIND_READY};
    struct play *play = self;

    (void)deadline_ns;
    if (atomic_load(&play->is_killed))
        return GBX_ECANCELED;
    return channel_send(&play->guest, &ready, 1);
}

static inline int play_snapshot(void *self, struct snapshot **snapshot,
                                struct gbx_error *err)
{
    (void)self, (void)err;
    *snapshot = calloc(1, sizeof(**snapshot));
    must(*snapshot != NULL);
    (*snapshot)->references = 1;
    atomic_fetch_add(&snapshots, 1);
    return 0;
}

static inline void play_put(struct snapshot *snapshot)
{
    if (atomic_fetch_sub(&snapshot->references, 1) > 1)
        return;
    free(snapshot);
    atomic_fetch_sub(&snapshots, 1);
}

static inline int play_fail(struct gbx_error *why, int code, const char *text)
{
    why->code = code;
    strcpy(why->what, text);
    return code;
}

static inline int play_clone(void *self, const struct bundle *what,
                             struct snapshot *snapshot, struct region *shared,
                             struct gbx_error *err)
{
    struct play *play = self;
    int code = atomic_load(&clone_code);

    (void)what;
    play_count(self, shared);
    atomic_fetch_add(&snapshot->references, 1);
    play->snapshot = snapshot;
    return code == 0 ? 0 : play_fail(err, code, "as wanted");
}

static inline int play_wipe(void *self, struct gbx_error *err)
{
    struct play *play = self;
    int code = atomic_load(&wipe_code);

    if (in_wipe != NULL)
        in_wipe(play);
    if (code != 0)
        return play_fail(err, code, "as wanted");
    atomic_store(&play->is_killed, false);
    play->uses = 0;
    return 0;
}

static inline bool play_is_awake(void *self)
{
    return ((struct play *)self)->is_awake;
}

static inline bool play_park(void *self)
{
    ((struct play *)self)->is_awake = false;
    atomic_fetch_add(&parks, 1);
    atomic_fetch_sub(&awake, 1);
    return true;
}

static inline int play_wake(void *self, struct gbx_error *err)
{
    int code = atomic_load(&wake_code);

    if (code != 0)
        return play_fail(err, code, "as wanted");
    ((struct play *)self)->is_awake = true;
    atomic_fetch_add(&wakes, 1);
    return 0;
}

static inline unsigned play_awake_count(void)
{
    return atomic_load(&awake);
}

struct suspended {
    unsigned serial, uses;
};

static inline int play_suspend(void *self, struct suspended **suspended,
                               struct gbx_error *error)
{
    struct play *play = self;
    int code = atomic_load(&suspend_code);

    atomic_fetch_add(&suspends, 1);
    *suspended = NULL;
    if (code != 0)
        return play_fail(error, code, "as wanted");
    *suspended = malloc(sizeof(**suspended));
    must(*suspended != NULL);
    **suspended = (struct suspended){play->serial, play->uses};
    atomic_fetch_add(&snapshots, 1);
    return 0;
}

static inline int play_resume(void *self, const struct bundle *what,
                              struct snapshot *snapshot,
                              const struct suspended *suspended,
                              struct region *shared, struct gbx_error *error)
{
    struct play *play = self;
    int code = play_clone(self, what, snapshot, shared, error);

    play->serial = suspended->serial;
    play->uses = suspended->uses;
    return code;
}

static inline void play_discard(struct suspended *suspended)
{
    free(suspended);
    atomic_fetch_sub(&snapshots, 1);
}

static inline void play_kill(void *self)
{
    atomic_store(&((struct play *)self)->is_killed, true);
}

static inline void play_close(void *self)
{
    struct play *play = self;

    if (in_close != NULL)
        in_close();
    if (play->region != NULL)
        atomic_fetch_sub(&live, 1);
    if (play->snapshot != NULL)
        play_put(play->snapshot);
    play->region = NULL;
    play->snapshot = NULL;
}

static const struct backend play = {
    .name = "play",
    .self_bytes = sizeof(struct play),
    .open = play_open,
    .run = play_run,
    .ring = play_ring,
    .snapshot = play_snapshot,
    .clone = play_clone,
    .put = play_put,
    .wipe = play_wipe,
    .park = play_park,
    .is_awake = play_is_awake,
    .wake = play_wake,
    .awake_count = play_awake_count,
    .suspend = play_suspend,
    .resume = play_resume,
    .discard = play_discard,
    .kill = play_kill,
    .close = play_close,
};

static struct pool pool;
static struct gbx_error err;
static struct host_calls calls;

static inline struct sandbox_config play_config(void)
{
    return (struct sandbox_config){
        .backend = &play,
        .bundle = {.limits = {.message_bytes = 2u << 20, .output_bytes = 10}},
        .calls = &calls};
}

static inline int play_start(void *context, struct sandbox *sandbox,
                             uint64_t deadline_ns, struct gbx_error *error)
{
    const struct sandbox_config config = play_config();
    int code = atomic_load(&start_code);

    (void)context;
    atomic_fetch_add(&starts, 1);
    if (in_start != NULL)
        in_start();
    return code != 0 ? play_fail(error, code, "the start failed as wanted")
                     : sandbox_open(sandbox, &config, deadline_ns, error);
}

static inline void play_end(void *context, struct pool_member *member)
{
    (void)context, (void)member;
    atomic_fetch_add(&ends, 1);
}

/* A template; no sandbox of it is left. */
static inline struct template *make_template(void)
{
    const struct sandbox_config config = play_config();
    struct template *template;
    struct sandbox sandbox;

    assert_int_equal(sandbox_open(&sandbox, &config, 0, &err), 0);
    assert_int_equal(template_take(&template, &sandbox, &err), 0);
    sandbox_close(&sandbox);
    return template;
}

static inline void set_template(void)
{
    struct template *template = make_template();

    pool_set_template(&pool, template);
    template_put(template);
}

static inline struct pool_config config_of(enum gbx_wipe wipe,
                                           uint32_t total_max)
{
    return (struct pool_config){.wipe = wipe,
                                .total_max = total_max,
                                .extra_bytes = 8,
                                .start = play_start,
                                .end = play_end,
                                .sandbox = play_config(),
                                .start_ns = LONG_NS};
}

static inline void open_with(const struct pool_config *config)
{
    atomic_store(&live_most, atomic_load(&live));
    assert_int_equal(pool_open(&pool, config, &err), 0);
}

static inline void open_pool(enum gbx_wipe wipe, uint32_t total_max)
{
    const struct pool_config config = config_of(wipe, total_max);

    open_with(&config);
    if (wipe != GBX_WIPE_NEVER)
        set_template();
    atomic_store(&live_most, 0);
}

static inline uint64_t after(uint64_t ns)
{
    return clock_now_ns() + ns;
}

static inline struct play *play_of(const struct pool_member *member)
{
    return member->sandbox.self;
}

/* To be used: as gbx_call_begin_for does. */
static inline struct pool_member *take(const char *key)
{
    struct pool_member *member;
    int rc = pool_take(&pool, key, after(LONG_NS), &member, &err);

    must(rc == 0);
    sandbox_begin(&member->sandbox);
    play_of(member)->is_awake = true;
    play_of(member)->uses++;
    return member;
}

static inline void give_back(struct pool_member *member, bool failed)
{
    sandbox_finish(&member->sandbox);
    pool_give(&pool, member, failed);
}

static inline void give(struct pool_member *member)
{
    give_back(member, false);
}

static inline void give_broken(struct pool_member *member)
{
    sandbox_break(&member->sandbox);
    give_back(member, true);
}

/* One call for this key: how often its sandbox was used, this time included. */
static inline unsigned use(const char *key)
{
    struct pool_member *member = take(key);
    unsigned uses = play_of(member)->uses;

    give(member);
    return uses;
}

static inline struct gbx_pool_stats stats(void)
{
    struct gbx_pool_stats now;

    pool_stats(&pool, &now);
    return now;
}

static inline void close_pool(void)
{
    pool_close(&pool);
    assert_int_equal(live, 0);
    assert_int_equal(snapshots, 0);
}

static inline int play_setup(void **state)
{
    (void)state;
    live = live_most = serials = starts = ends = parks = wakes = suspends = 0;
    start_code = clone_code = wipe_code = suspend_code = wake_code = 0;
    awake = 0;
    in_start = in_close = NULL;
    in_wipe = NULL;
    memset(&err, 0, sizeof(err));
    return 0;
}

static inline int play_teardown(void **state)
{
    (void)state;
    close_pool();
    return 0;
}

#endif
