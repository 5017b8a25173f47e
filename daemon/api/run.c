/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - POST /v1/run: a script, or an actor that is loaded, is run once.
 *
 * It comes as JSON, or as an upload (upload.h).
 *
 * The answer is one JSON; or, by what the client accepts, outputs as they come:
 * application/x-ndjson has a line for each and one for the end, multipart/mixed
 * a part, in which bytes are as they are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "daemon/api/upload.h"

enum answer { WHOLE, LINES, PARTS };

struct once {
    struct daemon *daemon;
    struct job *job;
    json_t *body;          /* owned: the members */
    struct upload *upload; /* owned: what they came in; or NULL */
    json_t *outputs;       /* owned: of a WHOLE answer */
    enum answer answer;
    bool is_begun;     /* a part of it has been sent */
    char boundary[40]; /* of PARTS */
    char type[80];     /* of the reply */
    struct printed printed;
    struct run run;
    struct run_stream streams[FORM_STREAMS_MAX];
};

/* ---- what is asked ---- */

static void refuse(struct once *once, int status, const char *code,
                   const char *what)
{
    http_reply_error(once->job->request, status, code, what);
}

static bool read_json(struct once *once)
{
    struct net_request *request = once->job->request;
    char text[200];
    json_error_t bad;

    once->body =
        json_loadb(request->body != NULL ? request->body : "", request->bytes,
                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &bad);
    if (json_is_object(once->body))
        return true;
    snprintf(text, sizeof(text), "no JSON object: line %d: %s", bad.line,
             once->body != NULL ? "it is something else" : bad.text);
    refuse(once, 400, "EFORMAT", text);
    return false;
}

static void tell(struct once *once, const struct failure *failure);

static bool read_upload(struct once *once)
{
    struct net_request *request = once->job->request;
    struct upload *upload = once->upload;
    struct run *run = &once->run;

    if (upload == NULL) /* there is no body */
        upload = once->upload =
            upload_open(once->daemon, once->job->token, request, 0);
    if (upload == NULL) {
        refuse(once, 500, "EHOST", "no memory");
        return false;
    }
    if (upload->printed.text != NULL)
        printed_add(upload->printed.text, upload->printed.bytes);
    if (upload_end(upload) < 0) {
        tell(once, &upload->failure);
        return false;
    }
    once->body = json_incref(upload->form.members);
    for (size_t i = 0; i < upload->form.stream_count; i++) {
        const struct form_stream *stream = &upload->form.streams[i];

        once->streams[i] = (struct run_stream){
            .port = stream->port, .data = stream->data, .bytes = stream->bytes};
    }
    run->streams = once->streams;
    run->stream_count = upload->form.stream_count;
    return true;
}

/* Members that must be what they are. */
static bool check(struct once *once)
{
    const json_t *timeout = json_object_get(once->body, "timeout_ms");
    struct run *run = &once->run;

    run->inputs = json_object_get(once->body, "inputs");
    if (run->inputs != NULL && !json_is_object(run->inputs)) {
        refuse(once, 400, "EARGUMENT", "inputs are an object: {port: value}");
        return false;
    }
    if (timeout != NULL && json_integer_value(timeout) <= 0) {
        refuse(once, 400, "EARGUMENT", "timeout_ms is a whole number, above 0");
        return false;
    }
    if (timeout != NULL &&
        (uint64_t)json_integer_value(timeout) < run->timeout_ns / 1000000)
        run->timeout_ns = (uint64_t)json_integer_value(timeout) * 1000000;
    return true;
}

static const char *ending_of(const json_t *body)
{
    const char *language = json_string_value(json_object_get(body, "language"));

    if (language == NULL || strcmp(language, "python") == 0)
        return ".py";
    return strcmp(language, "javascript") == 0 ? ".js" : NULL;
}

/* ---- what is answered ---- */

/* How it ended. */
static json_t *end_of(const struct once *once, int rc, const char *what,
                      const char *traceback)
{
    json_t *end, *error;

    if (rc == 0) {
        end =
            json_pack("{s:I}", "wall_ns", (json_int_t)once->run.stats.wall_ns);
    } else {
        error = json_pack("{s:s,s:o}", "code", gbx_error_name(rc), "message",
                          text_json(what));
        if (traceback != NULL)
            json_object_set_new(error, "traceback", text_json(traceback));
        end = json_pack("{s:o}", "error", error);
    }
    if (once->printed.text != NULL && traceback != once->printed.text)
        json_object_set_new(end, "printed", text_json(once->printed.text));
    return end;
}

static void begin(struct once *once)
{
    uint64_t chance[2] = {0};

    if (once->is_begun)
        return;
    once->is_begun = true;
    (void)!getrandom(chance, sizeof(chance), 0);
    snprintf(once->boundary, sizeof(once->boundary), "%016llx%016llx",
             (unsigned long long)chance[0], (unsigned long long)chance[1]);
    snprintf(once->type, sizeof(once->type),
             once->answer == LINES ? "application/x-ndjson"
                                   : "multipart/mixed; boundary=%s",
             once->boundary);
    net_stream(once->job->request, once->type);
}

static void push_line(struct once *once, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    begin(once);
    if (text == NULL)
        return;
    text[strlen(text)] = '\n'; /* in place of its zero, which nobody reads */
    if (net_push(once->job->request, text, strcspn(text, "\n") + 1) < 0)
        work_cancel_job(once->daemon, once->job);
    free(text);
}

/* disposition: 'form-data; name="port"', or "result". */
static void push_part(struct once *once, const char *disposition,
                      const char *type, const void *data, size_t bytes)
{
    struct net_request *request = once->job->request;
    char head[700];
    const int count =
        snprintf(head, sizeof(head),
                 "\r\n--%s\r\nContent-Disposition: %s\r\nContent-Type: "
                 "%s\r\nContent-Length: %zu\r\n\r\n",
                 once->boundary, disposition, type, bytes);

    if (net_push(request, head, (size_t)count) < 0 ||
        (bytes > 0 && net_push(request, data, bytes) < 0))
        work_cancel_job(once->daemon, once->job);
}

static void add_output(void *context, const char *port, json_t *value)
{
    struct once *once = context;
    json_t *output = json_pack("{s:s,s:o}", "port", port, "data", value);

    if (once->answer == LINES)
        push_line(once, output);
    else
        json_array_append_new(once->outputs, output);
}

/* A name in quotes; what could end it is left out. */
static void name_part(char to[600], const char *port)
{
    size_t at = (size_t)snprintf(to, 600, "form-data; name=\"");

    for (; *port != '\0' && at < 590; port++)
        if ((unsigned char)*port >= ' ' && *port != '"' && *port != '\\')
            to[at++] = *port;
    to[at++] = '"';
    to[at] = '\0';
}

static void add_part(void *context, const char *port,
                     const struct gbx_message *message)
{
    struct once *once = context;
    const bool is_bytes =
        message->type == GBX_STREAM || message->type == GBX_ENCODED;
    char disposition[600], *json = NULL;
    struct gbx_error err;

    begin(once);
    name_part(disposition, port);
    if (is_bytes || message->type == GBX_STRING)
        push_part(once, disposition,
                  is_bytes ? "application/octet-stream"
                           : "text/plain; charset=utf-8",
                  message->body, message->body_bytes);
    else if (gbx_message_to_json(&json, message, GBX_JSON_PLAIN, &err) == 0)
        push_part(once, disposition, "application/json", json, strlen(json));
    else
        push_part(once, disposition, "text/plain; charset=utf-8", err.what,
                  strlen(err.what));
    free(json);
}

static void push_end(struct once *once, json_t *end)
{
    char *text, last[60];
    int count;

    if (once->answer == LINES) {
        push_line(once, end);
    } else {
        begin(once);
        text = json_dumps(end, JSON_COMPACT);
        json_decref(end);
        push_part(once, "result", "application/json",
                  text != NULL ? text : "{}", text != NULL ? strlen(text) : 2);
        free(text);
        count = snprintf(last, sizeof(last), "\r\n--%s--\r\n", once->boundary);
        net_push(once->job->request, last, (size_t)count);
    }
    net_stream_end(once->job->request);
}

static void answer(struct once *once, int rc, const char *what,
                   const char *traceback)
{
    json_t *end = end_of(once, rc, what, traceback);

    /* With nothing sent yet, a failure has its status. */
    if (once->is_begun || (once->answer != WHOLE && rc == 0)) {
        push_end(once, end);
        return;
    }
    json_object_set(end, "outputs", once->outputs);
    http_reply_json(once->job->request, rc == 0 ? 200 : http_status_of(rc),
                    end);
}

/* ---- and done ---- */

static void tell(struct once *once, const struct failure *failure)
{
    const struct gbx_error *err = &failure->err;

    /* Why it cannot be loaded, its language has printed. */
    if (failure->is_script)
        answer(once, err->code, err->what, once->printed.text);
    else
        refuse(once,
               failure->status != 0 ? failure->status
                                    : http_status_of(err->code),
               gbx_error_name(err->code), err->what);
}

int run_find_actor(struct daemon *daemon, const json_t *members,
                   struct actor **actor, struct failure *failure)
{
    const char *id = json_string_value(json_object_get(members, "actor")),
               *source = json_string_value(json_object_get(members, "script")),
               *dot = ending_of(members);
    struct gbx_error *err = &failure->err;
    int rc;

    if ((id == NULL) == (source == NULL))
        return fail(err, GBX_EARGUMENT,
                    "either \"script\" (a text) or \"actor\" (an id) is "
                    "expected");
    if (dot == NULL)
        return fail(err, GBX_EARGUMENT,
                    "language is \"python\" or \"javascript\"");
    if (id == NULL) {
        rc = actors_of_source(daemon, source, dot, actor, err);
        failure->is_script = rc < 0;
        return rc;
    }
    *actor = actors_get(daemon, id);
    if (*actor != NULL)
        return 0;
    failure->status = 404;
    return fail(err, GBX_EFILE, "there is no such actor: GET /v1/scripts");
}

/* Of an upload, whose inputs may have a sandbox already. */
static bool find_actor(struct daemon *daemon, struct once *once)
{
    struct upload *upload = once->upload;
    struct failure failure = {.status = 0};

    if (upload != NULL && upload->actor != NULL) {
        once->run.actor = upload->actor;
        once->run.call = upload->form.call;
        upload->actor = NULL;
        upload->form.call = NULL;
        return true;
    }
    if (run_find_actor(daemon, once->body, &once->run.actor, &failure) == 0)
        return true;
    tell(once, &failure);
    return false;
}

static void run_once(struct daemon *daemon, struct once *once)
{
    struct run *run = &once->run;
    int rc;

    if (!find_actor(daemon, once))
        return;
    run->context = once;
    if (once->answer == PARTS)
        run->message = add_part;
    else
        run->output = add_output;
    rc = run_call(daemon, once->job, run);
    daemon_audit(daemon, once->job->token, "run", run->actor->id, rc,
                 run->stats.wall_ns);
    answer(once, rc, run->err.what, run->traceback);
    actors_put(daemon, run->actor);
    run_fini(run);
}

static enum answer wanted(const char *accept)
{
    return strstr(accept, "application/x-ndjson") != NULL ? LINES
           : strstr(accept, "multipart/mixed") != NULL    ? PARTS
                                                          : WHOLE;
}

void http_run(struct daemon *daemon, struct job *job)
{
    struct once *once = calloc(1, sizeof(*once));
    bool is_read;

    if (once == NULL) {
        upload_close(job->upload);
        http_reply_error(job->request, 500, "EHOST", "no memory");
        return;
    }
    once->daemon = daemon;
    once->job = job;
    once->upload = job->upload;
    once->outputs = json_array();
    once->answer = wanted(job->request->accept);
    once->run.timeout_ns = daemon->timeout_ns;
    printed_begin(&once->printed);
    is_read = upload_is_one(job->request) ? read_upload(once) : read_json(once);
    if (is_read && check(once))
        run_once(daemon, once);
    printed_end(&once->printed);
    printed_fini(&once->printed);
    upload_close(once->upload);
    json_decref(once->outputs);
    json_decref(once->body);
    free(once);
}
