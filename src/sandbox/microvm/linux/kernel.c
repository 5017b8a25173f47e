/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - opening and closing, and what becomes of an exception. */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/linux/kernel.h"

#define NODES_MAX        65536u
#define MAPPED_FILES_MAX 1024u /* of the host, closed but mapped */

/* Vectors of the processor. */
enum {
    VECTOR_DIVIDE = 0,
    VECTOR_DEBUG = 1,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW = 4,
    VECTOR_BOUND = 5,
    VECTOR_INVALID = 6,
    VECTOR_STACK = 12,
    VECTOR_PROTECTION = 13,
    VECTOR_PAGE = 14,
    VECTOR_X87 = 16,
    VECTOR_ALIGNMENT = 17,
    VECTOR_SIMD = 19,
};

#define PAGE_FAULT_WRITE 2u
#define PAGE_FAULT_FETCH 16u

static void waken(struct waker *waker, const void *thing)
{
    struct kernel *kernel =
        (struct kernel *)((char *)waker - offsetof(struct kernel, waker));

    event_changed(kernel->sets, thing);
    task_changed(kernel, thing);
}

static int step_space(struct kernel *kernel, const struct kernel_config *config,
                      struct gbx_error *err)
{
    int rc = space_open(&kernel->space, kernel->heap, config->memory,
                        config->tables_at, config->tables_bytes,
                        config->frames_at, config->frames_bytes);

    if (rc < 0)
        return fail(err, rc, "the guest's address space");
    kernel->space.charged_max =
        (config->memory_bytes + KERNEL_STACK_BYTES) / SPACE_PAGE_BYTES;
    kernel->space.file_pages_max = config->file_bytes / SPACE_PAGE_BYTES;
    return 0;
}

static int step_files(struct kernel *kernel, const struct kernel_config *config,
                      struct gbx_error *err)
{
    const struct tree_config tree = {
        .frames = &kernel->space.frames,
        .handles = config->handles,
        .seen = config->seen,
        .disk_bytes = config->disk_bytes,
        .nodes_max = NODES_MAX,
        .files_max = config->files_max + MAPPED_FILES_MAX,
        .uid = config->uid,
        .gid = config->gid,
    };

    if (tree_open(&kernel->tree, &tree) < 0 ||
        event_sets_open(&kernel->sets, kernel->heap) < 0 ||
        tree_look(kernel->tree, NULL, "/", 0, &kernel->cwd) < 0)
        return fail(err, GBX_EHOST, "no memory for a guest's files");
    return 0;
}

static void move_descriptors(void *object, size_t bytes,
                             const struct heap_move *move)
{
    struct descriptor *descriptors = object;

    for (size_t i = 0; i < bytes / sizeof(*descriptors); i++)
        move_pointer(move, &descriptors[i].file);
}

static void move_kernel(void *object, size_t bytes,
                        const struct heap_move *move)
{
    struct kernel *kernel = object;

    (void)bytes;
    move_pointer(move, &kernel->heap);
    space_move(&kernel->space, move);
    move_pointer(move, &kernel->tree);
    move_pointer(move, &kernel->sets);
    move_pointer(move, &kernel->waker.wake);
    move_pointer(move, &kernel->waker.heap);
    move_pointer(move, &kernel->descriptors);
    move_pointer(move, &kernel->cwd);
    move_pointer(move, &kernel->tasks);
    move_pointer(move, &kernel->current);
    move_pointer(move, &kernel->arguments);
    move_pointer(move, &kernel->environment);
    move_pointer(move, &kernel->unsupported);
    move_pointer(move, &kernel->lacks);
    for (int i = 0; i < 3; i++)
        move_pointer(move, &kernel->streams[i]);
}

static const struct heap_type descriptors_type = {"descriptors",
                                                  move_descriptors},
                              kernel_type = {"kernel", move_kernel};

static struct kernel *make(const struct kernel_config *config)
{
    struct heap *heap = heap_open();
    struct kernel *kernel =
        heap == NULL ? NULL : heap_make(heap, &kernel_type, sizeof(*kernel));

    if (kernel == NULL) {
        heap_close(heap);
        return NULL;
    }
    heap->root = kernel;
    *kernel = (struct kernel){
        .heap = heap,
        .waker = {.wake = waken, .heap = heap},
        .cpu = config->cpu,
        .files_max = config->files_max,
        .file_bytes_max = config->disk_bytes,
        .umask = 022,
        .uid = config->uid,
        .gid = config->gid,
        .tasks_max = config->tasks_max,
        .last_tid = KERNEL_PID - 1,
        .pid = KERNEL_PID,
        .end = {.vector = KERNEL_NO_VECTOR},
        .started_ns = clock_now_ns(),
        .trace = config->trace,
        .trace_context = config->trace_context,
    };
    return kernel;
}

static int step_tables(struct kernel *kernel,
                       const struct kernel_config *config,
                       struct gbx_error *err)
{
    kernel->descriptors =
        heap_make(kernel->heap, &descriptors_type,
                  config->files_max * sizeof(*kernel->descriptors));
    kernel->tasks = heap_make(kernel->heap, &heap_pointers,
                              config->tasks_max * sizeof(*kernel->tasks));
    if (kernel->descriptors == NULL || kernel->tasks == NULL)
        return fail(err, GBX_EHOST, "no memory for a guest's tables");
    return 0;
}

int kernel_open(struct kernel **made, const struct kernel_config *config,
                struct gbx_error *err)
{
    struct kernel *kernel = make(config);
    int rc;

    *made = kernel;
    if (kernel == NULL)
        return fail(err, GBX_EHOST, "no addresses for a guest's kernel");
    if ((rc = step_space(kernel, config, err)) < 0 ||
        (rc = step_tables(kernel, config, err)) < 0 ||
        (rc = step_files(kernel, config, err)) < 0)
        return rc;
    return 0;
}

void kernel_close(struct kernel *kernel)
{
    if (kernel != NULL)
        heap_close(kernel->heap);
}

/* A page that is not there yet, or a fault of the guest's own. */
static int page_fault(struct kernel *kernel, unsigned error, uint64_t address,
                      siginfo_t *info)
{
    unsigned access = TABLES_READ;
    int rc;

    if ((error & PAGE_FAULT_WRITE) != 0)
        access |= TABLES_WRITE;
    if ((error & PAGE_FAULT_FETCH) != 0)
        access |= TABLES_EXEC;
    rc = address >= TABLES_USER_END
             ? -EFAULT
             : space_fault(&kernel->space, address, access);
    if (rc == 0)
        return 0;
    info->si_addr = (void *)(uintptr_t)address; /* NOLINT: the guest's */
    info->si_code = rc == -EACCES ? SEGV_ACCERR : SEGV_MAPERR;
    if (rc == -ENOMEM) /* Linux's OOM killer would end it */
        return SIGKILL;
    if (rc != -ENXIO && rc != -EIO && rc != -ENOSPC)
        return SIGSEGV;
    info->si_code = BUS_ADRERR;
    return SIGBUS;
}

static int signal_of(unsigned vector, siginfo_t *info)
{
    info->si_code = SI_KERNEL;
    switch (vector) {
    case VECTOR_DIVIDE:
        info->si_code = FPE_INTDIV;
        return SIGFPE;
    case VECTOR_X87:
    case VECTOR_SIMD:
        info->si_code = FPE_FLTINV;
        return SIGFPE;
    case VECTOR_DEBUG:
        info->si_code = TRAP_TRACE;
        return SIGTRAP;
    case VECTOR_BREAKPOINT:
        return SIGTRAP;
    case VECTOR_INVALID:
        info->si_code = ILL_ILLOPN;
        return SIGILL;
    case VECTOR_ALIGNMENT:
        info->si_code = BUS_ADRALN;
        return SIGBUS;
    case VECTOR_STACK:
        return SIGBUS;
    default: /* overflow, bound, segments, protection */
        return SIGSEGV;
    }
}

void kernel_fault(struct kernel *kernel, unsigned vector, unsigned error,
                  uint64_t address)
{
    siginfo_t info = {.si_code = 0};
    int number;

    if (vector == VECTOR_PAGE) {
        number = page_fault(kernel, error, address, &info);
        if (number == 0)
            return;
    } else {
        number = signal_of(vector, &info);
        address = 0;
        if (info.si_code != SI_KERNEL)
            info.si_addr = (void *)(uintptr_t)kernel->cpu.regs->rip;
    }
    info.si_signo = number;
    kernel->end.vector = vector;
    kernel->end.error = error;
    kernel->end.address = address;
    signal_force(kernel, number, &info);
}
