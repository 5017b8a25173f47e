/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project_fuzz.c - any text as a project file.
 *
 * What is accepted becomes a configuration that the library takes; what is not,
 * is told with a line that the text has.  No path of it leads anywhere: each
 * "/" is taken out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/project/read/read.h"
#include "cli/project/toml/toml.h"
#include "glovebox/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *text;
static size_t text_bytes;

static json_t *parse(const struct project *project, struct gbx_error *err)
{
    struct toml_error bad;
    char *json = toml_read(text, text_bytes, &bad);
    json_t *tree = json != NULL ? json_loads(json, 0, NULL) : NULL;

    free(json);
    if (tree == NULL)
        project_fail(err, GBX_EFORMAT, "%s, line %u: %s", project->shown,
                     bad.line, bad.what);
    return tree;
}

static void check(const struct project *project)
{
    char *json = json_dumps(project->config, 0);
    struct gbx_config *config;
    struct gbx_error err;

    must(gbx_config_read(&config, "it", json, strlen(json), &err) == 0);
    gbx_config_close(config);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct project project;
    struct gbx_error err = {.what = ""};
    unsigned lines = 1, line;
    int rc;

    text = malloc(bytes + 1);
    text_bytes = bytes;
    for (size_t i = 0; i < bytes; i++) {
        text[i] = data[i] == '/' ? '.' : (char)data[i];
        lines += data[i] == '\n';
    }
    rc = project_take(&project, "/nowhere/at/all/glovebox.toml", parse, &err);
    if (rc == 0) {
        check(&project);
        project_close(&project);
    } else {
        must(err.what[0] != '\0');
        if (sscanf(err.what, "%*[^,], line %u:", &line) == 1)
            must(line >= 1 && line <= lines);
    }
    free(text);
    return 0;
}
