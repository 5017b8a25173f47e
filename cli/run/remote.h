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
    int is_idempotent;      /* calls may be run again on another */
};

/* Their options; a child of a command's own, with this as its input. */
extern const struct argp remotes_argp;
/* What they mean for scripts: they run there, where nothing else is said. */
void remotes_settle(const struct remotes *remotes,
                    struct gbx_script_config *script);
/* Returns 0, or a code. */
int remotes_add(const struct remotes *remotes, struct gbx_runtime *runtime,
                struct gbx_error *err);

#endif
