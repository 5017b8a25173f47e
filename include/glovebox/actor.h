/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/actor.h - actors written in C: a function that is run on messages
 * as they come, and sends others.
 *
 *  static int run(void *self, struct gbx_actor *actor)
 *  {
 *      struct gbx_message m;
 *
 *      if (gbx_actor_input(actor, "in", &m) < 0)
 *          return gbx_actor_fail(actor, "nothing at port in");
 *      return gbx_actor_send(actor, "out", &m);
 *  }
 *
 *  static const struct gbx_actor_type echo = {
 *      .struct_bytes = sizeof(echo), .component = "echo",
 *      .inports = (const char *const[]){"in", NULL},
 *      .outports = (const char *const[]){"out", NULL}, .run = run};
 *
 * A flow (flow.h) is given the types; each node of that component is an actor
 * of its own.  Scripts are actors, too, without this header.  Code in C is
 * trusted: it runs in your process, unsealed.
 *
 * Threads: an actor runs in one thread at a time, and not always in the same.
 *          One that waits, delays itself alone: others get another thread.
 * Memory:  inputs and rooms are lent until run returns.  What is sent is held
 *          as long as somebody reads it: an input or a room is sent without a
 *          copy, anything else is copied once.
 */
#ifndef GBX_ACTOR_H
#define GBX_ACTOR_H

#include "glovebox/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_ACTOR_ROOMS_MAX 64u /* in one run */
#define GBX_ACTOR_PORTS_MAX 256u

struct gbx_actor; /* one run of one actor */

/* What an actor is told when it is made.  Borrowed until open returns. */
struct gbx_actor_config {
    const char *node;        /* its name in the graph */
    const char *config_json; /* the node's metadata, an object; "{}" */
    void *context;           /* the type's */
    const char *folder;      /* the flow's, of relative paths */
};

/* A kind of actors.  Must live as long as the flows that were given it. */
struct gbx_actor_type {
    size_t struct_bytes;
    const char *component;       /* the name that graphs use */
    const char *description;     /* or NULL */
    const char *const *inports;  /* ends with NULL; NULL: it has none */
    const char *const *outports; /* the same */

    /* 1: it runs when each inport has a message, and is given one of each; 0:
     * for each message. */
    int await_all_inports;

    /* An actor begins: *self is its own.  NULL: it has nothing of its own.
     * Returns 0, or a code and err says why: then there is no such node, and it
     * is not closed. */
    int (*open)(void **self, const struct gbx_actor_config *config,
                struct gbx_error *err);

    /* Below 0 the run has failed: what it sent has left all the same. */
    int (*run)(void *self, struct gbx_actor *actor);
    void (*close)(void *self); /* or NULL */
    void *context;
    int runs_at_start; /* 1: once without a message, before all else */
};

/* The input of a port.  Returns 0, or GBX_EAGAIN: it has none in this run. */
int gbx_actor_input(const struct gbx_actor *actor, const char *port,
                    struct gbx_message *message);

/* The same by number, 0 to the last; the port is borrowed. */
int gbx_actor_input_at(const struct gbx_actor *actor, uint32_t index,
                       const char **port, struct gbx_message *message);

/* Memory to be sent, 64-byte aligned and not cleared.  Returns 0 or
 * GBX_ELIMIT (too many, too large), GBX_EHOST. */
int gbx_actor_room(struct gbx_actor *actor, size_t bytes, void **room);

/*
 * To all that are connected to the port; nobody: it is dropped.  Waits while
 * one of them has too many messages that it has not taken.
 * Returns 0; GBX_EPORT, GBX_EARGUMENT, GBX_EHOST; GBX_ELIMIT: this port leads
 * back to this actor, which cannot wait for itself; GBX_ECANCELED: the flow
 * ends.
 */
int gbx_actor_send(struct gbx_actor *actor, const char *port,
                   const struct gbx_message *message);

/* The same, by the port's place among the type's outports: no look-up. */
int gbx_actor_send_at(struct gbx_actor *actor, uint32_t port,
                      const struct gbx_message *message);

/* Say why this run fails.  Returns GBX_ESCRIPT, for run to return. */
int gbx_actor_fail(struct gbx_actor *actor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Run once at this time, CLOCK_MONOTONIC, also without a message; of several
 * the last one counts.  0: not. */
void gbx_actor_wake_at(struct gbx_actor *actor, uint64_t at_ns);

#ifdef __cplusplus
}
#endif

#include "glovebox/actor_state.h"

#endif
