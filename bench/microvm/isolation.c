/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation.c - the same calls in a process and in a micro-VM, side by side.
 *
 * Sleeping, a micro-VM's guest runs on the thread that calls: a call is one
 * exit, wherever that thread may be, and no wake-up.  Spinning, a thread of its
 * own runs it; that one starts with the first calls, and inherits where the
 * caller may run at that time.
 *
 * Bodies are stamped at both ends, not filled: what is measured is the call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench.h"
#include "microvm/raw.h"

#define ROUNDS  5
#define SMALL   64ul
#define MEDIUM  (16ul << 20)
#define LARGE   (256ul << 20)
#define WARM_UP 100
#define EXITS   500

#define MICROVM GBX_ISOLATION_MICROVM
#define PROCESS GBX_ISOLATION_PROCESS

enum { SLEEP, SLEEP_MEDIUM, SLEEP_LARGE, SPIN, SPIN_MEDIUM, SPIN_LARGE };
enum { KINDS = 6 };

struct row {
    const char *payload;
    size_t bytes;
    bool spin;
    enum gbx_isolation isolation;
    enum place place;
    size_t calls; /* in a round */

    struct samples samples, handler;
    struct figure figure;
    double handler_ns;
    char why[GBX_ERROR_TEXT_MAX];
};

/* Each kind in both. */
static const struct row plan[2][KINDS] = {
    {{"64 B", SMALL, false, PROCESS, PLACE_ONE, .calls = 1000},
     {"16 MiB", MEDIUM, false, PROCESS, PLACE_ONE, .calls = 300},
     {"256 MiB", LARGE, false, PROCESS, PLACE_ONE, .calls = 300},
     {"64 B", SMALL, true, PROCESS, PLACE_TWO, .calls = 2000},
     {"16 MiB", MEDIUM, true, PROCESS, PLACE_TWO, .calls = 2000},
     {"256 MiB", LARGE, true, PROCESS, PLACE_TWO, .calls = 2000}},
    {{"64 B", SMALL, false, MICROVM, PLACE_FREE, .calls = 1000},
     {"16 MiB", MEDIUM, false, MICROVM, PLACE_FREE, .calls = 300},
     {"256 MiB", LARGE, false, MICROVM, PLACE_FREE, .calls = 300},
     {"64 B", SMALL, true, MICROVM, PLACE_TWO, .calls = 2000},
     {"16 MiB", MEDIUM, true, MICROVM, PLACE_TWO, .calls = 2000},
     {"256 MiB", LARGE, true, MICROVM, PLACE_TWO, .calls = 2000}},
};

struct isolations {
    struct row rows[2][KINDS];
    struct samples exits;
    struct figure exit;
    unsigned char *body; /* owned; LARGE, zero */
};

/*
 * Make the room for the body with one that is whole.  Then calls that follow
 * each other at once: a micro-VM's thread starts, where the peer belongs.
 */
static bool settle(struct box *box, const struct row *row,
                   struct box_call *call, struct gbx_error *err)
{
    bool good = box_call(box, call, err);

    place_peer(row->place);
    for (call->stamp = 1; good && call->stamp < 6; call->stamp++)
        good = box_call(box, call, err);
    place_self(row->place);
    return good;
}

static void measure(struct isolations *all, struct row *row,
                    const struct paths *paths)
{
    struct box_call call = {.data = all->body, .bytes = row->bytes};
    struct box_how how = {.script = "echo.py",
                          .isolation = row->isolation,
                          .place = row->place,
                          .spin = row->spin};
    struct gbx_error err = {0};
    struct box box;
    bool good;

    good = box_open(&box, paths, &how, &err);
    if (good) {
        good = settle(&box, row, &call, &err);
        for (size_t i = 0; good && i < WARM_UP + row->calls; i++) {
            call.stamp = i + 1;
            good = box_call(&box, &call, &err);
            if (!good || i < WARM_UP)
                continue;
            samples_add(&row->samples, call.call_ns);
            samples_add(&row->handler, call.stats.handler_ns);
        }
        box_close(&box);
    }
    if (!good)
        snprintf(row->why, sizeof(row->why), "%s", err.what);
}

static const char *name_of(const struct row *row)
{
    return row->isolation == MICROVM ? "micro-VM" : "process";
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"isolation", "isolation", REPORT_TEXT},
    {"payload", "payload", REPORT_TEXT},
    {"threads", "threads", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"handler_ns", "handler", REPORT_TIME},
    {"per_64_bytes", "/ 64 B", REPORT_TIMES},
    {"per_exit", "/ exit", REPORT_TIMES},
};

static void tell_row(struct report *report, const struct isolations *all,
                     const struct row *row)
{
    const struct row *first = all->rows[row->isolation == MICROVM];
    const struct row *small = &first[row->spin ? SPIN : SLEEP];

    report_row(report);
    report_text(report, "what", row->spin ? "spinning" : "sleeping");
    report_text(report, "isolation", name_of(row));
    report_text(report, "payload", row->payload);
    report_text(report, "threads", place_name(row->place));
    report_figure(report, &row->figure);
    if (row->why[0] != '\0' &&
        (row == first || strcmp(row->why, first->why) != 0))
        report_note(report, "%s, %s, %s: %s",
                    row->spin ? "spinning" : "sleeping", name_of(row),
                    row->payload, row->why);
    if (row->figure.count == 0)
        return;
    report_number(report, "handler_ns", row->handler_ns);
    report_ratio(report, "per_64_bytes", row->figure.median,
                 small->figure.median);
    if (row->isolation == MICROVM && !row->spin)
        report_ratio(report, "per_exit", row->figure.median, all->exit.median);
}

static double ratio(const struct row *row, const struct row *to)
{
    return row->figure.count > 0 && to->figure.count > 0
               ? row->figure.median / to->figure.median
               : 0;
}

static void tell_targets(struct report *report, const struct isolations *all)
{
    const struct row *vm = all->rows[1], *process = all->rows[0];
    double exit_ns = all->exit.median;

    report_target(report, "micro-VM, 64 B, sleeping: 1.3 x the exit + handler",
                  REPORT_TIME, vm[SLEEP].figure.median, AT_MOST,
                  exit_ns > 0 ? 1.3 * exit_ns + vm[SLEEP].handler_ns : 0);
    report_target(report, "micro-VM, 64 B, spinning: the process's + 2 us",
                  REPORT_TIME, vm[SPIN].figure.median, AT_MOST,
                  process[SPIN].figure.count > 0
                      ? process[SPIN].figure.median + 2000
                      : 0);
    for (int i = SLEEP; i < KINDS; i++) {
        const struct row *small = &vm[vm[i].spin ? SPIN : SLEEP];
        char what[80];

        if (&vm[i] == small)
            continue;
        snprintf(what, sizeof(what), "micro-VM, %s, %s, against 64 B",
                 vm[i].payload, vm[i].spin ? "spinning" : "sleeping");
        report_target(report, what, REPORT_TIMES, ratio(&vm[i], small), AT_MOST,
                      1.2);
    }
}

static void tell(struct report *report, struct isolations *all)
{
    report_begin(report, "isolation",
                 "the same Stream in and out, in each isolation", columns,
                 ARRAY_SIZE(columns));
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t side = 0; side < 2; side++) {
            struct row *row = &all->rows[side][kind];

            tell_row(report, all, row);
            samples_fini(&row->samples);
            samples_fini(&row->handler);
        }
    report_note(report, "sleeping: a micro-VM's guest runs on the thread that "
                        "calls, a process's on the same CPU.");
    if (all->exit.count > 0)
        report_note(report,
                    "/ exit: against the raw exit of KVM, %.1f us in "
                    "this run; see floor.",
                    all->exit.median / 1e3);
    tell_targets(report, all);
    report_end(report);
}

bool bench_isolation(struct report *report, const struct paths *paths)
{
    static struct isolations all;

    all = (struct isolations){.body = calloc(1, LARGE)};
    if (all.body == NULL)
        return false;
    memcpy(all.rows, plan, sizeof(plan));
    for (size_t round = 0; round < ROUNDS; round++) {
        raw_sample_exits(&all.exits, EXITS);
        for (size_t kind = 0; kind < KINDS; kind++)
            for (size_t side = 0; side < 2; side++) {
                struct row *row = &all.rows[side][kind];

                report_progress(report, "isolation: round %zu of %d, %s, %s",
                                round + 1, ROUNDS, name_of(row), row->payload);
                if (row->why[0] == '\0')
                    measure(&all, row, paths);
            }
    }
    free(all.body);
    all.exit = samples_figure(&all.exits);
    samples_fini(&all.exits);
    for (size_t i = 0; i < 2 * KINDS; i++) {
        struct row *row = &all.rows[i / KINDS][i % KINDS];

        row->figure = samples_figure(&row->samples);
        row->handler_ns = samples_figure(&row->handler).median;
    }
    tell(report, &all);
    return all.rows[0][SLEEP].figure.count > 0;
}
