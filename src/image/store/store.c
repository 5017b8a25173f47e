/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/store/folder.h"
#include "image/store/store.h"

#define WAIT_US  20000
#define ALONE_NS 2000000000ull

static const char *const folders[] = {"blobs",     STORE_BLOBS,  STORE_LAYERS,
                                      STORE_ROOTS, STORE_IMAGES, STORE_NAMES,
                                      STORE_LOCKS, STORE_DRAFTS};

int gbx_images_default(char *dir, size_t bytes)
{
    const char *base = secure_getenv("XDG_DATA_HOME"),
               *end = "/glovebox/images";
    int n;

    if (base == NULL || base[0] != '/') { /* relative ones are to be ignored */
        base = secure_getenv("HOME");
        end = "/.local/share/glovebox/images";
    }
    if (base == NULL || base[0] != '/')
        return GBX_EFILE;
    n = snprintf(dir, bytes, "%s%s", base, end);
    return n < 0 || (size_t)n >= bytes ? GBX_ELIMIT : 0;
}

static int open_store(struct gbx_images *images, const char *dir,
                      struct gbx_error *err)
{
    struct stat st;

    images->fd = folder_make(dir);
    if (images->fd < 0)
        return fail(err, GBX_EFILE, "%s: %s", dir,
                    strerrordesc_np(-images->fd));
    if (fstat(images->fd, &st) < 0)
        return fail(err, GBX_EHOST, "%s", dir);
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return fail(err, GBX_EFILE,
                    "%s: others may write there; make it yours (chmod 700)",
                    dir);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (mkdirat(images->fd, folders[i], 0700) < 0 && errno != EEXIST)
            return fail(err, GBX_EHOST, "%s/%s", dir, folders[i]);
    images->path = realpath(dir, NULL);
    return images->path == NULL ? fail(err, GBX_EHOST, "%s", dir) : 0;
}

int gbx_images_open(struct gbx_images **images, const char *dir,
                    struct gbx_error *err)
{
    char usual[4096];
    struct gbx_images *made;
    int rc;

    *images = NULL;
    if (dir == NULL) {
        if (gbx_images_default(usual, sizeof(usual)) < 0)
            return fail(err, GBX_EFILE,
                        "no place for images: neither HOME nor XDG_DATA_HOME "
                        "is set");
        dir = usual;
    }
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a store of images");
    rc = open_store(made, dir, err);
    if (rc < 0)
        gbx_images_close(made);
    else
        *images = made;
    return rc;
}

void gbx_images_close(struct gbx_images *images)
{
    if (images == NULL)
        return;
    close_fd(&images->fd);
    free(images->path);
    free(images);
}

void store_blob(char path[STORE_PATH_BYTES], const char *digest)
{
    snprintf(path, STORE_PATH_BYTES, STORE_BLOBS "/%s", digest_hex(digest));
}

char *store_read(const struct gbx_images *images, const char *path, size_t most,
                 size_t *bytes)
{
    auto_fd int fd = openat(images->fd, path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *text;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if ((uint64_t)st.st_size > most) {
        errno = EFBIG;
        return NULL;
    }
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL)
        return NULL;
    n = pread(fd, text, (size_t)st.st_size, 0);
    if (n != st.st_size) {
        errno = n < 0 ? errno : EIO;
        free(text);
        return NULL;
    }
    text[n] = '\0';
    if (bytes != NULL)
        *bytes = (size_t)n;
    return text;
}

int store_write(const struct gbx_images *images, const char *path,
                const void *bytes, size_t count)
{
    static atomic_uint number;
    char draft[STORE_PATH_BYTES];
    auto_fd int fd = -1;
    int rc = 0;

    snprintf(draft, sizeof(draft), STORE_DRAFTS "/%d-%u.file", getpid(),
             atomic_fetch_add(&number, 1));
    fd = openat(images->fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 ||
        fd_write_at(fd, bytes, count, 0) < 0 ||
        renameat(images->fd, draft, images->fd, path) < 0)
        rc = -errno;
    if (rc < 0)
        unlinkat(images->fd, draft, 0);
    return rc;
}

int store_draft(const struct gbx_images *images, char path[STORE_PATH_BYTES])
{
    static atomic_uint number;
    int fd;

    for (;;) {
        snprintf(path, STORE_PATH_BYTES, STORE_DRAFTS "/%d-%u", getpid(),
                 atomic_fetch_add(&number, 1));
        if (mkdirat(images->fd, path, 0700) == 0)
            break;
        if (errno != EEXIST) /* of a process that had our number */
            return -errno;
    }
    fd = openat(images->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = -errno;

        close_fd(&fd);
        unlinkat(images->fd, path, AT_REMOVEDIR);
        return rc;
    }
    return fd;
}

void store_drop(const struct gbx_images *images, int *fd, const char *path)
{
    if (*fd < 0)
        return;
    folder_remove(images->fd, path, NULL);
    close_fd(fd);
}

void store_sweep_drafts(const struct gbx_images *images, uint64_t *freed)
{
    int all =
        openat(images->fd, STORE_DRAFTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = all < 0 ? NULL : fdopendir(all);
    const struct dirent *entry;

    if (dir == NULL) {
        close_fd(&all);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        auto_fd int fd = -1;

        if (entry->d_name[0] == '.')
            continue;
        fd = openat(all, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            folder_remove(all, entry->d_name, freed);
    }
    closedir(dir);
}

bool store_is_current(const struct gbx_images *images, const char *path, int fd)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 &&
           fstatat(images->fd, path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

int store_lock(const struct gbx_images *images, const char *name, bool alone,
               uint64_t deadline_ns, bool (*turn)(void *context), void *context)
{
    const int how = (alone ? LOCK_EX : LOCK_SH) | LOCK_NB;
    char path[STORE_PATH_BYTES];

    snprintf(path, sizeof(path), STORE_LOCKS "/%s", name);
    for (;;) {
        auto_fd int fd =
            openat(images->fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
            return -errno;
        if (flock(fd, how) == 0) {
            if (store_is_current(images, path, fd))
                return steal_fd(&fd);
            continue;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (clock_is_past(deadline_ns))
            return -EAGAIN;
        if (turn != NULL && !turn(context))
            return -ECANCELED;
        usleep(WAIT_US);
    }
}

int store_lock_alone(const struct gbx_images *images, struct gbx_error *err)
{
    int fd = store_lock(images, "store", true, clock_now_ns() + ALONE_NS, NULL,
                        NULL);

    if (fd == -EAGAIN)
        return fail(err, GBX_EAGAIN,
                    "a pull is under way in %.120s; try again when it is done",
                    images->path);
    errno = -fd;
    return fd < 0 ? fail(err, GBX_EHOST, "a lock in %s", images->path) : fd;
}
