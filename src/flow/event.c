/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - who is told what happens in a flow. */
#include "base/check.h"
#include "base/clock.h"
#include "flow/flow.h"

const char *gbx_flow_event_name(int kind)
{
    static const char *const names[] = {
        [GBX_FLOW_NETWORK_STARTED] = "NetworkStarted",
        [GBX_FLOW_NETWORK_IDLE] = "NetworkIdle",
        [GBX_FLOW_NETWORK_SHUTDOWN] = "NetworkShutdown",
        [GBX_FLOW_ACTOR_STARTED] = "ActorStarted",
        [GBX_FLOW_ACTOR_EMIT] = "ActorEmit",
        [GBX_FLOW_ACTOR_COMPLETED] = "ActorCompleted",
        [GBX_FLOW_ACTOR_FAILED] = "ActorFailed",
        [GBX_FLOW_MESSAGE_SENT] = "MessageSent",
        [GBX_FLOW_MESSAGE_RECEIVED] = "MessageReceived",
    };

    return kind >= 0 && kind < (int)ARRAY_SIZE(names) ? names[kind] : NULL;
}

const char *gbx_node_state_name(int state)
{
    static const char *const names[] = {
        [GBX_NODE_IDLE] = "idle",       [GBX_NODE_QUEUED] = "queued",
        [GBX_NODE_RUNNING] = "running", [GBX_NODE_BLOCKED] = "blocked",
        [GBX_NODE_PAUSED] = "paused",   [GBX_NODE_GONE] = "gone",
    };

    return state >= 0 && state < (int)ARRAY_SIZE(names) ? names[state] : NULL;
}

uint64_t flow_number(struct gbx_flow *flow)
{
    return atomic_fetch_add(&flow->last_id, 1) + 1;
}

/* Of one message in so many: all that is about it, and its causes not. */
static bool is_sampled(const struct gbx_flow *flow,
                       const struct gbx_flow_event *event)
{
    uint64_t id = event->id != 0 ? event->id : event->cause;

    return flow->config.sample <= 1 || id == 0 || id % flow->config.sample == 0;
}

void flow_tell(struct gbx_flow *flow, const struct gbx_flow_event *event)
{
    struct gbx_flow_event now = *event;

    if (!flow_tells(flow) || !is_sampled(flow, event))
        return;
    if (now.at_ns == 0)
        now.at_ns = clock_now_ns();
    flow->config.event(flow->config.context, &now);
}

void flow_tell_caused(struct gbx_flow *flow, struct gbx_flow_event *event,
                      const struct packet *inputs, uint32_t input_count)
{
    uint64_t causes[GBX_FLOW_CAUSES_MAX];

    for (; event->cause_count < input_count &&
           event->cause_count < GBX_FLOW_CAUSES_MAX;
         event->cause_count++)
        causes[event->cause_count] = inputs[event->cause_count].id;
    event->causes = causes;
    event->cause = event->cause_count > 0 ? causes[0] : 0;
    flow_tell(flow, event);
}

void flow_tell_run(struct gbx_flow *flow, const struct flow_node *node,
                   const struct packet *inputs, uint32_t input_count,
                   const char *failure, const char *traceback, uint64_t from_ns)
{
    const uint64_t now_ns = clock_now_ns();

    flow_tell_caused(flow,
                     &(struct gbx_flow_event){
                         .kind = failure != NULL ? GBX_FLOW_ACTOR_FAILED
                                                 : GBX_FLOW_ACTOR_COMPLETED,
                         .at_ns = now_ns,
                         .node = node->id,
                         .text = failure,
                         .took_ns = now_ns - from_ns,
                         .traceback = traceback,
                     },
                     inputs, input_count);
}

void flow_letter(struct gbx_flow *flow, struct flow_node *node,
                 const char *port, const struct packet *packet,
                 const char *reason, uint32_t attempts)
{
    struct packet stable;
    struct gbx_letter letter = {.node = node->id,
                                .port = port,
                                .message = &stable.message,
                                .reason = reason,
                                .attempts = attempts};

    /* Also by who removes a node, while nobody runs it. */
    atomic_fetch_add_explicit(&node->counts.letters, 1, memory_order_relaxed);
    if (flow->config.letter == NULL)
        return;
    packet_hold(&stable, packet);
    if (packet_settle(&stable) < 0) /* better without than another one */
        stable.message = (struct gbx_message){.type = stable.message.type};
    flow->config.letter(flow->config.context, &letter);
    packet_drop(&stable);
}

void gbx_flow_stats(struct gbx_flow *flow, gbx_node_stats_fn each,
                    void *context)
{
    pthread_mutex_lock(&flow->lock);
    for (struct flow_node *node = flow->nodes; node != NULL;
         node = node->after) {
        struct gbx_node_stats stats = {
            .node = node->id,
            .component = node->component,
            .received = node->counts.received,
            .sent = node->counts.sent,
            .runs = node->counts.runs,
            .failures = node->counts.failures,
            .retries = node->counts.retries,
            .letters = node->counts.letters,
            .run_ns = node->counts.run_ns,
            .copied_bytes = node->counts.copied_bytes,
        };
        const struct times *times;

        pthread_mutex_lock(&node->lock);
        stats.state = node->state;
        stats.isolation = node->kind->isolation(node);
        for (uint32_t i = 0; i < node->inport_count; i++)
            stats.queued += queue_count(&node->inports[i]->queue);
        pthread_mutex_unlock(&node->lock);
        times = atomic_load(&node->times);
        if (times != NULL) {
            stats.run_ns_50 = times_below(times, 500);
            stats.run_ns_99 = times_below(times, 990);
        }
        each(context, &stats);
    }
    pthread_mutex_unlock(&flow->lock);
}
