/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "net/nats/layout.h"
#include "net/nats/node.h"

/* They are shown to people: nothing but plain characters. */
static bool read_text(char *to, size_t room, const json_t *json,
                      const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (text == NULL || strlen(text) >= room)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at > 126)
            return false;
    strcpy(to, text);
    return true;
}

static uint64_t read_number(const json_t *json, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(json, name));

    return value < 0 ? 0 : (uint64_t)value;
}

static unsigned read_small(const json_t *json, const char *name)
{
    const uint64_t value = read_number(json, name);

    return value > 1000000 ? 1000000 : (unsigned)value;
}

static bool read_isolations(struct node *node, const json_t *json)
{
    const json_t *list = json_object_get(json, "isolations");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL || node->isolation_count == NODE_ISOLATIONS_MAX ||
            strlen(name) >= sizeof(node->isolations[0]) ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz") != strlen(name))
            return false;
        strcpy(node->isolations[node->isolation_count++], name);
    }
    return true;
}

bool node_read(struct node *node, const void *data, size_t bytes)
{
    json_t *json = json_loadb(data, bytes, 0, NULL);
    bool good;

    *node = (struct node){0};
    good = read_text(node->id, sizeof(node->id), json, "id") &&
           layout_is_hex(node->id, NATS_ID_CHARS) &&
           read_text(node->host, sizeof(node->host), json, "host") &&
           read_text(node->product, sizeof(node->product), json, "product") &&
           read_text(node->route, sizeof(node->route), json, "route") &&
           layout_is_route(node->route) && read_isolations(node, json);
    node->oldest = read_small(json, "oldest");
    node->newest = read_small(json, "newest");
    node->workers = read_small(json, "workers");
    node->busy = read_small(json, "busy");
    node->waiting = read_small(json, "waiting");
    node->calls = read_number(json, "calls");
    node->failures = read_number(json, "failures");
    node->uptime_s = read_number(json, "uptime_s");
    node->is_draining = json_is_true(json_object_get(json, "draining"));
    json_decref(json);
    return good;
}

char *node_write(const struct node *node)
{
    json_t *list = json_array(), *json;
    char *text;

    for (unsigned i = 0; i < node->isolation_count; i++)
        json_array_append_new(list, json_string(node->isolations[i]));
    json = json_pack(
        "{s:s,s:s,s:s,s:s,s:o,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:b}", "id",
        node->id, "host", node->host, "product", node->product, "route",
        node->route, "isolations", list, "oldest", (int)node->oldest, "newest",
        (int)node->newest, "workers", (int)node->workers, "busy",
        (int)node->busy, "waiting", (int)node->waiting, "calls",
        (json_int_t)node->calls, "failures", (json_int_t)node->failures,
        "uptime_s", (json_int_t)node->uptime_s, "draining",
        (int)node->is_draining);
    text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}
