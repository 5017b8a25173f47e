/* SPDX-License-Identifier: Apache-2.0 */
/* borrow_test.c - a guest is shown a body: all of it, and nothing else. */
#include "sandbox/borrow_test.h"

static void the_guest_sees_the_body_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= BORROW_COPIES_HEAD; flags++) {
        uint64_t off = borrow(&first, flags);

        input(&first, off);
        expect_shown(&first, off);
        expect_nothing_else(&first);
        assert_int_equal(holders(), 2);
        give_back(&first, off);
        assert_int_equal(holders(), 1);
        assert_int_equal(first.channel.arena.count, 0);
        sandbox_finish(&first);
    }
}

static void its_pages_are_the_arenas_own_afterwards(void **state)
{
    uint64_t off = borrow(&first, 0), again;

    (void)state;
    input(&first, off);
    give_back(&first, off);
    assert_int_equal(holders(), 1);
    assert_false(is_shown_anywhere(&first));
    /* And the host's writes are seen there. */
    assert_int_equal(channel_reserve(&first.channel, LEN, 1, &again), 0);
    memset(channel_at(&first.channel, again), 'n', LEN);
    for (size_t i = 0; i < LEN; i++)
        assert_int_equal(play_of(&first)->window[again + i], 'n');
    channel_drop(&first.channel, again);
    sandbox_finish(&first);
}

static void only_edges_are_copied(void **state)
{
    uint64_t before = first.channel.count.copied_bytes, copied;

    (void)state;
    borrow(&first, 0);
    copied = first.channel.count.copied_bytes - before;
    assert_true(copied > 0 && copied < 2 * GBX_PAGE_BYTES);
}

static void its_head_does_not_change(void **state)
{
    uint64_t off;

    (void)state;
    assert_int_equal(
        borrow_body(&first, body, bytes, BYTES, BORROW_COPIES_HEAD, &off), 0);
    bytes[0] = 'n';
    assert_int_equal(play_of(&first)->window[off], OTHER);
    bytes[GBX_PAGE_BYTES] = 'n'; /* but this is shown */
    assert_int_equal(play_of(&first)->window[off + GBX_PAGE_BYTES], 'n');
    channel_drop(&first.channel, off);
    assert_int_equal(holders(), 1);
}

static void what_it_passes_on_is_the_body(void **state)
{
    uint64_t off = borrow(&first, 0);

    (void)state;
    input(&first, off);
    assert_int_equal(step(&first, off + 100, LEN - 100), 0);
    assert_ptr_equal(event.message.body, bytes + AT + 100);
    assert_int_equal(event.message.body_bytes, LEN - 100);
    assert_ptr_equal(borrow_find(&first, event.body_off), body);
    sandbox_give(&first, event.body_off);
    assert_int_equal(step(&first, off + LEN, 0), 0);
    sandbox_give(&first, event.body_off);
    give_back(&first, off);
    assert_int_equal(holders(), 1);
    assert_null(borrow_find(&first, off));
    sandbox_finish(&first);
}

/* A block is a little longer than what it shows. */
static void what_lies_beside_it_cannot_be_passed_on(void **state)
{
    static const struct {
        int64_t from;
        uint32_t count;
    } lies[] = {{0, LEN + 1}, {1, LEN}, {LEN, 1}, {-1, 2}, {-1, 0}};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint64_t off = borrow(&first, 0);

        input(&first, off);
        assert_int_equal(
            step(&first, off + (uint64_t)lies[i].from, lies[i].count),
            GBX_EBROKEN);
        assert_non_null(strstr(err.what, "shown"));
        assert_int_equal(first.state, SANDBOX_BROKEN);
        borrow_teardown(state);
        assert_int_equal(borrow_setup(state), 0);
    }
}

static void print_nothing(void *context, int stream, const void *text,
                          size_t count)
{
    (void)stream;
    (void)text;
    *(size_t *)context += count;
}

static void nor_can_it_be_printed(void **state)
{
    size_t printed = 0;
    uint64_t off = borrow(&first, 0);

    (void)state;
    first.output = print_nothing;
    first.output_context = &printed;
    first.printed_max = UINT64_MAX;
    input(&first, off);
    next = (struct gbx_descriptor){.kind = GBX_KIND_PRINT,
                                   .type = GBX_STRING,
                                   .scalar = 1,
                                   .body_off = off,
                                   .body_bytes = LEN + 1};
    act = say_next;
    assert_int_equal(sandbox_step(&first, 0, &event, &err), GBX_EBROKEN);
    assert_int_equal(printed, 0);
}

static void what_cannot_be_shown_is_said(void **state)
{
    uint64_t off;

    (void)state;
    assert_int_equal(
        borrow_body(&first, body, bytes, GBX_PAGED_BYTES - 1, 0, &off),
        GBX_EUNSUPPORTED);
    assert_int_equal(borrow_body(&first, body, bytes + 1, BYTES, 0, &off),
                     GBX_EBOUNDS);
    lender.borrow = NULL;
    assert_int_equal(borrow_body(&first, body, bytes, BYTES, 0, &off),
                     GBX_EUNSUPPORTED);
    lender.borrow = faulty_borrow;
    borrow_code = GBX_EHOST;
    assert_int_equal(borrow_body(&first, body, bytes, BYTES, 0, &off),
                     GBX_EHOST);
    assert_int_equal(first.channel.arena.count, 0);
    assert_int_equal(holders(), 1);
    borrow_code = 0;
    channel_drop(&first.channel, borrow(&first, 0));
}

/* More would be copied. */
static void there_is_a_greatest_number(void **state)
{
    static uint64_t offs[BORROWS_MAX];
    struct sandbox_config config = config_of(&lender);
    const void *data;
    uint64_t off;

    (void)state;
    config.bundle.limits.message_bytes = 64u << 20;
    act = say_ready;
    assert_int_equal(sandbox_open(&one, &config, 0, &err), 0);
    gbx_body_view(body, &data);
    for (size_t i = 0; i < BORROWS_MAX; i++)
        assert_int_equal(
            borrow_body(&one, body, data, GBX_PAGED_BYTES, 0, &offs[i]), 0);
    assert_int_equal(borrow_body(&one, body, data, GBX_PAGED_BYTES, 0, &off),
                     GBX_ELIMIT);
    assert_int_equal(holders(), BORROWS_MAX + 1);
    channel_drop(&one.channel, offs[7]);
    assert_int_equal(
        borrow_body(&one, body, data, GBX_PAGED_BYTES, 0, &offs[7]), 0);
    for (size_t i = 0; i < BORROWS_MAX; i++)
        channel_drop(&one.channel, offs[i]);
    assert_int_equal(holders(), 1);
    /* A full arena, too. */
    while ((off = 0, borrow_body(&first, body, bytes, BYTES, 0, &off)) == 0)
        ;
    assert_int_equal(borrow_body(&first, body, bytes, BYTES, 0, &off),
                     GBX_EARENA);
}

/* The guest drops its view; the host has not looked yet. */
static void show_and_drop(void)
{
    uint64_t off = borrow(&first, 0);

    input(&first, off);
    channel_give(&play_of(&first)->guest, off);
    sandbox_finish(&first);
    maps = 0;
}

static void the_next_body_is_mapped_over_the_last(void **state)
{
    struct gbx_body *next_body;
    uint64_t off;
    void *data;

    (void)state;
    show_and_drop();
    assert_int_equal(gbx_body_make(&next_body, BYTES, &data, &err), 0);
    memset(data, OTHER, BYTES);
    memset((uint8_t *)data + AT, SHOWN, LEN);
    memset(bytes, 'o', BYTES);
    assert_int_equal(
        borrow_body(&first, next_body, (uint8_t *)data + AT, LEN, 0, &off), 0);
    assert_int_equal(maps, 1);
    assert_int_equal(holders(), 1);
    expect_shown(&first, off);
    expect_nothing_else(&first);
    assert_int_equal(first.channel.arena.count, 1);
    channel_drop(&first.channel, off);
    assert_false(is_shown_anywhere(&first));
    gbx_body_put(next_body);
}

/* One that lies otherwise; and one that cannot be mapped. */
static void or_its_pages_are_given_back_first(void **state)
{
    uint64_t off;

    (void)state;
    show_and_drop();
    assert_int_equal(borrow_body(&first, body, bytes + AT, LEN - 8192, 0, &off),
                     0);
    assert_int_equal(maps, 2);
    assert_int_equal(holders(), 2);
    channel_drop(&first.channel, off);
    assert_false(is_shown_anywhere(&first));

    show_and_drop();
    borrow_code = GBX_EHOST;
    only_new = true;
    assert_int_equal(borrow_body(&first, body, bytes + AT, LEN, 0, &off),
                     GBX_EHOST);
    assert_int_equal(holders(), 1);
    assert_int_equal(first.channel.arena.count, 0);
    assert_int_equal(first.channel.broken, 0);
    assert_false(is_shown_anywhere(&first));

    borrow_code = 0;
    show_and_drop();
    borrow_code = GBX_EHOST;
    only_new = false;
    assert_int_equal(borrow_body(&first, body, bytes + AT, LEN, 0, &off),
                     GBX_EHOST);
    assert_int_equal(first.channel.broken, GBX_EHOST);
}

/* Of several that have come back, each is given back or mapped over. */
static void several_come_back_at_once(void **state)
{
    uint64_t offs[3], off;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(borrow_body(&first, body, bytes + AT,
                                     LEN - (uint32_t)i * 8192, 0, &offs[i]),
                         0);
        input(&first, offs[i]);
        sandbox_finish(&first);
    }
    assert_int_equal(holders(), 4);
    for (int i = 0; i < 3; i++)
        channel_give(&play_of(&first)->guest, offs[i]);
    maps = 0;
    off = borrow(&first, 0);
    assert_int_equal(off, offs[0]);
    assert_int_equal(maps, 3); /* two back, one over */
    assert_int_equal(holders(), 2);
    expect_shown(&first, off);
    channel_drop(&first.channel, off);
    assert_int_equal(holders(), 1);
    assert_false(is_shown_anywhere(&first));
}

/* Pages that still show a body must not be written to. */
static void when_pages_cannot_be_taken_back_the_sandbox_is_over(void **state)
{
    uint64_t off = borrow(&first, 0);

    (void)state;
    input(&first, off);
    borrow_code = GBX_EHOST;
    channel_give(&play_of(&first)->guest, off);
    channel_reserve(&first.channel, GBX_PAGED_BYTES, 1, &off);
    act = NULL;
    assert_true(sandbox_step(&first, 0, &event, &err) < 0);
    assert_int_equal(first.state, SANDBOX_BROKEN);
    assert_int_equal(holders(), 2); /* until it is closed */
    sandbox_close(&first);
    assert_int_equal(holders(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BORROW_TEST(the_guest_sees_the_body_and_nothing_else),
        BORROW_TEST(its_pages_are_the_arenas_own_afterwards),
        BORROW_TEST(only_edges_are_copied),
        BORROW_TEST(its_head_does_not_change),
        BORROW_TEST(what_it_passes_on_is_the_body),
        BORROW_TEST(what_lies_beside_it_cannot_be_passed_on),
        BORROW_TEST(nor_can_it_be_printed),
        BORROW_TEST(what_cannot_be_shown_is_said),
        BORROW_TEST(there_is_a_greatest_number),
        BORROW_TEST(the_next_body_is_mapped_over_the_last),
        BORROW_TEST(or_its_pages_are_given_back_first),
        BORROW_TEST(several_come_back_at_once),
        BORROW_TEST(when_pages_cannot_be_taken_back_the_sandbox_is_over),
    };

    return cmocka_run_group_tests_name("borrowed bodies", tests, NULL, NULL);
}
