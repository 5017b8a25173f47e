/* SPDX-License-Identifier: Apache-2.0 */
/*
 * add.c - more of a graph: into the document, and read from there.
 *
 * What cannot be read is taken out of the document again, so an edit is done or
 * it is not.
 */
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "flow/graph/graph.h"
#include "glovebox/abi/message.h"
#include "message/source.h"

/* Returns 0 and a value to json_decref; NULL for no text. */
static int load(json_t **value, const char *text, const char *what,
                struct gbx_error *err)
{
    struct source source = {.name = what,
                            .text = text,
                            .depth_max = GBX_GRAPH_DEPTH_MAX - 4,
                            .refuses_nul = true};

    *value = NULL;
    if (text == NULL)
        return 0;
    source.bytes = strlen(text);
    return source_load(value, &source, err);
}

static int check_name(const char *what, const char *name, struct gbx_error *err)
{
    size_t bytes = strlen(name);

    if (bytes == 0)
        return fail(err, GBX_EARGUMENT, "%s has no name", what);
    if (bytes > GBX_NAME_BYTES_MAX)
        return fail(err, GBX_EARGUMENT, "%s '%.40s...' has more than %u bytes",
                    what, name, GBX_NAME_BYTES_MAX);
    if (!utf8_valid(name, bytes))
        return fail(err, GBX_EARGUMENT, "%s is not UTF-8", what);
    return 0;
}

/* A node that is there, and a name for its port. */
static int check_end(const struct gbx_graph *graph, const char *node,
                     const char *port, struct gbx_error *err)
{
    if (gbx_graph_find_node(graph, node) == NULL)
        return fail(err, GBX_EARGUMENT,
                    "there is no node '%.80s' (of port '%.80s')", node, port);
    if (check_name("a port", port, err) < 0)
        return fail(err, GBX_EARGUMENT,
                    "node '%.80s': '%.40s' cannot be a port's name: it is "
                    "empty, too long or not UTF-8",
                    node, port);
    return 0;
}

/* Where in the document something is added. */
struct spot {
    struct gbx_graph *graph;
    const char *section; /* "processes" */
    const char *name;    /* its key there; NULL: a list's end */
    bool was_missing, was_null;
};

/* As if nothing had been added. */
static void take_out(const struct spot *spot)
{
    json_t *root = spot->graph->root;
    json_t *section = json_object_get(root, spot->section);

    if (spot->was_missing)
        json_object_del(root, spot->section);
    else if (spot->was_null)
        json_object_set_new(root, spot->section, json_null());
    else if (spot->name != NULL)
        json_object_del(section, spot->name);
    else if (json_array_size(section) > 0)
        json_array_remove(section, json_array_size(section) - 1);
}

/* Taken: value, which may be NULL.  Returns 0, or -1 without memory. */
static int put_in(struct spot *spot, json_t *value)
{
    json_t *root = spot->graph->root;
    json_t *section = json_object_get(root, spot->section);
    int rc = 0;

    spot->was_missing = section == NULL;
    spot->was_null = json_is_null(section);
    if (spot->was_missing || spot->was_null)
        rc = json_object_set_new(root, spot->section,
                                 spot->name != NULL ? json_object()
                                                    : json_array());
    section = rc == 0 ? json_object_get(root, spot->section) : NULL;
    if (spot->name != NULL)
        rc = json_object_set_new(section, spot->name, value);
    else
        rc = json_array_append_new(section, value);
    if (rc < 0 && section != NULL && (spot->was_missing || spot->was_null))
        take_out(spot);
    return rc;
}

static int no_memory(struct gbx_error *err)
{
    return fail(err, GBX_EHOST, "no memory to change the graph");
}

/* ---- nodes ---- */

int gbx_graph_add_node(struct gbx_graph *graph, const char *id,
                       const char *component, const char *metadata,
                       struct gbx_error *err)
{
    struct spot spot = {.graph = graph, .section = "processes", .name = id};
    json_t *node, *extra;
    int rc = check_name("a node", id, err);

    if (rc == 0 && gbx_graph_find_node(graph, id) != NULL)
        rc = fail(err, GBX_EARGUMENT, "there is a node '%.80s' already", id);
    if (rc == 0 &&
        (component[0] == '\0' || !utf8_valid(component, strlen(component))))
        rc = fail(err, GBX_EARGUMENT,
                  "node '%.80s': the component's name is empty or not UTF-8",
                  id);
    if (rc == 0)
        rc = load(&extra, metadata, "metadata", err);
    if (rc < 0)
        return rc;
    node = json_pack("{s:s,s:s,s:o}", "id", id, "component", component,
                     "metadata", extra != NULL ? extra : json_null());
    if (put_in(&spot, node) < 0)
        return no_memory(err);
    rc = graph_read_node(graph, id, node, "the graph", err);
    if (rc < 0)
        take_out(&spot);
    return rc;
}

/* ---- edges ---- */

/* Taken: type.  NULL without memory. */
static json_t *make_edge(const struct gbx_graph *graph, const char *node,
                         const char *id, const char *name, json_t *type,
                         int64_t index)
{
    json_t *edge = json_object();
    json_t *place = index >= 0 ? json_integer(index) : json_null();

    if (type == NULL)
        type = json_pack("{s:s}", "type", "any");
    if (json_object_set_new(edge, graph_spelling(graph, MEMBER_PORT_NAME),
                            json_string(name)) == 0 &&
        json_object_set_new(edge, graph_spelling(graph, MEMBER_PORT_ID),
                            json_string(id)) == 0 &&
        json_object_set_new(edge, graph_spelling(graph, MEMBER_NODE_ID),
                            json_string(node)) == 0 &&
        json_object_set(edge, "index", place) == 0 &&
        json_object_set_new(edge, "expose", json_false()) == 0 &&
        json_object_set_new(edge, "data", json_null()) == 0 &&
        json_object_set_new(edge, "metadata", json_null()) == 0 &&
        json_object_set(edge, graph_spelling(graph, MEMBER_PORT_TYPE), type) ==
            0) {
        json_decref(type);
        json_decref(place);
        return edge;
    }
    json_decref(type);
    json_decref(place);
    json_decref(edge);
    return NULL;
}

/* Taken: data.  Both ends are good. */
static int add_connection(struct gbx_graph *graph, json_t *from, json_t *to,
                          json_t *data, struct gbx_error *err)
{
    struct spot spot = {.graph = graph, .section = "connections"};
    json_t *wire;
    int rc;

    if (from == NULL || to == NULL || data == NULL) {
        json_decref(from);
        json_decref(to);
        json_decref(data);
        return no_memory(err);
    }
    wire = json_pack("{s:o,s:o,s:n,s:o}", "from", from, "to", to, "metadata",
                     "data", data);
    if (put_in(&spot, wire) < 0)
        return no_memory(err);
    rc = graph_read_connection(graph, graph->tables[TABLE_CONNECTIONS].count,
                               wire, "the graph", err);
    if (rc < 0)
        take_out(&spot);
    return rc;
}

int gbx_graph_connect(struct gbx_graph *graph, const char *from_node,
                      const char *from_port, const char *to_node,
                      const char *to_port, struct gbx_error *err)
{
    int rc = check_end(graph, from_node, from_port, err);

    if (rc == 0)
        rc = check_end(graph, to_node, to_port, err);
    if (rc < 0)
        return rc;
    if (record_find_connection(graph, from_node, from_port, to_node, to_port) !=
        NULL)
        return fail(err, GBX_EARGUMENT,
                    "'%.40s' port '%.40s' is connected to '%.40s' port "
                    "'%.40s' already",
                    from_node, from_port, to_node, to_port);
    return add_connection(
        graph, make_edge(graph, from_node, from_port, "", NULL, -1),
        make_edge(graph, to_node, to_port, "", NULL, -1), json_null(), err);
}

int gbx_graph_add_initial(struct gbx_graph *graph, const char *to_node,
                          const char *to_port, const char *data, int64_t index,
                          struct gbx_error *err)
{
    int rc = check_end(graph, to_node, to_port, err);
    json_t *value;

    if (rc == 0 && index < -1)
        rc = fail(err, GBX_EARGUMENT,
                  "node '%.60s', port '%.60s': the index is 0 or larger, or -1",
                  to_node, to_port);
    if (rc == 0)
        rc = load(&value, data != NULL ? data : "null", "data", err);
    if (rc < 0)
        return rc;
    if (json_is_null(value))
        return fail(err, GBX_EARGUMENT,
                    "node '%.60s', port '%.60s': null is no initial message",
                    to_node, to_port);
    return add_connection(graph, make_edge(graph, "", "", "", NULL, -1),
                          make_edge(graph, to_node, to_port, "", NULL, index),
                          value, err);
}

/* ---- the graph's own ports ---- */

static int add_port(struct gbx_graph *graph, enum table_kind kind,
                    const char *name, const char *node, const char *port,
                    const char *type_text, struct gbx_error *err)
{
    const char *what = kind == TABLE_INPORTS ? "inport" : "outport";
    struct spot spot = {.graph = graph,
                        .section =
                            kind == TABLE_INPORTS ? "inports" : "outports",
                        .name = name};
    json_t *edge, *type;
    int rc = check_name(what, name, err);

    if (rc == 0)
        rc = check_end(graph, node, port, err);
    if (rc == 0 && record_find(graph, kind, name) != NULL)
        rc = fail(err, GBX_EARGUMENT, "the graph has an %s '%.80s' already",
                  what, name);
    if (rc == 0)
        rc = load(&type, type_text, "the port's type", err);
    if (rc < 0)
        return rc;
    if (!type_is_valid(type)) {
        json_decref(type);
        return fail(err, GBX_EARGUMENT,
                    "%s '%.80s': %.60s is no portType, as {\"type\":\"any\"}",
                    what, name, type_text);
    }
    edge = make_edge(graph, node, name, port, type, -1);
    if (put_in(&spot, edge) < 0)
        return no_memory(err);
    rc = graph_read_port(graph, kind, name, edge, "the graph", err);
    if (rc < 0)
        take_out(&spot);
    return rc;
}

int gbx_graph_add_inport(struct gbx_graph *graph, const char *name,
                         const char *node, const char *port, const char *type,
                         struct gbx_error *err)
{
    return add_port(graph, TABLE_INPORTS, name, node, port, type, err);
}

int gbx_graph_add_outport(struct gbx_graph *graph, const char *name,
                          const char *node, const char *port, const char *type,
                          struct gbx_error *err)
{
    return add_port(graph, TABLE_OUTPORTS, name, node, port, type, err);
}

/* ---- groups ---- */

int gbx_graph_add_group(struct gbx_graph *graph, const char *id,
                        const char *const *nodes, struct gbx_error *err)
{
    struct spot spot = {.graph = graph, .section = "groups"};
    json_t *list, *group;
    int rc = check_name("a group", id, err);

    if (rc < 0)
        return rc;
    if (record_find(graph, TABLE_GROUPS, id) != NULL)
        return fail(err, GBX_EARGUMENT, "there is a group '%.80s' already", id);
    for (const char *const *node = nodes; *node != NULL; node++)
        if (gbx_graph_find_node(graph, *node) == NULL)
            return fail(err, GBX_EARGUMENT,
                        "group '%.80s': there is no node '%.80s'", id, *node);
    list = json_array();
    for (const char *const *node = nodes; *node != NULL; node++)
        if (json_array_append_new(list, json_string(*node)) < 0) {
            json_decref(list);
            return no_memory(err);
        }
    group = list != NULL ? json_pack("{s:s,s:o,s:n}", "id", id, "nodes", list,
                                     "metadata")
                         : NULL;
    if (put_in(&spot, group) < 0)
        return no_memory(err);
    rc = graph_read_group(graph, graph->tables[TABLE_GROUPS].count, group,
                          "the graph", err);
    if (rc < 0)
        take_out(&spot);
    return rc;
}
