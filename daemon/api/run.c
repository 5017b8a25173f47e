/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - POST /v1/run: a script, or an actor that is loaded, is run once. */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

static void add_output(void *context, const char *port, json_t *value)
{
    json_array_append_new(context,
                          json_pack("{s:s,s:o}", "port", port, "data", value));
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
    http_reply_json(job->request, http_status_of(rc), reply);
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
    return http_status_of(rc);
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

void http_run(struct daemon *daemon, struct job *job)
{
    json_error_t bad;
    json_t *body =
               json_loadb(job->request->body != NULL ? job->request->body : "",
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
    } else if (find_actor(daemon, job, body, outputs, &printed, &run.actor) ==
               0) {
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
