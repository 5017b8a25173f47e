/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/store/kept.h"

#define BOOT_BYTES 64u
#define BOOT_ID    "/proc/sys/kernel/random/boot_id"

/* How many bytes, or -errno. */
static ssize_t read_all(int dir_fd, const char *path, char text[BOOT_BYTES])
{
    auto_fd int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, BOOT_BYTES);

    return n < 0 ? -errno : n;
}

static int put(int dir_fd, const char *path, const void *bytes, size_t count)
{
    auto_fd int fd =
        openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return fd < 0 || fd_write_at(fd, bytes, count, 0) < 0 ? -errno : 0;
}

int kept_begin(int dir_fd)
{
    char boot[BOOT_BYTES];
    ssize_t bytes = read_all(AT_FDCWD, BOOT_ID, boot);

    if (bytes < 0 && bytes != -ENOENT) /* without /proc, it has to be marked */
        return (int)bytes;
    return put(dir_fd, "boot", boot, bytes < 0 ? 0 : (size_t)bytes);
}

bool kept_is_marked(const struct gbx_images *images, const char *path)
{
    char name[STORE_PATH_BYTES + 8];

    snprintf(name, sizeof(name), "%s/kept", path);
    return faccessat(images->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool kept_is_whole(const struct gbx_images *images, const char *path)
{
    char name[STORE_PATH_BYTES + 8], boot[BOOT_BYTES], now[BOOT_BYTES];
    ssize_t bytes;

    if (kept_is_marked(images, path))
        return true;
    snprintf(name, sizeof(name), "%s/boot", path);
    bytes = read_all(images->fd, name, boot);
    return bytes > 0 && read_all(AT_FDCWD, BOOT_ID, now) == bytes &&
           memcmp(boot, now, (size_t)bytes) == 0;
}

void kept_mark(const struct gbx_images *images, const char *path)
{
    auto_fd int fd =
        openat(images->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        put(fd, "kept", "", 0);
}
