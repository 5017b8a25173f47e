/* SPDX-License-Identifier: Apache-2.0 */
/* how.c - what holds for all scripts of a graph, by options and rules. */
#include <argp.h>

#include "cli/flow/flow.h"
#include "cli/image/image.h"
#include "glovebox/cache.h"

enum {
    OPTION_ISOLATION = 1024,
    OPTION_IMAGE,
    OPTION_CONFIG,
    OPTION_NO_CONFIG,
    OPTION_SCRIPTS
};

static const struct argp_option options[] = {
    {"scripts", 's', "FOLDER", 0,
     "Where components are looked for; default: the graph's folder", 0},
    {"isolation", OPTION_ISOLATION, "KIND", 0,
     "For all scripts, whatever their nodes say: auto, microvm, process, wasm "
     "or remote",
     0},
    {"image", OPTION_IMAGE, "IMAGE", 0,
     "An image for scripts whose nodes name none, as python:3.11-slim; it is "
     "pulled if it is not there",
     0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Rules for scripts, see glovebox config; default: the file that is found",
     0},
    {"no-config", OPTION_NO_CONFIG, NULL, 0, "No rules", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct flow_scripts *s = state->input;

    switch (key) {
    case 's':
        s->folder = arg;
        return 0;
    case OPTION_ISOLATION:
        s->config.isolation = cli_option_isolation(arg, state);
        return 0;
    case OPTION_IMAGE:
        s->image_name = arg;
        return 0;
    case OPTION_CONFIG:
        s->rules_file = cli_rules_file(arg, state);
        return 0;
    case OPTION_NO_CONFIG:
        s->no_rules = true;
        return 0;
    case ARGP_KEY_END:
        if (s->rules_file != NULL && s->no_rules)
            argp_error(state, "--config or --no-config?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp flow_scripts_argp = {.options = options, .parser = parse};

int flow_scripts_open(struct flow_scripts *s)
{
    int rc = cli_rules(&s->rules, s->rules_file, s->no_rules);

    if (rc == CLI_OK && s->image_name != NULL)
        rc = cli_image_open(&s->images, &s->image, NULL, s->image_name);
    if (rc == CLI_OK && s->image != NULL)
        s->config.root = gbx_image_root(s->image);
    return rc;
}

void flow_scripts_close(struct flow_scripts *s)
{
    gbx_image_close(s->image);
    gbx_images_close(s->images);
    gbx_config_close(s->rules);
}

/* What scripts print is not what was asked for. */
static void print(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    cli_print(stderr, text, bytes, false);
}

int flow_scripts_run(const struct flow_scripts *s, bool is_brief,
                     struct gbx_runtime **runtime, struct gbx_error *err)
{
    char cache[4096];
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                        .libexec_dir = cli_libexec(),
                                        .rules = s->rules,
                                        .is_brief = is_brief,
                                        .progress = cli_progress,
                                        .output = print};

    if (!is_brief && s->rules != NULL)
        config.cache_dir = gbx_config_cache(s->rules);
    if (!is_brief && config.cache_dir == NULL &&
        gbx_cache_default(cache, sizeof(cache)) == 0)
        config.cache_dir = cache;
    return gbx_runtime_open(runtime, &config, err);
}
