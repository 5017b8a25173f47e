/* SPDX-License-Identifier: Apache-2.0 */
/* scripts.c - what callers have brought, as it is loaded here. */
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/private.h"

static struct worker_script *find_locked(struct worker *worker,
                                         const char *digest)
{
    struct worker_script *script;

    LIST_FOREACH(script, &worker->scripts, next)
    if (strcmp(script->digest, digest) == 0)
        return script;
    return NULL;
}

/* The one that was not used for longest, where there are too many. */
static struct actor *take_oldest_locked(struct worker *worker)
{
    struct worker_script *script, *oldest = NULL;
    struct actor *actor;

    if (worker->script_count <= WORKER_SCRIPTS_MAX)
        return NULL;
    LIST_FOREACH(script, &worker->scripts, next)
    if (script->actor != NULL &&
        (oldest == NULL || script->used_ns < oldest->used_ns))
        oldest = script;
    if (oldest == NULL)
        return NULL;
    LIST_REMOVE(oldest, next);
    worker->script_count--;
    actor = oldest->actor;
    free(oldest);
    return actor;
}

static int load(struct worker *worker, const char *digest,
                struct actor **actor, struct gbx_error *err)
{
    const uint64_t from_ns = daemon_now_ns();
    uint8_t *body = NULL;
    size_t bytes = 0;
    int rc = net_worker_script(worker->net, digest, &body, &bytes, err);

    if (rc == 0)
        rc = actors_of_load(worker->daemon, NULL, body, bytes, link_ask, actor,
                            err);
    free(body);
    daemon_audit(worker->daemon, NULL, "load",
                 rc == 0 ? (*actor)->id : digest, rc,
                 daemon_now_ns() - from_ns);
    return rc;
}

/* Somebody else may be loading it; or this thread is to. */
static struct actor *find_or_begin(struct worker *worker, const char *digest,
                                   struct worker_script **begun)
{
    struct worker_script *script;
    struct actor *actor = NULL;

    *begun = NULL;
    pthread_mutex_lock(&worker->lock);
    while ((script = find_locked(worker, digest)) != NULL &&
           script->actor == NULL)
        pthread_cond_wait(&worker->loaded, &worker->lock);
    if (script != NULL) {
        script->used_ns = daemon_now_ns();
        actor = actors_hold(worker->daemon, script->actor);
    } else if ((script = calloc(1, sizeof(*script))) != NULL) {
        memcpy(script->digest, digest, sizeof(script->digest));
        LIST_INSERT_HEAD(&worker->scripts, script, next);
        worker->script_count++;
        *begun = script;
    }
    pthread_mutex_unlock(&worker->lock);
    return actor;
}

int script_get(struct worker *worker, struct job *job, const char *digest,
               struct actor **actor, char **printed, struct gbx_error *err)
{
    struct worker_script *script;
    struct actor *oldest;
    struct printed said;
    int rc;

    *printed = NULL;
    *actor = find_or_begin(worker, digest, &script);
    if (*actor != NULL)
        return 0;
    if (script == NULL) {
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    printed_begin(&said);
    link_set_current(job);
    rc = load(worker, digest, actor, err);
    link_set_current(NULL);
    printed_end(&said);
    *printed = said.text; /* the caller's */
    pthread_mutex_lock(&worker->lock);
    if (rc == 0) {
        script->actor = actors_hold(worker->daemon, *actor);
        script->used_ns = daemon_now_ns();
    } else {
        LIST_REMOVE(script, next);
        worker->script_count--;
        free(script);
    }
    oldest = take_oldest_locked(worker);
    pthread_cond_broadcast(&worker->loaded);
    pthread_mutex_unlock(&worker->lock);
    actors_put(worker->daemon, oldest);
    return rc;
}

void scripts_close(struct worker *worker)
{
    struct worker_script *script;

    while ((script = LIST_FIRST(&worker->scripts)) != NULL) {
        LIST_REMOVE(script, next);
        actors_put(worker->daemon, script->actor);
        free(script);
    }
}
