/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c - bodies of requests that their handler takes as they come.
 *
 *   head -> take ... take -> NET_LATER       libwebsockets reads no more
 *             ^                  |  net_go_on, from any thread
 *             +------------------+           or the client goes away: lost
 */
#include "base/clock.h"
#include "net/private.h"

int net_take_head(struct request *r, int status)
{
    const struct net_config *config = &r->server->config;
    int refused;

    if (config->handler->head == NULL || r->expected == 0 ||
        (status != 0 && status != 413))
        return status;
    refused = config->handler->head(config->context, &r->shown, r->expected,
                                    &r->is_taken);
    if (refused != 0)
        return refused;
    return r->is_taken ? 0 : status;
}

static void pause_body(struct request *r)
{
    r->is_paused = true;
    r->paused_ns = clock_now_ns();
    lws_rx_flow_control(r->wsi, 0);
    net_await(r);
}

int net_take(struct request *r, const void *data, size_t bytes)
{
    const struct net_config *config = &r->server->config;
    const int rc =
        config->handler->take(config->context, &r->shown, data, bytes);

    r->shown.bytes += bytes;
    if (rc != NET_LATER)
        return rc;
    pause_body(r);
    return 0;
}

void net_go_on(struct net_request *shown)
{
    struct request *r = net_request_of(shown);

    pthread_mutex_lock(&r->server->lock);
    r->is_listed = true;
    STAILQ_INSERT_TAIL(&r->server->replied, r, next);
    pthread_mutex_unlock(&r->server->lock);
    net_wake(r->server);
}

bool net_take_on(struct request *r)
{
    r->is_paused = false;
    /* That time was not its client's doing. */
    r->begun_ns += clock_now_ns() - r->paused_ns;
    net_wait_no_more(r);
    lws_rx_flow_control(r->wsi, 1);
    if (!r->is_whole)
        lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT,
                        (int)r->server->config.header_seconds);
    return r->is_whole;
}

void net_take_lose(struct request *r)
{
    const struct net_config *config = &r->server->config;

    if (!r->is_taken)
        return;
    r->is_taken = false;
    config->handler->lost(config->context, &r->shown);
    pthread_mutex_lock(&r->server->lock); /* it will not go on */
    if (r->is_listed)
        STAILQ_REMOVE(&r->server->replied, r, request, next);
    r->is_listed = false;
    pthread_mutex_unlock(&r->server->lock);
}
