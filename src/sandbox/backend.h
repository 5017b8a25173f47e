/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - the door: what every isolation can do, and nothing else is asked
 * of it.  The core (sandbox.c) owns the region, the channel and the states; a
 * backend makes a guest program run on the other side of the region.
 *
 *  open -> run ... run -> wipe -> run ... -> close
 *                   kill, from any thread, at any time between open and close
 *
 * Threads: one at a time, but kill.
 * Memory:  self is zeroed memory of self_bytes, allocated by the core.
 */
#ifndef SANDBOX_BACKEND_H
#define SANDBOX_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/error.h"
#include "glovebox/runtime.h"

#include "base/bytes.h"
#include "channel/region.h"

/* A user and a group, as numbers. */
struct guest_ids {
    bool is_set;
    uint32_t uid, gid;
};

/* What runs inside, and under which limits.  All borrowed until open returns,
 * except what says "until close". */
struct bundle {
    const char *program;         /* the guest program, a host path */
    const char *const *argv;     /* NULL-terminated; argv[0] its name */
    const char *const *envp;     /* the whole environment */
    const char *libexec_dir;     /* helpers of the library itself */
    const char *folder;          /* host folder shown at /script, or NULL; of a
                                    remote one until close */
    const struct grants *grants; /* what is mounted, or NULL; until close */
    int cache_fd;                /* of a folder for what is compiled; 0: none */
    struct guest_ids ids;        /* whom it takes itself for: bundle_ids */
    gbx_progress_fn progress;    /* while it is; may be NULL */
    void *progress_context;
    struct gbx_limits limits; /* every field set */

    /* Of a program that is no guest program (glovebox exec): then there is no
     * region, and not every backend can. */
    const char *root;        /* host folder that is its /; NULL: the usual */
    const char *working_dir; /* in its root, or NULL: / */
    const int *stdio;        /* three descriptors of the host, borrowed until
                                close; NULL: output goes to the callback */

    /* Each system call, as a line; may be NULL, and needs a backend that sees
     * them. */
    void (*trace)(void *context, const char *line);
    void *trace_context; /* until close */
    uint64_t spin_ns;    /* how long the host waits awake; 0: not at all */
    bool is_watched; /* what it finds on the host is noted, for a snapshot */

    /* Of a remote one: who may run it (remote/fleet.h), until close; the name
     * of the weakest isolation that it may have there, or NULL, until close; a
     * call may be run twice. */
    struct fleet *fleet;
    const char *floor;
    bool is_idempotent;

    /* Bytes that the guest wrote to its file descriptors 1 and 2.  Called from
     * run, kill never.  A negative return ends the run with that code. */
    int (*output)(void *context, int stream, const void *text, size_t bytes);
    void *output_context; /* until close */

    /* Of a remote one, with the same context: the call is run once more, so
     * what it has asked for is as if it had not. */
    void (*again)(void *context);
};

/* Is what they allow enough for any guest?  Each backend asks at its open. */
int bundle_check(const struct bundle *what, struct gbx_error *err);

/* Whom the guest takes itself for: as it was said, or the caller; nobody where
 * that is root.  It has no rights from it. */
#define BUNDLE_NOBODY 65534u
struct guest_ids bundle_ids(const struct bundle *what);

/* Something that an isolation needs of its host, or could use. */
enum probe_state { PROBE_MISSING, PROBE_OK, PROBE_PARTLY };

struct probe_item {
    const char *name;
    int state;        /* enum probe_state; partly: works, with less */
    char text[200];   /* what was found */
    char remedy[200]; /* or "" */
};

struct fleet;
struct grants;
struct snapshot;  /* of one backend */
struct suspended; /* too */

struct backend {
    const char *name;
    size_t self_bytes;

    /* What this host offers, tried out.  Fills at most max; how many. */
    size_t (*probe)(struct probe_item *items, size_t max);

    /*
     * Start the guest.  It has not rung yet when open returns.
     * Returns 0; GBX_EUNSUPPORTED, GBX_EFILE, GBX_EHOST..., and err names what
     * is missing and the remedy.  close is called even then.
     */
    int (*open)(void *self, const struct bundle *what, struct region *shared,
                struct gbx_error *err);

    /*
     * Let the guest run until it rings (0), stops (a code that says why:
     * GBX_EEXIT, GBX_ESIGNAL, GBX_ECPU, GBX_EMEMORY, GBX_EOUTPUT), is
     * killed (GBX_ECANCELED), or the time is over (GBX_ETIME: it still runs).
     * The caller has announced its sleep (channel_asleep).
     */
    int (*run)(void *self, uint64_t deadline_ns);

    /* Does the guest run while nobody is in run?  Then waiting for it awake
     * makes sense.  Any time, also in other threads; NULL: it always does. */
    bool (*is_running)(void *self);

    /* A call is over, and the guest waits for the next one; may be NULL. */
    void (*rest)(void *self);

    /* The call that comes is to have ended then; 0: whenever.  NULL: nobody
     * asks. */
    void (*aim)(void *self, uint64_t deadline_ns);

    /* Wake the guest: the host's bell word has grown. Never waits. */
    void (*ring)(void *self);

    /* A file descriptor that is readable when run would return, once a run has
     * returned GBX_ETIME; until close. */
    int (*fd)(void *self);

    /* How it exited, as a shell says it: the status, or 128 + the signal. */
    int (*status)(void *self);

    /* Why the guest stopped, for a person; after run returned such a code. */
    void (*explain)(void *self, struct gbx_error *err);

    /* What the guest asked for last that this isolation does not have, or
     * NULL; borrowed until close.  NULL: nobody can tell. */
    const char *(*lacked)(void *self);

    /*
     * The guest as it stands, to make others from; between two calls.  It goes
     * on as before.  What the region holds is the caller's to keep.
     * Returns 0 and a snapshot, counted; GBX_EUNSUPPORTED, GBX_EHOST, or a code
     * with which run would end.  NULL: this isolation cannot.
     */
    int (*snapshot)(void *self, struct snapshot **snapshot,
                    struct gbx_error *err);
    /*
     * Start the language without a script, to make sandboxes from: in place of
     * snapshot, where a guest that is sealed cannot be copied any more.
     * Returns 0 and a snapshot, counted; or as open; GBX_ETIME.
     */
    int (*prepare)(const struct bundle *what, uint64_t deadline_ns,
                   struct snapshot **snapshot, struct gbx_error *err);
    /*
     * As open, but the guest is where it was then.  what: the same program and
     * limits.  Any number at once.  Of a snapshot: the region holds what it
     * held.  Prepared: the region is new, the guest has not rung yet, and the
     * limits may be others.
     * begin: its first half, while the region is made; NULL: there is none.
     * Both return as open; GBX_ESTALE where it can be none of this host's,
     * cannot show this folder, or is gone: what was cloned before goes on.
     */
    int (*begin)(void *self, const struct bundle *what,
                 struct snapshot *snapshot, struct gbx_error *err);
    int (*clone)(void *self, const struct bundle *what,
                 struct snapshot *snapshot, struct region *shared,
                 struct gbx_error *err);
    void (*put)(struct snapshot *snapshot); /* counted; clones hold theirs */

    /*
     * To a file and back: all but its pages, which are `bytes` bytes of *fd
     * (borrowed).  load: they are in fd (borrowed) from off on.  NULL: only
     * memory can keep it.
     * load returns GBX_ESTALE where the host is not as it was.
     */
    int (*save)(const struct snapshot *snapshot, struct bytes_out *out, int *fd,
                uint64_t *bytes);
    int (*load)(struct snapshot **snapshot, struct bytes_in *in, int fd,
                uint64_t off, struct gbx_error *err);

    /* Back to how it was when open returned: nothing of the past is left.  The
     * region is reset by it.  Of a clone: to the snapshot, also after an end or
     * a kill; the region is the caller's to bring back, before the next run,
     * unless it was prepared. */
    int (*wipe)(void *self, struct gbx_error *err);
    /* How many pages the last one found written; NULL: nobody counts. */
    uint64_t (*wiped_pages)(void *self);

    /*
     * Idle ones may cost those that run.  park gives back what can be had again
     * in a moment, between two calls; false: there was nothing, or it cannot
     * now.  wake gets it ahead of the next run: 0, or a code and it is as it
     * was.  awake_count: how many of this process have it; any thread.  All
     * NULL where there is no such thing.
     */
    bool (*park)(void *self);
    bool (*is_awake)(void *self);
    int (*wake)(void *self, struct gbx_error *err);
    unsigned (*awake_count)(void);

    /*
     * Those that idle longer may give back all but what cannot be had again: a
     * clone's own part, beside its snapshot.  Between two calls; what the
     * region holds is the caller's to keep. suspend: 0 and a part to discard;
     * the guest may be closed, or go on. GBX_EUNSUPPORTED: it is no clone, or
     * has what cannot be kept; GBX_EHOST; or a code with which run would end.
     * resume: as clone, but it is the same guest, and time has passed.  Any
     * error leaves the part as it was, to be tried again.
     * All NULL where there is no such thing.
     */
    int (*suspend)(void *self, struct suspended **suspended,
                   struct gbx_error *err);
    int (*resume)(void *self, const struct bundle *what,
                  struct snapshot *snapshot, const struct suspended *suspended,
                  struct region *shared, struct gbx_error *err);
    void (*discard)(struct suspended *suspended);

    /*
     * The guest finds [at, at + bytes) of a file at [off, off + bytes) of the
     * host's half, which it can only read; with fd -1 the half's own bytes
     * again.  Whole pages that exist.  Also while the guest runs.
     * Returns 0 or GBX_EHOST, and it is as it was.  NULL: it cannot be done.
     */
    int (*borrow)(void *self, uint64_t off, uint64_t bytes, int fd,
                  uint64_t at);

    /*
     * How much of such a stretch the guest has looked at: about so many
     * sixteenths; or GBX_EHOST.  NULL: looking costs no more than in a copy.
     */
    int (*seen)(void *self, uint64_t off, uint64_t bytes);

    void (*kill)(void *self);  /* from any thread; does not wait */
    void (*close)(void *self); /* also on a half-opened one; idempotent */
};

extern const struct backend backend_process, backend_microvm, backend_wasm,
    backend_remote;

#endif
