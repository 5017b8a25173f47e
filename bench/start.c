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

enum step { LIBRARY, OPEN, FIRST_CALL, CLOSE, COMMAND, STEPS };

static const char *const names[STEPS] = {
    "open to first answer", "  runtime and script open", "  first call",
    "close", "glovebox run, whole"};

enum { PROCESS, MICROVM, SIDES };

static const struct {
    enum gbx_isolation isolation;
    const char *name, *option;
} sides[SIDES] = {{GBX_ISOLATION_PROCESS, "process", "--isolation=process"},
                  {GBX_ISOLATION_MICROVM, "micro-VM", "--isolation=microvm"}};

struct row {
    struct samples samples;
    char why[GBX_ERROR_TEXT_MAX];
};

struct start {
    struct row python, steps[SIDES][STEPS], socket;
    const char *glovebox;
    char script[4300];
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
        strcpy(start->python.why, PYTHON " does not run");
    else if (keep)
        samples_add(&start->python.samples, took_ns);
}

static void measure_command(struct start *start, int side, bool keep)
{
    static char verb[] = "run", in[] = "--in", value[] = "in=42";
    struct row *row = &start->steps[side][COMMAND];
    char path[4200], option[40];
    char *argv[] = {path, verb, option, start->script, in, value, NULL};
    uint64_t took_ns;

    snprintf(path, sizeof(path), "%s", start->glovebox);
    snprintf(option, sizeof(option), "%s", sides[side].option);
    if (!run(argv, &took_ns))
        snprintf(row->why, sizeof(row->why), "%.200s run %s fails", path,
                 option);
    else if (keep)
        samples_add(&row->samples, took_ns);
}

static void measure_library(struct start *start, const struct paths *paths,
                            int side, bool keep)
{
    struct box_how how = {.script = "echo.py",
                          .isolation = sides[side].isolation,
                          .place = PLACE_FREE};
    struct row *rows = start->steps[side];
    struct box_call call = {.number = 42};
    uint64_t begin_ns = measure_now_ns(), opened_ns, answered_ns, closed_ns;
    struct gbx_error err = {0};
    struct box box;
    bool good;

    good = box_open(&box, paths, &how, &err);
    opened_ns = measure_now_ns();
    good = good && box_call(&box, &call, &err);
    answered_ns = measure_now_ns();
    box_close(&box);
    closed_ns = measure_now_ns();
    if (!good) {
        snprintf(rows[LIBRARY].why, sizeof(rows[LIBRARY].why), "%s", err.what);
    } else if (keep) {
        samples_add(&rows[LIBRARY].samples, answered_ns - begin_ns);
        samples_add(&rows[OPEN].samples, opened_ns - begin_ns);
        samples_add(&rows[FIRST_CALL].samples, answered_ns - opened_ns);
        samples_add(&rows[CLOSE].samples, closed_ns - answered_ns);
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
        samples_add(&start->socket.samples, measure_now_ns() - from_ns);
    else
        snprintf(start->socket.why, sizeof(start->socket.why), "%s", why);
    baseline_close(baseline);
}

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},  {"isolation", "isolation", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},       {"median_ns", "median", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME}, {"per_python", "/ python", REPORT_TIMES},
};

static struct figure tell_row(struct report *report, const char *what,
                              const char *side, struct row *row,
                              double python_ns)
{
    struct figure figure = samples_figure(&row->samples);

    samples_fini(&row->samples);
    report_row(report);
    report_text(report, "what", what);
    if (side != NULL)
        report_text(report, "isolation", side);
    report_figure(report, &figure);
    report_ratio(report, "per_python", figure.median, python_ns);
    if (row->why[0] != '\0')
        report_note(report, "%s%s%s: %s", what, side == NULL ? "" : ", ",
                    side == NULL ? "" : side, row->why);
    return figure;
}

static void tell_target(struct report *report, const char *what,
                        const struct figure *figure, double python_ns,
                        double limit)
{
    report_target(report, what, REPORT_TIMES,
                  python_ns > 0 ? figure->median / python_ns : 0, AT_MOST,
                  limit);
}

static void tell(struct report *report, struct start *start)
{
    struct figure figures[SIDES][STEPS];
    double python_ns;

    report_begin(report, "start", "from nothing to the first answer", columns,
                 sizeof(columns) / sizeof(columns[0]));
    python_ns =
        tell_row(report, "python3.11 -I -S -c pass", NULL, &start->python, 0)
            .median;
    for (int side = 0; side < SIDES; side++)
        for (int step = 0; step < STEPS; step++)
            figures[side][step] =
                tell_row(report, names[step], sides[side].name,
                         &start->steps[side][step], python_ns);
    tell_row(report, "WebSocket server to first answer", NULL, &start->socket,
             python_ns);
    report_note(report, "Nothing is pinned; the sandbox does not spin. python "
                        "and glovebox run are whole processes, start to end.");
    tell_target(report, "process, open to first answer, against python",
                &figures[PROCESS][LIBRARY], python_ns, 1.6);
    tell_target(report, "micro-VM, glovebox run as a whole, against python",
                &figures[MICROVM][COMMAND], python_ns, 6);
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
        for (int side = 0; side < SIDES; side++) {
            if (start.steps[side][LIBRARY].why[0] == '\0')
                measure_library(&start, paths, side, keep);
            if (start.steps[side][LIBRARY].why[0] == '\0' &&
                start.steps[side][COMMAND].why[0] == '\0')
                measure_command(&start, side, keep);
        }
        if (round < SOCKET_ROUNDS && start.socket.why[0] == '\0')
            measure_socket(&start, paths);
    }
    tell(report, &start);
    return start.steps[PROCESS][LIBRARY].why[0] == '\0';
}
