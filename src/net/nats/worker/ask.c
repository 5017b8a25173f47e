/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - what calls ask of their callers while they run.
 *
 * An ASK that nobody has heard is sent once more: the caller may be connecting
 * anew.  It knows one that it has by where its answer goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/worker/private.h"

#define GONE_NS   15000000000u /* a caller that was away so long is gone */
#define AGAIN_NS  500000000u   /* after nobody was there */
#define SILENT_NS 5000000000u

static void free_ask(struct ask *ask)
{
    LIST_REMOVE(ask, next);
    natsMsg_Destroy(ask->message);
    free(ask);
}

void ask_drop_locked(struct taken *taken)
{
    struct ask *ask, *next;

    for (ask = LIST_FIRST(&taken->head.worker->asks); ask != NULL; ask = next) {
        next = LIST_NEXT(ask, next);
        if (ask->taken == taken)
            free_ask(ask);
    }
}

static natsMsg *make(struct taken *taken, uint64_t number,
                     const struct frame *frame, const void *body)
{
    struct net_worker *worker = taken->head.worker;
    char subject[NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX], attempt[24];
    uint8_t head[FRAME_HEAD_MAX], *all;
    const size_t head_bytes = frame_write(frame, head);
    natsMsg *message = NULL;
    natsStatus s;

    if (head_bytes + frame->body_bytes > bus_payload_max(worker->bus))
        return NULL;
    all = malloc(head_bytes + frame->body_bytes);
    if (all == NULL)
        return NULL;
    memcpy(all, head, head_bytes);
    if (frame->body_bytes > 0)
        memcpy(all + head_bytes, body, frame->body_bytes);
    snprintf(subject, sizeof(subject), "glovebox.to.%s.ask.%llu",
             taken->head.head.from.caller,
             (unsigned long long)taken->head.head.from.serial);
    snprintf(reply, sizeof(reply), "glovebox.worker.%s.answer.%llu", worker->id,
             (unsigned long long)number);
    snprintf(attempt, sizeof(attempt), "%llu",
             (unsigned long long)taken->head.attempt);
    s = natsMsg_Create(&message, subject, reply, (const char *)all,
                       (int)(head_bytes + frame->body_bytes));
    if (s == NATS_OK)
        s = natsMsgHeader_Set(message, NATS_ATTEMPT, attempt);
    free(all);
    if (s == NATS_OK)
        return message;
    natsMsg_Destroy(message);
    return NULL;
}

int net_taken_ask(struct net_taken *head, const struct frame *frame,
                  const void *body)
{
    struct net_worker *worker = head->worker;
    struct ask *ask = calloc(1, sizeof(*ask));
    const uint64_t now = worker_now_ns();

    if (ask == NULL)
        return GBX_EHOST;
    ask->taken = (struct taken *)(void *)head;
    ask->call = frame->call;
    ask->until_ns = now + GONE_NS;
    ask->send_ns = now + SILENT_NS;
    pthread_mutex_lock(&worker->lock);
    ask->number = ++worker->numbers;
    ask->message = make(ask->taken, ask->number, frame, body);
    LIST_INSERT_HEAD(&worker->asks, ask, next);
    if (ask->message == NULL) {
        free_ask(ask);
        ask = NULL;
    } else {
        bus_send_message(worker->bus, ask->message);
    }
    pthread_mutex_unlock(&worker->lock);
    return ask != NULL ? 0 : GBX_EHOST;
}

void ask_answered(struct net_worker *worker, uint64_t number, natsMsg *message)
{
    struct ask *ask;

    pthread_mutex_lock(&worker->lock);
    LIST_FOREACH(ask, &worker->asks, next)
    if (ask->number == number)
        break;
    if (ask != NULL && bus_status(message) != 0) {
        ask->send_ns = worker_now_ns() + AGAIN_NS;
    } else if (ask != NULL && natsMsg_GetDataLength(message) == 0) {
        ask->until_ns = worker_now_ns() + GONE_NS; /* it thinks */
    } else if (ask != NULL) {
        worker->config.handler->answer(
            worker->config.context, &ask->taken->head, ask->call,
            natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
        free_ask(ask);
    }
    pthread_mutex_unlock(&worker->lock);
}

void ask_beat(struct net_worker *worker, uint64_t now)
{
    struct ask *ask, *next;

    pthread_mutex_lock(&worker->lock);
    for (ask = LIST_FIRST(&worker->asks); ask != NULL; ask = next) {
        next = LIST_NEXT(ask, next);
        if (now < ask->send_ns)
            continue;
        if (now < ask->until_ns) {
            bus_send_message(worker->bus, ask->message);
            ask->send_ns = now + SILENT_NS;
            continue;
        }
        worker->config.handler->answer(worker->config.context,
                                       &ask->taken->head, ask->call, NULL, 0);
        free_ask(ask);
    }
    pthread_mutex_unlock(&worker->lock);
}
