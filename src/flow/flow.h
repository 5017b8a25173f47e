/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - the object behind gbx_flow, and how its files stand to each other.
 *
 * - flow.c opens and closes; build.c: nodes come and go; edge.c: so do edges.
 * - load.c: a graph becomes a flow.  wire.c: whom each node reaches.
 * - send.c: messages from outside, and waiting.  event.c: who is told.
 * - run.c: one run of a node.  emit.c: what it sends.  actor.c: what actors
 *   call in it.
 * - node/ is one node, schedule/ says who runs when, kind/ what a node can be
 *   and what it remembers.  builtin/ has actors that come with us, trace/ files
 *   of what has happened, graph/ and discover/ what is wired and from where.
 *
 * Locks, each may be taken by who holds those before it: flow, node, schedule;
 * room stands alone.  No callback of the embedder is called under one.
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <pthread.h>

#include "flow/schedule/schedule.h"
#include "glovebox/flow.h"

#define FLOW_QUEUE     1024u
#define FLOW_QUEUE_MAX (1u << 20)
/* In a circle, a queue may be so many times as long. */
#define FLOW_SOFT_TIMES 16u
#define FLOW_NAME_MAX   GBX_NAME_BYTES_MAX

/* From an outport to an inport, or to a port of the flow. */
struct edge {
    struct edge *next;           /* of those that begin at the same node */
    struct flow_node *from, *to; /* from is borrowed, to counted; NULL: */
    char *outside;               /* owned */
    uint32_t outport;
    struct inport *port; /* of to */
    bool is_soft;
};

struct flow_port {
    struct flow_port *next;
    char *name;             /* owned */
    struct flow_node *node; /* counted */
    struct inport *port;
};

struct gbx_flow {
    struct gbx_flow_config config; /* its pointers are owned or borrowed as its
                                      header says */
    struct gbx_script_config script;
    char *folder;            /* owned */
    struct gbx_state *state; /* owned; NULL: none was asked for */
    struct schedule schedule;

    pthread_mutex_t lock; /* of nodes, edges, ports */
    void *by_name;        /* of nodes: tsearch's */
    struct flow_node *nodes, **nodes_end;
    uint32_t node_count;
    struct flow_port *inports;
    bool is_started;

    /* Who waits for room in a queue, or for the end. */
    pthread_mutex_t room_lock;
    pthread_cond_t room, idle;
    atomic_uint room_waiters, idle_waiters;
    atomic_bool is_canceled, is_resting;

    _Atomic uint64_t pending; /* packets in queues and runs, and sets that are
                                 tried again */
    _Atomic uint64_t last_id; /* of packets */
};

/* build.c.  Of "node" and "port": counted; the name is bytes long. */
int flow_find_port_locked(struct gbx_flow *flow, const char *node, size_t bytes,
                          const char *port, struct flow_node **found,
                          struct inport **inport);

/* send.c.  A message that is there before the flow starts; it waits for
 * nothing. */
int flow_send_first(struct gbx_flow *flow, const char *node, const char *port,
                    const struct gbx_message *message, struct gbx_error *err);

/* Until the port has room; GBX_ETIME, GBX_ECANCELED. */
int flow_await_room(struct gbx_flow *flow, const struct inport *port,
                    uint32_t bound, uint64_t deadline_ns);
/* A queue has become shorter: who waits for that looks again. */
void flow_say_room(struct gbx_flow *flow);
/* So many packets are no more. */
void flow_done(struct gbx_flow *flow, uint64_t count);
/* Those that waited for room in node's queues may run. */
void flow_free_blocked(struct gbx_flow *flow, struct flow_node *freed);

/* wire.c.  All wirings anew; the lock is held.  False: no memory. */
bool wire_all_locked(struct gbx_flow *flow);

/* run.c: a schedule_run_fn, and what its watch does. */
void run_node(struct worker *worker, struct flow_node *node);
void run_wake(struct schedule *schedule, struct flow_node *node);

/* event.c.  All are cheap where nobody listens. */
static inline bool flow_tells(const struct gbx_flow *flow)
{
    return flow->config.event != NULL;
}
void flow_tell(struct gbx_flow *flow, const struct gbx_flow_event *event);
/* A run that began then has ended; failure: why, or NULL; so is traceback. */
void flow_tell_run(struct gbx_flow *flow, const struct flow_node *node,
                   const struct packet *inputs, uint32_t input_count,
                   const char *failure, const char *traceback,
                   uint64_t from_ns);

/* An event about something that these inputs caused. */
void flow_tell_caused(struct gbx_flow *flow, struct gbx_flow_event *event,
                      const struct packet *inputs, uint32_t input_count);
/* The number of a new packet; 0 where nobody listens. */
uint64_t flow_number(struct gbx_flow *flow);
void flow_letter(struct gbx_flow *flow, struct flow_node *node,
                 const char *port, const struct packet *packet,
                 const char *reason, uint32_t attempts);

static inline struct gbx_flow *flow_of(struct schedule *schedule)
{
    return (struct gbx_flow *)((char *)schedule -
                               offsetof(struct gbx_flow, schedule));
}

/* kind/. */
extern const struct actor_kind kind_native, kind_script;

#endif
