/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.h - how much goes through a NATS server in a while: bare requests, which
 * other processes echo, and calls.
 *
 * Threads: one at a time.
 */
#ifndef BENCH_NATS_RATE_H
#define BENCH_NATS_RATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RATE_BYTES   64u
#define RATE_WORKERS 3u

/* Processes that echo; forked, so before there are threads.  0: it failed. */
bool rate_start_echoes(pid_t echoes[RATE_WORKERS], const char *url);

/* Requests a second, so many at once; 0, and *why: it could not be measured. */
double rate_bare(const char *url, unsigned at_once, const char **why);

/* The same of calls of a script, by the module that an embedder would load. */
struct rate_calls;
struct rate_calls *rate_open(const char *module, const char *url,
                             const char *script, const char **why);
double rate_calls(struct rate_calls *calls, unsigned at_once, const char **why);
void rate_close(struct rate_calls *calls);

#endif
