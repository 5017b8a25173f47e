/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "net/nats/worker/private.h"

#define BEAT_NS  500000000u
#define CLOSE_NS 10000000000u /* for what is finished to be stored */

uint64_t worker_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int net_worker_check(const char *url, struct gbx_error *err)
{
    return bus_check(url, err);
}

/* ---- messages ---- */

/* "<caller>.<serial> <call>" */
static void take_cancel(struct net_worker *worker, natsMsg *message)
{
    const int bytes = natsMsg_GetDataLength(message);
    char text[96] = "", *space, *end;
    struct layout_from from;
    unsigned long number;

    if (bytes <= 0 || bytes >= (int)sizeof(text))
        return;
    memcpy(text, natsMsg_GetData(message), (size_t)bytes);
    space = strchr(text, ' ');
    if (space == NULL)
        return;
    *space = '\0';
    number = strtoul(space + 1, &end, 10);
    if (*end == '\0' && number <= UINT32_MAX && layout_from(&from, text))
        worker->config.handler->cancel(worker->config.context, &from,
                                       (uint32_t)number);
}

static void take_load(struct net_worker *worker, natsMsg *message)
{
    const char *digest = bus_header(message, NATS_SCRIPT);
    const char *reply = natsMsg_GetReply(message), *dot;
    struct net_load *load;
    unsigned long number;
    char *end;

    if (digest == NULL || !layout_is_hex(digest, NATS_DIGEST_CHARS) ||
        reply == NULL || (dot = strrchr(reply, '.')) == NULL)
        return;
    number = strtoul(dot + 1, &end, 10);
    if (*end != '\0' || number == 0 || number > UINT32_MAX)
        return;
    load = calloc(1, sizeof(*load));
    if (load == NULL)
        return;
    load->worker = worker;
    load->number = (uint32_t)number;
    memcpy(load->digest, digest, sizeof(load->digest));
    load->reply = strdup(reply);
    if (load->reply != NULL) {
        worker->config.handler->load(worker->config.context, load);
        return;
    }
    free(load);
}

void net_load_finish(struct net_load *load, const void *data, size_t bytes)
{
    if (data != NULL)
        bus_send(load->worker->bus, load->reply, NULL, NULL, 0, data, bytes);
    free(load->reply);
    free(load);
}

static void take_own(struct net_worker *worker, const char *kind, size_t bytes,
                     uint64_t number, natsMsg *message)
{
    if (bytes == 6 && memcmp(kind, "stored", bytes) == 0)
        taken_stored(worker, number, message);
    else if (bytes == 6 && memcmp(kind, "answer", bytes) == 0)
        ask_answered(worker, number, message);
}

static void tell_soon(struct net_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->wants_tell = true;
    pthread_cond_signal(&worker->beats);
    pthread_mutex_unlock(&worker->lock);
}

static void on_message(void *context, natsMsg *message)
{
    struct net_worker *worker = context;
    const char *subject = natsMsg_GetSubject(message), *kind;
    const char *reply = natsMsg_GetReply(message);
    size_t bytes;
    uint64_t number;

    if (reply != NULL && strncmp(reply, "$JS.ACK.", 8) == 0) {
        pull_take(worker, message);
        return;
    }
    if (strncmp(subject, "glovebox.pulled.", 16) == 0)
        pull_status(worker, message);
    else if (strncmp(subject, "glovebox.cancel.", 16) == 0)
        take_cancel(worker, message);
    else if (strncmp(subject, "glovebox.load.", 14) == 0)
        take_load(worker, message);
    else if (strncmp(subject, "glovebox.status.", 16) == 0)
        tell_soon(worker);
    else if (layout_subject(subject, "glovebox.worker.", worker->id, &kind,
                            &bytes, &number))
        take_own(worker, kind, bytes, number, message);
    natsMsg_Destroy(message);
}

/* What it had asked for is forgotten by the server. */
static void on_back(void *context)
{
    struct net_worker *worker = context;

    pthread_mutex_lock(&worker->lock);
    worker->pulled = 0;
    worker->wants_pull = worker->wants_tell = true;
    pthread_cond_signal(&worker->beats);
    pthread_mutex_unlock(&worker->lock);
}

/* ---- a heart that beats ---- */

static void tell(struct net_worker *worker)
{
    struct node node = {.oldest = FRAME_VERSION, .newest = FRAME_VERSION};
    char subject[NATS_SUBJECT_MAX], *text;

    memcpy(node.id, worker->id, sizeof(node.id));
    snprintf(node.route, sizeof(node.route), "%s", bus_route(worker->bus));
    worker->config.handler->tell(worker->config.context, &node);
    pthread_mutex_lock(&worker->lock);
    node.is_draining = node.is_draining || worker->is_draining;
    pthread_mutex_unlock(&worker->lock);
    text = node_write(&node);
    snprintf(subject, sizeof(subject), "$KV.glovebox-nodes.%s", worker->id);
    if (text != NULL)
        bus_send(worker->bus, subject, NULL, NULL, 0, text, strlen(text));
    free(text);
}

/* As a bucket's purge is written. */
static void leave(struct net_worker *worker)
{
    const struct bus_field fields[] = {{"KV-Operation", "PURGE"},
                                       {"Nats-Rollup", "sub"}};
    char subject[NATS_SUBJECT_MAX];
    natsMsg *reply = NULL;

    snprintf(subject, sizeof(subject), "$KV.glovebox-nodes.%s", worker->id);
    bus_ask(worker->bus, &reply, subject, fields, 2, "", 0, 1000);
    natsMsg_Destroy(reply);
}

static void beat(struct net_worker *worker, uint64_t now)
{
    struct taken *taken, *next;

    pthread_mutex_lock(&worker->lock);
    for (taken = LIST_FIRST(&worker->all); taken != NULL; taken = next) {
        next = LIST_NEXT(taken, next);
        taken_beat_locked(taken, now);
    }
    /* The server has forgotten, or was not heard. */
    if (now > worker->pulled_ns + 35000000000u)
        worker->pulled = 0;
    worker->wants_pull = false;
    pull_more_locked(worker);
    pthread_mutex_unlock(&worker->lock);
    ask_beat(worker, now);
}

static void *live(void *context)
{
    struct net_worker *worker = context;
    uint64_t tell_ns = 0, beat_ns = 0;
    bool is_over = false;

    while (!is_over) {
        uint64_t now = worker_now_ns(), until_ns = now + BEAT_NS;
        const struct timespec until = {
            .tv_sec = (time_t)(until_ns / 1000000000u),
            .tv_nsec = (long)(until_ns % 1000000000u)};
        bool tells;

        if (now >= beat_ns) {
            beat(worker, now);
            beat_ns = now + BEAT_NS;
        }
        pthread_mutex_lock(&worker->lock);
        while (!worker->is_over && !worker->wants_pull && !worker->wants_tell)
            if (pthread_cond_timedwait(&worker->beats, &worker->lock, &until) !=
                0)
                break;
        if (worker->wants_pull)
            beat_ns = 0;
        is_over = worker->is_over;
        now = worker_now_ns();
        tells = worker->wants_tell || now >= tell_ns;
        worker->wants_tell = false;
        pthread_mutex_unlock(&worker->lock);
        if (!tells || is_over)
            continue;
        tell(worker);
        tell_ns = now + NATS_NODE_MS * 1000000ull;
    }
    return NULL;
}

/* ---- open, close ---- */

static int listen_all(struct net_worker *worker, struct gbx_error *err)
{
    const char *route = bus_route(worker->bus);
    char subject[NATS_SUBJECT_MAX];
    int rc;

    snprintf(subject, sizeof(subject), "glovebox.worker.%s.>", worker->id);
    rc = bus_listen(worker->bus, subject, NULL, NULL, err);
    snprintf(subject, sizeof(subject), "glovebox.cancel.%s", route);
    if (rc == 0)
        rc = bus_listen(worker->bus, subject, NULL, NULL, err);
    snprintf(subject, sizeof(subject), "glovebox.status.%s", route);
    if (rc == 0)
        rc = bus_listen(worker->bus, subject, NULL, NULL, err);
    snprintf(subject, sizeof(subject), "glovebox.pulled.%s", worker->id);
    if (rc == 0)
        rc = bus_listen(worker->bus, subject, NULL, &worker->pulls, err);
    snprintf(subject, sizeof(subject), "glovebox.load.%s", route);
    return rc == 0 ? bus_listen(worker->bus, subject, "workers", &worker->loads,
                                err)
                   : rc;
}

int net_worker_open(struct net_worker **worker,
                    const struct net_worker_config *config,
                    struct gbx_error *err)
{
    struct net_worker *made = calloc(1, sizeof(*made));
    const struct bus_config bus = {.url = config->url,
                                   .name = "gloveboxd worker",
                                   .connect_ms = 10000,
                                   .message = on_message,
                                   .back = on_back,
                                   .context = made};
    pthread_condattr_t clock;
    int rc;

    *worker = NULL;
    if (made == NULL || !layout_id(made->id)) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for a worker, or no chance");
    }
    made->config = *config;
    if (made->config.deliveries_max == 0)
        made->config.deliveries_max = 5;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&made->beats, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&made->lock, NULL);
    rc = bus_open(&made->bus, &bus, err);
    if (rc == 0)
        rc = pull_ensure(made, err);
    if (rc < 0) {
        net_worker_close(made);
        return rc;
    }
    *worker = made;
    return 0;
}

int net_worker_start(struct net_worker *worker, struct gbx_error *err)
{
    int rc = listen_all(worker, err);

    if (rc < 0)
        return rc;
    worker->has_heart = pthread_create(&worker->heart, NULL, live, worker) == 0;
    return worker->has_heart ? 0 : fail(err, GBX_EHOST, "no more threads");
}

const char *net_worker_shown(const struct net_worker *worker)
{
    return bus_shown(worker->bus);
}

const char *net_worker_route(const struct net_worker *worker)
{
    return bus_route(worker->bus);
}

void net_worker_drain(struct net_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->is_draining = worker->wants_tell = true;
    pthread_cond_signal(&worker->beats);
    pthread_mutex_unlock(&worker->lock);
    /* What is here already is still heard, and given back. */
    natsSubscription_Drain(worker->pulls);
    natsSubscription_Drain(worker->loads);
}

static void await_stored(struct net_worker *worker)
{
    const uint64_t until_ns = worker_now_ns() + CLOSE_NS;
    bool is_done = false;

    while (!is_done && worker_now_ns() < until_ns) {
        pthread_mutex_lock(&worker->lock);
        is_done = LIST_EMPTY(&worker->all);
        pthread_mutex_unlock(&worker->lock);
        if (!is_done)
            usleep(5000);
    }
}

void net_worker_close(struct net_worker *worker)
{
    struct taken *taken;

    if (worker == NULL)
        return;
    if (worker->has_heart) {
        await_stored(worker);
        pthread_mutex_lock(&worker->lock);
        worker->is_over = true;
        pthread_cond_signal(&worker->beats);
        pthread_mutex_unlock(&worker->lock);
        pthread_join(worker->heart, NULL);
        leave(worker);
    }
    bus_close(worker->bus);
    while ((taken = LIST_FIRST(&worker->all)) != NULL)
        taken_drop_locked(taken);
    pthread_cond_destroy(&worker->beats);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

struct net_worker_counts net_worker_counts(struct net_worker *worker)
{
    struct net_worker_counts counts;

    pthread_mutex_lock(&worker->lock);
    counts = worker->counts;
    counts.held = worker->held;
    pthread_mutex_unlock(&worker->lock);
    counts.is_up = bus_is_up(worker->bus);
    return counts;
}

int net_worker_script(struct net_worker *worker, const char *digest,
                      uint8_t **data, size_t *bytes, struct gbx_error *err)
{
    struct layout_body body = {0};
    char head[NATS_SUBJECT_MAX];
    int rc;

    snprintf(head, sizeof(head), "$KV.glovebox-scripts.%s", digest);
    rc = bus_fetch(worker->bus, data, &body, NATS_SCRIPTS, head,
                   worker->config.bytes_max, err);
    *bytes = body.bytes;
    if (rc < 0 || strcmp(body.digest, digest) == 0)
        return rc;
    free(*data);
    *data = NULL;
    return fail(err, GBX_EFORMAT,
                "the script in the bucket is not the one that was asked for");
}
