/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - the remote hosts that a runtime may use, and what is in flight.
 *
 *  fleet_open(&fleet, libexec_dir, &err);
 *  fleet_add(fleet, &config, &err);               before the first sandbox
 *  ... sandboxes of backend_remote, whose bundles name the fleet ...
 *  fleet_close(fleet);
 *
 * A sandbox here is a region and the guest's end of its channel; no guest is
 * behind it.  Each call is placed anew: on the host that has least to do, which
 * is brought the script if it has not got it yet.
 *
 *   sandbox --< call: frames --> host ---- net/client ---- gloveboxd
 *      ^                          |
 *      +---- inbox: events <------+   (the client's thread)
 *
 * Threads: `lock` is for all that the client's thread and callers share.  What
 *          a sandbox does with its channel, its owner does alone.
 */
#ifndef SANDBOX_REMOTE_FLEET_H
#define SANDBOX_REMOTE_FLEET_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "glovebox/remote.h"
#include "net/client/client.h"
#include "net/frame.h"

#define FLEET_HOSTS_MAX 64u
#define FLEET_SLOTS     256u /* calls in flight on one host */

struct remote;

enum host_state { HOST_DOWN, HOST_CONNECTING, HOST_GREETING, HOST_UP };

/* FAILED comes for calls and scripts alike: so their numbers differ. */
#define FLEET_SCRIPT_BIT 0x80000000u

/* A script, as LOAD carries it; one for all sandboxes that have the same. */
struct fleet_script {
    LIST_ENTRY(fleet_script) next;
    unsigned references;
    uint32_t number;
    unsigned floor; /* how weak its isolation may be, at most: isolation_rank */
    char *path, *actor_id; /* owned: for hosts that have it already */
    size_t bytes;
    uint8_t body[];
};

enum load_state { LOAD_ASKED, LOAD_DONE, LOAD_FAILED };

/* What a host has made of one. */
struct host_script {
    LIST_ENTRY(host_script) next;
    struct fleet_script *script; /* borrowed: it is unloaded before it goes */
    enum load_state state;
    uint64_t asked_ns;
    int code;       /* FAILED */
    bool may_other; /* another host may do better */
    bool is_busy;   /* and so may this one, soon */
    uint8_t *body;  /* owned: of the LOADED, or the texts of the FAILED */
    size_t bytes;
    uint64_t until_ns; /* FAILED: it is not asked again before */
    char actor[256];   /* of a Reflow runtime: its name there */
};

/* Of the connection, the client's thread's. */
struct incoming {
    struct frame_head head;
    struct frame frame;
    bool has_head;
    uint64_t at;   /* of the body */
    uint8_t *body; /* owned, or in a region (is_lent), or NULL: dropped */
    bool is_lent;  /* with the lock: by: */
    struct remote *to;
};

struct fleet_host {
    struct fleet *fleet;
    char url[256];
    struct net_host *net;
    const struct net_client_api *api;
    uint32_t heartbeat_ms;

    /* With the fleet's lock: */
    enum host_state state;
    uint64_t attempts;           /* to connect, that have come to an end */
    char why[160];               /* it is not up, or "" */
    unsigned failures;           /* one after another */
    uint64_t retry_ns;           /* when it is connected to again */
    uint64_t heard_ns, asked_ns; /* a frame; our last HELLO */
    uint64_t met_ns;             /* since when it is greeted */
    uint64_t rtt_ns;
    bool is_asking;
    char product[64];
    unsigned workers, busy, waiting;
    uint64_t bytes_max; /* of a message that it takes; 0: it does not say */
    bool is_draining;
    LIST_HEAD(, host_script) scripts;
    struct remote *slots[FLEET_SLOTS];
    uint32_t next_call;
    unsigned in_flight;
    uint64_t calls, lost, moved;

    struct incoming in;

    bool is_reflow;  /* it speaks JSON: reflow.c, whose these are: */
    json_t *actors;  /* owned: whom it knows; or NULL */
    json_t *running; /* owned: actor: its call; or NULL */
    char *text;      /* owned: a message that comes */
    size_t text_bytes;
};

struct fleet_module {
    struct fleet *fleet;
    const struct net_client_api *api;
    struct net_client *client;
    bool is_started;
    uint64_t ticked_ns; /* the client's thread's */
};

enum fleet_kind { FLEET_NET, FLEET_NATS, FLEET_KINDS };

struct fleet {
    char *libexec_dir;
    struct fleet_module modules[FLEET_KINDS];
    struct fleet_host *hosts[FLEET_HOSTS_MAX];
    unsigned host_count;
    uint64_t seed; /* of jitter */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a host is up, or down */
    bool is_started;
    LIST_HEAD(, fleet_script) scripts;
    LIST_HEAD(, remote) sandboxes;
    uint32_t last_script;
};

/* Returns 0 or GBX_EHOST. */
int fleet_open(struct fleet **fleet, const char *libexec_dir,
               struct gbx_error *err);
/* After all its sandboxes.  NULL is allowed. */
void fleet_close(struct fleet *fleet);
/* As gbx_runtime_add_host. */
int fleet_add(struct fleet *fleet, const struct gbx_host_config *config,
              struct gbx_error *err);
size_t fleet_stats(struct fleet *fleet, struct gbx_host_stats *stats,
                   size_t room);

/*
 * Connect, and wait until a host is up, or each of them has failed.
 * Returns 0; GBX_EUNSUPPORTED: none is up, and why; GBX_ECANCELED (stop),
 * GBX_EHOST.
 */
int fleet_await(struct fleet *fleet, const atomic_bool *stop,
                struct gbx_error *err);

/* ---- with the lock ---- */

/* One for this body, counted; NULL: no memory. */
struct fleet_script *fleet_script_get_locked(struct fleet *fleet,
                                             unsigned floor, const char *folder,
                                             const void *body, size_t bytes);
void fleet_script_put_locked(struct fleet *fleet, struct fleet_script *script);

/* The host that is to have the next call: up, and least to do; one that has the
 * script is preferred, one where it has failed is not.  NULL: there is none
 * now; or none will be, and `failed` says why. */
struct fleet_host *fleet_choose_locked(struct fleet *fleet,
                                       const struct fleet_script *script,
                                       const struct host_script **failed);
struct host_script *host_script_locked(struct fleet_host *host,
                                       const struct fleet_script *script);
/* Bring it there.  Returns 0, or GBX_ECANCELED: it has just gone down. */
int host_load_locked(struct fleet_host *host, struct fleet_script *script);
void host_forget_script_locked(struct fleet_host *host,
                               struct host_script *loaded);
/* A number for a call of this sandbox, or 0: it has enough. */
uint32_t host_number_locked(struct fleet_host *host, struct remote *remote);
/* Its call is over, or nobody's any more. */
void host_let_go_locked(struct fleet_host *host, uint32_t number);
/* If it ends, and has nothing of ours to do. */
void host_leave_locked(struct fleet_host *host);
/* Send a frame; body is lent until release, or NULL.  As net_host's send. */
int host_send(struct fleet_host *host, const struct frame *frame,
              const void *body, net_release_fn release, void *context);

/* A call of this number, or NULL. */
struct remote *host_find_locked(struct fleet_host *host, uint32_t number);
/* Into its inbox; the event is taken, NULL: there was no memory for it. */
struct event;
void host_enqueue_locked(struct fleet_host *host, struct remote *to,
                         struct event *event);

/* reflow.c: the same of a host that speaks JSON. */
void reflow_greet_locked(struct fleet_host *host);
int reflow_load_locked(struct fleet_host *host, struct host_script *loaded);
int reflow_call_locked(struct remote *self, net_release_fn release);
int reflow_hear_locked(struct fleet_host *host, const void *data, size_t bytes,
                       bool is_final);
bool reflow_is_taken_locked(struct fleet_host *host,
                            const struct fleet_script *script);
void reflow_forget(struct fleet_host *host);

/* The weaker, the higher; of an unknown one, the highest. */
unsigned isolation_rank(const char *name, size_t bytes);

/* The code in a FAILED; what is none is nonsense. */
static inline int failed_code(uint64_t scalar)
{
    return scalar >= 1 && scalar <= 1000 ? -(int)scalar : GBX_EBROKEN;
}

/* hear.c: as net_host_handler has it. */
int host_hear(void *host, bool is_text, const void *data, size_t bytes,
              bool is_final);
/* host.c: what the client's thread does. */
extern const struct net_host_handler host_handler;
void host_tick(void *module);
/* Whoever waits for a host, or a script there, looks again. */
void fleet_wake_locked(struct fleet *fleet);

#endif
