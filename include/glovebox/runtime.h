/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/runtime.h - run a script you do not trust, in your own process.
 *
 * A runtime holds what all scripts share.  A script is a file sealed in a
 * sandbox.  A call hands it messages and takes its answers: you write the
 * inputs into memory that the script reads, and read the outputs where the
 * script wrote them; nothing is copied on the way.
 *
 *  gbx_runtime_open(&runtime, NULL, &err);
 *  gbx_script_open(&script, runtime, "luma.py", NULL, &err);
 *  gbx_call_begin(&call, script, deadline_ns, &err);
 *  gbx_call_room(call, "frame", GBX_STREAM, bytes, &data, &err);
 *  read(camera, data, bytes);
 *  gbx_call_run(call, deadline_ns, &err);
 *  while (gbx_call_next(call, &port, &message) == 0) ...
 *  gbx_call_finish(call);
 *
 * Threads: any thread, any function; close last and alone.
 * Memory:  what open returns is owned by the caller and freed by close; all
 *          else is borrowed, as each function says.
 * Time:    deadlines are CLOCK_MONOTONIC, in nanoseconds; 0 is "never".
 */
#ifndef GBX_RUNTIME_H
#define GBX_RUNTIME_H

#include "glovebox/limits.h"
#include "glovebox/message.h"
#include "glovebox/mount.h"
#include "glovebox/pool.h"
#include "glovebox/route.h"
#include "glovebox/secret.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_runtime;
struct gbx_script;
struct gbx_config;

/*
 * What a script prints.  stream: 1 stdout, 2 stderr.  Comes in the thread of
 * any call; the text may lie where the script can still write it.
 */
typedef void (*gbx_output_fn)(void *context, int stream, const void *text,
                              size_t bytes);

/*
 * A host call: the script asks, the host answers.  arguments is a copy that no
 * guest can change.  Returns 0 with the answer built, or a GBX_E* code; the
 * script then sees an exception with err's text.
 */
typedef int (*gbx_host_fn)(void *context, const struct gbx_message *arguments,
                           struct gbx_builder *answer, struct gbx_error *err);

/* The same for all host calls of a script: name says which. */
typedef int (*gbx_ask_fn)(void *context, const char *name,
                          const struct gbx_message *arguments,
                          struct gbx_builder *answer, struct gbx_error *err);

/*
 * A module of WebAssembly is being compiled, once: how far that is likely to
 * be, of 1000, four times a second; 1000 when it is over, also after an error.
 * Comes in the thread that opens it.
 */
typedef void (*gbx_progress_fn)(void *context, const char *path,
                                unsigned permille);

/* Zero in any field means the default. */
struct gbx_runtime_config {
    size_t struct_bytes;     /* sizeof this struct: tells versions apart */
    const char *libexec_dir; /* guest programs; default: where installed */
    gbx_output_fn output;    /* what scripts print; default: dropped */
    void *output_context;
    const char *cache_dir; /* templates are kept there (glovebox/cache.h);
                              default: in memory alone */
    int is_brief; /* 1: this process runs what it has and ends within half a
                     minute: so it maps the cache's files as they are */
    /* What is only slower for it: a template that is made anew, and why. */
    void (*note)(void *context, const char *text);
    void *note_context;
    gbx_progress_fn progress;
    void *progress_context;

    /* Rules for scripts (glovebox/config.h), borrowed until close: of each that
     * is opened, they fill in what its own config leaves 0. */
    const struct gbx_config *rules;
};

/* Zero in any field means the default. */
struct gbx_script_config {
    size_t struct_bytes;
    enum gbx_isolation isolation;
    struct gbx_limits limits;
    uint64_t spin_ns; /* each side waits awake for so long; default 20 us, or
                         none where there is one CPU; 1 means none */
    const char *config_json; /* context.config, an object; default {} */
    const char *actor_id;    /* default: the actor's own name */
    uint64_t start_ns;       /* longest start, with loading; default 10 s */
    int hide_folder;         /* 1: the script's folder is not visible to it */
    /* A host folder that is its / (image.h), with its changes over it, which
     * are private to it; micro-VMs and processes only. */
    const char *root;
    /* Or an image of the default store, as python:3.11-slim (image.h): its
     * root, where none is given.  Held until the last call is finished. */
    const char *image;
    /* Each system call of the guest, as a line; micro-VMs only, and auto takes
     * nothing else then.  Comes in the thread that runs the guest. */
    void (*trace)(void *context, const char *line);
    void *trace_context;
    enum gbx_wipe wipe;
    struct gbx_pool_config pool;
    struct gbx_route_policy route; /* what auto chooses from; and what
                                      `isolation` must be one of */
    /* The host calls that it may make, NULL-terminated; default: all that are
     * registered.  (context.state is always its own.) */
    const char *const *host_calls;
    /* Answers all of them, and context.state too, in their place; comes in the
     * thread of the call, or of whoever makes a sandbox. */
    gbx_ask_fn ask;
    void *ask_context; /* until the last call is finished */
    /* What it is told when it asks (secret.h). */
    const struct gbx_secret *secrets;
    size_t secret_count;
    int is_idempotent; /* 1: where a remote host is lost, a call is run again */
    /* Where context.state is kept, by the name actor_id; borrowed until the
     * last call is finished.  Default: in memory, as a branch's always is. */
    struct gbx_state *state;
    /* No more than this, whatever `limits` and the rules say: a bound for what
     * somebody else may choose.  0 in a field: none. */
    struct gbx_limits limits_max;
    /* What it sees of the host besides (mount.h); micro-VMs and processes. */
    const struct gbx_mount *mounts;
    size_t mount_count;
    /* Whom it takes itself for: UID[:GID], or NAME[:GROUP] as its root's
     * /etc/passwd and /etc/group have them; default: the image's User; without
     * one the caller, or nobody.  It has no rights from it.  As mounts. */
    const char *user;
    gbx_output_fn output; /* what it prints; default: the runtime's */
    void *output_context; /* until its close, and that of its branches */
};

/* Returns 0 and a runtime to close; else a code, and *runtime is NULL. */
int gbx_runtime_open(struct gbx_runtime **runtime,
                     const struct gbx_runtime_config *config,
                     struct gbx_error *err);

/* All scripts must be closed, and their calls finished.  NULL is allowed. */
void gbx_runtime_close(struct gbx_runtime *runtime);

/*
 * Let scripts call fn under this name.  Before the first script is opened.
 * Returns 0, GBX_EARGUMENT for a name in use, or GBX_ELIMIT.
 */
int gbx_runtime_register(struct gbx_runtime *runtime, const char *name,
                         gbx_host_fn fn, void *context);

/*
 * Seal a script in a sandbox and load it there.
 * Returns 0 and a script to close; GBX_EFILE, GBX_ELOAD (a syntax error, no
 * actor in it; the traceback goes to the runtime's output as stderr),
 * GBX_EUNSUPPORTED (this host cannot isolate) or any other code.
 */
int gbx_script_open(struct gbx_script **script, struct gbx_runtime *runtime,
                    const char *path, const struct gbx_script_config *config,
                    struct gbx_error *err);

/*
 * Ends the sandboxes.  Calls that run, or wait to begin, end with
 * GBX_ECANCELED.  A call that was begun must still be finished; what came out
 * of it can be read until then.  NULL is allowed.
 */
void gbx_script_close(struct gbx_script *script);

/*
 * What the script says of itself: component, description, inports, outports...
 * as JSON.  Borrowed until close.
 */
const char *gbx_script_metadata(const struct gbx_script *script);

/* "microvm", "process", "wasm" or "remote"; for people and logs. */
const char *gbx_script_isolation(const struct gbx_script *script);

/* Why it is that one, in a sentence.  Borrowed until close. */
const char *gbx_script_why(const struct gbx_script *script);

/* The library's version, "0.1.0". */
const char *gbx_version(void);

#ifdef __cplusplus
}
#endif

#include "glovebox/branch.h"
#include "glovebox/call.h"
#include "glovebox/config.h"
#include "glovebox/remote.h"

#endif
