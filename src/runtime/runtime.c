/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "channel/body/body.h"
#include "runtime/runtime.h"
#include "sandbox/remote/fleet.h"

const char *runtime_find_libexec(const char *asked)
{
    if (asked == NULL)
        asked = secure_getenv("GLOVEBOX_LIBEXEC");
    return asked != NULL ? asked : GLOVEBOX_LIBEXEC_DIR;
}

int gbx_runtime_open(struct gbx_runtime **runtime,
                     const struct gbx_runtime_config *config,
                     struct gbx_error *err)
{
    static const struct gbx_runtime_config none = {
        .struct_bytes = sizeof(struct gbx_runtime_config)};
    struct gbx_runtime *made;
    int rc;

    *runtime = NULL;
    if (config == NULL)
        config = &none;
    rc = error_check_bytes("gbx_runtime_config", config->struct_bytes,
                           sizeof(*config), err);
    if (rc < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a runtime");
    made->libexec_dir = strdup(runtime_find_libexec(config->libexec_dir));
    if (made->libexec_dir == NULL) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for a runtime");
    }
    keeper_open(&made->keeper);
    made->cache = (struct cache){.note = config->note,
                                 .note_context = config->note_context,
                                 .how = config->is_brief ? TEMPLATE_BRIEF
                                                         : TEMPLATE_COPIED};
    cache_open(&made->cache, config->cache_dir);
    warm_open(&made->warm, &made->cache);
    made->output = config->output;
    made->output_context = config->output_context;
    made->progress = config->progress;
    made->progress_context = config->progress_context;
    made->rules = config->rules;
    pthread_mutex_init(&made->hosts_lock, NULL);
    host_init(&made->host);
    body_store_hold();
    measures_init(&made->measures);
    *runtime = made;
    return 0;
}

void gbx_runtime_close(struct gbx_runtime *runtime)
{
    if (runtime == NULL)
        return;
    must(atomic_load(&runtime->scripts) == 0); /* close them first */
    keeper_close(&runtime->keeper);
    measures_fini(&runtime->measures);
    host_fini(&runtime->host);
    fleet_close(runtime->fleet);
    pthread_mutex_destroy(&runtime->hosts_lock);
    warm_close(&runtime->warm);
    cache_close(&runtime->cache);
    body_store_release();
    free(runtime->libexec_dir);
    free(runtime);
}

int gbx_runtime_register(struct gbx_runtime *runtime, const char *name,
                         gbx_host_fn fn, void *context)
{
    return host_calls_add(&runtime->calls, name, fn, context);
}

void gbx_runtime_shrink(struct gbx_runtime *runtime)
{
    keeper_shrink(&runtime->keeper);
}

const char *gbx_version(void)
{
    return GLOVEBOX_VERSION;
}
