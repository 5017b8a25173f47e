/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c - the backend keeps the guest, the core what both sides share.
 *
 * A clone must not be its sibling: what it takes for chance would be the same.
 * So each gets a number and a seed of its own in the host's half
 * (abi/region.h), which a guest's language looks at before it does anything
 * else.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "channel/body/keep.h"
#include "sandbox/borrow.h"
#include "sandbox/sandbox.h"
#include "sandbox/template.h"

static struct template *make(const struct backend *backend)
{
    struct template *made = calloc(1, sizeof(*made));

    if (made != NULL) {
        made->references = 1;
        made->backend = backend;
    }
    return made;
}

/* Where what a language prints goes while there is no sandbox. */
struct printer {
    gbx_output_fn output;
    void *context;
};

static int print(void *context, int stream, const void *text, size_t bytes)
{
    const struct printer *printer = context;

    if (printer->output != NULL)
        printer->output(printer->context, stream, text, bytes);
    return 0;
}

static int prepare_bare(struct template **template,
                        const struct sandbox_config *config,
                        uint64_t deadline_ns, struct gbx_error *err)
{
    struct printer printer = {config->output, config->output_context};
    struct bundle bundle = config->bundle; /* once for a language */
    struct template *made = make(config->backend);
    int rc;

    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a template");
    made->is_bare = true;
    bundle.output = print;
    bundle.output_context = &printer;
    rc = config->backend->prepare(&bundle, deadline_ns, &made->snapshot, err);
    if (rc < 0)
        template_put(made);
    else
        *template = made;
    return rc;
}

int template_prepare(struct template **template,
                     const struct sandbox_config *config, uint64_t deadline_ns,
                     struct gbx_error *err)
{
    struct sandbox sandbox;
    int rc;

    *template = NULL;
    if (config->backend->prepare != NULL)
        return prepare_bare(template, config, deadline_ns, err);
    rc = sandbox_open(&sandbox, config, deadline_ns, err);
    if (rc == 0) {
        rc = template_take(template, &sandbox, err);
        sandbox_close(&sandbox);
    }
    return rc;
}

static bool list_kept(struct template *template, struct sandbox *sandbox)
{
    uint32_t count;

    sandbox_take_back(sandbox);
    count = keep_list(&sandbox->region, NULL);
    if (count == 0)
        return true;
    template->gives = calloc(count, sizeof(*template->gives));
    if (template->gives == NULL)
        return false;
    template->give_count = keep_list(&sandbox->region, template->gives);
    return true;
}

int template_take(struct template **template, struct sandbox *sandbox,
                  struct gbx_error *err)
{
    const struct backend *backend = sandbox->backend;
    struct template *made;
    int rc;

    *template = NULL;
    must(sandbox->state == SANDBOX_IDLE);
    if (backend->snapshot == NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "a %s sandbox that has started is no template",
                    backend->name);
    if (borrow_settle(sandbox) < 0) {
        sandbox_break(sandbox);
        return fail(err, GBX_EHOST, "take back what it was shown");
    }
    made = make(backend);
    if (made == NULL || !list_kept(made, sandbox)) {
        template_put(made);
        return fail(err, GBX_EHOST, "no memory for a template");
    }
    rc = backend->snapshot(sandbox->self, &made->snapshot, err);
    if (rc == 0)
        rc = region_image_take(&made->region, &sandbox->region, err);
    else if (rc != GBX_EUNSUPPORTED && rc != GBX_EHOST && rc != GBX_ETIME)
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
    free(template->gives);
    free(template);
}

int template_fill(const struct template *template, struct region *region)
{
    int rc = region_image_put(&template->region, region);

    return rc < 0 ? rc : region_seed(region);
}
