/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - what has happened, for Prometheus (exposition format 0.0.4). */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/worker/worker.h"

static void put(FILE *out, const char *name, const char *type,
                const char *help, double value)
{
    fprintf(out, "# HELP gloveboxd_%s %s\n# TYPE gloveboxd_%s %s\n", name, help,
            name, type);
    fprintf(out, "gloveboxd_%s %.17g\n", name, value);
}

/* A label's value: \, " and newlines are escaped. */
static void put_label(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\\' || *text == '"')
            fprintf(out, "\\%c", *text);
        else
            putc(*text, out);
    }
}

static void put_actors(FILE *out, struct daemon *daemon, const char *name,
                       const char *help, size_t which)
{
    struct actor *actor;

    fprintf(out, "# HELP gloveboxd_%s %s\n# TYPE gloveboxd_%s counter\n", name,
            help, name);
    pthread_mutex_lock(&daemon->actors.lock);
    SLIST_FOREACH(actor, &daemon->actors.all, next)
    {
        const double values[] = {(double)actor->calls, (double)actor->failures,
                                 (double)actor->wall_ns / 1e9};

        fprintf(out, "gloveboxd_%s{actor=\"", name);
        put_label(out, actor->id);
        fprintf(out, "\"} %.17g\n", values[which]);
    }
    pthread_mutex_unlock(&daemon->actors.lock);
}

char *daemon_metrics(struct daemon *daemon, size_t *bytes)
{
    const struct net_counts net = net_server_counts(daemon->server);
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    size_t waiting;
    unsigned busy;

    *bytes = 0;
    if (out == NULL)
        return NULL;
    pthread_mutex_lock(&daemon->work.lock);
    waiting = daemon->work.count;
    busy = daemon->work.busy;
    pthread_mutex_unlock(&daemon->work.lock);
    put(out, "uptime_seconds", "gauge", "Since the start.",
        (double)(daemon_now_ns() - daemon->started_ns) / 1e9);
    put(out, "calls_total", "counter", "Calls of scripts.",
        (double)daemon->calls);
    put(out, "call_failures_total", "counter", "Those that failed.",
        (double)daemon->failures);
    put(out, "busy_total", "counter", "Requests refused: the queue was full.",
        (double)daemon->busy);
    put(out, "denied_total", "counter", "Requests without a token, or too many.",
        (double)daemon->denied);
    put(out, "queued", "gauge", "Requests that wait for a worker.",
        (double)waiting);
    put(out, "workers_busy", "gauge", "Workers that run something.", busy);
    put(out, "connections_open", "gauge", "Connections.", net.open);
    put(out, "websockets_open", "gauge", "Those that are WebSockets.",
        net.peers);
    put(out, "connections_total", "counter", "Connections, ever.",
        (double)net.connections);
    put(out, "connections_refused_total", "counter",
        "Connections beyond the limit.", (double)net.refused);
    put(out, "http_requests_total", "counter", "HTTP requests.",
        (double)net.requests);
    put(out, "messages_total", "counter", "WebSocket messages received.",
        (double)net.messages);
    put(out, "received_bytes_total", "counter", "Of bodies and messages.",
        (double)net.bytes_in);
    put(out, "sent_bytes_total", "counter", "Of bodies and messages.",
        (double)net.bytes_out);
    put_actors(out, daemon, "actor_calls_total", "Calls by actor.", 0);
    put_actors(out, daemon, "actor_failures_total", "Failures by actor.", 1);
    put_actors(out, daemon, "actor_seconds_total", "Time in calls by actor.",
               2);
    worker_metrics(daemon, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
