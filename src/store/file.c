/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - SQLite, with a log that is written ahead and synchronised at each
 * commit (decision 0012).
 *
 * A row is a key: its items one behind the other, and when it expires, by the
 * clock of the world: the monotonic one begins anew with the host.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "store/bucket.h"
#include "store/file.h"

#define FORMAT    1 /* user_version */
#define FILE_MAX  (1ull << 30)
#define PAGE      4096u
#define PAGES_MIN 16u

struct gbx_state {
    sqlite3 *db;
    struct bucket *bucket; /* owned: of one that is kept elsewhere; or NULL */
    char *path;            /* owned: as errors say it */
    sqlite3_stmt *put, *delete, *clear;
    pthread_mutex_t lock; /* of all that follows, and the database */
    struct store *stores; /* attached */
};

static int explain(const struct gbx_state *state, struct gbx_error *err)
{
    const int code = sqlite3_errcode(state->db) & 0xff;

    if (code == SQLITE_OK || code == SQLITE_NOMEM)
        return fail(err, GBX_EHOST, "state %s: no memory", state->path);
    if (code == SQLITE_FULL)
        return fail(err, GBX_EDISK, "state %s: the file or its disk is full",
                    state->path);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return fail(err, GBX_EFILE, "state %s: another process has it open",
                    state->path);
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        return fail(err, GBX_EFORMAT, "state %s: it is no state file: %s",
                    state->path, sqlite3_errmsg(state->db));
    return fail(err, GBX_EFILE, "state %s: %s", state->path,
                sqlite3_errmsg(state->db));
}

/* ---- open, close ---- */

static int run(struct gbx_state *state, const char *sql, struct gbx_error *err)
{
    return sqlite3_exec(state->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : explain(state, err);
}

static int read_format(struct gbx_state *state, int *format,
                       struct gbx_error *err)
{
    sqlite3_stmt *ask;
    int rc =
        sqlite3_prepare_v2(state->db, "PRAGMA user_version", -1, &ask, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(ask);
    if (rc == SQLITE_ROW)
        *format = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    return rc == SQLITE_ROW ? 0 : explain(state, err);
}

static int make_tables(struct gbx_state *state, struct gbx_error *err)
{
    int format = 0, rc = read_format(state, &format, err);

    if (rc == 0 && format > FORMAT)
        rc = fail(err, GBX_EFORMAT,
                  "state %s: it is of a newer Glovebox (format %d)",
                  state->path, format);
    if (rc == 0 && format == 0)
        rc = run(state,
                 "BEGIN IMMEDIATE;"
                 "CREATE TABLE state(name TEXT NOT NULL, key BLOB NOT NULL,"
                 " is_list INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
                 " value BLOB NOT NULL, UNIQUE(name, key));"
                 "PRAGMA user_version = 1;"
                 "COMMIT;",
                 err);
    return rc;
}

static int prepare(struct gbx_state *state, struct gbx_error *err)
{
    const struct {
        sqlite3_stmt **to;
        const char *sql;
    } all[] = {
        {&state->put, "INSERT OR REPLACE INTO state VALUES(?1,?2,?3,?4,?5)"},
        {&state->delete, "DELETE FROM state WHERE name = ?1 AND key = ?2"},
        {&state->clear, "DELETE FROM state WHERE name = ?1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (sqlite3_prepare_v2(state->db, all[i].sql, -1, all[i].to, NULL) !=
            SQLITE_OK)
            return explain(state, err);
    return 0;
}

static int open_file(struct gbx_state *state, uint64_t bytes_max,
                     struct gbx_error *err)
{
    const uint64_t pages = bytes_max / PAGE;
    char sql[256];
    int rc;

    if (sqlite3_open_v2(state->bucket != NULL ? ":memory:" : state->path,
                        &state->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK)
        return state->db != NULL ? explain(state, err)
                                 : fail(err, GBX_EHOST, "no memory");
    snprintf(sql, sizeof(sql),
             "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
             "PRAGMA synchronous = FULL; PRAGMA max_page_count = %llu;",
             (unsigned long long)(pages < PAGES_MIN ? PAGES_MIN : pages));
    rc = run(state, sql, err);
    if (rc == 0)
        rc = make_tables(state, err);
    return rc == 0 ? prepare(state, err) : rc;
}

int gbx_state_open(struct gbx_state **state, const char *path,
                   uint64_t bytes_max, struct gbx_error *err)
{
    struct gbx_state *made = calloc(1, sizeof(*made));
    int rc;

    *state = NULL;
    if (made == NULL ||
        (made->path = strdup(bucket_is_url(path) ? "in NATS" : path)) == NULL) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for a state file");
    }
    must(pthread_mutex_init(&made->lock, NULL) == 0);
    rc = bucket_is_url(path) ? bucket_open(&made->bucket, path, err) : 0;
    if (rc == 0)
        rc = open_file(made, bytes_max == 0 ? FILE_MAX : bytes_max, err);
    if (rc < 0)
        gbx_state_close(made);
    else
        *state = made;
    return rc;
}

void gbx_state_close(struct gbx_state *state)
{
    if (state == NULL)
        return;
    must(state->stores == NULL);
    sqlite3_finalize(state->put);
    sqlite3_finalize(state->delete);
    sqlite3_finalize(state->clear);
    sqlite3_close(state->db);
    bucket_close(state->bucket);
    pthread_mutex_destroy(&state->lock);
    free(state->path);
    free(state);
}

/* ---- the two clocks ---- */

static int64_t world_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t to_world(uint64_t expires_ns, uint64_t now_ns)
{
    return expires_ns == 0
               ? 0
               : world_ms() + ((int64_t)expires_ns - (int64_t)now_ns) / 1000000;
}

/* What is over already will be in a nanosecond. */
static uint64_t from_world(int64_t expires_ms, uint64_t now_ns)
{
    const int64_t left_ms = expires_ms - world_ms();

    if (expires_ms == 0)
        return 0;
    return left_ms <= 0 ? 1 : now_ns + (uint64_t)left_ms * 1000000;
}

/* ---- loading ---- */

/* What the row holds is what we wrote, or the file is damaged. */
static int load_row(sqlite3_stmt *row, struct store_table *table,
                    uint64_t now_ns)
{
    const struct store_key key = {sqlite3_column_blob(row, 0),
                                  (size_t)sqlite3_column_bytes(row, 0)};
    const uint8_t *value = sqlite3_column_blob(row, 3);
    const size_t bytes = (size_t)sqlite3_column_bytes(row, 3);
    const bool is_list = sqlite3_column_int(row, 1) != 0;
    struct store_chain chain = {0};
    struct store_entry *entry;
    struct store_span span;
    struct gbx_item head;
    int rc = key.bytes == 0 || key.bytes > STORE_KEY_MAX ? GBX_EFORMAT : 0;

    for (size_t at = 0; rc == 0 && at < bytes; at += span.bytes) {
        rc = store_input_span(&span, &head, value + at, bytes - at);
        if (rc == 0 && !store_chain_add(&chain, span.at, span.bytes))
            rc = GBX_EHOST;
    }
    if (rc == 0 && !is_list && chain.count != 1)
        rc = GBX_EFORMAT;
    entry = rc == 0 ? store_table_add(table, key) : NULL;
    if (entry == NULL) {
        store_chain_fini(&chain);
        return rc < 0 ? rc : GBX_EHOST;
    }
    store_table_set(table, entry, is_list, &chain);
    store_table_expire(table, entry,
                       from_world(sqlite3_column_int64(row, 2), now_ns));
    return 0;
}

static int load(struct gbx_state *state, struct store *store, const char *name,
                struct gbx_error *err)
{
    sqlite3_stmt *row;
    int code, rc = 0;

    if (sqlite3_prepare_v2(state->db,
                           "SELECT key, is_list, expires_ms, value FROM state"
                           " WHERE name = ?1",
                           -1, &row, NULL) != SQLITE_OK)
        return explain(state, err);
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    while (rc == 0 && (code = sqlite3_step(row)) == SQLITE_ROW)
        rc = load_row(row, &store->table, store->now_ns());
    if (rc < 0)
        rc = fail(err, rc, "state %s: what it has of %s: %s", state->path, name,
                  gbx_strerror(rc));
    else if (code != SQLITE_DONE)
        rc = explain(state, err);
    sqlite3_finalize(row);
    return rc;
}

int file_attach(struct gbx_state *state, struct store *store, const char *name,
                struct gbx_error *err)
{
    const struct store *other;
    int rc = 0;

    pthread_mutex_lock(&state->lock);
    for (other = state->stores; other != NULL; other = other->next_in_file)
        if (strcmp(other->name, name) == 0)
            rc = fail(err, GBX_EARGUMENT,
                      "state %s: somebody has the state of %s open already",
                      state->path, name);
    if (rc == 0 && (store->name = strdup(name)) == NULL)
        rc = fail(err, GBX_EHOST, "no memory for a state");
    if (rc == 0 && state->bucket != NULL)
        rc = bucket_attach(state->bucket, state->db, name, &store->revision,
                           err);
    if (rc == 0)
        rc = load(state, store, name, err);
    if (rc == 0) {
        store->file = state;
        store->next_in_file = state->stores;
        state->stores = store;
    }
    pthread_mutex_unlock(&state->lock);
    return rc;
}

void file_detach(struct store *store)
{
    struct gbx_state *state = store->file;
    struct store **link;

    free(store->name);
    store->name = NULL;
    if (state == NULL)
        return;
    pthread_mutex_lock(&state->lock);
    for (link = &state->stores; *link != store;)
        link = &(*link)->next_in_file;
    *link = store->next_in_file;
    pthread_mutex_unlock(&state->lock);
    store->file = NULL;
}

/* ---- saving ---- */

static int step(sqlite3_stmt *statement)
{
    const int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_DONE ? 0 : -1;
}

static int put_entry(const struct store *store, const struct store_entry *entry,
                     uint64_t now_ns)
{
    sqlite3_stmt *put = store->file->put;
    uint8_t *value, *at;
    size_t bytes = 0;
    int rc;

    for (const struct store_item *i = entry->value.first; i; i = i->next)
        bytes += i->bytes;
    at = value = malloc(bytes + 1);
    if (value == NULL)
        return -1;
    for (const struct store_item *i = entry->value.first; i; i = i->next) {
        memcpy(at, i->cbor, i->bytes);
        at += i->bytes;
    }
    sqlite3_bind_text(put, 1, store->name, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(put, 2, entry->key.text, entry->key.bytes,
                        SQLITE_STATIC);
    sqlite3_bind_int(put, 3, entry->is_list);
    sqlite3_bind_int64(put, 4, to_world(entry->expires_ns, now_ns));
    sqlite3_bind_blob64(put, 5, value, bytes, SQLITE_STATIC);
    rc = step(put);
    free(value);
    return rc;
}

static int save_entry(const struct store *store,
                      const struct store_entry *entry, uint64_t now_ns)
{
    sqlite3_stmt *delete = store->file->delete;

    if (!entry->is_gone)
        return put_entry(store, entry, now_ns);
    sqlite3_bind_text(delete, 1, store->name, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(delete, 2, entry->key.text, entry->key.bytes,
                        SQLITE_STATIC);
    return step(delete);
}

static int save_all(const struct store *store, uint64_t now_ns)
{
    const struct store_entry *entry = store->table.first;
    int rc;

    sqlite3_bind_text(store->file->clear, 1, store->name, -1, SQLITE_STATIC);
    rc = step(store->file->clear);
    for (; entry != NULL && rc == 0; entry = entry->next)
        if (!entry->is_gone)
            rc = put_entry(store, entry, now_ns);
    return rc;
}

int file_save_locked(const struct store_journal *journal, struct gbx_error *err)
{
    struct store *store = journal->store;
    struct gbx_state *state = store->file;
    const uint64_t now_ns = store->now_ns();
    int rc;

    pthread_mutex_lock(&state->lock);
    rc = run(state, "BEGIN IMMEDIATE", err);
    if (rc == 0) {
        if (journal->has_all)
            rc = save_all(store, now_ns);
        for (const struct store_record *r = journal->records;
             r != NULL && rc == 0 && !journal->has_all; r = r->next)
            rc = save_entry(store, r->entry, now_ns);
        if (rc < 0)
            rc = explain(state, err);
        if (rc == 0 && state->bucket != NULL)
            rc = bucket_save(state->bucket, state->db, store->name,
                             &store->revision, err);
        if (rc == 0)
            rc = run(state, "COMMIT", err);
        if (rc < 0) /* it may be over already */
            sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    }
    pthread_mutex_unlock(&state->lock);
    return rc;
}
