/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/cache.h - the templates that runtimes keep in a directory
 * (gbx_runtime_config.cache_dir), to be looked at and removed.
 *
 *  gbx_cache_default(dir, sizeof(dir));
 *  gbx_cache_list(dir, print, NULL, &err);
 *  gbx_cache_prune(dir, 100 << 20, print, NULL, &err);
 *
 * A template is a language that has been started, or a script that has been
 * loaded, as it lay in memory: 10 MiB and more.  It is used by the very build
 * of the library that made it, on the same kind of processor, as long as the
 * files that it was made from are unchanged; else it is made anew.
 *
 * Threads: any; also while runtimes use the directory.
 */
#ifndef GBX_CACHE_H
#define GBX_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_cache_file {
    const char *name; /* in the directory; borrowed until fn returns */
    uint64_t bytes;   /* on disk */
    int64_t used_s;   /* when it was used last: seconds since 1970 */
};
typedef void (*gbx_cache_fn)(void *context, const struct gbx_cache_file *file);

/*
 * $XDG_CACHE_HOME/glovebox, or ~/.cache/glovebox.  Returns 0; GBX_EFILE where
 * neither is known, GBX_ELIMIT where `bytes` are too few.
 */
int gbx_cache_default(char *dir, size_t bytes);

/* fn for each file, those used longest ago first.  Returns 0, GBX_EFILE where
 * there is no such directory, or GBX_EHOST. */
int gbx_cache_list(const char *dir, gbx_cache_fn fn, void *context,
                   struct gbx_error *err);

/* Remove files, those used longest ago first, until max_bytes are left; fn for
 * each, may be NULL.  Returns as list. */
int gbx_cache_prune(const char *dir, uint64_t max_bytes, gbx_cache_fn fn,
                    void *context, struct gbx_error *err);

#ifdef __cplusplus
}
#endif

#endif
