/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.c - bodies of requests that are written where their handler wants them,
 * as they come.
 *
 * A place is not the server's, and others may wait for it: so the body has to
 * be there in place_seconds, however steadily it comes.
 */
#include <string.h>

#include "base/clock.h"
#include "net/private.h"

int net_place(struct request *r, int status)
{
    const struct net_config *config = &r->server->config;
    void *place = NULL;
    int refused;

    if (config->handler->place == NULL || r->expected == 0 ||
        (status != 0 && status != 413))
        return status;
    refused =
        config->handler->place(config->context, &r->shown, r->expected, &place);
    r->place = place;
    if (refused != 0)
        return refused;
    return place != NULL ? 0 : status;
}

void net_place_lose(struct request *r)
{
    const struct net_config *config = &r->server->config;

    if (r->place == NULL)
        return;
    r->place = NULL;
    config->handler->lost(config->context, &r->shown);
}

int net_place_take(struct request *r, const void *data, size_t bytes)
{
    const uint64_t seconds = (clock_now_ns() - r->begun_ns) / 1000000000u;

    if (seconds > r->server->config.place_seconds)
        return 408;
    if (bytes > r->expected - r->shown.bytes)
        return 400;
    memcpy(r->place + r->shown.bytes, data, bytes);
    r->shown.bytes += bytes;
    return 0;
}
