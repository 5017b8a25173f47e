/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - [flows.NAME]: a graph of the project's scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/project/read/read.h"
#include "glovebox/graph.h"

static int read_graph(struct reading *reading, void *to, const char *key,
                      json_t *node)
{
    struct gbx_graph *graph;
    char *path, digest[17];
    int rc = read_path(reading, key, node, &path);

    (void)to;
    if (rc < 0)
        return rc;
    rc = digest_file(path, digest, reading->err);
    if (rc == 0)
        rc = gbx_graph_open(&graph, path, reading->err);
    if (rc == 0) {
        gbx_graph_close(graph);
        json_object_set_new(reading->facts, "path", json_string(path));
        json_object_set_new(reading->facts, "digest", json_string(digest));
        if (json_object_get(reading->facts, "path") == NULL)
            rc = node_fail(reading, node, "\"%s\" is not UTF-8", key);
    } else {
        const struct gbx_error why = *reading->err;

        rc = node_fail(reading, node, "\"%s\": %.160s", key, why.what);
    }
    free(path);
    return rc;
}

static int read_flow(struct reading *reading, void *to, const char *name,
                     json_t *node)
{
    static const struct key keys[] = {{"graph", read_graph, NULL},
                                      {NULL, NULL, NULL}};
    char what[PROJECT_NAME_BYTES + 16];
    int rc;

    (void)to;
    snprintf(what, sizeof(what), "[flows.%s]", name);
    reading->facts = json_object();
    json_object_set_new(reading->project->flows, name, reading->facts);
    rc = read_table(reading, what, keys, NULL, node);
    if (rc == 0 && json_object_get(reading->facts, "path") == NULL)
        rc = node_fail(reading, node, "%s must have a \"graph\", its file",
                       what);
    return rc;
}

int section_flows(struct reading *reading, void *to, const char *key,
                  json_t *node)
{
    (void)to;
    return read_sections(reading, key, read_flow, node);
}

/* The others of a daemon touch files, or its own streams. */
static bool is_builtin(const char *component)
{
    static const char *const all[] = {"counter", "merge", "split", "template",
                                      "timer"};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(component, all[i]) == 0)
            return true;
    return false;
}

static int check_component(struct reading *reading, const char *flow,
                           const char *component, const json_t *node)
{
    json_t *scripts = reading->project->scripts, *other;
    const json_t *path =
        json_object_get(json_object_get(scripts, component), "path");
    const char *name;

    if (path == NULL)
        return is_builtin(component)
                   ? 0
                   : node_fail(reading, node,
                               "[flows.%s] runs \"%.60s\": there is no "
                               "[scripts.%.60s]",
                               flow, component, component);
    json_object_foreach(scripts, name, other)
    {
        if (strcmp(name, component) != 0 &&
            json_equal(json_object_get(other, "path"), path))
            return node_fail(reading, node,
                             "[flows.%s] runs the file of both \"%.60s\" and "
                             "\"%.60s\", and which of them says what it may "
                             "have is not clear: give one a file of its own",
                             flow, component, name);
    }
    return 0;
}

int flows_settle(struct reading *reading, json_t *sections)
{
    const char *name;
    json_t *facts;
    int rc = 0;

    json_object_foreach(reading->project->flows, name, facts)
    {
        const char *path = json_string_value(json_object_get(facts, "path"));
        struct gbx_graph *graph;
        size_t i = 0;

        if (json_object_get(reading->project->scripts, name) != NULL)
            return node_fail(reading, json_object_get(sections, name),
                             "[flows.%s]: there is a script of this name, too",
                             name);
        rc = gbx_graph_open(&graph, path, reading->err);
        if (rc < 0)
            return rc;
        for (; rc == 0 && i < gbx_graph_nodes(graph); i++)
            rc = check_component(reading, name,
                                 gbx_graph_node(graph, i)->component,
                                 json_object_get(sections, name));
        gbx_graph_close(graph);
        if (rc < 0)
            return rc;
    }
    return 0;
}
