/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/flow_event.h - what happens in a flow, for who wants to be told.
 *
 * Included by glovebox/flow.h: gbx_flow_config.event.
 *
 * Threads: events come from any thread of the flow's, several at once.
 * Memory:  all that an event points at is borrowed until the function returns.
 */
#ifndef GBX_FLOW_EVENT_H
#define GBX_FLOW_EVENT_H

#include "glovebox/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happens, by Reflow's names; those it never sends, too. */
enum gbx_flow_event_kind {
    GBX_FLOW_NETWORK_STARTED,
    GBX_FLOW_NETWORK_IDLE, /* no message is left, and nobody runs */
    GBX_FLOW_NETWORK_SHUTDOWN,
    GBX_FLOW_ACTOR_STARTED,    /* the node is there, and can run */
    GBX_FLOW_ACTOR_EMIT,       /* a run sent something, connected or not */
    GBX_FLOW_ACTOR_COMPLETED,  /* a run */
    GBX_FLOW_ACTOR_FAILED,     /* a run; text: why */
    GBX_FLOW_MESSAGE_SENT,     /* from node, port to to_node, to_port */
    GBX_FLOW_MESSAGE_RECEIVED, /* from outside, or an initial one */
};
const char *gbx_flow_event_name(int kind); /* "MessageSent"; else NULL */

#define GBX_FLOW_CAUSES_MAX 64u

struct gbx_flow_event {
    enum gbx_flow_event_kind kind;
    uint64_t at_ns; /* CLOCK_MONOTONIC */
    const char *node, *port, *to_node, *to_port;
    const struct gbx_message *message; /* or NULL */
    const char *text;
    uint64_t id;    /* of the message, in this flow; 0: there is none */
    uint64_t cause; /* of the input for which it was sent; 0: none */
    /* Of a run that awaited all of its inports, and what it sent: all inputs,
     * `cause` the first of them.  At most GBX_FLOW_CAUSES_MAX are told. */
    const uint64_t *causes;
    uint32_t cause_count;
    uint64_t took_ns;      /* of a run */
    const char *traceback; /* of one that a script's exception ended, or NULL */
};
typedef void (*gbx_flow_event_fn)(void *context,
                                  const struct gbx_flow_event *event);

#ifdef __cplusplus
}
#endif

#endif
