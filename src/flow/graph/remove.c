/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove.c - less of a graph, and other names.
 *
 * A copy of the document is changed, read anew, and put in its place.
 */
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "flow/graph/graph.h"
#include "glovebox/abi/message.h"

/* What is changed: the copy's document, and what of the graph. */
struct change {
    const struct gbx_graph *graph;
    json_t *root;
    const char *id, *to; /* of a node, a port, a group */
    const struct record *record;
};

/* Returns 0, or -1 without memory. */
typedef int change_fn(const struct change *change);

static int apply(struct gbx_graph *graph, change_fn *act, struct change *change,
                 struct gbx_error *err)
{
    struct gbx_graph *copy = graph_new(), old;
    int rc;

    if (copy != NULL)
        copy->root = json_deep_copy(graph->root);
    change->graph = graph;
    change->root = copy != NULL ? copy->root : NULL;
    /* Without memory jansson may leave members out, and not say so. */
    if (!json_equal(change->root, graph->root) || act(change) < 0)
        rc = fail(err, GBX_EHOST, "no memory to change the graph");
    else
        rc = graph_read(copy, "the graph", err);
    if (rc == 0) {
        old = *graph;
        *graph = *copy;
        *copy = old;
    }
    gbx_graph_close(copy);
    return rc;
}

/* ---- where a value of the document names a node ---- */

/* Both spellings may be in one file. */
static const char *node_key(const json_t *edge)
{
    return json_object_get(edge, "nodeId") != NULL ? "nodeId" : "node_id";
}

static bool is_at(const json_t *edge, const char *id)
{
    const char *node = json_string_value(json_object_get(edge, node_key(edge)));

    return node != NULL && strcmp(node, id) == 0;
}

static int rename_edge(json_t *edge, const struct change *c)
{
    return !is_at(edge, c->id)
               ? 0
               : json_object_set_new(edge, node_key(edge), json_string(c->to));
}

/* ---- nodes ---- */

static void drop_edges(json_t *ports, const char *id)
{
    const char *key;
    json_t *edge;
    void *next;

    json_object_foreach_safe(ports, next, key, edge)
    {
        if (is_at(edge, id))
            json_object_del(ports, key);
    }
}

static void drop_wires(json_t *wires, const char *id)
{
    for (size_t i = json_array_size(wires); i-- > 0;) {
        const json_t *wire = json_array_get(wires, i);

        if (is_at(json_object_get(wire, "from"), id) ||
            is_at(json_object_get(wire, "to"), id))
            json_array_remove(wires, i);
    }
}

static bool is_named(const json_t *name, const char *id)
{
    return strcmp(json_string_value(name), id) == 0;
}

static int remove_node(const struct change *c)
{
    const json_t *group;
    size_t i;

    json_object_del(json_object_get(c->root, "processes"), c->id);
    drop_wires(json_object_get(c->root, "connections"), c->id);
    drop_edges(json_object_get(c->root, "inports"), c->id);
    drop_edges(json_object_get(c->root, "outports"), c->id);
    json_array_foreach(json_object_get(c->root, "groups"), i, group)
    {
        json_t *nodes = json_object_get(group, "nodes");

        for (size_t k = json_array_size(nodes); k-- > 0;)
            if (is_named(json_array_get(nodes, k), c->id))
                json_array_remove(nodes, k);
    }
    return 0;
}

/* A new object, since the place of a key cannot be changed. */
static int rename_key(const struct change *c)
{
    json_t *old = json_object_get(c->root, "processes"), *value;
    json_t *new = json_object();
    const char *key;

    json_object_foreach(old, key, value)
    {
        bool is_it = strcmp(key, c->id) == 0;

        if (is_it && json_object_get(value, "id") != NULL &&
            json_object_set_new(value, "id", json_string(c->to)) < 0)
            break;
        if (json_object_set(new, is_it ? c->to : key, value) < 0)
            break;
    }
    if (json_object_size(new) != json_object_size(old)) {
        json_decref(new);
        return -1;
    }
    return json_object_set_new(c->root, "processes", new);
}

static int rename_ports(json_t *ports, const struct change *c)
{
    const char *key;
    json_t *edge;

    json_object_foreach(ports, key, edge)
    {
        if (rename_edge(edge, c) < 0)
            return -1;
    }
    return 0;
}

static int rename_in_groups(const struct change *c)
{
    const json_t *group;
    size_t i;

    json_array_foreach(json_object_get(c->root, "groups"), i, group)
    {
        json_t *nodes = json_object_get(group, "nodes");

        for (size_t k = 0; k < json_array_size(nodes); k++)
            if (is_named(json_array_get(nodes, k), c->id) &&
                json_array_set_new(nodes, k, json_string(c->to)) < 0)
                return -1;
    }
    return 0;
}

static int rename_node(const struct change *c)
{
    json_t *wire;
    size_t i;

    json_array_foreach(json_object_get(c->root, "connections"), i, wire)
    {
        if (rename_edge(json_object_get(wire, "from"), c) < 0 ||
            rename_edge(json_object_get(wire, "to"), c) < 0)
            return -1;
    }
    if (rename_ports(json_object_get(c->root, "inports"), c) < 0 ||
        rename_ports(json_object_get(c->root, "outports"), c) < 0 ||
        rename_in_groups(c) < 0)
        return -1;
    return rename_key(c);
}

static int check_node(const struct gbx_graph *graph, const char *id,
                      struct gbx_error *err)
{
    return gbx_graph_find_node(graph, id) != NULL
               ? 0
               : fail(err, GBX_EARGUMENT, "there is no node '%.80s'", id);
}

int gbx_graph_remove_node(struct gbx_graph *graph, const char *id,
                          struct gbx_error *err)
{
    struct change change = {.id = id};
    int rc = check_node(graph, id, err);

    return rc < 0 ? rc : apply(graph, remove_node, &change, err);
}

int gbx_graph_rename_node(struct gbx_graph *graph, const char *id,
                          const char *to, struct gbx_error *err)
{
    struct change change = {.id = id, .to = to};
    int rc = check_node(graph, id, err);
    size_t bytes = strlen(to);

    if (rc < 0)
        return rc;
    if (bytes == 0 || bytes > GBX_NAME_BYTES_MAX || !utf8_valid(to, bytes))
        return fail(err, GBX_EARGUMENT,
                    "node '%.80s': its new name is empty, longer than %u bytes "
                    "or not UTF-8",
                    id, GBX_NAME_BYTES_MAX);
    if (gbx_graph_find_node(graph, to) != NULL)
        return fail(err, GBX_EARGUMENT, "there is a node '%.80s' already", to);
    return apply(graph, rename_node, &change, err);
}

/* ---- connections and initial messages ---- */

/* Where in the list of connections of the document it is. */
static int remove_wire(const struct change *c)
{
    const json_t *wires = json_object_get(c->graph->root, "connections"), *wire;
    size_t i;

    json_array_foreach(wires, i, wire)
    {
        if (wire == c->record->json)
            return json_array_remove(json_object_get(c->root, "connections"),
                                     i);
    }
    return -1;
}

int gbx_graph_disconnect(struct gbx_graph *graph, const char *from_node,
                         const char *from_port, const char *to_node,
                         const char *to_port, struct gbx_error *err)
{
    struct change change = {.record = record_find_connection(
                                graph, from_node, from_port, to_node, to_port)};

    if (change.record == NULL)
        return fail(err, GBX_EARGUMENT,
                    "'%.40s' port '%.40s' is not connected to '%.40s' port "
                    "'%.40s'",
                    from_node, from_port, to_node, to_port);
    return apply(graph, remove_wire, &change, err);
}

static bool is_initial_of(const struct gbx_graph *graph, size_t i,
                          const char *node, const char *port)
{
    const struct gbx_graph_initial *first = gbx_graph_initial(graph, i);

    return strcmp(first->to_node, node) == 0 &&
           gbx_graph_is_port(graph, first->to_port, port);
}

/* Both lists have them in one order, so from the end of both. */
static int remove_initials(const struct change *c)
{
    const struct table *table = &c->graph->tables[TABLE_INITIALS];
    const json_t *old = json_object_get(c->graph->root, "connections");
    json_t *wires = json_object_get(c->root, "connections");
    size_t i = json_array_size(old);

    for (size_t k = table->count; k-- > 0;) {
        while (i-- > 0 && json_array_get(old, i) != table->records[k]->json)
            ;
        if (is_initial_of(c->graph, k, c->id, c->to))
            json_array_remove(wires, i);
    }
    return 0;
}

int gbx_graph_remove_initials(struct gbx_graph *graph, const char *to_node,
                              const char *to_port, struct gbx_error *err)
{
    struct change change = {.id = to_node, .to = to_port};

    for (size_t i = 0; i < gbx_graph_initials(graph); i++)
        if (is_initial_of(graph, i, to_node, to_port))
            return apply(graph, remove_initials, &change, err);
    return fail(err, GBX_EARGUMENT,
                "node '%.80s', port '%.80s' has no initial message", to_node,
                to_port);
}

/* ---- the graph's own ports, and groups ---- */

static int remove_inport(const struct change *c)
{
    return json_object_del(json_object_get(c->root, "inports"),
                           c->record->is.port.name);
}

int gbx_graph_remove_inport(struct gbx_graph *graph, const char *name,
                            struct gbx_error *err)
{
    struct change change = {.record = record_find(graph, TABLE_INPORTS, name)};

    if (change.record == NULL)
        return fail(err, GBX_EARGUMENT, "the graph has no inport '%.80s'",
                    name);
    return apply(graph, remove_inport, &change, err);
}

static int remove_outport(const struct change *c)
{
    return json_object_del(json_object_get(c->root, "outports"),
                           c->record->is.port.name);
}

int gbx_graph_remove_outport(struct gbx_graph *graph, const char *name,
                             struct gbx_error *err)
{
    struct change change = {.record = record_find(graph, TABLE_OUTPORTS, name)};

    if (change.record == NULL)
        return fail(err, GBX_EARGUMENT, "the graph has no outport '%.80s'",
                    name);
    return apply(graph, remove_outport, &change, err);
}

static int remove_group(const struct change *c)
{
    return json_array_remove(json_object_get(c->root, "groups"),
                             c->record->index);
}

int gbx_graph_remove_group(struct gbx_graph *graph, const char *id,
                           struct gbx_error *err)
{
    struct change change = {.record = record_find(graph, TABLE_GROUPS, id)};

    if (change.record == NULL)
        return fail(err, GBX_EARGUMENT, "there is no group '%.80s'", id);
    return apply(graph, remove_group, &change, err);
}
