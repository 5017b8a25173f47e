/* SPDX-License-Identifier: Apache-2.0 */
/* traffic.c - messages between a flow and the command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/flow/run.h"

#define SHOWN_BYTES_MAX 65536u /* of a Stream, as JSON */

static int say(struct gbx_error *err, int code, const char *what,
               const char *why)
{
    err->code = code;
    snprintf(err->what, sizeof(err->what), "%s: %s", what, why);
    return code;
}

/* ---- in ---- */

/* A room that grows with what is read; *room is owned by the caller. */
static int read_all(struct gbx_flow *flow, int fd, size_t hint, void **room,
                    size_t *bytes, struct gbx_error *err)
{
    size_t size = hint + 1, count = 0;
    ssize_t n = 1;
    int rc = gbx_flow_room(flow, size, room, err);

    while (rc == 0 && n > 0) {
        void *larger;

        n = read(fd, (char *)*room + count, size - count);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            rc = say(err, GBX_EFILE, "read", strerrordesc_np(errno));
        else
            count += (size_t)n;
        if (rc < 0 || count < size)
            continue;
        rc = gbx_flow_room(flow, size *= 2, &larger, err);
        if (rc == 0) {
            memcpy(larger, *room, count);
            gbx_flow_drop_room(flow, *room);
            *room = larger;
        }
    }
    *bytes = count;
    return rc;
}

static int send_file(struct gbx_flow *flow, const char *port, const char *path,
                     struct gbx_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct gbx_message message = {.type = GBX_STREAM};
    void *room = NULL;
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = say(err, GBX_EFILE, path, strerrordesc_np(errno));
    else if (S_ISDIR(st.st_mode))
        rc = say(err, GBX_EFILE, path, "it is a folder");
    else
        rc = read_all(flow, fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 4096,
                      &room, &message.body_bytes, err);
    if (fd >= 0 && !standard)
        close(fd);
    if (rc < 0) {
        gbx_flow_drop_room(flow, room);
        return rc;
    }
    message.body = room;
    return gbx_flow_send_room(flow, port, room, &message, 0, err);
}

static int send_json(struct gbx_flow *flow, const char *port, const char *json,
                     struct gbx_error *err)
{
    struct gbx_message message;
    struct gbx_builder builder;
    int rc;

    gbx_builder_init(&builder);
    rc = gbx_message_from_json(&message, &builder, json, strlen(json),
                               GBX_JSON_EITHER, err);
    if (rc == 0)
        rc = gbx_flow_send(flow, port, &message, 0, err);
    gbx_builder_fini(&builder);
    return rc;
}

int traffic_send(struct gbx_flow *flow, const struct flow_options *options,
                 struct gbx_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < options->in_count && rc == 0; i++) {
        const char *value = strchr(options->in[i], '=') + 1;
        char *port = flow_need(
            strndup(options->in[i], (size_t)(value - 1 - options->in[i])));

        rc = value[0] == '@' ? send_file(flow, port, value + 1, err)
                             : send_json(flow, port, value, err);
        free(port);
    }
    return rc;
}

/* ---- out ---- */

int traffic_open(struct traffic *traffic, const struct flow_options *options)
{
    *traffic = (struct traffic){.options = options};
    pthread_mutex_init(&traffic->lock, NULL);
    for (size_t i = 0; i < options->out_count; i++) {
        const char *path = strchr(options->out[i], '=') + 1;

        traffic->files[i] = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
        if (traffic->files[i] != NULL)
            continue;
        fprintf(stderr, "glovebox: %s: %s\n", path, strerrordesc_np(errno));
        return CLI_HOST;
    }
    return CLI_OK;
}

/* Where nobody looks at a live table, a program may read what happens. */
static bool tells_events(const struct flow_options *o)
{
    return o->events == NULL && !o->quiet && !isatty(STDERR_FILENO);
}

int traffic_trace(struct traffic *traffic)
{
    const char *const paths[] = {traffic->options->trace,
                                 traffic->options->events};
    struct gbx_error err;

    for (int i = 0; i < 2; i++) {
        const struct gbx_flow_trace_config config = {
            .struct_bytes = sizeof(config),
            .path = paths[i],
            .fd = STDERR_FILENO,
            .bytes_max = paths[i] == NULL ? UINT64_MAX : 0,
            .form = i == 0 ? GBX_FLOW_TRACE_CHROME : GBX_FLOW_TRACE_LINES};

        if ((paths[i] != NULL || (i == 1 && tells_events(traffic->options))) &&
            gbx_flow_trace_open(&traffic->traces[i], &config, &err) < 0)
            return cli_fail(&err);
        traffic->is_traced |= traffic->traces[i] != NULL;
    }
    return CLI_OK;
}

void traffic_event(void *context, const struct gbx_flow_event *event)
{
    struct traffic *traffic = context;

    for (int i = 0; i < 2; i++)
        if (traffic->traces[i] != NULL)
            gbx_flow_trace_event(traffic->traces[i], event);
}

static void close_traces(struct traffic *traffic)
{
    struct gbx_error err;

    for (int i = 0; i < 2; i++)
        if (gbx_flow_trace_close(traffic->traces[i], &err) < 0) {
            cli_say(err.what, CLI_HOST);
            traffic->is_lost = true;
        }
}

int traffic_close(struct traffic *traffic)
{
    close_traces(traffic);
    for (size_t i = 0; i < traffic->options->out_count; i++)
        if (traffic->files[i] != NULL && traffic->files[i] != stdout &&
            fclose(traffic->files[i]) != 0)
            traffic->is_lost = true;
    pthread_mutex_destroy(&traffic->lock);
    if (!traffic->is_lost)
        return CLI_OK;
    return cli_say("an output could not be written", CLI_HOST);
}

static FILE *file_of(struct traffic *traffic, const char *port)
{
    const struct flow_options *o = traffic->options;
    const size_t bytes = strlen(port);

    for (size_t i = 0; i < o->out_count; i++)
        if (strncmp(o->out[i], port, bytes) == 0 && o->out[i][bytes] == '=')
            return traffic->files[i];
    return NULL;
}

/* {"port":"out","message":{"type":"Integer","data":42}} */
static void print(struct traffic *traffic, const char *port,
                  const struct gbx_message *message)
{
    struct gbx_error err = {.what = ""};
    char *text = NULL;

    if (message->type == GBX_STREAM && message->body_bytes > SHOWN_BYTES_MAX) {
        printf("{\"port\":\"%s\",\"message\":{\"type\":\"Stream\",\"bytes\":"
               "%zu}}\n",
               port, message->body_bytes);
        return;
    }
    if (gbx_message_to_json(&text, message, GBX_JSON_TYPED, &err) < 0) {
        fprintf(stderr, "glovebox: outport %s: %s\n", port, err.what);
        traffic->is_lost = true;
        return;
    }
    printf("{\"port\":\"%s\",\"message\":%s}\n", port, text);
    free(text);
}

void traffic_output(void *context, const char *port,
                    const struct gbx_message *message)
{
    struct traffic *traffic = context;
    FILE *file = file_of(traffic, port);

    pthread_mutex_lock(&traffic->lock);
    if (file == NULL)
        print(traffic, port, message);
    else if (message->body_bytes > 0 &&
             fwrite(message->body, 1, message->body_bytes, file) !=
                 message->body_bytes)
        traffic->is_lost = true;
    pthread_mutex_unlock(&traffic->lock);
}

void traffic_letter(void *context, const struct gbx_letter *letter)
{
    struct traffic *traffic = context;

    pthread_mutex_lock(&traffic->lock);
    traffic->letters++;
    fprintf(stderr, "glovebox: node %s, port %s: ", letter->node, letter->port);
    cli_print(stderr, letter->reason, strlen(letter->reason), true);
    fprintf(stderr, letter->attempts > 1 ? " (tried %u times)\n" : "\n",
            letter->attempts);
    pthread_mutex_unlock(&traffic->lock);
}
