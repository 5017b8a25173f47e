/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - the directory in which a runtime keeps templates from one process
 * to the next (sandbox/template_file.h).
 *
 *  cache_open(&cache, dir, &note);
 *  cache_key(&key, &config);  ... bytes_put more ...
 *  template = cache_load(&cache, &config, &key, &extra);    or NULL
 *  cache_save(&cache, template, &key, &extra);
 *
 * All of it may fail, and then everything is only slower: why is told to the
 * embedder's note function, never returned.
 *
 * Threads: any.
 */
#ifndef RUNTIME_CACHE_CACHE_H
#define RUNTIME_CACHE_CACHE_H

#include "base/bytes.h"
#include "sandbox/sandbox.h"
#include "sandbox/template_file.h"

#define CACHE_BYTES_MAX (1ull << 30) /* by default, of all files together */

struct cache {
    int dir_fd; /* owned, or -1: there is none */
    enum template_how how;
    void (*note)(void *context, const char *text); /* or NULL */
    void *note_context;
};

/* dir: NULL, and nothing is kept.  It is made where it is missing. */
void cache_open(struct cache *cache, const char *dir);
void cache_close(struct cache *cache);

/* All that a sandbox of this config depends on, but for the script. */
void cache_key(struct bytes_out *key, const struct sandbox_config *config);

/* Returns a template to put, and extra to fini; or NULL. */
struct template *cache_load(const struct cache *cache,
                            const struct sandbox_config *config,
                            const struct bytes_out *key,
                            struct bytes_out *extra);
void cache_save(const struct cache *cache, const struct template *template,
                const struct bytes_out *key, const struct bytes_out *extra);

#endif
