/* SPDX-License-Identifier: Apache-2.0 */
/*
 * languages.c - the same call in each language, in each isolation that runs it.
 *
 * Each gives back what it is given.  The native one is the reference: what it
 * takes is the channel; what the others take above it is the language.  Bodies
 * are stamped at both ends, not filled: what is measured is the call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench.h"
#include "futex_pingpong.h"
#include "microvm/raw.h"

#define ROUNDS    5
#define SMALL     64ul
#define LARGE     (16ul << 20)
#define WARM_UP   200
#define EXITS     500
#define ALLOWANCE 3000.0      /* ns that a spinning call may add */
#define FLOOD     20000       /* messages of one call, one way */
#define FLOOD_NS  1000000000u /* of such calls, in a round */

enum language { NATIVE, JAVASCRIPT, PYTHON, LANGUAGES };
enum kind { SPIN, SPIN_LARGE, SLEEP, KINDS };

enum where { PROCESS, MICROVM, WASM, WHERES };

#define ROWS (LANGUAGES * KINDS * WHERES)

static const char *const names[LANGUAGES] = {"native", "JavaScript", "Python"};
static const char *const scripts[LANGUAGES] = {"native", "echo.js", "echo.py"};
static const char *const isolations[] = {"process", "micro-VM", "wasm"};
static const enum gbx_isolation asked[] = {
    GBX_ISOLATION_PROCESS, GBX_ISOLATION_MICROVM, GBX_ISOLATION_WASM};

struct row {
    enum language language;
    enum kind kind;
    enum where where;

    struct samples samples, handler;
    struct figure figure;
    double handler_ns, copied_bytes;
    char why[GBX_ERROR_TEXT_MAX];
};

struct languages {
    struct row rows[ROWS];                 /* row_of finds one */
    struct samples exits, balls, flood[2]; /* flood: ns a message */
    unsigned char *body;                   /* owned; LARGE, zero */
};

static struct row *row_of(struct languages *l, enum language language,
                          enum kind kind, enum where where)
{
    return &l->rows[((size_t)language * KINDS + kind) * WHERES + where];
}

static void refuse(struct row *row, const struct gbx_error *err)
{
    snprintf(row->why, sizeof(row->why), "%s", err->what);
}

static enum place place_of(const struct row *row)
{
    return row->kind != SLEEP      ? PLACE_TWO
           : row->where == MICROVM ? PLACE_FREE
                                   : PLACE_ONE;
}

static bool open_row(struct box *box, struct row *row,
                     const struct paths *paths)
{
    const bool is_module = row->language == NATIVE && row->where == WASM;
    const struct box_how how = {.script = is_module ? "native.wasm"
                                                    : scripts[row->language],
                                .isolation = asked[row->where],
                                .place = place_of(row),
                                .spin = row->kind != SLEEP};
    struct gbx_error err = {0};

    if (box_open(box, paths, &how, &err))
        return true;
    refuse(row, &err);
    return false;
}

/* The first call makes the room; a micro-VM's thread starts with those that
 * follow each other at once, where the peer belongs. */
static void measure(struct languages *l, struct row *row,
                    const struct paths *paths)
{
    const size_t calls = row->kind == SLEEP ? 1000 : 2000;
    struct box_call call = {.data = l->body,
                            .bytes = row->kind == SPIN_LARGE ? LARGE : SMALL};
    struct gbx_error err = {0};
    struct box box;
    bool good;

    if (row->why[0] != '\0' || !open_row(&box, row, paths))
        return;
    good = box_call(&box, &call, &err);
    place_peer(place_of(row));
    for (size_t i = 0; good && i < WARM_UP + calls; i++) {
        call.stamp = i + 1;
        good = box_call(&box, &call, &err);
        if (i == 20)
            place_self(place_of(row));
        if (!good || i < WARM_UP)
            continue;
        samples_add(&row->samples, call.call_ns);
        samples_add(&row->handler, call.stats.handler_ns);
        row->copied_bytes = (double)call.stats.copied_bytes;
    }
    if (!good)
        refuse(row, &err);
    box_close(&box);
}

static void count_one(void *context, const char *port,
                      const struct gbx_message *message)
{
    (void)port;
    (void)message;
    ++*(size_t *)context;
}

/* One call that sends many messages: how long one takes. */
static bool flood_once(struct box *box, size_t *count, uint64_t *took_ns)
{
    const struct gbx_message many = {.type = GBX_INTEGER,
                                     .scalar.integer = -FLOOD};
    uint64_t from_ns = measure_now_ns();
    struct gbx_call *call;
    struct gbx_error err;
    bool good;

    *count = 0;
    if (gbx_call_begin(&call, box->script, 0, &err) < 0)
        return false;
    gbx_call_on_output(call, count_one, count);
    good = gbx_call_put(call, "in", &many, &err) == 0 &&
           gbx_call_run(call, 0, &err) == 0;
    gbx_call_finish(call);
    *took_ns = measure_now_ns() - from_ns;
    return good;
}

static void flood(struct languages *l, enum where where,
                  const struct paths *paths)
{
    struct row row = {.language = NATIVE, .kind = SPIN, .where = where};
    uint64_t ns, total_ns = 0;
    struct box box;
    size_t count;

    if (!open_row(&box, &row, paths))
        return;
    /* A micro-VM's thread may run where this one may: not on one CPU. */
    if (where == MICROVM)
        place_self(PLACE_FREE);
    for (int i = 0; i < 20 && total_ns < FLOOD_NS; i++) {
        if (!flood_once(&box, &count, &ns) || count != FLOOD)
            break;
        total_ns += ns;
        if (i > 0) /* the first one finds pages that nobody has touched */
            samples_add(&l->flood[where], ns * 1000 / FLOOD); /* ps */
    }
    box_close(&box);
}

static void tell_row(struct report *report, struct languages *l,
                     const struct row *row)
{
    static const char *const kinds[KINDS] = {
        "64 B, spinning", "16 MiB, spinning", "64 B, sleeping"};
    const struct row *least = row_of(l, NATIVE, row->kind, row->where);

    report_row(report);
    report_text(report, "what", names[row->language]);
    report_text(report, "isolation", isolations[row->where]);
    report_text(report, "kind", kinds[row->kind]);
    report_figure(report, &row->figure);
    if (row->why[0] != '\0')
        report_note(report, "%s, %s: %s", names[row->language],
                    isolations[row->where], row->why);
    if (row->figure.count == 0)
        return;
    report_number(report, "handler_ns", row->handler_ns);
    report_number(report, "copied_bytes", row->copied_bytes);
    report_ratio(report, "per_native", row->figure.median,
                 least->figure.median);
}

static void tell_language(struct report *report, struct languages *l,
                          enum where where)
{
    const struct row *js = row_of(l, JAVASCRIPT, SPIN, where);
    const struct row *large = row_of(l, JAVASCRIPT, SPIN_LARGE, where);
    char what[96];

    snprintf(what, sizeof(what), "JavaScript, %s, spinning: handler + 3 us",
             isolations[where]);
    report_target(report, what, REPORT_TIME, js->figure.median, AT_MOST,
                  js->handler_ns + ALLOWANCE);
    snprintf(what, sizeof(what), "JavaScript, %s: 16 MiB against 64 B",
             isolations[where]);
    report_target(
        report, what, REPORT_TIMES,
        js->figure.count > 0 ? large->figure.median / js->figure.median : 0,
        AT_MOST, 1.2);
    snprintf(what, sizeof(what), "JavaScript, %s: bytes copied of 16 MiB",
             isolations[where]);
    report_target(report, what, REPORT_BYTES,
                  large->figure.count > 0 ? large->copied_bytes : -1, AT_MOST,
                  0);
}

static void tell_targets(struct report *report, struct languages *l)
{
    const struct figure ball = samples_figure(&l->balls);
    const struct figure exit = samples_figure(&l->exits);
    char what[96];

    for (enum where where = PROCESS; where < WASM; where++) {
        const struct row *spin = row_of(l, NATIVE, SPIN, where);
        const struct figure one = samples_figure(&l->flood[where]);

        snprintf(what, sizeof(what),
                 "native, %s, spinning: 3 x ping-pong (%.0f ns)",
                 isolations[where], ball.median);
        report_target(report, what, REPORT_TIME, spin->figure.median, AT_MOST,
                      3 * ball.median);
        snprintf(what, sizeof(what),
                 "native, %s, one way: a message (5 million a second)",
                 isolations[where]);
        report_target(report, what, REPORT_TIME, one.median / 1000, AT_MOST,
                      200);
        tell_language(report, l, where);
    }
    tell_language(report, l, WASM);
    if (exit.count > 0)
        report_target(report, "native, micro-VM, sleeping: 1.15 x a raw exit",
                      REPORT_TIME,
                      row_of(l, NATIVE, SLEEP, MICROVM)->figure.median, AT_MOST,
                      1.15 * exit.median);
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"isolation", "isolation", REPORT_TEXT},
    {"kind", "kind", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"copied_bytes", "copied", REPORT_BYTES},
    {"per_native", "/ native", REPORT_TIMES},
};

/* The calling thread is the module: it neither spins nor sleeps. */
static bool is_one(const struct row *row)
{
    return row->where != WASM ||
           (row->language != PYTHON && row->kind != SLEEP);
}

#define EACH_ROW(l, row)                                                       \
    for (struct row *row = (l)->rows; row < (l)->rows + ROWS; row++)           \
        if (is_one(row))

static void tell(struct report *report, struct languages *l)
{
    EACH_ROW(l, row)
    {
        row->figure = samples_figure(&row->samples);
        row->handler_ns = samples_figure(&row->handler).median;
    }
    report_begin(report, "languages", "bytes (Stream) in and out again",
                 columns, ARRAY_SIZE(columns));
    EACH_ROW(l, row)
    tell_row(report, l, row);
    report_note(report, "/ native: against a program in C that does the same "
                        "(glovebox/native.h), in the same isolation.");
    tell_targets(report, l);
    report_end(report);
}

bool bench_languages(struct report *report, const struct paths *paths)
{
    struct languages *l = calloc(1, sizeof(*l));
    bool good;

    if (l == NULL || (l->body = calloc(1, LARGE)) == NULL)
        return false;
    for (int i = 0; i < ROWS; i++) {
        l->rows[i].language = (enum language)(i / (KINDS * WHERES));
        l->rows[i].kind = (enum kind)(i / WHERES % KINDS);
        l->rows[i].where = (enum where)(i % WHERES);
    }
    for (int round = 0; round < ROUNDS; round++) {
        EACH_ROW(l, row)
        {
            report_progress(report, "languages: round %d of %d, %s", round + 1,
                            ROUNDS, names[row->language]);
            measure(l, row, paths);
        }
        futex_pingpong(&l->balls, PLACE_TWO, true, 4000);
        raw_sample_exits(&l->exits, EXITS);
        flood(l, PROCESS, paths);
        flood(l, MICROVM, paths);
    }
    tell(report, l);
    good = row_of(l, NATIVE, SPIN, PROCESS)->figure.count > 0;
    EACH_ROW(l, row)
    {
        samples_fini(&row->samples);
        samples_fini(&row->handler);
    }
    samples_fini(&l->exits);
    samples_fini(&l->balls);
    samples_fini(&l->flood[0]);
    samples_fini(&l->flood[1]);
    free(l->body);
    free(l);
    return good;
}
