/* SPDX-License-Identifier: Apache-2.0 */
/* suspend_test.c - a sandbox is put away, and goes on where it stood. */
#include "sandbox/template_test.h"

static struct sandbox_config config;

/* one: a clone that has seen a call of its own. */
static int suspend_setup(void **state)
{
    int rc = play_setup(state);

    config = config_of(&play);
    play_take();
    assert_int_equal(play_copy(&one), 0);
    play_call(&one, 100);
    return rc;
}

static void resume(void)
{
    assert_int_equal(sandbox_resume(&one, &config, &err), 0);
    assert_int_equal(one.state, SANDBOX_IDLE);
}

static void it_goes_on_where_it_stood(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        const struct gbx_half_head head = *head_of(&one);
        const uint32_t last = one.last_call, tail = one.channel.ring_tail;

        assert_true(sandbox_suspend(&one));
        assert_int_equal(one.state, SANDBOX_SUSPENDED);
        resume();
        assert_int_equal(one.last_call, last);
        assert_int_equal(one.channel.ring_tail, tail);
        /* Its number and its seed, too: it is no copy. */
        assert_memory_equal(head_of(&one), &head, sizeof(head));
        play_call(&one, 10u + (round << 20)); /* a longer arena stays so */
    }
    assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    expect_template(&one);
    play_call(&one, 100);
}

static void put_away_it_has_no_files(void **state)
{
    (void)state;
    sandbox_close(&first);
    assert_true(sandbox_suspend(&one));
    assert_int_equal(count_open_files(), files_before);
    assert_int_equal(open_plays, 0);
    resume();
    play_call(&one, 100);
}

static void it_can_be_closed_while_it_is_away(void **state)
{
    (void)state;
    assert_true(sandbox_suspend(&one));
    sandbox_close(&one);
    sandbox_close(&one);
    assert_int_equal(one.state, SANDBOX_EMPTY);
} /* the teardown finds nothing */

static void who_cannot_be_put_away_goes_on(void **state)
{
    (void)state;
    suspend_code = GBX_EHOST;
    assert_false(sandbox_suspend(&one));
    assert_int_equal(one.state, SANDBOX_IDLE);
    suspend_code = 0;
    play_call(&one, 100);
    assert_false(sandbox_suspend(&first)); /* no clone */
    sandbox_begin(&one);
    assert_false(sandbox_suspend(&one)); /* busy */
    sandbox_finish(&one);
    play_call(&first, 100);
    sandbox_close(&first);
    open_first(&plain);
    assert_false(sandbox_suspend(&first));
    sandbox_break(&one);
    assert_false(sandbox_suspend(&one));
}

static void who_cannot_come_back_loses_nothing(void **state)
{
    (void)state;
    assert_true(sandbox_suspend(&one));
    sandbox_close(&first);
    for (int i = 0; i < 3; i++) {
        clone_code = GBX_EHOST;
        assert_int_equal(sandbox_resume(&one, &config, &err), GBX_EHOST);
        assert_int_equal(one.state, SANDBOX_SUSPENDED);
        assert_int_equal(open_plays, 0);
        assert_int_equal(count_open_files(), files_before);
    }
    clone_code = 0;
    resume();
    assert_int_equal(one.last_call, 2);
    play_call(&one, 100);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, suspend_setup, play_teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_goes_on_where_it_stood),
        TEST(put_away_it_has_no_files),
        TEST(it_can_be_closed_while_it_is_away),
        TEST(who_cannot_be_put_away_goes_on),
        TEST(who_cannot_come_back_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
