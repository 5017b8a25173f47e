/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h - gloveboxd: scripts, run for whoever asks over the network.
 *
 *   net/ (one thread)             work.c (N threads)
 *   a message, a request  --job-->  rpc.c, http.c  -->  run.c: a call
 *            <-------- net_send, net_reply ----------
 *
 * The server's thread only takes in and sends; it never waits.  A job is done
 * by one worker, which runs the call itself.  A client that goes away has its
 * calls cancelled.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

#include "daemon/dashboard/dashboard.h"
#include "glovebox/runtime.h"
#include "net/server.h"

struct daemon;
struct gbx_graph;
struct link;
struct link_call;
struct link_load;
struct part;
struct upload;
struct worker;

/* ---- access.c: who may come in ---- */

struct token {
    char *name, *secret; /* owned */
    double rate;         /* requests a second; 0: as many as will */
    unsigned most;       /* jobs at once; 0: as many as will */
    unsigned open;       /* those that wait or are done; the work's lock */
    double left;         /* with the lock: of the current second or so */
    uint64_t seen_ns;
    _Atomic uint64_t requests, refused;
};

struct access {
    struct token *tokens; /* owned; none: everybody may */
    size_t count;
    pthread_mutex_t lock;
};

/* A file of lines "NAME SECRET [REQUESTS A SECOND [CALLS AT ONCE]]".  Returns 0 or a code. */
int access_open(struct access *access, const char *path, struct gbx_error *err);
void access_close(struct access *access);
/* May it come in?  Returns 0 and whose it is, NULL where there are no tokens;
 * or the HTTP status: 401, no such token; 403, a web page of somebody else's:
 * browsers say what page asks (Origin), and which name it asked for (Host).
 * Takes as long whatever the secret is. */
int access_check(struct access *access, const char *secret, const char *host,
                 const char *origin, struct token **token);
/* Is there room for one more now? */
bool access_take(struct access *access, struct token *token);
/* Can only this host reach it? */
bool access_is_local(const char *address);
/* The same of a socket that listens. */
bool access_is_socket_local(int fd);

/* ---- voice.c: what scripts print, and whose it is ---- */

#define VOICE_LINE_BYTES 3900u /* longer ones are broken */

struct voice {
    char name[64];
    pthread_mutex_t lock;           /* of: */
    char text[2][VOICE_LINE_BYTES]; /* stdout's, stderr's, of no whole line */
    size_t bytes[2];
};

/* Each line of a script says whose it is. */
void voice_names(void);
void voice_open(struct voice *voice, const char *name);
/* gbx_output_fn; the context is the voice. */
void voice_print(void *context, int stream, const void *text, size_t bytes);
/* A call is over: what is no whole line becomes one. */
void voice_settle(struct voice *voice);
void voice_close(struct voice *voice);

/* ---- actors.c: scripts that are loaded ---- */

struct actor {
    char *id, *path; /* owned */
    struct gbx_script *script;
    unsigned holders; /* with the table's lock */
    bool is_upload;   /* its file is ours */
    char *folder;     /* owned: ours too, and its file's alone; or NULL */
    char *source;     /* owned: of one that came with a request, or NULL */
    void *load;       /* owned: what a client has brought (actors_of_load); or
                         NULL */
    size_t load_bytes;
    const struct token *token; /* whose that is */
    uint64_t used_ns; /* the same: when, last */
    _Atomic uint64_t calls, failures, wall_ns;
    atomic_uint running, most; /* at once: now, and ever: so many are open */
    struct lately lately;
    struct voice voice; /* what it prints */
    SLIST_ENTRY(actor) next;
};

struct actors {
    pthread_mutex_t lock;
    SLIST_HEAD(, actor) all;
    SLIST_HEAD(, actor) sources; /* of a text, for who sends it again */
    SLIST_HEAD(, actor) loads;   /* brought, as long as somebody holds them */
};

/* Load a file, in place of one of the same id.  Returns 0 and *id for free(),
 * or as gbx_script_open. */
int actors_load(struct daemon *daemon, const char *path, bool is_upload,
                char **id, struct gbx_error *err);
/* The same under this name, which is the actor_id, too; NULL: its own. */
int actors_load_as(struct daemon *daemon, const char *name, const char *path,
                   bool is_upload, char **id, struct gbx_error *err);
/* One of a config of its own, that is in no table; the caller's to put. */
int actors_open(struct daemon *daemon, const char *path,
                const struct gbx_script_config *config, struct actor **actor,
                struct gbx_error *err);
/* A text as a file among the uploads.  Returns 0 or GBX_EHOST. */
int actors_write(struct daemon *daemon, const char *name, const void *text,
                 size_t bytes, char path[256], struct gbx_error *err);
/* One for a script's text, `dot` its file's ending: the one before for the same
 * text, if it is still there.  Counted.  Returns as load. */
int actors_of_source(struct daemon *daemon, const char *source, const char *dot,
                     struct actor **actor, struct gbx_error *err);
/* One for what a client of this token brings (link/load.h), which is all that
 * it is told apart by: the one that is there, or a new one, whose script asks
 * `ask`.  Counted.  Returns as load. */
int actors_of_load(struct daemon *daemon, const struct token *token,
                   const void *body, size_t bytes, gbx_ask_fn ask,
                   struct actor **actor, struct gbx_error *err);
/* By its id; counted.  NULL: there is none. */
struct actor *actors_get(struct daemon *daemon, const char *id);
struct actor *actors_hold(struct daemon *daemon, struct actor *actor);
void actors_put(struct daemon *daemon, struct actor *actor);
bool actors_remove(struct daemon *daemon, const char *id);
json_t *actors_list(struct daemon *daemon, bool with_facts);
void actors_close(struct daemon *daemon);

/* ---- work.c: jobs, and who does them ---- */

struct job {
    STAILQ_ENTRY(job) next;
    LIST_ENTRY(job) other;       /* of those that are being done */
    struct net_peer *peer;       /* counted; or: */
    struct net_request *request; /* to be replied to */
    char *text;                  /* a peer's message; owned */
    size_t bytes;
    struct link *link;   /* counted: of a binary call, with the peer */
    struct link_call *link_call;
    struct link_load *load; /* owned: or a script that it brings */
    struct actor *unused;   /* or, with nobody, one to put */
    struct part *part;      /* or what comes through NATS (worker/worker.h) */
    struct upload *upload;  /* with the request: owned, its body; or: */
    struct net_request *waiting; /* one whose upload waits for a sandbox */
    struct token *token; /* whose, or NULL */
    struct gbx_call *call;
    struct gbx_program *program; /* the same: killed with the client */
    bool is_canceled;
};

struct work {
    pthread_mutex_t lock;
    pthread_cond_t some, some_begun; /* there is work; of that sort */
    pthread_cond_t none;             /* all of it is done */
    STAILQ_HEAD(job_queue, job) waiting, begun; /* the latter has sandboxes */
    LIST_HEAD(, job) doing;
    size_t count; /* that wait */
    pthread_t *threads;
    unsigned thread_count, busy;
    bool is_over;
};

int work_open(struct daemon *daemon, struct gbx_error *err);
/* How many jobs are being done, and wait. */
void work_load(struct daemon *daemon, unsigned *busy, unsigned *waiting);
/* What waits is done first; the threads are no more. */
void work_close(struct daemon *daemon);
/* Until there is nothing to do. */
void work_finish(struct daemon *daemon);
/* False: there is too much already, and the job is the caller's still. */
bool work_put(struct daemon *daemon, struct job *job);
void work_drop(struct job *job);
/* The job's call can be cancelled from now on; false: it has been. */
bool work_show(struct daemon *daemon, struct job *job, struct gbx_call *call);
void work_hide(struct daemon *daemon, struct job *job);
bool work_show_program(struct daemon *daemon, struct job *job,
                       struct gbx_program *program);
bool work_is_canceled(struct daemon *daemon, const struct job *job);
/* One that waits or is being done. */
void work_cancel_job(struct daemon *daemon, struct job *job);
/* All of a peer's, or a request's. */
void work_cancel(struct daemon *daemon, const struct net_peer *peer,
                 const struct net_request *request);

/* ---- run.c: a call ---- */

/* A message in Reflow's plain JSON, taken; in the order sent. */
typedef void run_output_fn(void *context, const char *port, json_t *value);

struct run {
    struct actor *actor;
    const json_t *inputs; /* an object: port to plain value, or NULL */
    const struct run_stream {
        const char *port;
        const void *data;
        size_t bytes;
    } * streams; /* bytes, as they are */
    size_t stream_count;
    uint64_t timeout_ns;
    run_output_fn *output; /* or, of what is not made into JSON: */
    gbx_arrival_fn message;
    void *context;

    struct gbx_error err; /* where it failed, with: */
    char *traceback;      /* owned, or NULL */
    struct gbx_error bad; /* of an output that is not taken */
    struct gbx_call *call;       /* or NULL: it is not begun; taken */
    uint64_t out_bytes, out_max; /* of JSON */
    struct gbx_call_stats stats;
};

/* One more runs, or does no more. */
void call_enter(struct actor *actor);
void call_leave(struct actor *actor);
/* One that has entered, if it need not wait.  For the server's thread, which
 * makes no sandbox: there must be one that idles.  Or NULL. */
struct gbx_call *call_begin_now(struct actor *actor, const char *key);
/* One that has entered, when a sandbox is free.  Returns as gbx_call_begin. */
int call_begin(struct daemon *daemon, struct actor *actor, uint64_t until_ns,
               struct gbx_call **call, struct gbx_error *err);
/* One more has run: its last line is whole, and the metrics know.  In a worker,
 * since who hears what scripts print may be slow. */
void call_count(struct daemon *daemon, struct actor *actor, int rc,
                uint64_t wall_ns);
/* It has failed: what is told to its caller, for the page. */
void call_trouble(const struct actor *actor, int rc, const char *what,
                  const char *traceback);

/* Returns 0 or a code. */
int run_call(struct daemon *daemon, struct job *job, struct run *run);
void run_fini(struct run *run);

/* ---- printed.c: what scripts print while this thread runs them ---- */

struct printed {
    struct printed *outer; /* gets it too */
    char *text;            /* owned; NULL: nothing */
    size_t bytes;
};

/* From here to the end; within another, if need be. */
void printed_begin(struct printed *printed);
void printed_end(struct printed *printed);
void printed_add(const void *text, size_t bytes);
void printed_fini(struct printed *printed);

/* ---- load.c: what is there from the start ---- */

#define LOAD_NAME_BYTES 64
/* Of NAME=FILE: the file.  name is empty where there is none. */
const char *load_split(const char *text, char name[LOAD_NAME_BYTES]);
/* [NAME=]FILE.  Returns as actors_load. */
int load_actor(struct daemon *daemon, const char *text, struct gbx_error *err);
/* NAME=FILE, a graph.  Returns 0 or a code. */
int load_flow(struct daemon *daemon, const char *text, struct gbx_error *err);

/* ---- control.c: whoever started it asks how it is ---- */

/* fd: a socket that listens; taken. */
int control_open(struct daemon *daemon, int fd, struct gbx_error *err);
void control_close(void);

/* ---- rpc.c, http.c, metrics.c ---- */

void daemon_rpc(struct daemon *daemon, struct job *job);
void daemon_http(struct daemon *daemon, struct job *job);
/* msb.c */
void daemon_msb(struct daemon *daemon, struct job *job);
void daemon_msb_close(struct daemon *daemon);
/* flows.c */
void flows_http(struct daemon *daemon, struct job *job);
void flows_listen(struct daemon *daemon, struct job *job);
/* The client of a request is gone: it may be one that listens. */
void flows_gone(struct net_request *request);
bool flows_remove(const char *name, size_t bytes);
/* Takes the graph: it runs under this name, or what runs there follows it, but
 * not the one that is not a client's to one that is.  Returns 0, 1 for a new one,
 * or a code. */
int flows_put(struct daemon *daemon, const char *name, struct gbx_graph *graph,
              bool is_client, struct gbx_error *err);
/* Nodes and connections of the one of this name; NULL: of all.  until_ns: they
 * are left out of one that is being changed for longer; 0: never. */
json_t *flows_list(const char *whole, uint64_t until_ns);
void flows_close(void); /* before the server is */
/* What needs no worker.  False: it does. */
bool daemon_http_quick(struct daemon *daemon, struct net_request *request);
/* Prometheus' text, for free(). */
char *daemon_metrics(struct daemon *daemon, size_t *bytes);

/* What stands behind "name=" in a query, so many bytes, or NULL. */
const char *http_query(const char *query, const char *name, size_t *bytes);
void http_reply_json(struct net_request *request, int status, json_t *json);
/* With the status that fits GBX_...  */
void http_reply_code(struct net_request *request, int code, const char *what);
int http_status_of(int code);
/* run.c of api/ */
void http_run(struct daemon *daemon, struct job *job);
struct failure;
/* The one that these members of JSON ask for, counted; it may have to be
 * loaded.  Returns 0, or a code and the failure. */
int run_find_actor(struct daemon *daemon, const json_t *members,
                   struct actor **actor, struct failure *failure);
void http_reply_error(struct net_request *request, int status,
                      const char *code, const char *what);

struct daemon {
    const char *folder; /* that scripts are loaded from; NULL: none */
    char uploads[64];   /* a folder of ours */
    struct gbx_runtime *runtime;
    struct gbx_script_config script;
    uint64_t timeout_ns, bytes_max; /* of a call; of a body or message */
    const struct gbx_config *rules; /* --config; or NULL */
    bool offers[GBX_ISOLATIONS + 1]; /* what scripts can be isolated by here */
    size_t queue_max;
    unsigned workers;
    struct net_server *server;
    struct access access;
    struct actors actors;
    struct work work;
    LIST_HEAD(, link) links;
    pthread_mutex_t links_lock;
    struct worker *worker; /* of NATS, or NULL */
    FILE *audit; /* or NULL */
    pthread_mutex_t audit_lock;
    uint64_t started_ns;
    atomic_bool is_draining;
    _Atomic uint64_t calls, failures, busy, denied;
    struct lately lately;
};

uint64_t daemon_now_ns(void);
/* A line of the audit log. */
void daemon_audit(struct daemon *daemon, const struct token *token,
                  const char *what, const char *actor, int code,
                  uint64_t took_ns);

#endif
