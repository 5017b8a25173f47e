/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c - what a graph's JSON says.
 *
 * Here only what cannot be understood is an error: a text where an object must
 * be, a name spelled in both ways.  What is understood and wrong is for
 * check.c, so that a person sees all of it at once.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "flow/graph/graph.h"
#include "message/source.h"

/* As Reflow's library spells it, and as some of its examples do. */
static const char *const spellings[][2] = {
    [MEMBER_CASE_SENSITIVE] = {"caseSensitive", "case_sensitive"},
    [MEMBER_PORT_NAME] = {"portName", "port_name"},
    [MEMBER_PORT_ID] = {"portId", "port_id"},
    [MEMBER_NODE_ID] = {"nodeId", "node_id"},
    [MEMBER_PORT_TYPE] = {"portType", "port_type"},
    [MEMBER_SCRIPT_RUNTIME] = {"scriptRuntime", "script_runtime"},
};

/* Something that is read, and what it is called in errors. */
struct reader {
    struct gbx_graph *graph;
    const char *name;
    char where[160]; /* "processes.double" */
    struct gbx_error *err;
};

const char *graph_spelling(const struct gbx_graph *graph, enum member member)
{
    return spellings[member][graph->snake > graph->camel];
}

/* `expected` as "a string"; where: within r->where, or "". */
static int wrong_kind(const struct reader *r, const char *member,
                      const json_t *value, const char *expected)
{
    return fail(r->err, GBX_EFORMAT, "%.60s: %s%s%.40s is %s; it must be %s",
                r->name, r->where, r->where[0] != '\0' && member[0] ? "." : "",
                member, source_kind(value), expected);
}

/* One of two spellings.  Returns 0 and the value, NULL where it is null or not
 * there. */
static int find(const struct reader *r, const json_t *object,
                enum member member, json_t **value)
{
    json_t *camel = json_object_get(object, spellings[member][0]);
    json_t *snake = json_object_get(object, spellings[member][1]);

    if (camel != NULL && snake != NULL)
        return fail(r->err, GBX_EFORMAT,
                    "%.60s: %s has both \"%s\" and \"%s\"; delete one of them",
                    r->name, r->where[0] != '\0' ? r->where : "the graph",
                    spellings[member][0], spellings[member][1]);
    r->graph->camel += camel != NULL;
    r->graph->snake += snake != NULL;
    *value = camel != NULL ? camel : snake;
    if (json_is_null(*value))
        *value = NULL;
    return 0;
}

/* Returns 0 and a text borrowed from the value, `absent` where it is not there
 * or null. */
static int read_text(const struct reader *r, const char *member,
                     const json_t *value, const char *absent, const char **text)
{
    *text = absent;
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return wrong_kind(r, member, value, "a string");
    *text = json_string_value(value);
    return 0;
}

static int read_member(const struct reader *r, const json_t *object,
                       enum member member, const char *absent,
                       const char **text)
{
    json_t *value;
    int rc = find(r, object, member, &value);

    return rc < 0 ? rc
                  : read_text(r, spellings[member][0], value, absent, text);
}

/* metadata may be anything in Reflow's JSON, but is an object or null. */
static int read_metadata(const struct reader *r, const json_t *object,
                         struct draft *draft, size_t i)
{
    const json_t *value = json_object_get(object, "metadata");

    if (value != NULL && !json_is_null(value) && !json_is_object(value))
        return wrong_kind(r, "metadata", value, "an object or null");
    draft_json(draft, i, value);
    return 0;
}

static int add(const struct reader *r, enum table_kind kind,
               const struct draft *draft, size_t count, json_t *value)
{
    return record_add(r->graph, kind, draft, count, value, r->err);
}

int graph_read_node(struct gbx_graph *graph, const char *key, json_t *value,
                    const char *name, struct gbx_error *err)
{
    struct reader r = {.graph = graph, .name = name, .err = err};
    struct draft draft = {.texts = {key}};
    const char *id;
    int rc;

    snprintf(r.where, sizeof(r.where), "processes.%.60s", key);
    if (!json_is_object(value))
        return wrong_kind(&r, "", value, "an object");
    rc = read_text(&r, "id", json_object_get(value, "id"), key, &id);
    if (rc == 0)
        rc = read_text(&r, "component", json_object_get(value, "component"), "",
                       &draft.texts[1]);
    if (rc == 0)
        rc = read_member(&r, value, MEMBER_SCRIPT_RUNTIME, NULL,
                         &draft.texts[2]);
    if (rc == 0)
        rc = read_metadata(&r, value, &draft, 3);
    if (rc == 0)
        rc = add(&r, TABLE_NODES, &draft, 4, value);
    draft_fini(&draft);
    return rc;
}

/* One end of a connection, or a graph's port. */
struct edge {
    const char *node, *port_id, *port_name;
    json_t *type, *index;
};

static int read_edge(const struct reader *r, const json_t *value,
                     struct edge *edge)
{
    int rc;

    if (!json_is_object(value))
        return wrong_kind(r, "", value, "an object");
    rc = read_member(r, value, MEMBER_NODE_ID, "", &edge->node);
    if (rc == 0)
        rc = read_member(r, value, MEMBER_PORT_ID, "", &edge->port_id);
    if (rc == 0)
        rc = read_member(r, value, MEMBER_PORT_NAME, "", &edge->port_name);
    if (rc == 0)
        rc = find(r, value, MEMBER_PORT_TYPE, &edge->type);
    edge->index = json_object_get(value, "index");
    if (rc == 0 && edge->index != NULL && !json_is_null(edge->index) &&
        (!json_is_integer(edge->index) || json_integer_value(edge->index) < 0))
        return wrong_kind(r, "index", edge->index, "0 or larger, or null");
    if (rc == 0 &&
        (edge->type == NULL || json_object_get(value, "expose") == NULL))
        r->graph->bare_edges++;
    return rc;
}

static const char *port_of(const struct edge *edge)
{
    return edge->port_id[0] != '\0' ? edge->port_id : edge->port_name;
}

static int add_initial(const struct reader *r, const struct edge *to,
                       json_t *value)
{
    struct draft draft = {.texts = {to->node, port_of(to)}};
    struct table *table = &r->graph->tables[TABLE_INITIALS];
    int rc;

    draft_json(&draft, 2, to->type);
    draft_json(&draft, 3, json_object_get(value, "data"));
    rc = read_metadata(r, value, &draft, 4);
    if (rc == 0)
        rc = add(r, TABLE_INITIALS, &draft, 5, value);
    if (rc == 0)
        table->records[table->count - 1]->is.initial.index =
            json_is_integer(to->index) ? json_integer_value(to->index) : -1;
    draft_fini(&draft);
    return rc;
}

static int add_wire(const struct reader *r, const struct edge *from,
                    const struct edge *to, json_t *value)
{
    struct draft draft = {
        .texts = {from->node, port_of(from), to->node, port_of(to)}};
    int rc;

    draft_json(&draft, 4, from->type);
    draft_json(&draft, 5, to->type);
    rc = read_metadata(r, value, &draft, 6);
    if (rc == 0)
        rc = add(r, TABLE_CONNECTIONS, &draft, 7, value);
    draft_fini(&draft);
    return rc;
}

/* A connection, or where it has data and begins nowhere an initial message. */
int graph_read_connection(struct gbx_graph *graph, size_t i, json_t *value,
                          const char *name, struct gbx_error *err)
{
    struct reader r = {.graph = graph, .name = name, .err = err};
    struct edge ends[2] = {{"", "", "", NULL, NULL}};
    static const char *const names[] = {"from", "to"};
    const json_t *end;
    bool has_data;
    int rc;

    snprintf(r.where, sizeof(r.where), "connections[%zu]", i);
    if (!json_is_object(value))
        return wrong_kind(&r, "", value, "an object");
    end = json_object_get(value, "data");
    has_data = end != NULL && !json_is_null(end);
    for (int k = 0; k < 2; k++) {
        end = json_object_get(value, names[k]);
        snprintf(r.where, sizeof(r.where), "connections[%zu].%s", i, names[k]);
        if (k == 0 && has_data && (end == NULL || json_is_null(end)))
            continue; /* an initial message need not say that it has none */
        if (end == NULL)
            return fail(err, GBX_EFORMAT, "%.60s: %s is missing", name,
                        r.where);
        rc = read_edge(&r, end, &ends[k]);
        if (rc < 0)
            return rc;
    }
    snprintf(r.where, sizeof(r.where), "connections[%zu]", i);
    if (ends[0].node[0] == '\0' && has_data)
        return add_initial(&r, &ends[1], value);
    return add_wire(&r, &ends[0], &ends[1], value);
}

int graph_read_port(struct gbx_graph *graph, enum table_kind kind,
                    const char *key, json_t *value, const char *name,
                    struct gbx_error *err)
{
    struct reader r = {.graph = graph, .name = name, .err = err};
    struct draft draft = {.texts = {key}};
    struct edge edge = {"", "", "", NULL, NULL};
    int rc;

    snprintf(r.where, sizeof(r.where), "%s.%.60s",
             kind == TABLE_INPORTS ? "inports" : "outports", key);
    rc = read_edge(&r, value, &edge);
    if (rc < 0)
        return rc;
    draft.texts[1] = edge.node;
    draft.texts[2] = edge.port_name[0] != '\0' ? edge.port_name : edge.port_id;
    draft_json(&draft, 3, edge.type);
    draft_json(&draft, 4, json_object_get(value, "data"));
    rc = read_metadata(&r, value, &draft, 5);
    if (rc == 0)
        rc = add(&r, kind, &draft, 6, value);
    draft_fini(&draft);
    return rc;
}

int graph_read_group(struct gbx_graph *graph, size_t i, json_t *value,
                     const char *name, struct gbx_error *err)
{
    struct reader r = {.graph = graph, .name = name, .err = err};
    struct draft draft = {.texts = {NULL}};
    const json_t *node;
    size_t k;
    int rc;

    snprintf(r.where, sizeof(r.where), "groups[%zu]", i);
    if (!json_is_object(value))
        return wrong_kind(&r, "", value, "an object");
    rc = read_text(&r, "id", json_object_get(value, "id"), "", &draft.texts[0]);
    if (rc < 0)
        return rc;
    draft.list = json_object_get(value, "nodes");
    if (draft.list == NULL)
        return fail(err, GBX_EFORMAT, "%.60s: %s.nodes is missing", name,
                    r.where);
    if (!json_is_array(draft.list))
        return wrong_kind(&r, "nodes", draft.list, "an array");
    json_array_foreach(draft.list, k, node)
    {
        if (!json_is_string(node))
            return wrong_kind(&r, "nodes", node, "an array of strings");
    }
    rc = read_metadata(&r, value, &draft, 2);
    if (rc == 0)
        rc = add(&r, TABLE_GROUPS, &draft, 3, value);
    draft_fini(&draft);
    return rc;
}

/* ---- all of it ---- */

/* A member of the outermost object; NULL where it is null or not there. */
static int find_section(const struct reader *r, const char *key, json_type type,
                        json_t **value)
{
    *value = json_object_get(r->graph->root, key);
    if (json_is_null(*value))
        *value = NULL;
    if (*value != NULL && json_typeof(*value) != type)
        return wrong_kind(r, key, *value,
                          type == JSON_OBJECT ? "an object" : "an array");
    return 0;
}

static int read_processes(const struct reader *r)
{
    json_t *section, *value;
    const char *key;
    int rc = find_section(r, "processes", JSON_OBJECT, &section);

    if (rc < 0)
        return rc;
    json_object_foreach(section, key, value)
    {
        rc = graph_read_node(r->graph, key, value, r->name, r->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_ports(const struct reader *r, enum table_kind kind)
{
    json_t *section, *value;
    const char *key;
    int rc = find_section(r, kind == TABLE_INPORTS ? "inports" : "outports",
                          JSON_OBJECT, &section);

    if (rc < 0)
        return rc;
    json_object_foreach(section, key, value)
    {
        rc = graph_read_port(r->graph, kind, key, value, r->name, r->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_list(const struct reader *r, const char *key,
                     int (*read)(struct gbx_graph *, size_t, json_t *,
                                 const char *, struct gbx_error *))
{
    json_t *section, *value;
    size_t i;
    int rc = find_section(r, key, JSON_ARRAY, &section);

    if (rc < 0)
        return rc;
    json_array_foreach(section, i, value)
    {
        rc = read(r->graph, i, value, r->name, r->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What holds for all of it. */
static int read_head(const struct reader *r)
{
    json_t *value;
    const char *text;
    int rc;

    if (!json_is_object(r->graph->root))
        return fail(r->err, GBX_EFORMAT,
                    "%.60s: a graph is an object with \"processes\" and "
                    "\"connections\"; this is %s",
                    r->name, source_kind(r->graph->root));
    rc = find(r, r->graph->root, MEMBER_CASE_SENSITIVE, &value);
    if (rc == 0 && value != NULL && !json_is_boolean(value))
        rc = wrong_kind(r, "caseSensitive", value, "true or false");
    if (rc < 0)
        return rc;
    r->graph->is_case_sensitive = value == NULL || json_is_true(value);
    rc = find_section(r, "properties", JSON_OBJECT, &value);
    if (rc < 0)
        return rc;
    return read_text(r, "properties.name", json_object_get(value, "name"), "",
                     &text);
}

int graph_read(struct gbx_graph *graph, const char *name, struct gbx_error *err)
{
    struct reader r = {.graph = graph, .name = name, .err = err};
    int rc = read_head(&r);

    if (rc == 0)
        rc = read_processes(&r);
    if (rc == 0)
        rc = read_list(&r, "connections", graph_read_connection);
    if (rc == 0)
        rc = read_ports(&r, TABLE_INPORTS);
    if (rc == 0)
        rc = read_ports(&r, TABLE_OUTPORTS);
    if (rc == 0)
        rc = read_list(&r, "groups", graph_read_group);
    return rc;
}
