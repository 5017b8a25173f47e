/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - what KVM itself costs here, and a system call of a guest beside it.
 *
 * Nothing that is built on KVM can be quicker than these, so they tell how much
 * of a micro-VM's time is Glovebox's.  Rows take turns, each time with a new
 * machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "microvm/program.h"
#include "microvm/raw.h"

#define ROUNDS  9
#define EXITS   500 /* in a round, as all below */
#define TOUCHES 60
#define PAGES   64u /* in one touch */
#define CALLS   "500"

enum {
    EXIT,
    EXIT_REGISTERS,
    CALL,
    TOUCH_NEW,
    TOUCH_FILLED,
    VM,
    CPU,
    SLOT,
    CLOSE,
    ROWS
};

static const char *const names[ROWS] = {
    "exit",
    "exit, registers read and set",
    "getppid in a micro-VM",
    "first touch of a page",
    "first touch, the host has it",
    "virtual machine, made",
    "its processor, made",
    "its memory, 32 MiB, told",
    "all of it, taken away",
};

struct floor {
    struct samples samples[ROWS];
    char why[GBX_ERROR_TEXT_MAX]; /* there is no KVM */
    char why_call[GBX_ERROR_TEXT_MAX];
};

static void measure_exits(struct floor *floor, struct raw *raw, int row)
{
    raw_registers(raw, row == EXIT_REGISTERS);
    raw_exit(raw);
    for (size_t i = 0; i < EXITS; i++) {
        uint64_t from_ns = measure_now_ns();

        if (raw_exit(raw))
            samples_add(&floor->samples[row], measure_now_ns() - from_ns);
    }
    raw_registers(raw, false);
}

/* Less the exit at the end, which is measured with a page that was touched. */
static void measure_touches(struct floor *floor, struct raw *raw, int row,
                            uint64_t first)
{
    raw_touch(raw, RAW_PAGES - 1, 1);
    for (uint64_t i = 0; i < TOUCHES; i++, first += PAGES) {
        uint64_t from_ns = measure_now_ns(), exit_ns, took_ns;

        raw_touch(raw, RAW_PAGES - 1, 1);
        exit_ns = measure_now_ns() - from_ns;
        if (row == TOUCH_FILLED)
            raw_fill(raw, first, PAGES);
        from_ns = measure_now_ns();
        if (!raw_touch(raw, first, PAGES))
            continue;
        took_ns = measure_now_ns() - from_ns;
        if (took_ns > exit_ns)
            samples_add(&floor->samples[row], (took_ns - exit_ns) / PAGES);
    }
}

static void measure_raw(struct floor *floor)
{
    char why[RAW_WHY_BYTES];
    struct raw_times times;
    uint64_t from_ns;
    struct raw raw;

    if (!raw_open(&raw, &times, why)) {
        snprintf(floor->why, sizeof(floor->why), "%s", why);
        return;
    }
    samples_add(&floor->samples[VM], times.vm_ns);
    samples_add(&floor->samples[CPU], times.cpu_ns);
    samples_add(&floor->samples[SLOT], times.slot_ns);
    measure_exits(floor, &raw, EXIT);
    measure_exits(floor, &raw, EXIT_REGISTERS);
    measure_touches(floor, &raw, TOUCH_NEW, 0);
    measure_touches(floor, &raw, TOUCH_FILLED, TOUCHES * PAGES);
    from_ns = measure_now_ns();
    raw_close(&raw);
    samples_add(&floor->samples[CLOSE], measure_now_ns() - from_ns);
}

static void measure_call(struct floor *floor, const struct paths *paths)
{
    static struct program_run run;
    char path[4300];
    const char *at;
    char *end;

    snprintf(path, sizeof(path), "%s/programs/getppid", paths->bench);
    run.argv[0] = path;
    run.argv[1] = CALLS;
    if (!program_inside(&run, floor->why_call))
        return;
    for (at = run.text; *at != '\0'; at = end + 1)
        samples_add(&floor->samples[CALL], strtoull(at, &end, 10));
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},        {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME}, {"p99_ns", "p99", REPORT_TIME},
    {"per_exit", "/ exit", REPORT_TIMES},
};

static void tell(struct report *report, struct floor *floor)
{
    struct figure figures[ROWS];

    report_begin(report, "floor", "KVM itself, from a guest of two loops",
                 columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < ROWS; i++) {
        figures[i] = samples_figure(&floor->samples[i]);
        samples_fini(&floor->samples[i]);
        report_row(report);
        report_text(report, "what", names[i]);
        report_figure(report, &figures[i]);
        if (i != EXIT)
            report_ratio(report, "per_exit", figures[i].median,
                         figures[EXIT].median);
    }
    if (floor->why[0] != '\0')
        report_note(report, "no KVM: %s", floor->why);
    if (floor->why_call[0] != '\0')
        report_note(report, "%s: %s", names[CALL], floor->why_call);
    report_note(report, "Nothing is pinned. exit: from ring 3 to the host's "
                        "program, which answers nothing, and back.");
    report_target(
        report, "getppid in a micro-VM, against the exit", REPORT_TIMES,
        figures[EXIT].count > 0 ? figures[CALL].median / figures[EXIT].median
                                : 0,
        AT_MOST, 1.2);
    report_end(report);
}

bool bench_floor(struct report *report, const struct paths *paths)
{
    static struct floor floor;

    floor = (struct floor){.why = ""};
    for (size_t round = 0; round < ROUNDS; round++) {
        report_progress(report, "floor: round %zu of %d", round + 1, ROUNDS);
        if (floor.why[0] == '\0')
            measure_raw(&floor);
        if (floor.why[0] == '\0' && floor.why_call[0] == '\0')
            measure_call(&floor, paths);
    }
    tell(report, &floor);
    return floor.why[0] != '\0' || floor.why_call[0] == '\0';
}
