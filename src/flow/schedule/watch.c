/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - wakes nodes whose time has come, and sees who is stuck.
 *
 * While somebody runs it looks every 10 ms; when it finds nobody, it says that
 * it sleeps, looks once more, and sleeps until the next node is to be woken.
 * Whoever begins to run then wakes it.  Nodes to be woken lie in a heap.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "flow/schedule/schedule.h"

#define LOOK_NS 10000000u

/* ---- the heap: each is no sooner than the one at half its place ---- */

static void put_at(struct schedule *schedule, uint32_t place,
                   struct flow_node *node)
{
    schedule->heap[place] = node;
    node->heap_place = place;
}

static void rise(struct schedule *schedule, uint32_t place)
{
    struct flow_node *node = schedule->heap[place];

    for (; place > 1 && schedule->heap[place / 2]->due_ns > node->due_ns;
         place /= 2)
        put_at(schedule, place, schedule->heap[place / 2]);
    put_at(schedule, place, node);
}

static void sink(struct schedule *schedule, uint32_t place)
{
    struct flow_node *node = schedule->heap[place];

    for (;;) {
        uint32_t child = 2 * place;

        if (child > schedule->heap_count)
            break;
        if (child < schedule->heap_count &&
            schedule->heap[child + 1]->due_ns < schedule->heap[child]->due_ns)
            child++;
        if (schedule->heap[child]->due_ns >= node->due_ns)
            break;
        put_at(schedule, place, schedule->heap[child]);
        place = child;
    }
    put_at(schedule, place, node);
}

static void take_out(struct schedule *schedule, struct flow_node *node)
{
    uint32_t place = node->heap_place;
    struct flow_node *last = schedule->heap[schedule->heap_count--];

    node->heap_place = 0;
    if (last == node)
        return;
    put_at(schedule, place, last);
    rise(schedule, place);
    sink(schedule, last->heap_place);
}

static bool grow(struct schedule *schedule, uint32_t room)
{
    struct flow_node **heap = realloc(schedule->heap, room * sizeof(*heap));

    if (heap == NULL)
        return false;
    schedule->heap = heap;
    schedule->heap_room = room;
    return true;
}

bool schedule_reserve(struct schedule *schedule, uint32_t count)
{
    bool good = true;

    pthread_mutex_lock(&schedule->lock);
    if (count + 1 > schedule->heap_room)
        good = grow(schedule, 2 * count + 16);
    pthread_mutex_unlock(&schedule->lock);
    return good;
}

bool schedule_wake_at(struct schedule *schedule, struct flow_node *node,
                      uint64_t at_ns)
{
    bool good = true, was_there;

    pthread_mutex_lock(&schedule->lock);
    was_there = node->heap_place != 0;
    if (was_there)
        take_out(schedule, node);
    node->due_ns = at_ns;
    if (at_ns != 0 && schedule->heap_count + 1 >= schedule->heap_room)
        good = grow(schedule, 2 * schedule->heap_room + 16);
    if (at_ns != 0 && good) {
        put_at(schedule, ++schedule->heap_count, node);
        rise(schedule, schedule->heap_count);
        if (!was_there)
            flow_node_get(node);
        if (schedule->heap[1] == node)
            pthread_cond_signal(&schedule->watch_work);
    }
    pthread_mutex_unlock(&schedule->lock);
    if (was_there && (at_ns == 0 || !good))
        flow_node_put(node);
    return good;
}

bool schedule_wakes(struct schedule *schedule)
{
    bool some;

    pthread_mutex_lock(&schedule->lock);
    some = schedule->heap_count > 0 || atomic_load(schedule->pending) > 0;
    pthread_mutex_unlock(&schedule->lock);
    return some;
}

bool schedule_has(struct schedule *schedule)
{
    bool some;

    pthread_mutex_lock(&schedule->lock);
    some = schedule->heap_count > 0;
    pthread_mutex_unlock(&schedule->lock);
    return some;
}

/* ---- the thread ---- */

/* The first whose time has come, with its holder; NULL: none. */
static struct flow_node *take_due_locked(struct schedule *schedule,
                                         uint64_t now_ns)
{
    struct flow_node *node;

    if (schedule->heap_count == 0 || schedule->heap[1]->due_ns > now_ns)
        return NULL;
    node = schedule->heap[1];
    atomic_fetch_add(schedule->pending, 1);
    take_out(schedule, node);
    return node;
}

/* Does anybody run?  Who does for too long, is replaced. */
static bool look_locked(struct schedule *schedule, uint64_t now_ns)
{
    bool some = false;

    for (uint32_t i = 0; i < schedule->thread_count; i++) {
        struct worker *worker = schedule->workers[i];
        uint64_t since_ns = atomic_load(&worker->since_ns);

        if (since_ns == 0 || worker->is_stuck)
            continue;
        some = true;
        if (since_ns + LOOK_NS > now_ns)
            continue;
        worker->is_stuck = true;
        schedule->wanted++;
        if (atomic_load(&schedule->queued) > 0)
            schedule_replace_locked(schedule);
    }
    /* Work that came since. */
    if (atomic_load(&schedule->queued) > 0 &&
        schedule->running < schedule->wanted)
        schedule_replace_locked(schedule);
    return some || atomic_load(&schedule->queued) > 0;
}

static void sleep_locked(struct schedule *schedule, uint64_t now_ns)
{
    uint64_t until_ns =
        schedule->heap_count > 0 ? schedule->heap[1]->due_ns : UINT64_MAX;
    struct timespec until;
    bool some;

    /* Worker: sets since_ns, then looks at it. */
    atomic_store(&schedule->watch_sleeps, true);
    some = look_locked(schedule, now_ns);
    if (some) {
        atomic_store(&schedule->watch_sleeps, false);
        if (now_ns + LOOK_NS < until_ns)
            until_ns = now_ns + LOOK_NS;
    }
    until = clock_timespec(until_ns);
    if (until_ns == UINT64_MAX)
        pthread_cond_wait(&schedule->watch_work, &schedule->lock);
    else
        pthread_cond_timedwait(&schedule->watch_work, &schedule->lock, &until);
    atomic_store(&schedule->watch_sleeps, false);
}

static void *watch_all(void *context)
{
    struct schedule *schedule = context;
    struct flow_node *node;

    pthread_mutex_lock(&schedule->lock);
    while (!schedule->stops) {
        uint64_t now_ns = clock_now_ns();

        while ((node = take_due_locked(schedule, now_ns)) != NULL) {
            pthread_mutex_unlock(&schedule->lock);
            schedule->wake(schedule, node);
            pthread_mutex_lock(&schedule->lock);
        }
        if (!schedule->stops)
            sleep_locked(schedule, now_ns);
    }
    pthread_mutex_unlock(&schedule->lock);
    return NULL;
}

int schedule_watch_start(struct schedule *schedule)
{
    if (schedule_thread(&schedule->watch, watch_all, schedule) < 0)
        return -1;
    schedule->is_watched = true;
    return 0;
}

void schedule_watch_nudge(struct schedule *schedule)
{
    pthread_mutex_lock(&schedule->lock);
    if (atomic_load(&schedule->watch_sleeps))
        pthread_cond_signal(&schedule->watch_work);
    pthread_mutex_unlock(&schedule->lock);
}

void schedule_watch_close(struct schedule *schedule)
{
    for (uint32_t i = 1; i <= schedule->heap_count; i++) {
        schedule->heap[i]->heap_place = 0;
        flow_node_put(schedule->heap[i]);
    }
    free(schedule->heap);
    schedule->heap = NULL;
    schedule->heap_count = schedule->heap_room = 0;
}
