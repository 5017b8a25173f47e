/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c - names come, go and move.
 *
 * What the host has under a name is never touched: a whiteout hides it, or what
 * the guest put there.  A host directory may be renamed: its node remembers
 * where its content is on the host, so that nothing is copied.
 *
 * Each function first checks, in Linux's order, then takes what it needs, and
 * only then changes something; so there is nothing to undo.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/files/tree/node.h"

#define LINKS_MAX 65000u /* of one node, as ext4 */

int change_begin(struct node *dir)
{
    int rc;

    if (dir->is_sealed)
        return -EROFS;
    if (dir->is_dead)
        return -ENOENT;
    rc = attr_may(dir, W_OK | X_OK);
    return rc < 0 ? rc : attr_own(dir);
}

int change_add(struct node *dir, const char *name, struct node *node)
{
    struct entry *entry = entry_find(dir, name);

    if (entry == NULL)
        entry = entry_make(dir, name, true, false);
    if (entry == NULL)
        return -ENOSPC;
    must(entry->node == NULL && entry->is_kept);
    entry_set(entry, node);
    attr_written(dir);
    return 0;
}

/* Something the host has counts unless a whiteout hides it. */
static int host_is_empty(struct node *dir)
{
    auto_fd int fd = host_open(dir);
    struct host_list list = {.fd = fd, .heap = dir->tree->frames->heap};
    struct host_entry host;
    int rc = fd;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    for (uint64_t i = 0;; i++) {
        const struct entry *entry;

        rc = host_list_at(&list, i, &host);
        if (rc <= 0)
            break;
        entry = entry_find(dir, host.name);
        if (entry == NULL || entry->node != NULL) {
            rc = -ENOTEMPTY;
            break;
        }
    }
    host_list_close(&list);
    return rc;
}

int change_is_empty(struct node *dir)
{
    if (dir->dir.live > 0)
        return -ENOTEMPTY;
    return dir->host == NULL ? 0 : host_is_empty(dir);
}

/* Walk to where a new name shall be. */
static int walk_to_new(struct walk *walk, struct tree *tree, struct node *from,
                       const char *path, bool is_dir)
{
    int rc = walk_path(walk, tree, from, path, WALK_PARENT);

    if (rc < 0)
        return rc;
    if (walk->node != NULL)
        rc = -EEXIST;
    else if (walk->has_slash && !is_dir)
        rc = -ENOENT;
    if (rc < 0)
        walk_end(walk);
    return rc;
}

int tree_make(struct tree *tree, struct node *from, const char *path,
              unsigned mode)
{
    struct node *node = NULL;
    struct walk walk;
    int rc = walk_to_new(&walk, tree, from, path, true);

    if (rc < 0)
        return rc;
    rc = change_begin(walk.parent);
    if (rc == 0) {
        node = node_make(tree, NODE_DIR, S_IFDIR | (mode & 01777), walk.parent);
        rc = node == NULL ? -ENOSPC : change_add(walk.parent, walk.name, node);
    }
    node_put(node);
    walk_end(&walk);
    return rc;
}

struct node *change_new_link(struct tree *tree, const char *target,
                             const struct node *parent)
{
    struct quota *quota = &tree->quota;
    size_t bytes = strlen(target);
    struct node *node;

    if (quota->used > quota->limit || bytes > quota->limit - quota->used)
        return NULL;
    node = node_make(tree, NODE_LINK, S_IFLNK | 0777, parent);
    if (node == NULL)
        return NULL;
    node->target = heap_text(tree->frames->heap, target);
    if (node->target == NULL) {
        node_put(node);
        return NULL;
    }
    quota->used += bytes;
    return node;
}

int tree_symlink(struct tree *tree, const char *target, struct node *from,
                 const char *path)
{
    struct node *node = NULL;
    struct walk walk;
    int rc;

    if (target[0] == '\0')
        return -ENOENT;
    if (strnlen(target, NODE_PATH_MAX) == NODE_PATH_MAX)
        return -ENAMETOOLONG;
    rc = walk_to_new(&walk, tree, from, path, false);
    if (rc < 0)
        return rc;
    rc = change_begin(walk.parent);
    if (rc == 0) {
        node = change_new_link(tree, target, walk.parent);
        rc = node == NULL ? -ENOSPC : change_add(walk.parent, walk.name, node);
    }
    node_put(node);
    walk_end(&walk);
    return rc;
}

static int add_link(struct node *node, struct walk *walk)
{
    int rc;

    if (walk->parent->mount != node->mount || node->is_mount ||
        (node->is_sealed && !walk->parent->is_sealed) ||
        node->kind == NODE_TEXT || node->kind == NODE_DEVICE)
        return -EXDEV;
    rc = change_begin(walk->parent);
    if (rc < 0)
        return rc;
    if (node->kind == NODE_DIR)
        return -EPERM;
    if (node->stays_nameless)
        return -ENOENT;
    if (node->names == NULL && node->was_named)
        return -ENOENT;
    if (node->name_count >= LINKS_MAX)
        return -EMLINK;
    rc = attr_own(node);
    if (rc == 0)
        rc = change_add(walk->parent, walk->name, node);
    if (rc == 0)
        attr_changed(node);
    return rc;
}

int tree_link(struct tree *tree, struct node *from, const char *path,
              unsigned flags, struct node *to, const char *name)
{
    struct node *node;
    struct walk walk;
    int rc = tree_look(tree, from, path, flags, &node);

    if (rc < 0)
        return rc;
    rc = walk_to_new(&walk, tree, to, name, false);
    if (rc == 0) {
        rc = add_link(node, &walk);
        walk_end(&walk);
    }
    node_put(node);
    return rc;
}

/* In a sticky directory, only what is one's own. */
static int may_take(const struct node *dir, struct node *node)
{
    const struct tree *tree = node->tree;
    struct stat st;
    int rc;

    if ((dir->mode & S_ISVTX) == 0 || dir->uid == tree->uid)
        return 0;
    rc = node_stat(node, &st);
    if (rc == 0 && st.st_uid != tree->uid)
        rc = -EPERM;
    return rc;
}

/* An empty directory, or a file, has lost its name for good. */
static void bury_dir(struct node *node)
{
    struct entry *entry;

    if (node->kind != NODE_DIR)
        return;
    while ((entry = entry_next(node, 0)) != NULL)
        entry_drop(entry); /* a whiteout */
    node->is_dead = true;
}

/* The name is free, or hides what the host has. */
static void take_away(struct entry *entry)
{
    if (entry->over_host)
        entry_set(entry, NULL);
    else
        entry_drop(entry);
}

static int check_remove(struct walk *walk, bool is_dir)
{
    static const int dir_errors[] = {0, -EINVAL, -ENOTEMPTY, -EBUSY};
    struct node *node = walk->node;

    if (walk->last != WALK_NAME)
        return is_dir ? dir_errors[walk->last] : -EISDIR;
    if (walk->parent->is_sealed)
        return -EROFS;
    if (node == NULL)
        return -ENOENT;
    if (!is_dir && walk->has_slash)
        return node->kind == NODE_DIR ? -EISDIR : -ENOTDIR;
    return 0;
}

static int remove_walked(struct walk *walk, bool is_dir)
{
    struct node *node = walk->node;
    struct entry *entry;
    int rc = check_remove(walk, is_dir);

    if (rc == 0)
        rc = change_begin(walk->parent);
    if (rc == 0)
        rc = may_take(walk->parent, node);
    if (rc < 0)
        return rc;
    if (is_dir != (node->kind == NODE_DIR))
        return is_dir ? -ENOTDIR : -EISDIR;
    if (node->is_mount)
        return -EBUSY;
    if (is_dir)
        rc = change_is_empty(node);
    entry = entry_find(walk->parent, walk->name);
    must(entry != NULL && entry->node == node);
    if (rc == 0 && entry->over_host)
        rc = entry_keep(entry);
    if (rc < 0)
        return rc;
    bury_dir(node);
    take_away(entry);
    attr_written(walk->parent);
    attr_changed(node);
    return 0;
}

int tree_remove(struct tree *tree, struct node *from, const char *path,
                bool is_dir)
{
    struct walk walk;
    int rc = walk_path(&walk, tree, from, path, WALK_PARENT);

    if (rc < 0)
        return rc;
    rc = remove_walked(&walk, is_dir);
    walk_end(&walk);
    return rc;
}

static bool is_above(const struct node *node, const struct node *below)
{
    while (below != node && below != below->tree->root)
        below = below->dir.up;
    return below == node;
}

/* What is wrong about these two names? */
static int check_names(const struct walk *a, const struct walk *b,
                       unsigned flags)
{
    bool replaces = (flags & RENAME_NOREPLACE) == 0;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;

    if (a->parent->mount != b->parent->mount)
        return -EXDEV;
    if (a->last != WALK_NAME)
        return -EBUSY;
    if (b->last != WALK_NAME)
        return replaces ? -EBUSY : -EEXIST;
    if (a->parent->is_sealed || b->parent->is_sealed)
        return -EROFS;
    if (a->node == NULL)
        return -ENOENT;
    if (b->node != NULL && !replaces)
        return -EEXIST;
    if (exchange && b->node == NULL)
        return -ENOENT;
    if (exchange && b->has_slash && b->node->kind != NODE_DIR)
        return -ENOTDIR;
    if (a->node->kind != NODE_DIR &&
        (a->has_slash || (!exchange && b->has_slash)))
        return -ENOTDIR;
    if (is_above(a->node, b->parent))
        return -EINVAL;
    if (b->node != NULL && is_above(b->node, a->parent))
        return exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

/* A directory that gets another parent has its ".." changed. */
static int may_move(const struct walk *from, const struct walk *to)
{
    int rc = may_take(from->parent, from->node);

    if (rc == 0 && from->node->is_mount)
        rc = -EBUSY;
    if (rc == 0 && from->node->kind == NODE_DIR && from->parent != to->parent)
        rc = attr_may(from->node, W_OK);
    return rc;
}

static int check_target(const struct walk *a, const struct walk *b,
                        bool exchange)
{
    bool is_dir = a->node->kind == NODE_DIR;
    int rc;

    if (b->node == NULL)
        return 0;
    if (exchange)
        return may_move(b, a);
    rc = may_take(b->parent, b->node);
    if (rc < 0)
        return rc;
    if (is_dir != (b->node->kind == NODE_DIR))
        return is_dir ? -ENOTDIR : -EISDIR;
    if (b->node->is_mount)
        return -EBUSY;
    return is_dir ? change_is_empty(b->node) : 0;
}

static int move(struct walk *a, struct walk *b, bool exchange)
{
    struct entry *from = entry_find(a->parent, a->name);
    struct entry *to = entry_find(b->parent, b->name);
    int rc;

    if (from == NULL || from->node != a->node)
        return -ENOENT; /* the host has changed since it was looked up */
    rc = entry_keep(from);
    if (rc == 0 && to != NULL)
        rc = entry_keep(to);
    if (rc == 0 && to == NULL)
        to = entry_make(b->parent, b->name, true, false);
    if (rc < 0 || to == NULL)
        return -ENOSPC;
    entry_set(from, NULL);
    entry_set(to, NULL);
    entry_set(to, a->node);
    if (exchange)
        entry_set(from, b->node);
    else if (b->node != NULL)
        bury_dir(b->node);
    if (!exchange && !from->over_host)
        entry_drop(from);
    attr_written(a->parent);
    attr_written(b->parent);
    attr_changed(a->node);
    if (b->node != NULL)
        attr_changed(b->node);
    return 0;
}

static int rename_walked(struct walk *a, struct walk *b, unsigned flags)
{
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    int rc = check_names(a, b, flags);

    if (rc < 0 || a->node == b->node)
        return rc;
    rc = change_begin(a->parent);
    if (rc == 0)
        rc = change_begin(b->parent);
    if (rc == 0)
        rc = may_move(a, b);
    if (rc == 0)
        rc = check_target(a, b, exchange);
    return rc < 0 ? rc : move(a, b, exchange);
}

int tree_rename(struct tree *tree, struct node *from, const char *path,
                struct node *to, const char *name, unsigned flags)
{
    const unsigned known = RENAME_NOREPLACE | RENAME_EXCHANGE;
    struct walk a, b;
    int rc;

    if ((flags & ~known) != 0 || flags == known)
        return -EINVAL;
    rc = walk_path(&a, tree, from, path, WALK_PARENT);
    if (rc < 0)
        return rc;
    rc = walk_path(&b, tree, to, name, WALK_PARENT);
    if (rc == 0) {
        rc = rename_walked(&a, &b, flags);
        walk_end(&b);
    }
    walk_end(&a);
    return rc;
}
