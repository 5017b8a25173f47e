/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h - what the files of net/nats/worker/ share.
 *
 *   pulled -> HELD (a job has it) -> STORING (published) -> acknowledged, freed
 *                                        |  refused, or no word: once more
 */
#ifndef NET_NATS_WORKER_PRIVATE_H
#define NET_NATS_WORKER_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "net/nats/bus.h"
#include "net/nats/worker/worker.h"

#define CONSUMER_MAX (NATS_ROUTE_MAX + 8)

struct taken {
    struct net_taken head; /* what the taker sees */
    LIST_ENTRY(taken) next;
    uint64_t number;    /* among this worker's */
    natsMsg *message;   /* owned: as it came */
    const char *what;   /* is wrong with it, or NULL */
    uint64_t stored_ns; /* by the server's clock; only a hint */
    uint8_t *fetched;   /* owned: a payload that lay in pieces, or NULL */
    bool knows_wanted;
    uint32_t wanted[NATS_CALLS_MAX];
    unsigned wanted_count;

    /* With the worker's lock, once it is finished: */
    natsMsg *result;          /* owned */
    unsigned sent;            /* how often */
    uint64_t send_ns;         /* when it is sent once more */
    bool is_refused, is_done; /* is_done: no slot is needed for it */
};

/* An ASK that waits for its answer. */
struct ask {
    LIST_ENTRY(ask) next;
    uint64_t number;
    struct taken *taken;
    uint32_t call;
    natsMsg *message; /* owned */
    uint64_t until_ns, send_ns;
};

struct net_worker {
    struct net_worker_config config;
    struct bus *bus;
    char id[NATS_ID_CHARS + 1];
    char consumer[CONSUMER_MAX];
    natsSubscription *loads, *pulls;
    pthread_t heart;
    bool has_heart;

    pthread_mutex_t lock; /* of: */
    pthread_cond_t beats;
    LIST_HEAD(, taken) all;
    LIST_HEAD(, ask) asks;
    uint64_t numbers;
    unsigned held, pulled; /* pulled: the server may send so many still */
    uint64_t pulled_ns;    /* the last */
    uint64_t mean_ns;      /* of a message's calls */
    bool is_draining, is_over, wants_pull, wants_tell;
    struct net_worker_counts counts;
};

uint64_t worker_now_ns(void);

/* ---- pull.c ---- */

/* The consumer of this route.  Returns 0 or a code. */
int pull_ensure(struct net_worker *worker, struct gbx_error *err);
void pull_more_locked(struct net_worker *worker);
/* A message of calls, or a status in its place; it is taken. */
void pull_take(struct net_worker *worker, natsMsg *message);
void pull_status(struct net_worker *worker, natsMsg *message);

/* ---- taken.c ---- */

/* "+ACK", "+WPI", "+TERM" or "-NAK..." */
void taken_say(struct taken *taken, const char *word);
/* Its calls have run: somebody else may have its slot. */
void taken_done_locked(struct taken *taken);
/* It is not held any more, and gone. */
void taken_drop_locked(struct taken *taken);
struct taken *taken_find_locked(struct net_worker *worker, uint64_t number);
/* The server has said what became of its results. */
void taken_stored(struct net_worker *worker, uint64_t number, natsMsg *message);
void taken_beat_locked(struct taken *taken, uint64_t now);

/* ---- ask.c ---- */

void ask_answered(struct net_worker *worker, uint64_t number, natsMsg *message);
void ask_beat(struct net_worker *worker, uint64_t now);
void ask_drop_locked(struct taken *taken);

#endif
