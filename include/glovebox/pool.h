/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/pool.h - how many sandboxes a script has, and what a call leaves in
 * them.
 *
 * Included by glovebox/runtime.h.  A script has one sandbox, unless its pool
 * may have more: then so many calls run at once, each in a sandbox of its own.
 *
 *  config.wipe = GBX_WIPE_PER_CALL;
 *  config.pool = (struct gbx_pool_config){.ready_min = 2, .total_max = 8};
 *  gbx_script_open(&script, runtime, "x.py", &config, &err);
 *  gbx_call_begin_for(&call, script, "tenant 7", deadline_ns, &err);
 *
 * Threads: any.  What a limit or a host call allows holds for each sandbox
 * alike, also for those that were made ahead.  context.state is one for all.
 *
 * Room: a micro-VM that runs, or has run a moment ago, takes 8 descriptors and
 * 14 mappings.  One that idles among many gives back its virtual machine first,
 * then all but the memory that only it has (some 300 KiB of a Python actor)
 * and the files of the host that it has open: its next call begins 1 to 2 ms
 * later.  So there may be ten thousand actors (GBX_WIPE_NEVER, a key for each)
 * where ulimit -n is 1024.  One that is no clone, as the first of a language
 * is, stays as it is, and so does one with more than 16 MiB of its own.  A call
 * for which there are no descriptors left fails with GBX_EHOST, and loses
 * nothing.
 */
#ifndef GBX_POOL_H
#define GBX_POOL_H

#include <stdint.h>

#include "glovebox/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_runtime;
struct gbx_script;
struct gbx_call;

/*
 * When a sandbox is wiped: back to how it was when the script had been loaded,
 * with nothing of any call in it.
 */
enum gbx_wipe {
    GBX_WIPE_DEFAULT,    /* on error */
    GBX_WIPE_NEVER,      /* each key has a sandbox of its own, and keeps it */
    GBX_WIPE_PER_CALL,   /* after each call */
    GBX_WIPE_ON_ERROR,   /* after one that failed: it leaves no trace */
    GBX_WIPE_PER_TENANT, /* the same, and between calls of different keys */
};

/* Zero in any field means the default. */
struct gbx_pool_config {
    uint32_t ready_min;     /* that are made before they are needed: 0 */
    uint32_t total_max;     /* at once: 1, or ready_min */
    uint32_t recycle_calls; /* so many calls, and a new one: never */
    uint32_t reserved;      /* 0 */
    uint64_t idle_ns;       /* who is free for so long, is closed: never */
};

struct gbx_pool_stats {
    uint32_t total, ready, busy; /* sandboxes now: all, free, lent */
    uint32_t waiting;            /* calls that wait for one */
    uint64_t taken;              /* so far: calls that got one, or did not */
    uint64_t waits;              /* of them had to wait */
    uint64_t wait_ns, wait_ns_max;
    uint64_t built, cloned; /* made: all, and those from a template */
    uint64_t wiped;         /* back to the template, all in all: */
    uint64_t wiped_pages;   /* so many pages of memory that calls had written */
    uint64_t wipe_ns;       /* and so long */
    uint64_t broken;        /* came back of no use: killed, out of a limit */
    uint64_t retired;       /* closed because nobody needed them */
    uint64_t suspended;     /* put away into plain memory, with all they know */
};

void gbx_script_pool_stats(struct gbx_script *script,
                           struct gbx_pool_stats *stats);

/*
 * As gbx_call_begin, for a tenant or an actor: whoever `key` stands for; NULL:
 * nobody in particular.  Copied.
 */
int gbx_call_begin_for(struct gbx_call **call, struct gbx_script *script,
                       const char *key, uint64_t deadline_ns,
                       struct gbx_error *err);

/* Memory is short: half of the sandboxes that are free are closed, and a
 * script's are not made ahead until its next call.  The runtime does so by
 * itself where the kernel tells of pressure. */
void gbx_runtime_shrink(struct gbx_runtime *runtime);

#ifdef __cplusplus
}
#endif

#endif
