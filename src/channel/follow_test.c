/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow_test.c - a channel goes on where another one stood, over a copy of the
 * other's region; and so does the guest, whose memory was copied with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/pair_test.h"
#include "channel/region_image.h"
#include "channel/ring.h"

#include <cmocka.h>

#define HALF (16ull << 20)

/* What both sides of a pair were at a moment. */
struct moment {
    struct region_image image;
    struct channel host, guest;
};

static struct pair one, other;
static struct moment kept;
static struct gbx_descriptor got;

static int setup(void **state)
{
    (void)state;
    pair_open(&one, HALF, 0);
    pair_open(&other, HALF, 0);
    memset(&kept, 0, sizeof(kept));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    region_image_fini(&kept.image);
    pair_close(&other);
    pair_close(&one);
    return 0;
}

static void keep(const struct pair *pair)
{
    region_image_fini(&kept.image);
    assert_int_equal(region_image_take(&kept.image, &pair->region, NULL), 0);
    channel_follow(&kept.host, &pair->host);
    kept.guest = pair->guest;
}

/* A guest's copy has the same addresses; here they are other ones. */
static void copy_guest(struct pair *pair)
{
    struct channel fresh = pair->guest;

    pair->guest = kept.guest;
    pair->guest.config = fresh.config;
    pair->guest.mine = fresh.mine;
    pair->guest.peer = fresh.peer;
    pair->guest.my_ring = fresh.my_ring;
    pair->guest.peer_ring = fresh.peer_ring;
    pair->guest.my_gives = fresh.my_gives;
    pair->guest.peer_gives = fresh.peer_gives;
}

static void go_back(struct pair *pair)
{
    assert_int_equal(region_image_put(&kept.image, &pair->region), 0);
    channel_follow(&pair->host, &kept.host);
    copy_guest(pair);
}

static struct gbx_descriptor with_body(struct pair *pair, bool by_host,
                                       size_t bytes)
{
    struct gbx_descriptor d = {
        .kind = by_host ? GBX_KIND_INPUT : GBX_KIND_OUTPUT,
        .type = GBX_STREAM,
        .body_bytes = (uint32_t)bytes,
    };
    struct channel *from = by_host ? &pair->host : &pair->guest;

    assert_int_equal(channel_reserve(from, bytes, 1, &d.body_off), 0);
    return d;
}

static void send_from(struct channel *from, struct gbx_descriptor d)
{
    assert_int_equal(channel_send(from, &d, 1), 0);
}

static void a_block_that_was_lent_stays_lent(void **state)
{
    struct gbx_descriptor d = with_body(&one, true, 100), next;

    (void)state;
    memcpy(channel_at(&one.host, d.body_off), "hello", 6);
    send_from(&one.host, d);
    keep(&one);
    go_back(&other);
    assert_int_equal(other.host.arena.count, 1);
    assert_int_equal(other.host.arena.lent, 1);
    next = with_body(&other, true, 100);
    assert_int_not_equal(next.body_off, d.body_off);
    assert_int_equal(channel_try_recv(&other.guest, &got), 0);
    assert_memory_equal(&got, &d, sizeof(d));
    assert_string_equal(channel_at(&other.guest, got.body_off), "hello");
    channel_give(&other.guest, got.body_off);
    pair_collect(&other.host);
    assert_int_equal(with_body(&other, true, 100).body_off, d.body_off);
    /* The other channel knows nothing of that. */
    assert_int_equal(one.host.arena.lent, 1);
    assert_int_equal(channel_try_recv(&one.guest, &got), 0);
}

static void gives_that_were_on_their_way_arrive(void **state)
{
    struct gbx_descriptor d[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        send_from(&one.host, d[i] = with_body(&one, true, 64));
        assert_int_equal(channel_try_recv(&one.guest, &got), 0);
    }
    channel_give(&one.guest, d[0].body_off);
    channel_give(&one.guest, d[2].body_off);
    keep(&one);
    go_back(&other);
    assert_int_equal(other.host.arena.lent, 3);
    pair_collect(&other.host);
    assert_int_equal(with_body(&other, true, 64).body_off, d[0].body_off);
    assert_int_equal(other.host.arena.lent, 1);
    /* Those of before are not taken twice, nor forgotten. */
    keep(&other);
    go_back(&one);
    channel_give(&one.guest, d[1].body_off);
    pair_collect(&one.host);
    assert_int_equal(with_body(&one, true, 64).body_off, d[1].body_off);
    assert_int_equal(one.host.arena.lent, 0);
}

/* The ring's slots may be overwritten by then: they were read. */
static void what_was_copied_ahead_is_received(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT};

    (void)state;
    send_from(&one.host, with_body(&one, true, 64));
    assert_int_equal(channel_try_recv(&one.guest, &got), 0);
    for (d.scalar = 1; d.scalar <= GBX_RING_SLOTS; d.scalar++)
        send_from(&one.guest, d);
    assert_int_equal(channel_try_recv(&one.host, &d), 0);
    channel_give(&one.guest, got.body_off);
    pair_collect(&one.host);
    assert_int_equal(one.host.ring_copied - one.host.ring_head,
                     GBX_RING_SLOTS - 1);
    keep(&one);
    go_back(&other);
    memset(other.guest.my_ring, 0xff, GBX_RING_SLOTS * sizeof(d));
    other.guest.my_ring[0].lap = 1; /* but for what is not there yet */
    for (uint64_t i = 2; i <= GBX_RING_SLOTS; i++) {
        assert_int_equal(channel_try_recv(&other.host, &got), 0);
        assert_int_equal(got.scalar, i);
    }
    assert_int_equal(channel_try_recv(&other.host, &got), GBX_EAGAIN);
}

static void who_was_caught_is_not_listened_to(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT};

    (void)state;
    one.guest.my_ring[0].lap = 100;
    assert_int_equal(channel_try_recv(&one.host, &got), GBX_EBROKEN);
    keep(&one);
    go_back(&other);
    other.guest.my_ring[0].lap = 0;
    assert_int_equal(channel_try_recv(&other.host, &got), GBX_EBROKEN);
    /* But by who stood elsewhere, again. */
    pair_close(&one);
    pair_open(&one, HALF, 0);
    keep(&one);
    go_back(&other);
    send_from(&other.guest, d);
    assert_int_equal(channel_try_recv(&other.host, &got), 0);
}

/* A guest that sleeps knows the bell as it was rung there: it must be woken,
 * and that once. */
static void who_sleeps_is_woken(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};

    (void)state;
    for (uint32_t i = 1; i <= 5; i++) {
        assert_true(channel_asleep(&one.guest));
        send_from(&one.host, d);
        assert_int_equal(one.host.mine->bell, i);
        channel_awake(&one.guest);
        assert_int_equal(channel_try_recv(&one.guest, &got), 0);
    }
    assert_true(channel_asleep(&one.guest));
    keep(&one);
    for (int round = 0; round < 2; round++) {
        go_back(&other);
        assert_int_equal(other.host.mine->bell, 5);
        for (int i = 0; i < 3; i++) {
            send_from(&other.host, d);
            assert_int_equal(other.host.mine->bell, 6);
        }
    }
}

/* What the guest has read since is none of what it had read then. */
static void a_full_ring_is_full_again(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};

    (void)state;
    for (unsigned i = 0; i < GBX_RING_SLOTS; i++)
        send_from(&one.host, d);
    keep(&one);
    for (unsigned i = 0; i < 5 * GBX_RING_SLOTS / 2; i++) {
        assert_int_equal(channel_try_recv(&one.guest, &got), 0);
        if (i < 2 * GBX_RING_SLOTS)
            send_from(&one.host, d);
    }
    go_back(&one);
    assert_int_equal(channel_send(&one.host, &d, 1), GBX_ERING);
    assert_int_equal(channel_try_recv(&one.guest, &got), 0);
    send_from(&one.host, d);
    assert_int_equal(channel_send(&one.host, &d, 1), GBX_ERING);
    /* Nor is more believed to be read than was sent. */
    go_back(&one);
    atomic_store(&one.guest.mine->ring_head, 5 * GBX_RING_SLOTS / 2);
    assert_int_equal(channel_send(&one.host, &d, 1), GBX_EBROKEN);
}

/* Arenas that grew since are as long as they were. */
static void what_may_be_read_is_what_there_was(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT, .body_bytes = 1};

    (void)state;
    keep(&one);
    with_body(&one, true, 5 << 20);
    assert_int_equal(region_grow(&one.region, HALF_GUEST, 6 << 20), 0);
    channel_peer_grew(&one.host, one.region.arena_bytes[HALF_GUEST]);
    go_back(&one);
    assert_int_equal(one.host.arena.bytes, PAIR_ARENA);
    assert_int_equal(one.host.peer_arena_bytes, PAIR_ARENA);
    d.body_off = HALF + GBX_ARENA_OFF + PAIR_ARENA;
    ring_put(one.guest.my_ring, 0, &d);
    assert_int_equal(channel_try_recv(&one.host, &got), GBX_EBOUNDS);

    go_back(&one);
    with_body(&one, true, 5 << 20); /* it can grow as before */
    assert_int_equal(one.host.arena.bytes, one.region.arena_bytes[HALF_HOST]);
}

/* One step of a random talk, by either side; what came of it. */
struct outcome {
    int rc;
    uint64_t off, scalar;
    uint32_t count, lent;
};

/* Bodies that were received, and are still to be given. */
struct holds {
    uint64_t offs[2][64];
    unsigned count[2];
};

static struct outcome step(struct pair *pair, struct holds *holds,
                           uint64_t dice)
{
    bool by_host = dice >> 63 != 0;
    struct channel *me = by_host ? &pair->host : &pair->guest;
    unsigned *count = &holds->count[by_host];
    uint64_t *offs = holds->offs[by_host];
    struct outcome out = {0};

    if ((dice >> 60) % 8 < 3) {
        struct gbx_descriptor d = {.kind = by_host ? GBX_KIND_INPUT
                                                   : GBX_KIND_OUTPUT,
                                   .type = GBX_STREAM,
                                   .scalar = dice};

        if ((dice >> 20) % 4 != 0) {
            d.body_bytes = (uint32_t)(dice >> 24) % 100000 + 1;
            out.rc = channel_reserve(me, d.body_bytes, 1, &d.body_off);
        }
        if (out.rc == 0)
            out.rc = channel_send(me, &d, 1);
        if (out.rc < 0 && d.body_off != 0)
            channel_drop(me, d.body_off);
        out.off = d.body_off;
    } else if ((dice >> 60) % 8 < 6) {
        struct gbx_descriptor d = {0};

        if (*count < ARRAY_SIZE(holds->offs[0]))
            out.rc = channel_try_recv(me, &d);
        if (d.body_off != 0)
            offs[(*count)++] = d.body_off;
        out.off = d.body_off;
        out.scalar = d.scalar;
    } else if (*count > 0) {
        uint64_t *off = &offs[(dice >> 20) % *count];

        out.off = *off;
        channel_give(me, *off);
        *off = offs[--*count];
    }
    out.count = me->arena.count;
    out.lent = me->arena.lent;
    return out;
}

static uint64_t roll(uint64_t *dice)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return *dice ^ *dice >> 32;
}

/* Both go on as one would have; then one goes back, and it does once more. */
static void two_talks_go_on_alike(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct holds holds[2] = {0}, then;
        uint64_t dice = seed, next;

        teardown(state);
        setup(state);
        for (unsigned i = 0; i < 40 * seed; i++)
            step(&one, &holds[0], roll(&dice));
        keep(&one);
        go_back(&other);
        then = holds[1] = holds[0];
        next = dice;
        for (unsigned round = 0; round < 2; round++) {
            dice = next;
            for (unsigned i = 0; i < 500; i++) {
                uint64_t by = roll(&dice);
                struct outcome a = step(&one, &holds[0], by);
                struct outcome b = step(&other, &holds[1], by);

                if (memcmp(&a, &b, sizeof(a)) != 0)
                    fail_msg("seed %u, round %u, step %u: %d %d",
                             (unsigned)seed, round, i, a.rc, b.rc);
            }
            assert_int_equal(one.host.broken, 0);
            for (unsigned i = 0; i < 300 && round == 0; i++)
                step(&other, &holds[1], roll(&dice)); /* on its own */
            go_back(&one);
            go_back(&other);
            holds[0] = holds[1] = then;
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_block_that_was_lent_stays_lent),
        TEST(gives_that_were_on_their_way_arrive),
        TEST(what_was_copied_ahead_is_received),
        TEST(who_was_caught_is_not_listened_to),
        TEST(who_sleeps_is_woken),
        TEST(a_full_ring_is_full_again),
        TEST(what_may_be_read_is_what_there_was),
        TEST(two_talks_go_on_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
