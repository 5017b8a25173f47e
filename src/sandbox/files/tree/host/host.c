/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - the only place that touches files of the host.
 *
 * Everything is reached from a mount's descriptor by a relative path without
 * links and without "..", and openat2 is told so: what somebody swaps in
 * meanwhile leads nowhere.  It is looked at with O_PATH, which opens nothing;
 * only regular files and directories are opened for reading, and are checked
 * afterwards to be that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/zero.h"
#include "sandbox/files/tree/node.h"

#define NOBODY       65534u
#define LIST_BYTES   8192u
#define COPY_BYTES   65536u
#define RACES_MAX    1000
#define OPEN_TO_READ (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW)

/* Below a mount; "" is the mount itself.  Returns a descriptor or -errno. */
static int open_below(const struct tree *tree, const struct mount *mount,
                      const char *path, int flags)
{
    int from = handles_fd(tree->handles, mount->path);
    struct open_how how = {
        .flags = (unsigned)flags,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    int races = 0;

    do {
        fd = syscall(SYS_openat2, from, path[0] == '\0' ? "." : path, &how,
                     sizeof(how));
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN) &&
             races++ < RACES_MAX);
    if (fd >= 0)
        return (int)fd;
    /* Something on the way is not any more what it was. */
    if (errno == ELOOP || errno == EXDEV || errno == EAGAIN)
        return -ENOENT;
    return -errno;
}

static int open_node(const struct node *node, int flags)
{
    const struct mount *mount = node->mount;
    int fd;

    if (mount->file == HANDLE_NONE)
        return open_below(node->tree, mount, node->host, flags);
    fd = handles_fd(node->tree->handles,
                    (flags & O_PATH) != 0 ? mount->path : mount->file);
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Once a mount is a file, its descriptor is kept open, also for reading. */
static int open_mounted_file(int fd)
{
    char path[32];
    int file;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return file < 0 ? -errno : file;
}

static void move_mount(void *object, size_t bytes, const struct heap_move *move)
{
    struct mount *mount = object;

    (void)bytes;
    move_pointer(move, &mount->next);
    move_pointer(move, &mount->origin);
}

static const struct heap_type mount_type = {"mount", move_mount};

/* Its path, as the host knows it now. */
static void note_mount(struct tree *tree, struct mount *mount,
                       const struct stat *st)
{
    char link[32], path[NODE_PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d",
             handles_fd(tree->handles, mount->path));
    n = readlink(link, path, sizeof(path) - 1);
    if (n > 0) {
        path[n] = '\0';
        mount->origin = heap_text(tree->frames->heap, path);
    }
    if (mount->origin != NULL)
        seen_note(tree->seen, mount->origin, st);
    else
        tree->seen->failed = true;
}

/* Below a mount was looked for a path: st NULL: in vain. */
static void note(const struct tree *tree, const struct mount *mount,
                 const char *path, const struct stat *st)
{
    char all[2 * NODE_PATH_MAX];

    if (mount->origin == NULL) {
        tree->seen->failed = true;
        return;
    }
    snprintf(all, sizeof(all), "%s%s%s", mount->origin,
             mount->origin[1] == '\0' ? "" : "/", path);
    seen_note(tree->seen, all, st);
}

static int take_handles(struct tree *tree, struct mount *mount, int fd,
                        bool is_file)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), file;

    mount->file = HANDLE_NONE;
    if (own < 0)
        return -errno;
    mount->path = handles_add(tree->handles, own);
    if (mount->path < 0 || !is_file)
        return mount->path < 0 ? mount->path : 0;
    file = open_mounted_file(own);
    mount->file = file < 0 ? file : handles_add(tree->handles, file);
    if (mount->file >= 0)
        return 0;
    handles_drop(tree->handles, mount->path);
    return mount->file;
}

int host_mount(struct tree *tree, struct mount **mount, int fd, bool is_foreign)
{
    struct mount *new;
    struct stat st;
    int rc;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return -EINVAL;
    new = heap_make(tree->frames->heap, &mount_type, sizeof(*new));
    if (new == NULL)
        return -ENOMEM;
    rc = take_handles(tree, new, fd, S_ISREG(st.st_mode));
    if (rc < 0) {
        heap_free(new);
        return rc;
    }
    if (tree->seen != NULL)
        note_mount(tree, new, &st);
    new->dev = st.st_dev;
    new->next = tree->mounts;
    new->number = ++tree->mount_count;
    new->uid = tree->host_uid;
    new->gid = tree->host_gid;
    if (tree->host_uid == 0) {
        new->uid = is_foreign ? UINT32_MAX : st.st_uid;
        new->gid = is_foreign ? UINT32_MAX : st.st_gid;
    }
    tree->mounts = *mount = new;
    return 0;
}

void host_unmount(struct tree *tree, struct mount *mount)
{
    handles_drop(tree->handles, mount->file);
    handles_drop(tree->handles, mount->path);
    heap_free(mount->origin);
    heap_free(mount);
}

/* A mount may have several file systems of the host in it. */
static uint64_t device_of(struct tree *tree, const struct mount *mount,
                          uint64_t host)
{
    uint32_t i;

    for (i = 0; i < tree->device_count; i++)
        if (tree->devices[i].host == host && tree->devices[i].mount == mount)
            break;
    if (i == NODE_DEVICES_MAX) /* so many: the last one is for all others */
        i--;
    else if (i == tree->device_count)
        tree->devices[tree->device_count++] = (struct node_device){host, mount};
    return makedev(0, i + 2);
}

/* Who the guest is not. */
static uint32_t other_than(uint32_t id)
{
    return id == NOBODY ? 0 : NOBODY;
}

/* As the guest shall see it: whose it is, and of which device. */
static void translate(struct tree *tree, const struct mount *mount,
                      struct stat *st)
{
    st->st_dev = device_of(tree, mount, st->st_dev);
    st->st_uid = st->st_uid == mount->uid ? tree->uid : other_than(tree->uid);
    st->st_gid = st->st_gid == mount->gid ? tree->gid : other_than(tree->gid);
}

/* On another file system than the mount's may be the host's processes: one of
 * them is the caller, whose memory is a file there.  That is not there. */
static int check_device(const struct mount *mount, int fd,
                        const struct stat *st)
{
    struct statfs fs;

    if (st->st_dev == mount->dev)
        return 0;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    return fs.f_type == PROC_SUPER_MAGIC ? -ENOENT : 0;
}

static int look(struct tree *tree, const struct mount *mount, int fd,
                struct stat *st)
{
    int rc;

    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0)
        return -errno;
    if ((rc = check_device(mount, fd, st)) < 0)
        return rc;
    translate(tree, mount, st);
    return 0;
}

int host_look(struct node *dir, const char *name, struct stat *st)
{
    char path[NODE_PATH_MAX];
    auto_fd int fd = -1;
    int bytes;

    if (dir->mount->file != HANDLE_NONE)
        return -ENOTDIR;
    bytes = snprintf(path, sizeof(path), "%s%s%s", dir->host,
                     dir->host[0] == '\0' ? "" : "/", name);
    if (bytes < 0 || (size_t)bytes >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open_below(dir->tree, dir->mount, path,
                    O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (dir->tree->seen != NULL)
        note(dir->tree, dir->mount, path,
             fd >= 0 && fstat(fd, st) == 0 ? st : NULL);
    return look(dir->tree, dir->mount, fd, st);
}

int host_stat(struct node *node, struct stat *st)
{
    auto_fd int fd = open_node(node, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    return look(node->tree, node->mount, fd, st);
}

int host_stat_fd(struct node *node, int fd, struct stat *st)
{
    return look(node->tree, node->mount, fd, st);
}

int host_access(const struct node *node, unsigned access)
{
    auto_fd int fd = open_node(node, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return fd;
    if (syscall(SYS_faccessat2, fd, "", access, AT_EMPTY_PATH | AT_EACCESS) < 0)
        return -errno;
    return 0;
}

int64_t host_read_link(const struct node *node, char *to, size_t bytes)
{
    auto_fd int fd = open_node(node, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = readlinkat(fd, "", to, bytes);
    /* It says ENOENT where it is no link any more. */
    return n < 0 ? -errno : n;
}

int host_open(const struct node *node)
{
    bool is_dir = node->kind == NODE_DIR;
    auto_fd int fd = -1;
    struct stat st;
    int rc;

    fd = open_node(node, OPEN_TO_READ | (is_dir ? O_DIRECTORY : 0));
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (is_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return -ENOENT;
    rc = check_device(node->mount, fd, &st);
    return rc < 0 ? rc : steal_fd(&fd);
}

int64_t host_read(int fd, const struct iovec *pieces, int count,
                  uint64_t position)
{
    ssize_t n;

    do {
        n = preadv(fd, pieces, count, (off_t)position);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* From `off` to the next hole or `end`.  Pages of zeros cost nothing. */
static int64_t copy_data(struct node *node, struct content *content, int fd,
                         char *buffer, uint64_t off)
{
    struct quota *quota = &node->tree->quota;
    struct iovec piece = {buffer, COPY_BYTES - off % NODE_BLOCK};
    int64_t n = host_read(fd, &piece, 1, off);

    for (int64_t at = 0; at < n;) {
        uint64_t left = (uint64_t)(n - at);
        uint64_t part = NODE_BLOCK - (off + (uint64_t)at) % NODE_BLOCK;
        int64_t rc;

        part = part < left ? part : left;
        piece = (struct iovec){buffer + at, part};
        rc = is_zero(buffer + at, part)
                 ? (int64_t)part
                 : content_write(content, quota, &piece, 1, off + (uint64_t)at);
        if (rc != (int64_t)part)
            return rc < 0 ? rc : -ENOSPC;
        at += rc;
    }
    return n;
}

int host_copy(struct node *node, struct content *content)
{
    const struct quota *quota = &node->tree->quota;
    auto_fd int fd = host_open(node);
    char *buffer = NULL;
    struct stat st;
    int64_t n = 0;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_blocks * 512 > quota->limit - quota->used)
        return -ENOSPC; /* before time is spent on it */
    buffer = malloc(COPY_BYTES);
    if (buffer == NULL)
        return -ENOMEM;
    for (int64_t off = 0; off < st.st_size; off += n) {
        off_t data = lseek(fd, off, SEEK_DATA);

        if (data < 0 && errno == ENXIO)
            break; /* nothing but a hole */
        if (data > off)
            off = data;
        n = copy_data(node, content, fd, buffer, (uint64_t)off);
        if (n <= 0)
            break;
    }
    free(buffer);
    if (n >= 0)
        n = content_resize(content, &node->tree->quota, (uint64_t)st.st_size);
    if (n < 0)
        content_fini(content, &node->tree->quota);
    return n < 0 ? (int)n : 0;
}

int host_statfs(const struct node *node, struct statfs *st)
{
    int rc;

    do {
        rc = fstatfs(handles_fd(node->tree->handles, node->mount->path), st);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

/* As the kernel writes it. */
struct raw_entry {
    uint64_t ino;
    int64_t off;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/* Returns 1, 0 at the end, or -errno. */
static int fill(struct host_list *list)
{
    long n;

    if (list->buffer == NULL)
        list->buffer = heap_make(list->heap, &heap_plain, LIST_BYTES);
    if (list->buffer == NULL)
        return -ENOMEM;
    n = syscall(SYS_getdents64, list->fd, list->buffer, LIST_BYTES);
    list->at = 0;
    list->bytes = n > 0 ? (uint32_t)n : 0;
    return n < 0 ? -errno : n > 0;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The entry that comes next, without going on. */
static int peek(struct host_list *list, const struct raw_entry **raw)
{
    for (;;) {
        int rc = list->at < list->bytes ? 1 : fill(list);

        if (rc <= 0)
            return rc;
        *raw = (const void *)(list->buffer + list->at);
        if (!is_dots((*raw)->name))
            return 1;
        list->at += (*raw)->bytes;
    }
}

int host_list_begin(struct host_list *list, struct handles *handles, int handle)
{
    int rc = handles_own(handles, handle);

    if (rc < 0)
        return rc;
    if (rc > 0) /* a new one stands at the begin */
        list->index = list->at = list->bytes = 0;
    list->fd = handles_fd(handles, handle);
    return 0;
}

int host_list_at(struct host_list *list, uint64_t index,
                 struct host_entry *entry)
{
    const struct raw_entry *raw;
    int rc;

    if (index < list->index) {
        if (lseek(list->fd, 0, SEEK_SET) < 0)
            return -errno;
        list->index = 0;
        list->at = list->bytes = 0;
    }
    for (;; list->index++) {
        rc = peek(list, &raw);
        if (rc <= 0)
            return rc;
        if (list->index == index)
            break;
        list->at += raw->bytes;
    }
    *entry = (struct host_entry){raw->name, raw->ino, raw->type};
    return 1;
}

void host_list_close(struct host_list *list)
{
    heap_free(list->buffer);
    list->buffer = NULL;
}
