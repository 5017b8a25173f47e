/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core against a backend of play: its guest is a row of acts in this very
 * process, one for each time the host lets it run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "sandbox/sandbox.h"

typedef void act_fn(struct channel *guest);

/* What the guest does, act by act; then the backend says how it ended. */
static act_fn *acts[8];
static int act_next, end_code;

static struct channel guest;
static struct sandbox sandbox;
static struct host_calls calls;
static struct sandbox_event event;
static struct gbx_error err;
static char printed[64];

static int bell_nothing(void *context, uint64_t bytes)
{
    (void)context;
    (void)bytes;
    return GBX_ELIMIT;
}

static int play_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    (void)context;
    (void)seen;
    (void)deadline_ns;
    return GBX_ETIME;
}

static void play_ring(void *context)
{
    (void)context;
}

static struct region *region;
static int wipe_code; /* or 0: it succeeds */

static void say_ready(struct channel *g)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_READY};

    assert_int_equal(channel_send(g, &d, 1), 0);
}

static int play_start(void)
{
    if (region_reset(region) < 0)
        return GBX_EHOST;
    channel_init(&guest,
                 &(struct channel_config){.side = CHANNEL_GUEST,
                                          .base = region->base,
                                          .half_bytes = region->half_bytes,
                                          .bell = {.sleep = play_sleep,
                                                   .ring = play_ring,
                                                   .grow = bell_nothing}});
    return 0;
}

static int play_open(void *self, const struct bundle *what,
                     struct region *shared, struct gbx_error *e)
{
    (void)self;
    (void)what;
    (void)e;
    region = shared;
    return play_start();
}

/* Of a language alone: there is nothing to keep. */
static int play_prepare(const struct bundle *what, uint64_t deadline_ns,
                        struct snapshot **snapshot, struct gbx_error *e)
{
    static char nothing;

    (void)what;
    (void)deadline_ns;
    (void)e;
    *snapshot = (struct snapshot *)&nothing;
    return 0;
}

static int play_clone(void *self, const struct bundle *what,
                      struct snapshot *snapshot, struct region *shared,
                      struct gbx_error *e)
{
    (void)snapshot;
    return play_open(self, what, shared, e);
}

static void play_put(struct snapshot *snapshot)
{
    (void)snapshot;
}

static int play_run(void *self, uint64_t deadline_ns)
{
    (void)self;
    (void)deadline_ns;
    if (acts[act_next] == NULL)
        return end_code;
    acts[act_next++](&guest);
    return 0;
}

static int play_fd(void *self)
{
    (void)self;
    return -1;
}

static void play_explain(void *self, struct gbx_error *e)
{
    (void)self;
    e->code = end_code;
    strcpy(e->what, "the play is over");
}

static void play_close(void *self)
{
    (void)self;
}

static int play_wipe(void *self, struct gbx_error *e)
{
    (void)self;
    (void)e;
    acts[0] = say_ready;
    acts[1] = NULL;
    act_next = 0;
    return wipe_code != 0 ? wipe_code : play_start();
}

static const struct backend play = {
    .name = "play",
    .self_bytes = 1,
    .open = play_open,
    .prepare = play_prepare,
    .clone = play_clone,
    .put = play_put,
    .run = play_run,
    .ring = play_ring,
    .fd = play_fd,
    .explain = play_explain,
    .wipe = play_wipe,
    .kill = play_close,
    .close = play_close,
};

static void send_scalar(struct channel *g, int kind, int type, uint64_t scalar)
{
    struct gbx_descriptor d = {.kind = (uint8_t)kind,
                               .type = (uint8_t)type,
                               .flags = GBX_HAS_MESSAGE,
                               .call = sandbox.call,
                               .scalar = scalar};

    assert_int_equal(channel_send(g, &d, 1), 0);
}

static void send_body(struct channel *g, struct gbx_descriptor d,
                      const char *body)
{
    size_t bytes = strlen(body);

    d.call = sandbox.call;
    d.body_bytes = (uint32_t)bytes;
    assert_int_equal(channel_reserve(g, bytes, 1, &d.body_off), 0);
    memcpy(channel_at(g, d.body_off), body, bytes);
    assert_int_equal(channel_send(g, &d, 1), 0);
}

static void gather(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    strncat(printed, text, bytes);
}

/* A sandbox that is ready, and in a call; then these acts. */
static int begin(act_fn *first, act_fn *second, int code)
{
    struct sandbox_config config = {
        .backend = &play,
        .bundle = {.limits = {.message_bytes = 4 << 20, .output_bytes = 10}},
        .output = gather,
        .calls = &calls};

    memset(acts, 0, sizeof(acts));
    acts[0] = say_ready;
    act_next = 0;
    end_code = code;
    printed[0] = '\0';
    assert_int_equal(sandbox_open(&sandbox, &config, 0, &err), 0);
    assert_int_equal(sandbox.state, SANDBOX_IDLE);
    sandbox_begin(&sandbox);
    acts[1] = first;
    acts[2] = second;
    return sandbox_step(&sandbox, 0, &event, &err);
}

static void done_with_seven(struct channel *g)
{
    send_scalar(g, GBX_KIND_DONE, GBX_INTEGER, 7);
}

static void what_was_said_before_the_end_is_heard_first(void **state)
{
    (void)state;
    assert_int_equal(begin(done_with_seven, NULL, GBX_EEXIT), 0);
    assert_int_equal(event.kind, GBX_KIND_DONE);
    assert_int_equal(event.message.scalar.integer, 7);
    assert_int_equal(sandbox_step(&sandbox, 0, &event, &err), GBX_EEXIT);
    assert_string_equal(err.what, "the play is over");
    assert_int_equal(sandbox.state, SANDBOX_BROKEN);
    sandbox_close(&sandbox);
}

static void start_with_loaded(struct channel *g)
{
    send_body(g,
              (struct gbx_descriptor){.kind = GBX_KIND_LOADED,
                                      .type = GBX_OBJECT,
                                      .flags = GBX_HAS_MESSAGE},
              "\xa0");
}

static void a_guest_says_ready_first(void **state)
{
    struct sandbox_config config = {
        .backend = &play,
        .bundle = {.limits = {.message_bytes = 4 << 20}},
        .calls = &calls};

    (void)state;
    memset(acts, 0, sizeof(acts));
    acts[0] = start_with_loaded;
    act_next = 0;
    assert_int_equal(sandbox_open(&sandbox, &config, 0, &err), GBX_EBROKEN);
    assert_int_equal(sandbox.state, SANDBOX_EMPTY);
}

/* A copy is spoken to before it has said READY. */
static void so_does_one_that_was_spoken_to_before(void **state)
{
    static act_fn *const firsts[] = {say_ready, done_with_seven};
    struct sandbox_config config = {
        .backend = &play,
        .bundle = {.limits = {.message_bytes = 4 << 20}},
        .calls = &calls};
    struct template *bare;

    (void)state;
    assert_int_equal(template_prepare(&bare, &config, 0, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
        memset(acts, 0, sizeof(acts));
        acts[0] = firsts[i];
        acts[1] = done_with_seven;
        act_next = 0;
        assert_int_equal(sandbox_clone(&sandbox, &config, bare, &err), 0);
        assert_int_equal(act_next, 0);
        sandbox_begin(&sandbox);
        assert_int_equal(sandbox_step(&sandbox, 0, &event, &err),
                         i == 0 ? 0 : GBX_EBROKEN);
        if (i == 0)
            assert_int_equal(event.message.scalar.integer, 7);
        else
            assert_non_null(strstr(err.what, "before READY"));
        sandbox_close(&sandbox);
    }
    template_put(bare);
}

static struct gbx_descriptor bad;

static void send_bad(struct channel *g)
{
    if (bad.body_bytes > 0)
        send_body(g, bad, "body");
    else
        assert_int_equal(channel_send(g, &bad, 1), 0);
}

static void a_guest_out_of_turn_or_type_is_broken(void **state)
{
    enum { OTHER = 77 };
    static const struct {
        struct gbx_descriptor d;
        const char *why;
    } cases[] = {
        {{.kind = GBX_KIND_READY}, "middle of a call"},
        {{.kind = GBX_KIND_LOADED}, "middle of a call"},
        {{.kind = GBX_KIND_DONE, .call = OTHER}, "another call"},
        {{.kind = GBX_KIND_OUTPUT, .call = OTHER}, "another call"},
        {{.kind = GBX_KIND_FAILED, .call = OTHER}, "another call"},
        {{.kind = GBX_KIND_ASK, .call = OTHER}, "another call"},
        {{.kind = GBX_KIND_OUTPUT, .call = 1, .type = GBX_BOOLEAN, .scalar = 7},
         "no Boolean"},
        {{.kind = GBX_KIND_OUTPUT, .type = GBX_FLOW, .body_bytes = 1},
         "a Flow with a body"},
        {{.kind = GBX_KIND_OUTPUT, .type = GBX_INTEGER, .body_bytes = 1},
         "an Integer with a body"},
        {{.kind = GBX_KIND_OUTPUT, .type = GBX_FLOAT, .body_bytes = 1},
         "a Float with a body"},
        {{.kind = GBX_KIND_OUTPUT,
          .call = 1,
          .type = GBX_STRING,
          .flags = GBX_TYPED},
         "in no Array"},
        {{.kind = GBX_KIND_OUTPUT,
          .call = 1,
          .name_bytes = 1,
          .name.text = "\xff"},
         "UTF-8"},
        {{.kind = GBX_KIND_PRINT, .scalar = 3}, "no stream"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bad = cases[i].d;
        assert_int_equal(begin(send_bad, NULL, GBX_EEXIT), GBX_EBROKEN);
        if (strstr(err.what, cases[i].why) == NULL)
            fail_msg("%zu: \"%s\", not \"%s\"", i, err.what, cases[i].why);
        assert_int_equal(sandbox.state, SANDBOX_BROKEN);
        sandbox_close(&sandbox);
    }
}

static void print_hello(struct channel *g)
{
    send_body(g,
              (struct gbx_descriptor){
                  .kind = GBX_KIND_PRINT, .type = GBX_STREAM, .scalar = 1},
              "hello ");
}

static void prints_are_served_up_to_their_limit(void **state)
{
    (void)state;
    assert_int_equal(begin(print_hello, done_with_seven, GBX_EEXIT), 0);
    assert_int_equal(event.kind, GBX_KIND_DONE);
    assert_string_equal(printed, "hello ");
    sandbox_close(&sandbox);

    assert_int_equal(begin(print_hello, print_hello, GBX_EEXIT), GBX_EOUTPUT);
    assert_string_equal(printed, "hello ");
    sandbox_close(&sandbox);
}

/* The guest asks, and keeps the answer for the test. */
static struct gbx_descriptor answer;
static const char *ask_name;

static void ask(struct channel *g)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_ASK, .type = GBX_ARRAY};

    assert_int_equal(channel_put_name(g, &d, ask_name, strlen(ask_name), 1), 0);
    send_body(g, d, "\x81\x05"); /* [5] */
}

static void hear_and_end(struct channel *g)
{
    assert_int_equal(channel_try_recv(g, &answer), 0);
    done_with_seven(g);
}

static int twice(void *context, const struct gbx_message *arguments,
                 struct gbx_builder *b, struct gbx_error *e)
{
    (void)context;
    (void)e;
    assert_int_equal(arguments->body_bytes, 2);
    if (guest.config.base != NULL) /* a copy: not in the region */
        assert_true((const uint8_t *)arguments->body < guest.config.base ||
                    (const uint8_t *)arguments->body >=
                        guest.config.base + 2 * guest.config.half_bytes);
    gbx_build_integer(b, 2 * ((const uint8_t *)arguments->body)[1]);
    return 0;
}

static void host_calls_are_answered_or_refused_by_name(void **state)
{
    (void)state;
    ask_name = "twice";
    assert_int_equal(begin(ask, hear_and_end, GBX_EEXIT), 0);
    assert_int_equal(answer.flags, GBX_HAS_MESSAGE);
    assert_int_equal(*(uint8_t *)channel_at(&guest, answer.body_off), 10);
    assert_int_equal(sandbox.asks, 1);
    sandbox_close(&sandbox);

    ask_name = "thrice";
    assert_int_equal(begin(ask, hear_and_end, GBX_EEXIT), 0);
    assert_int_equal(answer.flags, GBX_IS_ERROR);
    assert_memory_equal(channel_at(&guest, answer.body_off),
                        "this host offers no call \"thrice\"", 34);
    sandbox_close(&sandbox);
}

static uint64_t grow_to;

static void ask_for_more(struct channel *g)
{
    send_scalar(g, GBX_KIND_GROW, GBX_FLOW, grow_to);
}

static void an_arena_grows_as_far_as_its_limit(void **state)
{
    (void)state;
    grow_to = 3 << 20;
    assert_int_equal(begin(ask_for_more, hear_and_end, GBX_EEXIT), 0);
    assert_int_equal(answer.type, GBX_INTEGER);
    assert_true(answer.scalar >= grow_to);
    sandbox_close(&sandbox);

    grow_to = UINT64_MAX;
    assert_int_equal(begin(ask_for_more, hear_and_end, GBX_EEXIT), 0);
    assert_int_equal(answer.flags, GBX_IS_ERROR);
    sandbox_close(&sandbox);
}

static void a_kill_is_told_as_a_cancel(void **state)
{
    (void)state;
    assert_int_equal(begin(print_hello, done_with_seven, GBX_EEXIT), 0);
    end_code = GBX_ECANCELED;
    sandbox_kill(&sandbox);
    assert_int_equal(sandbox_step(&sandbox, 0, &event, &err), GBX_ECANCELED);
    sandbox_close(&sandbox);
}

static void a_wiped_sandbox_is_as_it_was_after_open(void **state)
{
    (void)state;
    assert_int_equal(begin(print_hello, done_with_seven, GBX_EEXIT), 0);
    sandbox_finish(&sandbox);
    assert_int_equal(sandbox_wipe(&sandbox, 0, &err), 0);
    assert_int_equal(sandbox.state, SANDBOX_IDLE);
    sandbox_begin(&sandbox);
    acts[1] = done_with_seven;
    assert_int_equal(sandbox_step(&sandbox, 0, &event, &err), 0);
    assert_int_equal(event.message.scalar.integer, 7);
    sandbox_finish(&sandbox);

    wipe_code = GBX_EHOST;
    assert_int_equal(sandbox_wipe(&sandbox, 0, &err), GBX_EHOST);
    wipe_code = 0;
    assert_int_equal(sandbox.state, SANDBOX_BROKEN);
    sandbox_close(&sandbox);
}

static void a_busy_sandbox_is_broken_before_it_goes(void **state)
{
    (void)state;
    assert_true(sandbox_may(SANDBOX_BUSY, SANDBOX_BROKEN));
    assert_true(sandbox_may(SANDBOX_BROKEN, SANDBOX_EMPTY));
    assert_false(sandbox_may(SANDBOX_BUSY, SANDBOX_EMPTY));
    assert_false(sandbox_may(SANDBOX_EMPTY, SANDBOX_IDLE));
    assert_string_equal(sandbox_state_name(SANDBOX_WIPING), "WIPING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_before_the_end_is_heard_first),
        cmocka_unit_test(a_guest_says_ready_first),
        cmocka_unit_test(so_does_one_that_was_spoken_to_before),
        cmocka_unit_test(a_guest_out_of_turn_or_type_is_broken),
        cmocka_unit_test(prints_are_served_up_to_their_limit),
        cmocka_unit_test(host_calls_are_answered_or_refused_by_name),
        cmocka_unit_test(an_arena_grows_as_far_as_its_limit),
        cmocka_unit_test(a_kill_is_told_as_a_cancel),
        cmocka_unit_test(a_wiped_sandbox_is_as_it_was_after_open),
        cmocka_unit_test(a_busy_sandbox_is_broken_before_it_goes),
    };

    host_calls_add(&calls, "twice", twice, NULL);
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
