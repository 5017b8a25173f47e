/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what the subcommands of `glovebox` share.  Built on public headers
 * alone: whatever it does, an embedding program can do.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "glovebox/error.h"
#include "glovebox/mount.h"

/* Exit codes; the manual page lists them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_SCRIPT = 1,   /* the script raised an error */
    CLI_FINDINGS = 1, /* the graph has errors */
    CLI_USAGE = 2,    /* wrong options */
    CLI_LIMIT = 3,    /* a limit was reached */
    CLI_ENDED = 4,    /* the sandbox ended unexpectedly */
    CLI_TIME = 124,   /* --timeout */
    CLI_HOST = 125,   /* glovebox itself failed */
    CLI_LOAD = 126,   /* the script cannot be loaded */
    CLI_NO_FILE = 127 /* the script is missing or unreadable */
};

struct argp_state;
struct gbx_config;
struct gbx_limits;

int cli_run(int argc, char **argv);
int cli_exec(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_cache(int argc, char **argv);
int cli_image(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_build(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_flow(int argc, char **argv);

/*
 * Write text that a script may have chosen: on a terminal, or where `line` says
 * that it is part of a line of ours, control characters are shown as ^X, so
 * that no script moves the cursor or forges a line.
 */
void cli_print(FILE *file, const char *text, size_t bytes, bool line);

/* Print "glovebox: what" and return the exit code for the error's code. */
int cli_fail(const struct gbx_error *err);
int cli_exit_code(int code);

/* A line of a guest's system calls, for standard error. */
void cli_trace(void *context, const char *line);

/* gbx_progress_fn: a bar, on a terminal. */
void cli_progress(void *context, const char *path, unsigned permille);

/* Print "glovebox: text" and return `code`. */
int cli_say(const char *text, int code);

/* Become gloveboxd, which lies beside this program; returns an exit code where
 * there is none, with that said. */
int cli_exec_daemon(char **argv);

uint64_t cli_now_ns(void); /* CLOCK_MONOTONIC */

/* The value of --name, as 5s, 250ms, 2m or 1.5 (seconds), in nanoseconds; what
 * is wrong ends the program. */
uint64_t cli_option_time(const char *name, const char *arg,
                         struct argp_state *state);

/* The same for a size, as 64K or 2G, and for a number. */
uint64_t cli_option_size(const char *name, const char *arg,
                         struct argp_state *state);
uint64_t cli_option_number(const char *name, const char *arg, uint64_t least,
                           uint64_t most, struct argp_state *state);

/* The value of --isolation, an enum gbx_isolation. */
int cli_option_isolation(const char *arg, struct argp_state *state);

/* One more value of --mount. */
struct cli_mounts {
    struct gbx_mount all[GBX_MOUNTS_MAX];
    size_t count;
};

void cli_option_mount(struct cli_mounts *mounts, char *arg,
                      struct argp_state *state);

/* The options that set limits, by the names they have everywhere; what is wrong
 * ends the program.  Returns ARGP_ERR_UNKNOWN (an errno) for any other key. */
enum {
    OPTION_MEMORY = 512,
    OPTION_CPU,
    OPTION_PROCESSES,
    OPTION_THREADS,
    OPTION_FILES,
    OPTION_DISK,
    OPTION_OUTPUT,
    OPTION_MESSAGE
};

int cli_option_limit(struct gbx_limits *limits, int key, const char *arg,
                     struct argp_state *state);

/* The value of --config. */
const char *cli_rules_file(const char *arg, struct argp_state *state);

/* The configuration: of this file, or, where that is NULL, the one that is
 * found.  none: *rules is NULL.  Returns CLI_OK, or an exit code with what is
 * wrong said. */
int cli_rules(struct gbx_config **rules, const char *file, bool none);

/* The helper programs of a build tree, if this program lies in one, else NULL
 * (the library's own choice).  Static storage. */
const char *cli_libexec(void);

#endif
