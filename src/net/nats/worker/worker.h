/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - a worker's side of names.h: messages of calls are pulled, held
 * while they are worked on, and acknowledged once their results are stored.
 *
 *  net_worker_open(&worker, &config, &err);
 *  net_worker_start(worker, &err);            -> handler->take(taken)
 *  in a thread that may wait:
 *      rc = net_taken_prepare(taken, &err);
 *      if (rc == 0)        ... the calls of taken->data ...
 *                          net_taken_finish(taken, data, bytes, took_ns);
 *      else if (rc < 0)    net_taken_dead(taken, rc, err.what);
 *  net_worker_drain(worker); ... net_worker_close(worker);
 *
 * One that is not finished is not lost: when its worker dies, another one is
 * given it after NET_WORKER_WAIT_MS; one that many have been given is put
 * aside.
 *
 * Threads: handlers come in threads of libnats and of the worker's own, and
 * must not wait.  prepare, dead, script and a large finish wait. Memory:  a
 * taken message is its taker's, until finish, dead, give_back, or prepare has
 * returned 1.
 */
#ifndef NET_NATS_WORKER_WORKER_H
#define NET_NATS_WORKER_WORKER_H

#include "glovebox/error.h"
#include "net/nats/layout.h"
#include "net/nats/node.h"

#define NET_WORKER_WAIT_MS 5000u /* a worker says so often that it is there */

struct net_worker;

struct net_taken {
    struct net_worker *worker;
    struct layout_head head;
    uint64_t attempt; /* 1: nobody was given it before */
    const uint8_t *data;
    size_t bytes;
    void *context; /* the taker's */
};

/* Somebody asks for a script to be loaded. */
struct net_load {
    struct net_worker *worker;
    char digest[NATS_DIGEST_CHARS + 1];
    uint32_t number; /* by which the caller knows it */
    char *reply;     /* owned */
};

struct net_worker_handler {
    void (*take)(void *context, struct net_taken *taken);
    /* To be given to net_load_finish. */
    void (*load)(void *context, struct net_load *load);
    /* Nobody waits for that call any more. */
    void (*cancel)(void *context, const struct layout_from *from,
                   uint32_t number);
    /* What a call has asked for, as a frame; NULL: its caller is gone.  Comes
     * with the message held. */
    void (*answer)(void *context, struct net_taken *taken, uint32_t number,
                   const void *data, size_t bytes);
    /* What there is to say of oneself, but for id and route. */
    void (*tell)(void *context, struct node *node);
};

struct net_worker_config {
    const char *url;
    unsigned slots;          /* messages that are worked on at once */
    unsigned deliveries_max; /* more, and it is put aside: 5 */
    uint64_t bytes_max;      /* of a payload */
    const struct net_worker_handler *handler;
    void *context;
};

struct net_worker_counts {
    uint64_t taken, again, finished, given_back, dead, unstored;
    unsigned held;
    bool is_up;
};

/* Returns as bus_open. */
int net_worker_check(const char *url, struct gbx_error *err);
int net_worker_open(struct net_worker **worker,
                    const struct net_worker_config *config,
                    struct gbx_error *err);
int net_worker_start(struct net_worker *worker, struct gbx_error *err);
/* Its URL, without what is secret in it. */
const char *net_worker_shown(const struct net_worker *worker);
const char *net_worker_route(const struct net_worker *worker);
/* Takes no more; what comes still is given back. */
void net_worker_drain(struct net_worker *worker);
/* What is finished is stored first, as long as it does not take too long.  NULL
 * is allowed. */
void net_worker_close(struct net_worker *worker);
struct net_worker_counts net_worker_counts(struct net_worker *worker);

/* LOAD's body of a script, for free().  Returns as bus_fetch. */
int net_worker_script(struct net_worker *worker, const char *digest,
                      uint8_t **data, size_t *bytes, struct gbx_error *err);
/* LOADED or FAILED; it is taken. */
void net_load_finish(struct net_load *load, const void *data, size_t bytes);

/*
 * Its payload, whole and checked.  Returns 0; 1: there is nothing to do (its
 * results are stored already, nobody wants them, or it is not for this worker);
 * or a code: it makes no sense, or was given to too many.
 */
int net_taken_prepare(struct net_taken *taken, struct gbx_error *err);
/* Does the caller wait for this call of it? */
bool net_taken_wants(const struct net_taken *taken, uint32_t number);
/* Results of some of its calls, before the others have theirs: may get lost. */
void net_taken_early(struct net_taken *taken, const void *data, size_t bytes);
/* All results; data is taken.  ran_ns: by all of its calls. */
void net_taken_finish(struct net_taken *taken, uint8_t *data, size_t bytes,
                      uint64_t ran_ns);
/* Put aside, with a reason, which its caller is told. */
void net_taken_dead(struct net_taken *taken, int code, const char *why);
void net_taken_give_back(struct net_taken *taken, unsigned delay_ms);
/* A frame ASK of a call, and its body.  Returns 0 or GBX_EHOST. */
int net_taken_ask(struct net_taken *taken, const struct frame *frame,
                  const void *body);

#endif
