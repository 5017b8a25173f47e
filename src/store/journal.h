/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - all that one call changes, to be kept or taken back.
 *
 *  struct store_journal journal = {.store = &store, .may_wait = true};
 *  store_call_find("state.set")->fn(&journal, &arguments, &answer, &err);
 *  store_journal_end(&journal, is_good);    or nothing of it has happened
 *
 * The rule: a key that a call has changed is its own until it ends.  Who else
 * asks for it, to read or to change, waits until then, so nobody sees what may
 * still be taken back.  To read a key does not make it one's own.  What is
 * asked of all keys (keys, size, get_all) waits until nobody else has changed
 * any; clear and set_all make all of them one's own.
 *
 * Who may not wait (its thread also runs others), who would wait in a circle,
 * and who has waited for 5 seconds, is refused; it keeps what it has.
 *
 * Refused: to let others see changes at once and undo them by their opposites.
 * What others have made of them meanwhile would stay.
 *
 * Threads: a journal belongs to its call's; what others look at is the lock's.
 * Memory:  owned, a record for each key that is changed: limited.  A call that
 *          changes nothing allocates nothing, and its end takes no lock.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdatomic.h>

#include "store/input.h"
#include "store/table.h"

struct store;

enum store_reach {
    STORE_READS, /* its key */
    STORE_CHANGES,
    STORE_READS_ALL,
    STORE_CHANGES_ALL,
};

struct store_journal {
    struct store *store;
    bool is_alone; /* of no call: each question is one */
    bool may_wait;
    uint64_t deadline_ns;           /* for waiting; 0: none of its own */
    const atomic_bool *is_canceled; /* waiting ends; or NULL */

    /* The store's lock: */
    struct store_journal *next, **link; /* of those that hold something */
    struct store_record *records;       /* owned */
    size_t old_bytes, record_bytes;
    bool has_all;
    struct store_table all; /* owned: as it was; records lie in it */

    /* What it waits for. */
    bool waits, is_marked;
    enum store_reach reach;
    struct store_key key;
};

/*
 * Wait until it may do that, and note what it is to change; the lock is held,
 * and given up while it waits.  Returns 0; GBX_EAGAIN, GBX_ETIME,
 * GBX_ECANCELED; GBX_ELIMIT (too many keys), GBX_EHOST.
 */
int store_journal_hold_locked(struct store_journal *journal,
                              enum store_reach reach,
                              const struct store_input *in,
                              struct gbx_error *err);

/* The table as it was is kept, for the first time, and else dropped. */
void store_journal_replace_locked(struct store_journal *journal,
                                  struct store_table *was);

/*
 * Its changes stay, and are on the disk where the store is kept there.
 * Returns 0; else they are taken back.
 */
int store_journal_commit(struct store_journal *journal, struct gbx_error *err);
int store_journal_commit_locked(struct store_journal *journal,
                                struct gbx_error *err);

/* Its changes stay (of a store in memory), or are taken back; it can be used
 * again. */
void store_journal_end(struct store_journal *journal, bool is_good);
void store_journal_end_locked(struct store_journal *journal, bool is_good);

/* The whole of it as no running call has changed it yet. */
const struct store_table *store_journal_before_locked(struct store *store);

#endif
