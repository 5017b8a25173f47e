/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wipe_test.c - what a call leaves behind, by each policy, and how many
 * sandboxes a script has.
 */
#include <pthread.h>

#include "story.h"

/* Its answer tells how many calls this sandbox has seen. */
#define COUNTER                                                                \
    "n = 0\n"                                                                  \
    "def process(c):\n"                                                        \
    "    global n\n"                                                           \
    "    n += 1\n"                                                             \
    "    if c.get_input('in') == 'fail':\n"                                    \
    "        raise ValueError('as wanted')\n"                                  \
    "    if c.get_input('in') == 'exit':\n"                                    \
    "        import os; os._exit(3)\n"                                         \
    "    if c.get_input('in') == 'loop':\n"                                    \
    "        while True: pass\n"                                               \
    "    return {'n': n}\n"

#define IS(n) "{\"n\":{\"type\":\"Integer\",\"data\":" #n "}}"

/* One call for a key: its answer, static; or NULL, and *code. */
static const char *ask_for(struct story *s, struct gbx_script *script,
                           const char *key, const char *json, double seconds,
                           int *code)
{
    static char answer[4096];
    struct gbx_call *call;

    assert_return_code(
        gbx_call_begin_for(&call, script, key, story_deadline(10), &s->err), 0);
    if (json != NULL)
        story_put(s, call, "in", json);
    *code = gbx_call_run(call, story_deadline(seconds), &s->err);
    if (*code == 0)
        snprintf(answer, sizeof(answer), "%s", story_outputs(call));
    gbx_call_finish(call);
    return *code == 0 ? answer : NULL;
}

static void counts(struct story *s, struct gbx_script *script, const char *key,
                   const char *want)
{
    int code;
    const char *answer = ask_for(s, script, key, "\"go\"", 10, &code);

    if (code < 0)
        print_error("%s\n", s->err.what);
    assert_int_equal(code, 0);
    assert_string_equal(answer, want);
}

static void fails(struct story *s, struct gbx_script *script, const char *key,
                  const char *how, double seconds, int want)
{
    int code;

    ask_for(s, script, key, how, seconds, &code);
    assert_int_equal(code, want);
}

static struct gbx_script *open_with(struct story *s, enum gbx_wipe wipe,
                                    uint32_t total_max)
{
    s->config.wipe = wipe;
    s->config.pool.total_max = total_max;
    return story_open(s, COUNTER);
}

static void never_wiped_it_counts_on(void **state)
{
    STORY_NOT_REMOTE("its host wipes it");
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_NEVER, 1);

    counts(s, script, NULL, IS(1));
    counts(s, script, NULL, IS(2));
    fails(s, script, NULL, "\"fail\"", 10, GBX_ESCRIPT);
    counts(s, script, NULL, IS(4));
    fails(s, script, NULL, "\"exit\"", 10, GBX_EEXIT);
    counts(s, script, NULL, IS(1));
    story_close(s, script);
}

static void wiped_per_call_each_is_the_first(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_CALL, 1);
    struct gbx_pool_stats stats;

    for (int i = 0; i < 20; i++)
        counts(s, script, NULL, IS(1));
    gbx_script_pool_stats(script, &stats);
    assert_int_equal(stats.taken, 20);
    if (story_is("microvm")) {
        assert_int_equal(stats.total, 1);
        assert_in_range(stats.wiped, 18, 20);
        assert_in_range(stats.built, 1, 2);
    }
    story_close(s, script);
}

static void a_call_that_fails_leaves_no_trace(void **state)
{
    static const struct {
        const char *how;
        double seconds;
        int want;
    } ways[] = {{"\"fail\"", 10, GBX_ESCRIPT},
                {"\"exit\"", 10, GBX_EEXIT},
                {"\"loop\"", 0.05, GBX_ETIME}};
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_DEFAULT, 1);

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
            counts(s, script, NULL, IS(1));
            counts(s, script, NULL, IS(2));
            fails(s, script, NULL, ways[i].how, ways[i].seconds, ways[i].want);
        }
    }
    counts(s, script, NULL, IS(1));
    story_close(s, script);
}

static void tenants_do_not_see_each_other(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_TENANT, 1);

    counts(s, script, "anne", IS(1));
    counts(s, script, "anne", IS(2));
    counts(s, script, "bert", IS(1));
    counts(s, script, "anne", IS(1));
    counts(s, script, "anne", IS(2));
    counts(s, script, NULL, IS(1));
    fails(s, script, "anne", "\"fail\"", 10, GBX_ESCRIPT);
    counts(s, script, "anne", IS(1));
    story_close(s, script);
}

static void a_tenant_finds_its_own_sandbox_again(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_TENANT, 3);

    counts(s, script, "anne", IS(1));
    counts(s, script, "bert", IS(1));
    counts(s, script, "carl", IS(1));
    counts(s, script, "anne", IS(2));
    counts(s, script, "bert", IS(2));
    counts(s, script, "carl", IS(2));
    counts(s, script, "dora", IS(1));
    story_close(s, script);
}

static void an_actor_keeps_its_sandbox(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_NEVER, 2);
    struct gbx_call *call;

    counts(s, script, "one", IS(1));
    counts(s, script, "two", IS(1));
    counts(s, script, "one", IS(2));
    counts(s, script, "two", IS(2));
    assert_int_equal(
        gbx_call_begin_for(&call, script, "three", story_deadline(10), &s->err),
        GBX_ELIMIT);
    assert_non_null(strstr(s->err.what, "total_max"));
    fails(s, script, "one", "\"exit\"", 10, GBX_EEXIT);
    counts(s, script, "two", IS(3));
    counts(s, script, "three", IS(1)); /* the place of the one that broke */
    story_close(s, script);
}

static void after_so_many_calls_comes_a_new_one(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.pool.recycle_calls = 3;
    script = open_with(s, GBX_WIPE_NEVER, 1);
    counts(s, script, NULL, IS(1));
    counts(s, script, NULL, IS(2));
    counts(s, script, NULL, IS(3));
    counts(s, script, NULL, IS(1));
    story_close(s, script);
}

#define TAKERS 40

struct taker {
    struct story *s;
    struct gbx_script *script;
    int calls, good;
};

static void *take_often(void *context)
{
    struct taker *taker = context;
    struct gbx_error err;

    for (int i = 0; i < taker->calls; i++) {
        struct gbx_call *call;

        if (gbx_call_begin(&call, taker->script, story_deadline(30), &err) < 0)
            continue;
        taker->good += gbx_call_run(call, story_deadline(10), &err) == 0;
        gbx_call_finish(call);
    }
    return NULL;
}

static void ten_times_as_many_takers_all_get_their_turn(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_CALL, 4);
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    struct gbx_pool_stats stats;

    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.s = s, .script = script, .calls = 5};
        assert_int_equal(
            pthread_create(&threads[i], NULL, take_often, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(takers[i].good, 5);
    }
    gbx_script_pool_stats(script, &stats);
    assert_int_equal(stats.taken, TAKERS * 5);
    assert_in_range(stats.total, 0, 4);
    assert_int_equal(stats.busy, 0);
    assert_int_equal(stats.waiting, 0);
    story_close(s, script);
}

static void who_waits_too_long_is_told(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_CALL, 1);
    struct gbx_call *call = story_call(s, script), *other;
    struct gbx_pool_stats stats;

    assert_int_equal(
        gbx_call_begin(&other, script, story_deadline(0.05), &s->err),
        GBX_ETIME);
    assert_null(other);
    assert_int_equal(story_run(s, call), 0);
    gbx_call_finish(call);
    gbx_script_pool_stats(script, &stats);
    assert_int_equal(stats.waits, 1);
    assert_int_equal(stats.waiting, 0);
    assert_true(stats.wait_ns_max >= 40000000);
    story_close(s, script);
}

static void wait_for(struct gbx_script *script, uint32_t ready)
{
    struct gbx_pool_stats stats;

    for (int i = 0; i < 1000; i++) {
        gbx_script_pool_stats(script, &stats);
        if (stats.ready == ready)
            return;
        usleep(10000);
    }
    fail_msg("%u are ready, not %u", stats.ready, ready);
}

static void some_are_made_ahead_and_closed_when_idle(void **state)
{
    struct story *s = *state;
    struct gbx_call *calls[4];
    struct gbx_script *script;

    s->config.pool.ready_min = 2;
    s->config.pool.idle_ns = 50000000;
    script = open_with(s, GBX_WIPE_PER_CALL, 4);
    wait_for(script, 2);
    for (int i = 0; i < 4; i++)
        calls[i] = story_call(s, script);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(story_run(s, calls[i]), 0);
        gbx_call_finish(calls[i]);
    }
    wait_for(script, 2); /* two of four were idle for too long */
    story_close(s, script);
}

static void short_of_memory_half_of_the_free_ones_go(void **state)
{
    struct story *s = *state;
    struct gbx_call *calls[4];
    struct gbx_script *script = open_with(s, GBX_WIPE_PER_TENANT, 4);
    struct gbx_pool_stats before, stats;

    for (int i = 0; i < 4; i++)
        calls[i] = story_call(s, script);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(story_run(s, calls[i]), 0);
        gbx_call_finish(calls[i]);
    }
    gbx_script_pool_stats(script, &before);
    assert_int_equal(before.ready, 4);
    gbx_runtime_shrink(s->runtime);
    gbx_script_pool_stats(script, &stats);
    assert_int_equal(stats.ready, before.ready / 2);
    assert_int_equal(stats.retired, before.ready - before.ready / 2);
    counts(s, script, "somebody new", IS(1));
    story_close(s, script);
}

static void no_more_can_be_ready_than_there_may_be(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;

    s->config.pool = (struct gbx_pool_config){.ready_min = 3, .total_max = 2};
    assert_int_equal(story_try(s, COUNTER, &script), GBX_EARGUMENT);
    assert_non_null(strstr(s->err.what, "total_max"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(never_wiped_it_counts_on),
        story_test(wiped_per_call_each_is_the_first),
        story_test(a_call_that_fails_leaves_no_trace),
        story_test(tenants_do_not_see_each_other),
        story_test(a_tenant_finds_its_own_sandbox_again),
        story_test(an_actor_keeps_its_sandbox),
        story_test(after_so_many_calls_comes_a_new_one),
        story_test(ten_times_as_many_takers_all_get_their_turn),
        story_test(who_waits_too_long_is_told),
        story_test(some_are_made_ahead_and_closed_when_idle),
        story_test(short_of_memory_half_of_the_free_ones_go),
        story_test(no_more_can_be_ready_than_there_may_be),
    };

    return story_main("wipe", tests);
}
