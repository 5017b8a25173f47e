/* SPDX-License-Identifier: Apache-2.0 */
/* down.c - `glovebox down` and `glovebox status`. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define ASK_MS 2000

enum { NOT_RUNNING = 3, NO_PROJECT = 4 }; /* as systemctl(1) status */

struct down_options {
    const char *file;
    uint64_t drain_ns;
};

static const struct argp_option down_known[] = {
    PROJECT_OPTION('f'),
    {"timeout", 't', "TIME", 0,
     "How long what runs may take to end; then it is killed; default 10s", 0},
    {0}};
static const struct argp_option status_known[] = {PROJECT_OPTION('f'), {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct down_options *o = state->input;

    switch (key) {
    case 'f':
        o->file = arg;
        return 0;
    case 't':
        o->drain_ns = cli_option_time("timeout", arg, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp down_argp = {
    .options = down_known,
    .parser = parse,
    .doc = "End a project: nobody new is let in, what runs may end.\v"
           "Exit status: 0 it is ended, or was not up; 125 it cannot be "
           "ended; 127 there is no project."};

static const struct argp status_argp = {
    .options = status_known,
    .parser = parse,
    .doc = "One line on a project, and an exit status for scripts.\v"
           "Exit status: 0 it is up; 3 it is not; 4 there is no project, or "
           "it cannot be told."};

static void say_what_runs(const struct running *running)
{
    json_t *stats, *actor;
    struct gbx_error err;
    size_t i;

    if (run_ask(&running->place, running->pidfd, ASK_MS, &stats, &err) < 0)
        return;
    json_array_foreach(json_object_get(stats, "actors"), i, actor)
    {
        const json_int_t calls =
            json_integer_value(json_object_get(actor, "running"));

        if (calls > 0)
            printf("%s runs %lld call%s, which may end\n",
                   json_string_value(json_object_get(actor, "id")),
                   (long long)calls, calls == 1 ? "" : "s");
    }
    fflush(stdout);
    json_decref(stats);
}

static int end(struct running *running, uint64_t drain_ns)
{
    struct gbx_error err;
    char how[160];
    int rc;

    say_what_runs(running);
    rc = run_end(running->pidfd, drain_ns, &err);
    if (rc < 0)
        return cli_fail(&err);
    watch_ended(&running->place, how); /* it is written down by then */
    printf("%s is down%s: %zu script%s\n", running->name,
           rc == 1 ? ", and was killed: what ran did not end in time" : "",
           json_object_size(json_object_get(running->plan, "scripts")),
           json_object_size(json_object_get(running->plan, "scripts")) == 1
               ? ""
               : "s");
    return CLI_OK;
}

int cli_down(int argc, char **argv)
{
    static char name[] = "glovebox down";
    struct down_options o = {.drain_ns = PROJECT_DRAIN_NS};
    struct running running;
    int lock = -1, code;

    argv[0] = name;
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&down_argp, argc, argv, 0, NULL, &o);
    code = running_open(&running, o.file);
    if (code != CLI_OK)
        return code;
    if (running.place.fd >= 0) { /* one that is just being started, too */
        lock = place_lock(&running.place, "up");
        if (running.pidfd < 0)
            running.pidfd = place_daemon(&running.place, &running.pid);
    }
    if (running.pidfd >= 0)
        code = end(&running, o.drain_ns);
    else
        printf("%s is not up\n", running.name);
    if (lock >= 0)
        close(lock);
    running_close(&running);
    return code;
}

int cli_status(int argc, char **argv)
{
    static char name[] = "glovebox status";
    struct down_options o = {.file = NULL};
    struct running running;
    char how[200];

    argv[0] = name;
    argp_err_exit_status = NO_PROJECT;
    argp_parse(&status_argp, argc, argv, 0, NULL, &o);
    if (running_open(&running, o.file) != CLI_OK)
        return NO_PROJECT;
    if (running.pidfd >= 0) {
        printf("%s is up, pid %d\n", running.name, (int)running.pid);
    } else {
        running_ended(&running, how);
        printf("%s is not up: %s\n", running.name, how);
    }
    running_close(&running);
    return running.pidfd >= 0 ? CLI_OK : NOT_RUNNING;
}
