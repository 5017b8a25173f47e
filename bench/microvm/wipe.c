/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wipe.c - what it costs that a call leaves nothing behind.
 *
 * The same call in a sandbox that is kept, and in one that is wiped after it.
 * How many pages a wipe finds written, and how long it takes, the pool counts
 * itself.  Then the tail: taken, called and given back for a minute, by one
 * thread and by two.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "bench.h"
#include "microvm/raw.h"

#define ROUNDS       5
#define CALLS        400 /* in a round */
#define WARM_UP      50
#define BYTES        64
#define TAIL_NS      60000000000u
#define TAIL_THREADS 2

enum kind { KEPT, WIPED, KINDS };

static const struct {
    const char *what;
    enum gbx_wipe wipe;
} kinds[KINDS] = {{"call", GBX_WIPE_NEVER},
                  {"call, and wipe", GBX_WIPE_PER_CALL}};

struct tail {
    struct samples samples;
    uint64_t failures;
    char why[GBX_ERROR_TEXT_MAX];
};

struct wipe {
    struct samples calls[KINDS], exits;
    uint64_t wipes, wipe_ns, pages;
    struct tail tails[TAIL_THREADS]; /* by how many threads, less one */
    char why[GBX_ERROR_TEXT_MAX];
};

static unsigned char body[BYTES] = {1};

/* What the pool has counted since `before`. */
static void count_wipes(struct wipe *wipe, struct gbx_script *script,
                        const struct gbx_pool_stats *before)
{
    struct gbx_pool_stats now;

    gbx_script_pool_stats(script, &now);
    wipe->wipes += now.wiped - before->wiped;
    wipe->wipe_ns += now.wipe_ns - before->wipe_ns;
    wipe->pages += now.wiped_pages - before->wiped_pages;
}

static void measure_calls(struct wipe *wipe, const struct paths *paths,
                          enum kind kind)
{
    struct box_how how = {.script = "echo.py",
                          .isolation = GBX_ISOLATION_MICROVM,
                          .place = PLACE_FREE,
                          .wipe = kinds[kind].wipe};
    struct box_call call = {.data = body, .bytes = BYTES};
    struct gbx_pool_stats before = {0};
    struct gbx_error err = {0};
    struct box box;
    bool good = box_open(&box, paths, &how, &err);

    for (size_t i = 0; good && i < WARM_UP + CALLS; i++) {
        if (i == WARM_UP)
            gbx_script_pool_stats(box.script, &before);
        good = box_call(&box, &call, &err);
        if (good && i >= WARM_UP)
            samples_add(&wipe->calls[kind], call.call_ns);
    }
    if (good)
        count_wipes(wipe, box.script, &before);
    else
        snprintf(wipe->why, sizeof(wipe->why), "%s", err.what);
    box_close(&box);
}

struct caller {
    struct box *box;
    struct tail tail;
    uint64_t until_ns;
    pthread_t thread;
    bool started;
};

static void *call_on(void *context)
{
    struct caller *caller = context;
    struct tail *tail = &caller->tail;
    struct box_call call = {.data = body, .bytes = BYTES};
    struct gbx_error err = {0};

    for (size_t i = 0; measure_now_ns() < caller->until_ns; i++) {
        if (!box_call(caller->box, &call, &err)) {
            tail->failures++;
            snprintf(tail->why, sizeof(tail->why), "%s", err.what);
        } else if (i >= WARM_UP) {
            samples_add(&tail->samples, call.call_ns);
        }
    }
    return NULL;
}

static void join(struct tail *tail, struct caller *caller)
{
    if (!caller->started || pthread_join(caller->thread, NULL) != 0) {
        tail->failures++;
        return;
    }
    for (size_t i = 0; i < caller->tail.samples.count; i++)
        samples_add(&tail->samples, caller->tail.samples.values[i]);
    samples_fini(&caller->tail.samples);
    tail->failures += caller->tail.failures;
    if (caller->tail.why[0] != '\0')
        memcpy(tail->why, caller->tail.why, sizeof(tail->why));
}

static void measure_tail(struct wipe *wipe, const struct paths *paths,
                         unsigned threads)
{
    struct box_how how = {.script = "echo.py",
                          .isolation = GBX_ISOLATION_MICROVM,
                          .place = PLACE_FREE,
                          .wipe = GBX_WIPE_PER_CALL,
                          .pool = {.ready_min = threads, .total_max = threads}};
    struct caller callers[TAIL_THREADS] = {0};
    struct tail *tail = &wipe->tails[threads - 1];
    struct gbx_error err = {0};
    struct box box;

    if (!box_open(&box, paths, &how, &err)) {
        snprintf(tail->why, sizeof(tail->why), "%s", err.what);
        return;
    }
    for (unsigned i = 0; i < threads; i++) {
        callers[i].box = &box;
        callers[i].until_ns = measure_now_ns() + TAIL_NS;
        callers[i].started =
            pthread_create(&callers[i].thread, NULL, call_on, &callers[i]) == 0;
    }
    for (unsigned i = 0; i < threads; i++)
        join(tail, &callers[i]);
    box_close(&box);
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},        {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME}, {"p99_ns", "p99", REPORT_TIME},
    {"pages", "pages", REPORT_COUNT},     {"per_exit", "/ exit", REPORT_TIMES},
};

static struct figure tell_row(struct report *report, const char *what,
                              struct samples *samples, double exit_ns)
{
    struct figure figure = samples_figure(samples);

    samples_fini(samples);
    report_row(report);
    report_text(report, "what", what);
    report_figure(report, &figure);
    report_ratio(report, "per_exit", figure.median, exit_ns);
    return figure;
}

/* There is no median: the pool counts the time of all together. */
static double tell_wipes(struct report *report, const struct wipe *wipe,
                         double exit_ns)
{
    double ns;

    report_row(report);
    report_text(report, "what", "  the wipe alone (mean)");
    if (wipe->wipes == 0)
        return 0;
    ns = (double)wipe->wipe_ns / (double)wipe->wipes;
    report_number(report, "n", (double)wipe->wipes);
    report_number(report, "median_ns", ns);
    report_number(report, "pages", (double)wipe->pages / (double)wipe->wipes);
    report_ratio(report, "per_exit", ns, exit_ns);
    return ns;
}

static void tell_tails(struct report *report, struct wipe *wipe, double exit_ns)
{
    struct figure figures[TAIL_THREADS];

    for (unsigned i = 0; i < TAIL_THREADS; i++) {
        struct tail *tail = &wipe->tails[i];
        char what[60];

        snprintf(what, sizeof(what), "call, and wipe; %u thread%s, %u s", i + 1,
                 i == 0 ? "" : "s", (unsigned)(TAIL_NS / 1000000000u));
        figures[i] = tell_row(report, what, &tail->samples, exit_ns);
        if (tail->failures > 0 || tail->why[0] != '\0')
            report_note(report, "%s: %llu failed: %s", what,
                        (unsigned long long)tail->failures, tail->why);
    }
    for (unsigned i = 0; i < TAIL_THREADS; i++)
        report_target(report,
                      i == 0 ? "p99 against median, 1 thread"
                             : "p99 against median, 2 threads",
                      REPORT_TIMES,
                      figures[i].count > 0 && wipe->tails[i].failures == 0
                          ? figures[i].p99 / figures[i].median
                          : 0,
                      AT_MOST, 3);
}

static void tell(struct report *report, struct wipe *wipe)
{
    struct figure exit, both;
    double wipe_ns, pages;

    report_begin(report, "wipe",
                 "64 bytes there and back, and no trace of them", columns,
                 ARRAY_SIZE(columns));
    exit = tell_row(report, "a raw exit of KVM", &wipe->exits, 0);
    tell_row(report, kinds[KEPT].what, &wipe->calls[KEPT], exit.median);
    both =
        tell_row(report, kinds[WIPED].what, &wipe->calls[WIPED], exit.median);
    wipe_ns = tell_wipes(report, wipe, exit.median);
    pages = wipe->wipes == 0 ? 0 : (double)wipe->pages / (double)wipe->wipes;
    if (wipe->why[0] != '\0')
        report_note(report, "%s", wipe->why);
    report_note(report,
                "pages: of 4 KiB, that were the call's own and were put "
                "back.");
    report_target(report, "call and wipe: 5 exits + 2 us a page", REPORT_TIME,
                  both.median, AT_MOST,
                  exit.count > 0 ? 5 * exit.median + 2000 * pages : 0);
    report_target(report, "wipe alone: 3 exits + 1.5 us a page", REPORT_TIME,
                  wipe_ns, AT_MOST,
                  exit.count > 0 ? 3 * exit.median + 1500 * pages : 0);
    tell_tails(report, wipe, exit.median);
    report_end(report);
}

bool bench_wipe(struct report *report, const struct paths *paths)
{
    static struct wipe wipe;

    wipe = (struct wipe){0};
    for (size_t round = 0; round < ROUNDS; round++) {
        report_progress(report, "wipe: round %zu of %d", round + 1, ROUNDS);
        raw_sample_exits(&wipe.exits, CALLS);
        for (enum kind kind = 0; kind < KINDS; kind++)
            if (wipe.why[0] == '\0')
                measure_calls(&wipe, paths, kind);
    }
    for (unsigned threads = 1; threads <= TAIL_THREADS; threads++) {
        report_progress(report, "wipe: the tail, %u of %u minutes", threads,
                        TAIL_THREADS);
        if (wipe.why[0] == '\0')
            measure_tail(&wipe, paths, threads);
    }
    tell(report, &wipe);
    return true;
}
