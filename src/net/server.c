/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - libwebsockets' loop, and who is let in.
 *
 * We accept connections ourselves and hand them over: so a listener may come
 * from somebody else (a service manager), and there is one place that counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "net/frame.h"
#include "net/private.h"

#define BACKLOG 1024
#define LAST_NS                                                                \
    2000000000u /* for replies that are ready when it is stopped               \
                 */

void net_wake(struct net_server *server)
{
    lws_cancel_service(server->lws);
}

void net_headers(struct lws *wsi, char token[TOKEN_BYTES],
                 char host[HOST_BYTES], char origin[HOST_BYTES])
{
    static const char bearer[] = "Bearer ";
    char text[TOKEN_BYTES + sizeof(bearer)];

    /* One that is too long is nobody's. */
    if (lws_hdr_copy(wsi, host, HOST_BYTES, WSI_TOKEN_HOST) < 0)
        strcpy(host, "?");
    if (lws_hdr_copy(wsi, origin, HOST_BYTES, WSI_TOKEN_ORIGIN) < 0)
        strcpy(origin, "?");
    token[0] = '\0';
    if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_AUTHORIZATION) >
            0 &&
        strncasecmp(text, bearer, sizeof(bearer) - 1) == 0)
        snprintf(token, TOKEN_BYTES, "%s", text + sizeof(bearer) - 1);
}

/* ---- connections ---- */

static void adopt(struct net_server *server, int fd)
{
    const int on = 1;
    bool is_full;

    pthread_mutex_lock(&server->lock);
    is_full = server->counts.open >= server->config.connections_max ||
              atomic_load(&server->is_draining);
    server->counts.refused += is_full;
    pthread_mutex_unlock(&server->lock);
    if (is_full) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    lws_adopt_socket_vhost(server->vhost, fd); /* which closes it, if not */
}

static void accept_all(struct net_server *server)
{
    int fd;

    /* Some at a time: those that are in want their turn, too. */
    for (int i = 0; i < 64; i++) {
        fd =
            accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            adopt(server, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static int by_address(const void *first, const void *second)
{
    return first < second ? -1 : first > second;
}

/* Not every wsi that is destroyed was a connection of its own. */
static void count(struct net_server *server, const struct lws *wsi, bool is_new)
{
    int by = 0;

    if (is_new) {
        by = tsearch(wsi, &server->counted, by_address) != NULL;
    } else if (tfind(wsi, &server->counted, by_address) != NULL) {
        tdelete(wsi, &server->counted, by_address);
        by = -1;
    }
    pthread_mutex_lock(&server->lock);
    server->counts.open += (uint32_t)by;
    server->counts.connections += by > 0;
    pthread_mutex_unlock(&server->lock);
}

static void look(uv_timer_t *timer)
{
    net_http_look(timer->data);
    net_socket_look(timer->data);
}

static int listen_callback(struct lws *wsi, enum lws_callback_reasons reason,
                           void *user, void *in, size_t bytes)
{
    struct net_server *server = lws_context_user(lws_get_context(wsi));

    (void)user;
    (void)in;
    (void)bytes;
    if (reason == LWS_CALLBACK_RAW_RX_FILE)
        accept_all(server);
    return 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason,
                    void *user, void *in, size_t bytes)
{
    struct net_server *server = lws_context_user(lws_get_context(wsi));

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        net_http_ready(server);
        net_socket_ready(server);
        return 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        count(server, wsi, true);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: /* no HTTP/2: it is another life */
        return in != NULL && strcasecmp(in, "websocket") == 0 ? 0 : -1;
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
        return -1;
    case LWS_CALLBACK_WSI_DESTROY:
        count(server, wsi, false);
        return net_socket(server, wsi, reason, in, bytes);
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_CLOSED_HTTP:
        return net_http(server, wsi, reason, in, bytes);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLOSED:
        return net_socket(server, wsi, reason, in, bytes);
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "glovebox", .callback = callback, .rx_buffer_size = PIECE_BYTES},
    {.name = FRAME_SUBPROTOCOL,
     .callback = callback,
     .rx_buffer_size = PIECE_BYTES},
    {.name = "listen", .callback = listen_callback},
    {0}};

/* ---- open, run, close ---- */

static int listen_at(struct net_server *server, struct gbx_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST,
                                   .ai_socktype = SOCK_STREAM};
    const char *address = server->config.address;
    struct addrinfo *found;
    const int on = 1;
    char port[8];
    int rc = 0;

    snprintf(port, sizeof(port), "%u", server->config.port);
    if (getaddrinfo(address, port, &hints, &found) != 0)
        return fail(err, GBX_EARGUMENT,
                    "%s is no address: 127.0.0.1 or ::1 would be", address);
    server->listener =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on,
                   sizeof(on)) < 0 ||
        bind(server->listener, found->ai_addr, found->ai_addrlen) < 0 ||
        listen(server->listener, BACKLOG) < 0)
        rc = fail(err, GBX_EHOST, "listen at %s, port %s: %s", address, port,
                  strerrordesc_np(errno));
    freeaddrinfo(found);
    return rc;
}

static int find_port(struct net_server *server, struct gbx_error *err)
{
    struct sockaddr_storage name;
    socklen_t bytes = sizeof(name);

    if (getsockname(server->listener, (struct sockaddr *)&name, &bytes) < 0)
        return fail(err, GBX_EHOST, "what was given to listen at: %s",
                    strerrordesc_np(errno));
    if (name.ss_family == AF_INET)
        server->port = ntohs(((struct sockaddr_in *)&name)->sin_port);
    else if (name.ss_family == AF_INET6)
        server->port = ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    return 0;
}

static int open_listener(struct net_server *server, struct gbx_error *err)
{
    int rc = 0;

    if (server->config.listener > 0) {
        server->listener = fcntl(server->config.listener, F_DUPFD_CLOEXEC, 3);
        if (server->listener < 0 ||
            fcntl(server->listener, F_SETFL, O_NONBLOCK) < 0)
            rc = fail(err, GBX_EHOST, "the socket to listen at: %s",
                      strerrordesc_np(errno));
    } else {
        rc = listen_at(server, err);
    }
    return rc < 0 ? rc : find_port(server, err);
}

static int open_context(struct net_server *server, struct gbx_error *err)
{
    const struct net_config *config = &server->config;
    void *loops[] = {&server->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .gid = -1,
        .uid = -1, /* as we are */
        .user = server,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DISABLE_IPV6 |
                   LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .timeout_secs = config->header_seconds,
        .keepalive_timeout = (int)config->idle_seconds,
        .retry_and_idle_policy = &server->retry,
        .pt_serv_buf_size = PIECE_BYTES,
        .server_string = "gloveboxd",
        .vhost_name = "glovebox",
        .alpn = "http/1.1",
    };
    lws_sock_file_fd_type listener = {.filefd = server->listener};

    if (config->cert_path != NULL) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = config->cert_path;
        info.ssl_private_key_filepath = config->key_path;
    }
    if (uv_loop_init(&server->loop) < 0)
        return fail(err, GBX_EHOST, "libuv does not start");
    server->has_loop = true;
    uv_timer_init(&server->loop, &server->timer);
    server->timer.data = server;
    uv_timer_start(&server->timer, look, 1000, 1000);
    server->lws = lws_create_context(&info);
    if (server->lws == NULL)
        return fail(err, GBX_EHOST,
                    "libwebsockets does not start: is the package "
                    "libwebsockets-evlib-uv there?");
    server->vhost = lws_create_vhost(server->lws, &info);
    if (server->vhost == NULL)
        return fail(err, config->cert_path != NULL ? GBX_EFILE : GBX_EHOST,
                    config->cert_path != NULL
                        ? "no certificate and its key: %s, %s"
                        : "libwebsockets does not start",
                    config->cert_path, config->key_path);
    if (lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC,
                                   listener, "listen", NULL) == NULL)
        return fail(err, GBX_EHOST, "libwebsockets does not listen");
    return 0;
}

int net_server_open(struct net_server **server, const struct net_config *config,
                    struct gbx_error *err)
{
    struct net_server *made = calloc(1, sizeof(*made));
    struct net_config *c;
    int rc;

    *server = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a server");
    if ((config->cert_path == NULL) != (config->key_path == NULL)) {
        free(made);
        return fail(err, GBX_EARGUMENT, "TLS needs a certificate and its key");
    }
    made->config = *config;
    c = &made->config;
    c->address = c->address != NULL ? c->address : "127.0.0.1";
    c->connections_max = c->connections_max > 0 ? c->connections_max : 10000;
    c->bytes_max = c->bytes_max > 0 ? c->bytes_max : 64ull << 20;
    c->queued_max = c->queued_max > 0 ? c->queued_max : 64ull << 20;
    c->header_seconds = c->header_seconds > 0 ? c->header_seconds : 10;
    c->idle_seconds = c->idle_seconds > 0 ? c->idle_seconds : 60;
    c->ping_seconds = c->ping_seconds > 0 ? c->ping_seconds : 30;
    made->retry = (lws_retry_bo_t){
        .secs_since_valid_ping = (uint16_t)c->ping_seconds,
        .secs_since_valid_hangup = (uint16_t)(c->ping_seconds + 10)};
    made->listener = -1;
    pthread_mutex_init(&made->lock, NULL);
    STAILQ_INIT(&made->replied);
    STAILQ_INIT(&made->ready);
    LIST_INIT(&made->waiting);
    LIST_INIT(&made->peers);
    lws_set_log_level(LLL_ERR, NULL);
    rc = open_listener(made, err);
    if (rc == 0)
        rc = open_context(made, err);
    if (rc < 0)
        net_server_close(made);
    else
        *server = made;
    return rc;
}

uint16_t net_server_port(const struct net_server *server)
{
    return server->port;
}

void net_server_run(struct net_server *server)
{
    uint64_t last_ns = 0;

    for (;;) {
        uv_run(&server->loop, UV_RUN_ONCE);
        if (!atomic_load(&server->is_stopped))
            continue;
        if (last_ns == 0)
            last_ns = clock_now_ns() + LAST_NS;
        if (atomic_load(&server->unsent) == 0 || clock_now_ns() > last_ns)
            return;
        net_wake(server); /* a turn more, with nobody's doing */
    }
}

void net_server_stop(struct net_server *server)
{
    atomic_store(&server->is_stopped, true);
    net_wake(server);
}

void net_server_drain(struct net_server *server)
{
    atomic_store(&server->is_draining, true);
}

struct net_counts net_server_counts(struct net_server *server)
{
    struct net_counts counts;

    pthread_mutex_lock(&server->lock);
    counts = server->counts;
    pthread_mutex_unlock(&server->lock);
    return counts;
}

/* What is left of the context goes in turns of the loop. */
static void close_loop(struct net_server *server)
{
    if (!server->has_loop)
        return;
    uv_close((uv_handle_t *)&server->timer, NULL);
    for (int turn = 0; turn < 1000 && uv_run(&server->loop, UV_RUN_NOWAIT) != 0;
         turn++)
        ;
    uv_loop_close(&server->loop);
}

void net_server_close(struct net_server *server)
{
    if (server == NULL)
        return;
    if (server->lws != NULL)
        lws_context_destroy(server->lws); /* with the listener */
    else
        close_fd(&server->listener);
    close_loop(server);
    if (server->lws != NULL) /* on a loop of ours it goes in two steps */
        lws_context_destroy(server->lws);
    net_http_ready(server); /* to nobody any more */
    net_socket_ready(server);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
