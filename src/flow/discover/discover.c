/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover.c - a walk through a folder, for scripts.
 *
 * Names alone decide: no file is opened.  The depth bounds the recursion.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/error.h"
#include "glovebox/discover.h"

static const struct {
    const char *end, *runtime;
} endings[] = {
    {".py", "Python"},
    {".js", "JavaScript"},
    {".mjs", "JavaScript"},
    {".cjs", "JavaScript"},
};

static const char *const excluded[] = {"node_modules", "__pycache__", "venv",
                                       "target", ".git"};

struct walk {
    char root[PATH_MAX]; /* without links; "" of / */
    char path[PATH_MAX]; /* where it is */
    size_t root_bytes;   /* of the folder as it was given, with a slash */
    gbx_discovered_fn found;
    void *context;
    size_t count;
    struct gbx_error *err;
};

static bool ends_with(const char *name, size_t bytes, const char *end)
{
    size_t n = strlen(end);

    return bytes > n && memcmp(name + bytes - n, end, n) == 0;
}

static bool is_excluded(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(excluded); i++)
        if (strcmp(excluded[i], name) == 0)
            return true;
    return false;
}

/* Where the last folder's name begins in the first `bytes` of path. */
static bool is_in_actors(const struct walk *walk, size_t bytes)
{
    return bytes >= walk->root_bytes + 7 &&
           memcmp(walk->path + bytes - 7, "actors/", 7) == 0 &&
           (bytes == walk->root_bytes + 7 || walk->path[bytes - 8] == '/');
}

/* "vision.camera" of vision/camera/ */
static void name_space(const struct walk *walk, size_t bytes, char *space)
{
    size_t n = bytes - walk->root_bytes;

    if (n == 0) {
        strcpy(space, "default");
        return;
    }
    memcpy(space, walk->path + walk->root_bytes, n - 1);
    space[n - 1] = '\0';
    for (char *at = space; *at != '\0'; at++)
        if (*at == '/')
            *at = '.';
}

/* The file at path, whose name begins at `bytes`. */
static int look(struct walk *walk, size_t bytes)
{
    char space[PATH_MAX], name[NAME_MAX + 1];
    struct gbx_discovered found = {
        .path = walk->path, .name = name, .space = space};
    size_t length;

    snprintf(name, sizeof(name), "%s", walk->path + bytes);
    length = strlen(name);
    for (size_t i = 0; i < ARRAY_SIZE(endings) && !found.runtime; i++)
        if (ends_with(name, length, endings[i].end)) {
            found.runtime = endings[i].runtime;
            length -= strlen(endings[i].end);
        }
    if (found.runtime == NULL)
        return 0;
    if (ends_with(name, length, ".actor"))
        length -= strlen(".actor");
    else if (!is_in_actors(walk, bytes))
        return 0;
    name[length] = '\0';
    name_space(walk, bytes, space);
    if (walk->count++ == GBX_DISCOVER_SCRIPTS_MAX)
        return fail(walk->err, GBX_ELIMIT,
                    "%.*s has more than %u scripts (GBX_DISCOVER_SCRIPTS_MAX)",
                    (int)walk->root_bytes, walk->path,
                    GBX_DISCOVER_SCRIPTS_MAX);
    return walk->found(walk->context, &found);
}

/* A link to a file that lies in the folder is as good as the file. */
static bool is_inside(const struct walk *walk)
{
    size_t n = strlen(walk->root);
    char real[PATH_MAX];

    return realpath(walk->path, real) != NULL &&
           strncmp(real, walk->root, n) == 0 && real[n] == '/';
}

static int go(struct walk *walk, size_t bytes, unsigned depth);

/* What lies at path, whose name begins at `bytes`. */
static int visit(struct walk *walk, size_t bytes, unsigned depth)
{
    size_t length = strlen(walk->path);
    struct stat is;

    if (lstat(walk->path, &is) < 0)
        return 0; /* gone since */
    if (S_ISLNK(is.st_mode) &&
        (stat(walk->path, &is) < 0 || S_ISDIR(is.st_mode) || !is_inside(walk)))
        return 0;
    if (S_ISREG(is.st_mode))
        return look(walk, bytes);
    if (!S_ISDIR(is.st_mode) || depth == GBX_DISCOVER_DEPTH_MAX ||
        is_excluded(walk->path + bytes) || length + 2 > sizeof(walk->path))
        return 0;
    strcpy(walk->path + length, "/");
    return go(walk, length + 1, depth + 1);
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

/* The folder at path, which has `bytes` with its slash. */
static int go(struct walk *walk, size_t bytes, unsigned depth)
{
    struct dirent **names;
    int count = scandir(walk->path, &names, NULL, by_name), rc = 0;

    if (count < 0 && errno == ENOMEM)
        return fail(walk->err, GBX_EHOST, "%.100s", walk->path);
    if (count < 0)
        return depth > 0 ? 0 /* not ours to read */
                         : fail(walk->err, GBX_EFILE, "%.100s: %s", walk->path,
                                strerrordesc_np(errno));
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;

        if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            bytes + strlen(name) < sizeof(walk->path)) {
            strcpy(walk->path + bytes, name);
            rc = visit(walk, bytes, depth);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

int gbx_discover(const char *folder, gbx_discovered_fn found, void *context,
                 struct gbx_error *err)
{
    struct walk walk = {.found = found, .context = context, .err = err};
    size_t bytes = strlen(folder);

    if (bytes == 0 || bytes + 2 > sizeof(walk.path))
        return fail(err, GBX_EFILE, "'%.40s' is no folder's path", folder);
    if (realpath(folder, walk.root) == NULL)
        return fail(err, GBX_EFILE, "%.100s: %s", folder,
                    strerrordesc_np(errno));
    if (strcmp(walk.root, "/") == 0)
        walk.root[0] = '\0';
    strcpy(walk.path, folder);
    if (folder[bytes - 1] != '/')
        strcpy(walk.path + bytes++, "/");
    walk.root_bytes = bytes;
    return go(&walk, bytes, 0);
}
