/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c - the names in directories; node.h has the picture.
 *
 * Names are found through one hash table of the tree, keyed with random bytes
 * (SipHash): a guest that chooses names cannot make them collide.
 *
 * A directory lists its kept entries in the order of their cookies, which only
 * grow, so that a position in it stays good whatever is removed or added.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "sandbox/files/tree/node.h"

#define BUCKETS_MIN 64u

static struct entry **bucket(const struct tree *tree, uint64_t hash)
{
    return &tree->buckets[hash & (tree->bucket_count - 1)];
}

static void move_slots(void *object, size_t bytes, const struct heap_move *move)
{
    struct entry_slot *slots = object;

    for (size_t i = 0; i < bytes / sizeof(*slots); i++)
        move_pointer(move, &slots[i].entry);
}

static void move_entry(void *object, size_t bytes, const struct heap_move *move)
{
    struct entry *entry = object;

    (void)bytes;
    move_pointer(move, &entry->parent);
    move_pointer(move, &entry->node);
    move_pointer(move, &entry->next_hash);
    move_pointer(move, &entry->next_name);
}

static const struct heap_type slots_type = {"directory", move_slots},
                              entry_type = {"entry", move_entry};

/* Without memory it stays as it is, and is slower. */
static bool make_buckets(struct tree *tree)
{
    uint32_t count =
        tree->bucket_count == 0 ? BUCKETS_MIN : tree->bucket_count * 2;
    struct entry **old = tree->buckets;
    struct entry **new =
        heap_make(tree->frames->heap, &heap_pointers, count * sizeof(*new));
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
    heap_free(old);
    return true;
}

struct entry *entry_find(const struct node *parent, const char *name)
{
    uint64_t hash = hash_name(parent->tree->key, heap_place(parent), name);
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
static void close_holes(struct heap *heap, struct node_dir *dir)
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
    slots = room < dir->room ? heap_resize(heap, &slots_type, dir->slots,
                                           room * sizeof(*slots))
                             : NULL;
    if (slots != NULL) {
        dir->slots = slots;
        dir->room = room;
    }
}

static bool add_slot(struct node_dir *dir, struct entry *entry)
{
    struct heap *heap = entry->parent->tree->frames->heap;

    if (dir->count == dir->room) {
        uint32_t room = dir->room == 0 ? 8 : dir->room * 2;
        struct entry_slot *slots =
            heap_resize(heap, &slots_type, dir->slots, room * sizeof(*slots));

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
    struct heap *heap = entry->parent->tree->frames->heap;
    uint32_t i = find_slot(dir, entry->cookie);

    must(i < dir->count && dir->slots[i].entry == entry);
    dir->slots[i].entry = NULL;
    dir->holes++;
    if (dir->holes > 16 && dir->holes > dir->count / 2)
        close_holes(heap, dir);
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
    entry = heap_make(tree->frames->heap, &entry_type, sizeof(*entry) + bytes);
    if (entry == NULL)
        return NULL;
    *entry = (struct entry){
        .parent = parent,
        .over_host = over_host,
        .hash = hash_name(parent->tree->key, heap_place(parent), name)};
    memcpy(entry->name, name, bytes);
    if (is_kept && entry_keep(entry) < 0) {
        heap_free(entry);
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

void entry_unhash(struct entry *entry)
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
    entry_unhash(entry);
    heap_free(entry);
    node_put(parent);
}
