/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - files that built-in actors open, and nothing else by mistake.
 *
 * Threads: any.
 */
#ifndef FLOW_BUILTIN_PATH_H
#define FLOW_BUILTIN_PATH_H

#include "glovebox/actor.h"

/*
 * A regular file, by builtin.h's rule for paths.  flags: open's.
 * Returns a descriptor, owned; or GBX_EFILE, GBX_EARGUMENT, and err names node
 * and path.
 */
int path_open(const struct gbx_actor_config *config, const char *path,
              int flags, struct gbx_error *err);

#endif
