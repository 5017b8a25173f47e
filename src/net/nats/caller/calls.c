/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - a call's frames are gathered, until it can be published. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nats/caller/private.h"

static unsigned bucket(uint32_t number)
{
    return number % BUCKETS;
}

struct call *calls_find_locked(struct net_host *host, uint32_t number)
{
    struct call *call;

    LIST_FOREACH(call, &host->calls[bucket(number)], same)
    if (call->number == number)
        return call;
    return NULL;
}

/* ---- what is lent ---- */

static void release(struct net_host *host, const struct piece *piece,
                    bool has_begun)
{
    if (piece->release != NULL)
        caller_tell(host, &(struct event){.kind = EVENT_RELEASE,
                                          .release = piece->release,
                                          .context = piece->context,
                                          .has_begun = has_begun});
}

static void drop_pieces(struct net_host *host, struct call *call,
                        bool has_begun)
{
    for (unsigned i = 0; i < call->piece_count; i++) {
        release(host, &call->pieces[i], has_begun);
        free(call->pieces[i].copy);
    }
    free(call->pieces);
    call->pieces = NULL;
    call->piece_count = 0;
}

/* Where nobody says when a body is not needed any more, it is copied. */
static bool own(struct piece *piece)
{
    if (piece->bytes == 0 || piece->copy != NULL)
        return true;
    piece->copy = malloc(piece->bytes);
    if (piece->copy == NULL)
        return false;
    memcpy(piece->copy, piece->data, piece->bytes);
    piece->data = piece->copy;
    return true;
}

static void keep(struct net_host *host, struct call *call, void *context)
{
    for (unsigned i = 0; i < call->piece_count; i++) {
        struct piece *piece = &call->pieces[i];

        if (piece->release == NULL || piece->context != context)
            continue;
        piece->release = NULL;
        if (own(piece))
            continue;
        calls_fail_locked(host, call, GBX_EHOST, true,
                          "no memory to keep what it was lent");
        return;
    }
}

void calls_keep_locked(struct net_host *host, void *context)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct call *call, *next;

        for (call = LIST_FIRST(&host->calls[i]); call != NULL; call = next) {
            next = LIST_NEXT(call, same);
            keep(host, call, context);
        }
    }
}

/* ---- calls come and go ---- */

static struct call *open_call(struct net_host *host, const struct frame *frame)
{
    struct call *call = calloc(1, sizeof(*call));
    char *end;

    if (call == NULL)
        return NULL;
    call->number = frame->call;
    if (frame->actor[0] == '#') {
        call->script = scripts_find_locked(
            host, (uint32_t)strtoul(frame->actor + 1, &end, 10));
        if (call->script != NULL)
            memcpy(call->digest, call->script->digest, sizeof(call->digest));
    }
    LIST_INSERT_HEAD(&host->calls[bucket(call->number)], call, same);
    return call;
}

void calls_drop_locked(struct net_host *host, struct call *call, bool has_begun)
{
    struct parcel *parcel = call->parcel;

    LIST_REMOVE(call, same);
    if (call->is_complete && parcel == NULL)
        STAILQ_REMOVE(&host->ready, call, call, next);
    if (parcel != NULL) {
        LIST_REMOVE(call, beside);
        parcel->count--;
    }
    drop_pieces(host, call, has_begun);
    free(call->reply);
    free(call->answer);
    free(call);
}

void calls_fail_locked(struct net_host *host, struct call *call, int code,
                       bool has_not_run, const char *what)
{
    const uint32_t number = call->number;

    calls_drop_locked(host, call, !has_not_run);
    scripts_tell_failed(host, number, code, has_not_run, what);
}

/* ---- frames ---- */

static bool add_piece(struct call *call, const struct piece *piece)
{
    struct piece *more;

    if (call->piece_count == FRAMES_MAX)
        return false;
    more =
        realloc(call->pieces, (call->piece_count + 1) * sizeof(*call->pieces));
    if (more == NULL)
        return false;
    call->pieces = more;
    more[call->piece_count] = *piece;
    if (piece->release == NULL && !own(&more[call->piece_count]))
        return false;
    call->piece_count++;
    call->bytes += piece->head_bytes + piece->bytes;
    return true;
}

/* A message's calls are one worker's: so those that take long go alone. */
static unsigned beside_max(const struct call *call)
{
    const struct script *script = call->script;

    if (script == NULL || script->usual_ns == 0 ||
        call->bytes > TOGETHER_BYTES / 4 || script->usual_ns > TOGETHER_NS / 2)
        return 1;
    return TOGETHER_NS / script->usual_ns < NATS_CALLS_MAX
               ? (unsigned)(TOGETHER_NS / script->usual_ns)
               : NATS_CALLS_MAX;
}

static void complete(struct net_host *host, struct call *call)
{
    call->is_complete = true;
    if (call->timeout_ms > 0)
        call->until_ns = caller_now_ns() + call->timeout_ms * 1000000u;
    call->beside_max = beside_max(call);
    STAILQ_INSERT_TAIL(&host->ready, call, next);
    parcels_send_locked(host);
}

int calls_input_locked(struct net_host *host, const struct frame *frame,
                       const struct piece *piece)
{
    struct call *call = calls_find_locked(host, frame->call);

    if (frame->actor[0] != '\0' && call == NULL)
        call = open_call(host, frame);
    if (call == NULL || call->is_complete) { /* it has failed meanwhile */
        release(host, piece, false);
        return 0;
    }
    if (call->bytes + piece->bytes > ALL_BYTES_MAX || !add_piece(call, piece)) {
        /* What came with this frame is its sender's still. */
        calls_drop_locked(host, call, false);
        return GBX_EHOST;
    }
    if (frame->flags & FRAME_HAS_TIMEOUT)
        call->timeout_ms = frame->scalar;
    if (frame->flags & FRAME_RUNS)
        complete(host, call);
    return 0;
}

static void tell_canceled(struct net_host *host, struct bus *bus,
                          const struct call *call)
{
    const struct parcel *parcel = call->parcel;
    char subject[NATS_SUBJECT_MAX], text[96];

    snprintf(subject, sizeof(subject), "glovebox.cancel.%s", bus_route(bus));
    snprintf(text, sizeof(text), "%s.%llu %u", host->id,
             (unsigned long long)parcel->serial, call->number);
    bus_send(bus, subject, NULL, NULL, 0, text, strlen(text));
}

void calls_drop_all_locked(struct net_host *host, struct bus *bus)
{
    const bool is_up = bus != NULL && bus_is_up(bus);
    struct parcel *parcel;
    struct call *call;

    for (unsigned i = 0; i < BUCKETS; i++)
        while ((call = LIST_FIRST(&host->calls[i])) != NULL) {
            if (is_up && call->parcel != NULL)
                tell_canceled(host, bus, call);
            calls_drop_locked(host, call, call->parcel != NULL);
        }
    while ((parcel = LIST_FIRST(&host->parcels)) != NULL) {
        if (is_up)
            parcels_take_back(host, bus, parcel);
        parcels_drop_locked(host, parcel);
    }
    host->unstored = 0;
}

void calls_end_locked(struct net_host *host, struct call *call, int code,
                      const char *what)
{
    struct parcel *parcel = call->parcel;

    if (parcel != NULL)
        tell_canceled(host, host->bus, call);
    calls_fail_locked(host, call, code, parcel == NULL, what);
    if (parcel != NULL)
        parcels_settle_locked(host, parcel);
}

void calls_cancel_locked(struct net_host *host, uint32_t number)
{
    struct call *call = calls_find_locked(host, number);

    if (call != NULL)
        calls_end_locked(host, call, GBX_ECANCELED, "the call was cancelled");
}

int calls_answer_locked(struct net_host *host, const struct frame *frame,
                        const void *data)
{
    struct call *call = calls_find_locked(host, frame->call);
    uint8_t head[FRAME_HEAD_MAX];
    const size_t head_bytes = frame_write(frame, head);
    uint8_t *all;
    int rc = GBX_EHOST;

    if (call == NULL || !call->is_asking)
        return 0; /* nobody waits for it any more */
    if (head_bytes + frame->body_bytes > host->payload_max) {
        static const char text[] = "the answer is longer than NATS takes";
        struct frame error = {.kind = FRAME_ANSWER,
                              .flags = FRAME_IS_ERROR,
                              .call = frame->call,
                              .body_bytes = sizeof(text) - 1};

        return calls_answer_locked(host, &error, text);
    }
    all = malloc(head_bytes + frame->body_bytes);
    if (all == NULL)
        return rc;
    memcpy(all, head, head_bytes);
    if (frame->body_bytes > 0)
        memcpy(all + head_bytes, data, frame->body_bytes);
    rc = bus_send(host->bus, call->reply, NULL, NULL, 0, all,
                  head_bytes + frame->body_bytes);
    free(call->answer);
    call->answer = all;
    call->answer_bytes = head_bytes + frame->body_bytes;
    call->asked = call->asking;
    call->is_asking = false;
    return rc;
}
