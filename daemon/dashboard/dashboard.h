/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dashboard.h - what a person sees of the daemon, and where that comes from.
 *
 *   a call's end ---> lately.c    how many, and how long they took
 *   a failure    ---> troubles.c  the last of them, in words
 *   a graph      ---> wires.c     who sends to whom
 *                        |
 *   GET /v1/stats <--- stats.c    a thread of its own: it answers also while
 *                                 all workers are busy, and while it ends
 *   GET /         <--- page.c     index.html and what it asks for
 *
 * Threads: any function, any.
 */
#ifndef DAEMON_DASHBOARD_DASHBOARD_H
#define DAEMON_DASHBOARD_DASHBOARD_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "glovebox/graph.h"
#include "net/server.h"

struct daemon;

/*
 * Calls of the last minute, in relaxed atomics: no lock, no allocation.  Who
 * comes first in five seconds clears the oldest count; what others note in that
 * moment is lost, and does not matter.
 *
 *   slots   | 5 s | 5 s | ... | being filled |
 *   counts  by duration: four to each power of two, from 1 us to 4 minutes
 */
#define LATELY_SLOT_NS 5000000000ull
#define LATELY_SLOTS   13u
#define LATELY_COUNTS  112u

struct lately {
    struct {
        _Atomic uint64_t turn; /* which five seconds; 0: none yet */
        atomic_uint calls, counts[LATELY_COUNTS];
    } slots[LATELY_SLOTS];
};

struct lately_facts {
    uint64_t calls;               /* of the last minute */
    double calls_per_second;      /* of the last ten seconds */
    uint64_t ns_50, ns_90, ns_99; /* half, 90, 99 of 100 took no longer */
};

/* took_ns: 0 for a call that did not come to run. */
void lately_note(struct lately *lately, uint64_t now_ns, uint64_t took_ns);
/* since_ns: nothing was counted before. */
struct lately_facts lately_read(const struct lately *lately, uint64_t now_ns,
                                uint64_t since_ns);
json_t *lately_json(const struct lately_facts *facts);

/* What went wrong; texts are cut to a bound, and NULL is allowed. */
void trouble_note(const char *actor, int code, const char *what,
                  const char *traceback);
/* Those after the one of this number, oldest first. */
json_t *troubles_list(uint64_t after);
/* A text of somebody else's: what is no UTF-8 becomes "?". */
json_t *text_json(const char *text);

/* Adds connections, inports and outports to an object; the nodes get the names
 * of their components. */
void wires_add(json_t *flow, json_t *nodes, const struct gbx_graph *graph);

/* All of it; query: as of the request. */
json_t *stats_json(struct daemon *daemon, const char *query);
int stats_open(struct daemon *daemon, struct gbx_error *err);
/* True: the request is for it, and taken. */
bool stats_take(struct daemon *daemon, struct net_request *request);
/* What waits is answered first. */
void stats_close(void);

/* True: it was for the page, and has been replied to. */
bool page_reply(struct net_request *request);

#endif
