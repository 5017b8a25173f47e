/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c - a graph's life, and what is in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "flow/graph/graph.h"
#include "message/source.h"

struct gbx_graph *graph_new(void)
{
    struct gbx_graph *graph = calloc(1, sizeof(*graph));

    /* Early at boot there is no chance yet; then names may collide. */
    if (graph != NULL &&
        getrandom(graph->key, sizeof(graph->key), GRND_NONBLOCK) < 0)
        graph->key[0] = 0;
    return graph;
}

void gbx_graph_close(struct gbx_graph *graph)
{
    if (graph == NULL)
        return;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        table_fini(&graph->tables[i]);
    json_decref(graph->root);
    free(graph);
}

int gbx_graph_parse(struct gbx_graph **graph, const char *text, size_t bytes,
                    const char *name, struct gbx_error *err)
{
    struct source source = {.name = name,
                            .text = bytes > 0 ? text : "",
                            .bytes = bytes,
                            .depth_max = GBX_GRAPH_DEPTH_MAX,
                            .refuses_nul = true};
    struct gbx_graph *opened;
    int rc;

    *graph = NULL;
    if (bytes > GBX_GRAPH_BYTES_MAX)
        return fail(err, GBX_ELIMIT,
                    "%.100s has %zu bytes; a graph has at most %u "
                    "(GBX_GRAPH_BYTES_MAX)",
                    name, bytes, GBX_GRAPH_BYTES_MAX);
    opened = graph_new();
    if (opened == NULL)
        return fail(err, GBX_EHOST, "no memory for a graph");
    rc = source_load(&opened->root, &source, err);
    if (rc == 0)
        rc = graph_read(opened, name, err);
    if (rc < 0)
        gbx_graph_close(opened);
    else
        *graph = opened;
    return rc;
}

/* All of it.  Returns 0 and text for free(). */
static int read_file(int fd, char **text, size_t *bytes, const char *path,
                     struct gbx_error *err)
{
    size_t room = 0;
    ssize_t n;

    *text = NULL;
    *bytes = 0;
    do {
        if (*bytes == room) {
            char *larger = realloc(*text, room = room * 2 + 65536);

            if (larger == NULL)
                return fail(err, GBX_EHOST, "no memory to read %.100s", path);
            *text = larger;
        }
        n = read(fd, *text + *bytes, room - *bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, GBX_EFILE, "%.100s: %s", path,
                        strerrordesc_np(errno));
        *bytes += (size_t)n;
        if (*bytes > GBX_GRAPH_BYTES_MAX)
            return fail(err, GBX_ELIMIT,
                        "%.100s is longer than %u bytes "
                        "(GBX_GRAPH_BYTES_MAX)",
                        path, GBX_GRAPH_BYTES_MAX);
    } while (n != 0);
    return 0;
}

int gbx_graph_open(struct gbx_graph **graph, const char *path,
                   struct gbx_error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes;
    char *text;
    int rc;

    *graph = NULL;
    if (fd < 0)
        return fail(err, GBX_EFILE, "%.100s: %s", path, strerrordesc_np(errno));
    rc = read_file(fd, &text, &bytes, path, err);
    if (rc == 0)
        rc = gbx_graph_parse(graph, text, bytes, path, err);
    free(text);
    return rc;
}

int gbx_graph_new(struct gbx_graph **graph, const char *name,
                  struct gbx_error *err)
{
    struct gbx_graph *made;
    int rc;

    *graph = NULL;
    if (!utf8_valid(name, strlen(name)))
        return fail(err, GBX_EARGUMENT, "the graph's name is not UTF-8");
    made = graph_new();
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a graph");
    made->root =
        json_pack("{s:b,s:{s:s},s:{},s:{},s:[],s:{},s:[]}", "caseSensitive", 1,
                  "properties", "name", name, "inports", "outports", "groups",
                  "processes", "connections");
    rc = made->root != NULL ? graph_read(made, name, err)
                            : fail(err, GBX_EHOST, "no memory for a graph");
    if (rc < 0)
        gbx_graph_close(made);
    else
        *graph = made;
    return rc;
}

const char *gbx_graph_name(const struct gbx_graph *graph)
{
    const char *name = json_string_value(
        json_object_get(json_object_get(graph->root, "properties"), "name"));

    return name != NULL ? name : "";
}

int gbx_graph_is_case_sensitive(const struct gbx_graph *graph)
{
    return graph->is_case_sensitive;
}

static const struct record *at(const struct gbx_graph *graph,
                               enum table_kind kind, size_t i)
{
    const struct table *table = &graph->tables[kind];

    return i < table->count ? table->records[i] : NULL;
}

#define ACCESSORS(plural, singular, type, kind)                                \
    size_t gbx_graph_##plural(const struct gbx_graph *graph)                   \
    {                                                                          \
        return graph->tables[kind].count;                                      \
    }                                                                          \
                                                                               \
    const struct gbx_graph_##type *gbx_graph_##singular(                       \
        const struct gbx_graph *graph, size_t i)                               \
    {                                                                          \
        const struct record *record = at(graph, kind, i);                      \
                                                                               \
        return record != NULL ? &record->is.type : NULL;                       \
    }

ACCESSORS(nodes, node, node, TABLE_NODES)
ACCESSORS(connections, connection, connection, TABLE_CONNECTIONS)
ACCESSORS(initials, initial, initial, TABLE_INITIALS)
ACCESSORS(inports, inport, port, TABLE_INPORTS)
ACCESSORS(outports, outport, port, TABLE_OUTPORTS)
ACCESSORS(groups, group, group, TABLE_GROUPS)

const struct gbx_graph_node *gbx_graph_find_node(const struct gbx_graph *graph,
                                                 const char *id)
{
    const struct record *record = record_find(graph, TABLE_NODES, id);

    return record != NULL ? &record->is.node : NULL;
}

size_t gbx_graph_node_index(const struct gbx_graph *graph,
                            const struct gbx_graph_node *node)
{
    const struct record *record = (const struct record *)node;

    must(at(graph, TABLE_NODES, record->index) == record);
    return record->index;
}
