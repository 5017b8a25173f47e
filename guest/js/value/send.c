/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.c - a JavaScript value becomes a message.
 *
 * Bytes and elements that lie in the region already are not copied:
 *   in my arena     one more holder of the block, and a descriptor that points
 *                   into it; an array's head is written before its elements
 *   in the host's   the same bytes are passed on; the host holds them once more
 *                   when it reads the descriptor, which is before our give
 * All else is copied once, to a block of just its length, and counted.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest_js.h"

#define SAFE_INTEGER 9007199254740991.0

int raise_error(const char *name, const char *format, ...)
{
    char text[512];
    js_value arguments[2], error;
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    arguments[0] = js_new_text(name, strlen(name));
    arguments[1] = js_new_text(text, strlen(text));
    error = arguments[0] != JS_NONE && arguments[1] != JS_NONE
                ? js_call(program.prelude.error, 2, arguments)
                : JS_NONE;
    js_free(arguments[0]);
    js_free(arguments[1]);
    if (error != JS_NONE)
        js_throw(error);
    return -1;
}

int raise_code(int code, const char *port, size_t bytes)
{
    if (code == GBX_ELIMIT || code == GBX_EARENA)
        return raise_error("RangeError",
                           "output \"%s\": %zu bytes do not fit, %s (message "
                           "limit)",
                           port, bytes,
                           code == GBX_ELIMIT
                               ? "they are more than one message may have"
                               : "earlier outputs fill the arena");
    return raise_error("Error", "the host is gone (%d)", code);
}

/* A body of mine, to be filled; the elements start `room` bytes behind it. */
static uint8_t *body_begin(struct gbx_descriptor *d, size_t room, size_t bytes,
                           const char *port)
{
    int rc = room + bytes > GBX_BODY_BYTES_MAX
                 ? GBX_ELIMIT
                 : gbx_guest_reserve(program.guest, room + bytes, &d->body_off);

    if (rc < 0) {
        d->body_off = 0;
        raise_code(rc, port, bytes);
        return NULL;
    }
    d->body_bytes = (uint32_t)bytes;
    gbx_guest_copied(program.guest, bytes);
    return gbx_guest_at(program.guest, d->body_off + room);
}

static int put_copy(struct gbx_descriptor *d, const void *bytes, size_t count,
                    const char *port)
{
    uint8_t *body;

    if (count == 0)
        return 0;
    body = body_begin(d, 0, count, port);
    if (body == NULL)
        return -1;
    memcpy(body, bytes, count);
    return 0;
}

static int put_text(struct gbx_descriptor *d, js_value value, const char *port)
{
    const char *text;
    size_t bytes;
    int rc;

    if (js_kind(value) != JS_KIND_STRING)
        return raise_error("TypeError", "output \"%s\": this must be a string",
                           port);
    text = js_text(value, &bytes);
    rc = text != NULL ? put_copy(d, text, bytes, port) : -1;
    js_text_give(text);
    return rc;
}

static int put_cbor(struct gbx_descriptor *d, js_value value, const char *port)
{
    struct encoder encoder;
    int rc;

    encoder_take(&encoder, port);
    rc = encode(&encoder, value);
    if (rc == 0)
        rc = put_copy(d, encoder.bytes, encoder.count, port);
    encoder_give(&encoder);
    return rc;
}

/* These bytes of a block, where they are. */
static int put_place(struct gbx_descriptor *d, const struct block *block,
                     uint64_t off, size_t bytes)
{
    if (block->is_mine && gbx_guest_hold(program.guest, off, bytes) < 0)
        return raise_code(GBX_ECANCELED, "", bytes);
    d->body_off = off;
    d->body_bytes = (uint32_t)bytes;
    return 0;
}

static int put_bytes(struct gbx_descriptor *d, const struct opened *o,
                     const char *port)
{
    const struct block *block = block_find(o->address, o->bytes);

    if (block == NULL)
        return put_copy(d, engine_at(o->address), o->bytes, port);
    return put_place(d, block,
                     gbx_guest_off(program.guest, engine_at(o->address)),
                     o->bytes);
}

/* Can this array be sent from where it lies?  1: it was put. */
static int put_elements(struct gbx_descriptor *d, const struct opened *o)
{
    struct block *block = block_find(o->address, o->bytes);
    uint8_t head[BLOCK_HEAD_ROOM], *data = engine_at(o->address);
    size_t n;

    if (block == NULL || block->address != o->address)
        return 0;
    n = layout_write(head, &o->layout);
    if (!block->is_mine) {
        /* All of it, as what it came: its head is in front of it. */
        if (block->dtype == 0 || block->bytes != o->bytes ||
            block->body_bytes != n + o->bytes || memcmp(data - n, head, n) != 0)
            return 0;
        return put_place(d, block, block->off, block->body_bytes) < 0 ? -1 : 1;
    }
    /* A head that was sent must stay as it is. */
    if (block->is_framed && memcmp(data - n, head, n) != 0)
        return 0;
    if (put_place(d, block, gbx_guest_off(program.guest, data) - n,
                  n + o->bytes) < 0)
        return -1;
    memcpy(data - n, head, n);
    block->is_framed = true;
    return 1;
}

static int put_array(struct gbx_descriptor *d, const struct opened *o,
                     const char *port)
{
    uint8_t head[BLOCK_HEAD_ROOM], *body;
    size_t n;
    int rc;

    d->flags |= GBX_TYPED;
    rc = put_elements(d, o);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    body = body_begin(d, BLOCK_HEAD_ROOM, o->bytes, port);
    if (body == NULL)
        return -1;
    n = layout_write(head, &o->layout);
    memcpy(body - n, head, n);
    memcpy(body, engine_at(o->address), o->bytes);
    d->body_off += BLOCK_HEAD_ROOM - n;
    d->body_bytes += (uint32_t)n;
    return 0;
}

static int put_opened(struct gbx_descriptor *d, int type, js_value value,
                      const char *port)
{
    struct opened o;
    int rc;

    if (open_object(&o, value, port) < 0)
        return -1;
    if (o.as == OPEN_VALUE) {
        rc = send_prepare(d, type, o.value, port);
    } else if (o.as == OPEN_ERROR) {
        d->type = GBX_ERROR;
        rc = put_text(d, o.value, port);
    } else if (type < 0 ? o.as == OPEN_BYTES : type != GBX_ARRAY) {
        d->type = (uint8_t)(type < 0 ? GBX_STREAM : type);
        rc = put_bytes(d, &o, port);
    } else {
        d->type = GBX_ARRAY;
        rc = put_array(d, &o, port);
    }
    js_free(o.value);
    return rc;
}

/* What JavaScript has no type for: a number is an Integer if it can be. */
static int put_number(struct gbx_descriptor *d, int type, double real,
                      const char *port)
{
    const bool is_whole = real >= -SAFE_INTEGER && real <= SAFE_INTEGER &&
                          (double)(int64_t)real == real;

    if (type == GBX_INTEGER && !is_whole)
        return raise_error("RangeError", "output \"%s\": %.17g is no Integer",
                           port, real);
    if (type != GBX_FLOAT && is_whole && !(real == 0 && 1 / real < 0)) {
        d->type = GBX_INTEGER;
        d->scalar = (uint64_t)(int64_t)real;
        return 0;
    }
    d->type = GBX_FLOAT;
    memcpy(&d->scalar, &real, sizeof(real));
    return 0;
}

static int put_bigint(struct gbx_descriptor *d, int type, js_value value,
                      const char *port)
{
    js_value digits = js_call(program.prelude.digits, 1, &value);
    unsigned long long natural = 0;
    const char *hex;
    size_t bytes = 0;
    bool fits = false;

    if (digits == JS_NONE)
        return -1;
    hex = js_text(digits, &bytes);
    if (hex != NULL && bytes <= 17) {
        const bool is_negative = hex[0] == '-';

        /* Of -1 - n, the n. */
        fits = sscanf(hex + is_negative, "%llx", &natural) == 1 &&
               natural <= INT64_MAX;
        d->scalar = is_negative ? ~(uint64_t)natural : natural;
    }
    js_text_give(hex);
    js_free(digits);
    d->type = GBX_INTEGER;
    if (type >= 0 && type != GBX_INTEGER)
        return raise_error("TypeError", "output \"%s\": a BigInt is an Integer",
                           port);
    return fits ? 0
                : raise_error("RangeError",
                              "output \"%s\": the BigInt does not fit in 64 "
                              "bits; send it as a string, or in an object",
                              port);
}

static int put_typed_as(struct gbx_descriptor *d, int type, js_value value,
                        const char *port)
{
    const enum js_kind kind = js_kind(value);

    switch (type) {
    case GBX_FLOW:
        return 0;
    case GBX_BOOLEAN:
        if (kind != JS_KIND_BOOLEAN)
            return raise_error("TypeError",
                               "output \"%s\": this must be a boolean", port);
        d->scalar = js_boolean(value);
        return 0;
    case GBX_INTEGER:
    case GBX_FLOAT:
        if (kind == JS_KIND_BIGINT)
            return put_bigint(d, type, value, port);
        if (kind != JS_KIND_INTEGER && kind != JS_KIND_FLOAT)
            return raise_error("TypeError",
                               "output \"%s\": this must be a number", port);
        return put_number(d, type, js_float(value), port);
    case GBX_STRING:
    case GBX_ERROR:
        return put_text(d, value, port);
    case GBX_OPTIONAL:
        return kind <= JS_KIND_NULL ? 0 : put_cbor(d, value, port);
    case GBX_ARRAY:
        if (kind == JS_KIND_OTHER)
            return put_opened(d, type, value, port);
        return kind == JS_KIND_ARRAY
                   ? put_cbor(d, value, port)
                   : raise_error("TypeError",
                                 "output \"%s\": this must be an array", port);
    case GBX_STREAM:
    case GBX_ENCODED:
        return kind == JS_KIND_OTHER
                   ? put_opened(d, type, value, port)
                   : raise_error("TypeError",
                                 "output \"%s\": these must be bytes, a "
                                 "Uint8Array or an ArrayBuffer",
                                 port);
    case GBX_EVENT:
    case GBX_ANY:
        return put_cbor(d, value, port);
    default:
        return kind == JS_KIND_OBJECT
                   ? put_cbor(d, value, port)
                   : raise_error("TypeError",
                                 "output \"%s\": this must be an object", port);
    }
}

static int put_by_value(struct gbx_descriptor *d, js_value value,
                        const char *port)
{
    static const uint8_t types[] = {
        [JS_KIND_UNDEFINED] = GBX_OPTIONAL, [JS_KIND_NULL] = GBX_OPTIONAL,
        [JS_KIND_BOOLEAN] = GBX_BOOLEAN,    [JS_KIND_STRING] = GBX_STRING,
        [JS_KIND_BIGINT] = GBX_INTEGER,     [JS_KIND_OBJECT] = GBX_OBJECT,
        [JS_KIND_ARRAY] = GBX_ARRAY,
    };
    const enum js_kind kind = js_kind(value);

    switch (kind) {
    case JS_KIND_OTHER:
        return put_opened(d, -1, value, port);
    case JS_KIND_INTEGER:
    case JS_KIND_FLOAT:
        return put_number(d, -1, js_float(value), port);
    case JS_KIND_SYMBOL:
        return raise_error("TypeError", "output \"%s\": cannot send a symbol",
                           port);
    default:
        d->type = types[kind];
        return put_typed_as(d, types[kind], value, port);
    }
}

int send_prepare(struct gbx_descriptor *d, int type, js_value value,
                 const char *port)
{
    int rc;

    if (type >= 0)
        d->type = (uint8_t)type;
    rc = type < 0 ? put_by_value(d, value, port)
                  : put_typed_as(d, type, value, port);
    if (rc < 0)
        send_discard(d);
    return rc;
}

void send_discard(const struct gbx_descriptor *d)
{
    if (d->body_off != 0 && gbx_guest_is_mine(program.guest, d->body_off))
        gbx_guest_drop(program.guest, d->body_off);
    if (d->flags & GBX_LONG_NAME)
        gbx_guest_drop(program.guest, d->name.off);
}
