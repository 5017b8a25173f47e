/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.c - the table of all, and the one that only passes on. */
#include <string.h>

#include "flow/builtin/builtin.h"

const struct gbx_actor_type *const gbx_builtin_types[] = {&builtin_counter,
                                                          &builtin_edge_in,
                                                          &builtin_edge_out,
                                                          &builtin_file_in,
                                                          &builtin_file_out,
                                                          &builtin_log,
                                                          &builtin_merge,
                                                          &builtin_split,
                                                          &builtin_template,
                                                          &builtin_timer,
                                                          NULL};

const struct gbx_actor_type *gbx_builtin_find(const char *component)
{
    const struct gbx_actor_type *const *type = gbx_builtin_types;

    while (*type != NULL && strcmp((*type)->component, component) != 0)
        type++;
    return *type;
}

int builtin_opened(void **self, int rc, void (*close)(void *self))
{
    if (rc < 0) {
        close(*self);
        *self = NULL;
    }
    return rc;
}

int builtin_send_number(struct gbx_actor *actor, uint32_t port, uint64_t value)
{
    const struct gbx_message message = {.type = GBX_INTEGER,
                                        .scalar.integer = (int64_t)value};

    return gbx_actor_send_at(actor, port, &message);
}

static int run_merge(void *self, struct gbx_actor *actor)
{
    struct gbx_message message;
    const char *port;

    (void)self;
    if (gbx_actor_input_at(actor, 0, &port, &message) < 0)
        return 0;
    return gbx_actor_send_at(actor, 0, &message);
}

const struct gbx_actor_type builtin_merge = {
    .struct_bytes = sizeof(builtin_merge),
    .component = "merge",
    .description = "Passes on what comes to any of its ports, in turn.",
    .inports =
        PORTS("in", "in1", "in2", "in3", "in4", "in5", "in6", "in7", "in8",
              "in9", "in10", "in11", "in12", "in13", "in14", "in15"),
    .outports = PORTS("out"),
    .run = run_merge,
};
