/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grants.h - mounts (glovebox/mount.h) that have been looked at: their sources
 * open, their targets in one form.
 *
 *  grants_open(&grants, config->mounts, config->mount_count, &err);
 *  ... bundle.grants = &grants ...
 *  grants_close(&grants);
 *
 * Threads: any may read.  Memory: owned; {0} has none.
 */
#ifndef SANDBOX_GRANTS_GRANTS_H
#define SANDBOX_GRANTS_GRANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/mount.h"

#include "base/bytes.h"

struct grant {
    int fd;       /* owned: O_PATH of the source */
    char *source; /* owned: as it was named, for people */
    char *target; /* owned: absolute, no "//", no '/' at the end */
    bool is_file; /* the source is no folder */
    bool is_writable;
    uint64_t dev, ino; /* of the source */
};

struct grants {
    struct grant all[GBX_MOUNTS_MAX];
    size_t count;
};

/*
 * Returns 0; GBX_ELIMIT (too many), GBX_EARGUMENT (a target that cannot be),
 * GBX_EFILE (a source that is not there, or cannot be read) or GBX_EHOST; then
 * there are none.
 */
int grants_open(struct grants *grants, const struct gbx_mount *mounts,
                size_t count, struct gbx_error *err);

/* The one that a path of the sandbox lies in, and where in it ("" is the source
 * itself); or NULL. */
const struct grant *grants_find(const struct grants *grants, const char *path,
                                const char **rest);

/* Which files they are, and where: for the key of a template. */
void grants_put(const struct grants *grants, struct bytes_out *key);

void grants_close(struct grants *grants); /* idempotent */

#endif
