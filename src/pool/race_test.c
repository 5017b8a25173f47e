/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race_test.c - many want a sandbox at once: nobody is forgotten or overtaken,
 * and there are never more than there may be.
 */
#include <stdio.h>

#include "pool/pool_test.h"

#define TOTAL  4u
#define TAKERS (10 * TOTAL)

struct taker {
    const char *key;
    unsigned rounds, seed;
    uint64_t wait_ns;             /* 0: as long as it takes */
    unsigned good, late, other;   /* what came out */
    unsigned dirty;               /* who was used before */
    atomic_bool *is_used;         /* by anybody with this key */
    unsigned together;            /* two of the same key at once */
    bool breaks, fails, wants_no; /* some of them */
};

static unsigned draw(struct taker *taker, unsigned below)
{
    taker->seed = taker->seed * 1103515245u + 12345u;
    return (taker->seed >> 16) % below;
}

static void use_one(struct taker *taker, struct pool_member *member)
{
    sandbox_begin(&member->sandbox);
    taker->dirty += play_of(member)->uses++ > 0;
    if (taker->is_used != NULL)
        taker->together += atomic_exchange(taker->is_used, true);
    sched_yield();
    if (taker->is_used != NULL)
        atomic_store(taker->is_used, false);
    if (taker->breaks && draw(taker, 3) == 0)
        give_broken(member);
    else
        give_back(member, taker->fails && draw(taker, 3) == 0);
}

static void *take_often(void *context)
{
    struct taker *taker = context;

    for (unsigned i = 0; i < taker->rounds; i++) {
        struct pool_member *member;
        struct gbx_error why;
        int rc = pool_take(&pool, taker->key,
                           taker->wait_ns == 0 ? 0 : after(taker->wait_ns),
                           &member, &why);

        taker->good += rc == 0;
        taker->late += rc == GBX_ETIME;
        taker->other += rc < 0 && rc != GBX_ETIME;
        if (rc == 0 && taker->wants_no && draw(taker, 4) == 0)
            pool_unused(&pool, member);
        else if (rc == 0)
            use_one(taker, member);
    }
    return NULL;
}

static void run_all(struct taker *takers, unsigned count)
{
    pthread_t threads[TAKERS];

    for (unsigned i = 0; i < count; i++) {
        takers[i].seed = i;
        assert_int_equal(
            pthread_create(&threads[i], NULL, take_often, &takers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(stats().busy, 0);
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(stats().ready, stats().total);
    assert_int_equal(live, stats().total);
}

static void ten_times_as_many_all_get_one_and_no_more_are_made(void **state)
{
    struct taker takers[TAKERS];

    (void)state;
    open_pool(GBX_WIPE_PER_CALL, TOTAL);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){.rounds = 50};
    run_all(takers, TAKERS);
    for (unsigned i = 0; i < TAKERS; i++) {
        assert_int_equal(takers[i].good, 50);
        assert_int_equal(takers[i].dirty, 0);
    }
    assert_in_range(live_most, 1, TOTAL);
    assert_int_equal(stats().taken, TAKERS * 50);
    assert_int_equal(stats().wiped, TAKERS * 50);
    assert_int_equal(stats().built, stats().total);
    assert_int_equal(stats().cloned, stats().built);
    assert_int_equal(stats().broken + stats().retired, 0);
}

static void also_where_they_break_and_are_not_wiped(void **state)
{
    struct taker takers[TAKERS];

    (void)state;
    open_pool(GBX_WIPE_PER_CALL, TOTAL);
    wipe_code = GBX_EHOST; /* each is closed, and made anew */
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){.rounds = 20, .breaks = true};
    run_all(takers, TAKERS);
    for (unsigned i = 0; i < TAKERS; i++)
        assert_int_equal(takers[i].good, 20);
    assert_in_range(live_most, 1, TOTAL);
    assert_int_equal(stats().built, TAKERS * 20);
    assert_in_range(stats().broken, 1, TAKERS * 20);
    assert_int_equal(stats().wiped, 0);
}

static void tenants_meet_nothing_of_each_other(void **state)
{
    static const char *const keys[] = {"anne", "bert", "carl", "dora", NULL};
    struct taker takers[TAKERS];
    uint64_t good = 0;

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, TOTAL);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){.key = keys[i % ARRAY_SIZE(keys)],
                                   .rounds = 30,
                                   .breaks = true,
                                   .fails = true,
                                   .wants_no = true};
    run_all(takers, TAKERS);
    for (unsigned i = 0; i < TAKERS; i++)
        good += takers[i].good;
    assert_int_equal(good, TAKERS * 30);
    assert_in_range(live_most, 1, TOTAL);
    assert_in_range(stats().taken, good / 2, good - 1);
}

/* As many keys as there may be sandboxes: each has its own, whatever breaks. */
static void a_key_never_has_two_nor_none(void **state)
{
    static const char *const keys[] = {"anne", "bert", "carl", NULL};
    static atomic_bool used[TOTAL];
    struct taker takers[TAKERS];

    (void)state;
    open_pool(GBX_WIPE_NEVER, TOTAL);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){.key = keys[i % TOTAL],
                                   .is_used = &used[i % TOTAL],
                                   .rounds = 50,
                                   .breaks = true};
    run_all(takers, TAKERS);
    for (unsigned i = 0; i < TAKERS; i++) {
        assert_int_equal(takers[i].together, 0);
        assert_int_equal(takers[i].other, 0);
        assert_int_equal(takers[i].good, 50);
    }
    assert_in_range(live_most, 1, TOTAL);
}

static void a_deadline_that_meets_a_gift_loses_nothing(void **state)
{
    struct taker takers[TAKERS];
    uint64_t late = 0, good = 0;

    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 2);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){
            .rounds = 50, .wait_ns = 1 + i * 2000, .breaks = true};
    run_all(takers, TAKERS);
    for (unsigned i = 0; i < TAKERS; i++) {
        assert_int_equal(takers[i].other, 0);
        late += takers[i].late;
        good += takers[i].good;
    }
    assert_int_equal(good + late, TAKERS * 50);
    assert_int_equal(stats().taken, TAKERS * 50);
    assert_in_range(live_most, 1, 2);
    give(take(NULL));
}

static void while_all_is_closed_and_made_ahead_all_get_one(void **state)
{
    struct pool_config config = config_of(GBX_WIPE_PER_TENANT, TOTAL);
    struct taker takers[TAKERS];
    struct keeper keeper;

    (void)state;
    config.ready_min = 2;
    config.idle_ns = 1;
    config.recycle_calls = 7;
    keeper_open(&keeper);
    open_with(&config);
    set_template();
    live_most = 0;
    awake = 1000; /* each is parked */
    assert_int_equal(pool_keep(&pool, &keeper, &err), 0);
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i] = (struct taker){.key = i % 3 == 0 ? "anne" : NULL,
                                   .rounds = 30,
                                   .breaks = true,
                                   .fails = true};
    for (unsigned i = 0; i < TAKERS; i++)
        takers[i].seed = i;
    {
        pthread_t threads[TAKERS];

        for (unsigned i = 0; i < TAKERS; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, take_often, &takers[i]), 0);
        for (int i = 0; i < 20; i++) {
            keeper_shrink(&keeper);
            set_template();
            sched_yield();
        }
        for (unsigned i = 0; i < TAKERS; i++)
            pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < TAKERS; i++)
        assert_int_equal(takers[i].good, 30);
    assert_int_equal(stats().taken, TAKERS * 30);
    pool_close(&pool);
    keeper_close(&keeper);
    assert_in_range(live_most, 1, TOTAL + 1); /* one: set_template's */
}

static atomic_uint arrivals;

struct arrival {
    const char *key;
    unsigned place; /* in which it got one */
    int rc;
    struct gbx_error why;
};

static void *arrive(void *context)
{
    struct arrival *arrival = context;
    struct pool_member *member;

    arrival->rc = pool_take(&pool, arrival->key, 0, &member, &arrival->why);
    arrival->place = atomic_fetch_add(&arrivals, 1);
    if (arrival->rc < 0)
        return NULL;
    sandbox_begin(&member->sandbox);
    give(member);
    return NULL;
}

/* One after the other into the queue. */
static void line_up(pthread_t *threads, struct arrival *all, unsigned count)
{
    atomic_store(&arrivals, 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, arrive, &all[i]), 0);
        while (stats().waiting < i + 1)
            usleep(100);
    }
}

static void first_come_first_served(void **state)
{
    static const char *const keys[] = {"anne", NULL, "bert"};
    static const enum gbx_wipe all[] = {GBX_WIPE_PER_CALL, GBX_WIPE_ON_ERROR,
                                        GBX_WIPE_PER_TENANT};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct arrival arrivers[12] = {{0}};
        pthread_t threads[12];
        struct pool_member *member;

        open_pool(all[i], 1);
        member = take("anne");
        for (unsigned j = 0; j < 12; j++)
            arrivers[j].key = keys[j % 3];
        line_up(threads, arrivers, 12);
        assert_int_equal(stats().waits, 0); /* not yet over */
        give(member);
        for (unsigned j = 0; j < 12; j++) {
            pthread_join(threads[j], NULL);
            assert_int_equal(arrivers[j].rc, 0);
            assert_int_equal(arrivers[j].place, j);
        }
        assert_int_equal(stats().waits, 12);
        assert_true(stats().wait_ns >= stats().wait_ns_max);
        close_pool();
    }
}

static void a_start_that_fails_is_the_first_one_s_alone(void **state)
{
    struct arrival arrivers[3] = {{0}};
    struct pool_member *member;
    pthread_t threads[3];

    (void)state;
    open_pool(GBX_WIPE_NEVER, 1);
    member = take(NULL);
    line_up(threads, arrivers, 3);
    start_code = GBX_ELOAD;
    give_broken(member);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(arrivers[i].rc, GBX_ELOAD); /* each one's own */
        assert_string_equal(arrivers[i].why.what, "the start failed as wanted");
    }
    assert_int_equal(starts, 4);
    assert_int_equal(stats().total, 0);
    start_code = 0;
    assert_int_equal(use(NULL), 1);
}

static struct arrival late_one;
static pthread_t late_thread;

/* While the first in the queue makes one: another one's place is free, too. */
static void two_places_free_at_once_are_not_two_of_one_key(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct arrival arrivers[2] = {{.key = "anne"}, {.key = "anne"}};
        struct pool_member *anne, *bert;
        pthread_t threads[2];

        open_pool(GBX_WIPE_NEVER, 2);
        anne = take("anne");
        bert = take("bert");
        line_up(threads, arrivers, 2);
        late_one = (struct arrival){.key = "anne"};
        give_broken(anne);
        give_broken(bert);
        assert_int_equal(pthread_create(&late_thread, NULL, arrive, &late_one),
                         0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        pthread_join(late_thread, NULL);
        assert_int_equal(arrivers[0].rc | arrivers[1].rc | late_one.rc, 0);
        assert_int_equal(stats().total, 1);
        close_pool();
    }
}

static void when_the_pool_ends_nobody_waits_any_longer(void **state)
{
    struct arrival arrivers[10] = {{0}};
    struct pool_member *used, *unused;
    pthread_t threads[10];

    (void)state;
    open_pool(GBX_WIPE_PER_CALL, 2);
    used = take(NULL);
    assert_int_equal(pool_take(&pool, NULL, 0, &unused, &err), 0);
    line_up(threads, arrivers, 10);
    pool_end(&pool);
    for (int i = 0; i < 10; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(arrivers[i].rc, GBX_ECANCELED);
        assert_int_equal(arrivers[i].why.code, GBX_ECANCELED);
    }
    assert_true(play_of(used)->is_killed);
    assert_true(play_of(unused)->is_killed);
    pool_end(&pool); /* once more */
    give(used);
    pool_give(&pool, unused, false);
    assert_int_equal(stats().total, 0); /* nobody will want them */
    assert_int_equal(stats().wiped, 0);
    assert_int_equal(pool_take(&pool, NULL, 0, &used, &err), GBX_ECANCELED);
    assert_int_equal(pool_tend(&pool, 7), 0);
}

static void end_it(void)
{
    pool_end(&pool);
}

static void what_is_made_while_the_pool_ends_is_not_lent(void **state)
{
    struct pool_member *member;

    (void)state;
    open_pool(GBX_WIPE_NEVER, 1);
    in_start = end_it;
    assert_int_equal(pool_take(&pool, NULL, 0, &member, &err), GBX_ECANCELED);
    assert_null(member);
    assert_int_equal(stats().total, 0);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_setup, play_teardown)
    const struct CMUnitTest tests[] = {
        TEST(ten_times_as_many_all_get_one_and_no_more_are_made),
        TEST(also_where_they_break_and_are_not_wiped),
        TEST(tenants_meet_nothing_of_each_other),
        TEST(a_key_never_has_two_nor_none),
        TEST(a_deadline_that_meets_a_gift_loses_nothing),
        TEST(while_all_is_closed_and_made_ahead_all_get_one),
        TEST(first_come_first_served),
        TEST(a_start_that_fails_is_the_first_one_s_alone),
        TEST(two_places_free_at_once_are_not_two_of_one_key),
        TEST(when_the_pool_ends_nobody_waits_any_longer),
        TEST(what_is_made_while_the_pool_ends_is_not_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
