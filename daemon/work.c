/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c - a queue of jobs, and threads that do them.
 *
 * A job that waits for a sandbox keeps its thread.  If all did, and the one
 * who has the sandbox had no thread to run in, nothing would go on.  So those
 * who have one already come first, and one thread is for them alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/api/upload.h"
#include "daemon/link/link.h"
#include "daemon/worker/worker.h"
#include "glovebox/program.h"

void work_drop(struct job *job)
{
    if (job->link != NULL && job->text != NULL)
        atomic_fetch_sub(&job->link->texts, 1);
    if (job->peer != NULL)
        net_peer_put(job->peer);
    link_put(job->link);
    free(job->load);
    free(job->text);
    free(job);
}

static void do_job(struct daemon *daemon, struct job *job)
{
    if (job->request != NULL)
        daemon_http(daemon, job);
    else if (job->link_call != NULL)
        link_run(job);
    else if (job->load != NULL)
        link_load(job);
    else if (job->unused != NULL)
        actors_put(daemon, job->unused);
    else if (job->upload != NULL)
        upload_place(job);
    else if (job->part != NULL)
        worker_do(job);
    else
        daemon_rpc(daemon, job);
}

static struct job *next_locked(struct work *work, bool takes_all)
{
    struct job *job = STAILQ_FIRST(&work->begun);

    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&work->begun, next);
        return job;
    }
    job = takes_all ? STAILQ_FIRST(&work->waiting) : NULL;
    if (job != NULL)
        STAILQ_REMOVE_HEAD(&work->waiting, next);
    return job;
}

static void do_jobs(struct daemon *daemon, bool takes_all)
{
    struct work *work = &daemon->work;

    pthread_mutex_lock(&work->lock);
    for (;;) {
        struct job *job = next_locked(work, takes_all);

        if (job == NULL && work->is_over)
            break;
        if (job == NULL) {
            pthread_cond_wait(takes_all ? &work->some : &work->some_begun,
                              &work->lock);
            continue;
        }
        work->count--;
        work->busy++;
        LIST_INSERT_HEAD(&work->doing, job, other);
        pthread_mutex_unlock(&work->lock);
        do_job(daemon, job);
        pthread_mutex_lock(&work->lock);
        LIST_REMOVE(job, other);
        if (job->token != NULL)
            job->token->open--;
        work->busy--;
        if (work->busy == 0 && work->count == 0)
            pthread_cond_broadcast(&work->none);
        work_drop(job);
    }
    pthread_mutex_unlock(&work->lock);
}

static void *work(void *context)
{
    do_jobs(context, true);
    return NULL;
}

static void *work_begun(void *context)
{
    do_jobs(context, false);
    return NULL;
}

int work_open(struct daemon *daemon, struct gbx_error *err)
{
    struct work *w = &daemon->work;

    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->some, NULL);
    pthread_cond_init(&w->some_begun, NULL);
    pthread_cond_init(&w->none, NULL);
    STAILQ_INIT(&w->waiting);
    STAILQ_INIT(&w->begun);
    LIST_INIT(&w->doing);
    w->threads = calloc(daemon->workers + 1, sizeof(*w->threads));
    while (w->threads != NULL && w->thread_count <= daemon->workers &&
           pthread_create(&w->threads[w->thread_count], NULL,
                          w->thread_count == 0 ? work_begun : work,
                          daemon) == 0)
        w->thread_count++;
    if (w->thread_count == daemon->workers + 1)
        return 0;
    *err = (struct gbx_error){.code = GBX_EHOST,
                              .what = "there are not so many threads"};
    return GBX_EHOST;
}

void work_close(struct daemon *daemon)
{
    struct work *w = &daemon->work;

    pthread_mutex_lock(&w->lock);
    w->is_over = true;
    pthread_cond_broadcast(&w->some);
    pthread_cond_broadcast(&w->some_begun);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    free(w->threads);
}

void work_load(struct daemon *daemon, unsigned *busy, unsigned *waiting)
{
    struct work *w = &daemon->work;

    pthread_mutex_lock(&w->lock);
    *busy = w->busy;
    *waiting = (unsigned)w->count;
    pthread_mutex_unlock(&w->lock);
}

void work_finish(struct daemon *daemon)
{
    struct work *w = &daemon->work;

    pthread_mutex_lock(&w->lock);
    while (w->count > 0 || w->busy > 0)
        pthread_cond_wait(&w->none, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* Has it a sandbox? */
static bool is_begun(const struct job *job)
{
    return job->link_call != NULL
               ? job->link_call->call != NULL
               : job->upload != NULL && job->upload->form.call != NULL;
}

static void put_locked(struct work *w, struct job *job)
{
    w->count++;
    if (is_begun(job)) {
        STAILQ_INSERT_TAIL(&w->begun, job, next);
        pthread_cond_signal(&w->some_begun);
    } else {
        STAILQ_INSERT_TAIL(&w->waiting, job, next);
    }
    pthread_cond_signal(&w->some);
}

bool work_put(struct daemon *daemon, struct job *job)
{
    struct work *w = &daemon->work;
    bool good;

    pthread_mutex_lock(&w->lock);
    good = w->count < daemon->queue_max && !w->is_over &&
           !atomic_load(&daemon->is_draining) &&
           (job->token == NULL || job->token->most == 0 ||
            job->token->open < job->token->most);
    if (good) {
        if (job->token != NULL)
            job->token->open++;
        put_locked(w, job);
    }
    pthread_mutex_unlock(&w->lock);
    return good;
}

bool work_show(struct daemon *daemon, struct job *job, struct gbx_call *call)
{
    bool good;

    pthread_mutex_lock(&daemon->work.lock);
    good = !job->is_canceled;
    job->call = good ? call : NULL;
    pthread_mutex_unlock(&daemon->work.lock);
    return good;
}

void work_hide(struct daemon *daemon, struct job *job)
{
    pthread_mutex_lock(&daemon->work.lock);
    job->call = NULL;
    job->program = NULL;
    pthread_mutex_unlock(&daemon->work.lock);
}

bool work_show_program(struct daemon *daemon, struct job *job,
                       struct gbx_program *program)
{
    bool good;

    pthread_mutex_lock(&daemon->work.lock);
    good = !job->is_canceled;
    job->program = good ? program : NULL;
    pthread_mutex_unlock(&daemon->work.lock);
    return good;
}

bool work_is_canceled(struct daemon *daemon, const struct job *job)
{
    bool is_canceled;

    pthread_mutex_lock(&daemon->work.lock);
    is_canceled = job->is_canceled;
    pthread_mutex_unlock(&daemon->work.lock);
    return is_canceled;
}

static void cancel_locked(struct job *job)
{
    job->is_canceled = true;
    if (job->call != NULL)
        gbx_call_cancel(job->call);
    if (job->program != NULL)
        gbx_program_kill(job->program);
}

static bool is_of(const struct job *job, const struct net_peer *peer,
                  const struct net_request *request)
{
    return (peer != NULL && job->peer == peer) ||
           (request != NULL && job->request == request);
}

void work_cancel_job(struct daemon *daemon, struct job *job)
{
    pthread_mutex_lock(&daemon->work.lock);
    cancel_locked(job);
    pthread_mutex_unlock(&daemon->work.lock);
}

void work_cancel(struct daemon *daemon, const struct net_peer *peer,
                 const struct net_request *request)
{
    struct work *w = &daemon->work;
    struct job *job;

    pthread_mutex_lock(&w->lock);
    LIST_FOREACH(job, &w->doing, other)
    if (is_of(job, peer, request))
        cancel_locked(job);
    STAILQ_FOREACH(job, &w->waiting, next)
    if (is_of(job, peer, request))
        cancel_locked(job);
    STAILQ_FOREACH(job, &w->begun, next)
    if (is_of(job, peer, request))
        cancel_locked(job);
    pthread_mutex_unlock(&w->lock);
}
