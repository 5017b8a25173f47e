/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - tables for people, and the same as JSON for machines.
 *
 *  report_begin(&report, "call", "64 bytes there and back", columns, 6);
 *  report_row(&report);
 *  report_text(&report, "what", "futex");
 *  report_number(&report, "median_ns", 6600);
 *  report_note(&report, "...");
 *  report_target(&report, "sleeping", 21.3, "us", AT_MOST, 30);
 *  report_end(&report);
 *
 * A cell that nobody fills is "-", and null in the JSON.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "measure.h"

enum report_kind {
    REPORT_TEXT,
    REPORT_TIME,  /* ns; printed in the unit that fits */
    REPORT_BYTES, /* printed exactly */
    REPORT_COUNT,
    REPORT_TIMES /* a ratio */
};

struct report_column {
    const char *key;  /* in the JSON, with its unit: "median_ns" */
    const char *head; /* in the table */
    enum report_kind kind;
};

struct json_t;

enum report_side { AT_MOST, AT_LEAST };

struct report {
    bool json; /* print no tables: all at once, by report_close */
    struct json_t *root, *table, *row;
    const struct report_column *columns; /* of the table begun */
    size_t column_count;
    uint64_t part_ns, said_ns; /* when the part began; the last progress */
    bool drawn;                /* a line of progress stands on the terminal */
};

void report_open(struct report *report, bool json);
void report_close(struct report *report);

/*
 * A part of the benchmark begins.  Then: what it is about to do, said on stderr
 * when the part has run for more than two seconds; on one line of a terminal,
 * in a log every two seconds at most.
 */
void report_part(struct report *report);
void report_progress(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void report_begin(struct report *report, const char *name, const char *title,
                  const struct report_column *columns, size_t count);
void report_row(struct report *report);
void report_text(struct report *report, const char *key, const char *text);
void report_number(struct report *report, const char *key, double number);

/* Columns "n", "median_ns", "p99_ns" at once; nothing when not measured. */
void report_figure(struct report *report, const struct figure *figure);

/* a / b, or nothing when one was not measured. */
void report_ratio(struct report *report, const char *key, double a, double b);
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* value and limit are times in ns, bytes, or ratios.  A value of 0 was not
 * measured; of bytes, one below 0.
 */
void report_target(struct report *report, const char *what,
                   enum report_kind kind, double value, enum report_side side,
                   double limit);
void report_end(struct report *report);

#endif
