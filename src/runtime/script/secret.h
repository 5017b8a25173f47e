/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - a script's secrets (glovebox/secret.h), in pages of their own, and
 * the host call behind context.secret: secret.get [name] -> the value.
 *
 * Threads: any; they do not change.
 */
#ifndef RUNTIME_SCRIPT_SECRET_H
#define RUNTIME_SCRIPT_SECRET_H

#include "runtime/runtime.h"

#define SECRET_CALL "secret.get"

struct secrets;

/* Reads those that have a source.  Returns 0, and *secrets is NULL where there
 * are none; GBX_EARGUMENT, GBX_EFILE, GBX_ELIMIT, GBX_EHOST. */
int secrets_open(struct secrets **secrets, const struct gbx_secret *given,
                 size_t count, struct gbx_error *err);

/* Counted.  NULL is allowed. */
struct secrets *secrets_get(struct secrets *secrets);
void secrets_put(struct secrets *secrets);

/* A gbx_host_fn whose context is the sandbox's asker: a call's journal, or NULL
 * while its script is loaded. */
int secrets_tell(void *asker, const struct gbx_message *arguments,
                 struct gbx_builder *answer, struct gbx_error *err);

#endif
