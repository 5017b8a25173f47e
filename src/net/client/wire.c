/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - a host's connection: how it comes and goes, and what it carries. */
#include <stdio.h>
#include <string.h>

#include "net/client/private.h"
#include "net/frame.h"

static const lws_retry_bo_t retry = {.secs_since_valid_ping = 20,
                                     .secs_since_valid_hangup = 30};

/* ---- a connection goes ---- */

void wire_drop(struct net_host *host)
{
    struct outgoing *out;

    pthread_mutex_lock(&host->client->lock);
    host->is_up = host->wants_cut = host->has_more = false;
    while ((out = STAILQ_FIRST(&host->out)) != NULL) {
        STAILQ_REMOVE_HEAD(&host->out, next);
        outgoing_drop(out);
    }
    pthread_mutex_unlock(&host->client->lock);
}

void wire_lose(struct net_host *host, const char *why)
{
    if (host->wsi == NULL)
        return;
    host->wsi = NULL;
    wire_drop(host);
    host->handler->down(host->context, why);
}

void wire_explain(int status, const char *told, char text[160])
{
    if (status == 401 || status == 403)
        snprintf(text, 160, "it refuses the token (HTTP %d)", status);
    else if (status == 503)
        snprintf(text, 160, "it is full, or ends (HTTP 503)");
    else if (status > 0 && status != 101)
        snprintf(text, 160, "it is no WebSocket server: HTTP %d", status);
    else
        snprintf(text, 160, "%s", told != NULL ? told : "it does not answer");
}

/* ---- a connection comes ---- */

void wire_connect(struct net_host *host)
{
    struct lws *wsi = NULL;
    const struct lws_client_connect_info info = {
        .context = host->client->lws,
        .vhost = host->vhost,
        .address = host->address,
        .host = host->address,
        .port = host->port,
        .path = host->path,
        .method = host->is_tls ? NULL : "RAW",
        .protocol = host->is_tls ? FRAME_SUBPROTOCOL : NULL,
        .local_protocol_name = host->is_tls ? FRAME_SUBPROTOCOL : RAW_PROTOCOL,
        .ssl_connection = host->is_tls ? LCCSCF_USE_SSL : 0,
        .opaque_user_data = host,
        .retry_and_idle_policy = &retry,
        .pwsi = &wsi,
    };

    /* Where it fails at once, the callback may have said so already. */
    host->has_come = false;
    host->wsi = (struct lws *)host; /* until there is one */
    if (lws_client_connect_via_info(&info) == NULL)
        wire_lose(host, "it cannot be connected to");
    else if (host->wsi != NULL)
        host->wsi = wsi;
}

static int authorize(struct net_host *host, struct lws *wsi, uint8_t **at,
                     size_t room)
{
    char text[TOKEN_MAX + 8];
    int bytes;

    if (host->token == NULL)
        return 0;
    bytes = snprintf(text, sizeof(text), "Bearer %s", host->token);
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        (unsigned char *)text, bytes, at,
                                        *at + room) != 0
               ? -1
               : 0;
}

void wire_come(struct net_host *host, struct lws *wsi)
{
    host->wsi = wsi;
    host->has_come = true;
    pthread_mutex_lock(&host->client->lock);
    host->is_up = true;
    pthread_mutex_unlock(&host->client->lock);
    host->handler->up(host->context, host->speaks_frames);
}

/* ---- messages ---- */

static int receive(struct net_host *host, const void *data, size_t bytes)
{
    const bool is_last = lws_is_final_fragment(host->wsi) &&
                         lws_remaining_packet_payload(host->wsi) == 0;

    return host->handler->piece(host->context,
                                lws_frame_is_binary(host->wsi) == 0, data,
                                bytes, is_last) < 0
               ? -1
               : 0;
}

/* What is lent may be taken back meanwhile (keep): so a piece is taken with the
 * lock, and written without. */
int wire_write(struct net_host *host, struct lws *wsi, wire_piece_fn *write)
{
    struct net_client *client = host->client;
    struct outgoing *out;
    uint8_t *from = NULL;
    size_t bytes = 0;
    bool has_more;

    pthread_mutex_lock(&client->lock);
    out = host->wants_cut ? NULL : STAILQ_FIRST(&host->out);
    if (out != NULL)
        from = outgoing_next(out, &client->piece, &bytes);
    pthread_mutex_unlock(&client->lock);
    if (out == NULL)
        return 0;
    if (write(host, wsi, out, from, bytes) < 0)
        return -1;
    if (host->handler->wrote != NULL && !outgoing_is_done(out))
        host->handler->wrote(host->context);
    pthread_mutex_lock(&client->lock);
    if (outgoing_is_done(out)) {
        STAILQ_REMOVE_HEAD(&host->out, next);
        outgoing_drop(out);
    }
    has_more = !STAILQ_EMPTY(&host->out);
    pthread_mutex_unlock(&client->lock);
    if (has_more)
        lws_callback_on_writable(wsi);
    return 0;
}

static int write_piece(struct net_host *host, struct lws *wsi,
                       struct outgoing *out, const uint8_t *from, size_t bytes)
{
    (void)host;
    return outgoing_write(out, wsi, (uint8_t *)(uintptr_t)from, bytes);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes)
{
    struct net_host *host = lws_get_opaque_user_data(wsi);
    char text[160];

    (void)user;
    if (host == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return authorize(host, wsi, in, bytes);
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        host->speaks_frames = lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0;
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        wire_come(host, wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(host, in, bytes);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return wire_write(host, wsi, write_piece);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        wire_explain((int)lws_http_client_http_response(wsi), in, text);
        wire_lose(host, text);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        wire_lose(host, "the connection is closed");
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        wire_lose(host, "the connection is gone");
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols wire_protocols[] = {{.name = FRAME_SUBPROTOCOL,
                                                .callback = callback,
                                                .rx_buffer_size = PIECE_BYTES},
                                               {0}};
