/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.c - from 64 bytes to 256 MiB.
 *
 * Three scripts, because "nothing is copied" is easily said: one passes on
 * what it got, one sends as many bytes as it is asked for, written in place,
 * and one reads every byte and must answer with the right sum.
 *
 * Both sides spin, each on a CPU of its own, so that no wake-up hides what a
 * byte costs.  (With one CPU they sleep.)  To fill a message is the work of
 * whoever has the bytes, and nobody is spared it: it is measured apart, and the
 * baseline is compared both without it and with it.
 *
 * Whoever fills 16 MiB has caches full of them, and what it does next is slower
 * for that, whatever it is.  So passing on is measured in three ways: only both
 * ends of the body are new for each call; all of it is; and 64 bytes, after as
 * many others were copied elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "payload.h"

#define KIB 1024ul
#define MIB (1024ul * KIB)

const size_t payload_sizes[PAYLOADS] = {64, 64 * KIB, MIB, 16 * MIB, 256 * MIB};
const char *const payload_names[PAYLOADS] = {"64 B", "64 KiB", "1 MiB",
                                             "16 MiB", "256 MiB"};

/* The first of the calls that are not counted have bodies that are all new. */
#define WARM_UP   10
#define WARM_FULL 5

/* What is called, and what is done before each call. */
struct series {
    const char *script;
    struct box_call call;
    bool stamp;                      /* only the ends of the body are new */
    const struct payload_body *stir; /* copy and compare so much of it first */
    size_t stir_bytes;
};

static enum place spinning(void)
{
    return place_possible(PLACE_TWO) ? PLACE_TWO : PLACE_FREE;
}

int64_t payload_sum(const unsigned char *bytes, size_t count)
{
    uint64_t sum = 0, word;

    for (size_t i = 0; i < count; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        sum += word;
    }
    return (int64_t)sum;
}

static bool body_open(struct payload_body *body)
{
    size_t most = payload_sizes[PAYLOADS - 1];
    uint64_t seed = 0x9e3779b97f4a7c15u;

    body->bytes = malloc(most);
    body->other = malloc(most);
    if (body->bytes == NULL || body->other == NULL)
        return false;
    for (size_t i = 0; i < most; i += sizeof(seed)) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(body->bytes + i, &seed, sizeof(seed));
    }
    memset(body->other, 1, most); /* its pages are there from now on */
    return true;
}

/* One memcpy, or one reading of it all, in this process. */
static struct figure measure_here(const struct payload_body *body, size_t bytes,
                                  bool read)
{
    volatile int64_t sum;
    struct samples samples = {0};
    struct figure figure;
    size_t repeats = measure_repeats(bytes / 4, PAYLOAD_BUDGET_NS / 3, 9, 1000);

    for (size_t i = 0; i < repeats; i++) {
        uint64_t from_ns = measure_now_ns();

        if (read)
            sum = payload_sum(body->bytes, bytes);
        else
            memcpy(body->other, body->bytes, bytes);
        __asm__ __volatile__("" ::"r"(body->other) : "memory");
        samples_add(&samples, measure_now_ns() - from_ns);
    }
    (void)sum;
    figure = samples_figure(&samples);
    samples_fini(&samples);
    return figure;
}

static bool measure_once(struct box *box, struct series *series, size_t turn,
                         struct gbx_error *err)
{
    const struct payload_body *stir = series->stir;

    series->call.stamp = series->stamp && turn >= WARM_FULL ? turn : 0;
    if (stir != NULL) {
        memcpy(stir->other, stir->bytes, series->stir_bytes);
        if (memcmp(stir->other, stir->bytes, series->stir_bytes) != 0)
            abort();
    }
    return box_call(box, &series->call, err);
}

static void measure_box(struct payload_result *result,
                        const struct paths *paths, struct series *series)
{
    struct samples samples = {0}, fills = {0}, handlers = {0};
    const struct box_call *call = &series->call;
    struct box_how how = {.script = series->script,
                          .isolation = GBX_ISOLATION_PROCESS,
                          .place = spinning(),
                          .spin = place_possible(PLACE_TWO)};
    struct gbx_error err = {0};
    size_t repeats = WARM_UP;
    uint64_t from_ns;
    struct box box;

    *result = (struct payload_result){0};
    if (!box_open(&box, paths, &how, &err)) {
        snprintf(result->why, sizeof(result->why), "%s", err.what);
        return;
    }
    for (size_t i = 0; i < repeats; i++) {
        from_ns = measure_now_ns();
        if (!measure_once(&box, series, i, &err)) {
            snprintf(result->why, sizeof(result->why), "%s", err.what);
            break;
        }
        if (i + 1 == WARM_UP)
            repeats += measure_repeats(measure_now_ns() - from_ns,
                                       PAYLOAD_BUDGET_NS, 9, 5000);
        if (i < WARM_UP)
            continue;
        samples_add(&samples, call->call_ns);
        samples_add(&fills, call->fill_ns);
        samples_add(&handlers, call->stats.handler_ns);
        result->copied_bytes = (double)call->stats.copied_bytes;
    }
    box_close(&box);
    result->call = samples_figure(&samples);
    result->fill = samples_figure(&fills);
    result->handler_ns = samples_figure(&handlers).median;
    samples_fini(&samples);
    samples_fini(&fills);
    samples_fini(&handlers);
}

static void tell_box(struct report *report, const struct payload_result *result,
                     size_t size, double small_ns)
{
    report_row(report);
    report_text(report, "payload", payload_names[size]);
    if (result->why[0] != '\0')
        report_note(report, "%s: %s", payload_names[size], result->why);
    if (result->call.count == 0)
        return;
    report_figure(report, &result->call);
    report_number(report, "handler_ns", result->handler_ns);
    report_number(report, "copied_bytes", result->copied_bytes);
    report_ratio(report, "per_64_bytes", result->call.median, small_ns);
}

static void tell_placement(struct report *report)
{
    if (place_possible(PLACE_TWO))
        report_note(report, "Both sides spin, host and guest on %s.",
                    place_name(PLACE_TWO));
    else
        report_note(report, "There is one CPU: both sides sleep, and a call "
                            "contains two wake-ups.");
}

static const struct report_column passed_columns[] = {
    {"payload", "payload", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"copied_bytes", "copied", REPORT_BYTES},
    {"per_64_bytes", "/ 64 B", REPORT_TIMES},
    {"memcpy_ns", "memcpy", REPORT_TIME},
    {"per_memcpy", "/ memcpy", REPORT_TIMES},
    {"filled_ns", "just filled", REPORT_TIME},
    {"stirred_64_bytes_ns", "64 B then", REPORT_TIME},
    {"fill_ns", "to fill it", REPORT_TIME},
};

static void number_if(struct report *report, const char *key,
                      const struct figure *figure)
{
    if (figure->count > 0)
        report_number(report, key, figure->median);
}

/* Returns, in filled, the calls whose body was all new. */
static void bench_passed(struct report *report, const struct paths *paths,
                         const struct payload_body *body,
                         struct payload_result *filled)
{
    struct payload_result ends[PAYLOADS], stirred;

    report_begin(report, "payload passed on",
                 "a Stream in, and the same Stream out", passed_columns,
                 COUNT(passed_columns));
    tell_placement(report);
    for (size_t i = 0; i < PAYLOADS; i++) {
        struct series series = {
            .script = "echo.py",
            .call = {.data = body->bytes, .bytes = payload_sizes[i]}};
        struct figure copy;

        report_progress(report, "payload: %s, passed on", payload_names[i]);
        measure_box(&filled[i], paths, &series);
        series.stamp = true;
        measure_box(&ends[i], paths, &series);
        series =
            (struct series){.script = "echo.py",
                            .call = {.data = body->bytes,
                                     .bytes = payload_sizes[PAYLOAD_SMALL]},
                            .stir = body,
                            .stir_bytes = payload_sizes[i]};
        measure_box(&stirred, paths, &series);
        copy = measure_here(body, payload_sizes[i], false);

        tell_box(report, &ends[i], i, ends[PAYLOAD_SMALL].call.median);
        number_if(report, "memcpy_ns", &copy);
        report_ratio(report, "per_memcpy", ends[i].call.median, copy.median);
        number_if(report, "filled_ns", &filled[i].call);
        number_if(report, "stirred_64_bytes_ns", &stirred.call);
        number_if(report, "fill_ns", &filled[i].fill);
    }
    report_note(report, "copied: bytes of bodies that host and guest copied.");
    report_note(report, "median: only the ends of the body are new. just "
                        "filled: all of it is, and the caches are");
    report_note(report, "full of it. 64 B then: a call with 64 B, after as "
                        "many other bytes were copied and compared.");
    report_target(report, "16 MiB, against 64 B", REPORT_TIMES,
                  ends[PAYLOAD_SMALL].call.count > 0
                      ? ends[PAYLOAD_LARGE].call.median /
                            ends[PAYLOAD_SMALL].call.median
                      : 0,
                  AT_MOST, 1.2);
    report_end(report);
}

static const struct report_column written_columns[] = {
    {"payload", "payload", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"copied_bytes", "copied", REPORT_BYTES},
    {"per_64_bytes", "/ 64 B", REPORT_TIMES},
};

static void measure_written(struct report *report, const struct paths *paths)
{
    struct payload_result result;
    double small_ns = 0;

    report_begin(report, "payload written in place",
                 "a size in, and so many bytes out, of which the script wrote "
                 "the first and the last",
                 written_columns, COUNT(written_columns));
    tell_placement(report);
    for (size_t i = 0; i < PAYLOADS; i++) {
        struct series series = {
            .script = "write.py",
            .call = {.number = (int64_t)payload_sizes[i],
                     .want = BOX_BYTES,
                     .want_number = (int64_t)payload_sizes[i]}};

        report_progress(report, "payload: %s, written", payload_names[i]);
        measure_box(&result, paths, &series);
        if (i == PAYLOAD_SMALL)
            small_ns = result.call.median;
        tell_box(report, &result, i, small_ns);
    }
    report_end(report);
}

static const struct report_column read_columns[] = {
    {"payload", "payload", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"copied_bytes", "copied", REPORT_BYTES},
    {"here_ns", "read in C here", REPORT_TIME},
    {"per_here", "/ C", REPORT_TIMES},
    {"base64_ns", "WebSocket, base64", REPORT_TIME},
    {"base64_times", "WebSocket /", REPORT_TIMES},
};

static void bench_read(struct report *report, const struct paths *paths,
                       const struct payload_body *body)
{
    struct figure sockets[PAYLOADS] = {0}, here;
    struct payload_result result;

    report_begin(report, "payload read",
                 "a Stream in, and the sum of all its 64-bit words out "
                 "(numpy); checked",
                 read_columns, COUNT(read_columns));
    tell_placement(report);
    payload_measure_sockets(report, paths, body, "read.py", BASELINE_BASE64,
                            sockets);
    for (size_t i = 0; i < PAYLOADS; i++) {
        struct series series = {.script = "read.py",
                                .call = {.data = body->bytes,
                                         .bytes = payload_sizes[i],
                                         .want = BOX_NUMBER,
                                         .want_number = payload_sum(
                                             body->bytes, payload_sizes[i])}};

        report_progress(report, "payload: %s, read", payload_names[i]);
        measure_box(&result, paths, &series);
        here = measure_here(body, payload_sizes[i], true);
        tell_box(report, &result, i, 0);
        report_number(report, "here_ns", here.median);
        report_ratio(report, "per_here", result.call.median, here.median);
        if (sockets[i].count > 0)
            report_number(report, "base64_ns", sockets[i].median);
        report_ratio(report, "base64_times", sockets[i].median,
                     result.call.median);
    }
    report_end(report);
}

bool bench_payload(struct report *report, const struct paths *paths)
{
    struct payload_body body;
    struct payload_result results[PAYLOADS] = {0};
    bool good = body_open(&body);

    if (good) {
        bench_passed(report, paths, &body, results);
        measure_written(report, paths);
        bench_read(report, paths, &body);
        payload_bench_sockets(report, paths, &body, results);
        good = results[PAYLOAD_SMALL].call.count > 0;
    } else {
        fputs("glovebox bench: no memory for payloads of 256 MiB\n", stderr);
    }
    free(body.bytes);
    free(body.other);
    return good;
}
