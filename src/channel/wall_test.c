/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall: what a hostile guest writes into its half, and how it is caught.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "channel/pair_test.h"
#include "channel/descriptor.h"
#include "channel/ring.h"

#include <cmocka.h>

#define HALF       GBX_HALF_BYTES_MIN
#define PEER_ARENA (HALF + GBX_ARENA_OFF)
#define MY_ARENA   GBX_ARENA_OFF
#define LARGE      4096 /* to find room for it, gives are taken in */

static struct pair pair;
static struct channel *const host = &pair.host;
static struct channel *const guest = &pair.guest;
static struct gbx_descriptor got;

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

/* ---- the form of a descriptor ---- */

static const struct gbx_descriptor good = {
    .kind = GBX_KIND_OUTPUT,
    .type = GBX_STREAM,
    .body_bytes = 4,
    .body_off = 4096,
    .name_bytes = 3,
    .name.text = "out",
};

static int check(struct gbx_descriptor d)
{
    return descriptor_check(&d, CHANNEL_GUEST);
}

static void each_side_sends_its_own_kinds_only(void **state)
{
    struct gbx_descriptor d = {0};

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        int from_host = GBX_EFORMAT, from_guest = GBX_EFORMAT;

        if (kind >= GBX_KIND_LOAD && kind <= GBX_KIND_ANSWER)
            from_host = 0;
        if (kind >= GBX_KIND_READY && kind <= GBX_KIND_GROW)
            from_guest = 0;
        d.kind = (uint8_t)kind;
        assert_int_equal(descriptor_check(&d, CHANNEL_HOST), from_host);
        assert_int_equal(descriptor_check(&d, CHANNEL_GUEST), from_guest);
    }
}

static void types_flags_and_padding_are_known_ones(void **state)
{
    struct gbx_descriptor d;

    (void)state;
    assert_int_equal(check(good), 0);
    for (unsigned type = 0; type < 256; type++) {
        d = good;
        d.type = (uint8_t)type;
        assert_int_equal(check(d), type < 15 ? 0 : GBX_EFORMAT);
    }
    for (unsigned bit = 0; bit < 16; bit++) {
        d = good;
        d.flags = (uint16_t)(1u << bit);
        assert_int_equal(check(d), bit < 4 ? 0 : GBX_EFORMAT);
    }
    for (unsigned i = 0; i < 2; i++) {
        d = good;
        d.zero[i] = 1;
        assert_int_equal(check(d), GBX_EFORMAT);
    }
}

static void a_name_is_inline_up_to_24_bytes_or_long_and_not_empty(void **state)
{
    static const struct {
        uint16_t flags;
        uint8_t bytes;
        int want;
    } cases[] = {
        {0, 0, 0},
        {0, 24, 0},
        {0, 25, GBX_EFORMAT},
        {0, 255, GBX_EFORMAT},
        {GBX_LONG_NAME, 0, GBX_EFORMAT},
        {GBX_LONG_NAME, 1, 0},
        {GBX_LONG_NAME, 255, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gbx_descriptor d = good;

        d.flags = cases[i].flags;
        d.name_bytes = cases[i].bytes;
        assert_int_equal(check(d), cases[i].want);
    }
}

static void the_end_of_a_call_without_a_message_carries_none(void **state)
{
    struct gbx_descriptor d = good;

    (void)state;
    d.kind = GBX_KIND_DONE;
    assert_int_equal(check(d), GBX_EFORMAT);
    d.flags = GBX_HAS_MESSAGE;
    assert_int_equal(check(d), 0);
    d.flags = 0;
    d.name_bytes = 0;
    assert_int_equal(check(d), GBX_EFORMAT);
    d.body_bytes = 0;
    assert_int_equal(check(d), GBX_EFORMAT);
    d.body_off = 0;
    assert_int_equal(check(d), 0);
}

/* ---- places and counters ---- */

static void a_body_may_fill_the_peers_arena_but_not_leave_it(void **state)
{
    static const struct {
        uint64_t off;
        uint32_t bytes;
        int want;
    } cases[] = {
        {0, 0, 0},
        {0, 1, GBX_EBOUNDS},
        {PEER_ARENA, 0, 0},
        {PEER_ARENA, PAIR_ARENA, 0},
        {PEER_ARENA, PAIR_ARENA + 1, GBX_EBOUNDS},
        {PEER_ARENA + 1, PAIR_ARENA, GBX_EBOUNDS},
        {PEER_ARENA + PAIR_ARENA - 1, 1, 0},
        {PEER_ARENA + PAIR_ARENA - 1, 0, 0},
        {PEER_ARENA + PAIR_ARENA, 0, GBX_EBOUNDS},
        {PEER_ARENA - 1, 1, GBX_EBOUNDS},
        {HALF, 64, GBX_EBOUNDS}, /* its head */
        {64, 64, GBX_EBOUNDS},   /* mine */
        {MY_ARENA, 64, GBX_EBOUNDS},
        {MY_ARENA, 0, GBX_EBOUNDS},
        {2 * HALF, 0, GBX_EBOUNDS},
        {UINT64_MAX, 1, GBX_EBOUNDS},
        {UINT64_MAX, 0, GBX_EBOUNDS},
        {UINT64_MAX - 63, UINT32_MAX, GBX_EBOUNDS}, /* wraps */
        {PEER_ARENA, UINT32_MAX, GBX_EBOUNDS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        pair_close(&pair);
        pair_open(&pair, HALF, 0);
        forge((struct gbx_descriptor){.kind = GBX_KIND_OUTPUT,
                                      .type = GBX_STREAM,
                                      .body_off = cases[i].off,
                                      .body_bytes = cases[i].bytes});
        assert_int_equal(channel_try_recv(host, &got), cases[i].want);
    }
}

static void a_long_name_lies_in_the_peers_arena(void **state)
{
    static const struct {
        uint64_t off;
        int want;
    } cases[] = {
        {PEER_ARENA, 0},
        {PEER_ARENA + PAIR_ARENA - 40, 0},
        {PEER_ARENA + PAIR_ARENA - 39, GBX_EBOUNDS},
        {0, GBX_EBOUNDS},
        {MY_ARENA, GBX_EBOUNDS},
        {UINT64_MAX - 20, GBX_EBOUNDS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        pair_close(&pair);
        pair_open(&pair, HALF, 0);
        forge((struct gbx_descriptor){.kind = GBX_KIND_OUTPUT,
                                      .flags = GBX_LONG_NAME,
                                      .name_bytes = 40,
                                      .name.off = cases[i].off});
        assert_int_equal(channel_try_recv(host, &got), cases[i].want);
    }
}

static void only_as_much_of_the_peers_arena_as_the_host_made(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT,
                               .body_off = HALF + 2 * GBX_ARENA_OFF - 64,
                               .body_bytes = 64};

    (void)state;
    pair_close(&pair);
    pair_open(&pair, 4 * HALF, 0);
    d.body_off = 4 * HALF + GBX_ARENA_OFF + PAIR_ARENA;
    assert_int_equal(region_grow(&pair.region, HALF_GUEST, 4u << 20), 0);
    /* The guest's word for it is not enough. */
    atomic_store(&guest->mine->arena_bytes, 4u << 20);
    channel_peer_grew(host, pair.region.arena_bytes[HALF_GUEST]);
    forge(d);
    assert_int_equal(channel_try_recv(host, &got), 0);
    d.body_off += 2u << 20;
    atomic_store(&guest->mine->arena_bytes, UINT64_MAX);
    forge(d);
    assert_int_equal(channel_try_recv(host, &got), GBX_EBOUNDS);
}

/* The guest puts its counters right again: it is not listened to. */
static void repentance_comes_too_late(void)
{
    struct gbx_descriptor scalar = {.kind = GBX_KIND_INPUT};
    uint64_t off;

    memset(guest->my_ring, 0, GBX_RING_SLOTS * sizeof(*guest->my_ring));
    atomic_store(&guest->mine->ring_head, 0);
    atomic_store(&guest->mine->give_tail, 0);
    assert_int_equal(channel_try_recv(host, &got), GBX_EBROKEN);
    assert_int_equal(channel_recv(host, &got, 1), GBX_EBROKEN);
    assert_int_equal(channel_send(host, &scalar, 1), GBX_EBROKEN);
    assert_int_equal(channel_reserve(host, 1, 1, &off), GBX_EBROKEN);
    assert_false(channel_asleep(host));
}

/* One honest message, then one word of the guest's half is spoilt. */
static void counters_that_lie_are_caught_and_not_forgotten(void **state)
{
    enum { LAP, HEAD, GIVE };
    static const struct {
        int word;
        uint32_t value;
        int want;
    } cases[] = {
        {LAP, 0, GBX_ETIME},
        {LAP, 1, 0},
        {LAP, 2, GBX_EBROKEN},
        {LAP, 255, GBX_EBROKEN},
        {HEAD, 0, GBX_ERING},
        {HEAD, 128, 0},
        {HEAD, 129, GBX_EBROKEN},
        {HEAD, UINT32_MAX, GBX_EBROKEN},
        {GIVE, 0, 0},
        {GIVE, 1, 0},
        {GIVE, 2, GBX_EBROKEN},
        {GIVE, UINT32_MAX, GBX_EBROKEN},
    };
    struct gbx_descriptor scalar = {.kind = GBX_KIND_INPUT};
    uint64_t off;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const int want = cases[i].want;

        pair_close(&pair);
        pair_open(&pair, HALF, 0);
        send_to(host, with_body(host, 64));
        assert_int_equal(channel_try_recv(guest, &got), 0);
        guest->my_ring[0].kind = GBX_KIND_OUTPUT;
        guest->my_gives[0] = got.body_off;
        if (cases[i].word == LAP) {
            guest->my_ring[0].lap = (uint8_t)cases[i].value;
            assert_int_equal(channel_recv(host, &got, 1), want);
        } else if (cases[i].word == GIVE) {
            atomic_store(&guest->mine->give_tail, cases[i].value);
            assert_int_equal(channel_reserve(host, LARGE, 1, &off), want);
        } else {
            for (unsigned n = 1; n < GBX_RING_SLOTS; n++)
                send_to(host, scalar);
            atomic_store(&guest->mine->ring_head, cases[i].value);
            assert_int_equal(channel_send(host, &scalar, 1), want);
        }
        if (want != GBX_EBROKEN)
            continue;
        if (cases[i].word == GIVE) /* before anything is freed */
            assert_int_equal(host->arena.count, 1);
        repentance_comes_too_late();
    }
}

static void a_ring_does_not_run_backwards(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_OUTPUT};

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        forge(d);
        assert_int_equal(channel_try_recv(host, &got), 0);
    }
    for (unsigned n = 3; n < GBX_RING_SLOTS; n++) {
        forge(d);
        assert_int_equal(channel_try_recv(host, &got), 0);
    }
    assert_int_equal(channel_try_recv(host, &got), GBX_EAGAIN);
    guest->my_ring[0].lap = 0; /* of the lap before the last one */
    assert_int_equal(channel_try_recv(host, &got), GBX_EBROKEN);
}

static atomic_bool flickers;

static void *flicker(void *context)
{
    uint8_t *lap = context;

    while (atomic_load(&flickers)) {
        __atomic_store_n(lap, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(lap, 0, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* It is there when it is waited for, and gone when it is fetched, or not. */
static void a_message_that_comes_and_goes_holds_nobody_up(void **state)
{
    const uint64_t late_ns = pair_deadline(10000);
    unsigned came = 0, other = 0;
    pthread_t thread;
    int rc;

    (void)state;
    guest->my_ring[0].kind = GBX_KIND_OUTPUT;
    atomic_store(&flickers, true);
    must(pthread_create(&thread, NULL, flicker, &guest->my_ring[0].lap) == 0);
    for (unsigned i = 0; i < 20000 || (came == 0 && !clock_is_past(late_ns));
         i++) {
        pair_init(&pair, 1000);
        rc = channel_recv(host, &got, 1);
        came += rc == 0;
        other += rc != 0 && rc != GBX_ETIME && rc != GBX_EBROKEN;
        other += rc == GBX_EBROKEN && channel_try_recv(host, &got) != rc;
    }
    atomic_store(&flickers, false);
    pthread_join(thread, NULL);
    assert_true(came > 0);
    assert_int_equal(other, 0);
}

static void only_a_block_that_the_peer_holds_is_given(void **state)
{
    uint64_t sent, begun, off;

    (void)state;
    for (int which = 0; which < 5; which++) {
        struct gbx_descriptor d;
        uint64_t gives[2];

        pair_close(&pair);
        pair_open(&pair, HALF, 0);
        d = with_body(host, 100);
        sent = d.body_off;
        send_to(host, d);
        begun = with_body(host, 100).body_off;
        gives[0] = which == 1   ? begun
                   : which == 2 ? MY_ARENA - 64
                   : which == 3 ? UINT64_MAX
                                : sent + 99;
        gives[1] = sent;
        memcpy(guest->my_gives, gives, sizeof(gives));
        atomic_store(&guest->mine->give_tail, which == 4 ? 2 : 1);
        assert_int_equal(channel_reserve(host, LARGE, 1, &off),
                         which == 0 ? 0 : GBX_EBROKEN);
    }
}

static void a_block_is_passed_on_only_by_who_holds_it(void **state)
{
    struct gbx_descriptor d = with_body(host, 100);

    (void)state;
    send_to(host, d);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    channel_give(guest, got.body_off);
    assert_int_equal(channel_hold(host, d.body_off, 100), 0); /* still lives */
    with_body(host, LARGE); /* takes in the give */
    d.kind = GBX_KIND_OUTPUT;
    forge(d);
    assert_int_equal(channel_try_recv(host, &got), GBX_EBOUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_side_sends_its_own_kinds_only),
        TEST(types_flags_and_padding_are_known_ones),
        TEST(a_name_is_inline_up_to_24_bytes_or_long_and_not_empty),
        TEST(the_end_of_a_call_without_a_message_carries_none),
        TEST(a_body_may_fill_the_peers_arena_but_not_leave_it),
        TEST(a_long_name_lies_in_the_peers_arena),
        TEST(only_as_much_of_the_peers_arena_as_the_host_made),
        TEST(counters_that_lie_are_caught_and_not_forgotten),
        TEST(a_ring_does_not_run_backwards),
        TEST(a_message_that_comes_and_goes_holds_nobody_up),
        TEST(only_a_block_that_the_peer_holds_is_given),
        TEST(a_block_is_passed_on_only_by_who_holds_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
