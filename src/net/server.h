/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - HTTP requests and WebSockets of one address.
 *
 *  net_server_open(&server, &config, &err);
 *  net_server_run(server);          in a thread of its own, until it is stopped
 *  net_server_close(server);
 *
 * It knows bytes and headers, and no policy: who may do what, and what that is,
 * is its handler's.  TLS and the protocols are libwebsockets'.
 *
 * Threads: the handler is called in the thread of net_server_run, and must not
 *          wait there.  net_reply, net_go_on, net_send, net_reserve,
 * net_send_lent, net_peer_put, net_server_stop and net_server_drain: any.
 * Memory:  a request's body and a peer's message are whole before the handler
 *          gets them, and bounded by the config.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

struct net_server;

#define NET_LATER 1 /* of `take` */

/* What a client asked for.  The handler's, until net_reply has taken it. */
struct net_request {
    const char *method, *path; /* "GET", "/v1/run" */
    const char *query;         /* behind the "?", or "" */
    const char *token;         /* Authorization: Bearer, or "" */
    const char *host, *origin; /* these headers, or "" */
    const char *type;          /* of the body, or "" */
    const char *accept;        /* what it wants to have, or "" */
    void *body; /* ends with a zero that is not counted; NULL: it was taken */
    size_t bytes;
    void *context; /* the handler's */
};

/* A WebSocket.  Counted: who keeps one gets it. */
struct net_peer {
    const char *path, *token, *host, *origin; /* as of a request */
    void *context;                            /* the handler's */
};

struct net_handler {
    /* A head has come, and so many bytes will.  Returns 0; or the HTTP status
     * that refuses them.  *is_taken: they are given to `take` as they come,
     * whatever bytes_max says.  NULL: they are always gathered. */
    int (*head)(void *context, struct net_request *request, uint64_t bytes,
                bool *is_taken);
    /* Some of them.  Returns 0; NET_LATER: there will be no more of them, and
     * no request, before net_go_on; or the HTTP status that ends it. */
    int (*take)(void *context, struct net_request *request, const void *data,
                size_t bytes);
    /* What was taken does not come whole, and there will be no request. */
    void (*lost)(void *context, struct net_request *request);
    /* All of it has come. */
    void (*request)(void *context, struct net_request *request);
    /* The client has gone away; the request is still to be replied to.  NULL:
     * nobody minds. */
    void (*gone)(void *context, struct net_request *request);
    /* A WebSocket asks to be let in.  Returns 0, or the HTTP status. */
    int (*enters)(void *context, struct net_peer *peer);
    /* A whole message; data is the handler's to free. */
    void (*message)(void *context, struct net_peer *peer, bool is_text,
                    void *data, size_t bytes);
    /* Of a binary message: as much as has come, and no bytes_max is looked at:
     * how long it may be is the handler's.  NULL: it comes whole, too.
     * Returns 0; or the peer is closed: GBX_EFORMAT, what it says makes no
     * sense; GBX_ELIMIT, it will be too long. */
    int (*piece)(void *context, struct net_peer *peer, const void *data,
                 size_t bytes, bool is_last);
    void (*leaves)(void *context, struct net_peer *peer); /* or NULL */
    /* Each second, while a message for piece has begun and not ended.  False:
     * it is not waited for any longer, and the peer is closed.  NULL: none. */
    bool (*waits)(void *context, struct net_peer *peer);
    /* net_reserve has refused: it is worth another try.  NULL: nobody does. */
    void (*room)(void *context, struct net_peer *peer);
};

/* Zero in any field means the default. */
struct net_config {
    const char *address;              /* "127.0.0.1" */
    uint16_t port;                    /* any that is free */
    int listener;                     /* a socket that listens: borrowed */
    const char *cert_path, *key_path; /* PEM; both: TLS */
    uint32_t connections_max;         /* 10,000 */
    uint64_t bytes_max;               /* of a body or message: 64 MiB */
    uint64_t queued_max;              /* sent, and not read by a peer: 64 MiB */
    uint32_t header_seconds;          /* to say what one wants: 10 */
    uint32_t idle_seconds;            /* between requests: 60 */
    uint32_t ping_seconds;            /* a silent WebSocket is asked: 30 */
    const struct net_handler *handler;
    void *context;
};

/* What has happened so far. */
struct net_counts {
    uint64_t connections, requests, messages, refused, bytes_in, bytes_out;
    uint32_t open, peers;
};

/* Returns 0 and a server; GBX_EHOST (the address is in use, ...),
 * GBX_EARGUMENT, GBX_EFILE (a certificate). */
int net_server_open(struct net_server **server, const struct net_config *config,
                    struct gbx_error *err);
uint16_t net_server_port(const struct net_server *server);

/* Until it is stopped; what is open then is closed. */
void net_server_run(struct net_server *server);
/* Also from a signal's handler. */
void net_server_stop(struct net_server *server);
/* From now on nobody is let in. */
void net_server_drain(struct net_server *server);
/* After run has returned, and all requests are replied to.  NULL is allowed. */
void net_server_close(struct net_server *server);
struct net_counts net_server_counts(struct net_server *server);

/*
 * Answer it, and give it away.  type: of the body; NULL: there is none.  The
 * body is taken: malloc's, or NULL.
 */
void net_reply(struct net_request *request, int status, const char *type,
               void *body, size_t bytes);
/* Before that: with these headers, too; the last has no name.  A name is lower
 * case and ends with a colon.  Borrowed for as long as the server is there. */
struct net_header {
    const char *name, *value;
};
void net_reply_headers(struct net_request *request,
                       const struct net_header *headers);
bool net_is_gone(const struct net_request *request);
/* After NET_LATER, once, unless it is lost meanwhile: that is the handler's to
 * see to. */
void net_go_on(struct net_request *request);

/*
 * A reply that goes on, with status 200: pieces are sent as they are pushed,
 * which copies them, as type is.  `end`, once, gives the request away, also
 * when the client is gone.  push returns as net_send.
 */
void net_stream(struct net_request *request, const char *type);
int net_push(struct net_request *request, const void *data, size_t bytes);
void net_stream_end(struct net_request *request);

struct net_peer *net_peer_get(struct net_peer *peer);
void net_peer_put(struct net_peer *peer);

/*
 * Send a message; data is copied.  Returns 0; GBX_ECANCELED: it is gone;
 * GBX_ELIMIT: it does not read what it is sent, and is closed; GBX_EHOST.
 */
int net_send(struct net_peer *peer, bool is_text, const void *data,
             size_t bytes);

/*
 * Room for a message of so many bytes, beside what net_send has queued: for who
 * can wait until a slow peer has read what it was sent before.  Returns 0: it
 * is to be sent by net_send_lent, which gives the room back in any case;
 * GBX_EAGAIN: not now, and the handler's room is called when there may be more;
 * GBX_ECANCELED: it is gone.
 */
int net_reserve(struct net_peer *peer, size_t bytes);
/* There will be no message. */
void net_unreserve(struct net_peer *peer, size_t bytes);

/*
 * A binary message, for which there is room: a head, which is copied, and data,
 * which is not.  release is called with its context when the data is needed no
 * more, whatever becomes of it, once, in any thread; has_begun: some of it may
 * have been sent.  Returns 0, GBX_ECANCELED or GBX_EHOST.
 */
int net_send_lent(struct net_peer *peer, const void *head, size_t head_bytes,
                  const void *data, size_t bytes,
                  void (*release)(void *context, bool has_begun),
                  void *context);

#endif
