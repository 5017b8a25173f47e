/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h - --remote and what belongs to it: other hosts that may run it. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <argp.h>
#include <stddef.h>

#include "glovebox/runtime.h"

#define REMOTES_MAX 64u

struct remotes {
    const char *urls[REMOTES_MAX];
    size_t count;
    const char *token_path; /* a file: its first line; or NULL */
    const char *ca_path;    /* or NULL */
    uint32_t heartbeat_ms;  /* 0: the usual */
};

enum {
    OPTION_REMOTE = 2048,
    OPTION_REMOTE_TOKEN,
    OPTION_REMOTE_CA,
    OPTION_REMOTE_HEARTBEAT
};

/* 0, or ARGP_ERR_UNKNOWN: it is none of these. */
error_t remotes_parse(struct remotes *remotes, int key, char *arg,
                      struct argp_state *state);
/* Returns 0, or a code. */
int remotes_add(const struct remotes *remotes, struct gbx_runtime *runtime,
                struct gbx_error *err);

#endif
