/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.c - the tree is opened, and the embedder puts into it what the guest
 * shall find.  That counts against none of the guest's limits.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

#define MEMORY_DEVICES 1u /* the major number of /dev/null and the like */

static void move_tree(void *object, size_t bytes, const struct heap_move *move)
{
    struct tree *tree = object;

    (void)bytes;
    move_pointer(move, &tree->frames);
    move_pointer(move, &tree->quota.frames);
    move_pointer(move, &tree->root);
    move_pointer(move, &tree->nodes);
    move_pointer(move, &tree->buckets);
    move_pointer(move, &tree->mounts);
    for (uint32_t i = 0; i < NODE_DEVICES_MAX; i++)
        move_pointer(move, &tree->devices[i].mount);
    for (uint32_t i = 0; i < NODE_RECENT; i++)
        move_pointer(move, &tree->recent[i]);
    move_pointer(move, &tree->fresh);
}

static const struct heap_type tree_type = {"tree", move_tree};

int tree_open(struct tree **tree, const struct tree_config *config)
{
    struct tree *new =
        heap_make(config->frames->heap, &tree_type, sizeof(*new));

    if (new == NULL)
        return -ENOMEM;
    new->frames = config->frames;
    new->handles = config->handles;
    new->seen = config->seen;
    new->quota =
        (struct quota){.frames = config->frames, .limit = config->disk_bytes};
    new->nodes_max = config->nodes_max;
    new->host_files_max =
        config->files_max != 0 ? config->files_max : UINT32_MAX;
    new->uid = config->uid;
    new->gid = config->gid;
    new->is_beneath = config->is_beneath;
    new->host_uid = geteuid();
    new->host_gid = getegid();
    if (getrandom(new->key, sizeof(new->key), 0) == sizeof(new->key)) {
        new->nodes_max = UINT32_MAX;
        new->root = node_make(new, NODE_DIR, S_IFDIR | 0755, NULL);
        new->nodes_max = config->nodes_max;
    }
    if (new->root == NULL) {
        heap_free(new);
        return -ENOMEM;
    }
    new->root->is_mount = true;
    new->root->is_counted = false;
    new->node_count = 0;
    *tree = new;
    return 0;
}

void tree_close(struct tree *tree)
{
    if (tree == NULL)
        return;
    node_free_all(tree);
    while (tree->mounts != NULL) {
        struct mount *mount = tree->mounts;

        tree->mounts = mount->next;
        host_unmount(tree, mount);
    }
    heap_free(tree);
}

struct handles *tree_handles(const struct tree *tree)
{
    return tree->handles;
}

void tree_unbind(struct tree *tree)
{
    tree->handles = NULL;
    tree->seen = NULL;
}

void tree_bind(struct tree *tree, struct handles *handles, struct seen *seen)
{
    tree->handles = handles;
    tree->seen = seen;
}

int tree_look(struct tree *tree, struct node *from, const char *path,
              unsigned flags, struct node **node)
{
    unsigned how = (flags & TREE_NOFOLLOW) != 0 ? 0 : WALK_FOLLOW;
    struct walk walk;
    int rc;

    if ((flags & TREE_EMPTY) != 0)
        how |= WALK_EMPTY;
    rc = walk_path(&walk, tree, from, path, how);
    if (rc < 0)
        return rc;
    if (walk.node == NULL)
        rc = -ENOENT;
    else
        *node = node_get(walk.node);
    walk_end(&walk);
    return rc;
}

/* The guest's limits do not hold meanwhile. */
struct pause {
    struct tree *tree;
    struct tree was;
};

static void pause_limits(struct pause *pause, struct tree *tree)
{
    pause->tree = tree;
    pause->was = *tree;
    tree->nodes_max = UINT32_MAX;
    tree->quota.limit = UINT64_MAX;
}

static uint32_t more(uint32_t now, uint32_t was)
{
    return now > was ? now - was : 0;
}

/* They become larger by what was made. */
static void end_pause(struct pause *pause)
{
    struct tree *tree = pause->tree;
    const struct tree *was = &pause->was;
    uint32_t nodes = more(tree->node_count, was->node_count);
    uint32_t entries = more(tree->entry_count, was->entry_count);

    nodes = nodes > entries ? nodes : entries;
    tree->nodes_max = nodes > UINT32_MAX - was->nodes_max
                          ? UINT32_MAX
                          : was->nodes_max + nodes;
    tree->quota.limit = was->quota.limit;
    if (tree->quota.used > was->quota.used &&
        __builtin_add_overflow(tree->quota.limit,
                               tree->quota.used - was->quota.used,
                               &tree->quota.limit))
        tree->quota.limit = UINT64_MAX;
}

/* Walk to a path; directories that are missing on the way are made. */
static int walk_making(struct walk *walk, struct tree *tree, const char *at)
{
    char path[NODE_PATH_MAX];
    size_t bytes = strnlen(at, sizeof(path));
    int rc;

    if (at[0] != '/' || bytes == sizeof(path))
        return -EINVAL;
    memcpy(path, at, bytes + 1);
    for (size_t i = 1; i < bytes; i++) {
        struct node *dir = NULL;

        if (path[i] != '/')
            continue;
        path[i] = '\0';
        rc = walk_path(walk, tree, NULL, path, WALK_FOLLOW | WALK_TRUSTED);
        if (rc < 0)
            return rc;
        if (walk->node == NULL) {
            dir = node_make(tree, NODE_DIR, S_IFDIR | 0755, walk->parent);
            rc = dir == NULL ? -ENOMEM
                             : change_add(walk->parent, walk->name, dir);
            if (rc == 0)
                dir->is_sealed = walk->parent->is_sealed;
            node_put(dir);
        }
        walk_end(walk);
        if (rc < 0)
            return rc;
        path[i] = '/';
    }
    return walk_path(walk, tree, NULL, path, WALK_PARENT | WALK_TRUSTED);
}

/* A node comes under the name, whatever was there, unless that has content. */
static int put_node(struct walk *walk, struct node *node)
{
    struct entry *entry;

    if (walk->last != WALK_NAME)
        return -EEXIST;
    if (walk->node == NULL)
        return change_add(walk->parent, walk->name, node);
    if (walk->node->kind == NODE_DIR &&
        (node->kind != NODE_DIR || walk->node->dir.live > 0))
        return -EEXIST;
    entry = entry_find(walk->parent, walk->name);
    must(entry != NULL);
    if (entry_keep(entry) < 0)
        return -ENOMEM;
    entry_set(entry, node);
    return 0;
}

static int put_at(struct tree *tree, const char *at, struct node *node)
{
    struct walk walk;
    int rc = walk_making(&walk, tree, at);

    if (rc < 0)
        return rc;
    if (walk.parent->mount != node->mount)
        node->is_mount = true;
    rc = put_node(&walk, node);
    walk_end(&walk);
    return rc;
}

static int make_at(struct tree *tree, const char *at, struct node *node)
{
    int rc = node == NULL ? -ENOMEM : put_at(tree, at, node);

    node_put(node);
    return rc;
}

/* The node is what the mount shows. */
static void show(struct node *node, struct mount *mount, char *host,
                 const struct stat *st, unsigned how)
{
    node->mount = mount;
    node->host = host;
    node->is_own = false;
    node->is_mount = true;
    node->is_sealed = (how & MOUNT_SEALED) != 0;
    node->mode = st->st_mode;
    node->uid = st->st_uid;
    node->gid = st->st_gid;
    node->ino = st->st_ino;
    node->dev = st->st_dev;
}

static int mount_root(struct tree *tree, struct mount *mount, char *host,
                      const struct stat *st, unsigned how)
{
    if (tree->root->host != NULL || !S_ISDIR(st->st_mode))
        return S_ISDIR(st->st_mode) ? -EBUSY : -ENOTDIR;
    show(tree->root, mount, host, st, how);
    return 0;
}

static int mount_at(struct tree *tree, const char *at, struct mount *mount,
                    char *host, unsigned how)
{
    struct node probe = {.tree = tree, .mount = mount, .host = host};
    struct node *node;
    struct stat st;
    int rc = host_stat(&probe, &st);

    if (rc == 0 && strcmp(at, "/") == 0)
        return mount_root(tree, mount, host, &st, how);
    if (rc < 0)
        return rc;
    node = node_make(tree, S_ISDIR(st.st_mode) ? NODE_DIR : NODE_FILE,
                     st.st_mode, NULL);
    if (node == NULL)
        return -ENOMEM;
    show(node, mount, host, &st, how);
    rc = put_at(tree, at, node);
    if (rc < 0)
        node->host = NULL; /* the caller's again */
    node_put(node);
    return rc;
}

int tree_mount(struct tree *tree, const char *at, int fd, unsigned how)
{
    char *host = heap_text(tree->frames->heap, "");
    struct mount *mount;
    struct pause pause;
    int rc = host == NULL
                 ? -ENOMEM
                 : host_mount(tree, &mount, fd, (how & MOUNT_FOREIGN) != 0);

    if (rc == 0) {
        pause_limits(&pause, tree);
        rc = mount_at(tree, at, mount, host, how);
        end_pause(&pause);
    }
    if (rc < 0)
        heap_free(host);
    return rc;
}

int tree_make_dir(struct tree *tree, const char *at, unsigned mode)
{
    struct node *node = NULL;
    struct pause pause;
    struct walk walk;
    int rc;

    pause_limits(&pause, tree);
    rc = walk_making(&walk, tree, at);
    if (rc == 0) {
        node = walk.node;
        if (node != NULL && node->kind == NODE_DIR && node->host == NULL)
            node->mode = S_IFDIR | (mode & 07777);
        else
            rc = make_at(
                tree, at,
                node_make(tree, NODE_DIR, S_IFDIR | (mode & 07777), NULL));
        walk_end(&walk);
    }
    end_pause(&pause);
    return rc;
}

int tree_make_link(struct tree *tree, const char *at, const char *target)
{
    struct pause pause;
    int rc;

    if (target[0] == '\0' || strnlen(target, NODE_PATH_MAX) == NODE_PATH_MAX)
        return -EINVAL;
    pause_limits(&pause, tree);
    rc = make_at(tree, at, change_new_link(tree, target, NULL));
    end_pause(&pause);
    return rc;
}

int tree_make_file(struct tree *tree, const char *at, const void *bytes,
                   size_t count, unsigned mode)
{
    struct iovec piece = {(void *)(uintptr_t)bytes, count};
    struct pause pause;
    struct node *node;
    int rc = -ENOMEM;

    pause_limits(&pause, tree);
    node = node_make(tree, NODE_FILE, S_IFREG | (mode & 07777), NULL);
    if (node != NULL && content_write(&node->content, &tree->quota, &piece, 1,
                                      0) == (int64_t)count)
        rc = put_at(tree, at, node);
    node_put(node);
    end_pause(&pause);
    return rc;
}

int tree_make_text(struct tree *tree, const char *at, tree_text_fn *fn,
                   void *context)
{
    struct pause pause;
    struct node *node;
    int rc;

    pause_limits(&pause, tree);
    node = node_make(tree, NODE_TEXT, S_IFREG | 0444, NULL);
    if (node != NULL)
        node->text = (struct node_text){fn, context};
    rc = make_at(tree, at, node);
    end_pause(&pause);
    return rc;
}

int tree_make_device(struct tree *tree, const char *at, const char *name)
{
    unsigned number = special_device(name);
    struct pause pause;
    struct node *node;
    int rc;

    if (number == 0)
        return -EINVAL;
    pause_limits(&pause, tree);
    node = node_make(tree, NODE_DEVICE, S_IFCHR | 0666, NULL);
    if (node != NULL) {
        node->device = number;
        node->rdev = makedev(MEMORY_DEVICES, number);
        node->uid = node->gid = 0;
    }
    rc = make_at(tree, at, node);
    end_pause(&pause);
    return rc;
}

/* Below a directory, with no mount between. */
static bool is_below(const struct node *node, const struct node *dir)
{
    while (node != dir) {
        if (node->is_mount || node->names == NULL)
            return false;
        node = node->names->parent;
    }
    return true;
}

int tree_seal(struct tree *tree, const char *at)
{
    struct node *dir;
    int rc = tree_look(tree, NULL, at, 0, &dir);

    if (rc < 0)
        return rc;
    for (struct node *node = tree->nodes; node != NULL; node = node->after)
        if (is_below(node, dir))
            node->is_sealed = true;
    node_put(dir);
    return 0;
}
