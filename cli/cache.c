/* SPDX-License-Identifier: Apache-2.0 */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "glovebox/cache.h"

struct cache_options {
    const char *act, *dir;
    uint64_t max_bytes;
    bool has_max;
};

enum { OPTION_MAX = 256, OPTION_CACHE };

static const struct argp_option options[] = {
    {"cache", OPTION_CACHE, "DIR", 0,
     "The directory; default $XDG_CACHE_HOME/glovebox, or ~/.cache/glovebox",
     0},
    {"max", OPTION_MAX, "SIZE", 0,
     "Of prune: how much may stay, as 100M; default none of it", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct cache_options *o = state->input;

    switch (key) {
    case OPTION_CACHE:
        o->dir = arg;
        return 0;
    case OPTION_MAX:
        o->max_bytes = cli_option_size("max", arg, state);
        o->has_max = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->act != NULL || (strcmp(arg, "ls") != 0 && strcmp(arg, "prune")))
            argp_error(state, "%s: ls or prune is expected", arg);
        o->act = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->act == NULL)
            argp_error(state, "ls or prune is expected");
        if (o->has_max && strcmp(o->act, "prune") != 0)
            argp_error(state, "--max is for prune");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "ls|prune",
    .doc = "List or remove what scripts start from: languages that have been "
           "started and scripts that have been loaded, as they lay in memory.\v"
           "What is removed is made again when it is needed, which is only "
           "slower.\n\nExit status: 0 fine, 2 wrong usage, 127 no such "
           "directory."};

struct sum {
    unsigned count;
    uint64_t bytes;
};

static void print_file(void *context, const struct gbx_cache_file *file)
{
    struct sum *sum = context;
    char when[32];
    time_t used = (time_t)file->used_s;
    struct tm tm;

    strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&used, &tm));
    printf("%7.1f MiB  %s  %s\n", (double)file->bytes / (1 << 20), when,
           file->name);
    sum->count++;
    sum->bytes += file->bytes;
}

int cli_cache(int argc, char **argv)
{
    static char name[] = "glovebox cache";
    struct cache_options o = {.act = NULL};
    char dir[4096];
    struct gbx_error err = {0};
    struct sum sum = {0};
    int rc;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.dir == NULL && gbx_cache_default(dir, sizeof(dir)) < 0)
        return cli_say("no cache directory: neither HOME nor XDG_CACHE_HOME is "
                       "set; use --cache DIR",
                       CLI_NO_FILE);
    if (o.dir == NULL)
        o.dir = dir;
    if (strcmp(o.act, "ls") == 0)
        rc = gbx_cache_list(o.dir, print_file, &sum, &err);
    else
        rc = gbx_cache_prune(o.dir, o.max_bytes, print_file, &sum, &err);
    if (rc < 0)
        return cli_fail(&err);
    printf("%u files, %.1f MiB %s %s\n", sum.count,
           (double)sum.bytes / (1 << 20),
           strcmp(o.act, "ls") == 0 ? "in" : "removed from", o.dir);
    return CLI_OK;
}
