/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "channel/body/keep.h"
#include "sandbox/borrow.h"
#include "sandbox/sandbox.h"

void sandbox_become(struct sandbox *sandbox, enum sandbox_state next)
{
    must(sandbox_may(sandbox->state, next));
    sandbox->state = next;
}

int sandbox_run(struct sandbox *sandbox, uint64_t deadline_ns)
{
    int rc = sandbox->backend->run(sandbox->self, deadline_ns);

    if (rc < 0 && rc != GBX_ETIME)
        sandbox->stopped = rc;
    return rc;
}

bool sandbox_goes_on(struct sandbox *sandbox)
{
    return sandbox->backend->is_running == NULL ||
           sandbox_run(sandbox, 1) == GBX_ETIME;
}

/* The channel's four ways to the world, for every backend alike. */

/* A guest that waits for room may wait for blocks that others read, and whoever
 * puts a body rings nobody: then there is a look now and then. */
#define LOOK_NS 1000000u

static bool awaits_readers(const struct sandbox *sandbox)
{
    return keep_is_used(&sandbox->region) &&
           (atomic_load(&sandbox->channel.peer->asleep) & GBX_WANTS_SPACE) != 0;
}

static int bell_sleep(void *context, uint32_t seen, uint64_t deadline_ns)
{
    struct sandbox *sandbox = context;
    uint64_t soon_ns;
    int rc;

    (void)seen;
    sandbox_take_back(sandbox);
    if (!awaits_readers(sandbox))
        return sandbox_run(sandbox, deadline_ns);
    soon_ns = clock_now_ns() + LOOK_NS;
    if (deadline_ns != 0 && deadline_ns <= soon_ns)
        return sandbox_run(sandbox, deadline_ns);
    rc = sandbox_run(sandbox, soon_ns);
    return rc == GBX_ETIME ? 0 : rc;
}

static void bell_ring(void *context)
{
    struct sandbox *sandbox = context;

    sandbox->backend->ring(sandbox->self);
}

static int bell_grow(void *context, uint64_t bytes)
{
    struct sandbox *sandbox = context;

    return region_grow(&sandbox->region, HALF_HOST, bytes);
}

static int bell_poll(void *context)
{
    struct sandbox *sandbox = context;

    if (atomic_load_explicit(&sandbox->canceled, memory_order_relaxed))
        return GBX_ECANCELED;
    return sandbox->backend->is_running != NULL &&
           !sandbox->backend->is_running(sandbox->self);
}

/* What the guest wrote to its descriptors 1 and 2. */
static int raw_output(void *context, int stream, const void *text, size_t bytes)
{
    struct sandbox *sandbox = context;

    sandbox->printed_bytes += bytes;
    if (sandbox->printed_bytes > sandbox->printed_max)
        return GBX_EOUTPUT;
    if (sandbox->output != NULL)
        sandbox->output(sandbox->output_context, stream, text, bytes);
    return 0;
}

static void call_again(void *context)
{
    struct sandbox *sandbox = context;

    if (sandbox->calls != NULL && sandbox->calls->again != NULL &&
        sandbox->asker != NULL)
        sandbox->calls->again(sandbox->asker);
}

/* Over a region in which nobody has said anything yet. */
static void start_channel(struct sandbox *sandbox, uint64_t spin_ns)
{
    channel_init(&sandbox->channel,
                 &(struct channel_config){
                     .side = CHANNEL_HOST,
                     .base = sandbox->region.base,
                     .half_bytes = sandbox->region.half_bytes,
                     .spin_ns = spin_ns,
                     .bell = {.sleep = bell_sleep,
                              .ring = bell_ring,
                              .grow = bell_grow,
                              .poll = bell_poll,
                              .context = sandbox},
                 });
    /* Guest: reads it before it waits. */
    atomic_store_explicit(&sandbox->channel.mine->spin_ns, spin_ns,
                          memory_order_relaxed);
}

int sandbox_open_region(struct sandbox *sandbox,
                        const struct sandbox_config *config,
                        struct gbx_error *err)
{
    return region_open(&sandbox->region,
                       config->bundle.limits.message_bytes + GBX_ARENA_OFF,
                       err);
}

static int step_region(struct sandbox *sandbox,
                       const struct sandbox_config *config,
                       struct gbx_error *err)
{
    int rc = sandbox_open_region(sandbox, config, err);

    if (rc == 0)
        start_channel(sandbox, config->spin_ns);
    return rc;
}

void sandbox_bind(struct sandbox *sandbox, struct bundle *bundle,
                  uint64_t spin_ns)
{
    bundle->output = raw_output;
    bundle->output_context = sandbox;
    bundle->again = call_again;
    bundle->spin_ns = spin_ns;
}

static int step_memory(struct sandbox *sandbox,
                       const struct sandbox_config *config,
                       struct gbx_error *err)
{
    if (scratch_open(&sandbox->scratch, SANDBOX_SCRATCH_BYTES) < 0)
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    sandbox->self = calloc(1, config->backend->self_bytes);
    if (sandbox->self == NULL)
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    sandbox->backend = config->backend;
    return 0;
}

static int step_guest(struct sandbox *sandbox,
                      const struct sandbox_config *config,
                      struct gbx_error *err)
{
    struct bundle bundle = config->bundle;

    sandbox_bind(sandbox, &bundle, config->spin_ns);
    return config->backend->open(sandbox->self, &bundle, &sandbox->region, err);
}

static int step_ready(struct sandbox *sandbox, uint64_t deadline_ns,
                      struct gbx_error *err)
{
    struct sandbox_event event;
    int rc = sandbox_step(sandbox, deadline_ns, &event, err);

    if (rc == GBX_ETIME)
        return fail(err, rc, "the guest program did not start in time");
    if (rc == 0 && event.kind != GBX_KIND_READY)
        rc = fail(err, GBX_EBROKEN, "the guest did not say READY first");
    return rc;
}

static void init(struct sandbox *sandbox, const struct sandbox_config *config)
{
    *sandbox = (struct sandbox){
        .state = SANDBOX_EMPTY,
        .region = REGION_NONE,
        .calls = config->calls,
        .output = config->output,
        .output_context = config->output_context,
        .printed_max = config->bundle.limits.output_bytes,
    };
    sandbox_become(sandbox, SANDBOX_STARTING);
}

int sandbox_open(struct sandbox *sandbox, const struct sandbox_config *config,
                 uint64_t deadline_ns, struct gbx_error *err)
{
    int rc;

    init(sandbox, config);
    if ((rc = step_memory(sandbox, config, err)) < 0 ||
        (rc = step_region(sandbox, config, err)) < 0 ||
        (rc = step_guest(sandbox, config, err)) < 0 ||
        (rc = step_ready(sandbox, deadline_ns, err)) < 0)
        sandbox_close(sandbox);
    else
        sandbox_become(sandbox, SANDBOX_IDLE);
    return rc;
}

static bool follows(const struct sandbox *sandbox)
{
    return sandbox->template != NULL && !sandbox->template->is_bare;
}

/* What both sides share is the template's, and this side stands where its
 * did. */
static int follow(struct sandbox *sandbox, struct gbx_error *err)
{
    const struct template *template = sandbox->template;
    int rc = template_fill(template, &sandbox->region);

    if (rc < 0)
        return fail(err, rc, "bring back what a region held");
    channel_follow(&sandbox->channel, &template->channel);
    for (uint32_t i = 0; i < template->give_count; i++)
        channel_give(&sandbox->channel, template->gives[i]);
    atomic_store_explicit(&sandbox->channel.mine->spin_ns,
                          sandbox->channel.config.spin_ns,
                          memory_order_relaxed);
    sandbox->last_call = template->last_call;
    return 0;
}

/* A new guest, or one as it was, knows nothing of it. */
static void forget(struct sandbox *sandbox)
{
    sandbox->call = 0;
    sandbox->ended = sandbox->stopped = 0;
    atomic_store(&sandbox->canceled, false);
}

/* The region is made while the backend begins. */
static int step_clone(struct sandbox *sandbox,
                      const struct sandbox_config *config,
                      struct gbx_error *err)
{
    const struct backend *backend = config->backend;
    struct snapshot *snapshot = sandbox->template->snapshot;
    struct bundle bundle = config->bundle;
    int rc = 0;

    sandbox_bind(sandbox, &bundle, config->spin_ns);
    if (backend->begin != NULL)
        rc = backend->begin(sandbox->self, &bundle, snapshot, err);
    if (rc < 0 || (rc = step_region(sandbox, config, err)) < 0 ||
        (follows(sandbox) && (rc = follow(sandbox, err)) < 0))
        return rc;
    return backend->clone(sandbox->self, &bundle, snapshot, &sandbox->region,
                          err);
}

int sandbox_clone(struct sandbox *sandbox, const struct sandbox_config *config,
                  struct template *template, struct gbx_error *err)
{
    int rc;

    init(sandbox, config);
    must(config->backend == template->backend);
    sandbox->template = template_get(template);
    sandbox->starts = !follows(sandbox);
    if ((rc = step_memory(sandbox, config, err)) < 0 ||
        (rc = step_clone(sandbox, config, err)) < 0)
        sandbox_close(sandbox);
    else
        sandbox_become(sandbox, SANDBOX_IDLE);
    return rc;
}

int sandbox_try_clone(struct sandbox *sandbox,
                      const struct sandbox_config *config,
                      struct template *template, struct gbx_error *err)
{
    struct gbx_error why;
    int rc = GBX_ESTALE;

    if (template != NULL)
        rc = sandbox_clone(sandbox, config, template, &why);
    if (rc < 0 && rc != GBX_ESTALE && err != NULL)
        *err = why; /* a start, not a call */
    return rc;
}

void sandbox_close(struct sandbox *sandbox)
{
    if (sandbox->state == SANDBOX_EMPTY)
        return; /* also one that was only zeroed */
    if (sandbox->state == SANDBOX_BUSY)
        sandbox_become(sandbox, SANDBOX_BROKEN);
    if (sandbox->backend != NULL && sandbox->self != NULL)
        sandbox->backend->close(sandbox->self);
    borrow_fini(sandbox);
    free(sandbox->self);
    if (sandbox->suspended != NULL)
        sandbox->backend->discard(sandbox->suspended);
    region_image_fini(&sandbox->held);
    sandbox->suspended = NULL;
    sandbox->self = NULL;
    sandbox->backend = NULL;
    scratch_close(&sandbox->scratch);
    region_close(&sandbox->region);
    template_put(sandbox->template);
    sandbox->template = NULL;
    sandbox_become(sandbox, SANDBOX_EMPTY);
}

int sandbox_wipe(struct sandbox *sandbox, uint64_t deadline_ns,
                 struct gbx_error *err)
{
    int rc;

    must(sandbox->state == SANDBOX_IDLE || sandbox->template != NULL);
    sandbox_become(sandbox, SANDBOX_WIPING);
    sandbox_take_back(sandbox);
    if (keep_is_used(&sandbox->region))
        rc = fail(err, GBX_EAGAIN, "what it sent is still read");
    else if ((rc = borrow_forget(sandbox)) < 0)
        fail(err, rc, "take back what it was shown");
    else
        rc = sandbox->backend->wipe(sandbox->self, err);
    forget(sandbox);
    if (rc == 0 && follows(sandbox)) {
        rc = follow(sandbox, err);
    } else if (rc == 0) {
        start_channel(sandbox, sandbox->channel.config.spin_ns);
        sandbox->starts = sandbox->template != NULL;
        if (!sandbox->starts)
            rc = step_ready(sandbox, deadline_ns, err);
    }
    if (rc < 0)
        sandbox_break(sandbox);
    else
        sandbox_become(sandbox, SANDBOX_IDLE);
    return rc;
}

uint64_t sandbox_wiped_pages(struct sandbox *sandbox)
{
    return sandbox->backend->wiped_pages == NULL
               ? 0
               : sandbox->backend->wiped_pages(sandbox->self);
}

void sandbox_break(struct sandbox *sandbox)
{
    if (sandbox->state == SANDBOX_BROKEN)
        return;
    sandbox_become(sandbox, SANDBOX_BROKEN);
    sandbox->backend->kill(sandbox->self);
}

bool sandbox_park(struct sandbox *sandbox)
{
    return sandbox->state == SANDBOX_IDLE && sandbox->backend->park != NULL &&
           sandbox->backend->park(sandbox->self);
}

bool sandbox_is_awake(struct sandbox *sandbox)
{
    return sandbox->backend->is_awake == NULL ||
           sandbox->backend->is_awake(sandbox->self);
}

int sandbox_wake(struct sandbox *sandbox, struct gbx_error *err)
{
    return sandbox->backend->wake == NULL
               ? 0
               : sandbox->backend->wake(sandbox->self, err);
}

void sandbox_begin(struct sandbox *sandbox)
{
    sandbox_become(sandbox, SANDBOX_BUSY);
    if (++sandbox->last_call == 0) /* 0 is "no call" */
        sandbox->last_call = 1;
    sandbox->call = sandbox->last_call;
    sandbox->printed_bytes = 0;
    sandbox->asks = 0;
}

void sandbox_finish(struct sandbox *sandbox)
{
    sandbox->call = 0;
    if (sandbox->state != SANDBOX_BUSY)
        return;
    sandbox_become(sandbox, SANDBOX_IDLE);
    if (sandbox->backend->rest != NULL)
        sandbox->backend->rest(sandbox->self);
}

int sandbox_send(struct sandbox *sandbox, struct gbx_descriptor *descriptor,
                 const char *port, uint64_t deadline_ns)
{
    int rc = 0;

    descriptor->call = sandbox->call;
    if (port != NULL)
        rc = channel_put_name(&sandbox->channel, descriptor, port, strlen(port),
                              deadline_ns);
    return rc < 0 ? rc
                  : channel_send(&sandbox->channel, descriptor, deadline_ns);
}

int sandbox_send_copy(struct sandbox *sandbox,
                      struct gbx_descriptor *descriptor, const void *body,
                      size_t bytes, uint64_t deadline_ns)
{
    uint64_t off;
    int rc;

    if (bytes > 0) {
        rc = channel_reserve(&sandbox->channel, bytes, deadline_ns, &off);
        if (rc < 0)
            return rc;
        memcpy(channel_at(&sandbox->channel, off), body, bytes);
        descriptor->body_off = off;
        descriptor->body_bytes = (uint32_t)bytes;
        sandbox->channel.count.copied_bytes += bytes;
    }
    rc = sandbox_send(sandbox, descriptor, NULL, deadline_ns);
    if (rc < 0 && bytes > 0)
        channel_drop(&sandbox->channel, descriptor->body_off);
    return rc;
}

int sandbox_fd(struct sandbox *sandbox)
{
    return sandbox->backend->fd(sandbox->self);
}

void sandbox_take_back(struct sandbox *sandbox)
{
    keep_take_back(&sandbox->region, &sandbox->channel);
}

void sandbox_give(struct sandbox *sandbox, uint64_t body_off)
{
    if (body_off != 0)
        channel_give(&sandbox->channel, body_off);
}

void sandbox_kill(struct sandbox *sandbox)
{
    atomic_store(&sandbox->canceled, true);
    sandbox->backend->kill(sandbox->self);
}
