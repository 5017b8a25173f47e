/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c - what a run sends, and whom it waits for. */
#include "base/check.h"
#include "flow/run.h"

/* It is not there any more, or there is no memory. */
static void lose(struct gbx_actor *actor, struct out *out, const char *reason)
{
    flow_letter(actor->flow, out->wire->to, out->wire->port->name, &out->packet,
                reason, 0);
    packet_drop(&out->packet);
    flow_done(actor->flow, 1);
}

/* All outs for one reader that follow each other.  Returns how many. */
static uint32_t deliver(struct gbx_actor *actor, uint32_t from, bool is_last)
{
    struct outbox *box = actor->worker->outbox;
    struct flow_node *to = box->outs[from].wire->to;
    uint32_t at = from, count = 0;
    bool touched, is_gone;

    pthread_mutex_lock(&to->lock);
    is_gone = to->state == GBX_NODE_GONE;
    for (; at < box->count && box->outs[at].wire->to == to && !is_gone; at++)
        if (!queue_put(&box->outs[at].wire->port->queue, &box->outs[at].packet))
            break;
    touched = flow_node_touch_locked(to);
    pthread_mutex_unlock(&to->lock);
    if (touched)
        schedule_put(&actor->flow->schedule, is_last ? actor->worker : NULL,
                     flow_node_get(to));
    count = at - from;
    if (at < box->count && box->outs[at].wire->to == to) {
        lose(actor, &box->outs[at],
             is_gone ? "its node was removed" : "no memory for its queue");
        count++;
    }
    return count;
}

static void tell_sent(struct gbx_actor *actor, const struct out *out)
{
    const struct wire *wire = out->wire;

    flow_tell(actor->flow, &(struct gbx_flow_event){
                               .kind = GBX_FLOW_MESSAGE_SENT,
                               .node = actor->node->id,
                               .port = actor->node->outports[wire->outport],
                               .to_node = wire->to->id,
                               .to_port = wire->port->name,
                               .message = &out->packet.message,
                               .id = out->packet.id,
                               .cause = out->packet.cause,
                           });
}

void run_flush(struct gbx_actor *actor, bool is_last)
{
    struct outbox *box = actor->worker->outbox;

    if (box->count == 0)
        return;
    if (flow_tells(actor->flow))
        for (uint32_t i = 0; i < box->count; i++)
            tell_sent(actor, &box->outs[i]);
    flow_node_count(&actor->node->counts.sent, box->count);
    /* Before anybody can take them. */
    atomic_fetch_add(&actor->flow->pending, box->count);
    for (uint32_t i = 0; i < box->count;)
        i += deliver(actor, i, is_last);
    box->count = 0;
    box->number++;
}

/* Who is far behind is waited for; who would wait for itself is told. */
static int await_reader(struct gbx_actor *actor, const struct wire *wire)
{
    const uint32_t bound = wire->to->bound;
    int rc;

    if (queue_count(&wire->port->queue) < bound)
        return 0;
    run_flush(actor, false);
    if (wire->is_soft)
        return queue_count(&wire->port->queue) < bound * FLOW_SOFT_TIMES
                   ? 0
                   : GBX_ELIMIT;
    atomic_store(&actor->node->waits_bound, bound);
    atomic_store(&actor->node->waits_for, wire->port);
    rc = flow_await_room(actor->flow, wire->port, bound, 0);
    atomic_store(&actor->node->waits_for, NULL);
    return rc;
}

static void send_outside(struct gbx_actor *actor, const struct wire *wire,
                         const struct gbx_message *message)
{
    const struct gbx_flow_config *config = &actor->flow->config;

    flow_node_count(&actor->node->counts.sent, 1);
    if (config->output != NULL)
        config->output(config->context, wire->outside, message);
}

static void tell_emit(struct gbx_actor *actor, uint32_t outport,
                      const struct packet *packet)
{
    struct gbx_flow_event event = {
        .kind = GBX_FLOW_ACTOR_EMIT,
        .node = actor->node->id,
        .port = actor->node->outports[outport],
        .message = &packet->message,
        .id = packet->id,
    };

    flow_tell_caused(actor->flow, &event, actor->inputs, actor->input_count);
}

/* The body is only copied for who reads it later. */
static int make_packet(struct gbx_actor *actor, struct packet *packet,
                       const struct gbx_message *message, struct body *body)
{
    const uint64_t id = packet->id, cause = packet->cause;
    int rc = packet_make(packet, message, body);

    packet->id = id;
    packet->cause = cause;
    if (rc == 0 && body == NULL && packet->body != NULL)
        flow_node_count(&actor->node->counts.copied_bytes, message->body_bytes);
    return rc;
}

int run_send(struct gbx_actor *actor, uint32_t outport,
             const struct gbx_message *message, struct body *body)
{
    struct outbox *box = actor->worker->outbox;
    struct wiring *wiring = actor->wiring;
    struct packet packet = {.message = *message};
    bool is_made = false;
    int rc = 0;

    if (flow_tells(actor->flow)) {
        packet.id = flow_number(actor->flow);
        packet.cause = actor->input_count > 0 ? actor->inputs[0].id : 0;
        tell_emit(actor, outport, &packet);
    }
    for (uint32_t i = 0; i < wiring->count && rc == 0; i++) {
        struct wire *wire = &wiring->wires[i];

        if (wire->outport != outport)
            continue;
        if (wire->to == NULL) {
            send_outside(actor, wire, message);
            continue;
        }
        if (!is_made && (rc = make_packet(actor, &packet, message, body)) < 0)
            break;
        is_made = true;
        if (box->count == ARRAY_SIZE(box->outs))
            run_flush(actor, false);
        /* Each reader, once for what an outbox holds. */
        if (wire->checked != box->number &&
            (rc = await_reader(actor, wire)) < 0)
            break;
        wire->checked = box->number;
        packet_hold(&box->outs[box->count].packet, &packet);
        box->outs[box->count++].wire = wire;
    }
    if (is_made)
        packet_drop(&packet);
    return rc;
}
