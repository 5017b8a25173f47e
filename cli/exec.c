/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - `glovebox exec`: a Linux program, sealed, in the place of this
 * one: its streams, its exit status, and the signals that would end it.
 */
#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/image/image.h"
#include "glovebox/cache.h"
#include "glovebox/program.h"

#define ENV_MAX   256
#define WORDS_MAX 4096

enum {
    OPTION_ROOT = 256,
    OPTION_IMAGE,
    OPTION_STORE,
    OPTION_FOLDER,
    OPTION_MOUNT,
    OPTION_USER,
    OPTION_ISOLATION,
    OPTION_WORKDIR,
    OPTION_ENV,
    OPTION_TRACE,
    OPTION_CONFIG,
    OPTION_NO_CONFIG
};

struct exec_options {
    char **words; /* the program and its arguments */
    const char *env[ENV_MAX + 1];
    size_t env_count;
    uint64_t timeout_ns; /* 0: none */
    const char *image;   /* its root, and how it is run; or NULL */
    const char *store;   /* of images; or NULL */
    const char *config;  /* the file of rules; NULL: the one that is found */
    bool no_config;
    struct cli_mounts mounts;
    struct gbx_program_config program;
};

static const struct argp_option options[] = {
    {"root", OPTION_ROOT, "DIR", 0,
     "A folder that is its /; what it writes there stays in memory", 1},
    {"image", OPTION_IMAGE, "IMAGE", 0,
     "An image whose files are its /, as python:3.11-slim; it is pulled if it "
     "is not there.  Without a PROGRAM, what the image runs",
     1},
    {"store", OPTION_STORE, "DIR", 0,
     "Where images are; see glovebox image --help", 1},
    {"folder", OPTION_FOLDER, "DIR", 0,
     "A folder that it sees as /script, read-only, and starts in; by default "
     "the one of a PROGRAM outside of /usr",
     1},
    {"mount", OPTION_MOUNT, "SOURCE:TARGET[:ro|cow]", 0,
     "A folder or file of this computer that it sees as TARGET; what it "
     "changes there is refused, or with cow stays in memory; may come again",
     1},
    {"user", OPTION_USER, "USER[:GROUP]", 0,
     "Whom it takes itself for, as numbers, or names of its root; by default "
     "the image's user.  It has no rights from it",
     1},
    {"workdir", OPTION_WORKDIR, "DIR", 0, "Where it starts, in its own root",
     1},
    {"env", OPTION_ENV, "NAME=VALUE", 0,
     "Set a variable of its environment; NAME alone hands yours on", 1},
    {"trace", OPTION_TRACE, NULL, 0,
     "Print its system calls to standard error, as strace does", 1},
    {"isolation", OPTION_ISOLATION, "KIND", 0,
     "microvm, or process: weaker, but without KVM, and a program may start "
     "others there; default microvm",
     1},
    {"config", OPTION_CONFIG, "FILE", 0,
     "Rules for programs, too; default: the file that is found", 1},
    {"no-config", OPTION_NO_CONFIG, NULL, 0, "No rules", 1},
    {"timeout", 't', "TIME", 0, "Longest time, as 5s, 250ms, 2m; default none",
     2},
    {"memory", OPTION_MEMORY, "SIZE", 0, "Private memory; default 512M", 2},
    {"cpu", OPTION_CPU, "TIME", 0, "CPU time, at least 1s; default none", 2},
    {"threads", OPTION_THREADS, "N", 0, "Threads; default 64", 2},
    {"files", OPTION_FILES, "N", 0, "Open files; default 256", 2},
    {"disk", OPTION_DISK, "SIZE", 0, "What it may write; default 64M", 2},
    {0}};

static const char doc[] =
    "Run a Linux program in a micro-VM (or a process), with these standard "
    "streams.  It sees a read-only system and a private /tmp; it has no "
    "network, and starts no other programs.  Its streams are no terminal to it "
    "(python3 -i talks all the same); Ctrl-C ends it.\v"
    "Examples:\n"
    "  glovebox exec sha256sum <photo.jpg\n"
    "  glovebox exec --folder . python3 -c 'print(open(\"data\").read())'\n"
    "  glovebox exec --timeout 2s --memory 64M ./a.out\n"
    "  glovebox exec --root debian --trace /bin/ls -l\n"
    "  glovebox exec --image python:3.11-slim python3 -c 'print(6 * 7)'\n"
    "  glovebox exec --isolation process sh -c 'ls /usr | wc -l'\n"
    "\n"
    "Exit status: the program's; 128 + the signal that killed it (137 at the "
    "memory limit, 152 at that of CPU time); 124 out of time; 125 Glovebox or "
    "this computer failed, or wrong usage; 126 the program is none that runs "
    "here; 127 it, or a folder, is not there.";

/* NAME=VALUE as this program has it, or NULL. */
static const char *of_mine(const char *name)
{
    size_t length = strlen(name);

    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry;
    return NULL;
}

/* Where a variable of this name is, or would be. */
static size_t find_env(const struct exec_options *o, const char *entry)
{
    const size_t name = strcspn(entry, "=");
    size_t i = 0;

    while (i < o->env_count && strncmp(o->env[i], entry, name + 1) != 0)
        i++;
    return i;
}

static void add_env(struct exec_options *o, const char *arg,
                    struct argp_state *state)
{
    size_t name = strcspn(arg, "=");
    size_t i;

    if (name == 0)
        argp_error(state, "--env %s: NAME=VALUE is expected", arg);
    if (arg[name] == '\0')
        arg = of_mine(arg);
    if (arg == NULL) /* nor has the program inside it, then */
        return;
    i = find_env(o, arg);
    if (i == ENV_MAX)
        argp_error(state, "more than %d variables", ENV_MAX);
    o->env[i] = arg;
    o->env_count += i == o->env_count;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct exec_options *o = state->input;

    switch (key) {
    case 't':
        o->timeout_ns = cli_option_time("timeout", arg, state);
        return 0;
    case OPTION_ROOT:
        o->program.root = arg;
        return 0;
    case OPTION_IMAGE:
        o->image = arg;
        return 0;
    case OPTION_STORE:
        o->store = arg;
        return 0;
    case OPTION_FOLDER:
        o->program.folder = arg;
        return 0;
    case OPTION_MOUNT:
        cli_option_mount(&o->mounts, arg, state);
        return 0;
    case OPTION_USER:
        o->program.user = arg;
        return 0;
    case OPTION_ISOLATION:
        o->program.isolation =
            (enum gbx_isolation)cli_option_isolation(arg, state);
        return 0;
    case OPTION_WORKDIR:
        o->program.working_dir = arg;
        return 0;
    case OPTION_ENV:
        add_env(o, arg, state);
        return 0;
    case OPTION_TRACE:
        o->program.trace = cli_trace;
        return 0;
    case OPTION_CONFIG:
        o->config = cli_rules_file(arg, state);
        return 0;
    case OPTION_NO_CONFIG:
        o->no_config = true;
        return 0;
    case ARGP_KEY_ARG: /* all that follows is the program's */
        o->words = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        if (o->words == NULL && o->image == NULL)
            argp_error(state, "the PROGRAM is missing");
        if (o->image != NULL && o->program.root != NULL)
            argp_error(state, "--image and --root: which of them?");
        return 0;
    default:
        return cli_option_limit(&o->program.limits, key, arg, state);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "PROGRAM [ARGUMENT...]\n--image IMAGE [PROGRAM [ARGUMENT...]]",
    .doc = doc};

/* The thread that waits for signals which end this program, and with it the one
 * inside.  It ends when asked: pthread_cancel would load a library, which where
 * few files may be open aborts. */
struct watch {
    struct gbx_program *program;
    sigset_t signals;
    atomic_int number; /* that came, or 0 */
    atomic_bool over;  /* and then comes WATCH_LOOK */
    pthread_t thread;
};

/* From others it means nothing: no child is ours. */
#define WATCH_LOOK SIGCHLD

static void *watch(void *context)
{
    struct watch *self = context;
    int number;

    do
        if (sigwait(&self->signals, &number) != 0)
            return NULL;
    while (number == WATCH_LOOK && !atomic_load(&self->over));
    if (number != WATCH_LOOK) {
        atomic_store(&self->number, number);
        gbx_program_kill(self->program);
    }
    return NULL;
}

static void end_watch(struct watch *self)
{
    atomic_store(&self->over, true);
    pthread_kill(self->thread, WATCH_LOOK);
    pthread_join(self->thread, NULL);
}

/* Does what a program did without spoil its work, although it exited well?  Of
 * all else it may have asked only to see whether it is there. */
static bool is_missed(const char *lacked)
{
    static const char *const missed[] = {
        "processes:", "another program:", "the network:"};

    for (size_t i = 0; i < sizeof(missed) / sizeof(missed[0]); i++)
        if (strncmp(lacked, missed[i], strlen(missed[i])) == 0)
            return true;
    return false;
}

/* What is said when the program exited: why, if it asked for what is not
 * there. */
static int exited(const struct gbx_program *program, const char *name,
                  int status)
{
    const char *lacked = gbx_program_lacked(program);
    char text[GBX_ERROR_TEXT_MAX];

    if (lacked == NULL || (status == 0 && !is_missed(lacked)))
        return status;
    snprintf(text, sizeof(text),
             "%.80s exited with status %d; the last thing it asked for in "
             "vain: %.90s",
             name, status, lacked);
    return cli_say(text, status);
}

static int ended(int rc, int status, int number, const struct gbx_error *err)
{
    if (rc == GBX_ECANCELED && number != 0)
        return 128 + number;
    /* A closed pipe is how many a program ends that is well. */
    if (status == 128 + SIGPIPE)
        return status;
    cli_say(err->what, 0);
    return status >= 0 ? status : rc == GBX_ETIME ? CLI_TIME : CLI_HOST;
}

/* Those that would end this program.  What its parent had it ignore (nohup, a
 * job in the background) stays ignored; waited for, it would come. */
static void choose_signals(sigset_t *signals)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

    sigemptyset(signals);
    sigaddset(signals, WATCH_LOOK);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
        struct sigaction before;

        if (sigaction(ending[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            sigaddset(signals, ending[i]);
    }
}

static int run_program(struct gbx_program *program, const char *name,
                       const sigset_t *signals, uint64_t deadline_ns)
{
    struct watch self = {.program = program, .signals = *signals};
    struct gbx_error err = {0};
    int rc, status;

    pthread_sigmask(SIG_BLOCK, &self.signals, NULL);
    if (pthread_create(&self.thread, NULL, watch, &self) != 0)
        return cli_say("no thread to wait for signals", CLI_HOST);
    rc = gbx_program_run(program, deadline_ns, &status, &err);
    end_watch(&self);
    return rc == 0 ? exited(program, name, status)
                   : ended(rc, status, atomic_load(&self.number), &err);
}

static int open_failed(const struct gbx_error *err)
{
    int code = cli_fail(err);

    return code == CLI_NO_FILE || code == CLI_LOAD ? code : CLI_HOST;
}

/* Limits, the cache, and whether what it would run in is allowed.  A name that
 * is looked for in PATH meets the defaults alone. */
static int apply(const struct gbx_config *rules, struct exec_options *o,
                 char *cache, size_t bytes)
{
    const char *name = o->words[0], *dot = strrchr(name, '.');
    const bool is_module =
        dot != NULL && (strcmp(dot, ".wasm") == 0 || strcmp(dot, ".gbx") == 0);
    const enum gbx_isolation isolation =
        o->program.isolation != GBX_ISOLATION_AUTO ? o->program.isolation
        : is_module                                ? GBX_ISOLATION_WASM
                                                   : GBX_ISOLATION_MICROVM;
    struct gbx_script_config how = {.limits = o->program.limits};
    struct gbx_error err = {0};
    char text[GBX_ERROR_TEXT_MAX];
    const char *path = is_module || strchr(name, '/') != NULL ? name : NULL;

    if (gbx_config_apply(rules, path, &how, &err) < 0)
        return cli_say(err.what, CLI_HOST);
    if (!gbx_route_allows(&how.route, isolation, is_module)) {
        snprintf(text, sizeof(text),
                 "%.60s would run in %s, which %.120s does not allow", name,
                 gbx_isolation_name((int)isolation),
                 how.route.from != NULL ? how.route.from : "the policy");
        return cli_say(text, CLI_HOST);
    }
    o->program.limits = how.limits;
    if (gbx_config_cache(rules) != NULL) {
        snprintf(cache, bytes, "%s", gbx_config_cache(rules));
        o->program.cache_dir = cache;
    }
    return CLI_OK;
}

/* Those that it has unless somebody says otherwise. */
static const char *const usual_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                        "HOME=/tmp", "TMPDIR=/tmp",
                                        "LANG=C.UTF-8"};
#define USUAL (sizeof(usual_env) / sizeof(usual_env[0]))

/* The image's variables, but for those that were asked for. */
static bool add_image_env(struct exec_options *o, const char *const *env)
{
    for (; *env != NULL; env++) {
        size_t i = find_env(o, *env);

        if (i == ENV_MAX)
            return false;
        if (i < USUAL && o->env[i] == usual_env[i])
            o->env[i] = *env;
        else if (i == o->env_count)
            o->env[o->env_count++] = *env;
    }
    return true;
}

/* What runs: the image's entry point, before what was given, or else its own
 * command. */
static int add_image_words(struct exec_options *o,
                           const struct gbx_image_run *run, char *words[])
{
    const char *const *rest =
        o->words != NULL ? (const char *const *)o->words : run->command;
    size_t count = 0;

    for (int part = 0; part < 2; part++)
        for (const char *const *word = part == 0 ? run->entrypoint : rest;
             *word != NULL && count < WORDS_MAX; word++)
            memcpy(&words[count++], word, sizeof(*words));
    words[count] = NULL;
    o->words = words;
    if (count == 0)
        return cli_say("the image names no program: say which", CLI_HOST);
    return count < WORDS_MAX ? CLI_OK : cli_say("too many arguments", CLI_HOST);
}

static int use_image(struct exec_options *o, struct gbx_images **images,
                     struct gbx_image **image)
{
    static char *words[WORDS_MAX + 1];
    const struct gbx_image_run *run;
    int code;

    if (o->image == NULL)
        return CLI_OK;
    code = cli_image_open(images, image, o->store, o->image);
    if (code != CLI_OK)
        return code == CLI_NO_FILE ? code : CLI_HOST;
    run = gbx_image_run(*image);
    o->program.root = gbx_image_root(*image);
    if (o->program.user == NULL && run->user[0] != '\0')
        o->program.user = run->user;
    if (o->program.working_dir == NULL && run->working_dir[0] == '/')
        o->program.working_dir = run->working_dir;
    if (!add_image_env(o, run->env))
        return cli_say("the image has too many variables", CLI_HOST);
    return add_image_words(o, run, words);
}

/* All is settled but where it runs. */
static int exec_it(struct exec_options *o, uint64_t from_ns)
{
    struct gbx_program *program;
    struct gbx_error err = {0};
    struct gbx_config *rules;
    char cache[4096];
    sigset_t signals;
    int code;

    if (cli_rules(&rules, o->config, o->no_config) != CLI_OK)
        return CLI_HOST;
    o->program.libexec_dir = cli_libexec();
    o->program.progress = cli_progress;
    code = rules == NULL ? CLI_OK : apply(rules, o, cache, sizeof(cache));
    gbx_config_close(rules);
    if (code != CLI_OK)
        return code;
    if (o->program.cache_dir == NULL &&
        gbx_cache_default(cache, sizeof(cache)) == 0)
        o->program.cache_dir = cache;
    o->program.argv = (const char *const *)o->words;
    o->program.envp = o->env;
    o->program.mounts = o->mounts.all;
    o->program.mount_count = o->mounts.count;
    signal(SIGPIPE, SIG_IGN); /* the program inside gets its own */
    signal(SIGXFSZ, SIG_IGN);
    choose_signals(&signals);
    if (o->program.isolation == GBX_ISOLATION_PROCESS) /* which runs at once */
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (gbx_program_open(&program, o->words[0], &o->program, &err) < 0)
        return open_failed(&err);
    code = run_program(program, o->words[0], &signals,
                       o->timeout_ns != 0 ? from_ns + o->timeout_ns : 0);
    gbx_program_close(program);
    return code;
}

int cli_exec(int argc, char **argv)
{
    static char name[] = "glovebox exec";
    static const int streams[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct exec_options o = {
        .env_count = USUAL,
        .program = {.struct_bytes = sizeof(o.program), .stdio = streams}};
    uint64_t from_ns = cli_now_ns();
    struct gbx_images *images = NULL;
    struct gbx_image *image = NULL;
    int code;

    memcpy(o.env, usual_env, sizeof(usual_env));
    argv[0] = name;
    argp_err_exit_status = CLI_HOST;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
    code = use_image(&o, &images, &image);
    if (code == CLI_OK)
        code = exec_it(&o, o.image != NULL ? cli_now_ns() : from_ns);
    gbx_image_close(image);
    gbx_images_close(images);
    return code;
}
