/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project.h - a project: scripts and flows that belong together, as
 * glovebox.toml says it.
 *
 *   glovebox.toml --read/--> struct project --run/--> a folder of its own:
 *                              config, options          config.json, gloveboxd
 *
 * What a script may have (isolation, limits, ...) is what docs/config.md says,
 * and checked by the reader of that; a project only adds which scripts there
 * are.  docs/project.md is for people.
 */
#ifndef CLI_PROJECT_PROJECT_H
#define CLI_PROJECT_PROJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "glovebox/error.h"
#include "glovebox/secret.h"

#define PROJECT_FILE       "glovebox.toml"
#define PROJECT_NAME_BYTES 64 /* of it, and of what is in it; with its zero */

struct project {
    char *path, *folder; /* owned: of its file, without links */
    char shown[200];     /* the file, in messages */
    char name[PROJECT_NAME_BYTES];
    json_t *config;  /* owned: what the daemon reads */
    json_t *options; /* owned: a list of texts, but for what run/ adds */
    json_t *scripts; /* owned: {NAME: {"path", "digest", "image"?, "ready"?,
                        "secrets"?}} */
    json_t *flows;   /* owned: {NAME: {"path", "digest"}} */
    json_t *files;   /* owned: {PATH: digest} of others that the daemon reads */
    json_t *secrets; /* owned: {NAME: {"env"}, or {"file", "changed"}} */
};

/*
 * Which file it is, without links, for free(): the one that is named, even if
 * it is there no more, or the first glovebox.toml of the working directory and
 * those above it, which must be the user's own, or root's. Returns 0;
 * GBX_EFILE: there is none, or it may not be believed.
 */
int project_find(char **path, const char *named, struct gbx_error *err);

/*
 * Read and check it, and what it names.  Returns 0 and a project to close;
 * GBX_EFORMAT: err says in which line what is wrong; GBX_EFILE, GBX_EHOST.
 */
int project_open(struct project *project, const char *path,
                 struct gbx_error *err);
void project_close(struct project *project);

/* Fills in err, and returns the code. */
int project_fail(struct gbx_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The file's bytes, for free(), with a zero behind them.  Returns 0; GBX_EFILE;
 * GBX_ELIMIT: there are more than `most`; or GBX_EHOST. */
int project_read_file(const char *path, size_t most, char **text, size_t *bytes,
                      struct gbx_error *err);

/*
 * Secrets of the environment are handed to the daemon as files in memory, from
 * this descriptor on, in the project's order: so none is in its environment.
 */
#define PROJECT_SECRET_FD 5
#define PROJECT_SECRETS   64

/* Are they there?  Returns 0; GBX_EFILE: a variable is not set, a file is not
 * there, or others may read it; GBX_ELIMIT. */
int project_check_secrets(const struct project *project, struct gbx_error *err);

/* Of the commands' tables of options: which project, by this key. */
#define PROJECT_OPTION(key)                                                    \
    {                                                                          \
        "file", key, "FILE", 0,                                                \
            "The project; default: glovebox.toml here, or in a folder above",  \
            0                                                                  \
    }
/* What runs may take to end, unless it is said. */
#define PROJECT_DRAIN_NS 10000000000ull

int cli_up(int argc, char **argv);
int cli_down(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_logs(int argc, char **argv);
int cli_status(int argc, char **argv);

#endif
