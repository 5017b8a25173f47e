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
#include "glovebox/image.h"
#include "runtime/program/language.h"
#include "runtime/script/script.h"
#include "runtime/script/secret.h"
#include "runtime/user/user.h"
#include "sandbox/grants/processes.h"
#include "store/file.h"

static uint64_t default_spin(void)
{
    cpu_set_t set;

    /* With one CPU, whoever spins keeps the other from running. */
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) < 2)
        return 0;
    return SPIN_NS;
}

int script_settle_pool(struct gbx_script_config *config, struct gbx_error *err)
{
    struct gbx_pool_config *pool = &config->pool;

    if (config->wipe == GBX_WIPE_DEFAULT)
        config->wipe = GBX_WIPE_ON_ERROR;
    if (pool->total_max == 0)
        pool->total_max = pool->ready_min > 0 ? pool->ready_min : 1;
    if (pool->ready_min > pool->total_max)
        return fail(err, GBX_EARGUMENT,
                    "ready_min is %u, more than total_max, %u", pool->ready_min,
                    pool->total_max);
    return 0;
}

int script_own_texts(struct gbx_script *script, struct gbx_error *err)
{
    struct gbx_script_config *mine = &script->config;
    const bool has_root = mine->root != NULL, has_image = mine->image != NULL;

    mine->config_json =
        strdup(mine->config_json != NULL ? mine->config_json : "{}");
    mine->actor_id = strdup(mine->actor_id != NULL ? mine->actor_id : "");
    mine->root = has_root ? strdup(mine->root) : NULL;
    mine->image = has_image ? strdup(mine->image) : NULL;
    if (mine->config_json == NULL || mine->actor_id == NULL ||
        (has_root && mine->root == NULL) || (has_image && mine->image == NULL))
        return fail(err, GBX_EHOST, "no memory for a script");
    return script_take_image(script, err);
}

/* From here on they are what they lead to now.  The list is the caller's. */
static int take_mounts(struct gbx_script *script, struct gbx_error *err)
{
    struct gbx_script_config *mine = &script->config;
    int rc = grants_open(&script->grants, mine->mounts, mine->mount_count, err);

    mine->mounts = NULL;
    mine->mount_count = 0;
    return rc;
}

/* The image's, where nobody else is asked for.  The text is the caller's. */
static int take_user(struct gbx_script *script, struct gbx_error *err)
{
    const char *text = script->config.user;

    script->config.user = NULL;
    if (text == NULL && script->image != NULL)
        text = gbx_image_run(script->image)->user;
    return text == NULL || text[0] == '\0'
               ? 0
               : user_find(&script->ids, text, script->config.root, err);
}

static int check_isolation(const struct gbx_script_config *config,
                           struct gbx_error *err)
{
    if ((unsigned)config->isolation > GBX_ISOLATION_REMOTE)
        return fail(err, GBX_EARGUMENT, "no isolation has number %d",
                    (int)config->isolation);
    return route_check(&config->route, err);
}

static int step_config(struct gbx_script *script,
                       const struct gbx_script_config *config,
                       struct gbx_error *err)
{
    const struct gbx_config *rules = script->runtime->rules;
    struct gbx_script_config *mine = &script->config;
    int rc;

    if (config != NULL) {
        rc = error_check_bytes("gbx_script_config", config->struct_bytes,
                               sizeof(*config), err);
        if (rc < 0)
            return rc;
        *mine = *config;
    }
    if (mine->output == NULL) {
        mine->output = script->runtime->output;
        mine->output_context = script->runtime->output_context;
    }
    rc = rules == NULL ? 0 : gbx_config_apply(rules, script->path, mine, err);
    if (rc < 0) {
        /* They are the caller's. */
        mine->config_json = mine->actor_id = mine->root = mine->image = NULL;
        return rc;
    }
    if ((rc = script_own_texts(script, err)) < 0 ||
        (rc = take_mounts(script, err)) < 0 ||
        (rc = take_user(script, err)) < 0 ||
        (rc = check_isolation(mine, err)) < 0 ||
        (rc = hosts_want(script->runtime, mine, err)) < 0)
        return rc;
    rc = secrets_open(&script->secrets, mine->secrets, mine->secret_count, err);
    if (rc < 0)
        return rc;
    mine->secrets = NULL; /* they are the caller's */
    mine->secret_count = 0;
    mine->spin_ns = mine->spin_ns == 0   ? default_spin()
                    : mine->spin_ns == 1 ? 0
                                         : mine->spin_ns;
    if (mine->start_ns == 0)
        mine->start_ns = START_NS;
    if ((rc = script_settle_pool(mine, err)) < 0)
        return rc;
    rc = limits_settle(&mine->limits, err);
    return rc < 0 ? rc : limits_lower(&mine->limits, &mine->limits_max, err);
}

static int step_path(struct gbx_script *script, const char *path,
                     struct gbx_error *err)
{
    script->language = language_of(path, err);
    if (script->language == NULL)
        return GBX_EARGUMENT;
    script->path = realpath(path, NULL);
    if (script->path == NULL)
        return fail(err, GBX_EFILE, "%s: %s", path, strerrordesc_np(errno));
    return 0;
}

static int step_folder(struct gbx_script *script, struct gbx_error *err)
{
    char *slash = strrchr(script->path, '/');

    script->file = strdup(slash + 1);
    script->folder =
        slash == script->path
            ? strdup("/")
            : strndup(script->path, (size_t)(slash - script->path));
    if (slash == script->path && !script->config.hide_folder)
        return fail(err, GBX_EFILE,
                    "%s: its folder is /, all of this computer: move it to one "
                    "of its own, or hide the folder",
                    script->path);
    if (!script->file || !script->folder)
        return fail(err, GBX_EHOST, "no memory for a script");
    return script->config.hide_folder ? 0
                                      : processes_refuse(script->folder, err);
}

/* The rules are those for the very path that is opened. */
int script_step_what(struct gbx_script *script, const char *path,
                     const struct gbx_script_config *config,
                     struct gbx_error *err)
{
    int rc = step_path(script, path, err);

    if (rc == 0)
        rc = step_config(script, config, err);
    return rc < 0 ? rc : step_folder(script, err);
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
    if (script->language->is_program || script->language->is_module)
        return (script->source = strdup("")) != NULL
                   ? 0
                   : fail(err, GBX_EHOST, "no memory for a script");
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

/* May it make this call of the embedder's? */
static bool is_allowed(const struct gbx_script *script,
                       const struct gbx_script *origin, const char *name)
{
    const char *const *names = script->config.host_calls;

    if (origin != NULL)
        return host_calls_find(&origin->calls, name) != NULL;
    if (names == NULL)
        return true;
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Of a call that a lost host may have begun. */
static void forget_changes(void *asker)
{
    store_journal_end(asker, false);
}

int script_step_calls(struct gbx_script *script,
                      const struct gbx_script *origin, struct gbx_error *err)
{
    const struct host_calls *all = &script->runtime->calls;
    int rc = 0;

    script->calls.again = forget_changes;
    script->calls.ask = script->config.ask;
    script->calls.ask_context = script->config.ask_context;
    for (uint32_t i = 0; i < all->count; i++)
        if (is_allowed(script, origin, all->calls[i].name))
            script->calls.calls[script->calls.count++] = all->calls[i];
    script->config.host_calls = NULL; /* it was the caller's */
    for (size_t i = 0; i < STORE_CALLS && rc == 0; i++)
        rc = host_calls_add_asked(&script->calls, store_calls[i].name,
                                  store_calls[i].fn, &script->store.alone);
    if (rc == 0)
        rc = host_calls_add_asked(&script->calls, SECRET_CALL, secrets_tell,
                                  NULL);
    if (rc == 0)
        script->calls.calls[script->calls.count - 1].is_secret = true;
    return rc == 0
               ? 0
               : fail(err, GBX_ELIMIT, "too many host calls are registered");
}

static void end_member(void *context, struct pool_member *member)
{
    (void)context;
    call_shut(member->extra);
}

static int step_state(struct gbx_script *script, struct gbx_error *err)
{
    const struct gbx_script_config *config = &script->config;

    if (config->state == NULL)
        return 0;
    if (config->actor_id[0] == '\0')
        return fail(err, GBX_EARGUMENT,
                    "%s: to keep its state it needs a name (actor_id)",
                    script->file);
    return file_attach(config->state, &script->store, config->actor_id, err);
}

/* The first sandbox: what is wrong with the script, its opener shall hear. */
int script_open_pool(struct gbx_script *script, struct template *template,
                     struct gbx_error *err)
{
    const struct gbx_pool_config *wanted = &script->config.pool;
    const struct pool_config config = {
        .wipe = script->config.wipe,
        .ready_min = wanted->ready_min,
        .total_max = wanted->total_max,
        .recycle_calls = wanted->recycle_calls,
        .idle_ns = wanted->idle_ns,
        .extra_bytes = sizeof(struct gbx_call),
        .start = template == NULL ? script_start : NULL,
        .end = end_member,
        .context = script,
        .sandbox = script_sandbox_config(script),
        .start_ns = script->config.start_ns,
    };
    struct pool_member *member;
    int rc = pool_open(&script->pool, &config, err);

    if (rc == 0 && template != NULL)
        pool_set_template(&script->pool, template);
    else if (rc == 0)
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

struct gbx_script *script_new(struct gbx_runtime *runtime)
{
    struct gbx_script *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return NULL;
    made->runtime = runtime;
    made->references = 1;
    pthread_mutex_init(&made->lock, NULL);
    store_init(&made->store);
    atomic_fetch_add(&runtime->scripts, 1);
    return made;
}

int gbx_script_open(struct gbx_script **script, struct gbx_runtime *runtime,
                    const char *path, const struct gbx_script_config *config,
                    struct gbx_error *err)
{
    struct gbx_script *made = script_new(runtime);
    int rc;

    *script = NULL;
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    if ((rc = script_step_what(made, path, config, err)) < 0 ||
        (rc = step_source(made, err)) < 0 || (rc = step_state(made, err)) < 0 ||
        (rc = script_step_calls(made, NULL, err)) < 0 ||
        (rc = script_step_start(made, err)) < 0)
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
    measure_put(&script->runtime->measures, script->seen);
    store_fini(&script->store);
    secrets_put(script->secrets);
    pthread_mutex_destroy(&script->lock);
    atomic_fetch_sub(&script->runtime->scripts, 1);
    free((char *)(uintptr_t)script->config.config_json);
    free((char *)(uintptr_t)script->config.actor_id);
    free((char *)(uintptr_t)script->config.root);
    script_put_image(script);
    grants_close(&script->grants);
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
    return script->route.why;
}

const struct gbx_route *gbx_script_route(const struct gbx_script *script)
{
    return &script->route;
}

void gbx_script_pool_stats(struct gbx_script *script,
                           struct gbx_pool_stats *stats)
{
    pool_stats(&script->pool, stats);
}
