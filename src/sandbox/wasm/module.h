/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h - a module that is ready to have instances: an artefact, loaded.
 *
 *  module_get(&module, "filter.wasm", &how, &err);
 *  entry = module_find(module, "blur");
 *  module_put(module);
 *
 * A file of WebAssembly is compiled where it was not before (compile.h); an
 * artefact (glovebox build) is loaded as it is.  It is native code, and what
 * makes it is trusted: who loads one made by somebody else runs their program.
 * One that is loaded already is shared, whatever its file is called.
 *
 * Threads: any.  Memory: counted.
 */
#ifndef SANDBOX_WASM_MODULE_H
#define SANDBOX_WASM_MODULE_H

#include <stdatomic.h>

#include "glovebox/error.h"

#include "sandbox/wasm/artefact.h"
#include "sandbox/wasm/compile.h"
#include "sandbox/wasm/image.h"

#define MODULE_BYTES_MAX (64u << 20)
#define MODULE_IDLE_MAX  8u /* compiled ones that nobody uses stay loaded */

struct module {
    atomic_uint references;
    struct module *next; /* of all: the newest first */
    bool is_compiled;    /* by this process, and stays a while (module_put) */
    const struct wasm_artefact *artefact;
    void *handle;        /* of dlopen */
    struct image *image; /* owned: that its instances begin with, or NULL */
};

/*
 * Returns 0 and a module to put; GBX_EFILE, or as compile; GBX_ELOAD too for an
 * artefact of another build.  err says which file, and what to do.
 */
int module_get(struct module **module, const char *path,
               const struct compile_how *how, struct gbx_error *err);
struct module *module_share(struct module *module);
/* NULL is allowed.  What took long to compile may be wanted again: the last
 * MODULE_IDLE_MAX are kept. */
void module_put(struct module *module);

/* Compile a file to an artefact in another one (glovebox build); of an artefact
 * it is a copy. */
int module_build(const char *path, const char *to,
                 const struct compile_how *how, struct gbx_error *err);

/* Borrowed; NULL: it exports no such function. */
const struct wasm_export *module_find(const struct module *module,
                                      const char *name);

/* The function that has this address, for people; never NULL. */
const char *module_symbol(const struct module *module, const void *address);

#endif
