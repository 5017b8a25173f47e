/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - a connection without TLS: libwebsockets has the socket, and the
 * WebSocket on it is ws.c's, which is some times as fast.
 */
#include <stdio.h>
#include <string.h>

#include "net/client/private.h"
#include "net/frame.h"

static void draw(struct net_host *host, void *to, size_t bytes)
{
    if (lws_get_random(host->client->lws, to, bytes) != bytes)
        memset(to, 0x5a, bytes); /* it is for the network's sake, not ours */
}

/* ---- the handshake ---- */

/* What a server answers to this key. */
static void find_accept(const char *key, char accept[40])
{
    unsigned char text[80], digest[20];
    const int bytes = snprintf((char *)text, sizeof(text), "%s%s", key,
                               "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");

    lws_SHA1(text, (size_t)bytes, digest);
    lws_b64_encode_string((const char *)digest, sizeof(digest), accept, 40);
}

static int send_hello(struct net_host *host, struct lws *wsi)
{
    struct raw *raw = &host->raw;
    char text[TOKEN_MAX + 2048], chance[16];
    const bool has_token = host->token != NULL;
    int bytes;

    draw(host, chance, sizeof(chance));
    lws_b64_encode_string(chance, sizeof(chance), raw->key, sizeof(raw->key));
    bytes = snprintf(text, sizeof(text),
                     "GET %s HTTP/1.1\r\n"
                     "Host: %s:%d\r\n"
                     "Upgrade: websocket\r\n"
                     "Connection: Upgrade\r\n"
                     "Sec-WebSocket-Key: %s\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: " FRAME_SUBPROTOCOL "\r\n"
                     "%s%s%s\r\n",
                     host->path, host->address, host->port, raw->key,
                     has_token ? "Authorization: Bearer " : "",
                     has_token ? host->token : "", has_token ? "\r\n" : "");
    raw->has_asked = true;
    return bytes < (int)sizeof(text) &&
                   lws_write(wsi, (unsigned char *)text, (size_t)bytes,
                             LWS_WRITE_RAW) == bytes
               ? 0
               : -1;
}

static int fail_hello(struct net_host *host, int status)
{
    char text[160];

    wire_explain(status, "it does not answer as a WebSocket server", text);
    wire_lose(host, text);
    return -1;
}

/* Returns 0: more has to come; 1: it is open, from *data on; or -1. */
static int hear_hello(struct net_host *host, struct lws *wsi,
                      const uint8_t **data, size_t *bytes)
{
    struct raw *raw = &host->raw;
    bool has_protocol;
    char accept[40];
    int status;

    while (*bytes > 0) {
        if (raw->reply_bytes == sizeof(raw->reply) - 1)
            return fail_hello(host, 0);
        raw->reply[raw->reply_bytes++] = (char)*(*data)++;
        (*bytes)--;
        raw->reply[raw->reply_bytes] = '\0';
        if (raw->reply_bytes < 4 ||
            memcmp(raw->reply + raw->reply_bytes - 4, "\r\n\r\n", 4) != 0)
            continue;
        find_accept(raw->key, accept);
        status = strlen(raw->reply) == raw->reply_bytes
                     ? ws_read_reply(raw->reply, accept, &has_protocol)
                     : 0;
        if (status != 101)
            return fail_hello(host, status);
        raw->is_open = true;
        host->speaks_frames = has_protocol;
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
        wire_come(host, wsi);
        return 1;
    }
    return 0;
}

/* ---- messages ---- */

static int hear_control(struct net_host *host, struct lws *wsi,
                        const struct ws_part *part)
{
    struct raw *raw = &host->raw;

    if (part->op == WS_CLOSE) {
        wire_lose(host, "the server has closed the connection");
        return -1;
    }
    if (part->op != WS_PING)
        return 0;
    memcpy(raw->pong, part->data, part->bytes);
    raw->pong_bytes = part->bytes;
    raw->wants_pong = true;
    lws_callback_on_writable(wsi);
    return 0;
}

static int hear(struct net_host *host, struct lws *wsi, const void *in,
                size_t bytes)
{
    const uint8_t *data = in;
    struct ws_part part;
    int rc = host->raw.is_open ? 1 : hear_hello(host, wsi, &data, &bytes);

    if (rc <= 0)
        return rc;
    while ((rc = ws_read(&host->raw.reader, &data, &bytes, &part)) > 0) {
        rc = part.op >= WS_CLOSE
                 ? hear_control(host, wsi, &part)
                 : host->handler->piece(host->context, part.op == WS_TEXT,
                                        part.data, part.bytes, part.is_last);
        if (rc < 0)
            return -1;
    }
    return rc;
}

static int write_pong(struct net_host *host, struct lws *wsi)
{
    struct raw *raw = &host->raw;
    uint8_t *to = host->client->raw, mask[WS_MASK_BYTES];
    size_t bytes;

    draw(host, mask, sizeof(mask));
    bytes = ws_write_head(to, WS_PONG, true, raw->pong_bytes, mask);
    ws_mask(to + bytes, raw->pong, raw->pong_bytes, mask);
    bytes += raw->pong_bytes;
    raw->wants_pong = false;
    return lws_write(wsi, to, bytes, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

/* As much as goes at once is a WebSocket frame of its own. */
static int write_piece(struct net_host *host, struct lws *wsi,
                       struct outgoing *out, const uint8_t *from, size_t bytes)
{
    uint8_t *to = host->client->raw, mask[WS_MASK_BYTES];
    const enum ws_op op = out->at > 0    ? WS_CONTINUATION
                          : out->is_text ? WS_TEXT
                                         : WS_BINARY;
    size_t head;

    draw(host, mask, sizeof(mask));
    head = ws_write_head(to, op, out->at + bytes == out->bytes, bytes, mask);
    ws_mask(to + head, from, bytes, mask);
    if (lws_write(wsi, to, head + bytes, LWS_WRITE_RAW) < 0)
        return -1;
    out->at += bytes;
    return 0;
}

static int write_some(struct net_host *host, struct lws *wsi)
{
    if (!host->raw.has_asked)
        return send_hello(host, wsi);
    if (!host->raw.is_open)
        return 0;
    if (host->raw.wants_pong && write_pong(host, wsi) < 0)
        return -1;
    return wire_write(host, wsi, write_piece);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes)
{
    struct net_host *host = lws_get_opaque_user_data(wsi);

    (void)user;
    if (host == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RAW_CONNECTED:
        host->raw = (struct raw){.key = ""};
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK,
                        (int)host->connect_seconds);
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_RAW_RX:
        return hear(host, wsi, in, bytes);
    case LWS_CALLBACK_RAW_WRITEABLE:
        return write_some(host, wsi);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        wire_lose(host, in != NULL ? in : "it does not answer");
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        wire_lose(host, host->raw.is_open
                            ? "the connection is closed"
                            : "it has closed the connection, or is silent");
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        wire_lose(host, "the connection is gone");
        return 0;
    default:
        return 0;
    }
}

/* A raw connection has its vhost's first. */
const struct lws_protocols raw_protocols[] = {
    {.name = RAW_PROTOCOL, .callback = callback, .rx_buffer_size = PIECE_BYTES},
    {0}};
