/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cond.h"
#include "sandbox/wasm/watch.h"

#define STACK_BYTES (64u << 10)

static struct {
    pthread_mutex_t lock; /* of the list, and of the thread's start */
    pthread_cond_t earlier;
    struct watch *all;
    bool runs;
    _Atomic uint64_t until_ns; /* when it looks next */
} watcher = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Makes those pause whose time has come; when the next one's does. */
static uint64_t look_locked(void)
{
    const uint64_t now = clock_now_ns();
    uint64_t next = UINT64_MAX;

    for (struct watch *w = watcher.all; w != NULL; w = w->next) {
        uint64_t due = atomic_load(&w->due_ns);

        if (due == 0)
            continue;
        if (due > now) {
            next = due < next ? due : next;
            continue;
        }
        /* Another call may have begun meanwhile: it pauses for nothing. */
        if (atomic_compare_exchange_strong(&w->due_ns, &due, 0))
            watch_limit(w->context, UINTPTR_MAX);
        else
            next = now;
    }
    return next;
}

/*
 * Before it sleeps it says until when, and then looks once more: whoever starts
 * meanwhile has either been seen or sees that.
 */
static void *watch_all(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&watcher.lock);
    for (;;) {
        uint64_t next = look_locked();
        struct timespec until;

        atomic_store(&watcher.until_ns, next);
        if (look_locked() < next)
            continue;
        if (next == UINT64_MAX) {
            pthread_cond_wait(&watcher.earlier, &watcher.lock);
            continue;
        }
        until = clock_timespec(next);
        pthread_cond_timedwait(&watcher.earlier, &watcher.lock, &until);
    }
    return NULL;
}

static int start_locked(void)
{
    pthread_attr_t how;
    sigset_t all, before;
    pthread_t thread;
    int rc;

    if (watcher.runs)
        return 0;
    cond_init(&watcher.earlier);
    must(pthread_attr_init(&how) == 0);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&how, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &how, watch_all, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&how);
    watcher.runs = rc == 0;
    return rc == 0 ? 0 : -1;
}

int watch_add(struct watch *watch, struct wasm_context *context)
{
    int rc;

    pthread_mutex_lock(&watcher.lock);
    rc = start_locked();
    if (rc == 0) {
        watch->context = context;
        watch->next = watcher.all;
        watch->link = &watcher.all;
        if (watch->next != NULL)
            watch->next->link = &watch->next;
        watcher.all = watch;
    }
    pthread_mutex_unlock(&watcher.lock);
    return rc;
}

void watch_remove(struct watch *watch)
{
    if (watch->link == NULL)
        return;
    pthread_mutex_lock(&watcher.lock);
    *watch->link = watch->next;
    if (watch->next != NULL)
        watch->next->link = watch->link;
    watch->link = NULL;
    pthread_mutex_unlock(&watcher.lock);
}

void watch_start(struct watch *watch, uint64_t due_ns)
{
    atomic_store(&watch->due_ns, due_ns);
    if (due_ns == 0 || due_ns >= atomic_load(&watcher.until_ns))
        return;
    pthread_mutex_lock(&watcher.lock);
    pthread_cond_signal(&watcher.earlier);
    pthread_mutex_unlock(&watcher.lock);
}

void watch_stop(struct watch *watch)
{
    atomic_store(&watch->due_ns, 0);
}
