/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the members of a node's metadata that a built-in actor has.
 *
 *  rc = options_read((const struct option[]){
 *      {"path", OPTION_TEXT, &self->path, .is_needed = true},
 *      {"bytes_max", OPTION_NUMBER, &self->bytes_max, .min = 1, .max = 100},
 *      {"mode", OPTION_WORD, &self->mode, .words = modes}}, 3, config, err);
 *
 * A member that is not there leaves its value as it was.
 *
 * Threads: any.  Memory: texts are for free(), also after an error.
 */
#ifndef FLOW_BUILTIN_OPTIONS_H
#define FLOW_BUILTIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glovebox/actor.h"

enum option_kind {
    OPTION_TEXT,    /* char *, not empty */
    OPTION_NUMBER,  /* uint64_t, from min to max */
    OPTION_BOOLEAN, /* bool */
    OPTION_WORD,    /* unsigned: its place in words */
};

struct option {
    const char *name;
    enum option_kind kind;
    void *value;
    bool is_needed;
    uint64_t min, max;
    const char *const *words; /* end with NULL */
};

/* Returns 0; GBX_EARGUMENT, and err names the node and the member; GBX_EHOST.
 */
int options_read(const struct option *options, size_t count,
                 const struct gbx_actor_config *config, struct gbx_error *err);

#endif
