/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_source.h - where a secret's value is kept: "env:VARIABLE",
 * "file:PATH".
 *
 * Threads: any, as long as none changes the environment.
 */
#ifndef RUNTIME_SCRIPT_SECRET_SOURCE_H
#define RUNTIME_SCRIPT_SECRET_SOURCE_H

#include "glovebox/error.h"
#include "glovebox/secret.h"

/* Its value and bytes, from its source.  Returns 0, or GBX_EARGUMENT,
 * GBX_EFILE, GBX_ELIMIT, GBX_EHOST; it is to be freed in any case. */
int secret_source_read(struct gbx_secret *secret, struct gbx_error *err);
/* The value is zeroed. */
void secret_source_free(struct gbx_secret *secret);

#endif
