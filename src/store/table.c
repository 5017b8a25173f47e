/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - a balanced tree from the C library, and a list through it.
 *
 * Why a tree and not a hash table: the keys are a script's choice, so a hash
 * would need a secret and a table that grows; the tree is O(log n) for any keys
 * and sorts them on the way.
 *
 * Expiry: nobody has a timer.  The earliest deadline is kept, and when a call
 * comes after it, one walk over the list removes all that is over.  So an
 * expired key is never seen, counted or paid for by a later call.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/table.h"

#define BLOCK_COST 16u /* what the allocator may add to a block */
#define NODE_COST  48u /* the tree's node: three pointers */

static size_t item_cost(size_t bytes)
{
    return sizeof(struct store_item) + BLOCK_COST + bytes;
}

bool store_chain_add(struct store_chain *chain, const void *cbor, size_t bytes)
{
    struct store_item *item = malloc(sizeof(*item) + bytes);

    if (item == NULL)
        return false;
    item->next = NULL;
    item->bytes = bytes;
    memcpy(item->cbor, cbor, bytes);
    if (chain->last != NULL)
        chain->last->next = item;
    else
        chain->first = item;
    chain->last = item;
    chain->count++;
    chain->cost += item_cost(bytes);
    return true;
}

void store_chain_join(struct store_chain *chain, struct store_chain *more)
{
    if (more->first == NULL)
        return;
    if (chain->last != NULL)
        chain->last->next = more->first;
    else
        chain->first = more->first;
    chain->last = more->last;
    chain->count += more->count;
    chain->cost += more->cost;
    *more = (struct store_chain){0};
}

void store_chain_fini(struct store_chain *chain)
{
    struct store_item *item = chain->first, *next;

    for (; item != NULL; item = next) {
        next = item->next;
        free(item);
    }
    *chain = (struct store_chain){0};
}

size_t store_entry_cost(struct store_key key)
{
    return sizeof(struct store_entry) + BLOCK_COST + NODE_COST + key.bytes;
}

/* An entry starts with its key, so a bare key can be looked for. */
static int compare(const void *a, const void *b)
{
    const struct store_key *left = a, *right = b;
    size_t bytes = left->bytes < right->bytes ? left->bytes : right->bytes;
    int order = memcmp(left->text, right->text, bytes);

    if (order != 0)
        return order;
    return (left->bytes > right->bytes) - (left->bytes < right->bytes);
}

struct store_entry *store_table_find(const struct store_table *table,
                                     struct store_key key)
{
    struct store_entry *const *node = tfind(&key, &table->tree, compare);

    return node != NULL ? *node : NULL;
}

struct store_entry *store_table_add(struct store_table *table,
                                    struct store_key key)
{
    struct store_entry *entry = malloc(sizeof(*entry) + key.bytes);
    struct store_entry **node;

    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->text, key.text, key.bytes);
    entry->key = (struct store_key){entry->text, key.bytes};

    node = tsearch(entry, &table->tree, compare);
    if (node == NULL) {
        free(entry);
        return NULL;
    }
    must(*node == entry);
    entry->next = table->first;
    if (table->first != NULL)
        table->first->previous = entry;
    table->first = entry;
    table->count++;
    table->bytes += store_entry_cost(key);
    return entry;
}

void store_table_remove(struct store_table *table, struct store_entry *entry)
{
    must(tdelete(entry, &table->tree, compare) != NULL);
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        table->first = entry->next;
    table->count--;
    table->bytes -= store_entry_cost(entry->key) + entry->value.cost;
    store_chain_fini(&entry->value);
    free(entry);
}

void store_table_set(struct store_table *table, struct store_entry *entry,
                     bool is_list, struct store_chain *chain)
{
    table->bytes = table->bytes - entry->value.cost + chain->cost;
    store_chain_fini(&entry->value);
    store_chain_join(&entry->value, chain);
    entry->is_list = is_list;
}

void store_table_extend(struct store_table *table, struct store_entry *entry,
                        struct store_chain *chain)
{
    must(entry->is_list);
    table->bytes += chain->cost;
    store_chain_join(&entry->value, chain);
}

void store_table_shift(struct store_table *table, struct store_entry *entry)
{
    struct store_chain *list = &entry->value;
    struct store_item *item = list->first;
    size_t cost;

    must(entry->is_list && item != NULL);
    cost = item_cost(item->bytes);
    list->first = item->next;
    if (list->first == NULL)
        list->last = NULL;
    list->count--;
    list->cost -= cost;
    table->bytes -= cost;
    free(item);
}

void store_table_expire(struct store_table *table, struct store_entry *entry,
                        uint64_t expires_ns)
{
    entry->expires_ns = expires_ns;
    if (expires_ns != 0 && (table->due_ns == 0 || expires_ns < table->due_ns))
        table->due_ns = expires_ns;
}

void store_table_sweep(struct store_table *table, uint64_t now_ns)
{
    struct store_entry *entry = table->first, *next;

    if (table->due_ns == 0 || now_ns < table->due_ns)
        return;
    table->due_ns = 0;
    for (; entry != NULL; entry = next) {
        next = entry->next;
        if (entry->expires_ns != 0 && now_ns >= entry->expires_ns)
            store_table_remove(table, entry);
        else
            store_table_expire(table, entry, entry->expires_ns);
    }
}

struct walk {
    store_visit_fn fn;
    void *context;
};

static void visit(const void *node, VISIT order, void *closure)
{
    const struct store_entry *const *entry = node;
    const struct walk *walk = closure;

    if (order == postorder || order == leaf) /* the C library's "in order" */
        walk->fn(walk->context, *entry);
}

void store_table_walk(const struct store_table *table, store_visit_fn fn,
                      void *context)
{
    struct walk walk = {fn, context};

    twalk_r(table->tree, visit, &walk);
}

static bool copy_entry(struct store_table *table,
                       const struct store_entry *other)
{
    struct store_entry *entry = store_table_add(table, other->key);
    struct store_chain chain = {0};
    bool done = entry != NULL;

    for (const struct store_item *i = other->value.first; done && i != NULL;
         i = i->next)
        done = store_chain_add(&chain, i->cbor, i->bytes);
    if (!done) {
        store_chain_fini(&chain);
        return false;
    }
    store_table_set(table, entry, other->is_list, &chain);
    store_table_expire(table, entry, other->expires_ns);
    return true;
}

bool store_table_copy(struct store_table *table,
                      const struct store_table *other)
{
    for (const struct store_entry *e = other->first; e != NULL; e = e->next)
        if (!copy_entry(table, e)) {
            store_table_fini(table);
            return false;
        }
    return true;
}

static void leave_alone(void *entry)
{
    (void)entry;
}

void store_table_fini(struct store_table *table)
{
    struct store_entry *entry = table->first, *next;

    tdestroy(table->tree, leave_alone);
    for (; entry != NULL; entry = next) {
        next = entry->next;
        store_chain_fini(&entry->value);
        free(entry);
    }
    *table = (struct store_table){0};
}
