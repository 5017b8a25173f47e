/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - from nothing to a guest that stands at its first instruction, one
 * step after the other; and back.
 *
 * How much memory: frames for what the limits allow, and the pages of the page
 * tables; all of it addresses only, until the guest touches it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/boot.h"
#include "sandbox/microvm/clock.h"

#define FILE_BYTES   (256ull << 20) /* of programs' and libraries' pages */
#define TABLES_LEAST (16ull << 20)  /* enough for 4,096 scattered stretches */
#define SLACK_BYTES  (4ull << 20)
#define SMALL_BYTES  (8ull << 20) /* of a clone, in pages of 4 KiB */
#define SYSTEM_FIRST (1ull << 20) /* what KVM knows of at first */
#define FRAMES_FIRST (16ull << 20)

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
    return (bytes + to - 1) & ~(to - 1);
}

/* At a border of 2 MiB, as its physical address: KVM then may map it so. */
static uint8_t *map_memory(uint64_t bytes)
{
    const uint64_t more = bytes + MEMORY_HUGE_BYTES;
    uint8_t *all = mmap(NULL, more, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t before;

    if (all == MAP_FAILED)
        return NULL;
    before = round_up((uintptr_t)all, MEMORY_HUGE_BYTES) - (uintptr_t)all;
    if (before > 0)
        munmap(all, before);
    munmap(all + before + bytes, more - before - bytes);
    return all + before;
}

static int take(struct microvm_memory *memory, uint64_t bytes, uint64_t at,
                struct gbx_error *err)
{
    uint8_t *host = map_memory(bytes);

    if (host == NULL)
        return fail(err, GBX_EHOST,
                    "no %llu MiB of addresses for a guest; raise ulimit -v",
                    (unsigned long long)(bytes >> 20));
    *memory = (struct microvm_memory){.host = host, .bytes = bytes, .at = at};
    return 0;
}

/* It begins as a copy of a part of a snapshot: a page is copied when it is
 * written. */
static int overlay(const struct microvm_memory *memory, int fd, uint64_t off,
                   uint64_t bytes, struct gbx_error *err)
{
    if (bytes > memory->bytes)
        return fail(err, GBX_ESTALE, "a template larger than its clone");
    if (mmap(memory->host, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED, fd, (off_t)off) == MAP_FAILED)
        return fail(err, GBX_EHOST, "map a template's memory");
    return 0;
}

/* Neither in dumps of the embedder nor in its children: it is the guest's, and
 * much.  Behind `small`, one fault is for 512 pages. */
static void advise(const struct microvm_memory *memory, uint64_t small)
{
    madvise(memory->host, memory->bytes, MADV_DONTDUMP);
    madvise(memory->host, memory->bytes, MADV_DONTFORK);
    if (small < memory->bytes)
        madvise(memory->host + small, memory->bytes - small, MADV_HUGEPAGE);
}

/* All tables are walked, and of the rest what those before it needed. */
static void touch(struct microvm *vm, struct snapshot *from)
{
    const struct touched *touched = atomic_load(&from->touched);

    madvise(vm->system.host, from->system_bytes, MADV_POPULATE_READ);
    if (touched != NULL)
        dirty_touch(vm->frames.host, touched);
}

static int step_memory(struct microvm *vm, struct gbx_error *err)
{
    uint64_t frames =
        round_up(vm->limits.memory_bytes + KERNEL_STACK_BYTES +
                     vm->limits.disk_bytes + FILE_BYTES + SLACK_BYTES,
                 MEMORY_HUGE_BYTES);
    uint64_t system = TABLES_LEAST + round_up(frames / 256, MEMORY_HUGE_BYTES);
    struct snapshot *from = vm->snapshot;
    uint64_t small = 0;
    int rc;

    if ((rc = take(&vm->system, system, 0, err)) < 0 ||
        (rc = take(&vm->frames, frames, MICROVM_FRAMES_AT, err)) < 0)
        return rc;
    if (from != NULL) {
        if ((rc = overlay(&vm->system, from->fd, from->off, from->system_bytes,
                          err)) < 0 ||
            (rc = overlay(&vm->frames, from->fd, from->off + from->system_bytes,
                          from->frames_bytes, err)) < 0)
            return rc;
        small = round_up(from->frames_bytes + SMALL_BYTES, MEMORY_HUGE_BYTES);
    }
    advise(&vm->system, vm->system.bytes);
    advise(&vm->frames, small);
    if (from != NULL)
        touch(vm, from);
    if (vm->was != NULL) {
        dirty_load(vm->system.host, &vm->was->system);
        dirty_load(vm->frames.host, &vm->was->frames);
    }
    return 0;
}

/*
 * Mappings of our own: KVM is made to forget pages by changing how the host
 * has them, and the channel's mapping must not notice.
 */
static int step_halves(struct microvm *vm, struct gbx_error *err)
{
    uint64_t at = round_up(MICROVM_FRAMES_AT + vm->frames.bytes, 1ull << 30);

    for (int i = 0; vm->shared != NULL && i < 2; i++) {
        uint64_t bytes = vm->shared->half_bytes;
        int protection = i == HALF_HOST ? PROT_READ : PROT_READ | PROT_WRITE;
        void *host = mmap(
            NULL, bytes, protection, MAP_SHARED,
            i == HALF_HOST ? vm->shared->host_read_fd : vm->shared->fd[i], 0);

        if (host == MAP_FAILED)
            return fail(err, GBX_EHOST, "map the region for a guest");
        vm->halves[i] =
            (struct microvm_memory){.host = host, .bytes = bytes, .at = at};
        at = round_up(at + bytes, 1ull << 30);
    }
    return 0;
}

/* KVM hears of it from the kernel, as of any change of the host's mappings. */
int microvm_borrow(struct microvm *vm, uint64_t off, uint64_t bytes, int fd,
                   uint64_t at)
{
    uint8_t *host = vm->halves[HALF_HOST].host + off;

    if (fd < 0) {
        fd = vm->shared->host_read_fd;
        at = off;
    }
    return mmap(host, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
                (off_t)at) == host
               ? 0
               : GBX_EHOST;
}

static int add(struct microvm *vm, const struct microvm_memory *memory,
               uint64_t there, bool writable, struct gbx_error *err)
{
    const struct memory_range slot = {.at = memory->at,
                                      .bytes = memory->bytes,
                                      .host = memory->host,
                                      .there = there,
                                      .writable = writable};

    return memory->host == NULL ? 0 : machine_memory(&vm->machine, &slot, err);
}

/* A kill may come at any time. */
static void set_machine(struct microvm *vm, bool has)
{
    pthread_mutex_lock(&vm->lock);
    vm->has_machine = has;
    pthread_mutex_unlock(&vm->lock);
}

/* What KVM hears of at first: all that a snapshot's tables lead to. */
static uint64_t first(uint64_t usual, uint64_t needed)
{
    return needed < usual ? usual : round_up(needed, MEMORY_HUGE_BYTES);
}

static int add_half(struct microvm *vm, enum half half, struct gbx_error *err)
{
    uint64_t there =
        vm->shared == NULL ? 0 : GBX_ARENA_OFF + vm->shared->arena_bytes[half];

    return add(vm, &vm->halves[half], first(GBX_HALF_BYTES_MIN, there),
               half == HALF_GUEST, err);
}

static int step_machine(struct microvm *vm, struct gbx_error *err)
{
    const struct snapshot *from = vm->snapshot;
    uint64_t system =
        first(SYSTEM_FIRST, from != NULL ? from->system_bytes : 0);
    uint64_t frames =
        first(FRAMES_FIRST, from != NULL ? from->frames_bytes : 0);
    int rc = 0;

    if (vm->was != NULL) {
        system = vm->was->system_there;
        frames = vm->was->frames_there;
    }
    machine_init(&vm->machine);
    set_machine(vm, true);
    rc = from == NULL ? machine_start(&vm->machine, err)
                      : machine_check(err); /* it starts when it runs */
    if (rc < 0)
        return rc;
    if ((rc = add(vm, &vm->system, system, true, err)) < 0 ||
        (rc = add(vm, &vm->frames, frames, true, err)) < 0 ||
        (rc = add_half(vm, HALF_HOST, err)) < 0)
        return rc;
    return add_half(vm, HALF_GUEST, err);
}

/* How far a half's memory exists; the channel's owner lengthens it. */
static uint64_t touchable_host(const struct space_window *window)
{
    const struct region *shared = window->context;

    return GBX_ARENA_OFF +
           __atomic_load_n(&shared->arena_bytes[HALF_HOST], __ATOMIC_ACQUIRE);
}

static uint64_t touchable_guest(const struct space_window *window)
{
    const struct region *shared = window->context;

    return GBX_ARENA_OFF +
           __atomic_load_n(&shared->arena_bytes[HALF_GUEST], __ATOMIC_ACQUIRE);
}

struct kernel_config microvm_kernel_config(struct microvm *vm)
{
    const struct guest_ids ids = bundle_ids(&vm->what);

    return (struct kernel_config){
        .memory_bytes = vm->limits.memory_bytes,
        .file_bytes = FILE_BYTES,
        .disk_bytes = vm->limits.disk_bytes,
        .tasks_max = vm->limits.processes,
        .files_max = vm->limits.files,
        .uid = ids.uid,
        .gid = ids.gid,
        .memory = &vm->machine.memory,
        .handles = &vm->handles,
        .seen = vm->what.is_watched ? &vm->seen : NULL,
        .tables_at = MICROVM_TABLES_AT,
        .tables_bytes = vm->system.bytes - MICROVM_TABLES_AT,
        .frames_at = vm->frames.at,
        .frames_bytes = vm->frames.bytes,
        .cpu = processor_of(vm),
        .trace = vm->what.trace,
        .trace_context = vm->what.trace_context,
    };
}

void microvm_bind(struct microvm *vm)
{
    vm->kernel->owner = vm;
    for (int i = 0; vm->shared != NULL && i < 2; i++)
        vm->kernel->space.windows[i] = (struct space_window){
            .at = vm->halves[i].at,
            .bytes = vm->halves[i].bytes,
            .host = vm->halves[i].host,
            .touchable = i == HALF_HOST ? touchable_host : touchable_guest,
            .context = vm->shared};
}

static int step_kernel(struct microvm *vm, struct gbx_error *err)
{
    const struct kernel_config config = microvm_kernel_config(vm);
    int rc;

    if (vm->was != NULL)
        rc = kernel_thaw_same(&vm->kernel, &vm->was->kernel, &config, err);
    else if (vm->snapshot != NULL)
        rc = kernel_thaw(&vm->kernel, &vm->snapshot->kernel, &config, err);
    else
        rc = kernel_open(&vm->kernel, &config, err);
    if (rc < 0)
        return rc;
    microvm_bind(vm);
    if (vm->was != NULL)
        return 0;
    if (vm->snapshot != NULL)
        return root_add(vm, err);
    return boot_open(&vm->machine, &vm->kernel->space.tables, 0, err);
}

/* A path in the guest's root: as the guest program is shown there. */
static void choose_path(struct microvm *vm)
{
    if (vm->shared != NULL)
        snprintf(vm->kernel->program, sizeof(vm->kernel->program),
                 "/.glovebox/%s", basename(vm->program));
    else
        snprintf(vm->kernel->program, sizeof(vm->kernel->program), "%s",
                 vm->program);
}

/* Where guest and host count alike, the guest may read its clock by itself. */
static int step_clock(struct microvm *vm, bool is_first, struct gbx_error *err)
{
    uint8_t *page = vm->system.host + MICROVM_VDSO_AT;
    struct machine_clock clock;
    int64_t at;

    vm->vdso = (struct vdso){.page = NULL};
    if (!is_first && vm->vdso_at == 0)
        return 0;
    machine_clock(&vm->machine, &vm->kernel->space.tables, MICROVM_VDSO_AT,
                  &clock);
    if (!clock.shared || clock.tsc_khz == 0)
        return is_first ? 0
                        : fail(err, GBX_EHOST,
                               "this host's clock has become another one");
    vdso_init(&vm->vdso, page, MICROVM_VDSO_AT, clock.tsc_khz);
    vdso_tick(&vm->vdso, &vm->kernel->waker, clock_now_ns());
    if (!is_first)
        return 0;
    at = vdso_map(&vm->kernel->space, &vm->vdso);
    if (at < 0)
        return fail(err, GBX_EHOST, "map a guest's clock");
    vm->vdso_at = (uint64_t)at;
    return 0;
}

static int step_program(struct microvm *vm, struct gbx_error *err)
{
    char path[sizeof(vm->kernel->program)];
    const struct kernel_program program = {
        .vdso_at = vm->vdso_at,
        .path = path,
        .argv = (const char *const *)vm->argv,
        .envp = (const char *const *)vm->envp,
        .hwcap = getauxval(AT_HWCAP),
    };
    struct node *dir;
    int rc;

    memcpy(path, vm->kernel->program, sizeof(path));
    if (vm->working_dir != NULL) {
        rc = tree_look(vm->kernel->tree, NULL, vm->working_dir, 0, &dir);
        if (rc < 0)
            return fail(err, GBX_EFILE, "%s: %s", vm->working_dir,
                        strerrordesc_np(-rc));
        node_put(vm->kernel->cwd);
        vm->kernel->cwd = dir;
    }
    return kernel_exec(vm->kernel, &program, err);
}

int microvm_start(struct microvm *vm, const struct bundle *what,
                  struct gbx_error *err)
{
    int rc;

    if (vm->snapshot != NULL && what->is_watched &&
        !seen_copy(&vm->seen, &vm->snapshot->seen))
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    vm->outcome = 0;
    vm->vdso_at = vm->snapshot != NULL ? vm->snapshot->vdso_at : 0;
    vm->has_run = vm->is_loose = false;
    vm->who = MICROVM_NOBODY;
    vm->unsettled = vm->rang = vm->parked = vm->wanted = false;
    atomic_store(&vm->host_rang, false);
    atomic_store(&vm->has_room, false);
    if ((rc = step_memory(vm, err)) < 0 || (rc = step_halves(vm, err)) < 0 ||
        (rc = step_machine(vm, err)) < 0 || (rc = step_kernel(vm, err)) < 0)
        return rc;
    if (vm->snapshot != NULL)
        return 0; /* the rest when it runs: microvm_wake */
    choose_path(vm);
    if ((rc = root_build(vm, err)) < 0 ||
        (rc = streams_open(vm, what->stdio, err)) < 0 ||
        (rc = step_clock(vm, true, err)) < 0)
        return rc;
    return step_program(vm, err);
}

int microvm_wake(struct microvm *vm, struct gbx_error *err)
{
    int rc;

    if (vm->machine.is_started)
        return 0;
    if ((rc = machine_start(&vm->machine, err)) < 0)
        return rc;
    if ((rc = boot_attach(&vm->machine, &vm->kernel->space.tables, 0, err)) ==
            0 &&
        (rc = step_clock(vm, false, err)) == 0) {
        vm->kernel->cpu = processor_of(vm);
        rc = kernel_load(vm->kernel, err);
    }
    if (rc < 0)
        machine_halt(&vm->machine);
    return rc;
}

static void drop(struct microvm_memory *memory)
{
    if (memory->host != NULL)
        munmap(memory->host, memory->bytes);
    *memory = (struct microvm_memory){0};
}

void microvm_stop(struct microvm *vm)
{
    snapshot_learn(vm);
    kernel_close(vm->kernel);
    vm->kernel = NULL;
    handles_fini(&vm->handles);
    seen_fini(&vm->seen);
    if (vm->has_machine) {
        set_machine(vm, false);
        machine_close(&vm->machine);
    }
    drop(&vm->halves[1]);
    drop(&vm->halves[0]);
    drop(&vm->frames);
    drop(&vm->system);
}

/* What is mapped there may be anybody's by now. */
void microvm_leave(struct microvm *vm)
{
    close_fd(&vm->machine.cpu_fd);
    close_fd(&vm->machine.vm_fd);
    close_fd(&vm->machine.kvm_fd);
}
