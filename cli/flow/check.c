/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - `glovebox flow check`: does a graph make sense? */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/flow/flow.h"

#define TIMEOUT_NS 10000000000u

struct check_options {
    const char *path;
    bool json, quick;
    struct flow_scripts scripts;
};

enum { OPTION_QUICK = 256 };

static const struct argp_option options[] = {
    {"quick", OPTION_QUICK, NULL, 0,
     "Look for the scripts, but do not load them: their ports are not known "
     "then",
     0},
    {"json", 'j', NULL, 0, "One JSON object a line for each finding", 0},
    {"timeout", 't', "TIME", 0,
     "How long loading a script may take, as 500ms or 5s; default 10s", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct check_options *o = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->scripts;
        return 0;
    case OPTION_QUICK:
        o->quick = true;
        return 0;
    case 'j':
        o->json = true;
        return 0;
    case 't':
        o->scripts.config.start_ns = cli_option_time("timeout", arg, state);
        return 0;
    case ARGP_KEY_ARG:
        if (o->path != NULL)
            argp_error(state, "one graph is checked at a time");
        o->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->path == NULL)
            argp_error(state, "the graph's file is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &flow_scripts_argp}, {0}};

static const struct argp argp = {
    .children = children,
    .options = options,
    .parser = parse,
    .args_doc = "GRAPH.json",
    .doc = "Say what is wrong with a graph, and what to do about it: names "
           "that lead nowhere, ports that a script does not have, types that "
           "do not fit, circles, inports that wait for what never comes.  The "
           "scripts are loaded, sealed, to learn their ports.\v"
           "Example:\n"
           "  glovebox flow check --scripts actors demo.graph.json\n"
           "\n"
           "Exit status: 0 there are no errors, 1 there are some, or the file "
           "is no graph; 2 wrong usage; 127 it is missing or unreadable."};

struct report {
    const struct check_options *options;
    size_t warnings;
};

static const char *level_of(const struct gbx_finding *finding)
{
    return finding->level == GBX_FINDING_ERROR ? "error" : "warning";
}

static void print_json(const char *path, const struct gbx_finding *finding)
{
    json_t *line =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "file", path, "level",
                  level_of(finding), "code", finding->code, "node",
                  finding->node, "port", finding->port, "text", finding->text);

    json_dumpf(flow_need(line), stdout, JSON_COMPACT);
    json_decref(line);
    putchar('\n');
}

static void print(void *context, const struct gbx_finding *finding)
{
    struct report *report = context;
    const char *path = report->options->path;

    report->warnings += finding->level == GBX_FINDING_WARNING;
    if (report->options->json) {
        print_json(path, finding);
        return;
    }
    cli_print(stdout, path, strlen(path), true);
    printf(": %s: ", level_of(finding));
    cli_print(stdout, finding->text, strlen(finding->text), true);
    putchar('\n');
}

static void print_sum(const struct gbx_graph *graph, size_t errors,
                      const struct report *report)
{
    const char *path = report->options->path;

    if (report->options->json)
        return;
    cli_print(stdout, path, strlen(path), true);
    if (errors + report->warnings == 0)
        printf(": %zu nodes, %zu connections, all well\n",
               gbx_graph_nodes(graph), gbx_graph_connections(graph));
    else
        printf(": %zu errors, %zu warnings\n", errors, report->warnings);
}

static int check(const struct gbx_graph *graph, const struct check_options *o)
{
    struct components components = {.how = &o->scripts, .is_quick = o->quick};
    struct report report = {.options = o};
    struct gbx_error err = {0};
    char folder[4096];
    size_t errors;

    flow_folder_of(folder, o->path);
    if (gbx_scripts_open(&components.scripts,
                         o->scripts.folder != NULL ? o->scripts.folder : folder,
                         &err) < 0)
        return cli_fail(&err);
    errors =
        gbx_graph_check(graph, components_find, &components, print, &report);
    gbx_scripts_close(components.scripts);
    components_fini(&components);
    if (errors == SIZE_MAX)
        return cli_say("no memory to check the graph", CLI_HOST);
    print_sum(graph, errors, &report);
    return errors > 0 ? CLI_FINDINGS : CLI_OK;
}

int cli_flow_check(int argc, char **argv)
{
    static char name[] = "glovebox flow check";
    struct check_options o = {
        .scripts.config = {.struct_bytes = sizeof(o.scripts.config),
                           .start_ns = TIMEOUT_NS}};
    struct gbx_graph *graph;
    int code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    code = flow_open_graph(&graph, o.path);
    if (code != CLI_OK)
        return code;
    code = flow_scripts_open(&o.scripts);
    if (code == CLI_OK)
        code = check(graph, &o);
    flow_scripts_close(&o.scripts);
    gbx_graph_close(graph);
    return code;
}
