/* SPDX-License-Identifier: Apache-2.0 */
/* repeat.h - the same call many times, in several sandboxes at once. */
#ifndef CLI_REPEAT_H
#define CLI_REPEAT_H

#include "cli/run/run.h"

/* Returns the exit code of the first call that failed, or CLI_OK; what went
 * wrong has been said. */
int repeat(struct gbx_script *script, const struct run_options *options);

/* work.c: one call, with its outputs. */
int call_once(struct gbx_script *script, const struct run_options *options,
              uint64_t open_ns);

#endif
