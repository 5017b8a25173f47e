/* SPDX-License-Identifier: Apache-2.0 */
/* script.c - scripts that a client brings, and what it is told of us. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/link/link.h"
#include "daemon/link/load.h"

#define LEAVE_NS 2000000000u /* that clients have to leave us */

/* ---- which is which ---- */

static struct link_script *find_locked(struct link *link, uint32_t number)
{
    struct link_script *script;

    LIST_FOREACH(script, &link->scripts, next)
    if (script->number == number)
        return script;
    return NULL;
}

/* "#7" or "#7/key" */
struct actor *link_find_actor(struct link *link, const char *name, char **key)
{
    struct link_script *script;
    struct actor *actor = NULL;
    unsigned long number;
    char *end;

    *key = NULL;
    if (name[0] != '#')
        return actors_get(link->daemon, name);
    number = strtoul(name + 1, &end, 10);
    if ((*end != '\0' && *end != '/') || number > UINT32_MAX ||
        asprintf(key, "%s%s", link->name, end) < 0) {
        *key = NULL;
        return NULL;
    }
    pthread_mutex_lock(&link->lock);
    script = find_locked(link, (uint32_t)number);
    if (script != NULL && script->actor != NULL)
        actor = actors_hold(link->daemon, script->actor);
    pthread_mutex_unlock(&link->lock);
    if (actor == NULL && link->brought != NULL)
        actor = actors_hold(link->daemon, link->brought);
    if (actor == NULL) {
        free(*key);
        *key = NULL;
    }
    return actor;
}

static bool add(struct link *link, uint32_t number)
{
    struct link_script *script = NULL;

    pthread_mutex_lock(&link->lock);
    if (link->script_count < LINK_SCRIPTS_MAX &&
        find_locked(link, number) == NULL)
        script = calloc(1, sizeof(*script));
    if (script != NULL) {
        script->number = number;
        LIST_INSERT_HEAD(&link->scripts, script, next);
        link->script_count++;
    }
    pthread_mutex_unlock(&link->lock);
    return script != NULL;
}

static void take_out_locked(struct link *link, struct link_script *script)
{
    LIST_REMOVE(script, next);
    link->script_count--;
}

/* It is loaded, or (NULL) was not; what is not wanted any more is returned. */
static struct actor *settle(struct link *link, uint32_t number,
                            struct actor *actor)
{
    struct link_script *script;

    pthread_mutex_lock(&link->lock);
    script = find_locked(link, number);
    if (script != NULL && (actor == NULL || script->is_unwanted)) {
        take_out_locked(link, script);
        free(script);
        script = NULL;
    }
    if (script != NULL) {
        script->actor = actor;
        actor = NULL;
    }
    pthread_mutex_unlock(&link->lock);
    return actor;
}

/* To close sandboxes takes its time: the server's thread leaves it to a worker,
 * if there is one. */
static void put_later(struct link *link, struct actor *actor)
{
    struct job *job = actor != NULL ? calloc(1, sizeof(*job)) : NULL;

    if (job != NULL)
        job->unused = actor;
    if (job != NULL && work_put(link->daemon, job))
        return;
    free(job);
    actors_put(link->daemon, actor);
}

void link_unload(struct link *link, uint32_t number)
{
    struct actor *actor = NULL;
    struct link_script *script;

    pthread_mutex_lock(&link->lock);
    script = find_locked(link, number);
    if (script != NULL && script->actor == NULL) {
        script->is_unwanted = true; /* whoever loads it sees to that */
    } else if (script != NULL) {
        actor = script->actor;
        take_out_locked(link, script);
        free(script);
    }
    pthread_mutex_unlock(&link->lock);
    put_later(link, actor);
}

void link_unload_all(struct link *link)
{
    struct link_script *script;
    uint32_t number;

    for (;;) {
        pthread_mutex_lock(&link->lock);
        LIST_FOREACH(script, &link->scripts, next)
        if (!script->is_unwanted)
            break;
        number = script != NULL ? script->number : 0;
        pthread_mutex_unlock(&link->lock);
        if (number == 0)
            return;
        link_unload(link, number);
    }
}

/* ---- LOAD ---- */

void link_load_later(struct link *link, struct link_load *load)
{
    struct job *job;

    if (!add(link, load->number)) {
        link_refuse(link, load->number, GBX_EAGAIN,
                    "that number is in use, or too many scripts are loaded");
        free(load);
        return;
    }
    job = link_job(link);
    if (job != NULL)
        job->load = load;
    if (job != NULL && access_take(&link->daemon->access, link->token) &&
        work_put(link->daemon, job))
        return;
    settle(link, load->number, NULL);
    link->daemon->busy++;
    link_refuse(link, load->number, GBX_EAGAIN,
                "there is too much to do already: try again later");
    if (job != NULL)
        work_drop(job);
    else
        free(load);
}

static void build_text(struct gbx_builder *b, const char *text)
{
    gbx_build_text(b, text, strlen(text));
}

void link_tell_loaded(struct link *link, uint32_t number,
                      const struct actor *actor)
{
    const char *json = gbx_script_metadata(actor->script);
    struct frame frame = {.kind = FRAME_LOADED, .call = number};
    struct gbx_builder b, about;
    struct gbx_message metadata;
    struct gbx_error err;

    gbx_builder_init(&b);
    gbx_builder_init(&about);
    if (gbx_message_from_json(&metadata, &about, json, strlen(json),
                              GBX_JSON_PLAIN, &err) == 0 &&
        metadata.type == GBX_OBJECT) {
        gbx_build_map(&b, 3);
        build_text(&b, "metadata");
        gbx_build_item(&b, metadata.body, metadata.body_bytes);
        build_text(&b, "isolation");
        build_text(&b, gbx_script_isolation(actor->script));
        build_text(&b, "why");
        build_text(&b, gbx_script_why(actor->script));
    }
    frame.body_bytes = b.count;
    if (b.error == 0 && b.count > 0)
        link_send(link, &frame, b.bytes);
    else
        link_refuse(link, number, GBX_EHOST, "no memory");
    gbx_builder_fini(&b);
    gbx_builder_fini(&about);
}

/* Nobody is there any more who would use it. */
static bool is_unwanted(struct job *job)
{
    struct link *link = job->link;
    bool is_gone;

    pthread_mutex_lock(&link->lock);
    is_gone = link->is_gone;
    pthread_mutex_unlock(&link->lock);
    return is_gone || work_is_canceled(link->daemon, job);
}

void link_load(struct job *job)
{
    struct link *link = job->link;
    const uint32_t number = job->load->number;
    const uint64_t from_ns = daemon_now_ns();
    struct gbx_error err = {.what = ""};
    struct actor *actor = NULL;
    struct printed printed;
    int rc;

    if (is_unwanted(job)) {
        settle(link, number, NULL);
        return;
    }
    printed_begin(&printed);
    link_set_current(job);
    rc = actors_of_load(link->daemon, job->token, job->load->body,
                        job->load->bytes, link_ask, &actor, &err);
    link_set_current(NULL);
    printed_end(&printed);
    daemon_audit(link->daemon, job->token, "load",
                 actor != NULL ? actor->id : "?", rc,
                 daemon_now_ns() - from_ns);
    if (rc == 0) {
        actors_hold(link->daemon, actor); /* until it has been told of */
        actors_put(link->daemon, settle(link, number, actor));
        link_tell_loaded(link, number, actor);
        actors_put(link->daemon, actor);
    } else {
        settle(link, number, NULL);
        link_fail(link, number,
                  &(struct link_failure){.code = rc,
                                         .what = err.what,
                                         .traceback = printed.text,
                                         .has_not_run = true});
    }
    printed_fini(&printed);
}

/* ---- HELLO ---- */

void link_hello(struct link *link)
{
    struct daemon *daemon = link->daemon;
    struct frame frame = {.kind = FRAME_HELLO};
    char product[64];
    struct gbx_builder b;
    unsigned count = 0, busy, waiting;

    for (int i = 1; i <= (int)GBX_ISOLATIONS; i++)
        count += daemon->offers[i];
    work_load(daemon, &busy, &waiting);
    snprintf(product, sizeof(product), "gloveboxd %s", gbx_version());
    gbx_builder_init(&b);
    gbx_build_map(&b, 9);
    build_text(&b, "oldest");
    gbx_build_integer(&b, FRAME_VERSION);
    build_text(&b, "newest");
    gbx_build_integer(&b, FRAME_VERSION);
    build_text(&b, "product");
    build_text(&b, product);
    build_text(&b, "isolations");
    gbx_build_array(&b, count);
    for (int i = 1; i <= (int)GBX_ISOLATIONS; i++)
        if (daemon->offers[i])
            build_text(&b, gbx_isolation_name(i));
    build_text(&b, "workers");
    gbx_build_integer(&b, daemon->workers);
    build_text(&b, "busy");
    gbx_build_integer(&b, busy);
    build_text(&b, "waiting");
    gbx_build_integer(&b, waiting);
    build_text(&b, "draining");
    gbx_build_boolean(&b, atomic_load(&daemon->is_draining));
    build_text(&b, "bytes_max");
    gbx_build_integer(&b, (int64_t)daemon->bytes_max);
    frame.body_bytes = b.count;
    if (b.error == 0)
        link_send(link, &frame, b.bytes);
    gbx_builder_fini(&b);
}

void links_tell(struct daemon *daemon)
{
    struct link *link;

    pthread_mutex_lock(&daemon->links_lock);
    LIST_FOREACH(link, &daemon->links, other)
    if (link->has_greeted)
        link_hello(link);
    pthread_mutex_unlock(&daemon->links_lock);
}

static bool has_greeted_one(struct daemon *daemon)
{
    struct link *link;
    bool has = false;

    pthread_mutex_lock(&daemon->links_lock);
    LIST_FOREACH(link, &daemon->links, other)
    has = has || link->has_greeted;
    pthread_mutex_unlock(&daemon->links_lock);
    return has;
}

void links_await(struct daemon *daemon)
{
    const uint64_t until_ns = daemon_now_ns() + LEAVE_NS;

    while (has_greeted_one(daemon) && daemon_now_ns() < until_ns)
        usleep(5000);
}
