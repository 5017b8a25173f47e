/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/error.h"
#include "sandbox/backend.h"

#define MEMORY_MIN (UINT64_C(4) << 20)
#define FILES_MIN  8u

int bundle_check(const struct bundle *what, struct gbx_error *err)
{
    const struct gbx_limits *limits = &what->limits;

    if (limits->memory_bytes < MEMORY_MIN)
        return fail(err, GBX_EMEMORY,
                    "a memory limit of %llu bytes is too small: at least %llu",
                    (unsigned long long)limits->memory_bytes,
                    (unsigned long long)MEMORY_MIN);
    if (limits->files < FILES_MIN)
        return fail(err, GBX_EFILES,
                    "a limit of %u files is too small: at least %u",
                    limits->files, FILES_MIN);
    return 0;
}

struct guest_ids bundle_ids(const struct bundle *what)
{
    struct guest_ids ids = what->ids;

    if (!ids.is_set) {
        ids.uid = geteuid() == 0 ? BUNDLE_NOBODY : geteuid();
        ids.gid = geteuid() == 0 ? BUNDLE_NOBODY : getegid();
    }
    return ids;
}
