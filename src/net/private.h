/* SPDX-License-Identifier: Apache-2.0 */
/* private.h - what the files of net/ share. */
#ifndef NET_PRIVATE_H
#define NET_PRIVATE_H

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "net/outgoing.h"
#include "net/server.h"

#define TOKEN_BYTES 1024u
#define HOST_BYTES  300u

/* A connection's object; the wsi has it as its opaque user data. */
enum net_kind { NET_REQUEST, NET_PEER };

struct request {
    enum net_kind kind;
    struct net_request shown; /* what the handler has */
    struct net_server *server;
    struct lws *wsi; /* the server's thread; NULL: gone */
    atomic_bool is_gone;
    bool is_given;               /* to the handler */
    bool is_waiting;             /* in the server's list */
    bool is_cut;                 /* the connection ends with the reply */
    int refused;                 /* with this status, once its body has come */
    size_t room, expected, came; /* of the body */
    bool is_taken;               /* the handler has what came of it */
    bool is_paused, is_whole;    /* until net_go_on; no more will come */
    uint64_t begun_ns, paused_ns;
    int status;
    const char *type;                 /* of the reply */
    const struct net_header *headers; /* more of them, or NULL */
    uint8_t *out;                     /* owned: LWS_PRE bytes, and the reply */
    size_t out_bytes, out_at;
    bool has_headers;           /* they have been sent */
    STAILQ_ENTRY(request) next; /* of those that are ready */
    char path[1024], query[1024], token[TOKEN_BYTES], media[256], accept[256];
    char host[HOST_BYTES], origin[HOST_BYTES];
    LIST_ENTRY(request) other; /* the server's thread: of those that wait */
    bool is_replied;           /* with the server's lock, as these: */

    /* A reply that goes on: */
    bool is_stream, is_ended, is_listed, is_dropped;
    char its_type[128];
    struct outgoing_queue pieces;
    uint64_t queued;
};

struct peer {
    enum net_kind kind;
    struct net_peer shown;
    struct net_server *server;
    atomic_uint holders;
    struct lws *wsi; /* the server's thread; NULL: gone */
    bool is_let;     /* the handler has let it in */
    bool is_in;      /* and it is */
    uint8_t *in;     /* a message that comes */
    size_t in_bytes, in_room;
    bool is_text;
    LIST_ENTRY(peer) other; /* the server's thread: of those that are in */

    /* With the server's lock: */
    struct outgoing_queue out;
    uint64_t queued;   /* bytes that are not written yet: of net_send, and */
    uint64_t reserved; /* of those whose room was reserved */
    bool wants_room;   /* and somebody found none */
    bool is_gone, is_dropped, is_ready;
    STAILQ_ENTRY(peer) next; /* of those that are ready */

    char path[1024], token[TOKEN_BYTES];
    char host[HOST_BYTES], origin[HOST_BYTES];
};

struct net_server {
    struct net_config config;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    uv_loop_t loop; /* libwebsockets' own asks each descriptor, each time */
    bool has_loop;
    uv_timer_t timer;             /* looks whether clients are still there */
    LIST_HEAD(, request) waiting; /* for their handler */
    LIST_HEAD(, peer) peers;      /* that are in */
    void *counted;                /* tsearch's: connections, by their wsi */
    lws_retry_bo_t retry;
    int listener; /* owned until libwebsockets has it */
    uint16_t port;
    atomic_bool is_stopped, is_draining;
    atomic_int unsent; /* replies and messages that are not on their way yet */
    pthread_mutex_t lock; /* of what is ready, and of the counts */
    STAILQ_HEAD(, request) replied;
    STAILQ_HEAD(, peer) ready;
    struct net_counts counts;
    struct outgoing_piece piece;
};

/* Behind what its handler has. */
static inline struct request *net_request_of(struct net_request *shown)
{
    return (struct request *)((char *)shown - offsetof(struct request, shown));
}

/* Of `queued` bytes, with the server's lock: so many more are too much.  One
 * message of any size is let through. */
static inline bool net_is_too_much(const struct net_server *server,
                                   uint64_t queued, size_t bytes)
{
    return queued > 0 && (queued >= server->config.queued_max ||
                          bytes > server->config.queued_max - queued);
}

/* http.c: libwebsockets' reasons about requests.  Return what its callback
 * does. */
int net_http(struct net_server *server, struct lws *wsi,
             enum lws_callback_reasons reason, void *in, size_t bytes);
/* Those that have been replied to since; the lock is not held. */
void net_http_ready(struct net_server *server);

/* Of those that wait: clients that have gone meanwhile. */
void net_http_look(struct net_server *server);

/* Until its handler says more, it is looked whether its client is there. */
void net_await(struct request *r);
void net_wait_no_more(struct request *r);

/* take.c: bodies that their handler takes as they come. */
/* Does it?  Returns the status that refuses it, or `status`. */
int net_take_head(struct request *r, int status);
/* Some of it.  Returns 0, or the status that ends it. */
int net_take(struct request *r, const void *data, size_t bytes);
/* After net_go_on.  True: it is whole. */
bool net_take_on(struct request *r);
/* What the handler has does not come whole. */
void net_take_lose(struct request *r);

/* socket.c: the same of WebSockets. */
int net_socket(struct net_server *server, struct lws *wsi,
               enum lws_callback_reasons reason, void *in, size_t bytes);
void net_socket_ready(struct net_server *server);
/* Those that are in the middle of what they say. */
void net_socket_look(struct net_server *server);

/* The token of an Authorization header, and these headers; "" where there is
 * none. */
void net_headers(struct lws *wsi, char token[TOKEN_BYTES],
                 char host[HOST_BYTES], char origin[HOST_BYTES]);

/* The server's thread looks at what is ready. */
void net_wake(struct net_server *server);

#endif
