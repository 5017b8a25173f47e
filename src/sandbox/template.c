/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c - the backend keeps the guest, the core what both sides share.
 *
 * A clone must not be its sibling: what it takes for chance would be the same.
 * So each gets a number and a seed of its own in the host's half
 * (abi/region.h), which a guest's language looks at before it does anything
 * else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/error.h"
#include "sandbox/sandbox.h"
#include "sandbox/template.h"

int template_take(struct template **template, struct sandbox *sandbox,
                  struct gbx_error *err)
{
    const struct backend *backend = sandbox->backend;
    struct template *made;
    int rc;

    *template = NULL;
    must(sandbox->state == SANDBOX_IDLE);
    if (backend->snapshot == NULL)
        return fail(err, GBX_EUNSUPPORTED, "%s sandboxes have no templates",
                    backend->name);
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    made->references = 1;
    made->backend = backend;
    rc = backend->snapshot(sandbox->self, &made->snapshot, err);
    if (rc == 0)
        rc = region_image_take(&made->region, &sandbox->region, err);
    else if (rc != GBX_EUNSUPPORTED && rc != GBX_EHOST)
        sandbox_break(sandbox);
    if (rc < 0) {
        template_put(made);
        return rc;
    }
    channel_follow(&made->channel, &sandbox->channel);
    made->last_call = sandbox->last_call;
    *template = made;
    return 0;
}

struct template *template_get(struct template *template)
{
    atomic_fetch_add(&template->references, 1);
    return template;
}

void template_put(struct template *template)
{
    if (template == NULL || atomic_fetch_sub(&template->references, 1) > 1)
        return;
    if (template->snapshot != NULL)
        template->backend->put(template->snapshot);
    region_image_fini(&template->region);
    free(template);
}

static int fill_random(void *to, size_t bytes)
{
    ssize_t n;

    do {
        n = getrandom(to, bytes, 0);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)bytes ? 0 : GBX_EHOST;
}

int template_fill(const struct template *template, struct region *region)
{
    struct gbx_half_head *head = (struct gbx_half_head *)(void *)region->base;
    int rc = region_image_put(&template->region, region);

    if (rc < 0)
        return rc;
    rc = fill_random(head->seed, sizeof(head->seed));
    if (rc == 0)
        rc = fill_random(&head->copy, sizeof(head->copy));
    return rc;
}
