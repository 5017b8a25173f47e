/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.c - the hosts of a runtime: added, connected, chosen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "glovebox/message.h"
#include "net/module.h"
#include "sandbox/remote/remote.h"

#define LOAD_SLOW_NS 5000000000ull /* that a host may take to load a script */

static const char *const module_names[FLEET_KINDS] =
    {[FLEET_NET] = "glovebox-net.so", [FLEET_NATS] = "glovebox-nats.so"};

int fleet_open(struct fleet **fleet, const char *libexec_dir,
               struct gbx_error *err)
{
    struct fleet *made = calloc(1, sizeof(*made));
    pthread_condattr_t clock;

    *fleet = NULL;
    if (made != NULL)
        made->libexec_dir = strdup(libexec_dir);
    if (made == NULL || made->libexec_dir == NULL) {
        free(made);
        return fail(err, GBX_EHOST, "no memory for remote hosts");
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&made->changed, &clock);
    pthread_condattr_destroy(&clock);
    LIST_INIT(&made->scripts);
    LIST_INIT(&made->sandboxes);
    made->seed = clock_now_ns() | 1;
    *fleet = made;
    return 0;
}

static void free_host(struct fleet_host *host)
{
    struct host_script *loaded;

    if (host == NULL)
        return;
    while ((loaded = LIST_FIRST(&host->scripts)) != NULL)
        host_forget_script_locked(host, loaded);
    if (!host->in.is_lent)
        free(host->in.body);
    reflow_forget(host);
    free(host);
}

void fleet_close(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (unsigned i = 0; i < FLEET_KINDS; i++)
        if (fleet->modules[i].api != NULL)
            fleet->modules[i].api->close(fleet->modules[i].client);
    for (unsigned i = 0; i < fleet->host_count; i++)
        free_host(fleet->hosts[i]);
    pthread_cond_destroy(&fleet->changed);
    pthread_mutex_destroy(&fleet->lock);
    free(fleet->libexec_dir);
    free(fleet);
}

/* ---- hosts are added ---- */

static int load_module(struct fleet *fleet, enum fleet_kind kind,
                       struct gbx_error *err)
{
    struct fleet_module *module = &fleet->modules[kind];
    const struct net_client_config config = {.tick = host_tick,
                                             .context = module};
    int rc;

    module->fleet = fleet;
    if (module->client != NULL)
        return 0;
    module->api = net_module_find(fleet->libexec_dir, module_names[kind],
                                  NET_CLIENT_SYMBOL, err);
    if (module->api == NULL)
        return GBX_EUNSUPPORTED;
    rc = module->api->open(&module->client, &config, err);
    if (rc < 0)
        module->api = NULL;
    return rc;
}

static enum fleet_kind kind_of(const char *url)
{
    return strncmp(url, "nats://", 7) == 0 || strncmp(url, "tls://", 6) == 0
               ? FLEET_NATS
               : FLEET_NET;
}

int fleet_add(struct fleet *fleet, const struct gbx_host_config *config,
              struct gbx_error *err)
{
    const enum fleet_kind kind = kind_of(config->url);
    struct fleet_host *host;
    int rc;

    if (fleet->is_started)
        return fail(err, GBX_EARGUMENT,
                    "hosts are added before the first script is opened");
    if (fleet->host_count == FLEET_HOSTS_MAX)
        return fail(err, GBX_ELIMIT, "there may be %u hosts", FLEET_HOSTS_MAX);
    if (strlen(config->url) >= sizeof(host->url))
        return fail(err, GBX_EARGUMENT, "the URL of a host is too long");
    if ((rc = load_module(fleet, kind, err)) < 0)
        return rc;
    host = calloc(1, sizeof(*host));
    if (host == NULL)
        return fail(err, GBX_EHOST, "no memory for a host");
    host->fleet = fleet;
    strcpy(host->url, config->url);
    host->api = fleet->modules[kind].api;
    host->heartbeat_ms = config->heartbeat_ms > 0 ? config->heartbeat_ms : 5000;
    LIST_INIT(&host->scripts);
    rc = host->api->host(&host->net, fleet->modules[kind].client,
                         &(struct net_host_config){.url = config->url,
                                                   .token = config->token,
                                                   .ca_path = config->ca_path,
                                                   .handler = &host_handler,
                                                   .context = host},
                         err);
    if (rc < 0) {
        free(host);
        return rc;
    }
    fleet->hosts[fleet->host_count++] = host;
    return 0;
}

/* ---- until one is up ---- */

static int start_locked(struct fleet *fleet, struct gbx_error *err)
{
    int rc = 0;

    for (unsigned i = 0; i < FLEET_KINDS && rc == 0; i++) {
        struct fleet_module *module = &fleet->modules[i];

        if (module->client == NULL || module->is_started)
            continue;
        rc = module->api->start(module->client, err);
        module->is_started = rc == 0;
    }
    fleet->is_started = rc == 0;
    return rc;
}

static int say_none(const struct fleet *fleet, struct gbx_error *err)
{
    char text[GBX_ERROR_TEXT_MAX] = "";
    size_t at = 0;

    if (fleet->host_count == 0)
        return fail(err, GBX_EUNSUPPORTED,
                    "no remote host is known: glovebox run --remote URL, or "
                    "gbx_runtime_add_host");
    for (unsigned i = 0; i < fleet->host_count && at < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.60s: %.90s",
                               i > 0 ? "; " : "", fleet->hosts[i]->url,
                               fleet->hosts[i]->why);
    return fail(err, GBX_EUNSUPPORTED, "no remote host is up: %s", text);
}

int fleet_await(struct fleet *fleet, const atomic_bool *stop,
                struct gbx_error *err)
{
    uint64_t before[FLEET_HOSTS_MAX];
    bool is_up = false, is_hopeful = true;
    int rc = 0;

    pthread_mutex_lock(&fleet->lock);
    if (!fleet->is_started)
        rc = start_locked(fleet, err);
    for (unsigned i = 0; i < fleet->host_count; i++) {
        before[i] = fleet->hosts[i]->attempts;
        if (fleet->hosts[i]->state == HOST_DOWN)
            fleet->hosts[i]->retry_ns = 0;
    }
    for (unsigned i = 0; i < FLEET_KINDS && rc == 0; i++)
        if (fleet->modules[i].client != NULL)
            fleet->modules[i].api->wake(fleet->modules[i].client);
    while (rc == 0 && !is_up && is_hopeful) {
        is_hopeful = false;
        for (unsigned i = 0; i < fleet->host_count; i++) {
            is_up = is_up || fleet->hosts[i]->state == HOST_UP;
            is_hopeful = is_hopeful || fleet->hosts[i]->attempts == before[i];
        }
        if (stop != NULL && atomic_load(stop))
            rc = fail(err, GBX_ECANCELED, "the start was cancelled");
        else if (!is_up && is_hopeful)
            pthread_cond_wait(&fleet->changed, &fleet->lock);
    }
    if (rc == 0 && !is_up)
        rc = say_none(fleet, err);
    pthread_mutex_unlock(&fleet->lock);
    return rc;
}

/* ---- choosing ---- */

/* Calls that it has to do, in thousandths of what it can do at once. */
static uint64_t load_of(const struct fleet_host *host)
{
    const unsigned told = host->busy + host->waiting;
    const unsigned all = told > host->in_flight ? told : host->in_flight;

    return 1000ull * all / (host->workers > 0 ? host->workers : 1);
}

static bool has_refused(const struct host_script *loaded, uint64_t now_ns)
{
    return loaded != NULL && loaded->state == LOAD_FAILED &&
           loaded->until_ns > now_ns;
}

/* To bring a script takes its time: while the others are half free, it is not
 * worth it.  Whoever does not say what it made of one has others before it. */
static uint64_t load_with(const struct fleet_host *host,
                          const struct host_script *loaded, uint64_t now_ns)
{
    const uint64_t load = load_of(host);

    if (loaded != NULL && loaded->state == LOAD_DONE)
        return load;
    if (loaded != NULL && loaded->state == LOAD_ASKED &&
        now_ns - loaded->asked_ns > LOAD_SLOW_NS)
        return load + 1000000;
    return load + 500;
}

struct fleet_host *fleet_choose_locked(struct fleet *fleet,
                                       const struct fleet_script *script,
                                       const struct host_script **failed)
{
    const struct host_script *never = NULL, *not_there = NULL;
    const uint64_t now_ns = clock_now_ns();
    struct fleet_host *best = NULL;
    bool is_somewhere = false, may_wait = false;
    uint64_t best_load = 0;

    for (unsigned i = 0; i < fleet->host_count; i++) {
        struct fleet_host *host = fleet->hosts[i];
        const struct host_script *loaded = host_script_locked(host, script);
        const uint64_t load = load_with(host, loaded, now_ns);

        if (host->state != HOST_UP || host->is_draining)
            continue;
        if (has_refused(loaded, now_ns)) {
            if (loaded->is_busy)
                may_wait = true;
            else if (loaded->may_other)
                not_there = loaded;
            else
                never = loaded; /* it would fail on each of them */
            continue;
        }
        is_somewhere =
            is_somewhere || (loaded != NULL && loaded->state == LOAD_DONE);
        if (host->in_flight == FLEET_SLOTS ||
            (host->is_reflow && reflow_is_taken_locked(host, script))) {
            may_wait = true;
        } else if (best == NULL || load < best_load ||
                   (load == best_load && host->rtt_ns < best->rtt_ns)) {
            best = host;
            best_load = load;
        }
    }
    *failed = never != NULL && !is_somewhere ? never
              : best == NULL && !may_wait    ? not_there
                                             : NULL;
    return *failed == NULL ? best : NULL;
}

size_t fleet_stats(struct fleet *fleet, struct gbx_host_stats *stats,
                   size_t room)
{
    pthread_mutex_lock(&fleet->lock);
    for (unsigned i = 0; i < fleet->host_count && i < room; i++) {
        const struct fleet_host *host = fleet->hosts[i];

        stats[i] = (struct gbx_host_stats){
            .state = host->state == HOST_UP
                         ? host->is_draining ? GBX_HOST_DRAINING : GBX_HOST_UP
                     : host->state == HOST_DOWN ? GBX_HOST_DOWN
                                                : GBX_HOST_CONNECTING,
            .workers = host->workers,
            .busy = host->busy,
            .waiting = host->waiting,
            .in_flight = host->in_flight,
            .rtt_ns = host->rtt_ns,
            .calls = host->calls,
            .lost = host->lost,
            .moved = host->moved};
        strcpy(stats[i].url, host->url);
        strcpy(stats[i].why, host->state == HOST_UP ? "" : host->why);
        strcpy(stats[i].product, host->product);
    }
    pthread_mutex_unlock(&fleet->lock);
    return fleet->host_count;
}

/* ---- scripts ---- */

static void free_script(struct fleet_script *script)
{
    free(script->path);
    free(script->actor_id);
    free(script);
}

/* Its path on this host, and its own name, as the LOAD in it has them. */
static int name_script(struct fleet_script *script, const char *folder,
                       const void *body, size_t bytes)
{
    bool wants_file = false, wants_id = false;
    struct gbx_reader r;
    struct gbx_item item;
    int rc = 0;

    gbx_reader_init(&r, body, bytes);
    while (rc >= 0 && gbx_read(&r, &item) == 0) {
        if (item.depth == 2 && item.kind == GBX_ITEM_TEXT && wants_file &&
            script->path == NULL)
            rc = asprintf(&script->path, "%s%s%.*s",
                          folder != NULL ? folder : "",
                          folder != NULL ? "/" : "", (int)item.count,
                          (const char *)item.bytes);
        else if (item.depth == 2 && item.kind == GBX_ITEM_TEXT && wants_id &&
                 script->actor_id == NULL)
            script->actor_id = strndup(item.bytes, item.count);
        wants_file = item.depth == 2 && gbx_item_is(&item, "file");
        wants_id = item.depth == 2 && gbx_item_is(&item, "actor_id");
    }
    if (script->path == NULL)
        script->path = strdup("?");
    if (script->actor_id == NULL)
        script->actor_id = strdup("");
    return rc < 0 || script->path == NULL || script->actor_id == NULL ? -1 : 0;
}

static struct fleet_script *make_script(const char *folder, const void *body,
                                        size_t bytes)
{
    struct fleet_script *script = malloc(sizeof(*script) + bytes);

    if (script == NULL)
        return NULL;
    *script = (struct fleet_script){.references = 1, .bytes = bytes};
    memcpy(script->body, body, bytes);
    if (name_script(script, folder, body, bytes) == 0)
        return script;
    free_script(script);
    return NULL;
}

struct fleet_script *fleet_script_get_locked(struct fleet *fleet,
                                             unsigned floor, const char *folder,
                                             const void *body, size_t bytes)
{
    struct fleet_script *made = make_script(folder, body, bytes), *script;

    if (made == NULL)
        return NULL;
    LIST_FOREACH(script, &fleet->scripts, next)
    if (script->bytes == bytes && memcmp(script->body, body, bytes) == 0 &&
        strcmp(script->path, made->path) == 0) {
        free_script(made);
        script->references++;
        return script;
    }
    made->number = FLEET_SCRIPT_BIT | ++fleet->last_script;
    made->floor = floor;
    LIST_INSERT_HEAD(&fleet->scripts, made, next);
    return made;
}

/* Whoever has it loaded need not keep it. */
static void unload_locked(struct fleet *fleet,
                          const struct fleet_script *script)
{
    for (unsigned i = 0; i < fleet->host_count; i++) {
        struct fleet_host *host = fleet->hosts[i];
        struct host_script *loaded = host_script_locked(host, script);
        const struct frame frame = {.kind = FRAME_UNLOAD,
                                    .call = script->number};

        if (loaded == NULL)
            continue;
        if (loaded->state != LOAD_FAILED && !host->is_reflow)
            host_send(host, &frame, NULL, NULL, NULL);
        host_forget_script_locked(host, loaded);
    }
}

void fleet_script_put_locked(struct fleet *fleet, struct fleet_script *script)
{
    if (script == NULL || --script->references > 0)
        return;
    unload_locked(fleet, script);
    LIST_REMOVE(script, next);
    free_script(script);
}

void fleet_wake_locked(struct fleet *fleet)
{
    struct remote *remote;

    LIST_FOREACH(remote, &fleet->sandboxes, next)
    remote_wake(remote);
    pthread_cond_broadcast(&fleet->changed);
}
