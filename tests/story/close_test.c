/* SPDX-License-Identifier: Apache-2.0 */
/* A script is closed while calls of it are open: each ends, and says so. */
#include <poll.h>
#include <pthread.h>

#include "story.h"

#define ECHO "def process(c): return {'out': c.get_input('in')}\n"
#define LOOP "def process(c):\n    while True: pass\n"

static void a_call_that_was_not_run_cannot_be_run(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, ECHO);
    struct gbx_call *call = story_call(s, script);

    story_put(s, call, "in", "5");
    story_close(s, script);
    assert_int_equal(story_run(s, call), GBX_ECANCELED);
    gbx_call_finish(call);
}

static void what_came_out_can_be_read_until_finish(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, ECHO);
    struct gbx_call *call = story_call(s, script);

    story_put(s, call, "in", "[1,\"two\"]");
    assert_int_equal(story_run(s, call), 0);
    story_close(s, script);
    assert_non_null(strstr(story_outputs(call), "two"));
    gbx_call_finish(call);
}

struct running {
    struct story *s;
    struct gbx_script *script;
    struct gbx_call *call; /* or NULL: it is begun first */
    struct gbx_error err;
    int rc;
};

static void *run(void *context)
{
    struct running *it = context;

    it->rc = 0;
    if (it->call == NULL)
        it->rc =
            gbx_call_begin(&it->call, it->script, story_deadline(30), &it->err);
    if (it->rc == 0)
        it->rc = gbx_call_run(it->call, story_deadline(30), &it->err);
    gbx_call_finish(it->call);
    return NULL;
}

static void calls_that_run_are_canceled(void **state)
{
    struct story *s = *state;
    struct running running[3];
    struct gbx_script *script;
    pthread_t threads[3];

    s->config.pool.total_max = 3;
    script = story_open(s, LOOP);
    for (int i = 0; i < 3; i++) {
        running[i] = (struct running){.s = s, .call = story_call(s, script)};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &running[i]),
                         0);
    }
    usleep(20000); /* into the calls */
    story_close(s, script);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(running[i].rc, GBX_ECANCELED);
    }
}

/* Ten times as many as may be at once. */
static void calls_that_wait_to_begin_are_canceled(void **state)
{
    struct story *s = *state;
    struct running running[20];
    struct gbx_pool_stats stats;
    struct gbx_script *script;
    struct gbx_call *calls[2];
    pthread_t threads[20];

    s->config.pool.total_max = 2;
    script = story_open(s, ECHO);
    calls[0] = story_call(s, script);
    calls[1] = story_call(s, script);
    for (int i = 0; i < 20; i++) {
        running[i] = (struct running){.s = s, .script = script};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &running[i]),
                         0);
    }
    do
        gbx_script_pool_stats(script, &stats);
    while (stats.waiting < 20 && usleep(1000) == 0);
    story_close(s, script);
    for (int i = 0; i < 20; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(running[i].rc, GBX_ECANCELED);
        assert_non_null(strstr(running[i].err.what, "closed"));
    }
    gbx_call_finish(calls[0]);
    gbx_call_finish(calls[1]);
}

static void a_submitted_call_ends(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, LOOP);
    struct gbx_call *call = story_call(s, script);
    struct pollfd p = {.events = POLLIN};
    int rc;

    assert_int_equal(gbx_call_submit(call, story_deadline(30), &s->err), 0);
    story_close(s, script);
    p.fd = gbx_call_fd(call);
    while ((rc = gbx_call_collect(call, &s->err)) == GBX_EAGAIN)
        assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(rc, GBX_ECANCELED);
    gbx_call_finish(call);
}

static void a_call_may_be_finished_without_being_run(void **state)
{
    struct story *s = *state;
    struct gbx_script *script;
    struct gbx_call *calls[2];

    s->config.pool.total_max = 2;
    s->config.wipe = GBX_WIPE_PER_CALL;
    script = story_open(s, ECHO);
    calls[0] = story_call(s, script);
    calls[1] = story_call(s, script);
    story_put(s, calls[1], "in", "5");
    assert_int_equal(gbx_call_submit(calls[0], story_deadline(10), &s->err), 0);
    story_close(s, script);
    gbx_call_finish(calls[0]);
    gbx_call_finish(calls[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_call_that_was_not_run_cannot_be_run),
        story_test(what_came_out_can_be_read_until_finish),
        story_test(calls_that_run_are_canceled),
        story_test(calls_that_wait_to_begin_are_canceled),
        story_test(a_submitted_call_ends),
        story_test(a_call_may_be_finished_without_being_run),
    };

    return story_main("close", tests);
}
