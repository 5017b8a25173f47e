/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox.c - what has come from a host goes into the guest's half of the region,
 * as a guest would have written it.
 *
 * A large body that is like the last one comes into a block that waits for it
 * (the landing); others are copied once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "glovebox/message.h"
#include "sandbox/remote/remote.h"

#define LANDING_MIN (64u << 10)
#define STUCK_NS    1000000000u /* that blocks may take to come back */
#define LATE_NS     100000000u  /* a host's clock ticks as ours, about */

void remote_drop_events(struct event_queue *queue)
{
    struct event *event;

    while ((event = STAILQ_FIRST(queue)) != NULL) {
        STAILQ_REMOVE_HEAD(queue, next);
        free(event->body);
        free(event);
    }
}

void remote_prepare_landing(struct remote *self)
{
    if (self->last_bytes < LANDING_MIN)
        return;
    if (self->landing_off != 0 && self->landing_bytes < self->last_bytes) {
        pthread_mutex_lock(&self->fleet->lock);
        self->landing = NULL;
        pthread_mutex_unlock(&self->fleet->lock);
        channel_drop(&self->guest, self->landing_off);
        self->landing_off = 0;
    }
    if (self->landing_off == 0 &&
        channel_try_reserve(&self->guest, self->last_bytes,
                            &self->landing_off) < 0) {
        self->landing_off = 0;
        return;
    }
    if (self->landing_bytes < self->last_bytes)
        self->landing_bytes = self->last_bytes;
    pthread_mutex_lock(&self->fleet->lock);
    self->landing = channel_at(&self->guest, self->landing_off);
    pthread_mutex_unlock(&self->fleet->lock);
}

/* ---- bodies ---- */

static int want_more(struct remote *self, uint64_t bytes)
{
    const struct gbx_descriptor d = {
        .kind = GBX_KIND_GROW,
        .scalar = self->shared->arena_bytes[HALF_GUEST] + bytes};
    const uint64_t most = self->shared->half_bytes - GBX_ARENA_OFF;
    struct gbx_descriptor grow = d;

    if (grow.scalar > most)
        grow.scalar = most;
    if (self->shared->arena_bytes[HALF_GUEST] >= grow.scalar)
        return GBX_EARENA; /* it is as long as it may be */
    if (self->asks > 0)
        return GBX_EAGAIN; /* answers come in the order of what is asked */
    if (channel_send(&self->guest, &grow, 1) < 0)
        return GBX_EAGAIN;
    self->grows = true;
    return GBX_EAGAIN;
}

/* Into a block, once.  Returns 0; GBX_EAGAIN, GBX_EARENA: there is no room now.
 */
static int put_body(struct remote *self, struct event *event, const void *body,
                    uint64_t bytes)
{
    int rc;

    if (bytes == 0 || event->off != 0)
        return 0;
    rc = channel_try_reserve(&self->guest, bytes, &event->off);
    if (rc < 0)
        event->off = 0;
    if (rc == GBX_EARENA)
        rc = want_more(self, bytes);
    if (rc == 0)
        memcpy(channel_at(&self->guest, event->off), body, bytes);
    return rc;
}

/* The elements of a typed array start on a line (abi/message.h). */
static int put_array(struct remote *self, struct event *event)
{
    const struct gbx_message message = {.type = GBX_ARRAY,
                                        .flags = GBX_TYPED,
                                        .body = event->body,
                                        .body_bytes = event->bytes};
    struct gbx_array array;
    uint64_t off, head;
    int rc;

    if (event->type != GBX_ARRAY || event->body == NULL ||
        gbx_message_array(&message, &array) < 0)
        return GBX_EFORMAT;
    head = (uint64_t)((const uint8_t *)array.data - event->body);
    rc =
        channel_try_reserve(&self->guest, event->bytes + GBX_BLOCK_ALIGN, &off);
    if (rc == GBX_EARENA)
        rc = want_more(self, event->bytes + GBX_BLOCK_ALIGN);
    if (rc < 0)
        return rc;
    event->off = off + (GBX_BLOCK_ALIGN - (off + head) % GBX_BLOCK_ALIGN) %
                           GBX_BLOCK_ALIGN;
    memcpy(channel_at(&self->guest, event->off), event->body, event->bytes);
    return 0;
}

/* Its own: it may lie where it is to be. */
static int take_body(struct remote *self, struct event *event)
{
    if ((event->flags & FRAME_TYPED) != 0 && event->off == 0)
        return put_array(self, event);
    if (event->bytes > self->last_bytes)
        self->last_bytes = event->bytes;
    if (event->off != 0 || event->bytes == 0 || event->body != NULL)
        return put_body(self, event, event->body, event->bytes);
    event->off = self->landing_off;
    self->landing_off = 0;
    self->landing_bytes = 0;
    return 0;
}

/* The block is the reader's then; else it stays the event's. */
static int publish(struct remote *self, struct gbx_descriptor *d,
                   const char *name, const struct event *event, uint64_t bytes)
{
    int rc = 0;

    d->call = self->shown_call;
    d->body_off = bytes > 0 ? event->off : 0;
    d->body_bytes = (uint32_t)bytes;
    if (name != NULL)
        rc = channel_put_name(&self->guest, d, name, strlen(name), 1);
    if (rc < 0)
        return rc;
    rc = channel_send(&self->guest, d, 1);
    if (rc < 0 && (d->flags & GBX_LONG_NAME) != 0)
        channel_drop(&self->guest, d->name.off);
    return rc == GBX_ERING ? GBX_EAGAIN : rc;
}

/* ---- failures ---- */

/* One text behind the other, each but the last with a zero. */
void failed_read(struct failed_texts *texts, const uint8_t *body,
                 uint64_t bytes)
{
    const char *at = body != NULL ? (const char *)body : "";
    const char *const end = body != NULL ? at + bytes : at;
    const char **const all[] = {&texts->what, &texts->traceback, &texts->type,
                                &texts->message};

    for (size_t i = 0; i < 4; i++) {
        *all[i] = at;
        at += strlen(at);
        at += at < end; /* there may be fewer of them */
    }
}

static const char *limit_of(int code)
{
    return code == GBX_EMEMORY      ? "memory"
           : code == GBX_EPROCESSES ? "processes"
           : code == GBX_EFILES     ? "files"
           : code == GBX_EDISK      ? "disk"
                                    : NULL;
}

static void build_pair(struct gbx_builder *b, const char *key,
                       const char *value)
{
    gbx_build_text(b, key, strlen(key));
    gbx_build_text(b, value, strlen(value));
}

/* The Object that FAILED carries. */
static int publish_failure(struct remote *self, struct event *event,
                           const struct failed_texts *texts, int code)
{
    const char *limit = limit_of(code);
    struct gbx_descriptor d = {
        .kind = GBX_KIND_FAILED, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};
    struct gbx_builder b;
    int rc;

    gbx_builder_init(&b);
    gbx_build_map(&b, limit != NULL ? 4 : 3);
    build_pair(&b, "type", texts->type);
    build_pair(&b, "message", texts->message);
    build_pair(&b, "traceback", texts->traceback);
    if (limit != NULL)
        build_pair(&b, "limit", limit);
    rc = b.error < 0 ? GBX_EFORMAT : put_body(self, event, b.bytes, b.count);
    if (rc == 0)
        rc = publish(self, &d, NULL, event, b.count);
    gbx_builder_fini(&b);
    return rc;
}

/* "s.py: SyntaxError: what", as an open says it. */
static void split(const struct failed_texts *from, char type[128],
                  struct failed_texts *to)
{
    const char *first = strstr(from->what, ": ");
    const char *second = first != NULL ? strstr(first + 2, ": ") : NULL;

    *to = *from;
    to->type = type;
    to->message = second != NULL ? second + 2 : from->what;
    snprintf(type, 128, "%.*s", second != NULL ? (int)(second - first - 2) : 9,
             second != NULL ? first + 2 : "LoadError");
}

static int take_load_failure(struct remote *self, struct event *event)
{
    struct failed_texts texts, told;
    const int code = failed_code(event->scalar);
    char type[128];

    failed_read(&texts, event->body, event->bytes);
    if (code != GBX_ELOAD) {
        remote_end(self, code, "%.*s", GBX_ERROR_TEXT_MAX - 1, texts.what);
        return 0;
    }
    split(&texts, type, &told);
    return publish_failure(self, event, &told, GBX_ESCRIPT);
}

/* It was not run: it is tried again, unless it would be refused again. */
static bool is_worth_another_try(const struct event *event, int code)
{
    return (event->flags & FRAME_HAS_NOT_RUN) != 0 &&
           (code == GBX_EAGAIN || code == GBX_EHOST || code == GBX_EFILE ||
            code == GBX_EUNSUPPORTED || code == GBX_ECANCELED);
}

static void try_again(struct remote *self, int code)
{
    pthread_mutex_lock(&self->fleet->lock);
    self->host->moved++;
    self->host->api->keep(self->host->net, self);
    if (code == GBX_EFILE) { /* it does not have the script after all */
        struct host_script *loaded =
            host_script_locked(self->host, self->script);

        if (loaded != NULL)
            host_forget_script_locked(self->host, loaded);
    }
    pthread_mutex_unlock(&self->fleet->lock);
    self->phase = REMOTE_PLACING;
    self->tries++;
    self->again_ns =
        clock_now_ns() + (5000000ull << (self->tries < 6 ? self->tries : 6));
}

/* What was lent may still wait to be sent, if the host was quick. */
static void end_call(struct remote *self)
{
    self->host->api->keep(self->host->net, self);
    for (unsigned i = 0; i < self->input_count; i++)
        channel_give(&self->guest, self->inputs[i].descriptor.body_off);
    self->input_count = 0;
    self->phase = REMOTE_IDLE;
}

static int take_failure(struct remote *self, struct event *event)
{
    const int code = failed_code(event->scalar);
    struct failed_texts texts;
    int rc;

    failed_read(&texts, event->body, event->bytes);
    if (!self->has_said && is_worth_another_try(event, code)) {
        try_again(self, code);
        return 0;
    }
    if (code == GBX_ESCRIPT ||
        (limit_of(code) != NULL && texts.type[0] != '\0')) {
        rc = publish_failure(self, event, &texts, code);
        if (rc == 0)
            end_call(self);
        return rc;
    }
    if (code == GBX_ETIME && self->deadline_ns != 0 &&
        clock_now_ns() + LATE_NS > self->deadline_ns)
        return 0; /* our own is about to pass, and says it better */
    if (code == GBX_ETIME)
        remote_end(
            self, GBX_ELIMIT,
            "the host let it run no longer (gloveboxd --timeout): %.150s",
            texts.what);
    else if (code == GBX_ECANCELED || code == GBX_EAGAIN)
        remote_end(self, GBX_EUNKNOWN, "the host ended the call: %.180s",
                   texts.what);
    else
        remote_end(self, code, "%.*s", GBX_ERROR_TEXT_MAX - 1, texts.what);
    return 0;
}

/* ---- events ---- */

static int take_message(struct remote *self, struct event *event,
                        enum gbx_kind kind)
{
    struct gbx_descriptor d = {
        .kind = (uint8_t)kind,
        .type = event->type,
        .flags = (uint16_t)(GBX_HAS_MESSAGE |
                            (event->flags & FRAME_TYPED ? GBX_TYPED : 0)),
        .scalar = event->scalar};
    int rc =
        event->type < GBX_TYPE_COUNT ? take_body(self, event) : GBX_EFORMAT;

    if (rc == 0)
        rc = publish(self, &d, event->name, event, event->bytes);
    if (rc == 0 && kind == GBX_KIND_OUTPUT)
        self->has_said = true;
    self->asks += rc == 0 && kind == GBX_KIND_ASK;
    return rc;
}

static int take_print(struct remote *self, struct event *event)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_PRINT, .type = GBX_STRING, .scalar = event->scalar};
    int rc = take_body(self, event);

    return rc == 0 ? publish(self, &d, NULL, event, event->bytes) : rc;
}

static int take_done(struct remote *self, const struct event *event)
{
    struct gbx_descriptor d = {.kind = GBX_KIND_DONE,
                               .handler_ns = event->scalar};
    int rc = publish(self, &d, NULL, event, 0);

    if (rc == 0)
        end_call(self);
    return rc;
}

/* Where the metadata lie in what a LOADED carries; false: it has none. */
static bool find_metadata(const struct event *event, size_t *from,
                          size_t *bytes)
{
    struct gbx_reader r;
    struct gbx_item item;
    bool is_key = true, wanted = false;
    size_t before = 0;
    int rc;

    *bytes = 0;
    gbx_reader_init(&r, event->body, event->bytes);
    while (before = r.at, (rc = gbx_read(&r, &item)) == 0) {
        if (item.depth == 0 && item.kind != GBX_ITEM_MAP)
            return false;
        if (item.depth != 1)
            continue;
        if (wanted && is_key)
            *bytes = before - *from; /* the next key: it ends here */
        wanted = is_key ? gbx_item_is(&item, "metadata") : wanted;
        if (!is_key && wanted)
            *from = before;
        is_key = !is_key;
    }
    if (wanted && *bytes == 0)
        *bytes = event->bytes - *from;
    return rc == GBX_EAGAIN && *bytes > 0 && *bytes <= GBX_METADATA_MAX;
}

static int take_loaded(struct remote *self, struct event *event)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_LOADED, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};
    size_t from = 0, bytes;
    int rc;

    if (event->body == NULL || !find_metadata(event, &from, &bytes))
        return GBX_EFORMAT;
    rc = put_body(self, event, event->body + from, bytes);
    return rc == 0 ? publish(self, &d, NULL, event, bytes) : rc;
}

static int take(struct remote *self, struct event *event)
{
    switch (event->kind) {
    case FRAME_OUTPUT:
        return take_message(self, event, GBX_KIND_OUTPUT);
    case FRAME_ASK:
        return take_message(self, event, GBX_KIND_ASK);
    case FRAME_PRINT:
        return take_print(self, event);
    case FRAME_DONE:
        return take_done(self, event);
    case FRAME_LOADED:
        return take_loaded(self, event);
    default:
        return self->phase == REMOTE_SENT ? take_failure(self, event)
                                          : take_load_failure(self, event);
    }
}

/* There is no room, and nobody gives any back. */
static bool is_stuck(struct remote *self)
{
    if (self->grows || self->asks > 0)
        return false;
    if (self->stuck_ns == 0)
        self->stuck_ns = clock_now_ns();
    return clock_now_ns() - self->stuck_ns > STUCK_NS;
}

/* Outputs of a call that may be run twice wait until it is over; what it asks
 * cannot. */
static void fetch(struct remote *self)
{
    struct event_queue stay = STAILQ_HEAD_INITIALIZER(stay);
    bool is_over = !self->what.is_idempotent;
    struct event *event;

    pthread_mutex_lock(&self->fleet->lock);
    STAILQ_FOREACH(event, &self->inbox, next)
    is_over =
        is_over || event->kind == FRAME_DONE || event->kind == FRAME_FAILED;
    while ((event = STAILQ_FIRST(&self->inbox)) != NULL) {
        const bool stays = !is_over && event->kind == FRAME_OUTPUT;

        STAILQ_REMOVE_HEAD(&self->inbox, next);
        if (stays) {
            STAILQ_INSERT_TAIL(&stay, event, next);
            continue;
        }
        STAILQ_INSERT_TAIL(&self->held, event, next);
        self->inbox_count--;
        self->inbox_bytes -= event->bytes;
    }
    STAILQ_CONCAT(&self->inbox, &stay);
    pthread_mutex_unlock(&self->fleet->lock);
}

unsigned remote_hand_on(struct remote *self)
{
    struct event *event;
    unsigned count = 0;
    int rc = 0;

    while (self->end == 0 && !self->grows && rc == 0) {
        if (STAILQ_EMPTY(&self->held)) /* so it is as short as the inbox */
            fetch(self);
        event = STAILQ_FIRST(&self->held);
        if (event == NULL)
            break;
        rc = take(self, event);
        if (rc < 0)
            break;
        STAILQ_REMOVE_HEAD(&self->held, next);
        free(event->body);
        free(event);
        self->stuck_ns = 0;
        count++;
    }
    if (rc == GBX_EAGAIN || rc == GBX_EARENA) {
        if (is_stuck(self))
            remote_end(self, GBX_EARENA,
                       "the arena is full of outputs that nobody has taken");
        count += self->grows;
    } else if (rc < 0) {
        remote_end(self, GBX_EBROKEN, "the host sent what makes no sense");
    }
    return count;
}
