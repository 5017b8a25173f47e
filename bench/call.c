/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - 64 bytes there and back, and an integer.
 *
 * Where the two sides run decides more than what they do (a wake-up across
 * CPUs costs up to 20 times one on the same CPU), so each way to place them is
 * a row, and is compared with a ping-pong placed in the same way.
 *
 * The rows are measured in turns, ROUNDS times each with sandboxes of their
 * own, so that a machine that is slow for a while is slow for all of them.
 */
#include <stdio.h>
#include <string.h>

#include "baseline/baseline.h"
#include "bench.h"
#include "futex_pingpong.h"

#define ROUNDS     5
#define BODY_BYTES 64
#define WARM_UP    300
#define ALLOWANCE  3000.0 /* ns that a spinning call may add */

static unsigned char body[BODY_BYTES];

enum subject { PINGPONG, BOX, INSIDE, SOCKET_BASE64, SOCKET_ARRAY };

struct row {
    const char *what;
    enum subject subject;
    enum place place;
    bool spin, integer;
    size_t calls; /* in a round */

    struct samples samples, handler;
    struct figure figure;
    double handler_ns, copied_bytes;
    char why[GBX_ERROR_TEXT_MAX]; /* it could not be measured */
};

/* In this order; the targets name some of them. */
enum {
    PINGPONG_SPIN,
    STREAM_SPIN,
    INTEGER_SPIN,
    PINGPONG_ONE,
    STREAM_ONE,
    INTEGER_ONE,
    PINGPONG_FREE,
    STREAM_FREE,
    INTEGER_FREE,
    INSIDE_ALONE,
    SOCKET_ONE,
    SOCKET_INTEGER_ONE,
    SOCKET_ARRAY_ONE,
    SOCKET_FREE,
    SOCKET_INTEGER_FREE,
    SOCKET_ARRAY_FREE,
    ROW_COUNT
};

static const struct row plan[ROW_COUNT] = {
    {"ping-pong, spinning", PINGPONG, PLACE_TWO, true, .calls = 4000},
    {"Stream, spinning", BOX, PLACE_TWO, true, .calls = 4000},
    {"Integer, spinning", BOX, PLACE_TWO, true, true, .calls = 4000},
    {"ping-pong, futex", PINGPONG, PLACE_ONE, .calls = 2000},
    {"Stream, sleeping", BOX, PLACE_ONE, .calls = 2000},
    {"Integer, sleeping", BOX, PLACE_ONE, .integer = true, .calls = 2000},
    {"ping-pong, futex", PINGPONG, PLACE_FREE, .calls = 1000},
    {"Stream, sleeping", BOX, PLACE_FREE, .calls = 1000},
    {"Integer, sleeping", BOX, PLACE_FREE, .integer = true, .calls = 1000},
    {"the function alone", INSIDE, PLACE_ONE, .calls = 40},
    {"WebSocket, base64", SOCKET_BASE64, PLACE_ONE, .calls = 400},
    {"WebSocket, integer", SOCKET_BASE64, PLACE_ONE, .integer = true,
     .calls = 400},
    {"WebSocket, array", SOCKET_ARRAY, PLACE_ONE, .calls = 400},
    {"WebSocket, base64", SOCKET_BASE64, PLACE_FREE, .calls = 400},
    {"WebSocket, integer", SOCKET_BASE64, PLACE_FREE, .integer = true,
     .calls = 400},
    {"WebSocket, array", SOCKET_ARRAY, PLACE_FREE, .calls = 400},
};

static void measure_box(struct row *row, const struct paths *paths)
{
    bool inside = row->subject == INSIDE;
    struct box_call call = {.data = row->integer || inside ? NULL : body,
                            .bytes = BODY_BYTES,
                            .number = 42,
                            .want = inside ? BOX_ANY : BOX_SAME};
    size_t warm_up = inside ? 3 : WARM_UP;
    struct box_how how = {.script = inside ? "inside.py" : "echo.py",
                          .isolation = GBX_ISOLATION_PROCESS,
                          .place = row->place,
                          .spin = row->spin};
    struct gbx_error err = {0};
    struct box box;

    if (!box_open(&box, paths, &how, &err)) {
        snprintf(row->why, sizeof(row->why), "%s", err.what);
        return;
    }
    for (size_t i = 0; i < warm_up + row->calls; i++) {
        if (!box_call(&box, &call, &err)) {
            snprintf(row->why, sizeof(row->why), "%s", err.what);
            break;
        }
        if (i < warm_up)
            continue;
        samples_add(&row->samples,
                    inside ? (uint64_t)call.answer : call.call_ns);
        samples_add(&row->handler, call.stats.handler_ns);
        row->copied_bytes = (double)call.stats.copied_bytes;
    }
    box_close(&box);
}

static void measure_socket(struct row *row, const struct paths *paths)
{
    struct baseline *baseline;
    char why[BASELINE_WHY_BYTES];
    const void *answer;
    size_t bytes;
    bool good = true;

    if (!baseline_open(&baseline, paths->bench, "echo.py",
                       row->subject == SOCKET_BASE64 ? BASELINE_BASE64
                                                     : BASELINE_ARRAY,
                       row->place, why)) {
        snprintf(row->why, sizeof(row->why), "%s", why);
        return;
    }
    for (size_t i = 0; good && i < WARM_UP + row->calls; i++) {
        uint64_t from_ns = measure_now_ns(), took_ns;

        good = row->integer ? baseline_integer(baseline, 42)
                            : baseline_stream(baseline, body, BODY_BYTES);
        took_ns = measure_now_ns() - from_ns;
        answer = baseline_answer(baseline, &bytes);
        good = good && (row->integer ? baseline_answer_integer(baseline) == 42
                                     : bytes == BODY_BYTES &&
                                           memcmp(answer, body, bytes) == 0);
        if (i >= WARM_UP)
            samples_add(&row->samples, took_ns);
    }
    if (!good)
        strcpy(row->why, "the server gave a wrong answer, or none");
    baseline_close(baseline);
}

static void measure(struct row *row, const struct paths *paths)
{
    if (row->why[0] != '\0')
        return;
    switch (row->subject) {
    case PINGPONG:
        if (!place_possible(row->place) ||
            !futex_pingpong(&row->samples, row->place, row->spin, row->calls))
            strcpy(row->why, "there are not two CPUs to run on");
        return;
    case BOX:
    case INSIDE:
        measure_box(row, paths);
        return;
    default:
        measure_socket(row, paths);
        return;
    }
}

/* The quicker of two, where both were measured. */
static double least(const struct figure *a, const struct figure *b)
{
    if (a->count == 0 || b->count == 0)
        return a->count > 0 ? a->median : b->median;
    return a->median < b->median ? a->median : b->median;
}

/* The quickest that a WebSocket can be, wherever its two sides run. */
static double quickest_socket(const struct row *rows, bool integer)
{
    return integer ? least(&rows[SOCKET_INTEGER_ONE].figure,
                           &rows[SOCKET_INTEGER_FREE].figure)
                   : least(&rows[SOCKET_ONE].figure, &rows[SOCKET_FREE].figure);
}

static void tell_row(struct report *report, const struct row *rows,
                     const struct row *row)
{
    const struct row *ball = row->place == PLACE_TWO   ? &rows[PINGPONG_SPIN]
                             : row->place == PLACE_ONE ? &rows[PINGPONG_ONE]
                                                       : &rows[PINGPONG_FREE];

    report_row(report);
    report_text(report, "what", row->what);
    report_text(report, "threads", place_name(row->place));
    report_figure(report, &row->figure);
    if (row->why[0] != '\0')
        report_note(report, "%s, %s: %s", row->what, place_name(row->place),
                    row->why);
    if (row->subject == PINGPONG || row->subject == INSIDE)
        return;
    report_ratio(report, "per_pingpong", row->figure.median,
                 ball->figure.median);
    report_ratio(report, "faster_than_websocket",
                 quickest_socket(rows, row->integer), row->figure.median);
    if (row->subject == BOX && row->figure.count > 0) {
        report_number(report, "handler_ns", row->handler_ns);
        report_number(report, "copied_bytes", row->copied_bytes);
    }
}

static void tell_targets(struct report *report, const struct row *rows)
{
    static const struct {
        int spin, one, free;
        const char *name;
    } kinds[] = {{STREAM_SPIN, STREAM_ONE, STREAM_FREE, "Stream"},
                 {INTEGER_SPIN, INTEGER_ONE, INTEGER_FREE, "Integer"}};
    char what[80];

    for (size_t i = 0; i < 2; i++) {
        const struct row *spin = &rows[kinds[i].spin];
        const struct row *one = &rows[kinds[i].one];
        const struct row *free = &rows[kinds[i].free];

        snprintf(what, sizeof(what), "%s, spinning: 2 x handler + 3 us",
                 kinds[i].name);
        report_target(report, what, REPORT_TIME, spin->figure.median, AT_MOST,
                      2 * spin->handler_ns + ALLOWANCE);
        snprintf(what, sizeof(what), "%s, spinning: faster than WebSocket",
                 kinds[i].name);
        report_target(report, what, REPORT_TIMES,
                      spin->figure.count > 0
                          ? quickest_socket(rows, spin->integer) /
                                spin->figure.median
                          : 0,
                      AT_LEAST, 20);
        snprintf(what, sizeof(what),
                 "%s, sleeping, one CPU: 3 x ping-pong + handler",
                 kinds[i].name);
        report_target(report, what, REPORT_TIME, one->figure.median, AT_MOST,
                      3 * rows[PINGPONG_ONE].figure.median + one->handler_ns);
        snprintf(what, sizeof(what),
                 "%s, sleeping, not pinned: 3 x ping-pong + handler",
                 kinds[i].name);
        report_target(report, what, REPORT_TIME, free->figure.median, AT_MOST,
                      3 * rows[PINGPONG_FREE].figure.median + free->handler_ns);
    }
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"threads", "threads", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"copied_bytes", "copied", REPORT_BYTES},
    {"per_pingpong", "/ ping-pong", REPORT_TIMES},
    {"faster_than_websocket", "WebSocket /", REPORT_TIMES},
};

bool bench_call(struct report *report, const struct paths *paths)
{
    struct row rows[ROW_COUNT];
    bool good;

    memcpy(rows, plan, sizeof(rows));
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (unsigned char)(i * 37);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < ROW_COUNT; i++) {
            report_progress(report, "call: round %zu of %d, %s", round + 1,
                            ROUNDS, rows[i].what);
            measure(&rows[i], paths);
        }
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rows[i].figure = samples_figure(&rows[i].samples);
        rows[i].handler_ns = samples_figure(&rows[i].handler).median;
    }
    good = rows[STREAM_ONE].figure.count > 0;

    report_begin(report, "call",
                 "64 bytes (Stream), or a number (Integer), in and out again",
                 columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        tell_row(report, rows, &rows[i]);
        samples_fini(&rows[i].samples);
        samples_fini(&rows[i].handler);
    }
    report_note(report, "spinning: both sides look at the ring until something "
                        "is there; sleeping: neither does, ever.");
    report_note(report, "/ ping-pong: against one word sent there and back by "
                        "two processes that are placed alike.");
    report_note(report, "WebSocket /: how many times its quickest row of the "
                        "same value is slower.");
    tell_targets(report, rows);
    report_end(report);
    return good;
}
