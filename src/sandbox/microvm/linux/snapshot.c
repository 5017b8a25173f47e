/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/linux/proc.h"
#include "sandbox/microvm/linux/snapshot.h"

#define PID_FIRST 1000000
#define PID_COUNT 3000000u

/* What is not in the heap: nothing of it is kept. */
static void unbind(void *image, const struct heap *heap)
{
    char *base = (char *)image;
    const struct kernel *kernel = heap->root;
    struct kernel *copy = (void *)(base + heap_place(kernel));

    copy->cpu = (struct kernel_cpu){.xsave_bytes = kernel->cpu.xsave_bytes};
    copy->trace = NULL;
    copy->trace_context = copy->owner = NULL;
    space_unbind(&copy->space);
    tree_unbind((void *)(base + heap_place(kernel->tree)));
}

int kernel_freeze_saved(struct kernel_snapshot *snapshot, struct kernel *kernel,
                        struct gbx_error *err)
{
    *snapshot = (struct kernel_snapshot){
        .heap_bytes = heap_bytes(kernel->heap),
        .now_ns = waker_now_ns(&kernel->waker, CLOCK_MONOTONIC)};
    snapshot->heap = malloc(snapshot->heap_bytes);
    if (snapshot->heap == NULL ||
        handles_share(&snapshot->handles, tree_handles(kernel->tree)) < 0) {
        kernel_snapshot_fini(snapshot);
        return fail(err, GBX_EHOST, "no memory for a template");
    }
    heap_freeze(kernel->heap, snapshot->heap);
    unbind(snapshot->heap, kernel->heap);
    return 0;
}

int kernel_freeze(struct kernel_snapshot *snapshot, struct kernel *kernel,
                  struct gbx_error *err)
{
    struct kernel_cpu *cpu = &kernel->cpu;

    *snapshot = (struct kernel_snapshot){0};
    if (kernel->current != NULL &&
        cpu->save(cpu->context, &kernel->current->state) < 0)
        return fail(err, GBX_EHOST, "KVM does not tell a guest's registers");
    return kernel_freeze_saved(snapshot, kernel, err);
}

/* Moments of the host's clock, as far away as they were. */
static void shift(struct kernel *kernel, uint64_t by_ns)
{
    for (uint32_t i = 0; i < kernel->tasks_max; i++) {
        struct task *task = kernel->tasks[i];

        if (task != NULL && task->wait.until_ns != 0)
            task->wait.until_ns += by_ns;
        if (task != NULL && task->wait.wake_ns != 0)
            task->wait.wake_ns += by_ns;
    }
    if (kernel->signals.alarm_ns != 0)
        kernel->signals.alarm_ns += by_ns;
    kernel->started_ns += by_ns;
    event_sets_stir(kernel->sets);
    kernel->stirred = true;
}

static void bind_to(struct kernel *kernel, const struct kernel_config *config)
{
    kernel->cpu = config->cpu;
    kernel->trace = config->trace;
    kernel->trace_context = config->trace_context;
    space_bind(&kernel->space, config->memory, config->frames_at,
               config->frames_bytes);
    tree_bind(kernel->tree, config->handles, config->seen);
}

/*
 * A copy has a number of its own, as a child of fork() has: libraries that keep
 * something which must not be the same twice look whether it changed.  It lies
 * far above those of threads, which stay: they are in their locks.
 */
static int rename_it(struct kernel *kernel)
{
    const int was = kernel->pid;
    uint32_t drawn;

    do {
        if (getrandom(&drawn, sizeof(drawn), 0) != sizeof(drawn))
            return -EIO;
        kernel->pid = PID_FIRST + (int)(drawn % PID_COUNT);
    } while (kernel->pid == was);
    return proc_add_pid(kernel);
}

static int thaw(struct kernel **kernel, const struct kernel_snapshot *snapshot,
                const struct kernel_config *config, struct gbx_error *err)
{
    struct heap *heap = *kernel != NULL ? (*kernel)->heap : heap_open();

    if (heap == NULL)
        return fail(err, GBX_EHOST, "no addresses for a guest's kernel");
    if (handles_share(config->handles, &snapshot->handles) < 0 ||
        heap_thaw(heap, snapshot->heap, snapshot->heap_bytes) < 0) {
        heap_close(heap);
        *kernel = NULL;
        return fail(err, GBX_EHOST, "no memory for a copy of a guest");
    }
    *kernel = heap->root;
    bind_to(*kernel, config);
    return 0;
}

int kernel_thaw_same(struct kernel **kernel,
                     const struct kernel_snapshot *snapshot,
                     const struct kernel_config *config, struct gbx_error *err)
{
    int rc = thaw(kernel, snapshot, config, err);

    if (rc == 0)
        shift(*kernel, 0);
    return rc;
}

int kernel_thaw(struct kernel **kernel, const struct kernel_snapshot *snapshot,
                const struct kernel_config *config, struct gbx_error *err)
{
    uint64_t behind;
    int rc = thaw(kernel, snapshot, config, err);

    if (rc < 0)
        return rc;
    behind = clock_now_ns() - snapshot->now_ns;
    shift(*kernel, behind - (uint64_t)(*kernel)->waker.behind_ns);
    (*kernel)->waker.behind_ns = (int64_t)behind;
    if (rename_it(*kernel) < 0) {
        heap_close((*kernel)->heap);
        *kernel = NULL;
        return fail(err, GBX_EHOST, "no number for a copy of a guest");
    }
    return 0;
}

int kernel_load(struct kernel *kernel, struct gbx_error *err)
{
    const struct kernel_cpu *cpu = &kernel->cpu;

    if (kernel->current == NULL ||
        cpu->load(cpu->context, &kernel->current->state) == 0)
        return 0;
    return fail(err, GBX_EHOST, "KVM refuses a guest's registers");
}

void kernel_snapshot_fini(struct kernel_snapshot *snapshot)
{
    free(snapshot->heap);
    handles_fini(&snapshot->handles);
    *snapshot = (struct kernel_snapshot){0};
}

void kernel_snapshot_save(const struct kernel_snapshot *snapshot,
                          struct bytes_out *out)
{
    bytes_put_number(out, snapshot->now_ns);
    bytes_put_block(out, snapshot->heap, snapshot->heap_bytes);
    handles_save(&snapshot->handles, out);
}

bool kernel_snapshot_load(struct kernel_snapshot *snapshot, struct bytes_in *in)
{
    uint64_t now_ns = bytes_take_number(in);
    size_t bytes;
    const void *heap = bytes_take_block(in, &bytes);

    *snapshot = (struct kernel_snapshot){.heap_bytes = bytes, .now_ns = now_ns};
    if (in->failed)
        return false;
    snapshot->heap = malloc(bytes + 1);
    if (snapshot->heap != NULL)
        memcpy(snapshot->heap, heap, bytes);
    if (snapshot->heap != NULL && handles_load(&snapshot->handles, in))
        return true;
    kernel_snapshot_fini(snapshot);
    return false;
}
