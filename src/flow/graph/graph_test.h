/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_test.h - for tests: graphs in few words, with ' for ".
 *
 *  GRAPH(NODE("a", "Double") "," NODE("b", "Show"),
 *        WIRE("a", "out", "b", "in"), "")
 */
#ifndef FLOW_GRAPH_GRAPH_TEST_H
#define FLOW_GRAPH_GRAPH_TEST_H

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/graph.h"

#define ANY        "{'type':'any'}"
#define NODE(i, c) "'" i "':{'id':'" i "','component':'" c "','metadata':null}"
#define END(n, p, t)                                                           \
    "{'portName':'','portId':'" p "','nodeId':'" n "','index':null,"           \
    "'expose':false,'data':null,'metadata':null,'portType':" t "}"
#define TYPED_WIRE(n, p, t, m, q, u)                                           \
    "{'from':" END(n, p, t) ",'to':" END(m, q, u) ",'metadata':null,"          \
                                                  "'data':null}"
#define WIRE(n, p, m, q) TYPED_WIRE(n, p, ANY, m, q, ANY)
#define INITIAL(n, p, data)                                                    \
    "{'from':" END("", "", ANY) ",'to':" END(n, p, ANY) ",'metadata':null,"    \
                                                        "'data':" data "}"
#define PORT(name, n, p, t)                                                    \
    "'" name "':{'portName':'" p "','portId':'" name "','nodeId':'" n          \
    "','expose':true,'portType':" t "}"
#define HEAD "'caseSensitive':true,'properties':{'name':'test'}"
#define GRAPH(nodes, wires, more)                                              \
    "{" HEAD ",'processes':{" nodes "},'connections':[" wires "]" more "}"

/* For free(). */
static inline char *quoted(const char *text)
{
    char *copy = strdup(text);

    must(copy != NULL);
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

static inline int parse(struct gbx_graph **graph, const char *text,
                        struct gbx_error *err)
{
    char *json = quoted(text);
    int rc = gbx_graph_parse(graph, json, strlen(json), "test.graph.json", err);

    free(json);
    return rc;
}

/* Actors that there are in tests. */
static inline int test_component(void *context,
                                 const struct gbx_graph_node *node,
                                 struct gbx_component *component,
                                 struct gbx_error *err)
{
    static const char *const none[] = {NULL}, *const in[] = {"in", NULL},
                             *const out[] = {"out", NULL},
                             *const ab[] = {"a", "b", NULL};
    static const char *const integer[] = {"{\"type\":\"integer\"}"};
    static const char *const text[] = {"{\"type\":\"string\"}"};
    static const struct {
        const char *name;
        struct gbx_component is;
    } actors[] = {
        {"Source", {none, out, NULL, NULL, 0, 0}},
        {"Double", {in, out, integer, integer, 0, 0}},
        {"Show", {in, none, text, NULL, 0, 0}},
        {"Pass", {in, out, NULL, NULL, 0, 0}},
        {"Wait", {in, out, NULL, NULL, 1, 0}},
        {"Join", {ab, out, NULL, NULL, 1, 0}},
        {"Merge", {ab, out, NULL, NULL, 0, 0}},
        {"Any", {NULL, NULL, NULL, NULL, 0, 0}},
        {"Native", {.is_native = 1}},
    };

    (void)context;
    for (size_t i = 0; i < ARRAY_SIZE(actors); i++)
        if (strcmp(actors[i].name, node->component) == 0) {
            *component = actors[i].is;
            return 0;
        }
    if (strcmp(node->component, "Broken") != 0)
        return GBX_EFILE;
    err->code = GBX_ELOAD;
    strcpy(err->what, "line 1: it is broken");
    return GBX_ELOAD;
}

#endif
