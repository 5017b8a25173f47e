/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - POST /v1/run: a script, or an actor that is loaded, is run once.
 *
 * It comes as JSON, or as a form (multipart/form-data) whose fields are the
 * members of that JSON; other fields are inputs, by their ports' names: a file
 * is bytes, as they are.
 *
 * Or it is one input as it is, and the query says of what (raw.c).
 *
 * The answer is one JSON; or, by what the client accepts, outputs as they come:
 * application/x-ndjson has a line for each and one for the end, multipart/mixed
 * a part, in which bytes are as they are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/daemon.h"
#include "net/body/multipart.h"

#define STREAMS_MAX 64u

enum answer { WHOLE, LINES, PARTS };

struct once {
    struct daemon *daemon;
    struct job *job;
    json_t *body;    /* owned: the members */
    json_t *outputs; /* owned: of a WHOLE answer */
    enum answer answer;
    bool is_begun;     /* a part of it has been sent */
    char boundary[40]; /* of PARTS */
    char type[80];     /* of the reply */
    struct printed printed;
    struct run run;
    struct run_stream streams[STREAMS_MAX];
    char (*ports)[MULTIPART_NAME_MAX + 1]; /* owned: theirs */
};

/* ---- what is asked ---- */

static void refuse(struct once *once, int status, const char *code,
                   const char *what)
{
    http_reply_error(once->job->request, status, code, what);
}

static json_t *text_of(const struct multipart_part *part)
{
    return json_stringn((const char *)part->data, part->bytes);
}

/* A field of the form that is a member of the JSON.  False: it is an input. */
static bool take_member(struct once *once, const struct multipart_part *part)
{
    static const char *const texts[] = {"script", "actor", "language"},
                             *const values[] = {"inputs", "timeout_ms"};

    for (size_t i = 0; i < 3; i++)
        if (strcmp(part->name, texts[i]) == 0) {
            const size_t bytes = strlen(part->file);

            json_object_set_new(once->body, part->name, text_of(part));
            if (i == 0 &&
                ((bytes > 3 && strcmp(part->file + bytes - 3, ".js") == 0) ||
                 (bytes > 4 && strcmp(part->file + bytes - 4, ".mjs") == 0)))
                json_object_set_new(once->body, "language",
                                    json_string("javascript"));
            return true;
        }
    for (size_t i = 0; i < 2; i++)
        if (strcmp(part->name, values[i]) == 0) {
            json_object_set_new(
                once->body, part->name,
                json_loadb((const char *)part->data, part->bytes,
                           JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
            return true;
        }
    return false;
}

/* Returns 0, or -1: it is no input. */
static int take_input(struct once *once, json_t *inputs,
                      const struct multipart_part *part)
{
    const bool is_json = strncmp(part->type, "application/json", 16) == 0;
    struct run_stream *stream;

    if (is_json || (part->file[0] == '\0' &&
                    strcmp(part->type, "application/octet-stream") != 0))
        return json_object_set_new(
            inputs, part->name,
            is_json ? json_loadb((const char *)part->data, part->bytes,
                                 JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                    : text_of(part));
    if (once->run.stream_count == STREAMS_MAX)
        return -1;
    strcpy(once->ports[once->run.stream_count], part->name);
    stream = &once->streams[once->run.stream_count];
    stream->port = once->ports[once->run.stream_count++];
    stream->data = part->bytes > 0 ? part->data : NULL;
    stream->bytes = part->bytes;
    return 0;
}

static bool read_form(struct once *once)
{
    struct net_request *request = once->job->request;
    json_t *inputs = json_object();
    struct multipart_part part;
    struct multipart reader;
    int rc =
        multipart_begin(&reader, request->type, request->body, request->bytes);

    once->body = json_object();
    once->ports = calloc(STREAMS_MAX, sizeof(*once->ports));
    if (once->ports == NULL)
        rc = GBX_EHOST;
    while (rc == 0 && (rc = multipart_next(&reader, &part)) == 0)
        if (!take_member(once, &part) && take_input(once, inputs, &part) < 0)
            rc = GBX_EARGUMENT;
    if (rc == GBX_EAGAIN) {
        json_t *more = json_object_get(once->body, "inputs");

        if (json_is_object(more))
            json_object_update_missing(inputs, more);
        if (more == NULL || json_is_object(more))
            json_object_set(once->body, "inputs", inputs);
    }
    json_decref(inputs);
    if (rc == GBX_EAGAIN)
        return true;
    refuse(once, 400, rc == GBX_EFORMAT ? "EFORMAT" : "EARGUMENT",
           rc == GBX_EFORMAT
               ? "no form: multipart/form-data with its boundary, and parts "
                 "with names"
               : "a field is neither text in UTF-8 nor JSON, or there are more "
                 "than 64 files");
    return false;
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

static bool read_raw(struct once *once)
{
    struct net_request *request = once->job->request;
    struct raw_asked asked;

    if (!raw_read(request, &asked)) {
        refuse(once, 400, "EARGUMENT",
               "POST /v1/run?actor=ID&port=NAME[&timeout_ms=N], with the input "
               "as the body");
        return false;
    }
    once->ports = calloc(1, sizeof(*once->ports));
    once->body = json_pack("{s:s}", "actor", asked.actor);
    if (once->ports == NULL || once->body == NULL) {
        refuse(once, 500, "EHOST", "no memory");
        return false;
    }
    if (asked.timeout_ms > 0)
        json_object_set_new(once->body, "timeout_ms",
                            json_integer((json_int_t)asked.timeout_ms));
    if (once->job->raw != NULL)
        return true;
    strcpy(once->ports[0], asked.port);
    once->streams[once->run.stream_count++] =
        (struct run_stream){.port = once->ports[0],
                            .data = request->bytes > 0 ? request->body : NULL,
                            .bytes = request->bytes};
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

/* NULL: there is none, and that has been said. */
static struct actor *find_actor(struct daemon *daemon, struct once *once)
{
    const json_t *body = once->body;
    const char *id = json_string_value(json_object_get(body, "actor")),
               *source = json_string_value(json_object_get(body, "script")),
               *dot = ending_of(body);
    struct actor *actor = NULL;
    struct gbx_error err = {.what = ""};
    int rc;

    if ((id == NULL) == (source == NULL)) {
        refuse(once, 400, "EARGUMENT",
               "either \"script\" (a text) or \"actor\" (an id) is expected");
    } else if (dot == NULL) {
        refuse(once, 400, "EARGUMENT",
               "language is \"python\" or \"javascript\"");
    } else if (id != NULL) {
        actor = actors_get(daemon, id);
        if (actor == NULL)
            refuse(once, 404, "EFILE",
                   "there is no such actor: GET /v1/scripts");
    } else if ((rc = actors_of_source(daemon, source, dot, &actor, &err)) < 0) {
        /* Why it cannot be loaded, its language has printed. */
        answer(once, rc, err.what, once->printed.text);
    }
    return actor;
}

static void run_once(struct daemon *daemon, struct once *once)
{
    struct run *run = &once->run;
    int rc;

    if (once->job->raw != NULL) {
        run->call = raw_take(once->job->raw, &run->actor);
        once->job->raw = NULL;
    } else {
        run->actor = find_actor(daemon, once);
    }
    if (run->actor == NULL)
        return;
    run->streams = once->streams;
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

static bool read_any(struct once *once)
{
    const char *type = once->job->request->type;

    if (strncmp(type, "multipart/", 10) == 0)
        return read_form(once);
    return strncmp(type, "application/octet-stream", 24) == 0 ? read_raw(once)
                                                              : read_json(once);
}

void http_run(struct daemon *daemon, struct job *job)
{
    struct once *once = calloc(1, sizeof(*once));

    if (once == NULL) {
        raw_drop(daemon, job->raw);
        http_reply_error(job->request, 500, "EHOST", "no memory");
        return;
    }
    once->daemon = daemon;
    once->job = job;
    once->outputs = json_array();
    once->answer = wanted(job->request->accept);
    once->run.timeout_ns = daemon->timeout_ns;
    printed_begin(&once->printed);
    if (read_any(once) && check(once))
        run_once(daemon, once);
    printed_end(&once->printed);
    printed_fini(&once->printed);
    json_decref(once->outputs);
    json_decref(once->body);
    free(once->ports);
    free(once);
    raw_drop(daemon, job->raw); /* it was refused */
}
