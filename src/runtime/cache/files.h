/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - the files of a cache directory: looked at, and removed.
 *
 * Threads: any. */
#ifndef RUNTIME_CACHE_FILES_H
#define RUNTIME_CACHE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "glovebox/cache.h"
#include "glovebox/error.h"

/* A descriptor of it, or a GBX_E code: it must be ours alone to write. */
int files_open(const char *dir, bool make, struct gbx_error *err);

/*
 * Remove the files that were used longest ago, until all together have at most
 * max_bytes; what is left of writers that died, too.  fn: told of each; or
 * NULL.
 */
void files_prune(int dir_fd, uint64_t max_bytes, gbx_cache_fn fn,
                 void *context);

/* Oldest first. */
void files_list(int dir_fd, gbx_cache_fn fn, void *context);

#endif
