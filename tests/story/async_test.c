/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that do not wait, calls that are cancelled, calls of many threads. */
#include "story.h"

#include "glovebox/abi/region.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* Poll and collect until it is over. */
static int wait_for(struct story *s, struct gbx_call *call, int *polls)
{
    struct pollfd p = {.fd = gbx_call_fd(call), .events = POLLIN};
    int rc;

    for (*polls = 0; (rc = gbx_call_collect(call, &s->err)) == GBX_EAGAIN;
         ++*polls)
        assert_int_equal(poll(&p, 1, 10000), 1);
    return rc;
}

static void a_submitted_call_is_collected_when_its_fd_is_readable(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import time\n"
                      "def process(c):\n"
                      "    print('x'); c.send_output('early', 1)\n"
                      "    time.sleep(0.05); c.state.increment('n')\n"
                      "    return {'out': c.get_input('in')}\n");
    struct gbx_call *call;
    int polls;

    for (int i = 0; i < 3; i++) {
        call = story_call(s, script);
        story_put(s, call, "in", "5");
        assert_int_equal(gbx_call_submit(call, story_deadline(10), &s->err), 0);
        assert_int_equal(wait_for(s, call, &polls), 0);
        assert_true(polls >= 1 && polls < 20); /* no busy waiting */
        assert_string_equal(story_outputs(call),
                            "{\"early\":{\"type\":\"Integer\",\"data\":1},"
                            "\"out\":{\"type\":\"Integer\",\"data\":5}}");
        gbx_call_finish(call);
    }
    story_close(s, script);
}

/* Nobody collects in between: it runs, and tells by the descriptor. */
static void a_submitted_call_runs_while_nobody_looks(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import time\ndef process(c):\n"
                      "    t = time.monotonic()\n"
                      "    while time.monotonic() - t < 0.02: pass\n"
                      "    return {'out': 1}\n");

    for (int i = 0; i < 20; i++) {
        struct gbx_call *call = story_call(s, script);
        struct pollfd p = {.fd = -1, .events = POLLIN};
        int rc;

        assert_int_equal(gbx_call_submit(call, story_deadline(10), &s->err), 0);
        usleep((unsigned)i % 3 * 15000);
        p.fd = gbx_call_fd(call);
        do
            assert_int_equal(poll(&p, 1, 5000), 1);
        while ((rc = gbx_call_collect(call, &s->err)) == GBX_EAGAIN);
        assert_int_equal(rc, 0);
        gbx_call_finish(call);
    }
    story_close(s, script);
}

/* A thread of the script that never stops keeps nobody from hearing. */
static void an_answer_reaches_a_script_that_spins_beside(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import threading\n"
                      "def spin():\n"
                      "    while True: pass\n"
                      "threading.Thread(target=spin, daemon=True).start()\n"
                      "def process(c):\n"
                      "    return {'out': c.get_input('in')}\n");
    struct gbx_call *call;
    int polls;

    for (int i = 0; i < 5; i++) {
        call = story_call(s, script);
        story_put(s, call, "in", "5");
        assert_int_equal(gbx_call_submit(call, story_deadline(10), &s->err), 0);
        assert_int_equal(wait_for(s, call, &polls), 0);
        gbx_call_finish(call);
    }
    story_close(s, script);
}

static void the_fd_tells_of_the_deadline_too(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import time\ndef process(c): time.sleep(100)\n");
    struct gbx_call *call = story_call(s, script);
    int polls;

    assert_int_equal(gbx_call_submit(call, story_deadline(0.1), &s->err), 0);
    assert_int_equal(wait_for(s, call, &polls), GBX_ETIME);
    gbx_call_finish(call);
    story_close(s, script);
}

static void count_up(void *context, const char *port,
                     const struct gbx_message *message)
{
    (void)port;
    (void)message;
    ++*(int *)context;
}

static void a_flood_of_outputs_is_collected_in_portions(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "def process(c):\n"
                      "    while True: c.send_output('x', 1)\n");
    struct gbx_call *call = story_call(s, script);
    int count = 0, portion = 0, polls;

    gbx_call_on_output(call, count_up, &count);
    assert_int_equal(gbx_call_submit(call, story_deadline(0.2), &s->err), 0);
    for (int i = 0; i < 20; i++) {
        portion = count;
        assert_int_equal(gbx_call_collect(call, &s->err), GBX_EAGAIN);
        assert_true(count - portion <= (int)GBX_RING_SLOTS);
    }
    assert_int_equal(wait_for(s, call, &polls), GBX_ETIME);
    assert_true(count > 0);
    /* Collected once more, it says the same. */
    assert_int_equal(gbx_call_collect(call, &s->err), GBX_ETIME);
    assert_int_equal(s->err.code, GBX_ETIME);
    gbx_call_finish(call);
    story_close(s, script);
}

static void the_fd_tells_of_the_guests_death_too(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(
        s, "import os, time\ndef process(c): time.sleep(0.05); os._exit(1)\n");
    struct gbx_call *call = story_call(s, script);
    int polls;

    assert_int_equal(gbx_call_submit(call, 0, &s->err), 0);
    assert_int_equal(wait_for(s, call, &polls), GBX_EEXIT);
    gbx_call_finish(call);
    story_close(s, script);
}

static void an_abandoned_call_ends_with_its_sandbox(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import time\ndef process(c): time.sleep(100)\n");
    struct gbx_call *call = story_call(s, script);

    assert_int_equal(gbx_call_submit(call, 0, &s->err), 0);
    gbx_call_finish(call);
    story_close(s, script);
}

struct canceler {
    struct gbx_call *call;
    useconds_t after_us;
};

static void *cancel(void *context)
{
    struct canceler *c = context;

    usleep(c->after_us);
    gbx_call_cancel(c->call);
    return NULL;
}

/* All threads of the script wait, for good. */
static void the_fd_tells_of_a_cancel_too(void **state)
{
    struct story *s = *state;
    struct gbx_script *script =
        story_open(s, "import threading\n"
                      "def process(c): threading.Event().wait()\n");
    struct gbx_call *call = story_call(s, script);
    struct canceler canceler = {.call = call, .after_us = 50000};
    pthread_t thread;
    int polls;

    assert_int_equal(gbx_call_submit(call, 0, &s->err), 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel, &canceler), 0);
    assert_int_equal(wait_for(s, call, &polls), GBX_ECANCELED);
    pthread_join(thread, NULL);
    gbx_call_finish(call);
    story_close(s, script);
}

static void a_call_is_cancelled_from_another_thread(void **state)
{
    static const char *const texts[] = {
        "def process(c):\n    while True: pass\n",
        "import time\ndef process(c): time.sleep(100)\n",
    };
    struct story *s = *state;

    for (int i = 0; i < 4; i++) {
        struct gbx_script *script;
        struct canceler c;
        pthread_t thread;
        int rc;

        s->config.spin_ns = i < 2 ? 1 : 5000000000; /* asleep, awake */
        script = story_open(s, texts[i % 2]);
        c = (struct canceler){.call = story_call(s, script), .after_us = 50000};
        assert_int_equal(pthread_create(&thread, NULL, cancel, &c), 0);
        rc = gbx_call_run(c.call, story_deadline(10), &s->err);
        pthread_join(thread, NULL);
        assert_int_equal(rc, GBX_ECANCELED);
        gbx_call_finish(c.call);
        /* The script lives on. */
        gbx_call_finish(story_call(s, script));
        story_close(s, script);
    }
}

static void a_cancel_before_the_start_is_not_forgotten(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, "def process(c): return 1\n");
    struct gbx_call *call = story_call(s, script);

    gbx_call_cancel(call);
    assert_int_equal(story_run(s, call), GBX_ECANCELED);
    gbx_call_finish(call);
    story_close(s, script);
}

struct worker {
    struct gbx_script *script;
    int calls, sum;
};

static void *work(void *context)
{
    struct worker *w = context;

    for (int i = 0; i < w->calls; i++) {
        struct gbx_message in = {.type = GBX_INTEGER, .scalar.integer = i}, out;
        struct gbx_error err;
        struct gbx_call *call;
        const char *port;

        if (gbx_call_begin(&call, w->script, 0, &err) < 0)
            break;
        if (gbx_call_put(call, "in", &in, &err) == 0 &&
            gbx_call_run(call, 0, &err) == 0 &&
            gbx_call_next(call, &port, &out) == 0)
            w->sum += (int)out.scalar.integer;
        gbx_call_finish(call);
    }
    return NULL;
}

static void calls_of_many_threads_queue_up(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(
        s, "def process(c): return {'out': c.get_input('in') * 2}\n");
    struct worker workers[4];
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.script = script, .calls = 200};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]),
                         0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].sum, 199 * 200);
    }
    story_close(s, script);
}

static void *open_and_call(void *context)
{
    struct story *s = context;
    struct gbx_script_config config = s->config;
    struct worker w = {.calls = 20};
    struct gbx_error err;
    char path[128];

    snprintf(path, sizeof(path), "%s/story.py", s->folder);
    if (gbx_script_open(&w.script, s->runtime, path, &config, &err) < 0)
        return NULL;
    work(&w);
    gbx_script_close(w.script);
    return w.sum == 380 ? s : NULL;
}

static void many_scripts_live_in_one_process(void **state)
{
    struct story *s = *state;
    pthread_t threads[8];
    void *well;

    story_close(
        s, story_open(
               s, "def process(c): return {'out': c.get_input('in') * 2}\n"));
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_call, s),
                         0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &well);
        assert_ptr_equal(well, s);
    }
}

static void a_busy_script_makes_begin_wait_until_its_deadline(void **state)
{
    struct story *s = *state;
    struct gbx_script *script = story_open(s, "def process(c): pass\n");
    struct gbx_call *call = story_call(s, script), *second;

    assert_int_equal(
        gbx_call_begin(&second, script, story_deadline(0.05), &s->err),
        GBX_ETIME);
    assert_null(second);
    gbx_call_finish(call);
    story_close(s, script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story_test(a_submitted_call_is_collected_when_its_fd_is_readable),
        story_test(a_submitted_call_runs_while_nobody_looks),
        story_test(an_answer_reaches_a_script_that_spins_beside),
        story_test(the_fd_tells_of_the_deadline_too),
        story_test(a_flood_of_outputs_is_collected_in_portions),
        story_test(the_fd_tells_of_the_guests_death_too),
        story_test(an_abandoned_call_ends_with_its_sandbox),
        story_test(a_call_is_cancelled_from_another_thread),
        story_test(the_fd_tells_of_a_cancel_too),
        story_test(a_cancel_before_the_start_is_not_forgotten),
        story_test(calls_of_many_threads_queue_up),
        story_test(many_scripts_live_in_one_process),
        story_test(a_busy_script_makes_begin_wait_until_its_deadline),
    };

    return story_main("async", tests);
}
