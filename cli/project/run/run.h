/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a project that is up: its folder, its daemon, and who watches it.
 *
 *   $XDG_RUNTIME_DIR/glovebox/HASH/     of the project file's path; 0700
 *     lock         locked by the daemon for as long as it is there; its pid
 *     up           locked by whoever starts or ends it
 *     plan.json    what was started: the next `up` compares
 *     config.json  what the daemon reads; trial.json, while it is tried
 *     control      its socket (daemon/control.c)
 *     log, log.1   what it and its scripts print
 *     ended        locked by who watches; how it ended
 *
 *   glovebox up --fork--> watch --fork--> gloveboxd
 *                           ^--- a pipe ---'
 *
 * Who watches writes the log, and down how the daemon ended, which only a
 * parent is told.  Without it the daemon goes on, unheard.
 *
 * A lock is given up by the kernel when its holder dies: so there is no stale
 * one, and a pid is believed only while the lock is held.
 */
#ifndef CLI_PROJECT_RUN_H
#define CLI_PROJECT_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "cli/project/project.h"

/* ---- folder.c ---- */

struct place {
    int fd;          /* the folder; -1: there is none */
    char path[4096]; /* its path */
};

/* of: the project's path.  make: if it is missing; else place->fd is -1 then.
 * Returns 0; GBX_EFILE: others could write there; GBX_EHOST. */
int place_open(struct place *place, const char *of, bool make,
               struct gbx_error *err);
void place_close(struct place *place);
/* As a whole, or not at all.  Returns 0 or GBX_EHOST. */
int place_write(const struct place *place, const char *name, const char *text,
                struct gbx_error *err);
/* A file of it as JSON; NULL: there is none. */
json_t *place_json(const struct place *place, const char *name);
/* Held until it is closed; waits.  Returns a descriptor, or -1. */
int place_lock(const struct place *place, const char *name);

/* Who runs there: a pidfd to close, and its pid.  -1: nobody. */
int place_daemon(const struct place *place, pid_t *pid);
/* Its lock, for a daemon to inherit.  Returns a descriptor, or -1. */
int place_take(const struct place *place);

/* ---- secret.c: those that are in the environment ---- */

struct secret_files {
    int fds[PROJECT_SECRETS];
    size_t count;
};

/* As files in memory, for a daemon to inherit.  Returns 0 or GBX_EHOST. */
int secret_open(struct secret_files *files, const struct project *project,
                struct gbx_error *err);
void secret_close(struct secret_files *files);
/* They are not in what this process was started with any more. */
void secret_forget(const struct project *project);
/* Those that a daemon has other values of, as "secret KEY", or "". */
void secret_differs(const struct project *project, pid_t daemon,
                    char text[400]);

/* ---- launch.c: a daemon that is to be executed ---- */

struct launch {
    const struct place *place;
    const struct project *project;
    char **argv;       /* owned, as are its texts but the first */
    int control, lock; /* owned; -1: what follows is to set them */
    struct secret_files secrets;
};

/* is_trial: it only loads what it is told to, by trial.json.  Returns 0 or
 * GBX_EHOST. */
int launch_open(struct launch *launch, const struct place *place,
                const struct project *project, bool is_trial,
                struct gbx_error *err);
/* In a child: become it; lines: where what it prints goes.  Does not return. */
void launch_exec(const struct launch *launch, int lines)
    __attribute__((noreturn));
void launch_close(struct launch *launch);

/* ---- start.c ---- */

/* Start the daemon, and who watches it.  Returns 0, and a pidfd to close; or
 * GBX_EHOST. */
int run_start(const struct place *place, const struct project *project,
              int *pidfd, struct gbx_error *err);

/* ---- trial.c ---- */

/* Can all of it be loaded?  Nothing that is up is touched.  Returns 0;
 * GBX_ELOAD, with what the daemon said on standard error; or GBX_EHOST. */
int run_try(const struct place *place, const struct project *project,
            struct gbx_error *err);

/* ---- watch.c ---- */

/* Before the daemon is started.  Returns a descriptor for watch, or -1. */
int watch_begin(const struct place *place);
/* Until the daemon, a child, has ended: its lines become the log. */
void watch(const struct place *place, int ended, pid_t daemon, int lines);
/* How the last one ended, in words; false: nobody saw it. */
bool watch_ended(const struct place *place, char text[160]);

/* ---- log.c ---- */

#define LOG_BYTES_MAX (8u << 20) /* of a file; there are two */

struct log {
    int folder, fd;
    uint64_t bytes;
    uint64_t lost; /* lines, so far */
    int why;       /* errno: of the first of them */
};

void log_open(struct log *log, int folder);
/* One line, which gets the time. */
void log_line(struct log *log, const char *text, size_t bytes);
void log_close(struct log *log);

/* Those of `name` (NULL: all), the last so many; then, if `follow`, what is
 * added, until the daemon has ended. */
struct log_wanted {
    const char *name;
    uint64_t last; /* UINT64_MAX: all */
    bool follow;
};
int log_print(const struct place *place, const struct log_wanted *wanted,
              struct gbx_error *err);
/* What it ended with, on standard error. */
void log_print_end(const struct place *place);

/* ---- ask.c ---- */

/* What the daemon tells of itself.  Returns 0; GBX_ECANCELED: it has ended;
 * GBX_ETIME; GBX_EHOST. */
int run_ask(const struct place *place, int pidfd, int timeout_ms,
            json_t **stats, struct gbx_error *err);
/* SIGTERM; and SIGKILL, if it is there still after so long.  Returns 0, 1: it
 * was killed; or GBX_EHOST. */
int run_end(int pidfd, uint64_t timeout_ns, struct gbx_error *err);
/* Bytes of memory, its own and its sandboxes'; 0: not known. */
uint64_t run_memory(pid_t pid);

/* ---- plan.c ---- */

/* A project that is, or was, up: how commands find it that do not read its
 * file. */
struct running {
    struct place place;
    char *path;                    /* owned: of its file */
    json_t *plan;                  /* owned: what was started, or NULL */
    char name[PROJECT_NAME_BYTES]; /* of it, or its folder */
    int pidfd;                     /* -1: nobody runs */
    pid_t pid;
};

/* Returns CLI_OK, or an exit code with what is wrong said. */
int running_open(struct running *running, const char *file);
void running_close(struct running *running);
/* How it ended, in words: of one that nobody runs. */
void running_ended(const struct running *running, char text[200]);

/* What would be started, to compare with what was. */
json_t *plan_of(const struct project *project);
/* What differs, as "script resize, flow main", or "" */
void plan_differs(const json_t *was, const json_t *is, char text[400]);
/* Where it listens.  False, and "": nowhere. */
bool run_url(const json_t *options, const json_t *stats, char url[100]);

#endif
