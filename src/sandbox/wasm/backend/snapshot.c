/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - templates of modules, clones of them, and wiping: an image
 * (image.h) and the module that it is of.
 *
 * Only what lies in the module's memory can be copied.  So a module with files
 * open, or with changed ones, is no template; nor is one that is in the middle
 * of a call.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "channel/region.h"
#include "sandbox/wasm/backend/wasm.h"

struct snapshot {
    atomic_uint references;
    struct module *module; /* counted */
    struct image *image;   /* the same */
};

void wasm_put(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) != 1)
        return;
    image_put(snapshot->image);
    module_put(snapshot->module);
    free(snapshot);
}

int wasm_snapshot(void *context, struct snapshot **snapshot,
                  struct gbx_error *err)
{
    struct wasm *self = context;
    struct snapshot *made;
    int rc;

    if (self->phase != WASM_SERVING || self->instance.doing != INSTANCE_READY ||
        !wasi_is_plain(self->wasi))
        return fail(err, GBX_EUNSUPPORTED,
                    "a module in the middle of something, or with files of its "
                    "own, cannot be copied");
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    atomic_store(&made->references, 1);
    made->module = module_share(self->module);
    rc = image_take(&made->image, &self->instance, err);
    if (rc < 0)
        wasm_put(made);
    else
        *snapshot = made;
    return rc;
}

int wasm_clone(void *context, const struct bundle *what,
               struct snapshot *snapshot, struct region *shared,
               struct gbx_error *err)
{
    struct wasm *self = context;

    wasm_init(self, what, shared);
    self->module = module_share(snapshot->module);
    self->image = image_share(snapshot->image);
    return wasm_make(self, what, 0, err);
}

/* Another instance, where this one began. */
int wasm_wipe(void *context, struct gbx_error *err)
{
    struct wasm *self = context;
    uint64_t count;

    instance_close(&self->instance);
    wasi_close(self->wasi);
    self->wasi = NULL;
    (void)!read(self->wake_fd, &count, sizeof(count));
    atomic_store(&self->killed, false);
    self->is_told = self->rang = self->waits = false;
    self->cpu_ns = 0;
    self->end = 0;
    if (self->image == self->module->image && region_reset(self->shared) < 0)
        return fail(err, GBX_EHOST, "empty the region");
    return wasm_fill(self, err);
}
