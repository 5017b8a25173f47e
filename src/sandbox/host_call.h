/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_call.h - the table of what a script may ask of its host.
 *
 * Filled before the first sandbox opens, only read afterwards, so any thread
 * may look things up.
 */
#ifndef SANDBOX_HOST_CALL_H
#define SANDBOX_HOST_CALL_H

#include <stdint.h>

#include "glovebox/runtime.h"

#define HOST_CALLS_MAX      64u
#define HOST_CALL_NAME_MAX  63u
#define HOST_CALL_BYTES_MAX (16u << 20) /* of arguments: they are copied */

struct host_calls {
    gbx_ask_fn ask; /* instead of all others, if it is there */
    void *ask_context;
    void (*again)(void *asker); /* a call is run once more; may be NULL */
    uint32_t count;
    struct host_call {
        char name[HOST_CALL_NAME_MAX + 1];
        gbx_host_fn fn;
        void *context;  /* borrowed */
        bool is_askers; /* in a call, the sandbox's asker instead */
        bool is_secret; /* its answers are not left in memory */
    } calls[HOST_CALLS_MAX];
};

/* Returns 0, GBX_EARGUMENT (name empty, too long or in use), or GBX_ELIMIT. */
int host_calls_add(struct host_calls *table, const char *name, gbx_host_fn fn,
                   void *context);

/* The same for a call that must know in which call it is asked: its context is
 * the sandbox's asker, or where there is none, this one. */
int host_calls_add_asked(struct host_calls *table, const char *name,
                         gbx_host_fn fn, void *context);

/* Returns the call of that name, or NULL. */
const struct host_call *host_calls_find(const struct host_calls *table,
                                        const char *name);

#endif
