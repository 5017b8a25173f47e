/* SPDX-License-Identifier: Apache-2.0 */
/* scripts.c - what was discovered in a folder, and which is meant. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/error.h"
#include "glovebox/discover.h"

struct gbx_scripts {
    char *folder;                  /* owned; with a slash */
    struct gbx_discovered **found; /* owned, each with its texts behind it */
    size_t count, room;
    pthread_mutex_t lock;
    char **paths; /* owned, lock: those that were found as files */
    size_t path_count;
};

static const char *const endings[] = {"",     ".actor.py", ".py",
                                      ".js",  ".actor.js", ".mjs",
                                      ".cjs", ".wasm",     ".gbx"};

static int keep(void *context, const struct gbx_discovered *found)
{
    struct gbx_scripts *scripts = context;
    struct gbx_discovered *kept;
    char *to;

    if (scripts->count == scripts->room) {
        size_t room = scripts->room * 2 + 16;
        void *larger =
            realloc(scripts->found, room * sizeof(struct gbx_discovered *));

        if (larger == NULL)
            return GBX_EHOST;
        scripts->found = larger;
        scripts->room = room;
    }
    kept = malloc(sizeof(*kept) + strlen(found->path) + strlen(found->name) +
                  strlen(found->space) + 3);
    if (kept == NULL)
        return GBX_EHOST;
    to = (char *)(kept + 1);
    kept->runtime = found->runtime; /* one of two constants */
    kept->path = to;
    to = stpcpy(to, found->path) + 1;
    kept->name = to;
    to = stpcpy(to, found->name) + 1;
    kept->space = to;
    strcpy(to, found->space);
    scripts->found[scripts->count++] = kept;
    return 0;
}

int gbx_scripts_open(struct gbx_scripts **scripts, const char *folder,
                     struct gbx_error *err)
{
    struct gbx_scripts *opened = calloc(1, sizeof(*opened));
    size_t n = strlen(folder);
    const char *slash = n > 0 && folder[n - 1] != '/' ? "/" : "";
    int rc = GBX_EHOST;

    *scripts = NULL;
    if (opened != NULL && pthread_mutex_init(&opened->lock, NULL) == 0 &&
        asprintf(&opened->folder, "%s%s", folder, slash) >= 0)
        rc = gbx_discover(folder, keep, opened, err);
    if (rc == GBX_EHOST)
        fail(err, GBX_EHOST, "no memory for the scripts of %.100s", folder);
    if (rc < 0)
        gbx_scripts_close(opened);
    else
        *scripts = opened;
    return rc;
}

void gbx_scripts_close(struct gbx_scripts *scripts)
{
    if (scripts == NULL)
        return;
    for (size_t i = 0; i < scripts->count; i++)
        free(scripts->found[i]);
    for (size_t i = 0; i < scripts->path_count; i++)
        free(scripts->paths[i]);
    free(scripts->found);
    free(scripts->paths);
    free(scripts->folder);
    pthread_mutex_destroy(&scripts->lock);
    free(scripts);
}

const struct gbx_discovered *gbx_scripts_at(const struct gbx_scripts *scripts,
                                            size_t i)
{
    return i < scripts->count ? scripts->found[i] : NULL;
}

/* A graph names what lies with it, and nothing else of the host. */
static bool leaves(const char *component)
{
    for (const char *at = component; at != NULL; at = strchr(at, '/')) {
        at += at > component || *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return component[0] == '/';
}

/* Taken: path, until close.  Returns 0 or GBX_EHOST. */
static int remember(struct gbx_scripts *scripts, char *path, const char **known)
{
    char **larger;

    pthread_mutex_lock(&scripts->lock);
    for (size_t i = 0; i < scripts->path_count; i++)
        if (strcmp(scripts->paths[i], path) == 0) {
            *known = scripts->paths[i];
            pthread_mutex_unlock(&scripts->lock);
            free(path);
            return 0;
        }
    larger =
        realloc(scripts->paths, (scripts->path_count + 1) * sizeof(char *));
    if (larger != NULL) {
        scripts->paths = larger;
        scripts->paths[scripts->path_count++] = path;
        *known = path;
    }
    pthread_mutex_unlock(&scripts->lock);
    if (larger == NULL)
        free(path);
    return larger != NULL ? 0 : GBX_EHOST;
}

/* Returns 0, GBX_EFILE or GBX_EHOST. */
static int find_file(struct gbx_scripts *scripts, const char *component,
                     const char **path)
{
    bool has_end = false;
    struct stat is;
    char *file;

    for (size_t i = 1; i < ARRAY_SIZE(endings); i++) {
        size_t n = strlen(component), end = strlen(endings[i]);

        has_end |= n > end && strcmp(component + n - end, endings[i]) == 0;
    }
    for (size_t i = has_end ? 0 : 1; i < (has_end ? 1 : ARRAY_SIZE(endings));
         i++) {
        if (asprintf(&file, "%s%s%s", scripts->folder, component, endings[i]) <
            0)
            return GBX_EHOST;
        if (stat(file, &is) == 0 && S_ISREG(is.st_mode))
            return remember(scripts, file, path);
        free(file);
    }
    return GBX_EFILE;
}

/* "luma" or "vision.luma"; Reflow's workspaces also write "vision/luma". */
static bool is_called(const struct gbx_discovered *found, const char *component)
{
    size_t n = strlen(found->space);

    if (strcmp(found->name, component) == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (found->space[i] != component[i] &&
            (found->space[i] != '.' || component[i] != '/'))
            return false;
    return (component[n] == '.' || component[n] == '/') &&
           strcmp(component + n + 1, found->name) == 0;
}

int gbx_scripts_find(struct gbx_scripts *scripts, const char *component,
                     const char **path, struct gbx_error *err)
{
    const struct gbx_discovered *first = NULL;
    int rc;

    if (leaves(component))
        return fail(err, GBX_EFILE, "'%.80s' is outside of the scripts' folder",
                    component);
    rc = component[0] != '\0' ? find_file(scripts, component, path) : GBX_EFILE;
    if (rc == GBX_EHOST)
        return fail(err, GBX_EHOST, "no memory to find '%.80s'", component);
    for (size_t i = 0; rc == GBX_EFILE && i < scripts->count; i++) {
        const struct gbx_discovered *found = scripts->found[i];

        if (!is_called(found, component))
            continue;
        if (first != NULL)
            return fail(err, GBX_EARGUMENT,
                        "'%.40s' may be %.80s or %.80s; write it as "
                        "NAMESPACE.NAME",
                        component, first->path, found->path);
        first = found;
    }
    if (rc == 0)
        return 0;
    if (first == NULL)
        return fail(err, GBX_EFILE, "no script in %.100s is called '%.80s'",
                    scripts->folder, component);
    *path = first->path;
    return 0;
}
