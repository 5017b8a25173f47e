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

enum { CONTROL = 3, LOCK, SECRETS }; /* as the daemon finds them */
_Static_assert(SECRETS == PROJECT_SECRET_FD, "where its configuration says");

struct start {
    const struct place *place;
    const struct project *project;
    char **argv; /* owned, as are its texts but the first */
    int control, lock, told[2];
    struct secret_files secrets;
};

/* They are moved out of the way, and then to where the daemon finds them. */
static void hand_over(const struct start *start)
{
    char number[16], names[32 + 8 * PROJECT_SECRETS] = "control:lock";
    int fds[2 + PROJECT_SECRETS] = {start->control, start->lock}, count = 2;

    for (size_t i = 0; i < start->secrets.count; i++) {
        fds[count++] = start->secrets.fds[i];
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

static char **command_of(const struct place *place,
                         const struct project *project)
{
    static char program[] = "gloveboxd";
    const size_t count = 3 + json_array_size(project->options) +
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
    if (asprintf(&text, "--config=%s/config.json", place->path) < 0)
        text = NULL;
    add(argv, &at, text);
    json_array_foreach(project->options, i, option)
        add(argv, &at, strdup(json_string_value(option)));
    add_named(argv, &at, "--actor", project->scripts);
    add_named(argv, &at, "--flow", project->flows);
    for (i = 0; i < count; i++)
        if (argv[i] == NULL)
            return NULL;
    return argv;
}

/* ---- the processes ---- */

static void become_daemon(const struct start *start, int lines)
{
    dup2(lines, STDOUT_FILENO);
    dup2(lines, STDERR_FILENO);
    hand_over(start);
    if (chdir(start->project->folder) < 0)
        _exit(CLI_HOST);
    unsetenv("NOTIFY_SOCKET");
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    _exit(cli_exec_daemon(start->argv));
}

static bool is_secret(const struct start *start, int fd)
{
    for (size_t i = 0; i < start->secrets.count; i++)
        if (start->secrets.fds[i] == fd)
            return true;
    return false;
}

/* All that this program has open is not the watcher's: it would hold locks. */
static void close_others(const struct start *start)
{
    for (int fd = 3; fd < FD_MAX; fd++)
        if (fd != start->place->fd && fd != start->control &&
            fd != start->lock && fd != start->told[1] && !is_secret(start, fd))
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
    secret_forget(start->project);
    ended = watch_begin(start->place);
    if (ended < 0 || pipe2(lines, O_CLOEXEC) < 0)
        _exit(CLI_HOST);
    daemon = fork();
    if (daemon == 0)
        become_daemon(start, lines[1]);
    close(lines[1]);
    close(start->control);
    if (daemon > 0) {
        const int bytes = snprintf(text, sizeof(text), "%d\n", (int)daemon);

        (void)!pwrite(start->lock, text, (size_t)bytes, 0);
        (void)!write(start->told[1], text, (size_t)bytes);
    }
    secret_close(&start->secrets);
    close(start->lock); /* the daemon alone holds it from now on */
    close(start->told[1]);
    if (daemon > 0)
        watch(start->place, ended, daemon, lines[0]);
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
    struct start start = {.place = place,
                          .project = project,
                          .argv = command_of(place, project),
                          .control = -1,
                          .lock = place_take(place)};
    int rc = 0;

    *pidfd = -1;
    if (start.argv == NULL)
        rc = project_fail(err, GBX_EHOST, "no memory for a project");
    if (rc == 0 && start.lock < 0)
        rc = project_fail(err, GBX_EHOST,
                          "%s/lock cannot be locked: another daemon has it",
                          place->path);
    if (rc == 0)
        rc = write_config(place, project, err);
    if (rc == 0)
        rc = secret_open(&start.secrets, project, err);
    if (rc == 0)
        start.control = listen_there(place, err);
    if (rc == 0)
        rc = start.control >= 0 ? spawn(&start, pidfd, err) : GBX_EHOST;
    secret_close(&start.secrets);
    if (start.control >= 0)
        close(start.control);
    if (start.lock >= 0)
        close(start.lock);
    for (size_t i = 1; start.argv != NULL && start.argv[i] != NULL; i++)
        free(start.argv[i]);
    free(start.argv);
    return rc;
}
