/* SPDX-License-Identifier: Apache-2.0 */
/* glovebox-bench - run by `glovebox bench`; see docs/bench.md. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { EXIT_USAGE = 2, EXIT_HOST = 125 }; /* as glovebox(1) says */

static const struct {
    const char *name;
    bool (*run)(struct report *report, const struct paths *paths);
} parts[] = {{"call", bench_call},           {"payload", bench_payload},
             {"start", bench_start},         {"floor", bench_floor},
             {"wipe", bench_wipe},           {"written", bench_written},
             {"density", bench_density},     {"isolation", bench_isolation},
             {"languages", bench_languages}, {"compute", bench_compute},
             {"flow", bench_flow},           {"wasm", bench_wasm},
             {"serve", bench_serve},         {"nats", bench_nats},
             {"image", bench_image}};

#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

struct options {
    bool wanted[PART_COUNT], any, json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "One JSON object instead of tables", 0},
    {0}};

static const char doc[] =
    "Measure Glovebox on this computer, beside what it should be compared "
    "with; everything, without a word; or\n"
    "\n"
    "  call       small calls, against wake-ups and a WebSocket server\n"
    "  payload    64 B to 256 MiB, against memcpy and that server\n"
    "  start      from nothing, and from a template, to the first answer\n"
    "  wipe       a call that leaves no trace, against a raw exit of KVM\n"
    "  written    which pages a call wrote: each way to know it\n"
    "  density    a thousand actors, and ten thousand, in one process\n"
    "  floor      what KVM itself costs here, and a guest's system call\n"
    "  isolation  the same calls in a process and in a micro-VM\n"
    "  languages  the same call in C, JavaScript and Python\n"
    "  compute    the same programs as a process and in a micro-VM\n"
    "  wasm       a module's functions, and the same programs in C\n"
    "  serve      gloveboxd on loopback, against TCP and libwebsockets\n"
    "  nats       calls through a NATS server, against bare requests\n"
    "  flow       messages through rows of actors, and idle ones\n"
    "  image      an image unpacked, shared and run; a hundred of them\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    size_t i;

    switch (key) {
    case 'j':
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        for (i = 0; i < PART_COUNT; i++)
            if (strcmp(arg, parts[i].name) == 0)
                break;
        if (i == PART_COUNT)
            argp_error(
                state,
                "%s: call, payload, start, wipe, written, density, floor, "
                "isolation, languages, compute, wasm, serve, nats, flow or "
                "image is expected",
                arg);
        o->wanted[i] = o->any = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {.options = options,
                                 .parser = parse,
                                 .args_doc = "[PART...]",
                                 .doc = doc};

/* All lies beside this program, in a build tree and where it is installed. */
static bool find_paths(struct paths *paths)
{
    char *dir = paths->libexec, *slash;
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(paths->libexec) - 1);

    if (n <= 0)
        return false;
    dir[n] = '\0';
    slash = strrchr(dir, '/');
    *slash = '\0';
    snprintf(paths->bench, sizeof(paths->bench), "%s/bench", dir);
    snprintf(paths->glovebox, sizeof(paths->glovebox), "%s/../glovebox", dir);
    if (access(paths->glovebox, X_OK) != 0)
        snprintf(paths->glovebox, sizeof(paths->glovebox), "%s/glovebox",
                 BENCH_BIN_DIR);
    return true;
}

/* As the command does: what was printed is there, or it failed. */
static void check_output(void)
{
    bool lost = ferror(stdout);

    errno = 0;
    if (fflush(stdout) == 0 && !lost)
        return;
    fprintf(stderr, "glovebox bench: standard output: %s\n",
            errno != 0 ? strerrordesc_np(errno) : "some of it is lost");
    _exit(EXIT_HOST);
}

int main(int argc, char **argv)
{
    static char name[] = "glovebox bench";
    static struct paths paths;
    struct options o = {0};
    struct report report;
    bool good = true;

    atexit(check_output);
    argv[0] = name;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    signal(SIGPIPE, SIG_IGN); /* a server that is gone is told by write */
    if (!find_paths(&paths)) {
        fputs("glovebox bench: /proc is not mounted\n", stderr);
        return EXIT_HOST;
    }
    report_open(&report, o.json);
    for (size_t i = 0; i < PART_COUNT; i++)
        if (o.wanted[i] || !o.any) {
            report_part(&report);
            good = parts[i].run(&report, &paths) && good;
        }
    report_close(&report);
    return good ? EXIT_SUCCESS : EXIT_HOST;
}
