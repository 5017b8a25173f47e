/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - requests: whole before the handler has them, and then its own until
 * it replies, from whatever thread.
 *
 *   HTTP -> (HTTP_BODY)* -> handler ... net_reply -> HTTP_WRITEABLE -> free
 *           |        ^                the client may be gone meanwhile
 *           v        |
 *       the handler's take, which may let it pause
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "net/body/append.h"
#include "net/private.h"

#define HEADER_BYTES 2048u
#define SLOWEST      1024u /* bytes of a body in a second, after the first */

static const struct {
    enum lws_token_indexes token;
    const char *name;
} methods[] = {
    {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_POST_URI, "POST"},
    {WSI_TOKEN_PUT_URI, "PUT"},         {WSI_TOKEN_DELETE_URI, "DELETE"},
    {WSI_TOKEN_HEAD_URI, "HEAD"},       {WSI_TOKEN_PATCH_URI, "PATCH"},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS"},
};

static void drop(struct request *r)
{
    struct outgoing *piece;

    if (r->is_replied)
        atomic_fetch_sub(&r->server->unsent, 1);
    while ((piece = STAILQ_FIRST(&r->pieces)) != NULL) {
        STAILQ_REMOVE_HEAD(&r->pieces, next);
        free(piece);
    }
    free(r->shown.body);
    free(r->out);
    free(r);
}

static struct request *request_of(struct lws *wsi)
{
    struct request *r = lws_get_opaque_user_data(wsi);

    return r != NULL && r->kind == NET_REQUEST ? r : NULL;
}

/* ---- the reply ---- */

void net_reply(struct net_request *shown, int status, const char *type,
               void *body, size_t bytes)
{
    struct request *r = net_request_of(shown);
    struct net_server *server = r->server;

    r->out = malloc(LWS_PRE + bytes + 1);
    r->status = r->out != NULL ? status : 500;
    r->type = type;
    if (r->out != NULL && bytes > 0)
        memcpy(r->out + LWS_PRE, body, bytes);
    r->out_bytes = r->out != NULL ? bytes : 0;
    free(body);
    free(shown->body);
    shown->body = NULL;
    atomic_fetch_add(&server->unsent, 1);
    pthread_mutex_lock(&server->lock);
    r->is_replied = true;
    STAILQ_INSERT_TAIL(&server->replied, r, next);
    pthread_mutex_unlock(&server->lock);
    net_wake(server);
}

void net_reply_headers(struct net_request *shown,
                       const struct net_header *headers)
{
    net_request_of(shown)->headers = headers;
}

bool net_is_gone(const struct net_request *shown)
{
    const struct request *r =
        (const struct request *)((const char *)shown -
                                 offsetof(struct request, shown));

    return atomic_load(&r->is_gone);
}

/* The server's thread.  It is the server's from here on, but for a stream that
 * has not ended. */
static void begin_reply(struct request *r)
{
    const bool is_over = !r->is_stream || r->is_ended;

    if (is_over)
        r->is_given = false;
    if (r->wsi != NULL)
        lws_callback_on_writable(r->wsi);
    else if (is_over)
        drop(r);
}

static int add_header(struct lws *wsi, const struct net_header *header,
                      uint8_t **at, uint8_t *end)
{
    return lws_add_http_header_by_name(wsi, (const uint8_t *)header->name,
                                       (const uint8_t *)header->value,
                                       (int)strlen(header->value), at, end);
}

static int write_headers(struct request *r)
{
    const struct net_header *more = r->headers;
    uint8_t buffer[LWS_PRE + HEADER_BYTES], *const start = buffer + LWS_PRE,
                                                   *at = start,
                                                   *end =
                                                       buffer + sizeof(buffer);

    r->has_headers = true;
    if (lws_add_http_common_headers(
            r->wsi, (unsigned)r->status,
            r->type != NULL ? r->type : "text/plain; charset=utf-8",
            r->is_stream ? LWS_ILLEGAL_HTTP_CONTENT_LEN : r->out_bytes, &at,
            end) != 0)
        return -1;
    for (; more != NULL && more->name != NULL; more++)
        if (add_header(r->wsi, more, &at, end) != 0)
            return -1;
    return lws_finalize_write_http_header(r->wsi, start, &at, end) != 0 ? -1
                                                                        : 0;
}

void net_await(struct request *r)
{
    lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
    if (!r->is_waiting)
        LIST_INSERT_HEAD(&r->server->waiting, r, other);
    r->is_waiting = true;
}

void net_wait_no_more(struct request *r)
{
    if (r->is_waiting)
        LIST_REMOVE(r, other);
    r->is_waiting = false;
}

/* Who does not read what it has asked for, is not waited for. */
static void await_reader(struct request *r, bool has_more)
{
    lws_set_timeout(
        r->wsi, has_more ? PENDING_TIMEOUT_HTTP_CONTENT : NO_PENDING_TIMEOUT,
        has_more ? (int)r->server->config.idle_seconds : 0);
}

static int finish(struct request *r)
{
    struct lws *wsi = r->wsi;
    const bool is_cut = r->is_cut;

    lws_set_opaque_user_data(wsi, NULL);
    net_wait_no_more(r);
    drop(r);
    return is_cut || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int write_some(struct request *r)
{
    size_t bytes = r->out_bytes - r->out_at;
    bool is_last;

    if (!r->has_headers) {
        if (write_headers(r) < 0)
            return -1;
        if (bytes == 0 || strcmp(r->shown.method, "HEAD") == 0)
            return finish(r);
        lws_callback_on_writable(r->wsi);
        return 0;
    }
    bytes = bytes > PIECE_BYTES ? PIECE_BYTES : bytes;
    await_reader(r, true);
    is_last = r->out_at + bytes == r->out_bytes;
    if (lws_write(r->wsi, r->out + LWS_PRE + r->out_at, bytes,
                  is_last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    pthread_mutex_lock(&r->server->lock);
    r->server->counts.bytes_out += bytes;
    pthread_mutex_unlock(&r->server->lock);
    r->out_at += bytes;
    if (is_last)
        return finish(r);
    lws_callback_on_writable(r->wsi);
    return 0;
}

/* A piece of a reply that goes on; the connection ends with the last. */
static int stream_some(struct request *r)
{
    struct net_server *server = r->server;
    struct outgoing *piece;
    size_t bytes;
    bool is_over;

    if (!r->has_headers) {
        if (write_headers(r) < 0)
            return -1;
        lws_callback_on_writable(r->wsi);
        return 0;
    }
    pthread_mutex_lock(&server->lock);
    piece = STAILQ_FIRST(&r->pieces);
    is_over = r->is_dropped || (piece == NULL && r->is_ended);
    piece = r->is_dropped ? NULL : piece;
    pthread_mutex_unlock(&server->lock);
    await_reader(r, piece != NULL);
    if (piece == NULL)
        return is_over ? -1 : 0;
    bytes = piece->bytes - piece->at;
    bytes = bytes > PIECE_BYTES ? PIECE_BYTES : bytes;
    if (lws_write(r->wsi, piece->data + LWS_PRE + piece->at, bytes,
                  LWS_WRITE_HTTP) < 0)
        return -1;
    piece->at += bytes;
    pthread_mutex_lock(&server->lock);
    server->counts.bytes_out += bytes;
    if (piece->at == piece->bytes) {
        STAILQ_REMOVE_HEAD(&r->pieces, next);
        r->queued -= piece->bytes;
    } else {
        piece = NULL;
    }
    pthread_mutex_unlock(&server->lock);
    free(piece);
    lws_callback_on_writable(r->wsi); /* there may be more, or the end */
    return 0;
}

/* ---- the request ---- */

/* To the handler; or straight back, when something is wrong with it. */
static void give(struct request *r, int status)
{
    struct net_server *server = r->server;

    net_await(r);
    pthread_mutex_lock(&server->lock);
    server->counts.requests++;
    server->counts.bytes_in += r->shown.bytes;
    pthread_mutex_unlock(&server->lock);
    r->is_given = true;
    if (status == 0) {
        r->is_taken = false; /* it is the handler's matter */
        server->config.handler->request(server->config.context, &r->shown);
        return;
    }
    net_take_lose(r);
    r->is_cut = true;
    net_reply(&r->shown, status, NULL, NULL, 0);
}

static bool may_have_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

/* Who asks first whether it may send its body. */
static void say_go_on(struct lws *wsi)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uint8_t buffer[LWS_PRE + sizeof(text)];

    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_EXPECT) <= 0)
        return;
    memcpy(buffer + LWS_PRE, text, sizeof(text));
    lws_write(wsi, buffer + LWS_PRE, sizeof(text) - 1, LWS_WRITE_HTTP_HEADERS);
}

/* libwebsockets has it in pieces, without what stood between them. */
static int copy_query(struct lws *wsi, char *to, size_t room)
{
    size_t at = 0;
    int bytes;

    for (int i = 0;
         lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++) {
        if (i > 0)
            to[at++] = '&';
        bytes = lws_hdr_copy_fragment(wsi, to + at, (int)(room - at),
                                      WSI_TOKEN_HTTP_URI_ARGS, i);
        if (bytes < 0 || at + (size_t)bytes + 2 > room)
            return -1;
        at += (size_t)bytes;
    }
    return 0;
}

/* Its head.  Returns 0, or the status that says what is wrong. */
static int read_head(struct request *r, struct lws *wsi, const char *path,
                     size_t path_bytes)
{
    char digits[24] = "";

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (lws_hdr_total_length(wsi, methods[i].token) > 0)
            r->shown.method = methods[i].name;
    if (path_bytes >= sizeof(r->path) ||
        copy_query(wsi, r->query, sizeof(r->query)) < 0)
        return 414;
    memcpy(r->path, path, path_bytes);
    lws_hdr_copy(wsi, r->media, sizeof(r->media), WSI_TOKEN_HTTP_CONTENT_TYPE);
    lws_hdr_copy(wsi, r->accept, sizeof(r->accept), WSI_TOKEN_HTTP_ACCEPT);
    net_headers(wsi, r->token, r->host, r->origin);
    if (lws_hdr_copy(wsi, digits, sizeof(digits),
                     WSI_TOKEN_HTTP_CONTENT_LENGTH) < 0)
        return 400;
    if (digits[0] != '\0')
        r->expected = strtoull(digits, NULL, 10);
    else if (may_have_body(r->shown.method) ||
             lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return 411; /* libwebsockets would wait for one */
    if (r->expected > r->server->config.bytes_max)
        return 413;
    return r->shown.method[0] == '\0' ? 405 : 0;
}

static int begin(struct net_server *server, struct lws *wsi, const char *path,
                 size_t path_bytes)
{
    struct request *r = calloc(1, sizeof(*r));
    int status;

    if (r == NULL)
        return -1;
    r->kind = NET_REQUEST;
    STAILQ_INIT(&r->pieces);
    r->begun_ns = clock_now_ns();
    r->server = server;
    r->wsi = wsi;
    r->shown = (struct net_request){.method = "",
                                    .path = r->path,
                                    .query = r->query,
                                    .token = r->token,
                                    .host = r->host,
                                    .origin = r->origin,
                                    .type = r->media,
                                    .accept = r->accept};
    lws_set_opaque_user_data(wsi, r);
    status = net_take_head(r, read_head(r, wsi, path, path_bytes));
    /* Who is still sending does not read: a little more is heard out. */
    if (status != 0 && r->expected / 4 <= server->config.bytes_max &&
        r->expected > 0)
        r->refused = status;
    else if (status != 0 || r->expected == 0)
        give(r, status);
    else
        say_go_on(wsi);
    return 0;
}

/* It would hold the connection for as long as it likes. */
static bool is_too_slow(const struct request *r)
{
    const uint64_t seconds = (clock_now_ns() - r->begun_ns) / 1000000000u;

    return seconds > r->server->config.header_seconds + r->came / SLOWEST;
}

static int take_body(struct request *r, const void *data, size_t bytes)
{
    uint8_t *body;
    int rc;

    lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT,
                    (int)r->server->config.header_seconds);
    r->came += bytes;
    if (r->is_given)
        return 0;
    if (is_too_slow(r)) {
        give(r, 408);
        return 0;
    }
    if (r->refused != 0)
        return 0;
    if (r->is_taken) {
        rc = net_take(r, data, bytes);
        if (rc != 0)
            give(r, rc);
        return 0;
    }
    body = r->shown.body;
    rc = net_append(&body, &r->shown.bytes, &r->room,
                    r->server->config.bytes_max, data, bytes);
    r->shown.body = body;
    if (rc < 0)
        give(r, rc == GBX_ELIMIT ? 413 : 503);
    return 0;
}

static void lose(struct request *r)
{
    struct net_server *server = r->server;
    const struct net_handler *handler = server->config.handler;
    bool is_theirs;

    lws_set_opaque_user_data(r->wsi, NULL);
    net_wait_no_more(r);
    r->wsi = NULL;
    atomic_store(&r->is_gone, true);
    if (!r->is_given) {
        net_take_lose(r);
        drop(r);
        return;
    }
    pthread_mutex_lock(&server->lock);
    is_theirs = !r->is_replied;
    pthread_mutex_unlock(&server->lock);
    if (is_theirs && handler->gone != NULL)
        handler->gone(server->config.context, &r->shown);
}

void net_http_ready(struct net_server *server)
{
    struct request *r;

    for (;;) {
        pthread_mutex_lock(&server->lock);
        r = STAILQ_FIRST(&server->replied);
        if (r != NULL) {
            STAILQ_REMOVE_HEAD(&server->replied, next);
            r->is_listed = false;
        }
        pthread_mutex_unlock(&server->lock);
        if (r == NULL)
            return;
        if (!r->is_paused)
            begin_reply(r);
        else if (net_take_on(r))
            give(r, 0);
    }
}

void net_http_look(struct net_server *server)
{
    struct request *r, *next;

    /* libwebsockets reads no more until it has replied, so it does not see the
     * end, and libuv says again and again that there is something to read. */
    for (r = LIST_FIRST(&server->waiting); r != NULL; r = next) {
        struct pollfd end = {
            .fd = lws_get_socket_fd(r->wsi),
            .events = (short)(r->is_stream ? POLLRDHUP | POLLIN : POLLRDHUP)};

        next = LIST_NEXT(r, other); /* it may be gone in a moment */
        if (r->is_paused) /* libwebsockets waits for more of the body */
            lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
        if (poll(&end, 1, 0) > 0)
            lws_set_timeout(r->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT,
                            LWS_TO_KILL_SYNC);
    }
}

int net_http(struct net_server *server, struct lws *wsi,
             enum lws_callback_reasons reason, void *in, size_t bytes)
{
    struct request *r = request_of(wsi);

    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        return begin(server, wsi, in, bytes);
    case LWS_CALLBACK_HTTP_BODY:
        return r != NULL ? take_body(r, in, bytes) : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (r != NULL && r->is_paused)
            r->is_whole = true;
        else if (r != NULL && !r->is_given)
            give(r, r->refused);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        if (r != NULL && r->is_stream)
            return stream_some(r);
        return r != NULL && r->is_replied && !r->is_given ? write_some(r) : 0;
    default: /* it is closed */
        if (r != NULL)
            lose(r);
        return 0;
    }
}
