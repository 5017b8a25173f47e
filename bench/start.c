/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - from nothing, or from a template, to the first answer, against a
 * bare start of Python.
 *
 * Each round measures each row once, so that all meet the same machine.  None
 * is pinned: this is how they are used.
 */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baseline/baseline.h"
#include "bench.h"
#include "microvm/raw.h"

#define ROUNDS        41
#define SOCKET_ROUNDS 5
#define WARM_UP       3
#define PYTHON        "/usr/bin/python3.11"

enum step { LIBRARY, OPEN, FIRST_CALL, CLOSE, CLONE, COMMAND, CACHED, STEPS };

static const char *const names[STEPS] = {
    "open to first answer",
    "  runtime and script open",
    "  first call",
    "close",
    "clone to first answer",
    "glovebox run --no-cache, whole",
    "glovebox run, not for the first time"};

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
    struct row python, hello, raw, steps[SIDES][STEPS], socket;
    struct box clones[SIDES]; /* each call in a new clone; opened once */
    const char *glovebox;
    char script[4300];
    char cache[40]; /* a folder of this run's */
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
    char *least[] = {python, isolated, bare, command, pass, NULL};
    char *hello[] = {python, start->script, NULL};
    uint64_t least_ns, hello_ns;

    if (!run(least, &least_ns) || !run(hello, &hello_ns)) {
        strcpy(start->python.why, PYTHON " does not run");
    } else if (keep) {
        samples_add(&start->python.samples, least_ns);
        samples_add(&start->hello.samples, hello_ns);
    }
}

static void measure_raw(struct start *start, bool keep)
{
    uint64_t from_ns = measure_now_ns();
    struct raw_times times;
    struct raw raw;
    bool good;

    if (!raw_open(&raw, &times, start->raw.why))
        return;
    good = raw_exit(&raw);
    if (good && keep)
        samples_add(&start->raw.samples, measure_now_ns() - from_ns);
    raw_close(&raw);
}

static void measure_command(struct start *start, int side, enum step step,
                            bool keep)
{
    static char verb[] = "run", none[] = "--no-cache";
    struct row *row = &start->steps[side][step];
    char path[4200], option[40], cache[60];
    char *argv[] = {path,          verb, option, step == COMMAND ? none : cache,
                    start->script, NULL};
    uint64_t took_ns;

    snprintf(path, sizeof(path), "%s", start->glovebox);
    snprintf(option, sizeof(option), "%s", sides[side].option);
    snprintf(cache, sizeof(cache), "--cache=%s", start->cache);
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

/* The first one makes the template. */
static void measure_clone(struct start *start, const struct paths *paths,
                          int side, bool keep)
{
    struct box_how how = {.script = "echo.py",
                          .isolation = sides[side].isolation,
                          .place = PLACE_FREE,
                          .pool.recycle_calls = 1};
    struct row *row = &start->steps[side][CLONE];
    struct box *box = &start->clones[side];
    struct box_call call = {.number = 42};
    struct gbx_error err = {0};

    if ((box->runtime == NULL && !box_open(box, paths, &how, &err)) ||
        !box_call(box, &call, &err))
        snprintf(row->why, sizeof(row->why), "%s", err.what);
    else if (keep)
        samples_add(&row->samples, call.answer_ns);
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
    struct figure raw, hello;
    double python_ns;

    report_begin(report, "start", "from nothing to the first answer", columns,
                 sizeof(columns) / sizeof(columns[0]));
    python_ns =
        tell_row(report, "python3.11 -I -S -c pass", NULL, &start->python, 0)
            .median;
    hello =
        tell_row(report, "python3.11 hello.py", NULL, &start->hello, python_ns);
    raw = tell_row(report, "a virtual machine of KVM, and one exit", NULL,
                   &start->raw, python_ns);
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
    tell_target(report, "process, clone to first answer, against python",
                &figures[PROCESS][CLONE], python_ns, 0.25);
    tell_target(report, "micro-VM, clone to first answer, against python",
                &figures[MICROVM][CLONE], python_ns, 0.2);
    tell_target(report, "micro-VM, clone to first answer, against KVM's own",
                &figures[MICROVM][CLONE], raw.median, 3);
    tell_target(report, "micro-VM, glovebox run again, against python hello.py",
                &figures[MICROVM][CACHED], hello.median, 0.6);
    report_end(report);
}

/* One side of one round.  What failed once is not tried again. */
static void measure_side(struct start *start, const struct paths *paths,
                         int side, bool keep)
{
    struct row *rows = start->steps[side];

    if (rows[LIBRARY].why[0] == '\0')
        measure_library(start, paths, side, keep);
    if (rows[LIBRARY].why[0] != '\0')
        return;
    if (rows[CLONE].why[0] == '\0')
        measure_clone(start, paths, side, keep);
    for (enum step step = COMMAND; step <= CACHED; step++)
        if (rows[step].why[0] == '\0')
            measure_command(start, side, step, keep);
}

static int remove_one(const char *path, const struct stat *stat, int kind,
                      struct FTW *walk)
{
    (void)stat, (void)kind, (void)walk;
    return remove(path);
}

bool bench_start(struct report *report, const struct paths *paths)
{
    static struct start start;

    start = (struct start){.glovebox = paths->glovebox};
    snprintf(start.script, sizeof(start.script), "%s/scripts/hello.py",
             paths->bench);
    strcpy(start.cache, "/tmp/glovebox-bench-XXXXXX");
    if (mkdtemp(start.cache) == NULL)
        return false;
    for (size_t round = 0; round < WARM_UP + ROUNDS; round++) {
        bool keep = round >= WARM_UP;

        report_progress(report, "start: round %zu of %d", round + 1,
                        WARM_UP + ROUNDS);
        measure_python(&start, keep);
        measure_raw(&start, keep);
        for (int side = 0; side < SIDES; side++)
            measure_side(&start, paths, side, keep);
        if (round < SOCKET_ROUNDS && start.socket.why[0] == '\0')
            measure_socket(&start, paths);
    }
    for (int side = 0; side < SIDES; side++)
        if (start.clones[side].runtime != NULL)
            box_close(&start.clones[side]);
    nftw(start.cache, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    tell(report, &start);
    return start.steps[PROCESS][LIBRARY].why[0] == '\0';
}
