/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - replies that go on: pieces are queued by any thread, and written
 * by the server's (http.c). */
#include <stdio.h>
#include <stdlib.h>

#include "net/private.h"

static void list_locked(struct request *r)
{
    if (r->is_listed)
        return;
    r->is_listed = true;
    STAILQ_INSERT_TAIL(&r->server->replied, r, next);
}

void net_stream(struct net_request *shown, const char *type)
{
    struct request *r = net_request_of(shown);

    r->status = 200;
    snprintf(r->its_type, sizeof(r->its_type), "%s", type);
    r->type = r->its_type;
    pthread_mutex_lock(&r->server->lock);
    r->is_stream = true;
    list_locked(r);
    pthread_mutex_unlock(&r->server->lock);
    net_wake(r->server);
}

int net_push(struct net_request *shown, const void *data, size_t bytes)
{
    struct request *r = net_request_of(shown);
    struct net_server *server = r->server;
    struct outgoing *piece = outgoing_new(data, bytes);
    int rc = 0;

    if (piece == NULL)
        return GBX_EHOST;
    pthread_mutex_lock(&server->lock);
    if (atomic_load(&r->is_gone)) {
        rc = GBX_ECANCELED;
    } else if (net_is_too_much(server, r->queued, bytes)) {
        rc = GBX_ELIMIT; /* it does not read: it is closed */
        r->is_dropped = true;
        list_locked(r);
    } else {
        STAILQ_INSERT_TAIL(&r->pieces, piece, next);
        r->queued += bytes;
        list_locked(r);
        piece = NULL;
    }
    pthread_mutex_unlock(&server->lock);
    free(piece);
    if (rc != GBX_ECANCELED)
        net_wake(server);
    return rc;
}

void net_stream_end(struct net_request *shown)
{
    struct request *r = net_request_of(shown);

    pthread_mutex_lock(&r->server->lock);
    r->is_ended = true;
    list_locked(r);
    pthread_mutex_unlock(&r->server->lock);
    net_wake(r->server);
}
