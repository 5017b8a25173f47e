/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"
#include "flow/builtin/path.h"

#define FILE_BYTES (1ull << 30)

struct file_out {
    char *path;    /* owned */
    int fd;        /* owned, or -1 */
    unsigned mode; /* 0 append, 1 overwrite */
    bool lines, sync;
    uint64_t bytes_max;
};

static int read_options(struct file_out *file,
                        const struct gbx_actor_config *config,
                        struct gbx_error *err)
{
    static const char *const modes[] = {"append", "overwrite", NULL};

    file->bytes_max = FILE_BYTES;
    return options_read(
        (const struct option[]){
            {"path", OPTION_TEXT, &file->path, .is_needed = true},
            {"mode", OPTION_WORD, &file->mode, .words = modes},
            {"lines", OPTION_BOOLEAN, .value = &file->lines},
            {"sync", OPTION_BOOLEAN, .value = &file->sync},
            {"bytes_max", OPTION_NUMBER, &file->bytes_max, .min = 1,
             .max = INT64_MAX},
        },
        5, config, err);
}

static void close_file_out(void *self)
{
    struct file_out *file = self;

    if (file == NULL)
        return;
    close_fd(&file->fd);
    free(file->path);
    free(file);
}

static int begin(struct file_out *file, const struct gbx_actor_config *config,
                 struct gbx_error *err)
{
    int rc;

    if (file == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    file->fd = -1;
    rc = read_options(file, config, err);
    if (rc < 0)
        return rc;
    /* It is emptied once it is known to be a file, and not a link to one. */
    file->fd =
        path_open(config, file->path, O_WRONLY | O_CREAT | O_APPEND, err);
    if (file->fd < 0)
        return file->fd;
    if (file->mode == 1 && ftruncate(file->fd, 0) < 0)
        return fail(err, GBX_EFILE, "node %s: metadata.path: %s: %s",
                    config->node, file->path, strerrordesc_np(errno));
    return 0;
}

static int open_file_out(void **self, const struct gbx_actor_config *config,
                         struct gbx_error *err)
{
    *self = calloc(1, sizeof(struct file_out));
    return builtin_opened(self, begin(*self, config, err), close_file_out);
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return -1;
        bytes += n;
        count -= (size_t)n;
    }
    return 0;
}

/* All of it, or nothing: what was written of it is cut off again. */
static int append(const struct file_out *file, struct gbx_actor *actor,
                  const char *bytes, size_t count)
{
    const uint64_t limit = fd_bytes_max();
    struct stat st;
    uint64_t after;

    if (fstat(file->fd, &st) < 0)
        return gbx_actor_fail(actor, "%s: %s", file->path,
                              strerrordesc_np(errno));
    if (st.st_nlink == 0)
        return gbx_actor_fail(actor, "%s: it has been removed", file->path);
    after = (uint64_t)st.st_size + count + file->lines;
    if (after > file->bytes_max || after > limit)
        return gbx_actor_fail(actor, "%s: it would have %llu bytes (bytes_max)",
                              file->path, (unsigned long long)after);
    if (write_all(file->fd, bytes, count) < 0 ||
        (file->lines && write_all(file->fd, "\n", 1) < 0) ||
        (file->sync && fdatasync(file->fd) < 0)) {
        const int sys = errno;

        if (ftruncate(file->fd, st.st_size) < 0)
            return gbx_actor_fail(actor, "%s: %s; a part of it is there",
                                  file->path, strerrordesc_np(sys));
        return gbx_actor_fail(actor, "%s: %s", file->path,
                              strerrordesc_np(sys));
    }
    return 0;
}

static int run_file_out(void *self, struct gbx_actor *actor)
{
    const struct file_out *file = self;
    struct gbx_error err = {.what = ""};
    struct gbx_message message;
    char *json = NULL;
    int rc = 0;

    if (gbx_actor_input(actor, "in", &message) < 0)
        return 0;
    if (message.type == GBX_STRING || message.type == GBX_STREAM) {
        rc = append(file, actor, message.body, message.body_bytes);
    } else {
        rc = gbx_message_to_json(&json, &message, GBX_JSON_PLAIN, &err);
        if (rc < 0)
            gbx_actor_fail(actor, "%s: %s", file->path, err.what);
        else
            rc = append(file, actor, json, strlen(json));
        free(json);
    }
    return rc < 0 ? rc : gbx_actor_send_at(actor, 0, &message);
}

const struct gbx_actor_type builtin_file_out = {
    .struct_bytes = sizeof(builtin_file_out),
    .component = "file_out",
    .description = "Writes messages to a file, and passes them on.",
    .inports = PORTS("in"),
    .outports = PORTS("out"),
    .open = open_file_out,
    .run = run_file_out,
    .close = close_file_out,
};
