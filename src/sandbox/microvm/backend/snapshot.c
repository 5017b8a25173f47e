/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - a micro-VM becomes a template's part, others begin as it, and
 * go back to it.
 *
 *   memfd    | system: boot, clock, tables | frames that are taken |
 *            0                             system_bytes
 *   clone    private mappings of it: what nobody writes is there once for all
 *
 * Back: first memory, while the tables still say what the guest could reach;
 * then the tables, which makes KVM forget; then the personality, by which all
 * else is forgotten, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/zero.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/spare.h"

#define PAGE      ((uint64_t)MEMORY_PAGE_BYTES)
#define SETTLE_NS 1000000000u
#define RUN_PAGES 256u
#define LEASE_NS  30000000000u /* the kernel gives 45 s */
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
        fcntl(snapshot->fd, F_ADD_SEALS, SEALS) < 0)
        return fail(err, GBX_EHOST, "keep a template's memory");
    return 0;
}

static int step_image(struct snapshot *snapshot, struct gbx_error *err)
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
    if (!seen_copy(&snapshot->seen, &vm->seen))
        return fail(err, GBX_EHOST, "no memory for a template");
    return step_image(snapshot, err);
}

static struct snapshot *begin(void)
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
    rc = runner_settle(vm, clock_now_ns() + SETTLE_NS);
    if (rc < 0) {
        vm->last = rc;
        return fail(err, rc, "the guest did not come to rest: %s",
                    vm->end_text[0] != '\0' ? vm->end_text : gbx_strerror(rc));
    }
    made = begin();
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

/* What a file has of it, beside what has a length of its own. */
struct saved {
    uint64_t system_bytes, frames_bytes, vdso_at;
    struct gbx_limits limits;
    uint64_t has_folder;
};

int snapshot_save(const struct snapshot *snapshot, struct bytes_out *out,
                  int *fd, uint64_t *bytes)
{
    const struct saved saved = {snapshot->system_bytes, snapshot->frames_bytes,
                                snapshot->vdso_at, snapshot->limits,
                                snapshot->has_folder};
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
    if (in->failed || !is_whole(snapshot) || !load_touched(snapshot, in) ||
        !seen_load(&snapshot->seen, in))
        return fail(err, GBX_EFORMAT, "a template's file is damaged");
    if (seen_is_stale(&snapshot->seen, &path))
        return fail(err, GBX_ESTALE, "%s has changed since", path);
    if (!kernel_snapshot_load(&snapshot->kernel, in))
        return fail(err, GBX_ESTALE, "a file that it needs has changed");
    return step_image(snapshot, err);
}

int snapshot_load(struct snapshot **snapshot, struct bytes_in *in, int fd,
                  uint64_t off, struct gbx_error *err)
{
    struct snapshot *made = begin();
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

uint64_t snapshot_until_ns(const struct microvm *vm)
{
    return vm->snapshot == NULL || vm->is_loose ? 0 : vm->snapshot->until_ns;
}

/* A page that is written is the clone's own. */
static void take_pages(uint8_t *host, uint64_t bytes)
{
    for (uint64_t off = 0; off < bytes; off += PAGE)
        __atomic_fetch_or(host + off, 0, __ATOMIC_RELAXED);
}

void snapshot_let_go(struct microvm *vm)
{
    take_pages(vm->system.host, vm->snapshot->system_bytes);
    take_pages(vm->frames.host, vm->snapshot->frames_bytes);
    vm->is_loose = true;
}

void snapshot_learn(struct microvm *vm)
{
    struct snapshot *of = vm->snapshot;
    struct touched *none = NULL, *touched;

    if (of == NULL || !vm->has_run || vm->frames.host == NULL ||
        atomic_load(&of->touched) != NULL)
        return;
    touched = dirty_learn(vm->frames.host, of->frames_bytes);
    if (touched != NULL &&
        !atomic_compare_exchange_strong(&of->touched, &none, touched))
        free(touched);
}

/* How much of the frames anybody can have written. */
static uint64_t written(const struct microvm *vm)
{
    const struct frames *frames = &vm->kernel->space.frames;
    uint64_t bytes = frames->known * PAGE, least = vm->snapshot->frames_bytes;

    bytes = bytes < least ? least : bytes;
    return bytes < vm->frames.bytes ? bytes : vm->frames.bytes;
}

/* That a wipe leaves in use: for half a GiB of addresses. */
#define NEW_TABLES_MAX 256u

/*
 * Tables that are empty stay where they are (tables.c), and take from a pool.
 * Who comes next shall not find it used up, nor learn much from what is left.
 */
static bool has_many_tables(const struct microvm *vm)
{
    return vm->kernel->space.tables.next >
           vm->snapshot->system_bytes + NEW_TABLES_MAX * PAGE;
}

static int restore_memory(struct microvm *vm)
{
    const struct snapshot *was = vm->snapshot;
    struct dirty_count count = {0};

    if (dirty_restore(vm->frames.host, written(vm),
                      was->image + was->system_bytes, was->frames_bytes,
                      &count) < 0 ||
        dirty_restore(vm->system.host, MICROVM_TABLES_AT, was->image,
                      MICROVM_TABLES_AT, &count) < 0)
        return GBX_EHOST;
    vm->wiped = count;
    return tables_restore(&vm->kernel->space.tables, was->image,
                          was->system_bytes);
}

static int restore_kernel(struct microvm *vm, struct gbx_error *err)
{
    const struct kernel_config config = microvm_kernel_config(vm);
    uint64_t next = vm->kernel->space.tables.next; /* they stay in use */
    int rc = kernel_thaw(&vm->kernel, &vm->snapshot->kernel, &config, err);

    if (rc < 0)
        return rc;
    vm->kernel->space.tables.next = next;
    microvm_bind(vm);
    if ((rc = root_add_folder(vm, err)) < 0)
        return rc;
    if (!vm->machine.is_started)
        return 0; /* microvm_wake does the rest */
    vm->vdso.ticked_ns = 0;
    vdso_tick(&vm->vdso, &vm->kernel->waker, clock_now_ns());
    return kernel_load(vm->kernel, err);
}

static void forget(struct microvm *vm)
{
    vm->unsettled = vm->rang = vm->parked = false;
    vm->buffer_bytes = 0;
    vm->outcome = vm->last = 0;
    vm->rested_ns = 0;
    vm->end_text[0] = '\0';
    memset(vm->wants, 0, sizeof(vm->wants));
    atomic_store(&vm->host_rang, false);
    atomic_store(&vm->has_room, false);
}

int snapshot_restore(struct microvm *vm, struct gbx_error *err)
{
    int rc = 0;

    snapshot_learn(vm);
    if (vm->is_loose || vm->kernel == NULL || has_many_tables(vm) ||
        (vm->machine.is_started && machine_reset(&vm->machine) < 0) ||
        restore_memory(vm) < 0)
        rc = fail(err, GBX_EHOST, "the micro-VM cannot be used again");
    if (rc == 0)
        rc = restore_kernel(vm, err);
    if (rc == 0)
        forget(vm);
    else
        vm->outcome = rc;
    return rc;
}

/* Between calls: its virtual machine goes, all else stays. */
bool microvm_park(void *context)
{
    struct microvm *vm = context;
    struct kernel *kernel = vm->kernel;

    if (!vm->machine.is_started || vm->shared == NULL ||
        runner_settle(vm, clock_now_ns() + SETTLE_NS) < 0)
        return false;
    if (kernel->current != NULL &&
        kernel->cpu.save(kernel->cpu.context, &kernel->current->state) < 0)
        return false;
    machine_halt(&vm->machine);
    return true;
}
