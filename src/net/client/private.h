/* SPDX-License-Identifier: Apache-2.0 */
/* private.h - what the files of net/client/ share. */
#ifndef NET_CLIENT_PRIVATE_H
#define NET_CLIENT_PRIVATE_H

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "net/client/client.h"
#include "net/client/ws.h"
#include "net/outgoing.h"

#define TOKEN_MAX 1024u

/* Of a connection whose WebSocket is ours (raw.c); the client's thread. */
struct raw {
    char key[WS_KEY_BYTES];
    bool has_asked, is_open;
    char reply[4096];
    size_t reply_bytes;
    struct ws_reader reader;
    uint8_t pong[WS_CONTROL_MAX];
    size_t pong_bytes;
    bool wants_pong;
};

struct net_host {
    LIST_ENTRY(net_host) next;
    struct net_client *client;
    const struct net_host_handler *handler;
    void *context;
    char *url, *parts, *path; /* owned */
    char *token, *ca_path;    /* owned, or NULL */
    const char *address;      /* in parts */
    int port;
    uint32_t connect_seconds;
    bool is_tls;
    struct lws_vhost *vhost;
    struct lws *wsi; /* the client's thread; NULL: down */
    bool has_come;   /* the same: up was told */
    bool speaks_frames;
    struct raw raw;

    /* With the client's lock: */
    struct outgoing_queue out;
    bool is_up, wants_connect, wants_cut, has_more;
};

struct net_client {
    struct net_client_config config;
    struct lws_context *lws;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_over, wants_tick;
    lws_sorted_usec_list_t sul;
    pthread_mutex_t lock;        /* of what hosts have to send */
    LIST_HEAD(, net_host) hosts; /* all of them before it is started */
    struct outgoing_piece piece; /* the client's thread */
    uint8_t raw[WS_HEAD_MAX + PIECE_BYTES]; /* the same */
};

/* wire.c: libwebsockets' reasons. */
extern const struct lws_protocols wire_protocols[];
/* Of one that is down: it will be up, or down again. */
void wire_connect(struct net_host *host);
/* What waits to be sent never will be. */
void wire_drop(struct net_host *host);
void wire_come(struct net_host *host, struct lws *wsi);
void wire_lose(struct net_host *host, const char *why);
/* What an HTTP status in place of 101 means; 0: none came, and what is told
 * then. */
void wire_explain(int status, const char *told, char text[160]);
/* The next piece of what waits.  Returns 0, or -1: the connection is gone. */
typedef int wire_piece_fn(struct net_host *host, struct lws *wsi,
                          struct outgoing *out, const uint8_t *from,
                          size_t bytes);
int wire_write(struct net_host *host, struct lws *wsi, wire_piece_fn *write);

/* raw.c: libwebsockets' reasons of connections without TLS. */
extern const struct lws_protocols raw_protocols[];
#define RAW_PROTOCOL "raw"

#endif
