/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - an actor of a flow: its inports' queues, whom it sends to, and what
 * it does next.
 *
 *            something has come            a thread is free
 *     IDLE --------------------> QUEUED --------------------> RUNNING
 *       ^                          ^  ^                          |
 *       |   nothing is left        |  |  more has come           |
 *       +--------------------------+--+--------------------------+
 *                                  |                             |
 *      readers have caught up      |    readers are behind       |
 *     BLOCKED ---------------------+ <---------------------------+
 *     PAUSED  ---------------------+    a run failed: again, later
 *
 * Threads: each field says whose it is.  "run" is the thread that runs it: the
 *          one that took it from QUEUED to RUNNING.
 * Memory:  counted; wires, lists and timers each hold it.
 */
#ifndef FLOW_NODE_NODE_H
#define FLOW_NODE_NODE_H

#include <pthread.h>

#include "flow/node/queue.h"
#include "flow/node/state.h"
#include "flow/node/times.h"
#include "glovebox/flow.h"

#define NODE_PORTS_MAX GBX_ACTOR_PORTS_MAX
#define NODE_BATCH     64u /* packets that are taken at once */

struct gbx_flow;
struct flow_node;

struct inport {
    char *name;
    struct queue queue;        /* node's lock */
    struct flow_node *blocked; /* its lock: those that wait for room in it */
    bool is_declared;          /* it counts where all are awaited */
};

/* Where a packet of an outport goes. */
struct wire {
    uint32_t outport;
    bool is_soft;         /* part of a circle: who sends here may not wait */
    struct flow_node *to; /* counted; NULL: */
    struct inport *port;  /* of to */
    char *outside;        /* the flow's outport; owned */
    uint64_t checked;     /* the run's: when its reader was looked at last */
};

/* All of a node's, by outport.  It is never changed, but replaced. */
struct wiring {
    atomic_uint holders;
    uint32_t count;
    struct wire wires[];
};

/* What a run takes: packets of `step` inports, a set after the other. */
struct flow_batch {
    uint32_t at, count, step;
    uint32_t attempts; /* of the set at `at` */
    uint32_t ports[NODE_BATCH];
    struct packet packets[NODE_BATCH];
};

struct actor_kind {
    /* What is behind it, "native".  For people; the lock is held. */
    const char *(*isolation)(const struct flow_node *node);
    /* As gbx_actor_type's, and its ports. */
    int (*open)(struct flow_node *node, struct gbx_error *err);
    int (*run)(struct flow_node *node, struct gbx_actor *actor);
    void (*close)(struct flow_node *node);
    /* A run ends soon; any thread.  NULL: nobody can. */
    void (*interrupt)(struct flow_node *node);
    /* What it is made of is read anew: `renewed` is set, under the lock, for
     * its next run.  NULL: it does not change.  drop: what it was until then.
     */
    int (*reload)(struct flow_node *node, struct gbx_error *err);
    void (*drop)(void *self);
    uint32_t batch; /* packets taken at once, at most NODE_BATCH */
    /* Runs take so long that each is timed, and that others have their turn
     * after this time; 0: they do not. */
    uint64_t slice_ns;
};

struct flow_node {
    /* Until the end: */
    struct gbx_flow *flow;
    char *id, *component, *metadata; /* owned */
    const struct actor_kind *kind;
    const struct gbx_actor_type *type; /* of a native one, or NULL */
    void *self;                        /* the kind's */
    bool is_open;                      /* the type's open went well */
    bool awaits_all;
    bool keeps;          /* what it remembers, in the flow's file */
    bool tells_ports[2]; /* its inports, its outports: there are no others */
    uint8_t priority;    /* 0 first */
    uint32_t retries;
    uint64_t backoff_ns;
    uint64_t timeout_ns; /* of a script's run; 0: never */
    uint32_t bound;      /* of each inport's queue */

    atomic_uint holders;
    pthread_mutex_t lock; /* of all that follows, but for: */
    enum gbx_node_state state;
    atomic_bool is_gone;     /* so is it; read by any */
    struct inport **inports; /* each stays where it is */
    char **outports;
    uint32_t inport_count, outport_count;
    uint32_t inport_room, outport_room; /* fixed: runs read without the lock */
    uint32_t turn;                      /* the inport that is asked first */
    struct wiring *wiring;              /* counted */
    /* It waits for room there: BLOCKED, or in its run. */
    _Atomic(const struct inport *) waits_for;
    _Atomic uint32_t waits_bound;
    void *renewed;     /* becomes self at its next run; or NULL */
    uint64_t woken_ns; /* it runs without a message: since then; 0: not.
                          It counts as pending */
    bool starts;       /* for the first time, without a message */

    /* run's: */
    struct flow_batch *held; /* owned: what a run has begun, and not finished */
    uint64_t wake_ns, asked_ns; /* it wants to be woken; it is known */
    bool is_woken; /* and has not run since, which counts as pending */
    bool is_quick; /* its runs are short: what they send leaves together */
    struct node_state *memory; /* owned: what it remembers; NULL: nothing */

    /* the scheduler's lock: */
    struct flow_node *next;
    uint64_t due_ns;     /* when it is to be woken; 0: never */
    uint32_t heap_place; /* from 1; 0: it is in no heap */

    struct flow_node *next_blocked; /* the inport's list */

    /* the flow's lock: */
    struct flow_node *after, **link; /* in the order of adding */
    struct edge *edges;              /* that begin here */
    struct node_search {             /* for circles, wire.c */
        uint32_t number, lowest;
        bool on_stack;
        struct flow_node *below, *parent;
        struct edge *at;
    } search;

    /* Written by run, or under the lock; read by any. */
    struct node_counts {
        _Atomic uint64_t received, sent, runs, failures, retries, letters;
        _Atomic uint64_t run_ns, copied_bytes;
    } counts;
    _Atomic(struct times *) times; /* of runs; owned, made by the first */
};

/* Names are copied.  One holder: the caller.  NULL: no memory. */
struct flow_node *flow_node_make(struct gbx_flow *flow, const char *id,
                                 const char *component, const char *metadata);
struct flow_node *flow_node_get(struct flow_node *node);
void flow_node_put(
    struct flow_node *node); /* NULL is allowed; the last one frees */

/*
 * The place of a port, which is added if it is new and may be: to an actor
 * whose ports are not told.  Returns it, or GBX_EPORT, GBX_EHOST.
 */
int flow_node_inport_locked(struct flow_node *node, const char *name,
                            bool adds);
int flow_node_outport_locked(struct flow_node *node, const char *name,
                             bool adds);

/* Its ports, once, NULL-terminated or NULL, and outport "error"; grows: others
 * may be added.  Returns 0, or GBX_EHOST, GBX_ELIMIT. */
int flow_node_declare(struct flow_node *node, const char *const *inports,
                      const char *const *outports, bool grows);

/* Has it what it needs for a run? */
bool flow_node_is_ready_locked(const struct flow_node *node);

/* From IDLE to QUEUED if so.  True: the caller schedules it. */
bool flow_node_touch_locked(struct flow_node *node);

/* Sets of packets, from all inports in turn, at most as many as kind says. */
void flow_node_fill_locked(struct flow_node *node, struct flow_batch *batch);

/* Those that waited for room in what has been taken from; linked by
 * next_blocked, each counted. */
struct flow_node *flow_node_freed_locked(struct flow_node *node);

/* With so many messages or fewer, those that waited for room go on.  Who awaits
 * all may be waiting for what one of them would send elsewhere. */
static inline uint32_t flow_node_low(const struct flow_node *node)
{
    return node->awaits_all ? node->bound - 1 : node->bound / 2;
}

static inline void flow_node_count(_Atomic uint64_t *count, uint64_t more)
{
    /* One thread at a time writes it. */
    atomic_store_explicit(
        count, atomic_load_explicit(count, memory_order_relaxed) + more,
        memory_order_relaxed);
}

static inline struct wiring *wiring_get(struct wiring *wiring)
{
    if (wiring != NULL)
        atomic_fetch_add_explicit(&wiring->holders, 1, memory_order_relaxed);
    return wiring;
}
void wiring_put(struct wiring *wiring); /* NULL is allowed */

#endif
