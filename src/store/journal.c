/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/file.h"
#include "store/journal.h"
#include "store/store.h"

#define WAIT_NS 5000000000ull
#define LOOK_NS 10000000u /* at is_canceled */

/* ---- waiting ---- */

/* Would it have to wait for that one? */
static bool is_in_the_way(const struct store_journal *journal,
                          const struct store_journal *other)
{
    const struct store_entry *entry;

    if (other == journal)
        return false;
    if (other->has_all || journal->reach >= STORE_READS_ALL)
        return true;
    entry = store_table_find_any(&journal->store->table, journal->key);
    return entry != NULL && entry->record != NULL &&
           entry->record->journal == other;
}

static bool is_blocked(const struct store_journal *journal)
{
    const struct store_journal *other = journal->store->open;

    while (other != NULL && !is_in_the_way(journal, other))
        other = other->next;
    return other != NULL;
}

/* All that those which are marked wait for.  False: they were already. */
static bool mark_next(struct store *store)
{
    bool some = false;

    for (struct store_journal *from = store->open; from != NULL;
         from = from->next)
        for (struct store_journal *to = store->open;
             to != NULL && from->is_marked && from->waits; to = to->next)
            if (!to->is_marked && is_in_the_way(from, to))
                some = to->is_marked = true;
    return some;
}

/* Does one that it waits for wait for it? */
static bool is_in_a_circle(struct store_journal *journal)
{
    struct store *store = journal->store;

    if (journal->link == NULL)
        return false;
    for (struct store_journal *j = store->open; j != NULL; j = j->next)
        j->is_marked = is_in_the_way(journal, j);
    while (!journal->is_marked && mark_next(store))
        ;
    return journal->is_marked;
}

static int refuse(const struct store_input *in, enum store_reach reach,
                  int code, const char *why, struct gbx_error *err)
{
    if (reach >= STORE_READS_ALL)
        return fail(err, code, "%s: keys are being changed by another call%s",
                    in->call, why);
    return fail(err, code, "%s: \"%.*s\" is being changed by another call%s",
                in->call, store_input_shown(in), in->key.text, why);
}

static int await_others(struct store_journal *journal,
                        const struct store_input *in, struct gbx_error *err)
{
    struct store *store = journal->store;
    const uint64_t end_ns = clock_now_ns() + WAIT_NS;
    const enum store_reach reach = journal->reach;
    uint64_t now_ns;

    if (!journal->may_wait)
        return refuse(in, reach, GBX_EAGAIN,
                      "; this one was submitted, and cannot wait", err);
    if (is_in_a_circle(journal))
        return refuse(in, reach, GBX_EAGAIN, ", which waits for this one", err);
    store->waiting++;
    while (is_blocked(journal)) {
        struct timespec until;

        now_ns = clock_now_ns();
        until = clock_timespec(now_ns + LOOK_NS);
        if (journal->is_canceled != NULL && atomic_load(journal->is_canceled))
            break;
        if (clock_is_past(journal->deadline_ns) || now_ns > end_ns)
            break;
        pthread_cond_timedwait(&store->ended, &store->lock, &until);
    }
    store->waiting--;
    if (!is_blocked(journal))
        return 0;
    if (journal->is_canceled != NULL && atomic_load(journal->is_canceled))
        return refuse(in, reach, GBX_ECANCELED, "", err);
    return refuse(in, reach, GBX_ETIME, ", which does not end", err);
}

/* ---- noting ---- */

static void open_locked(struct store_journal *journal)
{
    struct store *store = journal->store;

    if (journal->link != NULL)
        return;
    journal->next = store->open;
    journal->link = &store->open;
    if (store->open != NULL)
        store->open->link = &journal->next;
    store->open = journal;
}

static size_t record_cost(struct store_key key)
{
    return sizeof(struct store_record) + store_entry_cost(key);
}

static int note(struct store_journal *journal, const struct store_input *in,
                struct gbx_error *err)
{
    struct store_table *table = &journal->store->table;
    struct store_entry *entry = store_table_find_any(table, in->key);
    struct store_record *record;

    if (journal->has_all || (entry != NULL && entry->record != NULL))
        return 0;
    if (journal->record_bytes + record_cost(in->key) > STORE_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "%s: too many keys changed in one call",
                    in->call);
    record = calloc(1, sizeof(*record));
    entry = record != NULL ? store_table_touch(table, in->key) : NULL;
    if (entry == NULL) {
        free(record);
        errno = ENOMEM;
        return fail(err, GBX_EHOST, "%s", in->call);
    }
    *record = (struct store_record){
        .journal = journal,
        .entry = entry,
        .next = journal->records,
        .was_there = !entry->is_gone,
        .is_list = entry->is_list,
        .is_in_place = !entry->is_gone,
        .expires_ns = entry->expires_ns,
        .kept = entry->value.count,
        .old_bytes = &journal->old_bytes,
    };
    entry->record = journal->records = record;
    journal->record_bytes += record_cost(in->key);
    if (record->was_there)
        journal->old_bytes += store_entry_cost(in->key);
    open_locked(journal);
    return 0;
}

int store_journal_hold_locked(struct store_journal *journal,
                              enum store_reach reach,
                              const struct store_input *in,
                              struct gbx_error *err)
{
    struct store *store = journal->store;
    int rc = 0;

    journal->reach = reach;
    journal->key = in->key;
    if (is_blocked(journal)) {
        journal->waits = true;
        rc = await_others(journal, in, err);
        journal->waits = false;
    }
    if (rc < 0)
        return rc;
    store_table_sweep(&store->table, store->now_ns());
    store->table.reserved = 0;
    for (struct store_journal *j = store->open; j != NULL; j = j->next)
        if (j != journal)
            store->table.reserved += j->old_bytes;
    return reach == STORE_CHANGES ? note(journal, in, err) : 0;
}

void store_journal_replace_locked(struct store_journal *journal,
                                  struct store_table *was)
{
    if (journal->has_all) {
        store_table_fini(was);
        return;
    }
    journal->all = *was;
    journal->has_all = true;
    open_locked(journal);
}

/* ---- the end ---- */

void store_journal_end_locked(struct store_journal *journal, bool is_good)
{
    struct store *store = journal->store;
    struct store_table *table = &store->table;
    struct store_record *record, *next;

    if (journal->link == NULL)
        return;
    if (journal->has_all && !is_good) {
        store_table_fini(table);
        *table = journal->all;
        journal->all = (struct store_table){0};
    }
    if (journal->has_all && is_good)
        table = &journal->all;
    for (record = journal->records; record != NULL; record = next) {
        next = record->next;
        if (is_good)
            store_table_settle(table, record);
        else
            store_table_undo(table, record);
        free(record);
    }
    store_table_fini(&journal->all);
    *journal->link = journal->next;
    if (journal->next != NULL)
        journal->next->link = journal->link;
    journal->link = NULL;
    journal->records = NULL;
    journal->old_bytes = journal->record_bytes = 0;
    journal->has_all = false;
    if (store->waiting > 0)
        pthread_cond_broadcast(&store->ended);
}

int store_journal_commit_locked(struct store_journal *journal,
                                struct gbx_error *err)
{
    int rc = 0;

    if (journal->link != NULL && journal->store->file != NULL)
        rc = file_save_locked(journal, err);
    store_journal_end_locked(journal, rc == 0);
    return rc;
}

int store_journal_commit(struct store_journal *journal, struct gbx_error *err)
{
    struct store *store = journal->store;
    int rc;

    if (journal->link == NULL)
        return 0;
    pthread_mutex_lock(&store->lock);
    rc = store_journal_commit_locked(journal, err);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

void store_journal_end(struct store_journal *journal, bool is_good)
{
    struct store *store = journal->store;

    if (journal->link == NULL)
        return;
    pthread_mutex_lock(&store->lock);
    store_journal_end_locked(journal, is_good);
    pthread_mutex_unlock(&store->lock);
}

const struct store_table *store_journal_before_locked(struct store *store)
{
    for (const struct store_journal *j = store->open; j != NULL; j = j->next)
        if (j->has_all)
            return &j->all;
    return &store->table;
}
