/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/node/value.h"

void node_value_build(struct gbx_builder *b, const struct gbx_message *value)
{
    switch (value->type) {
    case GBX_BOOLEAN:
        gbx_build_boolean(b, value->scalar.boolean);
        return;
    case GBX_INTEGER:
        gbx_build_integer(b, value->scalar.integer);
        return;
    case GBX_FLOAT:
        gbx_build_float(b, value->scalar.real);
        return;
    case GBX_STRING:
    case GBX_ERROR:
        gbx_build_text(b, value->body, value->body_bytes);
        return;
    case GBX_STREAM:
    case GBX_ENCODED:
        gbx_build_bytes(b, value->body, value->body_bytes);
        return;
    default:
        if (value->body_bytes > 0)
            gbx_build_item(b, value->body, value->body_bytes);
        else
            gbx_build_null(b);
    }
}

/* An Object's keys are text. */
static enum gbx_type type_of_map(struct gbx_reader r)
{
    struct gbx_item item;
    bool is_key = true;

    while (gbx_read(&r, &item) == 0) {
        if (item.depth != 1)
            continue;
        if (is_key && item.kind != GBX_ITEM_TEXT)
            return GBX_ANY;
        is_key = !is_key;
    }
    return GBX_OBJECT;
}

/* A value that lies in the message; false: it is a body of its own. */
static bool read_scalar(struct gbx_message *value, const struct gbx_item *item)
{
    switch (item->kind) {
    case GBX_ITEM_NULL:
        value->type = GBX_OPTIONAL;
        return true;
    case GBX_ITEM_BOOLEAN:
        value->type = GBX_BOOLEAN;
        value->scalar.boolean = item->value.boolean;
        return true;
    case GBX_ITEM_INTEGER:
        value->type = GBX_INTEGER;
        value->scalar.integer = item->value.integer;
        return true;
    case GBX_ITEM_FLOAT:
        value->type = GBX_FLOAT;
        value->scalar.real = item->value.real;
        return true;
    case GBX_ITEM_TEXT:
    case GBX_ITEM_BYTES:
        value->type = item->kind == GBX_ITEM_TEXT ? GBX_STRING : GBX_STREAM;
        value->body = item->bytes;
        value->body_bytes = (size_t)item->count;
        return true;
    default:
        return false;
    }
}

int node_value_read(struct gbx_message *value, const uint8_t *bytes,
                    size_t count, size_t *used)
{
    struct gbx_reader r;
    struct gbx_item item, next;
    int rc;

    gbx_reader_init(&r, bytes, count);
    rc = gbx_read(&r, &item);
    if (rc < 0)
        return rc;
    *value = (struct gbx_message){.type = GBX_ANY};
    if (!read_scalar(value, &item)) {
        if (item.kind == GBX_ITEM_MAP)
            value->type = type_of_map(r);
        if (item.kind == GBX_ITEM_ARRAY || item.kind == GBX_ITEM_TYPED)
            value->type = GBX_ARRAY;
        value->flags = item.kind == GBX_ITEM_TYPED ? GBX_TYPED : 0;
        while ((rc = gbx_read(&r, &next)) == 0)
            ;
        if (rc != GBX_EAGAIN)
            return rc;
        value->body = bytes;
        value->body_bytes = r.at;
    }
    if (used != NULL)
        *used = r.at;
    return 0;
}
