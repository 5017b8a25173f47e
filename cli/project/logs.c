/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - `glovebox logs`: what scripts print, with time and name. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

struct logs_options {
    const char *file;
    struct log_wanted wanted;
};

static const struct argp_option known[] = {
    PROJECT_OPTION('f' + 256),
    {"follow", 'f', NULL, 0, "And what comes, until the project ends", 0},
    {"tail", 'n', "N", 0, "The last lines alone", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct logs_options *o = state->input;

    switch (key) {
    case 'f' + 256:
        o->file = arg;
        return 0;
    case 'f':
        o->wanted.follow = true;
        return 0;
    case 'n':
        o->wanted.last =
            cli_option_number("tail", arg, 0, UINT64_MAX - 1, state);
        return 0;
    case ARGP_KEY_ARG:
        if (o->wanted.name != NULL)
            argp_error(state, "%s: one name at a time", arg);
        o->wanted.name = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = known,
    .parser = parse,
    .args_doc = "[NAME]",
    .doc = "What the scripts of a project print, and its daemon (gloveboxd), "
           "oldest first; NAME: of this script or flow alone.\v"
           "Exit status: 0; 2 wrong usage, or no such NAME; 127 there is no "
           "project, or no log."};

static bool is_known(const json_t *plan, const char *name)
{
    return name == NULL || strcmp(name, "gloveboxd") == 0 ||
           json_object_get(json_object_get(plan, "scripts"), name) != NULL ||
           json_object_get(json_object_get(plan, "flows"), name) != NULL;
}

int cli_logs(int argc, char **argv)
{
    static char name[] = "glovebox logs";
    struct logs_options o = {.wanted.last = UINT64_MAX};
    struct running running;
    struct gbx_error err;
    char text[160];
    int code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    code = running_open(&running, o.file);
    if (code != CLI_OK)
        return code;
    if (running.place.fd < 0) {
        snprintf(text, sizeof(text), "%s: glovebox up has not run yet",
                 running.name);
        code = cli_say(text, CLI_NO_FILE);
    } else if (!is_known(running.plan, o.wanted.name)) {
        snprintf(text, sizeof(text), "%s has no script or flow \"%.60s\"",
                 running.name, o.wanted.name);
        code = cli_say(text, CLI_USAGE);
    } else if (log_print(&running.place, &o.wanted, &err) < 0) {
        code = cli_fail(&err);
    }
    running_close(&running);
    return code;
}
