/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.c - Reflow's script protocol: JSON-RPC 2.0 over a WebSocket.
 *
 *  list {}                                        {"actors": [...]}
 *  load {file_path}                               {"success": true}
 *  process {actor_id, payload, ...}               {"outputs": {port: value}}
 *
 * What an actor sends while it runs comes as script_output notifications, but
 * for the last message of each port: that is in the result.  So all of it
 * arrives, and once.  params.state is not looked at: an actor's state is kept
 * here; nor is a config, which is {} with Reflow.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"
#include "net/rpc.h"

/* The last message of a port. */
struct last {
    char *port;    /* owned */
    json_t *value; /* the same */
    struct last *next;
};

struct processing {
    struct daemon *daemon;
    struct job *job;
    const char *actor_id;
    struct last *last;
};

static void send_text(struct job *job, char *text)
{
    if (text != NULL)
        net_send(job->peer, true, text, strlen(text));
    free(text);
}

static json_int_t epoch_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void take_output(void *context, const char *port, json_t *value)
{
    struct processing *p = context;
    struct last *last = p->last;

    while (last != NULL && strcmp(last->port, port) != 0)
        last = last->next;
    if (last != NULL) { /* which goes into the notification */
        send_text(p->job,
                  rpc_notification(
                      "script_output",
                      json_pack("{s:s,s:s,s:o,s:I}", "actor_id", p->actor_id,
                                "port", port, "data", last->value, "timestamp",
                                epoch_ms())));
        last->value = value;
        return;
    }
    last = calloc(1, sizeof(*last));
    if (last == NULL || (last->port = strdup(port)) == NULL) {
        free(last);
        json_decref(value);
        return;
    }
    last->value = value;
    last->next = p->last;
    p->last = last;
}

/* All that is held, as an object; nothing is held then. */
static json_t *take_last(struct processing *p)
{
    json_t *outputs = json_object();

    for (struct last *last = p->last, *next; last != NULL; last = next) {
        next = last->next;
        json_object_set_new(outputs, last->port, last->value);
        free(last->port);
        free(last);
    }
    p->last = NULL;
    return outputs;
}

static char *fail_params(const struct rpc_request *request, const char *what)
{
    return rpc_error(request, RPC_PARAMS, what, NULL);
}

static char *process(struct daemon *daemon, struct job *job,
                     const struct rpc_request *request)
{
    const char *id =
        json_string_value(json_object_get(request->params, "actor_id"));
    const json_t *payload = json_object_get(request->params, "payload"),
                 *config = json_object_get(request->params, "config");
    struct processing p = {.daemon = daemon, .job = job, .actor_id = id};
    struct run run = {.inputs = payload,
                      .timeout_ns = daemon->timeout_ns,
                      .output = take_output,
                      .context = &p};
    char text[200], *answer;
    json_t *outputs;
    int rc;

    if (id == NULL)
        return fail_params(request, "params.actor_id is missing");
    if (payload != NULL && !json_is_object(payload))
        return fail_params(request, "params.payload is no object");
    if (json_object_size(config) > 0)
        return fail_params(request, "params.config: an actor's config is set "
                                    "where it is loaded, not in each call");
    run.actor = actors_get(daemon, id);
    if (run.actor == NULL) {
        snprintf(text, sizeof(text), "Actor not found: %s", id);
        return rpc_error(request, RPC_INTERNAL, text, NULL);
    }
    rc = run_call(daemon, job, &run);
    outputs = take_last(&p);
    daemon_audit(daemon, job->token, "process", id, rc, run.stats.wall_ns);
    if (rc == 0)
        answer = rpc_result(request, json_pack("{s:O}", "outputs", outputs));
    else
        answer = rpc_error(request, RPC_INTERNAL, run.err.what,
                           run.traceback != NULL ? json_string(run.traceback)
                                                 : NULL);
    json_decref(outputs);
    actors_put(daemon, run.actor);
    run_fini(&run);
    return answer;
}

/* Only what lies below the folder that the operator has named. */
static bool may_load(const struct daemon *daemon, const char *path,
                     char real[PATH_MAX])
{
    char folder[PATH_MAX];
    size_t bytes;

    if (daemon->folder == NULL || realpath(daemon->folder, folder) == NULL ||
        realpath(path, real) == NULL)
        return false;
    bytes = strlen(folder);
    return strncmp(real, folder, bytes) == 0 &&
           (real[bytes] == '/' || strcmp(folder, "/") == 0);
}

static char *load(struct daemon *daemon, struct job *job,
                  const struct rpc_request *request)
{
    const char *path =
        json_string_value(json_object_get(request->params, "file_path"));
    struct gbx_error err = {.what = ""};
    char real[PATH_MAX], *id = NULL;
    json_t *why;
    int rc = GBX_EFILE;

    if (path == NULL)
        return fail_params(request, "params.file_path is missing");
    if (may_load(daemon, path, real))
        rc = actors_load(daemon, real, false, &id, &err);
    else
        snprintf(err.what, sizeof(err.what),
                 "%s is not there, or not below the folder that scripts are "
                 "loaded from (--scripts)",
                 path);
    daemon_audit(daemon, job->token, "load", id != NULL ? id : path, rc, 0);
    free(id);
    if (rc == 0)
        return rpc_result(request, json_pack("{s:b}", "success", 1));
    why = json_string(err.what);
    return rpc_result(request,
                      json_pack("{s:b,s:o}", "success", 0, "error",
                                why != NULL ? why
                                            : json_string("it is not there")));
}

static char *answer(struct daemon *daemon, struct job *job,
                    const struct rpc_request *request)
{
    char text[200];

    if (strcmp(request->method, "list") == 0)
        return rpc_result(request, json_pack("{s:o}", "actors",
                                             actors_list(daemon, false)));
    if (strcmp(request->method, "load") == 0)
        return load(daemon, job, request);
    if (strcmp(request->method, "process") == 0)
        return process(daemon, job, request);
    snprintf(text, sizeof(text), "Method not found: %s", request->method);
    return rpc_error(request, RPC_METHOD, text, NULL);
}

void daemon_rpc(struct daemon *daemon, struct job *job)
{
    struct rpc_request request;
    int rc = rpc_read(&request, job->text, job->bytes);
    char *text;

    if (rc < 0)
        text = rpc_error(&request, rc, request.what, NULL);
    else if (!access_take(&daemon->access, job->token))
        text = rpc_error(&request, RPC_BUSY, "too many requests: slow down",
                         NULL);
    else
        text = answer(daemon, job, &request);
    if (rc < 0 || request.id != NULL) /* a notification is not answered */
        send_text(job, text);
    else
        free(text);
    rpc_fini(&request);
}
