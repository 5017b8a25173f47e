/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull.c - how many messages a worker asks for.
 *
 * As many as it can work on; where calls are quick, some more, since asking
 * takes longer than they do.  More is asked for when half of it has come.  They
 * come to a subject of their own: who does not listen there any more is sent
 * none, while what he gave back would come to him again, and be counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/worker/private.h"

#define QUICK_NS  1000000u  /* a message that takes less: eight ahead */
#define SOME_NS   10000000u /* less: two ahead */
#define ENDING_MS 100u      /* what has come to one that ends */
#define OTHERS_MS 500u      /* one of another version waits for its worker */

int pull_ensure(struct net_worker *worker, struct gbx_error *err)
{
    const char *route = bus_route(worker->bus);
    char subject[NATS_SUBJECT_MAX], body[512];

    snprintf(worker->consumer, sizeof(worker->consumer), "route_%s", route);
    snprintf(subject, sizeof(subject),
             "$JS.API.CONSUMER.DURABLE.CREATE." NATS_CALLS ".%s",
             worker->consumer);
    snprintf(body, sizeof(body),
             "{\"stream_name\":\"" NATS_CALLS "\",\"config\":{"
             "\"durable_name\":\"%s\",\"filter_subject\":\"glovebox.calls.%s\","
             "\"ack_policy\":\"explicit\",\"ack_wait\":%u000000,"
             "\"deliver_policy\":\"all\",\"max_deliver\":-1,"
             "\"replay_policy\":\"instant\",\"max_ack_pending\":100000}}",
             worker->consumer, route, NET_WORKER_WAIT_MS);
    return bus_api(worker->bus, subject, body, err);
}

static unsigned wanted_locked(const struct net_worker *worker)
{
    const unsigned ahead = worker->mean_ns == 0         ? 0
                           : worker->mean_ns < QUICK_NS ? 8
                           : worker->mean_ns < SOME_NS  ? 2
                                                        : 0;

    return worker->is_draining ? 0 : worker->config.slots + ahead;
}

void pull_more_locked(struct net_worker *worker)
{
    const unsigned wanted = wanted_locked(worker);
    const unsigned have = worker->held + worker->pulled;
    char subject[NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX], body[64];

    if (have >= wanted || (worker->pulled > 0 && have > wanted / 2) ||
        !bus_is_up(worker->bus))
        return;
    snprintf(subject, sizeof(subject),
             "$JS.API.CONSUMER.MSG.NEXT." NATS_CALLS ".%s", worker->consumer);
    snprintf(reply, sizeof(reply), "glovebox.pulled.%s", worker->id);
    snprintf(body, sizeof(body), "{\"batch\":%u,\"expires\":30000000000}",
             wanted - have);
    if (bus_send(worker->bus, subject, reply, NULL, 0, body, strlen(body)) < 0)
        return;
    worker->pulled += wanted - have;
    worker->pulled_ns = worker_now_ns();
}

/* In place of messages: the time is over, or there is nobody to ask. */
void pull_status(struct net_worker *worker, natsMsg *message)
{
    const int status = bus_status(message);
    const char *left = bus_header(message, "Nats-Pending-Messages");
    const unsigned count = left != NULL ? (unsigned)atoi(left) : UINT32_MAX;

    if (status == 0 || status == 100)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->pulled -= count < worker->pulled ? count : worker->pulled;
    if (status == 408) /* else the heart asks, in a while */
        pull_more_locked(worker);
    pthread_mutex_unlock(&worker->lock);
}

static struct taken *make(struct net_worker *worker, natsMsg *message)
{
    struct taken *taken = calloc(1, sizeof(*taken));
    struct layout_ack ack = {0};

    if (taken == NULL)
        return NULL;
    taken->message = message;
    taken->head.worker = worker;
    taken->head.data = (const uint8_t *)natsMsg_GetData(message);
    taken->head.bytes = (size_t)natsMsg_GetDataLength(message);
    layout_ack(&ack, natsMsg_GetReply(message));
    taken->head.attempt = ack.delivered;
    taken->stored_ns = ack.stored_ns;
    if (!layout_head(&taken->head.head, bus_header, message, &taken->what) &&
        taken->what == NULL)
        taken->what = "its headers make no sense";
    return taken;
}

void pull_take(struct net_worker *worker, natsMsg *message)
{
    struct taken *taken = make(worker, message);
    bool is_draining;

    if (taken == NULL) { /* it comes again */
        natsMsg_Destroy(message);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    taken->number = ++worker->numbers;
    LIST_INSERT_HEAD(&worker->all, taken, next);
    worker->held++;
    worker->pulled -= worker->pulled > 0;
    worker->counts.taken++;
    worker->counts.again += taken->head.attempt > 1;
    is_draining = worker->is_draining;
    if (!is_draining)
        pull_more_locked(worker);
    pthread_mutex_unlock(&worker->lock);
    if (is_draining)
        net_taken_give_back(&taken->head, ENDING_MS);
    else if (taken->what == NULL && taken->head.head.frames != FRAME_VERSION &&
             taken->head.attempt <= worker->config.deliveries_max)
        net_taken_give_back(&taken->head, OTHERS_MS);
    else
        worker->config.handler->take(worker->config.context, &taken->head);
}
