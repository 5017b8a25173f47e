/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - the project's file, from the working directory upwards, as git does:
 * so commands work in any folder of a project.
 *
 * One that was only found may have been laid there by somebody else, and says
 * what is trusted and which files are shown to scripts: it must be the user's
 * own, or root's.  It is not passed over, because the one above it may be meant
 * for something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/project/project.h"

int project_fail(struct gbx_error *err, int code, const char *format, ...)
{
    va_list ap;

    *err = (struct gbx_error){.code = code};
    va_start(ap, format);
    vsnprintf(err->what, sizeof(err->what), format, ap);
    va_end(ap);
    return code;
}

static int check_owner(const char *path, const struct stat *st,
                       struct gbx_error *err)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return project_fail(err, GBX_EFILE,
                            "%s: it belongs to another user (%u); name it if "
                            "you mean it (--file)",
                            path, (unsigned)st->st_uid);
    if ((st->st_mode & S_IWOTH) != 0 ||
        ((st->st_mode & S_IWGRP) != 0 && st->st_gid != getegid()))
        return project_fail(err, GBX_EFILE,
                            "%s: others may write there; chmod go-w it, or "
                            "name it if you mean it (--file)",
                            path);
    return 0;
}

static char *join(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", folder[1] == '\0' ? "" : folder, name) < 0
               ? NULL
               : path;
}

/* The first from this folder upwards; NULL: there is none. */
static char *climb(char *folder, struct stat *st)
{
    for (;;) {
        char *path = join(folder, PROJECT_FILE), *slash;

        if (path == NULL || stat(path, st) == 0)
            return path;
        free(path);
        slash = strrchr(folder, '/');
        if (slash == NULL || folder[1] == '\0')
            return NULL;
        slash[slash == folder] = '\0';
    }
}

/* Also of one that is there no more: what it has started may be. */
static int find_named(char **path, const char *named, struct gbx_error *err)
{
    const char *slash = strrchr(named, '/');
    char *folder, *real;

    *path = realpath(named, NULL);
    if (*path != NULL)
        return 0;
    folder = slash == NULL ? strdup(".")
                           : strndup(named, (size_t)(slash - named) + 1);
    real = folder != NULL ? realpath(folder, NULL) : NULL;
    if (real != NULL)
        *path = join(real, slash != NULL ? slash + 1 : named);
    free(folder);
    free(real);
    return *path != NULL ? 0
                         : project_fail(err, GBX_EFILE, "%s: %s", named,
                                        strerrordesc_np(errno));
}

int project_find(char **path, const char *named, struct gbx_error *err)
{
    char *here, *found;
    struct stat st;
    int rc;

    *path = NULL;
    if (named != NULL)
        return find_named(path, named, err);
    here = getcwd(NULL, 0);
    if (here == NULL)
        return project_fail(err, GBX_EFILE, "the working directory: %s",
                            strerrordesc_np(errno));
    found = climb(here, &st);
    free(here);
    if (found == NULL)
        return project_fail(err, GBX_EFILE,
                            "there is no " PROJECT_FILE
                            " here, nor in a folder above; --file FILE names "
                            "one, glovebox-up(1) says what stands in it");
    rc = check_owner(found, &st, err);
    *path = rc == 0 ? realpath(found, NULL) : NULL;
    if (rc == 0 && *path == NULL)
        rc = project_fail(err, GBX_EFILE, "%s: %s", found,
                          strerrordesc_np(errno));
    free(found);
    return rc;
}

int project_read_file(const char *path, size_t most, char **text, size_t *bytes,
                      struct gbx_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n = 1;

    *text = NULL;
    *bytes = 0;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        project_fail(err, GBX_EFILE, "%s: %s", path,
                     fd < 0 ? strerrordesc_np(errno) : "not a file");
        if (fd >= 0)
            close(fd);
        return GBX_EFILE;
    }
    *text = malloc(most + 2);
    while (*text != NULL && n > 0 && *bytes <= most) {
        n = read(fd, *text + *bytes, most + 1 - *bytes);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            *bytes += (size_t)n;
    }
    close(fd);
    if (*text != NULL && n >= 0 && *bytes <= most) {
        (*text)[*bytes] = '\0';
        return 0;
    }
    free(*text);
    *text = NULL;
    return n < 0 ? project_fail(err, GBX_EFILE, "%s: %s", path,
                                strerrordesc_np(errno))
           : *bytes > most
               ? project_fail(err, GBX_ELIMIT, "%s: more than %zu bytes", path,
                              most)
               : project_fail(err, GBX_EHOST, "no memory for %s", path);
}
