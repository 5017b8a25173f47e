/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - one change to the store: made aside, then carried out or dropped.
 *
 *  store_change_begin_list(&change, table, in, err);      may fail
 *  gbx_build_unsigned(answer, ...);                       may fail
 *  store_change_commit(&change, table, in, answer, err);  may fail, then
 *                                                         nothing is changed
 *  store_change_fini(&change);                            in any case
 *
 * Threads: the holder of the store's lock.
 */
#ifndef STORE_CHANGE_H
#define STORE_CHANGE_H

#include "store/input.h"
#include "store/table.h"

struct store_change {
    struct store_entry *entry; /* NULL: the key is not there yet */
    struct store_chain chain;  /* owned: what is new */
    bool is_list, append;      /* chain is a list; to the entry's, not for it */
};

/* A change of the key's whole value. */
void store_change_begin(struct store_change *change,
                        const struct store_table *table,
                        const struct store_input *in);

/*
 * A change of the key's list: none there is an empty one, an array is taken
 * apart.  Returns 0, GBX_EARGUMENT (no list), GBX_ELIMIT, or GBX_EHOST.
 */
int store_change_begin_list(struct store_change *change,
                            const struct store_table *table,
                            const struct store_input *in,
                            struct gbx_error *err);

/* How many elements the list will have, and its first: NULL of an empty one. */
uint64_t store_change_count(const struct store_change *change);
const struct store_item *store_change_first(const struct store_change *change);

/* Append one item, or each element of an array.  Returns as begin_list does. */
int store_change_add(struct store_change *change, const struct store_input *in,
                     const void *cbor, size_t bytes, struct gbx_error *err);
int store_change_add_all(struct store_change *change,
                         const struct store_input *in, struct store_span array,
                         uint64_t count, struct gbx_error *err);

/*
 * Carry it out; change->entry is there then.  Returns 0, or GBX_ELIMIT (the
 * store is full), GBX_EHOST (no memory, the answer's included).
 */
int store_change_commit(struct store_change *change, struct store_table *table,
                        const struct store_input *in,
                        const struct gbx_builder *answer,
                        struct gbx_error *err);

void store_change_fini(struct store_change *change); /* idempotent */

/* The answer is built, or there was no memory: the last look before a change.
 */
int store_change_settle(const struct store_input *in,
                        const struct gbx_builder *answer,
                        struct gbx_error *err);

#endif
