/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - the module runs, in the thread that calls. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "sandbox/wasm/backend/wasm.h"

/* How long a run lasts whose deadline has passed already: whoever polls lets
 * the module run on in parts of this. */
#define SLICE_NS 1000000u

#define WAIT_MAX 3u /* descriptors that WASI waits for at once */

void wasm_kill(void *context)
{
    struct wasm *self = context;
    const uint64_t one = 1;

    atomic_store(&self->killed, true);
    instance_stop(&self->instance);
    (void)!write(self->wake_fd, &one, sizeof(one));
}

static struct timespec left_until(uint64_t until_ns, uint64_t deadline_ns)
{
    const uint64_t now = clock_now_ns();

    if (deadline_ns != 0 && (until_ns == 0 || deadline_ns < until_ns))
        until_ns = deadline_ns;
    return clock_timespec(until_ns > now ? until_ns - now : 0);
}

/* errno belongs to a thread, and behind a pause it may be another one: so only
 * here is it looked at. */
static __attribute__((noinline)) int
poll_all(struct pollfd *all, unsigned count, const struct timespec *left)
{
    int rc = ppoll(all, count, left, NULL);

    return rc < 0 ? -errno : rc;
}

int wasm_wait(void *context, struct pollfd *fds, unsigned count,
              uint64_t until_ns)
{
    struct wasm *self = context;
    struct pollfd all[1 + WAIT_MAX] = {{.fd = self->wake_fd, .events = POLLIN}};

    must(count <= WAIT_MAX);
    memcpy(all + 1, fds, count * sizeof(*fds));
    for (;;) {
        struct timespec left = left_until(until_ns, self->deadline_ns);
        const bool waits = until_ns == 0 && self->deadline_ns == 0;
        int rc;

        if (atomic_load(&self->killed))
            return GBX_ECANCELED;
        rc = poll_all(all, count + 1, waits ? NULL : &left);
        if (rc < 0 && rc != -EINTR)
            return GBX_EHOST;
        if (rc > 0 && all[0].revents == 0) {
            memcpy(fds, all + 1, count * sizeof(*fds));
            return rc;
        }
        /* The run is over, but not the module: it goes on in the next one. */
        if (rc == 0 && clock_is_past(self->deadline_ns))
            instance_pause(&self->instance);
        if (clock_is_past(until_ns))
            return 0;
    }
}

/* What it is to do next, where it does nothing. */
static void begin(struct wasm *self)
{
    static uint64_t none[1]; /* they have no arguments */
    const struct wasm_export *next = self->turn;

    if (self->phase == WASM_READY && self->initialize == NULL)
        self->phase = WASM_BEGUN;
    if (self->phase == WASM_READY)
        next = self->initialize;
    else if (self->phase == WASM_BEGUN)
        next = self->start;
    instance_begin(&self->instance, self->phase == WASM_NEW ? NULL : next->call,
                   none);
}

static uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until it stops, in the time that is left to it. */
static enum instance_state go(struct wasm *self)
{
    uint64_t due_ns = self->deadline_ns, from_ns = 0;
    enum instance_state state;

    if (self->what.limits.cpu_ns != 0) {
        uint64_t cpu_due =
            clock_now_ns() + self->what.limits.cpu_ns - self->cpu_ns;

        from_ns = thread_ns();
        due_ns = due_ns == 0 || cpu_due < due_ns ? cpu_due : due_ns;
    }
    if (wasm_reach(self) < 0) {
        self->end = GBX_EHOST;
        return INSTANCE_ENDED;
    }
    state = instance_run(&self->instance, due_ns);
    if (self->what.limits.cpu_ns != 0)
        self->cpu_ns += thread_ns() - from_ns;
    return state;
}

static bool is_out_of_cpu(const struct wasm *self)
{
    return self->what.limits.cpu_ns != 0 &&
           self->cpu_ns >= self->what.limits.cpu_ns;
}

static int why_ended(const struct wasm *self)
{
    if (self->end != 0)
        return self->end;
    if (self->instance.trap == WASM_TRAP_MEMORY || self->instance.met_limit)
        return GBX_EMEMORY;
    return GBX_ETRAP;
}

/*
 * A part of its way.  Returns 1: there may be more to do; 0: it stands still
 * until its host has done something; or a code.
 */
static int advance(struct wasm *self)
{
    enum wasm_phase before;
    enum instance_state state;

    if (self->instance.doing == INSTANCE_READY)
        begin(self);
    before = self->phase;
    self->waits = false;
    state = go(self);
    if (state == INSTANCE_ENDED)
        return self->end = why_ended(self);
    if (is_out_of_cpu(self))
        return self->end = GBX_ECPU;
    if (state == INSTANCE_PAUSED)
        return !self->waits;
    if (self->phase == WASM_BEGUN) /* main has returned */
        return self->end = GBX_EEXIT;
    self->phase += self->phase < WASM_BEGUN;
    return self->phase != before; /* it has parked: its first turn */
}

/* Is it to go on?  0, or why not. */
static int may_go_on(struct wasm *self)
{
    if (is_out_of_cpu(self))
        return self->end = GBX_ECPU;
    if (atomic_load(&self->killed))
        return GBX_ECANCELED;
    return clock_is_past(self->deadline_ns) ? GBX_ETIME : 0;
}

int wasm_do(struct wasm *self, void (*code)(void *instance, uint64_t *cells),
            uint64_t *cells, uint64_t deadline_ns)
{
    enum instance_state state = INSTANCE_PAUSED;
    int rc = atomic_load(&self->killed) ? GBX_ECANCELED : 0;

    if (rc < 0)
        return rc;
    self->deadline_ns = deadline_ns;
    instance_begin(&self->instance, code, cells);
    while (rc == 0 && state == INSTANCE_PAUSED) {
        state = go(self);
        if (state == INSTANCE_PAUSED)
            rc = may_go_on(self);
    }
    if (state == INSTANCE_ENDED)
        rc = self->end = why_ended(self);
    return rc;
}

/* Its host has nothing new for it, so nothing will happen but time and kill. */
static int stand(struct wasm *self)
{
    struct pollfd wake = {.fd = self->wake_fd, .events = POLLIN};
    const uint64_t until_ns = self->waits ? self->waits_until_ns : 0;
    const struct timespec left = left_until(until_ns, self->deadline_ns);
    const bool waits = until_ns == 0 && self->deadline_ns == 0;
    int rc = poll_all(&wake, 1, waits ? NULL : &left);

    if (rc < 0 && rc != -EINTR)
        return GBX_EHOST;
    return clock_is_past(self->deadline_ns) ? GBX_ETIME : 0;
}

/* It could run on, so whoever polls shall call. */
static void tell(struct wasm *self, bool runs)
{
    uint64_t count = 1;

    if (runs && !self->is_told)
        (void)!write(self->wake_fd, &count, sizeof(count));
    if (!runs && self->is_told)
        (void)!read(self->wake_fd, &count, sizeof(count));
    self->is_told = runs;
}

int wasm_run(void *context, uint64_t deadline_ns)
{
    struct wasm *self = context;
    int rc = 0;

    tell(self, false);
    self->deadline_ns = deadline_ns;
    if (clock_is_past(deadline_ns))
        self->deadline_ns = clock_now_ns() + SLICE_NS;
    for (;;) {
        if (atomic_load(&self->killed))
            return GBX_ECANCELED;
        if (self->end != 0)
            return self->end;
        rc = advance(self);
        if (self->rang) { /* also what it said before its end */
            self->rang = false;
            return 0;
        }
        if (rc > 0 && clock_is_past(self->deadline_ns) &&
            !atomic_load(&self->killed)) {
            tell(self, true);
            return GBX_ETIME;
        }
        if (rc == 0 && (rc = stand(self)) == GBX_ETIME)
            return rc;
    }
}

int wasm_run_to_park(struct wasm *self, uint64_t until_ns,
                     struct gbx_error *err)
{
    int rc = 0;

    self->deadline_ns = until_ns;
    while (rc >= 0 && self->phase != WASM_SERVING) {
        rc = advance(self);
        if (rc >= 0 && clock_is_past(until_ns))
            return fail(err, GBX_ETIME, "%s: it is not ready in time",
                        self->what.program);
    }
    if (rc < 0)
        wasm_explain(self, err);
    return rc < 0 ? rc : 0;
}
