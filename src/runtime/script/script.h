/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h - how a script object is made; for the files of this folder.
 *
 * Threads: the opener's.
 */
#ifndef RUNTIME_SCRIPT_SCRIPT_H
#define RUNTIME_SCRIPT_SCRIPT_H

#include "runtime/runtime.h"

/* One that can be closed; NULL without memory. */
struct gbx_script *script_new(struct gbx_runtime *runtime);

/* The texts of its config, which are the caller's, become its own.  Also where
 * it fails. */
int script_own_texts(struct gbx_script *script, struct gbx_error *err);

/* Defaults for what is 0; GBX_EARGUMENT for what no pool can have. */
int script_settle_pool(struct gbx_script_config *config, struct gbx_error *err);

/* What it is written in, where it lies, and what it is opened with, with the
 * rules for its path. */
int script_step_what(struct gbx_script *script, const char *path,
                     const struct gbx_script_config *config,
                     struct gbx_error *err);

/* The host calls that it may make: of a branch, those of its origin. */
int script_step_calls(struct gbx_script *script,
                      const struct gbx_script *origin, struct gbx_error *err);

/* route.c: the isolation is chosen, and the first sandbox started there. */
int script_step_start(struct gbx_script *script, struct gbx_error *err);

/* template: all there will ever be of it; NULL: it is loaded. */
int script_open_pool(struct gbx_script *script, struct template *template,
                     struct gbx_error *err);

#endif
