/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compute.c - a program that computes, as a process and in a micro-VM.
 *
 * The very same file both times, one after the other, so that a slow minute of
 * the machine meets both; and all rounds of a program together, since a host
 * that stands still for some seconds may give its free memory to others, and
 * would be measured getting it back.  What is compared is CPU time, which
 * others who use the machine take less of than of the wall's: a program that
 * computes waits for nothing.  In the micro-VM it is that of the thread that is
 * its processor, all that the host does for the guest included.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "bench.h"
#include "microvm/program.h"

#define ROUNDS 15
#define PYTHON "/usr/bin/python3.11"

struct subject {
    const char *what, *file; /* in programs/; a Python file, or static */
    double limit;

    struct samples outside[2], inside[2]; /* wall and CPU */
    char why[GBX_ERROR_TEXT_MAX];
    bool no_inside; /* and that is all that is wrong */
};

static const struct subject plan[] = {
    {"Python, numbers", "numbers.py", .limit = 1.05},
    {"Python, words", "words.py", .limit = 1.05},
    {"C, registers", "loop", .limit = 1.05},
    {"C, sort 50 MB", "sort", .limit = 1.25},
};

#define SUBJECTS ARRAY_SIZE(plan)

static void add(struct samples samples[2], const struct program_run *run)
{
    samples_add(&samples[0], run->wall_ns);
    samples_add(&samples[1], run->cpu_ns);
}

static void measure(struct subject *subject, const struct paths *paths)
{
    static struct program_run outside, inside;
    bool is_python = strstr(subject->file, ".py") != NULL;
    char folder[4200], path[4300];

    snprintf(folder, sizeof(folder), "%s/programs", paths->bench);
    snprintf(path, sizeof(path), "%s/%s", folder, subject->file);
    outside = (struct program_run){.argv = {path}};
    if (is_python)
        outside = (struct program_run){.argv = {PYTHON, "-I", "-S", path},
                                       .folder = folder};
    inside = outside;
    if (!program_outside(&outside, subject->why))
        return;
    add(subject->outside, &outside);
    subject->no_inside = !program_inside(&inside, subject->why);
    if (subject->no_inside)
        return;
    add(subject->inside, &inside);
    if (strcmp(inside.text, outside.text) != 0)
        snprintf(subject->why, sizeof(subject->why),
                 "it printed something else in the micro-VM");
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"process_ns", "process", REPORT_TIME},
    {"microvm_ns", "micro-VM", REPORT_TIME},
    {"per_process", "/ process", REPORT_TIMES},
    {"process_cpu_ns", "process, CPU", REPORT_TIME},
    {"microvm_cpu_ns", "micro-VM, CPU", REPORT_TIME},
    {"per_process_cpu", "/ process", REPORT_TIMES},
};

/* first: of all; what is wrong with it need not be said again. */
static void tell(struct report *report, struct subject *subject,
                 const struct subject *first)
{
    static const char *const keys[2][3] = {
        {"process_ns", "microvm_ns", "per_process"},
        {"process_cpu_ns", "microvm_cpu_ns", "per_process_cpu"}};
    double ratio = 0;
    char what[80];

    report_row(report);
    report_text(report, "what", subject->what);
    report_number(report, "n", (double)subject->outside[0].count);
    for (size_t i = 0; i < 2; i++) {
        struct figure outside = samples_figure(&subject->outside[i]);
        struct figure inside = samples_figure(&subject->inside[i]);

        samples_fini(&subject->outside[i]);
        samples_fini(&subject->inside[i]);
        if (outside.count > 0)
            report_number(report, keys[i][0], outside.median);
        if (inside.count > 0)
            report_number(report, keys[i][1], inside.median);
        report_ratio(report, keys[i][2], inside.median, outside.median);
        ratio = inside.count > 0 ? inside.median / outside.median : 0;
    }
    if (subject->why[0] != '\0' &&
        (subject == first || strcmp(subject->why, first->why) != 0))
        report_note(report, "%s: %s", subject->what, subject->why);
    snprintf(what, sizeof(what), "%s, CPU time against the process",
             subject->what);
    report_target(report, what, REPORT_TIMES, ratio, AT_MOST, subject->limit);
}

bool bench_compute(struct report *report, const struct paths *paths)
{
    struct subject subjects[SUBJECTS];
    bool good = true;

    memcpy(subjects, plan, sizeof(subjects));
    for (size_t i = 0; i < SUBJECTS; i++)
        for (size_t round = 0; round < ROUNDS; round++) {
            report_progress(report, "compute: round %zu of %d, %s", round + 1,
                            ROUNDS, subjects[i].what);
            if (subjects[i].why[0] == '\0')
                measure(&subjects[i], paths);
        }
    report_begin(report, "compute",
                 "the same program as a process and in a micro-VM", columns,
                 ARRAY_SIZE(columns));
    for (size_t i = 0; i < SUBJECTS; i++) {
        good = good && (subjects[i].why[0] == '\0' || subjects[i].no_inside);
        tell(report, &subjects[i], subjects);
    }
    report_note(report, "Nothing is pinned. The process from its spawn, the "
                        "micro-VM from its first instruction, to the end.");
    report_end(report);
    return good;
}
