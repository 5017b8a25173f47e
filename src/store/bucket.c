/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "net/module.h"
#include "net/nats/bucket/bucket.h"
#include "store/bucket.h"

#define FORMAT 1u

struct bucket {
    const struct net_bucket_api *api;
    struct net_bucket *net;
};

bool bucket_is_url(const char *path)
{
    return strncmp(path, "nats://", 7) == 0 || strncmp(path, "tls://", 6) == 0;
}

void bucket_close(struct bucket *bucket)
{
    if (bucket != NULL && bucket->net != NULL)
        bucket->api->close(bucket->net);
    free(bucket);
}

int bucket_open(struct bucket **bucket, const char *url, struct gbx_error *err)
{
    struct bucket *made = calloc(1, sizeof(*made));
    int rc = GBX_EUNSUPPORTED;

    *bucket = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a state");
    made->api =
        net_module_find(NULL, "glovebox-nats.so", NET_BUCKET_SYMBOL, err);
    if (made->api != NULL)
        rc = made->api->open(&made->net,
                             &(struct net_bucket_config){.url = url}, err);
    if (rc < 0)
        bucket_close(made);
    else
        *bucket = made;
    return rc;
}

/* ---- a value: its format, the name, and rows as file.c has them ---- */

static int database(sqlite3 *db, struct gbx_error *err)
{
    return fail(err, GBX_EHOST, "a state's table: %s", sqlite3_errmsg(db));
}

static int read_rows(struct bytes_in *in, sqlite3 *db, const char *name,
                     struct gbx_error *err)
{
    sqlite3_stmt *put;
    int rc = 0;

    if (sqlite3_prepare_v2(db, "INSERT INTO state VALUES(?1,?2,?3,?4,?5)", -1,
                           &put, NULL) != SQLITE_OK)
        return database(db, err);
    while (rc == 0 && in->at < in->end && !in->failed) {
        size_t key_bytes, value_bytes;
        const void *key = bytes_take_block(in, &key_bytes);
        const uint64_t is_list = bytes_take_number(in);
        const int64_t expires_ms = (int64_t)bytes_take_number(in);
        const void *value = bytes_take_block(in, &value_bytes);

        if (in->failed)
            break;
        sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(put, 2, key, key_bytes, SQLITE_STATIC);
        sqlite3_bind_int(put, 3, is_list != 0);
        sqlite3_bind_int64(put, 4, expires_ms);
        sqlite3_bind_blob64(put, 5, value_bytes > 0 ? value : "", value_bytes,
                            SQLITE_STATIC);
        if (sqlite3_step(put) != SQLITE_DONE)
            rc = database(db, err);
        sqlite3_reset(put);
    }
    sqlite3_finalize(put);
    return rc;
}

static int read_value(const void *data, size_t bytes, sqlite3 *db,
                      const char *name, struct gbx_error *err)
{
    struct bytes_in in = {.at = data, .end = (const uint8_t *)data + bytes};
    const uint64_t format = bytes_take_number(&in);
    const char *whose = bytes_take_text(&in);
    int rc;

    if (in.failed || whose == NULL || strcmp(whose, name) != 0)
        return fail(err, GBX_EFORMAT, "the state of %s there is damaged", name);
    if (format != FORMAT)
        return fail(err, GBX_EFORMAT,
                    "the state of %s there is of a newer Glovebox", name);
    rc = read_rows(&in, db, name, err);
    return rc == 0 && in.failed ? fail(err, GBX_EFORMAT,
                                       "the state of %s there is damaged", name)
                                : rc;
}

static int write_value(struct bytes_out *out, sqlite3 *db, const char *name,
                       struct gbx_error *err)
{
    sqlite3_stmt *row;
    int code;

    bytes_put_number(out, FORMAT);
    bytes_put_text(out, name);
    if (sqlite3_prepare_v2(db,
                           "SELECT key, is_list, expires_ms, value FROM state"
                           " WHERE name = ?1 ORDER BY key",
                           -1, &row, NULL) != SQLITE_OK)
        return database(db, err);
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        bytes_put_block(out, sqlite3_column_blob(row, 0),
                        (size_t)sqlite3_column_bytes(row, 0));
        bytes_put_number(out, (uint64_t)sqlite3_column_int(row, 1));
        bytes_put_number(out, (uint64_t)sqlite3_column_int64(row, 2));
        bytes_put_block(out, sqlite3_column_blob(row, 3),
                        (size_t)sqlite3_column_bytes(row, 3));
    }
    sqlite3_finalize(row);
    if (code != SQLITE_DONE)
        return database(db, err);
    return out->failed ? fail(err, GBX_EHOST, "no memory for a state") : 0;
}

/* ---- there and back ---- */

static int forget_rows(sqlite3 *db, const char *name, struct gbx_error *err)
{
    sqlite3_stmt *row;
    int code;

    if (sqlite3_prepare_v2(db, "DELETE FROM state WHERE name = ?1", -1, &row,
                           NULL) != SQLITE_OK)
        return database(db, err);
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    code = sqlite3_step(row);
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? 0 : database(db, err);
}

/* An answer may be lost, and the value be there: then it is the one we look
 * for. */
static int put(struct bucket *bucket, const char *name,
               const struct bytes_out *out, uint64_t *revision,
               struct gbx_error *err)
{
    const struct net_bucket_api *api = bucket->api;
    int rc = api->put(bucket->net, name, out->bytes, out->count, revision, err);
    uint64_t there;
    size_t bytes;
    void *data;

    if (rc != GBX_EHOST ||
        api->get(bucket->net, name, &data, &bytes, &there, NULL) < 0)
        return rc;
    if (there != *revision && bytes == out->count &&
        memcmp(data, out->bytes, bytes) == 0) {
        *revision = there;
        rc = 0;
    }
    free(data);
    return rc;
}

static int save(struct bucket *bucket, sqlite3 *db, const char *name,
                uint64_t *revision, struct gbx_error *err)
{
    struct bytes_out out = {0};
    int rc = write_value(&out, db, name, err);

    if (rc == 0)
        rc = put(bucket, name, &out, revision, err);
    bytes_out_fini(&out);
    return rc == GBX_ELIMIT ? GBX_EDISK : rc;
}

int bucket_save(struct bucket *bucket, sqlite3 *db, const char *name,
                uint64_t *revision, struct gbx_error *err)
{
    const int rc = save(bucket, db, name, revision, err);

    return rc == GBX_ESTALE
               ? fail(err, GBX_EFILE,
                      "the state of %.100s: another process has taken it over",
                      name)
               : rc;
}

/* Nobody may have put one between: else we look again. */
int bucket_attach(struct bucket *bucket, sqlite3 *db, const char *name,
                  uint64_t *revision, struct gbx_error *err)
{
    void *data;
    size_t bytes;
    int rc = GBX_ESTALE;

    for (int turn = 0; rc == GBX_ESTALE && turn < 20; turn++) {
        rc = bucket->api->get(bucket->net, name, &data, &bytes, revision, err);
        if (rc < 0)
            return rc;
        if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
            rc = database(db, err);
        if (rc == 0) /* of an earlier time here */
            rc = forget_rows(db, name, err);
        if (rc == 0 && data != NULL)
            rc = read_value(data, bytes, db, name, err);
        free(data);
        if (rc == 0)
            rc = save(bucket, db, name, revision, err);
        sqlite3_exec(db, rc == 0 ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    }
    return rc;
}
