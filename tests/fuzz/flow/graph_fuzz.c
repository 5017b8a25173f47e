/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph_fuzz.c - any text as a graph.
 *
 * What is read can be checked, drawn and written, says the same when it is read
 * again, and stays whole when its nodes are renamed and removed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "glovebox/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

/* Actors whose ports and patience their names tell. */
static int component(void *context, const struct gbx_graph_node *node,
                     struct gbx_component *component, struct gbx_error *err)
{
    static const char *const ports[] = {"a", "b", NULL};
    static const char *const types[] = {"{\"type\":\"integer\"}", NULL};

    (void)context;
    (void)err;
    if (node->component[0] == '?')
        return GBX_EFILE;
    if (node->component[0] == 'a')
        *component = (struct gbx_component){ports,
                                            ports,
                                            types,
                                            types,
                                            node->component[1] == 'w',
                                            node->component[1] == 'n'};
    return 0;
}

static void found(void *context, const struct gbx_finding *finding)
{
    size_t *errors = context;

    must(finding->code[0] != '\0' && finding->text[0] != '\0');
    *errors += finding->level == GBX_FINDING_ERROR;
}

static void look(const struct gbx_graph *graph)
{
    size_t errors = 0;
    char *dot = gbx_graph_dot(graph);

    must(dot != NULL);
    free(dot);
    must(gbx_graph_check(graph, component, NULL, found, &errors) == errors);
    for (size_t i = 0; i < gbx_graph_nodes(graph); i++) {
        const struct gbx_graph_node *node = gbx_graph_node(graph, i);

        must(gbx_graph_find_node(graph, node->id) == node);
    }
}

/* Written, read and written again: the same text. */
static void stays(const struct gbx_graph *graph)
{
    char *text = gbx_graph_write(graph), *second;
    struct gbx_graph *again;
    struct gbx_error err;

    must(gbx_graph_parse(&again, text, strlen(text), "again", &err) == 0);
    must(gbx_graph_nodes(again) == gbx_graph_nodes(graph));
    must(gbx_graph_connections(again) == gbx_graph_connections(graph));
    must(gbx_graph_initials(again) == gbx_graph_initials(graph));
    second = gbx_graph_write(again);
    must(strcmp(text, second) == 0);
    free(second);
    free(text);
    gbx_graph_close(again);
}

/* Whatever may be refused must leave a graph that stays. */
static void edit(struct gbx_graph *graph)
{
    struct gbx_error err;
    char id[64] = "";

    gbx_graph_add_node(graph, "new", "a", "{}", &err);
    if (gbx_graph_connections(graph) > 0) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, 0);

        gbx_graph_connect(graph, "new", "a", c->to_node, c->to_port, &err);
        gbx_graph_add_initial(graph, "new", "b", "[1]", 0, &err);
    }
    for (int i = 0; i < 4 && gbx_graph_nodes(graph) > 0; i++) {
        strncpy(id, gbx_graph_node(graph, 0)->id, sizeof(id) - 1);
        gbx_graph_rename_node(graph, id, "other", &err);
        stays(graph);
        if (gbx_graph_remove_node(graph, "other", &err) == 0)
            must(gbx_graph_find_node(graph, "other") == NULL);
    }
    stays(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct gbx_error err = {0};
    struct gbx_graph *graph;
    int rc = gbx_graph_parse(&graph, (const char *)data, count, "fuzz", &err);

    if (rc < 0) {
        must(graph == NULL && err.code == rc && err.what[0] != '\0');
        must(rc == GBX_EFORMAT || rc == GBX_ELIMIT);
        return 0;
    }
    look(graph);
    stays(graph);
    edit(graph);
    look(graph);
    gbx_graph_close(graph);
    return 0;
}
