/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcels.c - messages of calls.
 *
 * A call is published as it comes, in a message of its own, as long as the
 * server keeps up.  While UNSTORED_MAX messages are not acknowledged, calls
 * that are known to be quick wait; and then those of one script go together, as
 * many as take TOGETHER_NS.  So one call takes as long as one can, and many
 * share what JetStream costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/caller/private.h"

#define ACK_NS      2000000000u  /* it is sent once more, and taken once */
#define LOST_NS     30000000000u /* the server has said nothing */
#define NOBODY_NS   250000000u   /* of several, which has the stream? */
#define NONE_NS     10000000000u /* none */
#define LOOK_NS     1000000000u  /* for results, first after */
#define LOOK_NS_MAX 15000000000u
#define LATE_NS     2000000000u /* a worker may say itself that it is late */

struct parcel *parcels_find_locked(struct net_host *host, uint64_t serial)
{
    struct parcel *parcel;

    LIST_FOREACH(parcel, &host->parcels, next)
    if (parcel->serial == serial)
        return parcel;
    return NULL;
}

void parcels_drop_locked(struct net_host *host, struct parcel *parcel)
{
    if (!parcel->is_stored && host->unstored > 0)
        host->unstored--;
    LIST_REMOVE(parcel, next);
    natsMsg_Destroy(parcel->message);
    free(parcel);
}

static void forget_body(struct net_host *host, struct bus *bus,
                        const struct parcel *parcel)
{
    char filter[NATS_SUBJECT_MAX];

    if (!parcel->has_body)
        return;
    snprintf(filter, sizeof(filter), "glovebox.bodies.%s-%llu.*", host->id,
             (unsigned long long)parcel->serial);
    bus_forget(bus, NATS_BODIES, filter);
}

void parcels_take_back(struct net_host *host, struct bus *bus,
                       const struct parcel *parcel)
{
    static const char subject[] = "$JS.API.STREAM.MSG.DELETE." NATS_CALLS;
    char body[64];

    snprintf(body, sizeof(body), "{\"seq\":%llu,\"no_erase\":true}",
             (unsigned long long)parcel->sequence);
    if (parcel->is_stored)
        bus_send(bus, subject, NULL, NULL, 0, body, strlen(body));
    forget_body(host, bus, parcel);
}

void parcels_settle_locked(struct net_host *host, struct parcel *parcel)
{
    if (parcel->count > 0)
        return;
    parcel->is_unwanted = true;
    if (!parcel->is_stored)
        return; /* where it lies is not known yet */
    parcels_take_back(host, host->bus, parcel);
    parcels_drop_locked(host, parcel);
}

void parcels_fail_locked(struct net_host *host, struct parcel *parcel, int code,
                         bool has_not_run, const char *what)
{
    struct call *call;

    while ((call = LIST_FIRST(&parcel->calls)) != NULL)
        calls_fail_locked(host, call, code, has_not_run, what);
    parcels_drop_locked(host, parcel);
}

/* ---- they are made ---- */

static void copy_call(uint8_t *to, const struct call *call)
{
    for (unsigned i = 0; i < call->piece_count; i++) {
        const struct piece *piece = &call->pieces[i];

        memcpy(to, piece->head, piece->head_bytes);
        if (piece->bytes > 0)
            memcpy(to + piece->head_bytes, piece->data, piece->bytes);
        to += piece->head_bytes + piece->bytes;
    }
}

static void release_pieces(struct net_host *host, struct call *call)
{
    for (unsigned i = 0; i < call->piece_count; i++) {
        const struct piece *piece = &call->pieces[i];

        if (piece->release != NULL)
            caller_tell(host, &(struct event){.kind = EVENT_RELEASE,
                                              .release = piece->release,
                                              .context = piece->context,
                                              .has_begun = true});
        free(piece->copy);
    }
    free(call->pieces);
    call->pieces = NULL;
    call->piece_count = 0;
}

/* Its headers; with a payload, or where that lies. */
static natsMsg *make_message(struct net_host *host, const struct parcel *parcel,
                             const void *data, size_t bytes,
                             const struct layout_body *body)
{
    const struct call *first = LIST_FIRST(&parcel->calls), *call;
    char subject[NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX], from[64];
    char frames[16], wait[24], where[NATS_DIGEST_CHARS + 32];
    uint64_t wait_ms = first->timeout_ms;
    natsMsg *message = NULL;
    natsStatus s;

    LIST_FOREACH(call, &parcel->calls, beside)
    wait_ms = call->timeout_ms == 0 || wait_ms == 0 ? 0
              : call->timeout_ms > wait_ms          ? call->timeout_ms
                                                    : wait_ms;
    snprintf(subject, sizeof(subject), "glovebox.calls.%s",
             bus_route(host->bus));
    snprintf(reply, sizeof(reply), "glovebox.to.%s.stored.%llu", host->id,
             (unsigned long long)parcel->serial);
    snprintf(from, sizeof(from), "%s.%llu", host->id,
             (unsigned long long)parcel->serial);
    snprintf(frames, sizeof(frames), "%u", FRAME_VERSION);
    snprintf(wait, sizeof(wait), "%llu", (unsigned long long)wait_ms);
    s = natsMsg_Create(&message, subject, reply, data, (int)bytes);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(message, NATS_MESSAGE_ID, from);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(message, NATS_FROM, from);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(message, NATS_FRAMES, frames);
    if (s == NATS_OK && first->digest[0] != '\0')
        s = natsMsgHeader_Set(message, NATS_SCRIPT, first->digest);
    if (s == NATS_OK && wait_ms > 0)
        s = natsMsgHeader_Set(message, NATS_WAIT, wait);
    if (s == NATS_OK && body != NULL) {
        snprintf(where, sizeof(where), "%llu %s",
                 (unsigned long long)body->bytes, body->digest);
        s = natsMsgHeader_Set(message, NATS_BODY, where);
    }
    if (s == NATS_OK)
        return message;
    natsMsg_Destroy(message);
    return NULL;
}

static void publish_locked(struct net_host *host, struct parcel *parcel)
{
    struct call *call;

    if (parcel->message == NULL) {
        parcels_fail_locked(host, parcel, GBX_EHOST, true, "no memory");
        return;
    }
    LIST_FOREACH(call, &parcel->calls, beside)
    release_pieces(host, call);
    parcel->began_ns = parcel->sent_ns = caller_now_ns();
    /* Where it could not be sent, it is once more (tick). */
    parcel->sends = 1;
    bus_send_message(host->bus, parcel->message);
}

/* The next ones that are ready, as many as fit.  NULL: no memory. */
static struct parcel *gather_locked(struct net_host *host, uint64_t *bytes)
{
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    struct call *call, *last = NULL;

    if (parcel == NULL)
        return NULL;
    LIST_INIT(&parcel->calls);
    *bytes = 0;
    while ((call = STAILQ_FIRST(&host->ready)) != NULL) {
        if (last != NULL && (parcel->count >= call->beside_max ||
                             parcel->count >= last->beside_max ||
                             *bytes + call->bytes > TOGETHER_BYTES ||
                             *bytes + call->bytes > host->payload_max ||
                             strcmp(call->digest, last->digest) != 0))
            break;
        STAILQ_REMOVE_HEAD(&host->ready, next);
        call->parcel = parcel;
        if (last == NULL)
            LIST_INSERT_HEAD(&parcel->calls, call, beside);
        else
            LIST_INSERT_AFTER(last, call, beside);
        parcel->count++;
        *bytes += call->bytes;
        last = call;
    }
    parcel->serial = ++host->serial;
    LIST_INSERT_HEAD(&host->parcels, parcel, next);
    host->unstored++;
    return parcel;
}

static void send_small_locked(struct net_host *host, struct parcel *parcel,
                              uint64_t bytes)
{
    uint8_t *payload = malloc(bytes), *to = payload;
    const struct call *call;

    if (payload != NULL) {
        LIST_FOREACH(call, &parcel->calls, beside)
        {
            copy_call(to, call);
            to += call->bytes;
        }
        parcel->message = make_message(host, parcel, payload, bytes, NULL);
    }
    free(payload);
    publish_locked(host, parcel);
}

/* Quick ones wait, to go together; others, only until the server can follow. */
static bool may_send_locked(const struct net_host *host)
{
    const struct call *call = STAILQ_FIRST(&host->ready);

    return call != NULL && host->bus != NULL &&
           host->unstored <
               (call->beside_max > 1 ? UNSTORED_MAX : UNSTORED_SLOW);
}

void parcels_send_locked(struct net_host *host)
{
    struct parcel *parcel;
    uint64_t bytes;

    while (may_send_locked(host)) {
        parcel = gather_locked(host, &bytes);
        if (parcel == NULL)
            return;
        if (bytes <= host->payload_max) {
            send_small_locked(host, parcel, bytes);
            continue;
        }
        parcel->is_large = true;
        helper_put_locked(
            host, &(struct task){.kind = TASK_LARGE, .serial = parcel->serial});
    }
}

/* ---- large ones, in the helper's thread ---- */

struct large {
    struct net_host *host;
    uint64_t serial;
    bool is_gone;
};

static void read_pieces(const struct call *call, uint64_t at, uint8_t *to,
                        size_t bytes)
{
    for (unsigned i = 0; i < call->piece_count && bytes > 0; i++) {
        const struct piece *piece = &call->pieces[i];
        const struct {
            const uint8_t *data;
            size_t bytes;
        } parts[] = {{piece->head, piece->head_bytes},
                     {piece->data, piece->bytes}};

        for (size_t j = 0; j < 2; j++) {
            size_t count;

            if (at >= parts[j].bytes) {
                at -= parts[j].bytes;
                continue;
            }
            count = parts[j].bytes - at < bytes ? parts[j].bytes - at : bytes;
            memcpy(to, parts[j].data + at, count);
            to += count;
            bytes -= count;
            at = 0;
        }
    }
}

/* What is lent may be taken back meanwhile, or the call be cancelled. */
static void read_large(void *context, uint64_t at, void *to, size_t bytes)
{
    struct large *large = context;
    struct parcel *parcel;

    pthread_mutex_lock(&large->host->lock);
    parcel = parcels_find_locked(large->host, large->serial);
    if (parcel != NULL && parcel->count == 1)
        read_pieces(LIST_FIRST(&parcel->calls), at, to, bytes);
    else
        large->is_gone = true;
    pthread_mutex_unlock(&large->host->lock);
}

/* A stream that is full will not always be. */
static int large_code(int rc)
{
    if (rc == 0)
        return GBX_ECANCELED;
    return rc == GBX_ELIMIT ? GBX_EAGAIN : rc;
}

void parcels_send_large(struct net_host *host, uint64_t serial)
{
    struct large large = {.host = host, .serial = serial};
    char head[NATS_SUBJECT_MAX];
    struct gbx_error err = {.what = ""};
    struct layout_body body = {0};
    struct parcel *parcel;
    uint64_t bytes = 0;
    int rc;

    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL && parcel->count == 1)
        bytes = LIST_FIRST(&parcel->calls)->bytes;
    pthread_mutex_unlock(&host->lock);
    if (parcel == NULL || host->bus == NULL)
        return;
    snprintf(head, sizeof(head), "glovebox.bodies.%s-%llu", host->id,
             (unsigned long long)serial);
    rc = bytes > 0 ? bus_store(host->bus, &body, head, bytes, read_large,
                               &large, &err)
                   : 0;
    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL) {
        parcel->has_body = true;
        parcel->is_large = false;
        if (rc < 0 || large.is_gone || parcel->count != 1) {
            forget_body(host, host->bus, parcel);
            parcels_fail_locked(host, parcel, large_code(rc), true, err.what);
        } else {
            parcel->message = make_message(host, parcel, NULL, 0, &body);
            publish_locked(host, parcel);
        }
    }
    parcels_send_locked(host);
    pthread_mutex_unlock(&host->lock);
}

/* ---- what becomes of them ---- */

static const char *remedy(int code)
{
    switch (code) {
    case 10047: /* insufficient storage */
    case 10023: /* insufficient resources */
    case 10077: /* maximum messages, or bytes, exceeded */
    case 10028: /* memory */
    case 10002: /* the account's */
        return ": the queue is full; start more workers, or raise its limits "
               "(nats stream edit " NATS_CALLS ")";
    default:
        return "";
    }
}

static void refuse_locked(struct net_host *host, struct parcel *parcel,
                          const struct layout_stored *stored)
{
    char what[GBX_ERROR_TEXT_MAX];

    snprintf(what, sizeof(what), "JetStream does not take the call: %s%s",
             stored->what, remedy(stored->code));
    forget_body(host, host->bus, parcel);
    parcels_fail_locked(host, parcel, GBX_EAGAIN, true, what);
}

void parcels_stored(struct net_host *host, uint64_t serial, natsMsg *message)
{
    struct layout_stored stored = {.code = 1, .what = "it makes no sense"};
    const bool is_nobody = bus_status(message) != 0;
    struct parcel *parcel;

    if (!is_nobody)
        layout_stored(&stored, natsMsg_GetData(message),
                      (size_t)natsMsg_GetDataLength(message));
    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL && !parcel->is_stored && is_nobody) {
        parcel->nobodys++;
    } else if (parcel != NULL && !parcel->is_stored && stored.code != 0) {
        refuse_locked(host, parcel, &stored);
    } else if (parcel != NULL && !parcel->is_stored) {
        parcel->is_stored = true;
        parcel->sequence = stored.sequence;
        natsMsg_Destroy(parcel->message);
        parcel->message = NULL;
        host->unstored--;
        parcel->look_after_ns = LOOK_NS;
        parcel->look_ns = caller_now_ns() + LOOK_NS;
        if (parcel->is_unwanted)
            parcels_settle_locked(host, parcel);
    }
    if (host->bus != NULL)
        parcels_send_locked(host);
    pthread_mutex_unlock(&host->lock);
}

static void look(struct net_host *host, struct parcel *parcel, uint64_t now)
{
    char subject[2 * NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX];

    snprintf(subject, sizeof(subject),
             "$JS.API.DIRECT.GET." NATS_RESULTS ".glovebox.to.%s.result.%llu",
             host->id, (unsigned long long)parcel->serial);
    snprintf(reply, sizeof(reply), "glovebox.to.%s.again.%llu", host->id,
             (unsigned long long)parcel->serial);
    bus_send(host->bus, subject, reply, NULL, 0, "", 0);
    parcel->look_after_ns *= 2;
    if (parcel->look_after_ns > LOOK_NS_MAX)
        parcel->look_after_ns = LOOK_NS_MAX;
    parcel->look_ns = now + parcel->look_after_ns;
}

/* Each time it was sent, nobody had the stream: as while servers that are
 * several agree on who is to. */
static bool has_nobody(const struct parcel *parcel)
{
    return parcel->nobodys == parcel->sends;
}

static void tick_parcel(struct net_host *host, struct parcel *parcel,
                        uint64_t now, bool at_once)
{
    if (parcel->is_large)
        return;
    if (parcel->is_stored) {
        if (at_once || now > parcel->look_ns)
            look(host, parcel, now);
    } else if (has_nobody(parcel) && now > parcel->began_ns + NONE_NS) {
        refuse_locked(host, parcel,
                      &(struct layout_stored){
                          .code = 1, .what = "there is no stream " NATS_CALLS});
    } else if (now > parcel->began_ns + LOST_NS) {
        parcels_fail_locked(host, parcel, GBX_EHOST, false,
                            "the NATS server does not say that it has the "
                            "call: whether it runs is not known");
    } else if (at_once || now > parcel->sent_ns +
                                    (has_nobody(parcel) ? NOBODY_NS : ACK_NS)) {
        bus_send_message(host->bus, parcel->message);
        parcel->sends++;
        parcel->sent_ns = now;
    }
}

static void check_deadlines(struct net_host *host, uint64_t now)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct call *call, *next;

        for (call = LIST_FIRST(&host->calls[i]); call != NULL; call = next) {
            const uint64_t late = call->parcel != NULL ? LATE_NS : 0;

            next = LIST_NEXT(call, same);
            if (call->until_ns == 0 || now < call->until_ns + late)
                continue;
            calls_end_locked(host, call, GBX_ETIME, "the deadline passed");
        }
    }
}

void parcels_tick(struct net_host *host, bool at_once)
{
    const uint64_t now = caller_now_ns();
    struct parcel *parcel, *next;

    pthread_mutex_lock(&host->lock);
    if (host->bus != NULL && bus_is_up(host->bus)) {
        for (parcel = LIST_FIRST(&host->parcels); parcel != NULL;
             parcel = next) {
            next = LIST_NEXT(parcel, next);
            tick_parcel(host, parcel, now, at_once);
        }
        parcels_send_locked(host);
    }
    if (host->bus != NULL)
        check_deadlines(host, now);
    pthread_mutex_unlock(&host->lock);
}
