/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - opening files, and asking about them, by their names. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

/*
 * Names of descriptors: not of the tree, for what they mean is not there.
 * Returns the number, or -1.
 */
static int64_t named_descriptor(const char *path)
{
    static const char *const streams[] = {"/dev/stdin", "/dev/stdout",
                                          "/dev/stderr"};
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/",
                                          "/proc/thread-self/fd/"};
    char *end;
    long number;

    for (int i = 0; i < 3; i++)
        if (strcmp(path, streams[i]) == 0)
            return i;
    for (int i = 0; i < 3; i++) {
        size_t bytes = strlen(folders[i]);

        if (strncmp(path, folders[i], bytes) != 0 ||
            !isdigit((unsigned char)path[bytes]))
            continue;
        number = strtol(path + bytes, &end, 10);
        return *end == '\0' && number <= INT32_MAX ? number : -1;
    }
    return -1;
}

/* It is the same open file, so it cannot be opened for more than it is. */
static bool opens_as(const struct file *file, unsigned flags)
{
    unsigned has = file->flags & O_ACCMODE, wants = flags & O_ACCMODE;

    return (flags & O_PATH) != 0 || has == O_RDWR || has == wants;
}

static int64_t open_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                       unsigned flags, unsigned mode)
{
    char path[PATH_MAX];
    struct node *start;
    struct file *file;
    int64_t number;
    int rc;

    if ((rc = calls_read_path(kernel, path_at, path)) < 0 ||
        (rc = calls_from(kernel, from, path, &start)) < 0)
        return rc;
    number = named_descriptor(path);
    if (number >= 0) {
        file = kernel_file(kernel, (uint64_t)number);
        if (file == NULL)
            return -ENOENT;
        if (file->node != NULL)
            rc = tree_open_node(file->node, flags & ~(unsigned)O_CREAT, &file);
        else if (opens_as(file, flags))
            file_get(file);
        else
            rc = -EACCES;
    } else {
        rc = tree_open_file(kernel->tree, start, path, flags,
                            mode & ~kernel->umask & 07777, &file);
    }
    if (rc < 0)
        return rc;
    return kernel_install(kernel, file, 0, (flags & O_CLOEXEC) != 0);
}

int64_t call_open(struct kernel *kernel, const uint64_t a[6])
{
    return open_at(kernel, (uint64_t)AT_FDCWD, a[0], (unsigned)a[1],
                   (unsigned)a[2]);
}

int64_t call_creat(struct kernel *kernel, const uint64_t a[6])
{
    return open_at(kernel, (uint64_t)AT_FDCWD, a[0],
                   O_CREAT | O_WRONLY | O_TRUNC, (unsigned)a[1]);
}

int64_t call_openat(struct kernel *kernel, const uint64_t a[6])
{
    return open_at(kernel, a[0], a[1], (unsigned)a[2], (unsigned)a[3]);
}

/* What a descriptor is of, as file and node. */
static int look_behind(struct kernel *kernel, uint64_t number,
                       struct node **node, struct file **file)
{
    *file = kernel_file(kernel, number);
    if (*file == NULL)
        return -EBADF;
    if ((*file)->node != NULL)
        *node = node_get((*file)->node);
    return 0;
}

/*
 * The node that a path names, counted; or with AT_EMPTY_PATH, and for names of
 * descriptors, the one behind a descriptor; then *file is set, too, and there
 * may be no node.  Returns 1 where the link to that was meant, and not it.
 */
static int look(struct kernel *kernel, uint64_t from, uint64_t path_at,
                unsigned flags, struct node **node, struct file **file)
{
    bool is_followed = (flags & AT_SYMLINK_NOFOLLOW) == 0;
    char path[PATH_MAX];
    struct node *start;
    int64_t number;
    int rc;

    *node = NULL;
    *file = NULL;
    if ((flags & AT_EMPTY_PATH) != 0 && path_at == 0)
        path[0] = '\0';
    else if ((rc = calls_read_path(kernel, path_at, path)) < 0)
        return rc;
    if (path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0 &&
        (int)from != AT_FDCWD)
        return look_behind(kernel, from, node, file);
    if (path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0) {
        *node = node_get(kernel->cwd);
        return 0;
    }
    number = named_descriptor(path);
    if (number >= 0 && (is_followed || strncmp(path, "/dev/std", 8) != 0)) {
        rc = look_behind(kernel, (uint64_t)number, node, file);
        return rc < 0 ? -ENOENT : !is_followed;
    }
    if ((rc = calls_from(kernel, from, path, &start)) < 0)
        return rc;
    return tree_look(kernel->tree, start, path, is_followed ? 0 : TREE_NOFOLLOW,
                     node);
}

static int look_path(struct kernel *kernel, uint64_t path_at, unsigned flags,
                     struct node **node)
{
    struct file *file;
    int rc = look(kernel, (uint64_t)AT_FDCWD, path_at, flags, node, &file);

    return rc == 0 && *node == NULL ? -ENOTDIR : rc;
}

static int stat_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                   unsigned flags, struct stat *st)
{
    struct node *node;
    struct file *file;
    int rc = look(kernel, from, path_at, flags, &node, &file);

    if (rc < 0)
        return rc;
    if (rc == 1) {
        *st = (struct stat){.st_mode = S_IFLNK | 0700,
                            .st_nlink = 1,
                            .st_uid = kernel->uid,
                            .st_gid = kernel->gid,
                            .st_size = 64};
        rc = 0;
    } else {
        rc = file != NULL ? file_stat(file, st) : node_stat(node, st);
    }
    node_put(node);
    return rc;
}

static int64_t tell(struct kernel *kernel, int rc, uint64_t to,
                    const struct stat *st)
{
    return rc < 0 ? rc : user_write(&kernel->space, to, st, sizeof(*st));
}

int64_t call_stat(struct kernel *kernel, const uint64_t a[6])
{
    struct stat st = {0};

    return tell(kernel, stat_at(kernel, (uint64_t)AT_FDCWD, a[0], 0, &st), a[1],
                &st);
}

int64_t call_lstat(struct kernel *kernel, const uint64_t a[6])
{
    struct stat st = {0};

    return tell(
        kernel,
        stat_at(kernel, (uint64_t)AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, &st),
        a[1], &st);
}

int64_t call_fstat(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    struct stat st = {0};

    return file == NULL ? -EBADF
                        : tell(kernel, file_stat(file, &st), a[1], &st);
}

int64_t call_newfstatat(struct kernel *kernel, const uint64_t a[6])
{
    struct stat st = {0};

    return tell(kernel, stat_at(kernel, a[0], a[1], (unsigned)a[3], &st), a[2],
                &st);
}

static struct statx_timestamp stamp(struct timespec time)
{
    return (struct statx_timestamp){.tv_sec = time.tv_sec,
                                    .tv_nsec = (uint32_t)time.tv_nsec};
}

int64_t call_statx(struct kernel *kernel, const uint64_t a[6])
{
    struct stat st = {0};
    struct statx x = {.stx_mask = STATX_BASIC_STATS};
    int rc = stat_at(kernel, a[0], a[1], (unsigned)a[2], &st);

    if (rc < 0)
        return rc;
    x.stx_blksize = (uint32_t)st.st_blksize;
    x.stx_nlink = (uint32_t)st.st_nlink;
    x.stx_uid = st.st_uid, x.stx_gid = st.st_gid;
    x.stx_mode = (uint16_t)st.st_mode;
    x.stx_ino = st.st_ino;
    x.stx_size = (uint64_t)st.st_size, x.stx_blocks = (uint64_t)st.st_blocks;
    x.stx_atime = stamp(st.st_atim), x.stx_mtime = stamp(st.st_mtim);
    x.stx_ctime = stamp(st.st_ctim);
    x.stx_rdev_major = (uint32_t)(st.st_rdev >> 8 & 0xfff);
    x.stx_rdev_minor = (uint32_t)(st.st_rdev & 0xff);
    x.stx_dev_minor = (uint32_t)(st.st_dev & 0xff);
    x.stx_dev_major = (uint32_t)(st.st_dev >> 8 & 0xfff);
    return user_write(&kernel->space, a[4], &x, sizeof(x));
}

static int64_t access_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                         unsigned mode, unsigned flags)
{
    struct node *node;
    struct file *file;
    int rc;

    if ((mode & ~7u) != 0)
        return -EINVAL;
    if ((rc = look(kernel, from, path_at, flags, &node, &file)) < 0)
        return rc;
    rc = node == NULL ? 0 : node_access(node, mode);
    node_put(node);
    return rc;
}

int64_t call_access(struct kernel *kernel, const uint64_t a[6])
{
    return access_at(kernel, (uint64_t)AT_FDCWD, a[0], (unsigned)a[1], 0);
}

int64_t call_faccessat(struct kernel *kernel, const uint64_t a[6])
{
    return access_at(kernel, a[0], a[1], (unsigned)a[2], 0);
}

int64_t call_faccessat2(struct kernel *kernel, const uint64_t a[6])
{
    return access_at(kernel, a[0], a[1], (unsigned)a[2], (unsigned)a[3]);
}

/* As /proc says what is open: a path, or the kind of what has none. */
static int64_t name_of(const struct file *file, char text[PATH_MAX])
{
    int64_t bytes =
        file->node == NULL ? -ENOENT : node_path(file->node, text, PATH_MAX);

    if (bytes > 0)
        return bytes - 1;
    if (file->node != NULL)
        return snprintf(text, PATH_MAX, "/ (deleted)");
    return snprintf(text, PATH_MAX, "anon_inode:[%s]", file->class->name);
}

static int64_t read_link(struct kernel *kernel, uint64_t from, uint64_t path_at,
                         uint64_t to, uint64_t room)
{
    char target[PATH_MAX];
    struct node *node;
    struct file *file;
    int64_t bytes;
    int rc;

    if ((int)room <= 0)
        return -EINVAL;
    rc = look(kernel, from, path_at, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &node,
              &file);
    if (rc < 0)
        return rc;
    bytes = rc == 1        ? name_of(file, target)
            : node == NULL ? -EINVAL
                           : node_read_link(node, target, sizeof(target));
    node_put(node);
    if (bytes < 0)
        return bytes;
    if ((uint64_t)bytes > room)
        bytes = (int64_t)room;
    rc = user_write(&kernel->space, to, target, (size_t)bytes);
    return rc < 0 ? rc : bytes;
}

int64_t call_readlink(struct kernel *kernel, const uint64_t a[6])
{
    return read_link(kernel, (uint64_t)AT_FDCWD, a[0], a[1], a[2]);
}

int64_t call_readlinkat(struct kernel *kernel, const uint64_t a[6])
{
    return read_link(kernel, a[0], a[1], a[2], a[3]);
}

int64_t call_getcwd(struct kernel *kernel, const uint64_t a[6])
{
    char path[PATH_MAX];
    int64_t bytes = node_path(kernel->cwd, path, sizeof(path));
    int rc;

    if (bytes < 0)
        return bytes;
    if ((uint64_t)bytes > a[1])
        return -ERANGE;
    rc = user_write(&kernel->space, a[0], path, (size_t)bytes);
    return rc < 0 ? rc : bytes;
}

/* Takes the reference over. */
static int64_t enter(struct kernel *kernel, struct node *node)
{
    int rc = node_is_dir(node) ? node_access(node, X_OK) : -ENOTDIR;

    if (rc < 0) {
        node_put(node);
        return rc;
    }
    node_put(kernel->cwd);
    kernel->cwd = node;
    return 0;
}

int64_t call_chdir(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node;
    int rc = look_path(kernel, a[0], 0, &node);

    return rc < 0 ? rc : enter(kernel, node);
}

int64_t call_fchdir(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    if (file == NULL)
        return -EBADF;
    return file->node == NULL ? -ENOTDIR : enter(kernel, node_get(file->node));
}

static int64_t tell_statfs(struct kernel *kernel, struct node *node,
                           uint64_t to)
{
    struct statfs st = {0};
    int rc = node_statfs(node, &st);

    node_put(node);
    return rc < 0 ? rc : user_write(&kernel->space, to, &st, sizeof(st));
}

int64_t call_statfs(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node;
    int rc = look_path(kernel, a[0], 0, &node);

    return rc < 0 ? rc : tell_statfs(kernel, node, a[1]);
}

int64_t call_fstatfs(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);

    if (file == NULL)
        return -EBADF;
    if (file->node == NULL)
        return -ENOSYS;
    return tell_statfs(kernel, node_get(file->node), a[1]);
}

/* Records of struct linux_dirent64, as many as there is room for. */
struct listing {
    struct kernel *kernel;
    uint64_t to, room, done;
    int rc;
};

static int add_entry(void *context, const struct file_entry *entry)
{
    struct listing *list = context;
    size_t name = strlen(entry->name) + 1;
    struct {
        uint64_t ino;
        int64_t next;
        uint16_t bytes;
        uint8_t type;
        char name[256 + 8];
    } __attribute__((packed)) record = {
        .ino = entry->ino, .next = (int64_t)entry->next, .type = entry->type};
    size_t bytes = (19 + name + 7) & ~(size_t)7;

    if (name > 256)
        return 0;
    if (bytes > list->room - list->done) {
        list->rc = -EINVAL; /* not even one */
        return 1;
    }
    record.bytes = (uint16_t)bytes;
    memcpy(record.name, entry->name, name);
    list->rc =
        user_write(&list->kernel->space, list->to + list->done, &record, bytes);
    if (list->rc < 0)
        return 1;
    list->done += bytes;
    return 0;
}

int64_t call_getdents64(struct kernel *kernel, const uint64_t a[6])
{
    struct file *file = kernel_file(kernel, a[0]);
    struct listing list = {.kernel = kernel, .to = a[1], .room = a[2]};
    int rc;

    if (file == NULL)
        return -EBADF;
    rc = file_list(file, add_entry, &list);
    if (list.done > 0)
        return (int64_t)list.done;
    return rc < 0 ? rc : list.rc;
}
