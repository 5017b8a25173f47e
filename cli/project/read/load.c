/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the file's text, and the module that reads TOML. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/project/read/read.h"
#include "cli/project/toml/toml.h"

static toml_read_fn *find_reader(struct gbx_error *err)
{
    const char *folder = cli_libexec();
    char path[PATH_MAX];
    void *module;
    toml_read_fn *fn;

    snprintf(path, sizeof(path), "%s/glovebox-toml.so",
             folder != NULL ? folder : GLOVEBOX_LIBEXEC_DIR);
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    fn = module != NULL ? (toml_read_fn *)dlsym(module, "toml_read") : NULL;
    if (fn == NULL)
        project_fail(err, GBX_EUNSUPPORTED,
                     "what reads TOML cannot be loaded: %s", dlerror());
    return fn;
}

/* The tree of its values, or NULL. */
static json_t *parse(const struct project *project, struct gbx_error *err)
{
    toml_read_fn *read = find_reader(err);
    struct toml_error bad;
    char *text, *json;
    size_t bytes;
    json_t *tree;

    if (read == NULL || project_read_file(project->path, TOML_BYTES_MAX, &text,
                                          &bytes, err) < 0)
        return NULL;
    json = read(text, bytes, &bad);
    free(text);
    if (json == NULL) {
        project_fail(err, bad.line > 0 ? GBX_EFORMAT : GBX_EHOST,
                     "%s, line %u: %s", project->shown, bad.line, bad.what);
        return NULL;
    }
    tree = json_loads(json, 0, NULL);
    free(json);
    if (tree == NULL)
        project_fail(err, GBX_EHOST, "no memory for a project");
    return tree;
}

int project_open(struct project *project, const char *path,
                 struct gbx_error *err)
{
    return project_take(project, path, parse, err);
}
