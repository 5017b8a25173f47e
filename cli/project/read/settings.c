/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - keys that the configuration has too: in defaults, of scripts,
 * and hosts.
 *
 * What they may be, its reader knows: each is given to it as a configuration of
 * this key alone, in the line where it stands in the project.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/project/read/read.h"
#include "glovebox/config.h"

/* A configuration, which is taken, as if it stood in this line. */
static int check(struct reading *reading, json_t *config, unsigned line)
{
    char *json = json_dumps(config, JSON_COMPACT), *text = NULL;
    const size_t bytes = json != NULL ? strlen(json) : 0;
    struct gbx_config *read;
    int rc = GBX_EHOST;

    json_decref(config);
    if (json != NULL)
        text = malloc(line + bytes);
    if (text != NULL) {
        memset(text, '\n', line - 1);
        memcpy(text + line - 1, json, bytes);
        rc = gbx_config_read(&read, reading->project->shown, text,
                             line - 1 + bytes, reading->err);
        if (rc == 0)
            gbx_config_close(read);
    } else {
        project_fail(reading->err, rc, "no memory for a project");
    }
    free(text);
    free(json);
    return rc;
}

int setting_put(struct reading *reading, json_t *to, const char *group,
                const char *key, const json_t *node)
{
    json_t *plain = node_plain(node), *all = json_object();
    int rc;

    json_object_set(all, key, plain);
    if (group != NULL)
        all = json_pack("{s:o}", group, all);
    rc = check(reading, json_pack("{s:o}", "defaults", all), node_line(node));
    if (group != NULL && json_object_get(to, group) == NULL)
        json_object_set_new(to, group, json_object());
    json_object_set_new(group != NULL ? json_object_get(to, group) : to, key,
                        plain);
    return rc;
}

int setting_read(struct reading *reading, void *to, const char *key,
                 json_t *node)
{
    const bool is_group =
        strcmp(key, "limits") == 0 || strcmp(key, "pool") == 0;
    json_t *table = node_value(node), *member;
    const char *name;
    int rc = 0;

    if (!is_group || !json_is_object(table))
        return setting_put(reading, to, NULL, key, node);
    json_object_foreach(table, name, member)
    {
        rc = setting_put(reading, to, key, name, member);
        if (rc < 0)
            return rc;
    }
    /* What only all of them say: as a pool's numbers. */
    return check(
        reading,
        json_pack("{s:{s:O?}}", "defaults", key, json_object_get(to, key)),
        node_line(node));
}

int image_read(struct reading *reading, void *to, const char *key, json_t *node)
{
    static const char folder[] = "rootfs:";
    const char *text = json_string_value(node_value(node));
    json_t *moved;
    int rc;

    if (text == NULL || (strncmp(text, "oci:", 4) != 0 &&
                         strncmp(text, "docker-archive:", 15) != 0 &&
                         strncmp(text, folder, 7) != 0))
        return setting_put(reading, to, NULL, key, node);
    if (text[0] != 'r')
        return node_fail(reading, node,
                         "\"image\" is \"%.60s\"; it must be a name of the "
                         "store: glovebox image pull %.60s --name my/app",
                         text, text);
    /* From the project's folder on, whoever reads it. */
    moved = text[7] == '/' ? json_string(text)
                           : json_sprintf("%s%s/%s", folder,
                                          reading->project->folder, text + 7);
    moved = json_pack("[i,o]", (int)node_line(node), moved);
    rc = setting_put(reading, to, NULL, key, moved);
    json_decref(moved);
    return rc;
}

static int read_cache(struct reading *reading, void *to, const char *key,
                      json_t *node)
{
    char *path;
    int rc = read_path(reading, key, node, &path);

    if (rc == 0)
        json_object_set_new(to, key, json_string(path));
    free(path);
    return rc;
}

int section_defaults(struct reading *reading, void *to, const char *key,
                     json_t *node)
{
    static const struct key keys[] = {
        SETTING_KEYS, {"cache", read_cache, NULL}, {NULL, NULL, NULL}};
    json_t *defaults = json_object();

    (void)to;
    (void)key;
    json_object_set_new(reading->project->config, "defaults", defaults);
    return read_table(reading, "[defaults]", keys, defaults, node);
}

/* Files of a host lie in the project's folder. */
static int move_files(struct reading *reading, json_t *host, json_t *node)
{
    static const char *const files[] = {"token_file", "ca"};
    char *path;
    int rc = 0;

    for (size_t i = 0; i < 2 && rc == 0; i++) {
        const json_t *file = json_object_get(node_value(node), files[i]);

        if (file == NULL)
            continue;
        rc = read_path(reading, files[i], file, &path);
        if (rc == 0)
            json_object_set_new(host, files[i], json_string(path));
        free(path);
    }
    return rc;
}

int section_hosts(struct reading *reading, void *to, const char *key,
                  json_t *node)
{
    json_t *hosts = json_array(), *member;
    size_t i;
    int rc = 0;

    (void)to;
    json_object_set_new(reading->project->config, key, hosts);
    if (!json_is_array(node_value(node)))
        return node_fail(reading, node,
                         "\"hosts\" must be a list, as [\"ws://box7:5556\"]");
    json_array_foreach(node_value(node), i, member)
    {
        json_t *host = node_plain(member);

        if (json_is_object(host))
            rc = move_files(reading, host, member);
        json_array_append_new(hosts, host);
        if (rc == 0)
            rc = check(reading, json_pack("{s:[O]}", "hosts", host),
                       node_line(member));
        if (rc < 0)
            return rc;
    }
    return 0;
}
