/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attr.c - whose a node is, what may be done with it, how large and how old.
 *
 * A host file that the guest has not changed is as the host says, and whether
 * it can be read is the host's to decide: it asks for it in the caller's name.
 * Writing never reaches it, so that goes by the bits, as for the guest's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

#define OVERLAY_MAGIC 0x794c7630
#define TMPFS_ENTRY   20 /* bytes, as tmpfs counts */
#define DAY_SECONDS   86400
#define ST_VALID      0x20

struct timespec attr_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now;
}

static void fill_own(const struct node *node, struct stat *st)
{
    *st = (struct stat){.st_blksize = NODE_BLOCK, .st_rdev = node->rdev};
    if (node->kind == NODE_FILE) {
        st->st_size = (off_t)node->content.bytes;
        st->st_blocks = (blkcnt_t)(node->content.frames * (FRAME_BYTES / 512));
    } else if (node->kind == NODE_LINK) {
        st->st_size = (off_t)strlen(node->target);
    } else if (node->kind == NODE_DIR) {
        st->st_size = ((off_t)node->dir.live + 2) * TMPFS_ENTRY;
    }
}

/* What the node knows better than the host. */
static void overlay(const struct node *node, struct stat *st)
{
    bool is_dir = node->kind == NODE_DIR;

    st->st_dev = node->dev;
    st->st_ino = node->ino;
    if (is_dir && (node->is_dead || node->host == NULL))
        st->st_nlink = node->is_dead ? 0 : 2 + node->dir.subdirs;
    else if (!is_dir && (node->is_own || node->names == NULL))
        st->st_nlink = node->name_count;
    if (!node->is_own)
        return;
    st->st_mode = node->mode;
    st->st_uid = node->uid;
    st->st_gid = node->gid;
    st->st_atim = node->read_at;
    st->st_mtim = node->written_at;
    st->st_ctim = node->changed_at;
}

static int stat_host(struct node *node, struct stat *st)
{
    struct tree *tree = node->tree;
    int rc = 0;

    if (tree->fresh == node)
        *st = tree->fresh_stat;
    else
        rc = host_stat(node, st);
    tree->fresh = NULL;
    if (rc == 0 && ((st->st_mode ^ node->mode) & S_IFMT) != 0)
        return -ENOENT; /* another one has its name now */
    return rc;
}

int node_stat(struct node *node, struct stat *st)
{
    int rc = 0;

    if (node->host == NULL)
        fill_own(node, st);
    else
        rc = stat_host(node, st);
    if (rc == 0)
        overlay(node, st);
    return rc;
}

int attr_stat_fd(struct node *node, int fd, struct stat *st)
{
    int rc;

    if (fd < 0 || node->host == NULL)
        return node_stat(node, st);
    rc = host_stat_fd(node, fd, st);
    if (rc == 0)
        overlay(node, st);
    return rc;
}

int attr_own(struct node *node)
{
    struct stat st;
    int rc;

    if (node->is_own)
        return 0;
    rc = node_stat(node, &st);
    if (rc == 0 && node->names != NULL)
        rc = entry_keep(node->names);
    if (rc < 0)
        return rc;
    node->mode = st.st_mode;
    node->uid = st.st_uid;
    node->gid = st.st_gid;
    node->read_at = st.st_atim;
    node->written_at = st.st_mtim;
    node->changed_at = st.st_ctim;
    node->is_own = true;
    return 0;
}

/* By owner, group and others; 0 is a number like any other. */
static int may_by_bits(const struct tree *tree, const struct stat *st,
                       unsigned access)
{
    unsigned bits = st->st_mode & 7u;

    if (st->st_uid == tree->uid)
        bits = st->st_mode >> 6 & 7u;
    else if (st->st_gid == tree->gid)
        bits = st->st_mode >> 3 & 7u;
    return (access & ~bits & 7u) == 0 ? 0 : -EACCES;
}

static bool is_stored(const struct node *node)
{
    return node->kind == NODE_FILE || node->kind == NODE_DIR ||
           node->kind == NODE_LINK;
}

bool attr_is_roots(const struct node *node)
{
    return node->host != NULL && node->tree->host_uid == 0;
}

int attr_may(struct node *node, unsigned access)
{
    unsigned of_host = access & (R_OK | X_OK);
    struct stat st = {0};
    int rc = 0;

    if ((access & W_OK) != 0 && node->is_sealed && is_stored(node))
        return -EROFS;
    if (access == 0 || node->kind == NODE_LINK)
        return 0;
    if (node->host != NULL && of_host != 0 && !attr_is_roots(node)) {
        rc = host_access(node, of_host);
        if (!node->is_own)
            access &= W_OK;
    }
    if (rc < 0 || access == 0)
        return rc;
    if (node->is_own || attr_is_roots(node)) {
        st.st_mode = node->mode;
        st.st_uid = node->uid;
        st.st_gid = node->gid;
    } else {
        rc = node_stat(node, &st);
    }
    return rc < 0 ? rc : may_by_bits(node->tree, &st, access);
}

/* May names in this directory be looked up?  The host says so itself, then,
 * but not to root. */
int attr_may_search(struct node *dir)
{
    struct stat st = {
        .st_mode = dir->mode, .st_uid = dir->uid, .st_gid = dir->gid};

    return dir->is_own || attr_is_roots(dir) ? may_by_bits(dir->tree, &st, X_OK)
                                             : 0;
}

int node_access(struct node *node, unsigned access)
{
    if ((access & ~(unsigned)(R_OK | W_OK | X_OK)) != 0)
        return -EINVAL;
    return attr_may(node, access);
}

int attr_is_owner(struct node *node)
{
    struct stat st;
    int rc = node_stat(node, &st);

    if (rc < 0)
        return rc;
    return st.st_uid == node->tree->uid ? 0 : -EPERM;
}

void attr_written(struct node *node)
{
    node->written_at = node->changed_at = attr_now();
}

void attr_changed(struct node *node)
{
    node->changed_at = attr_now();
}

static bool is_after(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec
                                  : a->tv_nsec > b->tv_nsec;
}

/* As "relatime" has it. */
void attr_read(struct node *node)
{
    struct timespec now;

    if (!node->is_own || node->is_sealed)
        return;
    now = attr_now();
    if (!is_after(&node->read_at, &node->written_at) ||
        !is_after(&node->read_at, &node->changed_at) ||
        now.tv_sec - node->read_at.tv_sec >= DAY_SECONDS)
        node->read_at = now;
}

/* What every change of attributes asks first. */
static int begin(struct node *node)
{
    if (node->is_sealed)
        return -EROFS;
    return attr_is_owner(node);
}

int node_set_mode(struct node *node, unsigned mode)
{
    int rc = begin(node);

    if (rc == 0 && node->kind == NODE_LINK)
        rc = -EOPNOTSUPP;
    if (rc == 0)
        rc = attr_own(node);
    if (rc < 0)
        return rc;
    if (node->gid != node->tree->gid)
        mode &= ~(unsigned)S_ISGID;
    node->mode = (node->mode & S_IFMT) | (mode & 07777);
    attr_changed(node);
    return 0;
}

int node_set_owner(struct node *node, uint32_t uid, uint32_t gid)
{
    struct tree *tree = node->tree;
    struct stat st;
    int rc;

    if (node->is_sealed)
        return -EROFS;
    rc = node_stat(node, &st);
    if (rc < 0)
        return rc;
    uid = uid == UINT32_MAX ? st.st_uid : uid;
    gid = gid == UINT32_MAX ? st.st_gid : gid;
    if (uid != st.st_uid ||
        (gid != st.st_gid && (st.st_uid != tree->uid || gid != tree->gid)))
        return -EPERM;
    rc = attr_own(node);
    if (rc < 0)
        return rc;
    node->uid = uid;
    node->gid = gid;
    if (node->kind != NODE_DIR && (node->mode & 0111) != 0)
        node->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
    attr_changed(node);
    return 0;
}

static bool is_time(const struct timespec *t)
{
    return t->tv_nsec == UTIME_NOW || t->tv_nsec == UTIME_OMIT ||
           (t->tv_nsec >= 0 && t->tv_nsec < 1000000000);
}

static void set_time(struct timespec *to, const struct timespec *t,
                     struct timespec now)
{
    if (t->tv_nsec == UTIME_NOW)
        *to = now;
    else if (t->tv_nsec != UTIME_OMIT)
        *to = *t;
}

int node_set_times(struct node *node, const struct timespec times[2])
{
    static const struct timespec both_now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    bool is_now;
    int rc;

    if (times == NULL)
        times = both_now;
    if (!is_time(&times[0]) || !is_time(&times[1]))
        return -EINVAL;
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
        return 0;
    is_now = times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW;
    rc = begin(node);
    if (rc == -EPERM && is_now)
        rc = attr_may(node, W_OK); /* who may write makes it new anyway */
    if (rc == 0)
        rc = attr_own(node);
    if (rc < 0)
        return rc;
    node->changed_at = attr_now();
    set_time(&node->read_at, &times[0], node->changed_at);
    set_time(&node->written_at, &times[1], node->changed_at);
    return 0;
}

int64_t node_read_link(struct node *node, char *to, size_t bytes)
{
    size_t n;

    if (node->kind != NODE_LINK || bytes == 0)
        return -EINVAL;
    if (node->host != NULL)
        return host_read_link(node, to, bytes);
    n = strlen(node->target);
    n = n < bytes ? n : bytes;
    memcpy(to, node->target, n);
    return (int64_t)n;
}

int node_statfs(struct node *node, struct statfs *st)
{
    struct tree *tree = node->tree;
    const struct quota *quota = &tree->quota;
    uint64_t free = quota->limit - quota->used;
    uint64_t frames = tree->frames->free * FRAME_BYTES;
    uint32_t nodes = tree->node_count > tree->entry_count ? tree->node_count
                                                          : tree->entry_count;
    int rc;

    *st = (struct statfs){0};
    if (node->mount != NULL && node->is_sealed) {
        rc = host_statfs(node, st);
        if (rc < 0)
            return rc;
        st->f_bavail = st->f_bfree = 0;
        st->f_ffree = 0;
    } else {
        free = free < frames ? free : frames;
        st->f_type = node->mount != NULL ? OVERLAY_MAGIC : TMPFS_MAGIC;
        st->f_bsize = st->f_frsize = NODE_BLOCK;
        st->f_blocks = quota->limit / NODE_BLOCK;
        st->f_bfree = st->f_bavail = free / NODE_BLOCK;
        st->f_files = tree->nodes_max;
        st->f_ffree = tree->nodes_max - nodes;
        st->f_namelen = NODE_NAME_MAX;
    }
    if (node->kind == NODE_TEXT)
        st->f_type = PROC_SUPER_MAGIC;
    st->f_flags = ST_VALID | ST_NOSUID | ST_NODEV;
    if (node->is_sealed)
        st->f_flags |= ST_RDONLY;
    st->f_fsid = (fsid_t){{(int)node->dev, 0}};
    return 0;
}

int64_t node_path(struct node *node, char *to, size_t bytes)
{
    struct node *root = node->tree->root;
    size_t at = bytes;

    /* From the end of the buffer to its start, then moved there. */
    if (bytes < 2)
        return -ERANGE;
    to[--at] = '\0';
    if (node == root)
        to[--at] = '/';
    while (node != root) {
        const struct entry *entry = node->names;
        size_t n;

        if (entry == NULL)
            return -ENOENT;
        n = strlen(entry->name);
        if (n + 1 > at)
            return -ERANGE;
        at -= n;
        memcpy(to + at, entry->name, n);
        to[--at] = '/';
        node = entry->parent;
    }
    memmove(to, to + at, bytes - at);
    return (int64_t)(bytes - at);
}
