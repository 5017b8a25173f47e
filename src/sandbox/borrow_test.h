/* SPDX-License-Identifier: Apache-2.0 */
/*
 * borrow_test.h - for tests: a sandbox of play (first), and a body to show it.
 *
 *  off = borrow(&first, 0);    LEN bytes SHOWN of a body of OTHER
 *  input(&first, off);             in a call
 *  step(&first, off, count);       the guest says so, and keeps its view
 *  give_back(&first, off);         until now
 */
#ifndef SANDBOX_BORROW_TEST_H
#define SANDBOX_BORROW_TEST_H

#include "sandbox/borrow.h"
#include "sandbox/template_test.h"

#define BYTES (5 * GBX_PAGE_BYTES + GBX_PAGED_BYTES)
#define AT    700u /* of what is shown, in its body */
#define LEN   (BYTES - 1500u)
#define SHOWN 'b'
#define OTHER 'x' /* all else of the body */

static struct gbx_body *body;
static uint8_t *bytes;
static struct gbx_descriptor next; /* what the guest says */
static unsigned maps;              /* so often something was mapped */
static bool only_new;              /* what fails: the arena's own can be had */
static int borrow_code;            /* of the backend; 0: it can */

static inline int faulty_borrow(void *self, uint64_t off, uint64_t count,
                                int fd, uint64_t at)
{
    maps++;
    return borrow_code < 0 && (fd >= 0 || !only_new)
               ? borrow_code
               : play_borrow(self, off, count, fd, at);
}

static struct backend lender;

static inline int borrow_setup(void **state)
{
    struct sandbox_config config;
    void *data;

    (void)state;
    only_new = false;
    borrow_code = snapshot_code = clone_code = wipe_code = suspend_code = 0;
    files_before = count_open_files();
    lender = play;
    lender.borrow = faulty_borrow;
    config = config_of(&lender);
    act = say_ready;
    end_code = GBX_EEXIT;
    must(sandbox_open(&first, &config, 0, &err) == 0);
    must(gbx_body_make(&body, BYTES, &data, &err) == 0);
    bytes = data;
    memset(bytes, OTHER, BYTES);
    memset(bytes + AT, SHOWN, LEN);
    return 0;
}

static inline int borrow_teardown(void **state)
{
    sandbox_close(&other);
    sandbox_close(&one);
    sandbox_close(&first);
    gbx_body_put(body);
    return play_teardown(state);
}

static inline uint64_t borrow(struct sandbox *sandbox, unsigned flags)
{
    uint64_t off = 0;

    assert_int_equal(borrow_body(sandbox, body, bytes + AT, LEN, flags, &off),
                     0);
    return off;
}

static inline struct play *play_of(struct sandbox *sandbox)
{
    return sandbox->self;
}

static inline void expect_shown(struct sandbox *sandbox, uint64_t off)
{
    const uint8_t *seen = play_of(sandbox)->window + off;

    for (size_t i = 0; i < LEN; i++)
        assert_int_equal(seen[i], SHOWN);
}

/* The guest reads its host's half from end to end. */
static inline void expect_nothing_else(struct sandbox *sandbox)
{
    const uint8_t *half = play_of(sandbox)->window;
    uint64_t count = GBX_ARENA_OFF + sandbox->region.arena_bytes[HALF_HOST];

    assert_null(memchr(half + GBX_ARENA_OFF, OTHER, count - GBX_ARENA_OFF));
}

static inline bool is_shown_anywhere(struct sandbox *sandbox)
{
    const uint8_t *half = play_of(sandbox)->window;
    uint64_t count = GBX_ARENA_OFF + sandbox->region.arena_bytes[HALF_HOST];
    uint8_t wanted[GBX_PAGE_BYTES];

    memset(wanted, SHOWN, sizeof(wanted));
    return memmem(half, count, wanted, sizeof(wanted)) != NULL;
}

static inline void input(struct sandbox *sandbox, uint64_t off)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_INPUT,
                               .type = GBX_STREAM,
                               .flags = GBX_HAS_MESSAGE,
                               .body_off = off,
                               .body_bytes = GBX_PAGED_BYTES};

    sandbox_begin(sandbox);
    assert_int_equal(sandbox_send(sandbox, &d, NULL, 1), 0);
}

static inline void say_next(struct channel *guest)
{
    struct gbx_descriptor got;

    while (channel_try_recv(guest, &got) == 0)
        ; /* it keeps its inputs */
    assert_int_equal(channel_send(guest, &next, 1), 0);
}

static inline int step(struct sandbox *sandbox, uint64_t off, uint32_t count)
{
    next = (struct gbx_descriptor){.kind = GBX_KIND_OUTPUT,
                                   .type = GBX_STREAM,
                                   .flags = GBX_HAS_MESSAGE,
                                   .call = sandbox->call,
                                   .body_off = off,
                                   .body_bytes = count};
    act = say_next;
    return sandbox_step(sandbox, 0, &event, &err);
}

/* The guest drops its view, and the host looks. */
static inline void give_back(struct sandbox *sandbox, uint64_t off)
{
    uint64_t none;

    channel_give(&play_of(sandbox)->guest, off);
    assert_int_equal(channel_reserve(&sandbox->channel, 4096, 1, &none), 0);
    channel_drop(&sandbox->channel, none);
}

static inline unsigned holders(void)
{
    return atomic_load(&body->holders);
}

#define BORROW_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, borrow_setup, borrow_teardown)

#endif
