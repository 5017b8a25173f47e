/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/grants/grants.h"

#define RACES_MAX 1000

#define SCRIPT_DIR "/script/"

static bool begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static int check_mode(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return -EISDIR;
    return !S_ISREG(st->st_mode) || (st->st_mode & 0111) == 0 ? -EACCES : 0;
}

/* Is there a program?  Links lead to where they lead with the top as /. */
static int look_below(int top, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT};
    auto_fd int fd = -1;
    struct stat st;
    int races = 0;

    /* A path with ".." in it is refused while anybody on this host moves a
     * file. */
    do {
        fd = (int)syscall(SYS_openat2, top, path, &how, sizeof(how));
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN) &&
             races++ < RACES_MAX);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return check_mode(&st);
}

static int look_in(const char *root, const char *path)
{
    auto_fd int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return top < 0 ? -errno : look_below(top, path);
}

/* A mount is what it was when it was opened; of one file it is that. */
static int look_in_mount(const struct grant *grant, const char *rest)
{
    struct stat st;

    if (!grant->is_file)
        return look_below(grant->fd, rest[0] == '\0' ? "." : rest);
    if (rest[0] != '\0')
        return -ENOTDIR;
    return fstat(grant->fd, &st) < 0 ? -errno : check_mode(&st);
}

/* What the usual view shows of the host, once all links are resolved. */
static bool is_shown(const char *real)
{
    static const char *const tops[] = {"/usr/",   "/bin/",    "/sbin/", "/lib/",
                                       "/lib32/", "/libx32/", "/lib64/"};

    for (size_t i = 0; i < ARRAY_SIZE(tops); i++)
        if (begins(real, tops[i]))
            return true;
    return false;
}

static int put(char to[PATH_MAX], const char *before, const char *path)
{
    return snprintf(to, PATH_MAX, "%s%s", before, path) >= PATH_MAX
               ? -ENAMETOOLONG
               : 0;
}

/* Outside of the view: it comes with its folder. */
static int place_in_folder(struct lookup *found, char *real, const char *folder)
{
    char top[PATH_MAX], *slash = strrchr(real, '/');
    size_t length;

    if (folder == NULL) {
        if (slash == real) /* its folder would be all of this computer */
            return -EXDEV;
        *slash = '\0';
        return put(found->folder, "", real) < 0
                   ? -ENAMETOOLONG
                   : put(found->path, SCRIPT_DIR, slash + 1);
    }
    if (realpath(folder, top) == NULL)
        return -errno;
    length = strlen(top);
    if (!begins(real, top) || real[length] != '/')
        return -EXDEV;
    return put(found->path, SCRIPT_DIR, real + length + 1);
}

/* A path of the host. */
static int place_host(struct lookup *found, const char *path,
                      const struct lookup_view *view)
{
    char real[PATH_MAX];
    struct stat st;
    int rc;

    if (realpath(path, real) == NULL || stat(real, &st) < 0)
        return -errno;
    if ((rc = check_mode(&st)) < 0)
        return rc;
    return is_shown(real) ? put(found->path, "", real)
                          : place_in_folder(found, real, view->folder);
}

/* An absolute path of the guest's.  False: it lies in no mount. */
static bool place_mounted(struct lookup *found, const char *path,
                          const struct lookup_view *view, int *rc)
{
    const struct grant *grant = NULL;
    const char *rest;

    if (view->grants != NULL && path[0] == '/')
        grant = grants_find(view->grants, path, &rest);
    if (grant == NULL)
        return false;
    *rc = look_in_mount(grant, rest);
    if (*rc == 0)
        *rc = put(found->path, "", path);
    return true;
}

static int place(struct lookup *found, const char *path,
                 const struct lookup_view *view)
{
    const char *from = view->working_dir != NULL ? view->working_dir : "/";
    char absolute[PATH_MAX];
    int rc;

    if (place_mounted(found, path, view, &rc))
        return rc;
    if (view->folder != NULL && begins(path, SCRIPT_DIR)) {
        rc = look_in(view->folder, path + strlen(SCRIPT_DIR));
        return rc < 0 ? rc : put(found->path, "", path);
    }
    if (view->root == NULL)
        return place_host(found, path, view);
    if (snprintf(absolute, sizeof(absolute), "%s%s%s",
                 path[0] == '/' ? "" : from, path[0] == '/' ? "" : "/",
                 path) >= (int)sizeof(absolute))
        return -ENAMETOOLONG;
    if (place_mounted(found, absolute, view, &rc))
        return rc;
    rc = look_in(view->root, absolute);
    return rc < 0 ? rc : put(found->path, "", absolute);
}

/* As execvp(3): a directory without it is no reason to stop. */
static int search(struct lookup *found, const char *name,
                  const struct lookup_view *view)
{
    const char *at = view->search_path;
    int said = -ENOENT;

    while (*at != '\0') {
        size_t length = strcspn(at, ":");
        char path[PATH_MAX];
        int rc = -ENAMETOOLONG;

        /* Relative ones would mean a directory of the host. */
        if (at[0] == '/' && snprintf(path, sizeof(path), "%.*s/%s", (int)length,
                                     at, name) < (int)sizeof(path))
            rc = place(found, path, view);
        if (rc == 0)
            return 0;
        if (rc == -EACCES)
            said = rc;
        at += length + (at[length] == ':');
    }
    return said;
}

static int check_folder(const char *path, struct gbx_error *err)
{
    struct stat st;

    if (path == NULL)
        return 0;
    if (stat(path, &st) < 0)
        return fail(err, GBX_EFILE, "%s: %s", path,
                    errno == ENOENT ? "no such folder"
                                    : strerrordesc_np(errno));
    return S_ISDIR(st.st_mode) ? 0
                               : fail(err, GBX_EFILE, "%s: not a folder", path);
}

static int refuse_outside(const char *name, const char *folder,
                          struct gbx_error *err)
{
    if (folder == NULL)
        return fail(err, GBX_EFILE,
                    "%s: its folder is /, all of this computer: move it to one "
                    "of its own",
                    name);
    return fail(err, GBX_EFILE,
                "%.90s: neither in /usr nor in the folder that is shown, "
                "%.60s: show one that it lies in",
                name, folder);
}

int lookup_program(struct lookup *found, const char *name,
                   const struct lookup_view *view, struct gbx_error *err)
{
    bool is_path = strchr(name, '/') != NULL;
    int rc;

    memset(found, 0, sizeof(*found));
    if (name[0] == '\0')
        return fail(err, GBX_EARGUMENT, "a program's name is empty");
    if ((rc = check_folder(view->root, err)) < 0 ||
        (rc = check_folder(view->folder, err)) < 0)
        return rc;
    rc = is_path ? place(found, name, view) : search(found, name, view);
    if (rc == 0)
        return 0;
    if (rc == -EXDEV)
        return refuse_outside(name, view->folder, err);
    if (rc == -ENOENT && !is_path)
        return fail(err, GBX_EFILE, "%s: no such program in %s%s%s", name,
                    view->search_path, view->root != NULL ? " of " : "",
                    view->root != NULL ? view->root : "");
    return fail(err, rc == -EACCES || rc == -EISDIR ? GBX_ELOAD : GBX_EFILE,
                "%s: %s%s%s", name, strerrordesc_np(-rc),
                is_path && view->root != NULL ? " in " : "",
                is_path && view->root != NULL ? view->root : "");
}
