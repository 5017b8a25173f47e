/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template_test.c - sandboxes that begin as another one stood, and go back to
 * it.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sandbox/template_test.h"

static void a_clone_goes_on_where_the_other_stood(void **state)
{
    (void)state;
    play_call(&first, 100);
    play_take();
    play_call(&first, 3 << 20); /* of which it knows nothing */
    assert_int_equal(play_copy(&one), 0);
    assert_int_equal(play_copy(&other), 0);
    expect_template(&one);
    expect_template(&other);
    assert_int_equal(one.last_call, 2);
    play_call(&one, 4 << 20);
    assert_int_equal(one.last_call, 3);
    expect_template(&other);
    play_call(&other, 10);
    play_call(&first, 10);
}

static void a_wiped_clone_is_as_its_template_was(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    for (unsigned round = 0; round < 3; round++) {
        play_call(&one, 10 + (round << 20));
        play_call(&one, 4 << 20);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
    }
    play_call(&one, 100);
}

static void a_clone_that_ended_can_be_wiped(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    for (unsigned round = 0; round < 3; round++) {
        sandbox_begin(&one);
        assert_int_equal(sandbox_step(&one, 0, &event, &err), GBX_EEXIT);
        assert_int_equal(one.state, SANDBOX_BROKEN);
        assert_int_not_equal(one.ended, 0);
        sandbox_finish(&one);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
        play_call(&one, 100);

        sandbox_begin(&one);
        sandbox_kill(&one);
        assert_int_equal(sandbox_step(&one, 0, &event, &err), GBX_ECANCELED);
        sandbox_finish(&one);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
        play_call(&one, 100);
    }
}

/* In a child; the signal that ends it, or 0. */
static int signal_of(void (*what)(void))
{
    pid_t child;
    int status;

    fflush(NULL);
    child = fork();
    must(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        must(freopen("/dev/null", "w", stderr) != NULL);
        what();
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void wipe_first(void)
{
    sandbox_wipe(&first, 0, &err);
}

static void wipe_one(void)
{
    sandbox_wipe(&one, 0, &err);
}

static void clone_as_plain(void)
{
    const struct sandbox_config config = config_of(&plain);

    sandbox_clone(&other, &config, template, &err);
}

static void take_of_one(void)
{
    template_take(&template, &one, &err);
}

static void what_must_not_be_done_is_not_done(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    assert_int_equal(signal_of(wipe_one), 0);
    sandbox_begin(&one);
    assert_int_equal(signal_of(wipe_one), SIGABRT); /* in a call */
    assert_int_equal(signal_of(take_of_one), SIGABRT);
    sandbox_finish(&one);
    sandbox_break(&one);
    assert_int_equal(signal_of(wipe_one), 0);
    assert_int_equal(signal_of(take_of_one), SIGABRT);
    sandbox_break(&first);
    assert_int_equal(signal_of(wipe_first),
                     SIGABRT); /* no clone: there is no way back */
    assert_int_equal(signal_of(clone_as_plain), SIGABRT);
}

static bool seeds_differ(const struct sandbox *a, const struct sandbox *b)
{
    const struct gbx_half_head *x = head_of(a), *y = head_of(b);

    return x->copy != y->copy && memcmp(x->seed, y->seed, sizeof(x->seed)) != 0;
}

static void no_two_copies_have_the_same_seed(void **state)
{
    struct gbx_half_head before;

    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    assert_int_equal(play_copy(&other), 0);
    assert_true(seeds_differ(&one, &other));
    assert_true(seeds_differ(&one, &first));
    for (unsigned i = 0; i < 10; i++) {
        before = *head_of(&one);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        assert_int_not_equal(head_of(&one)->copy, before.copy);
        assert_memory_not_equal(head_of(&one)->seed, before.seed,
                                sizeof(before.seed));
    }
}

static void a_wipe_that_fails_can_be_tried_again(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    for (unsigned i = 0; i < 2; i++) {
        play_call(&one, 1000);
        wipe_code = GBX_EHOST;
        assert_int_equal(sandbox_wipe(&one, 0, &err), GBX_EHOST);
        assert_int_equal(one.state, SANDBOX_BROKEN);
        assert_int_equal(sandbox_wipe(&one, 0, &err), GBX_EHOST);
        assert_int_equal(one.state, SANDBOX_BROKEN);
        wipe_code = 0;
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
        expect_template(&one);
    }
}

static void a_template_lives_as_long_as_its_last_clone(void **state)
{
    (void)state;
    play_take();
    assert_int_equal(template->references, 1);
    assert_int_equal(play_copy(&one), 0);
    assert_int_equal(play_copy(&other), 0);
    assert_int_equal(template->references, 3);
    assert_ptr_equal(template_get(template), template);
    assert_int_equal(template->references, 4);
    template_put(template);
    sandbox_close(&first);
    template_put(template);
    assert_int_equal(snapshots, 1);
    sandbox_close(&other);
    sandbox_close(&other);
    assert_int_equal(one.template->references, 1);
    play_call(&one, 100);
    assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    play_call(&one, 100);
    sandbox_close(&one);
    assert_int_equal(snapshots, 0);
    template_put(NULL);
    template = NULL;
}

static void a_clone_can_be_a_template_too(void **state)
{
    struct template *other_template;

    (void)state;
    play_take();
    assert_int_equal(play_copy(&one), 0);
    play_call(&one, 3 << 20);
    assert_int_equal(template_take(&other_template, &one, &err), 0);
    template_put(template);
    template = other_template;
    assert_int_equal(play_copy(&other), 0);
    expect_template(&other);
    assert_int_equal(other.last_call, 2);
    play_call(&other, 100);
    assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    assert_int_equal(one.last_call, 1);
    assert_int_equal(sandbox_wipe(&other, 0, &err), 0);
    expect_template(&other);
}

static void who_cannot_be_a_template_says_so(void **state)
{
    static const struct {
        int code;
        enum sandbox_state after;
    } cases[] = {
        {GBX_EUNSUPPORTED, SANDBOX_IDLE},
        {GBX_EHOST, SANDBOX_IDLE},
        {GBX_EEXIT, SANDBOX_BROKEN},
        {GBX_ETIME, SANDBOX_IDLE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snapshot_code = cases[i].code;
        assert_int_equal(template_take(&template, &first, &err), cases[i].code);
        assert_null(template);
        assert_int_equal(first.state, cases[i].after);
        if (cases[i].after != SANDBOX_BROKEN)
            continue;
        play_teardown(state);
        play_setup(state);
    }
    snapshot_code = 0;
    sandbox_close(&first);
    open_first(&plain);
    assert_int_equal(template_take(&template, &first, &err), GBX_EUNSUPPORTED);
    assert_non_null(strstr(err.what, "plain"));
    assert_int_equal(first.state, SANDBOX_IDLE);
}

static void a_region_of_another_size_is_refused(void **state)
{
    struct sandbox_config config = config_of(&play);

    (void)state;
    play_take();
    config.bundle.limits.message_bytes *= 2;
    assert_int_equal(sandbox_clone(&one, &config, template, &err),
                     GBX_EARGUMENT);
    assert_int_equal(one.state, SANDBOX_EMPTY);
    clone_code = GBX_ESTALE;
    assert_int_equal(play_copy(&one), GBX_ESTALE);
    assert_int_equal(one.state, SANDBOX_EMPTY);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, play_setup, play_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_clone_goes_on_where_the_other_stood),
        TEST(a_wiped_clone_is_as_its_template_was),
        TEST(a_clone_that_ended_can_be_wiped),
        TEST(what_must_not_be_done_is_not_done),
        TEST(no_two_copies_have_the_same_seed),
        TEST(a_wipe_that_fails_can_be_tried_again),
        TEST(a_template_lives_as_long_as_its_last_clone),
        TEST(a_clone_can_be_a_template_too),
        TEST(who_cannot_be_a_template_says_so),
        TEST(a_region_of_another_size_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
