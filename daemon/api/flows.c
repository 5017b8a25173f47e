/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.c - graphs that run here, and who listens to them.
 *
 *  PUT    /v1/flows/NAME             a graph's JSON: it runs, or follows it
 *  GET    /v1/flows                  names, and what their nodes have done
 *  POST   /v1/flows/NAME/PORT        a message for an inport, or for NODE.PORT
 *  DELETE /v1/flows/NAME
 *  GET    /v1/events?flow=NAME       server-sent events, from now on
 *
 * Components are actors that are loaded, and those built-in ones that touch no
 * file.  Events come as lines from the flow's own trace (flow_trace.h) through
 * a pipe; a thread gives each to all who listen.  Who listens to nothing costs
 * nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "glovebox/builtin.h"
#include "glovebox/flow_graph.h"
#include "glovebox/flow_trace.h"
#include "glovebox/json.h"

#define FLOWS_MAX     100u
#define LISTENERS_MAX 1000u
#define NODES_MAX     200u /* of a flow: each script is a sandbox */
#define SEND_NS       100000000u /* for a full queue */

struct listener {
    SLIST_ENTRY(listener) next;
    struct net_request *request;
};

struct served {
    SLIST_ENTRY(served) next;
    char name[64];
    unsigned holders; /* with the list's lock */
    bool is_client;   /* whose graph it is, and may change it */
    pthread_mutex_t change; /* of what is run: one at a time */
    struct gbx_flow *flow;
    struct gbx_graph *graph;
    struct gbx_flow_trace *trace;
    FILE *lines;    /* the pipe's other end */
    int to_lines;   /* owned; the trace writes there */
    pthread_t teller;
    atomic_ulong outputs, letters;
    struct voice voice; /* what its scripts print */

    pthread_mutex_t lock; /* of: */
    SLIST_HEAD(, listener) listeners;
    atomic_uint listener_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static SLIST_HEAD(, served) all = SLIST_HEAD_INITIALIZER(all);
static unsigned count;

/* ---- who listens ---- */

static void push(struct served *served, const char *event, const char *data,
                 size_t bytes)
{
    char *text;
    int length = asprintf(&text, "event: %s\ndata: %.*s\n\n", event, (int)bytes,
                          data);
    struct listener *listener;

    if (length < 0)
        return;
    pthread_mutex_lock(&served->lock);
    SLIST_FOREACH(listener, &served->listeners, next)
    net_push(listener->request, text, (size_t)length);
    pthread_mutex_unlock(&served->lock);
    free(text);
}

static void *tell(void *context)
{
    struct served *served = context;
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while ((bytes = getline(&line, &room, served->lines)) > 0)
        push(served, "flow", line, (size_t)bytes - 1);
    free(line);
    return NULL;
}

static void note(const struct served *served,
                 const struct gbx_flow_event *event)
{
    char name[200];

    snprintf(name, sizeof(name), "%s/%s", served->name, event->node);
    trouble_note(name, GBX_ESCRIPT, event->text, event->traceback);
}

static void on_event(void *context, const struct gbx_flow_event *event)
{
    struct served *served = context;

    if (event->kind == GBX_FLOW_ACTOR_FAILED)
        note(served, event);
    if (atomic_load_explicit(&served->listener_count, memory_order_relaxed) > 0)
        gbx_flow_trace_event(served->trace, event);
}

static void on_output(void *context, const char *port,
                      const struct gbx_message *message)
{
    struct served *served = context;
    json_t *value = NULL, *line;
    char *json, *text;

    atomic_fetch_add(&served->outputs, 1);
    if (atomic_load_explicit(&served->listener_count, memory_order_relaxed) ==
        0)
        return;
    if (gbx_message_to_json(&json, message, GBX_JSON_TYPED, NULL) == 0) {
        value = json_loads(json, JSON_ALLOW_NUL, NULL);
        free(json);
    }
    line = json_pack("{s:s,s:o?}", "port", port, "message", value);
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text != NULL)
        push(served, "output", text, strlen(text));
    free(text);
}

static void on_letter(void *context, const struct gbx_letter *letter)
{
    struct served *served = context;
    json_t *reason = json_string(letter->reason), *line;
    char *text;

    atomic_fetch_add(&served->letters, 1);
    line = json_pack("{s:s,s:s,s:o,s:i}", "node", letter->node, "port",
                     letter->port, "reason",
                     reason != NULL ? reason : json_string("?"), "attempts",
                     (int)letter->attempts);
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text != NULL)
        push(served, "letter", text, strlen(text));
    free(text);
}

/* ---- which one ---- */

static bool is_name(const char *name, size_t bytes)
{
    return bytes > 0 && bytes < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-") >= bytes;
}

static struct served *find_locked(const char *name, size_t bytes)
{
    struct served *served;

    SLIST_FOREACH(served, &all, next)
    if (strncmp(served->name, name, bytes) == 0 && served->name[bytes] == '\0')
        return served;
    return NULL;
}

static struct served *get(const char *name, size_t bytes)
{
    struct served *served;

    pthread_mutex_lock(&lock);
    served = find_locked(name, bytes);
    if (served != NULL)
        served->holders++;
    pthread_mutex_unlock(&lock);
    return served;
}

/* All of it ends; nobody has it. */
static void close_served(struct served *served)
{
    struct listener *listener;

    gbx_flow_close(served->flow);
    gbx_flow_trace_close(served->trace, NULL);
    if (served->to_lines >= 0) {
        close(served->to_lines); /* the last line */
        pthread_join(served->teller, NULL);
    }
    if (served->lines != NULL)
        fclose(served->lines);
    while ((listener = SLIST_FIRST(&served->listeners)) != NULL) {
        SLIST_REMOVE_HEAD(&served->listeners, next);
        net_stream_end(listener->request);
        free(listener);
    }
    gbx_graph_close(served->graph);
    pthread_mutex_destroy(&served->change);
    pthread_mutex_destroy(&served->lock);
    voice_close(&served->voice);
    free(served);
}

static void put(struct served *served)
{
    unsigned left;

    pthread_mutex_lock(&lock);
    left = --served->holders;
    pthread_mutex_unlock(&lock);
    if (left == 0)
        close_served(served);
}

/* ---- a graph runs ---- */

/* Built-in ones without files and without this program's own streams. */
static const struct gbx_actor_type *harmless[6];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_harmless(void)
{
    static const char *const wanted[] = {"counter", "merge", "split",
                                         "template", "timer"};
    size_t at = 0;

    for (size_t i = 0; gbx_builtin_types[i] != NULL; i++)
        for (size_t w = 0; w < sizeof(wanted) / sizeof(wanted[0]); w++)
            if (strcmp(gbx_builtin_types[i]->component, wanted[w]) == 0)
                harmless[at++] = gbx_builtin_types[i];
}

struct finding {
    struct daemon *daemon;
    char path[4096];
};

static int find_path(void *context, const char *component, const char **path,
                     struct gbx_error *err)
{
    struct finding *finding = context;
    struct actor *actor = actors_get(finding->daemon, component);

    if (actor == NULL) {
        *err = (struct gbx_error){.code = GBX_EFILE};
        snprintf(err->what, sizeof(err->what),
                 "no actor of this name is loaded");
        return GBX_EFILE;
    }
    snprintf(finding->path, sizeof(finding->path), "%s", actor->path);
    actors_put(finding->daemon, actor);
    *path = finding->path;
    return 0;
}

static int open_lines(struct served *served, struct gbx_error *err)
{
    struct gbx_flow_trace_config config = {.struct_bytes = sizeof(config),
                                           .form = GBX_FLOW_TRACE_LINES,
                                           .bytes_max = UINT64_MAX};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        *err = (struct gbx_error){.code = GBX_EHOST};
        snprintf(err->what, sizeof(err->what), "a pipe for events: %s",
                 strerrordesc_np(errno));
        return GBX_EHOST;
    }
    served->lines = fdopen(ends[0], "r");
    if (served->lines == NULL ||
        pthread_create(&served->teller, NULL, tell, served) != 0) {
        close(ends[1]);
        *err = (struct gbx_error){.code = GBX_EHOST,
                                  .what = "a thread for events"};
        return GBX_EHOST;
    }
    served->to_lines = config.fd = ends[1];
    return gbx_flow_trace_open(&served->trace, &config, err);
}

static int begin(struct daemon *daemon, struct served *served,
                 struct gbx_error *err)
{
    struct gbx_script_config script = daemon->script;
    const struct gbx_flow_config config = {
        .struct_bytes = sizeof(config),
        .runtime = daemon->runtime,
        .script = &script,
        .folder = daemon->uploads,
        .types = harmless,
        .output = on_output,
        .letter = on_letter,
        .event = on_event,
        .context = served,
        .is_client = served->is_client};
    struct finding finding = {.daemon = daemon};
    int rc = open_lines(served, err);

    pthread_once(&once, find_harmless);
    script.hide_folder = 1; /* others' uploads lie there */
    script.output = voice_print;
    script.output_context = &served->voice;
    if (served->is_client || daemon->rules == NULL)
        script.pool.total_max = daemon->workers;
    if (rc == 0)
        rc = gbx_flow_open(&served->flow, &config, err);
    if (rc == 0)
        rc = gbx_flow_add_graph(served->flow, served->graph, find_path,
                                &finding, err);
    return rc == 0 ? gbx_flow_start(served->flow, err) : rc;
}

static int follow(struct daemon *daemon, struct served *served,
                  struct gbx_graph *graph, struct gbx_error *err)
{
    struct finding finding = {.daemon = daemon};
    int rc = gbx_flow_change_graph(served->flow, served->graph, graph,
                                   find_path, &finding, err);

    if (rc == GBX_EUNSUPPORTED) { /* it is as it was */
        gbx_graph_close(graph);
        return rc;
    }
    gbx_graph_close(served->graph);
    served->graph = graph;
    return rc;
}

/* Takes the graph. */
static int put_again(struct daemon *daemon, struct served *served,
                     struct gbx_graph *graph, bool is_client,
                     struct gbx_error *err)
{
    int rc;

    if (is_client && !served->is_client) {
        gbx_graph_close(graph);
        *err = (struct gbx_error){
            .code = GBX_EARGUMENT,
            .what = "it runs from the daemon's start, and is not a client's to "
                    "change"};
        return GBX_EARGUMENT;
    }
    pthread_mutex_lock(&served->change);
    rc = follow(daemon, served, graph, err);
    pthread_mutex_unlock(&served->change);
    return rc;
}

int flows_put(struct daemon *daemon, const char *name, struct gbx_graph *graph,
              bool is_client, struct gbx_error *err)
{
    const size_t bytes = strlen(name);
    struct served *made = calloc(1, sizeof(*made)), *was;
    bool is_new = false;
    int rc;

    if (made == NULL) {
        gbx_graph_close(graph);
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    memcpy(made->name, name, bytes);
    voice_open(&made->voice, made->name);
    made->holders = 2; /* the list's and ours */
    made->to_lines = -1;
    made->graph = graph;
    made->is_client = is_client;
    pthread_mutex_init(&made->change, NULL);
    pthread_mutex_init(&made->lock, NULL);
    SLIST_INIT(&made->listeners);
    pthread_mutex_lock(&made->change);
    pthread_mutex_lock(&lock);
    was = find_locked(name, bytes);
    if (was != NULL)
        was->holders++;
    else if (count < FLOWS_MAX) {
        SLIST_INSERT_HEAD(&all, made, next);
        count++;
        is_new = true;
    }
    pthread_mutex_unlock(&lock);
    if (is_new) {
        rc = begin(daemon, made, err);
        pthread_mutex_unlock(&made->change);
        if (rc < 0)
            flows_remove(made->name, strlen(made->name));
        put(made);
        return rc < 0 ? rc : 1;
    }
    made->graph = NULL;
    pthread_mutex_unlock(&made->change);
    made->holders = 1;
    put(made);
    if (was == NULL) {
        gbx_graph_close(graph);
        *err = (struct gbx_error){.code = GBX_ELIMIT,
                                  .what = "there are 100 flows already"};
        return GBX_ELIMIT;
    }
    rc = put_again(daemon, was, graph, is_client, err);
    put(was);
    return rc;
}

bool flows_remove(const char *name, size_t bytes)
{
    struct served *served;

    pthread_mutex_lock(&lock);
    served = find_locked(name, bytes);
    if (served != NULL) {
        SLIST_REMOVE(&all, served, served, next);
        count--;
    }
    pthread_mutex_unlock(&lock);
    if (served != NULL)
        put(served);
    return served != NULL;
}

void flows_close(void)
{
    struct served *served;

    while ((served = SLIST_FIRST(&all)) != NULL) {
        SLIST_REMOVE_HEAD(&all, next);
        put(served);
    }
}

/* ---- what is asked ---- */

static void add_node(void *context, const struct gbx_node_stats *stats)
{
    json_array_append_new(
        context,
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "node",
                  stats->node, "component", stats->component, "isolation",
                  stats->isolation, "state",
                  gbx_node_state_name((int)stats->state), "received",
                  (json_int_t)stats->received, "sent", (json_int_t)stats->sent,
                  "runs", (json_int_t)stats->runs, "failures",
                  (json_int_t)stats->failures, "letters",
                  (json_int_t)stats->letters, "queued",
                  (json_int_t)stats->queued, "run_ns_50",
                  (json_int_t)stats->run_ns_50, "run_ns_99",
                  (json_int_t)stats->run_ns_99));
}

/* Who sends is done soon; who changes the graph may start scripts. */
static bool lock_change(struct served *served, uint64_t until_ns)
{
    const uint64_t now_ns = daemon_now_ns();
    struct timespec at;
    uint64_t ns;

    if (until_ns == 0)
        return pthread_mutex_lock(&served->change) == 0;
    clock_gettime(CLOCK_REALTIME, &at);
    ns = (uint64_t)at.tv_nsec + (until_ns > now_ns ? until_ns - now_ns : 0);
    at.tv_sec += (time_t)(ns / 1000000000u);
    at.tv_nsec = (long)(ns % 1000000000u);
    return pthread_mutex_timedlock(&served->change, &at) == 0;
}

static json_t *tell_flow(struct served *served, bool is_whole,
                         uint64_t until_ns)
{
    json_t *flow = json_pack("{s:s,s:I,s:I}", "name", served->name, "outputs",
                             (json_int_t)atomic_load(&served->outputs),
                             "letters",
                             (json_int_t)atomic_load(&served->letters)),
           *nodes;

    if (!is_whole || !lock_change(served, until_ns))
        return flow;
    nodes = json_array();
    if (served->flow != NULL) {
        gbx_flow_stats(served->flow, add_node, nodes);
        wires_add(flow, nodes, served->graph);
    }
    pthread_mutex_unlock(&served->change);
    json_object_set_new(flow, "nodes", nodes);
    return flow;
}

json_t *flows_list(const char *whole, uint64_t until_ns)
{
    json_t *flows = json_array();
    struct served *served, *held[FLOWS_MAX];
    unsigned held_count = 0;

    pthread_mutex_lock(&lock);
    SLIST_FOREACH(served, &all, next)
    {
        served->holders++;
        held[held_count++] = served;
    }
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < held_count; i++) {
        const bool is_whole =
            whole == NULL || strcmp(held[i]->name, whole) == 0;

        json_array_append_new(flows, tell_flow(held[i], is_whole, until_ns));
        put(held[i]);
    }
    return flows;
}

static void put_flow(struct daemon *daemon, struct job *job, const char *name)
{
    struct net_request *request = job->request;
    struct gbx_error err = {.what = ""};
    struct gbx_graph *graph;
    int rc;

    if (!is_name(name, strlen(name))) {
        http_reply_error(request, 400, "EARGUMENT",
                         "a flow's name is 1 to 63 letters, digits, - and _");
        return;
    }
    rc = gbx_graph_parse(&graph, request->body != NULL ? request->body : "",
                         request->bytes, name, &err);
    if (rc == 0 && gbx_graph_nodes(graph) > NODES_MAX) {
        gbx_graph_close(graph);
        rc = GBX_ELIMIT;
        snprintf(err.what, sizeof(err.what), "a flow has at most %u nodes here",
                 NODES_MAX);
    }
    if (rc == 0)
        rc = flows_put(daemon, name, graph, true, &err);
    daemon_audit(daemon, job->token, "flow", name, rc < 0 ? rc : 0, 0);
    if (rc < 0)
        http_reply_code(request, rc, err.what);
    else
        http_reply_json(request, rc == 1 ? 201 : 200,
                        json_pack("{s:s}", "name", name));
}

static int send_message(struct served *served, const char *port,
                        const struct net_request *request,
                        struct gbx_error *err)
{
    const uint64_t until_ns = daemon_now_ns() + SEND_NS;
    struct gbx_message message = {.type = GBX_STREAM,
                                  .body = request->body,
                                  .body_bytes = request->bytes};
    struct gbx_builder builder;
    int rc = 0;

    gbx_builder_init(&builder);
    if (strncmp(request->type, "application/octet-stream", 24) != 0)
        rc = gbx_message_from_json(
            &message, &builder, request->body != NULL ? request->body : "",
            request->bytes, GBX_JSON_EITHER, err);
    if (rc == 0)
        rc = gbx_flow_send(served->flow, port, &message, until_ns, err);
    gbx_builder_fini(&builder);
    return rc;
}

static void give(struct job *job, const char *name, const char *port)
{
    struct served *served = get(name, (size_t)(port - 1 - name));
    struct gbx_error err = {.what = ""};
    int rc = GBX_EFILE;

    if (served != NULL) {
        /* One that is being made has none yet. */
        pthread_mutex_lock(&served->change);
        rc = served->flow != NULL
                 ? send_message(served, port, job->request, &err)
                 : GBX_EFILE;
        pthread_mutex_unlock(&served->change);
        put(served);
    }
    if (rc == GBX_EFILE)
        http_reply_error(job->request, 404, "EFILE", "there is no such flow");
    else if (rc < 0)
        http_reply_code(job->request, rc, err.what);
    else
        net_reply(job->request, 202, NULL, NULL, 0);
}

void flows_http(struct daemon *daemon, struct job *job)
{
    struct net_request *request = job->request;
    const char *name = request->path + strlen("/v1/flows"),
               *method = request->method, *slash;

    name += *name == '/';
    slash = strchr(name, '/');
    if (*name == '\0' && strcmp(method, "GET") == 0)
        http_reply_json(request, 200,
                        json_pack("{s:o}", "flows", flows_list(NULL, 0)));
    else if (slash == NULL && strcmp(method, "PUT") == 0)
        put_flow(daemon, job, name);
    else if (slash == NULL && strcmp(method, "DELETE") == 0) {
        if (flows_remove(name, strlen(name)))
            net_reply(request, 204, NULL, NULL, 0);
        else
            http_reply_error(request, 404, "EFILE", "there is no such flow");
    } else if (slash != NULL && strcmp(method, "POST") == 0)
        give(job, name, slash + 1);
    else
        http_reply_error(request, 405, "EARGUMENT",
                         "PUT, DELETE /v1/flows/NAME; POST "
                         "/v1/flows/NAME/PORT; GET /v1/flows");
}

/* ---- events ---- */

void flows_listen(struct daemon *daemon, struct job *job)
{
    static const char hello[] = ": listening\n\n";
    struct net_request *request = job->request;
    const char *query = request->query;
    struct listener *listener = NULL;
    struct served *served = NULL;
    bool is_gone;

    (void)daemon;
    if (strncmp(query, "flow=", 5) == 0)
        served = get(query + 5, strlen(query + 5));
    if (served != NULL &&
        atomic_load(&served->listener_count) < LISTENERS_MAX)
        listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        http_reply_error(request, served == NULL ? 404 : 503,
                         served == NULL ? "EFILE" : "ELIMIT",
                         served == NULL ? "/v1/events?flow=NAME: there is no "
                                          "such flow"
                                        : "too many listen to it already");
        if (served != NULL)
            put(served);
        return;
    }
    listener->request = request;
    net_stream(request, "text/event-stream");
    net_push(request, hello, sizeof(hello) - 1);
    pthread_mutex_lock(&served->lock);
    SLIST_INSERT_HEAD(&served->listeners, listener, next);
    atomic_fetch_add(&served->listener_count, 1);
    is_gone = net_is_gone(request); /* before it was in the list */
    if (is_gone) {
        SLIST_REMOVE(&served->listeners, listener, listener, next);
        atomic_fetch_sub(&served->listener_count, 1);
    }
    pthread_mutex_unlock(&served->lock);
    put(served);
    if (is_gone) {
        net_stream_end(request);
        free(listener);
    }
}

void flows_gone(struct net_request *request)
{
    struct listener *listener = NULL;
    struct served *served;

    pthread_mutex_lock(&lock);
    SLIST_FOREACH(served, &all, next)
    {
        pthread_mutex_lock(&served->lock);
        SLIST_FOREACH(listener, &served->listeners, next)
        if (listener->request == request)
            break;
        if (listener != NULL) {
            SLIST_REMOVE(&served->listeners, listener, listener, next);
            atomic_fetch_sub(&served->listener_count, 1);
        }
        pthread_mutex_unlock(&served->lock);
        if (listener != NULL)
            break;
    }
    pthread_mutex_unlock(&lock);
    if (listener != NULL)
        net_stream_end(request);
    free(listener);
}
