/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - net_client_api for NATS: the client's thread, and its hosts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "net/nats/caller/private.h"

uint64_t caller_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- events ---- */

static void free_event(struct event *event)
{
    natsMsg_Destroy(event->message);
    free(event->text);
    free(event);
}

void caller_tell(struct net_host *host, const struct event *event)
{
    struct net_client *client = host->client;
    struct event *made = malloc(sizeof(*made));

    if (made == NULL) {
        natsMsg_Destroy(event->message);
        free(event->text);
        return;
    }
    *made = *event;
    made->host = host;
    pthread_mutex_lock(&client->lock);
    if (STAILQ_EMPTY(&client->events))
        pthread_cond_signal(&client->told);
    STAILQ_INSERT_TAIL(&client->events, made, next);
    pthread_mutex_unlock(&client->lock);
}

void caller_tell_kind(struct net_host *host, enum event_kind kind, char *text)
{
    caller_tell(host, &(struct event){.kind = kind, .text = text});
}

static void go_down(struct net_host *host, const char *why)
{
    host->is_told_up = false;
    host->handler->down(host->context, why);
}

static void handle(struct event *event)
{
    struct net_host *host = event->host;

    switch (event->kind) {
    case EVENT_MESSAGE:
        answers_message(host, event->message);
        break;
    case EVENT_UP:
        host->is_told_up = true;
        host->handler->up(host->context, true);
        break;
    case EVENT_DOWN:
        go_down(host, event->text != NULL ? event->text : "it is cut");
        break;
    case EVENT_BACK:
        parcels_tick(host, true);
        break;
    case EVENT_RELEASE:
        event->release(event->context, event->has_begun);
        break;
    case EVENT_FRAME:
        answers_frame(host, event->text, event->bytes);
        break;
    case EVENT_RESULT:
        answers_result(host, event->serial, event->text, event->bytes);
        break;
    }
}

/* ---- the client's thread ---- */

static void tick(struct net_client *client)
{
    struct net_host *host;

    client->config.tick(client->config.context);
    LIST_FOREACH(host, &client->hosts, next)
    {
        parcels_tick(host, false);
        scripts_tick(host);
    }
}

/* Returns what there is, in order; NULL: a tick is due. */
static struct event *await(struct net_client *client, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                                   .tv_nsec = (long)(until_ns % 1000000000u)};
    struct event *first;

    pthread_mutex_lock(&client->lock);
    while (STAILQ_EMPTY(&client->events) && !client->is_over &&
           !client->wants_tick)
        if (pthread_cond_timedwait(&client->told, &client->lock, &until) != 0)
            break;
    first = STAILQ_FIRST(&client->events);
    STAILQ_INIT(&client->events);
    pthread_mutex_unlock(&client->lock);
    return first;
}

static void *loop(void *context)
{
    struct net_client *client = context;
    uint64_t next_ns = caller_now_ns();
    bool is_over = false;

    while (!is_over) {
        struct event *event = await(client, next_ns), *next;
        bool wants_tick;

        for (; event != NULL; event = next) {
            next = STAILQ_NEXT(event, next);
            handle(event);
            free_event(event);
        }
        pthread_mutex_lock(&client->lock);
        is_over = client->is_over;
        wants_tick = client->wants_tick;
        client->wants_tick = false;
        pthread_mutex_unlock(&client->lock);
        if (is_over || (!wants_tick && caller_now_ns() < next_ns))
            continue;
        tick(client);
        next_ns = caller_now_ns() + (uint64_t)client->config.tick_ms * 1000000u;
    }
    return NULL;
}

/* ---- the functions ---- */

static int client_open(struct net_client **client,
                       const struct net_client_config *config,
                       struct gbx_error *err)
{
    struct net_client *made = calloc(1, sizeof(*made));
    pthread_condattr_t clock;

    *client = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a client");
    made->config = *config;
    if (made->config.tick_ms == 0)
        made->config.tick_ms = 200;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&made->told, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&made->lock, NULL);
    STAILQ_INIT(&made->events);
    LIST_INIT(&made->hosts);
    *client = made;
    return 0;
}

static void close_host(struct net_host *host)
{
    pthread_mutex_lock(&host->lock);
    host->is_over = true;
    pthread_cond_signal(&host->some);
    pthread_mutex_unlock(&host->lock);
    if (host->has_helper)
        pthread_join(host->helper, NULL);
    pthread_cond_destroy(&host->some);
    pthread_mutex_destroy(&host->lock);
    free(host->url);
    free(host->token);
    free(host->ca_path);
    free(host);
}

/* What is lent is released, as ever; all else has come too late. */
static void drop_events(struct net_client *client)
{
    struct event *event;

    while ((event = STAILQ_FIRST(&client->events)) != NULL) {
        STAILQ_REMOVE_HEAD(&client->events, next);
        if (event->kind == EVENT_RELEASE)
            event->release(event->context, event->has_begun);
        free_event(event);
    }
}

static void client_close(struct net_client *client)
{
    struct net_host *host;

    if (client == NULL)
        return;
    pthread_mutex_lock(&client->lock);
    client->is_over = true;
    pthread_cond_signal(&client->told);
    pthread_mutex_unlock(&client->lock);
    if (client->has_thread)
        pthread_join(client->thread, NULL);
    while ((host = LIST_FIRST(&client->hosts)) != NULL) {
        LIST_REMOVE(host, next);
        close_host(host);
        drop_events(client);
    }
    drop_events(client);
    pthread_cond_destroy(&client->told);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

static int copy_texts(struct net_host *host,
                      const struct net_host_config *config)
{
    host->url = strdup(config->url);
    if (config->token != NULL)
        host->token = strdup(config->token);
    if (config->ca_path != NULL)
        host->ca_path = strdup(config->ca_path);
    return host->url == NULL ||
                   (config->token != NULL && host->token == NULL) ||
                   (config->ca_path != NULL && host->ca_path == NULL)
               ? GBX_EHOST
               : 0;
}

static int client_host(struct net_host **host, struct net_client *client,
                       const struct net_host_config *config,
                       struct gbx_error *err)
{
    struct net_host *made;
    int rc = bus_check(config->url, err);

    *host = NULL;
    if (rc == 0 && config->ca_path != NULL && access(config->ca_path, R_OK) < 0)
        rc = fail(err, GBX_EFILE, "%s: %s", config->ca_path,
                  strerrordesc_np(errno));
    if (rc < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a host");
    made->client = client;
    made->handler = config->handler;
    made->context = config->context;
    made->connect_seconds =
        config->connect_seconds > 0 ? config->connect_seconds : 10;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->some, NULL);
    STAILQ_INIT(&made->tasks);
    STAILQ_INIT(&made->ready);
    if (copy_texts(made, config) < 0)
        rc = fail(err, GBX_EHOST, "no memory for a host");
    if (rc == 0 && pthread_create(&made->helper, NULL, helper_run, made) != 0)
        rc = fail(err, GBX_EHOST, "no more threads");
    made->has_helper = rc == 0;
    if (rc < 0) {
        close_host(made);
        return rc;
    }
    LIST_INSERT_HEAD(&client->hosts, made, next);
    *host = made;
    return 0;
}

static int client_start(struct net_client *client, struct gbx_error *err)
{
    client->has_thread =
        pthread_create(&client->thread, NULL, loop, client) == 0;
    return client->has_thread ? 0 : fail(err, GBX_EHOST, "no more threads");
}

static void client_connect(struct net_host *host)
{
    pthread_mutex_lock(&host->lock);
    helper_put_locked(host, &(struct task){.kind = TASK_CONNECT});
    pthread_mutex_unlock(&host->lock);
}

static void client_cut(struct net_host *host)
{
    pthread_mutex_lock(&host->lock);
    helper_cut_locked(host, "it is cut");
    pthread_mutex_unlock(&host->lock);
}

static int send_locked(struct net_host *host, const struct frame *frame,
                       const struct piece *piece)
{
    switch (frame->kind) {
    case FRAME_INPUT:
        return calls_input_locked(host, frame, piece);
    case FRAME_CANCEL:
        calls_cancel_locked(host, frame->call);
        return 0;
    case FRAME_ANSWER:
        return calls_answer_locked(host, frame, piece->data);
    case FRAME_LOAD:
        return scripts_load_locked(host, frame, piece->data);
    case FRAME_UNLOAD:
        scripts_unload_locked(host, frame->call);
        return 0;
    case FRAME_HELLO:
        scripts_hello_locked(host);
        return 0;
    default:
        return GBX_EARGUMENT;
    }
}

static int client_send(struct net_host *host, bool is_text, const void *head,
                       size_t head_bytes, const void *data, size_t bytes,
                       net_release_fn release, void *context)
{
    struct piece piece = {
        .data = data, .bytes = bytes, .release = release, .context = context};
    struct frame frame;
    const char *what;
    int length, rc = GBX_EARGUMENT;

    if (is_text || head_bytes > FRAME_HEAD_MAX + bytes)
        return rc;
    length = frame_read(&frame, head, head_bytes, &what);
    if (length <= 0)
        return rc;
    if (data == NULL) { /* all of it may have come as a head */
        piece.data = (const uint8_t *)head + length;
        piece.bytes = head_bytes - (size_t)length;
    } else if (head_bytes != (size_t)length) {
        return rc;
    }
    if (piece.bytes != frame.body_bytes)
        return rc;
    memcpy(piece.head, head, (size_t)length);
    piece.head_bytes = (size_t)length;
    pthread_mutex_lock(&host->lock);
    rc = host->is_up ? send_locked(host, &frame, &piece) : GBX_ECANCELED;
    pthread_mutex_unlock(&host->lock);
    /* A call keeps what it is lent; all others have copied it. */
    if (rc == 0 && release != NULL && frame.kind != FRAME_INPUT)
        caller_tell(host, &(struct event){.kind = EVENT_RELEASE,
                                          .release = release,
                                          .context = context,
                                          .has_begun = true});
    return rc;
}

static void client_keep(struct net_host *host, void *context)
{
    pthread_mutex_lock(&host->lock);
    calls_keep_locked(host, context);
    pthread_mutex_unlock(&host->lock);
}

static void client_wake(struct net_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->wants_tick = true;
    pthread_cond_signal(&client->told);
    pthread_mutex_unlock(&client->lock);
}

__attribute__((visibility("default")))
const struct net_client_api net_client_api = {.open = client_open,
                                              .close = client_close,
                                              .host = client_host,
                                              .start = client_start,
                                              .connect = client_connect,
                                              .cut = client_cut,
                                              .send = client_send,
                                              .keep = client_keep,
                                              .wake = client_wake};
