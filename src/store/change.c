/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/check.h"
#include "base/error.h"
#include "store/store.h"
#include "store/change.h"

static int no_memory(const struct store_input *in, struct gbx_error *err)
{
    errno = ENOMEM;
    return fail(err, GBX_EHOST, "%s", in->call);
}

void store_change_begin(struct store_change *change,
                        const struct store_table *table,
                        const struct store_input *in)
{
    *change = (struct store_change){.entry = store_table_find(table, in->key)};
}

int store_change_begin_list(struct store_change *change,
                            const struct store_table *table,
                            const struct store_input *in, struct gbx_error *err)
{
    const struct store_item *item;
    struct store_span span;
    struct gbx_item head;

    store_change_begin(change, table, in);
    change->is_list = true;
    if (change->entry == NULL)
        return 0;
    change->append = change->entry->is_list;
    if (change->append)
        return 0;
    item = change->entry->value.first;
    must(store_input_span(&span, &head, item->cbor, item->bytes) == 0);
    if (head.kind != GBX_ITEM_ARRAY)
        return fail(err, GBX_EARGUMENT,
                    "%s: \"%.*s\" holds no list: set or delete it first",
                    in->call, store_input_shown(in), in->key.text);
    return store_change_add_all(change, in, span, head.count, err);
}

uint64_t store_change_count(const struct store_change *change)
{
    return change->chain.count +
           (change->append ? change->entry->value.count : 0);
}

const struct store_item *store_change_first(const struct store_change *change)
{
    if (change->append && change->entry->value.first != NULL)
        return change->entry->value.first;
    return change->chain.first;
}

int store_change_add(struct store_change *change, const struct store_input *in,
                     const void *cbor, size_t bytes, struct gbx_error *err)
{
    /* commit looks again; but many items take far more than their bytes. */
    if (change->chain.cost > STORE_BYTES_MAX)
        return fail(err, GBX_ELIMIT,
                    "%s: \"%.*s\" has too many elements: they would take more "
                    "than the %u bytes of a whole state",
                    in->call, store_input_shown(in), in->key.text,
                    STORE_BYTES_MAX);
    return store_chain_add(&change->chain, cbor, bytes) ? 0
                                                        : no_memory(in, err);
}

int store_change_add_all(struct store_change *change,
                         const struct store_input *in, struct store_span array,
                         uint64_t count, struct gbx_error *err)
{
    struct store_steps steps;
    struct store_span span;
    struct gbx_item head;
    int rc = 0;

    store_input_enter(&steps, array);
    for (uint64_t i = 0; i < count && rc == 0; i++) {
        store_input_step(&steps, &span, &head);
        rc = store_change_add(change, in, span.at, span.bytes, err);
    }
    return rc;
}

int store_change_settle(const struct store_input *in,
                        const struct gbx_builder *answer, struct gbx_error *err)
{
    return answer->error == 0 ? 0 : no_memory(in, err);
}

static int check_room(const struct store_input *in,
                      const struct store_table *table, size_t bytes,
                      struct gbx_error *err)
{
    if (bytes + table->reserved <= STORE_BYTES_MAX)
        return 0;
    if (bytes <= STORE_BYTES_MAX)
        return fail(
            err, GBX_ELIMIT,
            "%s: \"%.*s\" does not fit while other calls run: what they "
            "have replaced may come back, %zu bytes",
            in->call, store_input_shown(in), in->key.text, table->reserved);
    return fail(err, GBX_ELIMIT,
                "%s: \"%.*s\" does not fit: the state would take %zu bytes, "
                "%u are allowed; delete what is not needed",
                in->call, store_input_shown(in), in->key.text, bytes,
                STORE_BYTES_MAX);
}

/* Adding the entry is the last that can fail, and changes nothing then. */
int store_change_commit(struct store_change *change, struct store_table *table,
                        const struct store_input *in,
                        const struct gbx_builder *answer, struct gbx_error *err)
{
    struct store_entry *entry = change->entry;
    size_t bytes = table->bytes + change->chain.cost;
    int rc;

    if (entry == NULL)
        bytes += store_entry_cost(in->key);
    else if (!change->append)
        bytes -= entry->value.cost;
    rc = check_room(in, table, bytes, err);
    if (rc == 0)
        rc = store_change_settle(in, answer, err);
    if (rc < 0)
        return rc;
    if (entry == NULL)
        change->entry = entry = store_table_add(table, in->key);
    if (entry == NULL)
        return no_memory(in, err);
    if (change->append)
        store_table_extend(table, entry, &change->chain);
    else
        store_table_set(table, entry, change->is_list, &change->chain);
    must(table->bytes == bytes);
    return 0;
}

void store_change_fini(struct store_change *change)
{
    store_chain_fini(&change->chain);
}
