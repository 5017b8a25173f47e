/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artefact.h - what a compiled module (.gbx) and its host know of each other.
 *
 * An artefact is an ELF shared object that exports one symbol, glovebox_module,
 * and needs the C library's mathematics, nothing else.  It keeps no state: all
 * of an instance lies in memory that the host gives it, so one artefact serves
 * any number of instances in any number of threads.
 *
 *     host                                artefact
 *  context.call  <--- an import is called ---  the module's functions
 *  context.trap  <--- it may not go on ------
 *                ---- entry->call(instance, cells) --->
 *
 * While an artefact's code runs, register r15 holds the instance's context: all
 * its functions are compiled with it set aside (-ffixed-r15), and C keeps it
 * across calls.  Arguments and results that cross lie in cells of 64 bits:
 * integers as they are, f32 and f64 as their bits.
 *
 * This file is also part of each artefact's source (compiler/), so it stands
 * alone.  A change here is another WASM_ARTEFACT_VERSION: artefacts of others
 * are refused, and made anew from the cache's point of view.
 */
#ifndef SANDBOX_WASM_ARTEFACT_H
#define SANDBOX_WASM_ARTEFACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WASM_ARTEFACT_MAGIC   0x31656c75646f6d67ull /* "gmodule1" */
#define WASM_ARTEFACT_VERSION 1u
#define WASM_ARTEFACT_SYMBOL  "glovebox_module"

#define WASM_PAGE_BYTES 65536u
#define WASM_PAGES_MAX  65536u

/* The deepest frame that the compiler lets a function have. */
#define WASM_FRAME_BYTES 65536u

#define WASM_CELLS_MAX 1024u /* of one call; wasm2c's modules have fewer */

enum wasm_trap {
    WASM_TRAP_NONE,
    WASM_TRAP_BOUNDS,
    WASM_TRAP_OVERFLOW,
    WASM_TRAP_DIVISION,
    WASM_TRAP_CONVERSION,
    WASM_TRAP_UNREACHABLE,
    WASM_TRAP_INDIRECT,
    WASM_TRAP_EXCEPTION,
    WASM_TRAP_STACK,
    WASM_TRAP_MEMORY /* no memory for what the module begins with */
};

struct wasm_memory {
    uint8_t *data; /* stays where it is while it grows */
    uint64_t size; /* bytes */
    uint32_t pages, max_pages;
};

/* A part of the region, as addresses of the module; bytes 0: there is none. */
struct wasm_window {
    uint64_t at, bytes;
};

struct wasm_context {
    /*
     * Below this the stack may not grow.  It is looked at where a function
     * begins and in each round of each loop, so with all ones in it, pause is
     * called soon: that is how an endless loop is stopped, without a signal.
     */
    volatile uintptr_t limit;
    struct wasm_window readable; /* all of the region */
    struct wasm_window writable; /* what exists of the guest's half */

    void (*call)(struct wasm_context *context, uint32_t import,
                 uint64_t *cells);
    /* May return, and then the module goes on.  from: where in the artefact. */
    void (*pause)(struct wasm_context *context, const void *from);
    /* Never returns. */
    void (*trap)(struct wasm_context *context, enum wasm_trap trap,
                 const void *from);
    /* The module's memory, as it begins: bytes become zero, or what a snapshot
     * held (is_restored). */
    void (*memory)(struct wasm_context *context, struct wasm_memory *memory,
                   uint32_t pages, uint32_t max_pages);
    /* As memory.grow: the pages before, or all ones. */
    uint32_t (*grow)(struct wasm_context *context, struct wasm_memory *memory,
                     uint32_t pages);
    void *(*allocate)(struct wasm_context *context, size_t bytes); /* zeroed */
    void (*release)(struct wasm_context *context, void *memory);
    bool is_restored; /* data segments are there already */
};

struct wasm_import {
    const char *module, *name;
    const char *type; /* "iIfF:i": parameters, results; i32 i64 f32 f64 */
};

struct wasm_export {
    const char *name;
    const char *type; /* as above; "" where it has what no cell can hold */
    void (*call)(void *instance, uint64_t *cells);
};

struct wasm_symbol {
    const void *address;
    const char *name;
};

struct wasm_artefact {
    uint64_t magic;
    uint32_t version;
    uint32_t host_bytes; /* sizeof(struct wasm_context) */

    const uint8_t *module; /* what it was compiled from */
    uint64_t module_bytes;

    uint64_t instance_bytes;
    uint32_t import_count, export_count, symbol_count, global_count;
    const struct wasm_import *imports;
    const struct wasm_export *exports;
    const struct wasm_symbol *symbols; /* of functions, in no order */

    /* Once, before the first instance. */
    void (*prepare)(void);
    /* Called as exports are, with cells that they do not look at. */
    void (*instantiate)(void *instance, uint64_t *cells);
    void (*free)(void *instance, uint64_t *cells);
    struct wasm_memory *(*memory)(void *instance); /* or NULL: it has none */

    /* What an instance is beside its memory.  can_save: false where it may
     * change its tables, or has globals that no cell can hold. */
    bool can_save;
    void (*save)(void *instance, uint64_t *globals);
    void (*restore)(void *instance, const uint64_t *globals);
};

#endif
