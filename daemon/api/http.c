/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - plain HTTP: scripts are run, uploaded, listed and removed.
 *
 *  GET    /healthz /readyz /metrics /v1/openapi.json
 *  GET    / /v1/stats      page.c, stats.c of dashboard/
 *  POST   /v1/run          {"script" or "actor", "inputs", ...}
 *  /v1/flows, /v1/events   flows.c
 *  GET    /api/v1/health   POST /api/v1/rpc (msb.c)
 *  GET    /v1/scripts      POST /v1/scripts?name=x.py   DELETE /v1/scripts/ID
 *
 * An error is {"error": {"code": "EFILE", "message": "...", "traceback"}}.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "openapi.h"

#define JSON_TYPE "application/json"

void http_reply_json(struct net_request *request, int status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    net_reply(request, text != NULL ? status : 500, JSON_TYPE, text,
              text != NULL ? strlen(text) : 0);
}

void http_reply_error(struct net_request *request, int status,
                      const char *code, const char *what)
{
    json_t *text = json_string(what);

    http_reply_json(request, status,
                    json_pack("{s:{s:s,s:o}}", "error", "code", code,
                              "message",
                              text != NULL ? text : json_string("?")));
}

static int status_of(int code)
{
    switch (code) {
    case GBX_EARGUMENT:
    case GBX_EFORMAT:
    case GBX_EPORT:
    case GBX_EFILE:
        return 400;
    case GBX_ESCRIPT:
    case GBX_ELOAD:
    case GBX_EEXIT:
    case GBX_ESIGNAL:
    case GBX_ETRAP:
    case GBX_EMEMORY:
    case GBX_ECPU:
    case GBX_EPROCESSES:
    case GBX_EFILES:
    case GBX_EOUTPUT:
    case GBX_EDISK:
        return 422; /* the script's own doing */
    case GBX_ELIMIT:
        return 413;
    case GBX_EUNSUPPORTED:
        return 409;
    case GBX_ETIME:
        return 504;
    default:
        return 500;
    }
}

void http_reply_code(struct net_request *request, int code, const char *what)
{
    http_reply_error(request, status_of(code), gbx_error_name(code), what);
}

/* ---- /v1/run ---- */

static void add_output(void *context, const char *port, json_t *value)
{
    json_array_append_new(context, json_pack("{s:s,s:o}", "port", port, "data",
                                             value));
}

static const char *ending_of(const json_t *body)
{
    const char *language = json_string_value(json_object_get(body, "language"));

    if (language == NULL || strcmp(language, "python") == 0)
        return ".py";
    return strcmp(language, "javascript") == 0 ? ".js" : NULL;
}

/* With what was sent and printed until then, if anything was. */
static void reply_failure(struct job *job, int rc, const char *what,
                          const char *traceback, json_t *outputs,
                          const struct printed *printed)
{
    json_t *error = json_pack("{s:s,s:o}", "code", gbx_error_name(rc),
                              "message", text_json(what)),
           *reply = json_pack("{s:o,s:O}", "error", error, "outputs", outputs);

    if (traceback != NULL)
        json_object_set_new(error, "traceback", text_json(traceback));
    if (printed->text != NULL)
        json_object_set_new(reply, "printed", text_json(printed->text));
    http_reply_json(job->request, status_of(rc), reply);
}

/* Returns 0, or the status, after the reply. */
static int find_actor(struct daemon *daemon, struct job *job,
                      const json_t *body, json_t *outputs,
                      const struct printed *printed, struct actor **actor)
{
    const char *id = json_string_value(json_object_get(body, "actor")),
               *source = json_string_value(json_object_get(body, "script")),
               *dot = ending_of(body);
    struct gbx_error err = {.what = ""};
    int rc;

    if ((id == NULL) == (source == NULL)) {
        http_reply_error(job->request, 400, "EARGUMENT",
                         "either \"script\" (a text) or \"actor\" (an id) is "
                         "expected");
        return 400;
    }
    if (dot == NULL) {
        http_reply_error(job->request, 400, "EARGUMENT",
                         "language is \"python\" or \"javascript\"");
        return 400;
    }
    if (id != NULL) {
        *actor = actors_get(daemon, id);
        if (*actor != NULL)
            return 0;
        http_reply_error(job->request, 404, "EFILE",
                         "there is no such actor: GET /v1/scripts");
        return 404;
    }
    rc = actors_of_source(daemon, source, dot, actor, &err);
    if (rc == 0)
        return 0;
    /* Why it cannot be loaded, its language has printed. */
    reply_failure(job, rc, err.what, printed->text, outputs,
                  &(struct printed){.text = NULL});
    return status_of(rc);
}

static void reply_run(struct job *job, struct run *run, int rc, json_t *outputs,
                      const struct printed *printed)
{
    json_t *reply;

    if (rc < 0) {
        reply_failure(job, rc, run->err.what, run->traceback, outputs, printed);
        return;
    }
    reply = json_pack("{s:O,s:I}", "outputs", outputs, "wall_ns",
                      (json_int_t)run->stats.wall_ns);
    if (printed->text != NULL)
        json_object_set_new(reply, "printed", text_json(printed->text));
    http_reply_json(job->request, 200, reply);
}

static void run_script(struct daemon *daemon, struct job *job)
{
    json_error_t bad;
    json_t *body = json_loadb(job->request->body != NULL ? job->request->body
                                                         : "",
                              job->request->bytes,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &bad),
           *outputs = json_array();
    const json_t *timeout = json_object_get(body, "timeout_ms");
    struct run run = {.inputs = json_object_get(body, "inputs"),
                      .timeout_ns = daemon->timeout_ns,
                      .output = add_output,
                      .context = outputs};
    struct printed printed;
    char text[200];
    int rc;

    printed_begin(&printed);
    if (!json_is_object(body)) {
        snprintf(text, sizeof(text), "no JSON object: line %d: %s", bad.line,
                 bad.text);
        http_reply_error(job->request, 400, "EFORMAT", text);
    } else if (run.inputs != NULL && !json_is_object(run.inputs)) {
        http_reply_error(job->request, 400, "EARGUMENT",
                         "inputs are an object: {port: value}");
    } else if (timeout != NULL && json_integer_value(timeout) <= 0) {
        http_reply_error(job->request, 400, "EARGUMENT",
                         "timeout_ms is a whole number, above 0");
    } else if (find_actor(daemon, job, body, outputs, &printed,
                          &run.actor) == 0) {
        if (timeout != NULL &&
            (uint64_t)json_integer_value(timeout) < run.timeout_ns / 1000000)
            run.timeout_ns = (uint64_t)json_integer_value(timeout) * 1000000;
        rc = run_call(daemon, job, &run);
        daemon_audit(daemon, job->token, "run", run.actor->id, rc,
                     run.stats.wall_ns);
        reply_run(job, &run, rc, outputs, &printed);
        actors_put(daemon, run.actor);
        run_fini(&run);
    }
    printed_end(&printed);
    printed_fini(&printed);
    json_decref(outputs);
    json_decref(body);
}

/* ---- /v1/scripts ---- */

/* name=x.py: a file's name, and nothing that leads elsewhere. */
static bool name_of(const char *query, char name[128])
{
    if (strncmp(query, "name=", 5) != 0 || strlen(query + 5) >= 128 ||
        query[5] == '.' || query[5] == '\0')
        return false;
    strcpy(name, query + 5);
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == strlen(name) &&
           strrchr(name, '.') != NULL;
}

static void upload(struct daemon *daemon, struct job *job)
{
    struct gbx_error err = {.what = ""};
    static atomic_uint number;
    char name[128], path[256], file[160], *id = NULL;
    int rc;

    if (!name_of(job->request->query, name)) {
        http_reply_error(job->request, 400, "EARGUMENT",
                         "POST /v1/scripts?name=FILE.py, with the script as "
                         "the body");
        return;
    }
    snprintf(file, sizeof(file), ".%u-%s", atomic_fetch_add(&number, 1), name);
    rc = actors_write(daemon, file, job->request->body, job->request->bytes,
                      path, &err);
    if (rc == 0)
        rc = actors_load(daemon, path, true, &id, &err);
    if (rc < 0)
        unlink(path);
    daemon_audit(daemon, job->token, "upload", id != NULL ? id : name, rc, 0);
    if (rc < 0)
        http_reply_error(job->request, status_of(rc), gbx_error_name(rc),
                         err.what);
    else
        http_reply_json(job->request, 201, json_pack("{s:s}", "id", id));
    free(id);
}

static void remove_script(struct daemon *daemon, struct job *job)
{
    const char *id = job->request->path + strlen("/v1/scripts/");
    const bool good = actors_remove(daemon, id);

    daemon_audit(daemon, job->token, "remove", id, good ? 0 : GBX_EFILE, 0);
    if (good)
        net_reply(job->request, 204, NULL, NULL, 0);
    else
        http_reply_error(job->request, 404, "EFILE", "there is no such actor");
}

static void reply_metrics(struct daemon *daemon, struct net_request *request)
{
    size_t bytes;
    char *text = daemon_metrics(daemon, &bytes);

    net_reply(request, text != NULL ? 200 : 500,
              "text/plain; version=0.0.4; charset=utf-8", text, bytes);
}

static void reply_openapi(struct net_request *request)
{
    const size_t bytes = sizeof(openapi) - 1;
    char *text = malloc(bytes);

    if (text != NULL)
        memcpy(text, openapi, bytes);
    net_reply(request, text != NULL ? 200 : 500, JSON_TYPE, text,
              text != NULL ? bytes : 0);
}

void daemon_http(struct daemon *daemon, struct job *job)
{
    struct net_request *request = job->request;
    const bool gets = strcmp(request->method, "GET") == 0,
               posts = strcmp(request->method, "POST") == 0;

    if (strncmp(request->path, "/v1/flows", 9) == 0 &&
        (request->path[9] == '/' || request->path[9] == '\0'))
        flows_http(daemon, job);
    else if (strcmp(request->path, "/v1/events") == 0 && gets)
        flows_listen(daemon, job);
    else if (strcmp(request->path, "/api/v1/rpc") == 0 && posts)
        daemon_msb(daemon, job);
    else if (strcmp(request->path, "/v1/run") == 0 && posts)
        run_script(daemon, job);
    else if (strcmp(request->path, "/v1/scripts") == 0 && posts)
        upload(daemon, job);
    else if (strcmp(request->path, "/v1/scripts") == 0 && gets)
        http_reply_json(request, 200, json_pack("{s:o}", "scripts",
                                                actors_list(daemon, true)));
    else if (strncmp(request->path, "/v1/scripts/", 12) == 0 &&
             strcmp(request->method, "DELETE") == 0)
        remove_script(daemon, job);
    else if (strcmp(request->path, "/v1/openapi.json") == 0 && gets)
        reply_openapi(request);
    else if (strcmp(request->path, "/metrics") == 0 && gets)
        reply_metrics(daemon, request);
    else if (strncmp(request->path, "/v1/", 4) == 0)
        http_reply_error(request, 405, "EARGUMENT",
                         "that is not to be had in this way");
    else
        http_reply_error(request, 404, "EFILE", "there is no such place");
}

/* ---- what needs no worker ---- */

static void reply_text(struct net_request *request, int status,
                       const char *text)
{
    char *body = strdup(text);

    net_reply(request, status, "text/plain; charset=utf-8", body,
              body != NULL ? strlen(body) : 0);
}

bool daemon_http_quick(struct daemon *daemon, struct net_request *request)
{
    const bool is_up = !atomic_load(&daemon->is_draining);

    if (page_reply(request))
        return true;
    if (strcmp(request->path, "/healthz") == 0)
        reply_text(request, 200, "ok\n");
    else if (strcmp(request->path, "/api/v1/health") == 0)
        http_reply_json(request, 200,
                        json_pack("{s:s}", "message", "Service is healthy"));
    else if (strcmp(request->path, "/readyz") == 0)
        reply_text(request, is_up ? 200 : 503, is_up ? "ready\n" : "ending\n");
    else if (strcmp(request->path, "/metrics") == 0 &&
             daemon->access.count == 0)
        reply_metrics(daemon, request);
    else
        return false;
    return true;
}
