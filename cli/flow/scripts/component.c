/* SPDX-License-Identifier: Apache-2.0 */
/*
 * component.c - which ports the nodes of a graph have.
 *
 * A component is a file, found by its name, or the script whose own metadata
 * say that it is called so.  What a script says of itself is only known by
 * running it: sealed, once for each file and each sandbox that nodes want.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow/flow.h"
#include "glovebox/builtin.h"
#include "glovebox/image.h"

struct loaded {
    char *path;  /* owned */
    char *image; /* owned, or NULL */
    enum gbx_isolation isolation;
    struct gbx_limits limits;
    json_t *about; /* owned: its metadata, NULL where it cannot be loaded */
    struct gbx_component is;
    const char **inports, **outports; /* owned; the names are about's */
    int code;
    struct gbx_error err;
};

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

static int open_script(struct components *c, struct gbx_script **script,
                       const char *path, const struct gbx_script_config *config,
                       struct gbx_error *err)
{
    int rc = c->runtime != NULL
                 ? 0
                 : flow_scripts_run(c->how, true, &c->runtime, err);

    return rc == 0 ? gbx_script_open(script, c->runtime, path, config, err)
                   : rc;
}

static void ask(struct components *c, struct loaded *one,
                const struct gbx_script_config *config)
{
    struct gbx_script *script;

    one->code = open_script(c, &script, one->path, config, &one->err);
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

/* Without a sandbox, all that can be said is that the image is not here. */
static void ask_for_image(struct loaded *one)
{
    struct gbx_images *images;
    struct gbx_image *image = NULL;

    one->code = gbx_images_open(&images, NULL, &one->err);
    if (one->code == 0)
        one->code = gbx_image_open(&image, images, one->image, &one->err);
    gbx_image_close(image);
    gbx_images_close(images);
}

static bool is_it(const struct loaded *one, const char *path,
                  const struct gbx_script_config *config)
{
    return strcmp(one->path, path) == 0 &&
           (one->image == NULL) == (config->image == NULL) &&
           (one->image == NULL || strcmp(one->image, config->image) == 0) &&
           one->isolation == config->isolation &&
           memcmp(&one->limits, &config->limits, sizeof(one->limits)) == 0;
}

static struct loaded *load(struct components *c, const char *path,
                           const struct gbx_script_config *config)
{
    struct loaded *one;

    for (size_t i = 0; i < c->count; i++)
        if (is_it(c->loaded[i], path, config))
            return c->loaded[i];
    one = flow_need(calloc(1, sizeof(*one)));
    one->path = flow_need(strdup(path));
    if (config->image != NULL)
        one->image = flow_need(strdup(config->image));
    one->isolation = config->isolation;
    one->limits = config->limits;
    c->loaded =
        flow_need(realloc(c->loaded, (c->count + 1) * sizeof(struct loaded *)));
    c->loaded[c->count++] = one;
    if (!c->is_quick)
        ask(c, one, config);
    else if (one->image != NULL)
        ask_for_image(one);
    return one;
}

/* As the node wants it; NULL: what it says of that is wrong, which the check
 * tells itself. */
static struct loaded *load_for(struct components *c, const char *path,
                               const struct gbx_graph_node *node)
{
    struct gbx_script_config config = c->how->config;
    struct gbx_config *texts;
    struct loaded *one = NULL;

    if (gbx_config_apply_node(&texts, node->metadata, 0, &config, NULL) < 0)
        return NULL;
    config.pool = (struct gbx_pool_config){0}; /* one is enough */
    one = load(c, path, &config);
    gbx_config_close(texts);
    return one;
}

/* The script that calls itself so; NULL if none does. */
static struct loaded *find_by_metadata(struct components *c, const char *name)
{
    const struct gbx_discovered *found;

    for (size_t i = 0; !c->has_all && !c->is_quick &&
                       (found = gbx_scripts_at(c->scripts, i)) != NULL;
         i++)
        load(c, found->path, &c->how->config);
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
        component->is_native = 1;
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
    if (rc == GBX_EFILE)
        one = find_by_metadata(c, node->component);
    if (rc < 0 && one == NULL) /* one that is not loaded may be called so */
        return rc == GBX_EFILE && c->is_quick ? 0 : rc;
    one = load_for(c, one != NULL ? one->path : path, node);
    if (one == NULL)
        return 0;
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
        free(c->loaded[i]->image);
        free(c->loaded[i]);
    }
    free(c->loaded);
    gbx_runtime_close(c->runtime);
    *c = (struct components){0};
}
