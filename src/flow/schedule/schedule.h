/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - which node runs next, and in which thread.
 *
 *  schedule_open(&schedule, workers, run, context);
 *  schedule_start(&schedule, &err);
 *  schedule_put(&schedule, node);        it is QUEUED
 *  schedule_wake_at(&schedule, node, at_ns);
 *  schedule_close(&schedule);
 *
 * So many threads run nodes as there are CPUs.  A run that takes longer than
 * 10 ms, be it a script that computes or an actor that waits for its reader,
 * has its place taken by another thread, until it is over: so one that is stuck
 * delays nobody, and a flow that is idle has no thread awake.
 *
 * Nodes wait in three lines, by priority.  Of 8 turns, one goes to whoever
 * waits in a later line, so that nobody waits for ever.
 *
 * A worker that makes a node ready runs it itself next, without asking anybody:
 * a message goes down a row of actors in one thread, hot in its cache, while
 * others take what is left behind.
 *
 * Threads: any, but close: last and alone.
 * Memory:  a node that is put is held until it has run; one that is to be
 *          woken, until it is.
 */
#ifndef FLOW_SCHEDULE_SCHEDULE_H
#define FLOW_SCHEDULE_SCHEDULE_H

#include <pthread.h>

#include "flow/node/node.h"

#define SCHEDULE_PRIORITIES  3u
#define SCHEDULE_WORKERS_MAX 512u

struct schedule;

struct worker {
    struct schedule *schedule;
    pthread_t thread;
    uint32_t index;
    struct flow_node *next;    /* counted: it runs this one next, or NULL */
    uint32_t in_a_row;         /* such ones */
    _Atomic uint64_t since_ns; /* of the run; 0: none */
    atomic_bool is_stuck;      /* the schedule's lock: it has been replaced */
    struct outbox *outbox;     /* owned: run.c's */
    struct flow_batch *batch;  /* the same */
};

/* Run a node that is RUNNING from now on.  The holder is taken. */
typedef void (*schedule_run_fn)(struct worker *worker, struct flow_node *node);
/* Its time has come.  The holder is taken. */
typedef void (*schedule_wake_fn)(struct schedule *schedule,
                                 struct flow_node *node);

struct schedule {
    schedule_run_fn run;
    schedule_wake_fn wake;
    uint32_t wanted_min;       /* threads that run */
    _Atomic uint64_t *pending; /* grows by one for each that is woken, before it
                                  is out of the heap */

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t work;
    struct flow_node *first[SCHEDULE_PRIORITIES], *last[SCHEDULE_PRIORITIES];
    uint32_t turns;
    uint32_t wanted;  /* that may run: one more for each that is stuck */
    uint32_t running; /* that do, or look for work awake */
    uint32_t idle;    /* that sleep */
    uint32_t thread_count;
    bool is_started, is_watched, stops;
    struct worker *workers[SCHEDULE_WORKERS_MAX];
    atomic_uint queued;   /* nodes in the lines; read by any */
    atomic_uint spinning; /* workers that look at it */

    /* watch.c's: */
    pthread_t watch;
    pthread_cond_t watch_work;
    atomic_bool watch_sleeps;
    struct flow_node *
        *heap; /* of nodes to be woken, the soonest first; from 1 */
    uint32_t heap_count, heap_room;
};

void schedule_open(struct schedule *schedule, uint32_t workers,
                   schedule_run_fn run, schedule_wake_fn wake);

/* Returns 0, or GBX_EHOST: no thread can be had. */
int schedule_start(struct schedule *schedule, struct gbx_error *err);

/* Nothing is begun any more; who runs is waited for. */
void schedule_stop(struct schedule *schedule);
void schedule_close(struct schedule *schedule);

/* worker: whose run made it ready, or NULL. */
void schedule_put(struct schedule *schedule, struct worker *worker,
                  struct flow_node *node);

/* Instead of what was asked before; 0: not.  False: no memory. */
bool schedule_wake_at(struct schedule *schedule, struct flow_node *node,
                      uint64_t at_ns);

/* Room for so many that are to be woken.  False: no memory. */
bool schedule_reserve(struct schedule *schedule, uint32_t count);

/* Is anybody to be woken? */
bool schedule_has(struct schedule *schedule);

/* Is anybody, or something pending? */
bool schedule_wakes(struct schedule *schedule);

/* One more thread, in place of one that is stuck; the lock is held. */
void schedule_replace_locked(struct schedule *schedule);

/* A thread to which no signal comes.  Returns 0 or -1. */
int schedule_thread(pthread_t *thread, void *(*run)(void *), void *context);

/* watch.c: a thread that looks after those that run, and those that wait. */
int schedule_watch_start(struct schedule *schedule);
void schedule_watch_nudge(
    struct schedule *schedule); /* somebody has begun to run */
void schedule_watch_close(struct schedule *schedule);

#endif
