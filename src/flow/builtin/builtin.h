/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin.h - the types of glovebox/builtin.h, for its table; and what their
 * runs share.
 *
 * Threads: the run's.
 */
#ifndef FLOW_BUILTIN_BUILTIN_H
#define FLOW_BUILTIN_BUILTIN_H

#include "glovebox/builtin.h"

extern const struct gbx_actor_type builtin_counter, builtin_edge_in,
    builtin_edge_out, builtin_file_in, builtin_file_out, builtin_log,
    builtin_merge, builtin_split, builtin_template, builtin_timer;

#define PORTS(...)                                                             \
    (const char *const[])                                                      \
    {                                                                          \
        __VA_ARGS__, NULL                                                      \
    }

/* What an open returns: rc; where that says that it failed, what it has made so
 * far is closed, which close allows to be NULL. */
int builtin_opened(void **self, int rc, void (*close)(void *self));

/* An Integer to an outport, by its place. */
int builtin_send_number(struct gbx_actor *actor, uint32_t port, uint64_t value);

#endif
