/* SPDX-License-Identifier: Apache-2.0 */
/* borrow_life_test.c - bodies that are shown or kept, and what becomes of their
 * sandboxes. */
#include "channel/body/keep.h"
#include "sandbox/borrow_test.h"

static void a_template_has_what_was_shown(void **state)
{
    const struct sandbox_config config = config_of(&lender);
    uint64_t off;

    (void)state;
    play_call(&first, 100);
    off = borrow(&first, 0);
    input(&first, off);
    next = (struct gbx_descriptor){.kind = GBX_KIND_DONE, .call = first.call};
    act = say_next;
    assert_int_equal(sandbox_step(&first, 0, &event, &err), 0);
    sandbox_finish(&first);

    borrow_code = GBX_EHOST;
    assert_int_equal(template_take(&template, &first, &err), GBX_EHOST);
    assert_int_equal(first.state, SANDBOX_BROKEN);
    sandbox_close(&first);
    assert_int_equal(holders(), 1);

    borrow_code = 0;
    act = say_ready;
    assert_int_equal(sandbox_open(&first, &config, 0, &err), 0);
    off = borrow(&first, 0);
    input(&first, off);
    next.call = first.call;
    act = say_next;
    assert_int_equal(sandbox_step(&first, 0, &event, &err), 0);
    sandbox_finish(&first);
    assert_int_equal(template_take(&template, &first, &err), 0);
    assert_int_equal(holders(), 1);
    memset(bytes, 0, BYTES); /* it is nobody's any more */
    assert_int_equal(sandbox_clone(&one, &config, template, &err), 0);
    expect_shown(&first, off);
    expect_shown(&one, off);
    assert_int_equal(one.channel.arena.count, 1);
    give_back(&one, off);
    assert_int_equal(one.channel.arena.count, 0);
}

/* A clone that was shown a body and keeps its view. */
static uint64_t show_to_clone(void)
{
    const struct sandbox_config config = config_of(&lender);
    uint64_t off;

    play_take();
    assert_int_equal(sandbox_clone(&one, &config, template, &err), 0);
    off = borrow(&one, 0);
    input(&one, off);
    next = (struct gbx_descriptor){.kind = GBX_KIND_DONE, .call = one.call};
    act = say_next;
    assert_int_equal(sandbox_step(&one, 0, &event, &err), 0);
    sandbox_finish(&one);
    return off;
}

static void a_wipe_forgets_it(void **state)
{
    (void)state;
    show_to_clone();
    assert_int_equal(holders(), 2);
    assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    assert_int_equal(holders(), 1);
    expect_template(&one);
    assert_false(is_shown_anywhere(&one));
    play_call(&one, 100000);
}

static void a_wipe_that_cannot_forget_it_fails(void **state)
{
    (void)state;
    show_to_clone();
    borrow_code = GBX_EHOST;
    assert_int_equal(sandbox_wipe(&one, 0, &err), GBX_EHOST);
    assert_int_equal(one.state, SANDBOX_BROKEN);
    sandbox_close(&one);
    assert_int_equal(holders(), 1);
}

static void a_sandbox_put_away_has_a_copy(void **state)
{
    const struct sandbox_config config = config_of(&lender);
    uint64_t off = show_to_clone();

    (void)state;
    assert_true(sandbox_suspend(&one));
    assert_int_equal(holders(), 1);
    memset(bytes, 0, BYTES);
    assert_int_equal(sandbox_resume(&one, &config, &err), 0);
    expect_shown(&one, off);
    give_back(&one, off);
}

/* The guest's own body, kept by somebody. */
static struct gbx_body *keep_of(struct sandbox *sandbox)
{
    struct channel *guest = &play_of(sandbox)->guest;
    struct gbx_body *kept;
    uint64_t off;

    assert_int_equal(channel_reserve(guest, BYTES, 1, &off), 0);
    memset(channel_at(guest, off), 'k', BYTES);
    sandbox_begin(sandbox);
    assert_int_equal(step(sandbox, off, BYTES), 0);
    kept = keep_body(&sandbox->region, event.body_off, BYTES, UINT32_MAX);
    assert_non_null(kept);
    sandbox_finish(sandbox);
    return kept;
}

static void a_body_that_is_read_is_not_wiped(void **state)
{
    const struct sandbox_config config = config_of(&lender);
    struct gbx_body *kept;
    const void *data;

    (void)state;
    play_take();
    assert_int_equal(sandbox_clone(&one, &config, template, &err), 0);
    kept = keep_of(&one);
    assert_false(sandbox_suspend(&one));
    assert_int_equal(one.state, SANDBOX_IDLE);
    assert_int_equal(sandbox_wipe(&one, 0, &err), GBX_EAGAIN);
    assert_int_equal(one.state, SANDBOX_BROKEN);
    sandbox_close(&one);
    assert_int_equal(gbx_body_view(kept, &data), BYTES);
    assert_int_equal(((const uint8_t *)data)[BYTES - 1], 'k');
    gbx_body_put(kept);

    /* But when it is put in time. */
    assert_int_equal(sandbox_clone(&one, &config, template, &err), 0);
    gbx_body_put(keep_of(&one));
    assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    expect_template(&one);
}

/* Of a template's bodies, its clones have nobody who keeps them. */
static void a_clone_gives_back_what_its_template_kept(void **state)
{
    const struct sandbox_config config = config_of(&lender);
    struct gbx_body *kept = keep_of(&first);

    (void)state;
    assert_int_equal(template_take(&template, &first, &err), 0);
    assert_int_equal(sandbox_clone(&one, &config, template, &err), 0);
    for (int round = 0; round < 2; round++) {
        struct channel *guest = &play_of(&one)->guest;
        uint64_t off;

        assert_int_equal(guest->arena.count, 1);
        assert_int_equal(channel_reserve(guest, GBX_PAGED_BYTES, 1, &off), 0);
        assert_int_equal(guest->arena.count, 1);
        channel_drop(guest, off);
        assert_int_equal(sandbox_wipe(&one, 0, &err), 0);
    }
    gbx_body_put(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BORROW_TEST(a_template_has_what_was_shown),
        BORROW_TEST(a_wipe_forgets_it),
        BORROW_TEST(a_wipe_that_cannot_forget_it_fails),
        BORROW_TEST(a_sandbox_put_away_has_a_copy),
        BORROW_TEST(a_body_that_is_read_is_not_wiped),
        BORROW_TEST(a_clone_gives_back_what_its_template_kept),
    };

    return cmocka_run_group_tests_name("the life of borrowed bodies", tests,
                                       NULL, NULL);
}
