/* SPDX-License-Identifier: Apache-2.0 */
/* actors.c - the scripts that are loaded, by the name that they have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/link/load.h"

#define SOURCES_MAX 64u /* that are kept loaded */
#define SOURCE      ".script-" /* their files */

/* A handler that says nothing of itself is called as its function. */
static bool is_telling(const char *component)
{
    static const char *const usual[] = {"", "process", "run", "processData"};

    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (component == NULL || strcmp(component, usual[i]) == 0)
            return false;
    return true;
}

/* Without its folder; of an upload without its number, of a source without the
 * dot. */
static const char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;

    if (strncmp(file, SOURCE, strlen(SOURCE)) == 0)
        return file + 1;
    return file[0] == '.' && strchr(file, '-') != NULL ? strchr(file, '-') + 1
                                                       : file;
}

/* Its component, or its file's name without what is behind the dot. */
static char *name_of(const struct gbx_script *script, const char *path)
{
    json_t *about = json_loads(gbx_script_metadata(script), 0, NULL);
    const char *told = json_string_value(json_object_get(about, "component"));
    const char *file = file_of(path), *dot = strrchr(file, '.');
    char *name;

    name = is_telling(told) ? strdup(told)
           : dot != NULL                   ? strndup(file, (size_t)(dot - file))
                                           : strdup(file);
    json_decref(about);
    return name;
}

static void drop(struct actor *actor)
{
    if (actor->is_upload)
        unlink(actor->path);
    if (actor->folder != NULL)
        rmdir(actor->folder);
    gbx_script_close(actor->script);
    voice_close(&actor->voice);
    free(actor->id);
    free(actor->path);
    free(actor->folder);
    free(actor->source);
    free(actor->load);
    free(actor);
}

void actors_put(struct daemon *daemon, struct actor *actor)
{
    unsigned left;

    if (actor == NULL)
        return;
    pthread_mutex_lock(&daemon->actors.lock);
    left = --actor->holders;
    if (left == 0 && actor->load != NULL)
        SLIST_REMOVE(&daemon->actors.loads, actor, actor, next);
    pthread_mutex_unlock(&daemon->actors.lock);
    if (left == 0)
        drop(actor);
}

static struct actor *find_locked(struct daemon *daemon, const char *id)
{
    struct actor *actor;

    SLIST_FOREACH(actor, &daemon->actors.all, next)
    if (strcmp(actor->id, id) == 0)
        return actor;
    return NULL;
}

struct actor *actors_get(struct daemon *daemon, const char *id)
{
    struct actor *actor;

    pthread_mutex_lock(&daemon->actors.lock);
    actor = find_locked(daemon, id);
    if (actor != NULL)
        actor->holders++;
    pthread_mutex_unlock(&daemon->actors.lock);
    return actor;
}

struct actor *actors_hold(struct daemon *daemon, struct actor *actor)
{
    pthread_mutex_lock(&daemon->actors.lock);
    actor->holders++;
    pthread_mutex_unlock(&daemon->actors.lock);
    return actor;
}

/* The table's holder goes with it. */
static struct actor *take_out_locked(struct daemon *daemon, const char *id)
{
    struct actor *actor = find_locked(daemon, id);

    if (actor != NULL)
        SLIST_REMOVE(&daemon->actors.all, actor, actor, next);
    return actor;
}

bool actors_remove(struct daemon *daemon, const char *id)
{
    struct actor *actor;

    pthread_mutex_lock(&daemon->actors.lock);
    actor = take_out_locked(daemon, id);
    pthread_mutex_unlock(&daemon->actors.lock);
    actors_put(daemon, actor);
    return actor != NULL;
}

/* As it will be opened: calls run at once, unless rules say otherwise. */
static int settle(const struct daemon *daemon, const char *path,
                  struct actor *actor, struct gbx_script_config *config,
                  struct gbx_error *err)
{
    int rc = daemon->rules != NULL
                 ? gbx_config_apply(daemon->rules, path, config, err)
                 : 0;

    if (config->pool.total_max == 0)
        config->pool.total_max = config->pool.ready_min > daemon->workers
                                     ? config->pool.ready_min
                                     : daemon->workers;
    config->output = voice_print;
    config->output_context = &actor->voice;
    return rc;
}

static int open_script(struct daemon *daemon, struct actor *actor,
                       const char *path, const struct gbx_script_config *how,
                       struct gbx_error *err)
{
    struct gbx_script_config config = *how;
    int rc;

    actor->path = realpath(path, NULL);
    if (actor->path == NULL) {
        rc = errno == ENOMEM ? GBX_EHOST : GBX_EFILE;
        *err = (struct gbx_error){.code = rc};
        snprintf(err->what, sizeof(err->what), "%s: %s", path,
                 strerrordesc_np(errno));
        return rc;
    }
    rc = settle(daemon, path, actor, &config, err);
    return rc < 0 ? rc
                  : gbx_script_open(&actor->script, daemon->runtime, path,
                                    &config, err);
}

int actors_open(struct daemon *daemon, const char *path,
                const struct gbx_script_config *config, struct actor **made,
                struct gbx_error *err)
{
    struct actor *actor = calloc(1, sizeof(*actor));
    struct printed said;
    int rc;

    *made = NULL;
    if (actor == NULL) {
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    voice_open(&actor->voice,
               config->actor_id != NULL ? config->actor_id : file_of(path));
    printed_begin(&said); /* why it cannot be loaded */
    rc = open_script(daemon, actor, path, config, err);
    printed_end(&said);
    if (rc < 0)
        trouble_note(file_of(path), rc, err->what, said.text);
    printed_fini(&said);
    if (rc < 0) {
        voice_close(&actor->voice);
        free(actor->path);
        free(actor);
        return rc;
    }
    voice_settle(&actor->voice);
    actor->id = name_of(actor->script, path);
    actor->holders = 1;
    *made = actor;
    return 0;
}

/* Of a file, which may be ours; the caller's. */
static int open_actor(struct daemon *daemon, const char *name, const char *path,
                      bool is_upload, struct actor **actor,
                      struct gbx_error *err)
{
    struct gbx_script_config config = daemon->script;
    char *id = name != NULL ? strdup(name) : NULL;
    int rc;

    config.hide_folder = is_upload;
    config.actor_id = id;
    rc = actors_open(daemon, path, &config, actor, err);
    if (rc < 0 || id == NULL) {
        free(id);
    } else {
        free((*actor)->id);
        (*actor)->id = id;
    }
    if (rc == 0)
        (*actor)->is_upload = is_upload;
    return rc;
}

int actors_load_as(struct daemon *daemon, const char *name, const char *path,
                   bool is_upload, char **id, struct gbx_error *err)
{
    struct actor *actor, *was;
    int rc = open_actor(daemon, name, path, is_upload, &actor, err);

    *id = NULL;
    if (rc < 0)
        return rc;
    *id = strdup(actor->id);
    pthread_mutex_lock(&daemon->actors.lock);
    was = take_out_locked(daemon, actor->id);
    SLIST_INSERT_HEAD(&daemon->actors.all, actor, next);
    pthread_mutex_unlock(&daemon->actors.lock);
    actors_put(daemon, was);    /* who runs it, finishes */
    return 0;
}

int actors_load(struct daemon *daemon, const char *path, bool is_upload,
                char **id, struct gbx_error *err)
{
    return actors_load_as(daemon, NULL, path, is_upload, id, err);
}

int actors_write(struct daemon *daemon, const char *name, const void *text,
                 size_t bytes, char path[256], struct gbx_error *err)
{
    FILE *file;
    bool good;

    snprintf(path, 256, "%s/%s", daemon->uploads, name);
    file = fopen(path, "we");
    good = file != NULL && fwrite(text, 1, bytes, file) == bytes;
    if (file != NULL)
        good = fclose(file) == 0 && good;
    if (good)
        return 0;
    *err = (struct gbx_error){.code = GBX_EHOST};
    snprintf(err->what, sizeof(err->what), "%s: %s", path,
             strerrordesc_np(errno));
    return GBX_EHOST;
}

/* ---- scripts that come with a request ---- */

static struct actor *find_source_locked(struct daemon *daemon,
                                        const char *source, const char *dot)
{
    struct actor *actor;

    SLIST_FOREACH(actor, &daemon->actors.sources, next)
    if (strcmp(actor->source, source) == 0 &&
        strcmp(strrchr(actor->path, '.'), dot) == 0) {
        actor->holders++;
        actor->used_ns = daemon_now_ns();
        return actor;
    }
    return NULL;
}

/* The one that nobody has used for longest, once there are too many. */
static struct actor *take_oldest_locked(struct daemon *daemon)
{
    struct actor *actor, *oldest = NULL;
    unsigned count = 0;

    SLIST_FOREACH(actor, &daemon->actors.sources, next)
    {
        count++;
        if (oldest == NULL || actor->used_ns < oldest->used_ns)
            oldest = actor;
    }
    if (count <= SOURCES_MAX)
        return NULL;
    SLIST_REMOVE(&daemon->actors.sources, oldest, actor, next);
    return oldest;
}

int actors_of_source(struct daemon *daemon, const char *source, const char *dot,
                     struct actor **actor, struct gbx_error *err)
{
    static atomic_uint number;
    struct actor *oldest;
    char name[64], path[256];
    int rc;

    pthread_mutex_lock(&daemon->actors.lock);
    *actor = find_source_locked(daemon, source, dot);
    pthread_mutex_unlock(&daemon->actors.lock);
    if (*actor != NULL)
        return 0;
    snprintf(name, sizeof(name), SOURCE "%u%s", atomic_fetch_add(&number, 1),
             dot);
    rc = actors_write(daemon, name, source, strlen(source), path, err);
    if (rc == 0)
        rc = open_actor(daemon, NULL, path, true, actor, err);
    if (rc < 0) {
        unlink(path);
        return rc;
    }
    (*actor)->source = strdup(source);
    (*actor)->used_ns = daemon_now_ns();
    (*actor)->holders = 2; /* the table's, and the caller's */
    pthread_mutex_lock(&daemon->actors.lock);
    SLIST_INSERT_HEAD(&daemon->actors.sources, *actor, next);
    oldest = take_oldest_locked(daemon);
    pthread_mutex_unlock(&daemon->actors.lock);
    actors_put(daemon, oldest);
    return 0;
}

/* ---- scripts that clients bring ---- */

static struct actor *find_load_locked(struct daemon *daemon,
                                      const struct token *token,
                                      const void *body, size_t bytes)
{
    struct actor *actor;

    SLIST_FOREACH(actor, &daemon->actors.loads, next)
    if (actor->token == token && actor->load_bytes == bytes &&
        memcmp(actor->load, body, bytes) == 0) {
        actor->holders++;
        return actor;
    }
    return NULL;
}

static int open_load(struct daemon *daemon, const struct load *load,
                     const char *path, gbx_ask_fn ask, struct actor **actor,
                     struct gbx_error *err)
{
    struct gbx_script_config config = daemon->script;

    config.limits_max = load->limits;
    if (config.route.floor == GBX_ISOLATION_AUTO &&
        config.isolation == GBX_ISOLATION_AUTO && daemon->rules == NULL)
        config.route.floor = load->floor;
    config.hide_folder = 1;
    config.config_json = load->config_json;
    config.actor_id = load->actor_id;
    config.wipe = GBX_WIPE_PER_TENANT;
    config.ask = ask;
    return actors_open(daemon, path, &config, actor, err);
}

/* In a folder of its own, since tracebacks have the file's name. */
static int make_load(struct daemon *daemon, const struct load *load,
                     gbx_ask_fn ask, struct actor **actor,
                     struct gbx_error *err)
{
    static atomic_uint number;
    char name[32 + LOAD_FILE_MAX], path[256], folder[256];
    const unsigned mine = atomic_fetch_add(&number, 1);
    int rc;

    snprintf(folder, sizeof(folder), "%s/load-%u", daemon->uploads, mine);
    snprintf(name, sizeof(name), "load-%u/%s", mine, load->file);
    if (mkdir(folder, 0700) < 0) {
        *err = (struct gbx_error){.code = GBX_EHOST};
        snprintf(err->what, sizeof(err->what), "%.200s: %s", folder,
                 strerrordesc_np(errno));
        return GBX_EHOST;
    }
    rc = actors_write(daemon, name, load->source, load->source_bytes, path,
                      err);
    if (rc == 0)
        rc = open_load(daemon, load, path, ask, actor, err);
    if (rc < 0) {
        unlink(path);
        rmdir(folder);
        return rc;
    }
    (*actor)->is_upload = true;
    (*actor)->folder = strdup(folder);
    return 0;
}

int actors_of_load(struct daemon *daemon, const struct token *token,
                   const void *body, size_t bytes, gbx_ask_fn ask,
                   struct actor **actor, struct gbx_error *err)
{
    struct load load;
    int rc;

    pthread_mutex_lock(&daemon->actors.lock);
    *actor = find_load_locked(daemon, token, body, bytes);
    pthread_mutex_unlock(&daemon->actors.lock);
    if (*actor != NULL)
        return 0;
    rc = load_read(&load, body, bytes, err);
    if (rc == 0)
        rc = make_load(daemon, &load, ask, actor, err);
    load_fini(&load);
    if (rc < 0)
        return rc;
    (*actor)->token = token;
    (*actor)->load_bytes = bytes;
    (*actor)->load = malloc(bytes);
    if ((*actor)->load == NULL) {
        actors_put(daemon, *actor);
        *actor = NULL;
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    memcpy((*actor)->load, body, bytes);
    pthread_mutex_lock(&daemon->actors.lock);
    SLIST_INSERT_HEAD(&daemon->actors.loads, *actor, next);
    pthread_mutex_unlock(&daemon->actors.lock);
    return 0;
}

/* ---- all of them ---- */

json_t *actors_list(struct daemon *daemon, bool with_facts)
{
    json_t *list = json_array();
    struct actor *actor;

    pthread_mutex_lock(&daemon->actors.lock);
    SLIST_FOREACH(actor, &daemon->actors.all, next)
    json_array_append_new(
        list,
        !with_facts
            ? json_string(actor->id)
            : json_pack("{s:s,s:s,s:I,s:I,s:o}", "id", actor->id, "isolation",
                        gbx_script_isolation(actor->script), "calls",
                        (json_int_t)actor->calls, "failures",
                        (json_int_t)actor->failures, "metadata",
                        json_loads(gbx_script_metadata(actor->script), 0,
                                   NULL)));
    pthread_mutex_unlock(&daemon->actors.lock);
    return list;
}

void actors_close(struct daemon *daemon)
{
    struct actor *actor;

    while ((actor = SLIST_FIRST(&daemon->actors.all)) != NULL) {
        SLIST_REMOVE_HEAD(&daemon->actors.all, next);
        actors_put(daemon, actor);
    }
    while ((actor = SLIST_FIRST(&daemon->actors.sources)) != NULL) {
        SLIST_REMOVE_HEAD(&daemon->actors.sources, next);
        actors_put(daemon, actor);
    }
}
