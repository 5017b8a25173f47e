/* SPDX-License-Identifier: Apache-2.0 */
/* attributes.c - what kind of file it is, how large and how old. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "sandbox/wasm/wasi/inner.h"

#define SECOND 1000000000ull

#define ATIM     1u /* fstflags */
#define ATIM_NOW 2u
#define MTIM     4u
#define MTIM_NOW 8u

enum wasi_filetype filetype_of(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return WASI_REGULAR_FILE;
    case S_IFDIR:
        return WASI_DIRECTORY;
    case S_IFLNK:
        return WASI_SYMBOLIC_LINK;
    case S_IFCHR:
        return WASI_CHARACTER_DEVICE;
    case S_IFBLK:
        return WASI_BLOCK_DEVICE;
    case S_IFSOCK:
        return WASI_SOCKET_STREAM;
    default:
        return WASI_UNKNOWN;
    }
}

enum wasi_filetype filetype_of_entry(uint8_t type)
{
    return filetype_of(DTTOIF((uint32_t)type));
}

/* Before 1970, and beyond what 64 bits hold, is what comes next to it. */
static uint64_t stamp(const struct timespec *t)
{
    if (t->tv_sec < 0)
        return 0;
    if ((uint64_t)t->tv_sec >= UINT64_MAX / SECOND)
        return UINT64_MAX;
    return (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec;
}

/* filestat: dev, ino, filetype (u8), nlink, size, atim, mtim, ctim; 8 bytes
 * each. */
static int put_filestat(const struct wasi_memory *memory, uint64_t at,
                        const struct stat *st)
{
    const uint64_t filestat[8] = {
        st->st_dev,
        st->st_ino,
        filetype_of(st->st_mode),
        st->st_nlink,
        (uint64_t)st->st_size,
        stamp(&st->st_atim),
        stamp(&st->st_mtim),
        stamp(&st->st_ctim),
    };

    return wasi_copy_out(memory, (uint32_t)at, filestat, sizeof(filestat));
}

int wasi_fd_filestat_get(struct wasi *wasi, const struct wasi_memory *memory,
                         const uint64_t *a)
{
    struct descriptor *descriptor;
    struct stat st;
    int rc = descriptor_file(wasi, a[0], &descriptor);

    if (rc < 0)
        return rc;
    rc = descriptor->kind == DESCRIPTOR_STREAM
             ? stream_stat(wasi, descriptor->which, &st)
             : file_stat(descriptor->file, &st);
    return rc < 0 ? rc : put_filestat(memory, a[1], &st);
}

static struct timespec time_of(uint64_t stamp_ns, bool is_set, bool is_now)
{
    struct timespec t = {.tv_nsec = is_now ? UTIME_NOW : UTIME_OMIT};

    if (is_set) {
        t.tv_sec = (time_t)(stamp_ns / SECOND);
        t.tv_nsec = (long)(stamp_ns % SECOND);
    }
    return t;
}

static int set_times(struct wasi *wasi, struct node *node, const uint64_t *a)
{
    const uint32_t flags = (uint32_t)a[2];
    const struct timespec times[2] = {
        time_of(a[0], (flags & ATIM) != 0, (flags & ATIM_NOW) != 0),
        time_of(a[1], (flags & MTIM) != 0, (flags & MTIM_NOW) != 0)};

    wasi->has_changed = true;
    return node_set_times(node, times);
}

static bool are_fstflags(uint64_t value)
{
    const uint32_t flags = (uint32_t)value, both_atim = ATIM | ATIM_NOW,
                   both_mtim = MTIM | MTIM_NOW;

    return (flags & ~(both_atim | both_mtim)) == 0 &&
           (flags & both_atim) != both_atim && (flags & both_mtim) != both_mtim;
}

int wasi_fd_filestat_set_times(struct wasi *wasi,
                               const struct wasi_memory *memory,
                               const uint64_t *a)
{
    struct descriptor *descriptor;
    int rc = descriptor_file(wasi, a[0], &descriptor);

    (void)memory;
    if (rc < 0)
        return rc;
    if (!are_fstflags(a[3]))
        return -EINVAL;
    if (descriptor->kind == DESCRIPTOR_STREAM)
        return -EOPNOTSUPP;
    return set_times(wasi, descriptor->file->node, a + 1);
}

static int look(struct wasi *wasi, const struct wasi_memory *memory,
                const uint64_t *a, struct node **node)
{
    const unsigned flags = (uint32_t)a[1];
    struct descriptor *dir;
    char path[WASI_PATH_MAX];
    int rc = descriptor_dir(wasi, a[0], &dir);

    if (rc == 0)
        rc = wasi_path(memory, (uint32_t)a[2], (uint32_t)a[3], path);
    if (rc == 0 && (flags & ~WASI_FOLLOW) != 0)
        rc = -EINVAL;
    return rc < 0 ? rc
                  : tree_look(files_tree(wasi), dir->file->node, path,
                              (flags & WASI_FOLLOW) != 0 ? 0 : TREE_NOFOLLOW,
                              node);
}

int wasi_path_filestat_get(struct wasi *wasi, const struct wasi_memory *memory,
                           const uint64_t *a)
{
    struct node *node;
    struct stat st;
    int rc = look(wasi, memory, a, &node);

    if (rc < 0)
        return rc;
    rc = node_stat(node, &st);
    node_put(node);
    return rc < 0 ? rc : put_filestat(memory, a[4], &st);
}

int wasi_path_filestat_set_times(struct wasi *wasi,
                                 const struct wasi_memory *memory,
                                 const uint64_t *a)
{
    struct node *node;
    int rc = look(wasi, memory, a, &node);

    if (rc < 0)
        return rc;
    rc = are_fstflags(a[6]) ? set_times(wasi, node, a + 4) : -EINVAL;
    node_put(node);
    return rc;
}
