/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_test.h - a personality over plain memory, without KVM: what its tests
 * and fuzzers share.
 *
 *  open_kernel(NULL);
 *  at = call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
 *  check_kernel();
 *  close_kernel();                 and all frames are free again
 *
 * The processor is three variables; a task's turn comes with run_task().  One
 * test program includes it once.
 */
#ifndef SANDBOX_MICROVM_LINUX_LINUX_TEST_H
#define SANDBOX_MICROVM_LINUX_LINUX_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/linux/calls/calls.h"
#include "sandbox/microvm/linux/kernel.h"
#include "sandbox/microvm/linux/region_file.h"
#include "sandbox/microvm/linux/space/areas.h"
#include "sandbox/microvm/linux/space/user.h"

#define PAGE         4096ull
#define TABLES_BYTES (4ull << 20)
#define FRAMES_AT    (1ull << 30)
#define HALVES_AT    (2ull << 30)
#define HALF_BYTES   (2ull << 20)
#define HALF_THERE   (16 * PAGE) /* the rest may not be touched */
#define MEMORY_BYTES (8ull << 20)
#define DISK_BYTES   (1ull << 20)
#define FILE_BYTES   (2ull << 20)
#define SCRATCH      0x10000000ull /* of the guest, to read and write */
#define SCRATCH_SIZE (64 * PAGE)
#define XSAVE_BYTES  832u

/* Not as SYS_*, which is for those who call the host. */
#define CALL_CLONE 56
#define CALL_FUTEX 202

static struct kernel *kernel;

static struct {
    struct memory memory;
    struct handles handles;
    uint8_t *tables, *frames, *halves[2];
    uint64_t frames_bytes;
    struct kvm_regs regs;
    struct kvm_xsave xsave;
    uint64_t fs_base, gs_base;
    bool refuses; /* to save and load */
    struct space_window windows[2];
} rig;

static void set_fs(void *context, uint64_t base)
{
    (void)context;
    rig.fs_base = base;
}

static void set_gs(void *context, uint64_t base)
{
    (void)context;
    rig.gs_base = base;
}

static uint64_t get_fs(void *context)
{
    (void)context;
    return rig.fs_base;
}

static uint64_t get_gs(void *context)
{
    (void)context;
    return rig.gs_base;
}

static int save_task(void *context, struct machine_state *state)
{
    (void)context;
    if (rig.refuses)
        return GBX_EHOST;
    *state =
        (struct machine_state){rig.regs, rig.fs_base, rig.gs_base, rig.xsave};
    return 0;
}

static int load_task(void *context, const struct machine_state *state)
{
    (void)context;
    if (rig.refuses)
        return GBX_EHOST;
    rig.regs = state->regs;
    rig.fs_base = state->fs_base;
    rig.gs_base = state->gs_base;
    rig.xsave = state->xsave;
    return 0;
}

/* Nothing lies beside it. */
static inline uint8_t *map_host(uint64_t bytes)
{
    uint8_t *host = mmap(NULL, bytes + 2 * PAGE, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    must(host != MAP_FAILED);
    must(mprotect(host + PAGE, bytes, PROT_READ | PROT_WRITE) == 0);
    return host + PAGE;
}

static inline void unmap_host(uint8_t *host, uint64_t bytes)
{
    must(munmap(host - PAGE, bytes + 2 * PAGE) == 0);
}

/* Of a half, only the begin is there: touching the rest is SIGBUS. */
static inline uint8_t *map_half(void)
{
    uint8_t *host = map_host(HALF_BYTES);
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    must(fd >= 0 && ftruncate(fd, HALF_THERE) == 0);
    must(mmap(host, HALF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
              fd, 0) == host);
    close(fd);
    return host;
}

static inline void add_slot(uint64_t at, uint64_t bytes, uint8_t *host,
                            bool writable)
{
    const struct memory_range range = {
        .at = at, .bytes = bytes, .host = host, .writable = writable};

    must(memory_add(&rig.memory, &range) == 0);
}

static uint64_t touchable_half(const struct space_window *window)
{
    (void)window;
    return HALF_THERE;
}

/* Memory as backend/open.c has it, and the limits that go with it. */
static inline struct kernel_config make_config(void)
{
    rig.frames_bytes = MEMORY_BYTES + KERNEL_STACK_BYTES + DISK_BYTES +
                       FILE_BYTES + (1u << 20);
    rig.memory.count = 0;
    rig.tables = map_host(TABLES_BYTES);
    rig.frames = map_host(rig.frames_bytes);
    add_slot(0, TABLES_BYTES, rig.tables, true);
    add_slot(FRAMES_AT, rig.frames_bytes, rig.frames, true);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = HALVES_AT + i * 2 * HALF_BYTES;

        rig.halves[i] = map_half();
        add_slot(at, HALF_BYTES, rig.halves[i], i == 1);
        rig.windows[i] = (struct space_window){.at = at,
                                               .bytes = HALF_BYTES,
                                               .touchable = touchable_half,
                                               .host = rig.halves[i]};
    }
    must(mprotect(rig.halves[0], HALF_BYTES, PROT_READ) == 0);
    return (struct kernel_config){
        .memory_bytes = MEMORY_BYTES,
        .file_bytes = FILE_BYTES,
        .disk_bytes = DISK_BYTES,
        .tasks_max = 8,
        .files_max = 32,
        .uid = 1000,
        .gid = 1000,
        .memory = &rig.memory,
        .handles = &rig.handles,
        .tables_bytes = TABLES_BYTES,
        .frames_at = FRAMES_AT,
        .frames_bytes = rig.frames_bytes,
        .cpu = {.regs = &rig.regs,
                .set_fs = set_fs,
                .set_gs = set_gs,
                .get_fs = get_fs,
                .get_gs = get_gs,
                .save = save_task,
                .load = load_task,
                .xsave_bytes = XSAVE_BYTES},
    };
}

static inline void drop_memory(void)
{
    handles_fini(&rig.handles);
    unmap_host(rig.tables, TABLES_BYTES);
    unmap_host(rig.frames, rig.frames_bytes);
    for (unsigned i = 0; i < 2; i++)
        unmap_host(rig.halves[i], HALF_BYTES);
    memset(&rig, 0, sizeof(rig));
}

/* The halves of a region, as descriptors 0 and 1 of a guest. */
static inline void give_halves(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct file *file;

        kernel->space.windows[i] = rig.windows[i];
        file =
            region_file_make(kernel->heap, &kernel->space.windows[i], i == 1);

        must(file != NULL && kernel_install(kernel, file, 0, false) == (int)i);
    }
}

static inline void start_task(void)
{
    struct task *task = task_make(kernel);

    must(task != NULL);
    machine_state_init(&task->state, 0x401000, SCRATCH + SCRATCH_SIZE);
    memset(&rig.xsave, 0, sizeof(rig.xsave));
    must(load_task(NULL, &task->state) == 0);
    kernel->current = task;
    kernel->stirred = false;
}

/* A kernel with one task, scratch memory, and directories to write to. */
static inline void open_kernel(const struct kernel_config *config)
{
    const struct kernel_config usual =
        config == NULL ? make_config() : (struct kernel_config){0};
    struct gbx_error err = {0};
    const struct space_request scratch = {.address = SCRATCH,
                                          .bytes = SCRATCH_SIZE,
                                          .access = TABLES_READ | TABLES_WRITE,
                                          .kind = AREA_ANONYMOUS,
                                          .fixed = true,
                                          .may_write = true};

    must(kernel_open(&kernel, config == NULL ? &usual : config, &err) == 0);
    must(tree_make_dir(kernel->tree, "/tmp", 01777) == 0);
    start_task();
    must(space_map(&kernel->space, &scratch) == SCRATCH);
    kernel->space.brk_start = kernel->space.brk = 0x20000000;
    kernel->space.brk_max = 0x30000000;
}

static inline void empty_space(void)
{
    must(space_unmap(&kernel->space, SPACE_LOW, TABLES_USER_END - SPACE_LOW) ==
         0);
    must(kernel->space.charged == 0 && kernel->space.file_pages == 0);
}

/* Everything is given back. */
static inline void close_kernel(void)
{
    if (kernel != NULL && kernel->tree != NULL) {
        const struct frames *frames = &kernel->space.frames;

        empty_space();
        for (uint32_t i = 0; i < kernel->files_max; i++)
            kernel_close_file(kernel, i);
        node_put(kernel->cwd);
        kernel->cwd = NULL;
        tree_close(kernel->tree);
        kernel->tree = NULL;
        must(frames->free == frames->count);
    }
    kernel_close(kernel);
    kernel = NULL;
    drop_memory();
}

/*
 * A system call of the current task; of a long one, all parts.  Returns its
 * answer, KERNEL_WAIT, or KERNEL_KEEP where the task ended.
 */
static inline int64_t call_six(uint64_t number, const uint64_t a[6])
{
    struct task *task = kernel->current;

    rig.regs.rax = number;
    rig.regs.rdi = a[0], rig.regs.rsi = a[1], rig.regs.rdx = a[2];
    rig.regs.r10 = a[3], rig.regs.r8 = a[4], rig.regs.r9 = a[5];
    kernel_call(kernel);
    while (kernel->current == task && task->in_call && task->wait.goes_on)
        kernel_resume(kernel);
    if (kernel->current != task || kernel->ended)
        return KERNEL_KEEP;
    return task->in_call ? KERNEL_WAIT : (int64_t)rig.regs.rax;
}

#define ARG(x) (uint64_t)(x)
#define LIST(...)                                                              \
    (const uint64_t[6])                                                        \
    {                                                                          \
        __VA_ARGS__                                                            \
    }

#define CALL0(n)             ARG(n), LIST(0)
#define CALL1(n, a)          ARG(n), LIST(ARG(a))
#define CALL2(n, a, b)       ARG(n), LIST(ARG(a), ARG(b))
#define CALL3(n, a, b, c)    ARG(n), LIST(ARG(a), ARG(b), ARG(c))
#define CALL4(n, a, b, c, d) ARG(n), LIST(ARG(a), ARG(b), ARG(c), ARG(d))
#define CALL5(n, a, b, c, d, e)                                                \
    ARG(n), LIST(ARG(a), ARG(b), ARG(c), ARG(d), ARG(e))
#define CALL6(n, a, b, c, d, e, f)                                             \
    ARG(n), LIST(ARG(a), ARG(b), ARG(c), ARG(d), ARG(e), ARG(f))
#define CALL_OF(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define call(...)                                                              \
    call_six(CALL_OF(__VA_ARGS__, CALL6, CALL5, CALL4, CALL3, CALL2, CALL1,    \
                     CALL0)(__VA_ARGS__))

/* Bytes of the guest's memory, as the guest sees them. */
static inline void poke(uint64_t address, const void *bytes, size_t count)
{
    must(user_write(&kernel->space, address, bytes, count) == 0);
}

static inline void peek(uint64_t address, void *bytes, size_t count)
{
    must(user_read(&kernel->space, bytes, address, count) == 0);
}

static inline void poke_word(uint64_t address, uint32_t word)
{
    poke(address, &word, sizeof(word));
}

static inline uint32_t peek_word(uint64_t address)
{
    uint32_t word;

    peek(address, &word, sizeof(word));
    return word;
}

/* A text in scratch memory, a page each. */
static inline uint64_t text_at(unsigned page, const char *text)
{
    poke(SCRATCH + page * PAGE, text, strlen(text) + 1);
    return SCRATCH + page * PAGE;
}

static inline int64_t map_some(uint64_t bytes)
{
    return call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* A thread as pthread_create makes it.  Returns its task. */
static inline struct task *make_thread(void)
{
    int64_t tid = call(CALL_CLONE,
                       CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                           CLONE_THREAD | CLONE_SYSVSEM,
                       SCRATCH + SCRATCH_SIZE / 2, 0, 0, 0);

    for (uint32_t i = 0; i < kernel->tasks_max; i++)
        if (kernel->tasks[i] != NULL && kernel->tasks[i]->tid == tid)
            return kernel->tasks[i];
    return NULL;
}

/* Give a task the processor. */
static inline void run_task(struct task *task)
{
    kernel->fresh_slice = false;
    if (kernel->current == task)
        return;
    if (kernel->current != NULL)
        save_task(NULL, &kernel->current->state);
    load_task(NULL, &task->state);
    kernel->current = task;
}

/* As the drive does it, as long as somebody can run without ring 3. */
static inline bool turn(uint64_t now_ns)
{
    for (int i = 0; i < 64 && !kernel->ended; i++) {
        if (kernel_schedule(kernel, now_ns) <= 0)
            return false;
        if (kernel_resume(kernel))
            return true;
    }
    return false;
}

/* What must hold at any time. */
static inline uint64_t check_area(const struct area *area, uint64_t *file_pages)
{
    const struct tables *tables = &kernel->space.tables;
    uint64_t physical, count = 0;

    for (uint64_t at = area->start;
         (at = tables_next(tables, at, area->end)) < area->end;
         at += PAGE, count++) {
        unsigned leaf = space_leaf(area->access);

        must(tables_translate(tables, at, leaf, &physical) == 0);
        for (unsigned bit = TABLES_WRITE; bit <= TABLES_USER; bit <<= 1)
            must((leaf & bit) != 0 ||
                 tables_translate(tables, at, bit, &physical) < 0);
        tables_translate(tables, at, 0, &physical);
        if (area->kind == AREA_PHYSICAL)
            must(physical == area->off + (at - area->start));
        else
            frames_host(&kernel->space.frames, physical); /* it is taken */
        if (area->kind == AREA_FILE && !area->charged)
            ++*file_pages;
    }
    return count;
}

static inline void check_kernel(void)
{
    const struct space *space = &kernel->space;
    uint64_t charged = 0, file_pages = 0, end = SPACE_LOW, pages = 0;

    for (uint32_t i = 0; i < space->area_count; i++) {
        const struct area *area = &space->areas[i];

        must(area->start >= end && area->end > area->start);
        must(area->start % PAGE == 0 && area->end % PAGE == 0);
        must(tables_next(&space->tables, end, area->start) == area->start);
        end = area->end;
        charged += area->charged ? (area->end - area->start) / PAGE : 0;
        pages += check_area(area, &file_pages);
    }
    must(end <= TABLES_USER_END);
    must(tables_next(&space->tables, end, TABLES_USER_END) == TABLES_USER_END);
    must(charged == space->charged && charged <= space->charged_max);
    must(file_pages == space->file_pages);
    must(file_pages <= space->file_pages_max);
    must(space->frames.free <= space->frames.count);
    (void)pages;
}

/* After a test: all is as it should be, and goes. */
static inline int tear_down_kernel(void **state)
{
    (void)state;
    check_kernel();
    close_kernel();
    return 0;
}

#endif
