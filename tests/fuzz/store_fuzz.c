/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fuzz.c - any arguments, to each host call of context.state.
 *
 *   input: steps of  question (4 bits), a call ends (1), time passes (1),
 *                    key given (1), it fails (1) | key | count of bytes | bytes
 *
 * The bytes are the arguments; or, where a key is given, what follows the key
 * in them, so that steps meet at the same few keys.  After each step the
 * answer, the accounts and a refused question's lack of effect are checked; of
 * a call that fails, that all is as it was before.
 */
#include <string.h>

#include "base/check.h"
#include "store/store.h"

#define CALL_ENDS   0x10
#define TIME_PASSES 0x20
#define KEY_GIVEN   0x40
#define CALL_FAILS  0x80

static uint64_t now_ns;

static uint64_t fake_now_ns(void)
{
    return now_ns;
}

static void check_accounts(const struct store_table *table)
{
    size_t bytes = 0, count = 0;

    for (const struct store_entry *e = table->first; e != NULL; e = e->next) {
        uint64_t items = 0;
        for (const struct store_item *i = e->value.first; i; i = i->next)
            items++;
        must(store_table_find_any(table, e->key) == e);
        must(e->record == NULL || e->record->entry == e);
        if (e->is_gone) {
            must(e->record != NULL && items == 0);
            continue;
        }
        must(items == e->value.count && (e->is_list || items == 1));
        must(e->expires_ns == 0 || e->expires_ns >= table->due_ns);
        bytes += store_entry_cost(e->key) + e->value.cost;
        count++;
    }
    must(bytes == table->bytes && count == table->count);
    must(bytes <= STORE_BYTES_MAX);
}

static void ask(struct store_journal *journal, const struct store_call *call,
                const uint8_t *body, size_t bytes)
{
    struct store *store = journal->store;
    struct gbx_message message = {
        .type = GBX_ARRAY, .body = body, .body_bytes = bytes};
    size_t before = store->table.bytes;
    struct gbx_error err = {0};
    struct gbx_builder answer;
    int rc;

    gbx_builder_init(&answer);
    rc = call->fn(journal, &message, &answer, &err);
    if (rc == 0)
        must(gbx_builder_message(&answer, GBX_ANY, &message) == 0);
    else
        must(err.code == rc && strncmp(err.what, "state.", 6) == 0);
    /* Keys that expired are gone in any case. */
    must(rc == 0 || store->table.bytes <= before);
    must(rc == 0 || store->table.bytes == before || now_ns > 1);
    gbx_builder_fini(&answer);
    check_accounts(&store->table);
}

/* All keys and values, sorted. */
static void get_all(struct store *store, struct gbx_builder *all)
{
    const struct gbx_message none = {
        .type = GBX_ARRAY, .body = "\x80", .body_bytes = 1};

    gbx_builder_init(all);
    must(
        store_call_find("state.get_all")->fn(&store->alone, &none, all, NULL) ==
        0);
}

/* Both forget what has expired meanwhile; then they must be the same. */
static void compare(struct store *store, struct store *before)
{
    struct gbx_builder all, was;

    get_all(store, &all);
    get_all(before, &was);
    must(all.count == was.count &&
         memcmp(all.bytes, was.bytes, was.count) == 0);
    must(store->table.bytes == before->table.bytes);
    gbx_builder_fini(&all);
    gbx_builder_fini(&was);
}

/* From now on there is another call. */
static void begin(struct store *store, struct store *before)
{
    store_init(before);
    before->now_ns = fake_now_ns;
    must(store_copy(before, store));
}

/* What others may not take the place of. */
static void check_old(const struct store_journal *call)
{
    size_t bytes = 0;

    for (const struct store_record *r = call->records; r != NULL; r = r->next)
        bytes +=
            r->old.cost + (r->was_there ? store_entry_cost(r->entry->key) : 0);
    must(bytes == call->old_bytes);
}

static void end(struct store_journal *call, struct store *before, bool is_good)
{
    struct store *store = call->store;

    check_old(call);
    store_journal_end(call, is_good);
    must(store->open == NULL);
    check_accounts(&store->table);
    if (!is_good)
        compare(store, before);
    store_fini(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store store, before;
    struct store_journal running = {.store = &store};
    uint8_t body[3 + 255];

    store_init(&store);
    store.now_ns = fake_now_ns;
    now_ns = 1;
    begin(&store, &before);
    while (size >= 3) {
        const struct store_call *call = &store_calls[data[0] % STORE_CALLS];
        size_t bytes = data[2] < size - 3 ? data[2] : size - 3, head = 0;

        now_ns += data[0] & TIME_PASSES ? 1000000000 : 0;
        if (data[0] & KEY_GIVEN) {
            body[head++] = bytes > 0 ? 0x82 : 0x81;
            body[head++] = 0x61;
            body[head++] = data[1] & 3;
        }
        memcpy(body + head, data + 3, bytes);
        ask(&running, call, body, head + bytes);
        if (data[0] & CALL_ENDS) {
            end(&running, &before, !(data[0] & CALL_FAILS));
            begin(&store, &before);
        }
        data += 3 + bytes;
        size -= 3 + bytes;
    }
    end(&running, &before, false);
    store_fini(&store);
    return 0;
}
