/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - what the host's side of the region says becomes frames, and a call
 * finds a host.
 *
 * A call's inputs stay in their blocks until it is over: so it can be sent
 * again, to another host, where it was not run (the host said so, or it was
 * lost before the last frame left) or may be run twice.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "glovebox/message.h"
#include "sandbox/remote/remote.h"

#define TRIES_MAX    40u /* of a call that every host refuses */
#define AGAIN_NS_MIN 5000000ull
#define AGAIN_NS_MAX 500000000ull
#define PLACING_NS   30000000000ull /* with no host up */

void remote_end(struct remote *self, int code, const char *why, ...)
{
    va_list ap;

    if (self->end != 0)
        return;
    self->end = code;
    va_start(ap, why);
    vsnprintf(self->why, sizeof(self->why), why, ap);
    va_end(ap);
}

/* ---- the script ---- */

static void build_text(struct gbx_builder *b, const char *text)
{
    gbx_build_text(b, text, strlen(text));
}

static void build_limits(struct gbx_builder *b, const struct gbx_limits *limits)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
#define X(field, least, most) {#field, limits->field},
        GBX_LIMITS(X)
#undef X
    };
    const size_t count = sizeof(all) / sizeof(all[0]);

    gbx_build_map(b, count);
    for (size_t i = 0; i < count; i++) {
        build_text(b, all[i].name);
        gbx_build_unsigned(b, all[i].value);
    }
}

/* The LOAD of the ABI, and what is wanted of the sandbox. */
static void read_load(struct remote *self, const struct gbx_descriptor *d)
{
    const char *floor = self->what.floor;
    struct gbx_builder b;

    gbx_builder_init(&b);
    gbx_build_map(&b, floor == NULL ? 2 : 3);
    build_text(&b, "load");
    gbx_build_item(&b, channel_at(&self->guest, d->body_off), d->body_bytes);
    build_text(&b, "limits");
    build_limits(&b, &self->what.limits);
    if (floor != NULL) {
        build_text(&b, "floor");
        build_text(&b, floor);
    }
    pthread_mutex_lock(&self->fleet->lock);
    fleet_script_put_locked(self->fleet, self->script);
    self->script = NULL;
    if (b.error == 0)
        self->script = fleet_script_get_locked(
            self->fleet,
            floor != NULL ? isolation_rank(floor, strlen(floor)) : UINT_MAX,
            self->what.folder, b.bytes, b.count);
    pthread_mutex_unlock(&self->fleet->lock);
    gbx_builder_fini(&b);
    self->phase = REMOTE_LOADING;
    self->shown_call = d->call;
    if (self->script == NULL)
        remote_end(self, GBX_EHOST, "no memory for a script");
}

/* What it is to the guest's end: a LOADED or FAILED that came. */
static void tell_loaded(struct remote *self, const struct host_script *loaded)
{
    struct event *event = calloc(1, sizeof(*event) + 1);

    if (event != NULL && loaded->bytes > 0)
        event->body = malloc(loaded->bytes + 1);
    if (event == NULL || (loaded->bytes > 0 && event->body == NULL)) {
        free(event);
        remote_end(self, GBX_EHOST, "no memory for a script");
        return;
    }
    event->kind = loaded->state == LOAD_DONE ? FRAME_LOADED : FRAME_FAILED;
    event->scalar = (uint64_t)(loaded->state == LOAD_DONE ? 0 : -loaded->code);
    event->bytes = loaded->bytes;
    if (loaded->bytes > 0)
        memcpy(event->body, loaded->body, loaded->bytes + 1);
    STAILQ_INSERT_TAIL(&self->held, event, next);
    self->phase = REMOTE_IDLE;
}

/* A host that has the script, or is being brought it; NULL: not yet.  *failed:
 * nobody will. */
static struct fleet_host *find_host_locked(struct remote *self,
                                           const struct host_script **failed)
{
    struct fleet_host *host =
        fleet_choose_locked(self->fleet, self->script, failed);
    struct host_script *loaded;

    if (host == NULL)
        return NULL;
    loaded = host_script_locked(host, self->script);
    if (loaded != NULL && loaded->state == LOAD_DONE)
        return host;
    if (loaded == NULL || loaded->state == LOAD_FAILED)
        host_load_locked(host, self->script);
    return NULL;
}

/* ---- sending ---- */

static void note_input(void *context, bool has_begun)
{
    (void)context;
    (void)has_begun;
}

static void note_run(void *context, bool has_begun)
{
    struct remote *self = context;

    atomic_store(&self->sent, has_begun ? 1 : 2);
}

static struct frame frame_of(const struct remote *self, unsigned index)
{
    const struct gbx_descriptor *d = &self->inputs[index].descriptor;
    const bool has_message =
        d->kind == GBX_KIND_INPUT || (d->flags & GBX_HAS_MESSAGE) != 0;
    struct frame frame = {
        .kind = FRAME_INPUT,
        .type = d->type,
        .flags = (uint8_t)((has_message ? FRAME_HAS_MESSAGE : 0) |
                           (d->flags & GBX_TYPED ? FRAME_TYPED : 0) |
                           (d->kind == GBX_KIND_CALL ? FRAME_RUNS : 0)),
        .call = self->call,
        .scalar = d->scalar,
        .body_bytes = d->body_bytes};

    if (has_message)
        strcpy(frame.port, self->inputs[index].port);
    return frame;
}

/* The first names the script, and how long it may take. */
static int send_first_locked(struct remote *self, uint64_t now_ns)
{
    struct frame first = {.kind = FRAME_INPUT, .call = self->call};
    const uint64_t deadline_ns = self->deadline_ns;

    snprintf(first.actor, sizeof(first.actor), "#%u/%llu", self->script->number,
             (unsigned long long)self->number);
    if (deadline_ns != 0) {
        first.flags = FRAME_HAS_TIMEOUT;
        first.scalar =
            deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 + 1 : 1;
    }
    return host_send(self->host, &first, NULL, NULL, NULL);
}

/* Returns 0, or a code, and it is to be tried again. */
static int send_call_locked(struct remote *self)
{
    int rc;

    self->call = host_number_locked(self->host, self);
    if (self->call == 0)
        return GBX_EAGAIN;
    atomic_store(&self->sent, 0);
    self->is_lost = false;
    if (self->host->is_reflow) {
        rc = reflow_call_locked(self, note_run);
        if (rc < 0)
            host_let_go_locked(self->host, self->call);
        return rc;
    }
    rc = send_first_locked(self, clock_now_ns());
    for (unsigned i = 0; i < self->input_count && rc == 0; i++) {
        const struct remote_input *input = &self->inputs[i];
        const struct frame frame = frame_of(self, i);

        rc =
            host_send(self->host, &frame,
                      frame.body_bytes > 0
                          ? channel_at(&self->guest, input->descriptor.body_off)
                          : NULL,
                      i + 1 == self->input_count ? note_run : note_input, self);
    }
    if (rc < 0) { /* some of it may be on its way */
        self->host->api->keep(self->host->net, self);
        remote_detach_locked(self);
    }
    return rc;
}

/* ---- a call finds its host ---- */

static uint64_t largest_input(const struct remote *self)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < self->input_count; i++)
        if (self->inputs[i].descriptor.body_bytes > bytes)
            bytes = self->inputs[i].descriptor.body_bytes;
    return bytes;
}

static void wait_again(struct remote *self)
{
    uint64_t ns = AGAIN_NS_MIN << (self->tries < 7 ? self->tries : 7);

    ns = ns > AGAIN_NS_MAX ? AGAIN_NS_MAX : ns;
    ns += ns * (clock_now_ns() % 64) / 64; /* not all at once */
    self->again_ns = clock_now_ns() + ns;
    self->tries++;
    self->phase = REMOTE_PLACING;
}

static bool is_any_up_locked(const struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->host_count; i++)
        if (fleet->hosts[i]->state == HOST_UP)
            return true;
    return false;
}

static void place_locked(struct remote *self)
{
    const struct host_script *failed;
    struct fleet_host *host;

    if (self->again_ns != 0 && clock_now_ns() < self->again_ns)
        return;
    self->again_ns = 0;
    host = find_host_locked(self, &failed);
    if (failed != NULL)
        remote_end(self, failed->code, "no host can have the script: %.180s",
                   failed->body != NULL ? (const char *)failed->body : "");
    if (host == NULL && !is_any_up_locked(self->fleet) &&
        clock_now_ns() - self->placing_ns > PLACING_NS)
        remote_end(self, GBX_EUNSUPPORTED,
                   "no remote host has been up for 30 s; the first: %.60s: "
                   "%.100s",
                   self->fleet->hosts[0]->url, self->fleet->hosts[0]->why);
    if (host != NULL && host->bytes_max > 0 &&
        largest_input(self) > host->bytes_max)
        remote_end(self, GBX_ELIMIT,
                   "%.80s takes messages of at most %llu bytes (gloveboxd "
                   "--body)",
                   host->url, (unsigned long long)host->bytes_max);
    if (host == NULL || self->end != 0)
        return;
    self->host = host;
    if (send_call_locked(self) == 0)
        self->phase = REMOTE_SENT;
    else
        wait_again(self);
}

static void load_locked(struct remote *self)
{
    const struct host_script *failed;
    struct fleet_host *host = find_host_locked(self, &failed);

    if (host != NULL)
        tell_loaded(self, host_script_locked(host, self->script));
    else if (failed != NULL)
        tell_loaded(self, failed);
}

/* Its host is gone: was it run? */
static void recover_locked(struct remote *self)
{
    const bool may_have_run = atomic_load(&self->sent) == 1;

    self->is_lost = false;
    if (may_have_run && (!self->what.is_idempotent || self->has_said)) {
        remote_end(self, GBX_EUNKNOWN,
                   "%.80s was lost (%.60s): whether the call ran is not known",
                   self->host->url, self->host->why);
        return;
    }
    self->host->moved++;
    remote_drop_events(&self->inbox);
    self->inbox_count = 0;
    self->inbox_bytes = 0;
    self->is_anew = true;
    wait_again(self);
}

void remote_advance(struct remote *self)
{
    if (self->end != 0)
        return;
    pthread_mutex_lock(&self->fleet->lock);
    if (self->is_flooded)
        remote_end(self, GBX_ELIMIT,
                   "the host sent more than is taken, or than there is memory "
                   "for");
    else if (self->phase == REMOTE_LOADING)
        load_locked(self);
    else if (self->phase == REMOTE_SENT && self->is_lost &&
             STAILQ_EMPTY(&self->held) && self->asks == 0)
        recover_locked(self);
    if (self->end == 0 && self->phase == REMOTE_PLACING)
        place_locked(self);
    if (self->tries > TRIES_MAX)
        remote_end(self, GBX_ELIMIT, "no remote host takes the call: %s",
                   "each has too much to do, or is down");
    self->wants_look = self->end == 0 && (self->phase == REMOTE_PLACING ||
                                          self->phase == REMOTE_LOADING);
    pthread_mutex_unlock(&self->fleet->lock);
    /* The next attempt's questions are answered by this thread, later. */
    if (self->is_anew && self->what.again != NULL)
        self->what.again(self->what.output_context);
    self->is_anew = false;
}

void remote_detach_locked(struct remote *self)
{
    const struct frame frame = {.kind = FRAME_CANCEL, .call = self->call};

    if (self->host != NULL && self->call != 0 &&
        self->host->slots[self->call % FLEET_SLOTS] == self) {
        if (!self->host->is_reflow)
            host_send(self->host, &frame, NULL, NULL, NULL);
        host_let_go_locked(self->host, self->call);
    }
    self->call = 0;
}

/* ---- what the host's side says ---- */

/* It answers what the script has asked, or its own wish to grow. */
static void read_answer(struct remote *self, const struct gbx_descriptor *d)
{
    struct frame frame = {.kind = FRAME_ANSWER,
                          .type = d->type,
                          .flags = d->flags & GBX_IS_ERROR ? FRAME_IS_ERROR
                                                           : FRAME_HAS_MESSAGE,
                          .scalar = d->scalar,
                          .body_bytes = d->body_bytes};
    uint8_t *all;
    size_t bytes;

    if (self->grows) {
        self->grows = false;
        if (d->flags & GBX_IS_ERROR)
            remote_end(self, GBX_ELIMIT,
                       "an output is larger than the message limit");
        else
            channel_grew(&self->guest, d->scalar);
        return;
    }
    self->asks -= self->asks > 0;
    all = malloc(FRAME_HEAD_MAX + d->body_bytes);
    if (all == NULL) {
        remote_end(self, GBX_EHOST, "no memory for an answer");
        return;
    }
    pthread_mutex_lock(&self->fleet->lock);
    if (self->host->bytes_max > 0 && d->body_bytes > self->host->bytes_max) {
        remote_end(self, GBX_ELIMIT,
                   "%.80s takes messages of at most %llu bytes (gloveboxd "
                   "--body), and an answer would have more",
                   self->host->url, (unsigned long long)self->host->bytes_max);
        pthread_mutex_unlock(&self->fleet->lock);
        free(all);
        return;
    }
    frame.call = self->call;
    bytes = frame_write(&frame, all);
    if (d->body_bytes > 0)
        memcpy(all + bytes, channel_at(&self->guest, d->body_off),
               d->body_bytes);
    if (self->phase == REMOTE_SENT && !self->is_lost)
        self->host->api->send(self->host->net, false, all,
                              bytes + d->body_bytes, NULL, 0, NULL, NULL);
    pthread_mutex_unlock(&self->fleet->lock);
    free(all);
}

/* The block is held until the call is over.  False: it is not taken. */
static bool read_input(struct remote *self, const struct gbx_descriptor *d)
{
    struct remote_input *input;

    if (self->input_count == REMOTE_INPUTS_MAX) {
        remote_end(self, GBX_ELIMIT, "too many inputs");
        return false;
    }
    input = &self->inputs[self->input_count++];
    input->descriptor = *d;
    self->shown_call = d->call;
    channel_get_name(&self->guest, d, input->port);
    if (d->kind != GBX_KIND_CALL)
        return true;
    self->phase = REMOTE_PLACING;
    self->tries = 0;
    self->again_ns = 0;
    self->placing_ns = clock_now_ns();
    self->has_said = false;
    remote_prepare_landing(self);
    return true;
}

void remote_read(struct remote *self)
{
    struct gbx_descriptor d;

    channel_awake(&self->guest);
    do {
        while (channel_try_recv(&self->guest, &d) == 0) {
            bool is_held = false;

            if (d.kind == GBX_KIND_LOAD)
                read_load(self, &d);
            else if (d.kind == GBX_KIND_ANSWER)
                read_answer(self, &d);
            else
                is_held = read_input(self, &d);
            if (!is_held)
                channel_give(&self->guest, d.body_off);
        }
    } while (!channel_asleep(&self->guest));
}
