/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - who is the guest's processor.
 *
 * Usually the thread of the call: it waits for the guest, so it may as well be
 * it.  That costs one exit a call, and wakes nobody.
 *
 * The runner is a thread that is the processor while no call waits: so that a
 * caller who polls a descriptor gets somewhere, and so that, when calls follow
 * each other quickly, a guest that spins finds the next one at once, without
 * any exit.  It takes the processor when it is asked to, and parks it when the
 * guest has nothing to do; whoever waits next takes it from there.
 *
 * And it takes over in the middle of a call when the guest chats: when it rings
 * again and again, each time soon after the last.  Each ring is an exit where a
 * message between two that spin costs a three-hundredth of one.  If it turns
 * out that the caller does not find messages by spinning, but has to be woken
 * for them, it takes the processor back, and next time more rings are needed.
 *
 *   NOBODY --run--> CALLER --returns--> NOBODY
 *     |  ^
 *  wanted |parked, ended
 *     v  |
 *   RUNNER
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sandbox/microvm/backend/microvm.h"

#define SETTLE_NS  100000000u
#define TAKE_NS    1000000000u
#define REST_NS    10000000u /* then it is stopped where it is */
#define RELEASE_NS 10000000000u
#define QUICK_NS   100000u

/* Rings that follow each other within QUICK_NS, and about as much time in exits
 * as the runner needs to come. */
#define CHAT_FEW     16u
#define CHAT_MANY    4096u
#define CHAT_LATE_NS 10000000u
#define NAPS_MAX     4u
#define NAP_NS       1000000u /* they are soon after each other */

void runner_tell_locked(struct microvm *vm)
{
    const uint64_t one = 1;

    while (write(vm->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    vm->told = true;
    pthread_cond_broadcast(&vm->changed);
}

/* The descriptor is readable when run would return, and else it is not. */
static void settle_event_locked(struct microvm *vm)
{
    uint64_t count;

    if (!vm->told || vm->rang || vm->outcome != 0 || vm->buffer_bytes > 0 ||
        atomic_load(&vm->killed))
        return;
    vm->told = false;
    while (read(vm->event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static bool has_word(struct microvm *vm)
{
    return atomic_load(&vm->host_rang) || atomic_load(&vm->has_room);
}

void runner_nudge(struct microvm *vm)
{
    const uint64_t one = 1;

    run_stop(&vm->machine);
    while (write(vm->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

/* The runner has the processor; locked, but for the drive itself. */
static void have_locked(struct microvm *vm)
{
    int rc;

    vm->who = MICROVM_RUNNER;
    vm->parked = false;
    pthread_cond_broadcast(&vm->changed);
    do {
        pthread_mutex_unlock(&vm->lock);
        rc = drive(vm, 0, MICROVM_LEAVE);
        pthread_mutex_lock(&vm->lock);
        if (rc == MICROVM_RANG) {
            vm->rang = true;
            runner_tell_locked(vm);
        }
    } while (!vm->quits && !atomic_load(&vm->killed) &&
             !atomic_load(&vm->yields) &&
             (rc == MICROVM_RANG || (rc == MICROVM_IDLE && has_word(vm))));
    vm->who = MICROVM_NOBODY;
    vm->parked = rc == MICROVM_IDLE && !atomic_load(&vm->yields);
    vm->parked_ns = clock_now_ns();
    if (rc < 0 && vm->outcome == 0)
        vm->outcome = rc;
    if (rc < 0 || vm->buffer_bytes > 0)
        runner_tell_locked(vm);
    else
        pthread_cond_broadcast(&vm->changed);
}

static void *runner(void *context)
{
    struct microvm *vm = context;

    pthread_mutex_lock(&vm->lock);
    while (!vm->quits) {
        if (vm->wanted && vm->who == MICROVM_NOBODY) {
            vm->wanted = false;
            if (vm->outcome == 0)
                have_locked(vm);
        } else {
            pthread_cond_wait(&vm->changed, &vm->lock);
        }
    }
    pthread_mutex_unlock(&vm->lock);
    return NULL;
}

/* Signals are for the embedder's own threads. */
static int start_thread(struct microvm *vm)
{
    sigset_t all, before;
    int rc;

    if (vm->has_thread)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    vm->quits = false;
    rc = pthread_create(&vm->thread, NULL, runner, vm);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return GBX_EHOST;
    pthread_setname_np(vm->thread, "glovebox-vcpu");
    vm->has_thread = true;
    return 0;
}

static int hand_over_locked(struct microvm *vm)
{
    int rc = start_thread(vm);

    if (rc < 0)
        return rc;
    vm->wanted = true;
    pthread_cond_broadcast(&vm->changed);
    return 0;
}

void runner_stop(struct microvm *vm)
{
    if (!vm->has_thread)
        return;
    pthread_mutex_lock(&vm->lock);
    vm->quits = true;
    if (vm->who == MICROVM_RUNNER) {
        atomic_store(&vm->killed, true);
        runner_nudge(vm);
    }
    pthread_cond_broadcast(&vm->changed);
    pthread_mutex_unlock(&vm->lock);
    pthread_join(vm->thread, NULL);
    vm->has_thread = false;
}

/*
 * The output that the runner has kept goes to the embedder, whose function may
 * take its time, or kill the guest: so the lock is not held.
 */
static void deliver_locked(struct microvm *vm)
{
    const size_t bytes = vm->buffer_bytes;
    char *records = vm->buffer;
    int rc;

    vm->buffer = vm->spare;
    vm->spare = records;
    vm->buffer_bytes = 0;
    atomic_store(&vm->has_room, true);
    pthread_mutex_unlock(&vm->lock);
    rc = streams_deliver(vm, records, bytes);
    pthread_mutex_lock(&vm->lock);
    if (rc < 0 && vm->outcome == 0)
        vm->outcome = rc;
    if (vm->who == MICROVM_RUNNER)
        runner_nudge(vm);
}

/* What the runner has left: 1 when it rang, 0, or what ends the run.  All that
 * the guest wrote before comes first. */
static int collect_locked(struct microvm *vm)
{
    int rc = 0;

    if (vm->buffer_bytes > 0)
        deliver_locked(vm);
    if (vm->buffer_bytes == 0) {
        rc = vm->rang ? 1 : vm->outcome;
        vm->rang = false;
    }
    settle_event_locked(vm);
    return rc;
}

/* It had to be woken for what it waited for. */
static void note_nap_locked(struct microvm *vm)
{
    const uint64_t now = clock_now_ns();

    vm->chat.naps = now - vm->chat.woke_ns < NAP_NS ? vm->chat.naps + 1 : 0;
    vm->chat.woke_ns = now;
}

/* Until the runner has something, or lets go.  Returns as collect. */
static int await_locked(struct microvm *vm, uint64_t deadline_ns)
{
    struct timespec until = clock_timespec(deadline_ns);
    int rc = collect_locked(vm);
    const bool naps = rc == 0 && vm->who == MICROVM_RUNNER;

    while (rc == 0 && (vm->who == MICROVM_RUNNER || vm->buffer_bytes > 0) &&
           !clock_is_past(deadline_ns) && !atomic_load(&vm->killed)) {
        if (vm->buffer_bytes == 0 && deadline_ns == 0)
            pthread_cond_wait(&vm->changed, &vm->lock);
        else if (vm->buffer_bytes == 0)
            pthread_cond_timedwait(&vm->changed, &vm->lock, &until);
        rc = collect_locked(vm);
    }
    if (naps && vm->chat.is_on)
        note_nap_locked(vm);
    return rc;
}

static bool may_do_something(struct microvm *vm)
{
    return !vm->parked || has_word(vm);
}

static void note_ring_locked(struct microvm *vm)
{
    const uint64_t now = clock_now_ns();

    vm->chat.rings = now - vm->chat.rang_ns < QUICK_NS ? vm->chat.rings + 1 : 0;
    vm->chat.rang_ns = now;
}

/* The caller's own thread is the processor. */
static int be_it_locked(struct microvm *vm, uint64_t deadline_ns)
{
    int rc;

    vm->who = MICROVM_CALLER;
    vm->wanted = vm->parked = vm->chat.is_on = false;
    pthread_mutex_unlock(&vm->lock);
    rc = drive(vm, deadline_ns, MICROVM_WAIT);
    pthread_mutex_lock(&vm->lock);
    vm->who = MICROVM_NOBODY;
    if (rc < 0 && rc != GBX_ETIME && vm->outcome == 0)
        vm->outcome = rc;
    if (rc == MICROVM_RANG && vm->spin_ns != 0)
        note_ring_locked(vm);
    return rc;
}

/*
 * Did the call begin while a guest that spins would still have been spinning?
 * Then the runner is worth its coming: once it has the processor, it keeps it.
 * With longer pauses it would come, spin and park for each call.  Where the
 * runner had the processor, the guest began to spin before it parked it.
 */
static bool is_quick_locked(const struct microvm *vm)
{
    uint64_t rested_ns =
        vm->rested_ns != 0 ? vm->rested_ns : vm->parked_ns - vm->spin_ns;

    return vm->who == MICROVM_RUNNER ||
           clock_now_ns() - rested_ns < vm->spin_ns;
}

/* The runner parks it as soon as the guest has nothing to do. */
static int take_locked(struct microvm *vm, uint64_t deadline_ns)
{
    struct timespec until = clock_timespec(deadline_ns);

    atomic_store(&vm->yields, true);
    vm->wanted = false;
    while (vm->who == MICROVM_RUNNER && !clock_is_past(deadline_ns)) {
        runner_nudge(vm);
        pthread_cond_timedwait(&vm->changed, &vm->lock, &until);
    }
    atomic_store(&vm->yields, false);
    if (vm->who == MICROVM_RUNNER)
        return GBX_ETIME;
    vm->who = MICROVM_CALLER;
    return vm->outcome;
}

/* The runner takes over.  True: it has been there, and may have left a word. */
static bool begin_chat_locked(struct microvm *vm, uint64_t deadline_ns)
{
    struct timespec until;
    uint64_t late_ns;

    if (vm->chat.rings < (vm->chat.enough != 0 ? vm->chat.enough : CHAT_FEW) ||
        clock_is_past(deadline_ns) || atomic_load(&vm->killed))
        return false;
    vm->chat.rings = vm->chat.naps = 0;
    if (hand_over_locked(vm) < 0)
        return false; /* without a thread all goes on as before */
    late_ns = clock_now_ns() + CHAT_LATE_NS;
    until = clock_timespec(late_ns);
    while (vm->wanted && vm->who == MICROVM_NOBODY && !clock_is_past(late_ns))
        pthread_cond_timedwait(&vm->changed, &vm->lock, &until);
    vm->chat.is_on = vm->who == MICROVM_RUNNER;
    return true;
}

/* It was none: the caller is the processor again. */
static void end_chat_locked(struct microvm *vm)
{
    uint32_t enough = vm->chat.enough != 0 ? vm->chat.enough : CHAT_FEW;

    take_locked(vm, clock_now_ns() + TAKE_NS);
    if (vm->who == MICROVM_CALLER)
        vm->who = MICROVM_NOBODY;
    vm->chat.enough = enough < CHAT_MANY ? 2 * enough : CHAT_MANY;
    vm->chat.is_on = false;
}

static int run_locked(struct microvm *vm, uint64_t deadline_ns)
{
    int rc;

    if (vm->rests) /* the first run of a call */
        vm->quick = is_quick_locked(vm);
    vm->rests = false;
    if (vm->chat.is_on && vm->chat.naps > NAPS_MAX)
        end_chat_locked(vm);
    rc = await_locked(vm, deadline_ns);
    if (rc == 0 && begin_chat_locked(vm, deadline_ns))
        rc = await_locked(vm, deadline_ns);
    if (rc != 0)
        return rc > 0 ? 0 : rc;
    if (atomic_load(&vm->killed))
        return GBX_ECANCELED;
    if (clock_is_past(deadline_ns)) {
        /* Nobody will wait here: somebody has to run it. */
        if (vm->who == MICROVM_NOBODY && may_do_something(vm) &&
            hand_over_locked(vm) < 0)
            return ending_tell(vm, GBX_EHOST,
                               "no thread to run a guest on; raise ulimit -u");
        return GBX_ETIME;
    }
    return be_it_locked(vm, deadline_ns);
}

int runner_release(struct microvm *vm)
{
    bool free;

    pthread_mutex_lock(&vm->lock);
    take_locked(vm, clock_now_ns() + RELEASE_NS);
    free = vm->who == MICROVM_CALLER;
    if (free)
        vm->who = MICROVM_NOBODY;
    pthread_mutex_unlock(&vm->lock);
    return free ? 0 : GBX_ETIME;
}

int runner_settle(struct microvm *vm)
{
    int rc;

    pthread_mutex_lock(&vm->lock);
    rc = take_locked(vm, clock_now_ns() + TAKE_NS);
    pthread_mutex_unlock(&vm->lock);
    if (rc == 0)
        rc = drive(vm, clock_now_ns() + REST_NS, MICROVM_SETTLED);
    if (rc == GBX_ETIME && vm->who == MICROVM_CALLER)
        rc = drive_settle(vm, clock_now_ns() + SETTLE_NS);
    pthread_mutex_lock(&vm->lock);
    if (vm->who == MICROVM_CALLER)
        vm->who = MICROVM_NOBODY;
    pthread_mutex_unlock(&vm->lock);
    return rc == MICROVM_IDLE || rc == MICROVM_RANG ? 0 : rc;
}

void runner_rest(struct microvm *vm)
{
    if (vm->spin_ns == 0)
        return;
    vm->rests = true;
    vm->rested_ns = 0;
    /* Spinning, it need not know the time: the runner will say when it went. */
    if (atomic_load_explicit(&vm->who, memory_order_relaxed) == MICROVM_RUNNER)
        return;
    vm->rested_ns = clock_now_ns();
    if (!vm->quick)
        return;
    pthread_mutex_lock(&vm->lock);
    if (vm->who == MICROVM_NOBODY && vm->outcome == 0 && !vm->wanted)
        hand_over_locked(vm); /* without it, all goes on as before */
    pthread_mutex_unlock(&vm->lock);
}

int runner_run(struct microvm *vm, uint64_t deadline_ns)
{
    int rc;

    pthread_mutex_lock(&vm->lock);
    rc = run_locked(vm, deadline_ns);
    pthread_mutex_unlock(&vm->lock);
    return rc;
}
