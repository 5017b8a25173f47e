/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - the life of nodes; node.h has the picture. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/files/tree/node.h"

static void move_node(void *object, size_t bytes, const struct heap_move *move)
{
    struct node *node = object;

    (void)bytes;
    if (node->kind == NODE_DIR) {
        move_pointer(move, &node->dir.up);
        move_pointer(move, &node->dir.slots);
    } else if (node->kind == NODE_FILE) {
        content_move(&node->content, move);
    } else if (node->kind == NODE_LINK) {
        move_pointer(move, &node->target);
    } else if (node->kind == NODE_TEXT) {
        move_pointer(move, &node->text.fn);
        move_pointer(move, &node->text.context);
    }
    move_pointer(move, &node->tree);
    move_pointer(move, &node->before);
    move_pointer(move, &node->after);
    move_pointer(move, &node->mount);
    move_pointer(move, &node->host);
    move_pointer(move, &node->names);
}

static const struct heap_type node_type = {"node", move_node};

static struct node *new_node(struct tree *tree, enum node_kind kind)
{
    struct node *node =
        heap_make(tree->frames->heap, &node_type, sizeof(*node));

    if (node == NULL)
        return NULL;
    node->tree = tree;
    node->kind = kind;
    node->references = 1;
    if (kind == NODE_DIR)
        node->dir.next_cookie = 2; /* behind "." and ".." */
    node->after = tree->nodes;
    if (tree->nodes != NULL)
        tree->nodes->before = node;
    tree->nodes = node;
    return node;
}

/* st_ino of what is made in a host's file system: far from what that has. */
#define INO_FAR (1ull << 62)

struct node *node_make(struct tree *tree, enum node_kind kind, uint32_t mode,
                       const struct node *parent)
{
    struct node *node;

    if (tree->node_count >= tree->nodes_max)
        return NULL;
    node = new_node(tree, kind);
    if (node == NULL)
        return NULL;
    tree->node_count++;
    node->is_counted = true;
    node->is_own = true;
    node->mode = mode;
    node->uid = tree->uid;
    node->gid = tree->gid;
    node->ino = ++tree->next_ino;
    node->dev = 1;
    if (parent != NULL) {
        node->mount = parent->mount;
        node->dev = parent->dev;
        if (parent->is_own && (parent->mode & S_ISGID) != 0) {
            node->gid = parent->gid;
            node->mode |= kind == NODE_DIR ? S_ISGID : 0u;
        }
    }
    if (node->mount != NULL)
        node->ino |= INO_FAR;
    node->read_at = node->written_at = node->changed_at = attr_now();
    return node;
}

static enum node_kind kind_of(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return NODE_FILE;
    case S_IFDIR:
        return NODE_DIR;
    case S_IFLNK:
        return NODE_LINK;
    default:
        return NODE_OTHER;
    }
}

struct node *node_from_host(struct tree *tree, struct node *parent,
                            const char *name, const struct stat *st)
{
    size_t head = strlen(parent->host), bytes = strlen(name) + 1;
    struct node *node = new_node(tree, kind_of(st->st_mode));
    struct entry *entry = NULL;

    if (node == NULL)
        return NULL;
    node->host = heap_make(tree->frames->heap, &heap_plain, head + 1 + bytes);
    if (node->host != NULL)
        entry = entry_make(parent, name, false, true);
    if (entry == NULL) {
        node_put(node);
        return NULL;
    }
    memcpy(node->host, parent->host, head);
    if (head > 0)
        node->host[head++] = '/';
    memcpy(node->host + head, name, bytes);
    node->mount = parent->mount;
    node->is_sealed = parent->is_sealed;
    node->mode = st->st_mode;
    node->uid = st->st_uid;
    node->gid = st->st_gid;
    node->ino = st->st_ino;
    node->dev = st->st_dev;
    node->rdev = st->st_rdev;
    entry_set(entry, node);
    return node;
}

/* What belongs to the node alone. */
static void free_node(struct node *node)
{
    struct tree *tree = node->tree;

    if (node->kind == NODE_DIR)
        heap_free(node->dir.slots);
    else if (node->kind == NODE_FILE && node->host == NULL)
        content_fini(&node->content, &tree->quota);
    else if (node->kind == NODE_LINK && node->target != NULL) {
        tree->quota.used -= strlen(node->target);
        heap_free(node->target);
    }
    heap_free(node->host);
    if (node->is_counted)
        tree->node_count--;
    if (tree->fresh == node)
        tree->fresh = NULL;
    if (node->before != NULL)
        node->before->after = node->after;
    else
        tree->nodes = node->after;
    if (node->after != NULL)
        node->after->before = node->before;
    heap_free(node);
}

struct node *node_get(struct node *node)
{
    must(node->references > 0 && node->references < UINT32_MAX);
    node->references++;
    return node;
}

/* Returns what it held in turn. */
static struct node *bury(struct node *node)
{
    struct entry *entry = node->names;
    struct node *up = NULL;

    if (entry != NULL) { /* not kept, or it would hold the node */
        must(!entry->is_kept && entry->next_name == NULL);
        up = entry->parent;
        if (node->kind == NODE_DIR)
            up->dir.subdirs--;
        entry_unhash(entry);
        heap_free(entry);
    } else if (node->kind == NODE_DIR && node->dir.holds_up) {
        up = node->dir.up;
    }
    free_node(node);
    return up;
}

void node_put(struct node *node)
{
    while (node != NULL) {
        must(node->references > 0);
        if (--node->references > 0)
            return;
        node = bury(node);
    }
}

bool node_is_dir(const struct node *node)
{
    return node->kind == NODE_DIR;
}

void node_remember(struct node *node)
{
    struct tree *tree = node->tree;
    struct node *old;

    for (uint32_t i = 0; i < NODE_RECENT; i++)
        if (tree->recent[i] == node)
            return;
    old = tree->recent[tree->next_recent];
    tree->recent[tree->next_recent] = node_get(node);
    tree->next_recent = (tree->next_recent + 1) % NODE_RECENT;
    node_put(old);
}

/* The end of the tree: whoever holds whom. */
void node_free_all(struct tree *tree)
{
    for (uint32_t i = 0; i < tree->bucket_count; i++) {
        while (tree->buckets[i] != NULL) {
            struct entry *entry = tree->buckets[i];

            tree->buckets[i] = entry->next_hash;
            heap_free(entry);
        }
    }
    heap_free(tree->buckets);
    while (tree->nodes != NULL)
        free_node(tree->nodes);
}
