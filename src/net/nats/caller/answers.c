/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.c - what comes for a caller.
 *
 * The results of a message may come several times: as they are published, out
 * of the stream, and of a second worker where the first one died.  A call has
 * one answer because it leaves the table with it, and what comes for a call
 * that is not there is dropped.  An answer is looked at as a whole before any
 * of it is handed on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/caller/private.h"

void answers_frame(struct net_host *host, const void *data, size_t bytes)
{
    if (host->is_told_up)
        host->handler->piece(host->context, false, data, bytes, true);
}

/* ---- results ---- */

/*
 * What a call of the script takes where nothing else keeps it waiting: down
 * quickly, up slowly.  A mean would grow with the load, and so would the number
 * of messages, and with that the load.
 */
static void learn(struct call *call, uint64_t took_ns)
{
    struct script *script = call->script;

    if (script == NULL)
        return;
    if (script->usual_ns == 0 || took_ns < script->usual_ns)
        script->usual_ns = script->usual_ns == 0
                               ? took_ns + 1
                               : (3 * script->usual_ns + took_ns) / 4 + 1;
    else
        script->usual_ns += script->usual_ns / 64 + 1;
}

static struct call *find_in(struct parcel *parcel, uint32_t number)
{
    struct call *call;

    LIST_FOREACH(call, &parcel->calls, beside)
    if (call->number == number)
        return call;
    return NULL;
}

/* Is it one that is waited for?  Then it is so no more. */
static bool take(struct net_host *host, uint64_t serial,
                 const struct layout_part *part, uint64_t took_ns)
{
    struct parcel *parcel;
    struct call *call = NULL;

    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL)
        call = find_in(parcel, part->first.call);
    if (call != NULL) {
        if (took_ns > 0)
            learn(call, took_ns);
        calls_drop_locked(host, call, true);
        if (parcel->count == 0) /* its worker has it out of the queue */
            parcels_drop_locked(host, parcel);
    }
    pthread_mutex_unlock(&host->lock);
    return call != NULL;
}

static void hand_on(struct net_host *host, const struct layout_part *part)
{
    size_t at = 0, from = 0;
    struct frame frame;
    const uint8_t *body;
    const char *what;

    while (layout_frame(&frame, &body, part->data, part->bytes, &at, &what) >
           0) {
        answers_frame(host, part->data + from, at - from);
        from = at;
    }
}

/* The last frame of a part says how long it took. */
static uint64_t took(const struct layout_part *part)
{
    size_t at = 0;
    struct frame frame = {0};
    const uint8_t *body;
    const char *what;

    while (layout_frame(&frame, &body, part->data, part->bytes, &at, &what) > 0)
        ;
    return frame.kind == FRAME_DONE ? frame.scalar : 0;
}

void answers_result(struct net_host *host, uint64_t serial, const void *data,
                    size_t bytes)
{
    struct layout_part part;
    const char *what;
    size_t at = 0;
    int rc;

    while ((rc = layout_next(&part, true, data, bytes, &at, &what)) > 0)
        if (take(host, serial, &part, took(&part)))
            hand_on(host, &part);
    if (rc < 0) {
        struct parcel *parcel;
        char text[GBX_ERROR_TEXT_MAX];

        snprintf(text, sizeof(text), "a worker's answer makes no sense: %s",
                 what);
        pthread_mutex_lock(&host->lock);
        parcel = parcels_find_locked(host, serial);
        if (parcel != NULL)
            parcels_fail_locked(host, parcel, GBX_EFORMAT, false, text);
        pthread_mutex_unlock(&host->lock);
    }
    pthread_mutex_lock(&host->lock);
    if (host->bus != NULL)
        parcels_send_locked(host);
    pthread_mutex_unlock(&host->lock);
}

/* "<code> <why>": a worker has put the message aside. */
static void put_aside(struct net_host *host, uint64_t serial, const char *why)
{
    struct parcel *parcel;
    char what[GBX_ERROR_TEXT_MAX], *text;
    const long code = strtol(why, &text, 10);

    snprintf(what, sizeof(what),
             "the call was put aside (" NATS_DEAD "): %.180s",
             *text == ' ' ? text + 1 : text);
    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL)
        parcels_fail_locked(host, parcel,
                            code < 0 && code > -1000 ? (int)code : GBX_EBROKEN,
                            false, what);
    pthread_mutex_unlock(&host->lock);
}

static void take_result(struct net_host *host, uint64_t serial,
                        natsMsg *message)
{
    const char *where = bus_header(message, NATS_BODY);
    struct task task = {.kind = TASK_RESULT, .serial = serial};

    if (bus_status(message) != 0)
        return; /* is not there yet */
    if (bus_header(message, NATS_WHY) != NULL) {
        put_aside(host, serial, bus_header(message, NATS_WHY));
        return;
    }
    if (where == NULL) {
        answers_result(host, serial, natsMsg_GetData(message),
                       (size_t)natsMsg_GetDataLength(message));
        return;
    }
    if (!layout_body(&task.body, where))
        return;
    pthread_mutex_lock(&host->lock);
    if (parcels_find_locked(host, serial) != NULL)
        helper_put_locked(host, &task);
    pthread_mutex_unlock(&host->lock);
}

/* ---- ASK ---- */

static void refuse_ask(struct net_host *host, const char *reply,
                       uint32_t number)
{
    static const char text[] = "nobody waits for this call";
    const struct frame frame = {.kind = FRAME_ANSWER,
                                .flags = FRAME_IS_ERROR,
                                .call = number,
                                .body_bytes = sizeof(text) - 1};
    uint8_t all[FRAME_HEAD_MAX + sizeof(text)];
    const size_t bytes = frame_write(&frame, all);

    memcpy(all + bytes, text, sizeof(text) - 1);
    bus_send(host->bus, reply, NULL, NULL, 0, all, bytes + sizeof(text) - 1);
}

static const char twice[] =
    "its worker was lost after it had asked, and was answered: whether the "
    "call has done what it does is not known, so it is not done again";

/* Returns whether the embedder is to be asked. */
static bool take_ask_locked(struct net_host *host, uint64_t serial,
                            uint32_t number, uint64_t attempt,
                            const char *reply)
{
    struct parcel *parcel = parcels_find_locked(host, serial);
    struct call *call = parcel != NULL ? find_in(parcel, number) : NULL;

    if (call == NULL) {
        refuse_ask(host, reply, number);
        return false;
    }
    if (call->asked != 0 && call->asked != attempt) {
        refuse_ask(host, reply, number);
        calls_end_locked(host, call, GBX_EBROKEN, twice);
        return false;
    }
    if (call->reply != NULL && strcmp(call->reply, reply) == 0) {
        /* The same once more: what was sent may be lost. */
        bus_send(host->bus, reply, NULL, NULL, 0,
                 call->is_asking ? NULL : call->answer,
                 call->is_asking ? 0 : call->answer_bytes);
        return false;
    }
    free(call->reply);
    call->reply = strdup(reply);
    call->asking = attempt;
    call->is_asking = call->reply != NULL;
    return call->is_asking;
}

static void take_ask(struct net_host *host, uint64_t serial, natsMsg *message)
{
    const uint8_t *data = (const uint8_t *)natsMsg_GetData(message), *body;
    const size_t bytes = (size_t)natsMsg_GetDataLength(message);
    const char *attempt = bus_header(message, NATS_ATTEMPT);
    const char *reply = natsMsg_GetReply(message), *what;
    struct frame frame;
    size_t at = 0;
    bool good;

    if (reply == NULL || attempt == NULL ||
        layout_frame(&frame, &body, data, bytes, &at, &what) != 1 ||
        at != bytes || frame.kind != FRAME_ASK)
        return;
    pthread_mutex_lock(&host->lock);
    good = host->bus != NULL &&
           take_ask_locked(host, serial, frame.call,
                           strtoull(attempt, NULL, 10), reply);
    pthread_mutex_unlock(&host->lock);
    if (good)
        answers_frame(host, data, bytes);
}

/* A worker wants to know whether to begin: numbers, each with a space. */
static void say_wanted(struct net_host *host, uint64_t serial, natsMsg *message)
{
    char text[NATS_CALLS_MAX * 12 + 1] = "";
    const char *reply = natsMsg_GetReply(message);
    const struct parcel *parcel;
    const struct call *call;
    size_t at = 0;

    if (reply == NULL)
        return;
    pthread_mutex_lock(&host->lock);
    parcel = parcels_find_locked(host, serial);
    if (parcel != NULL)
        LIST_FOREACH(call, &parcel->calls, beside)
    if (at < sizeof(text) - 12)
        at += (size_t)snprintf(text + at, 12, "%u ", call->number);
    if (host->bus != NULL)
        bus_send(host->bus, reply, NULL, NULL, 0, text, at);
    pthread_mutex_unlock(&host->lock);
}

/* ---- all of it ---- */

static void take_message(struct net_host *host, const char *kind, size_t bytes,
                         uint64_t serial, natsMsg *message)
{
    static const struct {
        const char *kind;
        void (*take)(struct net_host *host, uint64_t serial, natsMsg *message);
    } all[] = {{"result", take_result},   {"early", take_result},
               {"again", take_result},    {"stored", parcels_stored},
               {"ask", take_ask},         {"wanted", say_wanted},
               {"loaded", scripts_loaded}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strlen(all[i].kind) == bytes &&
            memcmp(all[i].kind, kind, bytes) == 0)
            all[i].take(host, serial, message);
}

void answers_message(struct net_host *host, natsMsg *message)
{
    const char *subject = natsMsg_GetSubject(message), *kind;
    size_t bytes;
    uint64_t serial;

    if (strncmp(subject, "$KV.", 4) == 0)
        scripts_node(host, message);
    else if (host->is_told_up &&
             layout_subject(subject, "glovebox.to.", host->id, &kind, &bytes,
                            &serial))
        take_message(host, kind, bytes, serial, message);
}
