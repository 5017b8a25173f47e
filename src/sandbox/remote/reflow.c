/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflow.c - a host that does not speak frames: a script runtime of Reflow, by
 * its JSON-RPC over WebSocket (list, load, process; output and script_output).
 *
 * Such a host can do less.  Nothing is brought to it: it has a script by its
 * component's name already, or loads it from the same path as here.  Its
 * scripts cannot ask us anything, keep their state there, and nobody says how
 * they are isolated, so a policy's floor refuses it.  A call there cannot be
 * cancelled. An output that comes early names its actor, not its call: so an
 * actor has one call at a time.
 *
 * Our ids say what they are for: "list", "a7", "l7" (a script's number) and
 * "c7" (a call's).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "glovebox/message.h"
#include "sandbox/remote/reflow.h"

#define TEXT_MAX (256u << 20) /* of one message */

int reflow_send(struct fleet_host *host, json_t *json, net_release_fn release,
                void *context)
{
    char *text = json_dumps(json, JSON_COMPACT);
    int rc = GBX_EHOST;

    json_decref(json);
    if (text != NULL)
        rc = host->api->send(host->net, true, text, strlen(text), NULL, 0,
                             release, context);
    free(text);
    return rc;
}

json_t *reflow_request(const char *id, const char *method, json_t *params)
{
    return json_pack("{s:s,s:s,s:s,s:o}", "jsonrpc", "2.0", "id", id, "method",
                     method, "params", params);
}

void reflow_greet_locked(struct fleet_host *host)
{
    reflow_send(host, reflow_request("list", "list", json_object()), NULL,
                NULL);
    host->asked_ns = clock_now_ns();
    host->is_asking = true;
}

/* ---- scripts ---- */

/* "double.actor.py" is double, unless the script is named. */
static void name_of(const struct fleet_script *script, char name[256])
{
    const char *file = strrchr(script->path, '/');

    snprintf(name, 256, "%s", script->actor_id);
    if (name[0] != '\0')
        return;
    snprintf(name, 256, "%s", file != NULL ? file + 1 : script->path);
    name[strcspn(name, ".")] = '\0';
}

static bool knows(const json_t *actors, const char *name)
{
    const json_t *one;
    size_t i;

    json_array_foreach(actors, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static void put_text(struct host_script *loaded, const char *what)
{
    free(loaded->body);
    loaded->body = (uint8_t *)strdup(what);
    loaded->bytes = loaded->body != NULL ? strlen(what) : 0;
}

static void fail_load(struct host_script *loaded, const char *what)
{
    loaded->state = LOAD_FAILED;
    loaded->code = GBX_EUNSUPPORTED;
    loaded->may_other = true;
    loaded->until_ns = clock_now_ns() + 10000000000ull;
    put_text(loaded, what);
}

static void build_text(struct gbx_builder *b, const char *text)
{
    gbx_build_text(b, text, strlen(text));
}

/* As a LOADED would say it. */
static void be_loaded(struct host_script *loaded, const char *name)
{
    struct gbx_builder b;

    gbx_builder_init(&b);
    gbx_build_map(&b, 1);
    build_text(&b, "metadata");
    gbx_build_map(&b, 1);
    build_text(&b, "component");
    build_text(&b, name);
    free(loaded->body);
    loaded->body = b.error == 0 ? malloc(b.count + 1) : NULL;
    if (loaded->body == NULL) {
        fail_load(loaded, "no memory");
    } else {
        memcpy(loaded->body, b.bytes, b.count);
        loaded->body[b.count] = '\0';
        loaded->bytes = b.count;
        snprintf(loaded->actor, sizeof(loaded->actor), "%s", name);
        loaded->state = LOAD_DONE;
    }
    gbx_builder_fini(&b);
}

int reflow_load_locked(struct fleet_host *host, struct host_script *loaded)
{
    char name[256], id[32];

    if (loaded->script->floor < 3) {
        fail_load(loaded,
                  "the host is a Reflow runtime, which does not say how "
                  "it isolates, and the policy has a floor");
        return 0;
    }
    name_of(loaded->script, name);
    if (knows(host->actors, name)) {
        be_loaded(loaded, name);
        fleet_wake_locked(host->fleet);
        return 0;
    }
    snprintf(id, sizeof(id), "l%u", loaded->script->number);
    return reflow_send(
        host,
        reflow_request(id, "load",
                       json_pack("{s:s}", "file_path", loaded->script->path)),
        NULL, NULL);
}

static struct host_script *find_locked(struct fleet_host *host, const char *id)
{
    const unsigned long number = strtoul(id + 1, NULL, 10);
    struct host_script *loaded;

    LIST_FOREACH(loaded, &host->scripts, next)
    if (loaded->script->number == number && loaded->state == LOAD_ASKED)
        return loaded;
    return NULL;
}

/* Whether it was loaded; its name there is asked for next. */
static void hear_load_locked(struct fleet_host *host, const char *id,
                             const json_t *result, const char *error)
{
    struct host_script *loaded = find_locked(host, id);
    const char *why = json_string_value(json_object_get(result, "error"));
    char text[300], next[32];

    if (loaded == NULL)
        return;
    if (error == NULL && json_is_true(json_object_get(result, "success"))) {
        snprintf(next, sizeof(next), "a%u", loaded->script->number);
        reflow_send(host, reflow_request(next, "list", json_object()), NULL,
                    NULL);
        return;
    }
    snprintf(text, sizeof(text),
             "the Reflow runtime there does not load %.100s: %.120s",
             loaded->script->path,
             error != NULL ? error
             : why != NULL ? why
                           : "no reason is given");
    fail_load(loaded, text);
    fleet_wake_locked(host->fleet);
}

/* The one by its name, or the one that was not there before. */
static const char *new_one(const json_t *before, const json_t *now,
                           const char *name)
{
    const char *found = NULL;
    const json_t *one;
    unsigned count = 0;
    size_t i;

    if (knows(now, name))
        return name;
    json_array_foreach(now, i, one)
    {
        if (json_is_string(one) && !knows(before, json_string_value(one))) {
            found = json_string_value(one);
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

static int hear_list_locked(struct fleet_host *host, const char *id,
                            json_t *result)
{
    json_t *actors = json_object_get(result, "actors");
    struct host_script *loaded = id[0] == 'a' ? find_locked(host, id) : NULL;
    char name[256];

    if (!json_is_array(actors))
        return GBX_EFORMAT;
    if (loaded != NULL) {
        const char *found;

        name_of(loaded->script, name);
        found = new_one(host->actors, actors, name);
        if (found != NULL && strlen(found) < sizeof(loaded->actor))
            be_loaded(loaded, found);
        else
            fail_load(loaded, "the Reflow runtime there has loaded it, but has "
                              "no actor of its name");
    }
    json_decref(host->actors);
    host->actors = json_incref(actors);
    if (host->is_asking)
        host->rtt_ns = clock_now_ns() - host->asked_ns;
    host->is_asking = false;
    if (host->state == HOST_GREETING) {
        host->state = HOST_UP;
        host->failures = 0;
        host->attempts++;
        snprintf(host->product, sizeof(host->product), "Reflow runtime");
    }
    fleet_wake_locked(host->fleet);
    return 0;
}

/* ---- calls ---- */

static struct event *event_of(enum frame_kind kind, const char *port,
                              const void *body, size_t bytes)
{
    const size_t name = strlen(port);
    struct event *event = malloc(sizeof(*event) + name + 1);

    if (event == NULL)
        return NULL;
    *event = (struct event){.kind = kind, .bytes = bytes};
    memcpy(event->name, port, name + 1);
    if (bytes > 0 && (event->body = malloc(bytes + 1)) == NULL) {
        free(event);
        return NULL;
    }
    if (bytes > 0) {
        memcpy(event->body, body, bytes);
        event->body[bytes] = '\0';
    }
    return event;
}

static void put_output_locked(struct fleet_host *host, struct remote *to,
                              const char *port, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct event *event = NULL;
    struct gbx_message message;
    struct gbx_builder b;

    gbx_builder_init(&b);
    if (text != NULL && strlen(port) <= GBX_NAME_BYTES_MAX &&
        gbx_message_from_json(&message, &b, text, strlen(text), GBX_JSON_PLAIN,
                              NULL) == 0)
        event = event_of(FRAME_OUTPUT, port, message.body, message.body_bytes);
    if (event != NULL) {
        event->type = (uint8_t)message.type;
        event->flags = FRAME_HAS_MESSAGE;
        if (message.type == GBX_BOOLEAN)
            event->scalar = message.scalar.boolean;
        else if (message.type == GBX_INTEGER || message.type == GBX_FLOAT)
            memcpy(&event->scalar, &message.scalar, sizeof(event->scalar));
    }
    gbx_builder_fini(&b);
    free(text);
    host_enqueue_locked(host, to, event);
}

static void put_failure_locked(struct fleet_host *host, struct remote *to,
                               const char *what, const char *traceback)
{
    const size_t bytes = strlen(what) + strlen(traceback) + 64;
    char *text = malloc(2 * bytes);
    struct event *event = NULL;
    int count;

    if (text != NULL) {
        count = snprintf(text, 2 * bytes, "%s%c%s%cError%c%s", what, 0,
                         traceback, 0, 0, what);
        event = event_of(FRAME_FAILED, "", text, (size_t)count);
    }
    if (event != NULL)
        event->scalar = (uint64_t)-GBX_ESCRIPT;
    free(text);
    host_enqueue_locked(host, to, event);
}

static void hear_result_locked(struct fleet_host *host, struct remote *to,
                               json_t *result)
{
    json_t *outputs = json_object_get(result, "outputs");
    const char *error = json_string_value(json_object_get(result, "error"));
    const char *traceback =
        json_string_value(json_object_get(result, "traceback"));
    const char *port;
    json_t *value;

    if (error != NULL) {
        put_failure_locked(host, to, error, traceback != NULL ? traceback : "");
        return;
    }
    json_object_foreach(json_is_object(outputs) ? outputs : result, port, value)
    {
        put_output_locked(host, to, port, value);
    }
    host_enqueue_locked(host, to, event_of(FRAME_DONE, "", NULL, 0));
}

static void hear_call_locked(struct fleet_host *host, const char *id,
                             json_t *result, const char *error,
                             const json_t *data)
{
    const uint32_t call = (uint32_t)strtoul(id + 1, NULL, 10);
    struct remote *to = host_find_locked(host, call);

    reflow_note_result_locked(host, call);
    if (to == NULL)
        return; /* nobody waits for it any more */
    if (error != NULL)
        put_failure_locked(host, to, error,
                           json_is_string(data) ? json_string_value(data) : "");
    else
        hear_result_locked(host, to, result);
}

/* It is for the one call that its actor has. */
static void hear_output_locked(struct fleet_host *host, const json_t *params)
{
    const char *actor = json_string_value(json_object_get(params, "actor_id"));
    const char *port = json_string_value(json_object_get(params, "port"));
    const json_t *data = json_object_get(params, "data");
    struct remote *to;

    if (actor == NULL || port == NULL || data == NULL)
        return;
    to = host_find_locked(host, (uint32_t)json_integer_value(
                                    json_object_get(host->running, actor)));
    if (to != NULL)
        put_output_locked(host, to, port, data);
}

static int hear_locked(struct fleet_host *host, json_t *json)
{
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *method = json_string_value(json_object_get(json, "method"));
    json_t *error = json_object_get(json, "error");
    json_t *result = json_object_get(json, "result");
    const char *what = json_string_value(json_object_get(error, "message"));

    if (error != NULL && !json_is_null(error) && what == NULL)
        what = "an error without a message";
    if (method != NULL) {
        if (strcmp(method, "output") == 0 ||
            strcmp(method, "script_output") == 0)
            hear_output_locked(host, json_object_get(json, "params"));
        return 0;
    }
    if (id == NULL)
        return 0;
    if (strcmp(id, "list") == 0 || id[0] == 'a')
        return what == NULL ? hear_list_locked(host, id, result) : GBX_EFORMAT;
    if (id[0] == 'l')
        hear_load_locked(host, id, result, what);
    else if (id[0] == 'c')
        hear_call_locked(host, id, result, what,
                         json_object_get(error, "data"));
    return 0;
}

int reflow_hear_locked(struct fleet_host *host, const void *data, size_t bytes,
                       bool is_final)
{
    json_t *json;
    char *larger;
    int rc;

    if (bytes > TEXT_MAX - host->text_bytes)
        return GBX_ELIMIT;
    larger = realloc(host->text, host->text_bytes + bytes + 1);
    if (larger == NULL)
        return GBX_EHOST;
    host->text = larger;
    if (bytes > 0)
        memcpy(larger + host->text_bytes, data, bytes);
    host->text_bytes += bytes;
    if (!is_final)
        return 0;
    json = json_loadb(host->text, host->text_bytes, JSON_ALLOW_NUL, NULL);
    host->text_bytes = 0;
    if (json == NULL)
        return GBX_EFORMAT;
    rc = json_is_object(json) ? hear_locked(host, json) : GBX_EFORMAT;
    json_decref(json);
    return rc;
}

void reflow_forget(struct fleet_host *host)
{
    json_decref(host->actors);
    host->actors = NULL;
    json_decref(host->running);
    host->running = NULL;
    free(host->text);
    host->text = NULL;
    host->text_bytes = 0;
}
