/* SPDX-License-Identifier: Apache-2.0 */
/* up.c - `glovebox up`: a project is checked, and started. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/image/image.h"
#include "cli/project/run/run.h"

#define POOLS_NS 10000000000ull /* then it is up, and that is said */

enum { OPTION_FOREGROUND = 256, OPTION_CHECK };

struct up_options {
    const char *file;
    bool stays, checks;
    uint64_t drain_ns;
};

static const struct argp_option known[] = {
    PROJECT_OPTION('f'),
    {"detach", 'd', NULL, 0, "In the background: the default", 0},
    {"foreground", OPTION_FOREGROUND, NULL, 0,
     "Stay, print the log, and end it all at Ctrl-C", 0},
    {"check", OPTION_CHECK, NULL, 0, "Only say what is wrong with the file", 0},
    {"timeout", 't', "TIME", 0,
     "How long what runs may take to end where something has changed; default "
     "10s",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct up_options *o = state->input;

    switch (key) {
    case 'f':
        o->file = arg;
        return 0;
    case 'd':
        o->stays = false;
        return 0;
    case OPTION_FOREGROUND:
        o->stays = true;
        return 0;
    case OPTION_CHECK:
        o->checks = true;
        return 0;
    case 't':
        o->drain_ns = cli_option_time("timeout", arg, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = known,
    .parser = parse,
    .doc = "Start the scripts and flows of a project, as glovebox.toml says "
           "it, in the background; again: what has changed.\v"
           "Examples:\n"
           "  glovebox up --check\n"
           "  glovebox up && glovebox ps && glovebox logs -f\n"
           "\n"
           "Exit status: 0 it is up; 2 wrong usage, or the file is wrong; 125 "
           "it cannot be started, and why is said; 126 what has changed cannot "
           "be loaded, and what is up stays; 127 there is no file."};

/* ---- before it is started ---- */

static int pull_images(const struct project *project)
{
    const char *name;
    json_t *facts;
    int code = CLI_OK;

    json_object_foreach(project->scripts, name, facts)
    {
        const char *wanted = json_string_value(json_object_get(facts, "image"));
        struct gbx_images *images = NULL;
        struct gbx_image *image = NULL;

        if (wanted == NULL)
            continue;
        code = cli_image_open(&images, &image, NULL, wanted);
        if (image != NULL) /* what the name means now: it may mean another */
            json_object_set_new(facts, "image_digest",
                                json_string(gbx_image_info(image)->digest));
        gbx_image_close(image);
        gbx_images_close(images);
        if (code != CLI_OK)
            break;
    }
    return code;
}

static void count(const struct project *project, char text[100])
{
    const size_t scripts = json_object_size(project->scripts),
                 flows = json_object_size(project->flows);

    snprintf(text, 100, "%zu script%s", scripts, scripts == 1 ? "" : "s");
    if (flows > 0)
        snprintf(text + strlen(text), 100 - strlen(text), ", %zu flow%s", flows,
                 flows == 1 ? "" : "s");
}

/* ---- until it is ready ---- */

/* Sandboxes that are to be made ahead, and are not there yet. */
static uint64_t missing(const struct project *project, const json_t *stats)
{
    json_t *actor;
    uint64_t count = 0;
    size_t i;

    json_array_foreach(json_object_get(stats, "actors"), i, actor)
    {
        const char *id = json_string_value(json_object_get(actor, "id"));
        const json_t *pool = json_object_get(actor, "pool");
        const json_int_t wanted = json_integer_value(json_object_get(
                             json_object_get(project->scripts, id), "ready")),
                         there =
                             json_integer_value(json_object_get(pool, "total"));

        count += wanted > there ? (uint64_t)(wanted - there) : 0;
    }
    return count;
}

static int await_ready(const struct place *place, const struct project *project,
                       int pidfd, json_t **stats, struct gbx_error *err)
{
    const uint64_t until_ns = cli_now_ns() + POOLS_NS;
    int rc = run_ask(place, pidfd, -1, stats, err);

    while (rc == 0 && missing(project, *stats) > 0 && cli_now_ns() < until_ns) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        json_decref(*stats);
        rc = run_ask(place, pidfd, -1, stats, err);
    }
    if (rc == 0 && missing(project, *stats) > 0)
        cli_say("not all sandboxes that pools want are there yet: glovebox ps "
                "says how many, glovebox logs perhaps why",
                0);
    return rc;
}

static void say_up(const struct project *project, const json_t *stats)
{
    char counted[100], url[100];

    count(project, counted);
    cli_print(stdout, project->name, strlen(project->name), true);
    printf(" is up: %s%s%s\n", counted,
           run_url(project->options, stats, url) ? ", " : "", url);
}

/* Why not: what the daemon said last. */
static int say_not(const struct place *place, struct gbx_error *err)
{
    char how[160];

    if (err->code == GBX_ECANCELED) {
        log_print_end(place);
        if (watch_ended(place, how)) {
            fprintf(stderr, "glovebox: gloveboxd did not start: %s\n", how);
            return CLI_HOST;
        }
    }
    return cli_fail(err);
}

/* ---- in the foreground ---- */

static int the_daemon = -1; /* for the handler */

static void on_signal(int number)
{
    (void)number;
    pidfd_send_signal(the_daemon, SIGTERM, NULL, 0);
}

static int stay(const struct place *place, int pidfd, struct gbx_error *err)
{
    const struct sigaction action = {.sa_handler = on_signal};
    const struct log_wanted wanted = {.last = UINT64_MAX, .follow = true};
    json_t *ended;
    int rc;

    the_daemon = pidfd;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    if (log_print(place, &wanted, err) < 0)
        return cli_fail(err);
    ended = place_json(place, "ended");
    rc = json_is_true(json_object_get(ended, "was_ended")) ? CLI_OK : CLI_HOST;
    json_decref(ended);
    return rc;
}

/* ---- and all of it ---- */

static int start(const struct place *place, const struct project *project,
                 int *pidfd)
{
    struct gbx_error err = {.what = ""};
    json_t *stats = NULL;
    int rc = run_start(place, project, pidfd, &err);

    if (rc == 0)
        rc = await_ready(place, project, *pidfd, &stats, &err);
    if (rc == 0)
        say_up(project, stats);
    json_decref(stats);
    return rc == 0 ? CLI_OK : say_not(place, &err);
}

/* One is up.  1: it is as the file says; 0: it was another, and is no more. */
static int replace(const struct place *place, const struct project *project,
                   int pidfd, pid_t pid, const struct up_options *o)
{
    json_t *was = place_json(place, "plan.json"), *is = plan_of(project);
    struct gbx_error err;
    char differs[400];
    int rc = 1;

    plan_differs(was, is, differs);
    if (differs[0] == '\0')
        secret_differs(project, pid, differs);
    json_decref(was);
    json_decref(is);
    if (differs[0] == '\0') {
        printf("%s is up already, and nothing has changed\n", project->name);
        return 1;
    }
    printf("changed: %s\n", differs);
    if (run_try(place, project, &err) < 0)
        return -cli_fail(&err);
    printf("it ends, and starts anew\n");
    fflush(stdout);
    rc = run_end(pidfd, o->drain_ns, &err);
    if (rc == 1)
        cli_say("what ran did not end in time, and was killed", 0);
    return rc < 0 ? -cli_fail(&err) : 0;
}

static int bring_up(const struct project *project, const struct up_options *o)
{
    struct gbx_error err;
    struct place place;
    pid_t pid;
    int lock, pidfd, rc = 0;
    bool is_new;

    if (place_open(&place, project->path, true, &err) < 0)
        return cli_fail(&err);
    lock = place_lock(&place, "up"); /* one at a time */
    pidfd = place_daemon(&place, &pid);
    if (pidfd >= 0) {
        rc = replace(&place, project, pidfd, pid, o);
        close(pidfd);
        pidfd = -1;
    }
    is_new = rc == 0;
    if (is_new)
        rc = start(&place, project, &pidfd);
    else
        rc = rc > 0 ? CLI_OK : -rc;
    if (lock >= 0)
        close(lock);
    if (is_new && rc == CLI_OK && o->stays)
        rc = stay(&place, pidfd, &err);
    if (pidfd >= 0)
        close(pidfd);
    place_close(&place);
    return rc;
}

int cli_up(int argc, char **argv)
{
    static char name[] = "glovebox up";
    struct up_options o = {.drain_ns = PROJECT_DRAIN_NS};
    struct project project;
    struct gbx_error err;
    char *path, text[100];
    int code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (project_find(&path, o.file, &err) < 0)
        return cli_fail(&err);
    code = project_open(&project, path, &err) < 0 ? cli_fail(&err) : CLI_OK;
    free(path);
    if (code != CLI_OK)
        return code;
    if (project_check_secrets(&project, &err) < 0)
        code = cli_fail(&err);
    if (code == CLI_OK && o.checks) {
        count(&project, text);
        printf("%s: all well: %s\n", project.shown, text);
    } else if (code == CLI_OK) {
        code = pull_images(&project);
        if (code == CLI_OK)
            code = bring_up(&project, &o);
    }
    project_close(&project);
    return code;
}
