/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - gloveboxd --worker: calls that come through NATS.
 *
 *   net/nats/worker     a message -> job -> prepare, script
 *                                     |-> a part: a call, in this thread
 *                                     `-> parts: the others, jobs
 *   each part has a link of its own (link/link.h), whose frames are gathered;
 *   the last one to end gives all of them to net_taken_finish
 *
 * Where some of a message's calls take longer than others, those that are done
 * are told early.  Scripts are kept loaded by their digests.
 *
 * Threads: open, drain and close: main's; do: a worker's.
 */
#ifndef DAEMON_WORKER_WORKER_H
#define DAEMON_WORKER_WORKER_H

#include <stdio.h>

#include "daemon/daemon.h"

/* deliveries_max: workers that may be given a call; 0: 5.  Returns as
 * net_worker_open. */
int worker_open(struct daemon *daemon, const char *url,
                unsigned deliveries_max, struct gbx_error *err);
/* Once jobs are done. */
int worker_start(struct daemon *daemon, struct gbx_error *err);
/* Takes no more; what it has is done. */
void worker_drain(struct daemon *daemon);
/* Once no job is left. */
void worker_close(struct daemon *daemon);
/* Where its calls come from. */
const char *worker_shown(struct daemon *daemon);
void worker_metrics(struct daemon *daemon, FILE *out);

/* A job with a part. */
void worker_do(struct job *job);

#endif
