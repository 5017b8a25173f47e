/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - who stops modules that run too long.
 *
 *  watch_add(&watch, &context);
 *  watch_start(&watch, deadline_ns);  ... the module runs ...
 *  watch_stop(&watch);
 *  watch_remove(&watch);
 *
 * One thread of the process looks after all instances.  It sleeps until the
 * earliest deadline that it knows, and is woken only for one that is earlier:
 * calls that come and go in time make no system call for it.  It is started by
 * the first instance, and lives as long as the process.
 *
 * Threads: start and stop in the one that runs the module; add and remove in
 *          any, not at once with them.
 */
#ifndef SANDBOX_WASM_WATCH_H
#define SANDBOX_WASM_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "sandbox/wasm/artefact.h"

struct watch {
    struct watch *next, **link;   /* among all */
    _Atomic uint64_t due_ns;      /* 0: it does not run, or may for ever */
    struct wasm_context *context; /* borrowed until remove */
};

/*
 * Where the stack ends, or all ones.  Who begins to run stores that and then
 * looks whether it was stopped; who stops it says so and then stores this: in
 * one order of all four, so that no stop is lost.
 */
static inline void watch_limit(struct wasm_context *context, uintptr_t limit)
{
    __atomic_store_n(&context->limit, limit, __ATOMIC_SEQ_CST);
}

/* Returns 0, or -1: there can be no thread. */
int watch_add(struct watch *watch, struct wasm_context *context);
void watch_remove(struct watch *watch); /* idempotent; all-zero allowed */

/* From then on, the module is made to pause: CLOCK_MONOTONIC. */
void watch_start(struct watch *watch, uint64_t due_ns);
void watch_stop(struct watch *watch);

#endif
