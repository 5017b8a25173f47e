/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - one sealed instance: a region, a channel through it, and a guest
 * on its other side, run by a backend (backend.h).
 *
 *  sandbox_open(&sandbox, &config, deadline_ns, &err);     guest is READY
 *  sandbox_send(&sandbox, &descriptor, port, deadline_ns);
 *  while (sandbox_step(&sandbox, deadline_ns, &event, &err) == 0) ...
 *  sandbox_close(&sandbox);
 *
 * Stepping serves what the guest asks of its host (prints, host calls, a longer
 * arena) and hands out only what the owner of the call must know.
 *
 * Threads: one at a time, but sandbox_kill.
 * Memory:  all of it at open; stepping allocates only for arguments of host
 *          calls above SANDBOX_SCRATCH_BYTES.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "channel/channel.h"
#include "channel/region.h"
#include "sandbox/backend.h"
#include "sandbox/host_call.h"
#include "sandbox/state.h"
#include "sandbox/template.h"

#define SANDBOX_SCRATCH_BYTES (64u << 10)

struct sandbox_config {
    const struct backend *backend;
    struct bundle bundle; /* its output fields are set by the sandbox */
    uint64_t spin_ns;
    gbx_output_fn output; /* may be NULL */
    void *output_context;
    const struct host_calls *calls; /* borrowed until close */
};

struct sandbox {
    enum sandbox_state state;
    struct template *template; /* counted: what it is a clone of, or NULL */
    const struct backend *backend;
    void *self; /* owned: the backend's private part */
    struct region region;
    struct channel channel;
    struct suspended *suspended; /* owned: the backend's; or NULL, and: */
    struct region_image held;    /* what the region held */
    struct scratch scratch;      /* arguments of a host call */
    struct borrows *borrows;     /* owned: borrow.h; or NULL */

    const struct host_calls *calls;
    void *asker; /* borrowed: who its calls are told they are for; or NULL */
    gbx_output_fn output;
    void *output_context;
    uint64_t printed_bytes, printed_max; /* in this call */

    uint32_t call;        /* the call in progress, or 0 */
    uint32_t last_call;   /* the newest number given out */
    uint32_t asks;        /* host calls served in it */
    bool starts;          /* READY is still to come, before all else */
    int ended;            /* the code with which it ended, or 0 */
    int stopped;          /* the backend's code of that, or 0 */
    atomic_bool canceled; /* any thread */
};

/* What a step found. */
struct sandbox_event {
    enum gbx_kind kind; /* READY, LOADED, OUTPUT, DONE or FAILED */
    bool has_message;
    char port[GBX_NAME_BYTES_MAX + 1];
    struct gbx_message message; /* body: in the region, still the guest's */
    uint64_t body_off;          /* to give back, or 0 */
    uint64_t handler_ns;        /* DONE, FAILED: the guest's word for it */
};

/*
 * Start a guest and wait until its language runs.
 * Returns 0 and an IDLE sandbox, or a code and an EMPTY one.
 */
int sandbox_open(struct sandbox *sandbox, const struct sandbox_config *config,
                 uint64_t deadline_ns, struct gbx_error *err);
void sandbox_close(struct sandbox *sandbox); /* idempotent; all-zero too */

/*
 * One that stands where the template's stood.  config: the same program and
 * limits; all else is its own.  Of a bare template it may still be on its way
 * to READY, which the first step hears: what it is sent meanwhile waits there.
 * Returns 0 and an IDLE sandbox, or a code and an EMPTY one; GBX_ESTALE for a
 * template that can make no more.
 */
int sandbox_clone(struct sandbox *sandbox, const struct sandbox_config *config,
                  struct template *template, struct gbx_error *err);

/* The same for who can do without: GBX_ESTALE, and err as it was, also where
 * there is no template (NULL). */
int sandbox_try_clone(struct sandbox *sandbox,
                      const struct sandbox_config *config,
                      struct template *template, struct gbx_error *err);

/* The sandbox is of no more use; the guest, if it lives, ends. */
void sandbox_break(struct sandbox *sandbox);

/*
 * From IDLE back to how it was after open, or from IDLE or BROKEN to how the
 * template was: nothing of the past is left.
 * Returns 0 and an IDLE sandbox, or a code and a BROKEN one.
 */
int sandbox_wipe(struct sandbox *sandbox, uint64_t deadline_ns,
                 struct gbx_error *err);
uint64_t sandbox_wiped_pages(struct sandbox *sandbox); /* by the last one */

/* Of an IDLE one, whose next call is far or near (backend.h). */
bool sandbox_park(struct sandbox *sandbox);
bool sandbox_is_awake(struct sandbox *sandbox);
int sandbox_wake(struct sandbox *sandbox, struct gbx_error *err);

/*
 * suspend: from IDLE, a clone whose next call is far: all but its own part is
 * given back, descriptors and mappings too.  Returns whether it is SUSPENDED,
 * else it is as it was.
 * resume: it is IDLE again; config as it was cloned with.  Returns 0, or a code
 * and it is SUSPENDED still.
 */
bool sandbox_suspend(struct sandbox *sandbox);
int sandbox_resume(struct sandbox *sandbox, const struct sandbox_config *config,
                   struct gbx_error *err);

/* From IDLE to BUSY with a new call number, and back. */
void sandbox_begin(struct sandbox *sandbox);
void sandbox_finish(struct sandbox *sandbox);

/* Send a descriptor of the call in progress; port may be NULL. */
int sandbox_send(struct sandbox *sandbox, struct gbx_descriptor *descriptor,
                 const char *port, uint64_t deadline_ns);

/* Send a descriptor whose body is a copy of these bytes (control plane). */
int sandbox_send_copy(struct sandbox *sandbox,
                      struct gbx_descriptor *descriptor, const void *body,
                      size_t bytes, uint64_t deadline_ns);

/*
 * Wait for the next event.
 * Returns 0; GBX_ETIME with the guest still running; any other code, and the
 * sandbox is BROKEN and err says why.
 */
int sandbox_step(struct sandbox *sandbox, uint64_t deadline_ns,
                 struct sandbox_event *event, struct gbx_error *err);

/*
 * The same without waiting: 1 when the guest was served and there may be more,
 * GBX_EAGAIN when sandbox_fd should be polled.
 */
int sandbox_try_step(struct sandbox *sandbox, struct sandbox_event *event,
                     struct gbx_error *err);
int sandbox_fd(struct sandbox *sandbox);

/* The guest runs by itself from now on, until it rings.  False: there is
 * something to take already.  The caller has announced its sleep. */
bool sandbox_goes_on(struct sandbox *sandbox);

/* The body of an event is no longer needed. */
void sandbox_give(struct sandbox *sandbox, uint64_t body_off);

/* Bodies that were kept beyond their call, and are no more, are given back. */
void sandbox_take_back(struct sandbox *sandbox);

/* Between the files of this room: */
void sandbox_become(struct sandbox *sandbox, enum sandbox_state next);
/* What a backend needs to hear beside the config's bundle, which this is a copy
 * of. */
void sandbox_bind(struct sandbox *sandbox, struct bundle *bundle,
                  uint64_t spin_ns);
int sandbox_open_region(struct sandbox *sandbox,
                        const struct sandbox_config *config,
                        struct gbx_error *err);
/* The backend's run, and what it said last. */
int sandbox_run(struct sandbox *sandbox, uint64_t deadline_ns);

/* From any thread between open and close: whoever waits gets GBX_ECANCELED. */
void sandbox_kill(struct sandbox *sandbox);

#endif
