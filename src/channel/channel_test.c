/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "channel/pair_test.h"
#include "channel/ring.h"

#include <cmocka.h>

#define HALF       GBX_HALF_BYTES_MIN
#define PEER_ARENA (HALF + GBX_ARENA_OFF)

static struct pair pair;
static struct channel *const host = &pair.host;
static struct channel *const guest = &pair.guest;
static struct gbx_descriptor got;

/* Looks at the clock, by anybody in this program. */
static _Atomic unsigned clock_looks;

int clock_gettime(clockid_t id, struct timespec *now)
{
    atomic_fetch_add_explicit(&clock_looks, 1, memory_order_relaxed);
    return (int)syscall(SYS_clock_gettime, id, now);
}

static int setup(void **state)
{
    (void)state;
    pair_open(&pair, HALF, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static struct gbx_descriptor with_body(struct channel *from, size_t bytes)
{
    struct gbx_descriptor d = {
        .kind = from == host ? GBX_KIND_INPUT : GBX_KIND_OUTPUT,
        .type = GBX_STREAM,
        .body_bytes = (uint32_t)bytes,
    };

    assert_int_equal(
        channel_reserve(from, bytes, pair_deadline(1), &d.body_off), 0);
    return d;
}

static void send_to(struct channel *from, struct gbx_descriptor d)
{
    assert_int_equal(channel_send(from, &d, pair_deadline(1)), 0);
}

/* What a hostile guest can do: write into its half. */
static void forge(struct gbx_descriptor d)
{
    ring_put(guest->my_ring, guest->ring_tail++, &d);
}

static void a_message_arrives_as_it_was_sent(void **state)
{
    struct gbx_descriptor d = with_body(host, 5);

    (void)state;
    d.call = 7;
    d.scalar = 0x123456789abcdef0u;
    memcpy(channel_at(host, d.body_off), "hello", 5);
    assert_int_equal(channel_put_name(host, &d, "frame", 5, 1), 0);
    assert_int_equal(channel_try_recv(guest, &got), GBX_EAGAIN);
    send_to(host, d);
    assert_int_equal(channel_recv(guest, &got, 0), 0);
    assert_memory_equal(&got, &d, sizeof(d));
    assert_memory_equal(channel_at(guest, got.body_off), "hello", 5);
    assert_int_equal(host->arena.count, 1);
    channel_give(guest, got.body_off);
    pair_collect(host);
    assert_int_equal(host->arena.count, 0);
}

static void what_is_ready_costs_no_look_at_the_clock(void **state)
{
    unsigned looks;

    (void)state;
    send_to(host, with_body(host, 5));
    looks = clock_looks;
    assert_int_equal(channel_recv(guest, &got, UINT64_MAX), 0);
    assert_int_equal(clock_looks, looks);
}

static void names_of_every_length_arrive(void **state)
{
    char name[GBX_NAME_BYTES_MAX + 1], back[GBX_NAME_BYTES_MAX + 1];

    (void)state;
    memset(name, 'n', sizeof(name));
    for (size_t bytes = 0; bytes <= GBX_NAME_BYTES_MAX; bytes++) {
        struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};

        assert_int_equal(channel_put_name(host, &d, name, bytes, 1), 0);
        send_to(host, d);
        assert_int_equal(channel_try_recv(guest, &got), 0);
        assert_int_equal(channel_get_name(guest, &got, back), 0);
        assert_int_equal(strlen(back), bytes);
        assert_memory_equal(back, name, bytes);
    }
    pair_collect(host);
    assert_int_equal(host->arena.count, 0); /* all names came back */
    assert_int_equal(host->arena.lent, 0);
}

static void a_wrong_name_is_neither_sent_nor_received(void **state)
{
    static const struct {
        const char *name;
        size_t bytes;
    } cases[] = {
        {"a\0b", 3},
        {"\xff", 1},
        {"cut \xe2\x82", 6},
        {"one of those that are long, with a NUL\0", 39},
    };
    char name[GBX_NAME_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT};
        const size_t bytes = cases[i].bytes;

        assert_int_equal(channel_put_name(guest, &d, cases[i].name, bytes, 1),
                         GBX_EARGUMENT);
        if (bytes > GBX_NAME_INLINE_MAX) {
            d.flags = GBX_LONG_NAME;
            d.name.off = PEER_ARENA;
            memcpy(channel_at(guest, PEER_ARENA), cases[i].name, bytes);
        } else {
            memcpy(d.name.text, cases[i].name, bytes);
        }
        d.name_bytes = (uint8_t)bytes;
        forge(d);
        assert_int_equal(channel_try_recv(host, &got), 0);
        assert_int_equal(channel_get_name(host, &got, name), GBX_EFORMAT);
    }
    memset(name, 'n', sizeof(name));
    assert_int_equal(channel_put_name(guest, &got, name, 256, 1),
                     GBX_EARGUMENT);
}

static void a_guest_learns_of_the_hosts_growth_from_its_head(void **state)
{
    struct gbx_descriptor d;

    (void)state;
    pair_close(&pair);
    pair_open(&pair, 4 * HALF, 0);
    d = with_body(host, 5u << 20);
    assert_int_equal(pair.grows, 1);
    *(uint8_t *)channel_at(host, d.body_off + d.body_bytes - 1) = 42;
    send_to(host, d);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    assert_int_equal(
        *(uint8_t *)channel_at(guest, got.body_off + got.body_bytes - 1), 42);
}

static void a_block_passed_on_lives_until_both_gave_it(void **state)
{
    struct gbx_descriptor d = with_body(host, 100), other;

    (void)state;
    send_to(host, d);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    got.kind = GBX_KIND_OUTPUT;
    got.body_off += 10; /* a part of it */
    got.body_bytes = 90;
    send_to(guest, got);
    channel_give(guest, d.body_off);
    /* Its message was not received yet: the give must not free it. */
    pair_collect(host);
    other = with_body(host, 100);
    assert_int_not_equal(other.body_off, d.body_off);
    assert_int_equal(host->arena.lent, 0);
    assert_int_equal(channel_try_recv(host, &got), 0);
    assert_int_equal(got.body_off, d.body_off + 10);
    assert_int_equal(channel_try_recv(host, &got), GBX_EAGAIN);
    channel_give(host, d.body_off + 10);
    assert_int_equal(with_body(host, 100).body_off, d.body_off);
}

static void small_blocks_are_taken_in_when_there_are_a_few(void **state)
{
    const uint64_t first = with_body(host, 64).body_off;
    unsigned most = 0;

    (void)state;
    channel_drop(host, first);
    for (unsigned round = 0; round < 1000; round++) {
        send_to(host, with_body(host, 64));
        assert_int_equal(channel_try_recv(guest, &got), 0);
        channel_give(guest, got.body_off);
        assert_in_range(got.body_off, first, first + 511);
        if (host->arena.count > most)
            most = host->arena.count;
    }
    assert_int_equal(most, 8);
    /* Nobody pays for a large one with what small ones left lent. */
    assert_int_equal(with_body(host, PAIR_ARENA).body_off, first);
    assert_int_equal(host->arena.lent, 0);
}

static void who_tries_for_a_block_does_not_wait(void **state)
{
    struct gbx_descriptor d = with_body(host, PAIR_ARENA);
    uint64_t off;

    (void)state;
    send_to(host, d);
    host->config.bell.sleep = NULL;
    assert_int_equal(channel_try_reserve(host, 1, &off), GBX_EARENA);
    assert_int_equal(channel_try_reserve(host, SIZE_MAX, &off), GBX_ELIMIT);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    channel_give(guest, got.body_off);
    assert_int_equal(channel_try_reserve(host, 1, &off), 0);
}

static void what_came_ahead_of_gives_stays_in_order(void **state)
{
    struct gbx_descriptor d;

    (void)state;
    for (uint64_t round = 0; round < 1000; round++) {
        send_to(host, with_body(host, 64));
        assert_int_equal(channel_try_recv(guest, &got), 0);
        d = (struct gbx_descriptor){.kind = GBX_KIND_OUTPUT};
        for (uint64_t n = 0; n < round % 100; n++) {
            if (n == round % 7)
                channel_give(guest, got.body_off);
            if (n % 5 == 4)
                pair_collect(host);
            d.scalar = n;
            send_to(guest, d);
        }
        if (round % 100 <= round % 7)
            channel_give(guest, got.body_off);
        for (uint64_t n = 0; n < round % 100; n++) {
            assert_int_equal(channel_try_recv(host, &got), 0);
            assert_int_equal(got.scalar, n);
        }
        assert_int_equal(channel_try_recv(host, &got), GBX_EAGAIN);
    }
    pair_collect(host);
    assert_int_equal(host->arena.count, 0);
}

static void one_block_can_be_sent_to_many_and_kept(void **state)
{
    struct gbx_descriptor d = with_body(host, 100);

    (void)state;
    assert_int_equal(channel_hold(host, d.body_off, 100), 0);
    assert_int_equal(channel_hold(host, d.body_off, 100), 0);
    send_to(host, d);
    send_to(host, d);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(channel_try_recv(guest, &got), 0);
        channel_give(guest, got.body_off);
    }
    pair_collect(host);
    assert_int_equal(with_body(host, 1).body_off, d.body_off + 128);
    assert_int_equal(host->arena.lent, 0);
    channel_give(host, d.body_off);
    assert_int_equal(with_body(host, 1).body_off, d.body_off);
    assert_int_equal(channel_hold(host, d.body_off + 200, 1), GBX_EBOUNDS);
}

static void a_full_ring_is_named_at_the_deadline(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};

    (void)state;
    for (unsigned i = 0; i < GBX_RING_SLOTS; i++)
        send_to(host, d);
    assert_int_equal(channel_send(host, &d, pair_deadline(2)), GBX_ERING);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    send_to(host, d);
    assert_int_equal(channel_send(host, &d, 1), GBX_ERING);
}

static void a_full_arena_is_named_at_the_deadline(void **state)
{
    struct gbx_descriptor d = with_body(host, PAIR_ARENA);
    uint64_t off;

    (void)state;
    send_to(host, d);
    assert_int_equal(channel_reserve(host, 1, pair_deadline(2), &off),
                     GBX_EARENA);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    channel_give(guest, got.body_off);
    assert_int_equal(channel_reserve(host, 1, 1, &off), 0);
}

static void without_hope_of_a_block_nobody_waits(void **state)
{
    uint64_t off;

    (void)state;
    assert_int_equal(channel_reserve(host, PAIR_ARENA + 1, 0, &off),
                     GBX_ELIMIT);
    assert_int_equal(channel_reserve(host, SIZE_MAX, 0, &off), GBX_ELIMIT);
    with_body(host, PAIR_ARENA);
    assert_int_equal(channel_reserve(host, 1, 0, &off), GBX_EARENA);
}

static void a_refused_growth_waits_for_blocks_and_another_code_ends(void **st)
{
    uint64_t off;

    (void)st;
    pair_close(&pair);
    pair_open(&pair, 4 * HALF, 0);
    pair.grow_code = GBX_EMEMORY;
    assert_int_equal(channel_reserve(host, 3u << 20, 0, &off), GBX_EMEMORY);
    send_to(host, with_body(host, PAIR_ARENA));
    assert_int_equal(channel_reserve(host, 1, pair_deadline(1), &off),
                     GBX_EARENA);
    pair.grow_code = GBX_EEXIT;
    assert_int_equal(channel_reserve(host, 1, 0, &off), GBX_EEXIT);
    pair.grow_code = 0;
    assert_int_equal(channel_reserve(host, 1, 0, &off), 0);
    assert_int_equal(host->arena.bytes, 4u << 20);
}

static void too_many_lent_blocks_wait_like_a_full_arena(void **state)
{
    struct gbx_descriptor d = with_body(host, 64);

    (void)state;
    for (unsigned i = 0; i <= GBX_ARENA_BLOCKS; i++)
        assert_int_equal(channel_hold(host, d.body_off, 64), 0);
    for (unsigned i = 0; i < GBX_ARENA_BLOCKS; i++) {
        send_to(host, d);
        assert_int_equal(channel_try_recv(guest, &got), 0);
    }
    assert_int_equal(channel_send(host, &d, 1), GBX_EARENA);
    channel_give(guest, d.body_off);
    send_to(host, d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_as_it_was_sent),
        TEST(what_is_ready_costs_no_look_at_the_clock),
        TEST(names_of_every_length_arrive),
        TEST(a_wrong_name_is_neither_sent_nor_received),
        TEST(a_guest_learns_of_the_hosts_growth_from_its_head),
        TEST(a_block_passed_on_lives_until_both_gave_it),
        TEST(small_blocks_are_taken_in_when_there_are_a_few),
        TEST(who_tries_for_a_block_does_not_wait),
        TEST(what_came_ahead_of_gives_stays_in_order),
        TEST(one_block_can_be_sent_to_many_and_kept),
        TEST(a_full_ring_is_named_at_the_deadline),
        TEST(a_full_arena_is_named_at_the_deadline),
        TEST(without_hope_of_a_block_nobody_waits),
        TEST(a_refused_growth_waits_for_blocks_and_another_code_ends),
        TEST(too_many_lent_blocks_wait_like_a_full_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
