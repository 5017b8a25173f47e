/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/image/image.h"
#include "glovebox/cache.h"
#include "cli/run/repeat.h"

struct printing {
    const struct run_options *options;
    bool has_told; /* of an error, or something else */
};

/* What the script prints; with --json stdout is for results alone. */
static void print(void *context, int stream, const void *text, size_t bytes)
{
    struct printing *self = context;
    FILE *file = stream == 1 && !self->options->json ? stdout : stderr;

    self->has_told = self->has_told || stream == 2;
    cli_print(file, text, bytes, false);
    fflush(file);
}

static void print_stats(const struct gbx_script *script,
                        const struct gbx_call *call, uint64_t open_ns)
{
    const char *why = gbx_script_why(script);
    struct gbx_call_stats s;

    gbx_call_stats(call, &s);
    fprintf(stderr, "isolation %s\nroute     ", gbx_script_isolation(script));
    cli_print(stderr, why, strlen(why), true);
    fprintf(stderr,
            "\nopen      %.2f ms\ncall      %.1f us\n"
            "handler   %.1f us\nmessages  %llu bytes in, %llu bytes out, "
            "%llu copied\nhost      slept %u times, answered %u calls\n",
            (double)open_ns / 1e6, (double)s.wall_ns / 1e3,
            (double)s.handler_ns / 1e3, (unsigned long long)s.input_bytes,
            (unsigned long long)s.output_bytes,
            (unsigned long long)s.copied_bytes, s.sleeps, s.asks);
}

static int say_failure(const struct gbx_call *call, int rc,
                       const struct gbx_error *err)
{
    struct gbx_failure failure;

    gbx_call_failure(call, &failure);
    if (failure.traceback[0] == '\0')
        return cli_fail(err);
    cli_print(stderr, failure.traceback, strlen(failure.traceback), false);
    if (rc != GBX_ESCRIPT)
        fprintf(stderr, "glovebox: %s\n", gbx_strerror(rc));
    return cli_exit_code(rc);
}

/* Returns CLI_OK, or the exit code with what is wrong said. */
static int put_inputs(struct gbx_call *call, const struct run_options *o)
{
    uint64_t limit = o->script.limits.message_bytes;
    uint64_t most = limit != 0 ? limit : 1u << 30; /* its default */
    struct gbx_error err = {0};
    int rc = 0;

    for (size_t i = 0; i < o->in_count && rc == 0; i++)
        rc = input_put(call, o->in[i], most, &err);
    if (rc == 0)
        return CLI_OK;
    rc = cli_fail(&err);
    return rc == CLI_NO_FILE ? CLI_USAGE : rc; /* not the script's file */
}

/* The inputs are there: run it, and see to the outputs. */
static int run_call(struct gbx_call *call, const struct run_options *o,
                    uint64_t deadline_ns)
{
    struct gbx_error err = {0};
    struct output output;
    int rc;

    if (output_open(&output, o, &err) < 0)
        return cli_fail(&err);
    gbx_call_on_output(call, output_message, &output);
    rc = gbx_call_run(call, deadline_ns, &err);
    rc = rc < 0 ? say_failure(call, rc, &err) : CLI_OK;
    if (output_close(&output, rc == CLI_OK ? &err : NULL) < 0 && rc == CLI_OK)
        rc = cli_fail(&err);
    return rc;
}

int call_once(struct gbx_script *script, const struct run_options *o,
              uint64_t open_ns)
{
    uint64_t deadline_ns = o->timeout_ns ? cli_now_ns() + o->timeout_ns : 0;
    struct gbx_error err = {0};
    struct gbx_call *call;
    int rc;

    if (gbx_call_begin(&call, script, deadline_ns, &err) < 0)
        return cli_fail(&err);
    rc = put_inputs(call, o);
    if (rc == CLI_OK)
        rc = run_call(call, o, deadline_ns);
    if (o->stats && o->repeat == 1)
        print_stats(script, call, open_ns);
    gbx_call_finish(call);
    return rc;
}

/* Why a script cannot be loaded was printed with its traceback. */
static int open_failed(const struct gbx_error *err, bool has_told)
{
    if (err->code != GBX_ELOAD || !has_told)
        return cli_fail(err);
    return cli_say(gbx_strerror(err->code), cli_exit_code(err->code));
}

static void print_note(void *context, const char *text)
{
    (void)context;
    cli_say(text, CLI_OK);
}

/* A script that reads our standard input may take its time. */
static bool is_brief(const struct run_options *o)
{
    for (size_t i = 0; i < o->in_count; i++)
        if (strstr(o->in[i], "=@-") != NULL)
            return false;
    return o->repeat == 1;
}

static void settle(const struct run_options *o, struct gbx_script_config *sc)
{
    if (o->timeout_ns != 0)
        sc->start_ns = o->timeout_ns;
    if (o->branch || o->parallel != 0) {
        sc->pool.total_max = o->branch ? 1 : o->parallel;
        if (sc->pool.ready_min > sc->pool.total_max)
            sc->pool.ready_min = sc->pool.total_max;
    }
    if (sc->wipe == GBX_WIPE_DEFAULT)
        sc->wipe =
            o->repeat > 1 && !o->branch ? GBX_WIPE_PER_CALL : GBX_WIPE_ON_ERROR;
}

/* The sandbox of one call lives, and others begin where it is then. */
static int call_branches(struct gbx_script *script, const struct run_options *o)
{
    const struct gbx_branch_config config = {.struct_bytes = sizeof(config),
                                             .wipe = GBX_WIPE_PER_CALL,
                                             .pool.total_max =
                                                 o->parallel ? o->parallel : 1};
    struct gbx_script *branch;
    struct gbx_error err = {0};
    int rc = call_once(script, o, 0);

    if (rc != CLI_OK)
        return rc;
    if (gbx_script_branch(&branch, script, &config, 0, &err) < 0)
        return cli_fail(&err);
    rc = repeat(branch, o);
    gbx_script_close(branch);
    return rc;
}

static int call_all(struct gbx_script *script, const struct run_options *o,
                    uint64_t open_ns)
{
    if (o->branch)
        return call_branches(script, o);
    return o->repeat > 1 ? repeat(script, o) : call_once(script, o, open_ns);
}

/* A decision of this runtime's; its host is tried out first. */
static void explain(struct gbx_runtime *runtime, const struct run_options *o,
                    struct gbx_route *route)
{
    struct gbx_error err;

    if (gbx_route_explain(runtime, o->file, &o->script, route, &err) < 0)
        *route = (struct gbx_route){0};
}

static int open_and_call(struct gbx_runtime *runtime,
                         const struct run_options *o,
                         const struct printing *printing,
                         const struct gbx_config *rules)
{
    const uint64_t from_ns = cli_now_ns();
    struct gbx_route route = {0};
    struct gbx_script *script;
    struct gbx_error err;
    int rc;

    if (o->why)
        explain(runtime, o, &route);
    if (gbx_script_open(&script, runtime, o->file, &o->script, &err) < 0) {
        if (o->why && route.why[0] != '\0')
            print_why(&route, rules);
        return open_failed(&err, printing->has_told);
    }
    if (o->why)
        print_why(gbx_script_route(script), rules);
    rc = call_all(script, o, cli_now_ns() - from_ns);
    gbx_script_close(script);
    return rc;
}

static int run_with(const struct run_options *o, const struct gbx_config *rules)
{
    struct printing printing = {.options = o};
    struct gbx_runtime_config config = {
        .struct_bytes = sizeof(config),
        .libexec_dir = cli_libexec(),
        .output = print,
        .output_context = &printing,
        .is_brief = is_brief(o),
        .note = print_note,
        .progress = cli_progress,
        .rules = rules,
    };
    struct gbx_runtime *runtime;
    struct gbx_error err;
    char cache[4096];
    int rc;

    config.cache_dir = o->cache;
    if (o->cache == NULL && !o->no_cache && rules != NULL)
        config.cache_dir = gbx_config_cache(rules);
    if (config.cache_dir == NULL && !o->no_cache &&
        gbx_cache_default(cache, sizeof(cache)) == 0)
        config.cache_dir = cache;
    if (gbx_runtime_open(&runtime, &config, &err) < 0)
        return cli_fail(&err);
    rc = remotes_add(&o->remotes, runtime, &err) < 0
             ? cli_fail(&err)
             : open_and_call(runtime, o, &printing, rules);
    gbx_runtime_close(runtime);
    return rc;
}

static int run_it(const struct run_options *options,
                  const struct gbx_image *image)
{
    struct run_options mine = *options;
    struct gbx_error err = {0};
    struct gbx_config *rules;
    int rc = cli_rules(&rules, mine.config, mine.no_config);

    if (rc != CLI_OK)
        return rc;
    if (image != NULL) {
        const char *user = gbx_image_run(image)->user;

        mine.script.root = gbx_image_root(image);
        if (mine.script.user == NULL && user[0] != '\0')
            mine.script.user = user;
    }
    mine.script.mount_count = options->mounts.count;
    if (options->mounts.count > 0) /* else those of the rules */
        mine.script.mounts = options->mounts.all;
    if (rules != NULL &&
        gbx_config_apply(rules, mine.file, &mine.script, &err) < 0) {
        rc = cli_fail(&err);
    } else {
        /* How far it is trusted, the runtime looks up when it opens it. */
        mine.script.route = options->script.route;
        settle(&mine, &mine.script);
        rc = run_with(&mine, rules);
    }
    gbx_config_close(rules);
    return rc;
}

int run(const struct run_options *options)
{
    struct gbx_images *images = NULL;
    struct gbx_image *image = NULL;
    int rc =
        options->image == NULL
            ? CLI_OK
            : cli_image_open(&images, &image, options->store, options->image);

    if (rc == CLI_OK)
        rc = run_it(options, image);
    gbx_image_close(image);
    gbx_images_close(images);
    return rc;
}
