/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what a guest reports of a script: its metadata after loading, and
 * what went wrong.  Both are maps in memory that the guest can write, so both
 * are copied before they are looked at.
 */
#ifndef RUNTIME_REPORT_H
#define RUNTIME_REPORT_H

#include "base/scratch.h"
#include "glovebox/runtime.h"
#include "sandbox/sandbox.h"

/*
 * The metadata of a LOADED event: as JSON for free(), and the declared inports,
 * NULL-terminated in one block for free(), or NULL where none are declared.
 */
int report_metadata(const struct sandbox_event *event, char **json,
                    char ***inports, struct gbx_error *err);

/*
 * The texts of a FAILED event, into the scratch.
 * Returns GBX_ESCRIPT, the code of the limit that was met, or GBX_EBROKEN.
 */
int report_failure(const struct sandbox_event *event, struct scratch *scratch,
                   struct gbx_failure *failure);

#endif
