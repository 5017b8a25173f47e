/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - `glovebox run` between its options (run.c), its work (work.c), what
 * goes in (input.c) and what comes out (output.c). */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/run/remote.h"
#include "cli/run/secret.h"
#include "glovebox/runtime.h"

#define RUN_PORTS_MAX    64
#define RUN_PARALLEL_MAX 1024u

struct run_options {
    const char *file;
    const char *in[RUN_PORTS_MAX], *out[RUN_PORTS_MAX]; /* PORT=... */
    size_t in_count, out_count;
    bool json, stats, why;
    uint64_t timeout_ns;       /* 0: none */
    uint32_t repeat, parallel; /* calls; sandboxes at once */
    bool branch;               /* one call, and those from where it left */
    const char *cache;         /* the directory; NULL: the usual one */
    bool no_cache;
    const char *image, *store; /* its files, and where images are; or NULL */
    const char *config; /* the file of rules; NULL: the one that is found */
    bool no_config;
    struct remotes remotes;
    struct secret_options secrets;
    struct cli_mounts mounts;
    struct gbx_script_config script;
};

/* why.c: the whole decision, on standard error. */
void print_why(const struct gbx_route *route, const struct gbx_config *rules);

/* Do it.  Returns the exit code; what went wrong has been said. */
int run(const struct run_options *options);

/* Hand one PORT=VALUE to the call; of a pipe, read no more than `most` bytes.
 * Returns 0 or a code with err filled. */
int input_put(struct gbx_call *call, const char *assignment, uint64_t most,
              struct gbx_error *err);

/* Where outputs go. */
struct output {
    const struct run_options *options;
    FILE *files[RUN_PORTS_MAX]; /* of options->out, opened by output_open */
    bool written[RUN_PORTS_MAX];
    struct gbx_error fault; /* the first thing that failed; code 0: none */
};

/* Returns 0, or GBX_EHOST with nothing left open. */
int output_open(struct output *output, const struct run_options *options,
                struct gbx_error *err);

/* A gbx_arrival_fn; context is the struct output. */
void output_message(void *context, const char *port,
                    const struct gbx_message *message);

/* Returns 0, GBX_EHOST when something could not be written, GBX_ESCRIPT when
 * the script sent what has no JSON.  err NULL: nothing was expected. */
int output_close(struct output *output, struct gbx_error *err);

#endif
