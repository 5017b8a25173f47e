/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type.c - portTypes: {"type":"integer"}, {"type":"array","value":PORTTYPE}.
 *
 * Recursion ends where the depth of a document does.
 */
#include <string.h>

#include "base/check.h"
#include "flow/graph/graph.h"
#include "message/source.h"

enum kind {
    KIND_NONE, /* no portType */
    KIND_ANY,
    KIND_FLOW,
    KIND_EVENT,
    KIND_BOOLEAN,
    KIND_INTEGER,
    KIND_FLOAT,
    KIND_STRING,
    KIND_ENCODED,
    KIND_STREAM,
    KIND_OBJECT,
    KIND_ARRAY,
    KIND_OPTION,
};

static const char *const names[] = {
    [KIND_ANY] = "any",         [KIND_FLOW] = "flow",
    [KIND_EVENT] = "event",     [KIND_BOOLEAN] = "boolean",
    [KIND_INTEGER] = "integer", [KIND_FLOAT] = "float",
    [KIND_STRING] = "string",   [KIND_ENCODED] = "encoded",
    [KIND_STREAM] = "stream",   [KIND_OBJECT] = "object",
    [KIND_ARRAY] = "array",     [KIND_OPTION] = "option",
};

static enum kind kind_of(const json_t *type)
{
    const char *name = json_string_value(json_object_get(type, "type"));

    if (type == NULL)
        return KIND_ANY;
    for (size_t i = KIND_ANY; name != NULL && i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum kind)i;
    return KIND_NONE;
}

/* Of an array its items, of an option what it may be. */
static const json_t *inner(const json_t *type)
{
    return json_object_get(type, "value");
}

bool type_is_valid(const json_t *type)
{
    switch (kind_of(type)) {
    case KIND_NONE:
        return false;
    case KIND_OBJECT:
        return json_is_string(inner(type));
    case KIND_ARRAY:
    case KIND_OPTION:
        return inner(type) != NULL && type_is_valid(inner(type));
    default:
        return true;
    }
}

bool type_fits(const json_t *from, const json_t *to)
{
    enum kind source = kind_of(from), target = kind_of(to);

    if (source == KIND_ANY || target == KIND_ANY || source == KIND_STREAM ||
        target == KIND_STREAM)
        return true;
    if (source == KIND_OPTION)
        return type_fits(inner(from), target == KIND_OPTION ? inner(to) : to);
    if (target == KIND_OPTION)
        return type_fits(from, inner(to));
    if (source != target)
        return source == KIND_INTEGER && target == KIND_FLOAT;
    if (source == KIND_ARRAY)
        return type_fits(inner(from), inner(to));
    return source != KIND_OBJECT || json_equal(inner(from), inner(to));
}

static bool takes_all(const json_t *type, const json_t *items)
{
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        if (!type_takes(type, item))
            return false;
    }
    return true;
}

bool type_takes(const json_t *type, const json_t *data)
{
    switch (kind_of(type)) {
    case KIND_BOOLEAN:
        return json_is_boolean(data);
    case KIND_INTEGER:
        return json_is_integer(data);
    case KIND_FLOAT:
        return json_is_number(data);
    case KIND_STRING:
        return json_is_string(data);
    case KIND_ENCODED:
        return json_is_array(data);
    case KIND_OBJECT:
        return json_is_object(data);
    case KIND_ARRAY:
        return json_is_array(data) && takes_all(inner(type), data);
    case KIND_OPTION:
        return json_is_null(data) || type_takes(inner(type), data);
    case KIND_ANY:
    case KIND_FLOW:
    case KIND_EVENT:
    case KIND_STREAM:
        return true;
    case KIND_NONE:
        break;
    }
    return false;
}

const char *type_name(char text[64], const json_t *type)
{
    enum kind kind = kind_of(type);
    char *to = text;

    while ((kind == KIND_ARRAY || kind == KIND_OPTION) && to < text + 40) {
        to = stpcpy(stpcpy(to, names[kind]), " of ");
        type = inner(type);
        kind = kind_of(type);
    }
    strcpy(to, kind == KIND_NONE ? "?" : names[kind]);
    if (kind == KIND_OBJECT && json_is_string(inner(type)) && to < text + 40) {
        to = stpcpy(stpcpy(to, names[kind]), " ");
        strncpy(to, json_string_value(inner(type)), 16);
        text[63] = '\0';
    }
    return text;
}

/* NULL is any, and so is KIND_ANY. Returns false for what is no portType. */
static bool load(json_t **type, const char *text)
{
    struct source source = {
        .name = "portType", .text = text, .depth_max = GBX_GRAPH_DEPTH_MAX};

    *type = NULL;
    if (text == NULL)
        return true;
    source.bytes = strlen(text);
    return source_load(type, &source, NULL) == 0 && type_is_valid(*type);
}

int gbx_port_type_fits(const char *from, const char *to)
{
    json_t *source, *target = NULL;
    bool fits =
        load(&source, from) && load(&target, to) && type_fits(source, target);

    json_decref(source);
    json_decref(target);
    return fits;
}
