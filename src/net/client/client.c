/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "net/client/private.h"

static void wake(struct net_client *client)
{
    lws_cancel_service(client->lws);
}

/* ---- the client's thread ---- */

static void serve_host(struct net_host *host)
{
    struct net_client *client = host->client;
    bool connects, cuts, writes;

    pthread_mutex_lock(&client->lock);
    connects = host->wants_connect;
    cuts = host->wants_cut;
    writes = host->has_more;
    host->wants_connect = host->wants_cut = host->has_more = false;
    pthread_mutex_unlock(&client->lock);
    if (connects && host->wsi == NULL)
        wire_connect(host);
    if (host->wsi == NULL || !host->has_come)
        return;
    if (cuts)
        lws_set_timeout(host->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    else if (writes)
        lws_callback_on_writable(host->wsi);
}

static void serve_hosts(struct net_client *client)
{
    struct net_host *host;

    LIST_FOREACH(host, &client->hosts, next)
    serve_host(host);
}

static void tick(lws_sorted_usec_list_t *sul)
{
    struct net_client *client = lws_container_of(sul, struct net_client, sul);

    client->config.tick(client->config.context);
    serve_hosts(client);
    lws_sul_schedule(client->lws, 0, &client->sul, tick,
                     (lws_usec_t)client->config.tick_ms * LWS_US_PER_MS);
}

static void *loop(void *context)
{
    struct net_client *client = context;

    lws_sul_schedule(client->lws, 0, &client->sul, tick, 1);
    while (!atomic_load(&client->is_over)) {
        if (lws_service(client->lws, 0) < 0)
            break;
        if (atomic_exchange(&client->wants_tick, false))
            client->config.tick(client->config.context);
        serve_hosts(client);
    }
    return NULL;
}

/* ---- the functions ---- */

static void free_host(struct net_host *host)
{
    free(host->url);
    free(host->parts);
    free(host->path);
    free(host->token);
    free(host->ca_path);
    free(host);
}

static void client_close(struct net_client *client)
{
    struct net_host *host;

    if (client == NULL)
        return;
    atomic_store(&client->is_over, true);
    if (client->has_thread) {
        wake(client);
        pthread_join(client->thread, NULL);
    }
    if (client->lws != NULL) {
        lws_sul_cancel(&client->sul);
        lws_context_destroy(client->lws);
    }
    while ((host = LIST_FIRST(&client->hosts)) != NULL) {
        LIST_REMOVE(host, next);
        wire_drop(host);
        free_host(host);
    }
    pthread_mutex_destroy(&client->lock);
    free(client);
}

static int client_open(struct net_client **client,
                       const struct net_client_config *config,
                       struct gbx_error *err)
{
    struct net_client *made = calloc(1, sizeof(*made));
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = wire_protocols,
        .gid = -1,
        .uid = -1,
        .user = made,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .pt_serv_buf_size = PIECE_BYTES,
    };

    *client = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a client");
    made->config = *config;
    if (made->config.tick_ms == 0)
        made->config.tick_ms = 200;
    pthread_mutex_init(&made->lock, NULL);
    LIST_INIT(&made->hosts);
    lws_set_log_level(0, NULL); /* what matters, the handlers are told */
    made->lws = lws_create_context(&info);
    if (made->lws == NULL) {
        client_close(made);
        return fail(err, GBX_EHOST, "libwebsockets does not start");
    }
    *client = made;
    return 0;
}

static int client_start(struct net_client *client, struct gbx_error *err)
{
    client->has_thread =
        pthread_create(&client->thread, NULL, loop, client) == 0;
    return client->has_thread ? 0 : fail(err, GBX_EHOST, "no more threads");
}

static int parse(struct net_host *host)
{
    const char *scheme, *path = NULL;

    if (lws_parse_uri(host->parts, &scheme, &host->address, &host->port,
                      &path) != 0 ||
        (strcmp(scheme, "ws") != 0 && strcmp(scheme, "wss") != 0) ||
        host->address[0] == '\0' || host->port <= 0 || host->port > 65535)
        return GBX_EARGUMENT;
    host->is_tls = scheme[2] == 's';
    return asprintf(&host->path, "/%s", path[0] == '/' ? path + 1 : path) < 0
               ? GBX_EHOST
               : 0;
}

static int open_vhost(struct net_host *host, struct gbx_error *err)
{
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = host->is_tls ? wire_protocols : raw_protocols,
        .vhost_name = host->url,
        .user = host,
        .connect_timeout_secs = host->connect_seconds,
        .timeout_secs = host->connect_seconds,
        .client_ssl_ca_filepath = host->ca_path,
        .options = host->is_tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0u,
    };

    if (host->ca_path != NULL && access(host->ca_path, R_OK) < 0)
        return fail(err, GBX_EFILE, "%s: %s", host->ca_path,
                    strerrordesc_np(errno));
    host->vhost = lws_create_vhost(host->client->lws, &info);
    return host->vhost != NULL
               ? 0
               : fail(err, GBX_EHOST, "%s: its TLS cannot be set up%s%s",
                      host->url,
                      host->ca_path != NULL ? ": is this a certificate? " : "",
                      host->ca_path != NULL ? host->ca_path : "");
}

static int copy_texts(struct net_host *host,
                      const struct net_host_config *config)
{
    host->url = strdup(config->url);
    host->parts = strdup(config->url);
    if (config->token != NULL)
        host->token = strdup(config->token);
    if (config->ca_path != NULL)
        host->ca_path = strdup(config->ca_path);
    return host->url == NULL || host->parts == NULL ||
                   (config->token != NULL && host->token == NULL) ||
                   (config->ca_path != NULL && host->ca_path == NULL)
               ? GBX_EHOST
               : 0;
}

static int client_host(struct net_host **host, struct net_client *client,
                       const struct net_host_config *config,
                       struct gbx_error *err)
{
    struct net_host *made = calloc(1, sizeof(*made));
    int rc;

    *host = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a host");
    made->client = client;
    made->handler = config->handler;
    made->context = config->context;
    made->connect_seconds =
        config->connect_seconds > 0 ? config->connect_seconds : 10;
    STAILQ_INIT(&made->out);
    rc = config->token != NULL && strlen(config->token) > TOKEN_MAX
             ? fail(err, GBX_EARGUMENT, "a token has at most %u bytes",
                    TOKEN_MAX)
             : copy_texts(made, config);
    if (rc == 0 && (rc = parse(made)) == GBX_EARGUMENT)
        fail(err, rc,
             "%s is no URL of a host: ws://host:5556 or wss://host "
             "would be",
             config->url);
    if (rc == GBX_EHOST)
        fail(err, rc, "no memory for a host");
    if (rc == 0)
        rc = open_vhost(made, err);
    if (rc < 0) {
        free_host(made);
        return rc;
    }
    LIST_INSERT_HEAD(&client->hosts, made, next);
    *host = made;
    return 0;
}

static void client_connect(struct net_host *host)
{
    pthread_mutex_lock(&host->client->lock);
    host->wants_connect = true;
    pthread_mutex_unlock(&host->client->lock);
    wake(host->client);
}

static void client_cut(struct net_host *host)
{
    pthread_mutex_lock(&host->client->lock);
    host->wants_cut = true;
    host->is_up = false; /* what is sent now would be lost */
    pthread_mutex_unlock(&host->client->lock);
    wake(host->client);
}

static int client_send(struct net_host *host, bool is_text, const void *head,
                       size_t head_bytes, const void *data, size_t bytes,
                       net_release_fn release, void *context)
{
    struct net_client *client = host->client;
    struct outgoing *out = outgoing_new(head, head_bytes);
    int rc = 0;

    if (out == NULL)
        return GBX_EHOST;
    out->is_text = is_text;
    out->bytes += bytes;
    out->lent = data;
    pthread_mutex_lock(&client->lock);
    if (host->is_up) {
        out->release = release;
        out->context = context;
        STAILQ_INSERT_TAIL(&host->out, out, next);
        host->has_more = true;
    } else {
        rc = GBX_ECANCELED;
    }
    pthread_mutex_unlock(&client->lock);
    if (rc < 0)
        outgoing_drop(out);
    else
        wake(client);
    return rc;
}

static void client_keep(struct net_host *host, void *context)
{
    struct outgoing *out;

    pthread_mutex_lock(&host->client->lock);
    STAILQ_FOREACH(out, &host->out, next)
    if (out->context == context && out->release != NULL &&
        !outgoing_keep(out)) {
        /* No memory: it is not sent to its end, so the connection goes. */
        out->bytes = out->own_bytes = out->at;
        out->release = NULL;
        host->wants_cut = true;
    }
    pthread_mutex_unlock(&host->client->lock);
}

static void client_wake(struct net_client *client)
{
    atomic_store(&client->wants_tick, true);
    wake(client);
}

__attribute__((visibility("default")))
const struct net_client_api net_client_api = {.open = client_open,
                                              .close = client_close,
                                              .host = client_host,
                                              .start = client_start,
                                              .connect = client_connect,
                                              .cut = client_cut,
                                              .send = client_send,
                                              .keep = client_keep,
                                              .wake = client_wake};
