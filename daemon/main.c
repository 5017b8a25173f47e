/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - gloveboxd: options, start and end. */
#include <argp.h>
#include <errno.h>
#include <ftw.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/api/upload.h"
#include "daemon/link/link.h"
#include "daemon/worker/worker.h"
#include "repl_js.h"
#include "repl_py.h"
#include "glovebox/cache.h"

#define PORT       5556 /* as Reflow's runtime server */
#define TIMEOUT_NS 30000000000ull
#define QUEUE_MAX  1024
#define ACTORS_MAX 256
#define FLOWS_MAX  100
#define BODY_MIB   64

const char *argp_program_bug_address = NULL;

struct options {
    char address[64];
    uint16_t port;
    const char *tokens, *cert, *key, *audit, *config, *libexec;
    const char *actors[ACTORS_MAX];
    size_t actor_count;
    const char *flows[FLOWS_MAX];
    size_t flow_count;
    int listener, control; /* sockets that were handed over, or -1 */
    const char *worker; /* a URL of NATS, or NULL */
    unsigned body_mib, connections, deliveries;
    bool is_silent; /* listens nowhere */
    bool is_trial;  /* --check */
    struct daemon *daemon;
};

enum {
    OPTION_TOKENS = 1024,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_AUDIT,
    OPTION_QUEUE,
    OPTION_BODY,
    OPTION_CONNECTIONS,
    OPTION_TIMEOUT,
    OPTION_LIBEXEC,
    OPTION_ISOLATION,
    OPTION_WORKER,
    OPTION_DELIVERIES,
    OPTION_FLOW,
    OPTION_NAMES,
    OPTION_CHECK
};

static const struct argp_option known[] = {
    {"listen", 'l', "ADDRESS:PORT", 0,
     "Where to listen; default 127.0.0.1:5556, or what systemd hands over.  "
     "Any "
     "address but this host's own needs --cert, --key and --tokens.  none: "
     "with "
     "--worker, nowhere",
     1},
    {"worker", OPTION_WORKER, "URL", 0,
     "Take calls from NATS: nats://HOST:4222 or tls://...; ?route=NAME for "
     "those "
     "of a route (docs/nats.md)",
     1},
    {"actor", 'a', "[NAME=]FILE", 0,
     "Load a script at the start, under this name; may come again", 1},
    {"flow", OPTION_FLOW, "NAME=FILE", 0,
     "Run a graph of them from the start; may come again", 1},
    {"scripts", 's', "FOLDER", 0,
     "Clients may load scripts from below it; default: none", 1},
    {"workers", 'w', "N", 0, "Calls at once; default: two a CPU", 2},
    {"isolation", OPTION_ISOLATION, "KIND", 0,
     "auto, microvm, process or wasm; default auto", 2},
    {"config", 'c', "FILE", 0, "Rules for scripts, see glovebox-config(1)", 2},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0,
     "The longest that a call may take; default 30", 2},
    {"queue", OPTION_QUEUE, "N", 0,
     "Requests that may wait for a worker; more are refused; default 1024", 2},
    {"body", OPTION_BODY, "MIB", 0, "The longest body or message; default 64",
     2},
    {"deliveries", OPTION_DELIVERIES, "N", 0,
     "Workers of NATS that may be given a call before it is put aside; default "
     "5",
     2},
    {"connections", OPTION_CONNECTIONS, "N", 0, "At once; default 10000", 2},
    {"tokens", OPTION_TOKENS, "FILE", 0,
     "Who may come in: lines NAME SECRET [REQUESTS A SECOND [CALLS AT ONCE]]; "
     "the secret is the "
     "bearer token",
     3},
    {"cert", OPTION_CERT, "FILE", 0, "TLS: a certificate (PEM)", 3},
    {"key", OPTION_KEY, "FILE", 0, "TLS: its key", 3},
    {"audit", OPTION_AUDIT, "FILE", 0,
     "Append a line of JSON for each call, load, upload and removal", 3},
    {"names", OPTION_NAMES, NULL, 0,
     "What scripts print: each line begins with its script's name", 3},
    {"check", OPTION_CHECK, NULL, 0,
     "Load all that is to be there from the start, and end", 3},
    {"libexec", OPTION_LIBEXEC, "FOLDER", OPTION_HIDDEN, NULL, 4},
    {0}};

static unsigned number(const char *text, unsigned max, struct argp_state *state)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value == 0 || value > max)
        argp_error(state, "%s: a whole number from 1 to %u is expected", text,
                   max);
    return (unsigned)value;
}

/* 127.0.0.1:80, [::1]:80 */
static void parse_listen(struct options *o, const char *text,
                         struct argp_state *state)
{
    const char *colon = strrchr(text, ':');
    size_t bytes = colon != NULL ? (size_t)(colon - text) : 0;
    char *end;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 65536;

    o->is_silent = strcmp(text, "none") == 0;
    if (o->is_silent)
        return;
    if (colon == NULL || *end != '\0' || port > 65535 || bytes == 0 ||
        bytes >= sizeof(o->address))
        argp_error(state, "%s: ADDRESS:PORT is expected", text);
    if (text[0] == '[' && text[bytes - 1] == ']')
        text++, bytes -= 2;
    memcpy(o->address, text, bytes);
    o->address[bytes] = '\0';
    o->port = (uint16_t)port;
}

static enum gbx_isolation isolation(const char *text, struct argp_state *state)
{
    static const struct {
        const char *name;
        enum gbx_isolation is;
    } all[] = {{"auto", GBX_ISOLATION_AUTO},
               {"microvm", GBX_ISOLATION_MICROVM},
               {"process", GBX_ISOLATION_PROCESS},
               {"wasm", GBX_ISOLATION_WASM}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(text, all[i].name) == 0)
            return all[i].is;
    argp_error(state, "--isolation %s: auto, microvm, process or wasm", text);
    return GBX_ISOLATION_AUTO;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct daemon *d = o->daemon;

    switch (key) {
    case 'l':
        parse_listen(o, arg, state);
        return 0;
    case 'a':
    case ARGP_KEY_ARG:
        if (o->actor_count == ACTORS_MAX)
            argp_error(state, "--actor: at most %d", ACTORS_MAX);
        o->actors[o->actor_count++] = arg;
        return 0;
    case OPTION_FLOW:
        if (o->flow_count == FLOWS_MAX)
            argp_error(state, "--flow: at most %d", FLOWS_MAX);
        o->flows[o->flow_count++] = arg;
        return 0;
    case OPTION_NAMES:
        voice_names();
        return 0;
    case OPTION_CHECK:
        o->is_trial = true;
        return 0;
    case 's':
        d->folder = arg;
        return 0;
    case 'w':
        d->workers = number(arg, 1024, state);
        return 0;
    case 'c':
        o->config = arg;
        return 0;
    case OPTION_ISOLATION:
        d->script.isolation = isolation(arg, state);
        return 0;
    case OPTION_TIMEOUT:
        d->timeout_ns = number(arg, 86400, state) * 1000000000ull;
        return 0;
    case OPTION_QUEUE:
        d->queue_max = number(arg, 1000000, state);
        return 0;
    case OPTION_BODY:
        o->body_mib = number(arg, 1024, state);
        return 0;
    case OPTION_CONNECTIONS:
        o->connections = number(arg, 1000000, state);
        return 0;
    case OPTION_WORKER:
        o->worker = arg;
        return 0;
    case OPTION_DELIVERIES:
        o->deliveries = number(arg, 1000, state);
        return 0;
    case OPTION_TOKENS:
        o->tokens = arg;
        return 0;
    case OPTION_CERT:
        o->cert = arg;
        return 0;
    case OPTION_KEY:
        o->key = arg;
        return 0;
    case OPTION_AUDIT:
        o->audit = arg;
        return 0;
    case OPTION_LIBEXEC:
        o->libexec = arg;
        return 0;
    case ARGP_KEY_END:
        if ((o->cert == NULL) != (o->key == NULL))
            argp_error(state, "--cert and --key go together");
        if (o->is_silent && o->worker == NULL && o->control < 0)
            argp_error(state, "--listen none needs a --worker, or a control "
                              "socket (sd_listen_fds)");
        if (!access_is_local(o->address) &&
            (o->cert == NULL || o->tokens == NULL))
            argp_error(state,
                       "%s can be reached by others: --cert, --key and "
                       "--tokens are needed there",
                       o->address);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = known,
    .parser = parse,
    .args_doc = "[FILE]...",
    .doc = "Run sealed scripts for whoever asks: Reflow's script protocol "
           "(JSON-RPC 2.0 over WebSocket), and plain HTTP.\v"
           "Examples:\n"
           "  gloveboxd double.py\n"
           "  curl -d '{\"script\": \"def process(c): return {\\\"out\\\": "
           "42}\"}' "
           "http://127.0.0.1:5556/v1/run\n"
           "  curl http://127.0.0.1:5556/metrics\n"
           "\n"
           "SIGTERM lets what is being run end; a second one ends it at once.\n"
           "Exit status: 0 it was ended; 64 bad options; 69 it cannot start."};

/* ---- what the server's thread is told ---- */

static void deny(struct daemon *daemon, struct net_request *request, int status,
                 const char *what)
{
    daemon->denied++;
    http_reply_error(request, status, status == 401 ? "EARGUMENT" : "ELIMIT",
                     what);
}

/* Who may not ask is told so when the body is there, as it is to be short. */
static int on_head(void *context, struct net_request *request, uint64_t bytes,
                   bool *is_taken)
{
    struct daemon *daemon = context;
    struct token *token;

    if (!upload_is_one(request) || atomic_load(&daemon->is_draining) ||
        access_check(&daemon->access, request->token, request->host,
                     request->origin, &token) != 0)
        return 0;
    request->context = upload_open(daemon, token, request, bytes);
    *is_taken = request->context != NULL;
    return *is_taken ? 0 : 503;
}

static int on_take(void *context, struct net_request *request, const void *data,
                   size_t bytes)
{
    (void)context;
    return upload_take(request->context, request, data, bytes);
}

static void on_lost(void *context, struct net_request *request)
{
    (void)context;
    upload_lost(request->context);
    request->context = NULL;
}

/* Returns 0, or why not, and that has been said. */
static int admit(struct daemon *daemon, struct net_request *request,
                 struct token **token)
{
    const int status = access_check(&daemon->access, request->token,
                                    request->host, request->origin, token);

    if (status != 0) {
        deny(daemon, request, status,
             status == 403
                 ? "a page of another site asks: there would have to be "
                   "--tokens"
                 : "a token is needed: Authorization: Bearer SECRET");
        return status;
    }
    if (access_take(&daemon->access, *token))
        return 0;
    deny(daemon, request, 429, "too many requests: slow down");
    return 429;
}

static void on_request(void *context, struct net_request *request)
{
    struct daemon *daemon = context;
    struct upload *upload = request->context;
    struct token *token = NULL;
    struct job *job;

    request->context = NULL;
    if (daemon_http_quick(daemon, request))
        return;
    if (admit(daemon, request, &token) != 0) {
        upload_close(upload);
        return;
    }
    if (stats_take(daemon, request))
        return;
    job = calloc(1, sizeof(*job));
    if (job != NULL) {
        job->request = request;
        job->token = token;
        job->upload = upload;
        request->context = job;
    }
    if (job == NULL || atomic_load(&daemon->is_draining) ||
        !work_put(daemon, job)) {
        daemon->busy++;
        free(job);
        upload_close(upload);
        http_reply_error(request, 503, "ELIMIT",
                         "there is too much to do already, or it ends: try "
                         "again later");
    }
}

static void on_gone(void *context, struct net_request *request)
{
    work_cancel(context, NULL, request);
    flows_gone(request);
}

static int on_enter(void *context, struct net_peer *peer)
{
    struct daemon *daemon = context;
    struct token *token;
    int status;

    if (atomic_load(&daemon->is_draining))
        return 503;
    status = access_check(&daemon->access, peer->token, peer->host,
                          peer->origin, &token);
    if (status != 0) {
        daemon->denied++;
        return status;
    }
    peer->context = link_open(daemon, peer, token);
    return peer->context != NULL ? 0 : 503;
}

static void on_message(void *context, struct net_peer *peer, bool is_text,
                       void *data, size_t bytes)
{
    static const char busy[] =
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,"
        "\"message\":\"there is too much to do already\"}}";
    struct daemon *daemon = context;
    struct link *link = peer->context;
    struct job *job = is_text ? calloc(1, sizeof(*job)) : NULL;

    if (job == NULL) {
        free(data);
        return;
    }
    job->peer = net_peer_get(peer);
    job->link = link;
    atomic_fetch_add(&link->holders, 1);
    job->token = link->token;
    job->text = data;
    job->bytes = bytes;
    if (atomic_fetch_add(&link->texts, 1) < LINK_CALLS_MAX &&
        work_put(daemon, job))
        return;
    daemon->busy++;
    net_send(peer, true, busy, sizeof(busy) - 1);
    work_drop(job);
}

static int on_piece(void *context, struct net_peer *peer, const void *data,
                    size_t bytes, bool is_last)
{
    (void)context;
    return link_piece(peer->context, data, bytes, is_last);
}

static bool on_wait(void *context, struct net_peer *peer)
{
    (void)context;
    return !link_is_too_slow(peer->context);
}

static void on_room(void *context, struct net_peer *peer)
{
    (void)context;
    link_has_room(peer->context);
}

static void on_leave(void *context, struct net_peer *peer)
{
    work_cancel(context, peer, NULL);
    link_leave(peer->context);
}

static const struct net_handler handler = {.head = on_head,
    .take = on_take,
                                           .lost = on_lost,
                                           .request = on_request,
                                           .gone = on_gone,
                                           .enters = on_enter,
                                           .message = on_message,
                                           .piece = on_piece,
                                           .leaves = on_leave,
                                           .waits = on_wait,
                                           .room = on_room};

/* ---- start, end ---- */

uint64_t daemon_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void daemon_audit(struct daemon *daemon, const struct token *token,
                  const char *what, const char *actor, int code,
                  uint64_t took_ns)
{
    struct timespec now;
    json_t *line;
    char *text;

    if (daemon->audit == NULL)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    line = json_pack("{s:I,s:s?,s:s,s:s,s:s,s:I}", "at_ms",
                     (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                     "token", token != NULL ? token->name : NULL, "what", what,
                     "actor", actor, "code",
                     code == 0 ? "OK" : gbx_error_name(code), "took_us",
                     (json_int_t)(took_ns / 1000));
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    pthread_mutex_lock(&daemon->audit_lock);
    if (text != NULL) {
        fprintf(daemon->audit, "%s\n", text);
        fflush(daemon->audit);
    }
    pthread_mutex_unlock(&daemon->audit_lock);
    free(text);
}

static struct daemon *the_daemon; /* for the signal's thread */

static int complain(const struct gbx_error *err)
{
    fprintf(stderr, "gloveboxd: %s\n", err->what);
    return EX_UNAVAILABLE;
}

static sem_t stopped; /* nobody else touches the server any more */

static void *await_second(void *context)
{
    int which;

    if (sigwait((const sigset_t *)context, &which) == 0)
        _exit(128 + which);
    return NULL;
}

/* Nobody new, and what runs may end.  A second signal is not waited for. */
static void *await_signal(void *context)
{
    const sigset_t *set = context;
    pthread_t second;
    int which;

    if (sigwait(set, &which) != 0)
        return NULL;
    if (pthread_create(&second, NULL, await_second, context) == 0)
        pthread_detach(second);
    sd_notify(0, "STOPPING=1");
    fprintf(stderr, "gloveboxd: ends when all is done\n");
    atomic_store(&the_daemon->is_draining, true);
    worker_drain(the_daemon);
    if (the_daemon->server != NULL)
        net_server_drain(the_daemon->server);
    links_tell(the_daemon);
    work_finish(the_daemon);
    links_await(the_daemon);
    if (the_daemon->server != NULL)
        net_server_stop(the_daemon->server);
    sem_post(&stopped);
    return NULL;
}

/* Where it was built, they lie beside it. */
static const char *find_libexec(void)
{
    static char path[4096];
    const char *given = getenv("GLOVEBOX_LIBEXEC");
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

    if (given != NULL || slash == NULL)
        return given;
    strcpy(slash, "/libexec/glovebox-init");
    if (access(path, X_OK) < 0)
        return NULL;
    *strrchr(path, '/') = '\0';
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* For msb.c. */
static int write_prompts(struct daemon *daemon, struct gbx_error *err)
{
    char path[256];
    int rc = actors_write(daemon, ".repl.py", repl_py, sizeof(repl_py) - 1,
                          path, err);

    return rc < 0 ? rc
                  : actors_write(daemon, ".repl.js", repl_js,
                                 sizeof(repl_js) - 1, path, err);
}

/* What clients are told of this host: as its own scripts would be isolated. */
static void find_offers(struct daemon *daemon)
{
    static const char *const files[] = {".repl.py", ".repl.js"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct gbx_error err;
        struct gbx_route route;
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", daemon->uploads, files[i]);
        if (gbx_route_explain(daemon->runtime, path, &daemon->script, &route,
                              &err) < 0)
            continue;
        for (unsigned j = 0; j < GBX_ISOLATIONS; j++)
            if (route.rows[j].verdict <= GBX_VERDICT_ALLOWED)
                daemon->offers[route.rows[j].isolation] = true;
    }
}

static sigset_t ends; /* the signals that do */

/* Flows have threads, which leave the signals to ours. */
static int load_all(struct daemon *daemon, const struct options *o)
{
    struct gbx_error err = {.what = ""};
    int rc = 0;

    for (size_t i = 0; i < o->actor_count && rc >= 0; i++)
        rc = load_actor(daemon, o->actors[i], &err);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    for (size_t i = 0; i < o->flow_count && rc >= 0; i++)
        rc = load_flow(daemon, o->flows[i], &err);
    return rc < 0 ? complain(&err) : 0;
}

static int open_runtime(struct daemon *daemon, const struct options *o,
                        struct gbx_config **rules)
{
    char cache[4096];
    struct gbx_runtime_config config = {
        .struct_bytes = sizeof(config),
        .libexec_dir = o->libexec,
        .cache_dir =
            gbx_cache_default(cache, sizeof(cache)) == 0 ? cache : NULL};
    struct gbx_error err = {.what = ""};

    if (o->config != NULL && gbx_config_open(rules, o->config, &err) < 0)
        return complain(&err);
    config.rules = *rules;
    daemon->rules = *rules;
    return gbx_runtime_open(&daemon->runtime, &config, &err) < 0
               ? complain(&err)
               : 0;
}

static int serve(struct daemon *daemon, const struct options *o)
{
    daemon->bytes_max = (uint64_t)(o->body_mib > 0 ? o->body_mib : BODY_MIB)
                        << 20;
    const int listener = o->listener >= 0 && !o->is_silent ? o->listener : 0;
    const struct net_config config = {
        .address = o->address,
        .port = o->port,
        .listener = listener,
        .cert_path = o->cert,
        .key_path = o->key,
        .connections_max = o->connections,
        .bytes_max = daemon->bytes_max,
        .handler = &handler,
        .context = daemon};
    struct gbx_error err = {.what = ""};
    pthread_t waiter;

    if (listener > 0 && !access_is_socket_local(listener) &&
        (o->cert == NULL || o->tokens == NULL)) {
        fprintf(stderr, "gloveboxd: the socket that it was given can be "
                        "reached by others: --cert, --key and --tokens are "
                        "needed there\n");
        return EX_USAGE;
    }
    if ((!o->is_silent &&
         net_server_open(&daemon->server, &config, &err) < 0) ||
        (o->worker != NULL &&
         worker_open(daemon, o->worker, o->deliveries, &err) < 0) ||
        stats_open(daemon, &err) < 0 || work_open(daemon, &err) < 0 ||
        (o->control >= 0 && control_open(daemon, o->control, &err) < 0))
        return complain(&err);
    the_daemon = daemon;
    sem_init(&stopped, 0, 0);
    if (pthread_create(&waiter, NULL, await_signal, &ends) != 0)
        return EX_UNAVAILABLE;
    pthread_detach(waiter);
    if (o->worker != NULL && worker_start(daemon, &err) < 0)
        return complain(&err);
    if (o->worker != NULL)
        fprintf(stderr, "gloveboxd: takes calls from %s\n",
                worker_shown(daemon));
    if (!o->is_silent)
        fprintf(stderr, "gloveboxd: listens at %s://%s:%u\n",
                o->cert != NULL ? "https" : "http", o->address,
                net_server_port(daemon->server));
    sd_notify(0, "READY=1");
    if (!o->is_silent)
        net_server_run(daemon->server);
    sem_wait(&stopped);
    work_close(daemon);
    worker_close(daemon);
    return 0;
}

/* Those that a service manager hands over: to listen at; "control" (control.c);
 * "lock", a file that is locked for as long as this process is there; and
 * "secret", which a configuration names (/dev/fd/N). */
static void find_sockets(struct options *o)
{
    char **names = NULL;
    const int count = sd_listen_fds_with_names(1, &names);

    for (int i = 0; i < count; i++) {
        const int fd = SD_LISTEN_FDS_START + i;

        if (strcmp(names[i], "control") == 0)
            o->control = fd;
        else if (strcmp(names[i], "lock") != 0 &&
                 strcmp(names[i], "secret") != 0 && o->listener < 0)
            o->listener = fd;
        free(names[i]);
    }
    free(names);
}

/* In $TMPDIR, if its name is not too long; else in /tmp. */
static bool make_uploads(struct daemon *daemon)
{
    static const char name[] = "gloveboxd-XXXXXX";
    const size_t room = sizeof(daemon->uploads);
    const char *folder = getenv("TMPDIR");

    if (folder == NULL || folder[0] != '/' ||
        strlen(folder) + sizeof(name) + 1 > room)
        folder = "/tmp";
    snprintf(daemon->uploads, room, "%s/%s", folder, name);
    return mkdtemp(daemon->uploads) != NULL;
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {.script.struct_bytes = sizeof(daemon.script),
                                   .timeout_ns = TIMEOUT_NS,
                                   .queue_max = QUEUE_MAX};
    struct options o = {.address = "127.0.0.1",
                        .port = PORT,
                        .daemon = &daemon,
                        .listener = -1,
                        .control = -1,
                        .libexec = find_libexec()};
    struct gbx_config *rules = NULL;
    struct gbx_error err = {.what = ""};
    int rc;

    argp_err_exit_status = EX_USAGE;
    find_sockets(&o);
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    signal(SIGPIPE, SIG_IGN);
    if (daemon.workers == 0)
        daemon.workers = 2 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    daemon.started_ns = daemon_now_ns();
    pthread_mutex_init(&daemon.actors.lock, NULL);
    SLIST_INIT(&daemon.actors.loads);
    pthread_mutex_init(&daemon.audit_lock, NULL);
    pthread_mutex_init(&daemon.links_lock, NULL);
    LIST_INIT(&daemon.links);
    if (access_open(&daemon.access, o.tokens, &err) < 0)
        return complain(&err);
    if (o.audit != NULL && (daemon.audit = fopen(o.audit, "ae")) == NULL) {
        fprintf(stderr, "gloveboxd: %s: %s\n", o.audit, strerrordesc_np(errno));
        return EX_UNAVAILABLE;
    }
    if (!make_uploads(&daemon)) {
        fprintf(stderr, "gloveboxd: %s: %s\n", daemon.uploads,
                strerrordesc_np(errno));
        return EX_UNAVAILABLE;
    }
    rc = open_runtime(&daemon, &o, &rules);
    if (rc == 0 && write_prompts(&daemon, &err) < 0)
        rc = complain(&err);
    if (rc == 0)
        find_offers(&daemon);
    if (rc == 0)
        rc = load_all(&daemon, &o);
    if (rc == 0 && !o.is_trial)
        rc = serve(&daemon, &o);
    control_close();
    stats_close();
    flows_close();
    daemon_msb_close(&daemon);
    actors_close(&daemon);
    net_server_close(daemon.server);
    gbx_runtime_close(daemon.runtime);
    gbx_config_close(rules);
    nftw(daemon.uploads, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    access_close(&daemon.access);
    if (daemon.audit != NULL)
        fclose(daemon.audit);
    return rc;
}
