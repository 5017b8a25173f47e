/* SPDX-License-Identifier: Apache-2.0 */
/* taken.c - a message that a worker has: checked, answered, acknowledged. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "net/nats/worker/private.h"

#define SEND_NS    3000000000u /* without a word, it is sent once more */
#define REFUSED_NS 1000000000u
#define SENT_MAX   10u /* then somebody else is to try */
#define ASKED_MS   1000u
#define LATER_MS   3000u

void taken_say(struct taken *taken, const char *word)
{
    bus_send(taken->head.worker->bus, natsMsg_GetReply(taken->message), NULL,
             NULL, 0, word, strlen(word));
}

void taken_done_locked(struct taken *taken)
{
    if (!taken->is_done)
        taken->head.worker->held--;
    taken->is_done = true;
}

void taken_drop_locked(struct taken *taken)
{
    ask_drop_locked(taken);
    LIST_REMOVE(taken, next);
    taken_done_locked(taken);
    natsMsg_Destroy(taken->message);
    natsMsg_Destroy(taken->result);
    free(taken->fetched);
    free(taken);
}

struct taken *taken_find_locked(struct net_worker *worker, uint64_t number)
{
    struct taken *taken;

    LIST_FOREACH(taken, &worker->all, next)
    if (taken->number == number)
        return taken;
    return NULL;
}

static struct taken *of(struct net_taken *head)
{
    return (struct taken *)(void *)head;
}

static void drop(struct taken *taken)
{
    struct net_worker *worker = taken->head.worker;

    pthread_mutex_lock(&worker->lock);
    taken_drop_locked(taken);
    pull_more_locked(worker);
    pthread_mutex_unlock(&worker->lock);
}

void net_taken_give_back(struct net_taken *head, unsigned delay_ms)
{
    struct taken *taken = of(head);
    char word[64] = "-NAK";

    if (delay_ms > 0)
        snprintf(word, sizeof(word), "-NAK {\"delay\":%u000000}", delay_ms);
    pthread_mutex_lock(&head->worker->lock);
    head->worker->counts.given_back++;
    pthread_mutex_unlock(&head->worker->lock);
    taken_say(taken, word);
    drop(taken);
}

/* ---- before it is run ---- */

static void name_to(const struct taken *taken, const char *kind,
                    char subject[NATS_SUBJECT_MAX])
{
    snprintf(subject, NATS_SUBJECT_MAX, "glovebox.to.%s.%s.%llu",
             taken->head.head.from.caller, kind,
             (unsigned long long)taken->head.head.from.serial);
}

/* Somebody may have stored them, and died before the acknowledgement. */
static bool has_results(struct taken *taken)
{
    char subject[2 * NATS_SUBJECT_MAX], to[NATS_SUBJECT_MAX];
    natsMsg *reply = NULL;
    bool has;

    name_to(taken, "result", to);
    snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET." NATS_RESULTS ".%s",
             to);
    has = bus_ask(taken->head.worker->bus, &reply, subject, NULL, 0, "", 0,
                  ASKED_MS) == 0 &&
          bus_status(reply) == 0;
    natsMsg_Destroy(reply);
    return has;
}

/* Is it older than its calls may wait?  The clocks are of two computers, so
 * this only says whether to ask. */
static bool seems_late(const struct taken *taken)
{
    struct timespec now;
    uint64_t now_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return taken->head.head.wait_ms > 0 && now_ns > taken->stored_ns &&
           (now_ns - taken->stored_ns) / 1000000u > taken->head.head.wait_ms;
}

static void learn_wanted(struct taken *taken, natsMsg *reply)
{
    char text[NATS_CALLS_MAX * 12 + 1] = "", *at = text, *end;
    const int bytes = natsMsg_GetDataLength(reply);

    if (bytes < 0 || bytes >= (int)sizeof(text))
        return;
    memcpy(text, natsMsg_GetData(reply), (size_t)bytes);
    taken->knows_wanted = true;
    while (taken->wanted_count < NATS_CALLS_MAX) {
        const unsigned long number = strtoul(at, &end, 10);

        if (end == at)
            break;
        taken->wanted[taken->wanted_count++] = (uint32_t)number;
        at = end;
    }
}

/* False: nobody waits for any of it. */
static bool is_wanted(struct taken *taken)
{
    char subject[NATS_SUBJECT_MAX];
    natsMsg *reply = NULL;
    int rc;

    name_to(taken, "wanted", subject);
    rc = bus_ask(taken->head.worker->bus, &reply, subject, NULL, 0, "", 0,
                 ASKED_MS);
    if (rc == 0 && bus_status(reply) == 0)
        learn_wanted(taken, reply);
    natsMsg_Destroy(reply);
    /* A caller that does not answer may come back; but not for what is late. */
    return taken->knows_wanted ? taken->wanted_count > 0 : !seems_late(taken);
}

bool net_taken_wants(const struct net_taken *head, uint32_t number)
{
    const struct taken *taken = (const struct taken *)(const void *)head;

    for (unsigned i = 0; i < taken->wanted_count; i++)
        if (taken->wanted[i] == number)
            return true;
    return !taken->knows_wanted;
}

static int fetch(struct taken *taken, struct gbx_error *err)
{
    struct layout_head *head = &taken->head.head;
    char name[NATS_SUBJECT_MAX];
    int rc;

    if (!head->has_body)
        return 0;
    snprintf(name, sizeof(name), "glovebox.bodies.%s-%llu", head->from.caller,
             (unsigned long long)head->from.serial);
    if (head->body.bytes == 0)
        return fail(err, GBX_EFORMAT, "a body of no length");
    rc =
        bus_fetch(taken->head.worker->bus, &taken->fetched, &head->body,
                  NATS_BODIES, name, taken->head.worker->config.bytes_max, err);
    taken->head.data = taken->fetched;
    taken->head.bytes = head->body.bytes;
    return rc;
}

int net_taken_prepare(struct net_taken *head, struct gbx_error *err)
{
    struct taken *taken = of(head);
    const unsigned most = head->worker->config.deliveries_max;
    int rc;

    if (taken->what != NULL)
        return fail(err, GBX_EFORMAT, "%s", taken->what);
    if (head->attempt > 1 && has_results(taken)) {
        taken_say(taken, "+ACK");
        drop(taken);
        return 1;
    }
    if (head->attempt > most)
        return fail(err, GBX_EBROKEN,
                    "%llu workers were given it, and none has finished it",
                    (unsigned long long)head->attempt - 1);
    if ((head->attempt > 1 || seems_late(taken)) && !is_wanted(taken)) {
        taken_say(taken, "+TERM");
        drop(taken);
        return 1;
    }
    rc = fetch(taken, err);
    if (rc != GBX_EHOST)
        return rc;
    net_taken_give_back(head, LATER_MS); /* the server, or memory */
    return 1;
}

/* ---- after ---- */

void net_taken_early(struct net_taken *head, const void *data, size_t bytes)
{
    char subject[NATS_SUBJECT_MAX];

    if (bytes > bus_payload_max(head->worker->bus))
        return;
    name_to(of(head), "early", subject);
    bus_send(head->worker->bus, subject, NULL, NULL, 0, data, bytes);
}

static void forget_body(struct taken *taken)
{
    char filter[NATS_SUBJECT_MAX];

    if (!taken->head.head.has_body)
        return;
    snprintf(filter, sizeof(filter), "glovebox.bodies.%s-%llu.*",
             taken->head.head.from.caller,
             (unsigned long long)taken->head.head.from.serial);
    bus_forget(taken->head.worker->bus, NATS_BODIES, filter);
}

static natsMsg *make_result(struct taken *taken, const void *data, size_t bytes,
                            const char *name, const char *value)
{
    char subject[NATS_SUBJECT_MAX], reply[NATS_SUBJECT_MAX], from[64];
    natsMsg *message = NULL;
    natsStatus s;

    name_to(taken, "result", subject);
    snprintf(reply, sizeof(reply), "glovebox.worker.%s.stored.%llu",
             taken->head.worker->id, (unsigned long long)taken->number);
    snprintf(from, sizeof(from), "%s.%llu", taken->head.head.from.caller,
             (unsigned long long)taken->head.head.from.serial);
    s = natsMsg_Create(&message, subject, reply, data, (int)bytes);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(message, NATS_MESSAGE_ID, from);
    if (s == NATS_OK && name != NULL)
        s = natsMsgHeader_Set(message, name, value);
    if (s == NATS_OK)
        return message;
    natsMsg_Destroy(message);
    return NULL;
}

static void send_result_locked(struct taken *taken)
{
    taken->sent++;
    taken->is_refused = false;
    taken->send_ns = worker_now_ns() + SEND_NS;
    bus_send_message(taken->head.worker->bus, taken->result);
}

/* NULL: it cannot be made; somebody else is to try. */
static void store(struct taken *taken, natsMsg *result)
{
    struct net_worker *worker = taken->head.worker;

    if (result == NULL) {
        net_taken_give_back(&taken->head, LATER_MS);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    taken->result = result;
    ask_drop_locked(taken);
    send_result_locked(taken);
    taken_done_locked(taken);
    pull_more_locked(worker);
    pthread_mutex_unlock(&worker->lock);
}

static natsMsg *make_large(struct taken *taken, const void *data, size_t bytes)
{
    char name[NATS_SUBJECT_MAX], value[NATS_DIGEST_CHARS + 32];
    struct layout_body body = {0};

    snprintf(name, sizeof(name), "glovebox.bodies.%s-%llu-r",
             taken->head.head.from.caller,
             (unsigned long long)taken->head.head.from.serial);
    for (unsigned i = 0; i < SENT_MAX; i++) {
        const struct timespec while_ = {.tv_sec = 1};

        if (bus_store_bytes(taken->head.worker->bus, &body, name, data, bytes,
                            NULL) == 0) {
            snprintf(value, sizeof(value), "%llu %s",
                     (unsigned long long)body.bytes, body.digest);
            return make_result(taken, NULL, 0, NATS_BODY, value);
        }
        nanosleep(&while_, NULL); /* it may be full for a while */
    }
    return NULL;
}

void net_taken_finish(struct net_taken *head, uint8_t *data, size_t bytes,
                      uint64_t ran_ns)
{
    struct net_worker *worker = head->worker;
    struct taken *taken = of(head);

    pthread_mutex_lock(&worker->lock);
    worker->mean_ns = (7 * worker->mean_ns + ran_ns) / 8 + 1;
    pthread_mutex_unlock(&worker->lock);
    store(taken, bytes <= bus_payload_max(worker->bus)
                     ? make_result(taken, data, bytes, NULL, NULL)
                     : make_large(taken, data, bytes));
    free(data);
}

/* ---- put aside ---- */

static int copy_headers(natsMsg *to, natsMsg *from)
{
    const char **names = NULL;
    int count = 0;

    if (natsMsgHeader_Keys(from, &names, &count) != NATS_OK)
        return 0; /* it has none */
    for (int i = 0; i < count; i++) {
        const char *value = bus_header(from, names[i]);

        if (value != NULL && strcmp(names[i], NATS_MESSAGE_ID) != 0)
            natsMsgHeader_Set(to, names[i], value);
    }
    free(names);
    return 0;
}

static bool bury(struct taken *taken, const char *why)
{
    struct net_worker *worker = taken->head.worker;
    char subject[NATS_SUBJECT_MAX];
    natsMsg *message = NULL, *reply = NULL;
    struct layout_stored stored = {.code = 1};

    snprintf(subject, sizeof(subject), "glovebox.dead.%s",
             bus_route(worker->bus));
    if (natsMsg_Create(&message, subject, NULL, natsMsg_GetData(taken->message),
                       natsMsg_GetDataLength(taken->message)) != NATS_OK)
        return false;
    copy_headers(message, taken->message);
    natsMsgHeader_Set(message, NATS_WHY, why);
    if (bus_ask_message(worker->bus, &reply, message, 5000) == 0)
        layout_stored(&stored, natsMsg_GetData(reply),
                      (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(message);
    natsMsg_Destroy(reply);
    return stored.code == 0;
}

/* A header is one line. */
static void make_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = ' ';
}

void net_taken_dead(struct net_taken *head, int code, const char *why)
{
    struct net_worker *worker = head->worker;
    struct taken *taken = of(head);
    char text[GBX_ERROR_TEXT_MAX], value[GBX_ERROR_TEXT_MAX + 16];

    snprintf(text, sizeof(text), "%s", why);
    make_line(text);
    if (!bury(taken, text)) { /* it is not to be lost */
        net_taken_give_back(head, LATER_MS);
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->counts.dead++;
    pthread_mutex_unlock(&worker->lock);
    if (head->head.from.caller[0] == '\0') { /* nobody knows whose it is */
        taken_say(taken, "+TERM");
        drop(taken);
        return;
    }
    snprintf(value, sizeof(value), "%d %s", code, text);
    store(taken, make_result(taken, NULL, 0, NATS_WHY, value));
}

/* ---- results are stored, or not ---- */

void taken_stored(struct net_worker *worker, uint64_t number, natsMsg *message)
{
    struct layout_stored stored = {.code = 1};
    struct taken *taken;

    if (bus_status(message) == 0)
        layout_stored(&stored, natsMsg_GetData(message),
                      (size_t)natsMsg_GetDataLength(message));
    pthread_mutex_lock(&worker->lock);
    taken = taken_find_locked(worker, number);
    if (taken != NULL && taken->result != NULL && stored.code == 0) {
        worker->counts.finished++;
        taken_say(taken, "+ACK");
        forget_body(taken);
        taken_drop_locked(taken);
        pull_more_locked(worker);
    } else if (taken != NULL && taken->result != NULL) {
        worker->counts.unstored++;
        taken->is_refused = true;
        taken->send_ns = worker_now_ns() + REFUSED_NS;
    }
    pthread_mutex_unlock(&worker->lock);
}

/* Every half second or so. */
void taken_beat_locked(struct taken *taken, uint64_t now)
{
    taken_say(taken, "+WPI");
    if (taken->result == NULL || now < taken->send_ns)
        return;
    if (taken->sent < SENT_MAX) {
        send_result_locked(taken);
        return;
    }
    taken_say(taken, "-NAK {\"delay\":5000000000}");
    taken->head.worker->counts.given_back++;
    taken_drop_locked(taken);
}
