/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fuzz.c - any arguments, to each host call of context.state.
 *
 *   input: steps of  call (5 bits), time passes (1), key given (1) | key |
 *                    count of bytes | bytes
 *
 * The bytes are the arguments; or, where a key is given, what follows the key
 * in them, so that steps meet at the same few keys.  After each step the
 * answer, the accounts and a refused call's lack of effect are checked.
 */
#include <string.h>

#include "base/check.h"
#include "store/store.h"

#define TIME_PASSES 0x20
#define KEY_GIVEN   0x40

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
        must(items == e->value.count && (e->is_list || items == 1));
        must(store_table_find(table, e->key) == e);
        must(e->expires_ns == 0 || e->expires_ns >= table->due_ns);
        bytes += store_entry_cost(e->key) + e->value.cost;
        count++;
    }
    must(bytes == table->bytes && count == table->count);
    must(bytes <= STORE_BYTES_MAX);
}

static void ask(struct store *store, const struct store_call *call,
                const uint8_t *body, size_t bytes)
{
    struct gbx_message message = {
        .type = GBX_ARRAY, .body = body, .body_bytes = bytes};
    size_t before = store->table.bytes;
    struct gbx_error err = {0};
    struct gbx_builder answer;
    int rc;

    gbx_builder_init(&answer);
    rc = call->fn(&store->alone, &message, &answer, &err);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store store;
    uint8_t body[3 + 255];

    store_init(&store);
    store.now_ns = fake_now_ns;
    now_ns = 1;
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
        ask(&store, call, body, head + bytes);
        data += 3 + bytes;
        size -= 3 + bytes;
    }
    store_fini(&store);
    return 0;
}
