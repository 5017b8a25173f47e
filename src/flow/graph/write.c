/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - a graph as JSON, and as a drawing for Graphviz.
 *
 * jansson could write its values itself, but writes 0.1 as 0.10000000000000001:
 * the same number, and a difference in every file that is read and written.
 */
#include <stdlib.h>
#include <string.h>

#include "flow/graph/graph.h"
#include "message/text.h"

#define COMPACT SIZE_MAX

static void put_line(struct text *t, size_t indent)
{
    if (indent == COMPACT)
        return;
    text_put(t, "\n", 1);
    for (size_t i = 0; i < indent; i++)
        text_put(t, "  ", 2);
}

static void put_value(struct text *t, const json_t *value, size_t indent);

/* jansson iterates over what it does not call const, and changes nothing. */
static json_t *walked(const json_t *value)
{
    union {
        const json_t *is;
        json_t *walked;
    } cast = {.is = value};

    return cast.walked;
}

static void put_object(struct text *t, const json_t *value, size_t indent)
{
    size_t inner = indent == COMPACT ? COMPACT : indent + 1, key_bytes, n = 0;
    const char *key;
    json_t *member;

    text_put(t, "{", 1);
    json_object_keylen_foreach(walked(value), key, key_bytes, member)
    {
        text_put(t, ",", n++ > 0);
        put_line(t, inner);
        text_string(t, key, key_bytes);
        text_put(t, ": ", indent == COMPACT ? 1 : 2);
        put_value(t, member, inner);
    }
    if (n > 0)
        put_line(t, indent);
    text_put(t, "}", 1);
}

static void put_array(struct text *t, const json_t *value, size_t indent)
{
    size_t inner = indent == COMPACT ? COMPACT : indent + 1, i;
    const json_t *item;

    text_put(t, "[", 1);
    json_array_foreach(value, i, item)
    {
        text_put(t, ",", i > 0);
        put_line(t, inner);
        put_value(t, item, inner);
    }
    if (i > 0)
        put_line(t, indent);
    text_put(t, "]", 1);
}

/* Recursion ends at GBX_GRAPH_DEPTH_MAX. */
static void put_value(struct text *t, const json_t *value, size_t indent)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(t, value, indent);
        return;
    case JSON_ARRAY:
        put_array(t, value, indent);
        return;
    case JSON_STRING:
        text_string(t, json_string_value(value), json_string_length(value));
        return;
    case JSON_INTEGER:
        text_integer(t, json_integer_value(value));
        return;
    case JSON_REAL:
        text_real(t, json_real_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        text_puts(t, json_is_true(value) ? "true" : "false");
        return;
    case JSON_NULL:
        text_puts(t, "null");
        return;
    }
}

static char *finished(struct text *t)
{
    text_put(t, "", 1); /* its NUL */
    if (!t->failed)
        return t->bytes;
    free(t->bytes);
    return NULL;
}

char *graph_json(const json_t *value)
{
    struct text t = {0};

    put_value(&t, value, COMPACT);
    return finished(&t);
}

char *gbx_graph_write(const struct gbx_graph *graph)
{
    struct text t = {0};

    put_value(&t, graph->root, 0);
    text_put(&t, "\n", 1);
    return finished(&t);
}

/* ---- Graphviz ---- */

/* In DOT's quotes only these two mean something. */
static void put_escaped(struct text *t, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            text_put(t, "\\", 1);
        if ((unsigned char)*name >= 0x20)
            text_put(t, name, 1);
    }
}

/* kind: what it is, where names of two kinds might be one. */
static void put_quoted(struct text *t, const char *kind, const char *name)
{
    text_puts(t, "\"");
    text_puts(t, kind);
    put_escaped(t, name);
    text_puts(t, "\"");
}

/* Its id, and below it what it is one of. */
static void put_node(struct text *t, const struct gbx_graph_node *node)
{
    text_puts(t, "  ");
    put_quoted(t, "node ", node->id);
    text_puts(t, " [label=\"");
    put_escaped(t, node->id);
    text_puts(t, "\\n(");
    put_escaped(t, node->component);
    text_puts(t, ")\"];\n");
}

static void put_arrow(struct text *t, const char *from_kind, const char *from,
                      const char *to_kind, const char *to)
{
    text_puts(t, "  ");
    put_quoted(t, from_kind, from);
    text_puts(t, " -> ");
    put_quoted(t, to_kind, to);
}

static void put_port(struct text *t, const char *kind, const char *name)
{
    text_puts(t, "  ");
    put_quoted(t, kind, name);
    text_puts(t, " [shape=oval, style=dashed, label=");
    put_quoted(t, "", name);
    text_puts(t, "];\n");
}

static void put_ends(struct text *t, const char *tail, const char *head)
{
    text_puts(t, " [");
    if (tail != NULL) {
        text_puts(t, "taillabel=");
        put_quoted(t, "", tail);
        text_puts(t, ", ");
    }
    text_puts(t, head != NULL ? "headlabel=" : "");
    if (head != NULL)
        put_quoted(t, "", head);
    text_puts(t, "];\n");
}

static void put_wires(struct text *t, const struct gbx_graph *graph)
{
    for (size_t i = 0; i < gbx_graph_connections(graph); i++) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, i);

        put_arrow(t, "node ", c->from_node, "node ", c->to_node);
        put_ends(t, c->from_port, c->to_port);
    }
    for (size_t i = 0; i < gbx_graph_inports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_inport(graph, i);

        put_port(t, "in ", port->name);
        put_arrow(t, "in ", port->name, "node ", port->node);
        put_ends(t, NULL, port->port);
    }
    for (size_t i = 0; i < gbx_graph_outports(graph); i++) {
        const struct gbx_graph_port *port = gbx_graph_outport(graph, i);

        put_port(t, "out ", port->name);
        put_arrow(t, "node ", port->node, "out ", port->name);
        put_ends(t, port->port, NULL);
    }
    for (size_t i = 0; i < gbx_graph_initials(graph); i++) {
        const struct gbx_graph_initial *first = gbx_graph_initial(graph, i);
        char name[64] = "";

        strncpy(name, first->data, sizeof(name) - 1);
        if (strlen(first->data) >= sizeof(name))
            strcpy(name, "...");
        text_puts(t, "  \"initial ");
        text_natural(t, i);
        text_puts(t, "\" [shape=note, label=");
        put_quoted(t, "", name);
        text_puts(t, "];\n  \"initial ");
        text_natural(t, i);
        text_puts(t, "\" -> ");
        put_quoted(t, "node ", first->to_node);
        put_ends(t, NULL, first->to_port);
    }
}

static void put_group(struct text *t, const struct gbx_graph_group *group,
                      size_t i)
{
    text_puts(t, "  subgraph \"cluster ");
    text_natural(t, i);
    text_puts(t, "\" {\n    label=");
    put_quoted(t, "", group->id);
    text_puts(t, ";\n");
    for (const char *const *node = group->nodes; *node != NULL; node++) {
        text_puts(t, "    ");
        put_quoted(t, "node ", *node);
        text_puts(t, ";\n");
    }
    text_puts(t, "  }\n");
}

char *gbx_graph_dot(const struct gbx_graph *graph)
{
    struct text t = {0};

    text_puts(&t, "digraph ");
    put_quoted(&t, "", gbx_graph_name(graph));
    text_puts(&t, " {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n"
                  "  edge [fontsize=10];\n");
    for (size_t i = 0; i < gbx_graph_nodes(graph); i++)
        put_node(&t, gbx_graph_node(graph, i));
    for (size_t i = 0; i < gbx_graph_groups(graph); i++)
        put_group(&t, gbx_graph_group(graph, i), i);
    put_wires(&t, graph);
    text_puts(&t, "}\n");
    return finished(&t);
}
