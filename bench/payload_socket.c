/* SPDX-License-Identifier: Apache-2.0 */
/* payload_socket.c - the same payloads through the WebSocket that we replace.
 */
#include <string.h>

#include "payload.h"

#define TOO_LONG_NS 10000000000ull /* for one call */

/* One call after the other, as many as fit.  *once_ns is 0 at first, then the
 * last size's time: larger sizes that would take too long are left out. */
static struct figure measure_socket(struct baseline *baseline,
                                    const struct payload_body *body,
                                    size_t size, bool reads, uint64_t *once_ns)
{
    size_t bytes = payload_sizes[size], repeats = 2, answer_bytes;
    int64_t sum = reads ? payload_sum(body->bytes, bytes) : 0;
    struct samples samples = {0};
    struct figure figure;

    for (size_t i = 0; i < repeats; i++) {
        uint64_t from_ns = measure_now_ns();
        const void *answer;

        if (!baseline_stream(baseline, body->bytes, bytes))
            break;
        *once_ns = measure_now_ns() - from_ns;
        answer = baseline_answer(baseline, &answer_bytes);
        if (reads ? baseline_answer_integer(baseline) != sum
                  : answer_bytes != bytes ||
                        memcmp(answer, body->bytes, bytes) != 0)
            break;
        if (i == 0) /* it warms up */
            repeats += measure_repeats(*once_ns, PAYLOAD_BUDGET_NS, 2, 300);
        else
            samples_add(&samples, *once_ns);
    }
    figure = samples_figure(&samples);
    if (figure.count + 1 < repeats)
        figure = (struct figure){0};
    samples_fini(&samples);
    return figure;
}

void payload_measure_sockets(struct report *report, const struct paths *paths,
                             const struct payload_body *body,
                             const char *script, enum baseline_form form,
                             struct figure *figures)
{
    const char *name = form == BASELINE_BASE64 ? "base64" : "array of numbers";
    struct baseline *baseline;
    char why[BASELINE_WHY_BYTES];
    uint64_t once_ns = 0;

    if (!baseline_open(&baseline, paths->bench, script, form, PLACE_FREE,
                       why)) {
        report_note(report, "WebSocket, %s: %s", name, why);
        return;
    }
    for (size_t i = 0; i < PAYLOADS; i++) {
        uint64_t growth = i > 0 ? payload_sizes[i] / payload_sizes[i - 1] : 0;

        if (i > 1 && once_ns * growth > TOO_LONG_NS) {
            report_note(report,
                        "WebSocket, %s, %s: not measured: one call would take "
                        "more than %llu s.",
                        name, payload_names[i], TOO_LONG_NS / 1000000000u);
            break;
        }
        report_progress(report, "payload: %s through a WebSocket, %s",
                        payload_names[i], name);
        figures[i] = measure_socket(baseline, body, i,
                                    strcmp(script, "read.py") == 0, &once_ns);
        if (figures[i].count == 0) {
            report_note(report, "WebSocket, %s, %s: no answer, or a wrong one.",
                        name, payload_names[i]);
            break;
        }
    }
    baseline_close(baseline);
}

static const struct report_column socket_columns[] = {
    {"payload", "payload", REPORT_TEXT},
    {"median_ns", "Glovebox", REPORT_TIME},
    {"with_fill_ns", "with filling", REPORT_TIME},
    {"base64_ns", "base64", REPORT_TIME},
    {"base64_p99_ns", "p99", REPORT_TIME},
    {"base64_times", "slower", REPORT_TIMES},
    {"base64_filled_times", "or", REPORT_TIMES},
    {"array_ns", "array", REPORT_TIME},
    {"array_p99_ns", "p99", REPORT_TIME},
    {"array_times", "slower", REPORT_TIMES},
    {"array_filled_times", "or", REPORT_TIMES},
};

static void tell_socket(struct report *report, const struct figure *socket,
                        const char *const keys[4], double call_ns,
                        double filled_ns)
{
    if (socket->count == 0)
        return;
    report_number(report, keys[0], socket->median);
    report_number(report, keys[1], socket->p99);
    report_ratio(report, keys[2], socket->median, call_ns);
    report_ratio(report, keys[3], socket->median, filled_ns);
}

void payload_bench_sockets(struct report *report, const struct paths *paths,
                           const struct payload_body *body,
                           const struct payload_result *results)
{
    static const char *const base64[] = {"base64_ns", "base64_p99_ns",
                                         "base64_times", "base64_filled_times"};
    static const char *const array[] = {"array_ns", "array_p99_ns",
                                        "array_times", "array_filled_times"};
    struct figure text[PAYLOADS] = {0}, numbers[PAYLOADS] = {0};
    double large_ns = results[PAYLOAD_LARGE].call.median;

    report_begin(report, "payload through a WebSocket",
                 "the same script file behind a JSON-RPC server on loopback",
                 socket_columns, COUNT(socket_columns));
    payload_measure_sockets(report, paths, body, "echo.py", BASELINE_BASE64,
                            text);
    payload_measure_sockets(report, paths, body, "echo.py", BASELINE_ARRAY,
                            numbers);
    for (size_t i = 0; i < PAYLOADS; i++) {
        double call_ns = results[i].call.median;
        double filled_ns = call_ns > 0 ? call_ns + results[i].fill.median : 0;

        report_row(report);
        report_text(report, "payload", payload_names[i]);
        if (call_ns > 0) {
            report_number(report, "median_ns", call_ns);
            report_number(report, "with_fill_ns", filled_ns);
        }
        tell_socket(report, &text[i], base64, call_ns, filled_ns);
        tell_socket(report, &numbers[i], array, call_ns, filled_ns);
    }
    report_note(report, "Caller and server are not pinned.  slower: than the "
                        "call; or: than the call and filling its message.");
    report_target(report, "16 MiB, WebSocket with base64 slower", REPORT_TIMES,
                  large_ns > 0 ? text[PAYLOAD_LARGE].median / large_ns : 0,
                  AT_LEAST, 500);
    report_target(report, "16 MiB, WebSocket with an array slower",
                  REPORT_TIMES,
                  large_ns > 0 ? numbers[PAYLOAD_LARGE].median / large_ns : 0,
                  AT_LEAST, 500);
    report_end(report);
}
