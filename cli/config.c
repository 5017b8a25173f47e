/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - `glovebox config`: what the configuration says, and what is wrong
 * in it; and the file that other commands take. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "glovebox/runtime.h"

struct config_options {
    const char *act, *file, *script;
};

enum { OPTION_FOR = 256 };

static const struct argp_option options[] = {
    {"for", OPTION_FOR, "SCRIPT", 0, "What is in force for this script alone",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct config_options *o = state->input;

    switch (key) {
    case OPTION_FOR:
        o->script = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->act == NULL) {
            if (strcmp(arg, "check") != 0 && strcmp(arg, "show") != 0)
                argp_error(state, "%s: check or show is expected", arg);
            o->act = arg;
        } else if (o->file != NULL) {
            argp_error(state, "one file at a time: %s or %s?", o->file, arg);
        } else {
            o->file = arg;
        }
        return 0;
    case ARGP_KEY_END:
        if (o->act == NULL)
            argp_error(state, "check or show is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "check|show [FILE]",
    .doc = "Check a configuration, and print what is in force: show prints it "
           "alone, as a configuration again.  Without FILE it is the one that "
           "glovebox run takes: $GLOVEBOX_CONFIG, ./glovebox.json, "
           "$XDG_CONFIG_HOME/glovebox/config.json (or ~/.config/...), "
           "/etc/glovebox/config.json, the first that is there.\v"
           "Examples:\n"
           "  glovebox config check\n"
           "  glovebox config show --for actors/resize.py\n"
           "\n"
           "Exit status: 0 fine, 1 something is wrong with it, 2 wrong usage."};

int cli_config(int argc, char **argv)
{
    static char name[] = "glovebox config";
    struct config_options o = {.act = NULL};
    struct gbx_error err = {0};
    struct gbx_config *config;
    const char *path;
    char *text;
    int rc;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (gbx_config_open(&config, o.file, &err) < 0)
        return cli_say(err.what, 1);
    path = gbx_config_path(config);
    if (strcmp(o.act, "check") == 0) {
        cli_print(stdout, path != NULL ? path : "no file was found",
                  strlen(path != NULL ? path : "no file was found"), true);
        puts(path != NULL ? ": all well" : ": the defaults hold");
    }
    rc = gbx_config_show(config, o.script, &text, &err);
    if (rc == 0) {
        cli_print(stdout, text, strlen(text), false);
        putchar('\n');
        free(text);
    }
    gbx_config_close(config);
    return rc < 0 ? cli_say(err.what, 1) : CLI_OK;
}

int cli_rules(struct gbx_config **rules, const char *file, bool none)
{
    struct gbx_error err = {0};

    *rules = NULL;
    if (none || gbx_config_open(rules, file, &err) == 0)
        return CLI_OK;
    return cli_say(err.what, err.code == GBX_EHOST ? CLI_HOST : CLI_USAGE);
}

const char *cli_rules_file(const char *arg, struct argp_state *state)
{
    if (arg[0] == '{' || arg[0] == '[')
        argp_error(state, "--config FILE names a file of rules; what a script "
                          "sees as its config is --script-config JSON");
    return arg;
}
