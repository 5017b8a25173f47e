/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.c - the fifteen types: their names, and what a body of each must be.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/utf8.h"
#include "message/inner.h"

static const char *const type_names[] = {
#define X(name, value, text, where) [value] = text,
    GBX_TYPES(X)
#undef X
};

const char *gbx_type_name(int type)
{
    if (type < 0 || type >= GBX_TYPE_COUNT)
        return NULL;
    return type_names[type];
}

int gbx_type_by_name(const char *name)
{
    for (int i = 0; name != NULL && i < GBX_TYPE_COUNT; i++)
        if (strcmp(type_names[i], name) == 0)
            return i;
    return GBX_EFORMAT;
}

const char *message_kind_name(enum gbx_item_kind kind)
{
    static const char *const names[] = {
        [GBX_ITEM_NULL] = "null",
        [GBX_ITEM_BOOLEAN] = "a boolean",
        [GBX_ITEM_INTEGER] = "an integer",
        [GBX_ITEM_UNSIGNED] = "an integer above 2^63-1",
        [GBX_ITEM_NEGATIVE] = "an integer below -2^63",
        [GBX_ITEM_FLOAT] = "a number with a fraction",
        [GBX_ITEM_TEXT] = "text",
        [GBX_ITEM_BYTES] = "bytes",
        [GBX_ITEM_ARRAY] = "an array",
        [GBX_ITEM_MAP] = "a map",
        [GBX_ITEM_TYPED] = "a typed array",
        [GBX_ITEM_BIGNUM] = "an integer beyond 64 bits",
    };

    must(kind < ARRAY_SIZE(names));
    return names[kind];
}

int gbx_message_hold(struct gbx_message *message, void **held)
{
    *held = NULL;
    if (message->body_bytes == 0)
        return 0;
    *held = malloc(message->body_bytes);
    if (*held == NULL)
        return GBX_EHOST;
    memcpy(*held, message->body, message->body_bytes);
    message->body = *held;
    return 0;
}

/* What Reflow's two structs hold; all fields are there, and no others. */
static const struct field {
    enum gbx_type type;
    const char *name;
    bool any;    /* else text ... */
    bool listed; /* ... which is in event_types */
} fields[] = {
    {GBX_REMOTE_REFERENCE, "network_id", false, false},
    {GBX_REMOTE_REFERENCE, "actor_id", false, false},
    {GBX_REMOTE_REFERENCE, "port", false, false},
    {GBX_NETWORK_EVENT, "event_type", false, true},
    {GBX_NETWORK_EVENT, "data", true, false},
};

static const char *const event_types[] = {
    "ActorRegistered",     "ActorUnregistered", "NetworkConnected",
    "NetworkDisconnected", "HeartbeatMissed",
};

static bool is_text(const struct gbx_item *item, const char *text)
{
    return item->kind == GBX_ITEM_TEXT && item->count == strlen(text) &&
           memcmp(item->bytes, text, item->count) == 0;
}

static bool is_event_type(const struct gbx_item *item)
{
    for (size_t i = 0; i < ARRAY_SIZE(event_types); i++)
        if (is_text(item, event_types[i]))
            return true;
    return false;
}

/* One pair of a struct's map.  seen has a bit for each field. */
static int check_field(enum gbx_type type, const struct gbx_item *key,
                       const struct gbx_item *value, unsigned *seen,
                       struct gbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].type != type || !is_text(key, fields[i].name))
            continue;
        if (!fields[i].any && value->kind != GBX_ITEM_TEXT)
            return fail(err, GBX_EFORMAT, "%s: %s is %s, not text",
                        gbx_type_name((int)type), fields[i].name,
                        message_kind_name(value->kind));
        if (fields[i].listed && !is_event_type(value))
            return fail(err, GBX_EFORMAT,
                        "%s: there is no %s \"%.*s\"; there are %s, %s, %s, "
                        "%s and %s",
                        gbx_type_name((int)type), fields[i].name,
                        value->count > 40 ? 40 : (int)value->count,
                        (const char *)value->bytes, event_types[0],
                        event_types[1], event_types[2], event_types[3],
                        event_types[4]);
        *seen |= 1u << i;
        return 0;
    }
    return fail(err, GBX_EFORMAT, "%s has a field that it should not have",
                gbx_type_name((int)type));
}

/* All of them, each once: as many pairs as fields, and none is missing. */
static int check_seen(enum gbx_type type, unsigned seen, uint64_t pairs,
                      struct gbx_error *err)
{
    uint64_t want = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].type != type)
            continue;
        want++;
        if ((seen >> i & 1) == 0)
            return fail(err, GBX_EFORMAT, "%s has no field \"%s\"",
                        gbx_type_name((int)type), fields[i].name);
    }
    if (pairs != want)
        return fail(err, GBX_EFORMAT, "%s has a field twice",
                    gbx_type_name((int)type));
    return 0;
}

static int check_outermost(enum gbx_type type, const struct gbx_item *item,
                           struct gbx_error *err)
{
    bool map = item->kind == GBX_ITEM_MAP;
    bool array = item->kind == GBX_ITEM_ARRAY || item->kind == GBX_ITEM_TYPED;

    if (type == GBX_ANY || type == GBX_EVENT || type == GBX_OPTIONAL ||
        (type == GBX_ARRAY ? array : map))
        return 0;
    return fail(err, GBX_EFORMAT, "%s holds %s, not %s",
                gbx_type_name((int)type), message_kind_name(item->kind),
                type == GBX_ARRAY ? "an array" : "a map (a JSON object)");
}

static int check_item(const struct gbx_message *message, struct gbx_error *err)
{
    bool is_struct = message->type == GBX_REMOTE_REFERENCE ||
                     message->type == GBX_NETWORK_EVENT;
    struct gbx_item item, key = {0};
    struct gbx_reader r;
    uint64_t inner = 0, pairs = 0; /* items seen at depth 1 */
    unsigned seen = 0;
    int rc;

    gbx_reader_init(&r, message->body, message->body_bytes);
    while ((rc = gbx_read(&r, &item)) == 0) {
        int wrong = 0;
        if (item.depth == 0) {
            wrong = check_outermost(message->type, &item, err);
            pairs = item.count;
        } else if (is_struct && item.depth == 1 && inner++ % 2 == 0) {
            key = item;
        } else if (is_struct && item.depth == 1) {
            wrong = check_field(message->type, &key, &item, &seen, err);
        }
        if (wrong < 0)
            return wrong;
    }
    if (rc != GBX_EAGAIN)
        return fail(err, GBX_EFORMAT, "%s holds CBOR that is %s at byte %zu",
                    gbx_type_name((int)message->type),
                    rc == GBX_EBOUNDS ? "cut off" : "broken", r.at);
    if (r.at != r.count)
        return fail(err, GBX_EFORMAT, "%s holds more than one CBOR item",
                    gbx_type_name((int)message->type));
    return is_struct ? check_seen(message->type, seen, pairs, err) : 0;
}

int message_check(const struct gbx_message *message, struct gbx_error *err)
{
    switch (message->type) {
    case GBX_FLOW:
    case GBX_BOOLEAN:
    case GBX_INTEGER:
    case GBX_FLOAT:
    case GBX_STREAM:
    case GBX_ENCODED:
        return 0;
    case GBX_STRING:
    case GBX_ERROR:
        if (!utf8_valid(message->body, message->body_bytes))
            return fail(err, GBX_EFORMAT, "%s holds bytes that are no UTF-8",
                        gbx_type_name((int)message->type));
        return 0;
    case GBX_OPTIONAL:
        return message->body_bytes == 0 ? 0 : check_item(message, err);
    case GBX_EVENT:
    case GBX_OBJECT:
    case GBX_ARRAY:
    case GBX_ANY:
    case GBX_REMOTE_REFERENCE:
    case GBX_NETWORK_EVENT:
        return check_item(message, err);
    case GBX_TYPE_COUNT:
        break;
    }
    return fail(err, GBX_EFORMAT, "a message of type %d: there is no such type",
                (int)message->type);
}
