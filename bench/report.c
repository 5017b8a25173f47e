/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "glovebox/runtime.h"
#include "report.h"

#define COLUMNS_MAX 16
#define CELL_BYTES  64
#define QUIET_NS    2000000000u

void report_open(struct report *report, bool json)
{
    *report = (struct report){.json = json};
    report->root = json_pack("{s:s, s:i, s:[]}", "version", gbx_version(),
                             "cpus", (int)place_cpus(), "tables");
    if (report->root == NULL)
        abort();
}

void report_close(struct report *report)
{
    if (report->json) {
        json_dumpf(report->root, stdout,
                   JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(report->root);
    *report = (struct report){0};
}

void report_part(struct report *report)
{
    report->part_ns = measure_now_ns();
}

void report_progress(struct report *report, const char *format, ...)
{
    bool terminal = isatty(STDERR_FILENO);
    uint64_t now_ns = measure_now_ns();
    va_list arguments;

    if (now_ns - report->part_ns < QUIET_NS ||
        (!terminal && now_ns - report->said_ns < QUIET_NS))
        return;
    report->said_ns = now_ns;
    report->drawn = terminal;
    fprintf(stderr, "%sglovebox bench: ", terminal ? "\r" : "");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(terminal ? " ...\033[K" : " ...\n", stderr);
}

void report_begin(struct report *report, const char *name, const char *title,
                  const struct report_column *columns, size_t count)
{
    report->columns = columns;
    report->column_count = count;
    report->table = json_pack("{s:s, s:s, s:[], s:[], s:[]}", "name", name,
                              "title", title, "rows", "notes", "targets");
    json_array_append_new(json_object_get(report->root, "tables"),
                          report->table);
}

void report_row(struct report *report)
{
    report->row = json_object();
    for (size_t i = 0; i < report->column_count; i++)
        json_object_set_new(report->row, report->columns[i].key, json_null());
    json_array_append_new(json_object_get(report->table, "rows"), report->row);
}

void report_text(struct report *report, const char *key, const char *text)
{
    json_object_set_new(report->row, key, json_string(text));
}

void report_number(struct report *report, const char *key, double number)
{
    json_object_set_new(report->row, key,
                        number == floor(number)
                            ? json_integer((json_int_t)number)
                            : json_real(number));
}

void report_figure(struct report *report, const struct figure *figure)
{
    if (figure->count == 0)
        return;
    report_number(report, "n", (double)figure->count);
    report_number(report, "median_ns", figure->median);
    report_number(report, "p99_ns", figure->p99);
}

void report_ratio(struct report *report, const char *key, double a, double b)
{
    if (a > 0 && b > 0)
        report_number(report, key, a / b);
}

void report_note(struct report *report, const char *format, ...)
{
    char text[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(json_object_get(report->table, "notes"),
                          json_string(text));
}

static const char *unit_of(enum report_kind kind)
{
    return kind == REPORT_TIME    ? "ns"
           : kind == REPORT_BYTES ? "bytes"
                                  : "times";
}

/* Nothing takes no time; but no bytes may be just what is wanted. */
static bool is_measured(double value, enum report_kind kind)
{
    return kind == REPORT_BYTES ? value >= 0 : value > 0;
}

void report_target(struct report *report, const char *what,
                   enum report_kind kind, double value, enum report_side side,
                   double limit)
{
    json_t *target = json_pack("{s:s, s:s, s:s, s:n, s:n, s:n}", "what", what,
                               "unit", unit_of(kind), "side",
                               side == AT_MOST ? "at most" : "at least",
                               "value", "limit", "met");

    if (is_measured(value, kind) && is_measured(limit, kind)) {
        json_object_set_new(target, "value", json_real(value));
        json_object_set_new(target, "limit", json_real(limit));
        json_object_set_new(
            target, "met",
            json_boolean(side == AT_MOST ? value <= limit : value >= limit));
    }
    json_array_append_new(json_object_get(report->table, "targets"), target);
}

/* Three digits that mean something, never an exponent. */
static void put_digits(char cell[CELL_BYTES], double number, const char *unit)
{
    int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;

    if (number < 0.0995)
        decimals = number < 0.00995 ? 4 : 3;
    snprintf(cell, CELL_BYTES, "%.*f%s", decimals, number, unit);
}

static void put_number(char cell[CELL_BYTES], double number,
                       enum report_kind kind)
{
    if (kind == REPORT_TIMES)
        put_digits(cell, number, "x");
    else if (kind != REPORT_TIME)
        snprintf(cell, CELL_BYTES, "%.0f", number);
    else if (number < 999.5)
        snprintf(cell, CELL_BYTES, "%.0f ns", number);
    else if (number < 999.5e3)
        put_digits(cell, number / 1e3, " us");
    else if (number < 999.5e6)
        put_digits(cell, number / 1e6, " ms");
    else
        put_digits(cell, number / 1e9, " s");
}

static void put_cell(char cell[CELL_BYTES], const json_t *row,
                     const struct report_column *column)
{
    const json_t *value = json_object_get(row, column->key);

    if (json_is_string(value))
        snprintf(cell, CELL_BYTES, "%s", json_string_value(value));
    else if (json_is_number(value))
        put_number(cell, json_number_value(value), column->kind);
    else
        strcpy(cell, "-");
}

static void print_rows(const struct report *report)
{
    const json_t *rows = json_object_get(report->table, "rows"), *row;
    int widths[COLUMNS_MAX];
    char cell[CELL_BYTES];
    size_t i, c;

    for (c = 0; c < report->column_count; c++) {
        widths[c] = (int)strlen(report->columns[c].head);
        json_array_foreach(rows, i, row)
        {
            put_cell(cell, row, &report->columns[c]);
            widths[c] = (int)fmax(widths[c], (double)strlen(cell));
        }
        printf("%s%*s", c > 0 ? "  " : "",
               report->columns[c].kind == REPORT_TEXT ? -widths[c] : widths[c],
               report->columns[c].head);
    }
    putchar('\n');
    json_array_foreach(rows, i, row) for (c = 0; c < report->column_count; c++)
    {
        put_cell(cell, row, &report->columns[c]);
        printf("%s%*s%s", c > 0 ? "  " : "",
               report->columns[c].kind == REPORT_TEXT ? -widths[c] : widths[c],
               cell, c + 1 == report->column_count ? "\n" : "");
    }
}

static void print_target(const json_t *target)
{
    const char *unit = json_string_value(json_object_get(target, "unit"));
    enum report_kind kind = strcmp(unit, "ns") == 0      ? REPORT_TIME
                            : strcmp(unit, "bytes") == 0 ? REPORT_BYTES
                                                         : REPORT_TIMES;
    const json_t *met = json_object_get(target, "met");
    char value[CELL_BYTES], limit[CELL_BYTES];

    if (!json_is_boolean(met)) {
        printf("  [----] %s: not measured\n",
               json_string_value(json_object_get(target, "what")));
        return;
    }
    put_number(value, json_number_value(json_object_get(target, "value")),
               kind);
    put_number(limit, json_number_value(json_object_get(target, "limit")),
               kind);
    printf("  [%s] %s: %s, %s %s\n", json_is_true(met) ? "pass" : "FAIL",
           json_string_value(json_object_get(target, "what")), value,
           json_string_value(json_object_get(target, "side")), limit);
}

void report_end(struct report *report)
{
    const json_t *item;
    size_t i;

    if (report->drawn)
        fputs("\r\033[K", stderr);
    report->drawn = false;
    if (report->json)
        return;
    printf("%s: %s\n\n",
           json_string_value(json_object_get(report->table, "name")),
           json_string_value(json_object_get(report->table, "title")));
    print_rows(report);
    putchar('\n');
    json_array_foreach(json_object_get(report->table, "notes"), i, item)
        printf("  %s\n", json_string_value(item));
    json_array_foreach(json_object_get(report->table, "targets"), i, item)
        print_target(item);
    putchar('\n');
    fflush(stdout);
}
