/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats.c - calls through NATS, with three workers on this host, beside what the
 * same server does with bare requests that three processes echo.
 *
 * A bare request is kept nowhere: two messages.  A call is stored until it is
 * done, and its results are.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "nats/rate.h"

#define ROUNDS 3 /* the median of which is told */

extern char **environ;

static const unsigned at_onces[] = {1, 64, 256};

#define ROWS (sizeof(at_onces) / sizeof(at_onces[0]))

struct through {
    char folder[64], url[64];
    pid_t server, workers[RATE_WORKERS], echoes[RATE_WORKERS];
    double bare[ROWS], calls[ROWS];
    const char *why;
};

static pid_t spawn(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        pid = 0;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static unsigned find_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return 0;
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &bytes) < 0)
        at.sin_port = 0;
    close(fd);
    return ntohs(at.sin_port);
}

static bool start_server(struct through *t)
{
    char name[] = "nats-server", js[] = "-js", sd[] = "-sd", a[] = "-a",
         host[] = "127.0.0.1", p[] = "-p", port[16];
    char *argv[] = {name, js, sd, t->folder, a, host, p, port, NULL};

    strcpy(t->folder, "/tmp/glovebox-bench-XXXXXX");
    if (mkdtemp(t->folder) == NULL)
        return false;
    snprintf(port, sizeof(port), "%u", find_port());
    snprintf(t->url, sizeof(t->url), "nats://127.0.0.1:%s", port);
    t->server = spawn(argv);
    return t->server > 0;
}

static bool start_workers(struct through *t, const struct paths *paths)
{
    char program[4200], listen[] = "--listen", none[] = "none",
                        isolation[] = "--isolation", kind[] = "process",
                        worker[] = "--worker", workers[] = "--workers",
                        two[] = "2";
    char *argv[] = {program, listen, none,    isolation, kind,
                    worker,  t->url, workers, two,       NULL};
    char *slash;

    snprintf(program, sizeof(program), "%s", paths->glovebox);
    slash = strrchr(program, '/');
    snprintf(slash != NULL ? slash + 1 : program, 16, "gloveboxd");
    setenv("GLOVEBOX_LIBEXEC", paths->libexec, 1);
    for (unsigned i = 0; i < RATE_WORKERS; i++)
        if ((t->workers[i] = spawn(argv)) <= 0)
            return false;
    return true;
}

static void end(pid_t pid, int how)
{
    if (pid <= 0)
        return;
    kill(pid, how);
    waitpid(pid, NULL, 0);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void stop(struct through *t)
{
    for (unsigned i = 0; i < RATE_WORKERS; i++) {
        end(t->workers[i], SIGTERM);
        end(t->echoes[i], SIGKILL);
    }
    end(t->server, SIGTERM);
    if (t->folder[0] != '\0')
        nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static double median(double values[ROUNDS])
{
    for (size_t i = 1; i < ROUNDS; i++)
        for (size_t j = i; j > 0 && values[j] < values[j - 1]; j--) {
            const double value = values[j];

            values[j] = values[j - 1];
            values[j - 1] = value;
        }
    return values[ROUNDS / 2];
}

/* Both in turn, so that they meet the same machine. */
static void measure(struct through *t, const struct paths *paths)
{
    char module[4200], script[4200];
    struct rate_calls *calls;

    snprintf(module, sizeof(module), "%s/glovebox-nats.so", paths->libexec);
    snprintf(script, sizeof(script), "%s/scripts/echo.py", paths->bench);
    sleep(2); /* until all are there */
    calls = rate_open(module, t->url, script, &t->why);
    if (calls == NULL)
        return;
    rate_calls(calls, 16, &t->why); /* each worker loads the script */
    for (size_t i = 0; i < ROWS && t->why == NULL; i++) {
        double bare[ROUNDS], these[ROUNDS];

        for (size_t j = 0; j < ROUNDS && t->why == NULL; j++) {
            bare[j] = rate_bare(t->url, at_onces[i], &t->why);
            if (t->why == NULL)
                these[j] = rate_calls(calls, at_onces[i], &t->why);
        }
        if (t->why == NULL) {
            t->bare[i] = median(bare);
            t->calls[i] = median(these);
        }
    }
    rate_close(calls);
}

static void tell(struct report *report, const struct through *t)
{
    static const struct report_column columns[] = {
        {"at_once", "at once", REPORT_COUNT},
        {"bare_per_second", "bare requests/s", REPORT_COUNT},
        {"calls_per_second", "calls/s", REPORT_COUNT},
        {"ratio", "calls of bare", REPORT_TIMES}};
    char what[64];

    report_begin(report, "nats", "64 bytes through NATS, three workers",
                 columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < ROWS; i++) {
        report_row(report);
        report_number(report, "at_once", at_onces[i]);
        report_number(report, "bare_per_second", t->bare[i]);
        report_number(report, "calls_per_second", t->calls[i]);
        report_ratio(report, "ratio", t->calls[i], t->bare[i]);
    }
    if (t->why != NULL)
        report_note(report, "not measured: %s", t->why);
    for (size_t i = 1; i < ROWS; i++) {
        snprintf(what, sizeof(what), "%u at once, calls of bare requests",
                 at_onces[i]);
        report_target(report, what, REPORT_TIMES,
                      t->bare[i] > 0 ? t->calls[i] / t->bare[i] : 0, AT_LEAST,
                      0.5);
    }
    report_end(report);
}

bool bench_nats(struct report *report, const struct paths *paths)
{
    struct through t = {.why = NULL};
    bool has_server;

    report_progress(report, "nats: requests and calls");
    has_server = start_server(&t);
    if (!has_server)
        t.why = "there is no nats-server (Debian: nats-server)";
    else if (!rate_start_echoes(t.echoes, t.url) || !start_workers(&t, paths))
        t.why = "no more processes";
    else
        measure(&t, paths);
    tell(report, &t);
    stop(&t);
    return !has_server || t.calls[ROWS - 1] > 0;
}
