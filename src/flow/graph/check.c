/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what is wrong with a graph, all of it. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/graph/check.h"
#include "glovebox/abi/message.h"
#include "glovebox/runtime.h"

#define TEXT_MAX 1024

void check_report(struct check *check, enum gbx_finding_level level,
                  const char *code, const char *node, const char *port,
                  const char *format, ...)
{
    char text[TEXT_MAX];
    struct gbx_finding finding = {
        .level = level, .code = code, .node = node, .port = port, .text = text};
    int at = 0;
    va_list ap;

    check->errors += level == GBX_FINDING_ERROR;
    if (check->found == NULL)
        return;
    if (node[0] != '\0')
        at = snprintf(text, 300, "node '%.255s'", node);
    if (port[0] != '\0')
        at += snprintf(text + at, 300, "%sport '%.255s'", at > 0 ? ", " : "",
                       port);
    if (at > 0)
        at += snprintf(text + at, 3, ": ");
    va_start(ap, format);
    vsnprintf(text + at, sizeof(text) - (size_t)at, format, ap);
    va_end(ap);
    check->found(check->found_context, &finding);
}

#define ERROR(code, node, port, ...)                                           \
    check_report(check, GBX_FINDING_ERROR, code, node, port, __VA_ARGS__)
#define WARNING(code, node, port, ...)                                         \
    check_report(check, GBX_FINDING_WARNING, code, node, port, __VA_ARGS__)

json_t *check_member(const json_t *object, enum member member)
{
    static const char *const names[][2] = {
        [MEMBER_CASE_SENSITIVE] = {"caseSensitive", "case_sensitive"},
        [MEMBER_PORT_TYPE] = {"portType", "port_type"},
    };
    json_t *value = json_object_get(object, names[member][0]);

    if (value == NULL)
        value = json_object_get(object, names[member][1]);
    return json_is_null(value) ? NULL : value;
}

/* ---- the head ---- */

static void check_head(struct check *check)
{
    const struct gbx_graph *graph = check->graph;

    if (check_member(graph->root, MEMBER_CASE_SENSITIVE) == NULL)
        WARNING("missing-member", "", "",
                "caseSensitive is missing, which Reflow does not read: add "
                "\"caseSensitive\": true");
    if (gbx_graph_name(graph)[0] == '\0')
        WARNING("missing-member", "", "",
                "properties.name is missing, which Reflow does not read: add "
                "\"properties\": {\"name\": \"...\"}");
    if (graph->bare_edges > 0)
        WARNING("missing-member", "", "",
                "portType or expose is missing at ends of connections or ports "
                "(%zu), which Reflow does not read: add \"portType\": "
                "{\"type\": \"any\"}, \"expose\": false",
                graph->bare_edges);
    if (check->node_count == 0)
        WARNING("no-nodes", "", "",
                "processes is empty: there is nothing to run");
}

/* ---- nodes ---- */

/* "required", "optional", "optional:default" */
static bool is_wish(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL &&
           (strcmp(text, "required") == 0 || strcmp(text, "optional") == 0 ||
            strncmp(text, "optional:", 9) == 0);
}

static bool is_variable(const char *name)
{
    if (isdigit((unsigned char)name[0]) || name[0] == '\0')
        return false;
    while (*name == '_' || isalnum((unsigned char)*name))
        name++;
    return *name == '\0';
}

static void check_environment(struct check *check, const char *id,
                              const json_t *node)
{
    json_t *wishes =
               json_object_get(json_object_get(node, "metadata"), "env_vars"),
           *value;
    const char *name;

    if (wishes != NULL && !json_is_null(wishes) && !json_is_object(wishes))
        ERROR("env-vars", id, "",
              "metadata.env_vars is no object: write {\"NAME\": \"required\"}");
    json_object_foreach(wishes, name, value)
    {
        if (!is_variable(name))
            ERROR("env-vars", id, "",
                  "metadata.env_vars has '%.80s', which no environment "
                  "variable can be called: use letters, digits and _",
                  name);
        else if (!is_wish(value))
            ERROR("env-vars", id, "",
                  "metadata.env_vars.%.80s must be \"required\", \"optional\" "
                  "or \"optional:DEFAULT\"",
                  name);
    }
}

void check_sandbox(struct check *check, const struct gbx_graph_node *node)
{
    struct gbx_script_config script = {.struct_bytes = sizeof(script)};
    struct gbx_error err = {0};
    struct gbx_config *texts;
    int rc = gbx_config_apply_node(&texts, node->metadata, 0, &script, &err);

    gbx_config_close(texts);
    if (rc == GBX_EHOST)
        check->lacks_memory = true;
    else if (rc < 0)
        ERROR("bad-sandbox", node->id, "", "%s", err.what);
}

static bool is_short(struct check *check, const char *what, const char *node,
                     const char *name)
{
    if (strlen(name) <= GBX_NAME_BYTES_MAX)
        return true;
    ERROR("long-name", node, "",
          "%s '%.40s...' has %zu bytes: a name has at most %u", what, name,
          strlen(name), GBX_NAME_BYTES_MAX);
    return false;
}

static void check_node(struct check *check, const struct record *record)
{
    const struct gbx_graph_node *node = &record->is.node;
    const char *id = json_string_value(json_object_get(record->json, "id"));

    if (node->id[0] == '\0')
        ERROR("empty-name", "", "",
              "a node of component '%.80s' stands under \"\": give it a name",
              node->component);
    is_short(check, "the node", "", node->id);
    if (id == NULL)
        WARNING("missing-member", node->id, "",
                "id is missing, which Reflow does not read: add \"id\"");
    else if (strcmp(id, node->id) != 0)
        ERROR("id-differs", node->id, "",
              "its id is '%.80s': make it the key that it stands under", id);
    if (node->component[0] == '\0')
        ERROR("no-component", node->id, "",
              "it has no component: name a script or a built-in actor");
    if (node->runtime != NULL && strcmp(node->runtime, "Python") != 0 &&
        strcmp(node->runtime, "JavaScript") != 0)
        WARNING("unknown-runtime", node->id, "",
                "scriptRuntime is '%.80s': it is Python or JavaScript, and the "
                "script's file name tells",
                node->runtime);
    check_environment(check, node->id, record->json);
}

/* ---- connections and initial messages ---- */

static void check_types(struct check *check,
                        const struct gbx_graph_connection *wire,
                        const json_t *from, const json_t *to)
{
    char source[64], target[64];

    if (!type_fits(from, to))
        ERROR("type-mismatch", wire->to_node, wire->to_port,
              "it takes %s, but node '%.80s', port '%.80s' sends %s: put an "
              "actor between them that converts it",
              type_name(target, to), wire->from_node, wire->from_port,
              type_name(source, from));
}

static void check_wire(struct check *check, const struct record *record)
{
    const struct gbx_graph_connection *wire = &record->is.connection;
    const json_t *data = json_object_get(record->json, "data");
    const json_t *from = json_object_get(record->json, "from");
    const json_t *to = json_object_get(record->json, "to");
    char owner[700];
    json_t *source = NULL, *target;

    snprintf(owner, sizeof(owner), "the connection to '%.255s', port '%.255s'",
             wire->to_node, wire->to_port);
    if (wire->from_node[0] == '\0')
        ERROR("no-source", wire->to_node, wire->to_port,
              "a connection to it begins nowhere: name a node in \"from\", or "
              "give it \"data\"");
    else
        source = check_end(check, wire->from_node, wire->from_port, true,
                           check_member(from, MEMBER_PORT_TYPE), owner);
    snprintf(owner, sizeof(owner),
             "the connection from '%.255s', port '%.255s'", wire->from_node,
             wire->from_port);
    target = check_end(check, wire->to_node, wire->to_port, false,
                       check_member(to, MEMBER_PORT_TYPE), owner);
    check_types(check, wire, source, target);
    json_decref(source);
    json_decref(target);
    if (wire->from_node[0] != '\0' && data != NULL && !json_is_null(data))
        WARNING("data-ignored", wire->to_node, wire->to_port,
                "the connection from '%.80s' has \"data\", which nobody sends: "
                "empty its \"from\", or delete the data",
                wire->from_node);
    if (record_first(check->graph, TABLE_CONNECTIONS, record) != record)
        ERROR("duplicate-connection", wire->to_node, wire->to_port,
              "it is connected to node '%.80s', port '%.80s' twice: delete one "
              "of the connections",
              wire->from_node, wire->from_port);
}

/* data goes to a port of this type; taken: type. */
static void check_data(struct check *check, const char *node, const char *port,
                       json_t *type, const json_t *data)
{
    char name[64], text[64] = "", *json;

    if (data != NULL && !json_is_null(data) && !type_takes(type, data)) {
        json = graph_json(data);
        if (json != NULL)
            snprintf(text, sizeof(text), "%s", json);
        free(json);
        ERROR("initial-type", node, port,
              "its initial message is %s, but it takes %s: change one of them",
              text, type_name(name, type));
    }
    json_decref(type);
}

static void check_initial(struct check *check, const struct record *record)
{
    const struct gbx_graph_initial *first = &record->is.initial;
    json_t *type = check_end(
        check, first->to_node, first->to_port, false,
        check_member(json_object_get(record->json, "to"), MEMBER_PORT_TYPE),
        "an initial message");

    check_data(check, first->to_node, first->to_port, type,
               json_object_get(record->json, "data"));
}

/* ---- the graph's own ports, and groups ---- */

static void check_port(struct check *check, enum table_kind kind,
                       const struct record *record)
{
    const struct gbx_graph_port *port = &record->is.port;
    const char *what = kind == TABLE_INPORTS ? "inport" : "outport";
    json_t *outer = check_member(record->json, MEMBER_PORT_TYPE), *inner;
    char owner[300], source[64], target[64];
    bool is_out = kind == TABLE_OUTPORTS;

    snprintf(owner, sizeof(owner), "%s '%.255s' of the graph", what,
             port->name);
    if (port->name[0] == '\0')
        ERROR("empty-name", port->node, port->port,
              "an %s of the graph stands under \"\": give it a name", what);
    is_short(check, what, port->node, port->name);
    if (record_first(check->graph, kind, record) != record)
        ERROR("duplicate-port", port->node, port->port,
              "the graph has two %ss '%.80s', since caseSensitive is false: "
              "rename one of them",
              what, port->name);
    inner = check_end(check, port->node, port->port, is_out, outer, owner);
    if (type_is_valid(outer) &&
        !type_fits(is_out ? inner : outer, is_out ? outer : inner))
        ERROR("type-mismatch", port->node, port->port,
              "it is %s, but %s is %s: make them fit", type_name(source, inner),
              owner, type_name(target, outer));
    check_data(check, port->node, port->port, inner,
               is_out ? NULL : json_object_get(record->json, "data"));
}

static void check_group(struct check *check, const struct record *record)
{
    const struct gbx_graph_group *group = &record->is.group;

    if (group->id[0] == '\0')
        ERROR("empty-name", "", "", "a group has no id: give it one");
    is_short(check, "the group", "", group->id);
    if (record_first(check->graph, TABLE_GROUPS, record) != record)
        ERROR("duplicate-group", "", "",
              "there are two groups '%.80s': rename one of them", group->id);
    for (const char *const *node = group->nodes; *node != NULL; node++)
        if (gbx_graph_find_node(check->graph, *node) == NULL)
            ERROR("unknown-node", *node, "",
                  "there is no such node, but group '%.80s' has it: add it to "
                  "processes, or take it out of the group",
                  group->id);
}

/* ---- all of it ---- */

static void check_orphans(struct check *check)
{
    for (size_t i = 0; i < check->node_count && check->node_count > 1; i++)
        if (!check->wired[i])
            WARNING("orphan", gbx_graph_node(check->graph, i)->id, "",
                    "nothing is connected to it: connect it, or remove it");
}

static void check_tables(struct check *check)
{
    static void (*const acts[])(struct check *, const struct record *) = {
        [TABLE_NODES] = check_node,
        [TABLE_CONNECTIONS] = check_wire,
        [TABLE_INITIALS] = check_initial,
        [TABLE_GROUPS] = check_group,
    };

    for (size_t kind = 0; kind < TABLE_COUNT; kind++) {
        const struct table *table = &check->graph->tables[kind];

        for (size_t i = 0; i < table->count; i++)
            if (kind == TABLE_INPORTS || kind == TABLE_OUTPORTS)
                check_port(check, (enum table_kind)kind, table->records[i]);
            else
                acts[kind](check, table->records[i]);
        if (kind == TABLE_NODES)
            check_components(check);
    }
}

size_t gbx_graph_check(const struct gbx_graph *graph,
                       gbx_component_fn component, void *context,
                       gbx_finding_fn found, void *found_context)
{
    size_t n = gbx_graph_nodes(graph);
    struct check check = {
        .graph = graph,
        .node_count = n,
        .components = calloc(n + 1, sizeof(struct gbx_component)),
        .known = calloc(n + 1, sizeof(bool)),
        .wired = calloc(n + 1, sizeof(bool)),
        .component = component,
        .context = context,
        .found = found,
        .found_context = found_context,
    };
    bool done = check.components != NULL && check.known != NULL &&
                check.wired != NULL && check_feeds(&check);

    if (done) {
        check_head(&check);
        check_tables(&check);
        check_orphans(&check);
        check_waiting(&check);
        done = check_cycles(&check) && !check.lacks_memory;
    }
    free(check.components);
    free(check.known);
    free(check.wired);
    free(check.feeds);
    free(check.first_feed);
    return done ? check.errors : SIZE_MAX;
}
