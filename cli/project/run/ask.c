/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - the daemon is asked how it is, and ended. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define STATS_BYTES_MAX (64u << 20)
#define PROCESSES_MAX   4096

struct reply {
    char *text;
    size_t bytes, room;
};

/* Some of it.  1: that was all. */
static int take(struct reply *reply, int fd)
{
    ssize_t n;

    if (reply->room - reply->bytes < 4096) {
        char *more = reply->room < STATS_BYTES_MAX
                         ? realloc(reply->text, reply->room + 65536)
                         : NULL;

        if (more == NULL)
            return GBX_EHOST;
        reply->text = more;
        reply->room += 65536;
    }
    n = read(fd, reply->text + reply->bytes, reply->room - reply->bytes);
    if (n < 0)
        return errno == EINTR ? 0 : GBX_ECANCELED;
    reply->bytes += (size_t)n;
    return n == 0;
}

static int connect_there(const struct place *place)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof(name.sun_path), "/proc/self/fd/%d/control",
             place->fd);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0 &&
        send(fd, "stats\n", 6, MSG_NOSIGNAL) == 6)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int hear(int fd, int pidfd, uint64_t until_ns, struct reply *reply)
{
    int rc = 0;

    while (rc == 0) {
        struct pollfd wait[] = {{.fd = fd, .events = POLLIN},
                                {.fd = pidfd, .events = POLLIN}};
        const uint64_t now_ns = cli_now_ns();
        const int n = poll(wait, 2,
                           until_ns == UINT64_MAX ? -1
                           : until_ns <= now_ns
                               ? 0
                               : (int)((until_ns - now_ns) / 1000000) + 1);

        if (n == 0)
            return GBX_ETIME;
        if (n > 0 && wait[0].revents != 0)
            rc = take(reply, fd);
        else if (n > 0)
            rc = GBX_ECANCELED;
    }
    return rc < 0 ? rc : 0;
}

int run_ask(const struct place *place, int pidfd, int timeout_ms,
            json_t **stats, struct gbx_error *err)
{
    struct reply reply = {.text = NULL};
    const int fd = connect_there(place);
    int rc;

    *stats = NULL;
    if (fd < 0)
        return project_fail(err, GBX_EHOST, "%s/control: %s", place->path,
                            strerrordesc_np(errno));
    rc = hear(fd, pidfd,
              timeout_ms < 0 ? UINT64_MAX
                             : cli_now_ns() + (uint64_t)timeout_ms * 1000000,
              &reply);
    close(fd);
    if (rc == 0)
        *stats = json_loadb(reply.text, reply.bytes, JSON_ALLOW_NUL, NULL);
    free(reply.text);
    if (rc == 0 && *stats == NULL)
        rc = GBX_ECANCELED;
    return rc == 0 ? 0
                   : project_fail(err, rc, "%s",
                                  rc == GBX_ETIME ? "gloveboxd does not answer"
                                                  : "gloveboxd has ended");
}

static bool is_gone(int pidfd, uint64_t timeout_ns)
{
    const uint64_t until_ns = cli_now_ns() + timeout_ns;
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    uint64_t now_ns;

    do {
        now_ns = cli_now_ns();
        if (poll(&wait, 1,
                 now_ns < until_ns ? (int)((until_ns - now_ns) / 1000000) + 1
                                   : 0) > 0)
            return true;
    } while (now_ns < until_ns);
    return false;
}

int run_end(int pidfd, uint64_t timeout_ns, struct gbx_error *err)
{
    if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
        return project_fail(err, GBX_EHOST, "gloveboxd cannot be ended: %s",
                            strerrordesc_np(errno));
    if (is_gone(pidfd, timeout_ns))
        return 0;
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    return is_gone(pidfd, 10000000000u)
               ? 1
               : project_fail(err, GBX_EHOST, "gloveboxd cannot be killed");
}

/* ---- memory ---- */

struct process {
    pid_t pid, parent;
    bool is_ours;
};

static pid_t parent_of(const char *pid)
{
    char path[64], line[512] = "";
    const char *end;
    FILE *file;
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) != NULL &&
        (end = strrchr(line, ')')) != NULL)
        (void)!sscanf(end, ") %*c %d", &parent);
    fclose(file);
    return parent;
}

static uint64_t memory_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib << 10;
}

static size_t list_processes(struct process *all)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    while (dir != NULL && count < PROCESSES_MAX &&
           (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            all[count++] = (struct process){.pid = (pid_t)atoi(entry->d_name),
                                            .parent = parent_of(entry->d_name)};
    if (dir != NULL)
        closedir(dir);
    return count;
}

static bool has_parent(const struct process *all, size_t count,
                       const struct process *process, pid_t first)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].is_ours && all[i].pid == process->parent)
            return true;
    return process->parent == first;
}

uint64_t run_memory(pid_t pid)
{
    struct process *all = calloc(PROCESSES_MAX, sizeof(*all));
    const size_t count = all != NULL ? list_processes(all) : 0;
    uint64_t bytes = memory_of(pid);
    bool has_more = true;

    while (has_more) {
        has_more = false;
        for (size_t i = 0; i < count; i++)
            if (!all[i].is_ours && has_parent(all, count, &all[i], pid)) {
                all[i].is_ours = has_more = true;
                bytes += memory_of(all[i].pid);
            }
    }
    free(all);
    return bytes;
}
