/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - GET /v1/stats: all that the page shows, and whoever asks.
 *
 *  ?flow=NAME     nodes and connections of this flow alone; default: of all
 *  ?after=NUMBER  errors after this one alone
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"

#define WAITING_MAX 64u
#define ACTORS_MAX  256u       /* that are told of */
#define FLOWS_NS    100000000u /* to wait for flows that are being changed */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t some;
    pthread_t thread;
    struct daemon *daemon; /* NULL: it has not been opened */
    struct net_request *waiting[WAITING_MAX];
    unsigned first, count;
    bool is_over;
} stats = {.lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

/* ---- what there is to say ---- */

static json_t *of_daemon(struct daemon *daemon, uint64_t now_ns)
{
    const struct net_counts net = daemon->server != NULL
                                      ? net_server_counts(daemon->server)
                                      : (struct net_counts){.open = 0};
    const struct lately_facts lately =
        lately_read(&daemon->lately, now_ns, daemon->started_ns);
    unsigned waiting, busy;

    pthread_mutex_lock(&daemon->work.lock);
    waiting = (unsigned)daemon->work.count;
    busy = daemon->work.busy;
    pthread_mutex_unlock(&daemon->work.lock);
    return json_pack(
        "{s:s,s:i,s:f,s:b,s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
        "version", gbx_version(), "port",
        daemon->server != NULL ? (int)net_server_port(daemon->server) : 0, "uptime_s", (double)(now_ns - daemon->started_ns) / 1e9,
        "is_draining", (int)atomic_load(&daemon->is_draining), "workers",
        (int)daemon->workers, "workers_busy", (int)busy, "queued", (int)waiting,
        "queue_max", (json_int_t)daemon->queue_max, "connections",
        (json_int_t)net.open, "websockets", (json_int_t)net.peers, "calls",
        (json_int_t)daemon->calls, "failures", (json_int_t)daemon->failures,
        "refused", (json_int_t)daemon->busy, "denied",
        (json_int_t)daemon->denied, "lately", lately_json(&lately));
}

static json_t *of_pool(struct gbx_script *script)
{
    struct gbx_pool_stats pool = {0};

    gbx_script_pool_stats(script, &pool);
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "total",
        (json_int_t)pool.total, "ready", (json_int_t)pool.ready, "busy",
        (json_int_t)pool.busy, "waiting", (json_int_t)pool.waiting, "waits",
        (json_int_t)pool.waits, "built", (json_int_t)pool.built, "cloned",
        (json_int_t)pool.cloned, "wiped", (json_int_t)pool.wiped, "broken",
        (json_int_t)pool.broken, "suspended", (json_int_t)pool.suspended);
}

static json_t *of_actor(const struct actor *actor, uint64_t now_ns,
                        uint64_t since_ns)
{
    const struct lately_facts lately =
        lately_read(&actor->lately, now_ns, since_ns);

    return json_pack("{s:o,s:b,s:s,s:o,s:I,s:I,s:i,s:o,s:o}", "id",
                     text_json(actor->id), "is_sent", actor->source != NULL,
                     "isolation", gbx_script_isolation(actor->script), "why",
                     text_json(gbx_script_why(actor->script)), "calls",
                     (json_int_t)actor->calls, "failures",
                     (json_int_t)actor->failures, "running",
                     (int)atomic_load(&actor->running), "lately",
                     lately_json(&lately), "pool", of_pool(actor->script));
}

/* Held, so that the table's lock is not, while they are asked. */
static unsigned hold(struct daemon *daemon, struct actor *held[ACTORS_MAX],
                     size_t *all)
{
    struct actor *actor;
    unsigned count = 0;

    *all = 0;
    pthread_mutex_lock(&daemon->actors.lock);
    SLIST_FOREACH(actor, &daemon->actors.all, next)
    {
        if (count < ACTORS_MAX)
            held[count++] = actor;
        ++*all;
    }
    SLIST_FOREACH(actor, &daemon->actors.sources, next)
    {
        if (count < ACTORS_MAX)
            held[count++] = actor;
        ++*all;
    }
    for (unsigned i = 0; i < count; i++)
        held[i]->holders++;
    pthread_mutex_unlock(&daemon->actors.lock);
    return count;
}

static json_t *of_actors(struct daemon *daemon, uint64_t now_ns, size_t *all)
{
    struct actor *held[ACTORS_MAX];
    const unsigned count = hold(daemon, held, all);
    json_t *actors = json_array();

    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(actors,
                              of_actor(held[i], now_ns, daemon->started_ns));
        actors_put(daemon, held[i]);
    }
    return actors;
}

/* A member of the query as text, or NULL. */
static const char *member(const char *query, const char *name, char room[64])
{
    size_t bytes;
    const char *value = http_query(query, name, &bytes);

    if (value == NULL)
        return NULL;
    snprintf(room, 64, "%.*s", (int)bytes, value);
    return room;
}

json_t *stats_json(struct daemon *daemon, const char *query)
{
    const uint64_t now_ns = daemon_now_ns();
    char name[64], number[64] = "0";
    const char *flow = member(query, "flow", name);
    json_t *actors;
    struct timespec now;
    size_t count;

    member(query, "after", number);
    clock_gettime(CLOCK_REALTIME, &now);
    actors = of_actors(daemon, now_ns, &count);
    return json_pack("{s:I,s:o,s:I,s:o,s:o,s:o}", "now_ms",
                     (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                     "daemon", of_daemon(daemon, now_ns), "actor_count",
                     (json_int_t)count, "actors", actors, "flows",
                     flows_list(flow, now_ns + FLOWS_NS), "errors",
                     troubles_list(strtoull(number, NULL, 10)));
}

/* ---- who asks ---- */

static const struct net_header headers[] = {
    {"cache-control:", "no-store"},
    {"x-content-type-options:", "nosniff"},
    {NULL, NULL}};

static void *answer(void *context)
{
    struct daemon *daemon = context;

    pthread_mutex_lock(&stats.lock);
    while (stats.count > 0 || !stats.is_over) {
        struct net_request *request;

        if (stats.count == 0) {
            pthread_cond_wait(&stats.some, &stats.lock);
            continue;
        }
        request = stats.waiting[stats.first];
        stats.first = (stats.first + 1) % WAITING_MAX;
        stats.count--;
        pthread_mutex_unlock(&stats.lock);
        net_reply_headers(request, headers);
        http_reply_json(request, 200, stats_json(daemon, request->query));
        pthread_mutex_lock(&stats.lock);
    }
    pthread_mutex_unlock(&stats.lock);
    return NULL;
}

bool stats_take(struct daemon *daemon, struct net_request *request)
{
    bool is_taken = false;

    if (strcmp(request->path, "/v1/stats") != 0 ||
        strcmp(request->method, "GET") != 0)
        return false;
    pthread_mutex_lock(&stats.lock);
    if (stats.count < WAITING_MAX && !stats.is_over) {
        stats.waiting[(stats.first + stats.count++) % WAITING_MAX] = request;
        pthread_cond_signal(&stats.some);
        is_taken = true;
    }
    pthread_mutex_unlock(&stats.lock);
    if (!is_taken) {
        daemon->busy++;
        http_reply_error(request, 503, "ELIMIT",
                         "too many ask for it: try again later");
    }
    return true;
}

int stats_open(struct daemon *daemon, struct gbx_error *err)
{
    if (pthread_create(&stats.thread, NULL, answer, daemon) == 0) {
        stats.daemon = daemon;
        return 0;
    }
    *err = (struct gbx_error){.code = GBX_EHOST,
                              .what = "a thread for what it tells of itself"};
    return GBX_EHOST;
}

void stats_close(void)
{
    if (stats.daemon == NULL)
        return;
    pthread_mutex_lock(&stats.lock);
    stats.is_over = true;
    pthread_cond_signal(&stats.some);
    pthread_mutex_unlock(&stats.lock);
    pthread_join(stats.thread, NULL);
    stats.daemon = NULL;
}
