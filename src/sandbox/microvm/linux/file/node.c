/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.c - the life of nodes and entries; node.h has the picture.
 *
 * Names are found through one hash table of the tree, keyed with random bytes
 * (SipHash): a guest that chooses names cannot make them collide.
 *
 * A directory lists its kept entries in the order of their cookies, which only
 * grow, so that a position in it stays good whatever is removed or added.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sandbox/microvm/linux/file/hash.h"
#include "sandbox/microvm/linux/file/node.h"

#define BUCKETS_MIN 64u

static struct entry **bucket(const struct tree *tree, uint64_t hash)
{
    return &tree->buckets[hash & (tree->bucket_count - 1)];
}

/* Without memory it stays as it is, and is slower. */
static bool make_buckets(struct tree *tree)
{
    uint32_t count =
        tree->bucket_count == 0 ? BUCKETS_MIN : tree->bucket_count * 2;
    struct entry **old = tree->buckets;
    struct entry **new = calloc(count, sizeof(*new));
    uint32_t old_count = tree->bucket_count;

    if (new == NULL)
        return false;
    tree->buckets = new;
    tree->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct entry *entry = old[i];

            old[i] = entry->next_hash;
            entry->next_hash = *bucket(tree, entry->hash);
            *bucket(tree, entry->hash) = entry;
        }
    }
    free(old);
    return true;
}

struct entry *entry_find(const struct node *parent, const char *name)
{
    uint64_t hash = hash_name(parent->tree->key, parent, name);
    struct entry *entry;

    if (parent->tree->bucket_count == 0)
        return NULL;
    entry = *bucket(parent->tree, hash);
    while (entry != NULL && (entry->hash != hash || entry->parent != parent ||
                             strcmp(entry->name, name) != 0))
        entry = entry->next_hash;
    return entry;
}

/* Holes are closed when there are more of them than entries. */
static void close_holes(struct node_dir *dir)
{
    uint32_t to = 0, room = dir->room;
    struct entry_slot *slots;

    for (uint32_t i = 0; i < dir->count; i++)
        if (dir->slots[i].entry != NULL)
            dir->slots[to++] = dir->slots[i];
    dir->count = to;
    dir->holes = 0;
    while (room > 8 && to < room / 4)
        room /= 2;
    slots = room < dir->room ? reallocarray(dir->slots, room, sizeof(*slots))
                             : NULL;
    if (slots != NULL) {
        dir->slots = slots;
        dir->room = room;
    }
}

static bool add_slot(struct node_dir *dir, struct entry *entry)
{
    if (dir->count == dir->room) {
        uint32_t room = dir->room == 0 ? 8 : dir->room * 2;
        struct entry_slot *slots =
            reallocarray(dir->slots, room, sizeof(*slots));

        if (slots == NULL)
            return false;
        dir->slots = slots;
        dir->room = room;
    }
    entry->cookie = dir->next_cookie++;
    dir->slots[dir->count++] = (struct entry_slot){entry->cookie, entry};
    return true;
}

/* The first slot at a cookie or behind it. */
static uint32_t find_slot(const struct node_dir *dir, uint64_t cookie)
{
    uint32_t low = 0, high = dir->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (dir->slots[middle].cookie < cookie)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_slot(struct node_dir *dir, const struct entry *entry)
{
    uint32_t i = find_slot(dir, entry->cookie);

    must(i < dir->count && dir->slots[i].entry == entry);
    dir->slots[i].entry = NULL;
    dir->holes++;
    if (dir->holes > 16 && dir->holes > dir->count / 2)
        close_holes(dir);
}

struct entry *entry_next(const struct node *dir, uint64_t from)
{
    for (uint32_t i = find_slot(&dir->dir, from); i < dir->dir.count; i++)
        if (dir->dir.slots[i].entry != NULL)
            return dir->dir.slots[i].entry;
    return NULL;
}

struct entry *entry_make(struct node *parent, const char *name, bool is_kept,
                         bool over_host)
{
    struct tree *tree = parent->tree;
    size_t bytes = strlen(name) + 1;
    struct entry *entry;

    must(entry_find(parent, name) == NULL && bytes <= NODE_NAME_MAX + 1);
    if (tree->hashed >= tree->bucket_count && !make_buckets(tree) &&
        tree->bucket_count == 0)
        return NULL;
    entry = malloc(sizeof(*entry) + bytes);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){.parent = parent,
                            .over_host = over_host,
                            .hash = hash_name(parent->tree->key, parent, name)};
    memcpy(entry->name, name, bytes);
    if (is_kept && entry_keep(entry) < 0) {
        free(entry);
        return NULL;
    }
    entry->next_hash = *bucket(tree, entry->hash);
    *bucket(tree, entry->hash) = entry;
    tree->hashed++;
    node_get(parent);
    return entry;
}

int entry_keep(struct entry *entry)
{
    struct node *parent = entry->parent;
    struct tree *tree = parent->tree;

    if (entry->is_kept)
        return 0;
    if (tree->entry_count >= tree->nodes_max || !add_slot(&parent->dir, entry))
        return -ENOSPC;
    tree->entry_count++;
    entry->is_kept = true;
    if (entry->node != NULL) {
        node_get(entry->node);
        parent->dir.live++;
    }
    return 0;
}

static void attach(struct entry *entry, struct node *node)
{
    struct node *parent = entry->parent;

    entry->node = node;
    entry->next_name = node->names;
    node->names = entry;
    node->name_count++;
    node->was_named = true;
    if (entry->is_kept) {
        node_get(node);
        parent->dir.live++;
    }
    if (node->kind != NODE_DIR)
        return;
    must(node->name_count == 1);
    parent->dir.subdirs++;
    if (node->dir.holds_up)
        node_put(node->dir.up);
    node->dir.holds_up = false;
    node->dir.up = parent;
}

static void take_name(struct node *node, const struct entry *entry)
{
    struct entry **at = &node->names;

    while (*at != entry) {
        must(*at != NULL);
        at = &(*at)->next_name;
    }
    *at = entry->next_name;
    node->name_count--;
}

/* The node may go with it. */
static void detach(struct entry *entry)
{
    struct node *node = entry->node, *parent = entry->parent;

    take_name(node, entry);
    entry->node = NULL;
    if (node->kind == NODE_DIR) {
        parent->dir.subdirs--;
        node->dir.up = node_get(parent);
        node->dir.holds_up = true;
    }
    if (entry->is_kept) {
        parent->dir.live--;
        node_put(node);
    }
}

void entry_set(struct entry *entry, struct node *node)
{
    if (node != NULL)
        node_get(node); /* it may be the old one */
    if (entry->node != NULL)
        detach(entry);
    if (node != NULL)
        attach(entry, node);
    node_put(node);
}

static void unhash(struct entry *entry)
{
    struct tree *tree = entry->parent->tree;
    struct entry **at = bucket(tree, entry->hash);

    while (*at != entry) {
        must(*at != NULL);
        at = &(*at)->next_hash;
    }
    *at = entry->next_hash;
    tree->hashed--;
    if (entry->is_kept) {
        remove_slot(&entry->parent->dir, entry);
        tree->entry_count--;
    }
}

void entry_drop(struct entry *entry)
{
    struct node *parent = entry->parent;

    if (entry->node != NULL)
        detach(entry);
    unhash(entry);
    free(entry);
    node_put(parent);
}

static struct node *new_node(struct tree *tree, enum node_kind kind)
{
    struct node *node = calloc(1, sizeof(*node));

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
    node->host = malloc(head + 1 + bytes);
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
        free(node->dir.slots);
    else if (node->kind == NODE_FILE && node->host == NULL)
        content_fini(&node->content, &tree->quota);
    else if (node->kind == NODE_LINK && node->target != NULL) {
        tree->quota.used -= strlen(node->target);
        free(node->target);
    }
    free(node->host);
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
    free(node);
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
        unhash(entry);
        free(entry);
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
            free(entry);
        }
    }
    free(tree->buckets);
    while (tree->nodes != NULL)
        free_node(tree->nodes);
}
