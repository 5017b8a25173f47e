/* SPDX-License-Identifier: Apache-2.0 */
/* ports.c - which ports nodes have, what goes in, and what never does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/graph/check.h"
#include "glovebox/abi/message.h"
#include "message/source.h"

/* ---- components ---- */

void check_components(struct check *check)
{
    for (size_t i = 0; i < check->node_count && check->component; i++) {
        const struct gbx_graph_node *node = gbx_graph_node(check->graph, i);
        struct gbx_error err = {0};
        int rc;

        if (node->component[0] == '\0')
            continue;
        rc =
            check->component(check->context, node, &check->components[i], &err);
        check->known[i] = rc == 0;
        if (!check->components[i].is_native)
            check_sandbox(check, node);
        if (rc == GBX_EFILE && err.what[0] == '\0')
            fail(&err, rc, "there is no component '%.80s'", node->component);
        if (rc == GBX_EFILE)
            check_report(
                check, GBX_FINDING_ERROR, "unknown-component", node->id, "",
                "%.230s: add its script, or correct the name", err.what);
        else if (rc < 0)
            check_report(check, GBX_FINDING_ERROR, "bad-component", node->id,
                         "", "component '%.80s' cannot be used: %.230s",
                         node->component,
                         err.what[0] != '\0' ? err.what : gbx_strerror(rc));
    }
}

/* "a, b": what it has, for who looked for another. */
static void list(char *text, size_t room, const char *const *names)
{
    size_t at = 0;

    snprintf(text, room, "none");
    for (; *names != NULL && at + 1 < room; names++)
        at += (size_t)snprintf(text + at, room - at, "%s'%s'",
                               at > 0 ? ", " : "", *names);
}

/* Returns 0 and which one it is; 0 and SIZE_MAX when none are known. */
static bool find_port(const struct check *check, const char *const *names,
                      const char *port, size_t *i)
{
    *i = SIZE_MAX;
    if (names == NULL)
        return true;
    for (size_t k = 0; names[k] != NULL; k++)
        if (gbx_graph_is_port(check->graph, names[k], port)) {
            *i = k;
            return true;
        }
    return false;
}

static json_t *load(const char *text)
{
    struct source source = {.name = "portType",
                            .text = text,
                            .bytes = strlen(text),
                            .depth_max = GBX_GRAPH_DEPTH_MAX};
    json_t *type;

    if (source_load(&type, &source, NULL) == 0 && type_is_valid(type))
        return type;
    json_decref(type);
    return NULL;
}

static void report_port(struct check *check, const char *node, const char *port,
                        bool is_out, const char *const *names,
                        const char *owner)
{
    char there[300];

    list(there, sizeof(there), names);
    check_report(check, GBX_FINDING_ERROR,
                 is_out ? "unknown-outport" : "unknown-inport", node, port,
                 "it has no such %s, which %s needs; it has %s",
                 is_out ? "outport" : "inport", owner, there);
}

json_t *check_end(struct check *check, const char *node, const char *port,
                  bool is_out, json_t *type, const char *owner)
{
    const struct gbx_graph_node *found =
        gbx_graph_find_node(check->graph, node);
    const struct gbx_component *component;
    const char *const *names, *const *types;
    size_t i;

    if (port[0] == '\0')
        check_report(check, GBX_FINDING_ERROR, "empty-name", node, "",
                     "%s names no port of it: fill in portId", owner);
    if (strlen(port) > GBX_NAME_BYTES_MAX)
        check_report(check, GBX_FINDING_ERROR, "long-name", node, "",
                     "the port '%.40s...' has %zu bytes: a name has at most %u",
                     port, strlen(port), GBX_NAME_BYTES_MAX);
    if (!type_is_valid(type)) {
        check_report(check, GBX_FINDING_ERROR, "bad-type", node, port,
                     "its portType is none: write it as {\"type\": \"any\"}");
        type = NULL;
    }
    if (found == NULL) {
        check_report(check, GBX_FINDING_ERROR, "unknown-node", node, port,
                     "there is no such node, which %s needs: add it to "
                     "processes, or correct the name",
                     owner);
        return json_incref(type);
    }
    i = gbx_graph_node_index(check->graph, found);
    component = &check->components[i];
    names = is_out ? component->outports : component->inports;
    types = is_out ? component->outport_types : component->inport_types;
    if (port[0] == '\0')
        return json_incref(type);
    if (!find_port(check, names, port, &i))
        report_port(check, node, port, is_out, names, owner);
    if (i != SIZE_MAX && types != NULL && types[i] != NULL)
        return load(types[i]);
    return json_incref(type);
}

/* ---- who feeds whom ---- */

/* Counted first, then put in its place; node by node, in the order of the
 * graph. */
static void add_feed(struct check *check, bool place, const char *to,
                     const char *port, const char *from)
{
    const struct gbx_graph_node *target = gbx_graph_find_node(check->graph, to);
    const struct gbx_graph_node *source =
        from != NULL ? gbx_graph_find_node(check->graph, from) : NULL;
    size_t i;

    if (source != NULL)
        check->wired[gbx_graph_node_index(check->graph, source)] = true;
    if (target == NULL || (from != NULL && source == NULL))
        return;
    i = gbx_graph_node_index(check->graph, target);
    check->wired[i] = true;
    if (place)
        check->feeds[check->first_feed[i]] = (struct feed){
            .to = i,
            .port = port,
            .from = source != NULL ? gbx_graph_node_index(check->graph, source)
                                   : OUTSIDE};
    check->first_feed[i]++;
}

static void add_feeds(struct check *check, bool place)
{
    const struct gbx_graph *graph = check->graph;

    for (size_t i = 0; i < gbx_graph_connections(graph); i++) {
        const struct gbx_graph_connection *c = gbx_graph_connection(graph, i);

        add_feed(check, place, c->to_node, c->to_port, c->from_node);
    }
    for (size_t i = 0; i < gbx_graph_initials(graph); i++) {
        const struct gbx_graph_initial *c = gbx_graph_initial(graph, i);

        add_feed(check, place, c->to_node, c->to_port, NULL);
    }
    for (size_t i = 0; i < gbx_graph_inports(graph); i++) {
        const struct gbx_graph_port *c = gbx_graph_inport(graph, i);

        add_feed(check, place, c->node, c->port, NULL);
    }
}

bool check_feeds(struct check *check)
{
    const struct gbx_graph *graph = check->graph;
    size_t n = check->node_count, sum = 0;

    check->first_feed = calloc(n + 1, sizeof(size_t));
    if (check->first_feed == NULL)
        return false;
    add_feeds(check, false);
    for (size_t i = 0; i <= n; i++) {
        size_t count = check->first_feed[i];

        check->first_feed[i] = sum; /* where its own begin */
        sum += count;
    }
    check->feeds = calloc(sum + 1, sizeof(struct feed));
    if (check->feeds == NULL)
        return false;
    add_feeds(check, true);
    for (size_t i = n; i > 0; i--) /* each is now where the next one begins */
        check->first_feed[i] = check->first_feed[i - 1];
    check->first_feed[0] = 0;
    for (size_t i = 0; i < gbx_graph_outports(graph); i++) {
        const struct gbx_graph_node *node =
            gbx_graph_find_node(graph, gbx_graph_outport(graph, i)->node);

        if (node != NULL)
            check->wired[gbx_graph_node_index(graph, node)] = true;
    }
    return true;
}

bool check_is_fed(const struct check *check, size_t node, const char *port,
                  const size_t *circle)
{
    for (size_t i = check->first_feed[node]; i < check->first_feed[node + 1];
         i++) {
        const struct feed *feed = &check->feeds[i];
        bool counts = circle == NULL || feed->from == OUTSIDE ||
                      circle[feed->from] != circle[node];

        if (counts &&
            (port == NULL || gbx_graph_is_port(check->graph, feed->port, port)))
            return true;
    }
    return false;
}

void check_waiting(struct check *check)
{
    for (size_t i = 0; i < check->node_count; i++) {
        const char *id = gbx_graph_node(check->graph, i)->id;
        const struct gbx_component *component = &check->components[i];
        const char *const *port = component->inports;

        if (!check->known[i] || port == NULL || *port == NULL ||
            !check->wired[i])
            continue;
        if (!component->await_all_inports &&
            !check_is_fed(check, i, NULL, NULL))
            check_report(check, GBX_FINDING_WARNING, "never-fed", id, "",
                         "nothing feeds any of its inports, so it never runs: "
                         "connect one, or give it an initial message");
        for (; component->await_all_inports && *port != NULL; port++)
            if (!check_is_fed(check, i, *port, NULL))
                check_report(check, GBX_FINDING_ERROR, "never-fed", id, *port,
                             "nothing feeds it, and the node waits for all of "
                             "its inports, so it can never run: connect it, or "
                             "give it an initial message");
    }
}
