/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - WebSockets: whole messages in, whole messages out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/body/append.h"
#include "net/private.h"

static struct peer *peer_of(struct lws *wsi)
{
    struct peer *peer = lws_get_opaque_user_data(wsi);

    return peer != NULL && peer->kind == NET_PEER ? peer : NULL;
}

static struct peer *hidden(struct net_peer *shown)
{
    return (struct peer *)((char *)shown - offsetof(struct peer, shown));
}

struct net_peer *net_peer_get(struct net_peer *shown)
{
    atomic_fetch_add(&hidden(shown)->holders, 1);
    return shown;
}

/* With the lock, or with nobody else. */
static void drop_out(struct peer *peer)
{
    struct outgoing *out;

    while ((out = STAILQ_FIRST(&peer->out)) != NULL) {
        STAILQ_REMOVE_HEAD(&peer->out, next);
        atomic_fetch_sub(&peer->server->unsent, 1);
        outgoing_drop(out);
    }
    peer->queued = peer->reserved = 0;
}

void net_peer_put(struct net_peer *shown)
{
    struct peer *peer = hidden(shown);

    if (atomic_fetch_sub(&peer->holders, 1) > 1)
        return;
    drop_out(peer);
    free(peer->in);
    free(peer);
}

/* ---- out ---- */

static int enqueue(struct peer *peer, struct outgoing *out)
{
    struct net_server *server = peer->server;
    int rc = 0;

    pthread_mutex_lock(&server->lock);
    if (peer->is_gone || peer->is_dropped) {
        rc = GBX_ECANCELED;
    } else if (!out->is_reserved &&
               net_is_too_much(server, peer->queued, out->bytes)) {
        rc = GBX_ELIMIT;
        peer->is_dropped = true;
    } else {
        STAILQ_INSERT_TAIL(&peer->out, out, next);
        atomic_fetch_add(&server->unsent, 1);
        if (!out->is_reserved)
            peer->queued += out->bytes;
        out = NULL;
    }
    if (rc != GBX_ECANCELED && !peer->is_ready) {
        peer->is_ready = true;
        net_peer_get(&peer->shown);
        STAILQ_INSERT_TAIL(&server->ready, peer, next);
    }
    pthread_mutex_unlock(&server->lock);
    outgoing_drop(out);
    if (rc != GBX_ECANCELED)
        net_wake(server);
    return rc;
}

int net_send(struct net_peer *shown, bool is_text, const void *data,
             size_t bytes)
{
    struct outgoing *out = outgoing_new(data, bytes);

    if (out == NULL)
        return GBX_EHOST;
    out->is_text = is_text;
    return enqueue(hidden(shown), out);
}

int net_reserve(struct net_peer *shown, size_t bytes)
{
    struct peer *peer = hidden(shown);
    struct net_server *server = peer->server;
    int rc = 0;

    pthread_mutex_lock(&server->lock);
    if (peer->is_gone || peer->is_dropped) {
        rc = GBX_ECANCELED;
    } else if (net_is_too_much(server, peer->reserved, bytes)) {
        rc = GBX_EAGAIN;
        peer->wants_room = true;
    } else {
        peer->reserved += bytes;
    }
    pthread_mutex_unlock(&server->lock);
    return rc;
}

void net_unreserve(struct net_peer *shown, size_t bytes)
{
    struct peer *peer = hidden(shown);
    struct net_server *server = peer->server;

    pthread_mutex_lock(&server->lock);
    if (!peer->is_gone)
        peer->reserved -= bytes;
    pthread_mutex_unlock(&server->lock);
}

int net_send_lent(struct net_peer *shown, const void *head, size_t head_bytes,
                  const void *data, size_t bytes,
                  void (*release)(void *context, bool has_begun), void *context)
{
    struct outgoing *out = outgoing_new(head, head_bytes);

    if (out == NULL) {
        net_unreserve(shown, head_bytes + bytes);
        release(context, false);
        return GBX_EHOST;
    }
    out->is_reserved = true;
    out->bytes += bytes;
    out->lent = data;
    out->release = release;
    out->context = context;
    return enqueue(hidden(shown), out);
}

void net_socket_ready(struct net_server *server)
{
    struct peer *peer;

    for (;;) {
        pthread_mutex_lock(&server->lock);
        peer = STAILQ_FIRST(&server->ready);
        if (peer != NULL) {
            STAILQ_REMOVE_HEAD(&server->ready, next);
            peer->is_ready = false;
        }
        pthread_mutex_unlock(&server->lock);
        if (peer == NULL)
            return;
        if (peer->wsi != NULL)
            lws_callback_on_writable(peer->wsi);
        net_peer_put(&peer->shown);
    }
}

/* Returns whether somebody waits for that. */
static bool count_written_locked(struct peer *peer, struct outgoing *out,
                                 size_t bytes)
{
    bool wants_room;

    peer->server->counts.bytes_out += bytes;
    if (out->is_reserved)
        peer->reserved -= bytes;
    else
        peer->queued -= bytes;
    if (outgoing_is_done(out)) {
        STAILQ_REMOVE_HEAD(&peer->out, next);
        atomic_fetch_sub(&peer->server->unsent, 1);
    }
    wants_room = out->is_reserved && peer->wants_room;
    if (wants_room)
        peer->wants_room = false;
    return wants_room;
}

static int write_some(struct peer *peer)
{
    struct net_server *server = peer->server;
    struct outgoing *out;
    uint8_t *from;
    size_t bytes;
    bool has_more, wants_room;

    pthread_mutex_lock(&server->lock);
    out = peer->is_dropped ? NULL : STAILQ_FIRST(&peer->out);
    pthread_mutex_unlock(&server->lock);
    if (out == NULL)
        return peer->is_dropped ? -1 : 0;
    from = outgoing_next(out, &server->piece, &bytes);
    if (outgoing_write(out, peer->wsi, from, bytes) < 0)
        return -1;
    pthread_mutex_lock(&server->lock);
    wants_room = count_written_locked(peer, out, bytes);
    has_more = !STAILQ_EMPTY(&peer->out);
    pthread_mutex_unlock(&server->lock);
    if (outgoing_is_done(out))
        outgoing_drop(out);
    if (wants_room && server->config.handler->room != NULL)
        server->config.handler->room(server->config.context, &peer->shown);
    if (has_more)
        lws_callback_on_writable(peer->wsi);
    return 0;
}

/* ---- in ---- */

/* In HTTP/1.1, since there are clients that read nothing else. */
static void refuse(struct lws *wsi, int status)
{
    uint8_t buffer[LWS_PRE + 128];
    int bytes = snprintf((char *)buffer + LWS_PRE, sizeof(buffer) - LWS_PRE,
                         "HTTP/1.1 %d %s\r\ncontent-length: 0\r\n"
                         "connection: close\r\n\r\n",
                         status,
                         status == 401   ? "Unauthorized"
                         : status == 503 ? "Service Unavailable"
                                         : "Forbidden");

    lws_write(wsi, buffer + LWS_PRE, (size_t)bytes, LWS_WRITE_HTTP_HEADERS);
}

/* Returns 0: it may come in. */
static int knock(struct net_server *server, struct lws *wsi)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    int status;

    if (peer == NULL)
        return -1;
    peer->kind = NET_PEER;
    peer->server = server;
    peer->wsi = wsi;
    atomic_init(&peer->holders, 1);
    STAILQ_INIT(&peer->out);
    peer->shown = (struct net_peer){.path = peer->path,
                                    .token = peer->token,
                                    .host = peer->host,
                                    .origin = peer->origin};
    lws_set_opaque_user_data(wsi, peer);
    if (lws_hdr_copy(wsi, peer->path, sizeof(peer->path), WSI_TOKEN_GET_URI) <
        0)
        return -1;
    net_headers(wsi, peer->token, peer->host, peer->origin);
    status =
        server->config.handler->enters(server->config.context, &peer->shown);
    peer->is_let = status == 0;
    if (status == 0)
        return 0;
    refuse(wsi, status);
    return -1;
}

/* Too long, or nonsense. */
static int dismiss(struct peer *peer, enum lws_close_status status,
                   const char *why)
{
    lws_close_reason(peer->wsi, status, (unsigned char *)(uintptr_t)why,
                     strlen(why));
    return -1;
}

static void count_message(struct net_server *server, size_t bytes)
{
    pthread_mutex_lock(&server->lock);
    server->counts.messages++;
    server->counts.bytes_in += bytes;
    pthread_mutex_unlock(&server->lock);
}

static int receive_piece(struct peer *peer, const void *data, size_t bytes,
                         bool is_last)
{
    struct net_server *server = peer->server;
    int rc;

    peer->in_bytes += bytes;
    rc = server->config.handler->piece(server->config.context, &peer->shown,
                                       data, bytes, is_last);
    if (rc < 0)
        return rc == GBX_ELIMIT
                   ? dismiss(peer, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
                             "the message is too long")
                   : dismiss(peer, LWS_CLOSE_STATUS_PROTOCOL_ERR,
                             "no frame of this protocol");
    if (is_last) {
        count_message(server, peer->in_bytes);
        peer->in_bytes = 0;
    }
    return 0;
}

static int receive_whole(struct peer *peer, const void *data, size_t bytes,
                         bool is_last)
{
    struct net_server *server = peer->server;
    void *message;
    size_t count;
    int rc = net_append(&peer->in, &peer->in_bytes, &peer->in_room,
                        server->config.bytes_max, data, bytes);

    if (rc < 0)
        return dismiss(peer, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
                       "the message is too long");
    if (!is_last)
        return 0;
    message = peer->in;
    count = peer->in_bytes;
    peer->in = NULL;
    peer->in_bytes = peer->in_room = 0;
    count_message(server, count);
    server->config.handler->message(server->config.context, &peer->shown,
                                    peer->is_text, message, count);
    return 0;
}

static int receive(struct peer *peer, const void *data, size_t bytes)
{
    const bool is_last = lws_is_final_fragment(peer->wsi) &&
                         lws_remaining_packet_payload(peer->wsi) == 0;

    if (lws_is_first_fragment(peer->wsi))
        peer->is_text = lws_frame_is_binary(peer->wsi) == 0;
    return !peer->is_text && peer->server->config.handler->piece != NULL
               ? receive_piece(peer, data, bytes, is_last)
               : receive_whole(peer, data, bytes, is_last);
}

static void count(struct net_server *server, int by)
{
    pthread_mutex_lock(&server->lock);
    server->counts.peers += (uint32_t)by;
    pthread_mutex_unlock(&server->lock);
}

static void lose(struct peer *peer)
{
    struct net_server *server = peer->server;

    lws_set_opaque_user_data(peer->wsi, NULL);
    pthread_mutex_lock(&server->lock);
    peer->is_gone = true;
    drop_out(peer);
    pthread_mutex_unlock(&server->lock);
    peer->wsi = NULL;
    if (peer->is_in) {
        LIST_REMOVE(peer, other);
        count(server, -1);
    }
    if (peer->is_let && server->config.handler->leaves != NULL)
        server->config.handler->leaves(server->config.context, &peer->shown);
    net_peer_put(&peer->shown);
}

void net_socket_look(struct net_server *server)
{
    const struct net_handler *handler = server->config.handler;
    struct peer *peer, *next;

    if (handler->waits == NULL)
        return;
    for (peer = LIST_FIRST(&server->peers); peer != NULL; peer = next) {
        next = LIST_NEXT(peer, other); /* it may be gone in a moment */
        if (peer->in_bytes > 0 && !peer->is_text &&
            !handler->waits(server->config.context, &peer->shown))
            lws_set_timeout(peer->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT,
                            LWS_TO_KILL_SYNC);
    }
}

int net_socket(struct net_server *server, struct lws *wsi,
               enum lws_callback_reasons reason, void *in, size_t bytes)
{
    struct peer *peer = peer_of(wsi);

    if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION)
        return knock(server, wsi);
    if (peer == NULL)
        return 0;
    switch ((int)reason) {
    case LWS_CALLBACK_ESTABLISHED:
        peer->is_in = true;
        LIST_INSERT_HEAD(&server->peers, peer, other);
        count(server, 1);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(peer, in, bytes);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_some(peer);
    default: /* it is closed */
        lose(peer);
        return 0;
    }
}
