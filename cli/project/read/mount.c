/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c - what a script sees of the host, "SOURCE:TARGET[:ro|cow]". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/project/read/read.h"
#include "glovebox/mount.h"

/* With its source from the project's folder on, whoever reads it. */
static int add_mount(struct reading *reading, json_t *list, const char *key,
                     const json_t *node)
{
    const char *text, *folder = reading->project->folder;
    struct gbx_mount mount;
    struct gbx_error why;
    struct stat st;
    char *own, *path;
    int rc = read_text(reading, key, node, &text);

    if (rc < 0)
        return rc;
    own = strdup(text);
    if (own == NULL)
        return project_fail(reading->err, GBX_EHOST, "no memory for a project");
    if (gbx_mount_parse(&mount, own, &why) < 0)
        rc = node_fail(reading, node, "\"%s\": %.180s", key, why.what);
    if (rc == 0 &&
        asprintf(&path, "%s%s%s", mount.source[0] == '/' ? "" : folder,
                 mount.source[0] == '/' ? "" : "/", mount.source) >= 0) {
        if (stat(path, &st) < 0)
            rc = node_fail(reading, node, "\"%s\": %s: %s", key, path,
                           strerrordesc_np(errno));
        json_array_append_new(
            list, json_pack("[i,o]", (int)node_line(node),
                            json_sprintf("%s:%s:%s", path, mount.target,
                                         mount.is_writable ? "cow" : "ro")));
        free(path);
    }
    free(own);
    return rc;
}

int mounts_read(struct reading *reading, void *to, const char *key,
                json_t *node)
{
    json_t *list = json_array(), *moved, *member;
    size_t i;
    int rc = 0;

    if (!json_is_array(node_value(node)))
        rc = node_fail(reading, node,
                       "\"%s\" must be a list of \"SOURCE:TARGET[:ro|cow]\"",
                       key);
    json_array_foreach(node_value(node), i, member) rc =
        rc < 0 ? rc : add_mount(reading, list, key, member);
    moved = json_pack("[i,o]", (int)node_line(node), list);
    if (rc == 0 && json_object_get(to, "mounts") != NULL)
        rc = node_fail(reading, node,
                       "\"%s\" is \"mounts\", which is there "
                       "already",
                       key);
    if (rc == 0)
        rc = setting_put(reading, to, NULL, "mounts", moved);
    json_decref(moved);
    return rc;
}
