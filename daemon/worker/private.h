/* SPDX-License-Identifier: Apache-2.0 */
/* private.h - what the files of daemon/worker/ share. */
#ifndef DAEMON_WORKER_PRIVATE_H
#define DAEMON_WORKER_PRIVATE_H

#include "daemon/link/link.h"
#include "daemon/worker/worker.h"
#include "net/nats/worker/worker.h"

#define WORKER_SCRIPTS_MAX 128u /* that are kept loaded */

/* Frames, one behind the other. */
struct gathered {
    uint8_t *bytes; /* owned */
    size_t count, room;
    bool is_too_much;
};

/* A message of calls that is being run. */
struct batch {
    LIST_ENTRY(batch) next;
    struct worker *worker;
    struct net_taken *taken;
    struct actor *actor; /* counted: the script that it brings, or NULL */
    struct gathered all;
    size_t told; /* bytes of them that were told early */
    unsigned left; /* calls that have not ended */
    uint64_t began_ns, told_ns, ran_ns;
    LIST_HEAD(, part) parts;
    unsigned canceled_count;
    uint32_t canceled[NATS_CALLS_MAX];
};

/* What a job of NATS does: a message; one call of it; or a LOAD. */
struct part {
    LIST_ENTRY(part) next; /* of its batch, while it runs */
    struct worker *worker;
    struct net_taken *taken; /* a message, or: */
    struct net_load *load;   /* or: */
    struct batch *batch;     /* a call */
    uint32_t number;
    const uint8_t *data; /* its frames, in the message */
    size_t bytes;
    struct link *link; /* while it runs */
    struct job *job;
    struct gathered said;
};

/* One that is loaded, by its digest. */
struct worker_script {
    LIST_ENTRY(worker_script) next;
    char digest[NATS_DIGEST_CHARS + 1];
    struct actor *actor; /* counted; NULL while it is being loaded */
    uint64_t used_ns;
};

struct worker {
    struct daemon *daemon;
    struct net_worker *net;
    pthread_mutex_t lock; /* of: */
    pthread_cond_t loaded;
    LIST_HEAD(, batch) batches;
    LIST_HEAD(, worker_script) scripts;
    unsigned script_count;
};

/* ---- run.c ---- */

/* A call of a batch, in this thread. */
void run_part(struct job *job, struct part *part);
/* One that is not run says why. */
void refuse_part(struct part *part, struct gathered *to, int code,
                 const char *what, const char *traceback);
void gather(struct gathered *to, const struct frame *frame, const void *body,
            uint64_t bytes_max);

/* ---- scripts.c ---- */

/* By its digest: as it is, or loaded now, in this job's thread.  Returns 0 and
 * an actor, counted; or a code, and *printed for free(). */
int script_get(struct worker *worker, struct job *job, const char *digest,
               struct actor **actor, char **printed, struct gbx_error *err);
void scripts_close(struct worker *worker);

#endif
