/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/wasm.h - WebAssembly modules: compile them, and call their
 * functions.
 *
 *  gbx_wasm_open(&module, "filter.wasm", NULL, &err);
 *  gbx_wasm_find(module, "blur", "ii:i", &blur, &err);
 *  gbx_wasm_start(&instance, module, NULL, &err);
 *
 *  memcpy(gbx_wasm_memory(instance, 4096, bytes), pixels, bytes);
 *  uint64_t cells[] = {4096, bytes};
 *  gbx_wasm_call(instance, blur, cells, deadline_ns, &err);    cells[0]: result
 *
 *  gbx_wasm_stop(instance);
 *  gbx_wasm_close(module);
 *
 * This is the lowest door: no messages, no ports.  A module that is a script
 * (it is linked with libglovebox-wasm) is run as any other, gbx_script_open;
 * one that is a program (WASI, with a main), gbx_program_open.
 *
 * A module is compiled into native code when it is opened for the first time,
 * which takes 3 s for 100 KB and needs wasm2c and gcc; with a cache_dir,
 * or by gbx_wasm_build, only then.  It runs in the calling thread, on a stack
 * of its own, in memory of its own, and is never a signal's handler's business:
 * what it must not do is looked at by its compiled code (docs/wasm.md).
 *
 * Threads: modules: any.  Instances: one thread at a time, but interrupt.
 * Memory:  what open and start return is owned by the caller.
 * Time:    deadlines are CLOCK_MONOTONIC, in nanoseconds; 0 is "never".
 * Cells:   arguments and results are 64 bits each: integers as they are, f32
 * and f64 as their bits.
 */
#ifndef GBX_WASM_H
#define GBX_WASM_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"
#include "glovebox/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_wasm;
struct gbx_wasm_instance;

/* Zero in any field means the default. */
struct gbx_wasm_config {
    size_t struct_bytes;     /* sizeof this struct: tells versions apart */
    const char *libexec_dir; /* where glovebox-wasmc is; default: installed */
    const char *cache_dir;   /* default: nothing is kept */
    gbx_progress_fn progress;
    void *progress_context;
};

/*
 * A module of WebAssembly, or an artefact of gbx_wasm_build.  An artefact is
 * native code: open those that you have made.
 * Returns 0; GBX_EFILE; GBX_ELOAD (not a module; it imports what is not there,
 * named; an artefact of another version); GBX_EUNSUPPORTED (it is to be
 * compiled, and there is no compiler); GBX_ETIME (ten minutes); GBX_EHOST.
 */
int gbx_wasm_open(struct gbx_wasm **module, const char *path,
                  const struct gbx_wasm_config *config, struct gbx_error *err);
void gbx_wasm_close(struct gbx_wasm *module); /* NULL is allowed */

/*
 * Compile a module to a file, for machines without a compiler.
 * GBX_WASM_READY: its main is run, up to where it serves, and what is then in
 * its memory is kept, too: it starts there, at once, wherever it is opened.
 * Returns as open; GBX_EEXIT, GBX_ETRAP for a main that does not get so far.
 */
#define GBX_WASM_READY 1u

int gbx_wasm_build(const char *path, const char *to, unsigned how,
                   const struct gbx_wasm_config *config, struct gbx_error *err);

/* Is it a script (GBX_WASM_SCRIPT), a program with a main, or neither? */
enum gbx_wasm_kind { GBX_WASM_LIBRARY, GBX_WASM_PROGRAM, GBX_WASM_SCRIPT };

enum gbx_wasm_kind gbx_wasm_kind(const struct gbx_wasm *module);

/*
 * An exported function, by name and type: its parameters, then its results, i
 * for i32, I for i64, f for f32, F for f64; type NULL: any.
 * Returns 0, or GBX_EARGUMENT, and err says what it has.
 */
int gbx_wasm_find(const struct gbx_wasm *module, const char *name,
                  const char *type, uint32_t *function, struct gbx_error *err);

/* Zero in any field means the default. */
struct gbx_wasm_limits {
    size_t struct_bytes;
    uint64_t memory_bytes; /* of the module; default 256 MiB, at most 4 GiB */
    uint64_t stack_bytes;  /* of its calls; default 8 MiB */
    uint64_t start_ns;     /* longest start function; default 10 s */
    gbx_output_fn output;  /* what it writes to 1 and 2; default: dropped */
    void *output_context;
};

/*
 * An instance, with what its start function did.  The module must stay open.
 * Returns 0; GBX_EMEMORY, GBX_ETRAP, GBX_ETIME, GBX_EHOST.
 */
int gbx_wasm_start(struct gbx_wasm_instance **instance, struct gbx_wasm *module,
                   const struct gbx_wasm_limits *limits, struct gbx_error *err);
void gbx_wasm_stop(struct gbx_wasm_instance *instance); /* NULL is allowed */

/*
 * cells: its arguments, and then its results: room for whichever are more.
 * Returns 0; GBX_ETRAP, GBX_EMEMORY, GBX_EEXIT (it called exit), GBX_ETIME and
 * GBX_ECANCELED, after which the instance can only be stopped, and err says why
 * and in which function; GBX_EBROKEN: it had ended before.
 */
int gbx_wasm_call(struct gbx_wasm_instance *instance, uint32_t function,
                  uint64_t *cells, uint64_t deadline_ns, struct gbx_error *err);

/* From any thread, until stop: the call that runs, or the next one, ends soon
 * with GBX_ECANCELED. */
void gbx_wasm_interrupt(struct gbx_wasm_instance *instance);

/*
 * [at, at + bytes) of its memory, which it may read and write in any call, and
 * which stays where it is when it grows.  NULL: it has not so much.
 */
void *gbx_wasm_memory(struct gbx_wasm_instance *instance, uint64_t at,
                      uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
