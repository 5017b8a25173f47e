/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - a connection to NATS with JetStream, where our streams are.
 *
 *  bus_open(&bus, &(struct bus_config){.url = url, ...}, &err);
 *  bus_listen(bus, "glovebox.to.1234.>", &err);   -> config.message
 *  bus_send(bus, subject, reply, fields, field_count, data, bytes);
 *  bus_close(bus);
 *
 * A connection that is lost is made again by libnats, which remembers what is
 * published meanwhile; config.lost and config.back tell of it.
 *
 * Threads: any; what is called from here comes in threads of libnats, and must
 *          not wait.
 */
#ifndef NET_NATS_BUS_H
#define NET_NATS_BUS_H

#include <nats/nats.h>

#include "glovebox/error.h"
#include "net/nats/layout.h"

struct bus;

struct bus_config {
    const char *url;   /* nats:// or tls://, see docs/nats.md; copied, as all */
    const char *token; /* or NULL */
    const char *ca_path; /* or NULL */
    const char *name;    /* as the server's operator sees it */
    uint32_t connect_ms;
    uint32_t away_ms; /* it may be lost for so long; 0: for ever */
    void (*message)(void *context, natsMsg *message); /* it is taken */
    void (*lost)(void *context);                      /* or NULL */
    void (*back)(void *context);
    void (*closed)(void *context); /* it will not be back; or NULL */
    void *context;
};

struct bus_field {
    const char *name, *value;
};

/* What is wrong with a URL, if something is.  Returns 0 or GBX_EARGUMENT. */
int bus_check(const char *url, struct gbx_error *err);
/* With all streams and buckets there.  Returns 0; GBX_EHOST: there is no
 * server, or it refuses; GBX_EUNSUPPORTED: it has no JetStream, or is too old;
 * GBX_EARGUMENT; GBX_EFILE. */
int bus_open(struct bus **bus, const struct bus_config *config,
             struct gbx_error *err);
/* No handler is called after it.  NULL is allowed. */
void bus_close(struct bus *bus);
/* Its URL, without what is secret in it. */
const char *bus_shown(const struct bus *bus);
const char *bus_route(const struct bus *bus);
bool bus_is_up(struct bus *bus);
/* The longest payload of one message, beside our headers. */
size_t bus_payload_max(struct bus *bus);

/* group: only one of those who are in it gets each message; or NULL. */
int bus_listen(struct bus *bus, const char *subject, const char *group,
               natsSubscription **subscription, struct gbx_error *err);
/* Returns 0 or GBX_EHOST. */
int bus_send(struct bus *bus, const char *subject, const char *reply,
             const struct bus_field *fields, size_t count, const void *data,
             size_t bytes);
int bus_send_message(struct bus *bus, natsMsg *message);
/* And wait for what is said.  Returns 0 and *reply, for natsMsg_Destroy;
 * GBX_EHOST; GBX_EUNSUPPORTED: nobody listens there; GBX_ETIME. */
int bus_ask(struct bus *bus, natsMsg **reply, const char *subject,
            const struct bus_field *fields, size_t count, const void *data,
            size_t bytes, uint32_t wait_ms);
int bus_ask_message(struct bus *bus, natsMsg **reply, natsMsg *message,
                    uint32_t wait_ms);
/* A header's value, or NULL: layout_get_fn for a natsMsg. */
const char *bus_header(void *message, const char *name);
/* The status that a server sends in place of a message; 0: it is one. */
int bus_status(natsMsg *message);
/* Of JetStream's API.  Returns 0; a code, with err->sys the err_code. */
int bus_api(struct bus *bus, const char *subject, const char *body,
            struct gbx_error *err);

/* All that names.h has, where it is not there. */
int bus_ensure(struct bus *bus, unsigned replicas, struct gbx_error *err);

/* ---- store.c: what is longer than a message ---- */

/* Bytes of it, from `at` on, to where they are sent from. */
typedef void bus_read_fn(void *context, uint64_t at, void *to, size_t bytes);
/* In pieces <head>.<0...>.  Returns 0 and what it is; or a code: GBX_ELIMIT,
 * the stream is full. */
int bus_store(struct bus *bus, struct layout_body *body, const char *head,
              uint64_t bytes, bus_read_fn *read, void *context,
              struct gbx_error *err);
/* Of one in memory. */
int bus_store_bytes(struct bus *bus, struct layout_body *body, const char *head,
                    const void *data, uint64_t bytes, struct gbx_error *err);
/* body->bytes 0: as its first piece says, up to bytes_max.  Returns 0 and *data
 * for free(); GBX_EFILE: it is not there, or not all of it; GBX_EFORMAT: it is
 * not what it was; GBX_ELIMIT; GBX_EHOST. */
int bus_fetch(struct bus *bus, uint8_t **data, struct layout_body *body,
              const char *stream, const char *head, uint64_t bytes_max,
              struct gbx_error *err);
bool bus_has(struct bus *bus, const char *stream, const char *head);
/* Nobody will read it any more; is not waited for. */
void bus_forget(struct bus *bus, const char *stream, const char *filter);

#endif
