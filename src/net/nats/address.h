/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - a URL of NATS, taken apart:
 *
 *  nats://[user:secret@|token@]host[:4222][,host...][/route][?word=value&...]
 *
 * tls:// in place of nats:// for TLS.  The words: route, ca, cert, key, creds
 * (files), replicas (of streams that are made).
 *
 * Threads: any.
 * Memory:  the texts are its own, until fini.
 */
#ifndef NET_NATS_ADDRESS_H
#define NET_NATS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "glovebox/error.h"
#include "net/nats/names.h"

#define ADDRESS_SERVERS_MAX 16u

struct address {
    char *text;                         /* owned: what the rest points into */
    char *servers[ADDRESS_SERVERS_MAX]; /* owned: nats://... */
    size_t server_count;
    bool is_tls;
    char route[NATS_ROUTE_MAX + 1];
    const char *ca, *cert, *key, *creds; /* or NULL */
    unsigned replicas;
    char shown[128]; /* without what is secret */
};

/* Returns 0, GBX_EARGUMENT or GBX_EHOST; to be given to fini in any case. */
int address_read(struct address *address, const char *url,
                 struct gbx_error *err);
void address_fini(struct address *address);

#endif
