/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.h - what a guest found on the host while it was being made a template:
 * another day it is good only if it would find the same.
 *
 *  seen_note(&seen, "/usr/lib/x.so", &st);   NULL: it was not there
 *  if (seen_is_stale(&seen, &path)) ...      path is another now
 *
 * Of each path that was looked at: that it was not there; or which file it was,
 * its size and when it was changed.  Of a directory that is what it lists.
 *
 * Threads: none.  Memory: owned; what cannot be noted makes it stale.
 */
#ifndef SANDBOX_FILES_TREE_HOST_SEEN_H
#define SANDBOX_FILES_TREE_HOST_SEEN_H

#include <sys/stat.h>

#include "base/bytes.h"

struct seen_file {
    uint64_t dev, ino, size;
    int64_t written_ns, changed_ns;
    uint32_t mode; /* 0: not there */
    uint32_t path; /* where it lies in texts */
};

struct seen {
    struct seen_file *files; /* owned */
    uint32_t count, room;
    char *texts; /* owned */
    uint32_t text_bytes, text_room;
    bool failed; /* something is not in it */
};

void seen_note(struct seen *seen, const char *path, const struct stat *st);

/* Would the guest find something else?  *path: what, borrowed; or NULL. */
bool seen_is_stale(const struct seen *seen, const char **path);

/* Returns false where there is no memory. */
bool seen_copy(struct seen *to, const struct seen *from);
void seen_save(const struct seen *seen, struct bytes_out *out);
bool seen_load(struct seen *seen, struct bytes_in *in);
void seen_fini(struct seen *seen); /* idempotent */

#endif
