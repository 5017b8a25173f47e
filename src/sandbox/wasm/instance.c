/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.c - memory, stack, and the way in and out.
 *
 * Nothing that a module does can be a fault of the processor's: each access is
 * compared with the memory's size, each function looks at the stack's end, and
 * division is checked.  So no signal handler is needed, and none is touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/wasm/fiber.h"
#include "sandbox/wasm/instance.h"
#include "sandbox/wasm/switch.h"

#define GUARD_BYTES 4096u

static struct instance *of(struct wasm_context *context)
{
    return (struct instance *)context;
}

/* ---- what artefacts call ---- */

static void call(struct wasm_context *context, uint32_t import, uint64_t *cells)
{
    of(context)->config.call(of(context)->config.owner, import, cells);
}

static void trap(struct wasm_context *context, enum wasm_trap why,
                 const void *from)
{
    of(context)->trap = why;
    of(context)->trapped_at = from;
    instance_end(of(context));
}

static void pause_it(struct wasm_context *context, const void *from)
{
    struct instance *instance = of(context);

    if ((uintptr_t)__builtin_frame_address(0) < instance->stack_end)
        trap(context, WASM_TRAP_STACK, from);
    instance_pause(instance);
}

static uint64_t pages_max(const struct instance *instance)
{
    return instance->config.memory_bytes / WASM_PAGE_BYTES;
}

static void take_memory(struct wasm_context *context,
                        struct wasm_memory *memory, uint32_t pages,
                        uint32_t max_pages)
{
    struct instance *instance = of(context);

    if (instance->config.image != NULL)
        pages = instance->config.image->pages;
    if (instance->memory != memory || pages > pages_max(instance))
        trap(context, WASM_TRAP_MEMORY, NULL);
    *memory = (struct wasm_memory){.data = instance->memory_at,
                                   .pages = pages,
                                   .max_pages = max_pages,
                                   .size = (uint64_t)pages * WASM_PAGE_BYTES};
}

static uint32_t grow(struct wasm_context *context, struct wasm_memory *memory,
                     uint32_t pages)
{
    uint64_t after = (uint64_t)memory->pages + pages;
    uint32_t before = memory->pages;

    if (after > memory->max_pages)
        return UINT32_MAX;
    if (after > pages_max(of(context))) {
        of(context)->met_limit = true;
        return UINT32_MAX;
    }
    memory->pages = (uint32_t)after;
    memory->size = after * WASM_PAGE_BYTES;
    return before;
}

/* Each block knows its length, so that it can be counted off again. */
static void *allocate(struct wasm_context *context, size_t bytes)
{
    struct instance *instance = of(context);
    uint64_t *block;

    if (bytes > instance->config.memory_bytes - instance->table_bytes)
        return NULL;
    block = calloc(1, bytes + 16);
    if (block == NULL)
        return NULL;
    instance->table_bytes += bytes;
    *block = bytes;
    return block + 2;
}

static void release(struct wasm_context *context, void *memory)
{
    uint64_t *block = memory;

    if (block == NULL)
        return;
    of(context)->table_bytes -= block[-2];
    free(block - 2);
}

/* ---- open and close ---- */

static int map(struct instance *instance)
{
    const uint64_t stack = GUARD_BYTES + INSTANCE_HOST_BYTES +
                           WASM_FRAME_BYTES + instance->config.stack_bytes;
    const uint64_t memory = instance->config.window_bytes != 0
                                ? INSTANCE_ADDRESSES + GUARD_BYTES
                                : instance->config.memory_bytes;

    instance->mapping_bytes = stack + memory;
    instance->mapping =
        mmap(NULL, instance->mapping_bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (instance->mapping == MAP_FAILED) {
        instance->mapping = NULL;
        return -1;
    }
    instance->memory_at = instance->mapping + stack;
    instance->stack_top = instance->memory_at;
    instance->stack_end = (uintptr_t)instance->mapping + GUARD_BYTES +
                          INSTANCE_HOST_BYTES + WASM_FRAME_BYTES;
    return mprotect(instance->mapping, GUARD_BYTES, PROT_NONE);
}

/* What the image's owner wrote is there; tables are filled once more.  Nothing
 * of the module's own runs. */
static int restore(struct instance *instance, struct gbx_error *err)
{
    const struct image *image = instance->config.image;
    const uint64_t bytes = (uint64_t)image->pages * WASM_PAGE_BYTES;

    if (bytes > instance->config.memory_bytes)
        return fail(err, GBX_EMEMORY,
                    "it begins with %llu MiB of memory, and may have %llu",
                    (unsigned long long)bytes >> 20,
                    (unsigned long long)instance->config.memory_bytes >> 20);
    if (mmap(instance->memory_at, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, image->fd,
             (off_t)image->off) == MAP_FAILED)
        return fail(err, GBX_EHOST, "map a module's image");
    instance->context.is_restored = true;
    instance_begin(instance, NULL, NULL);
    if (instance_run(instance, 0) != INSTANCE_READY)
        return fail(err, GBX_EMEMORY, "its tables do not fit into its memory");
    instance->config.module->artefact->restore(instance->state, image->globals);
    return 0;
}

int instance_open(struct instance *instance,
                  const struct instance_config *config, struct gbx_error *err)
{
    const struct wasm_artefact *artefact = config->module->artefact;

    *instance = (struct instance){.config = *config};
    if (instance->config.stack_bytes == 0)
        instance->config.stack_bytes = INSTANCE_STACK_BYTES;
    must(config->memory_bytes % WASM_PAGE_BYTES == 0 &&
         config->memory_bytes + config->window_bytes <= INSTANCE_ADDRESSES);
    module_share(config->module);
    image_share(config->image);
    if (map(instance) < 0)
        return fail(err, GBX_EHOST, "addresses for a module's memory");
    instance->state = calloc(1, artefact->instance_bytes + 1);
    if (instance->state == NULL)
        return fail(err, GBX_EHOST, "no memory for a module");
    if (artefact->memory != NULL)
        instance->memory = artefact->memory(instance->state);
    instance->context = (struct wasm_context){.limit = instance->stack_end,
                                              .call = call,
                                              .pause = pause_it,
                                              .trap = trap,
                                              .memory = take_memory,
                                              .grow = grow,
                                              .allocate = allocate,
                                              .release = release};
    if (watch_add(&instance->watch, &instance->context) < 0)
        return fail(err, GBX_EHOST, "a thread that watches modules");
    return config->image != NULL ? restore(instance, err) : 0;
}

void instance_close(struct instance *instance)
{
    watch_remove(&instance->watch);
    fiber_forget(instance);
    if (instance->state != NULL) {
        /* It only frees tables, through release. */
        switch_call(instance->config.module->artefact->free, instance->state,
                    NULL, &instance->context);
        free(instance->state);
    }
    if (instance->mapping != NULL) {
        fiber_clean(instance);
        munmap(instance->mapping, instance->mapping_bytes);
    }
    module_put(instance->config.module);
    image_put(instance->config.image);
    *instance = (struct instance){0};
}

/* ---- run ---- */

/* On the module's stack, the first and the last function. */
static void live(void *context)
{
    struct instance *instance = context;

    fiber_arrive(instance);
    for (;;) {
        switch_call(instance->code, instance->state, instance->cells,
                    &instance->context);
        instance->doing = INSTANCE_READY;
        fiber_leave(instance);
        switch_to(&instance->here, instance->back);
        fiber_arrive(instance);
    }
}

void instance_begin(struct instance *instance,
                    void (*code)(void *state, uint64_t *cells), uint64_t *cells)
{
    must(instance->doing == INSTANCE_READY);
    instance->code =
        code != NULL ? code : instance->config.module->artefact->instantiate;
    instance->cells = cells;
    instance->doing = INSTANCE_PAUSED;
    if (instance->here == NULL) {
        fiber_clean(instance);
        instance->here = switch_make(instance->stack_top, live, instance);
    }
}

enum instance_state instance_run(struct instance *instance, uint64_t due_ns)
{
    must(instance->doing == INSTANCE_PAUSED);
    watch_limit(&instance->context, instance->stack_end);
    if (due_ns != 0)
        watch_start(&instance->watch, due_ns);
    if (atomic_load(&instance->stopped))
        watch_limit(&instance->context, UINTPTR_MAX);
    fiber_go(instance);
    switch_to(&instance->back, instance->here);
    fiber_back(instance);
    if (due_ns != 0)
        watch_stop(&instance->watch);
    return instance->doing;
}

void instance_pause(struct instance *instance)
{
    fiber_leave(instance);
    switch_to(&instance->here, instance->back);
    fiber_arrive(instance);
}

void instance_end(struct instance *instance)
{
    instance->doing = INSTANCE_ENDED;
    fiber_leave(instance);
    switch_to(&instance->here, instance->back);
    abort(); /* nobody runs what has ended */
}

void instance_leave(struct instance *instance)
{
    void *forgotten;

    instance->doing = INSTANCE_READY;
    instance->here = NULL;
    fiber_leave(instance);
    switch_to(&forgotten, instance->back);
    abort();
}

void instance_stop(struct instance *instance)
{
    atomic_store(&instance->stopped, true);
    watch_limit(&instance->context, UINTPTR_MAX);
}

/* The specification's words, which tests of others know. */
static const char *trap_text(enum wasm_trap why)
{
    switch (why) {
    case WASM_TRAP_NONE:
        return "ended";
    case WASM_TRAP_BOUNDS:
        return "out of bounds memory access";
    case WASM_TRAP_OVERFLOW:
        return "integer overflow";
    case WASM_TRAP_DIVISION:
        return "integer divide by zero";
    case WASM_TRAP_CONVERSION:
        return "invalid conversion to integer";
    case WASM_TRAP_UNREACHABLE:
        return "unreachable";
    case WASM_TRAP_INDIRECT:
        return "indirect call of a function that is not there, or of another "
               "type";
    case WASM_TRAP_EXCEPTION:
        return "uncaught exception";
    case WASM_TRAP_STACK:
        return "call stack exhausted";
    case WASM_TRAP_MEMORY:
        return "more memory at its start than it may have";
    }
    return "unknown trap";
}

void instance_explain(const struct instance *instance, char *text, size_t bytes)
{
    if (instance->trapped_at == NULL)
        snprintf(text, bytes, "%s", trap_text(instance->trap));
    else
        snprintf(text, bytes, "%s, in %s", trap_text(instance->trap),
                 module_symbol(instance->config.module, instance->trapped_at));
}
