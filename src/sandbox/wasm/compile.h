/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - a module becomes an artefact, by glovebox-wasmc in a process of
 * its own, and is kept under the hash of what it was made from.
 *
 *  fd = compile(path, module, bytes, &how, &err);        takes 3 s for 100 KB
 *
 * Nothing is trusted of what is found in the cache but that its owner wrote it:
 * it is this user's folder (runtime/cache/).  Whether it was made from this
 * module, the caller compares (module.c).
 *
 * Threads: any.  Memory: nothing is kept.
 */
#ifndef SANDBOX_WASM_COMPILE_H
#define SANDBOX_WASM_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include "glovebox/runtime.h"

struct compile_how {
    const char *libexec_dir;  /* where glovebox-wasmc is */
    int cache_fd;             /* of a folder, or -1: nothing is kept */
    gbx_progress_fn progress; /* or NULL */
    void *progress_context;
};

/* What was kept before; -1: nothing. */
int compile_find(const uint8_t *module, size_t bytes,
                 const struct compile_how *how);

/*
 * path: for progress.  Returns a descriptor of the artefact, to be closed;
 * GBX_ELOAD (not a module, or one that cannot be compiled), GBX_EUNSUPPORTED
 * (no compiler here; err says what to do), GBX_ETIME, GBX_EHOST.
 */
int compile(const char *path, const uint8_t *module, size_t bytes,
            const struct compile_how *how, struct gbx_error *err);

/* An artefact into another file.  Returns 0, or -1 and errno. */
int compile_write(int to, int from);

/* A copy in memory: where files may not be executed.  -1: there can be none. */
int compile_copy(int fd);

#endif
