/* SPDX-License-Identifier: Apache-2.0 */
/*
 * component.c - which ports the nodes of a graph have.
 *
 * A component is a file, found by its name, or the script whose own metadata
 * say that it is called so.  What a script says of itself is only known by
 * running it: sealed, once for each file.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow/flow.h"
#include "glovebox/builtin.h"

struct loaded {
    char *path;    /* owned */
    json_t *about; /* owned: its metadata, NULL where it cannot be loaded */
    struct gbx_component is;
    const char **inports, **outports; /* owned; the names are about's */
    int code;
    struct gbx_error err;
};

/* What a script prints while it is loaded is not what was asked for. */
static void print(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    cli_print(stderr, text, bytes, false);
}

static int open_runtime(struct components *c, struct gbx_error *err)
{
    const struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                              .libexec_dir = cli_libexec(),
                                              .progress = cli_progress,
                                              .is_brief = true,
                                              .output = print};

    return c->runtime != NULL ? 0 : gbx_runtime_open(&c->runtime, &config, err);
}

/* A list of names; NULL for none, since a script that names no port takes
 * any. */
static const char **names_of(const json_t *about, const char *key)
{
    const json_t *list = json_object_get(about, key), *name;
    size_t count = json_array_size(list), i, at = 0;
    const char **names;

    if (count == 0)
        return NULL;
    names = flow_need(calloc(count + 1, sizeof(char *)));
    json_array_foreach(list, i, name)
    {
        if (json_is_string(name))
            names[at++] = json_string_value(name);
    }
    return names;
}

static void ask(struct components *c, struct loaded *one)
{
    struct gbx_script *script;

    one->code = open_runtime(c, &one->err);
    if (one->code == 0)
        one->code = gbx_script_open(&script, c->runtime, one->path, c->config,
                                    &one->err);
    if (one->code < 0)
        return;
    one->about = json_loads(gbx_script_metadata(script), 0, NULL);
    gbx_script_close(script);
    one->inports = names_of(one->about, "inports");
    one->outports = names_of(one->about, "outports");
    one->is.inports = one->inports;
    one->is.outports = one->outports;
    one->is.await_all_inports =
        json_is_true(json_object_get(one->about, "await_all_inports"));
}

static struct loaded *load(struct components *c, const char *path)
{
    struct loaded *one;

    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->loaded[i]->path, path) == 0)
            return c->loaded[i];
    one = flow_need(calloc(1, sizeof(*one)));
    one->path = flow_need(strdup(path));
    c->loaded =
        flow_need(realloc(c->loaded, (c->count + 1) * sizeof(struct loaded *)));
    c->loaded[c->count++] = one;
    if (!c->is_quick)
        ask(c, one);
    return one;
}

/* The script that calls itself so; NULL if none does. */
static struct loaded *find_by_metadata(struct components *c, const char *name)
{
    const struct gbx_discovered *found;

    for (size_t i = 0; !c->has_all && !c->is_quick &&
                       (found = gbx_scripts_at(c->scripts, i)) != NULL;
         i++)
        load(c, found->path);
    c->has_all = true;
    for (size_t i = 0; i < c->count; i++) {
        const char *called = json_string_value(
            json_object_get(c->loaded[i]->about, "component"));

        if (called != NULL && strcmp(called, name) == 0)
            return c->loaded[i];
    }
    return NULL;
}

/* One that comes with Glovebox. */
static bool find_builtin(const char *name, struct gbx_component *component)
{
    static const char *const none[] = {NULL};

    for (const struct gbx_actor_type *const *type = gbx_builtin_types;
         *type != NULL; type++) {
        if (strcmp((*type)->component, name) != 0)
            continue;
        component->inports = (*type)->inports != NULL ? (*type)->inports : none;
        component->outports =
            (*type)->outports != NULL ? (*type)->outports : none;
        component->await_all_inports = (*type)->await_all_inports;
        return true;
    }
    return false;
}

int components_find(void *context, const struct gbx_graph_node *node,
                    struct gbx_component *component, struct gbx_error *err)
{
    struct components *c = context;
    struct loaded *one = NULL;
    const char *path;
    int rc;

    if (find_builtin(node->component, component))
        return 0;
    rc = gbx_scripts_find(c->scripts, node->component, &path, err);
    if (rc == 0)
        one = load(c, path);
    else if (rc == GBX_EFILE)
        one = find_by_metadata(c, node->component);
    if (one == NULL) /* a script that is not loaded may be called so */
        return rc == GBX_EFILE && c->is_quick ? 0 : rc;
    *component = one->is;
    /* The file is there, so what fails is not that nobody has it. */
    if (one->code < 0)
        *err = one->err;
    return one->code == GBX_EFILE ? GBX_ELOAD : one->code;
}

int components_path(void *context, const char *component, const char **path,
                    struct gbx_error *err)
{
    struct components *c = context;
    int rc = gbx_scripts_find(c->scripts, component, path, err);
    struct loaded *one =
        rc == GBX_EFILE ? find_by_metadata(c, component) : NULL;

    if (one == NULL)
        return rc;
    *path = one->path;
    return 0;
}

void components_fini(struct components *c)
{
    for (size_t i = 0; i < c->count; i++) {
        json_decref(c->loaded[i]->about);
        free(c->loaded[i]->inports);
        free(c->loaded[i]->outports);
        free(c->loaded[i]->path);
        free(c->loaded[i]);
    }
    free(c->loaded);
    gbx_runtime_close(c->runtime);
    *c = (struct components){0};
}
