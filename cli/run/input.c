/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run/run.h"

static int say(struct gbx_error *err, int code, const char *what,
               const char *why)
{
    err->code = code;
    err->sys = 0;
    snprintf(err->what, sizeof(err->what), "%s: %s", what, why);
    return code;
}

/* Read until the end or until `bytes` are there; returns how many, or -1. */
static ssize_t read_some(int fd, void *to, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        ssize_t n = read(fd, (char *)to + at, bytes - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

/* A file of known size: the kernel reads it into the script's memory. */
static int put_file(struct gbx_call *call, const char *port, const char *path,
                    int fd, size_t bytes, struct gbx_error *err)
{
    void *data;
    int rc = gbx_call_room(call, port, GBX_STREAM, bytes, &data, err);

    if (rc < 0)
        return rc;
    if (read_some(fd, data, bytes) != (ssize_t)bytes)
        return say(err, GBX_EFILE, path, "it changed while it was read");
    return 0;
}

/* A pipe has no size: gather it first, but not more than can be sent. */
static int put_pipe(struct gbx_call *call, const char *port, const char *path,
                    int fd, uint64_t most, struct gbx_error *err)
{
    struct gbx_message message = {.type = GBX_STREAM};
    size_t room = 1 << 16, count = 0;
    char *bytes = malloc(room), *more;
    ssize_t n = -1;
    int rc;

    while (bytes != NULL && count <= most &&
           (n = read_some(fd, bytes + count, room - count)) > 0) {
        count += (size_t)n;
        if (count < room)
            continue;
        more = realloc(bytes, room *= 2);
        if (more == NULL)
            break;
        bytes = more;
    }
    if (bytes != NULL && count > most) {
        rc = say(err, GBX_ELIMIT, path,
                 "more than the message limit: raise --message-limit");
    } else if (bytes == NULL || n != 0) {
        rc = say(err, GBX_EFILE, path, strerrordesc_np(errno));
    } else {
        message.body = bytes;
        message.body_bytes = count;
        rc = gbx_call_put(call, port, &message, err);
    }
    free(bytes);
    return rc;
}

static int put_bytes(struct gbx_call *call, const char *port, const char *path,
                     uint64_t most, struct gbx_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = say(err, GBX_EFILE, path, strerrordesc_np(errno));
    } else if (S_ISDIR(st.st_mode)) {
        rc = say(err, GBX_EFILE, path, "it is a folder");
    } else if (S_ISREG(st.st_mode) && !standard) {
        rc = put_file(call, port, path, fd, (size_t)st.st_size, err);
    } else {
        rc = put_pipe(call, port, path, fd, most, err);
    }
    if (fd >= 0 && !standard)
        close(fd);
    return rc;
}

static int put_json(struct gbx_call *call, const char *port, const char *json,
                    struct gbx_error *err)
{
    struct gbx_message message;
    struct gbx_builder builder;
    char why[GBX_ERROR_TEXT_MAX];
    int rc;

    gbx_builder_init(&builder);
    rc = gbx_message_from_json(&message, &builder, json, strlen(json),
                               GBX_JSON_EITHER, err);
    if (rc < 0) {
        snprintf(why, sizeof(why), "%.170s%s", err->what,
                 isalpha((unsigned char)json[0])
                     ? " (text needs quotes: '\"text\"')"
                     : "");
        say(err, rc, port, why);
    } else {
        rc = gbx_call_put(call, port, &message, err);
    }
    gbx_builder_fini(&builder);
    return rc;
}

int input_put(struct gbx_call *call, const char *assignment, uint64_t most,
              struct gbx_error *err)
{
    const char *value = strchr(assignment, '=') + 1;
    char port[GBX_NAME_BYTES_MAX + 2];

    snprintf(port, sizeof(port), "%.*s", (int)(value - 1 - assignment),
             assignment);
    return value[0] == '@' ? put_bytes(call, port, value + 1, most, err)
                           : put_json(call, port, value, err);
}
