/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - the file that is named, or the first that is there.
 *
 * One that was only found may have been laid there by somebody else: so it must
 * be the user's own, or root's, and nobody else may change it.  Nothing that is
 * there is passed over because of that, since it may be what holds scripts
 * back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

#define PATH_BYTES 4096u
#define NEAR       "./glovebox.json"
#define SYSTEM     "/etc/glovebox/config.json"

static int check_owner(const char *path, const struct stat *st,
                       struct gbx_error *err)
{
    const bool is_shared =
        (st->st_mode & S_IWOTH) != 0 ||
        ((st->st_mode & S_IWGRP) != 0 && st->st_gid != getegid());

    if (st->st_uid != geteuid() && st->st_uid != 0)
        return fail(err, GBX_EFILE,
                    "%s: it belongs to another user (%u); name it if you mean "
                    "it (--config FILE, GLOVEBOX_CONFIG), or remove it",
                    path, (unsigned)st->st_uid);
    if (is_shared)
        return fail(err, GBX_EFILE,
                    "%s: others may write there; chmod go-w %s, or name it if "
                    "you mean it (--config FILE, GLOVEBOX_CONFIG)",
                    path, path);
    return 0;
}

static int read_file(int fd, char **text, size_t *bytes)
{
    const size_t room = CONFIG_BYTES_MAX + 1;
    ssize_t n = 1;

    *text = malloc(room);
    *bytes = 0;
    while (*text != NULL && *bytes < room && n > 0) {
        n = read(fd, *text + *bytes, room - *bytes);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            *bytes += (size_t)n;
    }
    return *text != NULL && n >= 0 ? 0 : -1;
}

enum how {
    NAMED,
    FOUND,
    AT_HOME /* HOME may be another user's, who does not let us in */
};

/* Is there none, as far as this user can tell? */
static bool is_absent(const char *path, enum how how)
{
    struct stat st;

    return how != NAMED &&
           (errno == ENOENT || errno == ENOTDIR ||
            (how == AT_HOME && errno == EACCES && stat(path, &st) < 0));
}

/* Returns 0; 1 where there is none; or a code. */
static int try_file(const char *path, enum how how, char **text, size_t *bytes,
                    struct gbx_error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    int rc = 0;

    if (fd < 0 && is_absent(path, how))
        return 1;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "%s: not a file", path);
    if (how != NAMED && (rc = check_owner(path, &st, err)) < 0)
        return rc;
    if (read_file(fd, text, bytes) < 0) {
        fail(err, GBX_EHOST, "%s", path);
        free(*text);
        *text = NULL;
        return GBX_EHOST;
    }
    return 0;
}

/* In the user's own folder of configurations; false: nobody knows where. */
static bool own_path(char path[PATH_BYTES])
{
    const char *dir = secure_getenv("XDG_CONFIG_HOME");
    const char *home = secure_getenv("HOME");
    int bytes;

    if (dir != NULL && dir[0] == '/')
        bytes = snprintf(path, PATH_BYTES, "%s/glovebox/config.json", dir);
    else if (home != NULL && home[0] == '/')
        bytes =
            snprintf(path, PATH_BYTES, "%s/.config/glovebox/config.json", home);
    else
        return false;
    return (unsigned)bytes < PATH_BYTES;
}

/* Where its patterns start.  A link to a file is where the link is. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL   ? strdup(".")
                : slash == path ? strdup("/")
                                : strndup(path, (size_t)(slash - path));
    char *folder = dir != NULL ? realpath(dir, NULL) : NULL;

    free(dir);
    return folder;
}

static int found(struct gbx_config *config, const char *path,
                 struct gbx_error *err)
{
    const size_t bytes = strlen(path);
    const size_t most = sizeof(config->name) - 1;

    config->path = strdup(path);
    config->folder = folder_of(path);
    /* Of a long path, the end tells more. */
    snprintf(config->name, sizeof(config->name), "%s%s",
             bytes > most ? "..." : "",
             bytes > most ? path + bytes - most + 3 : path);
    return config->path != NULL && config->folder != NULL
               ? 0
               : fail(err, GBX_EHOST, "%s", path);
}

int config_find(struct gbx_config *config, const char *path, char **text,
                size_t *bytes, struct gbx_error *err)
{
    const char *places[3];
    char own[PATH_BYTES];
    size_t count = 0;
    int rc;

    *text = NULL;
    if (path == NULL && (path = secure_getenv("GLOVEBOX_CONFIG")) != NULL &&
        path[0] == '\0')
        path = NULL;
    if (path != NULL) {
        rc = try_file(path, NAMED, text, bytes, err);
        return rc < 0 ? rc : found(config, path, err);
    }
    places[count++] = NEAR;
    if (own_path(own))
        places[count++] = own;
    places[count++] = SYSTEM;
    for (size_t i = 0; i < count; i++) {
        rc = try_file(places[i], places[i] == own ? AT_HOME : FOUND, text,
                      bytes, err);
        if (rc < 0)
            return rc;
        config->is_near = i == 0;
        if (rc == 0)
            return found(config, places[i], err);
    }
    config->is_near = false;
    return 0;
}
