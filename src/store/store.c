/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/clock.h"
#include "base/cond.h"
#include "store/file.h"
#include "store/store.h"

void store_init(struct store *store)
{
    *store = (struct store){.now_ns = clock_now_ns,
                            .alone = {.store = store, .is_alone = true}};
    pthread_mutex_init(&store->lock, NULL);
    cond_init(&store->ended);
}

bool store_copy(struct store *store, struct store *other)
{
    bool done;

    pthread_mutex_lock(&other->lock);
    store_table_sweep(&other->table, other->now_ns());
    done = store_table_copy(&store->table, store_journal_before_locked(other));
    pthread_mutex_unlock(&other->lock);
    return done;
}

void store_fini(struct store *store)
{
    must(store->open == NULL);
    file_detach(store);
    store_table_fini(&store->table);
    pthread_cond_destroy(&store->ended);
    pthread_mutex_destroy(&store->lock);
}
