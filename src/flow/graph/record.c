/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - tables of what a graph has, and who is called how. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "flow/graph/graph.h"

#define SLOTS_MIN 16

static const struct {
    size_t max;
    const char *what, *limit;
} limits[] = {
    [TABLE_NODES] = {GBX_GRAPH_NODES_MAX, "nodes", "GBX_GRAPH_NODES_MAX"},
    [TABLE_CONNECTIONS] = {GBX_GRAPH_CONNECTIONS_MAX, "connections",
                           "GBX_GRAPH_CONNECTIONS_MAX"},
    [TABLE_INITIALS] = {GBX_GRAPH_CONNECTIONS_MAX, "initial messages",
                        "GBX_GRAPH_CONNECTIONS_MAX"},
    [TABLE_INPORTS] = {GBX_GRAPH_PORTS_MAX, "inports", "GBX_GRAPH_PORTS_MAX"},
    [TABLE_OUTPORTS] = {GBX_GRAPH_PORTS_MAX, "outports", "GBX_GRAPH_PORTS_MAX"},
    [TABLE_GROUPS] = {GBX_GRAPH_GROUPS_MAX, "groups", "GBX_GRAPH_GROUPS_MAX"},
};

void draft_json(struct draft *draft, size_t i, const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return;
    draft->made[i] = graph_json(value);
    draft->texts[i] = draft->made[i];
    draft->failed |= draft->made[i] == NULL;
}

void draft_fini(struct draft *draft)
{
    for (size_t i = 0; i < RECORD_TEXTS_MAX; i++)
        free(draft->made[i]);
    *draft = (struct draft){0};
}

/* ---- names ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

int gbx_graph_is_port(const struct gbx_graph *graph, const char *name,
                      const char *other)
{
    if (graph->is_case_sensitive)
        return strcmp(name, other) == 0;
    while (*name != '\0' && lower(*name) == lower(*other))
        name++, other++;
    return lower(*name) == lower(*other);
}

/* Names that are one port have one hash. */
static uint64_t hash_port(const struct gbx_graph *graph, uint64_t place,
                          const char *name)
{
    uint64_t hash = place;
    char piece[64];
    size_t n;

    if (graph->is_case_sensitive)
        return hash_name(graph->key, place, name);
    do {
        for (n = 0; n + 1 < sizeof(piece) && name[n] != '\0'; n++)
            piece[n] = lower(name[n]);
        piece[n] = '\0';
        name += n;
        hash = hash_name(graph->key, hash, piece);
    } while (*name != '\0');
    return hash;
}

/* Of what a thing of this kind is found by; initials are not. */
static uint64_t hash_of(const struct gbx_graph *graph, enum table_kind kind,
                        const struct record *record)
{
    const struct gbx_graph_connection *wire = &record->is.connection;

    switch (kind) {
    case TABLE_NODES:
        return hash_name(graph->key, kind, record->is.node.id);
    case TABLE_CONNECTIONS:
        return hash_port(
            graph,
            hash_name(graph->key,
                      hash_port(graph,
                                hash_name(graph->key, 0, wire->from_node),
                                wire->from_port),
                      wire->to_node),
            wire->to_port);
    case TABLE_INPORTS:
    case TABLE_OUTPORTS:
        return hash_port(graph, kind, record->is.port.name);
    case TABLE_GROUPS:
        return hash_name(graph->key, kind, record->is.group.id);
    case TABLE_INITIALS:
    case TABLE_COUNT:
        break;
    }
    return 0;
}

static bool is_same_wire(const struct gbx_graph *graph,
                         const struct gbx_graph_connection *one,
                         const struct gbx_graph_connection *other)
{
    return strcmp(one->from_node, other->from_node) == 0 &&
           strcmp(one->to_node, other->to_node) == 0 &&
           gbx_graph_is_port(graph, one->from_port, other->from_port) &&
           gbx_graph_is_port(graph, one->to_port, other->to_port);
}

static bool is_same(const struct gbx_graph *graph, enum table_kind kind,
                    const struct record *one, const struct record *other)
{
    switch (kind) {
    case TABLE_NODES:
        return strcmp(one->is.node.id, other->is.node.id) == 0;
    case TABLE_CONNECTIONS:
        return is_same_wire(graph, &one->is.connection, &other->is.connection);
    case TABLE_INPORTS:
    case TABLE_OUTPORTS:
        return gbx_graph_is_port(graph, one->is.port.name, other->is.port.name);
    case TABLE_GROUPS:
        return strcmp(one->is.group.id, other->is.group.id) == 0;
    case TABLE_INITIALS:
    case TABLE_COUNT:
        break;
    }
    return false;
}

/* Where it is, or would be. */
static struct record **slot_of(const struct gbx_graph *graph,
                               enum table_kind kind,
                               const struct record *record)
{
    const struct table *table = &graph->tables[kind];
    size_t mask = table->slot_count - 1, at = record->hash & mask;

    while (table->slots[at] != NULL &&
           (table->slots[at]->hash != record->hash ||
            !is_same(graph, kind, table->slots[at], record)))
        at = (at + 1) & mask;
    return &table->slots[at];
}

struct record *record_first(const struct gbx_graph *graph, enum table_kind kind,
                            const struct record *record)
{
    struct record key = {.is = record->is};

    if (graph->tables[kind].slot_count == 0)
        return NULL;
    key.hash = hash_of(graph, kind, &key);
    return *slot_of(graph, kind, &key);
}

struct record *record_find(const struct gbx_graph *graph, enum table_kind kind,
                           const char *name)
{
    struct record key = {.hash = 0};

    switch (kind) {
    case TABLE_NODES:
        key.is.node.id = name;
        break;
    case TABLE_GROUPS:
        key.is.group.id = name;
        break;
    default:
        key.is.port.name = name;
    }
    return record_first(graph, kind, &key);
}

struct record *record_find_connection(const struct gbx_graph *graph,
                                      const char *from_node,
                                      const char *from_port,
                                      const char *to_node, const char *to_port)
{
    struct record key = {.is.connection = {.from_node = from_node,
                                           .from_port = from_port,
                                           .to_node = to_node,
                                           .to_port = to_port}};

    return record_first(graph, TABLE_CONNECTIONS, &key);
}

/* ---- tables ---- */

/* Room for one more, and slots that are at most half full. */
static bool make_room(struct gbx_graph *graph, enum table_kind kind)
{
    struct table *table = &graph->tables[kind];
    size_t room = table->room * 2, slot_count = table->slot_count * 2;
    struct record **larger;

    if (table->count == table->room) {
        room = room < SLOTS_MIN ? SLOTS_MIN : room;
        larger = realloc(table->records, room * sizeof(struct record *));
        if (larger == NULL)
            return false;
        table->records = larger;
        table->room = room;
    }
    if (kind == TABLE_INITIALS || table->count < table->slot_count / 2)
        return true;
    slot_count = slot_count < SLOTS_MIN ? SLOTS_MIN : slot_count;
    larger = calloc(slot_count, sizeof(struct record *));
    if (larger == NULL)
        return false;
    free(table->slots);
    table->slots = larger;
    table->slot_count = slot_count;
    for (size_t i = 0; i < table->count; i++) {
        struct record **slot = slot_of(graph, kind, table->records[i]);

        if (*slot == NULL)
            *slot = table->records[i];
    }
    return true;
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->records[i]);
    free(table->records);
    free(table->slots);
    *table = (struct table){0};
}

static char *append(char **to, const char *text)
{
    char *start = *to;

    *to = stpcpy(start, text) + 1;
    return start;
}

/* Its texts, and of a group the names of its nodes, behind it. */
static struct record *make(const struct draft *draft, size_t count)
{
    size_t names = draft->list != NULL ? json_array_size(draft->list) + 1 : 0;
    size_t bytes = sizeof(struct record) + names * sizeof(char *);
    const char *texts[RECORD_TEXTS_MAX] = {NULL};
    struct record *record;
    const char **list;
    const json_t *name;
    size_t i;
    char *to;

    for (i = 0; i < count; i++)
        bytes += draft->texts[i] != NULL ? strlen(draft->texts[i]) + 1 : 0;
    json_array_foreach(draft->list, i, name)
    {
        bytes += json_string_length(name) + 1;
    }
    record = calloc(1, bytes);
    if (record == NULL)
        return NULL;
    list = (const char **)(record + 1);
    to = (char *)(list + names);
    for (i = 0; i < count; i++)
        texts[i] = draft->texts[i] ? append(&to, draft->texts[i]) : NULL;
    json_array_foreach(draft->list, i, name)
    {
        list[i] = append(&to, json_string_value(name));
    }
    must(count * sizeof(char *) <= sizeof(record->is));
    memcpy(&record->is, texts, count * sizeof(char *));
    if (names > 0)
        record->is.group.nodes = list;
    return record;
}

int record_add(struct gbx_graph *graph, enum table_kind kind,
               const struct draft *draft, size_t count, json_t *json,
               struct gbx_error *err)
{
    struct table *table = &graph->tables[kind];
    struct record *record = NULL, **slot;

    if (table->count == limits[kind].max)
        return fail(err, GBX_ELIMIT, "a graph has at most %zu %s (%s)",
                    limits[kind].max, limits[kind].what, limits[kind].limit);
    if (!draft->failed && make_room(graph, kind))
        record = make(draft, count);
    if (record == NULL)
        return fail(err, GBX_EHOST, "no memory for %zu %s", table->count + 1,
                    limits[kind].what);
    record->json = json;
    record->hash = hash_of(graph, kind, record);
    record->index = table->count;
    table->records[table->count++] = record;
    if (kind == TABLE_INITIALS)
        return 0;
    slot = slot_of(graph, kind, record);
    if (*slot == NULL)
        *slot = record;
    return 0;
}
