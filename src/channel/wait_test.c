/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: who sleeps, who is woken, and what it costs. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "channel/pair_test.h"

#include <cmocka.h>

#define HALF GBX_HALF_BYTES_MIN

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

static void an_empty_ring_ends_with_the_deadline(void **state)
{
    (void)state;
    assert_int_equal(channel_recv(host, &got, 1), GBX_ETIME);
    assert_int_equal(channel_recv(host, &got, pair_deadline(2)), GBX_ETIME);
    host->config.spin_ns = UINT64_MAX;
    assert_int_equal(channel_recv(host, &got, pair_deadline(2)), GBX_ETIME);
    host->config.spin_ns = 1000;
    assert_int_equal(channel_recv(host, &got, pair_deadline(2)), GBX_ETIME);
    assert_int_equal(host->mine->asleep, 0);
}

/* ---- how a wait ends ---- */

static int sleep_code;

static int sleep_and_leave(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    (void)deadline_ns;
    if (sleep_code == 1) /* a last message, then the end */
        send_to(guest, (struct gbx_descriptor){.kind = GBX_KIND_FAILED});
    return GBX_EEXIT;
}

static int leave(void *context)
{
    (void)context;
    return GBX_ECANCELED;
}

static void codes_of_sleep_and_poll_end_the_wait(void **state)
{
    (void)state;
    host->config.bell.sleep = sleep_and_leave;
    sleep_code = 0;
    assert_int_equal(channel_recv(host, &got, 0), GBX_EEXIT);
    sleep_code = 1;
    assert_int_equal(channel_recv(host, &got, 0), 0); /* still counts */
    sleep_code = 0;
    assert_int_equal(channel_recv(host, &got, 0), GBX_EEXIT);
    host->config.spin_ns = UINT64_MAX;
    host->config.bell.poll = leave;
    assert_int_equal(channel_recv(host, &got, 0), GBX_ECANCELED);
}

/* ---- bells ---- */

static void an_awake_peer_is_not_rung_and_a_sleeping_one_once(void **state)
{
    (void)state;
    send_to(host, with_body(host, 1));
    assert_int_equal(host->count.rings, 0);
    assert_false(channel_asleep(guest)); /* there is something */
    assert_int_equal(guest->mine->asleep, 0);
    assert_int_equal(channel_try_recv(guest, &got), 0);
    for (uint64_t sleeps = 1; sleeps < 4; sleeps++) {
        assert_true(channel_asleep(guest));
        for (unsigned i = 0; i < 3; i++)
            send_to(host, with_body(host, 1));
        assert_int_equal(host->count.rings, sleeps);
        channel_awake(guest);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(channel_try_recv(guest, &got), 0);
    }
}

static void a_peer_that_waits_for_messages_is_not_rung_for_space(void **state)
{
    (void)state;
    send_to(guest, with_body(guest, 1));
    assert_true(channel_asleep(guest));
    assert_int_equal(channel_try_recv(host, &got), 0);
    channel_give(host, got.body_off);
    assert_int_equal(host->count.rings, 0);
    assert_int_equal(
        channel_send(host, &(struct gbx_descriptor){.kind = GBX_KIND_CALL}, 1),
        0);
    assert_int_equal(host->count.rings, 1);
}

static void a_flag_that_makes_no_sense_rings_no_bell_for_ever(void **state)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT};

    (void)state;
    atomic_store(&guest->mine->asleep, 0xfffffffe); /* not asleep */
    send_to(host, d);
    atomic_store(&guest->mine->asleep, 0x12345675); /* saw another bell */
    send_to(host, d);
    assert_int_equal(host->count.rings, 0);
    atomic_store(&guest->mine->asleep, GBX_ASLEEP);
    send_to(host, d);
    send_to(host, d);
    assert_int_equal(host->count.rings, 1);
}

/* ---- two threads ---- */

enum { MESSAGES = 20000 };

static struct threads_case {
    uint64_t spin_ns;
    uint32_t bytes; /* of each body */
    unsigned slow;  /* the reader naps at every slow-th message, or 0 */
} threads_case;

static void nap(unsigned n)
{
    const struct timespec time = {.tv_nsec = 300000};

    if (threads_case.slow != 0 && n % threads_case.slow == 0)
        nanosleep(&time, NULL);
}

/* Sends every body back: as it is when its number is even, else a copy. */
static void *echo(void *context)
{
    struct gbx_descriptor d, copy;

    (void)context;
    for (unsigned n = 0; n < MESSAGES; n++) {
        must(channel_recv(guest, &d, 0) == 0);
        nap(n);
        copy = d;
        copy.kind = GBX_KIND_OUTPUT;
        if (n % 2 == 1) {
            must(channel_reserve(guest, d.body_bytes, 0, &copy.body_off) == 0);
            memcpy(channel_at(guest, copy.body_off),
                   channel_at(guest, d.body_off), d.body_bytes);
        }
        must(channel_send(guest, &copy, 0) == 0);
        channel_give(guest, d.body_off);
    }
    return NULL;
}

static void take_back(unsigned n)
{
    uint64_t value;

    must(channel_recv(host, &got, 0) == 0);
    must(got.scalar == n && got.body_bytes == threads_case.bytes);
    memcpy(&value, channel_at(host, got.body_off), sizeof(value));
    must(value == n);
    channel_give(host, got.body_off);
}

static void two_threads_echo(struct threads_case how, unsigned window)
{
    struct gbx_descriptor d;
    pthread_t thread;
    unsigned sent, back = 0;
    uint64_t value;

    threads_case = how;
    pair_close(&pair);
    pair_open(&pair, HALF, how.spin_ns);
    must(pthread_create(&thread, NULL, echo, NULL) == 0);
    for (sent = 0; sent < MESSAGES; sent++) {
        if (sent - back == window)
            take_back(back++);
        d = (struct gbx_descriptor){.kind = GBX_KIND_INPUT,
                                    .type = GBX_STREAM,
                                    .body_bytes = how.bytes,
                                    .scalar = sent};
        must(channel_reserve(host, how.bytes, 0, &d.body_off) == 0);
        value = sent;
        memcpy(channel_at(host, d.body_off), &value, sizeof(value));
        must(channel_send(host, &d, 0) == 0);
    }
    while (back < MESSAGES)
        take_back(back++);
    pthread_join(thread, NULL);
    must(channel_try_recv(host, &got) == GBX_EAGAIN);
    pair_collect(host);
    pair_collect(guest);
    assert_int_equal(host->arena.count, 0);
    assert_int_equal(guest->arena.count, 0);
}

static void two_threads_that_spin_lose_nothing(void **state)
{
    (void)state;
    two_threads_echo((struct threads_case){.spin_ns = 1000000, .bytes = 64}, 1);
    two_threads_echo((struct threads_case){.spin_ns = 1000000, .bytes = 64},
                     100);
}

static void two_threads_that_sleep_lose_nothing(void **state)
{
    (void)state;
    two_threads_echo((struct threads_case){.spin_ns = 0, .bytes = 64}, 1);
    two_threads_echo((struct threads_case){.spin_ns = 0, .bytes = 64}, 120);
}

/* Asleep as briefly as can be: many more chances to miss a bell. */
static int doze(struct channel *channel, uint32_t seen)
{
    const uint64_t late_ns = pair_deadline(5000);

    for (unsigned turn = 1; atomic_load(&channel->peer->bell) == seen; turn++) {
        if (turn % 4096 == 0)
            sched_yield();
        must(turn % 65536 != 0 || !clock_is_past(late_ns)); /* missed it */
    }
    return 0;
}

static int doze_host(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)deadline_ns;
    return doze(host, seen);
}

static int doze_guest(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)deadline_ns;
    return doze(guest, seen);
}

/* So that the two meet in every order. */
static void linger(unsigned n)
{
    for (unsigned i = n % 101; i > 0; i--)
        atomic_signal_fence(memory_order_seq_cst);
}

static void *answer(void *context)
{
    struct gbx_descriptor d;

    (void)context;
    for (unsigned n = 0; n < 10 * MESSAGES; n++) {
        must(channel_recv(guest, &d, 0) == 0);
        d.kind = GBX_KIND_OUTPUT;
        linger(n * 7);
        must(channel_send(guest, &d, 0) == 0);
    }
    return NULL;
}

static void no_bell_is_missed_however_close(void **state)
{
    struct gbx_descriptor d;
    pthread_t thread;

    (void)state;
    host->config.bell.sleep = doze_host;
    guest->config.bell.sleep = doze_guest;
    must(pthread_create(&thread, NULL, answer, NULL) == 0);
    for (unsigned n = 0; n < 10 * MESSAGES; n++) {
        d = (struct gbx_descriptor){.kind = GBX_KIND_INPUT, .scalar = n};
        linger(n);
        must(channel_send(host, &d, 0) == 0);
        must(channel_recv(host, &d, 0) == 0 && d.scalar == n);
    }
    pthread_join(thread, NULL);
}

static void *drain(void *context)
{
    struct gbx_descriptor d;

    (void)context;
    for (unsigned n = 0; n < MESSAGES; n++) {
        must(channel_recv(guest, &d, 0) == 0 && d.scalar == n);
        channel_give(guest, d.body_off);
        nap(n);
    }
    return NULL;
}

static void a_full_ring_or_arena_wakes_the_sender(void **state)
{
    static const uint32_t sizes[] = {0, PAIR_ARENA / 4, PAIR_ARENA};
    pthread_t thread;

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        const uint32_t bytes = sizes[i / 2];

        threads_case.slow = 500;
        pair_close(&pair);
        pair_open(&pair, HALF, i % 2 ? 10000 : 0);
        must(pthread_create(&thread, NULL, drain, NULL) == 0);
        for (unsigned n = 0; n < MESSAGES; n++) {
            struct gbx_descriptor d = {
                .kind = GBX_KIND_INPUT, .body_bytes = bytes, .scalar = n};

            if (bytes > 0)
                must(channel_reserve(host, bytes, 0, &d.body_off) == 0);
            must(channel_send(host, &d, 0) == 0);
        }
        pthread_join(thread, NULL);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_ring_ends_with_the_deadline),
        TEST(codes_of_sleep_and_poll_end_the_wait),
        TEST(an_awake_peer_is_not_rung_and_a_sleeping_one_once),
        TEST(a_peer_that_waits_for_messages_is_not_rung_for_space),
        TEST(a_flag_that_makes_no_sense_rings_no_bell_for_ever),
        TEST(two_threads_that_spin_lose_nothing),
        TEST(two_threads_that_sleep_lose_nothing),
        TEST(no_bell_is_missed_however_close),
        TEST(a_full_ring_or_arena_wakes_the_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
