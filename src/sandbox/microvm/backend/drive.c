/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.c - being the guest's processor: run, serve, run on.
 *
 * Time.  A run ends at the soonest of: the caller's deadline, the rest of the
 * CPU time, the next moment at which a waiting task wants to be woken, and,
 * where several tasks could run, the end of a slice.  Which of them it was is
 * seen when it has ended.
 *
 * A guest that was interrupted is settled first: its registers are taken out
 * and put in again, so that it stands where they may be changed.  Where that
 * cannot be (an exception is on its way) it runs on a little.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/microvm/backend/microvm.h"

#define SLICE_NS  5000000u
#define SETTLE_NS 100000u

/* The sooner of two moments, of which 0 is never. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t end_of_run(struct microvm *vm, uint64_t deadline_ns)
{
    const struct kernel *kernel = vm->kernel;
    uint64_t end = deadline_ns;

    if (kernel->task_count > 1 || kernel->signals.alarm_ns != 0)
        end = sooner(end, kernel_due_ns(kernel));
    if (kernel_is_shared(kernel) || vm->wants[0] || vm->wants[1] ||
        vm->wants[2])
        end = sooner(end, kernel->slice_from_ns + SLICE_NS);
    end = sooner(end, snapshot_until_ns(vm));
    if (vm->limits.cpu_ns != 0)
        end = sooner(end, clock_now_ns() + vm->limits.cpu_ns - kernel->ran_ns);
    return end;
}

/* Returns 0, GBX_EAGAIN (not yet), or GBX_EHOST. */
static int settle(struct microvm *vm)
{
    struct task *task = vm->kernel->current;
    int rc = machine_save(&vm->machine, &task->state);

    if (rc == 0)
        rc = machine_load(&vm->machine, &task->state);
    if (rc == 0)
        vm->unsettled = false;
    return rc;
}

static int ended(struct microvm *vm, int code, const struct run_exit *exit)
{
    ending_explain(vm, code, exit);
    return code;
}

/* Why it stopped, if it has. */
static int check_end(struct microvm *vm)
{
    struct kernel *kernel = vm->kernel;

    if (atomic_load(&vm->killed))
        return GBX_ECANCELED;
    if (kernel->stopped != 0)
        return ended(vm, kernel->stopped, NULL);
    if (kernel->ended && kernel->space.met_limit &&
        kernel->end.signal == SIGKILL)
        return ended(vm, GBX_EMEMORY, NULL);
    if (kernel->ended)
        return ended(vm, kernel->end.signal != 0 ? GBX_ESIGNAL : GBX_EEXIT,
                     NULL);
    if (vm->limits.cpu_ns != 0 && kernel->ran_ns >= vm->limits.cpu_ns)
        return ended(vm, GBX_ECPU, NULL);
    return MICROVM_ON;
}

/* What happened meanwhile to the streams of the host. */
static void hear_streams(struct microvm *vm)
{
    struct pollfd waits[3];
    size_t count = streams_wanted(vm, waits);

    if (count > 0 && poll(waits, (nfds_t)count, 0) > 0)
        streams_came(vm, waits, count);
}

/* All tasks wait.  Sleep until one need not, or something else matters. */
static int idle(struct microvm *vm, uint64_t deadline_ns)
{
    uint64_t until = sooner(deadline_ns, kernel_due_ns(vm->kernel)), now;
    struct pollfd waits[4] = {{.fd = vm->wake_fd, .events = POLLIN}};
    size_t streams = streams_wanted(vm, waits + 1);
    struct timespec wait;
    uint64_t count;

    until = sooner(until, snapshot_until_ns(vm));
    vm->until_ns = 0;
    now = clock_now_ns();
    if (until != 0 && until <= now)
        until = now;
    wait = clock_timespec(until - now);
    if (ppoll(waits, 1 + streams, until == 0 ? NULL : &wait, NULL) < 0 &&
        errno != EINTR)
        return GBX_EHOST;
    if ((waits[0].revents & POLLIN) != 0 &&
        read(vm->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return GBX_EHOST;
    streams_came(vm, waits + 1, streams);
    return MICROVM_ON;
}

/* The host wrote to the word that the guest waits for, or took output. */
static void hear_host(struct microvm *vm)
{
    if (atomic_exchange(&vm->has_room, false))
        streams_have_room(vm);
    if (vm->shared != NULL && atomic_exchange(&vm->host_rang, false))
        futex_wake_word(vm->kernel, vm->kernel->space.windows[0].at +
                                        offsetof(struct gbx_half_head, bell));
}

static int serve(struct microvm *vm, const struct run_exit *exit)
{
    struct kernel *kernel = vm->kernel;

    vm->unsettled = false; /* all but two of these leave it settled */
    switch (exit->kind) {
    case RUN_SYSCALL:
        kernel_call(kernel);
        return MICROVM_ON;
    case RUN_EXCEPTION:
        kernel_fault(kernel, exit->vector, exit->error, exit->address);
        return MICROVM_ON;
    case RUN_BELL:
        kernel->rang = true;
        return MICROVM_ON;
    case RUN_TIME:
        kernel->fresh_slice = true;
        vm->unsettled = true;
        hear_streams(vm);
        return MICROVM_ON;
    case RUN_STOPPED:
        vm->unsettled = true;
        hear_host(vm);
        return MICROVM_ON;
    case RUN_BROKEN:
        return ended(vm, GBX_EBROKEN, exit);
    }
    return GBX_EHOST;
}

/* The guest's own time, and what was done for it: up to now. */
static void count_time(struct microvm *vm, uint64_t now)
{
    if (vm->until_ns != 0)
        vm->kernel->ran_ns += now - vm->until_ns;
    vm->until_ns = now;
}

static int run_once(struct microvm *vm, uint64_t until_ns)
{
    struct run_exit exit;
    uint64_t now = clock_now_ns();

    count_time(vm, now);
    vdso_tick(&vm->vdso, &vm->kernel->waker, now);
    run_deadline(&vm->machine, until_ns);
    run(&vm->machine, &exit);
    count_time(vm, clock_now_ns());
    return serve(vm, &exit);
}

/*
 * Bring a task to ring 3, or find out that there is none.
 * Returns MICROVM_ON when the processor may run; or what ends the drive; or
 * GBX_EAGAIN to look again.
 */
static int prepare(struct microvm *vm, uint64_t deadline_ns,
                   enum microvm_idling idling)
{
    struct kernel *kernel = vm->kernel;
    int rc;

    if (kernel_goes_on(kernel))
        return MICROVM_ON;
    hear_host(vm);
    rc = kernel_schedule(kernel, clock_now_ns());
    if (rc < 0)
        return ended(vm, GBX_EHOST, NULL);
    if (rc == 0) {
        if (clock_is_past(deadline_ns))
            return GBX_ETIME;
        if (idling == MICROVM_SETTLED ||
            (idling == MICROVM_LEAVE && kernel_due_ns(kernel) == 0 &&
             !vm->wants[0] && !vm->wants[1] && !vm->wants[2]))
            return MICROVM_IDLE;
        rc = idle(vm, deadline_ns);
        return rc < 0 ? rc : GBX_EAGAIN;
    }
    if (!kernel_resume(kernel))
        return GBX_EAGAIN;
    return MICROVM_ON;
}

/* One turn: an end, or MICROVM_ON. */
static int turn(struct microvm *vm, uint64_t deadline_ns,
                enum microvm_idling idling)
{
    int rc = check_end(vm);

    if (snapshot_until_ns(vm) != 0 && clock_is_past(snapshot_until_ns(vm)))
        snapshot_let_go(vm); /* before anybody touches it */

    if (rc != MICROVM_ON)
        return rc;
    if (vm->kernel->rang) {
        vm->kernel->rang = false;
        return MICROVM_RANG;
    }
    if (atomic_load(&vm->yields))
        return MICROVM_IDLE;
    if (vm->unsettled) {
        if (clock_is_past(deadline_ns))
            return GBX_ETIME;
        rc = settle(vm);
        if (rc == GBX_EAGAIN)
            return run_once(vm, clock_now_ns() + SETTLE_NS);
        if (rc < 0)
            return ended(vm, GBX_EHOST, NULL);
    }
    rc = prepare(vm, deadline_ns, idling);
    if (rc == GBX_EAGAIN) /* of a long call, a part is done */
        return clock_is_past(deadline_ns) ? GBX_ETIME : MICROVM_ON;
    if (rc != MICROVM_ON)
        return rc;
    return run_once(vm, end_of_run(vm, deadline_ns));
}

int drive_settle(struct microvm *vm, uint64_t deadline_ns)
{
    int rc = run_enter(&vm->machine, deadline_ns, NULL);

    if (rc < 0)
        return rc;
    do {
        rc = vm->unsettled ? settle(vm) : 0;
        if (rc == GBX_EAGAIN)
            rc = run_once(vm, clock_now_ns() + SETTLE_NS);
        if (rc == MICROVM_ON)
            rc = check_end(vm);
    } while (rc == MICROVM_ON && !clock_is_past(deadline_ns));
    run_leave(&vm->machine);
    return rc == MICROVM_ON ? GBX_ETIME : rc;
}

int drive(struct microvm *vm, uint64_t deadline_ns, enum microvm_idling idling)
{
    struct gbx_error err = {0};
    int rc = microvm_wake(vm, &err);

    if (rc == 0)
        rc = run_enter(&vm->machine, deadline_ns, &err);
    if (rc < 0)
        return ending_tell(vm, rc, err.what);
    vm->until_ns = 0;
    vm->has_run = true;
    hear_host(vm);
    do
        rc = turn(vm, deadline_ns, idling);
    while (rc == MICROVM_ON);
    run_leave(&vm->machine);
    return rc;
}
