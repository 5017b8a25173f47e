/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder.c - CBOR, written item by item into one growing buffer.
 *
 * Nothing is checked on the way but UTF-8: how many items still have to come is
 * the caller's to know.  builder_finish reads the whole once and so finds what
 * is missing, too much, too deep, or of the wrong type.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "message/inner.h"

void gbx_builder_init(struct gbx_builder *b)
{
    memset(b, 0, sizeof(*b));
}

void gbx_builder_fini(struct gbx_builder *b)
{
    free(b->bytes);
    memset(b, 0, sizeof(*b));
}

/* Twice as much as now, or as much as is needed. */
static bool grow(struct gbx_builder *b, size_t bytes)
{
    size_t room = b->room < 64 ? 64 : b->room, need;
    uint8_t *larger;

    if (__builtin_add_overflow(b->count, bytes, &need))
        return false;
    while (room < need)
        if (__builtin_mul_overflow(room, (size_t)2, &room))
            return false;
    larger = realloc(b->bytes, room);
    if (larger == NULL)
        return false;
    b->bytes = larger;
    b->room = room;
    return true;
}

/* Room for `bytes` more, already counted; NULL once there is an error. */
static uint8_t *room_for(struct gbx_builder *b, size_t bytes)
{
    if (b->error != 0)
        return NULL;
    if (bytes > b->room - b->count && !grow(b, bytes)) {
        b->error = GBX_EHOST;
        return NULL;
    }
    b->count += bytes;
    return b->bytes + b->count - bytes;
}

static void put(struct gbx_builder *b, const void *data, size_t bytes)
{
    uint8_t *to;

    if (bytes > 0 && (to = room_for(b, bytes)) != NULL)
        memcpy(to, data, bytes);
}

static void put_head(struct gbx_builder *b, enum gbx_cbor_major major,
                     uint64_t value)
{
    uint8_t head[GBX_CBOR_HEAD_MAX];

    put(b, head, gbx_cbor_write_head(head, major, value));
}

void gbx_build_null(struct gbx_builder *b)
{
    put_head(b, GBX_CBOR_SIMPLE, 22);
}

void gbx_build_boolean(struct gbx_builder *b, bool value)
{
    put_head(b, GBX_CBOR_SIMPLE, value ? 21 : 20);
}

void gbx_build_integer(struct gbx_builder *b, int64_t value)
{
    if (value >= 0)
        put_head(b, GBX_CBOR_UNSIGNED, (uint64_t)value);
    else
        put_head(b, GBX_CBOR_NEGATIVE, ~(uint64_t)value); /* -1 - value */
}

void gbx_build_unsigned(struct gbx_builder *b, uint64_t value)
{
    put_head(b, GBX_CBOR_UNSIGNED, value);
}

void gbx_build_float(struct gbx_builder *b, double value)
{
    uint8_t item[9];
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    item[0] = GBX_CBOR_SIMPLE << 5 | 27; /* always 8 bytes: exact and plain */
    for (size_t i = 8; i > 0; i--, bits >>= 8)
        item[i] = (uint8_t)bits;
    put(b, item, sizeof(item));
}

void gbx_build_text(struct gbx_builder *b, const char *text, size_t bytes)
{
    if (b->error == 0 && !utf8_valid(text, bytes))
        b->error = GBX_EARGUMENT;
    put_head(b, GBX_CBOR_TEXT, bytes);
    put(b, text, bytes);
}

void gbx_build_bytes(struct gbx_builder *b, const void *data, size_t bytes)
{
    put_head(b, GBX_CBOR_BYTES, bytes);
    put(b, data, bytes);
}

uint8_t *builder_octets(struct gbx_builder *b, size_t bytes)
{
    put_head(b, GBX_CBOR_BYTES, bytes);
    return room_for(b, bytes);
}

void gbx_build_array(struct gbx_builder *b, uint64_t items)
{
    put_head(b, GBX_CBOR_ARRAY, items);
}

void gbx_build_map(struct gbx_builder *b, uint64_t pairs)
{
    put_head(b, GBX_CBOR_MAP, pairs);
}

void gbx_build_typed(struct gbx_builder *b, const struct gbx_array *array)
{
    uint8_t head[GBX_ARRAY_HEAD_MAX];
    size_t bytes = gbx_array_head(head, array), at;
    struct gbx_array same;

    if (bytes == 0 || message_array_head(&same, &at, head, bytes) < 0 ||
        same.data_bytes != array->data_bytes) {
        if (b->error == 0)
            b->error = GBX_EARGUMENT;
        return;
    }
    put(b, head, bytes);
    put(b, array->data, array->data_bytes);
}

void gbx_build_item(struct gbx_builder *b, const void *item, size_t bytes)
{
    put(b, item, bytes);
}

/* A type whose value is one CBOR item here, but no CBOR in a message. */
static int unwrap(const struct gbx_builder *b, enum gbx_item_kind want,
                  struct gbx_message *message, struct gbx_error *err)
{
    const char *name = gbx_type_name((int)message->type);
    struct gbx_reader r;
    struct gbx_item item;

    gbx_reader_init(&r, b->bytes, b->count);
    if (gbx_read(&r, &item) < 0)
        return fail(err, GBX_EFORMAT, "%s has no value", name);
    if (item.kind != want)
        return fail(err, GBX_EFORMAT, "%s holds %s, not %s", name,
                    message_kind_name(item.kind), message_kind_name(want));
    if (r.at != r.count)
        return fail(err, GBX_EFORMAT, "%s holds more than one value", name);
    switch (want) {
    case GBX_ITEM_BOOLEAN:
        message->scalar.boolean = item.value.boolean;
        break;
    case GBX_ITEM_INTEGER:
        message->scalar.integer = item.value.integer;
        break;
    case GBX_ITEM_FLOAT:
        message->scalar.real = item.value.real;
        break;
    default:
        message->body = item.bytes;
        message->body_bytes = (size_t)item.count;
    }
    return 0;
}

static int finish_cbor(const struct gbx_builder *b, struct gbx_message *message,
                       struct gbx_error *err)
{
    struct gbx_array array;

    message->body = b->bytes;
    message->body_bytes = b->count;
    if (message->type == GBX_ARRAY && gbx_message_array(message, &array) == 0)
        message->flags = GBX_TYPED;
    return message_check(message, err);
}

int builder_finish(const struct gbx_builder *b, enum gbx_type type,
                   struct gbx_message *message, struct gbx_error *err)
{
    *message = (struct gbx_message){.type = type};
    if (b->error == GBX_EHOST)
        return fail(err, b->error, "no memory for a %s of %zu bytes",
                    gbx_type_name((int)type), b->count);
    if (b->error != 0)
        return fail(err, b->error,
                    "a text is no UTF-8, or an array's sizes "
                    "disagree");
    switch (type) {
    case GBX_FLOW:
        return b->count == 0
                   ? 0
                   : fail(err, GBX_EFORMAT, "Flow has a value; it has none");
    case GBX_BOOLEAN:
        return unwrap(b, GBX_ITEM_BOOLEAN, message, err);
    case GBX_INTEGER:
        return unwrap(b, GBX_ITEM_INTEGER, message, err);
    case GBX_FLOAT:
        return unwrap(b, GBX_ITEM_FLOAT, message, err);
    case GBX_STRING:
    case GBX_ERROR:
        return unwrap(b, GBX_ITEM_TEXT, message, err);
    case GBX_STREAM:
    case GBX_ENCODED:
        return unwrap(b, GBX_ITEM_BYTES, message, err);
    default:
        return finish_cbor(b, message, err);
    }
}

int gbx_builder_message(const struct gbx_builder *b, enum gbx_type type,
                        struct gbx_message *message)
{
    int rc = builder_finish(b, type, message, NULL);

    return rc == GBX_EFORMAT ? GBX_EARGUMENT : rc;
}
