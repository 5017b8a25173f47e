/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"
#include "flow/schedule/schedule.h"

#define SPIN_NS    20000u /* what a sleep and a wake-up cost */
#define ROW_MAX    32u    /* nodes that a worker runs before it asks again */
#define FAIR_TURNS 8u

void schedule_open(struct schedule *schedule, uint32_t workers,
                   schedule_run_fn run, schedule_wake_fn wake)
{
    *schedule = (struct schedule){.run = run, .wake = wake};
    if (workers > SCHEDULE_WORKERS_MAX / 2)
        workers = SCHEDULE_WORKERS_MAX / 2;
    schedule->wanted = schedule->wanted_min = workers;
    must(pthread_mutex_init(&schedule->lock, NULL) == 0);
    must(pthread_cond_init(&schedule->work, NULL) == 0);
    cond_init(&schedule->watch_work);
}

/* ---- lines ---- */

static void append_locked(struct schedule *schedule, struct flow_node *node)
{
    unsigned line = node->priority;

    node->next = NULL;
    if (schedule->last[line] == NULL)
        schedule->first[line] = node;
    else
        schedule->last[line]->next = node;
    schedule->last[line] = node;
    atomic_fetch_add(&schedule->queued, 1);
}

static struct flow_node *shift_locked(struct schedule *schedule, unsigned line)
{
    struct flow_node *node = schedule->first[line];

    if (node == NULL)
        return NULL;
    schedule->first[line] = node->next;
    if (node->next == NULL)
        schedule->last[line] = NULL;
    node->next = NULL;
    atomic_fetch_sub(&schedule->queued, 1);
    return node;
}

static struct flow_node *first_locked(struct schedule *schedule)
{
    const bool is_fair = ++schedule->turns % FAIR_TURNS == 0;
    struct flow_node *node = NULL;

    for (unsigned i = 0; i < SCHEDULE_PRIORITIES && node == NULL; i++)
        node =
            shift_locked(schedule, is_fair ? SCHEDULE_PRIORITIES - 1 - i : i);
    return node;
}

static void give(struct schedule *schedule, struct flow_node *node)
{
    pthread_mutex_lock(&schedule->lock);
    append_locked(schedule, node);
    /* One that spins will see it. */
    if (schedule->idle > 0 && schedule->running < schedule->wanted &&
        atomic_load(&schedule->spinning) == 0)
        pthread_cond_signal(&schedule->work);
    /* All are stuck, and the watch sleeps: it is to replace one. */
    if (schedule->idle == 0 && schedule->running < schedule->wanted)
        pthread_cond_signal(&schedule->watch_work);
    pthread_mutex_unlock(&schedule->lock);
}

void schedule_put(struct schedule *schedule, struct worker *worker,
                  struct flow_node *node)
{
    if (worker != NULL && worker->next == NULL)
        worker->next = node;
    else
        give(schedule, node);
}

/* ---- workers ---- */

/* Awake, for a moment, and only one: true: there is something. */
static bool spin(struct schedule *schedule)
{
    const uint64_t until_ns = clock_now_ns() + SPIN_NS;
    bool has = false;

    if (schedule->wanted_min < 2)
        return false;
    if (atomic_fetch_add(&schedule->spinning, 1) > 0) {
        atomic_fetch_sub(&schedule->spinning, 1);
        return false;
    }
    do {
        for (int i = 0; i < 64 && !has; i++) {
            __builtin_ia32_pause();
            has = atomic_load_explicit(&schedule->queued,
                                       memory_order_relaxed) > 0;
        }
    } while (!has && clock_now_ns() < until_ns);
    atomic_fetch_sub(&schedule->spinning, 1);
    return has;
}

/* Until there is something to run, and it may be run; NULL: the end. */
static struct flow_node *await_locked(struct schedule *schedule)
{
    struct flow_node *node = NULL;
    bool has_spun = false;

    while (!schedule->stops) {
        if (schedule->running <= schedule->wanted &&
            (node = first_locked(schedule)) != NULL)
            return node;
        if (!has_spun && schedule->running <= schedule->wanted) {
            pthread_mutex_unlock(&schedule->lock);
            has_spun = !spin(schedule);
            pthread_mutex_lock(&schedule->lock);
            if (atomic_load(&schedule->queued) > 0)
                continue;
        }
        has_spun = false;
        schedule->running--;
        schedule->idle++;
        while (!schedule->stops && (atomic_load(&schedule->queued) == 0 ||
                                    schedule->running >= schedule->wanted))
            pthread_cond_wait(&schedule->work, &schedule->lock);
        schedule->idle--;
        schedule->running++;
    }
    return NULL;
}

static struct flow_node *next_node(struct worker *worker)
{
    struct schedule *schedule = worker->schedule;
    struct flow_node *node = worker->next;

    worker->next = NULL;
    if (node != NULL && ++worker->in_a_row < ROW_MAX && !worker->is_stuck)
        return node;
    worker->in_a_row = 0;
    pthread_mutex_lock(&schedule->lock);
    if (node != NULL)
        append_locked(schedule, node);
    if (worker->is_stuck) { /* it is not any more */
        worker->is_stuck = false;
        schedule->wanted--;
    }
    node = await_locked(schedule);
    pthread_mutex_unlock(&schedule->lock);
    return node;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct schedule *schedule = worker->schedule;
    struct flow_node *node;

    while ((node = next_node(worker)) != NULL) {
        /* The watch says that it sleeps, and then looks at this. */
        atomic_store(&worker->since_ns, clock_now_ns());
        if (atomic_load(&schedule->watch_sleeps))
            schedule_watch_nudge(schedule);
        schedule->run(worker, node);
        atomic_store_explicit(&worker->since_ns, 0, memory_order_relaxed);
    }
    return NULL;
}

int schedule_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : -1;
}

static int add_worker_locked(struct schedule *schedule)
{
    struct worker *worker;

    if (schedule->thread_count == SCHEDULE_WORKERS_MAX)
        return -1;
    worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return -1;
    worker->schedule = schedule;
    worker->index = schedule->thread_count;
    schedule->running++; /* it looks for work when it begins */
    if (schedule_thread(&worker->thread, work, worker) < 0) {
        schedule->running--;
        free(worker);
        return -1;
    }
    schedule->workers[schedule->thread_count++] = worker;
    return 0;
}

void schedule_replace_locked(struct schedule *schedule)
{
    if (schedule->idle > 0)
        pthread_cond_signal(&schedule->work);
    else
        add_worker_locked(schedule); /* or the others have more to do */
}

int schedule_start(struct schedule *schedule, struct gbx_error *err)
{
    int rc;

    pthread_mutex_lock(&schedule->lock);
    schedule->is_started = true;
    rc = schedule->is_watched ? 0 : schedule_watch_start(schedule);
    for (uint32_t i = 0; i < schedule->wanted_min && rc == 0; i++)
        rc = add_worker_locked(schedule);
    pthread_mutex_unlock(&schedule->lock);
    return rc == 0 ? 0 : fail(err, GBX_EHOST, "a flow's threads");
}

void schedule_stop(struct schedule *schedule)
{
    uint32_t count;

    pthread_mutex_lock(&schedule->lock);
    schedule->stops = true;
    pthread_cond_broadcast(&schedule->work);
    pthread_cond_broadcast(&schedule->watch_work);
    count = schedule->thread_count;
    pthread_mutex_unlock(&schedule->lock);
    /* No worker is added any more: the watch looks at stops. */
    for (uint32_t i = 0; i < count; i++)
        pthread_join(schedule->workers[i]->thread, NULL);
    if (schedule->is_watched)
        pthread_join(schedule->watch, NULL);
    schedule->is_watched = false;
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = schedule->workers[i];

        flow_node_put(worker->next);
        free(worker->outbox);
        free(worker->batch);
        free(worker);
    }
    schedule->thread_count = 0;
}

void schedule_close(struct schedule *schedule)
{
    schedule_stop(schedule);
    for (unsigned i = 0; i < SCHEDULE_PRIORITIES; i++)
        for (struct flow_node *n; (n = shift_locked(schedule, i)) != NULL;)
            flow_node_put(n);
    schedule_watch_close(schedule);
    pthread_cond_destroy(&schedule->work);
    pthread_cond_destroy(&schedule->watch_work);
    pthread_mutex_destroy(&schedule->lock);
}
