/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge.h - an edge of a flow whose ends are on different computers: a subject
 * of NATS JetStream.
 *
 *  api->open(&edge, &config, &err);
 *  api->put(edge, &frame, body, &err);             stored when it returns
 *  api->take(edge, 200, &frame, &body, &err) ... api->done(edge)
 *
 * Messages lie in the stream GLOVEBOX_EDGES, under glovebox.edges.<edge>, until
 * a reader has said that it is done with them: in the order in which they were
 * put, one at a time.  Each is an OUTPUT frame (net/frame.h), its port what it
 * is about; what is longer than a message lies in GLOVEBOX_BODIES (names.h).
 *
 * Threads: one at a time.
 */
#ifndef NET_NATS_EDGE_EDGE_H
#define NET_NATS_EDGE_EDGE_H

#include "glovebox/error.h"
#include "net/frame.h"

#define NET_EDGE_NAME_MAX 64u

struct net_edge;

struct net_edge_config {
    const char *url;             /* nats:// or tls:// */
    const char *edge;            /* letters, digits, - and _ */
    const char *token, *ca_path; /* or NULL */
    uint64_t bytes_max;          /* of a message that is taken */
    int takes;                   /* 1: it is read here */
};

struct net_edge_api {
    /* Returns 0; GBX_EARGUMENT, GBX_EFILE, GBX_EHOST, GBX_EUNSUPPORTED. */
    int (*open)(struct net_edge **edge, const struct net_edge_config *config,
                struct gbx_error *err);
    void (*close)(struct net_edge *edge);
    /* Once, also where it is tried again within two minutes.  Returns 0: it is
     * stored; GBX_ELIMIT: the stream is full; GBX_EHOST. */
    int (*put)(struct net_edge *edge, const struct frame *frame,
               const void *body, struct gbx_error *err);
    /* Returns 0 and *body for free(), or NULL; GBX_ETIME: there is none now;
     * GBX_EFORMAT: what lies there is none, and it is put aside; GBX_EHOST. */
    int (*take)(struct net_edge *edge, uint32_t wait_ms, struct frame *frame,
                void **body, struct gbx_error *err);
    /* With what was taken last: it is gone.  Else it comes again. */
    void (*done)(struct net_edge *edge);
};

extern const struct net_edge_api net_edge_api;
#define NET_EDGE_SYMBOL "net_edge_api"

#endif
