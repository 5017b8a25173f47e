/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imports.c - what a module may import: WASI preview 1, and from "glovebox" the
 * four functions of guest/lib/wasm.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "sandbox/wasm/backend/wasm.h"

/* ---- glovebox ---- */

static void region(struct wasm *self, uint64_t *cells)
{
    cells[0] = self->shared != NULL ? self->window_at : 0;
}

static void ring(struct wasm *self, uint64_t *cells)
{
    (void)cells;
    self->rang = true;
}

static void wait_for_host(struct wasm *self, uint64_t *cells)
{
    self->waits = true;
    self->waits_until_ns = cells[0];
    instance_pause(&self->instance);
}

static void park(struct wasm *self, uint64_t *cells)
{
    (void)cells;
    if (self->turn == NULL) { /* nothing of it could be called again */
        self->end = GBX_EBROKEN;
        instance_end(&self->instance);
    }
    self->phase = WASM_SERVING;
    instance_leave(&self->instance);
}

static const struct own {
    const char *name, *type;
    void (*call)(struct wasm *self, uint64_t *cells);
} owns[] = {
    {"region", ":i", region},
    {"ring", ":", ring},
    {"wait", "I:", wait_for_host},
    {"park", ":", park},
};

/* ---- joining ---- */

static int join_own(struct wasm_bound *bound, const struct wasm_import *import)
{
    for (size_t i = 0; i < sizeof(owns) / sizeof(owns[0]); i++)
        if (strcmp(owns[i].name, import->name) == 0) {
            bound->own = owns[i].call;
            return strcmp(owns[i].type, import->type);
        }
    return -1;
}

/* Their only result is the errno; proc_exit has none. */
static int join_wasi(struct wasm_bound *bound, const struct wasm_import *import)
{
    size_t parameters = strcspn(import->type, ":");

    bound->wasi = wasi_find(import->name);
    if (bound->wasi == NULL)
        return -1;
    return strlen(bound->wasi->parameters) != parameters ||
           memcmp(bound->wasi->parameters, import->type, parameters) != 0 ||
           strcmp(import->type + parameters,
                  strcmp(import->name, "proc_exit") == 0 ? ":" : ":i") != 0;
}

/* A name of the module's, for people. */
static const char *plain(char to[64], const char *name)
{
    size_t i;

    for (i = 0; name[i] != '\0' && i < 63; i++)
        to[i] = name[i] >= ' ' && name[i] < 127 ? name[i] : '.';
    to[i] = '\0';
    return to;
}

static int refuse(const struct wasm_import *import, bool is_known,
                  struct gbx_error *err)
{
    char module[64], name[64], type[64];

    if (is_known)
        return fail(err, GBX_ELOAD,
                    "it imports %s.%s as a function of another type (%s)",
                    plain(module, import->module), plain(name, import->name),
                    plain(type, import->type));
    return fail(err, GBX_ELOAD,
                "it imports the function %s.%s, which is not there: modules "
                "get WASI preview 1 (wasi_snapshot_preview1), and what "
                "libglovebox-wasm imports",
                plain(module, import->module), plain(name, import->name));
}

int wasm_join(struct wasm *self, struct gbx_error *err)
{
    const struct wasm_artefact *artefact = self->module->artefact;

    self->imports = calloc(artefact->import_count + 1, sizeof(*self->imports));
    if (self->imports == NULL)
        return fail(err, GBX_EHOST, "no memory for a module's imports");
    for (uint32_t i = 0; i < artefact->import_count; i++) {
        const struct wasm_import *import = &artefact->imports[i];
        struct wasm_bound *bound = &self->imports[i];
        int rc = -1;

        if (strcmp(import->module, "wasi_snapshot_preview1") == 0)
            rc = join_wasi(bound, import);
        else if (strcmp(import->module, "glovebox") == 0)
            rc = join_own(bound, import);
        if (rc != 0)
            return refuse(import,
                          rc > 0 || bound->wasi != NULL || bound->own != NULL,
                          err);
    }
    return 0;
}

void wasm_call(void *context, uint32_t import, uint64_t *cells)
{
    struct wasm *self = context;
    const struct wasm_bound *bound = &self->imports[import];
    const struct wasi_memory memory = {.data = self->instance.memory_at,
                                       .bytes =
                                           instance_bytes(&self->instance)};

    if (bound->wasi == NULL) {
        bound->own(self, cells);
        return;
    }
    cells[0] = bound->wasi->call(self->wasi, &memory, cells);
    self->end = wasi_ended(self->wasi);
    if (self->end != 0)
        instance_end(&self->instance);
}
