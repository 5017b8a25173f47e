/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"

struct counter {
    uint64_t every;
};

static int open_counter(void **self, const struct gbx_actor_config *config,
                        struct gbx_error *err)
{
    struct counter *counter = *self = calloc(1, sizeof(*counter));

    if (counter == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    counter->every = 1;
    return builtin_opened(
        self,
        options_read(&(struct option){"every", OPTION_NUMBER, &counter->every,
                                      .min = 1, .max = INT64_MAX},
                     1, config, err),
        free);
}

static int run_counter(void *self, struct gbx_actor *actor)
{
    static const struct gbx_message zero = {.type = GBX_INTEGER};
    const struct counter *counter = self;
    struct gbx_message message;
    int64_t count;
    int rc;

    if (gbx_actor_input(actor, "reset", &message) == 0)
        return gbx_actor_state_set(actor, "count", &zero);
    rc = gbx_actor_state_increment(actor, "count", 1, &count);
    if (rc < 0 || (uint64_t)count % counter->every != 0)
        return rc;
    return builtin_send_number(actor, 0, (uint64_t)count);
}

const struct gbx_actor_type builtin_counter = {
    .struct_bytes = sizeof(builtin_counter),
    .component = "counter",
    .description = "How many messages have come, at each n-th.",
    .inports = PORTS("in", "reset"),
    .outports = PORTS("out"),
    .open = open_counter,
    .run = run_counter,
    .close = free,
};
