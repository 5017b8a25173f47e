/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.c - a path is walked by its parts, each opened in the one before, so
 * that nobody can exchange one for a link in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "flow/builtin/path.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int refuse(const struct gbx_actor_config *config, const char *path,
                  struct gbx_error *err)
{
    const char *why = errno == ELOOP || errno == ENOTDIR
                          ? "a part of it is a link, or no folder"
                          : strerrordesc_np(errno);

    return fail(err, GBX_EFILE, "node %s: metadata.path: %s: %s", config->node,
                path, why);
}

/* The folder that its last part lies in, and that part. */
static int walk(const struct gbx_actor_config *config, const char *path,
                const char **last, struct gbx_error *err)
{
    auto_fd int at =
        open(config->folder != NULL ? config->folder : ".", FOLDER);
    char part[NAME_MAX + 1];
    const char *slash;
    int next;

    if (at < 0)
        return refuse(config, path, err);
    for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        const size_t bytes = (size_t)(slash - path);

        if (bytes > NAME_MAX) {
            errno = ENAMETOOLONG;
            return refuse(config, path, err);
        }
        memcpy(part, path, bytes);
        part[bytes] = '\0';
        if (strcmp(part, "..") == 0)
            break;
        if (bytes == 0)
            continue;
        next = openat(at, part, FOLDER | O_NOFOLLOW);
        if (next < 0)
            return refuse(config, path, err);
        close_fd(&at);
        at = next;
    }
    if (slash != NULL || strcmp(path, "..") == 0)
        return fail(err, GBX_EARGUMENT,
                    "node %s: metadata.path: it may not lead out by \"..\"",
                    config->node);
    *last = path;
    return steal_fd(&at);
}

int path_open(const struct gbx_actor_config *config, const char *path,
              int flags, struct gbx_error *err)
{
    auto_fd int folder = AT_FDCWD, fd = -1;
    const char *last = path;
    struct stat st;

    if (path[0] != '/') {
        folder = walk(config, path, &last, err);
        if (folder < 0)
            return folder;
    }
    /* What is no file, as a pipe, might let it wait here. */
    fd = openat(folder, last,
                flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse(config, path, err);
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "node %s: metadata.path: %s: not a file",
                    config->node, path);
    return steal_fd(&fd);
}
