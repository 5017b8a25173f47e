/* SPDX-License-Identifier: Apache-2.0 */
/* fill.c - a call's inputs: room for them in the host's arena, until it runs.
 */
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "message/raw.h"
#include "runtime/runtime.h"
#include "sandbox/borrow.h"

/* Does the script have this port?  One that declares none takes any. */
static int check_port(struct gbx_script *script, const char *port,
                      struct gbx_error *err)
{
    char known[GBX_ERROR_TEXT_MAX / 2] = "";
    size_t bytes = strlen(port), at = 0;

    if (bytes == 0 || bytes > GBX_NAME_BYTES_MAX)
        return fail(err, GBX_EPORT, "a port's name has 1 to %u bytes, not %zu",
                    GBX_NAME_BYTES_MAX, bytes);
    if (script->inports == NULL)
        return 0;
    for (char **p = script->inports; *p != NULL; p++) {
        if (strcmp(*p, port) == 0)
            return 0;
        if (at < sizeof(known))
            at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
                                   at > 0 ? ", " : "", *p);
    }
    return fail(err, GBX_EPORT, "%s has no inport \"%s\"; it has: %s",
                script->file, port, known);
}

static struct call_input *add_input(struct gbx_call *call, const char *port,
                                    struct gbx_error *err, int *rc)
{
    struct call_input *input;

    must(call->phase == CALL_FILLING);
    *rc = check_port(call->script, port, err);
    if (*rc < 0)
        return NULL;
    if (call->input_count == CALL_INPUTS_MAX) {
        *rc = fail(err, GBX_ELIMIT, "a call takes at most %u inputs",
                   CALL_INPUTS_MAX);
        return NULL;
    }
    input = &call->inputs[call->input_count];
    *input = (struct call_input){
        .descriptor = {.kind = GBX_KIND_INPUT, .flags = GBX_HAS_MESSAGE},
        .port = scratch_text(&call->scratch, port, strlen(port))};
    if (input->port == NULL) {
        *rc = fail(err, GBX_EHOST, "no memory for a port's name");
        return NULL;
    }
    return input;
}

/* How long room() may wait: views that the script dropped come back late. */
static uint64_t room_deadline(const struct gbx_call *call)
{
    uint64_t soon_ns = clock_now_ns() + ROOM_NS;

    return call->begin_deadline_ns == 0 || call->begin_deadline_ns > soon_ns
               ? soon_ns
               : call->begin_deadline_ns;
}

static int reserve(struct gbx_call *call, const char *port, uint64_t bytes,
                   uint64_t *off, struct gbx_error *err)
{
    uint64_t most = call->sandbox->region.half_bytes - GBX_ARENA_OFF;
    int rc;

    if (bytes > GBX_BODY_BYTES_MAX || bytes > most)
        return fail(err, GBX_ELIMIT,
                    "port \"%s\": %llu bytes are more than the message limit "
                    "of %llu (gbx_limits.message_bytes)",
                    port, (unsigned long long)bytes,
                    (unsigned long long)(most < GBX_BODY_BYTES_MAX
                                             ? most
                                             : GBX_BODY_BYTES_MAX));
    /* The clock is asked only when there is something to wait for. */
    rc = channel_try_reserve(&call->sandbox->channel, bytes, off);
    if (rc == GBX_EARENA)
        rc = channel_reserve(&call->sandbox->channel, bytes,
                             room_deadline(call), off);
    if (rc == GBX_EBROKEN || rc == GBX_EBOUNDS || rc == GBX_EFORMAT) {
        sandbox_break(call->sandbox); /* never listened to again */
        return fail(err, rc, "the guest wrote nonsense into the shared region");
    }
    if (rc < 0)
        return fail(err, rc,
                    "port \"%s\": no room for %llu bytes: other messages fill "
                    "the arena of %llu",
                    port, (unsigned long long)bytes, (unsigned long long)most);
    return 0;
}

int gbx_call_room(struct gbx_call *call, const char *port, enum gbx_type type,
                  size_t bytes, void **data, struct gbx_error *err)
{
    struct call_input *input;
    int rc;

    *data = NULL;
    if (type == GBX_FLOW || type == GBX_BOOLEAN || type == GBX_INTEGER ||
        type == GBX_FLOAT || (int)type < 0 || type >= GBX_TYPE_COUNT)
        return fail(err, GBX_EARGUMENT, "messages of type %s have no body",
                    gbx_type_name((int)type) ? gbx_type_name((int)type) : "?");
    input = add_input(call, port, err, &rc);
    if (input == NULL)
        return rc;
    rc = reserve(call, port, bytes, &input->descriptor.body_off, err);
    if (rc < 0)
        return rc;
    input->descriptor.type = (uint8_t)type;
    input->descriptor.body_bytes = (uint32_t)bytes;
    call->stats.input_bytes += bytes;
    call->input_count++;
    input->is_room = true;
    *data = channel_at(&call->sandbox->channel, input->descriptor.body_off);
    return 0;
}

int gbx_call_trim(struct gbx_call *call, size_t bytes, struct gbx_error *err)
{
    struct call_input *input =
        call->input_count > 0 ? &call->inputs[call->input_count - 1] : NULL;
    struct gbx_descriptor *last;

    must(call->phase == CALL_FILLING);
    if (input == NULL || !input->is_room)
        return fail(err, GBX_EARGUMENT,
                    "the last input has no room to be trimmed");
    last = &input->descriptor;
    if (bytes > last->body_bytes)
        return fail(err, GBX_EARGUMENT,
                    "port \"%s\": its room has %u bytes, and not %zu",
                    input->port, last->body_bytes, bytes);
    channel_trim(&call->sandbox->channel, last->body_off, bytes);
    call->stats.input_bytes -= last->body_bytes - bytes;
    last->body_bytes = (uint32_t)bytes;
    return 0;
}

int gbx_call_array(struct gbx_call *call, const char *port,
                   const struct gbx_array *array, void **data,
                   struct gbx_error *err)
{
    struct channel *channel = &call->sandbox->channel;
    uint8_t head[GBX_ARRAY_HEAD_MAX];
    size_t head_bytes = gbx_array_head(head, array), gap;
    struct call_input *input;
    uint64_t off;
    int rc;

    *data = NULL;
    if (head_bytes == 0)
        return fail(err, GBX_EARGUMENT,
                    "port \"%s\": no such array (dtype %d, rank %u)", port,
                    (int)array->dtype, array->rank);
    input = add_input(call, port, err, &rc);
    if (input == NULL)
        return rc;
    /* The head ends where a line begins, so that the elements are aligned. */
    gap = -head_bytes % GBX_BLOCK_ALIGN;
    rc = reserve(call, port, gap + head_bytes + array->data_bytes, &off, err);
    if (rc < 0)
        return rc;
    memcpy(channel_at(channel, off + gap), head, head_bytes);
    input->descriptor.type = GBX_ARRAY;
    input->descriptor.flags |= GBX_TYPED;
    input->descriptor.body_off = off + gap;
    input->descriptor.body_bytes = (uint32_t)(head_bytes + array->data_bytes);
    call->stats.input_bytes += array->data_bytes;
    call->input_count++;
    *data = channel_at(channel, off + gap + head_bytes);
    return 0;
}

static void put_body(struct gbx_call *call, void *to, const void *body,
                     size_t bytes)
{
    if (bytes > 0)
        memcpy(to, body, bytes);
    call->sandbox->channel.count.copied_bytes += bytes;
}

/* Elements that do not start on a line must be copied to one. */
static bool is_aligned(const struct gbx_message *message, uint64_t off)
{
    struct gbx_array array;

    return !(message->flags & GBX_TYPED) ||
           (gbx_message_array(message, &array) == 0 &&
            (off + (uint64_t)((const uint8_t *)array.data -
                              (const uint8_t *)message->body)) %
                    GBX_BLOCK_ALIGN ==
                0);
}

static bool is_shown(struct gbx_call *call, const struct gbx_message *message)
{
    struct lending *lending = &call->script->lending;
    int seen;

    if (!message_is_raw(message) || message->body_bytes < GBX_BODY_SHOWN ||
        call->sandbox->backend->borrow == NULL)
        return false;
    seen = borrow_seen(call->sandbox);
    if (seen >= 0)
        lending_saw(lending, (uint32_t)seen);
    if (!call->lent.is_chosen)
        lending_choose(lending, &call->lent);
    call->lent.bytes += message->body_bytes;
    return call->lent.is_shown;
}

/* A block that shows it.  Returns 0 and its offset; or a code: a copy will do.
 */
static int borrow(struct gbx_call *call, const struct gbx_message *message,
                  struct gbx_body *body, uint64_t *off)
{
    const bool is_typed = (message->flags & GBX_TYPED) != 0;
    const unsigned flags = (is_typed ? BORROW_COPIES_HEAD : 0) |
                           (call->lent.is_watched ? BORROW_IS_WATCHED : 0);
    struct sandbox *sandbox = call->sandbox;
    struct gbx_message seen = *message;
    int rc = borrow_body(sandbox, body, message->body, message->body_bytes,
                         flags, off);

    if (rc < 0)
        return rc;
    /* Its head is a copy by now, that nobody changes. */
    seen.body = channel_at(&sandbox->channel, *off);
    if (is_aligned(&seen, *off))
        return 0;
    channel_drop(&sandbox->channel, *off);
    return GBX_EUNSUPPORTED;
}

/* The body as it lies.  Returns 0; or GBX_EUNSUPPORTED: a copy will do. */
static int show_body(struct gbx_call *call, const char *port,
                     const struct gbx_message *message, struct gbx_body *body,
                     struct gbx_error *err)
{
    struct call_input *input;
    uint64_t off;
    int rc;

    if (!is_shown(call, message) || borrow(call, message, body, &off) < 0)
        return GBX_EUNSUPPORTED;
    input = add_input(call, port, err, &rc);
    if (input == NULL) {
        channel_drop(&call->sandbox->channel, off);
        return rc;
    }
    input->descriptor.type = (uint8_t)message->type;
    input->descriptor.flags |= message->flags & GBX_TYPED;
    input->descriptor.body_off = off;
    input->descriptor.body_bytes = (uint32_t)message->body_bytes;
    call->stats.input_bytes += message->body_bytes;
    call->input_count++;
    return 0;
}

int gbx_call_put_body(struct gbx_call *call, const char *port,
                      const struct gbx_message *message, struct gbx_body *body,
                      struct gbx_error *err)
{
    uint64_t at, start_ns;
    int rc;

    if (!body_find(body, message->body, message->body_bytes, &at))
        return fail(err, GBX_EBOUNDS,
                    "port \"%s\": the message does not lie in its body", port);
    start_ns = clock_now_ns();
    rc = show_body(call, port, message, body, err);
    if (rc == GBX_EUNSUPPORTED)
        rc = gbx_call_put(call, port, message, err);
    call->lent.ns += clock_now_ns() - start_ns;
    return rc;
}

int gbx_call_put(struct gbx_call *call, const char *port,
                 const struct gbx_message *message, struct gbx_error *err)
{
    struct call_input *input;
    struct gbx_array array;
    void *data;
    int rc;

    if (message->flags & GBX_TYPED) {
        /* Anew, because its elements shall start on a line. */
        if (gbx_message_array(message, &array) < 0)
            return fail(err, GBX_EFORMAT, "port \"%s\": no typed array", port);
        rc = gbx_call_array(call, port, &array, &data, err);
        if (rc == 0)
            put_body(call, data, array.data, array.data_bytes);
        return rc;
    }
    switch (message->type) {
    case GBX_FLOW:
    case GBX_BOOLEAN:
    case GBX_INTEGER:
    case GBX_FLOAT:
        input = add_input(call, port, err, &rc);
        if (input == NULL)
            return rc;
        input->descriptor.type = (uint8_t)message->type;
        if (message->type == GBX_BOOLEAN)
            input->descriptor.scalar = message->scalar.boolean;
        else if (message->type != GBX_FLOW)
            memcpy(&input->descriptor.scalar, &message->scalar, 8);
        call->input_count++;
        return 0;
    default:
        rc = gbx_call_room(call, port, message->type, message->body_bytes,
                           &data, err);
        if (rc < 0)
            return rc;
        put_body(call, data, message->body, message->body_bytes);
        return 0;
    }
}
