/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - what a WebSocket is to the daemon: whose it is, the frame that
 * comes, the calls that it has open, and the scripts that it has brought.
 *
 *   pieces -> a frame's head -> its body, where it is to lie -> job
 *
 * A large body of a call is written straight into the region of the sandbox
 * that will run it, where one is free; else, and small ones, into a buffer.
 *
 * A script that was brought (LOAD) is the client's own: what it asks of its
 * host is asked of the client, while the call's worker waits, and what it
 * prints is sent there.  Equal ones of one token share a pool of sandboxes, in
 * which calls of different links or keys find nothing of each other.
 *
 * Threads: pieces, in the server's; run, a worker's.
 * Memory:  counted: the connection has it, and each job.
 */
#ifndef DAEMON_LINK_LINK_H
#define DAEMON_LINK_LINK_H

#include "daemon/daemon.h"
#include "net/frame.h"

#define LINK_CALLS_MAX   256u /* open, of one WebSocket */
#define LINK_SCRIPTS_MAX 256u /* that it has brought */

/* What is said of a body; with bytes_max. */
#define LINK_TOO_LONG                                                          \
    "a message is longer than this daemon takes: %llu bytes (--body)"

/* Where frames go, if that is no WebSocket. */
struct link_way {
    /* A frame and its body, which are lent. */
    void (*send)(void *context, const struct frame *frame, const void *body);
};

/* A message that waits for its call to begin; or an answer. */
struct link_input {
    SLIST_ENTRY(link_input) next;
    struct frame frame;
    uint8_t *body; /* owned */
};

struct link_call {
    LIST_ENTRY(link_call) next; /* the link's, until it has run */
    uint32_t number;
    struct actor *actor;   /* counted */
    char *key;             /* owned: of a script that was brought, or NULL */
    struct gbx_call *call; /* begun already, or NULL */
    bool has_entered;      /* call_enter */
    uint64_t timeout_ns;
    uint64_t until_ns;               /* while it runs */
    SLIST_HEAD(, link_input) inputs; /* the last one first */
    unsigned input_count;
    uint64_t kept_bytes;
    struct job *job; /* that runs it, or NULL */
    int lost;        /* a code: the client does not have all of it; or 0 */

    /* With the link's lock: */
    bool is_asking;            /* the worker waits for: */
    struct link_input *answer; /* owned, or NULL */
    bool is_too_long;          /* it came, and was */
};

struct link_script {
    LIST_ENTRY(link_script) next;
    uint32_t number;
    struct actor *actor; /* counted; NULL while it is being loaded */
    bool is_unwanted;    /* and it is to go as soon as it is */
};

/* A LOAD that waits for a worker. */
struct link_load {
    uint32_t number;
    size_t bytes;
    uint8_t body[];
};

struct link {
    struct daemon *daemon;
    struct net_peer *peer; /* borrowed: it lives longer; or NULL, and: */
    const struct link_way *way;
    void *context;
    struct job *job;       /* which is to run its call, with no other */
    struct actor *brought; /* borrowed: "#...", whatever number; or NULL */
    struct token *token;
    char name[40];          /* whose sandboxes its keys are of */
    bool has_greeted;       /* with the daemon's links: it knows HELLO */
    LIST_ENTRY(link) other; /* the same: of all links */
    atomic_uint holders;
    pthread_mutex_t lock; /* of: */
    pthread_cond_t told;  /* an answer, a cancel, room, or it is gone */
    LIST_HEAD(, link_call) calls;
    unsigned count;
    LIST_HEAD(, link_script) scripts;
    unsigned script_count;
    bool is_gone;
    struct link_call *sender; /* that is the next to have room, or NULL */

    /* The frame that comes; the server's thread: */
    struct frame_head head;
    struct frame frame;
    bool has_head;
    struct link_call *to; /* an input's, or NULL */
    uint8_t *body;        /* where it goes; NULL: nowhere */
    size_t body_off;      /* in it */
    bool is_owned;        /* it is a buffer */
    bool is_skipped;      /* it is longer than may be: read, and kept nowhere */
    uint64_t body_at, begun_ns;
    atomic_uint texts; /* jobs of JSON-RPC that are not done */
};

struct link *link_open(struct daemon *daemon, struct net_peer *peer,
                       struct token *token);
/* One of a single call, that is fed and run by this job's worker. */
struct link *link_open_way(struct daemon *daemon, const struct link_way *way,
                           void *context, struct job *job);
void link_put(struct link *link);
/* Its WebSocket is gone: what is not run yet never will be. */
void link_leave(struct link *link);
/* As net_handler's piece. */
int link_piece(struct link *link, const void *data, size_t bytes, bool is_last);
/* A sandbox is held for a body that does not come. */
bool link_is_too_slow(const struct link *link);

/* A call by its number, or NULL; with the lock. */
struct link_call *link_find_locked(struct link *link, uint32_t number);
/* Of a call: its number is free again; and all that it holds. */
void link_unlist(struct link *link, struct link_call *call);
void link_free_call(struct link *link, struct link_call *call);
/* A job of this link, that is not put yet; NULL: no memory. */
struct job *link_job(struct link *link);

/* ---- call.c ---- */

/* A worker runs what is complete. */
void link_run(struct job *job);

/* A FAILED. */
struct link_failure {
    int code;
    const char *what, *traceback, *type, *message; /* or NULL */
    bool has_not_run; /* it may be tried elsewhere */
};
void link_fail(struct link *link, uint32_t number,
               const struct link_failure *failure);
/* One of a call, or script, that was not even begun. */
void link_refuse(struct link *link, uint32_t number, int code,
                 const char *what);

/* ---- send.c: to the client, with frame->body_bytes of a body ---- */

/* What is small, at once: one who does not read that loses the link. */
void link_send(struct link *link, const struct frame *frame, const void *body);
/* What a call says while it runs, in its worker: that waits until there is room
 * for it, while the call may run.  What is not sent is noted (lost). */
void link_say(struct job *job, const struct frame *frame, const void *body);
/* The same of one of its outputs, from where the script has written it. */
void link_say_output(struct job *job, const struct frame *frame,
                     const struct gbx_message *message);
/* The server's thread: some of what was sent is on its way. */
void link_has_room(struct link *link);

/* ---- script.c ---- */

/* Which actor an input is for, and the key in its name: counted, and for
 * free(), or NULL. */
struct actor *link_find_actor(struct link *link, const char *name, char **key);
/* A LOAD has come: its worker's job.  It is taken. */
void link_load_later(struct link *link, struct link_load *load);
void link_load(struct job *job);
void link_tell_loaded(struct link *link, uint32_t number,
                      const struct actor *actor);
void link_unload(struct link *link, uint32_t number);
/* Of one that is gone: all of them. */
void link_unload_all(struct link *link);
void link_hello(struct link *link);
/* The daemon ends: all that know HELLO are told, and waited for, so that none
 * sends a call that nobody reads any more. */
void links_tell(struct daemon *daemon);
void links_await(struct daemon *daemon);

/* ---- ask.c: of the call that this thread runs ---- */

void link_set_current(struct job *job); /* NULL: none */
/* As gbx_runtime_config has it.  False: it is nobody's here. */
bool link_print(int stream, const void *text, size_t bytes);
int link_ask(void *context, const char *name,
             const struct gbx_message *arguments, struct gbx_builder *answer,
             struct gbx_error *err);
/* An ANSWER has come.  The body is taken. */
void link_answer(struct link *link, const struct frame *frame, uint8_t *body);
/* One that was too long: its call fails. */
void link_answer_too_long(struct link *link, uint32_t number);

#endif
