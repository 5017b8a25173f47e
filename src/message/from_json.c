/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_json.c - JSON text, in one of Reflow's three forms, as a message.
 *
 * Values are built as CBOR without regard to the type.  builder_finish then
 * says whether they suit it, in the same words for every source.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "message/inner.h"
#include "message/source.h"

/* Recursion ends at the depth that source_load let through. */
static void build_value(struct gbx_builder *b, json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i, key_bytes;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        gbx_build_map(b, json_object_size(value));
        json_object_keylen_foreach(value, key, key_bytes, inner)
        {
            gbx_build_text(b, key, key_bytes);
            build_value(b, inner);
        }
        return;
    case JSON_ARRAY:
        gbx_build_array(b, json_array_size(value));
        json_array_foreach(value, i, inner)
        {
            build_value(b, inner);
        }
        return;
    case JSON_STRING:
        gbx_build_text(b, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        gbx_build_integer(b, json_integer_value(value));
        return;
    case JSON_REAL:
        gbx_build_float(b, json_real_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        gbx_build_boolean(b, json_is_true(value));
        return;
    case JSON_NULL:
        gbx_build_null(b);
        return;
    }
}

/* A JSON array of numbers from 0 to 255 as bytes.  `to` has room for them. */
static int read_octets(uint8_t *to, const json_t *array, struct gbx_error *err)
{
    json_int_t number;
    json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        if (!json_is_integer(item))
            return fail(err, GBX_EFORMAT,
                        "data[%zu] is %s; bytes are integers from 0 to 255", i,
                        source_kind(item));
        number = json_integer_value(item);
        if (number < 0 || number > 255)
            return fail(err, GBX_EFORMAT,
                        "data[%zu] is %" JSON_INTEGER_FORMAT
                        "; bytes are integers from 0 to 255",
                        i, number);
        to[i] = (uint8_t)number;
    }
    return 0;
}

/* Stream and Encoded. */
static int build_octets(struct gbx_builder *b, const json_t *array,
                        struct gbx_error *err)
{
    uint8_t *to = builder_octets(b, json_array_size(array));

    return to == NULL ? 0 : read_octets(to, array, err);
}

/*
 * {"data":[bytes]}: the bytes are JSON text of the value.  Reflow also makes
 * such objects from bytes in a format of its own; those are no JSON.
 */
static int build_folded(struct gbx_builder *b, const json_t *folded,
                        uint32_t depth_max, struct gbx_error *err)
{
    json_t *array = json_object_get(folded, "data"), *value = NULL;
    struct source inner = {
        .name = "the JSON in data",
        .depth_max = depth_max,
    };
    char *text;
    int rc;

    if (!json_is_array(array) || json_object_size(folded) != 1)
        return fail(err, GBX_EFORMAT,
                    "a structured value is %s; in this form it is "
                    "{\"data\":[bytes of its JSON]}",
                    source_kind(folded));
    inner.bytes = json_array_size(array);
    text = malloc(inner.bytes + 1);
    if (text == NULL)
        return fail(err, GBX_EHOST, "no memory for %zu bytes", inner.bytes);
    inner.text = text;
    rc = read_octets((uint8_t *)text, array, err);
    if (rc == 0)
        rc = source_load(&value, &inner, err);
    if (rc == 0)
        build_value(b, value);
    json_decref(value);
    free(text);
    return rc;
}

static int build_folded_items(struct gbx_builder *b, const json_t *array,
                              struct gbx_error *err)
{
    json_t *item;
    size_t i;
    int rc = 0;

    gbx_build_array(b, json_array_size(array));
    json_array_foreach(array, i, item)
    {
        rc = build_folded(b, item, GBX_CBOR_DEPTH_MAX - 1, err);
        if (rc < 0)
            break;
    }
    return rc;
}

/* Only "data" is folded; builder_finish looks at the rest. */
static int build_folded_event(struct gbx_builder *b, json_t *event,
                              struct gbx_error *err)
{
    const char *key;
    json_t *value;
    int rc = 0;

    gbx_build_map(b, json_object_size(event));
    json_object_foreach(event, key, value)
    {
        gbx_build_text(b, key, strlen(key));
        if (strcmp(key, "data") == 0)
            rc = build_folded(b, value, GBX_CBOR_DEPTH_MAX - 1, err);
        else
            build_value(b, value);
        if (rc < 0)
            break;
    }
    return rc;
}

/* An integer where a Float is meant: if a double can be it. */
static int build_whole(struct gbx_builder *b, json_int_t number,
                       struct gbx_error *err)
{
    double real = (double)number;

    if (real >= 0x1p63 || (json_int_t)real != number)
        return fail(err, GBX_EFORMAT,
                    "Float cannot hold %" JSON_INTEGER_FORMAT
                    " exactly; send it as an Integer",
                    number);
    gbx_build_float(b, real);
    return 0;
}

static int build_folded_data(struct gbx_builder *b, enum gbx_type type,
                             json_t *data, struct gbx_error *err)
{
    switch (type) {
    case GBX_EVENT:
    case GBX_OBJECT:
    case GBX_OPTIONAL:
    case GBX_ANY:
        return build_folded(b, data, GBX_CBOR_DEPTH_MAX, err);
    case GBX_ARRAY:
        if (json_is_array(data))
            return build_folded_items(b, data, err);
        break;
    case GBX_NETWORK_EVENT:
        if (json_is_object(data))
            return build_folded_event(b, data, err);
        break;
    default:
        break;
    }
    build_value(b, data);
    return 0;
}

/* The CBOR item of a value of this type. */
static int build_data(struct gbx_builder *b, enum gbx_type type, json_t *data,
                      enum gbx_json_form form, struct gbx_error *err)
{
    if (type == GBX_OPTIONAL && json_is_null(data))
        return 0; /* None has no body */
    if (type == GBX_FLOAT && json_is_integer(data))
        return build_whole(b, json_integer_value(data), err);
    if ((type == GBX_STREAM || type == GBX_ENCODED) && json_is_array(data))
        return build_octets(b, data, err);
    if (form == GBX_JSON_SERDE)
        return build_folded_data(b, type, data, err);
    build_value(b, data);
    return 0;
}

/* What a script's plain value is in Reflow. */
static enum gbx_type plain_type(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return GBX_OBJECT;
    case JSON_ARRAY:
        return GBX_ARRAY;
    case JSON_STRING:
        return GBX_STRING;
    case JSON_INTEGER:
        return GBX_INTEGER;
    case JSON_REAL:
        return GBX_FLOAT;
    case JSON_TRUE:
    case JSON_FALSE:
        return GBX_BOOLEAN;
    case JSON_NULL:
        break;
    }
    return GBX_OPTIONAL;
}

/* {"type":name,"data":value} and nothing else. */
static int build_typed(struct gbx_builder *b, enum gbx_type *type,
                       const json_t *outer, enum gbx_json_form form,
                       struct gbx_error *err)
{
    const json_t *name = json_object_get(outer, "type");
    json_t *data = json_object_get(outer, "data");
    int found;

    if (!json_is_string(name))
        return fail(err, GBX_EFORMAT,
                    "a message is {\"type\":...,\"data\":...}; this is %s "
                    "without a \"type\" that is a string",
                    source_kind(outer));
    found = gbx_type_by_name(json_string_value(name));
    if (found < 0 ||
        strlen(json_string_value(name)) != json_string_length(name))
        return fail(err, GBX_EFORMAT,
                    "there is no type \"%.40s\"; types are written like "
                    "\"Integer\" and \"Object\"",
                    json_string_value(name));
    *type = (enum gbx_type)found;
    if (json_object_size(outer) != 1u + (data != NULL))
        return fail(err, GBX_EFORMAT,
                    "a message has \"type\" and \"data\" and nothing else");
    if (*type == GBX_FLOW && (data == NULL || json_is_null(data)))
        return 0;
    if (*type == GBX_OPTIONAL && data == NULL)
        return 0;
    if (data == NULL)
        return fail(err, GBX_EFORMAT, "%s has no \"data\"",
                    json_string_value(name));
    return build_data(b, *type, data, form, err);
}

/* Nothing but a type's name and, perhaps, its data. */
static bool looks_typed(const json_t *outer)
{
    const json_t *name = json_object_get(outer, "type");
    size_t members = json_object_get(outer, "data") != NULL ? 2 : 1;

    return json_is_string(name) && json_object_size(outer) == members &&
           gbx_type_by_name(json_string_value(name)) >= 0;
}

int gbx_message_from_json(struct gbx_message *message, struct gbx_builder *b,
                          const char *text, size_t bytes,
                          enum gbx_json_form form, struct gbx_error *err)
{
    struct source source = {
        .name = "JSON",
        .text = bytes > 0 ? text : "",
        .bytes = bytes,
        .depth_max = GBX_CBOR_DEPTH_MAX + (form != GBX_JSON_PLAIN),
    };
    enum gbx_type type = GBX_FLOW;
    json_t *outer;
    int rc;

    if ((int)form < GBX_JSON_PLAIN || form > GBX_JSON_EITHER)
        return fail(err, GBX_EARGUMENT, "there is no JSON form %d", (int)form);
    b->count = 0; /* what it held is overwritten */
    b->error = 0;
    rc = source_load(&outer, &source, err);
    if (rc < 0)
        return rc;
    if (form == GBX_JSON_EITHER)
        form = looks_typed(outer) ? GBX_JSON_TYPED : GBX_JSON_PLAIN;
    if (form == GBX_JSON_PLAIN) {
        type = plain_type(outer);
        rc = build_data(b, type, outer, form, err);
    } else {
        rc = build_typed(b, &type, outer, form, err);
    }
    json_decref(outer);
    return rc < 0 ? rc : builder_finish(b, type, message, err);
}
