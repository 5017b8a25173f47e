/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cbor_fuzz.c - what a guest sends, read and written as JSON.
 *
 * The first byte picks type and form, the rest is the body.  The reader's own
 * promises are checked on the way: nothing lies outside of the body, depth and
 * counts agree, and a body that is accepted can be built again from its parts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void within(const void *bytes, uint64_t count, const uint8_t *body,
                   size_t body_bytes)
{
    const uint8_t *at = bytes;

    must(at >= body && at <= body + body_bytes);
    must(count <= (size_t)(body + body_bytes - at));
}

static void rebuild(struct gbx_builder *b, const struct gbx_item *item)
{
    switch (item->kind) {
    case GBX_ITEM_NULL:
        gbx_build_null(b);
        return;
    case GBX_ITEM_BOOLEAN:
        gbx_build_boolean(b, item->value.boolean);
        return;
    case GBX_ITEM_INTEGER:
        gbx_build_integer(b, item->value.integer);
        return;
    case GBX_ITEM_UNSIGNED:
        gbx_build_unsigned(b, item->value.natural);
        return;
    case GBX_ITEM_FLOAT:
        gbx_build_float(b, item->value.real);
        return;
    case GBX_ITEM_TEXT:
        gbx_build_text(b, item->bytes, (size_t)item->count);
        return;
    case GBX_ITEM_NEGATIVE: /* only that it is an item */
    case GBX_ITEM_BIGNUM:
        gbx_build_null(b);
        return;
    case GBX_ITEM_BYTES:
        gbx_build_bytes(b, item->bytes, (size_t)item->count);
        return;
    case GBX_ITEM_ARRAY:
        gbx_build_array(b, item->count);
        return;
    case GBX_ITEM_MAP:
        gbx_build_map(b, item->count);
        return;
    case GBX_ITEM_TYPED:
        gbx_build_typed(b, &item->array);
        return;
    }
    abort();
}

static void read_all(const uint8_t *body, size_t count)
{
    struct gbx_message message;
    struct gbx_builder b;
    struct gbx_reader r;
    struct gbx_item item;
    int rc;

    gbx_builder_init(&b);
    gbx_reader_init(&r, body, count);
    while ((rc = gbx_read(&r, &item)) == 0) {
        must(item.depth <= GBX_CBOR_DEPTH_MAX && r.at <= count);
        if (item.bytes != NULL)
            within(item.bytes, item.count, body, count);
        if (item.kind == GBX_ITEM_TYPED)
            within(item.array.data, item.array.data_bytes, body, count);
        rebuild(&b, &item);
    }
    must(rc == GBX_EAGAIN || rc == GBX_EFORMAT || rc == GBX_EBOUNDS);
    must(gbx_read(&r, &item) == rc);
    if (rc == GBX_EAGAIN)
        must(gbx_builder_message(&b, GBX_ANY, &message) == 0);
    gbx_builder_fini(&b);
}

/* What was written as JSON is JSON, and becomes a message of that type. */
static void write_json(const struct gbx_message *message,
                       enum gbx_json_form form)
{
    struct gbx_error err = {0};
    struct gbx_message again;
    struct gbx_builder b;
    char *text;
    int rc = gbx_message_to_json(&text, message, form, &err);

    if (rc < 0) {
        must(text == NULL && err.code == rc && rc == GBX_EFORMAT);
        return;
    }
    gbx_builder_init(&b);
    rc = gbx_message_from_json(&again, &b, text, strlen(text), form, &err);
    if (rc == 0 && form != GBX_JSON_PLAIN)
        must(again.type == message->type);
    /* What we write and do not read: keys with NUL, 2^63 and more, and bytes
     * (arrays in JSON) in the innermost level of CBOR. */
    if (rc < 0)
        must(strstr(err.what, "NUL byte in object key") ||
             strstr(err.what, "too big integer") ||
             strstr(err.what, "nested more than"));
    gbx_builder_fini(&b);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct gbx_message message = {0};
    struct gbx_array array;

    if (count < 1)
        return 0;
    message.type = (enum gbx_type)(data[0] % 16);
    message.body = data + 1;
    message.body_bytes = count - 1;
    if (message.type < GBX_STRING && message.type != GBX_EVENT) {
        message.body_bytes = 0;
        if (count > sizeof(message.scalar))
            memcpy(&message.scalar, data + 1, sizeof(message.scalar));
        if (message.type == GBX_BOOLEAN)
            message.scalar.integer = data[0] >> 7;
    }
    read_all(data + 1, count - 1);
    if (gbx_message_array(&message, &array) == 0)
        within(array.data, array.data_bytes, data + 1, count - 1);
    write_json(&message, (enum gbx_json_form)(data[0] / 16 % 3));
    return 0;
}
