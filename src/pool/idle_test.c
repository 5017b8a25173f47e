/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_test.c - members that idle among many give back what they have, one
 * after the other, and are found again by their keys.
 *
 * This process may have so few descriptors that a handful are many.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "pool/pool_test.h"

#define FILES 96u
#define FEW   (FILES / 24) /* that may be awake, and may be parked */
#define MANY  (4 * FEW)

static struct rlimit files_before;

static int idle_setup(void **state)
{
    struct rlimit limit;

    play_setup(state);
    must(getrlimit(RLIMIT_NOFILE, &files_before) == 0);
    limit = files_before;
    limit.rlim_cur = FILES;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    awake = 1000000; /* of other pools */
    return 0;
}

static int idle_teardown(void **state)
{
    play_teardown(state);
    return setrlimit(RLIMIT_NOFILE, &files_before);
}

static const char *key_of(unsigned i)
{
    static char key[20];

    snprintf(key, sizeof(key), "actor %u", i);
    return key;
}

static void open_actors(uint32_t total_max)
{
    open_pool(GBX_WIPE_NEVER, total_max);
    set_template();
}

static unsigned count_of(enum pool_kind kind)
{
    unsigned count = 0;

    for (struct pool_member *m = pool.free[kind].newest; m != NULL;
         m = m->older)
        count++;
    return count;
}

static void any_number_of_actors_is_there_with_what_it_knows(void **state)
{
    (void)state;
    open_actors(MANY);
    for (unsigned round = 1; round <= 4; round++)
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(use(key_of(i)), round);
    assert_int_equal(stats().total, MANY);
    assert_int_equal(stats().ready, MANY);
    assert_int_equal(count_of(POOL_PARKED), FEW);
    assert_int_equal(count_of(POOL_SUSPENDED), MANY - FEW);
    assert_int_equal(stats().suspended, suspends);
    assert_int_equal(ends, suspends); /* each was told of before */
    assert_int_equal(live, FEW);
    assert_int_equal(stats().built, MANY);
}

static void those_that_idle_longest_go_first(void **state)
{
    (void)state;
    open_actors(FEW + 2);
    for (unsigned i = 0; i < FEW + 2; i++)
        use(key_of(i));
    assert_int_equal(suspends, 2);
    for (unsigned i = 2; i < FEW + 2; i++)
        use(key_of(i)); /* they are still there */
    assert_int_equal(suspends, 2);
    use(key_of(0));
    assert_int_equal(suspends, 3); /* in its place, another one */
}

static void who_cannot_come_back_is_told_and_loses_nothing(void **state)
{
    struct pool_member *member;

    (void)state;
    open_actors(MANY);
    for (unsigned i = 0; i < MANY; i++)
        use(key_of(i));
    clone_code = GBX_EHOST;
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            pool_take(&pool, key_of(0), after(LONG_NS), &member, &err),
            GBX_EHOST);
    assert_null(member);
    clone_code = 0;
    assert_int_equal(use(key_of(0)), 2);
    assert_int_equal(stats().total, MANY);
    assert_int_equal(stats().busy, 0);
}

/* Parked or suspended: the virtual machine, too, is had before the call. */
static void who_cannot_wake_is_told_and_loses_nothing(void **state)
{
    struct pool_member *member;

    (void)state;
    open_actors(MANY);
    for (unsigned i = 0; i < MANY; i++)
        use(key_of(i));
    wake_code = GBX_EHOST;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(
            pool_take(&pool, key_of(i), after(LONG_NS), &member, &err),
            GBX_EHOST);
    assert_int_equal(stats().ready, MANY);
    wake_code = 0;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(use(key_of(i)), 2);
}

static void who_cannot_be_suspended_is_not_asked_again(void **state)
{
    (void)state;
    open_actors(MANY);
    suspend_code = GBX_EUNSUPPORTED;
    for (unsigned i = 0; i < MANY; i++)
        use(key_of(i));
    assert_int_equal(suspends, MANY - FEW);
    assert_int_equal(count_of(POOL_STUCK), MANY - FEW);
    assert_int_equal(stats().suspended, 0);
    suspend_code = 0;
    assert_int_equal(use(key_of(0)), 2); /* now it may have become better */
    assert_int_equal(count_of(POOL_STUCK), MANY - FEW - 1);
    assert_int_equal(count_of(POOL_SUSPENDED), 1);
}

/* What a tenant left is not brought back for another one. */
static void for_another_tenant_a_new_one_is_made(void **state)
{
    struct pool_member *members[MANY];

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, MANY);
    for (unsigned i = 0; i < MANY; i++)
        members[i] = take(key_of(i));
    for (unsigned i = 0; i < MANY; i++)
        give(members[i]);
    assert_int_equal(count_of(POOL_SUSPENDED), MANY - FEW);
    assert_int_equal(use(key_of(0)), 2);
    assert_int_equal(stats().built, MANY);
    assert_int_equal(use("somebody new"), 1);
    assert_int_equal(stats().built, MANY + 1);
    assert_int_equal(stats().total, MANY);
}

static void what_idles_too_long_ends_suspended_or_not(void **state)
{
    struct keeper keeper;

    (void)state;
    keeper_open(&keeper);
    open_actors(MANY);
    pool.config.idle_ns = 1000000000u;
    for (unsigned i = 0; i < MANY; i++)
        use(key_of(i));
    while (pool_tend(&pool, clock_now_ns() + 2000000000u) != 0)
        ;
    assert_int_equal(stats().total, 0);
    assert_int_equal(stats().retired, MANY);
    assert_int_equal(live, 0);
    keeper_close(&keeper);
}

/* Each member has a sandbox, which is 3 descriptors until it is suspended. */
static void a_thousand_keys_are_no_more_work_than_one(void **state)
{
    (void)state;
    open_actors(1000);
    for (unsigned round = 1; round <= 2; round++)
        for (unsigned i = 0; i < 1000; i++)
            assert_int_equal(use(key_of(i)), round);
    assert_in_range(pool.key_room, 1000, 2048);
    assert_int_equal(live, FEW);
}

static int take_as_is(const char *key, struct pool_member **member)
{
    return pool_take_as_is(&pool, key, after(SOON_NS), member, &err);
}

struct newcomer {
    const char *key;
    struct pool_member *member;
    struct gbx_error err;
    int rc;
};

static void *take_new(void *context)
{
    struct newcomer *self = context;

    self->rc =
        pool_take(&pool, self->key, after(LONG_NS), &self->member, &self->err);
    return NULL;
}

/* While a clean one is put away, who comes for it waits; and is told, if it is
 * somebody else's then. */
static void one_that_nobody_has_used_is_suspended_too(void **state)
{
    struct newcomer both[] = {{.key = "anne"}, {.key = "bert"}};
    struct pool_member *member;
    pthread_t threads[2];

    (void)state;
    open_actors(1);
    pool.parked_max = 0;
    assert_int_equal(pool_take(&pool, NULL, 0, &member, &err), 0);
    pool_unused(&pool, member);
    assert_int_equal(count_of(POOL_SUSPENDED), 1);
    assert_int_equal(pool.resting, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, take_new, &both[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(both[0].rc + both[1].rc, GBX_ELIMIT);
    member = both[0].rc == 0 ? both[0].member : both[1].member;
    sandbox_begin(&member->sandbox);
    give(member);
}

/* Whose it is, without a call of it: nobody's turns into somebody else's. */
static void one_that_is_looked_at_is_as_it_was(void **state)
{
    struct pool_member *member, *busy;

    (void)state;
    open_actors(3);
    use("anne"), use("anne");
    pool.config.recycle_calls = 3;
    assert_int_equal(take_as_is(NULL, &member), 0); /* there is only one */
    pool_give(&pool, member, false);
    use("bert");
    assert_int_equal(take_as_is(NULL, &member), GBX_EARGUMENT);
    assert_int_equal(take_as_is("carl", &member), GBX_EARGUMENT);
    assert_int_equal(stats().total, 2);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take_as_is("anne", &member), 0);
        assert_int_equal(play_of(member)->uses, 2);
        pool_give(&pool, member, false);
    }
    busy = take("bert");
    assert_int_equal(take_as_is("bert", &member), GBX_ETIME);
    assert_null(member);
    give(busy);
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(stats().ready, 2);
}

static void *end_it(void *context)
{
    give_broken(context);
    return NULL;
}

static void who_waits_for_one_that_ends_waits_in_vain(void **state)
{
    struct pool_member *member;
    pthread_t thread;
    int rc;

    (void)state;
    open_actors(2);
    member = take("anne");
    assert_int_equal(pthread_create(&thread, NULL, end_it, member), 0);
    rc = pool_take_as_is(&pool, "anne", after(LONG_NS), &member, &err);
    assert_true(rc == GBX_EBROKEN || rc == GBX_EARGUMENT);
    pthread_join(thread, NULL);
    assert_int_equal(stats().total, 0);
    assert_int_equal(use("anne"), 1);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, idle_setup, idle_teardown)
    const struct CMUnitTest tests[] = {
        TEST(any_number_of_actors_is_there_with_what_it_knows),
        TEST(those_that_idle_longest_go_first),
        TEST(who_cannot_come_back_is_told_and_loses_nothing),
        TEST(who_cannot_wake_is_told_and_loses_nothing),
        TEST(who_cannot_be_suspended_is_not_asked_again),
        TEST(for_another_tenant_a_new_one_is_made),
        TEST(what_idles_too_long_ends_suspended_or_not),
        TEST(one_that_nobody_has_used_is_suspended_too),
        TEST(one_that_is_looked_at_is_as_it_was),
        TEST(who_waits_for_one_that_ends_waits_in_vain),
        TEST(a_thousand_keys_are_no_more_work_than_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
