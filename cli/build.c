/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - `glovebox build`: a module of WebAssembly, compiled ahead. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "glovebox/wasm.h"

struct build_options {
    const char *file, *to;
    unsigned how;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "Where the artefact goes; default: the module's name with .gbx", 0},
    {"ready", 'r', NULL, 0,
     "Run a script's main first, up to where it serves: it starts there, at "
     "once, wherever it is used",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct build_options *o = state->input;

    switch (key) {
    case 'o':
        o->to = arg;
        return 0;
    case 'r':
        o->how |= GBX_WASM_READY;
        return 0;
    case ARGP_KEY_ARG:
        if (o->file != NULL)
            argp_error(state, "one module at a time");
        o->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->file == NULL)
            argp_error(state, "the module's file is expected");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "MODULE.wasm",
    .doc = "Compile a module of WebAssembly into an artefact, which is run as "
           "the module is, but needs no compiler there.  (Without this, a "
           "module is compiled when it is run for the first time.)\v"
           "Example:\n"
           "  glovebox build filter.wasm -o filter.gbx\n"
           "  glovebox run filter.gbx --in in=@picture.pgm\n"
           "\n"
           "An artefact is native code: run those that you have made.  It fits "
           "the version of Glovebox that made it, on x86-64 processors since "
           "2009.\n"
           "\n"
           "Exit status: 0 fine; 126 it cannot be compiled; 127 it is missing "
           "or unreadable; 125 there is no compiler here, or it failed; see "
           "glovebox-build(1)."};

/* Its name with another end. */
static char *default_name(const char *file)
{
    const char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
    size_t bytes = dot != NULL && (slash == NULL || dot > slash)
                       ? (size_t)(dot - file)
                       : strlen(file);
    char *name;

    return asprintf(&name, "%.*s.gbx", (int)bytes, file) < 0 ? NULL : name;
}

int cli_build(int argc, char **argv)
{
    struct build_options o = {0};
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config),
                                     .libexec_dir = cli_libexec(),
                                     .progress = cli_progress};
    struct gbx_error err;
    char *name = NULL;
    int rc;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.to == NULL)
        o.to = name = default_name(o.file);
    if (o.to == NULL)
        return cli_say("no memory", CLI_HOST);
    rc = gbx_wasm_build(o.file, o.to, o.how, &config, &err);
    free(name);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}
