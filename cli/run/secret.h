/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - --secret NAME[=SOURCE]: what a script may be told. */
#ifndef CLI_RUN_SECRET_H
#define CLI_RUN_SECRET_H

#include <argp.h>

#include "glovebox/secret.h"

struct secret_options {
    struct gbx_secret all[GBX_SECRETS_MAX];
    size_t count;
    char sources[GBX_SECRETS_MAX][GBX_SECRET_NAME_MAX + 5]; /* env:NAME */
};

/* Ends the program for one that makes no sense; text is cut in place. */
void secret_add(struct secret_options *secrets, char *text,
                struct argp_state *state);

#endif
