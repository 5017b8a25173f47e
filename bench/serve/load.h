/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - many clients of one HTTP server, in one thread.
 *
 *  struct load load = {.clients = 64, .for_ns = ..., .request = "POST ..."};
 *  load_run(&load, port);
 */
#ifndef BENCH_SERVE_LOAD_H
#define BENCH_SERVE_LOAD_H

#include "measure.h"

struct load {
    size_t clients;
    uint64_t for_ns;
    const char *request; /* all of it, with its headers */

    struct samples samples; /* of an answer */
    uint64_t answers, wrong, took_ns;
};

/* False: a client lost its server, or was answered nonsense. */
bool load_run(struct load *load, uint16_t port);

#endif
