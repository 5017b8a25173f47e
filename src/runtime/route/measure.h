/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - how long calls of a file take, by isolation; of all scripts that
 * a runtime has opened of it, one after the other or at once.
 *
 *  seen = measure_get(&measures, path);          or NULL: it is not measured
 *  measure_note(&seen->rows[isolation], wall_ns, body_bytes);    in each call
 *  measure_put(&measures, seen);
 *
 * note is in the call path: no lock, no allocation.  Two calls that end at once
 * may each overwrite what the other noted; a figure that is an average can do
 * without one of many.
 *
 * Threads: any.
 * Memory:  an entry lives until the table is closed, or until there are
 *          MEASURE_PATHS_MAX and nobody has it.
 */
#ifndef RUNTIME_ROUTE_MEASURE_H
#define RUNTIME_ROUTE_MEASURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "glovebox/route.h"

#define MEASURE_PATHS_MAX 1024u

/* Averages that forget: an eighth of each new one. */
struct measure_row {
    _Atomic uint64_t calls, call_ns, body_bytes;
};

struct measure_seen {
    struct measure_seen *next; /* with the table's lock, as the next two */
    uint64_t hash;
    uint32_t users;
    _Atomic int before; /* enum gbx_isolation: chosen last, by auto */
    struct measure_row rows[GBX_ISOLATIONS + 1]; /* by enum gbx_isolation */
    char path[];
};

struct measures {
    pthread_mutex_t lock;
    struct measure_seen *first; /* owned; the newest first */
    uint32_t count;
};

void measures_init(struct measures *measures);
void measures_fini(struct measures *measures); /* nobody has any */

/* Counted.  NULL: no memory. */
struct measure_seen *measure_get(struct measures *measures, const char *path);
void measure_put(struct measures *measures, struct measure_seen *seen);

static inline void measure_note(struct measure_row *row, uint64_t call_ns,
                                uint64_t body_bytes)
{
    const uint64_t calls =
        atomic_load_explicit(&row->calls, memory_order_relaxed);
    uint64_t ns = atomic_load_explicit(&row->call_ns, memory_order_relaxed);
    uint64_t bytes =
        atomic_load_explicit(&row->body_bytes, memory_order_relaxed);

    /* Unsigned, and down by less than what is there. */
    ns = calls == 0 ? call_ns : ns - ns / 8 + call_ns / 8;
    bytes = calls == 0 ? body_bytes : bytes - bytes / 8 + body_bytes / 8;
    atomic_store_explicit(&row->call_ns, ns, memory_order_relaxed);
    atomic_store_explicit(&row->body_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&row->calls, calls + 1, memory_order_relaxed);
}

#endif
