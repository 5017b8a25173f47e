/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_test.c - what is done without being asked: sandboxes made ahead,
 * parked, closed.  The time is the test's, so nobody waits for it.
 */
#include <fcntl.h>
#include <poll.h>

#include "pool/pool_test.h"

#define IDLE_NS 1000000000u

static struct keeper keeper;

/* Without its thread: the test is the keeper. */
static void open_kept(struct pool_config config, bool has_template)
{
    keeper_open(&keeper);
    open_with(&config);
    if (has_template)
        set_template();
    pool.keeper = &keeper;
}

static void close_kept(void)
{
    pool.keeper = NULL;
    close_pool();
    keeper_close(&keeper);
}

static bool was_told(void)
{
    uint64_t count;

    return read(keeper.wake_fd, &count, sizeof(count)) == sizeof(count);
}

static struct pool_config ahead(uint32_t ready_min, uint32_t total_max)
{
    struct pool_config config = config_of(GBX_WIPE_PER_CALL, total_max);

    config.ready_min = ready_min;
    return config;
}

static void some_are_made_ahead_one_at_a_time(void **state)
{
    struct pool_member *members[3];

    (void)state;
    open_kept(ahead(2, 4), true);
    assert_int_equal(pool_tend(&pool, 7), 7); /* come again at once */
    assert_int_equal(stats().ready, 1);
    assert_int_equal(pool_tend(&pool, 7), 7);
    assert_int_equal(pool_tend(&pool, 7), 0);
    assert_int_equal(stats().ready, 2);
    assert_false(was_told());
    members[0] = take("anne");
    assert_true(was_told());
    members[1] = take("bert");
    members[2] = take(NULL);
    assert_int_equal(pool_tend(&pool, 7), 7);
    assert_int_equal(pool_tend(&pool, 7), 0); /* there may be no more */
    assert_int_equal(stats().total, 4);
    for (int i = 0; i < 3; i++)
        give(members[i]);
    assert_int_equal(stats().ready, 4);
    assert_int_equal(pool_tend(&pool, 7), 0);
    close_kept();
}

static void who_has_a_state_is_not_made_ahead(void **state)
{
    struct pool_config config = config_of(GBX_WIPE_NEVER, 4);

    (void)state;
    config.ready_min = 2;
    open_kept(config, false);
    assert_int_equal(pool_tend(&pool, 7), 0);
    assert_int_equal(stats().total, 0);
    close_kept();
}

static void a_keeper_with_a_thread_does_it_by_itself(void **state)
{
    const struct pool_config config = ahead(3, 4);

    (void)state;
    keeper_open(&keeper);
    open_with(&config);
    set_template();
    assert_int_equal(pool_keep(&pool, &keeper, &err), 0);
    while (stats().ready < 3)
        usleep(100);
    for (int i = 0; i < 3; i++)
        give_broken(take(NULL));
    while (stats().ready < 3)
        usleep(100);
    close_pool();
    keeper_close(&keeper);
}

/* Else it would try as often as it can, as long as it fails. */
static void a_start_ahead_that_fails_waits_for_somebody_to_come(void **state)
{
    struct pool_member *member;

    (void)state;
    open_kept(ahead(1, 2), false);
    start_code = GBX_EHOST;
    assert_int_equal(pool_tend(&pool, 7), 0);
    assert_int_equal(starts, 1);
    assert_int_equal(stats().total, 0);
    assert_false(was_told());
    assert_int_equal(pool_take(&pool, NULL, 0, &member, &err), GBX_EHOST);
    assert_true(was_told());
    start_code = 0;
    assert_int_equal(pool_tend(&pool, 7), 7);
    assert_int_equal(stats().ready, 1);
    close_kept();
}

static void one_that_broke_is_made_up_for(void **state)
{
    (void)state;
    open_kept(ahead(1, 2), true);
    pool_tend(&pool, 7);
    wipe_code = GBX_EHOST;
    give_broken(take(NULL));
    assert_true(was_told());
    assert_int_equal(stats().ready, 0);
    assert_int_equal(pool_tend(&pool, 7), 7);
    assert_int_equal(stats().ready, 1);
    close_kept();
}

static void who_is_idle_too_long_is_closed(void **state)
{
    struct pool_config config = ahead(1, 4);
    struct pool_member *members[4];
    uint64_t due;

    (void)state;
    config.idle_ns = IDLE_NS;
    open_kept(config, true);
    for (int i = 0; i < 4; i++)
        members[i] = take(NULL);
    was_told();
    for (int i = 0; i < 4; i++)
        give(members[i]);
    assert_true(was_told()); /* there is something to wait for */
    due = members[0]->free_ns + IDLE_NS;
    assert_int_equal(pool_tend(&pool, due - 1), due);
    assert_int_equal(stats().ready, 4);
    for (int i = 1; i < 4; i++) {
        assert_int_not_equal(pool_tend(&pool, due + IDLE_NS), 0);
        assert_int_equal(stats().ready, 4 - i);
        assert_int_equal(stats().retired, i);
    }
    /* One shall be ready, however long. */
    assert_int_equal(pool_tend(&pool, due + 9 * (uint64_t)IDLE_NS), 0);
    assert_int_equal(stats().ready, 1);
    assert_ptr_equal(pool.free[POOL_AWAKE].newest, members[3]);
    was_told();
    members[0] = take(NULL);
    give(take(NULL));
    was_told();
    give(members[0]);
    assert_true(was_told()); /* two again */
    close_kept();
}

static void short_of_memory_none_is_made_until_it_is_needed(void **state)
{
    (void)state;
    open_kept(ahead(4, 4), true);
    while (pool_tend(&pool, 7) != 0)
        ;
    assert_int_equal(stats().ready, 4);
    pool_shrink(&pool, 2);
    assert_int_equal(pool_tend(&pool, 7), 0);
    assert_int_equal(stats().ready, 2);
    give(take(NULL));
    assert_true(was_told());
    while (pool_tend(&pool, 7) != 0)
        ;
    assert_int_equal(stats().ready, 4);
    close_kept();
}

static void half_of_the_free_ones_of_each_pool_go(void **state)
{
    const struct pool_config config = ahead(0, 4);
    struct pool_member *members[4];

    (void)state;
    keeper_open(&keeper);
    open_with(&config);
    set_template();
    assert_int_equal(pool_keep(&pool, &keeper, &err), 0);
    assert_false(keeper.has_thread); /* nothing is to be done */
    for (int i = 0; i < 4; i++)
        members[i] = take(NULL);
    give(members[0]);
    give(members[1]);
    give(members[2]);
    keeper_shrink(&keeper);
    assert_int_equal(stats().ready, 1);
    assert_int_equal(stats().busy, 1);
    give(members[3]);
    close_pool();
    keeper_close(&keeper);
}

static void with_few_awake_nobody_is_parked(void **state)
{
    (void)state;
    open_kept(ahead(1, 4), true);
    awake = pool.awake_max - 1;
    pool_tend(&pool, 7);
    assert_int_equal(wakes, 1);
    awake = pool.awake_max;
    give(take(NULL));
    assert_int_equal(parks, 0);
    close_kept();
}

static void with_too_many_awake_the_oldest_is_parked(void **state)
{
    struct pool_member *members[3];

    (void)state;
    open_kept(ahead(0, 3), true);
    for (int i = 0; i < 3; i++)
        members[i] = take(NULL);
    give(members[0]);
    give(members[1]);
    awake = pool.awake_max + 1;
    give(members[2]);
    assert_int_equal(parks, 1);
    assert_true(members[0]->is_parked);
    assert_false(members[1]->is_parked || members[2]->is_parked);
    assert_int_equal(stats().ready, 3);
    for (int i = 2; i >= 0; i--) /* who is awake comes first */
        assert_ptr_equal(take(NULL), members[i]);
    assert_false(members[0]->is_parked);
    for (int i = 0; i < 3; i++)
        give(members[i]);
    close_kept();
}

static void one_made_ahead_asleep_hides_nobody_who_is_awake(void **state)
{
    struct pool_member *one, *other;

    (void)state;
    open_kept(ahead(2, 4), true);
    one = take(NULL);
    other = take(NULL);
    give(one);
    awake = pool.awake_max;
    assert_int_equal(pool_tend(&pool, 7), 7);
    assert_int_equal(wakes, 0); /* it is left as it was made */
    awake = pool.awake_max + 1;
    give(other);
    assert_int_equal(parks, 1);
    assert_true(one->is_parked);
    assert_false(other->is_parked);
    close_kept();
}

/* Members in the order of the list: they were free one after the other. */
static void the_free_ones_stay_in_the_order_of_their_age(void **state)
{
    struct pool_member *members[4];

    (void)state;
    open_kept(ahead(0, 4), true);
    for (int i = 0; i < 4; i++)
        members[i] = take(NULL);
    awake = pool.awake_max + 3;
    for (int i = 0; i < 4; i++)
        give(members[i]);
    assert_int_equal(parks, 3);
    for (int kind = 0; kind < POOL_KINDS; kind++)
        for (const struct pool_member *m = pool.free[kind].newest;
             m != NULL && m->older != NULL; m = m->older) {
            assert_true(m->free_ns >= m->older->free_ns);
            assert_ptr_equal(m->older->newer, m);
        }
    assert_null(pool.free[POOL_AWAKE].newest->older);
    assert_ptr_equal(pool.free[POOL_PARKED].oldest, members[0]);
    close_kept();
}

static void what_is_idle_is_found_though_it_was_parked(void **state)
{
    struct pool_config config = ahead(0, 1);

    (void)state;
    config.idle_ns = IDLE_NS;
    open_kept(config, true);
    awake = pool.awake_max + 1;
    give(take(NULL));
    assert_int_equal(parks, 1);
    assert_true(was_told());
    assert_int_not_equal(pool_tend(&pool, after(2 * (uint64_t)IDLE_NS)), 0);
    assert_int_equal(stats().total, 0);
    close_kept();
}

static void closing_waits_for_the_one_that_is_being_made(void **state)
{
    struct pool_config config = ahead(4, 4);

    (void)state;
    for (int i = 0; i < 50; i++) {
        keeper_open(&keeper);
        open_with(&config);
        set_template();
        assert_int_equal(pool_keep(&pool, &keeper, &err), 0);
        if (i % 2 != 0)
            give(take(NULL));
        close_pool();
        keeper_close(&keeper);
    }
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_setup, play_teardown)
    const struct CMUnitTest tests[] = {
        TEST(some_are_made_ahead_one_at_a_time),
        TEST(who_has_a_state_is_not_made_ahead),
        TEST(a_keeper_with_a_thread_does_it_by_itself),
        TEST(a_start_ahead_that_fails_waits_for_somebody_to_come),
        TEST(one_that_broke_is_made_up_for),
        TEST(who_is_idle_too_long_is_closed),
        TEST(short_of_memory_none_is_made_until_it_is_needed),
        TEST(half_of_the_free_ones_of_each_pool_go),
        TEST(with_few_awake_nobody_is_parked),
        TEST(with_too_many_awake_the_oldest_is_parked),
        TEST(one_made_ahead_asleep_hides_nobody_who_is_awake),
        TEST(the_free_ones_stay_in_the_order_of_their_age),
        TEST(what_is_idle_is_found_though_it_was_parked),
        TEST(closing_waits_for_the_one_that_is_being_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
