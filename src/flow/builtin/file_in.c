/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"
#include "flow/builtin/path.h"

#define LINE_ROOM 65536u /* and twice as much, as often as it must be */

enum { AS_WHOLE, AS_LINES, AS_CHUNKS };
enum { TYPE_STRING, TYPE_STREAM };

struct file_in {
    char *node, *folder, *path; /* owned */
    unsigned as, type;
    uint64_t bytes_max;
};

/* One reading. */
struct reading {
    const struct file_in *file;
    struct gbx_actor *actor;
    int fd;
    uint64_t count; /* sent */
    char *buffer;   /* owned */
    size_t room, from, to;
};

static struct gbx_actor_config config_of(const struct file_in *file)
{
    return (struct gbx_actor_config){.node = file->node,
                                     .folder = file->folder};
}

static int read_options(struct file_in *file,
                        const struct gbx_actor_config *config,
                        struct gbx_error *err)
{
    static const char *const ways[] = {"whole", "lines", "chunks", NULL};
    static const char *const types[] = {"String", "Stream", NULL};
    static const uint64_t most[] = {16u << 20, 1u << 20, 65536};
    int rc;

    file->type = TYPE_STREAM + 1; /* not said */
    rc = options_read(
        (const struct option[]){
            {"path", OPTION_TEXT, &file->path, .is_needed = true},
            {"as", OPTION_WORD, &file->as, .words = ways},
            {"type", OPTION_WORD, &file->type, .words = types},
            {"bytes_max", OPTION_NUMBER, &file->bytes_max, .min = 1,
             .max = 1u << 30},
        },
        4, config, err);
    if (rc < 0)
        return rc;
    if (file->as == AS_CHUNKS && file->type == TYPE_STRING)
        return fail(err, GBX_EARGUMENT,
                    "node %s: metadata.type: a chunk may end within a "
                    "character: it can only be a \"Stream\"",
                    config->node);
    if (file->type > TYPE_STREAM)
        file->type = file->as == AS_CHUNKS ? TYPE_STREAM : TYPE_STRING;
    if (file->bytes_max == 0)
        file->bytes_max = most[file->as];
    return 0;
}

static void close_file_in(void *self)
{
    struct file_in *file = self;

    if (file == NULL)
        return;
    free(file->node);
    free(file->folder);
    free(file->path);
    free(file);
}

static int begin(struct file_in *file, const struct gbx_actor_config *config,
                 struct gbx_error *err)
{
    int rc, fd;

    if (file != NULL) {
        file->node = strdup(config->node);
        file->folder = strdup(config->folder != NULL ? config->folder : ".");
    }
    if (file == NULL || file->node == NULL || file->folder == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    rc = read_options(file, config, err);
    if (rc < 0)
        return rc;
    fd = path_open(config, file->path, O_RDONLY, err);
    if (fd < 0)
        return fd;
    close_fd(&fd);
    return 0;
}

static int open_file_in(void **self, const struct gbx_actor_config *config,
                        struct gbx_error *err)
{
    *self = calloc(1, sizeof(struct file_in));
    return builtin_opened(self, begin(*self, config, err), close_file_in);
}

static int send_bytes(struct reading *r, const void *bytes, size_t count)
{
    const struct gbx_message message = {
        .type = r->file->type == TYPE_STRING ? GBX_STRING : GBX_STREAM,
        .body = bytes,
        .body_bytes = count};
    int rc;

    if (message.type == GBX_STRING && !utf8_valid(bytes, count))
        return gbx_actor_fail(r->actor,
                              "%s: message %llu of it would be no UTF-8: as "
                              "type \"Stream\" it need not be",
                              r->file->path, (unsigned long long)r->count + 1);
    rc = gbx_actor_send_at(r->actor, 0, &message);
    r->count += rc == 0;
    return rc;
}

/* As much as there is room for, or the end.  Returns how much, or a code. */
static ssize_t read_some(const struct reading *r, void *to, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        ssize_t n = read(r->fd, (char *)to + at, bytes - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gbx_actor_fail(r->actor, "%s: %s", r->file->path,
                                  strerrordesc_np(errno));
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

static int too_long(const struct reading *r, const char *what)
{
    return gbx_actor_fail(r->actor,
                          "%s: %s has more than %llu bytes "
                          "(bytes_max)",
                          r->file->path, what,
                          (unsigned long long)r->file->bytes_max);
}

static int read_whole(struct reading *r)
{
    struct stat st;
    ssize_t n;
    void *room;
    int rc;

    if (fstat(r->fd, &st) < 0)
        return gbx_actor_fail(r->actor, "%s: %s", r->file->path,
                              strerrordesc_np(errno));
    if ((uint64_t)st.st_size > r->file->bytes_max)
        return too_long(r, "it");
    rc = gbx_actor_room(r->actor, (size_t)st.st_size, &room);
    if (rc < 0)
        return rc;
    n = read_some(r, room, (size_t)st.st_size);
    return n < 0 ? (int)n : send_bytes(r, room, (size_t)n);
}

static int read_chunks(struct reading *r)
{
    ssize_t n;
    int rc;

    r->buffer = malloc((size_t)r->file->bytes_max);
    if (r->buffer == NULL)
        return GBX_EHOST;
    do {
        n = read_some(r, r->buffer, (size_t)r->file->bytes_max);
        rc = n <= 0 ? (int)n : send_bytes(r, r->buffer, (size_t)n);
    } while (rc == 0 && n > 0);
    return rc;
}

/* Room behind what is there, at its beginning. */
static int make_room(struct reading *r)
{
    size_t room = r->room == 0 ? LINE_ROOM : 2 * r->room;
    char *more;

    if (r->from > 0)
        memmove(r->buffer, r->buffer + r->from, r->to - r->from);
    r->to -= r->from;
    r->from = 0;
    if (r->to < r->room)
        return 0;
    if (r->to > r->file->bytes_max + 1) /* a CR before its end */
        return too_long(r, "a line of it");
    more = realloc(r->buffer, room);
    if (more == NULL)
        return GBX_EHOST;
    r->buffer = more;
    r->room = room;
    return 0;
}

/* All lines that have an end. */
static int send_lines(struct reading *r, size_t *seen)
{
    int rc = 0;

    while (rc == 0) {
        char *at = r->buffer + r->from;
        const char *end = memchr(at + *seen, '\n', r->to - r->from - *seen);
        size_t bytes;

        if (end == NULL) {
            *seen = r->to - r->from;
            return 0;
        }
        bytes = (size_t)(end - at);
        r->from += bytes + 1;
        *seen = 0;
        if (bytes > 0 && at[bytes - 1] == '\r')
            bytes--;
        rc = bytes > r->file->bytes_max ? too_long(r, "a line of it")
                                        : send_bytes(r, at, bytes);
    }
    return rc;
}

static int read_lines(struct reading *r)
{
    size_t seen = 0;
    ssize_t n;
    int rc;

    do {
        rc = make_room(r);
        if (rc < 0)
            return rc;
        n = read_some(r, r->buffer + r->to, r->room - r->to);
        if (n < 0)
            return (int)n;
        r->to += (size_t)n;
        rc = send_lines(r, &seen);
    } while (rc == 0 && r->to == r->room);
    if (rc == 0 && r->to - r->from > r->file->bytes_max)
        return too_long(r, "a line of it");
    if (rc == 0 && r->to > r->from) /* the last one has no end */
        rc = send_bytes(r, r->buffer + r->from, r->to - r->from);
    return rc;
}

static int run_file_in(void *self, struct gbx_actor *actor)
{
    struct reading r = {.file = self, .actor = actor};
    const struct gbx_actor_config config = config_of(r.file);
    struct gbx_error err = {.what = ""};
    int rc;

    r.fd = path_open(&config, r.file->path, O_RDONLY, &err);
    if (r.fd < 0)
        return gbx_actor_fail(actor, "%s", err.what);
    rc = r.file->as == AS_WHOLE   ? read_whole(&r)
         : r.file->as == AS_LINES ? read_lines(&r)
                                  : read_chunks(&r);
    free(r.buffer);
    close_fd(&r.fd);
    return rc < 0 ? rc : builtin_send_number(actor, 1, r.count);
}

const struct gbx_actor_type builtin_file_in = {
    .struct_bytes = sizeof(builtin_file_in),
    .component = "file_in",
    .description = "Reads a file: whole, by lines or in chunks.",
    .inports = PORTS("again"),
    .outports = PORTS("out", "end"),
    .open = open_file_in,
    .run = run_file_in,
    .close = close_file_in,
    .runs_at_start = 1,
};
