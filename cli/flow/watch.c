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

static void add(struct watched *watched, const char *node, const char *path)
{
    struct watched_file file;

    if (!look(path, &file.changed_ns, &file.bytes))
        return;
    file.node = flow_need(strdup(node));
    file.path = flow_need(strdup(path));
    watched->files = flow_need(realloc(
        watched->files, (watched->count + 1) * sizeof(*watched->files)));
    watched->files[watched->count++] = file;
}

static void add_script(void *context, const struct gbx_node_stats *stats)
{
    if (strcmp(stats->isolation, "native") != 0)
        add(context, stats->node, stats->component);
}

void watched_open(struct watched *watched, struct gbx_flow *flow,
                  const char *graph)
{
    *watched = (struct watched){.files = NULL};
    add(watched, "", graph);
    gbx_flow_stats(flow, add_script, watched);
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

bool watched_look(struct watched *watched, struct gbx_flow *flow)
{
    bool is_other = false;

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
        if (file->node[0] == '\0')
            is_other = true;
        else if (gbx_flow_reload(flow, file->node, &err) < 0)
            fprintf(stderr, "glovebox: node %s goes on as it was: %s\n",
                    file->node, err.what);
        else
            fprintf(stderr, "glovebox: node %s: loaded anew\n", file->node);
    }
    return is_other;
}
