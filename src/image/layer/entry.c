/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c - what an entry asks for, and what is made of it.
 *
 *   file, link       made anew, whatever was there under that name
 *   folder           made, or given another mode; a file there makes room
 *   hard link        to what the layer has; else a note (a layer below may)
 *   device, pipe     a note
 *   .wh.NAME         a note: NAME is gone; .wh..wh..opq: all in the folder
 *
 * All is ours.  We may read every file and change every folder, or neither a
 * guest could see it nor we remove it; nothing is set-user-ID.  What an entry
 * wanted otherwise is a note.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer/entry.h"

#define HIDE      ".wh."
#define HIDE_MORE ".wh..wh."
#define CLEAR     ".wh..wh..opq"
#define SHOWN     80

static int refuse(const struct entry_how *how, const char *path,
                  const char *why, struct gbx_error *err)
{
    return fail(err, GBX_EFORMAT, "%.20s: entry \"%.*s\" %s", how->name, SHOWN,
                path, why);
}

/* What the kernel said: the host's fault, or the entry's? */
static int put_failed(const struct entry_how *how, const char *path, int rc,
                      struct gbx_error *err)
{
    switch (rc) {
    case -EINVAL:
        return refuse(how, path, "leads out of the image (\"..\")", err);
    case -ENAMETOOLONG:
        return refuse(how, path, "has too long a name", err);
    case -ELOOP:
        return refuse(how, path, "lies too deep, or its links go in circles",
                      err);
    case -ENOTDIR:
        return refuse(how, path, "lies in what is no folder", err);
    case -EEXIST:
    case -EISDIR:
    case -ENOENT:
        return refuse(how, path, "is in its own way", err);
    default:
        errno = -rc;
        return fail(err, GBX_EHOST, "%.20s: \"%.*s\"", how->name, SHOWN, path);
    }
}

static void note_owner(struct entry_how *how, struct archive_entry *entry,
                       const char *path, mode_t mode)
{
    const la_int64_t uid = archive_entry_uid(entry),
                     gid = archive_entry_gid(entry);
    const mode_t wanted = archive_entry_perm(entry) & 07777;

    if (uid != 0 || gid != 0 || wanted != mode)
        notes_add(how->notes, &(struct note){.kind = NOTE_OWNER,
                                             .path = path,
                                             .uid = (uint32_t)uid,
                                             .gid = (uint32_t)gid,
                                             .mode = wanted});
}

static void times_of(struct archive_entry *entry, struct timespec times[2])
{
    times[0].tv_sec = 0;
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = archive_entry_mtime(entry);
    times[1].tv_nsec = archive_entry_mtime_is_set(entry)
                           ? archive_entry_mtime_nsec(entry)
                           : UTIME_OMIT;
}

/* Sparse files have holes between blocks, and at the end. */
static int write_data(const struct entry_how *how, struct archive *archive,
                      struct archive_entry *entry, int fd, const char *path,
                      struct gbx_error *err)
{
    const la_int64_t size = archive_entry_size(entry);
    const void *bytes;
    la_int64_t off, end = 0;
    size_t count;
    int rc;

    if (size < 0 || (uint64_t)size > how->bytes_max)
        return fail(err, GBX_ELIMIT,
                    "%.20s: \"%.*s\" has %lld bytes; --max-size allows more",
                    how->name, SHOWN, path, (long long)size);
    while ((rc = archive_read_data_block(archive, &bytes, &count, &off)) ==
           ARCHIVE_OK) {
        if (off < end || off > size || (la_int64_t)count > size - off)
            return refuse(how, path, "has data outside of itself", err);
        if (fd_write_at(fd, bytes, count, (uint64_t)off) < 0)
            return put_failed(how, path, -errno, err);
        end = off + (la_int64_t)count;
    }
    if (rc != ARCHIVE_EOF)
        return fail(err, GBX_EFORMAT, "%.20s: \"%.*s\": %.100s", how->name,
                    SHOWN, path, archive_error_string(archive));
    if (end < size && ftruncate(fd, size) < 0)
        return put_failed(how, path, -errno, err);
    return 0;
}

static int open_new(struct place *place, const struct spot *spot, mode_t mode)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(spot->dir_fd, spot->name, flags, mode), rc;

    if (fd >= 0 || errno != EEXIST)
        return fd < 0 ? -errno : fd;
    if ((rc = place_clear(place, spot)) < 0)
        return rc;
    fd = openat(spot->dir_fd, spot->name, flags, mode);
    return fd < 0 ? -errno : fd;
}

static int put_file(struct entry_how *how, struct archive *archive,
                    struct archive_entry *entry, const char *path,
                    const struct spot *spot, struct gbx_error *err)
{
    const mode_t mode = (archive_entry_perm(entry) & 0777) | 0400;
    auto_fd int fd = open_new(&how->place, spot, mode);
    struct timespec times[2];
    int rc;

    if (fd < 0)
        return put_failed(how, path, fd, err);
    if ((rc = write_data(how, archive, entry, fd, path, err)) < 0)
        return rc;
    times_of(entry, times);
    /* The umask may have taken some of it. */
    if (((mode & 022) != 0 && fchmod(fd, mode) < 0) || futimens(fd, times) < 0)
        return put_failed(how, path, -errno, err);
    note_owner(how, entry, path, mode);
    return 0;
}

/* Its times are set when all is in it, which is in the end. */
static int put_folder(struct entry_how *how, struct archive_entry *entry,
                      const char *path, const struct spot *spot,
                      struct gbx_error *err)
{
    const mode_t mode = (archive_entry_perm(entry) & 0777) | 0700;
    const char *name = spot->name[0] != '\0' ? spot->name : ".";
    struct stat st;
    int rc;

    if (mkdirat(spot->dir_fd, name, mode) < 0) {
        if (errno != EEXIST ||
            fstatat(spot->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return put_failed(how, path, -errno, err);
        if (!S_ISDIR(st.st_mode) &&
            ((rc = place_clear(&how->place, spot)) < 0 ||
             (rc = mkdirat(spot->dir_fd, name, mode) < 0 ? -errno : 0) < 0))
            return put_failed(how, path, rc, err);
    }
    /* Nobody else is in here: it is the folder that was just seen. */
    if (fchmodat(spot->dir_fd, name, mode, 0) < 0)
        return put_failed(how, path, -errno, err);
    notes_add(how->named, &(struct note){.kind = NOTE_IMPLIED,
                                         .path = path,
                                         .time_s = archive_entry_mtime(entry)});
    note_owner(how, entry, path, mode);
    return 0;
}

static int put_link(struct entry_how *how, struct archive_entry *entry,
                    const char *path, const struct spot *spot,
                    struct gbx_error *err)
{
    const char *target = archive_entry_symlink(entry);
    struct timespec times[2];
    int rc;

    if (target == NULL || target[0] == '\0' || strlen(target) >= PATH_MAX)
        return refuse(how, path, "is a link to nothing", err);
    if ((rc = place_clear(&how->place, spot)) < 0)
        return put_failed(how, path, rc, err);
    times_of(entry, times);
    if (symlinkat(target, spot->dir_fd, spot->name) < 0 ||
        utimensat(spot->dir_fd, spot->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return put_failed(how, path, -errno, err);
    return 0;
}

/* Is what the link leads to in this layer?  0, -ENOENT: no, or a code. */
static int find_target(struct entry_how *how, struct place *place,
                       const char *path, const char *target, struct spot *from,
                       struct stat *st, struct gbx_error *err)
{
    int rc = place_look(place, target, from);

    if (rc == 0 &&
        fstatat(from->dir_fd, from->name[0] != '\0' ? from->name : ".", st,
                AT_SYMLINK_NOFOLLOW) < 0)
        rc = -errno;
    if (rc == -ENOENT)
        return rc;
    if (rc < 0)
        return put_failed(how, path, rc, err);
    return S_ISDIR(st->st_mode)
               ? refuse(how, path, "is a hard link to a folder", err)
               : 0;
}

static int make_hard_link(struct entry_how *how, const char *path,
                          const struct spot *from, const struct stat *st,
                          const struct spot *spot, struct gbx_error *err)
{
    struct stat here;
    int rc;

    if (fstatat(spot->dir_fd, spot->name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
        here.st_ino == st->st_ino)
        return 0; /* they are one already */
    if ((rc = place_clear(&how->place, spot)) < 0)
        return put_failed(how, path, rc, err);
    return linkat(from->dir_fd, from->name, spot->dir_fd, spot->name, 0) < 0
               ? put_failed(how, path, -errno, err)
               : 0;
}

static int put_hard_link(struct entry_how *how, struct archive_entry *entry,
                         const char *path, const struct spot *spot,
                         struct gbx_error *err)
{
    char target[PATH_MAX];
    struct place other;
    struct spot from;
    struct stat st;
    int rc = place_clean(target, archive_entry_hardlink(entry));

    if (rc < 0)
        return put_failed(how, archive_entry_hardlink(entry), rc, err);
    place_init(&other, how->place.root_fd, how->notes);
    rc = find_target(how, &other, path, target, &from, &st, err);
    if (rc == 0)
        rc = make_hard_link(how, path, &from, &st, spot, err);
    place_fini(&other);
    if (rc != -ENOENT)
        return rc;
    notes_add(
        how->notes,
        &(struct note){.kind = NOTE_LINK, .path = path, .target = target});
    rc = place_clear(&how->place, spot);
    return rc < 0 ? put_failed(how, path, rc, err) : 0;
}

/* Returns 1 where the name is none of these. */
static int put_whiteout(struct entry_how *how, const char *path,
                        struct gbx_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char hidden[PATH_MAX];
    size_t before = (size_t)(name - path);

    if (strncmp(name, HIDE, strlen(HIDE)) != 0)
        return strncmp(path, HIDE, strlen(HIDE)) == 0 ||
                       strstr(path, "/" HIDE) != NULL
                   ? refuse(how, path, "lies in a whiteout", err)
                   : 1;
    memcpy(hidden, path, before);
    if (strcmp(name, CLEAR) == 0) {
        hidden[before > 0 ? before - 1 : 0] = '\0';
        notes_add(how->notes,
                  &(struct note){.kind = NOTE_CLEAR, .path = hidden});
        return 0;
    }
    if (strncmp(name, HIDE_MORE, strlen(HIDE_MORE)) == 0)
        return 0; /* what the makers of layers keep for themselves */
    name += strlen(HIDE);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return refuse(how, path, "hides what is no file", err);
    strcpy(hidden + before, name);
    notes_add(how->notes, &(struct note){.kind = NOTE_HIDE, .path = hidden});
    return 0;
}

static int put_device(struct entry_how *how, struct archive_entry *entry,
                      const char *path, const struct spot *spot,
                      struct gbx_error *err)
{
    int rc = place_clear(&how->place, spot);

    notes_add(
        how->notes,
        &(struct note){.kind = NOTE_DEVICE,
                       .path = path,
                       .uid = (uint32_t)archive_entry_uid(entry),
                       .gid = (uint32_t)archive_entry_gid(entry),
                       .mode = archive_entry_mode(entry),
                       .device = {(uint32_t)archive_entry_rdevmajor(entry),
                                  (uint32_t)archive_entry_rdevminor(entry)}});
    return rc < 0 ? put_failed(how, path, rc, err) : 0;
}

int entry_put(struct entry_how *how, struct archive *archive,
              struct archive_entry *entry, struct gbx_error *err)
{
    const char *name = archive_entry_pathname(entry);
    char path[PATH_MAX];
    struct spot spot;
    int rc;

    if (name == NULL)
        return refuse(how, "?", "has no name", err);
    if ((rc = place_clean(path, name)) < 0)
        return put_failed(how, name, rc, err);
    if ((rc = put_whiteout(how, path, err)) <= 0)
        return rc;
    if ((rc = place_find(&how->place, path, &spot)) < 0)
        return put_failed(how, path, rc, err);
    if (path[0] == '\0' && archive_entry_filetype(entry) != AE_IFDIR)
        return refuse(how, name, "is the image's root, and no folder", err);
    if (archive_entry_hardlink(entry) != NULL)
        return put_hard_link(how, entry, path, &spot, err);
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return put_file(how, archive, entry, path, &spot, err);
    case AE_IFDIR:
        return put_folder(how, entry, path, &spot, err);
    case AE_IFLNK:
        return put_link(how, entry, path, &spot, err);
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
        return put_device(how, entry, path, &spot, err);
    default:
        return refuse(how, path, "is of a kind that nobody knows", err);
    }
}
