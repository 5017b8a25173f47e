/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - `glovebox inspect`: what a script says of itself.  Only running
 * it tells, so it is run: sealed, as for a call that never comes.
 */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "glovebox/runtime.h"

#define FILES_MAX  256
#define TIMEOUT_NS 10000000000u

struct inspect_options {
    const char *files[FILES_MAX];
    int count;
    bool json;
    const char *config; /* the file, or NULL */
    bool no_config;
    struct gbx_script_config script;
};

enum { OPTION_ISOLATION = 256, OPTION_HIDE, OPTION_CONFIG, OPTION_NO_CONFIG };

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "One JSON object a line instead of a table", 0},
    {"timeout", 't', "TIME", 0,
     "How long loading one may take, as 500ms or 5s; default 10s", 0},
    {"isolation", OPTION_ISOLATION, "KIND", 0,
     "How it is sealed meanwhile: auto, microvm, process or wasm; default "
     "auto",
     0},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Rules for scripts; default: the file that is found", 0},
    {"no-config", OPTION_NO_CONFIG, NULL, 0, "No rules", 0},
    {"hide-folder", OPTION_HIDE, NULL, 0,
     "Do not show the script its own folder (as /script)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct inspect_options *o = state->input;

    switch (key) {
    case 'j':
        o->json = true;
        return 0;
    case 't':
        o->script.start_ns = cli_option_time("timeout", arg, state);
        return 0;
    case OPTION_ISOLATION:
        o->script.isolation = cli_option_isolation(arg, state);
        return 0;
    case OPTION_CONFIG:
        o->config = cli_rules_file(arg, state);
        return 0;
    case OPTION_NO_CONFIG:
        o->no_config = true;
        return 0;
    case OPTION_HIDE:
        o->script.hide_folder = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->count == FILES_MAX)
            argp_error(state, "more than %d scripts", FILES_MAX);
        o->files[o->count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->count == 0)
            argp_error(state, "the script's file is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE...",
    .doc = "Print what scripts say of themselves: component, description, "
           "ports, and whatever else stands in their metadata.  Each is loaded "
           "in a sandbox, and not called.\v"
           "Example:\n"
           "  glovebox inspect actors/*.py actors/*.js\n"
           "\n"
           "Exit status: 0 fine, else that of the last script that could not "
           "be loaded: 126; 127 it is missing or unreadable; 124 out of time; "
           "see glovebox-run(1)."};

/* What a script prints while it is loaded is not what was asked for. */
static void print(void *context, int stream, const void *text, size_t bytes)
{
    (void)context;
    (void)stream;
    cli_print(stderr, text, bytes, false);
}

static void print_row(const char *key, const char *text)
{
    printf("  %-18s ", key);
    cli_print(stdout, text, strlen(text), true);
    putchar('\n');
}

/* A list of names as words, anything else as JSON. */
static void print_value(const char *key, const json_t *value)
{
    char names[4096] = "";
    const json_t *name;
    char *text;
    size_t i, at = 0;

    if (json_is_string(value)) {
        print_row(key, json_string_value(value));
        return;
    }
    if (strcmp(key, "inports") == 0 || strcmp(key, "outports") == 0) {
        json_array_foreach(value, i, name) if (at < sizeof(names)) at +=
            (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
                             i > 0 ? ", " : "", json_string_value(name));
        print_row(key, at > 0 ? names : "(any)");
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    print_row(key, text != NULL ? text : "");
    free(text);
}

static int print_metadata(const char *file, const struct gbx_script *script,
                          bool as_json)
{
    json_t *about = json_loads(gbx_script_metadata(script), 0, NULL), *value;
    const char *key;

    if (!json_is_object(about)) {
        json_decref(about);
        return cli_say("the script's metadata are no JSON object", CLI_ENDED);
    }
    if (as_json) {
        json_object_set_new(about, "file", json_string(file));
        json_dumpf(about, stdout, JSON_COMPACT | JSON_SORT_KEYS);
        putchar('\n');
    } else {
        cli_print(stdout, file, strlen(file), true);
        putchar('\n');
        json_object_foreach(about, key, value) print_value(key, value);
    }
    json_decref(about);
    return CLI_OK;
}

static int inspect(struct gbx_runtime *runtime, const char *file,
                   const struct inspect_options *o)
{
    struct gbx_script *script;
    struct gbx_error err = {0};
    int rc;

    if (gbx_script_open(&script, runtime, file, &o->script, &err) < 0)
        return cli_fail(&err);
    rc = print_metadata(file, script, o->json);
    gbx_script_close(script);
    return rc;
}

int cli_inspect(int argc, char **argv)
{
    static char name[] = "glovebox inspect";
    struct inspect_options o = {
        .script = {.struct_bytes = sizeof(o.script), .start_ns = TIMEOUT_NS}};
    struct gbx_runtime_config config = {.struct_bytes = sizeof(config),
                                        .libexec_dir = cli_libexec(),
                                        .progress = cli_progress,
                                        .is_brief = true,
                                        .output = print};
    struct gbx_runtime *runtime;
    struct gbx_error err = {0};
    struct gbx_config *rules;
    int code = CLI_OK;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    code = cli_rules(&rules, o.config, o.no_config);
    if (code != CLI_OK)
        return code;
    config.rules = rules;
    if (gbx_runtime_open(&runtime, &config, &err) < 0) {
        gbx_config_close(rules);
        return cli_fail(&err);
    }
    for (int i = 0; i < o.count; i++) {
        int rc = inspect(runtime, o.files[i], &o);

        code = rc != CLI_OK ? rc : code;
    }
    gbx_runtime_close(runtime);
    gbx_config_close(rules);
    return code;
}
