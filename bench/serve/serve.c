/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - gloveboxd on loopback: a call in a binary WebSocket, beside an echo
 * by libwebsockets alone and TCP alone; HTTP by many clients; idle connections.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "baseline/baseline.h"
#include "bench.h"
#include "net/frame.h"
#include "serve/load.h"
#include "serve/wire.h"

#define SMALL      64u
#define LARGE      (16u << 20)
#define SMALLS     5000
#define LARGES     40
#define CLIENTS    64
#define LOAD_NS    8000000000ull
#define IDLE       10000
#define IDLE_FILES (IDLE + 100)

extern char **environ;

enum { TCP, LWS, PROCESS, MICROVM, REMOTE, WHERES };
static const char *const names[WHERES] = {
    "TCP alone", "libwebsockets alone", "gloveboxd, process",
    "gloveboxd, micro-VM", "isolation remote"};

struct serving {
    struct samples small[WHERES], large[WHERES];
    struct samples embedded[WHERES]; /* the same script, as a library call */
    struct load load;                /* a process's */
    struct samples baseline;         /* a WebSocket server in Python */
    double idle_bytes;
    uint8_t *body, *back; /* owned */
    char why[WHERES][160];
};

/* ---- the servers ---- */

struct server {
    pid_t pid;
    uint16_t port;
};

/* What it says first ends with the port. */
static bool read_port(int fd, uint16_t *port)
{
    char text[2048];
    size_t count = 0;
    ssize_t n;

    while (count < sizeof(text) - 1 &&
           (n = read(fd, text + count, sizeof(text) - 1 - count)) > 0) {
        const char *at;

        count += (size_t)n;
        text[count] = '\0';
        at = strstr(text, "listens at ");
        if (at != NULL && strchr(at, '\n') != NULL) {
            *port = (uint16_t)strtoul(strrchr(at, ':') + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static bool start(struct server *server, const struct paths *paths, int where)
{
    char program[4200], script[4300],
        kind[] = "process", vm[] = "microvm", isolation[] = "--isolation",
        listen[] = "--listen", at[] = "127.0.0.1:0";
    char *argv[] = {
        program, listen, at, isolation, where == MICROVM ? vm : kind,
        script,  NULL};
    posix_spawn_file_actions_t actions;
    int from[2], rc;
    char *slash;

    snprintf(program, sizeof(program), "%s", paths->glovebox);
    slash = strrchr(program, '/');
    snprintf(slash != NULL ? slash + 1 : program, 16, "gloveboxd");
    snprintf(script, sizeof(script), "%s/scripts/echo.py", paths->bench);
    setenv("GLOVEBOX_LIBEXEC", paths->libexec, 1);
    if (pipe2(from, O_CLOEXEC) < 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, from[1], 2);
    rc = posix_spawnp(&server->pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(from[1]);
    if (rc == 0 && !read_port(from[0], &server->port)) {
        waitpid(server->pid, NULL, 0);
        rc = -1;
    }
    close(from[0]); /* it says no more that we read */
    return rc == 0;
}

static void stop(const struct server *server)
{
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}

/* ---- one after the other ---- */

static bool ask_tcp(struct serving *s, int fd, uint64_t bytes)
{
    return wire_write(fd, &bytes, sizeof(bytes)) &&
           wire_write(fd, s->body, bytes) && wire_read(fd, s->back, bytes);
}

static bool ask_lws(struct serving *s, int fd, size_t bytes)
{
    size_t back = LARGE;

    return wire_send(fd, s->body, bytes, NULL, 0) &&
           wire_receive(fd, s->back, &back) && back == bytes;
}

static bool ask_daemon(struct serving *s, int fd, size_t bytes)
{
    static const struct frame call = {.kind = FRAME_INPUT,
                                      .type = GBX_STREAM,
                                      .flags = FRAME_HAS_MESSAGE | FRAME_RUNS,
                                      .call = 1,
                                      .actor = "echo",
                                      .port = "in"};
    struct frame frame = call, got = {.kind = FRAME_FAILED};
    uint8_t head[FRAME_HEAD_MAX], done[FRAME_HEAD_MAX];
    size_t back = LARGE + FRAME_HEAD_MAX, end = sizeof(done);
    const char *what;

    frame.body_bytes = bytes;
    return wire_send(fd, head, frame_write(&frame, head), s->body, bytes) &&
           wire_receive(fd, s->back, &back) &&
           frame_read(&got, s->back, back, &what) > 0 &&
           got.kind == FRAME_OUTPUT && got.body_bytes == bytes &&
           wire_receive(fd, done, &end) &&
           frame_read(&got, done, end, &what) > 0 && got.kind == FRAME_DONE;
}

static bool ask(struct serving *s, int where, int fd, size_t bytes)
{
    return where == TCP   ? ask_tcp(s, fd, bytes)
           : where == LWS ? ask_lws(s, fd, bytes)
                          : ask_daemon(s, fd, bytes);
}

static bool measure_at(struct serving *s, int where, uint16_t port)
{
    int fd = wire_dial(port);
    bool good = fd >= 0 && (where == TCP || wire_shake(fd));

    for (int i = -20; i < SMALLS && good; i++) {
        uint64_t from_ns = measure_now_ns();

        good = ask(s, where, fd, SMALL);
        if (i >= 0)
            samples_add(&s->small[where], measure_now_ns() - from_ns);
    }
    for (int i = -4; i < LARGES && good; i++) {
        uint64_t from_ns = measure_now_ns();

        good = ask(s, where, fd, LARGE);
        if (i >= 0)
            samples_add(&s->large[where], measure_now_ns() - from_ns);
    }
    if (fd >= 0)
        close(fd);
    return good;
}

/* As its user has it: the library's calls, of a process there. */
static bool measure_remote(struct serving *s, const struct paths *paths,
                           uint16_t port)
{
    char url[40];
    const struct box_how how = {
        .script = "echo.py", .isolation = GBX_ISOLATION_REMOTE, .url = url};
    const size_t sizes[] = {SMALL, LARGE};
    struct gbx_error err;
    struct box box;
    bool good;

    snprintf(url, sizeof(url), "ws://127.0.0.1:%u", port);
    good = box_open(&box, paths, &how, &err);
    for (int which = 0; which < 2 && good; which++)
        for (int i = -4; i < (which == 0 ? SMALLS : LARGES) && good; i++) {
            struct box_call call = {.data = s->body,
                                    .bytes = sizes[which],
                                    .stamp = (uint64_t)(i + 5)};

            good = box_call(&box, &call, &err);
            if (i >= 0 && good)
                samples_add(which == 0 ? &s->small[REMOTE] : &s->large[REMOTE],
                            call.call_ns);
        }
    if (good)
        box_close(&box);
    return good;
}

static void measure_embedded(struct serving *s, int where,
                             const struct paths *paths)
{
    const struct box_how how = {.script = "echo.py",
                                .isolation = where == MICROVM
                                                 ? GBX_ISOLATION_MICROVM
                                                 : GBX_ISOLATION_PROCESS};
    struct box_call call = {.data = s->body, .bytes = SMALL};
    struct gbx_error err;
    struct box box;

    if (!box_open(&box, paths, &how, &err))
        return;
    for (int i = -20; i < SMALLS; i++) {
        call.stamp = (uint64_t)(i + 21);
        if (!box_call(&box, &call, &err))
            break;
        if (i >= 0)
            samples_add(&s->embedded[where], call.call_ns);
    }
    box_close(&box);
}

/* ---- many at once ---- */

static double resident_bytes(pid_t pid)
{
    char path[64], line[200];
    double bytes = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Rss:", 4) == 0)
            bytes = strtod(line + 4, NULL) * 1024;
    if (file != NULL)
        fclose(file);
    return bytes;
}

/* -1: there are not so many descriptors. */
static double measure_idle(const struct server *server)
{
    struct rlimit limit;
    int *fds = calloc(IDLE, sizeof(*fds));
    double bytes = -1;
    int count = 0;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (fds == NULL || limit.rlim_cur < IDLE_FILES) {
        free(fds);
        return -1;
    }
    /* Beside those that the load had, and one that is left for it. */
    while (count < IDLE - 100 && (fds[count] = wire_dial(server->port)) >= 0 &&
           wire_shake(fds[count]))
        count++;
    if (count == IDLE - 100)
        bytes = resident_bytes(server->pid) * IDLE / count;
    while (count-- > 0)
        close(fds[count]);
    free(fds);
    return bytes;
}

/* GLOVEBOX_BENCH_SECONDS: how long, where somebody wants to know it well. */
static uint64_t load_ns(void)
{
    const char *seconds = getenv("GLOVEBOX_BENCH_SECONDS");
    const unsigned long wanted =
        seconds != NULL ? strtoul(seconds, NULL, 10) : 0;

    return wanted > 0 ? wanted * 1000000000ull : LOAD_NS;
}

static void measure_load(struct serving *s, const struct server *server)
{
    static const char body[] =
        "{\"actor\":\"echo\",\"inputs\":{\"in\":\"hello\"}}";
    static char request[512];

    snprintf(request, sizeof(request),
             "POST /v1/run HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof(body) - 1, body);
    s->load = (struct load){
        .clients = CLIENTS, .for_ns = load_ns(), .request = request};
    if (!load_run(&s->load, server->port))
        s->load.wrong++;
}

static void measure_baseline(struct serving *s, const struct paths *paths)
{
    struct baseline *baseline;
    char why[BASELINE_WHY_BYTES];

    if (!baseline_open(&baseline, paths->bench, "echo.py", BASELINE_BASE64,
                       PLACE_FREE, why))
        return;
    for (int i = 0; i < 2000; i++) {
        uint64_t from_ns = measure_now_ns();

        if (!baseline_integer(baseline, i))
            break;
        samples_add(&s->baseline, measure_now_ns() - from_ns);
    }
    baseline_close(baseline);
}

static void measure(struct report *report, struct serving *s,
                    const struct paths *paths)
{
    struct server server;
    uint16_t port;
    int pid;

    s->idle_bytes = -1;
    for (int where = 0; where < REMOTE; where++) {
        bool good;

        report_progress(report, "serve: %s", names[where]);
        if (where < PROCESS) {
            pid = where == TCP ? wire_echo_tcp(&port) : wire_echo_lws(&port);
            good = pid > 0 && measure_at(s, where, port);
            wire_end(pid);
        } else {
            measure_embedded(s, where, paths);
            good = start(&server, paths, where);
            if (good) {
                good = measure_at(s, where, server.port);
                if (where == PROCESS) {
                    report_progress(report, "serve: %d clients", CLIENTS);
                    measure_load(s, &server);
                    s->idle_bytes = measure_idle(&server);
                    report_progress(report, "serve: %s", names[REMOTE]);
                    if (!measure_remote(s, paths, server.port))
                        snprintf(s->why[REMOTE], sizeof(s->why[REMOTE]),
                                 "it does not start, or does not answer");
                }
                stop(&server);
            }
        }
        if (!good)
            snprintf(s->why[where], sizeof(s->why[where]),
                     "it does not start, or does not answer");
    }
    measure_baseline(s, paths);
}

/* ---- the report ---- */

static const struct report_column columns[] = {
    {"what", "what", REPORT_TEXT},
    {"n", "n", REPORT_COUNT},
    {"median_ns", "64 B", REPORT_TIME},
    {"p99_ns", "p99", REPORT_TIME},
    {"embedded_ns", "embedded", REPORT_TIME},
    {"large_ns", "16 MiB", REPORT_TIME},
    {"per_tcp", "/ TCP", REPORT_TIMES},
};

static double median(struct samples *samples)
{
    return samples_figure(samples).median;
}

static void tell_rows(struct report *report, struct serving *s)
{
    for (int where = 0; where < WHERES; where++) {
        struct figure small = samples_figure(&s->small[where]);

        report_row(report);
        report_text(report, "what", names[where]);
        if (s->why[where][0] != '\0')
            report_note(report, "%s: %s", names[where], s->why[where]);
        if (small.count == 0)
            continue;
        report_figure(report, &small);
        if (s->embedded[where].count > 0)
            report_number(report, "embedded_ns", median(&s->embedded[where]));
        report_number(report, "large_ns", median(&s->large[where]));
        report_ratio(report, "per_tcp", median(&s->large[where]),
                     median(&s->large[TCP]));
    }
}

static void tell_targets(struct report *report, struct serving *s)
{
    struct figure load = samples_figure(&s->load.samples);

    for (int where = PROCESS; where < REMOTE; where++) {
        char text[100];

        snprintf(text, sizeof(text), "%s: 64 B, 1.5 x the echo + the call",
                 names[where]);
        report_target(
            report, text, REPORT_TIME, median(&s->small[where]), AT_MOST,
            1.5 * (median(&s->small[LWS]) + median(&s->embedded[where])));
        snprintf(text, sizeof(text), "%s: 16 MiB, against TCP", names[where]);
        report_target(report, text, REPORT_TIMES,
                      s->large[where].count > 0 && s->large[TCP].count > 0
                          ? median(&s->large[where]) / median(&s->large[TCP])
                          : 0,
                      AT_MOST, 2.5);
    }
    report_note(report,
                "POST /v1/run, %d clients: %.0f a second, median %.2f ms, p99 "
                "%.2f ms, %llu wrong; one client of the WebSocket server "
                "waits %.0f us",
                CLIENTS,
                (double)s->load.answers * 1e9 / (double)s->load.took_ns,
                load.median / 1e6, load.p99 / 1e6,
                (unsigned long long)s->load.wrong, median(&s->baseline) / 1e3);
    report_target(report, "POST /v1/run: a request (5,000 a second)",
                  REPORT_TIME,
                  s->load.answers > 0 && s->load.wrong == 0
                      ? (double)s->load.took_ns / (double)s->load.answers
                      : 0,
                  AT_MOST, 200000);
    report_target(report, "POST /v1/run: p99 against the median", REPORT_TIMES,
                  load.median > 0 ? load.p99 / load.median : 0, AT_MOST, 5);
    report_target(report, "10,000 idle WebSockets: memory", REPORT_BYTES,
                  s->idle_bytes, AT_MOST, 500.0 * (1u << 20));
}

bool bench_serve(struct report *report, const struct paths *paths)
{
    struct serving *s = calloc(1, sizeof(*s));
    bool good;

    if (s == NULL)
        return false;
    s->body = calloc(1, LARGE);
    s->back = malloc(LARGE + FRAME_HEAD_MAX);
    if (s->body == NULL || s->back == NULL)
        return false;
    signal(SIGPIPE, SIG_IGN);
    measure(report, s, paths);
    report_begin(report, "serve", "gloveboxd on loopback, there and back",
                 columns, ARRAY_SIZE(columns));
    tell_rows(report, s);
    tell_targets(report, s);
    report_end(report);
    good = s->small[PROCESS].count > 0;
    for (int where = 0; where < WHERES; where++) {
        samples_fini(&s->small[where]);
        samples_fini(&s->large[where]);
        samples_fini(&s->embedded[where]);
    }
    samples_fini(&s->load.samples);
    samples_fini(&s->baseline);
    free(s->body);
    free(s->back);
    free(s);
    return good;
}
