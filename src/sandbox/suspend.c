/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspend.c - a sandbox that idles long is put away, and comes back as it was.
 *
 * The guest's own part is the backend's to keep; here are what both sides share
 * and the channel, which stands where it stood, over another window.
 */
#include <stdlib.h>

#include "base/error.h"
#include "channel/body/keep.h"
#include "sandbox/borrow.h"
#include "sandbox/sandbox.h"

/* Of a region: to copy more would make others wait. */
#define SUSPENDED_BYTES_MAX (16u << 20)

static void close_guest(struct sandbox *sandbox)
{
    if (sandbox->self != NULL)
        sandbox->backend->close(sandbox->self);
    free(sandbox->self);
    sandbox->self = NULL;
    region_close(&sandbox->region);
}

bool sandbox_suspend(struct sandbox *sandbox)
{
    const struct backend *backend = sandbox->backend;
    struct gbx_error err; /* it goes on as it is */
    int rc;

    if (sandbox->state != SANDBOX_IDLE || backend->suspend == NULL ||
        sandbox->template == NULL)
        return false;
    sandbox_take_back(sandbox);
    if (keep_is_used(&sandbox->region))
        return false;
    if (borrow_settle(sandbox) < 0) {
        sandbox_break(sandbox);
        return false;
    }
    if (region_held(&sandbox->region) > SUSPENDED_BYTES_MAX)
        return false;
    rc = backend->suspend(sandbox->self, &sandbox->suspended, &err);
    if (rc < 0)
        return false;
    if (region_image_take(&sandbox->held, &sandbox->region, &err) < 0) {
        backend->discard(sandbox->suspended);
        sandbox->suspended = NULL;
        return false;
    }
    close_guest(sandbox);
    sandbox_become(sandbox, SANDBOX_SUSPENDED);
    return true;
}

static int step_region(struct sandbox *sandbox,
                       const struct sandbox_config *config,
                       struct gbx_error *err)
{
    int rc = sandbox_open_region(sandbox, config, err);

    if (rc == 0 &&
        (rc = region_image_put(&sandbox->held, &sandbox->region)) < 0)
        rc = fail(err, rc, "bring back what a region held");
    if (rc == 0)
        channel_move(&sandbox->channel, sandbox->region.base);
    return rc;
}

static int step_guest(struct sandbox *sandbox,
                      const struct sandbox_config *config,
                      struct gbx_error *err)
{
    struct bundle bundle = config->bundle;

    sandbox_bind(sandbox, &bundle, config->spin_ns);
    sandbox->self = calloc(1, sandbox->backend->self_bytes);
    if (sandbox->self == NULL)
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    return sandbox->backend->resume(sandbox->self, &bundle,
                                    sandbox->template->snapshot,
                                    sandbox->suspended, &sandbox->region, err);
}

int sandbox_resume(struct sandbox *sandbox, const struct sandbox_config *config,
                   struct gbx_error *err)
{
    int rc = step_region(sandbox, config, err);

    if (rc == 0)
        rc = step_guest(sandbox, config, err);
    if (rc < 0) {
        close_guest(sandbox);
        return rc;
    }
    sandbox->backend->discard(sandbox->suspended);
    sandbox->suspended = NULL;
    region_image_fini(&sandbox->held);
    sandbox_become(sandbox, SANDBOX_IDLE);
    return 0;
}
