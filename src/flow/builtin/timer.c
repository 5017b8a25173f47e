/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "flow/builtin/builtin.h"
#include "flow/builtin/options.h"

#define DAY_MS 86400000u

struct timer {
    uint64_t interval_ms, count;
    unsigned sends; /* 0 Flow, 1 Integer */
    uint64_t due_ns, sent;
};

static int open_timer(void **self, const struct gbx_actor_config *config,
                      struct gbx_error *err)
{
    static const char *const kinds[] = {"Flow", "Integer", NULL};
    struct timer *timer = *self = calloc(1, sizeof(*timer));

    if (timer == NULL)
        return fail(err, GBX_EHOST, "no memory for node %s", config->node);
    return builtin_opened(
        self,
        options_read(
            (const struct option[]){
                {"interval_ms", OPTION_NUMBER, &timer->interval_ms,
                 .is_needed = true, .min = 1, .max = DAY_MS},
                {"count", OPTION_NUMBER, &timer->count, .max = INT64_MAX},
                {"sends", OPTION_WORD, &timer->sends, .words = kinds},
            },
            3, config, err),
        free);
}

/* The next one in the same rhythm, however late this one is. */
static void set_next(struct timer *timer, struct gbx_actor *actor,
                     uint64_t now_ns)
{
    const uint64_t step_ns = timer->interval_ms * 1000000;

    if (timer->due_ns == 0)
        timer->due_ns = now_ns;
    timer->due_ns += ((now_ns - timer->due_ns) / step_ns + 1) * step_ns;
    gbx_actor_wake_at(actor, timer->due_ns);
}

static int run_timer(void *self, struct gbx_actor *actor)
{
    static const struct gbx_message flow = {.type = GBX_FLOW};
    struct timer *timer = self;
    const uint64_t now_ns = clock_now_ns();
    int rc = 0;

    if (timer->due_ns != 0 && now_ns >= timer->due_ns) {
        rc = timer->sends == 0 ? gbx_actor_send_at(actor, 0, &flow)
                               : builtin_send_number(actor, 0, timer->sent);
        timer->sent++;
    }
    if (timer->count != 0 && timer->sent >= timer->count)
        return rc;
    if (timer->due_ns == 0 || now_ns >= timer->due_ns)
        set_next(timer, actor, now_ns);
    else
        gbx_actor_wake_at(actor, timer->due_ns);
    return rc;
}

const struct gbx_actor_type builtin_timer = {
    .struct_bytes = sizeof(builtin_timer),
    .component = "timer",
    .description = "Says so from time to time.",
    .outports = PORTS("out"),
    .open = open_timer,
    .run = run_timer,
    .close = free,
    .runs_at_start = 1,
};
