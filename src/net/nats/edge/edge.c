/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/nats/bus.h"
#include "net/nats/edge/edge.h"

#define CONNECT_MS 5000u
#define AWAY_MS    60000u /* a server may be away for so long */
#define PUT_MS     10000u
#define WAIT_NS    "3000000000" /* then a reader is taken for dead */

struct net_edge {
    struct bus *bus;
    char subject[NATS_SUBJECT_MAX], consumer[NET_EDGE_NAME_MAX + 8];
    char id[NATS_ID_CHARS + 1];
    uint64_t serial; /* of what is put */
    char
        missing[NATS_DIGEST_CHARS + 1]; /* of what may be there or not, or "" */
    uint64_t bytes_max;
    natsMsg *taken;         /* and not done with, or NULL */
    bool has_piece;         /* its body lies elsewhere */
    uint64_t last_sequence; /* that was done with */
};

static void edge_close(struct net_edge *edge)
{
    if (edge == NULL)
        return;
    natsMsg_Destroy(edge->taken);
    bus_close(edge->bus);
    free(edge);
}

static void nobody_listens(void *context, natsMsg *message)
{
    (void)context;
    natsMsg_Destroy(message);
}

/* Readers of an edge are one: its order is kept, and each has some. */
static int ensure_consumer(struct net_edge *edge, struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], body[600];

    snprintf(subject, sizeof(subject),
             "$JS.API.CONSUMER.DURABLE.CREATE." NATS_EDGES ".%s",
             edge->consumer);
    snprintf(body, sizeof(body),
             "{\"stream_name\":\"" NATS_EDGES "\",\"config\":{"
             "\"durable_name\":\"%s\",\"filter_subject\":\"%s\","
             "\"ack_policy\":\"explicit\",\"ack_wait\":" WAIT_NS ","
             "\"deliver_policy\":\"all\",\"max_deliver\":-1,"
             "\"replay_policy\":\"instant\",\"max_ack_pending\":1}}",
             edge->consumer, edge->subject);
    return bus_api(edge->bus, subject, body, err);
}

static int edge_open(struct net_edge **edge,
                     const struct net_edge_config *config,
                     struct gbx_error *err)
{
    struct net_edge *made;
    int rc;

    *edge = NULL;
    if (!layout_is_route(config->edge) ||
        strlen(config->edge) > NET_EDGE_NAME_MAX)
        return fail(err, GBX_EARGUMENT,
                    "an edge's name has 1 to %u letters, digits, - and _",
                    NATS_ROUTE_MAX);
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for an edge");
    made->bytes_max = config->bytes_max;
    snprintf(made->subject, sizeof(made->subject), "glovebox.edges.%s",
             config->edge);
    snprintf(made->consumer, sizeof(made->consumer), "edge_%s", config->edge);
    rc = layout_id(made->id)
             ? bus_open(&made->bus,
                        &(struct bus_config){.url = config->url,
                                             .token = config->token,
                                             .ca_path = config->ca_path,
                                             .name = "glovebox edge",
                                             .connect_ms = CONNECT_MS,
                                             .away_ms = AWAY_MS,
                                             .message = nobody_listens},
                        err)
             : fail(err, GBX_EHOST, "the host has no randomness");
    if (rc == 0 && config->takes)
        rc = ensure_consumer(made, err);
    if (rc < 0)
        edge_close(made);
    else
        *edge = made;
    return rc;
}

/* ---- put ---- */

/* The frame as a payload, with its body or without (it lies elsewhere). */
static uint8_t *payload_of(const struct frame *frame, const void *body,
                           size_t *bytes)
{
    uint8_t head[FRAME_HEAD_MAX];
    const size_t head_bytes = frame_write(frame, head);
    const size_t body_bytes = body != NULL ? frame->body_bytes : 0;
    uint8_t *all = malloc(head_bytes + body_bytes);

    if (all == NULL)
        return NULL;
    memcpy(all, head, head_bytes);
    if (body_bytes > 0)
        memcpy(all + head_bytes, body, body_bytes);
    *bytes = head_bytes + body_bytes;
    return all;
}

static int publish(struct net_edge *edge, const struct bus_field *fields,
                   size_t count, const void *data, size_t bytes,
                   struct gbx_error *err)
{
    struct layout_stored stored;
    natsMsg *reply;
    int rc = bus_ask(edge->bus, &reply, edge->subject, fields, count, data,
                     bytes, PUT_MS);

    if (rc < 0)
        return fail(err, GBX_EHOST, "%s: it does not say that it has it",
                    bus_shown(edge->bus));
    layout_stored(&stored, natsMsg_GetData(reply),
                  (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(reply);
    return stored.code == 0
               ? 0
               : fail(err, GBX_ELIMIT, "%s: %s: %s", bus_shown(edge->bus),
                      NATS_EDGES, stored.what);
}

/* A message is tried again as it was: then it has the name that it had, by
 * which the server knows one that it has. */
static void note_missing(struct net_edge *edge, const struct frame *frame,
                         const void *body)
{
    size_t bytes;
    uint8_t *all = payload_of(frame, body, &bytes);

    edge->missing[0] = '\0';
    if (all != NULL)
        layout_digest(all, bytes, edge->missing);
    free(all);
}

static bool is_same_again(struct net_edge *edge, const struct frame *frame,
                          const void *body)
{
    char before[NATS_DIGEST_CHARS + 1];

    if (edge->missing[0] == '\0')
        return false;
    strcpy(before, edge->missing);
    note_missing(edge, frame, body);
    if (strcmp(before, edge->missing) != 0)
        edge->missing[0] = '\0';
    strcpy(before, edge->missing);
    edge->missing[0] = '\0';
    return before[0] != '\0';
}

static int edge_put(struct net_edge *edge, const struct frame *frame,
                    const void *body, struct gbx_error *err)
{
    const bool is_long =
        frame->body_bytes + FRAME_HEAD_MAX > bus_payload_max(edge->bus);
    char name[80], where[120];
    struct bus_field fields[2] = {{NATS_MESSAGE_ID, name}};
    struct layout_body lies;
    uint8_t *data;
    size_t bytes;
    int rc = 0;

    if (!is_same_again(edge, frame, body))
        edge->serial++;
    snprintf(name, sizeof(name), "%s.%llu", edge->id,
             (unsigned long long)edge->serial);
    if (is_long) {
        snprintf(where, sizeof(where), "glovebox.bodies.%s-%llu", edge->id,
                 (unsigned long long)edge->serial);
        rc = bus_store_bytes(edge->bus, &lies, where, body, frame->body_bytes,
                             err);
        snprintf(where, sizeof(where), "%llu %s %s-%llu",
                 (unsigned long long)lies.bytes, lies.digest, edge->id,
                 (unsigned long long)edge->serial);
        fields[1] = (struct bus_field){NATS_EDGE_BODY, where};
    }
    if (rc < 0)
        return rc;
    data = payload_of(frame, is_long ? NULL : body, &bytes);
    if (data == NULL)
        return fail(err, GBX_EHOST, "no memory for a message");
    rc = publish(edge, fields, is_long ? 2 : 1, data, bytes, err);
    free(data);
    if (rc == GBX_EHOST)
        note_missing(edge, frame, body);
    return rc;
}

/* ---- take ---- */

/* Of what was taken; 0: it is nobody's. */
static uint64_t sequence_of(const struct net_edge *edge)
{
    struct layout_ack place = {0};

    return layout_ack(&place, natsMsg_GetReply(edge->taken)) ? place.sequence
                                                             : 0;
}

static void edge_done(struct net_edge *edge)
{
    natsMsg *reply;

    if (edge->taken == NULL)
        return;
    if (sequence_of(edge) != 0)
        edge->last_sequence = sequence_of(edge);
    /* Until the server has it: else it would come again at once. */
    bus_ask(edge->bus, &reply, natsMsg_GetReply(edge->taken), NULL, 0, "+ACK",
            4, PUT_MS);
    natsMsg_Destroy(reply);
    natsMsg_Destroy(edge->taken);
    edge->taken = NULL;
}

/* "<bytes> <SHA-256> <where>" */
static int fetch(struct net_edge *edge, const char *text, void **body,
                 uint64_t bytes, struct gbx_error *err)
{
    char where[100], head[NATS_DIGEST_CHARS + 40];
    const char *space = text != NULL ? strrchr(text, ' ') : NULL;
    struct layout_body lies;
    uint8_t *data;
    int rc;

    if (space == NULL || (size_t)(space - text) >= sizeof(head) ||
        strlen(space + 1) > 60 ||
        strspn(space + 1, "0123456789abcdef-") != strlen(space + 1))
        return GBX_EFORMAT;
    memcpy(head, text, (size_t)(space - text));
    head[space - text] = '\0';
    if (!layout_body(&lies, head) || lies.bytes != bytes)
        return GBX_EFORMAT;
    snprintf(where, sizeof(where), "glovebox.bodies.%s", space + 1);
    rc = bus_fetch(edge->bus, &data, &lies, NATS_BODIES, where, edge->bytes_max,
                   err);
    if (rc < 0)
        return rc == GBX_EHOST ? rc : GBX_EFORMAT;
    *body = data;
    return 0;
}

/* What was taken, into a frame and a body. */
static int read_taken(struct net_edge *edge, struct frame *frame, void **body,
                      struct gbx_error *err)
{
    const uint8_t *data = (const uint8_t *)natsMsg_GetData(edge->taken);
    const size_t bytes = (size_t)natsMsg_GetDataLength(edge->taken);
    const char *elsewhere = bus_header(edge->taken, NATS_EDGE_BODY);
    const char *what;
    const int head = frame_read(frame, data, bytes, &what);

    if (head <= 0 || frame->kind != FRAME_OUTPUT ||
        frame->body_bytes > edge->bytes_max)
        return GBX_EFORMAT;
    if (elsewhere != NULL)
        return bytes == (size_t)head
                   ? fetch(edge, elsewhere, body, frame->body_bytes, err)
                   : GBX_EFORMAT;
    if (bytes - (size_t)head != frame->body_bytes)
        return GBX_EFORMAT;
    if (frame->body_bytes == 0)
        return 0;
    *body = malloc(frame->body_bytes);
    if (*body == NULL)
        return fail(err, GBX_EHOST, "no memory for a message");
    memcpy(*body, data + head, frame->body_bytes);
    return 0;
}

/* It is no message of ours: it lies among the dead, with the reason. */
static int put_aside(struct net_edge *edge, struct gbx_error *err)
{
    static const struct bus_field why[] = {
        {NATS_WHY, "it is no message of an edge"}};

    bus_send(edge->bus, "glovebox.dead.edges", NULL, why, 1,
             natsMsg_GetData(edge->taken),
             (size_t)natsMsg_GetDataLength(edge->taken));
    edge_done(edge);
    return fail(err, GBX_EFORMAT,
                "%s: what lies there is no message of an edge; it is in "
                "GLOVEBOX_DEAD now",
                edge->subject);
}

static int edge_take(struct net_edge *edge, uint32_t wait_ms,
                     struct frame *frame, void **body, struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX], ask[80];
    int rc;

    *body = NULL;
    natsMsg_Destroy(edge->taken);
    edge->taken = NULL;
    snprintf(subject, sizeof(subject),
             "$JS.API.CONSUMER.MSG.NEXT." NATS_EDGES ".%s", edge->consumer);
    snprintf(ask, sizeof(ask), "{\"batch\":1,\"expires\":%u000000}", wait_ms);
    rc = bus_ask(edge->bus, &edge->taken, subject, NULL, 0, ask, strlen(ask),
                 wait_ms + 2000);
    if (rc == 0 && bus_status(edge->taken) != 0)
        rc = GBX_ETIME;
    if (rc < 0)
        return rc == GBX_ETIME ? rc
                               : fail(err, GBX_EHOST, "%s: it does not answer",
                                      bus_shown(edge->bus));
    if (sequence_of(edge) == 0)
        return put_aside(edge, err);
    if (sequence_of(edge) <= edge->last_sequence) { /* our word was lost */
        edge_done(edge);
        return GBX_ETIME;
    }
    rc = read_taken(edge, frame, body, err);
    return rc == GBX_EFORMAT ? put_aside(edge, err) : rc;
}

__attribute__((visibility("default")))
const struct net_edge_api net_edge_api = {.open = edge_open,
                                          .close = edge_close,
                                          .put = edge_put,
                                          .take = edge_take,
                                          .done = edge_done};
