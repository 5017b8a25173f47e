/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "net/nats/address.h"
#include "net/nats/bus.h"

#define LISTENED_MAX 8u

struct bus {
    struct bus_config config; /* without its texts */
    struct address address;
    natsConnection *nc;
    natsSubscription *listened[LISTENED_MAX];
    size_t listened_count;
    pthread_mutex_t lock; /* of: */
    pthread_cond_t ended;
    unsigned running; /* subscriptions, and the connection: may call us */
    bool is_closing;
};

int bus_check(const char *url, struct gbx_error *err)
{
    struct address address;
    int rc = address_read(&address, url, err);

    address_fini(&address);
    return rc;
}

/* ---- what libnats says ---- */

static void call(struct bus *bus, void (*handler)(void *context))
{
    bool is_closing;

    pthread_mutex_lock(&bus->lock);
    is_closing = bus->is_closing;
    pthread_mutex_unlock(&bus->lock);
    if (handler != NULL && !is_closing)
        handler(bus->config.context);
}

static void on_lost(natsConnection *nc, void *context)
{
    struct bus *bus = context;

    (void)nc;
    call(bus, bus->config.lost);
}

static void on_back(natsConnection *nc, void *context)
{
    struct bus *bus = context;

    (void)nc;
    call(bus, bus->config.back);
}

/* The last that is heard of a subscription or, after those, a connection. */
static void on_end(void *context)
{
    struct bus *bus = context;

    pthread_mutex_lock(&bus->lock);
    bus->running--;
    pthread_cond_signal(&bus->ended);
    pthread_mutex_unlock(&bus->lock);
}

static void on_closed(natsConnection *nc, void *context)
{
    struct bus *bus = context;

    (void)nc;
    call(bus, bus->config.closed);
    on_end(bus);
}

/* It would be printed otherwise. */
static void on_error(natsConnection *nc, natsSubscription *subscription,
                     natsStatus status, void *context)
{
    (void)nc, (void)subscription, (void)status, (void)context;
}

static void on_message(natsConnection *nc, natsSubscription *subscription,
                       natsMsg *message, void *context)
{
    struct bus *bus = context;

    (void)nc, (void)subscription;
    bus->config.message(bus->config.context, message);
}

/* ---- a connection ---- */

#define RECONNECT_MS 250

static natsStatus set_safety(natsOptions *options, const struct bus *bus,
                             const struct bus_config *config)
{
    const struct address *a = &bus->address;
    const char *ca = a->ca != NULL ? a->ca : config->ca_path;
    natsStatus s = NATS_OK;

    if (a->is_tls)
        s = natsOptions_SetSecure(options, true);
    if (s == NATS_OK && ca != NULL)
        s = natsOptions_LoadCATrustedCertificates(options, ca);
    if (s == NATS_OK && a->cert != NULL)
        s = natsOptions_LoadCertificatesChain(options, a->cert, a->key);
    if (s == NATS_OK && a->creds != NULL)
        s = natsOptions_SetUserCredentialsFromFiles(options, a->creds, NULL);
    if (s == NATS_OK && config->token != NULL)
        s = natsOptions_SetToken(options, config->token);
    return s;
}

static natsStatus set_handlers(natsOptions *options, struct bus *bus)
{
    natsStatus s = natsOptions_SetDisconnectedCB(options, on_lost, bus);

    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(options, on_back, bus);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(options, on_closed, bus);
    return s == NATS_OK ? natsOptions_SetErrorHandler(options, on_error, bus)
                        : s;
}

static natsStatus set_times(natsOptions *options,
                            const struct bus_config *config)
{
    const uint32_t away_ms = config->away_ms;
    natsStatus s = natsOptions_SetTimeout(options, config->connect_ms);

    if (s == NATS_OK)
        s = natsOptions_SetReconnectWait(options, RECONNECT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectJitter(options, 100, 100);
    if (s == NATS_OK)
        s = natsOptions_SetMaxReconnect(
            options, away_ms > 0 ? (int)(away_ms / RECONNECT_MS) : -1);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(options, 5000);
    if (s == NATS_OK)
        s = natsOptions_SetMaxPingsOut(options, 3);
    /* What is sent goes at once, not with the next tick of its flusher. */
    return s == NATS_OK ? natsOptions_SetSendAsap(options, true) : s;
}

/* libnats says a line of what it is at most. */
static int explain(const struct bus *bus, natsStatus s, struct gbx_error *err)
{
    const char *where = bus->address.shown;

    errno = 0; /* is not this host's */
    if (s == NATS_NO_SERVER || s == NATS_TIMEOUT || s == NATS_IO_ERROR)
        return fail(err, GBX_EHOST, "%s: no NATS server answers there", where);
    if (s == NATS_CONNECTION_AUTH_FAILED || s == NATS_NOT_PERMITTED)
        return fail(err, GBX_EUNSUPPORTED,
                    "%s: it refuses the token, user or credentials", where);
    if (s == NATS_SSL_ERROR || s == NATS_SECURE_CONNECTION_REQUIRED ||
        s == NATS_SECURE_CONNECTION_WANTED)
        return fail(err, GBX_EUNSUPPORTED,
                    "%s: TLS does not work out (is the ca right?): %s", where,
                    natsStatus_GetText(s));
    return fail(err, GBX_EHOST, "%s: %s", where, natsStatus_GetText(s));
}

static int connect_it(struct bus *bus, const struct bus_config *config,
                      struct gbx_error *err)
{
    const struct address *a = &bus->address;
    const char *servers[ADDRESS_SERVERS_MAX];
    natsOptions *options = NULL;
    natsStatus s = natsOptions_Create(&options);

    for (size_t i = 0; i < a->server_count; i++)
        servers[i] = a->servers[i];
    if (s == NATS_OK)
        s = natsOptions_SetServers(options, servers, (int)a->server_count);
    if (s == NATS_OK)
        s = natsOptions_SetName(options, config->name);
    if (s == NATS_OK)
        s = set_times(options, config);
    if (s == NATS_OK)
        s = set_handlers(options, bus);
    if (s == NATS_OK && (s = set_safety(options, bus, config)) != NATS_OK) {
        natsOptions_Destroy(options);
        return fail(err, GBX_EUNSUPPORTED,
                    "%s: its ca, cert, key or creds cannot be read: %s",
                    a->shown, natsStatus_GetText(s));
    }
    if (s == NATS_OK)
        s = natsConnection_Connect(&bus->nc, options);
    natsOptions_Destroy(options);
    if (s == NATS_OK)
        bus->running = 1;
    return s == NATS_OK ? 0 : explain(bus, s, err);
}

int bus_open(struct bus **bus, const struct bus_config *config,
             struct gbx_error *err)
{
    struct bus *made = calloc(1, sizeof(*made));
    int rc;

    *bus = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory");
    made->config = *config;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->ended, NULL);
    rc = address_read(&made->address, config->url, err);
    if (rc == 0)
        rc = connect_it(made, config, err);
    if (rc == 0)
        rc = bus_ensure(made, made->address.replicas, err);
    if (rc < 0) {
        bus_close(made);
        return rc;
    }
    *bus = made;
    return 0;
}

void bus_close(struct bus *bus)
{
    if (bus == NULL)
        return;
    pthread_mutex_lock(&bus->lock);
    bus->is_closing = true;
    pthread_mutex_unlock(&bus->lock);
    for (size_t i = 0; i < bus->listened_count; i++)
        natsSubscription_Unsubscribe(bus->listened[i]);
    natsConnection_Close(bus->nc);
    pthread_mutex_lock(&bus->lock);
    while (bus->running > 0)
        pthread_cond_wait(&bus->ended, &bus->lock);
    pthread_mutex_unlock(&bus->lock);
    for (size_t i = 0; i < bus->listened_count; i++)
        natsSubscription_Destroy(bus->listened[i]);
    natsConnection_Destroy(bus->nc);
    pthread_cond_destroy(&bus->ended);
    pthread_mutex_destroy(&bus->lock);
    address_fini(&bus->address);
    free(bus);
}

const char *bus_shown(const struct bus *bus)
{
    return bus->address.shown;
}

const char *bus_route(const struct bus *bus)
{
    return bus->address.route;
}

bool bus_is_up(struct bus *bus)
{
    return natsConnection_Status(bus->nc) == NATS_CONN_STATUS_CONNECTED;
}

size_t bus_payload_max(struct bus *bus)
{
    const int64_t most = natsConnection_GetMaxPayload(bus->nc);

    return most > 2 * (int64_t)NATS_HEAD_BYTES ? (size_t)most - NATS_HEAD_BYTES
                                               : NATS_HEAD_BYTES;
}

int bus_listen(struct bus *bus, const char *subject, const char *group,
               natsSubscription **subscription, struct gbx_error *err)
{
    natsSubscription *made = NULL;
    natsStatus s = NATS_NO_MEMORY;

    if (bus->listened_count < LISTENED_MAX)
        s = group != NULL ? natsConnection_QueueSubscribe(
                                &made, bus->nc, subject, group, on_message, bus)
                          : natsConnection_Subscribe(&made, bus->nc, subject,
                                                     on_message, bus);
    if (s != NATS_OK)
        return fail(err, GBX_EHOST, "%s: %s: %s", bus->address.shown, subject,
                    natsStatus_GetText(s));
    natsSubscription_SetPendingLimits(made, -1, -1);
    pthread_mutex_lock(&bus->lock);
    if (natsSubscription_SetOnCompleteCB(made, on_end, bus) == NATS_OK)
        bus->running++;
    pthread_mutex_unlock(&bus->lock);
    bus->listened[bus->listened_count++] = made;
    if (subscription != NULL)
        *subscription = made;
    return 0;
}

/* ---- messages ---- */

static natsMsg *make(const char *subject, const char *reply,
                     const struct bus_field *fields, size_t count,
                     const void *data, size_t bytes)
{
    natsMsg *message = NULL;
    natsStatus s = natsMsg_Create(&message, subject, reply, data, (int)bytes);

    for (size_t i = 0; s == NATS_OK && i < count; i++)
        if (fields[i].value != NULL)
            s = natsMsgHeader_Set(message, fields[i].name, fields[i].value);
    if (s == NATS_OK)
        return message;
    natsMsg_Destroy(message);
    return NULL;
}

int bus_send_message(struct bus *bus, natsMsg *message)
{
    return natsConnection_PublishMsg(bus->nc, message) == NATS_OK ? 0
                                                                  : GBX_EHOST;
}

int bus_send(struct bus *bus, const char *subject, const char *reply,
             const struct bus_field *fields, size_t count, const void *data,
             size_t bytes)
{
    natsMsg *message = make(subject, reply, fields, count, data, bytes);
    int rc = message != NULL ? bus_send_message(bus, message) : GBX_EHOST;

    natsMsg_Destroy(message);
    return rc;
}

int bus_ask(struct bus *bus, natsMsg **reply, const char *subject,
            const struct bus_field *fields, size_t count, const void *data,
            size_t bytes, uint32_t wait_ms)
{
    natsMsg *message = make(subject, NULL, fields, count, data, bytes);
    int rc = GBX_EHOST;

    *reply = NULL;
    if (message != NULL)
        rc = bus_ask_message(bus, reply, message, wait_ms);
    natsMsg_Destroy(message);
    return rc;
}

int bus_ask_message(struct bus *bus, natsMsg **reply, natsMsg *message,
                    uint32_t wait_ms)
{
    const natsStatus s =
        natsConnection_RequestMsg(reply, bus->nc, message, wait_ms);

    return s == NATS_OK              ? 0
           : s == NATS_NO_RESPONDERS ? GBX_EUNSUPPORTED
           : s == NATS_TIMEOUT       ? GBX_ETIME
                                     : GBX_EHOST;
}

const char *bus_header(void *message, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(message, name, &value) == NATS_OK ? value : NULL;
}

int bus_status(natsMsg *message)
{
    const char *status = natsMsg_GetDataLength(message) == 0
                             ? bus_header(message, "Status")
                             : NULL;

    return status != NULL ? atoi(status) : 0;
}
