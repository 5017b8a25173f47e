/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - the daemon's parent: its lines become the log, and its end a note.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/project/run/run.h"

#define PIPE_BYTES 8192
#define LAST_MS    2000 /* for what still has the pipe, once it has ended */

struct gathered {
    struct log log;
    char text[PIPE_BYTES];
    size_t bytes;
};

/* False: nobody writes there any more. */
static bool gather(struct gathered *g, int lines)
{
    const ssize_t n =
        read(lines, g->text + g->bytes, sizeof(g->text) - g->bytes);
    char *from = g->text, *at;

    if (n <= 0)
        return n < 0 && errno == EINTR;
    g->bytes += (size_t)n;
    while ((at = memchr(from, '\n', g->bytes)) != NULL) {
        log_line(&g->log, from, (size_t)(at - from));
        g->bytes -= (size_t)(at + 1 - from);
        from = at + 1;
    }
    if (g->bytes == sizeof(g->text)) { /* one that is longer than there is */
        log_line(&g->log, from, g->bytes);
        g->bytes = 0;
    }
    memmove(g->text, from, g->bytes);
    return true;
}

static void describe(char text[160], int status)
{
    if (WIFSIGNALED(status))
        snprintf(text, 160, "it was killed by SIG%s (%d)%s",
                 sigabbrev_np(WTERMSIG(status)), WTERMSIG(status),
                 WTERMSIG(status) == SIGKILL
                     ? ", by somebody, or because memory was short"
                     : "");
    else if (WEXITSTATUS(status) == 0)
        snprintf(text, 160, "it was ended");
    else
        snprintf(text, 160, "it ended with status %d", WEXITSTATUS(status));
}

static void note(struct gathered *g, int to, int status)
{
    char text[160], line[400];
    struct timespec now;
    json_t *json;
    int bytes;

    clock_gettime(CLOCK_REALTIME, &now);
    describe(text, status);
    bytes = snprintf(line, sizeof(line), "gloveboxd: %s", text);
    log_line(&g->log, line, (size_t)bytes);
    json = json_pack("{s:s,s:b,s:I}", "how", text, "was_ended",
                     (int)(WIFEXITED(status) && WEXITSTATUS(status) == 0),
                     "at_s", (json_int_t)now.tv_sec);
    if (to >= 0 && ftruncate(to, 0) == 0)
        json_dumpfd(json, to, JSON_COMPACT);
    json_decref(json);
}

/* What is written there belongs to the one before. */
int watch_begin(const struct place *place)
{
    const int ended = place_lock(place, "ended");

    if (ended >= 0)
        (void)!ftruncate(ended, 0);
    return ended;
}

/* Until nobody writes lines any more; and, once the daemon has ended, not for
 * long: what it has started may still have the pipe. */
static void gather_all(struct gathered *g, pid_t daemon, int lines)
{
    struct pollfd wait[] = {{.fd = lines, .events = POLLIN},
                            {.fd = pidfd_open(daemon, 0), .events = POLLIN}};
    uint64_t until_ns = UINT64_MAX, now_ns;
    bool is_open = true;

    while (is_open && (now_ns = cli_now_ns()) < until_ns) {
        const int timeout_ms = until_ns == UINT64_MAX
                                   ? -1
                                   : (int)((until_ns - now_ns) / 1000000) + 1;

        if (poll(wait, 2, timeout_ms) <= 0)
            continue;
        if (wait[0].revents != 0)
            is_open = gather(g, lines);
        if (wait[1].revents != 0) {
            until_ns = cli_now_ns() + LAST_MS * 1000000ull;
            wait[1].events = 0;
            close(wait[1].fd);
            wait[1].fd = -1;
        }
    }
    if (wait[1].fd >= 0)
        close(wait[1].fd);
    if (g->bytes > 0)
        log_line(&g->log, g->text, g->bytes);
}

void watch(const struct place *place, int ended, pid_t daemon, int lines)
{
    static struct gathered g;
    int status = 0;

    log_open(&g.log, place->fd);
    gather_all(&g, daemon, lines);
    while (waitpid(daemon, &status, 0) < 0 && errno == EINTR)
        ;
    note(&g, ended, status);
    log_close(&g.log);
    if (ended >= 0)
        close(ended);
}

bool watch_ended(const struct place *place, char text[160])
{
    const int fd = place->fd >= 0 ? place_lock(place, "ended") : -1;
    json_t *json = fd >= 0 ? place_json(place, "ended") : NULL;
    const time_t at = (time_t)json_integer_value(json_object_get(json, "at_s"));
    const char *how = json_string_value(json_object_get(json, "how"));
    char when[32] = "";
    struct tm tm;

    if (how != NULL) {
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
        snprintf(text, 160, "%.110s, %s", how, when);
    }
    json_decref(json);
    if (fd >= 0)
        close(fd);
    return how != NULL;
}
