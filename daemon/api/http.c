/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - plain HTTP: scripts are run, uploaded, listed and removed.
 *
 *  GET    /healthz /readyz /metrics /v1/openapi.json
 *  GET    / /v1/stats      page.c, stats.c of dashboard/
 *  POST   /v1/run          run.c
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

void http_reply_error(struct net_request *request, int status, const char *code,
                      const char *what)
{
    json_t *text = json_string(what);

    http_reply_json(request, status,
                    json_pack("{s:{s:s,s:o}}", "error", "code", code, "message",
                              text != NULL ? text : json_string("?")));
}

const char *http_query(const char *query, const char *name, size_t *bytes)
{
    const size_t name_bytes = strlen(name);

    for (; query != NULL; query = strchr(query, '&')) {
        query += *query == '&';
        if (strncmp(query, name, name_bytes) != 0 || query[name_bytes] != '=')
            continue;
        query += name_bytes + 1;
        *bytes = strcspn(query, "&");
        return query;
    }
    return NULL;
}

int http_status_of(int code)
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
    http_reply_error(request, http_status_of(code), gbx_error_name(code), what);
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
        http_reply_error(job->request, http_status_of(rc), gbx_error_name(rc),
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
        http_run(daemon, job);
    else if (strcmp(request->path, "/v1/scripts") == 0 && posts)
        upload(daemon, job);
    else if (strcmp(request->path, "/v1/scripts") == 0 && gets)
        http_reply_json(
            request, 200,
            json_pack("{s:o}", "scripts", actors_list(daemon, true)));
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
