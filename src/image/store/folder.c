/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/store/folder.h"

#define PATH_BYTES 4096u
#define BLOCK      512u /* of st_blocks, whatever the file system's */

/* To each name in a folder: 0, or what ends the walk. */
typedef int folder_fn(int dir_fd, const char *name, void *context);

/* The descriptor is taken. */
static int walk(int fd, folder_fn *fn, void *context)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL) {
        rc = -errno;
        close_fd(&fd);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = fn(dirfd(dir), entry->d_name, context);
    if (rc == 0 && errno != 0)
        rc = -errno;
    closedir(dir);
    return rc;
}

static int open_inside(int dir_fd, const char *name)
{
    return openat(dir_fd, name,
                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int remove_one(int dir_fd, const char *name, void *context)
{
    return folder_remove(dir_fd, name, context);
}

int folder_remove(int dir_fd, const char *name, uint64_t *freed)
{
    struct stat st = {0};
    int rc;

    if (freed != NULL && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode) && unlinkat(dir_fd, name, 0) == 0) {
        if (freed != NULL && st.st_nlink == 1)
            *freed += (uint64_t)st.st_blocks * BLOCK;
        return 0;
    }
    if (!S_ISDIR(st.st_mode) && errno != EISDIR)
        return errno == ENOENT ? 0 : -errno;
    rc = walk(open_inside(dir_fd, name), remove_one, freed);
    if (rc == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
        rc = -errno;
    else if (rc == 0 && freed != NULL)
        *freed += (uint64_t)st.st_blocks * BLOCK;
    return rc == -ENOENT ? 0 : rc;
}

int folder_clear(int dir_fd, uint64_t *freed)
{
    return walk(open_inside(dir_fd, "."), remove_one, freed);
}

static int add_one(int dir_fd, const char *name, void *context)
{
    return folder_bytes(dir_fd, name, context);
}

int folder_bytes(int dir_fd, const char *name, uint64_t *bytes)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    *bytes += (uint64_t)st.st_blocks * BLOCK;
    return S_ISDIR(st.st_mode) ? walk(open_inside(dir_fd, name), add_one, bytes)
                               : 0;
}

int folder_find(int root_fd, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve =
                                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;

    do
        fd = syscall(SYS_openat2, root_fd, path[0] != '\0' ? path : ".", &how,
                     sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return fd < 0 ? -errno : (int)fd;
}

int folder_make(const char *path)
{
    char copy[PATH_BYTES];
    const size_t bytes = strlen(path);
    int fd;

    if (bytes >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, bytes + 1);
    for (size_t i = 1; i <= bytes; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        copy[i] = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return -errno;
        copy[i] = path[i];
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
