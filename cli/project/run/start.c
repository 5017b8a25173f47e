/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - the daemon is started, under who watches it.
 *
 * Its socket listens before it does, and is handed over with its lock
 * (sd_listen_fds(3)): so whoever asks waits until it can answer, and its path,
 * which may be longer than a socket's name can be, is only ever a name in a
 * folder that is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define BACKLOG 64
#define FD_MAX  1024

struct start {
    struct launch launch;
    int told[2]; /* the pid, by the watcher */
};

static int listen_there(const struct place *place, struct gbx_error *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlinkat(place->fd, "control", 0);
    snprintf(name.sun_path, sizeof(name.sun_path), "/proc/self/fd/%d/control",
             place->fd);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 &&
        fchmodat(place->fd, "control", 0600, 0) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    project_fail(err, GBX_EHOST, "%s/control: %s", place->path,
                 strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- the processes ---- */

static bool is_secret(const struct start *start, int fd)
{
    for (size_t i = 0; i < start->launch.secrets.count; i++)
        if (start->launch.secrets.fds[i] == fd)
            return true;
    return false;
}

/* All that this program has open is not the watcher's: it would hold locks. */
static void close_others(const struct start *start)
{
    for (int fd = 3; fd < FD_MAX; fd++)
        if (fd != start->launch.place->fd && fd != start->launch.control &&
            fd != start->launch.lock && fd != start->told[1] &&
            !is_secret(start, fd))
            close(fd);
}

static void become_watcher(struct start *start)
{
    const int nothing = open("/dev/null", O_RDWR);
    int lines[2], ended;
    char text[24];
    pid_t daemon;

    setsid();
    for (int fd = 0; fd < 3; fd++)
        dup2(nothing, fd);
    close_others(start);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* the daemon's end is its own */
    signal(SIGPIPE, SIG_IGN);
    (void)!chdir("/");
    secret_forget(start->launch.project);
    ended = watch_begin(start->launch.place);
    if (ended < 0 || pipe2(lines, O_CLOEXEC) < 0)
        _exit(CLI_HOST);
    daemon = fork();
    if (daemon == 0)
        launch_exec(&start->launch, lines[1]);
    close(lines[1]);
    close(start->launch.control);
    if (daemon > 0) {
        const int bytes = snprintf(text, sizeof(text), "%d\n", (int)daemon);

        (void)!pwrite(start->launch.lock, text, (size_t)bytes, 0);
        (void)!write(start->told[1], text, (size_t)bytes);
    }
    secret_close(&start->launch.secrets);
    close(start->launch.lock); /* the daemon alone holds it from now on */
    close(start->told[1]);
    if (daemon > 0)
        watch(start->launch.place, ended, daemon, lines[0]);
    _exit(0);
}

/* Its pid, as the watcher tells it. */
static int await(const struct start *start, int *pidfd, struct gbx_error *err)
{
    char text[24] = "";
    ssize_t n;

    do
        n = read(start->told[0], text, sizeof(text) - 1);
    while (n < 0 && errno == EINTR);
    *pidfd = n > 0 ? pidfd_open((pid_t)atoi(text), 0) : -1;
    if (n > 0 && *pidfd < 0 && errno == ESRCH)
        return project_fail(err, GBX_ECANCELED, "gloveboxd ended at once");
    return *pidfd >= 0
               ? 0
               : project_fail(err, GBX_EHOST, "gloveboxd cannot be started: %s",
                              strerrordesc_np(errno));
}

static int spawn(struct start *start, int *pidfd, struct gbx_error *err)
{
    pid_t watcher;
    int rc;

    fflush(NULL);
    if (pipe2(start->told, O_CLOEXEC) < 0)
        return project_fail(err, GBX_EHOST, "a pipe: %s",
                            strerrordesc_np(errno));
    watcher = fork();
    if (watcher == 0)
        become_watcher(start);
    close(start->told[1]);
    rc = watcher < 0
             ? project_fail(err, GBX_EHOST, "fork: %s", strerrordesc_np(errno))
             : await(start, pidfd, err);
    close(start->told[0]);
    return rc;
}

static int write_config(const struct place *place,
                        const struct project *project, struct gbx_error *err)
{
    json_t *plan = plan_of(project);
    char *config = json_dumps(project->config, JSON_INDENT(2)),
         *text = json_dumps(plan, JSON_INDENT(2));
    int rc = config != NULL && text != NULL
                 ? place_write(place, "config.json", config, err)
                 : project_fail(err, GBX_EHOST, "no memory for a project");

    if (rc == 0)
        rc = place_write(place, "plan.json", text, err);
    free(config);
    free(text);
    json_decref(plan);
    return rc;
}

int run_start(const struct place *place, const struct project *project,
              int *pidfd, struct gbx_error *err)
{
    struct start start;
    struct launch *launch = &start.launch;
    int rc = launch_open(launch, place, project, false, err);

    *pidfd = -1;
    if (rc < 0)
        return rc;
    launch->lock = place_take(place);
    if (launch->lock < 0)
        rc = project_fail(err, GBX_EHOST,
                          "%s/lock cannot be locked: another daemon has it",
                          place->path);
    if (rc == 0)
        rc = write_config(place, project, err);
    if (rc == 0)
        launch->control = listen_there(place, err);
    if (rc == 0)
        rc = launch->control >= 0 ? spawn(&start, pidfd, err) : GBX_EHOST;
    launch_close(launch);
    return rc;
}
