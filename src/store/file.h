/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - a database that stores are kept in, each under its name.
 *
 *  file_attach(state, &store, "counter", &err);    loads what is there
 *  file_save(&journal, &err);                      all of it is on the disk
 *  file_detach(&store);
 *
 * Threads: any, by its lock; the holder of the store's lock takes it.
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "glovebox/state.h"
#include "store/store.h"

/* Returns 0; GBX_EARGUMENT: the name is in use; GBX_EFORMAT, GBX_EFILE. */
int file_attach(struct gbx_state *state, struct store *store, const char *name,
                struct gbx_error *err);
void file_detach(struct store *store); /* does nothing to one in memory */

/* What the journal has changed, as it is now; the store's lock is held.
 * Returns 0, or GBX_EDISK, GBX_EFILE, and nothing is written. */
int file_save_locked(const struct store_journal *journal,
                     struct gbx_error *err);

#endif
