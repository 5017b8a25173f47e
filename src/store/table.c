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

void store_chain_split(struct store_chain *chain, uint64_t count,
                       struct store_chain *to)
{
    struct store_chain rest = *chain, front = {.first = chain->first};

    must(count <= chain->count);
    if (count == 0)
        return;
    for (; front.count < count; front.count++) {
        front.last = rest.first;
        front.cost += item_cost(front.last->bytes);
        rest.first = front.last->next;
    }
    front.last->next = NULL;
    rest.count -= count;
    rest.cost -= front.cost;
    *chain = rest.first != NULL ? rest : (struct store_chain){0};
    store_chain_join(to, &front);
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

struct store_entry *store_table_find_any(const struct store_table *table,
                                         struct store_key key)
{
    struct store_entry *const *node = tfind(&key, &table->tree, compare);

    return node != NULL ? *node : NULL;
}

struct store_entry *store_table_find(const struct store_table *table,
                                     struct store_key key)
{
    struct store_entry *entry = store_table_find_any(table, key);

    return entry != NULL && !entry->is_gone ? entry : NULL;
}

struct store_entry *store_table_touch(struct store_table *table,
                                      struct store_key key)
{
    struct store_entry *entry = store_table_find_any(table, key);
    struct store_entry **node;

    if (entry != NULL)
        return entry;
    entry = malloc(sizeof(*entry) + key.bytes);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->text, key.text, key.bytes);
    entry->key = (struct store_key){entry->text, key.bytes};
    entry->is_gone = true;

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
    return entry;
}

static void come_back(struct store_table *table, struct store_entry *entry)
{
    must(entry->is_gone && entry->value.first == NULL);
    entry->is_gone = false;
    table->count++;
    table->bytes += store_entry_cost(entry->key);
}

struct store_entry *store_table_add(struct store_table *table,
                                    struct store_key key)
{
    struct store_entry *entry = store_table_touch(table, key);

    if (entry != NULL)
        come_back(table, entry);
    return entry;
}

static void forget(struct store_table *table, struct store_entry *entry)
{
    must(tdelete(entry, &table->tree, compare) != NULL);
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        table->first = entry->next;
    free(entry);
}

/* Its value is no more; what a record wants of it goes there. */
static void drop_value(struct store_table *table, struct store_entry *entry)
{
    struct store_record *record = entry->record;

    table->bytes -= entry->value.cost;
    if (record != NULL && record->is_in_place) {
        record->is_in_place = false;
        *record->old_bytes -= record->old.cost;
        store_chain_split(&entry->value, record->kept, &record->old);
        *record->old_bytes += record->old.cost;
    }
    store_chain_fini(&entry->value);
}

void store_table_remove(struct store_table *table, struct store_entry *entry)
{
    drop_value(table, entry);
    table->count--;
    table->bytes -= store_entry_cost(entry->key);
    entry->is_gone = true;
    entry->is_list = false;
    entry->expires_ns = 0;
    if (entry->record == NULL)
        forget(table, entry);
}

void store_table_settle(struct store_table *table, struct store_record *record)
{
    struct store_entry *entry = record->entry;

    entry->record = NULL;
    store_chain_fini(&record->old);
    if (entry->is_gone)
        forget(table, entry);
}

void store_table_undo(struct store_table *table, struct store_record *record)
{
    struct store_entry *entry = record->entry;

    if (!entry->is_gone)
        drop_value(table, entry);
    if (!entry->is_gone && !record->was_there) {
        table->count--;
        table->bytes -= store_entry_cost(entry->key);
        entry->is_gone = true;
    } else if (entry->is_gone && record->was_there) {
        come_back(table, entry);
    }
    if (record->was_there) {
        table->bytes += record->old.cost;
        store_chain_join(&entry->value, &record->old);
        entry->is_list = record->is_list;
        store_table_expire(table, entry, record->expires_ns);
    }
    store_table_settle(table, record);
}

void store_table_set(struct store_table *table, struct store_entry *entry,
                     bool is_list, struct store_chain *chain)
{
    drop_value(table, entry);
    table->bytes += chain->cost;
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
    struct store_record *record = entry->record;
    struct store_chain first = {0};

    must(entry->is_list && entry->value.first != NULL);
    store_chain_split(&entry->value, 1, &first);
    table->bytes -= first.cost;
    if (record != NULL && record->is_in_place && record->kept > 0) {
        record->kept--;
        *record->old_bytes += first.cost;
        store_chain_join(&record->old, &first);
    }
    store_chain_fini(&first);
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
        if (entry->is_gone)
            continue;
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

    if (order != postorder && order != leaf) /* the C library's "in order" */
        return;
    if (!(*entry)->is_gone)
        walk->fn(walk->context, *entry);
}

void store_table_walk(const struct store_table *table, store_visit_fn fn,
                      void *context)
{
    struct walk walk = {fn, context};

    twalk_r(table->tree, visit, &walk);
}

static bool copy_items(struct store_chain *to, const struct store_item *item,
                       uint64_t count)
{
    for (; count > 0; count--, item = item->next)
        if (!store_chain_add(to, item->cbor, item->bytes))
            return false;
    return true;
}

static bool copy_entry(struct store_table *table,
                       const struct store_entry *other)
{
    const struct store_record as_it_is = {.was_there = !other->is_gone,
                                          .is_list = other->is_list,
                                          .is_in_place = true,
                                          .expires_ns = other->expires_ns,
                                          .kept = other->value.count};
    const struct store_record *was =
        other->record != NULL ? other->record : &as_it_is;
    struct store_chain chain = {0};
    struct store_entry *entry;

    if (!was->was_there)
        return true;
    entry = store_table_add(table, other->key);
    if (entry == NULL || !copy_items(&chain, was->old.first, was->old.count) ||
        (was->is_in_place &&
         !copy_items(&chain, other->value.first, was->kept))) {
        store_chain_fini(&chain);
        return false;
    }
    store_table_set(table, entry, was->is_list, &chain);
    store_table_expire(table, entry, was->expires_ns);
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
