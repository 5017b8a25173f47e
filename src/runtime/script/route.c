/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - the isolation of a script is chosen when it is opened, and stays.
 *
 * Nobody is asked ahead what the host offers, as that would take longer than to
 * start: the one chosen is started, and where it says that this host lacks it,
 * that is known for a while and the next one is chosen.  (Of a native program
 * and a module it may also be the file itself that does not run there, so then
 * it is known for this open alone.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/program/language.h"
#include "runtime/script/script.h"

/* A question, with the texts that it borrows. */
struct asking {
    struct route_question question;
    struct host_fact facts[GBX_ISOLATIONS + 1];
    uint32_t found; /* bits of isolations that are lacking, seen just now */
};

/* The guest program, for the isolation that it is to be run in. */
static int set_backend(struct gbx_script *script, const struct backend *backend,
                       struct gbx_error *err)
{
    const struct language *language = script->language;

    free(script->program);
    if (language->is_program || language->is_module)
        script->program = strdup(script->path);
    else if (asprintf(&script->program, "%s/%s", script->runtime->libexec_dir,
                      backend == &backend_wasm ? language->module
                                               : language->argv[0]) < 0)
        script->program = NULL;
    if (script->program == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    script->backend = backend;
    return 0;
}

static void lack(struct asking *asking, enum gbx_isolation isolation,
                 const char *why)
{
    struct host_fact *fact = &asking->facts[isolation];

    snprintf(fact->lack, sizeof(fact->lack), "%s", why);
    asking->found |= 1u << isolation;
    asking->question.facts[isolation].known = ROUTE_MISSING;
    asking->question.facts[isolation].lack = fact->lack;
}

/* What speed is judged by, which is looked at only then. */
static int ask_speed(struct gbx_script *script, struct asking *asking,
                     struct gbx_error *err)
{
    struct route_question *q = &asking->question;
    struct sandbox_config config;
    uint64_t calls = 0;

    for (enum gbx_isolation i = 1; i <= GBX_ISOLATIONS; i++) {
        const struct measure_row *row = &script->seen->rows[i];
        struct route_facts *facts = &q->facts[i];

        facts->calls = atomic_load_explicit(&row->calls, memory_order_relaxed);
        facts->call_ns =
            atomic_load_explicit(&row->call_ns, memory_order_relaxed);
        if (facts->calls > calls) {
            calls = facts->calls;
            q->body_bytes =
                atomic_load_explicit(&row->body_bytes, memory_order_relaxed);
        }
        if (host_backend(i) == NULL || facts->known == ROUTE_MISSING ||
            language_check(script->language, i == GBX_ISOLATION_WASM, NULL) < 0)
            continue;
        if (set_backend(script, host_backend(i), err) < 0)
            return GBX_EHOST;
        config = script_sandbox_config(script);
        facts->is_warm = warm_has(&script->runtime->warm, &config);
    }
    q->before = (enum gbx_isolation)atomic_load_explicit(&script->seen->before,
                                                         memory_order_relaxed);
    return 0;
}

/* A language's module is a file of its own. */
static void ask_module(const struct gbx_script *script, struct asking *asking)
{
    char path[4096], why[GBX_ERROR_TEXT_MAX];

    if (script->language->module == NULL)
        return;
    snprintf(path, sizeof(path), "%s/%s", script->runtime->libexec_dir,
             script->language->module);
    if (access(path, R_OK) == 0)
        return;
    snprintf(why, sizeof(why), "%.150s is not there: install Glovebox", path);
    lack(asking, GBX_ISOLATION_WASM, why);
}

static int ask(struct gbx_script *script, struct asking *asking,
               struct gbx_error *err)
{
    const struct language *language = script->language;

    asking->question = (struct route_question){
        .language = language->is_program ? "a native program" : language->name,
        .is_program = language->is_program,
        .is_module = language->is_module,
        .has_module = language->module != NULL,
        .has_trace = script->config.trace != NULL,
        .has_root = script->config.root != NULL,
        .has_mounts = script->grants.count > 0,
        .has_user = script->ids.is_set,
        .asked = script->config.isolation,
        .policy = script->config.route};
    host_tell(&script->runtime->host, &asking->question, asking->facts);
    ask_module(script, asking);
    if (gbx_runtime_hosts(script->runtime, NULL, 0) == 0)
        lack(asking, GBX_ISOLATION_REMOTE,
             "no remote host is known: glovebox run --remote URL, or "
             "gbx_runtime_add_host");
    return script->seen != NULL ? ask_speed(script, asking, err) : 0;
}

/* Its own words, where one was asked for that cannot be: those of whoever
 * refuses it. */
static int refuse(const struct gbx_script *script, const struct asking *asking,
                  struct gbx_error *err)
{
    const enum gbx_isolation asked = script->config.isolation;
    int rc = asked == GBX_ISOLATION_AUTO
                 ? 0
                 : language_check(script->language, asked == GBX_ISOLATION_WASM,
                                  err);

    return rc < 0 ? rc
                  : route_refuse(&script->route, &asking->question,
                                 script->file, err);
}

static int start(struct gbx_script *script, struct gbx_error *err)
{
    const enum gbx_isolation isolation = script->route.isolation;
    int rc = set_backend(script, host_backend(isolation), err);

    if (rc == 0)
        rc = script_open_pool(script, NULL, err);
    if (rc < 0)
        return rc;
    host_has(&script->runtime->host, isolation);
    if (script->seen != NULL && script->config.isolation == GBX_ISOLATION_AUTO)
        atomic_store_explicit(&script->seen->before, (int)isolation,
                              memory_order_relaxed);
    return 0;
}

/* What was lacking earlier may be there by now.  False: nothing is left that
 * was not looked at. */
static bool look_again(struct asking *asking)
{
    bool looks = false;

    for (uint32_t i = 1; i <= GBX_ISOLATIONS; i++)
        if (asking->question.facts[i].known == ROUTE_MISSING &&
            !(asking->found & 1u << i)) {
            asking->question.facts[i].known = ROUTE_UNTRIED;
            looks = true;
        }
    return looks;
}

int script_step_start(struct gbx_script *script, struct gbx_error *err)
{
    const struct language *language = script->language;
    struct gbx_error why = {0};
    struct asking asking = {0};
    int rc;

    script->seen = measure_get(&script->runtime->measures, script->path);
    if ((rc = ask(script, &asking, err)) < 0)
        return rc;
    /* Whoever asks for one hears from that one what it lacks. */
    if (script->config.isolation != GBX_ISOLATION_AUTO)
        for (uint32_t i = 1; i < GBX_ISOLATION_REMOTE; i++)
            asking.question.facts[i].known = ROUTE_UNTRIED;
    for (;;) {
        route_decide(&script->route, &asking.question);
        if (script->route.isolation == GBX_ISOLATION_AUTO) {
            if (look_again(&asking))
                continue;
            rc = refuse(script, &asking, err);
            break;
        }
        rc = start(script, &why);
        if (rc != GBX_EUNSUPPORTED ||
            script->config.isolation != GBX_ISOLATION_AUTO) {
            if (rc < 0 && err != NULL)
                *err = why;
            break;
        }
        lack(&asking, script->route.isolation, why.what);
        if (!language->is_program && !language->is_module)
            host_lacks(&script->runtime->host, script->route.isolation,
                       why.what);
    }
    script->config.route.from = NULL; /* it was the caller's */
    return rc;
}

int gbx_route_explain(struct gbx_runtime *runtime, const char *path,
                      const struct gbx_script_config *config,
                      struct gbx_route *route, struct gbx_error *err)
{
    struct gbx_script *script = script_new(runtime);
    struct asking asking = {0};
    int rc;

    *route = (struct gbx_route){0};
    if (script == NULL)
        return fail(err, GBX_EHOST, "no memory for a script");
    host_probe(&runtime->host);
    if ((rc = script_step_what(script, path, config, err)) == 0) {
        script->seen = measure_get(&runtime->measures, script->path);
        rc = ask(script, &asking, err);
    }
    if (rc == 0)
        route_decide(route, &asking.question);
    script->backend = NULL; /* nothing to keep */
    gbx_script_close(script);
    return rc;
}
