/* SPDX-License-Identifier: Apache-2.0 */
/*
 * branch.c - a script that goes on from where another one stands.
 *
 * A branch is a script whose template is not that of a fresh load but of a
 * sandbox that has lived.  All else follows from that: its sandboxes are clones
 * of it, so they are nobody's sibling; a wipe leads back to it; and nothing is
 * ever loaded anew, for that would lose what the branch is for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "runtime/script/script.h"
#include "runtime/script/secret.h"

static int check(const struct gbx_script *origin,
                 const struct gbx_branch_config *config, struct gbx_error *err)
{
    int rc = config == NULL
                 ? 0
                 : error_check_bytes("gbx_branch_config", config->struct_bytes,
                                     sizeof(*config), err);

    if (rc == 0 && origin->backend->snapshot == NULL)
        return fail(err, GBX_EUNSUPPORTED,
                    "%s: a %s sandbox that has started cannot be copied; a "
                    "micro-VM can (isolation)",
                    origin->file, origin->backend->name);
    return rc;
}

/* All that a script has beside its sandboxes; but not its source, which is read
 * to load it. */
static int copy(struct gbx_script *made, const struct gbx_script *origin,
                const struct gbx_branch_config *config, struct gbx_error *err)
{
    struct bytes_out said = {0};
    bool done;
    int rc;

    made->config = origin->config;
    made->config.state = NULL;
    made->ids = origin->ids;
    if (origin->image != NULL)
        made->config.root = NULL; /* it holds the image itself */
    if ((rc = script_own_texts(made, err)) < 0)
        return rc;
    if (config != NULL && config->wipe != GBX_WIPE_DEFAULT)
        made->config.wipe = config->wipe;
    if (config != NULL && config->pool.total_max != 0)
        made->config.pool = config->pool;
    if ((rc = script_settle_pool(&made->config, err)) < 0)
        return rc;
    made->secrets = secrets_get(origin->secrets);
    made->backend = origin->backend;
    made->route = origin->route;
    snprintf(made->route.why, sizeof(made->route.why), "it is a branch of one");
    made->is_cached = true; /* its template is nobody else's */
    made->language = origin->language;
    made->path = strdup(origin->path);
    made->seen = measure_get(&made->runtime->measures, origin->path);
    made->folder = strdup(origin->folder);
    made->file = strdup(origin->file);
    made->program = strdup(origin->program);
    said_put(origin, &said);
    done = !said.failed && said_take(made, &said);
    bytes_out_fini(&said);
    return done && made->path != NULL && made->folder != NULL &&
                   made->file != NULL && made->program != NULL
               ? 0
               : fail(err, GBX_EHOST, "no memory for a script");
}

/* Between two calls of the sandbox: its guest, and what it told the host to
 * remember. */
static int take(struct gbx_script *made, struct gbx_script *origin,
                const char *key, uint64_t deadline_ns,
                struct template **template, struct gbx_error *err)
{
    struct pool_member *member;
    int rc;

    *template = NULL;
    rc = pool_take_as_is(&origin->pool, key, deadline_ns, &member, err);
    if (rc < 0)
        return rc;
    rc = template_take(template, &member->sandbox, err);
    if (rc == 0 && !store_copy(&made->store, &origin->store)) {
        rc = fail(err, GBX_EHOST, "no memory for what a script remembers");
        template_put(*template);
        *template = NULL;
    }
    pool_give(&origin->pool, member, false);
    return rc;
}

int gbx_script_branch(struct gbx_script **branch, struct gbx_script *origin,
                      const struct gbx_branch_config *config,
                      uint64_t deadline_ns, struct gbx_error *err)
{
    struct template *template = NULL;
    struct gbx_script *made;
    int rc = check(origin, config, err);

    *branch = NULL;
    if (rc < 0)
        return rc;
    made = script_new(origin->runtime);
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    script_get(origin); /* it may be closed meanwhile */
    if ((rc = copy(made, origin, config, err)) == 0 &&
        (rc = script_step_calls(made, origin, err)) == 0 &&
        (rc = take(made, origin, config == NULL ? NULL : config->key,
                   deadline_ns, &template, err)) == 0)
        rc = script_open_pool(made, template, err);
    template_put(template);
    script_put(origin);
    if (rc < 0)
        gbx_script_close(made);
    else
        *branch = made;
    return rc;
}
