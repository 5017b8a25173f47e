/* SPDX-License-Identifier: Apache-2.0 */
/* wasm.c - the backend: a WebAssembly module, run by the thread that calls. */
#include <signal.h>

#include "base/error.h"
#include "sandbox/wasm/backend/wasm.h"

static bool wasm_is_running(void *self)
{
    (void)self;
    return false;
}

static void wasm_ring(void *self)
{
    (void)self; /* the next run is its turn */
}

static int wasm_fd(void *context)
{
    const struct wasm *self = context;

    return self->wake_fd;
}

static int wasm_status(void *context)
{
    const struct wasm *self = context;

    if (self->end == GBX_EEXIT || self->end == GBX_ESIGNAL)
        return wasi_status(self->wasi);
    return 128 + (self->end == GBX_EMEMORY ? SIGKILL : SIGTRAP);
}

void wasm_explain(void *context, struct gbx_error *err)
{
    const struct wasm *self = context;
    char why[160];

    instance_explain(&self->instance, why, sizeof(why));
    switch (self->end) {
    case GBX_EEXIT:
        fail(err, self->end, "the module exited with status %d",
             wasi_status(self->wasi));
        break;
    case GBX_ESIGNAL:
        fail(err, self->end, "the module raised the signal %d",
             wasi_status(self->wasi) - 128);
        break;
    case GBX_EFILE:
    case GBX_EHOST:
        wasi_explain(self->wasi, err);
        break;
    case GBX_EMEMORY:
        fail(err, self->end,
             "the module wanted more than its %llu MiB of memory (%s)",
             (unsigned long long)self->what.limits.memory_bytes >> 20, why);
        break;
    case GBX_ECPU:
        fail(err, self->end, "the module used its %.3g s of CPU time",
             (double)self->what.limits.cpu_ns / 1e9);
        break;
    case GBX_ETRAP:
        fail(err, self->end, "the module trapped: %s", why);
        break;
    default:
        fail(err, self->end, "%s", gbx_strerror(self->end));
    }
}

const struct backend backend_wasm = {
    .name = "wasm",
    .self_bytes = sizeof(struct wasm),
    .open = wasm_open,
    .run = wasm_run,
    .is_running = wasm_is_running,
    .ring = wasm_ring,
    .fd = wasm_fd,
    .status = wasm_status,
    .explain = wasm_explain,
    .snapshot = wasm_snapshot,
    .clone = wasm_clone,
    .put = wasm_put,
    .wipe = wasm_wipe,
    .borrow = wasm_borrow,
    .kill = wasm_kill,
    .close = wasm_close,
};
