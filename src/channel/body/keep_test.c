/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/count_test.h"
#include "base/fault_test.h"
#include "channel/body/keep.h"
#include "channel/pair_test.h"

/* keep.c finds no memory where it is told to. */
static void *faulty_malloc(size_t bytes)
{
    return fails("malloc") ? NULL : malloc(bytes);
}

#define malloc faulty_malloc
#include "channel/body/keep.c" /* NOLINT: with the faulty call */
#undef malloc

#include <cmocka.h>

#define HALF  GBX_HALF_BYTES_MIN
#define BYTES 100000u

static struct pair pair;
static struct channel *const host = &pair.host;
static struct channel *const guest = &pair.guest;
static int files_before;

static int setup(void **state)
{
    (void)state;
    files_before = count_open_files();
    pair_open(&pair, HALF, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pair_close(&pair);
    assert_int_equal(count_open_files(), files_before);
    return 0;
}

/* One sends, the other has it. */
static uint64_t pass(struct channel *from, struct channel *to, uint8_t mark)
{
    struct gbx_descriptor d = {
        .kind = from == host ? GBX_KIND_INPUT : GBX_KIND_OUTPUT,
        .type = GBX_STREAM,
        .body_bytes = BYTES,
    };

    assert_int_equal(
        channel_reserve(from, BYTES, pair_deadline(1), &d.body_off), 0);
    memset(channel_at(from, d.body_off), mark, BYTES);
    assert_int_equal(channel_send(from, &d, pair_deadline(1)), 0);
    assert_int_equal(channel_recv(to, &d, pair_deadline(1)), 0);
    return d.body_off;
}

static struct gbx_body *keep(uint64_t off)
{
    struct gbx_body *body = keep_body(&pair.region, off, BYTES, HALF);

    assert_non_null(body);
    return body;
}

static void expect_bytes(const struct gbx_body *body, uint8_t mark)
{
    const uint8_t *data;
    const void *at;

    assert_int_equal(gbx_body_view(body, &at), BYTES);
    data = at;
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(data[i], mark);
}

static void its_writer_has_it_back_when_it_is_put(void **state)
{
    struct gbx_body *body = keep(pass(guest, host, 1));

    (void)state;
    expect_bytes(body, 1);
    assert_true(gbx_body_is_loose(body));
    assert_true(keep_is_used(&pair.region));
    gbx_body_get(body);
    gbx_body_put(body);
    keep_take_back(&pair.region, host);
    pair_collect(guest);
    assert_int_equal(guest->arena.count, 1);
    gbx_body_put(body);
    keep_take_back(&pair.region, host);
    assert_false(keep_is_used(&pair.region));
    pair_collect(guest);
    assert_int_equal(guest->arena.count, 0);
}

static void it_can_be_mapped_again(void **state)
{
    uint64_t off = pass(guest, host, 2);
    struct gbx_body *body = keep(off);
    uint8_t *again;

    (void)state;
    assert_int_equal(body->off % GBX_PAGE_BYTES, 0);
    again =
        mmap(NULL, BYTES, PROT_READ, MAP_SHARED, body->fd, (off_t)body->off);
    assert_ptr_not_equal(again, MAP_FAILED);
    assert_memory_equal(again, body->bytes, BYTES);
    munmap(again, BYTES);
    gbx_body_put(body);
}

/* A guest that passes on what it was sent: the host's own bytes. */
static void the_hosts_own_is_not_loose(void **state)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_OUTPUT, .type = GBX_STREAM, .body_bytes = BYTES};
    struct gbx_body *body;

    (void)state;
    d.body_off = pass(host, guest, 3);
    assert_int_equal(channel_send(guest, &d, pair_deadline(1)), 0);
    assert_int_equal(channel_recv(host, &d, pair_deadline(1)), 0);
    body = keep(d.body_off);
    assert_false(gbx_body_is_loose(body));
    expect_bytes(body, 3);
    gbx_body_put(body);
    keep_take_back(&pair.region, host);
    channel_give(guest, d.body_off);
    pair_collect(host);
    assert_int_equal(host->arena.count, 0);
}

static void bytes_stay_when_the_region_is_closed(void **state)
{
    struct gbx_body *early = keep(pass(guest, host, 4)),
                    *late = keep(pass(guest, host, 5)),
                    *never = keep(pass(guest, host, 6));

    (void)state;
    gbx_body_put(early); /* and nobody takes it back */
    region_close(&pair.region);
    assert_null(pair.region.base);
    assert_true(count_open_files() > files_before);
    expect_bytes(late, 5);
    gbx_body_put(late);
    expect_bytes(never, 6);
    gbx_body_put(never);
    assert_int_equal(count_open_files(), files_before);
}

static void more_than_the_most_is_not_kept(void **state)
{
    uint64_t first = pass(guest, host, 7), second = pass(guest, host, 8);
    struct gbx_body *body;

    (void)state;
    assert_null(keep_body(&pair.region, first, BYTES, BYTES));
    body = keep_body(&pair.region, first, BYTES, 2 * BYTES - 1);
    assert_non_null(body);
    assert_null(keep_body(&pair.region, second, BYTES, 2 * BYTES - 1));
    gbx_body_put(body);
    keep_take_back(&pair.region, host);
    body = keep_body(&pair.region, second, BYTES, 2 * BYTES - 1);
    assert_non_null(body);
    gbx_body_put(body);
}

static void without_memory_it_is_not_kept(void **state)
{
    uint64_t off = pass(guest, host, 9);
    struct gbx_body *body = NULL;
    int n;

    (void)state;
    for (n = 1; n < 5 && body == NULL; n++) {
        begin_failing(n);
        body = keep_body(&pair.region, off, BYTES, HALF);
        fails_at = 0;
        assert_true((body == NULL) == (failed != NULL));
        assert_int_equal(keep_is_used(&pair.region), body != NULL);
    }
    assert_int_equal(n, 4);
    gbx_body_put(body);
}

static void they_are_listed(void **state)
{
    uint64_t offs[2] = {pass(guest, host, 1), pass(guest, host, 2)}, got[2];
    struct gbx_body *bodies[2];

    (void)state;
    assert_int_equal(keep_list(&pair.region, NULL), 0);
    for (size_t i = 0; i < 2; i++)
        bodies[i] = keep(offs[i]);
    assert_int_equal(keep_list(&pair.region, NULL), 2);
    assert_int_equal(keep_list(&pair.region, got), 2);
    assert_true(got[0] != got[1]);
    for (size_t i = 0; i < 2; i++)
        assert_true(got[i] == offs[0] || got[i] == offs[1]);
    gbx_body_put(bodies[0]);
    keep_take_back(&pair.region, host);
    assert_int_equal(keep_list(&pair.region, got), 1);
    assert_true(got[0] == offs[1]);
    gbx_body_put(bodies[1]);
}

/* Where bodies wait to be put by another thread. */
static struct {
    pthread_mutex_t lock;
    struct gbx_body *all[16];
    size_t count;
    bool is_over;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *put_them(void *context)
{
    struct gbx_body *body;
    bool is_over = false;

    while (!is_over) {
        pthread_mutex_lock(&heap.lock);
        body = heap.count > 0 ? heap.all[--heap.count] : NULL;
        is_over = heap.is_over && body == NULL;
        pthread_mutex_unlock(&heap.lock);
        gbx_body_put(body);
    }
    return context;
}

static void any_thread_may_put_it(void **state)
{
    pthread_t others[2];
    size_t sent = 0;

    (void)state;
    heap.count = 0;
    heap.is_over = false;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&others[i], NULL, put_them, NULL), 0);
    while (sent < 2000) {
        bool is_full;

        keep_take_back(&pair.region, host);
        pthread_mutex_lock(&heap.lock);
        is_full = heap.count == 16;
        pthread_mutex_unlock(&heap.lock);
        if (is_full || keep_list(&pair.region, NULL) >= 16)
            continue;
        pair_collect(guest);
        struct gbx_body *body = keep(pass(guest, host, (uint8_t)sent++));

        pthread_mutex_lock(&heap.lock);
        heap.all[heap.count++] = body;
        pthread_mutex_unlock(&heap.lock);
    }
    /* Some of them come back to a region that is no more. */
    region_close(&pair.region);
    pthread_mutex_lock(&heap.lock);
    heap.is_over = true;
    pthread_mutex_unlock(&heap.lock);
    for (size_t i = 0; i < 2; i++)
        pthread_join(others[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_writer_has_it_back_when_it_is_put),
        TEST(it_can_be_mapped_again),
        TEST(the_hosts_own_is_not_loose),
        TEST(bytes_stay_when_the_region_is_closed),
        TEST(more_than_the_most_is_not_kept),
        TEST(without_memory_it_is_not_kept),
        TEST(they_are_listed),
        TEST(any_thread_may_put_it),
    };

    return cmocka_run_group_tests_name("kept bodies", tests, NULL, NULL);
}
