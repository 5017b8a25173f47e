/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.h - what an actor's JSON says: a script's metadata of its ports, a
 * node's of how it is to be run.
 *
 * Threads: any.  Memory: what ports_read fills is owned until ports_fini.
 */
#ifndef FLOW_KIND_PORTS_H
#define FLOW_KIND_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "glovebox/error.h"

struct ports {
    const char **inports, **outports; /* end with NULL; NULL: not told */
    bool awaits_all;
    void *json; /* whose texts they are */
};

/* Of a script's metadata.  Returns 0, GBX_EFORMAT or GBX_EHOST; fini is allowed
 * even then. */
int ports_read(struct ports *ports, const char *metadata);
void ports_fini(struct ports *ports);

struct node_options {
    uint32_t retries;    /* of a run that failed */
    uint64_t backoff_ns; /* before the first of them */
    uint32_t queue;      /* messages of an inport; 0: the flow's */
    uint8_t priority;    /* 0 high, 1 normal, 2 low */
    uint64_t timeout_ns; /* of a script's run */
    bool keeps;          /* its state is persistent */
};

/*
 * From a node's metadata: "retries", "backoff_ms", "queue", "priority" ("high",
 * "normal", "low"), "timeout_ms", "state" ("memory", "persistent"); anything
 * else is the actor's own. Returns 0, or GBX_EARGUMENT, and err says which
 * member and what it may be.
 */
int node_options_read(struct node_options *options, const char *node,
                      const char *metadata, struct gbx_error *err);

#endif
