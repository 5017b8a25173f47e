/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_test.c - who gets which sandbox, and in which state, one after the
 * other.
 */
#include "pool/pool_test.h"

static void what_comes_back_is_taken_again(void **state)
{
    struct pool_member *one, *other;

    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 2);
    one = take(NULL);
    other = take(NULL);
    assert_int_equal(live, 2);
    assert_int_equal(stats().busy, 2);
    give(one);
    give(other);
    assert_int_equal(stats().ready, 2);
    assert_ptr_equal(take(NULL), other); /* its memory is warm */
    assert_ptr_equal(take(NULL), one);
    give(one);
    give(other);
    assert_int_equal(serials, 3); /* the template's, too */
}

static void who_waits_until_the_deadline_is_told(void **state)
{
    struct pool_member *members[2], *none;

    (void)state;
    open_pool(GBX_WIPE_PER_CALL, 2);
    members[0] = take(NULL);
    members[1] = take("anne");
    assert_int_equal(pool_take(&pool, NULL, after(SOON_NS), &none, &err),
                     GBX_ETIME);
    assert_null(none);
    assert_int_equal(err.code, GBX_ETIME);
    assert_string_equal(err.what,
                        "all 2 sandboxes were busy until the deadline");
    assert_int_equal(pool_take(&pool, "bert", 1, &none, &err), GBX_ETIME);
    assert_int_equal(stats().waits, 2);
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(stats().taken, 4);
    give(members[0]);
    assert_int_equal(pool_take(&pool, "bert", 1, &none, &err), 0);
    assert_int_equal(stats().waits, 2); /* a free one needs no time */
    pool_give(&pool, none, false);
    give(members[1]);
}

static void where_there_is_one_it_is_said_of_that(void **state)
{
    struct pool_member *one, *none;

    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 1);
    one = take(NULL);
    assert_int_equal(pool_take(&pool, NULL, 1, &none, &err), GBX_ETIME);
    assert_string_equal(err.what, "the sandbox was busy until the deadline");
    give(one);
}

static void a_start_that_takes_too_long_is_no_busy_sandbox(void **state)
{
    struct pool_member *member;

    (void)state;
    open_pool(GBX_WIPE_NEVER, 1);
    start_code = GBX_ETIME;
    assert_int_equal(pool_take(&pool, NULL, 0, &member, &err), GBX_ETIME);
    assert_string_equal(err.what, "the start failed as wanted");
}

static void never_wiped_each_key_keeps_its_own(void **state)
{
    static const char *const keys[] = {"anne", "bert", NULL};
    struct pool_member *none;

    (void)state;
    open_pool(GBX_WIPE_NEVER, 3);
    for (unsigned round = 1; round < 4; round++)
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
            assert_int_equal(use(keys[i]), round);
    assert_int_equal(live, 3);
    assert_int_equal(pool_take(&pool, "carl", 0, &none, &err), GBX_ELIMIT);
    assert_non_null(strstr(err.what, "3 others"));
    assert_non_null(strstr(err.what, "total_max"));
    assert_int_equal(use("anne"), 4);
    assert_int_equal(stats().wiped, 0);
}

static void never_wiped_a_failed_call_changes_nothing(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_NEVER, 1);
    give_back(take("anne"), true);
    assert_int_equal(use("anne"), 2);
}

static void never_wiped_the_place_of_a_broken_one_is_free(void **state)
{
    struct pool_member *none;

    (void)state;
    open_pool(GBX_WIPE_NEVER, 1);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(pool_take(&pool, "bert", 0, &none, &err), GBX_ELIMIT);
    give_broken(take("anne"));
    assert_int_equal(stats().broken, 1);
    assert_int_equal(stats().total, 0);
    assert_int_equal(use("bert"), 1);
}

static void never_wiped_who_comes_while_it_is_lent_waits(void **state)
{
    struct pool_member *one, *none;

    (void)state;
    open_pool(GBX_WIPE_NEVER, 2);
    one = take("anne");
    assert_int_equal(pool_take(&pool, "anne", after(SOON_NS), &none, &err),
                     GBX_ETIME); /* a second one would not have its state */
    assert_int_equal(use("bert"), 1);
    give(one);
    assert_int_equal(use("anne"), 2);
}

static void tenants_find_it_wiped_and_themselves_not(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, 1);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(use("anne"), 2);
    assert_int_equal(stats().wiped, 0);
    assert_int_equal(use("bert"), 1);
    assert_int_equal(use(NULL), 1);
    assert_int_equal(use(NULL), 2);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(stats().wiped, 3);
    give_back(take("anne"), true);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(stats().built, 1);
}

static void a_tenant_takes_what_another_left_longest_ago(void **state)
{
    struct pool_member *anne, *bert, *carl;

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, 2);
    anne = take("anne");
    bert = take("bert");
    give(anne);
    give(bert);
    carl = take("carl");
    assert_ptr_equal(carl, anne);
    give(carl);
    assert_int_equal(use("bert"), 2);
    assert_int_equal(use("carl"), 2);
}

static void a_tenant_takes_its_own_rather_than_a_clean_one(void **state)
{
    struct pool_member *anne, *clean;

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, 2);
    anne = take("anne");
    assert_int_equal(pool_take(&pool, "bert", 0, &clean, &err), 0);
    give(anne);
    pool_unused(&pool, clean); /* it comes first in the list */
    assert_int_equal(use("anne"), 2);
    assert_int_equal(use("carl"), 1);
    assert_int_equal(stats().wiped, 0);
}

static void wiped_on_error_only_a_failure_is_forgotten(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 1);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(use("bert"), 2);
    give_back(take(NULL), true);
    assert_int_equal(use(NULL), 1);
    give_broken(take(NULL));
    assert_int_equal(use(NULL), 1);
    assert_int_equal(stats().wiped, 2);
    assert_int_equal(stats().broken, 1);
    assert_int_equal(stats().built, 1);
}

static void wiped_per_call_each_is_the_first(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_PER_CALL, 1);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(use("anne"), 1);
    assert_int_equal(stats().wiped, 5);
    assert_int_equal(stats().built, 1);
    assert_int_equal(stats().cloned, 1);
}

static void after_so_many_calls_it_is_replaced(void **state)
{
    static const enum gbx_wipe all[] = {GBX_WIPE_NEVER, GBX_WIPE_PER_CALL,
                                        GBX_WIPE_ON_ERROR, GBX_WIPE_PER_TENANT};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct pool_config config = config_of(all[i], 1);
        unsigned serial[7];

        config.recycle_calls = 3;
        open_with(&config);
        set_template();
        for (int call = 0; call < 7; call++) {
            struct pool_member *member = take("anne");

            serial[call] = play_of(member)->serial;
            give(member);
            assert_int_equal(stats().total, call % 3 != 2);
            if (call > 0)
                assert_int_equal(serial[call] != serial[call - 1],
                                 call % 3 == 0);
        }
        assert_int_equal(stats().built, 3);
        assert_int_equal(stats().retired + stats().broken, 0);
        close_pool();
    }
}

static void what_cannot_be_wiped_is_replaced(void **state)
{
    struct pool_member *member;
    unsigned serial;

    (void)state;
    open_pool(GBX_WIPE_PER_CALL, 1);
    member = take(NULL);
    serial = play_of(member)->serial;
    wipe_code = GBX_EHOST;
    give(member);
    assert_int_equal(stats().total, 0);
    assert_int_equal(live, 0);
    wipe_code = 0;
    member = take(NULL);
    assert_int_not_equal(play_of(member)->serial, serial);
    assert_int_equal(play_of(member)->uses, 1);
    give(member);
    assert_int_equal(stats().wiped, 1);
    assert_int_equal(stats().built, 2);
}

static void what_cannot_be_wiped_for_a_tenant_is_replaced(void **state)
{
    struct pool_member *member;

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, 1);
    assert_int_equal(use("anne"), 1);
    wipe_code = GBX_EHOST;
    member = take("bert");
    assert_int_equal(play_of(member)->uses, 1);
    assert_int_equal(live, 1);
    give(member);
    assert_int_equal(stats().built, 2);
    clone_code = GBX_EHOST; /* and then not even that works */
    assert_int_equal(pool_take(&pool, "carl", 0, &member, &err), GBX_EHOST);
    assert_null(member);
    assert_int_equal(stats().total, 0);
    assert_int_equal(live, 0);
    wipe_code = clone_code = 0;
    assert_int_equal(use("carl"), 1);
}

static void kill_meanwhile(struct play *it)
{
    atomic_store(&it->is_killed, true);
    wipe_code = GBX_ECANCELED;
}

static void a_wipe_that_a_kill_ends_leaves_no_broken_one(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_PER_CALL, 1);
    in_wipe = kill_meanwhile;
    give(take(NULL));
    in_wipe = NULL;
    if (stats().total == 1) /* the kill came too late */
        give(take(NULL));
    wipe_code = 0;
    for (int i = 0; i < 3; i++) {
        struct pool_member *member = take(NULL);

        assert_false(play_of(member)->is_killed);
        assert_int_equal(member->sandbox.state, SANDBOX_BUSY);
        give(member);
    }
}

static void a_start_that_fails_is_told_and_the_next_works(void **state)
{
    static const enum gbx_wipe all[] = {GBX_WIPE_NEVER, GBX_WIPE_ON_ERROR};
    struct pool_member *member;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        const struct pool_config config = config_of(all[i], 1);

        open_with(&config);
        start_code = GBX_ELOAD;
        for (int try = 0; try < 3; try++) {
            assert_int_equal(pool_take(&pool, "anne", 0, &member, &err),
                             GBX_ELOAD);
            assert_null(member);
            assert_string_equal(err.what, "the start failed as wanted");
            assert_int_equal(stats().total, 0);
        }
        start_code = 0;
        assert_int_equal(use("bert"), 1);
        assert_int_equal(stats().built, 1);
        assert_int_equal(stats().cloned, 0);
        assert_int_equal(stats().taken, 4);
        close_pool();
    }
}

static void a_template_that_is_none_of_this_host_is_no_matter(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 1);
    clone_code = GBX_ESTALE;
    strcpy(err.what, "nothing went wrong");
    assert_int_equal(use(NULL), 1);
    assert_string_equal(err.what, "nothing went wrong");
    assert_int_equal(starts, 1);
    assert_int_equal(stats().cloned, 0);
    give_broken(take(NULL));
    assert_int_equal(stats().total, 0); /* no clone: it cannot be wiped */
    clone_code = GBX_EHOST;
    assert_int_equal(
        pool_take(&pool, NULL, 0, &(struct pool_member *){NULL}, &err),
        GBX_EHOST);
    assert_int_equal(starts, 1); /* a start would fail, too */
}

static void of_an_older_template_it_is_renewed_not_wiped(void **state)
{
    struct template *newer;
    struct pool_member *member;

    (void)state;
    open_pool(GBX_WIPE_PER_TENANT, 1);
    assert_int_equal(use("anne"), 1);
    newer = make_template();
    pool_set_template(&pool, newer);
    assert_int_equal(use("anne"), 2); /* it is still hers */
    member = take("bert");
    assert_ptr_equal(member->sandbox.template, newer);
    give_back(member, true);
    assert_int_equal(stats().built, 2);
    assert_int_equal(stats().wiped, 1);
    assert_int_equal(snapshots, 1);
    template_put(newer);
    set_template();
    give_broken(take("bert")); /* nor when it comes back */
    assert_int_equal(stats().total, 0);
    assert_int_equal(stats().wiped, 1);
    assert_int_equal(use("bert"), 1);
    assert_int_equal(stats().cloned, 3);
}

static void who_was_not_used_is_good_for_all(void **state)
{
    static const enum gbx_wipe all[] = {GBX_WIPE_NEVER, GBX_WIPE_PER_CALL,
                                        GBX_WIPE_ON_ERROR, GBX_WIPE_PER_TENANT};
    struct pool_member *member;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        open_pool(all[i], 1);
        assert_int_equal(pool_take(&pool, "anne", 0, &member, &err), 0);
        pool_unused(&pool, member);
        assert_int_equal(stats().taken, 0);
        assert_int_equal(stats().ready, 1);
        assert_int_equal(use("bert"), 1);
        assert_int_equal(stats().built, 1);
        assert_int_equal(stats().taken, 1);
        close_pool();
    }
}

static void short_of_memory_the_oldest_go_first(void **state)
{
    struct pool_member *members[4];

    (void)state;
    open_pool(GBX_WIPE_ON_ERROR, 4);
    for (int i = 0; i < 4; i++)
        members[i] = take(NULL);
    for (int i = 1; i < 4; i++)
        give(members[i]);
    pool_shrink(&pool, 1);
    assert_int_equal(stats().ready, 1);
    assert_int_equal(stats().retired, 2);
    assert_int_equal(live, 2);
    assert_ptr_equal(take(NULL), members[3]);
    give(members[3]);
    pool_shrink(&pool, 0);
    assert_int_equal(live, 1); /* it is lent */
    give(members[0]);
}

static void who_has_a_state_stays_when_memory_is_short(void **state)
{
    (void)state;
    open_pool(GBX_WIPE_NEVER, 2);
    assert_int_equal(use("anne"), 1);
    assert_int_equal(use("bert"), 1);
    pool_shrink(&pool, 0);
    assert_int_equal(stats().retired, 0);
    assert_int_equal(use("anne"), 2);
}

static void a_key_has_an_end(void **state)
{
    struct pool_member *member;
    char key[POOL_KEY_BYTES + 1];

    (void)state;
    open_pool(GBX_WIPE_NEVER, 2);
    memset(key, 'x', sizeof(key));
    key[POOL_KEY_BYTES] = '\0';
    assert_int_equal(pool_take(&pool, key, 0, &member, &err), GBX_EARGUMENT);
    assert_null(member);
    key[POOL_KEY_BYTES - 1] = '\0';
    assert_int_equal(use(key), 1);
    key[POOL_KEY_BYTES - 2] = 'y'; /* all of it counts */
    assert_int_equal(use(key), 1);
    assert_int_equal(stats().taken, 2);
}

static void closing_ends_each_member_and_may_be_done_twice(void **state)
{
    (void)state;
    pool_close(&pool); /* all-zero */
    open_pool(GBX_WIPE_NEVER, 3);
    use("anne");
    use("bert");
    pool_close(&pool);
    assert_int_equal(ends, 2);
    assert_int_equal(live, 0);
    pool_close(&pool);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_setup, play_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_comes_back_is_taken_again),
        TEST(who_waits_until_the_deadline_is_told),
        TEST(where_there_is_one_it_is_said_of_that),
        TEST(a_start_that_takes_too_long_is_no_busy_sandbox),
        TEST(never_wiped_each_key_keeps_its_own),
        TEST(never_wiped_a_failed_call_changes_nothing),
        TEST(never_wiped_the_place_of_a_broken_one_is_free),
        TEST(never_wiped_who_comes_while_it_is_lent_waits),
        TEST(tenants_find_it_wiped_and_themselves_not),
        TEST(a_tenant_takes_what_another_left_longest_ago),
        TEST(a_tenant_takes_its_own_rather_than_a_clean_one),
        TEST(wiped_on_error_only_a_failure_is_forgotten),
        TEST(wiped_per_call_each_is_the_first),
        TEST(after_so_many_calls_it_is_replaced),
        TEST(what_cannot_be_wiped_is_replaced),
        TEST(what_cannot_be_wiped_for_a_tenant_is_replaced),
        TEST(a_wipe_that_a_kill_ends_leaves_no_broken_one),
        TEST(a_start_that_fails_is_told_and_the_next_works),
        TEST(a_template_that_is_none_of_this_host_is_no_matter),
        TEST(of_an_older_template_it_is_renewed_not_wiped),
        TEST(who_was_not_used_is_good_for_all),
        TEST(short_of_memory_the_oldest_go_first),
        TEST(who_has_a_state_stays_when_memory_is_short),
        TEST(a_key_has_an_end),
        TEST(closing_ends_each_member_and_may_be_done_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
