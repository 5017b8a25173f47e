/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h - a module with a memory and a stack of its own, run by whoever
 * calls it, in its thread.
 *
 *  instance_open(&instance, &config, &err);
 *  instance_begin(instance, entry, cells);
 *  while (instance_run(instance, due_ns) == INSTANCE_PAUSED) ...
 *  instance_close(instance);
 *
 *   one stretch of addresses, taken at open:
 *   | guard | stack .................. | memory: size -> limit | windows |
 *           ^ context.limit            ^ memory->data = address 0
 *
 * A function that the module imports runs on the module's stack, which has room
 * for it, in the same thread; it may leave by instance_pause, and then run goes
 * on behind it, or by instance_end, and then the instance is of no more use.
 *
 * Memory is counted: the module's own, its tables.  Growing it makes no system
 * call; the host gives pages where they are touched.
 *
 * Threads: one at a time, but instance_stop.
 */
#ifndef SANDBOX_WASM_INSTANCE_H
#define SANDBOX_WASM_INSTANCE_H

#include "sandbox/wasm/image.h"
#include "sandbox/wasm/module.h"
#include "sandbox/wasm/watch.h"

#define INSTANCE_ADDRESSES   (1ull << 32) /* that a module can have */
#define INSTANCE_STACK_BYTES (8u << 20)   /* by default, of the module's */
#define INSTANCE_HOST_BYTES                                                    \
    (256u << 10) /* below, for functions of the host                           \
                  */

enum instance_state {
    INSTANCE_READY,  /* nothing runs: begin */
    INSTANCE_PAUSED, /* in the middle of something: run */
    INSTANCE_ENDED   /* it trapped, or instance_end: only close */
};

typedef void instance_call_fn(void *owner, uint32_t import, uint64_t *cells);

struct instance_config {
    struct module *module; /* shared */
    uint64_t memory_bytes; /* at most; whole pages of WebAssembly */
    uint64_t stack_bytes;  /* 0: the default */
    uint64_t window_bytes; /* of addresses at the end of 4 GiB; 0: none */
    struct image *image;   /* shared: it begins there; or NULL */
    instance_call_fn *call;
    void *owner; /* of call */
};

struct instance {
    struct wasm_context context; /* first: that is what artefacts have */
    struct instance_config config;
    uint8_t *mapping; /* owned */
    uint64_t mapping_bytes;
    uint8_t *memory_at;  /* in it */
    uintptr_t stack_end; /* context.limit, when nobody wants it to stop */
    void *stack_top, *here, *back; /* stacks; switch.h */
    void *state;                   /* the module's own, owned */
    struct wasm_memory *memory;    /* in state, or NULL: it has none */
    uint64_t table_bytes;
    bool met_limit; /* it was refused memory that its own maximum allows */
    struct watch watch;
    atomic_bool stopped; /* by instance_stop; until begin */

    enum instance_state doing;
    void (*code)(void *state, uint64_t *cells); /* that runs */
    uint64_t *cells;
    enum wasm_trap trap; /* how it ended, or NONE */
    const void *trapped_at;
    void *fiber; /* sanitizers keep these: fiber.h */
    const void *host_stack;
    size_t host_bytes;
};

/*
 * The module is there, with all its memory, but nothing of it has run; or, of
 * an image, it is as it was then, and READY for any call. Returns 0;
 * GBX_EMEMORY, GBX_EHOST.  close is called even then.
 */
int instance_open(struct instance *instance,
                  const struct instance_config *config, struct gbx_error *err);
void instance_close(struct instance *instance); /* idempotent; all-zero too */

/*
 * Call a function of it: cells are its arguments and then its results, borrowed
 * until it is READY again.  code NULL: what comes before any other, its data
 * and its start function.
 */
void instance_begin(struct instance *instance,
                    void (*code)(void *state, uint64_t *cells),
                    uint64_t *cells);

/* Until it is done, pauses or ends; after due_ns (0: never) it pauses soon. */
enum instance_state instance_run(struct instance *instance, uint64_t due_ns);

/* From a function of the host that the module has called. */
void instance_pause(struct instance *instance);
__attribute__((noreturn)) void instance_end(struct instance *instance);

/* The same, but it is READY: what lay on its stack is forgotten. */
__attribute__((noreturn)) void instance_leave(struct instance *instance);

/* Any thread: it pauses soon, also if it only begins to run now. */
void instance_stop(struct instance *instance);

/* Its memory, as it is now. */
static inline uint64_t instance_bytes(const struct instance *instance)
{
    return instance->memory != NULL ? instance->memory->size : 0;
}

/* "out of bounds memory access in blur", for a person. */
void instance_explain(const struct instance *instance, char *text,
                      size_t bytes);

#endif
