/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - a template's part, to a file and back. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/backend/microvm.h"

#define PAGE     ((uint64_t)MEMORY_PAGE_BYTES)
#define LEASE_NS 30000000000u /* the kernel gives 45 s */

/* What a file has of it, beside what has a length of its own. */
struct saved {
    uint64_t system_bytes, frames_bytes, vdso_at;
    struct gbx_limits limits;
    uint64_t has_folder, has_grants;
};

int snapshot_save(const struct snapshot *snapshot, struct bytes_out *out,
                  int *fd, uint64_t *bytes)
{
    const struct saved saved = {snapshot->system_bytes, snapshot->frames_bytes,
                                snapshot->vdso_at,      snapshot->limits,
                                snapshot->has_folder,   snapshot->has_grants};
    const struct touched *touched = atomic_load(&snapshot->touched);

    bytes_put(out, &saved, sizeof(saved));
    bytes_put_block(out, touched == NULL ? NULL : touched->pages,
                    touched == NULL ? 0 : touched->count * sizeof(uint32_t));
    seen_save(&snapshot->seen, out);
    kernel_snapshot_save(&snapshot->kernel, out);
    *fd = snapshot->fd;
    *bytes = snapshot->system_bytes + snapshot->frames_bytes;
    return out->failed ? GBX_EHOST : 0;
}

static bool load_touched(struct snapshot *snapshot, struct bytes_in *in)
{
    size_t bytes;
    const void *pages = bytes_take_block(in, &bytes);
    struct touched *touched;

    if (in->failed || bytes == 0)
        return !in->failed;
    touched = malloc(sizeof(*touched) + bytes);
    if (touched == NULL)
        return false;
    touched->count = (uint32_t)(bytes / sizeof(uint32_t));
    memcpy(touched->pages, pages, touched->count * sizeof(uint32_t));
    atomic_store(&snapshot->touched, touched);
    for (uint32_t i = 0; i < touched->count; i++)
        if ((touched->pages[i] & ~TOUCHED_WRITTEN) >=
            snapshot->frames_bytes / PAGE)
            return false;
    return true;
}

/* All of it is in its file: what is mapped behind a file's end is SIGBUS. */
static bool is_whole(const struct snapshot *snapshot)
{
    const uint64_t system = snapshot->system_bytes,
                   frames = snapshot->frames_bytes;
    uint64_t bytes;
    struct stat st;

    if (fstat(snapshot->fd, &st) < 0 || (uint64_t)st.st_size < snapshot->off)
        return false;
    bytes = (uint64_t)st.st_size - snapshot->off;
    return system % PAGE == 0 && frames % PAGE == 0 &&
           system >= MICROVM_TABLES_AT && system <= bytes &&
           frames <= bytes - system;
}

static int load(struct snapshot *snapshot, struct bytes_in *in,
                struct gbx_error *err)
{
    struct saved saved;
    const char *path;

    bytes_take(in, &saved, sizeof(saved));
    snapshot->system_bytes = saved.system_bytes;
    snapshot->frames_bytes = saved.frames_bytes;
    snapshot->vdso_at = saved.vdso_at;
    snapshot->limits = saved.limits;
    snapshot->has_folder = saved.has_folder != 0;
    snapshot->has_grants = saved.has_grants != 0;
    if (in->failed || !is_whole(snapshot) || !load_touched(snapshot, in) ||
        !seen_load(&snapshot->seen, in))
        return fail(err, GBX_EFORMAT, "a template's file is damaged");
    if (seen_is_stale(&snapshot->seen, &path))
        return fail(err, GBX_ESTALE, "%s has changed since", path);
    if (!kernel_snapshot_load(&snapshot->kernel, in))
        return fail(err, GBX_ESTALE, "a file that it needs has changed");
    return snapshot_map(snapshot, err);
}

int snapshot_load(struct snapshot **snapshot, struct bytes_in *in, int fd,
                  uint64_t off, struct gbx_error *err)
{
    struct snapshot *made = snapshot_begin();
    int rc;

    *snapshot = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    made->off = off;
    made->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (made->fd >= 0 && fcntl(made->fd, F_GETLEASE) == F_RDLCK)
        made->until_ns = clock_now_ns() + LEASE_NS;
    rc = made->fd < 0 ? fail(err, GBX_EHOST, "keep a template's file")
                      : load(made, in, err);
    if (rc < 0)
        snapshot_put(made);
    else
        *snapshot = made;
    return rc;
}
