/* SPDX-License-Identifier: Apache-2.0 */
/* wasm.c - modules without messages: glovebox/wasm.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "glovebox/wasm.h"
#include "runtime/cache/files.h"
#include "runtime/runtime.h"
#include "sandbox/wasm/backend/wasm.h"

#define BUILD_START_NS 60000000000ull
#define MEMORY_BYTES   (256ull << 20)
#define BUILD_BYTES    (1ull << 30)
struct gbx_wasm {
    struct module *module; /* counted */
};

struct gbx_wasm_instance {
    struct wasm self;
    gbx_output_fn output;
    void *output_context;
    bool is_over; /* a call did not return */
};

/* ---- modules ---- */

static int settle(struct compile_how *how, int *cache_fd,
                  const struct gbx_wasm_config *config, struct gbx_error *err)
{
    int rc;

    *how = (struct compile_how){.libexec_dir = runtime_find_libexec(NULL),
                                .cache_fd = -1};
    if (config == NULL)
        return 0;
    rc = error_check_bytes("gbx_wasm_config", config->struct_bytes,
                           sizeof(*config), err);
    if (rc < 0)
        return rc;
    how->libexec_dir = runtime_find_libexec(config->libexec_dir);
    how->progress = config->progress;
    how->progress_context = config->progress_context;
    if (config->cache_dir == NULL)
        return 0;
    *cache_fd = how->cache_fd = files_open(config->cache_dir, true, err);
    return *cache_fd < 0 ? *cache_fd : 0;
}

int gbx_wasm_open(struct gbx_wasm **module, const char *path,
                  const struct gbx_wasm_config *config, struct gbx_error *err)
{
    struct gbx_wasm *made = calloc(1, sizeof(*made));
    auto_fd int cache_fd = -1;
    struct compile_how how;
    int rc;

    *module = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a module");
    if ((rc = settle(&how, &cache_fd, config, err)) < 0 ||
        (rc = module_get(&made->module, path, &how, err)) < 0) {
        free(made);
        return rc;
    }
    *module = made;
    return 0;
}

void gbx_wasm_close(struct gbx_wasm *module)
{
    if (module == NULL)
        return;
    module_put(module->module);
    free(module);
}

/* What a module complained of, as a part of a line. */
struct complaint {
    char text[120];
    size_t bytes;
};

static int hear(void *context, int stream, const void *text, size_t bytes)
{
    struct complaint *complaint = context;
    const char *from = text;

    for (size_t i = 0; stream == 2 && i < bytes &&
                       complaint->bytes < sizeof(complaint->text) - 1;
         i++)
        complaint->text[complaint->bytes++] =
            from[i] >= ' ' && from[i] < 127 ? from[i] : ' ';
    return 0;
}

/* Up to where it serves, and its memory behind the artefact. */
static int make_ready(const char *path, struct gbx_error *err)
{
    static const char *const none[] = {NULL};
    struct complaint complaint = {.bytes = 0};
    const struct bundle what = {.program = path,
                                .argv = none,
                                .envp = none,
                                .output = hear,
                                .output_context = &complaint,
                                .limits = {.memory_bytes = BUILD_BYTES}};
    const uint64_t until_ns = clock_now_ns() + BUILD_START_NS;
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    struct image *image = NULL;
    struct wasm self;
    int rc = fd < 0
                 ? fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno))
                 : wasm_stand(&self, &what, until_ns, err);

    if (fd < 0)
        return rc;
    if (rc < 0 && err != NULL && complaint.bytes > 0) {
        struct gbx_error why = *err;

        fail(err, rc, "%s: %s", why.what, complaint.text);
    }
    if (rc == 0)
        rc = image_take(&image, &self.instance, err);
    if (rc == 0 && image_append(image, fd) < 0)
        rc = fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    image_put(image);
    wasm_close(&self);
    return rc;
}

int gbx_wasm_build(const char *path, const char *to, unsigned how,
                   const struct gbx_wasm_config *config, struct gbx_error *err)
{
    auto_fd int cache_fd = -1;
    struct compile_how with;
    int rc;

    if ((how & ~GBX_WASM_READY) != 0)
        return fail(err, GBX_EARGUMENT, "no build of number %u", how);
    if ((rc = settle(&with, &cache_fd, config, err)) < 0 ||
        (rc = module_build(path, to, &with, err)) < 0)
        return rc;
    if (how & GBX_WASM_READY)
        rc = make_ready(to, err);
    if (rc < 0)
        unlink(to);
    return rc;
}

enum gbx_wasm_kind gbx_wasm_kind(const struct gbx_wasm *module)
{
    if (module_find(module->module, "glovebox_turn") != NULL)
        return GBX_WASM_SCRIPT;
    return module_find(module->module, "_start") != NULL ? GBX_WASM_PROGRAM
                                                         : GBX_WASM_LIBRARY;
}

int gbx_wasm_find(const struct gbx_wasm *module, const char *name,
                  const char *type, uint32_t *function, struct gbx_error *err)
{
    const struct wasm_export *export = module_find(module->module, name);

    if (export == NULL)
        return fail(err, GBX_EARGUMENT, "the module exports no function %s",
                    name);
    if (export->call == NULL)
        return fail(err, GBX_EARGUMENT,
                    "the function %s takes or returns a reference", name);
    if (type != NULL && strcmp(type, export->type) != 0)
        return fail(err, GBX_EARGUMENT,
                    "the function %s has the type %s, not %s", name,
                    export->type, type);
    *function = (uint32_t)(export - module->module->artefact->exports);
    return 0;
}

/* ---- instances ---- */

static int print(void *context, int stream, const void *text, size_t bytes)
{
    const struct gbx_wasm_instance *instance = context;

    if (instance->output != NULL)
        instance->output(instance->output_context, stream, text, bytes);
    return 0;
}

static int explain(struct gbx_wasm_instance *instance, int rc,
                   struct gbx_error *err)
{
    instance->is_over = rc < 0;
    if (rc == GBX_ETIME)
        return fail(err, rc, "the function did not return in time");
    if (rc == GBX_ECANCELED)
        return fail(err, rc, "the function was interrupted");
    if (rc < 0)
        wasm_explain(&instance->self, err);
    return rc;
}

static int start(struct gbx_wasm_instance *instance, uint64_t start_ns,
                 struct gbx_error *err)
{
    const uint64_t until_ns = clock_now_ns() + start_ns;
    uint64_t none[1];
    int rc = 0;

    if (instance->self.module->image == NULL) {
        rc = wasm_do(&instance->self, NULL, none, until_ns);
        if (rc == 0 && instance->self.initialize != NULL)
            rc = wasm_do(&instance->self, instance->self.initialize->call, none,
                         until_ns);
    }
    return explain(instance, rc, err);
}

int gbx_wasm_start(struct gbx_wasm_instance **instance, struct gbx_wasm *module,
                   const struct gbx_wasm_limits *limits, struct gbx_error *err)
{
    static const char *const none[] = {NULL};
    static const struct gbx_wasm_limits usual = {.struct_bytes = sizeof(usual)};
    struct gbx_wasm_instance *made = calloc(1, sizeof(*made));
    struct bundle what = {.program = "the module",
                          .argv = none,
                          .envp = none,
                          .output = print,
                          .output_context = made};
    int rc;

    *instance = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for an instance");
    limits = limits != NULL ? limits : &usual;
    made->output = limits->output;
    made->output_context = limits->output_context;
    what.limits.memory_bytes =
        limits->memory_bytes != 0 ? limits->memory_bytes : MEMORY_BYTES;
    rc = error_check_bytes("gbx_wasm_limits", limits->struct_bytes,
                           sizeof(*limits), err);
    if (rc == 0 && what.limits.memory_bytes > INSTANCE_ADDRESSES)
        rc = fail(err, GBX_EARGUMENT, "a module has at most 4 GiB");
    if (rc == 0)
        rc = wasm_begin(&made->self, module->module, &what, limits->stack_bytes,
                        err);
    if (rc == 0)
        rc = start(made, limits->start_ns != 0 ? limits->start_ns : START_NS,
                   err);
    if (rc < 0)
        gbx_wasm_stop(made);
    else
        *instance = made;
    return rc;
}

void gbx_wasm_stop(struct gbx_wasm_instance *instance)
{
    if (instance == NULL)
        return;
    wasm_close(&instance->self);
    free(instance);
}

int gbx_wasm_call(struct gbx_wasm_instance *instance, uint32_t function,
                  uint64_t *cells, uint64_t deadline_ns, struct gbx_error *err)
{
    const struct wasm_artefact *artefact = instance->self.module->artefact;
    int rc;

    if (instance->is_over)
        return fail(err, GBX_EBROKEN, "the instance had ended before");
    if (function >= artefact->export_count ||
        artefact->exports[function].call == NULL)
        return fail(err, GBX_EARGUMENT, "no function has number %u", function);
    rc = wasm_do(&instance->self, artefact->exports[function].call, cells,
                 deadline_ns);
    return rc == 0 ? 0 : explain(instance, rc, err);
}

void gbx_wasm_interrupt(struct gbx_wasm_instance *instance)
{
    wasm_kill(&instance->self);
}

void *gbx_wasm_memory(struct gbx_wasm_instance *instance, uint64_t at,
                      uint64_t bytes)
{
    const uint64_t have = instance_bytes(&instance->self.instance);

    return at <= have && bytes <= have - at
               ? instance->self.instance.memory_at + at
               : NULL;
}
