/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - context.state: what a script remembers from call to call, kept in
 * the host, so that it outlives the sandbox; and what an actor in C remembers.
 *
 * Keys are text, values CBOR items.  All of it is reached by host calls named
 * state.get, state.set ... (calls.c lists them); docs/python.md has the
 * script's side.
 *
 *  store_init(&store);
 *  call = store_call_find("state.get");
 *  call->fn(&journal, &arguments, &answer, &err);
 *  store_journal_end(&journal, is_good);
 *  store_copy(&branch, &store);       go on apart
 *  store_fini(&store);
 *
 * What a call changes is taken back if it fails, and hidden from others until
 * it ends: journal.h has the rule.
 *
 * Threads: any, by its lock; init and fini alone.
 * Memory:  owned; at most STORE_BYTES_MAX, all costs counted, and while a call
 *          that has changed it runs, as much again, and again in records.
 * Time:    expiry counts CLOCK_MONOTONIC: not the time a host is suspended.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <pthread.h>

#include "store/journal.h"
#include "store/table.h"
#include "glovebox/runtime.h"

#define STORE_KEY_MAX     1024u /* bytes of a key or a pattern; at least 1 */
#define STORE_BYTES_MAX   (64u << 20) /* see store/table.h for what counts */
#define STORE_SECONDS_MAX 4000000000u /* until a key expires: 126 years */

struct gbx_state;

struct store {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t ended; /* a journal, while some wait */
    uint32_t waiting;
    struct store_table table;
    struct store_journal *open; /* those that have changed something */
    uint64_t (*now_ns)(void);   /* clock_now_ns; tests have their own */
    struct gbx_state *file;     /* borrowed: where it is kept; or NULL */
    char *name;                 /* owned: there */
    uint64_t revision;          /* there, of a bucket */
    struct store *next_in_file; /* the file's lock */
    struct store_journal alone; /* of questions that belong to no call */
};

void store_init(struct store *store);
void store_fini(struct store *store);

/* One that has just been initialised becomes as another is now, without what
 * calls of it that still run have changed.  False without memory. */
bool store_copy(struct store *store, struct store *other);

/* What a script may ask; fn's context is a struct store_journal. */
struct store_call {
    const char *name; /* "state.get" */
    gbx_host_fn fn;
};

#define STORE_CALLS 16u
extern const struct store_call store_calls[STORE_CALLS];

/* Returns the call of that name, or NULL. */
const struct store_call *store_call_find(const char *name);

#endif
