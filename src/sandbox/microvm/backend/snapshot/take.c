/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c - a micro-VM becomes a template's part, and others begin as it.
 *
 *   memfd    | system: boot, clock, tables | frames that are taken |
 *            0                             system_bytes
 *   clone    private mappings of it: what nobody writes is there once for all
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/zero.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/spare.h"

#define PAGE      ((uint64_t)MEMORY_PAGE_BYTES)
#define RUN_PAGES 256u
#define SEALS     (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Pages that are zero are holes of the file. */
static int write_pages(int fd, const uint8_t *from, uint64_t pages,
                       uint64_t off)
{
    int rc = 0;

    for (uint64_t first = 0, end; rc == 0 && first < pages; first = end) {
        for (end = first; end < pages && !is_zero(from + end * PAGE, PAGE);
             end++)
            ;
        rc = fd_write_at(fd, from + first * PAGE, (end - first) * PAGE,
                         off + first * PAGE);
        while (end < pages && is_zero(from + end * PAGE, PAGE))
            end++;
    }
    return rc;
}

static int write_frames(const struct snapshot *snapshot,
                        const struct frames *frames)
{
    uint64_t first, count, from = 0;
    int rc = 0;

    while (rc == 0 &&
           (count = frames_taken(frames, from, RUN_PAGES, &first)) > 0) {
        rc = write_pages(snapshot->fd, frames->host + first * PAGE, count,
                         snapshot->system_bytes + first * PAGE);
        from = first + count;
    }
    return rc;
}

static uint64_t end_of(const struct frames *frames)
{
    uint64_t first, count, end = 0;

    while ((count = frames_taken(frames, end, UINT64_MAX, &first)) > 0)
        end = first + count;
    return end;
}

static int step_file(struct snapshot *snapshot, const struct microvm *vm,
                     struct gbx_error *err)
{
    const struct space *space = &vm->kernel->space;
    uint64_t bytes;

    snapshot->system_bytes = space->tables.next;
    snapshot->frames_bytes = end_of(&space->frames) * PAGE;
    bytes = snapshot->system_bytes + snapshot->frames_bytes;
    if (bytes > fd_bytes_max())
        return fail(err, GBX_EHOST,
                    "a template of %llu bytes: RLIMIT_FSIZE is too low",
                    (unsigned long long)bytes);
    snapshot->fd =
        memfd_create("glovebox-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (snapshot->fd < 0 || ftruncate(snapshot->fd, (off_t)bytes) < 0 ||
        write_pages(snapshot->fd, vm->system.host,
                    snapshot->system_bytes / PAGE, 0) < 0 ||
        write_frames(snapshot, &space->frames) < 0 ||
        fd_seal(snapshot->fd, SEALS) < 0)
        return fail(err, GBX_EHOST, "keep a template's memory");
    return 0;
}

int snapshot_map(struct snapshot *snapshot, struct gbx_error *err)
{
    uint64_t bytes = snapshot->system_bytes + snapshot->frames_bytes;
    /* Shared, kernels before 6.7 take it for one that may be written. */
    uint8_t *image = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, snapshot->fd,
                          (off_t)snapshot->off);

    if (image == MAP_FAILED)
        return fail(err, GBX_EHOST, "map a template's memory");
    madvise(image, bytes, MADV_DONTDUMP);
    snapshot->image = image;
    return 0;
}

static int take(struct snapshot *snapshot, struct microvm *vm,
                struct gbx_error *err)
{
    int rc = kernel_freeze(&snapshot->kernel, vm->kernel, err);

    if (rc < 0 || (rc = step_file(snapshot, vm, err)) < 0)
        return rc;
    snapshot->vdso_at = vm->vdso_at;
    snapshot->limits = vm->limits;
    snapshot->has_folder = vm->folder != NULL;
    snapshot->has_grants = vm->what.grants != NULL;
    if (!seen_copy(&snapshot->seen, &vm->seen))
        return fail(err, GBX_EHOST, "no memory for a template");
    return snapshot_map(snapshot, err);
}

struct snapshot *snapshot_begin(void)
{
    struct snapshot *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return NULL;
    made->references = 1;
    made->fd = -1;
    spare_hold();
    return made;
}

int snapshot_take(struct microvm *vm, struct snapshot **snapshot,
                  struct gbx_error *err)
{
    struct snapshot *made;
    int rc;

    if (vm->shared == NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "only guests of scripts can be templates");
    rc = runner_settle(vm);
    if (rc < 0) {
        vm->last = rc;
        return fail(err, rc, "the guest did not come to rest: %s",
                    vm->end_text[0] != '\0' ? vm->end_text : gbx_strerror(rc));
    }
    made = snapshot_begin();
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    rc = take(made, vm, err);
    if (rc < 0)
        snapshot_put(made);
    else
        *snapshot = made;
    return rc;
}

void snapshot_get(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->references, 1);
}

void snapshot_put(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) > 1)
        return;
    if (snapshot->image != NULL)
        munmap(snapshot->image,
               snapshot->system_bytes + snapshot->frames_bytes);
    close_fd(&snapshot->fd);
    kernel_snapshot_fini(&snapshot->kernel);
    seen_fini(&snapshot->seen);
    free(atomic_load(&snapshot->touched));
    free(snapshot);
    spare_release();
}
