/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msb.c - the server of microsandbox 0.2, for its SDKs: JSON-RPC 2.0 over
 * POST /api/v1/rpc, as tag microsandbox-v0.2.6 answers.
 *
 *  sandbox.start|stop {sandbox, namespace, config}
 *  sandbox.repl.run {sandbox, namespace, language, code, timeout}
 *  sandbox.command.run {sandbox, namespace, command, args, timeout}
 *  sandbox.metrics.get {namespace, sandbox}
 *
 * A sandbox here has a Python and a JavaScript, each in a sandbox of ours that
 * is never wiped.  A command is a program in a micro-VM of its own, which sees
 * no file that the prompt has written.  Code that takes too long is ended, and
 * what it had remembered with it; there, it went on.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "glovebox/program.h"
#include "net/rpc.h"

#define SANDBOXES_MAX 1000u
#define TIMEOUT_S     30
#define MEMORY_MIB    512          /* at most; and rules go before it */
#define OUTPUT_BYTES  (1u << 20)   /* of a command */

enum { PYTHON, NODE, LANGUAGES };
static const char *const names[LANGUAGES] = {"python", "nodejs"};
static const char *const files[LANGUAGES] = {".repl.py", ".repl.js"};

struct msb {
    SLIST_ENTRY(msb) next;
    char space[64], name[64];
    unsigned holders; /* with the lock */
    uint64_t memory_bytes;
    json_t *envs; /* owned: an object */
    struct actor *actors[LANGUAGES];
    pthread_mutex_t lock; /* of actors: they are made when they are wanted */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static SLIST_HEAD(, msb) all = SLIST_HEAD_INITIALIZER(all);
static unsigned count;

/* What the answer is: a status, and JSON, which is taken. */
struct answer {
    int status;
    json_t *result; /* of JSON-RPC; or */
    json_t *plain;  /* the whole body */
};

static struct answer result(json_t *json)
{
    return (struct answer){.status = 200, .result = json};
}

static struct answer refuse(int status, int code, const char *what)
{
    json_t *text = json_string(what);

    return (struct answer){
        .status = status,
        .plain = json_pack("{s:o,s:i}", "error",
                           text != NULL ? text : json_string("?"), "code",
                           code)};
}

static struct answer bad_params(const char *what)
{
    return refuse(400, 2001, what);
}

static struct answer say(const char *format, const char *name)
{
    char text[160];

    snprintf(text, sizeof(text), format, name);
    return result(json_string(text));
}

/* ---- which one ---- */

/* 1 to 63 of A-Za-z0-9_-, the first no sign. */
static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

    return name != NULL && name[0] != '\0' && strlen(name) <= 63 &&
           strspn(name, letters) == strlen(name) && name[0] != '_' &&
           name[0] != '-';
}

static const char *text_of(const json_t *params, const char *key,
                           const char *otherwise)
{
    const char *text = json_string_value(json_object_get(params, key));

    return text != NULL ? text : otherwise;
}

static struct msb *find_locked(const json_t *params)
{
    struct msb *msb;

    SLIST_FOREACH(msb, &all, next)
    if (strcmp(msb->name, text_of(params, "sandbox", "")) == 0 &&
        strcmp(msb->space, text_of(params, "namespace", "default")) == 0)
        return msb;
    return NULL;
}

static void put_msb(struct daemon *daemon, struct msb *msb)
{
    unsigned left;

    pthread_mutex_lock(&lock);
    left = --msb->holders;
    pthread_mutex_unlock(&lock);
    if (left > 0)
        return;
    for (int i = 0; i < LANGUAGES; i++)
        actors_put(daemon, msb->actors[i]);
    json_decref(msb->envs);
    pthread_mutex_destroy(&msb->lock);
    free(msb);
}

static struct msb *get_msb(const json_t *params)
{
    struct msb *msb;

    pthread_mutex_lock(&lock);
    msb = find_locked(params);
    if (msb != NULL)
        msb->holders++;
    pthread_mutex_unlock(&lock);
    return msb;
}

/* ---- start, stop ---- */

/* "K=V" and more; NULL: they are none. */
static json_t *read_envs(const json_t *list)
{
    json_t *envs = json_object(), *one;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const char *text = json_string_value(one),
                   *equals = text != NULL ? strchr(text, '=') : NULL;
        char key[256];

        if (equals == NULL || (size_t)(equals - text) >= sizeof(key)) {
            json_decref(envs);
            return NULL;
        }
        memcpy(key, text, (size_t)(equals - text));
        key[equals - text] = '\0';
        json_object_set_new(envs, key, json_string(equals + 1));
    }
    return envs;
}

static const char *what_is_not_here(const json_t *config)
{
    static const char *const lists[] = {"volumes", "ports", "depends_on",
                                        "scripts"};
    const char *image = text_of(config, "image", "microsandbox/python");

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (json_array_size(json_object_get(config, lists[i])) > 0 ||
            json_object_size(json_object_get(config, lists[i])) > 0)
            return "config: volumes, ports, depends_on and scripts are not "
                   "here: a sandbox has no network, and no folder of the host";
    if (strcmp(image, "microsandbox/python") != 0 &&
        strcmp(image, "microsandbox/node") != 0)
        return "config.image: only microsandbox/python and microsandbox/node "
               "are here";
    return NULL;
}

static struct answer start(const json_t *params)
{
    const json_t *config = json_object_get(params, "config");
    const char *name = text_of(params, "sandbox", NULL),
               *space = text_of(params, "namespace", "default"),
               *missing = what_is_not_here(config);
    json_int_t mib = json_integer_value(json_object_get(config, "memory"));
    struct msb *msb;
    json_t *envs;
    bool is_there;

    if (!is_name(name) || !is_name(space))
        return bad_params("sandbox and namespace are names of 1 to 63 letters, "
                          "digits, - and _");
    if (missing != NULL)
        return bad_params(missing);
    if (mib < 0 || mib > 1 << 20)
        return bad_params("config.memory is a number of MiB");
    envs = read_envs(json_object_get(config, "envs"));
    if (envs == NULL)
        return bad_params("config.envs are texts: KEY=VALUE");
    msb = calloc(1, sizeof(*msb));
    if (msb == NULL)
        return refuse(500, 5002, "no memory");
    snprintf(msb->name, sizeof(msb->name), "%s", name);
    snprintf(msb->space, sizeof(msb->space), "%s", space);
    msb->memory_bytes = (uint64_t)(mib > MEMORY_MIB ? MEMORY_MIB : mib) << 20;
    msb->envs = envs;
    msb->holders = 1;
    pthread_mutex_init(&msb->lock, NULL);
    pthread_mutex_lock(&lock);
    is_there = find_locked(params) != NULL;
    if (!is_there && count < SANDBOXES_MAX) {
        SLIST_INSERT_HEAD(&all, msb, next);
        count++;
        msb = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (msb != NULL) {
        put_msb(NULL, msb);
        if (!is_there)
            return refuse(500, 5002, "there are 1,000 sandboxes already");
    }
    return say("Sandbox %s started successfully", name);
}

static struct answer stop(struct daemon *daemon, const json_t *params)
{
    const char *name = text_of(params, "sandbox", NULL);
    struct msb *msb;

    if (!is_name(name))
        return bad_params("sandbox is missing");
    pthread_mutex_lock(&lock);
    msb = find_locked(params);
    if (msb != NULL) {
        SLIST_REMOVE(&all, msb, msb, next);
        count--;
    }
    pthread_mutex_unlock(&lock);
    if (msb == NULL)
        return refuse(500, 5002, "that sandbox is not running");
    put_msb(daemon, msb);
    return say("Sandbox %s stopped successfully", name);
}

/* ---- the prompt ---- */

static json_t *line(const char *stream, const char *text, size_t bytes)
{
    json_t *json = json_stringn(text, bytes);

    return json_pack("{s:s,s:o}", "stream", stream, "text",
                     json != NULL ? json : json_string("?"));
}

static struct actor *get_actor(struct daemon *daemon, struct msb *msb,
                               int language, struct gbx_error *err)
{
    struct gbx_script_config config = daemon->script;
    char path[256];

    config.wipe = GBX_WIPE_NEVER;
    config.pool = (struct gbx_pool_config){.total_max = 1};
    config.hide_folder = 1;
    if (msb->memory_bytes > 0 && daemon->rules == NULL)
        config.limits.memory_bytes = msb->memory_bytes;
    snprintf(path, sizeof(path), "%s/%s", daemon->uploads, files[language]);
    pthread_mutex_lock(&msb->lock);
    if (msb->actors[language] == NULL)
        actors_open(daemon, path, &config, &msb->actors[language], err);
    pthread_mutex_unlock(&msb->lock);
    return msb->actors[language];
}

static void take_output(void *context, const char *port, json_t *value)
{
    json_t **output = context;

    if (strcmp(port, "output") == 0 && *output == NULL)
        *output = value;
    else
        json_decref(value);
}

static int language_of(const char *name)
{
    if (strcmp(name, "python") == 0)
        return PYTHON;
    return strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0 ||
                   strcmp(name, "javascript") == 0
               ? NODE
               : -1;
}

static uint64_t timeout_of(const struct daemon *daemon, const json_t *params)
{
    const json_int_t seconds =
        json_integer_value(json_object_get(params, "timeout"));
    const uint64_t ns = (uint64_t)(seconds > 0 && seconds < 86400
                                       ? seconds
                                       : TIMEOUT_S) *
                        1000000000u;

    return ns < daemon->timeout_ns ? ns : daemon->timeout_ns;
}

static struct answer repl_at(struct daemon *daemon, struct job *job,
                             struct msb *msb, int language, const char *code,
                             const json_t *params)
{
    json_t *output = NULL,
           *inputs = json_pack("{s:s,s:O}", "code", code, "envs", msb->envs);
    struct run run = {.inputs = inputs,
                      .timeout_ns = timeout_of(daemon, params),
                      .output = take_output,
                      .context = &output};
    struct gbx_error err = {.what = ""};
    char text[100];
    int rc = GBX_EHOST;

    run.actor = get_actor(daemon, msb, language, &err);
    if (run.actor != NULL)
        rc = run_call(daemon, job, &run);
    json_decref(inputs);
    daemon_audit(daemon, job->token, "repl", msb->name, rc,
                 run.stats.wall_ns);
    if (output == NULL)
        output = json_array();
    if (rc == GBX_ETIME) {
        snprintf(text, sizeof(text),
                 "Error: Execution timed out after %llu seconds",
                 (unsigned long long)(run.timeout_ns / 1000000000u));
        json_array_append_new(output, line("stderr", text, strlen(text)));
    } else if (rc < 0 && run.actor != NULL) {
        json_array_append_new(output, line("stderr", run.err.what,
                                           strlen(run.err.what)));
    }
    run_fini(&run);
    if (run.actor == NULL) {
        json_decref(output);
        return refuse(500, 5002, err.what);
    }
    return result(json_pack("{s:s,s:s,s:o}", "status", "success", "language",
                            names[language], "output", output));
}

static struct answer repl(struct daemon *daemon, struct job *job,
                          const json_t *params)
{
    const char *code = text_of(params, "code", NULL);
    int language = language_of(text_of(params, "language", ""));
    struct answer answer;
    struct msb *msb;

    if (code == NULL || language < 0)
        return bad_params("code is a text, language python, node, nodejs or "
                          "javascript");
    msb = get_msb(params);
    if (msb == NULL)
        return refuse(500, 5002, "that sandbox is not running");
    answer = repl_at(daemon, job, msb, language, code, params);
    put_msb(daemon, msb);
    return answer;
}

/* ---- a command ---- */

struct lines {
    struct gbx_program *program;
    size_t all; /* bytes, and lines */
    json_t *output;
    char rest[2][4096];
    size_t bytes[2];
};

static void end_line(struct lines *lines, int which)
{
    lines->all += 100; /* a line is more than its letters */
    json_array_append_new(lines->output,
                          line(which == 0 ? "stdout" : "stderr",
                               lines->rest[which], lines->bytes[which]));
    lines->bytes[which] = 0;
}

static void take_text(void *context, int stream, const void *text, size_t bytes)
{
    struct lines *lines = context;
    const int which = stream == 2;

    if (lines->all > OUTPUT_BYTES)
        return;
    lines->all += bytes;
    if (lines->all > OUTPUT_BYTES) {
        gbx_program_kill(lines->program);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        const char letter = ((const char *)text)[i];

        if (letter != '\n')
            lines->rest[which][lines->bytes[which]++] = letter;
        if (letter == '\n' ||
            lines->bytes[which] == sizeof(lines->rest[which]))
            end_line(lines, which);
    }
}

/* Its words, and the environment; NULL after the last. */
static const char **words_of(const char *first, const json_t *list)
{
    const char **words = calloc(json_array_size(list) + 2, sizeof(char *));
    json_t *one;
    size_t i;

    if (words == NULL)
        return NULL;
    words[0] = first;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        words[i + 1] = json_string_value(one);
        if (words[i + 1] == NULL)
            words[i + 1] = "";
    }
    return words;
}

static struct answer command(struct daemon *daemon, struct job *job,
                             const json_t *params)
{
    const char *name = text_of(params, "command", NULL);
    json_t *args = json_object_get(params, "args"), *reply;
    struct lines lines = {.output = json_array()};
    struct gbx_program_config config = {.struct_bytes = sizeof(config),
                                        .output = take_text,
                                        .output_context = &lines,
                                        .limits = daemon->script.limits};
    struct gbx_program *program = NULL;
    struct gbx_error err = {.what = ""};
    const char **words;
    struct msb *msb = get_msb(params);
    int status = -1, rc;

    if (name == NULL || strchr(name, '/') != NULL ||
        (args != NULL && !json_is_array(args))) {
        json_decref(lines.output);
        if (msb != NULL)
            put_msb(daemon, msb);
        return bad_params("command is the name of a program, without a folder; "
                          "args are texts");
    }
    words = words_of(name, args);
    config.argv = words;
    rc = msb == NULL ? GBX_EFILE
                     : gbx_program_open(&program, name, &config, &err);
    lines.program = program;
    if (rc == 0 && !work_show_program(daemon, job, program))
        rc = GBX_ECANCELED;
    if (rc == 0)
        rc = gbx_program_run(program,
                             daemon_now_ns() + timeout_of(daemon, params),
                             &status, &err);
    work_hide(daemon, job);
    gbx_program_close(program);
    free(words);
    for (int i = 0; i < 2; i++)
        if (lines.bytes[i] > 0)
            end_line(&lines, i);
    if (rc == GBX_ETIME)
        json_array_append_new(lines.output,
                              line("stderr", "Error: Execution timed out", 26));
    if (lines.all > OUTPUT_BYTES)
        json_array_append_new(
            lines.output, line("stderr", "Error: more than 1 MiB of output", 32));
    daemon_audit(daemon, job->token, "command", name, rc, 0);
    if (msb != NULL)
        put_msb(daemon, msb);
    if (program == NULL) {
        json_decref(lines.output);
        return refuse(500, 5002,
                      msb == NULL ? "that sandbox is not running" : err.what);
    }
    reply = json_pack("{s:s,s:O,s:i,s:b,s:o}", "command", name, "args",
                      args != NULL ? args : json_null(), "exit_code", status,
                      "success", rc == 0 && status == 0, "output",
                      lines.output);
    if (args == NULL)
        json_object_set_new(reply, "args", json_array());
    return result(reply);
}

/* ---- metrics ---- */

/* What nobody measures here is null. */
static struct answer metrics(const json_t *params)
{
    const char *space = text_of(params, "namespace", "default"),
               *name = text_of(params, "sandbox", NULL);
    json_t *list = json_array();
    struct msb *msb;

    pthread_mutex_lock(&lock);
    SLIST_FOREACH(msb, &all, next)
    if ((strcmp(space, "*") == 0 || strcmp(space, msb->space) == 0) &&
        (name == NULL || strcmp(name, msb->name) == 0))
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:b,s:n,s:n,s:n}", "namespace",
                            msb->space, "name", msb->name, "running", 1,
                            "cpu_usage", "memory_usage", "disk_usage"));
    pthread_mutex_unlock(&lock);
    return result(json_pack("{s:o}", "sandboxes", list));
}

/* ---- the protocol ---- */

static struct answer dispatch(struct daemon *daemon, struct job *job,
                              const struct rpc_request *request)
{
    const json_t *params = request->params;
    const char *method = request->method;

    if (strcmp(method, "sandbox.start") == 0)
        return start(params);
    if (strcmp(method, "sandbox.stop") == 0)
        return stop(daemon, params);
    if (strcmp(method, "sandbox.repl.run") == 0)
        return repl(daemon, job, params);
    if (strcmp(method, "sandbox.command.run") == 0)
        return command(daemon, job, params);
    if (strcmp(method, "sandbox.metrics.get") == 0)
        return metrics(params);
    return (struct answer){.status = 404};
}

void daemon_msb(struct daemon *daemon, struct job *job)
{
    struct net_request *http = job->request;
    struct answer answer = {.status = 400};
    struct rpc_request request;
    char *text;
    int rc = rpc_read(&request, http->body != NULL ? http->body : "",
                      http->bytes);

    if (rc == 0)
        answer = dispatch(daemon, job, &request);
    if (answer.plain != NULL)
        text = json_dumps(answer.plain, JSON_COMPACT);
    else if (answer.result != NULL)
        text = rpc_result(&request, answer.result);
    else
        text = rpc_error(&request, rc < 0 ? rc : RPC_METHOD,
                         rc < 0 ? request.what : "Method not found", NULL);
    json_decref(answer.plain);
    rpc_fini(&request);
    net_reply(http, text != NULL ? answer.status : 500, "application/json",
              text, text != NULL ? strlen(text) : 0);
}

void daemon_msb_close(struct daemon *daemon)
{
    struct msb *msb;

    while ((msb = SLIST_FIRST(&all)) != NULL) {
        SLIST_REMOVE_HEAD(&all, next);
        put_msb(daemon, msb);
    }
}
