/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - scripts whose files change while they run are loaded anew. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/flow/run.h"

/* As it is now; false: it is no file. */
static bool look(const char *path, int64_t *changed_ns, int64_t *bytes)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    *changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    *bytes = (int64_t)st.st_size;
    return true;
}

static void add(void *context, const struct gbx_node_stats *stats)
{
    struct watched *watched = context;
    struct watched_file file;

    if (strcmp(stats->isolation, "native") == 0 ||
        !look(stats->component, &file.changed_ns, &file.bytes))
        return;
    file.node = flow_need(strdup(stats->node));
    file.path = flow_need(strdup(stats->component));
    watched->files = flow_need(realloc(
        watched->files, (watched->count + 1) * sizeof(*watched->files)));
    watched->files[watched->count++] = file;
}

void watched_open(struct watched *watched, struct gbx_flow *flow)
{
    *watched = (struct watched){.files = NULL};
    gbx_flow_stats(flow, add, watched);
}

void watched_close(struct watched *watched)
{
    for (size_t i = 0; i < watched->count; i++) {
        free(watched->files[i].node);
        free(watched->files[i].path);
    }
    free(watched->files);
    *watched = (struct watched){.files = NULL};
}

void watched_look(struct watched *watched, struct gbx_flow *flow)
{
    for (size_t i = 0; i < watched->count; i++) {
        struct watched_file *file = &watched->files[i];
        struct gbx_error err = {.what = ""};
        int64_t changed_ns, bytes;

        /* One that has gone for a moment is being written. */
        if (!look(file->path, &changed_ns, &bytes) || bytes == 0 ||
            (changed_ns == file->changed_ns && bytes == file->bytes))
            continue;
        file->changed_ns = changed_ns;
        file->bytes = bytes;
        if (gbx_flow_reload(flow, file->node, &err) < 0)
            fprintf(stderr, "glovebox: node %s goes on as it was: %s\n",
                    file->node, err.what);
        else
            fprintf(stderr, "glovebox: node %s: loaded anew\n", file->node);
    }
}
