/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - making, moving and removing files, by their names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/space/user.h"

#define HERE ((uint64_t)AT_FDCWD)

/* A path and where it starts. */
struct place {
    struct node *from; /* borrowed */
    char path[PATH_MAX];
};

static int read_place(struct kernel *kernel, uint64_t from, uint64_t path_at,
                      struct place *place)
{
    int rc = calls_read_path(kernel, path_at, place->path);

    return rc < 0 ? rc : calls_from(kernel, from, place->path, &place->from);
}

static int64_t make_dir(struct kernel *kernel, uint64_t from, uint64_t path_at,
                        uint64_t mode)
{
    struct place place;
    int rc = read_place(kernel, from, path_at, &place);

    return rc < 0 ? rc
                  : tree_make(kernel->tree, place.from, place.path,
                              (unsigned)mode & ~kernel->umask & 01777);
}

int64_t call_mkdir(struct kernel *kernel, const uint64_t a[6])
{
    return make_dir(kernel, HERE, a[0], a[1]);
}

int64_t call_mkdirat(struct kernel *kernel, const uint64_t a[6])
{
    return make_dir(kernel, a[0], a[1], a[2]);
}

static int64_t remove_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                         bool is_dir)
{
    struct place place;
    int rc = read_place(kernel, from, path_at, &place);

    return rc < 0 ? rc
                  : tree_remove(kernel->tree, place.from, place.path, is_dir);
}

int64_t call_rmdir(struct kernel *kernel, const uint64_t a[6])
{
    return remove_at(kernel, HERE, a[0], true);
}

int64_t call_unlink(struct kernel *kernel, const uint64_t a[6])
{
    return remove_at(kernel, HERE, a[0], false);
}

int64_t call_unlinkat(struct kernel *kernel, const uint64_t a[6])
{
    if ((a[2] & ~(uint64_t)AT_REMOVEDIR) != 0)
        return -EINVAL;
    return remove_at(kernel, a[0], a[1], (a[2] & AT_REMOVEDIR) != 0);
}

static int64_t rename_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                         uint64_t to, uint64_t name_at, uint64_t flags)
{
    struct place old, new;
    int rc;

    if ((rc = read_place(kernel, from, path_at, &old)) < 0 ||
        (rc = read_place(kernel, to, name_at, &new)) < 0)
        return rc;
    return tree_rename(kernel->tree, old.from, old.path, new.from, new.path,
                       (unsigned)flags);
}

int64_t call_rename(struct kernel *kernel, const uint64_t a[6])
{
    return rename_at(kernel, HERE, a[0], HERE, a[1], 0);
}

int64_t call_renameat(struct kernel *kernel, const uint64_t a[6])
{
    return rename_at(kernel, a[0], a[1], a[2], a[3], 0);
}

int64_t call_renameat2(struct kernel *kernel, const uint64_t a[6])
{
    return rename_at(kernel, a[0], a[1], a[2], a[3], a[4]);
}

static int64_t link_at(struct kernel *kernel, uint64_t from, uint64_t path_at,
                       uint64_t to, uint64_t name_at, uint64_t flags)
{
    struct place old, new;
    int rc;

    if ((flags & ~(uint64_t)AT_SYMLINK_FOLLOW) != 0)
        return -EINVAL;
    if ((rc = read_place(kernel, from, path_at, &old)) < 0 ||
        (rc = read_place(kernel, to, name_at, &new)) < 0)
        return rc;
    return tree_link(kernel->tree, old.from, old.path,
                     (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : TREE_NOFOLLOW,
                     new.from, new.path);
}

int64_t call_link(struct kernel *kernel, const uint64_t a[6])
{
    return link_at(kernel, HERE, a[0], HERE, a[1], 0);
}

int64_t call_linkat(struct kernel *kernel, const uint64_t a[6])
{
    return link_at(kernel, a[0], a[1], a[2], a[3], a[4]);
}

static int64_t symlink_at(struct kernel *kernel, uint64_t target_at,
                          uint64_t from, uint64_t path_at)
{
    char target[PATH_MAX];
    struct place place;
    int rc;

    if ((rc = calls_read_path(kernel, target_at, target)) < 0 ||
        (rc = read_place(kernel, from, path_at, &place)) < 0)
        return rc;
    return tree_symlink(kernel->tree, target, place.from, place.path);
}

int64_t call_symlink(struct kernel *kernel, const uint64_t a[6])
{
    return symlink_at(kernel, a[0], HERE, a[1]);
}

int64_t call_symlinkat(struct kernel *kernel, const uint64_t a[6])
{
    return symlink_at(kernel, a[0], a[1], a[2]);
}

/* The node to be changed, counted: by path, or behind a descriptor. */
static int find(struct kernel *kernel, uint64_t from, uint64_t path_at,
                bool follows, struct node **node)
{
    struct place place;
    int rc = read_place(kernel, from, path_at, &place);

    return rc < 0 ? rc
                  : tree_look(kernel->tree, place.from, place.path,
                              follows ? 0 : TREE_NOFOLLOW, node);
}

static int find_file(struct kernel *kernel, uint64_t number, struct node **node)
{
    struct file *file = kernel_file(kernel, number);

    if (file == NULL)
        return -EBADF;
    if (file->node == NULL)
        return -EINVAL;
    *node = node_get(file->node);
    return 0;
}

static int64_t set_mode(struct node *node, int rc, uint64_t mode)
{
    if (rc < 0)
        return rc;
    rc = node_set_mode(node, (unsigned)mode & 07777);
    node_put(node);
    return rc;
}

int64_t call_chmod(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, HERE, a[0], true, &node);

    return set_mode(node, rc, a[1]);
}

int64_t call_fchmod(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find_file(kernel, a[0], &node);

    return set_mode(node, rc, a[1]);
}

int64_t call_fchmodat(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, a[0], a[1], true, &node);

    return set_mode(node, rc, a[2]);
}

static int64_t set_owner(struct node *node, int rc, uint64_t uid, uint64_t gid)
{
    if (rc < 0)
        return rc;
    rc = node_set_owner(node, (uint32_t)uid, (uint32_t)gid);
    node_put(node);
    return rc;
}

int64_t call_chown(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, HERE, a[0], true, &node);

    return set_owner(node, rc, a[1], a[2]);
}

int64_t call_lchown(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, HERE, a[0], false, &node);

    return set_owner(node, rc, a[1], a[2]);
}

int64_t call_fchown(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find_file(kernel, a[0], &node);

    return set_owner(node, rc, a[1], a[2]);
}

int64_t call_fchownat(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, a[0], a[1], (a[4] & AT_SYMLINK_NOFOLLOW) == 0, &node);

    return set_owner(node, rc, a[2], a[3]);
}

static int64_t set_times(struct node *node, int rc,
                         const struct timespec times[2])
{
    if (rc < 0)
        return rc;
    rc = node_set_times(node, times);
    node_put(node);
    return rc;
}

/* futimens has no path. */
static int find_for_times(struct kernel *kernel, const uint64_t a[6],
                          bool follows, struct node **node)
{
    return a[1] == 0 ? find_file(kernel, a[0], node)
                     : find(kernel, a[0], a[1], follows, node);
}

int64_t call_utimensat(struct kernel *kernel, const uint64_t a[6])
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    struct node *node = NULL;
    int rc = 0;

    if (a[2] != 0)
        rc = user_read(&kernel->space, times, a[2], sizeof(times));
    if (rc == 0)
        rc =
            find_for_times(kernel, a, (a[3] & AT_SYMLINK_NOFOLLOW) == 0, &node);
    return set_times(node, rc, times);
}

/* Times in seconds and microseconds; address 0: now. */
static int read_times(struct kernel *kernel, uint64_t address,
                      struct timespec times[2])
{
    struct timeval given[2];
    int rc;

    times[0] = times[1] = (struct timespec){.tv_nsec = UTIME_NOW};
    if (address == 0)
        return 0;
    rc = user_read(&kernel->space, given, address, sizeof(given));
    for (int i = 0; rc == 0 && i < 2; i++) {
        if (given[i].tv_usec < 0 || given[i].tv_usec > 999999)
            return -EINVAL;
        times[i].tv_sec = given[i].tv_sec;
        times[i].tv_nsec = given[i].tv_usec * 1000;
    }
    return rc;
}

int64_t call_utimes(struct kernel *kernel, const uint64_t a[6])
{
    const uint64_t at[6] = {HERE, a[0], a[1]};

    return call_futimesat(kernel, at);
}

int64_t call_futimesat(struct kernel *kernel, const uint64_t a[6])
{
    struct timespec times[2];
    struct node *node = NULL;
    int rc = read_times(kernel, a[2], times);

    if (rc == 0)
        rc = find_for_times(kernel, a, true, &node);
    return set_times(node, rc, times);
}

int64_t call_utime(struct kernel *kernel, const uint64_t a[6])
{
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    struct node *node = NULL;
    int64_t given[2];
    int rc = 0;

    if (a[1] != 0) {
        rc = user_read(&kernel->space, given, a[1], sizeof(given));
        times[0] = (struct timespec){.tv_sec = given[0]};
        times[1] = (struct timespec){.tv_sec = given[1]};
    }
    if (rc == 0)
        rc = find(kernel, HERE, a[0], true, &node);
    return set_times(node, rc, times);
}

int64_t call_truncate(struct kernel *kernel, const uint64_t a[6])
{
    struct node *node = NULL;
    int rc = find(kernel, HERE, a[0], true, &node);

    if (rc < 0)
        return rc;
    rc = node_truncate(node, (int64_t)a[1]);
    node_put(node);
    return rc;
}

int64_t call_umask(struct kernel *kernel, const uint64_t a[6])
{
    unsigned old = kernel->umask;

    kernel->umask = (unsigned)a[0] & 0777;
    return old;
}
