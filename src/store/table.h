/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - the store's keys and values, without a word of CBOR.
 *
 *   tree, by key              entry                chain
 *      (b)        +--------------------------+     +------+   +------+
 *     /   \  ---> | key  expires_ns  value --+---> | item +-> | item | ...
 *   (a)   (c)     +--------------------------+     +------+   +------+
 *
 * A value is a chain of items: a list's elements, or the one item of any other
 * value.  So pushing, popping and joining change two pointers, cost nothing and
 * cannot fail: whoever changes the store first makes a chain aside, which can.
 *
 * An entry that a call has changed has a record of what it was (journal.h).  It
 * stays in the tree until that call ends, also when it is removed: it is only
 * gone, and nobody finds it.  So taking a change back needs no memory.
 *
 * bytes is what all this takes of the host's memory, allocator's share included
 * (64-bit glibc): many small things count for what they cost.
 *
 * Threads: the holder of the store's lock.
 * Memory:  owned by the table; a chain aside, by who made it.
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_key {
    const char *text; /* not terminated; UTF-8; NUL allowed */
    size_t bytes;
};

struct store_item {
    struct store_item *next;
    size_t bytes;
    uint8_t cbor[];
};

/* All zero is an empty one. */
struct store_chain {
    struct store_item *first, *last;
    uint64_t count;
    size_t cost;
};

struct store_journal;

/* What an entry was before its call changed it. */
struct store_record {
    struct store_journal *journal; /* whose it is */
    struct store_entry *entry;
    struct store_record *next; /* of the journal's */
    bool was_there, is_list;
    bool is_in_place; /* the first `kept` items of the entry are its own */
    uint64_t expires_ns, kept;
    struct store_chain old; /* owned: those before them, or all */
    size_t *old_bytes;      /* the journal's count of that */
};

struct store_entry {
    struct store_key key; /* first: it is what the tree compares */
    uint64_t expires_ns;  /* 0: never */
    bool is_list;         /* value is a list's elements, maybe none */
    bool is_gone;         /* it has been removed, or was never there */
    struct store_chain value;
    struct store_record *record; /* the journal's; NULL: as it always was */
    struct store_entry *next, *previous; /* in the table's list */
    char text[];
};

/* All zero is an empty one. */
struct store_table {
    void *tree;
    struct store_entry *first; /* all entries, the newest first */
    uint64_t due_ns;           /* nothing expires before; 0: nothing does */
    size_t count, bytes;       /* of those that are not gone */
    size_t reserved;           /* that other calls may want back */
};

/* Append a copy of an item. Returns false, nothing changed, without memory. */
bool store_chain_add(struct store_chain *chain, const void *cbor, size_t bytes);

/* Move all items of `more` to the end; it is empty then. */
void store_chain_join(struct store_chain *chain, struct store_chain *more);

/* Move its first items to the end of another one. */
void store_chain_split(struct store_chain *chain, uint64_t count,
                       struct store_chain *to);

void store_chain_fini(struct store_chain *chain); /* idempotent */

/* What an entry for this key adds to bytes, its value not counted. */
size_t store_entry_cost(struct store_key key);

/* Returns the entry, borrowed until it is removed; or NULL. */
struct store_entry *store_table_find(const struct store_table *table,
                                     struct store_key key);

/* The key is not there. Returns an entry with an empty value; NULL without
 * memory. */
struct store_entry *store_table_add(struct store_table *table,
                                    struct store_key key);

void store_table_remove(struct store_table *table, struct store_entry *entry);

/* Also one that is gone, and is made so if there is none; NULL without memory.
 */
struct store_entry *store_table_touch(struct store_table *table,
                                      struct store_key key);

/* As long as it has a record: the entry as it was, or as it is now. */
void store_table_undo(struct store_table *table, struct store_record *record);
void store_table_settle(struct store_table *table, struct store_record *record);

/* What its calls have changed is not looked at. */
struct store_entry *store_table_find_any(const struct store_table *table,
                                         struct store_key key);

/* Give the entry this value for its own; the chain is empty then. */
void store_table_set(struct store_table *table, struct store_entry *entry,
                     bool is_list, struct store_chain *chain);

/* Append to the entry's list; the chain is empty then. */
void store_table_extend(struct store_table *table, struct store_entry *entry,
                        struct store_chain *chain);

/* Drop the first element of the entry's list; there is one. */
void store_table_shift(struct store_table *table, struct store_entry *entry);

/* 0: never. */
void store_table_expire(struct store_table *table, struct store_entry *entry,
                        uint64_t expires_ns);

/* Remove what has expired. */
void store_table_sweep(struct store_table *table, uint64_t now_ns);

/* Calls fn for each entry, sorted by the bytes of their keys. */
typedef void (*store_visit_fn)(void *context, const struct store_entry *entry);
void store_table_walk(const struct store_table *table, store_visit_fn fn,
                      void *context);

/* An empty table becomes like another was before any call changed it.  False,
 * and it is empty still, without memory. */
bool store_table_copy(struct store_table *table,
                      const struct store_table *other);

void store_table_fini(struct store_table *table); /* idempotent: empty then */

#endif
