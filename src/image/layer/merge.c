/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c - a layer put over what is there: first what it hides, then its files
 * as hard links, its folders anew.
 *
 * A folder of the layer that no entry names (IMPLIED) was only on the way to
 * something.  Where the root has a link to a folder in its place (lib ->
 * usr/lib), it is that folder that was meant; one that is named replaces it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/layer.h"
#include "image/layer/notes.h"
#include "image/layer/place.h"
#include "image/store/folder.h"

struct merge {
    int root_fd;
    struct notes notes;
    char path[PATH_MAX]; /* of what is being put */
};

static int merge_failed(const struct merge *self, int rc, struct gbx_error *err)
{
    errno = -rc;
    return fail(err, rc == -ELOOP ? GBX_EFORMAT : GBX_EHOST,
                "an image's root, at \"%.100s\"", self->path);
}

/* A file system on which links have a maximum. */
static int copy_file(int from_dir, int to_dir, const char *name)
{
    auto_fd int from = openat(from_dir, name,
                              O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
                to = -1;
    struct stat st;
    ssize_t n;

    if (from < 0 || fstat(from, &st) < 0)
        return -errno;
    to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    do
        n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0 || fchmod(to, st.st_mode & 0777) < 0 ||
        futimens(to, (struct timespec[2]){st.st_atim, st.st_mtim}) < 0)
        return -errno;
    return 0;
}

static int put_file(int from_dir, int to_dir, const char *name)
{
    int rc;

    if (linkat(from_dir, name, to_dir, name, 0) == 0)
        return 0;
    if (errno == EEXIST) {
        if ((rc = folder_remove(to_dir, name, NULL)) < 0)
            return rc;
        if (linkat(from_dir, name, to_dir, name, 0) == 0)
            return 0;
    }
    return errno == EMLINK ? copy_file(from_dir, to_dir, name) : -errno;
}

/* Rather than that it could not be looked at. */
static bool leads_nowhere(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP;
}

/* The folder of the root that one of the layer goes into, made where there is
 * none.  Returns a descriptor or -errno. */
static int open_folder(const struct merge *self, int to_dir, const char *name,
                       bool is_implied)
{
    struct stat st;
    int fd, rc;

    if (mkdirat(to_dir, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    /* Only what is no folder makes room. */
    if (!leads_nowhere(-errno))
        return -errno;
    if (fstatat(to_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode) && is_implied) {
        /* It is opened to be a place alone, at first. */
        auto_fd int path = folder_find(self->root_fd, self->path);

        fd = path < 0 ? -1
                      : openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (path >= 0 || !leads_nowhere(path))
            return path < 0 ? path : -errno;
    }
    if ((rc = folder_remove(to_dir, name, NULL)) < 0)
        return rc;
    if (mkdirat(to_dir, name, 0755) < 0)
        return -errno;
    fd = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int put_all(struct merge *self, int from, int to, unsigned depth);

static int put_folder(struct merge *self, int from_dir, int to_dir,
                      const char *name, unsigned depth)
{
    const bool is_implied = notes_has(&self->notes, NOTE_IMPLIED, self->path);
    auto_fd int to = open_folder(self, to_dir, name, is_implied);
    int from = -1, rc;
    struct stat st;

    if (to < 0)
        return to;
    from =
        openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) < 0) {
        rc = -errno;
        close_fd(&from);
        return rc;
    }
    rc = put_all(self, from, to, depth + 1);
    if (rc == 0 && !is_implied &&
        (fchmod(to, st.st_mode & 0777) < 0 ||
         futimens(to, (struct timespec[2]){st.st_atim, st.st_mtim}) < 0))
        rc = -errno;
    return rc;
}

static bool is_folder(int dir_fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(st.st_mode);
}

/* `from` is taken. */
static int put_all(struct merge *self, int from, int to, unsigned depth)
{
    const size_t bytes = strlen(self->path);
    const struct dirent *entry;
    DIR *dir = fdopendir(from);
    int rc = depth > PLACE_DEPTH_MAX ? -ELOOP : 0;

    if (dir == NULL) {
        rc = -errno;
        close_fd(&from);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if ((size_t)snprintf(self->path + bytes, sizeof(self->path) - bytes,
                             "%s%s", bytes > 0 ? "/" : "",
                             name) >= sizeof(self->path) - bytes)
            rc = -ENAMETOOLONG;
        else if (is_folder(from, entry))
            rc = put_folder(self, from, to, name, depth);
        else
            rc = put_file(from, to, name);
        if (rc == 0)
            self->path[bytes] = '\0';
    }
    if (rc == 0 && errno != 0) /* it ended before all was read */
        rc = -errno;
    closedir(dir);
    return rc;
}

/* Where a path's last part lies in the root; NULL: it is the root. */
static int find_spot(const struct merge *self, const char *path,
                     const char **name)
{
    const char *slash = strrchr(path, '/');
    char parent[PATH_MAX];
    int bytes = slash == NULL ? 0 : (int)(slash - path);

    *name = slash == NULL ? path : slash + 1;
    snprintf(parent, sizeof(parent), "%.*s", bytes, path);
    return folder_find(self->root_fd, parent);
}

static int hide(struct merge *self, const struct note *note)
{
    const char *name;
    auto_fd int fd = note->kind == NOTE_CLEAR
                         ? folder_find(self->root_fd, note->path)
                         : find_spot(self, note->path, &name);

    snprintf(self->path, sizeof(self->path), "%s", note->path);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0; /* it never was there */
    if (fd < 0)
        return fd;
    return note->kind == NOTE_CLEAR ? folder_clear(fd, NULL)
                                    : folder_remove(fd, name, NULL);
}

static int link_it(struct merge *self, const struct note *note)
{
    const char *from_name, *to_name;
    auto_fd int from = find_spot(self, note->target, &from_name),
                to = find_spot(self, note->path, &to_name);

    snprintf(self->path, sizeof(self->path), "%s", note->path);
    if (from < 0 || to < 0)
        return from < 0 ? from : to;
    if (folder_remove(to, to_name, NULL) < 0 ||
        linkat(from, from_name, to, to_name, 0) < 0)
        return -errno;
    return 0;
}

static int each(struct merge *self, enum note_kind first, enum note_kind last,
                int (*fn)(struct merge *self, const struct note *note))
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < self->notes.count; i++)
        if (self->notes.all[i].kind >= first && self->notes.all[i].kind <= last)
            rc = fn(self, &self->notes.all[i]);
    if (rc == 0)
        self->path[0] = '\0';
    return rc;
}

static int merge(struct merge *self, int dir_fd)
{
    int from = openat(dir_fd, LAYER_FILES,
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int rc;

    if (from < 0 || fstat(from, &st) < 0) {
        rc = -errno;
        close_fd(&from);
        return rc;
    }
    rc = each(self, NOTE_HIDE, NOTE_CLEAR, hide);
    if (rc < 0) {
        close_fd(&from);
        return rc;
    }
    if ((rc = put_all(self, from, self->root_fd, 0)) < 0 ||
        (rc = each(self, NOTE_LINK, NOTE_LINK, link_it)) < 0)
        return rc;
    return fchmod(self->root_fd, st.st_mode & 0777) < 0 ? -errno : 0;
}

int layer_merge(int root_fd, int dir_fd, struct gbx_error *err)
{
    struct merge self = {.root_fd = root_fd};
    int rc = notes_read(&self.notes, dir_fd);

    if (rc < 0) {
        errno = -rc;
        rc =
            fail(err, rc == -EBADMSG || rc == -ENOENT ? GBX_EFORMAT : GBX_EHOST,
                 "the notes of a layer are damaged; glovebox image verify "
                 "finds out more");
    } else if ((rc = merge(&self, dir_fd)) < 0) {
        rc = merge_failed(&self, rc, err);
    }
    notes_fini(&self.notes);
    return rc;
}

int layer_is_root(int dir_fd, struct gbx_error *err)
{
    struct notes notes;
    int rc = notes_read(&notes, dir_fd), links = 0;

    for (size_t i = 0; rc == 0 && i < notes.count; i++)
        links += notes.all[i].kind == NOTE_LINK;
    notes_fini(&notes);
    if (rc == 0)
        return links == 0;
    return fail(err, GBX_EFORMAT, "the notes of a layer are damaged");
}
