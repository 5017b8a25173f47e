/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - a host's thread for what waits: it connects, and moves what is
 * large. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/nats/caller/private.h"

/* The server may be gone for so long, and calls wait. */
#define AWAY_MS 30000u

void helper_put_locked(struct net_host *host, const struct task *task)
{
    struct task *made = malloc(sizeof(*made));

    if (made == NULL)
        return;
    *made = *task;
    STAILQ_INSERT_TAIL(&host->tasks, made, next);
    pthread_cond_signal(&host->some);
}

void helper_cut_locked(struct net_host *host, const char *why)
{
    host->is_up = false; /* what is sent now would be lost */
    if (host->why == NULL)
        host->why = why;
    host->wants_cut = true;
    pthread_cond_signal(&host->some);
}

/* ---- in libnats' threads ---- */

static void on_message(void *context, natsMsg *message)
{
    caller_tell(context,
                &(struct event){.kind = EVENT_MESSAGE, .message = message});
}

static void on_back(void *context)
{
    caller_tell_kind(context, EVENT_BACK, NULL);
}

static void on_closed(void *context)
{
    struct net_host *host = context;

    pthread_mutex_lock(&host->lock);
    helper_cut_locked(host, "the NATS server is gone");
    pthread_mutex_unlock(&host->lock);
}

/* ---- up and down ---- */

static int listen_all(struct net_host *host, struct bus *bus, const char *id,
                      struct gbx_error *err)
{
    char subject[NATS_SUBJECT_MAX];
    int rc;

    (void)host;
    snprintf(subject, sizeof(subject), "glovebox.to.%s.>", id);
    rc = bus_listen(bus, subject, NULL, NULL, err);
    return rc == 0 ? bus_listen(bus, "$KV.glovebox-nodes.*", NULL, NULL, err)
                   : rc;
}

/* Who is there already; later ones say so themselves. */
static void ask_for_nodes(struct bus *bus, const char *id)
{
    char subject[NATS_SUBJECT_MAX];

    (void)id;
    snprintf(subject, sizeof(subject), "glovebox.status.%s", bus_route(bus));
    bus_send(bus, subject, NULL, NULL, 0, "", 0);
    /* They answer within a moment, and the first HELLO is to know it. */
    usleep(50000);
}

static void connect_it(struct net_host *host)
{
    const struct bus_config config = {.url = host->url,
                                      .token = host->token,
                                      .ca_path = host->ca_path,
                                      .name = "glovebox caller",
                                      .connect_ms =
                                          host->connect_seconds * 1000,
                                      .away_ms = AWAY_MS,
                                      .message = on_message,
                                      .back = on_back,
                                      .closed = on_closed,
                                      .context = host};
    char id[NATS_ID_CHARS + 1];
    struct gbx_error err = {.what = "there is no chance to be had"};
    struct bus *bus = NULL;
    int rc = layout_id(id) ? 0 : GBX_EHOST;

    if (host->bus != NULL)
        return;
    if (rc == 0)
        rc = bus_open(&bus, &config, &err);
    if (rc == 0)
        rc = listen_all(host, bus, id, &err);
    if (rc < 0) {
        bus_close(bus);
        caller_tell_kind(host, EVENT_DOWN, strdup(err.what));
        return;
    }
    pthread_mutex_lock(&host->lock);
    host->bus = bus;
    memcpy(host->id, id, sizeof(id));
    host->payload_max = bus_payload_max(bus);
    host->wants_cut = false;
    host->why = NULL;
    pthread_mutex_unlock(&host->lock);
    /* Before what it hears may be handled: that comes after this event. */
    ask_for_nodes(bus, id);
    pthread_mutex_lock(&host->lock);
    host->is_up = true;
    pthread_mutex_unlock(&host->lock);
    caller_tell_kind(host, EVENT_UP, NULL);
}

static void disconnect(struct net_host *host, bool is_told)
{
    char filter[NATS_SUBJECT_MAX];
    struct bus *bus;
    char *why;

    pthread_mutex_lock(&host->lock);
    bus = host->bus;
    host->bus = NULL;
    host->is_up = host->wants_cut = false;
    why = strdup(host->why != NULL ? host->why : "it is cut");
    host->why = NULL;
    calls_drop_all_locked(host, bus);
    scripts_drop_all_locked(host);
    pthread_mutex_unlock(&host->lock);
    if (bus == NULL) {
        free(why);
        return;
    }
    if (bus_is_up(bus)) { /* its results will not be read any more */
        snprintf(filter, sizeof(filter), "glovebox.to.%s.result.*", host->id);
        bus_forget(bus, NATS_RESULTS, filter);
    }
    bus_close(bus);
    if (is_told)
        caller_tell_kind(host, EVENT_DOWN, why);
    else
        free(why);
}

/* ---- what is large ---- */

static void fetch_result(struct net_host *host, struct task *task)
{
    char head[NATS_SUBJECT_MAX], filter[NATS_SUBJECT_MAX + 2];
    struct gbx_error err = {.what = ""};
    uint8_t *data = NULL;
    int rc;

    if (host->bus == NULL)
        return;
    snprintf(head, sizeof(head), "glovebox.bodies.%s-%llu-r", host->id,
             (unsigned long long)task->serial);
    rc = bus_fetch(host->bus, &data, &task->body, NATS_BODIES, head,
                   ALL_BYTES_MAX, &err);
    if (rc == 0) {
        snprintf(filter, sizeof(filter), "%s.*", head);
        bus_forget(host->bus, NATS_BODIES, filter);
        caller_tell(host, &(struct event){.kind = EVENT_RESULT,
                                          .text = (char *)data,
                                          .bytes = task->body.bytes,
                                          .serial = task->serial});
    } else if (rc != GBX_EHOST) { /* else it is looked for again */
        struct parcel *parcel;

        pthread_mutex_lock(&host->lock);
        parcel = parcels_find_locked(host, task->serial);
        if (parcel != NULL)
            parcels_fail_locked(host, parcel, rc, false, err.what);
        pthread_mutex_unlock(&host->lock);
    }
}

static void do_task(struct net_host *host, struct task *task)
{
    switch (task->kind) {
    case TASK_CONNECT:
        connect_it(host);
        break;
    case TASK_LOAD:
        scripts_store(host, task->number);
        break;
    case TASK_LARGE:
        parcels_send_large(host, task->serial);
        break;
    case TASK_RESULT:
        fetch_result(host, task);
        break;
    }
}

void *helper_run(void *context)
{
    struct net_host *host = context;
    struct task *task;
    bool is_over = false;

    while (!is_over) {
        bool cuts;

        pthread_mutex_lock(&host->lock);
        while (STAILQ_EMPTY(&host->tasks) && !host->is_over && !host->wants_cut)
            pthread_cond_wait(&host->some, &host->lock);
        is_over = host->is_over;
        cuts = host->wants_cut;
        task = is_over || cuts ? NULL : STAILQ_FIRST(&host->tasks);
        if (task != NULL)
            STAILQ_REMOVE_HEAD(&host->tasks, next);
        pthread_mutex_unlock(&host->lock);
        if (task != NULL)
            do_task(host, task);
        else if (cuts)
            disconnect(host, true);
        free(task);
    }
    disconnect(host, false);
    while ((task = STAILQ_FIRST(&host->tasks)) != NULL) {
        STAILQ_REMOVE_HEAD(&host->tasks, next);
        free(task);
    }
    return NULL;
}
