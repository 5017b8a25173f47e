/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - opening and closing a flow. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cond.h"
#include "base/error.h"
#include "flow/build.h"
#include "flow/run.h"

static uint32_t cpu_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count > 0 ? (uint32_t)count : 1;
}

static int check(const struct gbx_flow_config *config, struct gbx_error *err)
{
    int rc = error_check_bytes("gbx_flow_config", config->struct_bytes,
                               sizeof(*config), err);

    if (rc < 0)
        return rc;
    if (config->queue > FLOW_QUEUE_MAX)
        return fail(err, GBX_EARGUMENT, "queue: at most %u messages",
                    FLOW_QUEUE_MAX);
    return 0;
}

int gbx_flow_open(struct gbx_flow **flow, const struct gbx_flow_config *config,
                  struct gbx_error *err)
{
    static const struct gbx_flow_config defaults = {.struct_bytes =
                                                        sizeof(defaults)};
    struct gbx_flow *made;
    int rc;

    *flow = NULL;
    config = config != NULL ? config : &defaults;
    if ((rc = check(config, err)) < 0)
        return rc;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(err, GBX_EHOST, "no memory for a flow");
    made->config = *config;
    if (config->script != NULL)
        made->script = *config->script;
    made->config.queue = config->queue != 0 ? config->queue : FLOW_QUEUE;
    made->folder = strdup(config->folder != NULL ? config->folder : ".");
    made->nodes_end = &made->nodes;
    must(pthread_mutex_init(&made->lock, NULL) == 0);
    must(pthread_mutex_init(&made->room_lock, NULL) == 0);
    cond_init(&made->room);
    cond_init(&made->idle);
    schedule_open(&made->schedule,
                  config->workers != 0 ? config->workers : cpu_count(),
                  run_node, run_wake);
    made->schedule.pending = &made->pending;
    if (made->folder == NULL)
        rc = fail(err, GBX_EHOST, "no memory for a flow");
    else if (config->state_path != NULL)
        rc = gbx_state_open(&made->state, config->state_path,
                            config->state_bytes_max, err);
    if (rc < 0) {
        gbx_flow_close(made);
        return rc;
    }
    *flow = made;
    return 0;
}

/* All nodes, held, and NULL; NULL without memory. */
static struct flow_node **all_locked(struct gbx_flow *flow)
{
    struct flow_node **all =
        calloc((size_t)flow->node_count + 1, sizeof(struct flow_node *));
    size_t at = 0;

    for (struct flow_node *n = flow->nodes; n != NULL && all != NULL;
         n = n->after)
        all[at++] = flow_node_get(n);
    return all;
}

/* Nobody is told anything under the lock: who is told may send. */
static void begin_all(struct gbx_flow *flow, struct flow_node **all)
{
    flow_tell(flow, &(struct gbx_flow_event){.kind = GBX_FLOW_NETWORK_STARTED});
    for (size_t i = 0; all[i] != NULL; i++) {
        build_begin(flow, all[i]);
        flow_node_put(all[i]);
    }
    free(all);
}

int gbx_flow_start(struct gbx_flow *flow, struct gbx_error *err)
{
    struct flow_node **all = NULL;
    int rc = 0;

    pthread_mutex_lock(&flow->lock);
    if (flow->is_started)
        rc = fail(err, GBX_EARGUMENT, "the flow has been started");
    else if (!wire_all_locked(flow))
        rc = fail(err, GBX_EHOST, "no memory for a flow's connections");
    else
        rc = schedule_start(&flow->schedule, err);
    if (rc == 0 && (all = all_locked(flow)) == NULL)
        rc = fail(err, GBX_EHOST, "no memory for a flow's nodes");
    flow->is_started = flow->is_started || rc == 0;
    pthread_mutex_unlock(&flow->lock);
    if (rc == 0)
        begin_all(flow, all);
    return rc;
}

void gbx_flow_rest(struct gbx_flow *flow)
{
    atomic_store(&flow->is_resting, true);
}

void gbx_flow_cancel(struct gbx_flow *flow)
{
    atomic_store(&flow->is_canceled, true);
    pthread_mutex_lock(&flow->room_lock);
    pthread_cond_broadcast(&flow->room);
    pthread_mutex_unlock(&flow->room_lock);
    pthread_mutex_lock(&flow->lock);
    for (struct flow_node *node = flow->nodes; node != NULL; node = node->after)
        if (node->kind->interrupt != NULL)
            node->kind->interrupt(node);
    pthread_mutex_unlock(&flow->lock);
}

void gbx_flow_close(struct gbx_flow *flow)
{
    if (flow == NULL)
        return;
    gbx_flow_cancel(flow);
    schedule_stop(&flow->schedule);
    while (flow->nodes != NULL)
        build_bury(flow, build_remove_locked(flow, flow->nodes),
                   "the flow was closed");
    build_fini_locked(flow);
    if (flow->is_started)
        flow_tell(flow,
                  &(struct gbx_flow_event){.kind = GBX_FLOW_NETWORK_SHUTDOWN});
    schedule_close(&flow->schedule);
    pthread_cond_destroy(&flow->room);
    pthread_cond_destroy(&flow->idle);
    pthread_mutex_destroy(&flow->room_lock);
    pthread_mutex_destroy(&flow->lock);
    gbx_state_close(flow->state);
    free(flow->folder);
    free(flow);
}
