/* SPDX-License-Identifier: Apache-2.0 */
/* hear.c - what a host says: how it is, what it has loaded, and what calls have
 * sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "glovebox/message.h"
#include "sandbox/remote/remote.h"

#define LOAD_AGAIN_NS 10000000000ull /* where it failed */
#define LOAD_SOON_NS  100000000ull   /* where there was too much to do */

/* ---- HELLO ---- */

struct told {
    int64_t oldest, newest, workers, busy, waiting, bytes_max;
    bool draining;
    char product[64];
};

/* Keys that are not known are skipped, whatever they hold.  False: nonsense. */
static bool read_hello(struct told *told, const uint8_t *body, size_t bytes)
{
    struct gbx_reader r;
    struct gbx_item item;
    int64_t *number = NULL;
    bool is_key = true, wants_product = false, wants_draining = false;
    int rc;

    gbx_reader_init(&r, body, bytes);
    while ((rc = gbx_read(&r, &item)) == 0) {
        if (item.depth == 0 && item.kind != GBX_ITEM_MAP)
            return false;
        if (item.depth != 1)
            continue;
        if (is_key) {
            number = gbx_item_is(&item, "oldest")      ? &told->oldest
                     : gbx_item_is(&item, "newest")    ? &told->newest
                     : gbx_item_is(&item, "workers")   ? &told->workers
                     : gbx_item_is(&item, "busy")      ? &told->busy
                     : gbx_item_is(&item, "waiting")   ? &told->waiting
                     : gbx_item_is(&item, "bytes_max") ? &told->bytes_max
                                                       : NULL;
            wants_product = gbx_item_is(&item, "product");
            wants_draining = gbx_item_is(&item, "draining");
        } else if (number != NULL && item.kind == GBX_ITEM_INTEGER) {
            *number = item.value.integer;
        } else if (wants_product && item.kind == GBX_ITEM_TEXT) {
            snprintf(told->product, sizeof(told->product), "%.*s",
                     (int)(item.count < 63 ? item.count : 63),
                     (const char *)item.bytes);
        } else if (wants_draining && item.kind == GBX_ITEM_BOOLEAN) {
            told->draining = item.value.boolean;
        }
        is_key = !is_key;
    }
    return rc == GBX_EAGAIN;
}

static unsigned count_of(int64_t value)
{
    return value < 0 ? 0 : value > 1000000 ? 1000000 : (unsigned)value;
}

/* Returns 0, or a code: there is nothing to be done with it. */
static int hear_hello_locked(struct fleet_host *host, const uint8_t *body,
                             size_t bytes)
{
    struct told told = {0};

    if (!read_hello(&told, body, bytes))
        return GBX_EFORMAT;
    if (told.oldest > FRAME_VERSION || told.newest < FRAME_VERSION) {
        snprintf(host->why, sizeof(host->why),
                 "it speaks versions %lld to %lld of the protocol, and this "
                 "Glovebox %u",
                 (long long)told.oldest, (long long)told.newest, FRAME_VERSION);
        return GBX_EUNSUPPORTED;
    }
    if (host->is_asking)
        host->rtt_ns = clock_now_ns() - host->asked_ns;
    host->is_asking = false;
    host->workers = count_of(told.workers);
    host->busy = count_of(told.busy);
    host->waiting = count_of(told.waiting);
    host->bytes_max = told.bytes_max > 0 ? (uint64_t)told.bytes_max : 0;
    host->is_draining = told.draining;
    strcpy(host->product, told.product);
    if (host->state == HOST_GREETING) {
        host->state = HOST_UP;
        host->failures = 0;
        host->attempts++;
        fleet_wake_locked(host->fleet);
    }
    host_leave_locked(host);
    return 0;
}

/* ---- scripts are loaded ---- */

unsigned isolation_rank(const char *name, size_t bytes)
{
    static const char *const order[] = {"microvm", "process", "wasm"};
    unsigned i = 0;

    while (i < 3 &&
           (strlen(order[i]) != bytes || memcmp(order[i], name, bytes) != 0))
        i++;
    return i;
}

/* What a LOADED says that it is isolated by; 3, unknown, where it says nothing.
 */
static unsigned read_rank(const uint8_t *body, size_t bytes)
{
    struct gbx_reader r;
    struct gbx_item item;
    bool is_key = true, wanted = false;
    unsigned rank = 3;

    gbx_reader_init(&r, body, bytes);
    while (gbx_read(&r, &item) == 0) {
        if (item.depth != 1)
            continue;
        if (!is_key && wanted && item.kind == GBX_ITEM_TEXT)
            rank = isolation_rank(item.bytes, item.count);
        wanted = is_key && gbx_item_is(&item, "isolation");
        is_key = !is_key;
    }
    return rank;
}

/* It is as if it had said so itself. */
static void refuse_floor(struct host_script *loaded)
{
    static const char why[] =
        "the host would isolate it more weakly than the policy's floor allows";

    free(loaded->body);
    loaded->body = (uint8_t *)strdup(why);
    loaded->bytes = loaded->body != NULL ? sizeof(why) - 1 : 0;
    loaded->state = LOAD_FAILED;
    loaded->code = GBX_EUNSUPPORTED;
    loaded->may_other = true;
}

/* ---- frames ---- */

static struct host_script *find_script_locked(struct fleet_host *host,
                                              uint32_t number)
{
    struct host_script *loaded;

    LIST_FOREACH(loaded, &host->scripts, next)
    if (loaded->script->number == number)
        return loaded;
    return NULL;
}

struct remote *host_find_locked(struct fleet_host *host, uint32_t number)
{
    struct remote *remote = host->slots[number % FLEET_SLOTS];

    return remote != NULL && remote->call == number ? remote : NULL;
}

static int hear_loaded_locked(struct fleet_host *host, struct incoming *in)
{
    struct host_script *loaded = find_script_locked(host, in->frame.call);
    const int code = failed_code(in->frame.scalar);

    if (in->frame.kind != FRAME_LOADED && in->frame.kind != FRAME_FAILED)
        return GBX_EFORMAT;
    if (loaded == NULL || loaded->state != LOAD_ASKED)
        return 0; /* nobody wants it any more */
    loaded->state = in->frame.kind == FRAME_LOADED ? LOAD_DONE : LOAD_FAILED;
    loaded->code = code;
    loaded->may_other =
        code != GBX_ELOAD && code != GBX_EARGUMENT && code != GBX_EFORMAT;
    loaded->is_busy = code == GBX_EAGAIN || code == GBX_ECANCELED;
    loaded->until_ns =
        clock_now_ns() + (loaded->is_busy ? LOAD_SOON_NS : LOAD_AGAIN_NS);
    loaded->body = in->body;
    loaded->bytes = in->frame.body_bytes;
    in->body = NULL;
    if (loaded->state == LOAD_DONE &&
        read_rank(loaded->body, loaded->bytes) > loaded->script->floor) {
        const struct frame unload = {.kind = FRAME_UNLOAD,
                                     .call = loaded->script->number};

        refuse_floor(loaded);
        host_send(host, &unload, NULL, NULL, NULL);
    }
    fleet_wake_locked(host->fleet);
    return 0;
}

static bool is_last(enum frame_kind kind)
{
    return kind == FRAME_DONE || kind == FRAME_FAILED;
}

void host_enqueue_locked(struct fleet_host *host, struct remote *to,
                         struct event *event)
{
    /* What comes behind one that is missing is not taken for the whole. */
    if (event == NULL || to->is_flooded ||
        to->inbox_count >= REMOTE_INBOX_MAX ||
        to->inbox_bytes + event->bytes > 2 * to->what.limits.message_bytes) {
        if (event != NULL)
            free(event->body);
        free(event);
        to->is_flooded = true;
        remote_wake(to);
        return;
    }
    to->inbox_count++;
    to->inbox_bytes += event->bytes;
    STAILQ_INSERT_TAIL(&to->inbox, event, next);
    if (is_last(event->kind))
        host_let_go_locked(host, to->call);
    remote_wake(to);
}

/* Into the sandbox's inbox. */
static int hear_call_locked(struct fleet_host *host, struct incoming *in)
{
    struct remote *to = host_find_locked(host, in->frame.call);
    const size_t name = strlen(in->frame.port);
    struct event *event;

    if (to == NULL)
        return 0; /* it was cancelled, say */
    event = malloc(sizeof(*event) + name + 1);
    if (event != NULL) {
        *event = (struct event){.kind = in->frame.kind,
                                .type = in->frame.type,
                                .flags = in->frame.flags,
                                .scalar = in->frame.scalar,
                                .body = in->is_lent ? NULL : in->body,
                                .bytes = in->frame.body_bytes};
        memcpy(event->name, in->frame.port, name + 1);
        in->body = NULL;
    }
    in->to = NULL;
    host_enqueue_locked(host, to, event);
    return 0;
}

/* The host is told where the body goes, before it comes. */
static int begin_frame_locked(struct fleet_host *host)
{
    struct incoming *in = &host->in;
    const uint64_t bytes = in->frame.body_bytes;
    struct remote *to = host_find_locked(host, in->frame.call);

    in->body = NULL;
    in->is_lent = false;
    in->to = NULL;
    if (bytes == 0)
        return 0;
    switch (in->frame.kind) {
    case FRAME_OUTPUT:
        if (to != NULL && to->landing != NULL &&
            (in->frame.flags & FRAME_TYPED) == 0 &&
            bytes <= to->landing_bytes && bytes > to->landing_bytes / 2) {
            in->body = to->landing;
            in->is_lent = true;
            in->to = to;
            to->landing = NULL;
            return 0;
        }
        /* fall through */
    case FRAME_PRINT:
    case FRAME_ASK:
    case FRAME_DONE:
        if (to == NULL || bytes > to->what.limits.message_bytes)
            return 0; /* it is dropped, and its end is told */
        in->to = to;
        break;
    default:
        if (bytes > (1u << 20))
            return GBX_EFORMAT;
        break;
    }
    in->body = malloc(bytes + 1);
    if (in->body == NULL && in->to != NULL)
        in->to->is_flooded = true;
    in->to = in->body != NULL ? in->to : NULL;
    return 0;
}

static int end_frame_locked(struct fleet_host *host)
{
    struct incoming *in = &host->in;
    struct remote *to = host_find_locked(host, in->frame.call);
    int rc = 0;

    if (in->body != NULL && !in->is_lent)
        in->body[in->frame.body_bytes] = '\0';
    if (in->frame.body_bytes > 0 && in->body == NULL &&
        (in->frame.kind == FRAME_HELLO ||
         (in->frame.call & FLEET_SCRIPT_BIT) != 0)) {
        rc = GBX_EHOST; /* there was no memory for it */
    } else if (in->frame.kind == FRAME_HELLO) {
        rc = hear_hello_locked(host, in->body, in->frame.body_bytes);
    } else if ((in->frame.call & FLEET_SCRIPT_BIT) != 0) {
        rc = hear_loaded_locked(host, in);
    } else if (in->frame.kind == FRAME_OUTPUT ||
               in->frame.kind == FRAME_PRINT || in->frame.kind == FRAME_ASK ||
               is_last(in->frame.kind)) {
        if (to != NULL && in->frame.body_bytes > 0 && in->body == NULL) {
            to->is_flooded = true; /* more than may come */
            remote_wake(to);
        } else {
            rc = hear_call_locked(host, in);
        }
    } else {
        rc = GBX_EFORMAT;
    }
    if (!in->is_lent)
        free(in->body);
    in->body = NULL;
    in->to = NULL;
    in->has_head = false;
    in->head.count = 0;
    return rc;
}

/* As much of the head as has come. */
static int take_head(struct fleet_host *host, const uint8_t **data,
                     size_t *bytes)
{
    struct incoming *in = &host->in;
    const int rc = frame_take(&in->head, &in->frame, data, bytes);

    in->has_head = rc > 0;
    in->at = 0;
    return rc < 0 ? GBX_EFORMAT : rc > 0 ? begin_frame_locked(host) : 0;
}

static int take_locked(struct fleet_host *host, const void *data, size_t bytes,
                       bool is_final)
{
    struct incoming *in = &host->in;
    const uint8_t *at = data;
    int rc = in->has_head ? 0 : take_head(host, &at, &bytes);

    if (rc < 0)
        return rc;
    if (in->has_head) {
        if (bytes > in->frame.body_bytes - in->at)
            return GBX_EFORMAT;
        if (in->body != NULL)
            memcpy(in->body + in->at, at, bytes);
        in->at += bytes;
    }
    if (!is_final)
        return 0;
    if (!in->has_head || in->at != in->frame.body_bytes)
        return GBX_EFORMAT;
    return end_frame_locked(host);
}

int host_hear(void *context, bool is_text, const void *data, size_t bytes,
              bool is_final)
{
    struct fleet_host *host = context;
    int rc = GBX_EFORMAT;

    pthread_mutex_lock(&host->fleet->lock);
    host->heard_ns = clock_now_ns();
    if (is_text == host->is_reflow)
        rc = is_text ? reflow_hear_locked(host, data, bytes, is_final)
                     : take_locked(host, data, bytes, is_final);
    if (rc == GBX_EFORMAT)
        snprintf(host->why, sizeof(host->why),
                 "what it says is no message of this protocol");
    pthread_mutex_unlock(&host->fleet->lock);
    return rc;
}
