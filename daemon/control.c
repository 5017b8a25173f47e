/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - a socket for whoever started this daemon: it is told what
 * /v1/stats tells, whatever there is to do, and whoever may come in elsewhere.
 *
 * The socket is handed over (sd_listen_fds(3)) under the name "control"; who
 * may connect is its owner's business, but nobody of another user is answered.
 * A connection is a line, and an answer:
 *
 *   stats    the JSON of /v1/stats
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "daemon/daemon.h"

#define SILENCE_S 2

static struct {
    struct daemon *daemon; /* NULL: it has not been opened */
    int fd;
    pthread_t thread;
    atomic_bool is_over;
} control;

static bool is_own(int peer)
{
    struct ucred who;
    socklen_t bytes = sizeof(who);

    return getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

/* False: it asks for nothing that there is. */
static bool asks_for_stats(int peer)
{
    char line[16] = "";
    size_t count = 0;
    ssize_t n = 1;

    while (n > 0 && count < sizeof(line) - 1 && strchr(line, '\n') == NULL) {
        n = read(peer, line + count, sizeof(line) - 1 - count);
        count += n > 0 ? (size_t)n : 0;
        line[count] = '\0';
    }
    return strcmp(line, "stats\n") == 0;
}

static void answer(int peer)
{
    const struct timeval silence = {.tv_sec = SILENCE_S};
    json_t *stats;
    char *text;
    size_t bytes, at = 0;
    ssize_t n = 1;

    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    if (!is_own(peer) || !asks_for_stats(peer))
        return;
    stats = stats_json(control.daemon, "");
    text = json_dumps(stats, JSON_COMPACT);
    json_decref(stats);
    bytes = text != NULL ? strlen(text) : 0;
    for (; at < bytes && n > 0; at += n > 0 ? (size_t)n : 0)
        n = send(peer, text + at, bytes - at, MSG_NOSIGNAL);
    free(text);
}

static void *serve(void *context)
{
    (void)context;
    while (!atomic_load(&control.is_over)) {
        const int peer = accept4(control.fd, NULL, NULL, SOCK_CLOEXEC);

        if (peer < 0)
            continue;
        answer(peer);
        close(peer);
    }
    return NULL;
}

int control_open(struct daemon *daemon, int fd, struct gbx_error *err)
{
    control.fd = fd;
    control.daemon = daemon;
    if (pthread_create(&control.thread, NULL, serve, NULL) == 0)
        return 0;
    control.daemon = NULL;
    *err = (struct gbx_error){.code = GBX_EHOST,
                              .what = "a thread for the control socket"};
    return GBX_EHOST;
}

void control_close(void)
{
    if (control.daemon == NULL)
        return;
    atomic_store(&control.is_over, true);
    shutdown(control.fd, SHUT_RDWR); /* accept returns */
    pthread_join(control.thread, NULL);
    close(control.fd);
    control.daemon = NULL;
}
