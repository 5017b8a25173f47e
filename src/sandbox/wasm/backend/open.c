/* SPDX-License-Identifier: Apache-2.0 */
/* open.c - a module's way in and out. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/fd.h"
#include "channel/region.h"
#include "sandbox/wasm/backend/wasm.h"

static uint64_t whole_pages(uint64_t bytes)
{
    return bytes / WASM_PAGE_BYTES * WASM_PAGE_BYTES;
}

static int open_instance(struct wasm *self, struct gbx_error *err)
{
    const uint64_t window = wasm_window_bytes(self->shared);
    struct instance_config config = {
        .module = self->module,
        .memory_bytes = whole_pages(self->what.limits.memory_bytes),
        .window_bytes = window,
        .stack_bytes = self->stack_bytes,
        .image = self->image,
        .call = wasm_call,
        .owner = self,
    };

    if (window > INSTANCE_ADDRESSES / 4 * 3)
        return fail(err, GBX_EARGUMENT,
                    "messages of %llu bytes do not fit into a module's 4 GiB "
                    "of addresses, twice; at most 1.5 GiB do",
                    (unsigned long long)self->what.limits.message_bytes);
    if (config.memory_bytes > INSTANCE_ADDRESSES - window)
        config.memory_bytes = INSTANCE_ADDRESSES - window;
    return instance_open(&self->instance, &config, err);
}

static int open_wasi(struct wasm *self, struct gbx_error *err)
{
    const struct bundle *what = &self->what;
    const struct wasi_config config = {
        .argv = what->argv,
        .envp = what->envp,
        .stdio = what->stdio,
        .output = what->output,
        .output_context = what->output_context,
        .folder = what->folder,
        .root = what->root,
        .working_dir = what->working_dir,
        .disk_bytes = what->limits.disk_bytes,
        .files_max = what->limits.files,
        .wait = wasm_wait,
        .wait_context = self,
    };

    return wasi_open(&self->wasi, &config, err);
}

/* Without parameters and results; or NULL. */
static const struct wasm_export *find(const struct wasm *self, const char *name)
{
    const struct wasm_export *export = module_find(self->module, name);

    return export != NULL && strcmp(export->type, ":") == 0 ? export : NULL;
}

/* A command has a _start; a guest program (guest/lib/wasm.c) can be called
 * again. */
static int find_exports(struct wasm *self, const struct bundle *what,
                        struct gbx_error *err)
{
    self->start = find(self, "glovebox_main");
    if (self->shared != NULL &&
        (self->start == NULL || find(self, "glovebox_turn") == NULL))
        return fail(err, GBX_ELOAD,
                    "%s: a module that takes no messages: link it with "
                    "libglovebox-wasm, or run it as a program",
                    what->program);
    if (self->shared == NULL)
        self->start = find(self, "_start");
    if (self->start == NULL)
        return fail(err, GBX_ELOAD,
                    "%s: it has no function _start: build it as a command, "
                    "with a main",
                    what->program);
    return 0;
}

void wasm_init(struct wasm *self, const struct bundle *what,
               struct region *shared)
{
    *self = (struct wasm){
        .shared = shared, .what = {.program = what->program}, .wake_fd = -1};
}

/* What it may do afterwards is what it could when it began. */
int wasm_fill(struct wasm *self, struct gbx_error *err)
{
    int rc;

    self->phase = self->image != NULL ? WASM_SERVING : WASM_NEW;
    if ((rc = open_instance(self, err)) < 0 || (rc = wasm_map(self, err)) < 0)
        return rc;
    return open_wasi(self, err);
}

int wasm_make(struct wasm *self, const struct bundle *what,
              uint64_t stack_bytes, struct gbx_error *err)
{
    struct gbx_error why;
    int rc;

    self->stack_bytes = stack_bytes;
    self->initialize = find(self, "_initialize");
    self->turn = find(self, "glovebox_turn");
    if (self->image == NULL)
        self->image = image_share(self->module->image);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return fail(err, GBX_EHOST, "an eventfd");
    if ((rc = wasm_keep(self, what, err)) < 0)
        return rc;
    if ((rc = wasm_join(self, &why)) < 0)
        return fail(err, rc, "%s: %s", what->program, why.what);
    return wasm_fill(self, err);
}

int wasm_open(void *context, const struct bundle *what, struct region *shared,
              struct gbx_error *err)
{
    struct wasm *self = context;
    const struct compile_how how = {
        .libexec_dir = what->libexec_dir,
        .cache_fd = what->cache_fd > 0 ? what->cache_fd : -1,
        .progress = what->progress,
        .progress_context = what->progress_context};
    int rc;

    wasm_init(self, what, shared);
    if ((rc = bundle_check(what, err)) < 0 ||
        (rc = module_get(&self->module, what->program, &how, err)) < 0 ||
        (rc = find_exports(self, what, err)) < 0)
        return rc;
    return wasm_make(self, what, 0, err);
}

int wasm_begin(struct wasm *self, struct module *module,
               const struct bundle *what, uint64_t stack_bytes,
               struct gbx_error *err)
{
    wasm_init(self, what, NULL);
    self->module = module_share(module);
    return wasm_make(self, what, stack_bytes, err);
}

void wasm_close(void *context)
{
    struct wasm *self = context;

    instance_close(&self->instance);
    wasi_close(self->wasi);
    module_put(self->module);
    image_put(self->image);
    free(self->imports);
    free(self->kept);
    self->wasi = NULL;
    self->module = NULL;
    self->image = NULL;
    self->imports = NULL;
    self->kept = NULL;
    close_fd(&self->wake_fd);
}

int wasm_stand(struct wasm *self, const struct bundle *what, uint64_t until_ns,
               struct gbx_error *err)
{
    const struct compile_how how = {.cache_fd = -1};
    int rc;

    wasm_init(self, what, NULL);
    if ((rc = module_get(&self->module, what->program, &how, err)) < 0)
        return rc;
    self->start = find(self, "glovebox_main");
    if (self->start == NULL || find(self, "glovebox_turn") == NULL)
        return fail(err, GBX_ELOAD,
                    "%s: no script: only what is linked with libglovebox-wasm "
                    "can be made ready",
                    what->program);
    if (self->module->image != NULL)
        return fail(err, GBX_ELOAD, "%s: it is ready", what->program);
    if ((rc = wasm_make(self, what, 0, err)) < 0)
        return rc;
    return wasm_run_to_park(self, until_ns, err);
}
