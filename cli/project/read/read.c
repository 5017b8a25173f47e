/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - a project file as a whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/project/read/read.h"

/* What JSON lacks is nowhere a value. */
static int check_values(struct reading *reading, const json_t *node)
{
    json_t *value = node_value(node), *member;
    const char *key;
    size_t i;
    int rc = 0;

    if (json_is_null(value))
        return node_fail(reading, node,
                         "a date, a time, inf or nan is no value here");
    json_array_foreach(value, i, member) rc =
        rc < 0 ? rc : check_values(reading, member);
    json_object_foreach(value, key, member) rc =
        rc < 0 ? rc : check_values(reading, member);
    return rc;
}

static int read_name(struct reading *reading, void *to, const char *key,
                     json_t *node)
{
    const char *text;
    int rc = read_text(reading, key, node, &text);

    (void)to;
    if (rc == 0 && strlen(text) >= PROJECT_NAME_BYTES)
        rc = node_fail(reading, node, "\"name\" must be 1 to 63 bytes");
    if (rc == 0)
        strcpy(reading->project->name, text);
    return rc;
}

static json_t *sections_of(const json_t *tree, const char *name)
{
    return node_value(json_object_get(node_value(tree), name));
}

static int read_all(struct reading *reading, json_t *tree)
{
    static const struct key keys[] = {{"name", read_name, NULL},
                                      {"scripts", section_scripts, NULL},
                                      {"flows", section_flows, NULL},
                                      {"serve", section_serve, NULL},
                                      {"secrets", section_secrets, NULL},
                                      {"defaults", section_defaults, NULL},
                                      {"hosts", section_hosts, NULL},
                                      {NULL, NULL, NULL}};
    int rc = check_values(reading, tree);

    if (rc == 0)
        rc = read_table(reading, "a project", keys, NULL, tree);
    if (rc == 0 && json_object_size(reading->project->scripts) == 0)
        rc = project_fail(reading->err, GBX_EFORMAT,
                          "%s: a project has scripts: [scripts.NAME], with "
                          "path = \"x.py\"",
                          reading->project->shown);
    if (rc == 0)
        rc = scripts_settle(reading, sections_of(tree, "scripts"));
    if (rc == 0)
        rc = flows_settle(reading, sections_of(tree, "flows"));
    if (rc == 0 && sections_of(tree, "serve") == NULL) {
        json_array_append_new(reading->project->options,
                              json_string("--listen"));
        json_array_append_new(reading->project->options, json_string("none"));
    }
    return rc;
}

/* As short as it is clear. */
static void show(struct project *project)
{
    const size_t most = sizeof(project->shown) - 1,
                 bytes = strlen(project->path);
    char *here = getcwd(NULL, 0);
    const char *text =
        bytes > most ? project->path + bytes - most : project->path;

    if (here != NULL && strcmp(here, project->folder) == 0)
        text = project->path + strlen(project->folder) +
               (project->folder[1] != '\0');
    snprintf(project->shown, sizeof(project->shown), "%s", text);
    free(here);
}

int project_take(struct project *project, const char *path,
                 project_tree_fn *parse, struct gbx_error *err)
{
    const char *slash = strrchr(path, '/');
    struct reading reading = {.project = project, .err = err};
    json_t *tree;
    int rc;

    *project = (struct project){
        .path = strdup(path),
        .folder = strndup(path, slash == path ? 1 : (size_t)(slash - path)),
        .config = json_object(),
        .options = json_array(),
        .scripts = json_object(),
        .flows = json_object(),
        .files = json_object(),
        .secrets = json_object()};
    if (project->path == NULL || project->folder == NULL) {
        project_close(project);
        return project_fail(err, GBX_EHOST, "no memory for a project");
    }
    show(project);
    slash = strrchr(project->folder, '/');
    snprintf(project->name, sizeof(project->name), "%s",
             slash[1] != '\0' ? slash + 1 : "root");
    tree = parse(project, err);
    rc = tree != NULL ? read_all(&reading, tree) : err->code;
    json_decref(tree);
    if (rc < 0)
        project_close(project);
    return rc;
}

void project_close(struct project *project)
{
    free(project->path);
    free(project->folder);
    json_decref(project->config);
    json_decref(project->options);
    json_decref(project->scripts);
    json_decref(project->flows);
    json_decref(project->files);
    json_decref(project->secrets);
    *project = (struct project){.path = NULL};
}
