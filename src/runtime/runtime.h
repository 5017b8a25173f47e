/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - what the files of this room share: the objects behind the public
 * handles of glovebox/runtime.h.
 *
 *   gbx_runtime --< gbx_script --- pool --< member: sandbox
 *                                                   gbx_call
 *
 * A call object belongs to a sandbox of the pool, and is lent with it: so
 * starting a call allocates nothing.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "glovebox/runtime.h"

#include "base/scratch.h"
#include "pool/keeper.h"
#include "pool/pool.h"
#include "runtime/cache/cache.h"
#include "runtime/body/lend.h"
#include "runtime/route/host.h"
#include "runtime/route/measure.h"
#include "store/store.h"
#include "runtime/warm/warm.h"
#include "sandbox/grants/grants.h"
#include "sandbox/host_call.h"
#include "sandbox/sandbox.h"

#define CALL_INPUTS_MAX    64u  /* in one call */
#define CALL_OUTPUTS_MAX   512u /* kept for gbx_call_next */
#define CALL_SCRATCH_BYTES (256u << 10)
#define LOAD_SCRATCH_BYTES (64u << 10) /* of a report of a load that failed */
#define SCRIPT_BYTES_MAX   (16u << 20)
#define SCRIPT_PORTS_MAX   256u
#define START_NS           10000000000ull /* to start a guest and load */
#define LOAD_NS_LONG       5000000u /* of a script: worth a template on disk */
#define SPIN_NS            20000u
#define ROOM_NS            1000000000ull /* for blocks that come back late */

struct gbx_runtime {
    char *libexec_dir; /* owned */
    gbx_output_fn output;
    void *output_context;
    gbx_progress_fn progress;
    void *progress_context;
    struct host_calls calls; /* the embedder's */
    atomic_uint scripts;     /* open ones */
    struct keeper keeper;
    struct cache cache;
    struct warm warm;               /* languages that have been started */
    const struct gbx_config *rules; /* borrowed, or NULL */
    struct host host;               /* what it offers */
    struct measures measures;       /* of files that were opened */
    struct fleet *_Atomic fleet;    /* owned: other hosts, or NULL */
    pthread_mutex_t hosts_lock;     /* of: */
    uint32_t rule_hosts;            /* of the rules, so many are in it */
};

enum call_phase { CALL_FREE, CALL_FILLING, CALL_RUNNING, CALL_ENDED };

struct call_output {
    const char *port; /* in the scratch */
    struct gbx_message message;
    uint64_t body_off; /* to give back, or 0: the body is in the scratch */
};

struct gbx_call {
    struct gbx_script *script;
    struct pool_member *member;  /* whose it is */
    struct sandbox *sandbox;     /* the member's */
    struct measure_row *measure; /* of this file, there; or NULL */
    bool is_open;                /* it has been used, and has a scratch */
    enum call_phase phase;
    int result;             /* once ENDED */
    struct gbx_error error; /* with it, of a submitted call */
    uint64_t begin_deadline_ns, deadline_ns;

    uint32_t input_count;
    struct call_input {
        struct gbx_descriptor descriptor;
        const char *port; /* in the scratch */
        bool is_room;     /* the caller fills it */
    } inputs[CALL_INPUTS_MAX];

    uint32_t output_count, output_next;
    struct call_output outputs[CALL_OUTPUTS_MAX];

    struct lent lent;       /* bodies of others, among the inputs */
    uint64_t kept_bytes;    /* of outputs copied out */
    struct scratch scratch; /* names, text, copies; until finish */
    struct gbx_failure failure;
    struct gbx_call_stats stats;
    uint64_t started_ns;
    uint64_t copied_before, guest_copied_before, sleeps_before;

    struct store_journal journal; /* what it has changed in the state */

    gbx_arrival_fn arrival;
    void *arrival_context;
    int poll_fd, timer_fd; /* owned, made by submit, or -1 */
    bool kicked;           /* the timer is set to now, not the deadline */
};

struct gbx_script {
    atomic_uint references; /* the handle's, and one of each call */
    struct gbx_runtime *runtime;
    struct gbx_script_config config; /* its texts are owned here */
    struct gbx_images *images;       /* owned: where its image is, or NULL */
    struct gbx_image *image;         /* owned: whose root it has, or NULL */
    struct grants grants;            /* what is mounted */
    struct guest_ids ids;            /* whom it takes itself for */
    char *path, *folder, *file;      /* file: the name without its folder */
    char *source;
    size_t source_bytes;
    const struct backend *backend;   /* the isolation chosen */
    struct gbx_route route;          /* and the reason */
    struct measure_seen *seen;       /* counted; NULL: it is not measured */
    const struct language *language; /* what it is written in */
    char *program;                   /* the language's guest program */
    char *metadata;                  /* JSON */
    char **inports;                  /* NULL-terminated; NULL: any */
    struct host_calls calls;         /* the runtime's and the store's */
    struct store store;              /* context.state */
    struct secrets *secrets;         /* counted; NULL: none */
    struct lending lending;          /* how it is given bodies of others */

    pthread_mutex_t
        lock;         /* of metadata and inports until open is over, and of: */
    uint32_t starts;  /* of sandboxes that were not cloned from its own
                         template */
    uint64_t load_ns; /* how long the last one took to load */
    bool is_cached;   /* its template is in the cache, or not for it */
    struct pool pool;
};

/*
 * Where helpers and guest programs are: where asked, else by GLOVEBOX_LIBEXEC
 * (not for set-id programs), else where they were installed.
 */
const char *runtime_find_libexec(const char *asked);

/* Defaults for what is 0; GBX_EARGUMENT for what no sandbox can have. */
int limits_settle(struct gbx_limits *limits, struct gbx_error *err);
/* Bring them, settled, below those of `most` that are not 0. */
int limits_lower(struct gbx_limits *limits, const struct gbx_limits *most,
                 struct gbx_error *err);

/* What a sandbox of the script is made of.  Borrowed from the script. */
struct sandbox_config script_sandbox_config(struct gbx_script *script);

/* script/image.c: its root is its image's, which is held.  Of a branch it is
 * the origin's very image.  Returns as gbx_image_open. */
int script_take_image(struct gbx_script *script, struct gbx_error *err);
void script_put_image(struct gbx_script *script);

/* script/load.c: start a sandbox and load the script, for the pool. */
int script_start(void *script, struct sandbox *sandbox, uint64_t deadline_ns,
                 struct gbx_error *err);

/* script/said.c: of metadata and inports.  False: damaged, or no memory, and
 * nothing is taken. */
void said_put(const struct gbx_script *script, struct bytes_out *out);
bool said_take(struct gbx_script *script, const struct bytes_out *said);

/* cache/kept.c: the script's template, from the cache, and to it when the pool
 * is closed, which save does. */
void kept_load(struct gbx_script *script);
void kept_save(struct gbx_script *script);

/* Of a call: it may outlive the handle. */
void script_get(struct gbx_script *script);
void script_put(struct gbx_script *script);

/* hosts.c: where it may go to other hosts, those of the rules are known.
 * Returns as gbx_runtime_add_host. */
int hosts_want(struct gbx_runtime *runtime,
               const struct gbx_script_config *script, struct gbx_error *err);

/* call.c: of a member that goes. */
void call_shut(struct gbx_call *call);

#endif
