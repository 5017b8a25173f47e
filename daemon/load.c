/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - what is there from the start: actors, and flows of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "glovebox/graph.h"

/* NAME=FILE; or a file, whose name is its own.  What stands before a "=" and
 * is no name belongs to the file. */
const char *load_split(const char *text, char name[LOAD_NAME_BYTES])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const size_t bytes = strspn(text, letters);

    name[0] = '\0';
    if (text[bytes] != '=' || bytes == 0 || bytes >= LOAD_NAME_BYTES)
        return text;
    memcpy(name, text, bytes);
    name[bytes] = '\0';
    return text + bytes + 1;
}

int load_actor(struct daemon *daemon, const char *text, struct gbx_error *err)
{
    char name[LOAD_NAME_BYTES], *id;
    const char *path = load_split(text, name);
    int rc = actors_load_as(daemon, name[0] != '\0' ? name : NULL, path, false,
                            &id, err);

    if (rc < 0)
        return rc;
    fprintf(stderr, "gloveboxd: actor %s: %s\n", id, path);
    free(id);
    return 0;
}

int load_flow(struct daemon *daemon, const char *text, struct gbx_error *err)
{
    char name[LOAD_NAME_BYTES];
    const char *path = load_split(text, name);
    struct gbx_graph *graph;
    int rc;

    if (name[0] == '\0') {
        *err = (struct gbx_error){.code = GBX_EARGUMENT};
        snprintf(err->what, sizeof(err->what),
                 "--flow %.200s: NAME=FILE is expected", text);
        return err->code;
    }
    rc = gbx_graph_open(&graph, path, err);
    if (rc == 0)
        rc = flows_put(daemon, name, graph, false, err);
    if (rc < 0)
        return rc;
    fprintf(stderr, "gloveboxd: flow %s: %s\n", name, path);
    return 0;
}
