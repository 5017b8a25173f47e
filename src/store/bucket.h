/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - state that is kept in NATS: a value for each name, which has all
 * of its keys.
 *
 * file.c has a database in memory then, with what is there; each commit sends
 * the value as it will be, and is one only when the server has it.
 *
 * Who attaches a name last has it: the one before is told at its next change
 * (GBX_EFILE), and can change nothing any more.
 *
 * Threads: the holder of the state's lock.
 */
#ifndef STORE_BUCKET_H
#define STORE_BUCKET_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "glovebox/error.h"

struct bucket;

bool bucket_is_url(const char *path);
/* Returns as gbx_state_open. */
int bucket_open(struct bucket **bucket, const char *url, struct gbx_error *err);
void bucket_close(struct bucket *bucket); /* NULL is allowed */

/* What is there of a name, into the database; it is ours from now on. */
int bucket_attach(struct bucket *bucket, sqlite3 *db, const char *name,
                  uint64_t *revision, struct gbx_error *err);
/* What the database has of it, in its transaction.  Returns 0; GBX_EFILE;
 * GBX_EDISK: it is too long, or the server is full; GBX_EHOST. */
int bucket_save(struct bucket *bucket, sqlite3 *db, const char *name,
                uint64_t *revision, struct gbx_error *err);

#endif
