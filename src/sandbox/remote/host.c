/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - one host: what the client's thread hears of it, and what it has been
 * given.
 *
 * A host that is lost is tried again, with twice as long a wait each time, and
 * a share of it by chance, so that a thousand callers do not all come back in
 * one moment.  A host is asked how it is (HELLO) now and then; silence means
 * that it is lost, whatever TCP believes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "glovebox/message.h"
#include "sandbox/remote/remote.h"

#define RETRY_NS_MIN 100000000ull
#define RETRY_NS_MAX 30000000000ull
#define SILENCES     3u
#define AWAY_NS      1000000000ull /* between two ticks */

int host_send(struct fleet_host *host, const struct frame *frame,
              const void *body, net_release_fn release, void *context)
{
    uint8_t head[FRAME_HEAD_MAX];

    return host->api->send(host->net, false, head, frame_write(frame, head),
                           body, body != NULL ? frame->body_bytes : 0, release,
                           context);
}

/* ---- scripts there ---- */

struct host_script *host_script_locked(struct fleet_host *host,
                                       const struct fleet_script *script)
{
    struct host_script *loaded;

    LIST_FOREACH(loaded, &host->scripts, next)
    if (loaded->script == script)
        return loaded;
    return NULL;
}

void host_forget_script_locked(struct fleet_host *host,
                               struct host_script *loaded)
{
    (void)host;
    LIST_REMOVE(loaded, next);
    free(loaded->body);
    free(loaded);
}

static int load_reflow_locked(struct fleet_host *host,
                              struct fleet_script *script)
{
    struct host_script *loaded = calloc(1, sizeof(*loaded));

    if (loaded == NULL)
        return GBX_ECANCELED;
    loaded->script = script;
    loaded->asked_ns = clock_now_ns();
    LIST_INSERT_HEAD(&host->scripts, loaded, next);
    if (reflow_load_locked(host, loaded) == 0)
        return 0;
    host_forget_script_locked(host, loaded);
    return GBX_ECANCELED;
}

/* A script outlives its sandboxes' last call, but not them: nobody counts. */
int host_load_locked(struct fleet_host *host, struct fleet_script *script)
{
    struct host_script *loaded = host_script_locked(host, script);
    const struct frame frame = {.kind = FRAME_LOAD,
                                .call = script->number,
                                .body_bytes = script->bytes};
    uint8_t head[FRAME_HEAD_MAX];
    uint8_t *all;
    size_t bytes;
    int rc;

    if (loaded != NULL)
        host_forget_script_locked(host, loaded);
    if (host->is_reflow)
        return load_reflow_locked(host, script);
    loaded = calloc(1, sizeof(*loaded));
    bytes = frame_write(&frame, head);
    all = malloc(bytes + script->bytes); /* the script may go meanwhile */
    if (loaded == NULL || all == NULL) {
        free(loaded);
        free(all);
        return GBX_ECANCELED;
    }
    memcpy(all, head, bytes);
    memcpy(all + bytes, script->body, script->bytes);
    rc = host->api->send(host->net, false, all, bytes + script->bytes, NULL, 0,
                         NULL, NULL);
    free(all);
    if (rc < 0) {
        free(loaded);
        return GBX_ECANCELED;
    }
    loaded->script = script;
    loaded->asked_ns = clock_now_ns();
    LIST_INSERT_HEAD(&host->scripts, loaded, next);
    return 0;
}

/* ---- calls there ---- */

uint32_t host_number_locked(struct fleet_host *host, struct remote *remote)
{
    for (unsigned turn = 0; turn < FLEET_SLOTS; turn++) {
        const uint32_t number = ++host->next_call & ~FLEET_SCRIPT_BIT;

        if (number == 0 || host->slots[number % FLEET_SLOTS] != NULL)
            continue;
        host->slots[number % FLEET_SLOTS] = remote;
        host->in_flight++;
        host->calls++;
        return number;
    }
    return 0;
}

/* One that ends waits until nobody wants anything of it. */
void host_leave_locked(struct fleet_host *host)
{
    if (!host->is_draining || host->in_flight > 0 || host->state != HOST_UP)
        return;
    snprintf(host->why, sizeof(host->why), "it ends");
    host->api->cut(host->net);
}

void host_let_go_locked(struct fleet_host *host, uint32_t number)
{
    struct remote *remote = host->slots[number % FLEET_SLOTS];

    if (remote == NULL || remote->call != number)
        return;
    host->slots[number % FLEET_SLOTS] = NULL;
    host->in_flight--;
    host_leave_locked(host);
    if (host->in.to == remote) { /* what is on its way is dropped */
        if (!host->in.is_lent)
            free(host->in.body);
        host->in.body = NULL;
        host->in.to = NULL;
    }
}

/* ---- HELLO ---- */

static void greet_locked(struct fleet_host *host)
{
    const struct frame frame = {.kind = FRAME_HELLO};
    struct gbx_builder b;
    struct frame full = frame;

    gbx_builder_init(&b);
    gbx_build_map(&b, 2);
    gbx_build_text(&b, "oldest", 6);
    gbx_build_integer(&b, FRAME_VERSION);
    gbx_build_text(&b, "newest", 6);
    gbx_build_integer(&b, FRAME_VERSION);
    full.body_bytes = b.count;
    if (b.error == 0) {
        uint8_t all[FRAME_HEAD_MAX + 64];
        const size_t bytes = frame_write(&full, all);

        memcpy(all + bytes, b.bytes, b.count);
        host->api->send(host->net, false, all, bytes + b.count, NULL, 0, NULL,
                        NULL);
    }
    gbx_builder_fini(&b);
    host->asked_ns = clock_now_ns();
    host->is_asking = true;
}

/* ---- up, down, and in between ---- */

/* How it is. */
static void ask_locked(struct fleet_host *host)
{
    if (host->is_reflow)
        reflow_greet_locked(host);
    else
        greet_locked(host);
}

static void on_up(void *context, bool speaks_frames)
{
    struct fleet_host *host = context;

    pthread_mutex_lock(&host->fleet->lock);
    host->why[0] = '\0';
    host->heard_ns = host->met_ns = clock_now_ns();
    host->state = HOST_GREETING;
    host->is_reflow = !speaks_frames;
    ask_locked(host);
    pthread_mutex_unlock(&host->fleet->lock);
}

static uint64_t backoff_ns(struct fleet *fleet, unsigned failures)
{
    uint64_t ns = RETRY_NS_MIN << (failures < 10 ? failures : 10);

    if (ns > RETRY_NS_MAX)
        ns = RETRY_NS_MAX;
    fleet->seed = fleet->seed * 6364136223846793005u + 1442695040888963407u;
    return ns / 2 + (fleet->seed >> 33) % (ns / 2 + 1);
}

static void lose_calls_locked(struct fleet_host *host)
{
    for (unsigned i = 0; i < FLEET_SLOTS; i++) {
        struct remote *remote = host->slots[i];

        if (remote == NULL)
            continue;
        host_let_go_locked(host, remote->call);
        remote->is_lost = true;
        host->lost++;
    }
}

static void on_down(void *context, const char *why)
{
    struct fleet_host *host = context;
    struct host_script *loaded;

    pthread_mutex_lock(&host->fleet->lock);
    lose_calls_locked(host);
    while ((loaded = LIST_FIRST(&host->scripts)) != NULL)
        host_forget_script_locked(host, loaded);
    if (!host->in.is_lent)
        free(host->in.body);
    host->in = (struct incoming){.has_head = false};
    reflow_forget(host);
    if (host->why[0] == '\0' || host->state == HOST_CONNECTING)
        snprintf(host->why, sizeof(host->why), "%s", why);
    host->state = HOST_DOWN;
    host->attempts++;
    host->retry_ns = clock_now_ns() + backoff_ns(host->fleet, host->failures++);
    fleet_wake_locked(host->fleet);
    pthread_mutex_unlock(&host->fleet->lock);
}

/* While it takes a long message, it answers nothing. */
static void on_wrote(void *context)
{
    struct fleet_host *host = context;

    pthread_mutex_lock(&host->fleet->lock);
    host->heard_ns = clock_now_ns();
    pthread_mutex_unlock(&host->fleet->lock);
}

const struct net_host_handler host_handler = {.up = on_up,
                                              .piece = host_hear,
                                              .wrote = on_wrote,
                                              .down = on_down};

static void tick_host_locked(struct fleet_host *host)
{
    const uint64_t now_ns = clock_now_ns(),
                   beat_ns = host->heartbeat_ms * 1000000ull;

    if (host->state == HOST_DOWN) {
        if (host->retry_ns > now_ns)
            return;
        host->state = HOST_CONNECTING;
        host->api->connect(host->net);
    } else if (host->state != HOST_CONNECTING) {
        if (now_ns - host->heard_ns > SILENCES * beat_ns) {
            snprintf(host->why, sizeof(host->why), "it was silent for %u ms",
                     SILENCES * host->heartbeat_ms);
            host->api->cut(host->net);
        } else if (host->state == HOST_GREETING &&
                   now_ns - host->met_ns > SILENCES * beat_ns) {
            snprintf(host->why, sizeof(host->why),
                     "it speaks, but does not greet");
            host->api->cut(host->net);
        } else if (now_ns - host->asked_ns > beat_ns) {
            ask_locked(host);
        }
    }
}

/* The thread was away (a look-up of a name, a host that slept): what came
 * meanwhile is not read yet. */
static void excuse_locked(struct fleet_host *host, uint64_t gap_ns)
{
    host->heard_ns += gap_ns;
    host->asked_ns += gap_ns;
    host->met_ns += gap_ns;
}

void host_tick(void *context)
{
    struct fleet_module *module = context;
    struct fleet *fleet = module->fleet;
    const uint64_t now_ns = clock_now_ns(), gap_ns = now_ns - module->ticked_ns;
    struct remote *remote;

    pthread_mutex_lock(&fleet->lock);
    for (unsigned i = 0; i < fleet->host_count; i++) {
        if (fleet->hosts[i]->api != module->api)
            continue;
        if (module->ticked_ns != 0 && gap_ns > AWAY_NS)
            excuse_locked(fleet->hosts[i], gap_ns);
        tick_host_locked(fleet->hosts[i]);
    }
    module->ticked_ns = now_ns;
    LIST_FOREACH(remote, &fleet->sandboxes, next)
    if (remote->wants_look)
        remote_wake(remote);
    pthread_mutex_unlock(&fleet->lock);
}
