/* SPDX-License-Identifier: Apache-2.0 */
/*
 * private.h - what the files of net/nats/caller/ share: glovebox-nats.so, to
 * which a cluster is one host that speaks frames (net/client/client.h).
 *
 *   send() in any thread           a host's helper          libnats' threads
 *     calls.c: gathers a call,       helper.c: connects,       |
 *     publishes what is small        what is large or waits    |
 *            \                          |                      |
 *             `----- events, in order --+----------------------'
 *                         |
 *                the client's thread: handlers
 *
 * Locks: a host's is taken before the client's; handlers are called with none.
 */
#ifndef NET_NATS_CALLER_PRIVATE_H
#define NET_NATS_CALLER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "net/client/client.h"
#include "net/nats/bus.h"
#include "net/nats/node.h"

#define FRAMES_MAX     80u         /* of one call */
#define BUCKETS        1024u       /* of calls by their numbers */
#define UNSTORED_SLOW  64u         /* messages of calls that are not quick */
#define UNSTORED_MAX   2u          /* messages, before calls are put together */
#define TOGETHER_BYTES (64u << 10) /* of a message of several calls */
#define TOGETHER_NS    10000000u   /* that all of its calls take */
#define ALL_BYTES_MAX  (1ull << 30) /* of one call's frames, or its results */

/* ---- what the client's thread is told ---- */

enum event_kind {
    EVENT_MESSAGE, /* message */
    EVENT_UP,
    EVENT_DOWN,    /* text */
    EVENT_BACK,    /* libnats has connected anew */
    EVENT_RELEASE, /* release, context, has_begun */
    EVENT_FRAME,   /* text: a frame of ours, bytes long */
    EVENT_RESULT,  /* text: results of `serial`, bytes long, that lay in pieces
                    */
};

struct event {
    STAILQ_ENTRY(event) next;
    enum event_kind kind;
    struct net_host *host;
    natsMsg *message; /* owned */
    char *text;       /* owned */
    size_t bytes;
    uint64_t serial;
    net_release_fn release;
    void *context;
    bool has_begun;
};

/* ---- a host's calls ---- */

/* A frame of a call that is not published yet. */
struct piece {
    uint8_t head[FRAME_HEAD_MAX];
    size_t head_bytes;
    const uint8_t *data; /* lent; or the copy */
    uint8_t *copy;       /* owned, or NULL */
    size_t bytes;
    net_release_fn release; /* or NULL */
    void *context;
};

struct call {
    LIST_ENTRY(call) same;   /* of its bucket */
    STAILQ_ENTRY(call) next; /* that wait to be published */
    LIST_ENTRY(call) beside; /* of its message */
    uint32_t number;
    struct script *script; /* of the host's; may be gone: */
    char digest[NATS_DIGEST_CHARS + 1];
    unsigned beside_max;  /* calls in a message with it */
    struct piece *pieces; /* owned, until it is published */
    unsigned piece_count;
    uint64_t bytes; /* of all frames */
    uint64_t timeout_ms, until_ns;
    bool is_complete;      /* FRAME_RUNS has come */
    struct parcel *parcel; /* or NULL: not published */

    uint64_t asked; /* the attempt that was answered; 0: none */
    bool is_asking;
    uint64_t asking; /* the attempt that asks */
    char *reply;     /* owned: where its answer goes */
    uint8_t *answer; /* owned: what was sent there, if that is lost */
    size_t answer_bytes;
};

/* A message of calls, from before it is published until all are answered. */
struct parcel {
    LIST_ENTRY(parcel) next;
    uint64_t serial;
    LIST_HEAD(, call) calls;
    unsigned count;
    natsMsg *message; /* owned, until it is stored */
    bool is_large;    /* its payload is with the helper */
    bool is_stored, is_unwanted, has_body;
    uint64_t sequence; /* in the stream */
    uint64_t sent_ns, began_ns;
    uint32_t sends, nobodys;         /* so often; nobody was there to have it */
    uint64_t look_ns, look_after_ns; /* when its results are looked for */
};

struct script {
    LIST_ENTRY(script) next;
    uint32_t number;
    char digest[NATS_DIGEST_CHARS + 1];
    uint8_t *body; /* owned, until it is stored */
    size_t bytes;
    bool is_stored, is_loaded;
    unsigned asked; /* how often */
    uint64_t asked_ns;
    uint64_t usual_ns; /* of a call; 0: not known */
};

/* ---- what the helper does ---- */

enum task_kind { TASK_CONNECT, TASK_LOAD, TASK_LARGE, TASK_RESULT };

struct task {
    STAILQ_ENTRY(task) next;
    enum task_kind kind;
    uint32_t number;         /* LOAD: the script's */
    uint64_t serial;         /* LARGE, RESULT: the parcel's */
    struct layout_body body; /* RESULT */
};

struct net_host {
    LIST_ENTRY(net_host) next;
    struct net_client *client;
    const struct net_host_handler *handler;
    void *context;
    char *url, *token, *ca_path; /* owned */
    uint32_t connect_seconds;
    bool is_told_up; /* the client's thread */

    pthread_t helper;
    bool has_helper;

    /* With its lock: */
    pthread_mutex_t lock;
    pthread_cond_t some; /* tasks */
    STAILQ_HEAD(, task) tasks;
    struct bus *bus; /* NULL: down; the helper's to close */
    char id[NATS_ID_CHARS + 1];
    size_t payload_max;
    bool is_up, is_over, wants_cut;
    const char *why; /* of a cut */
    LIST_HEAD(, call) calls[BUCKETS];
    STAILQ_HEAD(, call) ready; /* to be published */
    LIST_HEAD(, parcel) parcels;
    uint64_t serial;
    unsigned unstored;
    LIST_HEAD(, script) scripts;
    LIST_HEAD(, node) nodes;
};

struct net_client {
    struct net_client_config config;
    LIST_HEAD(, net_host) hosts;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of: */
    pthread_cond_t told;
    STAILQ_HEAD(, event) events;
    bool is_over, wants_tick;
};

uint64_t caller_now_ns(void); /* CLOCK_MONOTONIC */

/* client.c: take note for the client's thread.  Without memory, nothing. */
void caller_tell(struct net_host *host, const struct event *event);
/* One that says nothing but its kind, and text (which is taken). */
void caller_tell_kind(struct net_host *host, enum event_kind kind, char *text);

/* ---- helper.c ---- */

void *helper_run(void *host);
void helper_put_locked(struct net_host *host, const struct task *task);
/* It is down soon, for that reason. */
void helper_cut_locked(struct net_host *host, const char *why);

/* ---- calls.c: what the embedder sends ---- */

/* A frame of a call: as send of the API. */
int calls_input_locked(struct net_host *host, const struct frame *frame,
                       const struct piece *piece);
void calls_cancel_locked(struct net_host *host, uint32_t number);
/* Nobody waits for it any more: its worker is told, and the embedder why. */
void calls_end_locked(struct net_host *host, struct call *call, int code,
                      const char *what);
int calls_answer_locked(struct net_host *host, const struct frame *frame,
                        const void *data);
struct call *calls_find_locked(struct net_host *host, uint32_t number);
/* Its number is free again.  It goes out of its parcel, too. */
void calls_drop_locked(struct net_host *host, struct call *call,
                       bool has_begun);
/* A FAILED for the embedder, and the call is gone. */
void calls_fail_locked(struct net_host *host, struct call *call, int code,
                       bool has_not_run, const char *what);
void calls_keep_locked(struct net_host *host, void *context);
/* The host is down: none will be answered.  Those who run them are told, if
 * there is still a bus. */
void calls_drop_all_locked(struct net_host *host, struct bus *bus);

/* ---- parcels.c: messages of calls ---- */

/* Publish what is ready. */
void parcels_send_locked(struct net_host *host);
/* What the helper does for one that is too large: returns when it is done. */
void parcels_send_large(struct net_host *host, uint64_t serial);
struct parcel *parcels_find_locked(struct net_host *host, uint64_t serial);
void parcels_drop_locked(struct net_host *host, struct parcel *parcel);
/* Out of the queue, so that nobody runs it for nothing. */
void parcels_take_back(struct net_host *host, struct bus *bus,
                       const struct parcel *parcel);
/* All its calls are gone. */
void parcels_settle_locked(struct net_host *host, struct parcel *parcel);
void parcels_fail_locked(struct net_host *host, struct parcel *parcel, int code,
                         bool has_not_run, const char *what);
/* The server has said what became of it. */
void parcels_stored(struct net_host *host, uint64_t serial, natsMsg *message);
/* What is late is sent, or looked for, once more. */
void parcels_tick(struct net_host *host, bool at_once);

/* ---- answers.c: what comes, in the client's thread ---- */

void answers_message(struct net_host *host, natsMsg *message);
void answers_result(struct net_host *host, uint64_t serial, const void *data,
                    size_t bytes);
/* A frame for the embedder. */
void answers_frame(struct net_host *host, const void *data, size_t bytes);

/* ---- scripts.c: LOAD, UNLOAD, HELLO ---- */

int scripts_load_locked(struct net_host *host, const struct frame *frame,
                        const void *data);
void scripts_unload_locked(struct net_host *host, uint32_t number);
struct script *scripts_find_locked(struct net_host *host, uint32_t number);
void scripts_drop_all_locked(struct net_host *host);
/* The helper's: store it, and ask a worker. */
void scripts_store(struct net_host *host, uint32_t number);
void scripts_loaded(struct net_host *host, uint64_t number, natsMsg *message);
void scripts_tick(struct net_host *host);
/* A frame that answers HELLO. */
void scripts_hello_locked(struct net_host *host);
void scripts_node(struct net_host *host, natsMsg *message);

/* Tell a frame with a text; NULL: none. */
void scripts_tell_failed(struct net_host *host, uint32_t number, int code,
                         bool has_not_run, const char *what);

#endif
