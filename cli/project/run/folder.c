/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c - a project's folder below the runtime directory, and its locks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/project/run/run.h"

#define PLAN_BYTES_MAX (16u << 20)
#define TRIES          100 /* 10 ms each */

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* The user's own, and nobody else's to enter; or, of what the system made, to
 * write. */
static int check(const char *path, const struct stat *st, mode_t others,
                 struct gbx_error *err)
{
    if (!S_ISDIR(st->st_mode))
        return project_fail(err, GBX_EFILE, "%s: not a folder; remove it",
                            path);
    if (st->st_uid != geteuid())
        return project_fail(err, GBX_EFILE,
                            "%s: it belongs to another user (%u); set "
                            "XDG_RUNTIME_DIR to a folder of your own",
                            path, (unsigned)st->st_uid);
    if ((st->st_mode & others) != 0)
        return project_fail(err, GBX_EFILE,
                            "%s: others may write or look there; chmod 700 it",
                            path);
    return 0;
}

/* A folder in another, ours alone.  Returns a descriptor; -1: it is not there;
 * or a code. */
static int enter(int above, const char *path, const char *name, bool make,
                 struct gbx_error *err)
{
    struct stat st;
    int fd, rc;

    if (make && mkdirat(above, name, 0700) < 0 && errno != EEXIST)
        return project_fail(err, GBX_EHOST, "%s: %s", path,
                            strerrordesc_np(errno));
    fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !make)
        return -1;
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = project_fail(err, GBX_EFILE, "%s: %s", path,
                          errno == ELOOP || errno == ENOTDIR
                              ? "not a folder; remove it"
                              : strerrordesc_np(errno));
    else
        rc = check(path, &st, 077, err);
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int enter_base(struct place *place, bool make, struct gbx_error *err)
{
    const char *given = secure_getenv("XDG_RUNTIME_DIR");
    struct stat st;
    int above, fd;

    if (given == NULL || given[0] != '/') {
        snprintf(place->path, sizeof(place->path), "/tmp/glovebox-%u",
                 (unsigned)geteuid());
        return enter(AT_FDCWD, place->path, place->path, make, err);
    }
    above = open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0 || fstat(above, &st) < 0) {
        project_fail(err, GBX_EFILE,
                     "XDG_RUNTIME_DIR is %s: %s; unset it, or make it, mode "
                     "700",
                     given, strerrordesc_np(errno));
        return GBX_EFILE;
    }
    fd = check(given, &st, 022, err);
    snprintf(place->path, sizeof(place->path), "%s/glovebox", given);
    if (fd == 0)
        fd = enter(above, place->path, "glovebox", make, err);
    close(above);
    return fd;
}

/* FNV-1a of its path: two projects of one user are told apart by it, and nobody
 * else's is there. */
static void name_of(const char *of, char name[17])
{
    unsigned long long hash = 0xcbf29ce484222325u;

    for (; *of != '\0'; of++)
        hash = (hash ^ (unsigned char)*of) * 0x100000001b3u;
    snprintf(name, 17, "%016llx", hash);
}

int place_open(struct place *place, const char *of, bool make,
               struct gbx_error *err)
{
    int base = enter_base(place, make, err);
    size_t bytes = strlen(place->path);
    char name[17];

    place->fd = -1;
    if (base < 0)
        return base == -1 ? 0 : base;
    name_of(of, name);
    if (bytes + sizeof(name) + 20 > sizeof(place->path)) {
        close(base);
        return project_fail(err, GBX_EFILE, "XDG_RUNTIME_DIR is too long");
    }
    snprintf(place->path + bytes, sizeof(place->path) - bytes, "/%s", name);
    place->fd = enter(base, place->path, name, make, err);
    close(base);
    if (place->fd >= -1)
        return 0;
    bytes = (size_t)-place->fd;
    place->fd = -1;
    return -(int)bytes;
}

void place_close(struct place *place)
{
    if (place->fd >= 0)
        close(place->fd);
    place->fd = -1;
}

int place_write(const struct place *place, const char *name, const char *text,
                struct gbx_error *err)
{
    const size_t bytes = strlen(text);
    char draft[64];
    size_t at = 0;
    ssize_t n = 0;
    int fd;

    snprintf(draft, sizeof(draft), "%s.new", name);
    fd = openat(place->fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                0600);
    for (; fd >= 0 && at < bytes && n >= 0; at += n > 0 ? (size_t)n : 0)
        n = write(fd, text + at, bytes - at);
    if (fd >= 0 && n >= 0 && renameat(place->fd, draft, place->fd, name) < 0)
        n = -1;
    if (fd < 0 || n < 0) {
        project_fail(err, GBX_EHOST, "%s/%s: %s", place->path, name,
                     strerrordesc_np(errno));
        unlinkat(place->fd, draft, 0);
    }
    if (fd >= 0)
        close(fd);
    return fd >= 0 && n >= 0 ? 0 : GBX_EHOST;
}

json_t *place_json(const struct place *place, const char *name)
{
    const int fd =
        place->fd >= 0 ? openat(place->fd, name, O_RDONLY | O_CLOEXEC) : -1;
    json_t *json;

    if (fd < 0)
        return NULL;
    json = json_loadfd(fd, 0, NULL);
    close(fd);
    return json;
}

static int open_lock(const struct place *place, const char *name)
{
    return openat(place->fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

int place_lock(const struct place *place, const char *name)
{
    const int fd = open_lock(place, name);

    while (fd >= 0 && flock(fd, LOCK_EX) < 0)
        if (errno != EINTR) {
            close(fd);
            return -1;
        }
    return fd;
}

static bool is_held(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK;
    flock(fd, LOCK_UN);
    return false;
}

static pid_t read_pid(int fd)
{
    char text[24] = "";

    return pread(fd, text, sizeof(text) - 1, 0) > 0 ? (pid_t)atoi(text) : 0;
}

/* The pid is the holder's while the lock is held; so it is looked at before and
 * after what is opened by it. */
int place_daemon(const struct place *place, pid_t *pid)
{
    const int fd =
        place->fd >= 0 ? openat(place->fd, "lock", O_RDONLY | O_CLOEXEC) : -1;
    int pidfd = -1;

    for (int i = 0; fd >= 0 && i < TRIES && is_held(fd); i++) {
        *pid = read_pid(fd);
        pidfd = *pid > 0 ? pidfd_open(*pid, 0) : -1;
        if (pidfd >= 0 && is_held(fd) && read_pid(fd) == *pid)
            break;
        if (pidfd >= 0)
            close(pidfd);
        pidfd = -1;
        pause_ms(10); /* it is being started, or has just ended */
    }
    if (fd >= 0)
        close(fd);
    return pidfd;
}

int place_take(const struct place *place)
{
    const int fd = open_lock(place, "lock");

    /* Who looks whether it is held, holds it for a moment. */
    for (int i = 0; fd >= 0 && i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0)
            return fd;
        pause_ms(10);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}
