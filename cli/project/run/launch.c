/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.c - gloveboxd as a project wants it: its command line, and what it is
 * handed (sd_listen_fds(3)): its socket, its lock, and secrets.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

enum { CONTROL = 3, LOCK, SECRETS }; /* as the daemon finds them */
_Static_assert(SECRETS == PROJECT_SECRET_FD, "where its configuration says");

/* ---- its command line ---- */

static void add(char **argv, size_t *at, char *text)
{
    argv[(*at)++] = text;
}

static void add_named(char **argv, size_t *at, const char *option,
                      json_t *things)
{
    const char *name;
    json_t *facts;
    char *text;

    json_object_foreach(things, name, facts)
    {
        if (asprintf(&text, "%s=%s=%s", option, name,
                     json_string_value(json_object_get(facts, "path"))) < 0)
            text = NULL;
        add(argv, at, text);
    }
}

static void free_command(char **argv, size_t count)
{
    for (size_t i = 1; argv != NULL && i < count; i++)
        free(argv[i]);
    free(argv);
}

static char **command_of(const struct place *place,
                         const struct project *project, bool is_trial)
{
    static char program[] = "gloveboxd";
    const size_t count = 3 + is_trial + json_array_size(project->options) +
                         json_object_size(project->scripts) +
                         json_object_size(project->flows);
    char **argv = calloc(count + 1, sizeof(*argv));
    json_t *option;
    size_t i, at = 0;
    char *text;

    if (argv == NULL)
        return NULL;
    add(argv, &at, program);
    add(argv, &at, strdup("--names"));
    if (asprintf(&text, "--config=%s/%s.json", place->path,
                 is_trial ? "trial" : "config") < 0)
        text = NULL;
    add(argv, &at, text);
    if (is_trial)
        add(argv, &at, strdup("--check"));
    json_array_foreach(project->options, i, option)
        add(argv, &at, strdup(json_string_value(option)));
    add_named(argv, &at, "--actor", project->scripts);
    add_named(argv, &at, "--flow", project->flows);
    for (i = 0; i < count; i++)
        if (argv[i] == NULL) {
            free_command(argv, count);
            return NULL;
        }
    return argv;
}

/* ---- what it becomes ---- */

/* They are moved out of the way, and then to where the daemon finds them. */
static void hand_over(const struct launch *launch)
{
    char number[16], names[32 + 8 * PROJECT_SECRETS] = "control:lock";
    int fds[2 + PROJECT_SECRETS] = {launch->control, launch->lock}, count = 2;

    for (size_t i = 0; i < launch->secrets.count; i++) {
        fds[count++] = launch->secrets.fds[i];
        strcat(names, ":secret");
    }
    for (int i = 0; i < count; i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, CONTROL + count);
    for (int i = 0; i < count; i++)
        if (fds[i] < 0 || dup2(fds[i], CONTROL + i) < 0)
            _exit(CLI_HOST);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", count);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

void launch_exec(const struct launch *launch, int lines)
{
    dup2(lines, STDOUT_FILENO);
    dup2(lines, STDERR_FILENO);
    hand_over(launch);
    if (chdir(launch->project->folder) < 0)
        _exit(CLI_HOST);
    unsetenv("NOTIFY_SOCKET");
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    _exit(cli_exec_daemon(launch->argv));
}

/* ---- */

int launch_open(struct launch *launch, const struct place *place,
                const struct project *project, bool is_trial,
                struct gbx_error *err)
{
    int rc;

    *launch = (struct launch){
        .place = place, .project = project, .control = -1, .lock = -1};
    launch->argv = command_of(place, project, is_trial);
    if (launch->argv == NULL)
        return project_fail(err, GBX_EHOST, "no memory for a project");
    rc = secret_open(&launch->secrets, project, err);
    if (rc < 0)
        launch_close(launch);
    return rc;
}

void launch_close(struct launch *launch)
{
    size_t count = 0;

    while (launch->argv != NULL && launch->argv[count] != NULL)
        count++;
    free_command(launch->argv, count);
    launch->argv = NULL;
    secret_close(&launch->secrets);
    if (launch->control >= 0)
        close(launch->control);
    if (launch->lock >= 0)
        close(launch->lock);
    launch->control = launch->lock = -1;
}
