/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.h - languages that have been started: templates without a script, from
 * which sandboxes of any script of that language begin.
 *
 *  template = warm_get(&warm, &config, deadline_ns);    or NULL
 *  sandbox_clone(&sandbox, &config, template, &err);
 *  template_put(template);
 *
 * One for each guest program, isolation, root and set of limits.  It is made
 * when the same language starts for the second time, because a process that
 * starts one script would only wait for it; where there is a cache, for the
 * first.  Of roots, the last that were asked for have one.
 *
 * Threads: any.
 */
#ifndef RUNTIME_WARM_WARM_H
#define RUNTIME_WARM_WARM_H

#include <pthread.h>

#include "runtime/cache/cache.h"

struct warm_language;

struct warm {
    pthread_mutex_t lock;
    struct warm_language *languages; /* owned */
    const struct cache *cache;       /* borrowed */
    uint64_t uses;
};

#define WARM_ROOTS_MAX 8u /* that have a template at once */

void warm_open(struct warm *warm, const struct cache *cache);
void warm_close(struct warm *warm); /* new ones are written to the cache */

/* Returns a reference; or NULL where there is none, and sandbox_open does. */
struct template *warm_get(struct warm *warm,
                          const struct sandbox_config *config,
                          uint64_t deadline_ns);

/* Would that be a copy, without waiting for it to be made? */
bool warm_has(struct warm *warm, const struct sandbox_config *config);

#endif
