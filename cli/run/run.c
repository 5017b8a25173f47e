/* SPDX-License-Identifier: Apache-2.0 */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run/run.h"
#include "glovebox/cache.h"
#include "glovebox/wasm.h"

enum {
    OPTION_ISOLATION = 256,
    OPTION_WHY,
    OPTION_TRACE,
    OPTION_CONFIG,
    OPTION_NO_CONFIG,
    OPTION_SCRIPT_CONFIG,
    OPTION_HIDE,
    OPTION_STATS,
    OPTION_REPEAT,
    OPTION_PARALLEL,
    OPTION_BRANCH,
    OPTION_WIPE,
    OPTION_CACHE,
    OPTION_NO_CACHE,
    OPTION_IMAGE,
    OPTION_STORE,
    OPTION_SECRET,
    OPTION_MOUNT,
    OPTION_USER
};

static const struct argp_option options[] = {
    {"in", 'i', "PORT=VALUE", 0,
     "An input: JSON (plain, or {\"type\":..,\"data\":..}), or @FILE for the "
     "bytes of a file, @- for those of standard input",
     1},
    {"out", 'o', "PORT=FILE", 0,
     "Write what the port sends to a file: bytes and text as they are, other "
     "values as JSON",
     1},
    {"json", 'j', NULL, 0,
     "One line of JSON for each output, {\"port\",\"type\",\"data\"}; what the "
     "script prints goes to standard error",
     1},
    {"script-config", OPTION_SCRIPT_CONFIG, "JSON", 0,
     "What the script sees as its config", 1},
    {"stats", OPTION_STATS, NULL, 0, "Say how long it took, on standard error",
     1},
    {"timeout", 't', "TIME", 0,
     "Longest time for the call, as 5s, 250ms, 2m, and as long again for the "
     "start; default none",
     2},
    {"memory", OPTION_MEMORY, "SIZE", 0, "Private memory; default 256M", 2},
    {"cpu", OPTION_CPU, "TIME", 0, "CPU time, at least 1s; default none", 2},
    {"processes", OPTION_PROCESSES, "N", 0, "Processes and threads; default 64",
     2},
    {"files", OPTION_FILES, "N", 0, "Open files of a process; default 256", 2},
    {"disk", OPTION_DISK, "SIZE", 0, "Its private /tmp; default 64M", 2},
    {"output-limit", OPTION_OUTPUT, "SIZE", 0, "What it may print; default 16M",
     2},
    {"message-limit", OPTION_MESSAGE, "SIZE", 0,
     "The largest message, and all of one direction; default 1G", 2},
    {"isolation", OPTION_ISOLATION, "KIND", 0,
     "auto (the strongest this computer offers, unless a rule says "
     "otherwise), microvm, process, wasm or remote; default auto",
     3},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Rules for scripts, see glovebox config; default: the file that is "
     "found",
     3},
    {"no-config", OPTION_NO_CONFIG, NULL, 0, "No rules", 3},
    {"image", OPTION_IMAGE, "IMAGE", 0,
     "An image whose files it sees, and imports from, as python:3.11-slim; it "
     "is pulled if it is not there; micro-VMs and processes only",
     3},
    {"store", OPTION_STORE, "DIR", 0,
     "Where images are; see glovebox image --help", 3},
    {"secret", OPTION_SECRET, "NAME[=SOURCE]", 0,
     "What it may know by context.secret(NAME): from env:VARIABLE or "
     "file:PATH; "
     "default: the variable of that name; may come again",
     3},
    {"mount", OPTION_MOUNT, "SOURCE:TARGET[:ro|cow]", 0,
     "A folder or file of this computer that it sees as TARGET; what it "
     "changes there is refused, or with cow stays in memory; may come again",
     3},
    {"user", OPTION_USER, "USER[:GROUP]", 0,
     "Whom it takes itself for, as numbers, or names of the image; by default "
     "the image's user.  It has no rights from it",
     3},
    {"why", OPTION_WHY, NULL, 0,
     "Say which isolation it is and why, and why not another, on standard "
     "error",
     3},
    {"trace", OPTION_TRACE, NULL, 0,
     "Print the script's system calls to standard error, as strace does; "
     "micro-VMs only, so auto means microvm",
     3},
    {"repeat", OPTION_REPEAT, "N", 0,
     "Call it N times, each time in a sandbox that is as new (see --wipe)", 4},
    {"parallel", OPTION_PARALLEL, "M", 0, "In up to M sandboxes at once", 4},
    {"branch", OPTION_BRANCH, NULL, 0,
     "Call it once before; the N calls begin, each apart, where that one left "
     "the sandbox; micro-VMs only",
     4},
    {"wipe", OPTION_WIPE, "WHEN", 0,
     "When a sandbox becomes as it was when the script had been loaded: "
     "never, per-call, on-error; default per-call",
     4},
    {"cache", OPTION_CACHE, "DIR", 0,
     "Where to keep what scripts start from; default $XDG_CACHE_HOME/glovebox",
     4},
    {"no-cache", OPTION_NO_CACHE, NULL, 0, "Keep nothing, use nothing kept", 4},
    {"hide-folder", OPTION_HIDE, NULL, 0,
     "Do not show the script its own folder (as /script)", 3},
    {0}};

static const char doc[] =
    "Run a script, sealed, on messages: inputs go to its ports, what it sends "
    "comes out.  Python (.py) or JavaScript (.js, .mjs, .cjs).\v"
    "Examples:\n"
    "  glovebox run double.py --in input=21\n"
    "  glovebox run hello.js --in 'name=\"you\"'\n"
    "  glovebox run luma.py --in frame=@photo.rgb --out half=half.pgm\n"
    "  glovebox run mean.py --in 'xs=[1, 2.5]' --timeout 2s --memory 64M\n"
    "  glovebox run mean.py --in 'xs=[1, 2.5]' --remote ws://box7:5556\n"
    "\n"
    "Exit status: 0 fine; 1 the script raised an error; 2 wrong usage; 3 a "
    "limit was reached; 4 the sandbox ended unexpectedly; 124 out of time; 125 "
    "this computer refused; 126 the script cannot be loaded; 127 the script "
    "is missing or unreadable.";

static void add_text(const char **list, size_t *count, const char *what,
                     char *arg, struct argp_state *state)
{
    const char *equals = strchr(arg, '=');

    if (equals == NULL || equals == arg)
        argp_error(state, "--%s %s: PORT=... is expected", what, arg);
    for (size_t i = 0; i < *count; i++)
        if (strncmp(list[i], arg, (size_t)(equals - arg) + 1) == 0)
            argp_error(state, "--%s %s: each port once", what, arg);
    if (*count == RUN_PORTS_MAX)
        argp_error(state, "more than %d times --%s", RUN_PORTS_MAX, what);
    list[(*count)++] = arg;
}

static void parse_wipe(struct run_options *o, const char *arg,
                       struct argp_state *state)
{
    if (strcmp(arg, "never") == 0)
        o->script.wipe = GBX_WIPE_NEVER;
    else if (strcmp(arg, "per-call") == 0)
        o->script.wipe = GBX_WIPE_PER_CALL;
    else if (strcmp(arg, "on-error") == 0)
        o->script.wipe = GBX_WIPE_ON_ERROR;
    else
        argp_error(state, "--wipe %s: never, per-call or on-error", arg);
}

/* Options about more than one call, and where things are.  False: it is none of
 * them. */
static bool parse_many(struct run_options *o, int key, char *arg,
                       struct argp_state *state)
{
    switch (key) {
    case OPTION_REPEAT:
        o->repeat =
            (uint32_t)cli_option_number("repeat", arg, 1, 100000000, state);
        return true;
    case OPTION_PARALLEL:
        o->parallel = (uint32_t)cli_option_number("parallel", arg, 1,
                                                  RUN_PARALLEL_MAX, state);
        return true;
    case OPTION_BRANCH:
        o->branch = true;
        return true;
    case OPTION_WIPE:
        parse_wipe(o, arg, state);
        return true;
    case OPTION_CACHE:
        o->cache = arg;
        return true;
    case OPTION_NO_CACHE:
        o->no_cache = true;
        return true;
    case OPTION_STORE:
        o->store = arg;
        return true;
    case OPTION_CONFIG:
        o->config = cli_rules_file(arg, state);
        return true;
    case OPTION_NO_CONFIG:
        o->no_config = true;
        return true;
    default:
        return false;
    }
}

/* The same about what it sees. */
static bool parse_view(struct run_options *o, int key, char *arg,
                       struct argp_state *state)
{
    switch (key) {
    case OPTION_IMAGE:
        o->image = arg;
        return true;
    case OPTION_MOUNT:
        cli_option_mount(&o->mounts, arg, state);
        return true;
    case OPTION_USER:
        o->script.user = arg;
        return true;
    case OPTION_HIDE:
        o->script.hide_folder = 1;
        return true;
    default:
        return false;
    }
}

static void check(struct run_options *o, struct argp_state *state)
{
    if (o->file == NULL)
        argp_error(state, "the FILE of a script is missing");
    if (o->repeat > 1 && o->out_count > 0)
        argp_error(state, "--out is for one call, not for --repeat");
    if (o->branch && o->repeat < 2)
        argp_error(state, "--branch: --repeat N says how many calls");
    if (o->branch && o->script.wipe != GBX_WIPE_DEFAULT)
        argp_error(state, "--branch or --wipe? Branches are wiped each call");
    if (o->cache != NULL && o->no_cache)
        argp_error(state, "--cache or --no-cache?");
    remotes_settle(&o->remotes, &o->script);
    if (o->config != NULL && o->no_config)
        argp_error(state, "--config or --no-config?");
    if (o->secrets.count > 0)
        o->script.secrets = o->secrets.all;
    o->script.secret_count = o->secrets.count;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct run_options *o = state->input;

    if (parse_many(o, key, arg, state) || parse_view(o, key, arg, state))
        return 0;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->remotes;
        return 0;
    case 't':
        o->timeout_ns = cli_option_time("timeout", arg, state);
        return 0;
    case 'i':
        add_text(o->in, &o->in_count, "in", arg, state);
        return 0;
    case 'o':
        add_text(o->out, &o->out_count, "out", arg, state);
        return 0;
    case 'j':
        o->json = true;
        return 0;
    case OPTION_SCRIPT_CONFIG:
        o->script.config_json = arg;
        return 0;
    case OPTION_STATS:
        o->stats = true;
        return 0;
    case OPTION_ISOLATION:
        o->script.isolation = cli_option_isolation(arg, state);
        return 0;
    case OPTION_WHY:
        o->why = true;
        return 0;
    case OPTION_TRACE:
        o->script.trace = cli_trace;
        return 0;
    case OPTION_SECRET:
        secret_add(&o->secrets, arg, state);
        return 0;
    case ARGP_KEY_ARG:
        if (o->file != NULL)
            argp_error(state, "one script at a time: %s or %s?", o->file, arg);
        o->file = arg;
        return 0;
    case ARGP_KEY_END:
        check(o, state);
        return 0;
    default:
        return cli_option_limit(&o->script.limits, key, arg, state);
    }
}

static const struct argp_child children[] = {
    {.argp = &remotes_argp, .group = 5},
    {0}};

static const struct argp argp = {.options = options,
                                 .children = children,
                                 .parser = parse,
                                 .args_doc = "FILE",
                                 .doc = doc};

/* Where the rules do not let it run there, it is not even looked at; and they
 * may say where the cache is.  What is wrong with them is said later, once. */
static bool is_allowed(const struct run_options *o, char *cache, size_t bytes)
{
    struct gbx_script_config script = o->script;
    struct gbx_config *rules;
    bool is_allowed = false;

    cache[0] = '\0';
    if (o->no_config)
        return true;
    if (gbx_config_open(&rules, o->config, NULL) < 0)
        return false;
    if (gbx_config_apply(rules, o->file, &script, NULL) == 0)
        is_allowed = gbx_route_allows(&script.route, GBX_ISOLATION_WASM, 1);
    if (gbx_config_cache(rules) != NULL)
        snprintf(cache, bytes, "%s", gbx_config_cache(rules));
    gbx_config_close(rules);
    return is_allowed;
}

/* A module of WebAssembly with a main, which takes no messages, is run as the
 * program that it is.  What is wrong with one is said later, once. */
static bool is_program(const struct run_options *o)
{
    struct gbx_wasm_config config = {.struct_bytes = sizeof(config),
                                     .libexec_dir = cli_libexec(),
                                     .progress = cli_progress,
                                     .cache_dir = o->cache};
    const char *dot = strrchr(o->file, '.');
    struct gbx_wasm *module;
    struct gbx_error err;
    char cache[4096];
    bool is_one;

    if (dot == NULL || (strcmp(dot, ".wasm") != 0 && strcmp(dot, ".gbx") != 0))
        return false;
    /* Which no module has, and that is said. */
    if (o->mounts.count > 0 || o->script.user != NULL)
        return false;
    if (!is_allowed(o, cache, sizeof(cache)))
        return false;
    if (o->cache == NULL && !o->no_cache &&
        (cache[0] != '\0' || gbx_cache_default(cache, sizeof(cache)) == 0))
        config.cache_dir = cache;
    if (gbx_wasm_open(&module, o->file, &config, &err) < 0)
        return false;
    is_one = gbx_wasm_kind(module) == GBX_WASM_PROGRAM;
    gbx_wasm_close(module);
    return is_one;
}

int cli_run(int argc, char **argv)
{
    static char name[] = "glovebox run";
    struct run_options o = {.script.struct_bytes = sizeof(o.script),
                            .repeat = 1};

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (is_program(&o)) {
        char command[] = "exec", file[4096], config[4112];
        char *words[] = {command, config, file, NULL};

        snprintf(file, sizeof(file), "%s", o.file);
        snprintf(config, sizeof(config), "--%sconfig%s%s",
                 o.no_config ? "no-" : "", o.config != NULL ? "=" : "",
                 o.config != NULL ? o.config : "");
        if (o.config != NULL || o.no_config)
            return cli_exec(3, words);
        words[1] = file;
        words[2] = NULL;
        return cli_exec(2, words);
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that left is told by write */
    signal(SIGXFSZ, SIG_IGN); /* and so is ulimit -f */
    return run(&o);
}
