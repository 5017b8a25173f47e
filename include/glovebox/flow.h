/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/flow.h - actors wired to each other, running.
 *
 *  struct gbx_flow_config config = {.struct_bytes = sizeof(config),
 *                                   .runtime = runtime, .output = print};
 *  gbx_flow_open(&flow, &config, &err);
 *  gbx_flow_add_node(flow, "half", "half.py", NULL, &err);
 *  gbx_flow_add_inport(flow, "in", "half", "frame", &err);
 *  gbx_flow_add_outport(flow, "out", "half", "half", &err);
 *  gbx_flow_start(flow, &err);
 *  gbx_flow_send(flow, "in", &message, deadline_ns, &err);
 *  gbx_flow_drain(flow, deadline_ns);
 *  gbx_flow_close(flow);
 *
 * A node is an actor: a type in C (actor.h) or a script, sealed, whose
 * component is the path of its file.  Nodes, connections and ports come and go
 * while it runs.
 *
 * Every inport has a queue of its own.  A message goes to all that are
 * connected to its port, in the order sent; of several senders, and of several
 * inports of one actor, none is preferred.  An actor whose readers are behind
 * is not run until they have caught up: no queue holds more than its bound, and
 * what one run sends beyond it; nothing is dropped.
 *
 * A run that fails is tried again as often as its node says (`retries`, and
 * `backoff_ms`, doubled each time, in the node's metadata); then its inputs are
 * a dead letter, told to `letter` with the reason, and the actor goes on with
 * the next.  Where outport "error" is connected, it gets the reason.  What it
 * changed in its node's state is taken back: context.state of a script, or
 * actor_state.h.  A state is in memory, and goes with its node; with "state":
 * "persistent" in the metadata it is in a file, and stays.
 *
 * Threads: any function, any thread, but close, which is last and alone, and
 *          what must not be called from an actor's run: drain, stop, close.
 * Memory:  names and messages given are copied.
 */
#ifndef GBX_FLOW_H
#define GBX_FLOW_H

#include "glovebox/actor.h"
#include "glovebox/flow_event.h"
#include "glovebox/runtime.h"
#include "glovebox/state.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_flow;

/* What arrives at a port of the flow.  In a thread of the flow's; the message
 * is borrowed until it returns.  One who waits here holds the sender up. */
typedef void (*gbx_flow_output_fn)(void *context, const char *outport,
                                   const struct gbx_message *message);

/* A run's inputs that nobody will take any more. */
struct gbx_letter {
    const char *node, *port;
    const struct gbx_message *message;
    const char *reason;
    uint32_t attempts;
};
typedef void (*gbx_letter_fn)(void *context, const struct gbx_letter *letter);

/* Zero in any field means the default. */
struct gbx_flow_config {
    size_t struct_bytes;
    struct gbx_runtime *runtime; /* for scripts; borrowed until close; NULL:
                                    there are none */
    const struct gbx_script_config *script; /* for all of them; copied */
    const char *folder;                     /* of relative paths; default: . */
    const struct gbx_actor_type *const *types; /* ends with NULL */
    uint32_t workers; /* threads that run actors; default: one a CPU */
    uint32_t queue;   /* messages of an inport, at most; default 1024 */
    uint32_t sample;  /* events of one message in so many; default: all */
    gbx_flow_output_fn output;
    gbx_letter_fn letter;
    gbx_flow_event_fn event; /* default: none, and they cost nothing */
    void *context;           /* of all three, which come from any thread */

    /* Where nodes whose metadata say "state": "persistent" keep theirs, by
     * their names: state.h says what outlives what.  Default: nowhere. */
    const char *state_path;
    uint64_t state_bytes_max; /* default 1 GiB */

    /* What nodes' metadata say of scripts' sandboxes (docs/flow.md) comes over
     * `script`.  1: they are a client's, who may only lower limits. */
    int is_client;
};

/* Returns 0 and a flow to close; GBX_EHOST, GBX_EARGUMENT. */
int gbx_flow_open(struct gbx_flow **flow, const struct gbx_flow_config *config,
                  struct gbx_error *err);

/*
 * Whoever runs is waited for; scripts are cancelled.  Messages that are left
 * are told to `letter`.  NULL is allowed.
 */
void gbx_flow_close(struct gbx_flow *flow);

/*
 * A node of a type's component, or of a script's file.  metadata: a JSON object
 * or NULL; what it holds is the actor's config.
 * Returns 0; GBX_EARGUMENT (the name is in use, the metadata are none),
 * GBX_EFILE (there is no such component), or as the actor's open.
 */
int gbx_flow_add_node(struct gbx_flow *flow, const char *node,
                      const char *component, const char *metadata,
                      struct gbx_error *err);

/* With its connections.  What is in its queues is told to `letter`. */
int gbx_flow_remove_node(struct gbx_flow *flow, const char *node,
                         struct gbx_error *err);

/*
 * A script's file has changed: it is loaded anew, and runs from its next
 * message on; no message is lost.  Its context.state begins anew.  Where it
 * cannot be loaded, the one before goes on. Returns 0; GBX_EARGUMENT (no such
 * node, or no script), or as gbx_script_open.
 */
int gbx_flow_reload(struct gbx_flow *flow, const char *node,
                    struct gbx_error *err);

/* Returns 0; GBX_EARGUMENT (no such node; connected already), GBX_EPORT. */
int gbx_flow_connect(struct gbx_flow *flow, const char *from,
                     const char *outport, const char *to, const char *inport,
                     struct gbx_error *err);

/* What has been sent arrives.  Returns 0; GBX_EARGUMENT: they were not. */
int gbx_flow_disconnect(struct gbx_flow *flow, const char *from,
                        const char *outport, const char *to, const char *inport,
                        struct gbx_error *err);

/* Names of the flow's own for ports of nodes.  Several outports may have one.
 */
int gbx_flow_add_inport(struct gbx_flow *flow, const char *name,
                        const char *node, const char *port,
                        struct gbx_error *err);
int gbx_flow_add_outport(struct gbx_flow *flow, const char *name,
                         const char *node, const char *port,
                         struct gbx_error *err);

/* Until then, messages only queue up.  Returns 0, or GBX_EHOST. */
int gbx_flow_start(struct gbx_flow *flow, struct gbx_error *err);

/*
 * To an inport of the flow, or to "node.port".  Waits while its queue is full.
 * Returns 0; GBX_EPORT, GBX_ETIME, GBX_ECANCELED, GBX_EHOST.
 */
int gbx_flow_send(struct gbx_flow *flow, const char *inport,
                  const struct gbx_message *message, uint64_t deadline_ns,
                  struct gbx_error *err);

/*
 * The same without a copy.  room: memory to be filled, 64-byte aligned, owned
 * until it is sent, or given back by gbx_flow_drop_room.
 */
int gbx_flow_room(struct gbx_flow *flow, size_t bytes, void **room,
                  struct gbx_error *err);
void gbx_flow_drop_room(struct gbx_flow *flow, void *room); /* NULL: allowed */

/* A message whose body lies in the room.  The room is taken, also when it
 * fails.  Returns as send; GBX_EBOUNDS: the body does not lie there. */
int gbx_flow_send_room(struct gbx_flow *flow, const char *inport, void *room,
                       const struct gbx_message *message, uint64_t deadline_ns,
                       struct gbx_error *err);

/* Wait until no message is left and nobody runs or is to be tried again. Actors
 * that wake by themselves do not count.  Returns 0; GBX_ETIME; GBX_ECANCELED
 * (by gbx_flow_cancel: what is left stays); GBX_EAGAIN: what is left stands
 * still (below). */
int gbx_flow_drain(struct gbx_flow *flow, uint64_t deadline_ns);

/*
 * Do messages wait for others that nobody will send?  That is so where an actor
 * awaits all of its inports and one gets no more; or where the one that feeds
 * it waits, in turn, for room at its other inport.  1: err says who waits for
 * what.
 */
int gbx_flow_stalled(struct gbx_flow *flow, struct gbx_error *err);

/* 1: no message is left, nobody runs, and no actor will wake by itself. */
int gbx_flow_is_over(struct gbx_flow *flow);

/* Actors wake by themselves no more: what a drain then says is for good.  So a
 * flow with a source ends without losing what that has taken over: rest, drain,
 * close.  From any thread. */
void gbx_flow_rest(struct gbx_flow *flow);

/* From any thread, also an actor's: nothing is begun any more. */
void gbx_flow_cancel(struct gbx_flow *flow);

#include "glovebox/flow_stats.h"

#ifdef __cplusplus
}
#endif

#endif
