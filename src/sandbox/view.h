/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - what a guest without a root of its own sees of the host's files: one
 * list for all isolations.
 *
 *   /usr               the host's, read-only
 *   /bin /sbin /lib*   links into /usr, or the host's directories
 *   /etc               ld.so.cache, alternatives (libraries are links into it),
 *                      localtime; and names for the one user there is
 *   /dev               null full random urandom; shm is /tmp
 *
 * Beside it an isolation shows /tmp (private, in memory, limited), the script's
 * folder at /script, and the guest program at /.glovebox/NAME.
 */
#ifndef SANDBOX_VIEW_H
#define SANDBOX_VIEW_H

#include <sys/types.h>

enum view_kind {
    VIEW_DIR,       /* an empty directory, for what follows */
    VIEW_HOST_DIR,  /* the host's, if it is there */
    VIEW_HOST_FILE, /* the same of a file */
    VIEW_DEVICE,    /* that works as the host's */
    VIEW_LINK,      /* to text */
    VIEW_TEXT,      /* a file with this text */
};

struct view_entry {
    enum view_kind kind;
    const char *path; /* absolute */
    const char *text; /* or NULL; borrowed until the function returns */
};

/* Returns 0 or what ends the walk. */
typedef int view_fn(void *context, const struct view_entry *entry);

/*
 * Call fn for each, parents first: of all but /dev; and of /dev.
 * Returns 0, or what fn returned that is not 0.
 */
int view_files(uid_t uid, gid_t gid, view_fn *fn, void *context);
int view_devices(view_fn *fn, void *context);

#endif
