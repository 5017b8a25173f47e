/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - a sandbox of a script: its language starts, or is copied, and then
 * the script is loaded there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/program/language.h"
#include "runtime/report.h"
#include "runtime/runtime.h"

/* The Object that LOAD carries (abi/message.h). */
static int build_load(struct gbx_builder *b, const struct gbx_script *script,
                      struct gbx_error *err)
{
    const char *id = script->config.actor_id;
    struct gbx_message config;
    struct gbx_builder json;
    int rc;

    gbx_builder_init(&json);
    rc = gbx_message_from_json(&config, &json, script->config.config_json,
                               strlen(script->config.config_json),
                               GBX_JSON_PLAIN, err);
    if (rc == 0 && config.type != GBX_OBJECT)
        rc = fail(err, GBX_EFORMAT, "the configuration is no JSON object");
    if (rc == 0) {
        gbx_build_map(b, 4);
        gbx_build_text(b, "file", 4);
        gbx_build_text(b, script->file, strlen(script->file));
        gbx_build_text(b, "source", 6);
        gbx_build_text(b, script->source, script->source_bytes);
        gbx_build_text(b, "config", 6);
        gbx_build_item(b, config.body, config.body_bytes);
        gbx_build_text(b, "actor_id", 8);
        gbx_build_text(b, id, strlen(id));
        rc = b->error;
        if (rc == GBX_EARGUMENT)
            rc = fail(err, GBX_ELOAD, "%s: not UTF-8 text", script->path);
        else if (rc < 0)
            fail(err, rc, "no memory to hand %s over", script->file);
    }
    gbx_builder_fini(&json);
    return rc;
}

/* Take the guest's word on the loaded script. */
static int take_loaded(struct gbx_script *script, struct scratch *scratch,
                       const struct sandbox_event *event, struct gbx_error *err)
{
    struct gbx_failure failure;
    char *metadata, **inports;
    int rc;

    if (event->kind == GBX_KIND_FAILED) {
        rc = report_failure(event, scratch, &failure);
        if (rc == GBX_EBROKEN)
            return fail(err, rc, "the guest sent a malformed report");
        rc = rc == GBX_ESCRIPT ? GBX_ELOAD : rc;
        if (script->config.output != NULL)
            script->config.output(script->config.output_context, 2,
                                  failure.traceback, strlen(failure.traceback));
        return fail(err, rc, "%s: %s: %s", script->file, failure.type,
                    failure.message);
    }
    if (event->kind != GBX_KIND_LOADED)
        return fail(err, GBX_EBROKEN, "the guest did not answer LOAD");
    rc = report_metadata(event, &metadata, &inports, err);
    if (rc < 0)
        return rc;
    /* Callers may hold the first one; the script's text has not changed. */
    pthread_mutex_lock(&script->lock);
    if (script->metadata == NULL) {
        script->metadata = metadata;
        script->inports = inports;
        metadata = NULL;
        inports = NULL;
    }
    pthread_mutex_unlock(&script->lock);
    free(metadata);
    free(inports);
    return 0;
}

static int load(struct gbx_script *script, struct sandbox *sandbox,
                struct scratch *scratch, uint64_t deadline_ns,
                struct gbx_error *err)
{
    struct gbx_descriptor d = {
        .kind = GBX_KIND_LOAD, .type = GBX_OBJECT, .flags = GBX_HAS_MESSAGE};
    struct sandbox_event event;
    struct gbx_builder b;
    int rc;

    gbx_builder_init(&b);
    rc = build_load(&b, script, err);
    if (rc == 0 && (rc = sandbox_send_copy(sandbox, &d, b.bytes, b.count,
                                           deadline_ns)) < 0)
        fail(err, rc, "%s: cannot be handed over: %s", script->file,
             gbx_strerror(rc));
    gbx_builder_fini(&b);
    if (rc == 0)
        rc = sandbox_step(sandbox, deadline_ns, &event, err);
    if (rc == GBX_ETIME)
        return fail(err, rc, "%s: loading it took too long", script->file);
    if (rc == 0) {
        rc = take_loaded(script, scratch, &event, err);
        sandbox_give(sandbox, event.body_off);
    }
    return rc;
}

struct sandbox_config script_sandbox_config(struct gbx_script *script)
{
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                      "HOME=/tmp", "TMPDIR=/tmp",
                                      "LANG=C.UTF-8", NULL};

    return (struct sandbox_config){
        .backend = script->backend,
        .bundle = {.program = script->program,
                   .trace = script->config.trace,
                   .trace_context = script->config.trace_context,
                   .argv = script->language->argv,
                   .envp = env,
                   .libexec_dir = script->runtime->libexec_dir,
                   .cache_fd = script->runtime->cache.dir_fd,
                   .progress = script->runtime->progress,
                   .progress_context = script->runtime->progress_context,
                   .is_watched = script->runtime->cache.dir_fd >= 0,
                   .root = script->config.root,
                   .grants = &script->grants,
                   .ids = script->ids,
                   .folder = script->config.hide_folder ? NULL : script->folder,
                   .fleet = script->runtime->fleet,
                   .floor =
                       script->config.route.floor != GBX_ISOLATION_AUTO
                           ? gbx_isolation_name((int)script->config.route.floor)
                           : NULL,
                   .is_idempotent = script->config.is_idempotent != 0,
                   .limits = script->config.limits},
        .spin_ns = script->config.spin_ns,
        .output = script->config.output,
        .output_context = script->config.output_context,
        .calls = &script->calls,
    };
}

/* The language alone: from a template, if there is one that can be had. */
static int start_language(struct gbx_script *script, struct sandbox *sandbox,
                          uint64_t deadline_ns, struct gbx_error *err)
{
    const struct sandbox_config config = script_sandbox_config(script);
    struct template *template =
        warm_get(&script->runtime->warm, &config, deadline_ns);
    int rc = sandbox_try_clone(sandbox, &config, template, err);

    template_put(template);
    return rc == GBX_ESTALE ? sandbox_open(sandbox, &config, deadline_ns, err)
                            : rc;
}

/* Will others be made, or this one be wiped?  A template takes as long as a
 * start, so of a script that is only run once there is none. */
static bool wants_template(struct gbx_script *script)
{
    bool wants;

    pthread_mutex_lock(&script->lock);
    script->starts++;
    wants =
        script->config.wipe == GBX_WIPE_PER_CALL ||
        script->config.wipe == GBX_WIPE_PER_TENANT ||
        script->config.pool.total_max > 1 || script->starts > 1 ||
        (script->runtime->cache.dir_fd >= 0 && script->load_ns > LOAD_NS_LONG);
    pthread_mutex_unlock(&script->lock);
    return wants && script->backend->snapshot != NULL &&
           script->config.trace == NULL;
}

int script_start(void *context, struct sandbox *sandbox, uint64_t deadline_ns,
                 struct gbx_error *err)
{
    struct gbx_script *script = context;
    struct template *template;
    struct scratch scratch;
    uint64_t from_ns;
    int rc;

    if (scratch_open(&scratch, LOAD_SCRATCH_BYTES) < 0)
        return fail(err, GBX_EHOST, "no memory for a script");
    rc = start_language(script, sandbox, deadline_ns, err);
    from_ns = clock_now_ns();
    if (rc == 0 && (rc = load(script, sandbox, &scratch, deadline_ns, err)) < 0)
        sandbox_close(sandbox);
    scratch_close(&scratch);
    pthread_mutex_lock(&script->lock);
    script->load_ns = clock_now_ns() - from_ns;
    pthread_mutex_unlock(&script->lock);
    if (rc < 0 || !wants_template(script))
        return rc;
    if (template_take(&template, sandbox, NULL) == 0) {
        pool_set_template(&script->pool, template);
        template_put(template);
    }
    return 0;
}
