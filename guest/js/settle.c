/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.c - until a handler has its answer: promises' jobs, then timers.
 *
 * There is nothing else here that could settle a promise: what waits for
 * nothing of this would wait for ever, and is told so.
 */
#include <time.h>

#include "guest_js.h"

enum promise { PENDING, FULFILLED, REJECTED };

#define I (&engine.instance)

/* All jobs that are due.  What a job throws is a rejection of its promise. */
static void run_jobs(void)
{
    while (QTS_IsJobPending(I, engine.places.runtime))
        js_free(QTS_ExecutePendingJob(I, engine.places.runtime, UINT32_MAX,
                                      engine.places.last_job));
}

static void sleep_ms(double ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1e3)};

    t.tv_nsec = (long)((ms - (double)t.tv_sec * 1e3) * 1e6);
    while (nanosleep(&t, &t) < 0)
        ;
}

/* Run the timers that are due, or wait for the next. */
static int wait_for_timer(void)
{
    js_value next = js_call(program.prelude.fire, 0, NULL);
    double ms;

    if (next == JS_NONE)
        return -1;
    ms = js_float(next);
    js_free(next);
    if (ms < 0)
        return raise_error("Error",
                           "the answer is a promise that nothing settles");
    if (ms > 0) {
        if (print_flush() < 0)
            return -1;
        sleep_ms(ms);
    }
    return 0;
}

js_value settle(js_value value)
{
    js_value result;
    int32_t state;

    if (value == JS_NONE || js_kind(value) != JS_KIND_OTHER)
        return value;
    while ((state = (int32_t)QTS_PromiseState(I, engine.places.context,
                                              value)) == PENDING) {
        run_jobs();
        if (QTS_PromiseState(I, engine.places.context, value) == PENDING &&
            wait_for_timer() < 0) {
            js_free(value);
            return JS_NONE;
        }
    }
    if (state != FULFILLED && state != REJECTED)
        return value; /* no promise */
    rejections_forget(value);
    result = QTS_PromiseResult(I, engine.places.context, value);
    js_free(value);
    return state == REJECTED ? js_throw(result) : result;
}

int settle_rest(void)
{
    js_value reason;

    run_jobs();
    reason = rejections_take();
    if (reason == JS_NONE)
        return 0;
    js_throw(reason);
    return -1;
}
