/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.c - what has changed is loaded once, by a daemon that then ends
 * (--check): so a script that cannot be loaded ends nothing that is up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define SAID_BYTES (64u << 10)
#define SAID_LINES 20

/* The last of what comes, until nobody writes any more. */
static size_t hear(int lines, char said[SAID_BYTES])
{
    size_t bytes = 0;
    ssize_t n;

    while ((n = read(lines, said + bytes, SAID_BYTES - bytes)) > 0 ||
           (n < 0 && errno == EINTR)) {
        bytes += n > 0 ? (size_t)n : 0;
        if (bytes == SAID_BYTES) {
            bytes /= 2;
            memmove(said, said + bytes, bytes);
        }
    }
    return bytes;
}

static void show(const char *said, size_t bytes)
{
    const char *end = said + bytes, *from = end;

    for (int lines = 0; from > said; from--) {
        lines += from[-1] == '\n';
        if (lines > SAID_LINES)
            break;
    }
    cli_print(stderr, from, (size_t)(end - from), false);
}

/* It never listens, and keeps nobody out. */
static int open_nothing(struct launch *launch, struct gbx_error *err)
{
    launch->control = open("/dev/null", O_RDWR | O_CLOEXEC);
    launch->lock = open("/dev/null", O_RDWR | O_CLOEXEC);
    return launch->control >= 0 && launch->lock >= 0
               ? 0
               : project_fail(err, GBX_EHOST, "/dev/null: %s",
                              strerrordesc_np(errno));
}

static int run(struct launch *launch, struct gbx_error *err)
{
    char *said = malloc(SAID_BYTES);
    int lines[2], status = 0;
    size_t bytes;
    pid_t child;

    if (said == NULL || pipe2(lines, O_CLOEXEC) < 0) {
        free(said);
        return project_fail(err, GBX_EHOST, "no memory, or pipe, for a trial");
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        secret_forget(launch->project);
        launch_exec(launch, lines[1]);
    }
    close(lines[1]);
    bytes = child > 0 ? hear(lines[0], said) : 0;
    close(lines[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        show(said, bytes);
    free(said);
    if (child < 0)
        return project_fail(err, GBX_EHOST, "fork: %s", strerrordesc_np(errno));
    return status == 0 ? 0
                       : project_fail(err, GBX_ELOAD,
                                      "it cannot be loaded; what is up stays "
                                      "as it was");
}

int run_try(const struct place *place, const struct project *project,
            struct gbx_error *err)
{
    char *config = json_dumps(project->config, JSON_INDENT(2));
    struct launch launch;
    int rc = launch_open(&launch, place, project, true, err);

    if (rc == 0 && config == NULL)
        rc = project_fail(err, GBX_EHOST, "no memory for a project");
    if (rc == 0)
        rc = place_write(place, "trial.json", config, err);
    if (rc == 0)
        rc = open_nothing(&launch, err);
    if (rc == 0)
        rc = run(&launch, err);
    unlinkat(place->fd, "trial.json", 0);
    launch_close(&launch);
    free(config);
    return rc;
}
