/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm.c - the door: what a sandbox asks of a micro-VM.
 *
 * There is no other thread, unless one is wanted (runner.c): the guest runs
 * when the thread of a call has nothing to do but wait for it.
 *
 * A child that the embedder forks has no runner, no memory of the guest's (it
 * is not copied: MADV_DONTFORK), and KVM lets it run nothing.  There close
 * closes the descriptors, and all else refuses or does nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"
#include "base/fd.h"
#include "sandbox/microvm/backend/microvm.h"
#include "sandbox/microvm/backend/seen.h"

static const char of_parent[] =
    "a process cannot run the sandboxes of its parent; open its own";

static void free_list(char ***list)
{
    for (size_t i = 0; *list != NULL && (*list)[i] != NULL; i++)
        free((*list)[i]);
    free(*list);
    *list = NULL;
}

static char **copy_list(const char *const *list)
{
    size_t count = 0;
    char **copy;

    while (list[count] != NULL)
        count++;
    copy = calloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < count; i++)
        if ((copy[i] = strdup(list[i])) == NULL)
            free_list(&copy); /* and so it ends */
    return copy;
}

/* Returns false when there is no memory. */
static bool copy_text(char **to, const char *from)
{
    *to = from == NULL ? NULL : strdup(from);
    return from == NULL || *to != NULL;
}

static int step_mark(struct microvm *vm, struct gbx_error *err)
{
    char *mark = mmap(NULL, MEMORY_PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mark == MAP_FAILED)
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    vm->mark = mark;
    if (madvise(mark, MEMORY_PAGE_BYTES, MADV_WIPEONFORK) < 0)
        return fail(err, GBX_EHOST, "mark memory for a sandbox");
    *mark = 1;
    return 0;
}

static bool is_child(const struct microvm *vm)
{
    return vm->mark != NULL && *vm->mark == 0;
}

static int step_limits(struct microvm *vm, const struct bundle *what,
                       struct gbx_error *err)
{
    vm->limits = what->limits;
    vm->output = what->output;
    vm->output_context = what->output_context;
    vm->spin_ns = what->spin_ns;
    return bundle_check(what, err);
}

/* What a snapshot has, cannot be had otherwise. */
static int step_snapshot(const struct microvm *vm, struct gbx_error *err)
{
    const struct gbx_limits *mine = &vm->limits, *was;

    if (vm->snapshot == NULL)
        return 0;
    if (snapshot_until_ns(vm) != 0 && clock_is_past(snapshot_until_ns(vm)))
        return fail(err, GBX_ESTALE, "a template whose file may change by now");
    was = &vm->snapshot->limits;
    if (mine->memory_bytes != was->memory_bytes ||
        mine->message_bytes != was->message_bytes ||
        mine->disk_bytes != was->disk_bytes ||
        mine->processes != was->processes || mine->files != was->files)
        return fail(err, GBX_ESTALE, "a template with other limits");
    return 0;
}

static int step_copies(struct microvm *vm, const struct bundle *what,
                       struct gbx_error *err)
{
    vm->argv = copy_list(what->argv);
    vm->envp = copy_list(what->envp);
    if (!copy_text(&vm->program, what->program) ||
        !copy_text(&vm->folder, what->folder) ||
        !copy_text(&vm->root, what->root) ||
        !copy_text(&vm->working_dir, what->working_dir) || vm->argv == NULL ||
        vm->envp == NULL ||
        (vm->buffer = malloc(MICROVM_OUTPUT_BYTES)) == NULL ||
        (vm->spare = malloc(MICROVM_OUTPUT_BYTES)) == NULL)
        return fail(err, GBX_EHOST, "no memory for a sandbox");
    vm->what = *what;
    return 0;
}

static int step_events(struct microvm *vm, struct gbx_error *err)
{
    vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return vm->wake_fd < 0 || vm->event_fd < 0
               ? fail(err, GBX_EHOST, "open an eventfd")
               : 0;
}

static void init_lock(struct microvm *vm)
{
    cond_init(&vm->changed);
    must(pthread_mutex_init(&vm->lock, NULL) == 0);
    vm->lock_open = true;
}

static int microvm_clone(void *context, const struct bundle *what,
                         struct snapshot *snapshot, struct region *shared,
                         struct gbx_error *err)
{
    struct microvm *vm = context;
    int rc;

    vm->is_open = true;
    vm->snapshot = snapshot;
    if (snapshot != NULL)
        snapshot_get(snapshot);
    vm->machine = (struct machine)MACHINE_NONE;
    vm->shared = shared;
    vm->wake_fd = vm->event_fd = vm->folder_fd = -1;
    init_lock(vm);
    if ((rc = step_limits(vm, what, err)) < 0 ||
        (rc = step_snapshot(vm, err)) < 0 || (rc = step_mark(vm, err)) < 0 ||
        (rc = step_copies(vm, what, err)) < 0 ||
        (rc = step_events(vm, err)) < 0)
        return rc;
    return microvm_start(vm, what, err);
}

static int resume(void *context, const struct bundle *what,
                  struct snapshot *snapshot, const struct suspended *suspended,
                  struct region *shared, struct gbx_error *err)
{
    struct microvm *vm = context;
    int rc;

    if (suspended->owner != getpid())
        return fail(err, GBX_EHOST, "%s", of_parent);
    vm->was = suspended;
    rc = microvm_clone(vm, what, snapshot, shared, err);
    vm->was = NULL;
    atomic_store(&vm->host_rang, true); /* it may have been: it shall look */
    return rc;
}

static int suspend(void *context, struct suspended **suspended,
                   struct gbx_error *err)
{
    *suspended = NULL;
    return is_child(context) ? fail(err, GBX_EHOST, "%s", of_parent)
                             : microvm_suspend(context, suspended, err);
}

static int microvm_open(void *context, const struct bundle *what,
                        struct region *shared, struct gbx_error *err)
{
    return microvm_clone(context, what, NULL, shared, err);
}

static void microvm_close(void *context)
{
    struct microvm *vm = context;

    if (!vm->is_open)
        return;
    if (is_child(vm)) {
        microvm_leave(vm);
    } else {
        runner_stop(vm);
        microvm_stop(vm);
        pthread_cond_destroy(&vm->changed);
        pthread_mutex_destroy(&vm->lock);
    }
    close_fd(&vm->folder_fd);
    close_fd(&vm->event_fd);
    close_fd(&vm->wake_fd);
    if (vm->mark != NULL)
        munmap(vm->mark, MEMORY_PAGE_BYTES);
    vm->mark = NULL;
    free_list(&vm->argv);
    free_list(&vm->envp);
    free(vm->program);
    free(vm->folder);
    free(vm->root);
    free(vm->working_dir);
    free(vm->buffer);
    free(vm->spare);
    vm->program = vm->folder = vm->root = vm->working_dir = NULL;
    vm->buffer = vm->spare = NULL;
    snapshot_put(vm->snapshot);
    vm->snapshot = NULL;
    vm->is_open = false;
}

static void drain(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static void microvm_kill(void *context)
{
    struct microvm *vm = context;

    if (is_child(vm))
        return;
    atomic_store(&vm->killed, true);
    pthread_mutex_lock(&vm->lock);
    if (vm->has_machine)
        runner_nudge(vm);
    runner_tell_locked(vm);
    pthread_mutex_unlock(&vm->lock);
}

static int microvm_snapshot(void *context, struct snapshot **snapshot,
                            struct gbx_error *err)
{
    *snapshot = NULL;
    return is_child(context) ? fail(err, GBX_EHOST, "%s", of_parent)
                             : snapshot_take(context, snapshot, err);
}

static int microvm_wipe(void *context, struct gbx_error *err)
{
    struct microvm *vm = context;
    int rc;

    if (is_child(vm))
        return fail(err, GBX_EHOST, "%s", of_parent);
    if (vm->snapshot != NULL) {
        if ((rc = runner_release(vm)) == 0) {
            drain(vm->wake_fd);
            drain(vm->event_fd);
            atomic_store(&vm->killed, false);
            rc = snapshot_restore(vm, err);
        }
        return rc;
    }
    runner_stop(vm);
    microvm_stop(vm);
    if (vm->shared != NULL && region_reset(vm->shared) < 0)
        return vm->outcome = fail(err, GBX_EHOST, "empty the region");
    drain(vm->wake_fd);
    drain(vm->event_fd);
    atomic_store(&vm->killed, false); /* of the past; it may come again */
    vm->buffer_bytes = 0;
    vm->end_text[0] = '\0';
    rc = microvm_start(vm, &vm->what, err);
    if (rc < 0)
        vm->outcome = rc; /* of a run that comes in spite of it */
    return rc;
}

static bool park(void *context)
{
    return !is_child(context) && microvm_park(context);
}

static bool is_awake(void *context)
{
    const struct microvm *vm = context;

    return vm->machine.is_started;
}

static int wake_up(void *context, struct gbx_error *err)
{
    struct microvm *vm = context;

    return is_child(vm) ? fail(err, GBX_EHOST, "%s", of_parent)
                        : microvm_wake(vm, err);
}

static int borrow(void *context, uint64_t off, uint64_t bytes, int fd,
                  uint64_t at)
{
    return is_child(context) ? GBX_EHOST
                             : microvm_borrow(context, off, bytes, fd, at);
}

static int seen(void *context, uint64_t off, uint64_t bytes)
{
    const struct microvm *vm = context;

    return seen_sixteenths(vm->halves[HALF_HOST].host + off, bytes);
}

static int microvm_run(void *context, uint64_t deadline_ns)
{
    struct microvm *vm = context;

    if (is_child(vm))
        return vm->last = ending_tell(vm, GBX_EHOST, of_parent);
    return vm->last = runner_run(vm, deadline_ns);
}

static bool microvm_is_running(void *context)
{
    struct microvm *vm = context;

    return atomic_load_explicit(&vm->who, memory_order_relaxed) ==
           MICROVM_RUNNER;
}

static void microvm_rest(void *context)
{
    struct microvm *vm = context;

    if (!is_child(vm))
        runner_rest(vm);
}

static void microvm_ring(void *context)
{
    struct microvm *vm = context;

    atomic_store(&vm->host_rang, true);
    /*
     * The runner: sets `who`, then looks at host_rang.  So either it hears, or
     * it is seen here.  A task that waits must not stand behind one that spins.
     */
    if (atomic_load(&vm->who) == MICROVM_RUNNER && !is_child(vm))
        runner_nudge(vm);
}

static int microvm_fd(void *context)
{
    const struct microvm *vm = context;

    return vm->event_fd;
}

static int microvm_status(void *context)
{
    const struct microvm *vm = context;
    const struct kernel_end *end = &vm->kernel->end;

    return end->signal != 0 ? 128 + end->signal : end->status;
}

static void microvm_explain(void *context, struct gbx_error *err)
{
    const struct microvm *vm = context;

    errno = 0;
    fail(err, vm->last, "%s",
         vm->end_text[0] != '\0' ? vm->end_text : gbx_strerror(vm->last));
}

static uint64_t microvm_wiped_pages(void *context)
{
    const struct microvm *vm = context;

    return vm->wiped.pages;
}

static const char *microvm_lacked(void *context)
{
    const struct microvm *vm = context;

    return vm->kernel->unsupported;
}

const struct backend backend_microvm = {
    .name = "microvm",
    .self_bytes = sizeof(struct microvm),
    .probe = microvm_probe,
    .open = microvm_open,
    .snapshot = microvm_snapshot,
    .clone = microvm_clone,
    .put = snapshot_put,
    .save = snapshot_save,
    .load = snapshot_load,
    .run = microvm_run,
    .is_running = microvm_is_running,
    .rest = microvm_rest,
    .ring = microvm_ring,
    .fd = microvm_fd,
    .status = microvm_status,
    .explain = microvm_explain,
    .lacked = microvm_lacked,
    .wipe = microvm_wipe,
    .wiped_pages = microvm_wiped_pages,
    .park = park,
    .is_awake = is_awake,
    .awake_count = machine_count,
    .wake = wake_up,
    .suspend = suspend,
    .resume = resume,
    .discard = microvm_discard,
    .borrow = borrow,
    .seen = seen,
    .kill = microvm_kill,
    .close = microvm_close,
};
