/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/worker/private.h"

#define QUICK_NS     1000000u
#define MARGIN_BYTES (1u << 20) /* of a payload, beside the bodies */

/* ---- jobs ---- */

static struct part *make_part(struct worker *worker)
{
    struct part *part = calloc(1, sizeof(*part));

    if (part != NULL)
        part->worker = worker;
    return part;
}

/* False: there is too much to do, or no memory; the part is the caller's. */
static bool put_job(struct worker *worker, struct part *part)
{
    struct job *job = part != NULL ? calloc(1, sizeof(*job)) : NULL;

    if (job == NULL)
        return false;
    job->part = part;
    if (work_put(worker->daemon, job))
        return true;
    free(job);
    return false;
}

/* ---- a message ---- */

/* Its calls, as parts; all or, where it makes no sense, none. */
static int split(struct batch *batch, struct part *parts[NATS_CALLS_MAX],
                 unsigned *count, const char **what)
{
    const struct net_taken *taken = batch->taken;
    struct layout_part one;
    size_t at = 0;
    int rc;

    *count = 0;
    *what = "no calls";
    while ((rc = layout_next(&one, false, taken->data, taken->bytes, &at,
                             what)) > 0) {
        if (*count == NATS_CALLS_MAX) {
            *what = "more calls than a message may have";
            return GBX_EFORMAT;
        }
        for (unsigned i = 0; i < *count; i++)
            if (parts[i]->number == one.first.call) {
                *what = "two calls of one number";
                return GBX_EFORMAT;
            }
        parts[*count] = make_part(batch->worker);
        if (parts[*count] == NULL) {
            *what = "no memory";
            return GBX_EHOST;
        }
        parts[*count]->batch = batch;
        parts[*count]->number = one.first.call;
        parts[*count]->data = one.data;
        parts[*count]->bytes = one.bytes;
        (*count)++;
    }
    return rc < 0 || *count == 0 ? GBX_EFORMAT : 0;
}

static void bury(struct worker *worker, struct net_taken *taken, int code,
                 const char *why)
{
    daemon_audit(worker->daemon, NULL, "dead", why, code, 0);
    net_taken_dead(taken, code, why);
}

/* None of its calls can be run. */
static void refuse_all(struct batch *batch, struct part **parts,
                       unsigned count, int code, const char *what,
                       const char *printed)
{
    struct gathered all = {0};

    for (unsigned i = 0; i < count; i++) {
        refuse_part(parts[i], &all, code, what, printed);
        free(parts[i]);
    }
    net_taken_finish(batch->taken, all.bytes, all.count, 0);
    free(batch);
}

/*
 * One after the other, as long as they are quick: another thread would take
 * longer to wake up.  From one on that is not, the rest is for other threads; and
 * for this one, where they have enough to do.
 */
static void run_all(struct job *job, struct part **parts, unsigned count)
{
    unsigned i = 0;

    while (i < count) {
        const uint64_t from_ns = daemon_now_ns();

        run_part(job, parts[i++]);
        if (daemon_now_ns() - from_ns > QUICK_NS)
            break;
    }
    for (unsigned j = i; j < count; j++)
        if (put_job(parts[j]->worker, parts[j]))
            parts[j] = NULL;
    for (; i < count; i++)
        if (parts[i] != NULL)
            run_part(job, parts[i]);
}

static void begin(struct worker *worker, struct job *job,
                  struct net_taken *taken)
{
    struct part *parts[NATS_CALLS_MAX];
    struct batch *batch = calloc(1, sizeof(*batch));
    struct gbx_error err = {.what = ""};
    const char *what;
    char *printed = NULL;
    unsigned count;
    int rc;

    if (batch == NULL) {
        net_taken_give_back(taken, 1000);
        return;
    }
    batch->worker = worker;
    batch->taken = taken;
    batch->began_ns = batch->told_ns = daemon_now_ns();
    LIST_INIT(&batch->parts);
    rc = split(batch, parts, &count, &what);
    if (rc < 0) {
        while (count > 0)
            free(parts[--count]);
        free(batch);
        bury(worker, taken, rc, what);
        return;
    }
    batch->left = count;
    if (taken->head.script[0] != '\0')
        rc = script_get(worker, job, taken->head.script, &batch->actor,
                        &printed, &err);
    if (rc < 0) {
        refuse_all(batch, parts, count, rc, err.what, printed);
        free(printed);
        return;
    }
    free(printed);
    pthread_mutex_lock(&worker->lock);
    LIST_INSERT_HEAD(&worker->batches, batch, next);
    pthread_mutex_unlock(&worker->lock);
    run_all(job, parts, count);
}

static void do_message(struct worker *worker, struct job *job,
                       struct net_taken *taken)
{
    struct gbx_error err = {.what = ""};
    const int rc = net_taken_prepare(taken, &err);

    if (rc == 0)
        begin(worker, job, taken);
    else if (rc < 0)
        bury(worker, taken, rc, err.what);
}

/* ---- LOAD ---- */

static void say(void *context, const struct frame *frame, const void *body)
{
    gather(context, frame, body, UINT32_MAX);
}

static void do_load(struct worker *worker, struct job *job,
                    struct net_load *load)
{
    static const struct link_way way = {.send = say};
    struct gathered said = {0};
    struct link link = {.way = &way, .context = &said};
    struct gbx_error err = {.what = ""};
    struct actor *actor = NULL;
    char *printed;
    int rc = script_get(worker, job, load->digest, &actor, &printed, &err);

    if (rc == 0)
        link_tell_loaded(&link, load->number, actor);
    else
        link_fail(&link, load->number,
                  &(struct link_failure){.code = rc,
                                         .what = err.what,
                                         .traceback = printed,
                                         .has_not_run = true});
    actors_put(worker->daemon, actor);
    net_load_finish(load, said.bytes, said.count);
    free(said.bytes);
    free(printed);
}

void worker_do(struct job *job)
{
    struct part *part = job->part;
    struct worker *worker = part->worker;
    struct net_taken *taken = part->taken;
    struct net_load *load = part->load;

    if (part->batch != NULL) {
        run_part(job, part);
        return;
    }
    free(part);
    if (taken != NULL)
        do_message(worker, job, taken);
    else
        do_load(worker, job, load);
}

/* ---- what is told, in threads that must not wait ---- */

static void on_take(void *context, struct net_taken *taken)
{
    struct worker *worker = context;
    struct part *part = make_part(worker);

    if (part != NULL)
        part->taken = taken;
    if (put_job(worker, part))
        return;
    free(part);
    net_taken_give_back(taken, 100);
}

static void on_load(void *context, struct net_load *load)
{
    struct worker *worker = context;
    struct part *part = make_part(worker);

    if (part != NULL)
        part->load = load;
    if (put_job(worker, part))
        return;
    free(part);
    net_load_finish(load, NULL, 0); /* somebody else is asked, in a while */
}

static struct part *find_locked(struct batch *batch, uint32_t number)
{
    struct part *part;

    LIST_FOREACH(part, &batch->parts, next)
    if (part->number == number)
        return part;
    return NULL;
}

static void cancel_locked(struct worker *worker, struct part *part,
                          bool is_gone)
{
    pthread_mutex_lock(&part->link->lock);
    part->link->is_gone = part->link->is_gone || is_gone;
    work_cancel_job(worker->daemon, part->job);
    pthread_cond_broadcast(&part->link->told);
    pthread_mutex_unlock(&part->link->lock);
}

static void on_cancel(void *context, const struct layout_from *from,
                      uint32_t number)
{
    struct worker *worker = context;
    struct batch *batch;
    struct part *part;

    pthread_mutex_lock(&worker->lock);
    LIST_FOREACH(batch, &worker->batches, next)
    {
        if (batch->taken->head.from.serial != from->serial ||
            strcmp(batch->taken->head.from.caller, from->caller) != 0)
            continue;
        if (batch->canceled_count < NATS_CALLS_MAX)
            batch->canceled[batch->canceled_count++] = number;
        part = find_locked(batch, number);
        if (part != NULL)
            cancel_locked(worker, part, false);
    }
    pthread_mutex_unlock(&worker->lock);
}

static void give_answer(struct part *part, const void *data, size_t bytes)
{
    struct frame frame;
    const uint8_t *body;
    const char *what;
    size_t at = 0;
    uint8_t *copy;

    if (layout_frame(&frame, &body, data, bytes, &at, &what) != 1 ||
        at != bytes || frame.kind != FRAME_ANSWER ||
        frame.call != part->number)
        return;
    copy = malloc(frame.body_bytes + 1);
    if (copy == NULL)
        return;
    memcpy(copy, body, frame.body_bytes);
    link_answer(part->link, &frame, copy);
}

static void on_answer(void *context, struct net_taken *taken, uint32_t number,
                      const void *data, size_t bytes)
{
    struct worker *worker = context;
    struct batch *batch;
    struct part *part;

    pthread_mutex_lock(&worker->lock);
    LIST_FOREACH(batch, &worker->batches, next)
    if (batch->taken == taken && (part = find_locked(batch, number)) != NULL) {
        if (data == NULL)
            cancel_locked(worker, part, true);
        else
            give_answer(part, data, bytes);
    }
    pthread_mutex_unlock(&worker->lock);
}

static void on_tell(void *context, struct node *node)
{
    struct daemon *daemon = ((struct worker *)context)->daemon;

    gethostname(node->host, sizeof(node->host) - 1);
    snprintf(node->product, sizeof(node->product), "gloveboxd %s",
             gbx_version());
    for (int i = 1; i <= (int)GBX_ISOLATIONS; i++)
        if (daemon->offers[i] && node->isolation_count < NODE_ISOLATIONS_MAX)
            snprintf(node->isolations[node->isolation_count++],
                     sizeof(node->isolations[0]), "%s", gbx_isolation_name(i));
    node->workers = daemon->workers;
    work_load(daemon, &node->busy, &node->waiting);
    node->calls = daemon->calls;
    node->failures = daemon->failures;
    node->uptime_s = (daemon_now_ns() - daemon->started_ns) / 1000000000u;
    node->is_draining = atomic_load(&daemon->is_draining);
}

static const struct net_worker_handler handler = {.take = on_take,
                                                  .load = on_load,
                                                  .cancel = on_cancel,
                                                  .answer = on_answer,
                                                  .tell = on_tell};

/* ---- open, close ---- */

int worker_open(struct daemon *daemon, const char *url,
                unsigned deliveries_max, struct gbx_error *err)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    const struct net_worker_config config = {
        .url = url,
        .slots = daemon->workers,
        .deliveries_max = deliveries_max,
        .bytes_max = daemon->bytes_max + MARGIN_BYTES,
        .handler = &handler,
        .context = worker};
    int rc;

    if (worker == NULL) {
        *err = (struct gbx_error){.code = GBX_EHOST, .what = "no memory"};
        return GBX_EHOST;
    }
    worker->daemon = daemon;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->loaded, NULL);
    LIST_INIT(&worker->batches);
    LIST_INIT(&worker->scripts);
    rc = net_worker_open(&worker->net, &config, err);
    daemon->worker = worker;
    if (rc < 0)
        worker_close(daemon);
    return rc;
}

int worker_start(struct daemon *daemon, struct gbx_error *err)
{
    return net_worker_start(daemon->worker->net, err);
}

const char *worker_shown(struct daemon *daemon)
{
    return net_worker_shown(daemon->worker->net);
}

void worker_drain(struct daemon *daemon)
{
    if (daemon->worker != NULL)
        net_worker_drain(daemon->worker->net);
}

void worker_close(struct daemon *daemon)
{
    struct worker *worker = daemon->worker;

    if (worker == NULL)
        return;
    daemon->worker = NULL;
    net_worker_close(worker->net);
    scripts_close(worker);
    pthread_cond_destroy(&worker->loaded);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

void worker_metrics(struct daemon *daemon, FILE *out)
{
    struct net_worker_counts c;

    if (daemon->worker == NULL)
        return;
    c = net_worker_counts(daemon->worker->net);
    const struct {
        const char *name, *type, *help;
        double value;
    } all[] = {
        {"up", "gauge", "1: connected to NATS.", c.is_up},
        {"held", "gauge", "Messages of calls that it has.", c.held},
        {"messages_total", "counter", "Messages of calls, ever.",
         (double)c.taken},
        {"again_total", "counter", "Those another worker had before.",
         (double)c.again},
        {"finished_total", "counter", "Those whose results are stored.",
         (double)c.finished},
        {"given_back_total", "counter", "Those left to others.",
         (double)c.given_back},
        {"dead_total", "counter", "Those put aside.", (double)c.dead},
        {"refused_results_total", "counter",
         "Results that JetStream did not take at once.", (double)c.unstored}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        fprintf(out,
                "# HELP gloveboxd_nats_%s %s\n# TYPE gloveboxd_nats_%s %s\n"
                "gloveboxd_nats_%s %.17g\n",
                all[i].name, all[i].help, all[i].name, all[i].type,
                all[i].name, all[i].value);
}
