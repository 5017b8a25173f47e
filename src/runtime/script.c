/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - a script's life: read on the host, sealed, loaded, and started
 * again after it broke its sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "runtime/report.h"
#include "runtime/runtime.h"

static uint64_t default_spin(void)
{
    cpu_set_t set;

    /* With one CPU, whoever spins keeps the other from running. */
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) < 2)
        return 0;
    return SPIN_NS;
}

static void settle_pool(struct gbx_script_config *config)
{
    if (config->wipe == GBX_WIPE_DEFAULT)
        config->wipe = GBX_WIPE_ON_ERROR;
    if (config->pool.total_max == 0)
        config->pool.total_max =
            config->pool.ready_min > 0 ? config->pool.ready_min : 1;
}

static int step_config(struct gbx_script *script,
                       const struct gbx_script_config *config,
                       struct gbx_error *err)
{
    struct gbx_script_config *mine = &script->config;

    if (config != NULL) {
        if (config->struct_bytes != sizeof(*config))
            return fail(err, GBX_EARGUMENT,
                        "gbx_script_config.struct_bytes is %zu, not %zu: built "
                        "for another version of the library?",
                        config->struct_bytes, sizeof(*config));
        *mine = *config;
    }
    mine->config_json =
        strdup(mine->config_json != NULL ? mine->config_json : "{}");
    if (mine->actor_id == NULL)
        mine->actor_id = "";
    mine->actor_id = strdup(mine->actor_id);
    if (mine->config_json == NULL || mine->actor_id == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    if ((unsigned)mine->isolation > GBX_ISOLATION_MICROVM)
        return fail(err, GBX_EARGUMENT, "no isolation has number %d",
                    (int)mine->isolation);
    mine->spin_ns = mine->spin_ns == 0   ? default_spin()
                    : mine->spin_ns == 1 ? 0
                                         : mine->spin_ns;
    if (mine->start_ns == 0)
        mine->start_ns = START_NS;
    settle_pool(mine);
    if (mine->pool.ready_min > mine->pool.total_max)
        return fail(err, GBX_EARGUMENT,
                    "ready_min is %u, more than total_max, %u",
                    mine->pool.ready_min, mine->pool.total_max);
    return limits_settle(&mine->limits, err);
}

static int step_paths(struct gbx_script *script, const char *path,
                      struct gbx_error *err)
{
    const char *dot = strrchr(path, '.');
    char *slash;

    if (dot == NULL || strcmp(dot, ".py") != 0)
        return fail(err, GBX_EARGUMENT,
                    "%s: the name must end in .py: Python is the language "
                    "spoken so far",
                    path);
    script->path = realpath(path, NULL);
    if (script->path == NULL)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    slash = strrchr(script->path, '/');
    script->file = strdup(slash + 1);
    script->folder =
        slash == script->path
            ? strdup("/")
            : strndup(script->path, (size_t)(slash - script->path));
    if (asprintf(&script->program, "%s/glovebox-python",
                 script->runtime->libexec_dir) < 0)
        script->program = NULL;
    if (slash == script->path && !script->config.hide_folder)
        return fail(err, GBX_EFILE,
                    "%s: its folder is /, all of this computer: move it to one "
                    "of its own, or hide the folder",
                    script->path);
    if (!script->file || !script->folder || !script->program)
        return fail(err, GBX_EHOST, "no memory for a script");
    return 0;
}

static int read_all(int fd, char *to, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        ssize_t n = read(fd, to + at, bytes - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static int step_source(struct gbx_script *script, struct gbx_error *err)
{
    auto_fd int fd =
        open(script->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, GBX_EFILE, "%s: %s", script->path,
                    strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, GBX_EFILE, "%s: not a file", script->path);
    if (st.st_size > SCRIPT_BYTES_MAX)
        return fail(err, GBX_ELIMIT, "%s: larger than %u bytes", script->path,
                    SCRIPT_BYTES_MAX);
    script->source_bytes = (size_t)st.st_size;
    script->source = malloc(script->source_bytes + 1);
    if (script->source == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    if (read_all(fd, script->source, script->source_bytes) < 0)
        return fail(err, GBX_EFILE, "%s: cannot be read", script->path);
    return 0;
}

static int step_calls(struct gbx_script *script, struct gbx_error *err)
{
    script->calls = script->runtime->calls;
    if (store_register(&script->store, &script->calls) < 0)
        return fail(err, GBX_ELIMIT, "too many host calls are registered");
    return 0;
}

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
        if (script->runtime->output != NULL)
            script->runtime->output(script->runtime->output_context, 2,
                                    failure.traceback,
                                    strlen(failure.traceback));
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
    static const char *const argv[] = {"glovebox-python", NULL};

    return (struct sandbox_config){
        .backend = script->backend,
        .bundle = {.program = script->program,
                   .trace = script->config.trace,
                   .trace_context = script->config.trace_context,
                   .argv = argv,
                   .envp = env,
                   .libexec_dir = script->runtime->libexec_dir,
                   .is_watched = script->runtime->cache.dir_fd >= 0,
                   .folder = script->config.hide_folder ? NULL : script->folder,
                   .limits = script->config.limits},
        .spin_ns = script->config.spin_ns,
        .output = script->runtime->output,
        .output_context = script->runtime->output_context,
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
    int rc = sandbox_try_clone(sandbox, &config, template, deadline_ns, err);

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

static void end_member(void *context, struct pool_member *member)
{
    (void)context;
    call_shut(member->extra);
}

/* The first sandbox: what is wrong with the script, its opener shall hear. */
static int open_pool(struct gbx_script *script, struct gbx_error *err)
{
    const struct gbx_pool_config *wanted = &script->config.pool;
    const struct pool_config config = {
        .wipe = script->config.wipe,
        .ready_min = wanted->ready_min,
        .total_max = wanted->total_max,
        .recycle_calls = wanted->recycle_calls,
        .idle_ns = wanted->idle_ns,
        .extra_bytes = sizeof(struct gbx_call),
        .start = script_start,
        .end = end_member,
        .context = script,
        .sandbox = script_sandbox_config(script),
        .start_ns = script->config.start_ns,
    };
    struct pool_member *member;
    int rc = pool_open(&script->pool, &config, err);

    if (rc == 0)
        kept_load(script);
    if (rc == 0)
        rc = pool_take(&script->pool, NULL,
                       clock_now_ns() + script->config.start_ns, &member, err);
    if (rc == 0) {
        pool_unused(&script->pool, member);
        rc = pool_keep(&script->pool, &script->runtime->keeper, err);
    }
    if (rc < 0)
        pool_close(&script->pool);
    return rc;
}

/* The first start chooses the isolation; it stays the script's. */
static int step_start(struct gbx_script *script, struct gbx_error *err)
{
    struct gbx_error why = {0};
    int rc;

    script->backend = script->config.isolation == GBX_ISOLATION_PROCESS
                          ? &backend_process
                          : &backend_microvm;
    if (script->config.isolation != GBX_ISOLATION_AUTO) {
        snprintf(script->why, sizeof(script->why), "it was asked for");
        return open_pool(script, err);
    }
    rc = open_pool(script, &why);
    snprintf(script->why, sizeof(script->why),
             "the strongest that this host offers");
    if (rc == GBX_EUNSUPPORTED && script->config.trace == NULL) {
        snprintf(script->why, sizeof(script->why), "no micro-VM: %s", why.what);
        script->backend = &backend_process;
        return open_pool(script, err);
    }
    if (rc < 0 && err != NULL)
        *err = why;
    return rc;
}

int gbx_script_open(struct gbx_script **script, struct gbx_runtime *runtime,
                    const char *path, const struct gbx_script_config *config,
                    struct gbx_error *err)
{
    struct gbx_script *made = calloc(1, sizeof(*made));
    int rc;

    *script = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    made->runtime = runtime;
    made->references = 1;
    pthread_mutex_init(&made->lock, NULL);
    store_init(&made->store);
    atomic_fetch_add(&runtime->scripts, 1);

    if ((rc = step_config(made, config, err)) < 0 ||
        (rc = step_paths(made, path, err)) < 0 ||
        (rc = step_source(made, err)) < 0 || (rc = step_calls(made, err)) < 0 ||
        (rc = step_start(made, err)) < 0)
        gbx_script_close(made);
    else
        *script = made;
    return rc;
}

void script_get(struct gbx_script *script)
{
    atomic_fetch_add(&script->references, 1);
}

void script_put(struct gbx_script *script)
{
    if (atomic_fetch_sub(&script->references, 1) > 1)
        return;
    kept_save(script);
    store_fini(&script->store);
    pthread_mutex_destroy(&script->lock);
    atomic_fetch_sub(&script->runtime->scripts, 1);
    free((char *)(uintptr_t)script->config.config_json);
    free((char *)(uintptr_t)script->config.actor_id);
    free(script->path);
    free(script->folder);
    free(script->file);
    free(script->source);
    free(script->program);
    free(script->metadata);
    free(script->inports);
    free(script);
}

void gbx_script_close(struct gbx_script *script)
{
    if (script == NULL)
        return;
    pool_end(&script->pool);
    script_put(script);
}

const char *gbx_script_metadata(const struct gbx_script *script)
{
    return script->metadata;
}

const char *gbx_script_isolation(const struct gbx_script *script)
{
    return script->backend->name;
}

const char *gbx_script_why(const struct gbx_script *script)
{
    return script->why;
}

void gbx_script_pool_stats(struct gbx_script *script,
                           struct gbx_pool_stats *stats)
{
    pool_stats(&script->pool, stats);
}
