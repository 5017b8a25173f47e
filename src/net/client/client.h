/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - connections to servers that speak frames (net/frame.h) over
 * WebSockets: made, lost and made again by whoever uses them.
 *
 *  api->open(&client, &config, &err);
 *  api->host(&host, client, &(struct net_host_config){.url = url, ...}, &err);
 *  api->start(client, &err);
 *  api->connect(host);                  -> up or down, in the client's thread
 *  api->send(host, false, head, head_bytes, body, bytes, release, context);
 *  api->close(client);
 *
 * It is a module of its own, loaded where it is needed (net_client_api is all
 * that it shows): so who never leaves this computer has no TLS in his process.
 *
 * Threads: handlers come in the client's own; all functions, any, but close.
 * Memory:  hosts live as long as the client.
 */
#ifndef NET_CLIENT_CLIENT_H
#define NET_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"

struct net_client;
struct net_host;

struct net_client_config {
    /* Every tick_ms, and soon after wake: time to look after the hosts. */
    void (*tick)(void *context);
    void *context;
    uint32_t tick_ms; /* 0: 200 */
};

struct net_host_handler {
    /* It is connected.  speaks_frames: it has agreed to FRAME_SUBPROTOCOL. */
    void (*up)(void *context, bool speaks_frames);
    /* As much of a message as has come.  Returns 0; or a code: what comes makes
     * no sense, and the connection is cut. */
    int (*piece)(void *context, bool is_text, const void *data, size_t bytes,
                 bool is_last);
    /* It has taken a part of a message, and there is more of it; may be NULL.
     */
    void (*wrote)(void *context);
    /* It could not be connected, or is no more; what was not sent is released
     * already. */
    void (*down)(void *context, const char *why);
};

struct net_host_config {
    const char *url;     /* ws://host:port/path or wss://; copied, as all */
    const char *token;   /* Authorization: Bearer, or NULL */
    const char *ca_path; /* PEM: who may have signed its certificate; NULL: this
                            system's usual ones */
    uint32_t connect_seconds; /* 10 */
    const struct net_host_handler *handler;
    void *context;
};

/*
 * Whoever lends data gets it back once: when it is sent, or never will be.
 * has_begun: some of it may have reached the server.  With locks held: it only
 * takes note.
 */
typedef void (*net_release_fn)(void *context, bool has_begun);

struct net_client_api {
    /* Returns 0, or GBX_EHOST. */
    int (*open)(struct net_client **client,
                const struct net_client_config *config, struct gbx_error *err);
    /* Hosts are down, and handlers have come to an end.  NULL is allowed. */
    void (*close)(struct net_client *client);
    /* Returns 0; GBX_EARGUMENT: no such URL; GBX_EFILE: its ca_path; GBX_EHOST.
     */
    int (*host)(struct net_host **host, struct net_client *client,
                const struct net_host_config *config, struct gbx_error *err);
    /* Its thread, once all hosts are there.  Returns 0 or GBX_EHOST. */
    int (*start)(struct net_client *client, struct gbx_error *err);
    /* Of one that is down. */
    void (*connect)(struct net_host *host);
    /* It is down soon. */
    void (*cut)(struct net_host *host);
    /*
     * A message: a head, which is copied, and data, which is not (NULL: none).
     * Returns 0; GBX_ECANCELED: it is not up; GBX_EHOST: no memory; after both,
     * release has not been and will not be called.
     */
    int (*send)(struct net_host *host, bool is_text, const void *head,
                size_t head_bytes, const void *data, size_t bytes,
                net_release_fn release, void *context);
    /* What was lent with this context is not needed any more when it returns,
     * nor is release called. */
    void (*keep)(struct net_host *host, void *context);
    void (*wake)(struct net_client *client);
};

/* The only symbol of the module. */
extern const struct net_client_api net_client_api;
#define NET_CLIENT_SYMBOL "net_client_api"
#define NET_CLIENT_MODULE "glovebox-net.so"

#endif
