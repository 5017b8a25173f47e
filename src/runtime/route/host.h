/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - which isolations this host offers, as far as a runtime has found
 * out: by an open that said so, or because somebody asked.
 *
 *  host_tell(&runtime->host, &question, lacks);
 *  ...
 *  host_lacks(&runtime->host, GBX_ISOLATION_MICROVM, err.what);
 *
 * What is lacking may come back (a limit of namespaces, a device's mode): so it
 * is forgotten after a while, and whoever has no other choice tries at once.
 *
 * Threads: any.
 */
#ifndef RUNTIME_ROUTE_HOST_H
#define RUNTIME_ROUTE_HOST_H

#include <pthread.h>

#include "runtime/route/decide.h"
#include "sandbox/backend.h"

#define HOST_LACK_NS 10000000000ull

struct host_fact {
    enum route_known known;
    uint64_t until_ns; /* when a lack is forgotten */
    char lack[GBX_ERROR_TEXT_MAX];
};

struct host {
    pthread_mutex_t lock;                       /* of the rest */
    struct host_fact facts[GBX_ISOLATIONS + 1]; /* by enum gbx_isolation */
};

/* Returns the backend, or NULL: there is none in this version, or auto. */
const struct backend *host_backend(enum gbx_isolation isolation);

void host_init(struct host *host);
void host_fini(struct host *host);

/* Try each isolation out of which nothing is known. */
void host_probe(struct host *host);

void host_has(struct host *host, enum gbx_isolation isolation);
void host_lacks(struct host *host, enum gbx_isolation isolation,
                const char *why);

/* What is known, into the question; its texts into `facts`. */
void host_tell(struct host *host, struct route_question *question,
               struct host_fact facts[GBX_ISOLATIONS + 1]);

#endif
