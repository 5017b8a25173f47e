/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - what a WebSocket is to the daemon: whose it is, the frame that comes,
 * and the calls that it has open.
 *
 *   pieces -> a frame's head -> its body, where the call is to have it -> job
 *
 * A large body is written straight into the region of the sandbox that will
 * run the call, where one is free; else, and small ones, into a buffer.
 *
 * Threads: pieces, in the server's; run, a worker's.
 * Memory:  counted: the connection has it, and each job.
 */
#ifndef DAEMON_LINK_LINK_H
#define DAEMON_LINK_LINK_H

#include "daemon/daemon.h"
#include "net/frame.h"

#define LINK_CALLS_MAX 256u /* open, of one WebSocket */

/* A message that waits for its call to begin. */
struct link_input {
    SLIST_ENTRY(link_input) next;
    struct frame frame;
    uint8_t *body; /* owned */
};

struct link_call {
    LIST_ENTRY(link_call) next; /* the link's, until it has run */
    uint32_t number;
    struct actor *actor; /* counted */
    struct gbx_call *call; /* begun already, or NULL */
    bool has_entered;      /* call_enter */
    uint64_t timeout_ns;
    SLIST_HEAD(, link_input) inputs; /* the last one first */
    unsigned input_count;
    uint64_t kept_bytes;
    struct job *job;                 /* that runs it, or NULL */
};

struct link {
    struct daemon *daemon;
    struct net_peer *peer; /* borrowed: it lives longer */
    struct token *token;
    atomic_uint holders;
    pthread_mutex_t lock; /* of: */
    LIST_HEAD(, link_call) calls;
    unsigned count;

    /* The frame that comes; the server's thread: */
    uint8_t head[FRAME_HEAD_MAX];
    size_t head_bytes;
    struct frame frame;
    bool has_head;
    struct link_call *to; /* NULL: nobody's, and it is dropped */
    uint8_t *body;        /* where it goes */
    bool is_owned;        /* it is a buffer */
    uint64_t body_at, begun_ns;
    atomic_uint texts; /* jobs of JSON-RPC that are not done */
};

struct link *link_open(struct daemon *daemon, struct net_peer *peer,
                       struct token *token);
void link_put(struct link *link);
/* Its WebSocket is gone: what is not run yet never will be. */
void link_leave(struct link *link);
/* As net_handler's piece. */
int link_piece(struct link *link, const void *data, size_t bytes, bool is_last);
/* A worker runs what is complete. */
void link_run(struct job *job);

/* Of a call: its number is free again; and all that it holds. */
void link_unlist(struct link *link, struct link_call *call);
void link_free_call(struct link *link, struct link_call *call);

/* call.c: to the client, body_bytes of a body with it, or none (NULL); and a
 * FAILED. */
void link_send(struct link *link, const struct frame *frame, const void *body);
void link_fail(struct link *link, uint32_t number, int code, const char *what,
               const char *traceback);

#endif
