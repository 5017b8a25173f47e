/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - from nothing to the first answer, against a bare start of Python.
 *
 * Each round measures each row once, so that all meet the same machine.  None
 * is pinned: this is how they are used.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baseline/baseline.h"
#include "bench.h"

#define ROUNDS        41
#define SOCKET_ROUNDS 5
#define WARM_UP       3
#define PYTHON        "/usr/bin/python3.11"

enum { PYTHON_BARE, LIBRARY, OPEN, FIRST_CALL, CLOSE, COMMAND, SOCKET, ROWS };

static const char *const names[ROWS] = {"python3.11 -I -S -c pass",
                                        "open to first answer",
                                        "  runtime and script open",
                                        "  first call",
                                        "close",
                                        "glovebox run, whole",
                                        "WebSocket server to first answer"};

struct start {
    struct samples samples[ROWS];
    const char *glovebox;
    char script[4300];
    char why[ROWS][GBX_ERROR_TEXT_MAX];
};

/* Start a program, and wait until it has ended. */
static bool run(char *const argv[], uint64_t *took_ns)
{
    posix_spawn_file_actions_t actions;
    uint64_t from_ns = measure_now_ns();
    int status = -1;
    pid_t pid;
    bool good;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    good = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && status == 0;
    *took_ns = measure_now_ns() - from_ns;
    posix_spawn_file_actions_destroy(&actions);
    return good;
}

static void measure_python(struct start *start, bool keep)
{
    static char python[] = PYTHON, isolated[] = "-I", bare[] = "-S",
                command[] = "-c", pass[] = "pass";
    char *argv[] = {python, isolated, bare, command, pass, NULL};
    uint64_t took_ns;

    if (!run(argv, &took_ns))
        strcpy(start->why[PYTHON_BARE], PYTHON " does not run");
    else if (keep)
        samples_add(&start->samples[PYTHON_BARE], took_ns);
}

static void measure_command(struct start *start, bool keep)
{
    static char verb[] = "run", in[] = "--in", value[] = "in=42";
    char path[4200];
    char *argv[] = {path, verb, start->script, in, value, NULL};
    uint64_t took_ns;

    snprintf(path, sizeof(path), "%s", start->glovebox);
    if (!run(argv, &took_ns))
        snprintf(start->why[COMMAND], sizeof(start->why[COMMAND]),
                 "%.200s run fails", path);
    else if (keep)
        samples_add(&start->samples[COMMAND], took_ns);
}

static void measure_library(struct start *start, const struct paths *paths,
                            bool keep)
{
    struct box_call call = {.number = 42};
    uint64_t begin_ns = measure_now_ns(), opened_ns, answered_ns, closed_ns;
    struct gbx_error err = {0};
    struct box box;
    bool good;

    good = box_open(&box, paths, "echo.py", PLACE_FREE, false, &err);
    opened_ns = measure_now_ns();
    good = good && box_call(&box, &call, &err);
    answered_ns = measure_now_ns();
    box_close(&box);
    closed_ns = measure_now_ns();
    if (!good) {
        snprintf(start->why[LIBRARY], sizeof(start->why[LIBRARY]), "%s",
                 err.what);
    } else if (keep) {
        samples_add(&start->samples[LIBRARY], answered_ns - begin_ns);
        samples_add(&start->samples[OPEN], opened_ns - begin_ns);
        samples_add(&start->samples[FIRST_CALL], answered_ns - opened_ns);
        samples_add(&start->samples[CLOSE], closed_ns - answered_ns);
    }
}

static void measure_socket(struct start *start, const struct paths *paths)
{
    char why[BASELINE_WHY_BYTES] = "the server gave no answer";
    uint64_t from_ns = measure_now_ns();
    struct baseline *baseline;

    if (baseline_open(&baseline, paths->bench, "echo.py", BASELINE_BASE64,
                      PLACE_FREE, why) &&
        baseline_integer(baseline, 42))
        samples_add(&start->samples[SOCKET], measure_now_ns() - from_ns);
    else
        snprintf(start->why[SOCKET], sizeof(start->why[SOCKET]), "%s", why);
    baseline_close(baseline);
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"per_python", "/ python", REPORT_TIMES},
};

static void tell(struct report *report, struct start *start)
{
    struct figure figures[ROWS];

    report_begin(report, "start", "from nothing to the first answer", columns,
                 sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < ROWS; i++) {
        figures[i] = samples_figure(&start->samples[i]);
        samples_fini(&start->samples[i]);
        report_row(report);
        report_text(report, "what", names[i]);
        report_figure(report, &figures[i]);
        if (i != PYTHON_BARE)
            report_ratio(report, "per_python", figures[i].median,
                         figures[PYTHON_BARE].median);
        if (start->why[i][0] != '\0')
            report_note(report, "%s: %s", names[i], start->why[i]);
    }
    report_note(report, "Nothing is pinned; the sandbox does not spin. python "
                        "and glovebox run are whole processes, start to end.");
    report_target(report, "open to first answer, against python", REPORT_TIMES,
                  figures[PYTHON_BARE].count > 0
                      ? figures[LIBRARY].median / figures[PYTHON_BARE].median
                      : 0,
                  AT_MOST, 1.6);
    report_end(report);
}

bool bench_start(struct report *report, const struct paths *paths)
{
    static struct start start;

    start = (struct start){.glovebox = paths->glovebox};
    snprintf(start.script, sizeof(start.script), "%s/scripts/echo.py",
             paths->bench);
    for (size_t round = 0; round < WARM_UP + ROUNDS; round++) {
        bool keep = round >= WARM_UP;

        report_progress(report, "start: round %zu of %d", round + 1,
                        WARM_UP + ROUNDS);
        measure_python(&start, keep);
        if (start.why[LIBRARY][0] == '\0')
            measure_library(&start, paths, keep);
        if (start.why[COMMAND][0] == '\0')
            measure_command(&start, keep);
        if (round < SOCKET_ROUNDS && start.why[SOCKET][0] == '\0')
            measure_socket(&start, paths);
    }
    tell(report, &start);
    return start.why[LIBRARY][0] == '\0';
}
